//! AUTH at this relay: the table of findings in its order, token life, quotas, look-ups.

use rstest::rstest;

use super::chunk::{Request, authorization, parameter};
use super::end::Frame;
use super::network::Network;
use super::scene::{GATE, HUB, INES, Scene, TOMAS};
use crate::relay::{Account, Claimant, CloseReason, Event, LookUpFailure, Settings};

const US: &str = "msrps://ines@gate.north.example;tcp";

/// A relay with the account `ines`, and a client.
fn gate(change: impl FnOnce(&mut Settings)) -> (Network, usize) {
    let mut net = Network::new();
    let mut settings = Network::settings(GATE);
    change(&mut settings);
    let relay = net.relay(settings);
    net.account("ines", GATE, "kelp-anchor-41");
    let client = net.client(relay);
    (net, client)
}

fn nonce(net: &mut Network, end: usize) -> String {
    nonce_for(net, end, INES)
}

fn nonce_for(net: &mut Network, end: usize, from: &str) -> String {
    net.write(end, Request::new("AUTH", &[US], from).octets());
    parameter(&net.last(end).header("WWW-Authenticate"), "nonce")
}

/// AUTH with these credentials and further lines.
fn auth(net: &mut Network, end: usize, credentials: &str, lines: &[&str]) -> Frame {
    let r = Request::new("AUTH", &[US], INES).line(credentials);
    net.write(end, lines.iter().fold(r, |r, l| r.line(l)).octets());
    net.last(end)
}

fn right(nonce: &str, nc: u32) -> String {
    authorization("ines", GATE, "kelp-anchor-41", nonce, nc, US)
}

fn wrong(nonce: &str) -> String {
    authorization("ines", GATE, "guess", nonce, 1, US)
}

/// CORE-87, CORE-89, RLY-10, RLY-18, RLY-29, RLY-30, RLY-32, RLY-104
#[test]
fn rly_10_18_32_the_two_rounds() {
    let (mut net, end) = gate(|_| {});
    net.write(end, Request::new("AUTH", &[US], INES).octets());
    let challenge = net.last(end);
    assert_eq!((challenge.header("To-Path"), challenge.header("From-Path")), (INES.to_owned(), US.to_owned()));
    let header = challenge.header("WWW-Authenticate");
    assert!(header.starts_with("Digest realm=\"gate.north.example\", nonce=\"") && header.contains("qop=\"auth\""));
    assert!(header.contains("opaque=\""), "IOP-11");
    let answer = auth(&mut net, end, &right(&parameter(&header, "nonce"), 1), &["Expires: 1200"]);
    assert_eq!(answer.code(), Some(200));
    let path = answer.header("Use-Path");
    let id = path.strip_prefix("msrps://gate.north.example:2855/").and_then(|p| p.strip_suffix(";tcp"));
    assert!(id.is_some_and(|id| id.len() == 31), "{path}");
    assert_eq!(answer.header("Expires"), "1200", "RLY-30");
    assert!(answer.header("Authentication-Info").starts_with("rspauth=\""));
    assert!(answer.header("Min-Expires").is_empty(), "RLY-29");
}

/// RLY-11, RLY-16, ADV-R07
#[rstest]
#[case::no_qop(
    "Digest username=\"ines\", realm=\"gate.north.example\", nonce=\"n\", nc=00000001, cnonce=\"c\", response=\"0dac6c41b21367af2d7b662ed76ee8d2\"",
    400
)]
#[case::no_cnonce(
    "Digest username=\"ines\", realm=\"gate.north.example\", nonce=\"n\", nc=00000001, qop=auth, response=\"0dac6c41b21367af2d7b662ed76ee8d2\"",
    400
)]
#[case::garbage("Digest \"", 400)]
#[case::basic("Basic aW5lczpwdw==", 401)]
fn rly_11_16_unparsable_credentials(#[case] value: &str, #[case] code: u16) {
    let (mut net, end) = gate(|_| {});
    let answer = auth(&mut net, end, &format!("Authorization: {value}"), &[]);
    assert_eq!(answer.code(), Some(code));
    assert_eq!(answer.header("WWW-Authenticate").starts_with("Digest"), code == 401);
    assert!(net.look_ups.is_empty() && net.leases == 0);
}

