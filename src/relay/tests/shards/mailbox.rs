//! Links that stay where they are: requests, answers and outcomes over mailboxes.

use std::time::Duration;

use super::World;
use crate::msrp::{ByteRange, Flag, Method, Status};

const SOON: Duration = Duration::from_millis(100);
const LATE: Duration = Duration::from_millis(3);

/// Two clients on two shards, neither of which moves, and the To-Path from each to the other.
fn pair(delay: Option<Duration>) -> (World, [(usize, String); 2]) {
    let mut w = World::with_shards(5, 2);
    let (a, ta) = w.busy_client("a.example", 0, 0);
    let (b, tb) = w.busy_client("b.example", 0, 1);
    w.delay = delay;
    let ab = format!("{ta} {tb} {}", w.ends[b].uri);
    let ba = format!("{tb} {ta} {}", w.ends[a].uri);
    (w, [(a, ab), (b, ba)])
}

#[test]
fn messages_pass_both_ways_with_one_response_each() {
    for delay in [None, Some(LATE)] {
        let (mut w, [(a, ab), (b, ba)]) = pair(delay);
        let body: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        let mut sent = Vec::new();
        for i in 0..10 {
            sent.push((a, w.ends[a].send(&ab, &format!("ab{i}"), &body)));
            sent.push((b, w.ends[b].send(&ba, &format!("ba{i}"), b"short")));
        }
        w.run(SOON * 10);
        for i in 0..10 {
            assert_eq!(w.ends[b].message(&format!("ab{i}")).as_deref(), Some(&body[..]));
            assert_eq!(w.ends[a].message(&format!("ba{i}")).as_deref(), Some(&b"short"[..]));
        }
        assert!(sent.iter().all(|(e, tid)| w.ends[*e].status_of(tid) == Some(200)));
        assert_eq!((w.link_of(a).map(|l| l.0), w.link_of(b).map(|l| l.0)), (Some(0), Some(1)));
        w.assert_nothing_left();
    }
}

#[test]
fn reports_and_nicknames_with_their_responses_cross() {
    let (mut w, [(a, ab), (b, ba)]) = pair(Some(LATE));
    w.ends[b].request("REPORT", &ba, "Message-ID: m1\r\nByte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n");
    let tid = w.ends[a].request("NICKNAME", &ab, "Use-Nickname: \"Tomas\"\r\n");
    w.run(SOON);
    assert_eq!(w.ends[a].reports("m1"), [(200, Some(ByteRange { start: 1, end: Some(5), total: Some(5) }))]);
    let head = w.ends[b].frames.iter().find(|f| f.is(Method::Nickname)).expect("a NICKNAME").head.clone();
    w.ends[b].respond(&head, Status::OK);
    w.run(SOON);
    assert_eq!(w.ends[a].status_of(&tid), Some(200));
    // Unanswered ones count against the client until their time is over, refused ones do not.
    let mut parts: Vec<String> = ab.split(' ').map(str::to_owned).collect();
    let at = parts[1].len() - ";tcp".len() - 1;
    let other = if parts[1].as_bytes()[at] == b'x' { "y" } else { "x" };
    parts[1].replace_range(at..=at, other);
    let dead = parts.join(" ");
    for _ in 0..20 {
        let tid = w.ends[a].request("NICKNAME", &dead, "Use-Nickname: \"x\"\r\n");
        w.run(SOON);
        assert_eq!(w.ends[a].status_of(&tid), Some(481));
    }
    for i in 0..17 {
        let tid = w.ends[a].request("NICKNAME", &ab, "Use-Nickname: \"x\"\r\n");
        w.run(SOON);
        assert_eq!(w.ends[a].status_of(&tid), (i == 16).then_some(413));
    }
    w.run(Duration::from_secs(61));
    let tid = w.ends[a].request("NICKNAME", &ab, "Use-Nickname: \"x\"\r\n");
    w.run(SOON);
    assert_eq!(w.ends[a].status_of(&tid), None, "it is on its way");
    w.assert_nothing_left();
}

