//! Chunks that give way, end early, or hold their own end-line (CORE-46, RLY-83 to 86).

use super::chunk::{Request, pattern};
use super::end::{Answer, Frame};
use super::network::Network;
use super::scene::{GATE, HUB, INES, Scene, TOMAS};

fn flags(frames: &[&Frame]) -> String {
    frames.iter().map(|f| char::from(f.flag.octet())).collect()
}

/// CORE-44, CORE-46, RLY-80
#[test]
fn core_46_waiting_answer_interrupts_a_chunk_that_is_still_arriving() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.ends[s.ines].answer = Answer::Nothing;
    let send = s.send().id("m1").range("1-*/5000").body("");
    s.net.write(s.ines, [send.head(), pattern(5000)[..2100].to_vec()].concat());
    s.net.millis(20);
    let back = s.back().id("b1").body("hello");
    s.net.write(tomas, back.octets());
    assert_eq!(s.net.ends[tomas].codes(&back.tid), [200], "before the chunk has gone on");
    s.net.write(s.ines, [pattern(5000)[2100..].to_vec(), send.end()].concat());
    assert_eq!(s.ranges(), ["1-*/5000 +", "2101-*/5000 $"]);
    assert_eq!(s.net.ends[tomas].content("m1"), pattern(5000));
    assert_eq!(s.codes(&send.tid), [200], "one answer for the one chunk");
}

/// RLY-80, RLY-86
#[test]
fn rly_80_small_beginning_is_not_interrupted_before_2048_octets_or_a_stall() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.ends[s.ines].answer = Answer::Nothing;
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(500)].concat());
    s.net.millis(20);
    let back = s.back().id("b1").body("hello");
    s.net.write(tomas, back.octets());
    assert!(s.net.ends[tomas].codes(&back.tid).is_empty());
    s.net.millis(28);
    assert!(s.net.ends[tomas].codes(&back.tid).is_empty());
    s.net.millis(3);
    assert_eq!(s.net.ends[tomas].codes(&back.tid), [200], "RLY-86: 50 ms after the last octet");
    assert_eq!(s.ranges(), ["1-*/* +"]);
    s.net.write(s.ines, [pattern(10), send.end()].concat());
    assert_eq!(s.ranges().len(), 2);
}

/// Two sessions of different users that share the link to a far host.
fn shared_link() -> (Scene, usize, String) {
    let mut s = Scene::new().introduced();
    let other = s.net.client(0);
    let token = s.net.auth(other, "msrps://olga.example:4000/o;tcp", &[]);
    (s, other, token)
}

fn olga(token: &str) -> Request {
    Request::send(&[token, "msrps://tomas-pc.south.example:50990/other;tcp"], "msrps://olga.example:4000/o;tcp")
}

/// RLY-86, ADV-R15
#[test]
fn rly_86_stalled_sender_frees_a_shared_link() {
    let (mut s, other, token) = shared_link();
    let tomas = s.tomas();
    let send = s.send().id("m1").range("1-*/5000").body("");
    s.net.write(s.ines, [send.head(), pattern(5000)[..1000].to_vec()].concat());
    s.net.millis(15);
    let r = olga(&token).id("o1").body("quick");
    s.net.write(other, r.octets());
    s.net.millis(51);
    assert!(s.net.ends[tomas].sends().iter().any(|f| f.message() == "o1"));
    s.net.seconds(30);
    s.net.write(s.ines, [pattern(5000)[1000..].to_vec(), send.end()].concat());
    assert_eq!(s.net.ends[tomas].content("m1"), pattern(5000));
}

/// RLY-86: no pause of hers is long enough to count as one.
#[test]
fn rly_86_trickling_sender_frees_a_shared_link() {
    let (mut s, other, token) = shared_link();
    let tomas = s.tomas();
    let send = s.send().id("m1").range("1-*/5000").body("");
    s.net.write(s.ines, [send.head(), pattern(5000)[..10].to_vec()].concat());
    s.net.millis(15);
    let r = olga(&token).id("o1").body("quick");
    s.net.write(other, r.octets());
    for at in 10..15 {
        assert!(!s.net.ends[tomas].sends().iter().any(|f| f.message() == "o1"), "a part of 2048 octets comes first");
        s.net.write(s.ines, &pattern(5000)[at..=at]);
        s.net.millis(40);
    }
    assert!(s.net.ends[tomas].sends().iter().any(|f| f.message() == "o1"), "but not for ever");
    s.net.write(s.ines, [pattern(5000)[15..].to_vec(), send.end()].concat());
    assert_eq!(s.net.ends[tomas].content("m1"), pattern(5000));
}

