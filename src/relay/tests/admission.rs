//! Who may send what where: the steps of admission and the table of verdicts.

use rstest::rstest;

use super::chunk::{Request, pattern};
use super::end::Answer;
use super::network::Network;
use super::scene::{GATE, HUB, INES, Scene, TOMAS};
use crate::relay::{CloseReason, Event};

const NOWHERE: &str = "msrps://gate.north.example:2855/000000.0abcdefghijklmnopqrstuv;tcp";

/// CORE-52, CORE-58, CORE-60, CORE-66, RLY-43
#[rstest]
#[case("SEND", "yes", &[481])]
#[case("SEND", "partial", &[481])]
#[case("SEND", "no", &[])]
#[case("REPORT", "yes", &[])]
#[case("NICKNAME", "no", &[481])]
#[case("FROB", "no", &[481])]
fn verdict_no_session(#[case] method: &'static str, #[case] wish: &str, #[case] codes: &[u16]) {
    let mut s = Scene::new();
    let r = Request::new(method, &[NOWHERE, TOMAS], INES).id("m").line("Status: 000 200 OK").failure_report(wish);
    let tid = s.ines_writes(&r.body("x"));
    assert_eq!(s.codes(&tid), codes, "RLY-43, AMB-9");
    assert!(!s.net.ends[s.ines].closed && s.net.dialled.is_empty());
}

/// RLY-41, RLY-42
#[rstest]
#[case("SEND", "yes", &[481])]
#[case("SEND", "no", &[])]
#[case("REPORT", "yes", &[])]
#[case("NICKNAME", "no", &[481])]
fn rly_42_request_for_another_host_closes(#[case] method: &'static str, #[case] wish: &str, #[case] codes: &[u16]) {
    let mut s = Scene::new();
    let to = ["msrps://other.example:2855/x;tcp", TOMAS];
    let r = Request::new(method, &to, INES).id("m").line("Status: 000 200 OK").failure_report(wish).body("x");
    let tid = s.ines_writes(&r);
    assert_eq!(s.codes(&tid), codes);
    assert_eq!(s.net.closed, [CloseReason::Misaddressed]);
    assert!(s.net.dialled.is_empty(), "RLY-41");
}

/// RLY-42
#[test]
fn rly_42_peer_relay_is_not_closed_for_it() {
    let mut s = Scene::new();
    let hub = s.net.peer_relay(0, HUB);
    let r = Request::send(&["msrps://other.example:2855/x;tcp", TOMAS], "msrps://hub.south.example:2855/a;tcp");
    let r = r.id("m").body("x");
    s.net.write(hub, r.octets());
    assert_eq!(s.net.ends[hub].codes(&r.tid), [481]);
    assert!(!s.net.ends[hub].closed);
}

/// RLY-34, RLY-44, RLY-45, ADV-R01
#[test]
fn rly_34_owner_token_on_another_connection_reaches_the_owner_only() {
    let mut s = Scene::new();
    let other = s.net.client(0);
    let r = Request::send(&[&s.token, TOMAS], INES).id("m").body("x");
    s.net.write(other, r.octets());
    assert!(s.net.dialled.is_empty(), "RLY-44, RLY-45, ADV-R01: nobody else is connected to");
    assert_eq!(s.net.ends[s.ines].sends().len(), 1, "AMB-11: the owner gets it");
}

/// CORE-81, RLY-92
#[test]
fn rly_92_second_far_connection_is_refused_while_the_first_lives() {
    let mut s = Scene::new();
    let (first, second) = (s.net.client(0), s.net.client(0));
    let hello = s.back().id("m1").body("x");
    s.net.write(first, hello.octets());
    for (r, codes) in [
        (s.back().id("m2").body("x"), vec![506]),
        (s.back().id("m3").failure_report("no").body("x"), vec![]),
        (Request::new("NICKNAME", &[&s.token, INES], TOMAS), vec![506]),
        (Request::new("REPORT", &[&s.token, INES], TOMAS).line("Status: 000 200 OK"), vec![]),
    ] {
        s.net.write(second, r.octets());
        assert_eq!(s.net.ends[second].codes(&r.tid), codes);
    }
    assert_eq!(s.net.ends[s.ines].sends().len(), 1);
    s.net.lose(first);
    let third = s.net.client(0);
    let again = s.back().id("m4").body("x");
    s.net.write(third, again.octets());
    assert_eq!(s.net.ends[third].codes(&again.tid), [200]);
}

