//! Flow control across shards: who is stopped, who is not, and that all go on.

use std::time::Duration;

use super::World;
use crate::msrp::Method;

const SOON: Duration = Duration::from_millis(100);

#[test]
fn a_slow_receiver_elsewhere_stops_its_sender_and_nothing_is_lost() {
    for delay in [None, Some(Duration::from_millis(1))] {
        let mut w = World::with_shards(5, 2);
        let (a, ta) = w.busy_client("a.example", 0, 0);
        let (b, tb) = w.busy_client("b.example", 0, 1);
        w.delay = delay;
        w.ends[b].rate = Some(4000);
        let body: Vec<u8> = (0..2_000_000u32).map(|i| (i % 253) as u8).collect();
        let to = format!("{ta} {tb} {}", w.ends[b].uri);
        w.ends[a].send(&to, "m1", &body);
        w.run(Duration::from_millis(150));
        assert!(w.ends[a].outbox.len() > 500_000, "stopped");
        w.run(Duration::from_secs(1));
        assert!(w.ends[b].message("m1").as_deref() == Some(&body[..]));
        assert_eq!(w.ends[a].count(Method::Report), 0);
        assert!(w.most_buffered < 700_000, "{}", w.most_buffered);
        w.assert_nothing_left();
    }
}

#[test]
fn a_full_mailbox_stops_who_posts_and_lets_it_go_on_whatever_its_size() {
    for mailbox in [1, 2, 3, 5, 8, 9, 15, 16, 17, 64] {
        let mut w = World::new(mailbox as u64);
        w.relay("relay.example", 3, |s| s.limits.mailbox = mailbox);
        let (a, ta) = w.busy_client("a.example", 0, 0);
        let (b, tb) = w.busy_client("b.example", 0, 1);
        let (c, tc) = w.client("c.example", 0, 0);
        w.delay = Some(Duration::from_millis(1));
        let ab = format!("{ta} {tb} {}", w.ends[b].uri);
        let ba = format!("{tb} {ta} {}", w.ends[a].uri);
        for i in 0..100 {
            w.ends[a].send(&ab, &format!("ab{i:03}"), &[b'x'; 300]);
            w.ends[b].send(&ba, &format!("ba{i:03}"), &[b'y'; 300]);
        }
        let far = w.connect("far.example", 0, 0);
        let to = format!("{tc} {}", w.ends[c].uri);
        w.ends[far].send(&to, "local", b"not stopped");
        w.run(Duration::from_millis(2));
        assert!(w.ends[c].message("local").is_some());
        w.run(Duration::from_secs(10));
        for i in 0..100 {
            assert!(w.ends[b].message(&format!("ab{i:03}")).is_some(), "mailbox {mailbox}, message {i}");
            assert!(w.ends[a].message(&format!("ba{i:03}")).is_some(), "mailbox {mailbox}, message {i}");
        }
        // And one alone, when nothing else is under way.
        for i in 0..20 {
            w.ends[a].send(&ab, &format!("ab{}", 200 + i), b"alone");
            w.run(SOON);
            assert!(w.ends[b].message(&format!("ab{}", 200 + i)).is_some(), "mailbox {mailbox}");
        }
        w.assert_nothing_left();
    }
}

#[test]
fn rly88_of_a_relays_link_only_the_message_of_a_stalled_receiver_is_refused() {
    let mut w = World::new(8);
    w.relay("relay.example", 2, |s| s.limits.write_stall = Duration::from_secs(600));
    let peer = w.connect_relay("peer.example", 0, 1);
    let (slow, ts) = w.client("slow.example", 0, 0);
    let (quick, tq) = w.client("quick.example", 0, 0);
    w.ends[slow].rate = Some(0);
    let to = format!("{ts} {}", w.ends[slow].uri);
    let mut sent = Vec::new();
    for i in 0..40 {
        let range = format!("{}-{}/*", i * 20_000 + 1, (i + 1) * 20_000);
        sent.push(w.ends[peer].send_with(&to, "big", &[b'x'; 20_000], "", &range, '+'));
        w.run(Duration::from_millis(400));
    }
    let refused = sent.iter().filter(|tid| w.ends[peer].status_of(tid) == Some(413)).count();
    let accepted = sent.iter().filter(|tid| w.ends[peer].status_of(tid) == Some(200)).count();
    assert!(refused > 0 && refused + accepted == 40, "{refused} refused, {accepted} accepted");
    assert!(w.most_buffered < 1 << 20);
    let to = format!("{tq} {}", w.ends[quick].uri);
    w.ends[peer].send(&to, "small", b"hello");
    w.run(SOON);
    assert!(w.ends[quick].message("small").is_some());
    w.assert_nothing_left();
}

#[test]
fn two_that_flood_each_other_across_shards_never_stand_still() {
    let mut w = World::with_shards(5, 2);
    let (a, ta) = w.busy_client("a.example", 0, 0);
    let (b, tb) = w.busy_client("b.example", 0, 1);
    w.delay = Some(Duration::from_micros(200));
    let ab = format!("{ta} {tb} {}", w.ends[b].uri);
    let ba = format!("{tb} {ta} {}", w.ends[a].uri);
    for i in 0..60 {
        w.ends[a].send(&ab, &format!("ab{i:03}"), &[b'x'; 30_000]);
        w.ends[b].send(&ba, &format!("ba{i:03}"), &[b'y'; 30_000]);
    }
    w.run(Duration::from_secs(4));
    for i in 0..60 {
        assert!(w.ends[b].message(&format!("ab{i:03}")).is_some() && w.ends[a].message(&format!("ba{i:03}")).is_some());
    }
    w.assert_nothing_left();
}

#[test]
fn a_flow_full_of_tiny_slices_lets_go_of_all_it_has() {
    let mut w = World::new(5);
    w.relay("relay.example", 1, |s| s.limits.session_buffer = 20_000);
    let (a, token) = w.client("a.example", 0, 0);
    let far = w.connect("far.example", 0, 0);
    w.piece = 12;
    let to = format!("{token} {}", w.ends[a].uri);
    w.ends[far].send(&to, "m1", &[b'x'; 60_000]);
    w.run(Duration::from_secs(1));
    assert_eq!(w.ends[a].message("m1").map(|m| m.len()), Some(60_000));
    w.assert_nothing_left();
}