#[test]
fn a_chunk_whose_octets_have_all_left_needs_no_part_that_says_so() {
    let (mut s, other, token) = shared_link();
    let tomas = s.tomas();
    for (range, message) in [("1-*/*", "m1"), ("1-*/1000", "m2")] {
        let send = s.send().id(message).range(range).body("").flag('+');
        s.net.write(s.ines, [send.head(), pattern(1000)].concat());
        s.net.millis(15);
        s.net.write(other, olga(&token).id("o1").body("quick").octets());
        s.net.millis(51);
        s.net.write(s.ines, send.end());
        assert_eq!(s.codes(&send.tid), [200]);
        let parts = s.net.ends[tomas].sends().into_iter().filter(|f| f.message() == message).count();
        assert_eq!(parts, 1, "zero progress is none");
    }
    s.net.seconds(40);
    assert_eq!((s.relay().pending_count(), s.reports().len()), (0, 0));
}

/// As its turn is over exactly when the last octet of a chunk leaves, its end is all that is missing.
#[test]
fn a_turn_that_ends_with_the_chunk_leaves_no_empty_part() {
    for flag in ['+', '$'] {
        let (mut s, other, token) = shared_link();
        let tomas = s.tomas();
        s.net.read(tomas, false);
        s.net.write(other, olga(&token).id("o0").body(pattern(90_000)).octets());
        let send = s.send().id("m1").range("1-*/*").body("").flag(flag);
        s.net.write(s.ines, [send.head(), pattern(9_000)].concat());
        s.net.millis(20);
        s.net.write(s.ines, send.end());
        s.net.write(other, olga(&token).id("o1").body(pattern(90_000)).octets());
        s.net.read(tomas, true);
        let lens: Vec<usize> =
            s.net.ends[tomas].sends().iter().filter(|f| f.message() == "m1").map(|f| f.body.len()).collect();
        assert!(!lens.contains(&0) && lens.iter().sum::<usize>() == 9_000, "{flag}: {lens:?}");
    }
}

#[test]
fn alone_on_the_link_nothing_is_interrupted() {
    let mut s = Scene::new();
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(3000)].concat());
    s.net.seconds(50);
    s.net.write(s.ines, [pattern(10), send.end()].concat());
    assert_eq!(s.ranges(), ["1-*/* $"]);
}

/// CORE-31, RLY-84, ADV-C21, ADV-R14
#[test]
fn rly_84_own_end_line_in_the_rest_of_the_body_is_cut_around() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(100)].concat());
    s.net.millis(20);
    let raw = String::from_utf8_lossy(&s.net.ends[tomas].raw).into_owned();
    let tid = raw.split(' ').nth(1).expect("a transact-id").to_owned();
    let evil = format!("ab\r\n-------{tid}$\r\nMSRP evil0000 SEND\r\nTo-Path: {TOMAS}\r\n");
    for piece in evil.as_bytes().chunks(5) {
        s.net.write(s.ines, piece);
    }
    s.net.write(s.ines, send.end());
    let all = [pattern(100), evil.into_bytes()].concat();
    assert_eq!(s.net.ends[tomas].content("m1"), all);
    assert_eq!(flags(&s.net.ends[tomas].sends()), "+$");
    assert_eq!(s.relay().counts().end_lines_in_bodies, 1);
}

/// CORE-114, RLY-83
#[test]
fn rly_83_abort_of_the_sender_propagates() {
    let mut s = Scene::new();
    let send = s.send().id("m1").range("1-*/5000").body("").flag('#');
    s.net.write(s.ines, [send.head(), pattern(2500)].concat());
    s.net.millis(20);
    s.net.write(s.ines, [pattern(500), send.end()].concat());
    assert_eq!(s.ranges(), ["1-*/5000 #"]);
    assert_eq!(s.codes(&send.tid), [200], "CORE-114");
}