#[test]
fn a_refusal_of_the_next_hop_becomes_one_report_and_poisons_the_message() {
    for code in [413, 415, 481, 403, 506] {
        let (mut w, [(a, ab), (b, _)]) = pair(Some(LATE));
        w.ends[b].answer = Some(Status::new(code));
        let tid = w.ends[a].send_with(&ab, "m1", &[b'x'; 5000], "", "1-5000/9000", '+');
        w.run(SOON);
        assert_eq!(w.ends[a].status_of(&tid), Some(200));
        let range = ByteRange { start: 1, end: Some(5000), total: Some(9000) };
        assert_eq!(w.ends[a].reports("m1"), [(code, Some(range))]);
        let tid = w.ends[a].send_with(&ab, "m1", &[b'x'; 4000], "", "5001-9000/9000", '$');
        w.run(SOON);
        assert_eq!(w.ends[a].status_of(&tid), Some(code));
        assert_eq!(w.ends[a].reports("m1").len(), 1);
        assert_eq!(w.ends[b].count(Method::Send), 2, "hello and one part");
        w.assert_nothing_left();
    }
}

#[test]
fn a_silent_next_hop_becomes_one_408() {
    let (mut w, [(a, ab), (b, _)]) = pair(Some(LATE));
    w.ends[b].answer = None;
    for (id, report) in [("yes1", "yes"), ("part", "partial"), ("none", "no")] {
        let headers = format!("Failure-Report: {report}\r\n");
        w.ends[a].send_with(&ab, id, b"hello", &headers, "1-5/5", '$');
    }
    w.run(Duration::from_secs(29));
    assert_eq!(w.ends[a].count(Method::Report), 0);
    w.run(Duration::from_secs(60));
    assert_eq!(w.ends[a].reports("yes1").iter().map(|r| r.0).collect::<Vec<_>>(), [408]);
    assert_eq!(w.ends[a].count(Method::Report), 1);
    w.assert_nothing_left();
}

#[test]
fn a_refusal_ends_the_running_chunk_and_frees_its_credit() {
    let (mut w, [(a, ab), (b, _)]) = pair(Some(LATE));
    w.ends[b].answer = None;
    w.ends[b].rate = Some(1000);
    let tid = w.ends[a].send(&ab, "m1", &vec![b'x'; 4 << 20]);
    w.run(Duration::from_millis(60));
    assert!(!w.ends[a].outbox.is_empty(), "stopped by its credit");
    let head = w.ends[b].frames.iter().rev().find(|f| f.message() == "m1").expect("a part").head.clone();
    w.ends[b].respond(&head, Status::TOO_LARGE);
    w.ends[b].rate = None;
    w.run(Duration::from_secs(5));
    assert!(w.ends[a].outbox.is_empty(), "the rest is skipped");
    assert_eq!(w.ends[a].status_of(&tid), Some(413));
    assert_eq!(w.ends[a].count(Method::Report), 0);
    w.ends[b].answer = Some(Status::OK);
    let body = vec![b'y'; 1 << 20];
    w.ends[a].send(&ab, "m2", &body);
    w.run(Duration::from_secs(2));
    assert_eq!(w.ends[b].message("m2").as_deref(), Some(&body[..]));
    w.assert_nothing_left();
}

/// Its end-line becomes `#` when an earlier chunk of the message is refused; but for that all of it has been delivered.
#[test]
fn a_chunk_whose_octets_are_all_confirmed_is_not_reported_for_its_message() {
    for (delay, pause) in [(None, 0), (Some(LATE), 0), (Some(LATE), 1), (Some(LATE), 2)] {
        let (mut w, [(a, ab), (b, _)]) = pair(delay);
        w.ends[b].answer = None;
        w.ends[a].send_with(&ab, "m1", &[b'x'; 5000], "", "1-5000/9000", '+');
        let tid = w.ends[a].send_with(&ab, "m1", &[b'y'; 4000], "", "5001-*/9000", '$');
        let end = format!("\r\n-------{tid}$\r\n").into_bytes();
        let open = w.ends[a].outbox.len() - end.len();
        w.ends[a].outbox.truncate(open);
        w.run(SOON);
        let part = |w: &World, n: usize| {
            let mut parts = w.ends[b].frames.iter().filter(|f| f.message() == "m1");
            parts.nth(n).map(|f| f.head.clone())
        };
        let first = part(&w, 0).expect("the first chunk");
        w.ends[a].outbox.extend_from_slice(&end);
        w.run(Duration::from_millis(pause));
        w.ends[b].respond(&first, Status::TOO_LARGE);
        w.run(SOON);
        let second = part(&w, 1).expect("the second chunk");
        w.ends[b].respond(&second, Status::OK);
        w.run(Duration::from_secs(5));
        assert_eq!(w.ends[a].status_of(&tid), Some(200), "{delay:?}");
        let range = ByteRange { start: 1, end: Some(5000), total: Some(9000) };
        assert_eq!(w.ends[a].reports("m1"), [(413, Some(range))], "{delay:?} after {pause} ms");
        w.assert_nothing_left();
    }
}