/// RLY-97
#[test]
fn rly_97_uri_of_another_relay_is_malformed_and_an_equivalent_one_is_not() {
    for (uri, code) in [("msrps://hub.south.example;tcp", 400), ("msrps://INES@GATE.north.example;tcp", 200)] {
        let (mut net, end) = gate(|_| {});
        let n = nonce(&mut net, end);
        let credentials = format!("{}, uri=\"{uri}\"", right(&n, 1));
        assert_eq!(auth(&mut net, end, &credentials, &[]).code(), Some(code), "{uri}");
    }
}

/// RLY-20, RLY-21, RLY-22, RLY-105
#[test]
fn rly_20_21_22_replay_and_age_are_stale_wrong_is_not() {
    let (mut net, end) = gate(|_| {});
    let n = nonce(&mut net, end);
    assert_eq!(auth(&mut net, end, &right(&n, 1), &[]).code(), Some(200));
    let replay = auth(&mut net, end, &right(&n, 1), &[]);
    assert!(replay.code() == Some(401) && replay.header("WWW-Authenticate").contains("stale=true"));
    assert_eq!(auth(&mut net, end, &right(&n, 2), &[]).code(), Some(200), "RLY-105");
    net.seconds(61);
    for nc in 3..8 {
        let old = auth(&mut net, end, &right(&n, nc), &[]);
        assert!(old.header("WWW-Authenticate").contains("stale=true"), "never counted: {nc}");
    }
    let n = nonce(&mut net, end);
    let wrong = auth(&mut net, end, &wrong(&n), &[]);
    assert!(wrong.code() == Some(401) && !wrong.header("WWW-Authenticate").contains("stale"));
    assert_eq!(net.leases, 2, "leases of refused AUTHs are given back");
}

/// RLY-23
#[test]
fn rly_23_third_wrong_password_closes_after_its_answer() {
    let (mut net, end) = gate(|_| {});
    for i in 1..=3 {
        let n = nonce(&mut net, end);
        let unknown = authorization("nobody", GATE, "x", &n, 1, US);
        let answer = auth(&mut net, end, &if i == 2 { unknown } else { wrong(&n) }, &[]);
        assert_eq!(answer.code(), Some(401));
        assert_eq!(net.ends[end].closed, i == 3);
    }
    assert_eq!(net.closed, [CloseReason::AuthFailures]);
}

/// RLY-24, RLY-96
#[test]
fn rly_24_relay_link_is_never_closed_for_wrong_passwords() {
    let (mut net, _) = gate(|_| {});
    let hub = net.peer_relay(0, HUB);
    let from = format!("msrps://hub.south.example:2855/a;tcp {INES}");
    for _ in 0..10 {
        let n = nonce_for(&mut net, hub, &from);
        let r = Request::new("AUTH", &[US], &from).line(&wrong(&n));
        net.write(hub, r.octets());
        assert_eq!(net.last(hub).header("To-Path"), from, "RLY-96");
    }
    assert!(!net.ends[hub].closed);
    let of_hub = |e: &Event| matches!(e, Event::AuthFailed { from: Claimant::Relay(name), .. } if **name == *HUB);
    assert_eq!(net.events.iter().filter(|e| of_hub(e)).count(), 10, "they are not held against its address");
}

#[test]
fn who_has_a_session_is_no_guesser_at_the_door() {
    let (mut net, end) = gate(|_| {});
    for _ in 0..2 {
        let n = nonce(&mut net, end);
        auth(&mut net, end, &wrong(&n), &[]);
    }
    let guessed = |e: &&Event| matches!(e, Event::AuthFailed { from: Claimant::Client, peer: Some(_), .. });
    assert_eq!(net.events.iter().filter(guessed).count(), 2);
    let n = nonce(&mut net, end);
    assert_eq!(auth(&mut net, end, &right(&n, 1), &[]).code(), Some(200));
    assert_eq!(auth(&mut net, end, &right(&n, 2), &[]).code(), Some(200));
    assert_eq!(net.in_session, [false, false, false, true]);
}