/// CORE-58, RLY-77, RLY-91, RLY-102, ADV-R02
#[rstest]
#[case::loopback("msrp://127.0.0.1:22/x;tcp", 403)]
#[case::private("msrp://10.0.0.5:6379/x;tcp", 403)]
#[case::not_tcp("msrps://gw.example:443/abc;ws", 481)]
#[case::data_channel("msrp://gw.example:9/abc;dc", 481)]
#[case::invalid("msrps://x.invalid:2855/abc;tcp", 481)]
#[case::no_port("msrps://far.example/abc;tcp", 400)]
#[case::no_brackets("msrps://2001:db8::9:2855/tok;tcp", 400)]
#[case::zone("msrps://[fe80::1%25eth0]:2855/tok;tcp", 400)]
fn rly_91_102_targets_that_are_not_connected_to(#[case] next: &str, #[case] code: u16) {
    let mut s = Scene::new();
    let r = Request::send(&[&s.token, next], INES).id("m").body("x");
    let tid = s.ines_writes(&r);
    assert_eq!(s.codes(&tid), [code]);
    assert!(s.net.dialled.is_empty());
    let quiet = Request::send(&[&s.token, next], INES).id("m").failure_report("no").body("x");
    let tid = s.ines_writes(&quiet);
    assert!(s.codes(&tid).is_empty());
}

/// CORE-16, CORE-107, RLY-94
#[test]
fn rly_94_bodiless_send_to_the_token_alone_is_answered() {
    let mut s = Scene::new();
    let token = s.token.clone();
    for (r, codes) in [
        (Request::send(&[&token], INES).range("1-0/0"), vec![200]),
        (Request::send(&[&token], INES).failure_report("no"), vec![]),
        (Request::send(&[&token], INES).id("m").body("x"), vec![481]),
        (Request::new("FROB", &[&token], INES), vec![501]),
        (Request::new("REPORT", &[&token], INES).line("Status: 000 200 OK"), vec![]),
    ] {
        let tid = s.ines_writes(&r);
        assert_eq!(s.codes(&tid), codes, "AMB-12, ADV-E16");
    }
}

/// CORE-11, CORE-43, CORE-102, CORE-107, RLY-95
#[test]
fn rly_95_bodiless_send_with_further_hops_is_forwarded() {
    let mut s = Scene::new();
    let r = s.send();
    let tid = s.ines_writes(&r);
    assert_eq!(s.codes(&tid), [200]);
    let got = s.net.last(s.tomas());
    assert!(!got.has_body && got.range() == "1-0/0", "{got:?}");
    let mime = s.send().id("k").range("1-0/0").line("Keep-Alive: yes").line("Content-Type: text/plain");
    let tid = s.ines_writes(&mime);
    assert_eq!(s.codes(&tid), [200], "IOP-2, CORE-102");
    let got = s.net.last(s.tomas());
    assert_eq!((got.header("Keep-Alive"), got.header("Content-Type")), ("yes".to_owned(), String::new()), "CORE-11");
}

/// Two clients of one relay.
fn two_clients() -> (Scene, usize, String) {
    let mut s = Scene::new();
    let tomas = s.net.client(0);
    let token = s.net.auth(tomas, TOMAS, &[]);
    (s, tomas, token)
}

/// RLY-90
#[test]
fn rly_90_both_tokens_here_make_one_answer_and_one_leg() {
    let (mut s, tomas, other) = two_clients();
    let r = Request::send(&[&s.token, &other, TOMAS], INES).id("m").body("hello");
    let tid = s.ines_writes(&r);
    assert_eq!(s.codes(&tid), [200]);
    let got = s.net.last(tomas);
    assert_eq!((got.header("To-Path"), got.header("From-Path")), (TOMAS.into(), format!("{other} {} {INES}", s.token)));
    assert_eq!(s.net.ends[s.ines].frames.iter().filter(|f| f.code() == Some(200)).count(), 2, "AUTH and SEND");
    let back = Request::send(&[&other, &s.token, INES], TOMAS).id("b").body("hi");
    s.net.write(tomas, back.octets());
    assert_eq!(s.net.last(s.ines).body, b"hi");
}

