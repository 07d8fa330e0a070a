//! Two relays between two clients, and the roles of inner and outer relay in AUTH.

use super::chunk::{Request, authorization, parameter, pattern};
use super::end::Answer;
use super::network::Network;
use super::scene::{GATE, HUB, INES, TOMAS};
use crate::relay::{CloseReason, Peer, Settings};

/// Gate with Ines, hub with Tomas, and their tokens.
struct Pair {
    net: Network,
    ines: usize,
    tomas: usize,
    gate: String,
    hub: String,
}

fn peers(settings: &mut Settings, other: &str) {
    settings.peers.insert(other.to_owned(), Peer { max_chunk: None, multiplex: true, bulk: false });
}

impl Pair {
    fn new() -> Pair {
        let mut net = Network::new();
        for (host, other) in [(GATE, HUB), (HUB, GATE)] {
            let mut settings = Network::settings(host);
            peers(&mut settings, other);
            net.relay(settings);
        }
        let (ines, tomas) = (net.client(0), net.client(1));
        let (gate, hub) = (net.auth(ines, INES, &[]), net.auth(tomas, TOMAS, &[]));
        Pair { net, ines, tomas, gate, hub }
    }

    fn send(&self) -> Request {
        Request::send(&[&self.gate, &self.hub, TOMAS], INES)
    }
}

/// CORE-8, RLY-67
#[test]
fn s10_2_two_relays_octet_for_octet() {
    let mut p = Pair::new();
    let send = p.send().id("aQ7w0RtYp3zXc5Vn").range("1-36/36").body("Are we still on for the 14:30 ferry?");
    p.net.ends[p.tomas].raw.clear();
    p.net.write(p.ines, send.octets());
    let got = p.net.last(p.tomas);
    let expected = format!(
        "MSRP {tid} SEND\r\nTo-Path: {TOMAS}\r\nFrom-Path: {} {} {INES}\r\nMessage-ID: aQ7w0RtYp3zXc5Vn\r\n\
         Byte-Range: 1-36/36\r\nContent-Type: text/plain\r\n\r\nAre we still on for the 14:30 ferry?\r\n-------{tid}$\r\n",
        p.hub,
        p.gate,
        tid = got.tid(),
    );
    assert_eq!(String::from_utf8_lossy(&p.net.ends[p.tomas].raw), expected);
    assert_eq!(p.net.ends[p.ines].codes(&send.tid), [200]);
    // The other way, over the same link.
    let back = Request::send(&[&p.hub, &p.gate, INES], TOMAS).id("b").body("yes");
    p.net.write(p.tomas, back.octets());
    let got = p.net.last(p.ines);
    assert_eq!(
        (got.header("To-Path"), got.header("From-Path")),
        (INES.into(), format!("{} {} {TOMAS}", p.gate, p.hub))
    );
    assert_eq!(p.net.dialled.len(), 1, "RLY-67");
    for node in &p.net.nodes {
        assert_eq!((node.shards[0].pending_count(), node.shards[0].buffered()), (0, 0));
    }
}

/// RLY-52, RLY-53, RLY-55
#[test]
fn s10_3_refusal_behind_the_second_relay_travels_back_as_a_report() {
    for (code, wish, expected) in
        [(481, "yes", vec![481]), (415, "partial", vec![415]), (481, "no", vec![]), (200, "yes", vec![])]
    {
        let mut p = Pair::new();
        p.net.ends[p.tomas].answer = Answer::Code(code);
        let send = p.send().id("zT5yU1iO9pAsD3fG").range("1-18/18").failure_report(wish).body("No, the 15:10 one.");
        p.net.write(p.ines, send.octets());
        assert_eq!(p.net.ends[p.ines].reported(), expected, "{code} {wish}");
        if let Some(report) = p.net.ends[p.ines].reports().first() {
            assert_eq!(report.header("From-Path"), format!("{} {}", p.gate, p.hub));
            assert_eq!((report.header("To-Path"), report.range()), (INES.to_owned(), "1-18/18".to_owned()));
        }
        p.net.seconds(60);
        assert_eq!(p.net.ends[p.ines].reported().len(), expected.len());
    }
}

#[test]
fn s10_3_silence_behind_the_second_relay_is_one_408() {
    let mut p = Pair::new();
    p.net.ends[p.tomas].answer = Answer::Nothing;
    let send = p.send().id("m").range("1-18/18").body("No, the 15:10 one.");
    p.net.write(p.ines, send.octets());
    p.net.seconds(90);
    assert_eq!(p.net.ends[p.ines].reported(), [408]);
}

/// RLY-81
#[test]
fn large_message_passes_two_relays_with_large_parts_between_our_own_kind() {
    let mut p = Pair::new();
    let body = pattern(3_000_000);
    p.net.write(p.ines, p.send().id("m").range("1-3000000/3000000").body(&body).octets());
    assert!(p.net.ends[p.tomas].content("m") == body);
    assert!(p.net.ends[p.tomas].sends().iter().all(|f| f.body.len() <= 10_000));
    let parts = p.net.nodes[0].shards[0].counts().parts_cut;
    assert!(parts < 60, "IOP-23: {parts} parts of up to 64 KiB");
}