/// RLY-85
#[test]
fn rly_85_lost_sender_ends_his_chunk_with_abort_and_the_link_goes_on() {
    let (mut s, other, token) = shared_link();
    let send = s.send().id("m1").range("1-*/5000").body("");
    s.net.write(s.ines, [send.head(), pattern(2500)].concat());
    s.net.millis(20);
    s.net.lose(s.ines);
    assert_eq!(s.ranges(), ["1-*/5000 #"]);
    let r = olga(&token).id("o1").body("still here");
    s.net.write(other, r.octets());
    assert_eq!(s.net.last(s.tomas()).body, b"still here");
}

#[test]
fn amb_64_lost_sender_may_leave_hope() {
    let mut s = Scene::with(|s| s.abort_lost = false);
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(50)].concat());
    s.net.finish(s.ines);
    assert_eq!(s.ranges(), ["1-50/* +"], "ADV-C29");
}

#[test]
fn adv_e21_what_came_before_the_end_is_answered() {
    let mut s = Scene::new();
    let send = s.send().id("m1").body("bye");
    s.net.ends[s.ines].output.extend(send.octets());
    s.net.finish(s.ines);
    assert_eq!(s.codes(&send.tid), [200], "AMB-93");
    assert!(s.net.ends[s.ines].closed);
    assert_eq!(s.net.last(s.tomas()).body, b"bye");
}

#[test]
fn part_toward_a_half_closed_receiver_is_ended_before_its_answers() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(500)].concat());
    s.net.millis(20);
    let back = s.back().id("b1").body("last words");
    s.net.ends[tomas].output.extend(back.octets());
    s.net.finish(tomas);
    let got = &s.net.ends[tomas];
    assert_eq!((flags(&got.sends()), got.codes(&back.tid)), ("#".to_owned(), vec![200]));
    assert_eq!(s.codes(&send.tid), [481]);
}

/// CORE-47
#[test]
fn core_47_two_messages_on_one_link_progress_alike() {
    let (mut s, other, token) = shared_link();
    let tomas = s.tomas();
    s.net.read(tomas, false);
    s.net.window = 30_000;
    let size = 150_000;
    s.net.write(s.ines, s.send().id("m1").body(pattern(size)).octets());
    let small = |i: usize| olga(&token).id(&format!("o{i}")).body(pattern(1000)).octets();
    s.net.write(other, (0..150).flat_map(small).collect::<Vec<_>>());
    s.net.read(tomas, true);
    let frames: Vec<_> = s.net.ends[tomas].sends().into_iter().skip(4).take(60).collect();
    let octets = |ines: bool| -> usize {
        frames.iter().filter(|f| (f.message() == "m1") == ines).map(|f| f.body.len() + f.head.bytes().len()).sum()
    };
    let (a, b) = (octets(true), octets(false));
    assert!(a < 2 * b && b < 2 * a, "{a} against {b}");
}

/// CORE-47
#[test]
fn core_47_fair_between_large_and_small_chunks_of_our_own_kind() {
    let mut net = Network::new();
    for (host, other) in [(GATE, HUB), (HUB, GATE)] {
        let mut settings = Network::settings(host);
        settings.peers.insert(other.into(), crate::relay::Peer { max_chunk: None, multiplex: true, bulk: false });
        net.relay(settings);
    }
    let (ines, olga, tomas) = (net.client(0), net.client(0), net.client(1));
    let (a, b) = (net.auth(ines, INES, &[]), net.auth(olga, "msrps://olga.example:4000/o;tcp", &[]));
    let t = net.auth(tomas, TOMAS, &[]);
    let hello = Request::send(&[&a, &t, TOMAS], INES).id("hello").body("x");
    net.write(ines, hello.octets());
    net.ends[tomas].frames.clear();
    net.read(tomas, false);
    net.window = 4000;
    net.write(ines, Request::send(&[&a, &t, TOMAS], INES).id("m1").body(pattern(200_000)).octets());
    let small = |i: usize| {
        let r = Request::send(&[&b, &t, TOMAS], "msrps://olga.example:4000/o;tcp");
        r.id(&format!("o{i}")).body(pattern(1000)).octets()
    };
    net.write(olga, (0..150).flat_map(small).collect::<Vec<_>>());
    net.read(tomas, true);
    net.seconds(1);
    assert_eq!(net.ends[tomas].content("m1"), pattern(200_000));
    assert_eq!(net.ends[tomas].sends().iter().filter(|f| f.message() != "m1").count(), 150);
}