/// RLY-90
#[test]
fn rly_90_failure_behind_an_internal_hop_is_reported_from_the_first_token() {
    let (mut s, tomas, other) = two_clients();
    s.net.ends[tomas].answer = Answer::Code(415);
    let r = Request::send(&[&s.token, &other, TOMAS], INES).id("m").body("hello");
    s.ines_writes(&r);
    assert_eq!(s.reports(), [(415, "1-5/*".to_owned())]);
    assert_eq!(s.net.last(s.ines).header("From-Path"), s.token);
}

/// ADV-R03
#[test]
fn adv_r03_more_than_four_own_uris_are_refused() {
    let mut s = Scene::new();
    let token = s.token.clone();
    let path = vec![token.as_str(); 12];
    let tid = s.ines_writes(&Request::send(&path, INES).id("m").body("x"));
    assert_eq!(s.codes(&tid), [400]);
}

/// ADV-R04
#[test]
fn adv_r04_loop_over_two_clients_ends_at_the_second() {
    let (mut s, tomas, other) = two_clients();
    let r = Request::send(&[&s.token, &other, &s.token], INES).id("m").body("x");
    s.ines_writes(&r);
    assert_eq!(s.net.last(tomas).header("To-Path"), s.token, "the client decides");
}

/// ADV-R30
#[test]
fn adv_r30_message_to_self_comes_back_on_the_same_connection() {
    let mut s = Scene::new();
    let r = Request::send(&[&s.token, &s.token, INES], INES).id("m").body(pattern(30_000));
    let tid = s.ines_writes(&r);
    assert_eq!(s.codes(&tid), [200]);
    assert_eq!(s.net.ends[s.ines].content("m"), pattern(30_000));
}

/// CORE-81, ADV-R19
#[test]
fn adv_r19_identity_is_the_connection_not_from_path() {
    let mut s = Scene::new().introduced();
    let liar = s.net.client(0);
    let r = Request::send(&[&s.token, INES], INES).id("m").body("x");
    s.net.write(liar, r.octets());
    assert_eq!(s.net.ends[liar].codes(&r.tid), [506]);
}

/// RLY-37, ADV-R20
#[test]
fn adv_r20_relay_that_speaks_for_another_is_refused_and_reported() {
    let mut s = Scene::new();
    let hub = s.net.peer_relay(0, HUB);
    let r = Request::send(&[&s.token, INES], "msrps://mallory.example:2855/x;tcp").id("m").body("x");
    s.net.write(hub, r.octets());
    assert_eq!(s.net.ends[hub].codes(&r.tid), [403]);
    assert!(s.net.events.iter().any(|e| matches!(e, Event::Impostor { .. })) && !s.net.ends[hub].closed);
}

/// CORE-82
#[test]
fn amb_19_scheme_must_fit_the_connection() {
    let mut s = Scene::new();
    let meta = s.net.meta((0, 0), false);
    let plain = s.net.connect((0, 0), meta);
    let r = s.back().id("m").body("x");
    s.net.write(plain, r.octets());
    assert_eq!(s.net.ends[plain].codes(&r.tid), [481]);
    let other_scheme = s.token.replace("msrps:", "msrp:");
    let tid = s.ines_writes(&Request::send(&[&other_scheme, TOMAS], INES).id("m").body("x"));
    assert_eq!(s.codes(&tid), [481]);
}

/// CORE-90, RLY-47
#[rstest]
#[case("MSRPS://gate.NORTH.example:2855/", 200)]
#[case("msrps://ines@gate.north.example.:2855/", 200)]
#[case("msrps://gate.north.example:2856/", 481)]
fn core_90_equivalent_spellings_of_a_token_are_accepted(#[case] prefix: &str, #[case] code: u16) {
    let mut s = Scene::new();
    let spelled = s.token.replace("msrps://gate.north.example:2855/", prefix);
    for _ in 0..2 {
        let tid = s.ines_writes(&Request::send(&[&spelled, TOMAS], INES).id("m").body("x"));
        assert_eq!(s.codes(&tid), [code]);
        let tid = s.ines_writes(&s.send().id("m").body("x"));
        assert_eq!(s.codes(&tid), [200]);
    }
    let from = s.net.ends[s.tomas()].sends()[0].header("From-Path");
    assert!(code != 200 || from == format!("{spelled} {INES}"), "RLY-47");
}

