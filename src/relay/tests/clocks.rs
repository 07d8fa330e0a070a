//! What happens when nothing happens: probation, slow heads, stalls, idleness.

use super::chunk::{Request, pattern};
use super::end::Answer;
use super::network::Network;
use super::scene::{GATE, INES, Scene, TOMAS};
use crate::relay::CloseReason;

const NOWHERE: &str = "msrps://gate.north.example:2855/000000.0abcdefghijklmnopqrstuv;tcp";

fn gate() -> (Network, usize) {
    let mut net = Network::new();
    let relay = net.relay(Network::settings(GATE));
    let client = net.client(relay);
    (net, client)
}

#[test]
fn rly_7_silent_connection_is_closed_after_thirty_seconds() {
    let (mut net, end) = gate();
    net.millis(29_900);
    assert!(!net.ends[end].closed);
    net.millis(200);
    assert_eq!(net.closed, [CloseReason::Probation]);
    assert!(net.ends[end].raw.is_empty(), "CORE-80");
}

#[test]
fn rly_8_challenges_are_no_success() {
    let (mut net, end) = gate();
    for _ in 0..29 {
        net.write(end, Request::new("AUTH", &["msrps://gate.north.example;tcp"], INES).octets());
        net.seconds(1);
    }
    assert!(!net.ends[end].closed, "AMB-56: nor failures");
    net.seconds(2);
    assert_eq!(net.closed, [CloseReason::Probation]);
}

#[test]
fn rly_9_three_failures_in_probation_close() {
    let (mut net, end) = gate();
    for i in 0..3 {
        assert!(!net.ends[end].closed, "{i}");
        let r = Request::send(&[NOWHERE, TOMAS], INES).id("m").body("x");
        net.write(end, r.octets());
        assert_eq!(net.ends[end].codes(&r.tid), [481]);
    }
    assert!(net.ends[end].closed);
}

#[test]
fn accepted_send_ends_probation() {
    let mut s = Scene::new();
    let far = s.net.client(0);
    let r = s.back().id("b").failure_report("no").body("x");
    s.net.write(far, r.octets());
    s.net.seconds(250);
    assert!(!s.net.ends[far].closed);
}

#[test]
fn core_104_head_that_does_not_end_is_closed_after_thirty_seconds() {
    let mut s = Scene::new();
    s.net.write(s.ines, "MSRP abcd1234 SEND\r\n");
    for _ in 0..29 {
        s.net.seconds(1);
        s.net.write(s.ines, "X-A: b\r\n");
    }
    assert!(!s.net.ends[s.ines].closed);
    s.net.seconds(2);
    assert_eq!(s.net.closed, [CloseReason::SlowHead]);
}

#[test]
fn adv_c12_chunk_that_does_not_go_on_ends_with_abort_after_a_minute() {
    let mut s = Scene::new();
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(100)].concat());
    s.net.seconds(59);
    assert!(!s.net.ends[s.ines].closed);
    s.net.seconds(2);
    assert_eq!(s.net.closed, [CloseReason::StalledChunk]);
    assert_eq!(s.ranges(), ["1-*/* #"]);
}

#[test]
fn pause_of_ours_is_no_stall_of_the_sender() {
    let mut s = Scene::new().introduced();
    s.net.read(s.tomas(), false);
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(600_000)].concat());
    s.net.seconds(50);
    // The receiver takes a little, so that its link lives.
    s.net.read(s.tomas(), true);
    s.net.read(s.tomas(), false);
    s.net.write(s.ines, pattern(600_000));
    s.net.seconds(55);
    s.net.read(s.tomas(), true);
    s.net.write(s.ines, send.end());
    assert_eq!(s.codes(&send.tid), [200]);
}

#[test]
fn receiver_that_takes_nothing_for_a_minute_is_closed() {
    let mut s = Scene::new().introduced();
    s.net.read(s.tomas(), false);
    let send = s.send().id("m1").range("1-200000/200000").body(pattern(200_000));
    s.ines_writes(&send);
    s.net.seconds(59);
    assert!(s.net.closed.is_empty());
    s.net.seconds(2);
    assert_eq!(s.net.closed, [CloseReason::StalledWrite]);
    assert_eq!(s.reports(), [(408, "1-200000/200000".to_owned())]);
}