#[test]
fn a_sender_that_vanishes_or_gives_up_ends_its_chunk_with_an_abort() {
    let (mut w, [(a, ab), (b, _)]) = pair(Some(LATE));
    w.ends[a].send_with(&ab, "given-up", &[b'x'; 3000], "", "1-*/9000", '#');
    w.run(SOON);
    assert_eq!(w.ends[b].flags("given-up").last(), Some(&Flag::Abort));
    w.ends[a].send(&ab, "vanished", &[b'x'; 30_000]);
    let octets = w.ends[a].outbox.len();
    w.ends[a].outbox.truncate(octets - 9000);
    w.run(SOON);
    w.hang_up(a);
    w.run(SOON);
    assert_eq!(w.ends[b].flags("vanished").last(), Some(&Flag::Abort));
    w.assert_nothing_left();
}

#[test]
fn an_owner_that_is_lost_fails_what_it_was_sent_once() {
    for wait in 0..30 {
        let (mut w, [(a, ab), (b, _)]) = pair(Some(LATE));
        w.ends[b].answer = None;
        w.ends[b].rate = Some(500);
        w.ends[a].send(&ab, "m0", b"left and never answered");
        let big = w.ends[a].send(&ab, "m1", &vec![b'x'; 100_000]);
        let more: Vec<_> = (2..6).map(|i| w.ends[a].send(&ab, &format!("m{i}"), &[b'y'; 3000])).collect();
        w.run(Duration::from_micros(500 * wait));
        w.hang_up(b);
        w.run(Duration::from_secs(3));
        for (i, tid) in std::iter::once(&big).chain(&more).enumerate() {
            let (status, reports) = (w.ends[a].status_of(tid), w.ends[a].reports(&format!("m{}", i + 1)));
            match status {
                Some(200) => assert_eq!(reports.iter().map(|r| r.0).collect::<Vec<_>>(), [481], "m{} {wait}", i + 1),
                Some(481) => assert!(reports.is_empty(), "m{} {wait}: {reports:?}", i + 1),
                other => panic!("m{} {wait}: {other:?}", i + 1),
            }
            for (_, range) in reports {
                let octets = if i == 0 { 100_000 } else { 3000 };
                assert_eq!(range.and_then(|r| r.end), Some(octets), "m{} {wait}", i + 1);
            }
        }
        w.assert_nothing_left();
    }
}

#[test]
fn a_session_that_ends_refuses_the_next_chunk_of_a_far_side_elsewhere() {
    let mut w = World::with_shards(5, 2);
    let (a, token) = w.busy_client("a.example", 0, 0);
    let far = w.connect_relay("peer.example", 0, 1);
    let to = format!("{token} {}", w.ends[a].uri);
    w.ends[far].send(&to, "m1", b"hello");
    w.run(SOON);
    assert!(w.ends[a].message("m1").is_some());
    let now = w.now;
    w.shard(0, 0).end_sessions_of(|_| true, now);
    w.run(SOON);
    let tid = w.ends[far].send(&to, "m2", b"hello?");
    w.run(SOON);
    assert_eq!(w.ends[far].status_of(&tid), Some(481));
    assert_eq!(w.ends[a].message("m2"), None);
    w.run(Duration::from_secs(200));
    let left = w.shard(0, 1).remains();
    assert!(left.iter().all(|(kind, _)| matches!(*kind, "links" | "peer relays" | "deadlines")), "{left:?}");
    w.assert_nothing_left();
}