#[test]
fn owner_gone_behind_the_second_relay_is_481() {
    let mut p = Pair::new();
    p.net.write(p.ines, p.send().id("hello").body("x").octets());
    p.net.lose(p.tomas);
    let send = p.send().id("m").body("x");
    p.net.write(p.ines, send.octets());
    assert_eq!(p.net.ends[p.ines].reported(), [481]);
    assert_eq!(p.net.ends[p.ines].codes(&send.tid), [200]);
}

/// RLY-38, RLY-76
#[test]
fn s10_5_auth_at_an_outer_relay_through_the_inner_one() {
    let mut p = Pair::new();
    p.net.account("ines", HUB, "kelp-anchor-41");
    let target = "msrps://hub.south.example;tcp";
    let answer = p.net.try_auth(p.ines, &[&p.gate.clone(), target], INES, "ines", &[]);
    assert_eq!(answer.code(), Some(200));
    assert_eq!((answer.header("To-Path"), answer.header("From-Path")), (INES.into(), format!("{} {target}", p.gate)));
    let path = answer.header("Use-Path");
    let (inner, outer) = path.split_once(' ').expect("two relays");
    assert_eq!(inner, p.gate, "RLY-38, AMB-52");
    assert!(outer.starts_with("msrps://hub.south.example:2855/"));
    assert!(p.net.dialled.iter().any(|d| d.port.is_none() && d.secure), "RLY-76: SRV only for AUTH");
    // The token is bound to the inner relay: Ines sends outwards with it, a stranger does not.
    p.net.listen("far.example", 5000, Answer::Ok);
    let far = "msrps://far.example:5000/f;tcp";
    let r = Request::send(&[inner, outer, far], INES).id("m").body("hello");
    p.net.write(p.ines, r.octets());
    let end = p.net.accepted("far.example", 5000)[0];
    let got = p.net.last(end);
    assert_eq!(got.header("From-Path"), format!("{outer} {inner} {INES}"));
    // And the far side reaches her through both.
    let back = Request::send(&[outer, inner, INES], far).id("b").body("hi");
    p.net.write(end, back.octets());
    assert_eq!(p.net.last(p.ines).body, b"hi");
}

/// RLY-24, RLY-67: users of the other relay come by the link that we have made, and their AUTH does not end it.
#[test]
fn auth_is_served_on_a_link_that_we_have_made() {
    let mut p = Pair::new();
    let back = Request::send(&[&p.hub, &p.gate, INES], TOMAS).id("b").body("by a link of the hub");
    p.net.write(p.tomas, back.octets());
    assert_eq!(p.net.dialled.len(), 1);
    let outer = format!("msrps://{HUB};tcp");
    let ask = Request::new("AUTH", &[&p.gate, &outer], INES);
    p.net.write(p.ines, ask.octets());
    assert_eq!(p.net.ends[p.ines].codes(&ask.tid), [401]);
    let send = p.send().id("m1").body("still there");
    p.net.write(p.ines, send.octets());
    assert_eq!(p.net.ends[p.ines].codes(&send.tid), [200]);
    assert_eq!((p.net.dialled.len(), p.net.closed.len()), (1, 0));
}

/// CORE-64, RLY-36
#[test]
fn rly_36_token_of_a_relay_is_good_on_any_of_its_links() {
    let mut net = Network::new();
    let mut settings = Network::settings(HUB);
    peers(&mut settings, GATE);
    net.relay(settings);
    net.account("ines", HUB, "kelp-anchor-41");
    net.listen("far.example", 5000, Answer::Nothing);
    let from = format!("msrps://gate.north.example:2855/t;tcp {INES}");
    let (one, two) = (net.peer_relay(0, GATE), net.peer_relay(0, GATE));
    let token = net.try_auth(one, &["msrps://hub.south.example;tcp"], &from, "ines", &[]).header("Use-Path");
    let token = token.rsplit(' ').next().expect("our own").to_owned();
    for link in [one, two] {
        let r = Request::send(&[&token, "msrps://far.example:5000/f;tcp"], &from).id("m").body("x");
        net.write(link, r.octets());
        assert_eq!(net.ends[link].codes(&r.tid), [200]);
    }
    let far = net.accepted("far.example", 5000)[0];
    let back = Request::send(&[&token, &from[..37]], "msrps://far.example:5000/f;tcp");
    net.write(far, back.id("b").body("one").octets());
    net.lose(one);
    let r = Request::send(&[&token, &from[..37]], "msrps://far.example:5000/f;tcp").id("c").body("two");
    net.write(far, r.octets());
    assert_eq!(net.last(two).body, b"two", "the owner binding is the relay, not the link");
    // 5.4: a REPORT finds the previous hop by any of its links.
    let frame = net.ends[far].sends()[0].clone();
    net.ends[far].answer_to(&frame, 415);
    net.run();
    assert_eq!(net.ends[two].reported(), [415]);
}