/// CORE-100, ADV-C07, ADV-C08
#[test]
fn core_100_101_malformed_heads_are_400_and_skipped() {
    let mut s = Scene::new();
    for range in ["5-3/10", "0-3/3", "1-9/8", "18446744073709551615-*/*", "1-*/99999999999999999999999999"] {
        let tid = s.ines_writes(&s.send().id("m").range(range).body("x"));
        assert_eq!(s.codes(&tid), [400], "{range}");
    }
    let tid = s.ines_writes(&s.send().body("x"));
    assert_eq!(s.codes(&tid), [400], "AMB-37");
    let tid = s.ines_writes(&s.send().id("m").body("x"));
    assert_eq!(s.codes(&tid), [200]);
}

#[test]
fn table_of_verdicts_bad_closes_at_twenty_a_minute() {
    let mut s = Scene::new();
    for i in 0..20 {
        assert!(!s.net.ends[s.ines].closed, "{i}");
        s.ines_writes(&s.send().id("m").range("0-3/3").body("x"));
    }
    assert_eq!(s.net.closed, [CloseReason::BadRequests]);
}

/// CORE-78, RLY-67
#[test]
fn ways_and_far_sides_of_a_session_are_bounded() {
    let mut s = Scene::new();
    let far = |i: usize| format!("msrps://tomas-pc.south.example:50990/x{i};tcp");
    for i in 0..300 {
        s.ines_writes(&Request::send(&[&s.token, &far(i)], INES).id("m").body("x"));
    }
    assert_eq!(s.net.dialled.len(), 1, "RLY-67");
    assert_eq!(s.net.ends[s.tomas()].sends().len(), 64);
    let tomas = s.tomas();
    for i in 0..300 {
        let r = Request::send(&[&s.token, INES, &far(i)], TOMAS).id("m").body("x");
        s.net.write(tomas, r.octets());
        assert_eq!(s.net.ends[tomas].codes(&r.tid), [200]);
    }
    assert!(s.relay().way_count() <= 64);
}

/// CORE-78, RLY-67
#[test]
fn rly_67_iop_36_links_are_shared_unless_configured_otherwise() {
    for (multiplex, dials) in [(true, 1), (false, 2)] {
        let mut net = Network::new();
        let mut settings = Network::settings(GATE);
        settings.peers.insert(HUB.into(), crate::relay::Peer { max_chunk: None, multiplex, bulk: false });
        let gate = net.relay(settings);
        net.listen(HUB, 2855, Answer::Ok);
        for n in 0..2 {
            let client = net.client(gate);
            let token = net.auth(client, INES, &[]);
            for m in 0..2 {
                let next = format!("msrps://hub.south.example:2855/t{n};tcp");
                net.write(client, Request::send(&[&token, &next, TOMAS], INES).id(&format!("m{m}")).body("x").octets());
            }
        }
        assert_eq!(net.dialled.len(), dials);
    }
}

/// ADV-C16
#[test]
fn adv_c16_request_without_a_sender_is_skipped_twice() {
    let mut s = Scene::new();
    let nobody = format!("MSRP abcd1234 SEND\r\nTo-Path: {} {TOMAS}\r\nMessage-ID: m\r\n-------abcd1234$\r\n", s.token);
    for _ in 0..2 {
        s.net.write(s.ines, &nobody);
        let tid = s.ines_writes(&s.send().id("m").body("x"));
        assert_eq!(s.codes(&tid), [200]);
    }
    assert!(s.codes("abcd1234").is_empty());
    s.net.write(s.ines, &nobody);
    assert_eq!(s.net.closed, [CloseReason::Framing]);
    let stranger = s.net.client(0);
    s.net.write(stranger, &nobody);
    assert!(s.net.ends[stranger].closed, "nothing is bound to this one");
}
