//! Back-pressure and what it must not do: stop and resume, false 408s, deadlock, shared relay links.

use super::chunk::{Request, pattern};
use super::end::Answer;
use super::network::Network;
use super::scene::{GATE, HUB, INES, Scene, TOMAS};
use crate::relay::{CloseReason, Peer};

const SESSION: usize = 256 << 10;

/// RLY-81, RLY-82
#[test]
fn full_session_stops_its_source_and_draining_resumes_it() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.read(tomas, false);
    let body = pattern(2_000_000);
    let send = s.send().id("m1").body(&body);
    s.ines_writes(&send);
    let held = s.relay().buffered();
    assert!((SESSION..SESSION + 40_000).contains(&held), "RLY-82: {held}");
    assert!(s.codes(&send.tid).is_empty());
    s.net.read(tomas, true);
    assert_eq!(s.codes(&send.tid), [200]);
    assert!(s.net.ends[tomas].content("m1") == body);
    assert_eq!(s.relay().buffered(), 0);
}

/// RLY-87
#[test]
fn rly_87_slow_receiver_stops_only_its_own_session() {
    let mut s = Scene::new().introduced();
    let olga = s.net.client(0);
    let token = s.net.auth(olga, "msrps://olga.example:4000/o;tcp", &[]);
    s.net.listen("pavel.example", 6000, Answer::Ok);
    s.net.read(s.tomas(), false);
    let send = s.send().id("m1").body(pattern(2_000_000));
    s.ines_writes(&send);
    let r = Request::send(&[&token, "msrps://pavel.example:6000/p;tcp"], "msrps://olga.example:4000/o;tcp");
    let r = r.id("o1").body(pattern(1_000_000));
    s.net.write(olga, r.octets());
    assert_eq!(s.net.ends[olga].codes(&r.tid), [200]);
    let pavel = s.net.accepted("pavel.example", 6000)[0];
    assert_eq!(s.net.ends[pavel].content("o1").len(), 1_000_000);
}

#[test]
fn bodiless_sends_fill_a_session_too() {
    let mut s = Scene::new().introduced();
    s.net.read(s.tomas(), false);
    let one = s.send().failure_report("no").octets();
    for _ in 0..40 {
        s.net.write(s.ines, one.repeat(100));
    }
    // What the session may hold, and the batch that the socket does not take.
    assert!(s.relay().buffered() < SESSION + (64 << 10), "{}", s.relay().buffered());
    s.net.read(s.tomas(), true);
    assert_eq!(s.net.ends[s.tomas()].sends().len(), 4000);
}

/// RLY-106
#[test]
fn rly_106_pause_of_ours_makes_no_false_408() {
    let mut s = Scene::new().introduced();
    // A second session of Ines, in which she is the receiver.
    let token = s.net.auth(s.ines, INES, &[]);
    let pavel = s.net.client(0);
    s.net.ends[s.ines].answer = Answer::Nothing;
    let r = Request::send(&[&token, INES], "msrps://pavel.example:6000/p;tcp").id("p1").body("hi");
    s.net.write(pavel, r.octets());
    let got = s.net.last(s.ines);
    // Her first session stalls, so that she is not read; then she answers.
    s.net.read(s.tomas(), false);
    let send = s.send().id("m1").body(pattern(1_000_000));
    s.net.ends[s.ines].output.extend(send.octets());
    s.net.ends[s.ines].answer_to(&got, 200);
    s.net.run();
    s.net.seconds(40);
    assert!(s.net.ends[pavel].reported().is_empty());
    s.net.read(s.tomas(), true);
    s.net.seconds(60);
    assert!(s.net.ends[pavel].reported().is_empty(), "her answer was there all the time");
}

/// RLY-106
#[test]
fn rly_106_pause_does_not_hide_a_silence_for_ever() {
    let mut s = Scene::new().introduced();
    let token = s.net.auth(s.ines, INES, &[]);
    let pavel = s.net.client(0);
    s.net.ends[s.ines].answer = Answer::Nothing;
    let r = Request::send(&[&token, INES], "msrps://pavel.example:6000/p;tcp").id("p1").body("hi");
    s.net.write(pavel, r.octets());
    s.net.read(s.tomas(), false);
    let send = s.send().id("m1").body(pattern(1_000_000));
    s.ines_writes(&send);
    s.net.seconds(25);
    s.net.read(s.tomas(), true);
    assert!(s.net.ends[pavel].reported().is_empty());
    s.net.seconds(29);
    assert!(s.net.ends[pavel].reported().is_empty(), "25 s did not count");
    s.net.seconds(3);
    assert_eq!(s.net.ends[pavel].reported(), [408]);
}

/// RLY-107
#[test]
fn rly_107_floods_in_both_directions_never_stand_still() {
    let mut net = Network::new();
    net.window = 8_000;
    net.relay(Network::settings(GATE));
    let (a, b) = (net.client(0), net.client(0));
    let (ta, tb) = (net.auth(a, INES, &[]), net.auth(b, TOMAS, &[]));
    // Each side writes twenty messages before it looks at what has come.
    for i in 0..75 {
        for (end, to, from) in [(a, [&*ta, &*tb, TOMAS], INES), (b, [&*tb, &*ta, INES], TOMAS)] {
            let one = |n| Request::send(&to, from).id(&format!("m{i}.{n}")).body(pattern(900)).octets();
            net.ends[end].output.extend((0..20).flat_map(one).collect::<Vec<u8>>());
        }
        net.run();
    }
    net.run();
    assert_eq!((net.ends[a].sends().len(), net.ends[b].sends().len()), (1500, 1500));
    net.seconds(40);
    assert!(net.ends[a].reported().is_empty() && net.ends[b].reported().is_empty());
    assert_eq!(net.nodes[0].shards[0].pending_count(), 0);
}