/// ADV-C29
#[test]
fn half_a_chunk_and_the_end_of_its_sender_are_an_abort() {
    let mut s = Scene::new();
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, [send.head(), pattern(50)].concat());
    s.net.finish(s.ines);
    assert_eq!(s.ranges(), ["1-50/* #"]);
    assert!(s.net.ends[s.ines].closed && s.codes(&send.tid).is_empty());
}

/// 3000 of 5000 octets of a chunk are with Tomas, who answers nothing by himself: the chunk, and the transact-id of its part.
fn half_sent() -> (Scene, usize, Request, String) {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.ends[tomas].answer = Answer::Nothing;
    let send = s.send().id("m1").range("1-*/5000").body("");
    s.net.write(s.ines, [send.head(), pattern(3000)].concat());
    s.net.millis(20);
    let raw = String::from_utf8_lossy(&s.net.ends[tomas].raw).into_owned();
    let tid = raw.split(' ').nth(1).expect("a transact-id").to_owned();
    (s, tomas, send, tid)
}

/// ADV-R12
#[test]
fn an_answer_before_the_last_octet_settles_its_chunk() {
    let (mut s, tomas, send, tid) = half_sent();
    let answer = format!("MSRP {tid} 200 OK\r\nTo-Path: {}\r\nFrom-Path: {TOMAS}\r\n-------{tid}$\r\n", s.token);
    s.net.write(tomas, answer);
    s.net.write(s.ines, [pattern(5000)[3000..].to_vec(), send.end()].concat());
    s.net.seconds(60);
    assert_eq!((s.codes(&send.tid), s.ranges()), (vec![200], vec!["1-*/5000 $".to_owned()]));
    assert!(s.reports().is_empty());
    assert_eq!(s.relay().pending_count(), 0);
}

/// ADV-R12, RLY-56: what leaves of a part after its refusal has failed with it.
#[test]
fn a_refusal_before_the_last_octet_is_told_of_all_the_part() {
    let (mut s, tomas, send, tid) = half_sent();
    // Some of the rest stays in his socket, the last of it with the relay.
    s.net.window = 1000;
    s.net.read(tomas, false);
    s.net.write(s.ines, &pattern(5000)[3000..4500]);
    s.net.write(s.ines, [pattern(5000)[4500..].to_vec(), send.end()].concat());
    let answer = format!("MSRP {tid} 400 No\r\nTo-Path: {}\r\nFrom-Path: {TOMAS}\r\n-------{tid}$\r\n", s.token);
    s.net.write(tomas, answer);
    s.net.window = 64 << 10;
    s.net.read(tomas, true);
    s.net.seconds(60);
    assert_eq!((s.codes(&send.tid), s.ranges()), (vec![200], vec!["1-*/5000 $".to_owned()]));
    assert_eq!(s.reports(), [(400, "1-5000/5000".to_owned())]);
    assert_eq!(s.relay().pending_count(), 0);
}

/// CORE-46, RLY-80
#[test]
fn octets_that_are_there_wait_behind_an_answer() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.ends[s.ines].answer = Answer::Nothing;
    // The beginning of a chunk is handed out and stays in his socket; more of it and a request of his come meanwhile.
    s.net.window = 1000;
    s.net.read(tomas, false);
    let (send, all) = (s.send().id("m1").range("1-*/9000").body(""), pattern(9000));
    s.net.write(s.ines, [send.head(), all[..2100].to_vec()].concat());
    s.net.millis(20);
    s.net.write(s.ines, &all[2100..6100]);
    let back = s.back().id("b1").body("hello");
    s.net.write(tomas, back.octets());
    s.net.window = 64 << 10;
    s.net.read(tomas, true);
    s.net.write(s.ines, [all[6100..].to_vec(), send.end()].concat());
    assert_eq!(s.ranges(), ["1-*/9000 +", "2101-*/9000 $"]);
    let answered = s.net.ends[tomas].frames.iter().position(|f| f.code() == Some(200));
    assert_eq!(answered, Some(1), "between the two");
    assert_eq!(s.net.ends[tomas].content("m1"), all);
}