/// RLY-26, RLY-27, RLY-28, RLY-29, RLY-93
#[test]
fn rly_26_93_order_is_digest_permission_expires_quota() {
    let (mut net, end) = gate(|s| s.limits.tokens_per_connection = 1);
    let n = nonce(&mut net, end);
    assert_eq!(auth(&mut net, end, &wrong(&n), &["Expires: 1"]).code(), Some(401), "not 423");
    let account = net.accounts["ines"].clone();
    net.accounts.insert("ines".into(), Account { relay: false, ..account.clone() });
    assert_eq!(auth(&mut net, end, &right(&n, 1), &["Expires: 1"]).code(), Some(403), "not 423");
    net.accounts.insert("ines".into(), Account { lease: false, ..account.clone() });
    let low = auth(&mut net, end, &right(&n, 2), &["Expires: 1"]);
    assert_eq!((low.code(), low.header("Min-Expires"), low.header("Max-Expires")), (Some(423), "60".into(), "".into()));
    let high = auth(&mut net, end, &right(&n, 3), &["Expires: 99999999"]);
    assert_eq!((high.code(), high.header("Max-Expires")), (Some(423), "7200".into()));
    assert_eq!(auth(&mut net, end, &right(&n, 4), &[]).code(), Some(403), "quota of the user");
    net.accounts.insert("ines".into(), account);
    assert_eq!(auth(&mut net, end, &right(&n, 5), &[]).code(), Some(200));
    assert_eq!(auth(&mut net, end, &right(&n, 6), &[]).code(), Some(403), "quota of the connection");
    assert_eq!(net.leases, 1);
}

/// RLY-27, RLY-28, ADV-R18
#[rstest]
#[case("-1", 400)]
#[case("1e9", 400)]
#[case("", 400)]
#[case("0", 423)]
#[case("60", 200)]
#[case(" 60 ", 200)]
#[case("7200", 200)]
#[case("7201", 423)]
#[case("123456789012345678901234567890", 423)]
fn adv_r18_expires(#[case] value: &str, #[case] code: u16) {
    let (mut net, end) = gate(|_| {});
    let n = nonce(&mut net, end);
    assert_eq!(auth(&mut net, end, &right(&n, 1), &[&format!("Expires: {value}")]).code(), Some(code));
}

/// RLY-2
#[test]
fn rly_2_auth_is_not_served_without_tls() {
    let (mut net, _) = gate(|_| {});
    let meta = net.meta((0, 0), false);
    let plain = net.connect((0, 0), meta);
    let r = Request::new("AUTH", &[US], INES);
    net.write(plain, r.octets());
    assert_eq!(net.ends[plain].codes(&r.tid), [403]);
    assert_eq!(net.closed, [CloseReason::AuthNotServed]);
}

/// RLY-5
#[test]
fn rly_5_client_with_a_longer_from_path_is_refused() {
    let (mut net, end) = gate(|_| {});
    let r = Request::new("AUTH", &[US], &format!("msrps://hub.south.example:2855/a;tcp {INES}"));
    net.write(end, r.octets());
    assert_eq!(net.ends[end].codes(&r.tid), [403]);
}

/// ADV-R22
#[test]
fn adv_r22_session_id_is_no_target_of_auth() {
    let (mut net, end) = gate(|_| {});
    let r = Request::new("AUTH", &["msrps://gate.north.example:2855/x;tcp"], INES);
    net.write(end, r.octets());
    assert_eq!(net.ends[end].codes(&r.tid), [481]);
}

/// ADV-R08
#[test]
fn adv_r08_pipelined_auths_wait_for_each_other() {
    let (mut net, end) = gate(|_| {});
    let n = nonce(&mut net, end);
    net.hold_look_ups = true;
    let all: Vec<Request> = (1..=5).map(|nc| Request::new("AUTH", &[US], INES).line(&right(&n, nc))).collect();
    net.write(end, all.iter().flat_map(Request::octets).collect::<Vec<_>>());
    for r in &all {
        assert_eq!(net.look_ups.len(), 1, "one at a time");
        net.answer_look_ups();
        net.run();
        assert_eq!(net.ends[end].codes(&r.tid), [200]);
    }
}