/// Gate and a peer relay that is played by the test; a token of Ines.
fn behind_a_relay() -> (Scene, usize) {
    let mut s = Scene::with(|s| {
        s.peers.insert(HUB.into(), Peer { max_chunk: None, multiplex: true, bulk: false });
    });
    let hub = s.net.peer_relay(0, HUB);
    (s, hub)
}

const HUB_TOKEN: &str = "msrps://hub.south.example:2855/s4;tcp";

fn from_hub(s: &Scene) -> Request {
    Request::send(&[&s.token, INES], &format!("{HUB_TOKEN} {TOMAS}"))
}

/// RLY-88
#[test]
fn rly_88_full_session_on_a_relay_link_gets_413_after_five_seconds_without_progress() {
    let (mut s, hub) = behind_a_relay();
    s.net.read(s.ines, false);
    let r = from_hub(&s).id("m1").body("");
    s.net.write(hub, [r.head(), pattern(1_000_000)].concat());
    assert!(s.net.ends[hub].codes(&r.tid).is_empty());
    s.net.seconds(4);
    s.net.write(hub, pattern(1000));
    assert!(s.net.ends[hub].codes(&r.tid).is_empty());
    s.net.seconds(2);
    s.net.write(hub, pattern(1000));
    assert_eq!(s.net.ends[hub].codes(&r.tid), [413]);
    assert!(!s.net.ends[hub].closed, "link alive");
    s.net.write(hub, r.end());
    let next = from_hub(&s).id("m1").range("2-3/3").body("xy");
    s.net.write(hub, next.octets());
    assert_eq!(s.net.ends[hub].codes(&next.tid), [413]);
    assert!(s.net.ends[hub].reported().is_empty(), "RLY-54");
}

/// RLY-88
#[test]
fn rly_88_link_buffer_of_eight_mebibytes_is_the_end_at_once() {
    let (mut s, hub) = behind_a_relay();
    s.net.read(s.ines, false);
    let r = from_hub(&s).id("m1").body("");
    s.net.write(hub, r.head());
    for _ in 0..10 {
        s.net.write(hub, pattern(1 << 20));
    }
    assert_eq!(s.net.ends[hub].codes(&r.tid), [413]);
    assert!(s.relay().buffered() < (8 << 20) + SESSION);
    s.net.write(hub, r.end());
    s.net.read(s.ines, true);
    let next = from_hub(&s).id("m2").body("small");
    s.net.write(hub, next.octets());
    assert_eq!(s.net.ends[hub].codes(&next.tid), [200]);
    assert_eq!(s.net.last(s.ines).body, b"small");
}

#[test]
fn progress_of_the_receiver_keeps_a_relay_link_message_alive() {
    let (mut s, hub) = behind_a_relay();
    s.net.read(s.ines, false);
    let r = from_hub(&s).id("m1").body("");
    s.net.write(hub, r.head());
    for _ in 0..12 {
        s.net.write(hub, pattern(100_000));
        s.net.seconds(3);
        s.net.read(s.ines, true);
        s.net.read(s.ines, false);
    }
    s.net.write(hub, r.end());
    assert_eq!(s.net.ends[hub].codes(&r.tid), [200]);
}

/// ADV-C27
#[test]
fn client_that_reads_no_answers_is_not_read() {
    let mut s = Scene::new();
    s.net.read(s.ines, false);
    let one = Request::send(&[&s.token], INES).octets();
    for _ in 0..50 {
        s.net.write(s.ines, one.repeat(400));
    }
    let (_, link) = s.net.link_of(s.ines).expect("alive");
    assert!(!s.relay().wants_input(link), "ADV-C27");
    s.net.seconds(61);
    assert_eq!(s.net.closed, [CloseReason::StalledWrite]);
}

#[test]
fn relay_that_reads_no_answers_is_closed_above_one_mebibyte() {
    let (mut s, hub) = behind_a_relay();
    s.net.read(hub, false);
    let one = Request::send(&[&s.token], HUB_TOKEN).octets();
    for _ in 0..20 {
        s.net.write(hub, one.repeat(400));
    }
    s.net.millis(10);
    assert_eq!(s.net.closed, [CloseReason::ResponseQueue]);
}

#[test]
fn expired_session_does_not_leave_its_sender_stopped() {
    let mut s = Scene::new();
    s.net.lose(s.ines);
    s.ines = s.net.client(0);
    s.token = s.net.auth(s.ines, INES, &["Expires: 60"]);
    let other = s.net.auth(s.ines, INES, &[]);
    let hello = s.send().id("h").body("x");
    s.ines_writes(&hello);
    s.net.read(s.tomas(), false);
    s.net.seconds(55);
    // Complete chunks that are more than a session holds.
    let all: Vec<u8> = (0..40).flat_map(|i| s.send().id(&format!("m{i}")).body(pattern(9000)).octets()).collect();
    s.net.write(s.ines, all);
    let (_, link) = s.net.link_of(s.ines).expect("alive");
    assert!(!s.relay().wants_input(link));
    s.net.seconds(30);
    s.net.lose(s.tomas());
    assert!(s.relay().wants_input(link), "what it led to is gone");
    let tid = s.ines_writes(&Request::send(&[&other], INES));
    assert_eq!(s.codes(&tid), [200]);
}