/// The way that is granted then must not outlive the token: nobody would tell of its end any more.
#[test]
fn a_token_that_ends_while_another_shard_is_asked_serves_nothing_more() {
    let mut w = World::with_shards(5, 2);
    let (b, token) = w.busy_client("b.example", 0, 0);
    let (a, own) = w.busy_client("a.example", 0, 1);
    w.delay = Some(LATE);
    let to = format!("{own} {token} {}", w.ends[b].uri);
    w.ends[a].send(&to, "m1", b"hello");
    w.run(LATE / 2);
    let now = w.now;
    w.shard(0, 1).end_sessions_of(|_| true, now);
    w.run(SOON);
    let tid = w.ends[a].send(&to, "m2", b"hello?");
    w.run(SOON);
    assert_eq!(w.ends[a].status_of(&tid), Some(481));
    assert!(w.ends[b].message("m1").is_none() && w.ends[b].message("m2").is_none());
    w.assert_nothing_left();
}

#[test]
fn a_far_side_that_is_gone_makes_room_for_another_however_it_was_bound() {
    for (first, delay) in [("SEND", None), ("REPORT", None), ("SEND", Some(LATE)), ("REPORT", Some(LATE))] {
        let mut w = World::with_shards(5, 2);
        let (b, token) = w.busy_client("b.example", 0, 0);
        let (a, own) = w.busy_client("a.example", 0, 1);
        w.delay = delay;
        let to = format!("{own} {token} {}", w.ends[b].uri);
        match first {
            "SEND" => drop(w.ends[a].send(&to, "m1", b"hello")),
            _ => {
                drop(w.ends[a].request("REPORT", &to, "Message-ID: m1\r\nByte-Range: 1-1/1\r\nStatus: 000 200 OK\r\n"))
            }
        }
        w.run(SOON);
        let other = w.connect("other.example", 0, 0);
        let direct = format!("{token} {}", w.ends[b].uri);
        let tid = w.ends[other].send(&direct, "m2", b"taken?");
        w.run(SOON);
        assert_eq!(w.ends[other].status_of(&tid), Some(506));
        w.hang_up(a);
        w.run(SOON);
        let tid = w.ends[other].send(&direct, "m3", b"free?");
        w.run(SOON);
        assert_eq!(w.ends[other].status_of(&tid), Some(200), "{first}");
        w.assert_nothing_left();
    }
}

#[test]
fn a_client_with_partners_on_three_shards_reaches_all() {
    let mut w = World::with_shards(9, 3);
    w.delay = Some(LATE);
    let (a, _) = w.busy_client("a.example", 0, 0);
    for shard in 0..3 {
        let own = w.auth(a, 0);
        let (b, token) = w.busy_client(&format!("b{shard}.example"), 0, shard);
        let to = format!("{own} {token} {}", w.ends[b].uri);
        let back = format!("{token} {own} {}", w.ends[a].uri);
        w.ends[a].send(&to, &format!("to{shard}"), &[b'x'; 30_000]);
        w.ends[b].send(&back, &format!("from{shard}"), &[b'y'; 30_000]);
        w.run(SOON);
        assert!(w.ends[b].message(&format!("to{shard}")).is_some());
        assert!(w.ends[a].message(&format!("from{shard}")).is_some());
    }
    w.assert_nothing_left();
}

#[test]
fn a_relays_link_serves_sessions_of_all_shards_and_stays() {
    let mut w = World::with_shards(9, 3);
    let peer = w.connect_relay("peer.example", 0, 1);
    for shard in 0..3 {
        for i in 0..4 {
            let (b, token) = w.client(&format!("b{shard}{i}.example"), 0, shard);
            let to = format!("{token} {}", w.ends[b].uri);
            w.ends[peer].send(&to, &format!("to{shard}{i}"), &[b'x'; 30_000]);
            w.run(SOON);
            assert!(w.ends[b].message(&format!("to{shard}{i}")).is_some());
            let back = format!("{token} {}", w.ends[peer].uri);
            w.ends[b].send(&back, &format!("from{shard}{i}"), b"and back");
            w.run(SOON);
            assert!(w.ends[peer].message(&format!("from{shard}{i}")).is_some());
            if i == 0 {
                w.hang_up(b);
            }
        }
    }
    assert_eq!(w.link_of(peer).map(|l| l.0), Some(1));
    w.assert_nothing_left();
}
