//! Big messages between our own relays go by links of their own.

use std::time::Duration;

use super::World;
use crate::msrp::Method;
use crate::relay::bulk::Origin;
use crate::relay::source::SourceRef;
use crate::relay::{Peer, Relay};

const SOON: Duration = Duration::from_millis(100);

/// Two relays that know each other.
fn relays(shards: (u16, u16), peer: Peer) -> World {
    let mut w = World::new(6);
    for (name, other, shards) in [("gate.example", "hub.example", shards.0), ("hub.example", "gate.example", shards.1)]
    {
        let peer = peer.clone();
        w.relay(name, shards, |s| {
            s.peers.insert(other.to_owned(), peer);
        });
    }
    w
}

/// A client of each relay, and the To-Path from the first to the second.
fn pair(w: &mut World, name: &str, shards: (usize, usize)) -> (usize, usize, String) {
    let (a, ta) = w.client(&format!("{name}a.example"), 0, shards.0);
    let (b, tb) = w.client(&format!("{name}b.example"), 1, shards.1);
    let path = format!("{ta} {tb} {}", w.ends[b].uri);
    (a, b, path)
}

fn peer(multiplex: bool, bulk: bool) -> Peer {
    Peer { max_chunk: None, multiplex, bulk }
}

fn file(octets: u32) -> Vec<u8> {
    (0..octets).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn bulk_dials(w: &World) -> usize {
    w.dials.iter().filter(|d| d.bulk).count()
}

#[test]
fn a_big_file_for_a_slow_receiver_leaves_the_chat_of_others_alone() {
    for shards in [(1, 1), (2, 3)] {
        let mut w = relays(shards, peer(true, true));
        let (a, b, path) = pair(&mut w, "x", (0, usize::from(shards.1) - 1));
        let (c, d, chat) = pair(&mut w, "y", (0, 0));
        w.ends[c].send(&chat, "first", b"hello");
        w.run(SOON);
        let file = file(8 << 20);
        w.ends[b].rate = Some(1000);
        w.ends[a].send(&path, "file", &file);
        for i in 0..90 {
            w.run(SOON);
            let (id, sent) = (format!("chat{i}"), w.now);
            w.ends[c].send(&chat, &id, b"how is it going?");
            w.run(Duration::from_millis(50));
            let came = w.ends[d].frames.iter().find(|f| f.message() == id).map(|f| f.at);
            assert!(came.is_some_and(|at| at.since(sent) < Duration::from_millis(50)), "{id}");
        }
        assert!(w.ends[b].message("file").as_deref() == Some(&file[..]), "it arrives whole and in order");
        assert_eq!(w.ends[a].count(Method::Report) + w.ends[c].count(Method::Report), 0);
        assert!(w.most_buffered < 4 * (256 << 10), "{}", w.most_buffered);
        assert_eq!(bulk_dials(&w), 1);
        let switched = w.shard(0, 0).counts().bulk_switches;
        assert_eq!(switched, 1);
        w.assert_nothing_left();
    }
}

#[test]
fn parts_keep_their_order_when_the_message_goes_over_while_parts_are_under_way() {
    for (seed, report) in (0..12).map(|i| (i, ["yes", "partial", "no"][i as usize % 3])) {
        let mut w = relays((1, 1), peer(true, true));
        let (a, b, path) = pair(&mut w, "x", (0, 0));
        w.ends[a].send(&path, "first", b"hello");
        w.run(SOON);
        w.dial_time = Duration::from_millis(3 + 20 * (seed % 4));
        w.lag = Duration::from_millis(5);
        w.ends[b].rate = Some(1000);
        let file = file(2 << 20);
        let headers = format!("Failure-Report: {report}\r\n");
        for i in 0..2 {
            w.ends[a].send_with(&path, &format!("file{i}"), &file, &headers, "1-2097152/2097152", '$');
        }
        w.run(Duration::from_secs(8));
        for i in 0..2 {
            let came = w.ends[b].message(&format!("file{i}"));
            assert!(came.as_deref() == Some(&file[..]), "{report} {seed} file {i}: {:?}", came.map(|c| c.len()));
        }
        assert_eq!(w.shard(0, 0).counts().bulk_switches, 1, "{report}");
        assert_eq!(w.ends[a].count(Method::Report), 0);
        let most = if report == "yes" { 5 * (256 << 10) } else { 16 << 20 };
        assert!(w.most_buffered < most, "{}", w.most_buffered);
        w.assert_nothing_left();
    }
}

#[test]
fn a_bulk_link_is_used_again_and_closed_when_idle() {
    let mut w = relays((1, 1), peer(true, true));
    let (a, b, path) = pair(&mut w, "x", (0, 0));
    let file = file(1 << 20);
    for i in 0..3 {
        w.ends[a].send(&path, &format!("file{i}"), &file);
        w.run(Duration::from_secs(5));
        assert!(w.ends[b].message(&format!("file{i}")).as_deref() == Some(&file[..]));
    }
    assert_eq!(bulk_dials(&w), 1);
    assert_eq!(w.shard(1, 0).link_count(), 3);
    w.run(Duration::from_secs(80));
    assert_eq!(w.shard(1, 0).link_count(), 2, "closed");
    w.ends[a].send(&path, "small", b"by the shared link");
    w.run(SOON);
    assert!(w.ends[b].message("small").is_some());
    assert_eq!(w.dials.len(), 2);
    w.ends[a].send(&path, "file9", &file);
    w.run(Duration::from_secs(5));
    assert!(w.ends[b].message("file9").as_deref() == Some(&file[..]));
    assert_eq!(bulk_dials(&w), 2);
    w.assert_nothing_left();
}

#[test]
fn a_bulk_link_ends_with_its_session() {
    let mut w = relays((1, 1), peer(true, true));
    let (a, b, path) = pair(&mut w, "x", (0, 0));
    w.ends[a].send(&path, "file", &file(1 << 20));
    w.run(Duration::from_secs(5));
    assert!(w.ends[b].message("file").is_some());
    w.hang_up(a);
    w.run(Duration::from_secs(2));
    assert_eq!(w.shard(0, 0).link_count(), 1);
    w.assert_nothing_left();
}

#[test]
fn each_session_has_a_bulk_link_of_its_own_and_chunks_keep_their_order() {
    for report in ["yes", "partial", "no"] {
        let mut w = relays((1, 1), peer(true, true));
        let sessions: Vec<_> = (0..3).map(|i| pair(&mut w, &format!("s{i}"), (0, 0))).collect();
        let file = file(2 << 20);
        for (a, b, path) in &sessions {
            w.ends[*b].rate = Some(5000);
            for (i, piece) in file.chunks(30_000).enumerate() {
                let start = i * 30_000;
                let range = format!("{}-{}/{}", start + 1, start + piece.len(), file.len());
                let flag = if start + piece.len() == file.len() { '$' } else { '+' };
                w.ends[*a].send_with(path, "file", piece, &format!("Failure-Report: {report}\r\n"), &range, flag);
            }
        }
        w.run(Duration::from_secs(3));
        for (a, b, _) in &sessions {
            assert!(w.ends[*b].message("file").as_deref() == Some(&file[..]), "{report}");
            assert_eq!(w.ends[*a].count(Method::Report), 0);
        }
        assert_eq!(bulk_dials(&w), if report == "yes" { 3 } else { bulk_dials(&w) });
        w.assert_nothing_left();
    }
}

#[test]
fn a_peer_may_do_without_bulk_links() {
    let mut w = relays((1, 1), peer(true, false));
    let (a, b, path) = pair(&mut w, "x", (0, 0));
    let file = file(1 << 20);
    w.ends[a].send(&path, "file", &file);
    w.run(Duration::from_secs(5));
    assert!(w.ends[b].message("file").as_deref() == Some(&file[..]));
    assert_eq!((w.dials.len(), bulk_dials(&w)), (1, 0));
    w.assert_nothing_left();
}

#[test]
fn iop36_without_multiplexing_each_session_has_a_link_of_its_own_for_everything() {
    let mut w = relays((1, 1), peer(false, true));
    let sessions: Vec<_> = (0..3).map(|i| pair(&mut w, &format!("s{i}"), (0, 0))).collect();
    for turn in 0..3 {
        for (a, b, path) in &sessions {
            let id = format!("m{turn}");
            w.ends[*a].send(path, &id, &file(400_000));
            w.run(Duration::from_secs(1));
            assert!(w.ends[*b].message(&id).is_some());
            let back: Vec<&str> = path.split(' ').collect();
            let back = format!("{} {} {}", back[1], back[0], w.ends[*a].uri);
            w.ends[*b].send(&back, &id, b"got it");
            w.run(SOON);
            assert!(w.ends[*a].message(&id).is_some());
        }
    }
    assert_eq!((w.dials.len(), bulk_dials(&w)), (3, 0));
    w.assert_nothing_left();
}

#[test]
fn a_bulk_link_that_breaks_fails_its_message_once_and_nothing_else() {
    let mut w = relays((1, 1), peer(true, true));
    let (a, b, path) = pair(&mut w, "x", (0, 0));
    let (c, d, chat) = pair(&mut w, "y", (0, 0));
    w.ends[b].rate = Some(1000);
    w.ends[a].send(&path, "file", &file(4 << 20));
    w.run(Duration::from_secs(1));
    w.break_bulk();
    w.run(Duration::from_secs(5));
    w.ends[c].send(&chat, "m1", b"still here");
    w.run(SOON);
    assert!(w.ends[d].message("m1").is_some());
    let failed = w.ends[a].frames.iter().filter(|f| f.status().is_some_and(|s| s != 200)).count();
    assert_eq!(failed + w.ends[a].reports("file").len(), 1);
    w.ends[b].rate = None;
    w.ends[a].send(&path, "again", &file(1 << 20));
    w.run(Duration::from_secs(5));
    assert!(w.ends[b].message("again").is_some());
    w.assert_nothing_left();
}

/// It goes over in the middle of its turn: the rest of the turn is not for the shared link.
#[test]
fn nothing_leaves_by_the_shared_link_once_the_flow_has_gone_over() {
    for millis in 0..30 {
        let mut w = relays((1, 1), peer(true, true));
        let (a, b, path) = pair(&mut w, "x", (0, 0));
        w.ends[a].send(&path, "first", b"hello");
        w.run(SOON);
        w.dial_time = Duration::from_millis(millis);
        w.lag = Duration::from_millis(5);
        w.ends[a].send_with(&path, "file", &file(500_000), "Failure-Report: no\r\n", "1-500000/500000", '$');
        for i in 0..20u64 {
            let (range, flag) = (format!("{}-{}/200", i * 10 + 1, i * 10 + 10), if i < 19 { '+' } else { '$' });
            w.ends[a].send_with(&path, "text", b"0123456789", "", &range, flag);
        }
        w.run(Duration::from_secs(3));
        let came = |f: &&super::end::Frame| f.is(Method::Send) && f.message() == "text";
        let starts = w.ends[b].frames.iter().filter(came).filter_map(|f| f.head.byte_range().map(|r| r.start));
        let starts: Vec<u64> = starts.collect();
        assert!(starts.is_sorted() && starts.len() == 20, "after {millis} ms: {starts:?}");
        w.assert_nothing_left();
    }
}

/// What has been answered may still be in a mailbox when the next part comes by another link.
#[test]
fn a_bulk_link_does_not_overtake_what_waits_in_a_mailbox() {
    for millis in 0..20 {
        let mut w = relays((1, 2), peer(true, true));
        // The shared link comes to shard 0 there, the bulk link to the receiver's.
        let (a, b, path) = pair(&mut w, "x", (0, 1));
        w.ends[a].send(&path, "first", b"hello");
        w.run(SOON);
        w.delay = Some(Duration::from_millis(20));
        w.dial_time = Duration::from_millis(millis);
        let file = file(400_000);
        w.ends[a].send(&path, "file", &file);
        w.run(Duration::from_secs(2));
        assert!(w.ends[b].message("file").as_deref() == Some(&file[..]), "after {millis} ms");
        let starts: Vec<u64> = w.ends[b]
            .frames
            .iter()
            .filter(|f| f.is(Method::Send) && f.message() == "file")
            .filter_map(|f| f.head.byte_range().map(|r| r.start))
            .collect();
        assert!(starts.is_sorted(), "after {millis} ms: {starts:?}");
        assert_eq!(w.ends[a].count(Method::Report), 0);
        w.assert_nothing_left();
    }
}

/// Of two flows from other shards the later one is through first: who follows both still waits.
#[test]
fn who_follows_two_flows_waits_for_both() {
    let mut w = relays((1, 4), peer(true, true));
    let (a, b, path) = pair(&mut w, "x", (0, 0));
    w.ends[a].send(&path, "first", b"hello");
    w.run(SOON);
    let (now, (_, target)) = (w.now, w.link_of(b).expect("connected"));
    let hub = w.shard(1, 0);
    let (source, of) = hub.sources.iter().next().expect("that of the first message");
    let origin = Origin { token: of.token, relay: Some("gate.example".into()), bulk: true, leg: false };
    let [first, second, third] =
        [1, 2, 3].map(|shard| hub.new_flow(target, SourceRef { shard, source }, origin.clone(), now));
    let after = |hub: &Relay| hub.flows.get(third).and_then(|f| f.after);
    assert_eq!(after(hub), Some(second));
    hub.take_passed(second);
    assert_eq!(after(hub), Some(first));
    hub.take_passed(first);
    assert_eq!(after(hub), None);
}

/// The token that it names first belongs to its relay and stays where it is, the second one's client elsewhere has more
/// sessions: the link must not go to and fro between the two.
#[test]
fn a_bulk_link_stays_where_it_has_come_to() {
    let mut w = World::with_shards(3, 2);
    let gate = w.connect_relay("gate.example", 0, 0);
    w.ends[gate].uri = format!("{} msrps://ines.example:4000/i;tcp", w.ends[gate].uri);
    let outer = w.auth(gate, 0);
    let (b, token) = w.busy_client("b.example", 0, 1);
    let bulk = w.connect_relay_by("gate.example", 0, 0, true);
    w.ends[bulk].uri = w.ends[gate].uri.clone();
    let to = format!("{outer} {token} {}", w.ends[b].uri);
    w.ends[bulk].send(&to, "m1", b"hello");
    w.run(Duration::from_secs(1));
    assert_eq!(w.ends[b].message("m1").as_deref(), Some(&b"hello"[..]));
    let moved: u64 = (0..2).map(|shard| w.shard(0, shard).counts().links_moved).sum();
    assert!(moved <= 2, "{moved} moves");
    // A token of a relay's client dies in its time.
    w.hang_up(b);
    w.run(Duration::from_secs(4000));
    w.assert_nothing_left();
}

/// Its first token is at home elsewhere, the second one's client here: whoever has the first says so, and it is not asked
/// for ever again.
#[test]
fn a_second_token_on_the_asking_shard_is_found_by_way_of_the_first() {
    let mut w = World::with_shards(3, 2);
    let links: Vec<usize> = (0..2).map(|shard| w.connect_relay("gate.example", 0, shard)).collect();
    let uri = format!("{} msrps://ines.example:4000/i;tcp", w.ends[links[0]].uri);
    links.iter().for_each(|l| w.ends[*l].uri = uri.clone());
    let outer = w.auth(links[1], 0);
    let (b, token) = w.client("b.example", 0, 0);
    for (i, link) in links.iter().enumerate() {
        let id = format!("m{i}");
        let to = format!("{outer} {token} {}", w.ends[b].uri);
        let tid = w.ends[*link].send(&to, &id, b"hello");
        w.run(SOON);
        assert_eq!(w.ends[*link].status_of(&tid), Some(200), "by the link on shard {i}");
        assert_eq!(w.ends[b].message(&id).as_deref(), Some(&b"hello"[..]));
    }
    let parcels = w.shard(0, 0).counts().parcels;
    assert!(parcels < 100, "{parcels} parcels");
    w.hang_up(b);
    w.run(Duration::from_secs(4000));
    w.assert_nothing_left();
}

/// Of two links of a peer relay one is bound as the far side of a session elsewhere; the other must not wait for its end.
#[test]
fn every_link_of_a_peer_relay_is_idle_when_its_sessions_are_over() {
    let mut w = World::with_shards(3, 2);
    let (b, token) = w.client("b.example", 0, 0);
    let to = format!("{token} {}", w.ends[b].uri);
    for shard in 0..2 {
        let peer = w.connect_relay("peer.example", 0, shard);
        w.ends[peer].send(&to, &format!("m{shard}"), b"hello");
        w.run(SOON);
        assert!(w.ends[b].message(&format!("m{shard}")).is_some());
    }
    w.hang_up(b);
    w.run(Duration::from_secs(5000));
    assert_eq!((w.shard(0, 0).link_count(), w.shard(0, 1).link_count()), (0, 0));
    w.assert_nothing_left();
}
