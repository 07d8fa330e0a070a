//! Links that come to the shard they are needed on.

use std::time::Duration;

use super::World;
use crate::msrp::Method;

const SOON: Duration = Duration::from_millis(100);

#[test]
fn a_far_link_moves_on_its_first_request_to_the_home_of_the_token() {
    let mut w = World::with_shards(1, 2);
    let (ines, token) = w.client("ines.example", 0, 0);
    let tomas = w.connect("tomas.example", 0, 1);
    let to = format!("{token} {}", w.ends[ines].uri);
    let body = vec![b'x'; 100_000];
    let one = w.ends[tomas].send(&to, "m1", &body);
    let two = w.ends[tomas].send(&to, "m2", b"and a second");
    w.run(SOON);
    assert_eq!(w.link_of(tomas).map(|l| l.0), Some(0));
    assert_eq!(w.ends[ines].message("m1").as_deref(), Some(&body[..]));
    assert_eq!(w.ends[ines].message("m2").as_deref(), Some(&b"and a second"[..]));
    assert_eq!((w.ends[tomas].status_of(&one), w.ends[tomas].status_of(&two)), (Some(200), Some(200)));
    let back = format!("{token} {}", w.ends[tomas].uri);
    w.ends[ines].send(&back, "m3", b"hello");
    w.run(SOON);
    assert_eq!(w.ends[tomas].message("m3").as_deref(), Some(&b"hello"[..]));
    assert_eq!(w.ends[tomas].count(Method::Report), 0);
    w.assert_nothing_left();
}

fn path(token: &str, far: &str) -> String {
    format!("{token} {far}")
}

/// Two clients that have AUTHed on two shards, with so many tokens; the first sends, both answer.
fn two_clients(tokens: (usize, usize), delay: Option<Duration>) -> (World, Vec<usize>) {
    let mut w = World::with_shards(7, 2);
    let (a, ta) = w.client("a.example", 0, 0);
    let (b, tb) = w.client("b.example", 0, 1);
    for _ in 1..tokens.0 {
        w.auth(a, 0);
    }
    for _ in 1..tokens.1 {
        w.auth(b, 0);
    }
    w.delay = delay;
    let to = format!("{ta} {tb} {}", w.ends[b].uri);
    let tid = w.ends[a].send(&to, "ab", b"from a");
    w.run(SOON);
    assert_eq!(w.ends[a].status_of(&tid), Some(200));
    assert_eq!(w.ends[b].message("ab").as_deref(), Some(&b"from a"[..]));
    let back = format!("{tb} {ta} {}", w.ends[a].uri);
    let tid = w.ends[b].send(&back, "ba", b"from b");
    w.run(SOON);
    assert_eq!(w.ends[b].status_of(&tid), Some(200));
    assert_eq!(w.ends[a].message("ba").as_deref(), Some(&b"from b"[..]));
    let shards = [a, b].iter().map(|e| w.link_of(*e).expect("alive").0).collect();
    // Nobody's token is lost: a stranger on either shard reaches both owners.
    for shard in 0..2 {
        for (owner, token) in [(a, &ta), (b, &tb)] {
            let stranger = w.connect("s.example", 0, shard);
            let to = path(token, &w.ends[owner].uri.clone());
            let tid = w.ends[stranger].send(&to, "s", b"may I?");
            w.run(SOON);
            assert_eq!(w.ends[stranger].status_of(&tid), Some(506), "the far side is bound");
        }
    }
    (w, shards)
}

#[test]
fn of_two_clients_the_one_with_fewer_sessions_moves_with_all_its_tokens() {
    for delay in [None, Some(Duration::from_millis(3))] {
        let (mut w, shards) = two_clients((3, 1), delay);
        assert_eq!(shards, [0, 0]);
        w.assert_nothing_left();
        let (mut w, shards) = two_clients((1, 3), delay);
        assert_eq!(shards, [1, 1]);
        w.assert_nothing_left();
    }
}