#[test]
fn look_up_without_an_answer_ends_in_401_and_its_late_lease_is_returned() {
    let (mut net, end) = gate(|_| {});
    let n = nonce(&mut net, end);
    net.hold_look_ups = true;
    let r = Request::new("AUTH", &[US], INES).line(&right(&n, 1));
    net.write(end, r.octets());
    net.millis(4900);
    assert!(net.ends[end].codes(&r.tid).is_empty());
    net.millis(200);
    assert_eq!(net.ends[end].codes(&r.tid), [401]);
    net.answer_look_ups();
    net.run();
    assert_eq!((net.leases, net.released.len()), (0, 1));
    // The same when the client does not wait.
    let r = Request::new("AUTH", &[US], INES).line(&right(&n, 2));
    net.write(end, r.octets());
    net.lose(end);
    net.answer_look_ups();
    net.run();
    assert_eq!(net.leases, 0);
}

#[rstest]
#[case(LookUpFailure::Unavailable, 401)]
#[case(LookUpFailure::RateLimited, 403)]
fn failed_look_up_is_no_failure_of_the_client(#[case] failure: LookUpFailure, #[case] code: u16) {
    let (mut net, end) = gate(|_| {});
    let n = nonce(&mut net, end);
    net.hold_look_ups = true;
    let r = Request::new("AUTH", &[US], INES).line(&right(&n, 1));
    net.write(end, r.octets());
    net.fail_look_ups(failure);
    assert_eq!(net.ends[end].codes(&r.tid), [code]);
    assert!(!net.ends[end].closed);
}

/// RLY-31
#[test]
fn rly_31_token_dies_on_time() {
    let mut s = Scene::new();
    s.token = s.net.auth(s.ines, INES, &["Expires: 60"]);
    let tid = s.ines_writes(&s.send().id("m").body("x"));
    assert_eq!(s.codes(&tid), [200]);
    s.net.seconds(59);
    let tid = s.ines_writes(&s.send().id("m").body("x"));
    assert_eq!(s.codes(&tid), [200]);
    s.net.seconds(1);
    let tid = s.ines_writes(&s.send().id("m").body("x"));
    assert_eq!(s.codes(&tid), [481]);
    let back = s.back().id("b").body("x");
    s.net.write(s.tomas(), back.octets());
    assert_eq!(s.net.ends[s.tomas()].codes(&back.tid), [481]);
}

#[test]
fn iop_14_token_in_use_outlives_a_client_that_named_no_time() {
    let mut s = Scene::new();
    let unused = s.net.auth(s.ines, INES, &[]);
    s.ines_writes(&s.send().id("m").body("x"));
    s.net.seconds(4000);
    let tid = s.ines_writes(&s.send().id("m").body("x"));
    assert_eq!(s.codes(&tid), [200]);
    let tid = s.ines_writes(&Request::send(&[&unused, TOMAS], INES).id("m").body("x"));
    assert_eq!(s.codes(&tid), [481], "an unbound one does expire");
}

/// Nobody sends to her: what she sends through her token is use enough.
#[test]
fn iop_14_token_that_its_owner_alone_uses_is_in_use() {
    const OLGA: &str = "msrps://olga.example:4000/o;tcp";
    let mut s = Scene::new();
    let olga = s.net.client(0);
    let inner = s.net.auth(olga, OLGA, &[]);
    let path = [&*s.token.clone(), &inner, OLGA];
    for id in ["m1", "m2"] {
        let tid = s.ines_writes(&Request::send(&path, INES).id(id).body("x"));
        assert_eq!(s.codes(&tid), [200], "{id}");
        s.net.seconds(4000);
    }
}