/// Who begins while the link to the other relay is still being made has that relay on its far side as well, not a link of it.
/// RLY-92.
#[test]
fn rly_92_a_session_that_waited_for_the_dial_is_bound_to_the_relay_too() {
    let mut net = Network::new();
    let mut settings = Network::settings(GATE);
    peers(&mut settings, HUB);
    net.relay(settings);
    net.listen(HUB, 2855, Answer::Ok);
    net.hold_dials = true;
    let tokens = [INES, TOMAS].map(|uri| {
        let client = net.client(0);
        (client, uri, net.auth(client, uri, &[]))
    });
    let hub = "msrps://hub.south.example:2855/t;tcp";
    for (client, uri, token) in &tokens {
        net.write(*client, Request::send(&[token, hub, "msrp://far.example:1/f;tcp"], uri).id("m").body("x").octets());
    }
    net.answer_dials();
    net.run();
    assert_eq!(net.dialled.len(), 1, "RLY-67");
    let other = net.peer_relay(0, HUB);
    for (client, uri, token) in &tokens {
        let back = Request::send(&[token, uri], &format!("{hub} msrp://far.example:1/f;tcp")).id("b").body("back");
        net.write(other, back.octets());
        assert_eq!(net.ends[other].codes(&back.tid), [200]);
        assert_eq!(net.last(*client).body, b"back");
    }
}

#[test]
fn report_to_a_relay_without_a_link_opens_one() {
    let mut net = Network::new();
    let mut settings = Network::settings(HUB);
    peers(&mut settings, GATE);
    net.relay(settings);
    net.listen(GATE, 2855, Answer::Ok);
    let gate = net.peer_relay(0, GATE);
    let tomas = net.client(0);
    let token = net.auth(tomas, TOMAS, &[]);
    net.ends[tomas].answer = Answer::Nothing;
    let from = format!("msrps://gate.north.example:2855/t;tcp {INES}");
    let r = Request::send(&[&token, TOMAS], &from).id("m").body("x");
    net.write(gate, r.octets());
    net.lose(gate);
    net.seconds(31);
    let again = *net.accepted(GATE, 2855).first().expect("a connection back");
    assert_eq!(net.ends[again].reported(), [408]);
    assert_eq!(net.ends[again].reports()[0].header("To-Path"), from);
}

/// RLY-37
#[test]
fn rly_37_relay_must_speak_in_its_own_name_in_auth() {
    let mut net = Network::new();
    net.relay(Network::settings(HUB));
    let gate = net.peer_relay(0, GATE);
    let r =
        Request::new("AUTH", &["msrps://hub.south.example;tcp"], &format!("msrps://evil.example:2855/t;tcp {INES}"));
    net.write(gate, r.octets());
    assert_eq!(net.ends[gate].codes(&r.tid), [403]);
    assert!(!net.ends[gate].closed);
}

/// RLY-25
#[test]
fn rly_25_three_wrong_passwords_at_an_outer_relay_close_the_client() {
    let mut p = Pair::new();
    let target = "msrps://hub.south.example;tcp";
    let gate = p.gate.clone();
    p.net.write(p.ines, Request::new("AUTH", &[&gate, target], INES).octets());
    let nonce = parameter(&p.net.last(p.ines).header("WWW-Authenticate"), "nonce");
    for i in 1..=3 {
        assert!(!p.net.ends[p.ines].closed, "{i}");
        let credentials = authorization("ines", HUB, "guess", &nonce, i, target);
        let r = Request::new("AUTH", &[&gate, target], INES).line(&credentials);
        p.net.write(p.ines, r.octets());
        assert_eq!(p.net.ends[p.ines].codes(&r.tid), [401]);
    }
    assert_eq!(p.net.closed, [CloseReason::AuthFailures]);
}

/// RLY-85
#[test]
fn rly_85_lost_sender_behind_a_relay_disturbs_nobody_on_the_link() {
    let mut p = Pair::new();
    let olga = p.net.client(0);
    let token = p.net.auth(olga, "msrps://olga.example:4000/o;tcp", &[]);
    let send = p.send().id("m").body("");
    p.net.write(p.ines, [send.head(), pattern(5000)].concat());
    p.net.millis(30);
    p.net.lose(p.ines);
    let r = Request::send(&[&token, &p.hub, TOMAS], "msrps://olga.example:4000/o;tcp").id("o").body("fine");
    p.net.write(olga, r.octets());
    let frames = p.net.ends[p.tomas].sends();
    assert_eq!(frames.iter().map(|f| f.flag.octet()).collect::<Vec<_>>(), b"#$");
}