#[test]
fn queue_that_cannot_leave_fails_after_two_minutes() {
    let mut s = Scene::new();
    s.net.hold_dials = true;
    let send = s.send().id("m1").range("1-3/3").body("abc");
    s.ines_writes(&send);
    s.net.seconds(119);
    assert!(s.reports().is_empty());
    s.net.seconds(2);
    assert_eq!(s.reports(), [(408, "1-3/3".to_owned())]);
    assert_eq!(s.relay().buffered(), 0);
}

#[test]
fn rly_74_connections_close_when_long_unused() {
    let mut s = Scene::new().introduced();
    s.net.seconds(7000);
    assert!(s.net.closed.is_empty(), "CORE-85: the session lives");
    s.net.lose(s.ines);
    let far = s.tomas();
    s.net.seconds(300);
    assert!(s.net.ends[far].closed, "RLY-75: a far side that was dialled, five minutes");
    assert_eq!(s.net.closed, [CloseReason::Idle]);
    // A client whose token has died: an hour.
    s.ines = s.net.client(0);
    s.net.auth(s.ines, INES, &["Expires: 60"]);
    s.net.seconds(3500);
    assert!(!s.net.ends[s.ines].closed);
    s.net.seconds(1000);
    assert!(s.net.ends[s.ines].closed);
    s.net.seconds(200);
    s.relay().assert_empty();
}

#[test]
fn quiet_relay_has_few_deadlines() {
    let mut s = Scene::new().introduced();
    let all: Vec<u8> = (0..500).flat_map(|i| s.send().id(&format!("m{i}")).body("x").octets()).collect();
    s.net.write(s.ines, all);
    let mut looks = 0;
    let end = s.net.now + std::time::Duration::from_secs(600);
    while let Some(at) = s.relay().poll_timeout().filter(|at| *at <= end) {
        s.relay().handle_timeout(at);
        looks += 1;
    }
    assert!(looks < 60, "{looks} deadlines in ten minutes without traffic");
}

#[test]
fn drain_refuses_new_sessions_and_shut_down_ends_the_rest_in_order() {
    let mut s = Scene::new().introduced();
    s.relay().drain();
    let us = "msrps://gate.north.example;tcp";
    let tid = s.ines_writes(&Request::new("AUTH", &[us], INES));
    assert_eq!(s.codes(&tid), [403]);
    let tid = s.ines_writes(&s.send().id("m1").body("x"));
    assert_eq!(s.codes(&tid), [200]);
    let send = s.send().id("m2").body("");
    s.net.write(s.ines, [send.head(), pattern(3000)].concat());
    s.net.millis(20);
    assert!(!s.relay().drained());
    let now = s.net.now;
    s.relay().shut_down(now);
    s.net.run();
    assert_eq!(s.codes(&send.tid), [481]);
    assert!(s.reports().is_empty(), "RLY-54: it has been told");
    assert_eq!(s.net.ends[s.tomas()].sends().last().expect("a part").flag.octet(), b'#');
    assert!(s.net.ends[s.ines].closed && s.net.ends[s.tomas()].closed);
    s.net.seconds(200);
    s.relay().assert_empty();
}

#[test]
fn shut_down_tells_the_fate_of_what_is_unanswered() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let tid = s.ines_writes(&s.send().id("m1").body("x"));
    assert_eq!((s.codes(&tid), s.relay().pending_count()), (vec![200], 1));
    let now = s.net.now;
    s.relay().shut_down(now);
    s.net.run();
    assert_eq!(s.reports(), [(408, "1-1/*".to_owned())]);
    assert!(s.net.ends[s.ines].closed);
}

#[test]
fn a_peer_relay_that_is_taken_off_the_list_loses_its_rank_at_once() {
    let mut s = Scene::with(|settings| {
        let peer = crate::relay::Peer { max_chunk: None, multiplex: true, bulk: true };
        settings.peers.insert("hub.south.example".to_owned(), peer);
    });
    let hub = s.net.peer_relay(0, "hub.south.example");
    s.net.run();
    let mut settings = (*s.net.nodes[0].settings).clone();
    settings.peers.clear();
    let now = s.net.now;
    s.relay().reconfigure(std::sync::Arc::new(settings), now);
    s.net.run();
    assert!(s.net.ends[hub].closed && !s.net.ends[s.ines].closed);
}