/// CORE-84, RLY-35
#[test]
fn rly_35_tokens_die_with_the_connection() {
    let mut s = Scene::new().introduced();
    let old = s.token.clone();
    s.net.lose(s.ines);
    assert_eq!((s.relay().session_count(), s.net.leases), (0, 0));
    s.ines = s.net.client(0);
    s.token = s.net.auth(s.ines, INES, &[]);
    let tid = s.ines_writes(&Request::send(&[&old, TOMAS], INES).id("m").body("x"));
    assert_eq!(s.codes(&tid), [481], "CORE-84");
}

/// ADV-R05
#[test]
fn adv_r05_endless_challenges_end_the_connection() {
    let (mut net, end) = gate(|_| {});
    let one = Request::new("AUTH", &[US], INES).octets();
    for _ in 0..11 {
        net.write(end, one.repeat(100));
    }
    assert!(net.ends[end].closed);
}

#[test]
fn a_nonce_lives_as_long_as_configured() {
    let (mut net, end) = gate(|s| s.auth.nonce_lifetime = std::time::Duration::from_secs(5));
    let (old, fresh) = (nonce(&mut net, end), "stale=true");
    net.seconds(6);
    let late = auth(&mut net, end, &right(&old, 1), &[]);
    assert!(late.code() == Some(401) && late.header("WWW-Authenticate").contains(fresh));
    let new = nonce(&mut net, end);
    assert_eq!(auth(&mut net, end, &right(&new, 1), &[]).code(), Some(200));
}

/// RLY-30
#[test]
fn rly_30_no_longer_life_is_granted_than_the_default() {
    let (mut net, end) = gate(|_| {});
    let fresh = nonce(&mut net, end);
    let long = auth(&mut net, end, &right(&fresh, 1), &["Expires: 7200"]);
    assert_eq!((long.code(), long.header("Expires")), (Some(200), "1800".to_owned()));
}

/// CORE-93, RLY-33
#[test]
fn twenty_thousand_tokens_are_all_different() {
    const TOKENS: usize = 20_000;
    let (mut net, _) = gate(|_| {});
    let now = net.now;
    let relay = net.shard((0, 0));
    let link = relay.handle_local_endpoint(now);
    let secret = |uri: &[u8]| {
        let uri = String::from_utf8_lossy(uri).into_owned();
        let id = uri.rsplit('/').next().and_then(|id| id.strip_suffix(";tcp")).expect("a token");
        id.split_once('.').expect("two parts").1.to_owned()
    };
    let secrets: std::collections::HashSet<String> =
        (0..TOKENS).map(|_| secret(&relay.bind_local(link, "room", now).expect("a link"))).collect();
    assert_eq!(secrets.len(), TOKENS);
    // 22 of 62 characters are 131 bits.
    assert!(secrets.iter().all(|s| s.len() >= 22 && s.bytes().all(|c| c.is_ascii_alphanumeric())));
}

/// RLY-15, RLY-104, RLY-105
#[test]
fn the_next_nonce_is_good_and_the_realm_is_one() {
    let (mut net, end) = gate(|_| {});
    let first = nonce(&mut net, end);
    let info = auth(&mut net, end, &right(&first, 1), &[]).header("Authentication-Info");
    assert!(info.contains(", nc=00000001, qop=auth, "), "{info}");
    let next = parameter(&info, "nextnonce");
    assert_ne!(next, first);
    assert_eq!(auth(&mut net, end, &right(&next, 1), &[]).code(), Some(200));
    let elsewhere = authorization("ines", HUB, "kelp-anchor-41", &next, 2, US);
    assert_eq!(auth(&mut net, end, &elsewhere, &[]).code(), Some(400));
}

/// RLY-38
#[test]
fn use_path_is_the_from_path_turned_round() {
    let (mut net, _) = gate(|_| {});
    let hub = net.peer_relay(0, HUB);
    let (outer, inner) = ("msrps://hub.south.example:2855/b;tcp", "msrps://inner.example:2855/a;tcp");
    let answer = net.try_auth(hub, &[US], &format!("{outer} {inner} {INES}"), "ines", &[]);
    let path = answer.header("Use-Path");
    assert!(path.starts_with(&format!("{inner} {outer} msrps://gate.north.example:2855/")), "{path}");
}