#[test]
fn with_equal_counts_both_meet_on_the_lower_shard() {
    let (mut w, shards) = two_clients((2, 2), None);
    assert_eq!(shards, [0, 0]);
    w.assert_nothing_left();
}

#[test]
fn simultaneous_first_messages_neither_change_places_nor_wait_for_each_other() {
    for (seed, tokens) in (0..40).map(|seed| (seed, [(1, 1), (1, 2), (3, 2), (2, 2)][seed as usize % 4])) {
        let mut w = World::with_shards(seed, 2);
        let (a, ta) = w.client("a.example", 0, 0);
        let (b, tb) = w.client("b.example", 0, 1);
        (1..tokens.0).for_each(|_| drop(w.auth(a, 0)));
        (1..tokens.1).for_each(|_| drop(w.auth(b, 0)));
        w.delay = (seed > 4).then_some(Duration::from_millis(2));
        let (ua, ub) = (w.ends[a].uri.clone(), w.ends[b].uri.clone());
        for i in 0..5 {
            w.ends[a].send(&format!("{ta} {tb} {ub}"), &format!("ab{i}"), b"from a");
            w.ends[b].send(&format!("{tb} {ta} {ua}"), &format!("ba{i}"), b"from b");
        }
        w.run(SOON);
        for i in 0..5 {
            assert!(w.ends[b].message(&format!("ab{i}")).is_some(), "seed {seed}");
            assert!(w.ends[a].message(&format!("ba{i}")).is_some(), "seed {seed}");
        }
        assert_eq!(w.link_of(a).map(|l| l.0), w.link_of(b).map(|l| l.0), "seed {seed}: both are on one shard");
        let moves: u64 = (0..2).map(|s| w.shard(0, s).counts().links_moved).sum();
        assert_eq!(moves, 1, "seed {seed}");
        w.assert_nothing_left();
    }
}

#[test]
fn three_who_call_each_other_in_a_ring_all_get_through() {
    for seed in 0..20 {
        let mut w = World::with_shards(seed, 3);
        let clients: Vec<_> = (0..3).map(|s| w.client(&format!("c{s}.example"), 0, s)).collect();
        w.delay = Some(Duration::from_millis(2));
        for (i, (from, token)) in clients.iter().enumerate() {
            let (to, other) = &clients[(i + 1) % 3];
            let path = format!("{token} {other} {}", w.ends[*to].uri);
            w.ends[*from].send(&path, &format!("m{i}"), b"round");
        }
        w.run(SOON);
        for i in 0..3 {
            assert!(w.ends[clients[(i + 1) % 3].0].message(&format!("m{i}")).is_some(), "seed {seed} message {i}");
        }
        w.assert_nothing_left();
    }
}

#[test]
fn a_nonce_of_another_shard_is_stale() {
    let mut w = World::with_shards(3, 2);
    let (one, two) = (w.connect("one.example", 0, 0), w.connect("two.example", 0, 1));
    let target = "msrps://relay.example;tcp";
    w.ends[one].request("AUTH", target, "");
    w.run(SOON);
    let challenge = w.ends[one].frames.pop().expect("a challenge");
    let tid = w.ends[two].credentials(&challenge, target, "user");
    w.run(SOON);
    assert_eq!(w.ends[two].status_of(&tid), Some(401));
    let fresh = w.ends[two].frames.pop().expect("a challenge");
    assert!(String::from_utf8_lossy(fresh.head.header("WWW-Authenticate").expect("one")).contains("stale=true"));
    let tid = w.ends[two].credentials(&fresh, target, "user");
    w.run(SOON);
    assert_eq!(w.ends[two].status_of(&tid), Some(200));
}

#[test]
fn a_moved_link_keeps_its_clocks_and_the_frame_that_is_arriving() {
    let mut w = World::with_shards(3, 2);
    let (a, _) = w.client("a.example", 0, 0);
    let target = "msrps://relay.example;tcp";
    let tid = w.ends[a].request("AUTH", target, "X-Long: something that takes two packets\r\n");
    let frame = std::mem::take(&mut w.ends[a].outbox);
    w.ends[a].outbox.extend_from_slice(&frame[..40]);
    w.run(SOON);
    assert!(w.force_move(a, 1));
    w.run(SOON);
    w.ends[a].outbox.extend_from_slice(&frame[40..]);
    w.run(SOON);
    assert_eq!(w.ends[a].status_of(&tid), Some(401));
    w.ends[a].outbox.extend_from_slice(b"MSRP abcdefgh SEND\r\n");
    w.run(SOON);
    assert!(w.force_move(a, 0));
    w.run(Duration::from_secs(31));
    assert!(w.ends[a].closed, "the rest of a head is waited for 30 s, wherever the link is");
    w.assert_nothing_left();
}

#[test]
fn a_thousand_moves_while_octets_arrive_lose_nothing() {
    let mut w = World::with_shards(11, 3);
    w.delay = Some(Duration::from_micros(300));
    w.piece = 60;
    let (a, token) = w.client("a.example", 0, 0);
    let mut sent = Vec::new();
    let (mut moves, mut turn) = (0, 0);
    while moves < 1000 {
        turn += 1;
        assert!(turn < 20_000 && !w.ends[a].closed, "only {moves} moves: {:?}", w.closings);
        if turn % 7 == 0 {
            sent.push(w.ends[a].request("SEND", &token, "Message-ID: alive\r\n"));
        }
        if turn % 11 == 0 {
            sent.push(w.ends[a].request("AUTH", "msrps://relay.example;tcp", ""));
        }
        w.run(Duration::from_micros(200));
        let here = w.link_of(a).map_or(0, |l| l.0);
        moves += usize::from(w.force_move(a, (here as u16 + 1 + turn as u16 % 2) % 3));
    }
    w.run(SOON);
    assert_eq!(w.ends[a].frames.iter().filter(|f| f.status().is_some()).count(), sent.len() + 1);
    assert!(sent.iter().all(|tid| w.ends[a].status_of(tid).is_some()));
    // A far side on any shard still finds the token, over the whole chain.
    for shard in 0..3 {
        let far = w.connect("far.example", 0, shard);
        let to = path(&token, &w.ends[a].uri.clone());
        let tid = w.ends[far].send(&to, &format!("f{shard}"), b"found");
        w.run(SOON);
        assert_eq!(w.ends[far].status_of(&tid), Some(200));
        assert!(w.ends[a].message(&format!("f{shard}")).is_some());
        w.hang_up(far);
        w.run(SOON);
    }
    w.assert_nothing_left();
}

#[test]
fn who_was_refused_on_another_shard_is_nobodys_far_side() {
    let mut w = World::with_shards(1, 2);
    let peer = w.connect_relay("peer.example", 0, 1);
    let token = w.auth(peer, 0);
    w.hang_up(peer);
    let (ana, _) = w.busy_client("ana.example", 0, 0);
    let tid = w.ends[ana].send(&path(&token, "msrps://else.example:9000/x;tcp"), "m1", b"anybody?");
    w.run(SOON);
    assert_eq!(w.ends[ana].status_of(&tid), Some(481));
    // A token with a far side would be kept beyond its time.
    w.run(Duration::from_secs(2000));
    w.assert_nothing_left();
}

/// Whoever wants to know of a token asks where it was made (SDP-95): that shard knows of it until it dies, wherever it is.
#[test]
fn a_token_that_has_moved_is_known_where_it_was_made() {
    let mut w = World::with_shards(4, 3);
    let (end, token) = w.client("a.example", 0, 1);
    for to in [2, 0] {
        assert!(w.force_move(end, to));
        w.run(Duration::from_millis(5));
        assert!(w.shard(0, 1).knows(token.as_bytes()), "gone to {to}");
    }
    w.hang_up(end);
    w.run(Duration::from_millis(5));
    assert!(!w.shard(0, 1).knows(token.as_bytes()));
    w.assert_nothing_left();
}
