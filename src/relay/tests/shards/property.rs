//! Whatever random clients on several shards do and however late parcels are, each message has exactly one outcome.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::World;
use crate::relay::CloseReason;

struct Sent {
    from: usize,
    to: usize,
    id: String,
    tid: String,
    report: &'static str,
    body: Vec<u8>,
}

/// Two ends and the To-Path of each to the other.
struct Pair {
    ends: [usize; 2],
    paths: [String; 2],
}

fn below(rng: &mut ChaCha8Rng, n: usize) -> usize {
    rng.next_u32() as usize % n
}

fn populate(w: &mut World, rng: &mut ChaCha8Rng, shards: usize) -> Vec<Pair> {
    let shard = |rng: &mut ChaCha8Rng| below(rng, shards);
    let clients: Vec<usize> = (0..5).map(|i| w.connect(&format!("c{i}.example"), 0, shard(rng))).collect();
    clients.iter().for_each(|c| drop(w.auth(*c, 0)));
    let mut pairs = Vec::new();
    for _ in 0..6 {
        let (a, b) = (clients[below(rng, 5)], clients[below(rng, 5)]);
        let (ta, tb) = (w.auth(a, 0), w.auth(b, 0));
        let paths = [format!("{ta} {tb} {}", w.ends[b].uri), format!("{tb} {ta} {}", w.ends[a].uri)];
        pairs.push(Pair { ends: [a, b], paths });
    }
    let peer = w.connect_relay("peer.example", 0, shard(rng));
    for i in 0..4 {
        let a = clients[below(rng, 5)];
        let token = w.auth(a, 0);
        let far = if i < 2 { peer } else { w.connect(&format!("far{i}.example"), 0, shard(rng)) };
        let paths = [format!("{token} {}", w.ends[far].uri), format!("{token} {}", w.ends[a].uri)];
        pairs.push(Pair { ends: [a, far], paths });
        // The far side speaks first, or it is not known.
        let to = pairs.last().expect("just pushed").paths[1].clone();
        w.ends[far].send(&to, "hello", b"hello");
    }
    w.run(Duration::from_millis(20));
    pairs
}

fn act(w: &mut World, rng: &mut ChaCha8Rng, pairs: &[Pair], sent: &mut Vec<Sent>) {
    let pair = &pairs[below(rng, pairs.len())];
    let side = below(rng, 2);
    let (from, to) = (pair.ends[side], pair.ends[1 - side]);
    if w.ends[from].closed {
        return;
    }
    let most = [30, 3000, 60_000][below(rng, 3)];
    let mut body = vec![0; 1 + below(rng, most)];
    rng.fill_bytes(&mut body);
    let id = format!("m{:05}", sent.len());
    let report = ["yes", "yes", "yes", "partial", "no"][below(rng, 5)];
    let headers = format!("Failure-Report: {report}\r\n");
    let range = format!("1-{0}/{0}", body.len());
    let tid = w.ends[from].send_with(&pair.paths[side], &id, &body, &headers, &range, '$');
    sent.push(Sent { from, to, id, tid, report, body });
}

fn check(w: &World, sent: &[Sent], seed: u64) {
    for m in sent {
        let why = format!("seed {seed}, {} from {} to {} ({})", m.id, m.from, m.to, m.report);
        let arrived = w.ends[m.to].message(&m.id);
        assert!(arrived.as_ref().is_none_or(|b| *b == m.body), "{why}: altered");
        let (from, both) = (!w.ends[m.from].closed, !w.ends[m.from].closed && !w.ends[m.to].closed);
        if !from {
            continue;
        }
        let (status, reports) = (w.ends[m.from].status_of(&m.tid), w.ends[m.from].reports(&m.id));
        let failed = status.is_some_and(|s| s != 200);
        assert!(reports.len() + usize::from(failed) <= 1, "{why}: {status:?} {reports:?}");
        let told = failed || !reports.is_empty();
        match m.report {
            "yes" => {
                assert!(status.is_some(), "{why}: no response");
                assert!(told || arrived.is_some(), "{why}: {status:?} and then nothing");
            }
            "partial" => assert!(status != Some(200), "{why}"),
            _ => assert!(!told && status.is_none(), "{why}"),
        }
        assert!(!both || told || arrived.is_some(), "{why}: lost between two that live");
        assert!(!both || !told || arrived.is_none(), "{why}: arrived and failed: {status:?} {reports:?}");
    }
}

/// RLY-54
#[test]
fn every_message_has_one_outcome() {
    for seed in 0..40 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shards = 2 + seed as usize % 2;
        let mut w = World::new(seed);
        w.relay("relay.example", shards as u16, |s| {
            s.limits.mailbox = [4, 32, 4096][seed as usize % 3];
            s.limits.session_buffer = [20_000, 256 << 10][seed as usize / 3 % 2];
        });
        let pairs = populate(&mut w, &mut rng, shards);
        w.delay = Some(Duration::from_micros(1 + u64::from(rng.next_u32() % 4000)));
        w.piece = [100, 3000, 16 << 10][below(&mut rng, 3)];
        let mut sent = Vec::new();
        for _ in 0..60 {
            act(&mut w, &mut rng, &pairs, &mut sent);
            if below(&mut rng, 3) == 0 {
                w.run(Duration::from_micros(u64::from(rng.next_u32() % 3000)));
            }
            if seed % 4 > 1 && below(&mut rng, 25) == 0 {
                let pair = &pairs[below(&mut rng, pairs.len())];
                w.hang_up(pair.ends[below(&mut rng, 2)]);
            }
        }
        w.run(Duration::from_secs(80));
        check(&w, &sent, seed);
        assert!(
            w.closings.iter().all(|r| matches!(r, CloseReason::Lost | CloseReason::DialFailed(_))),
            "seed {seed}: {:?}",
            w.closings
        );
        w.assert_nothing_left();
    }
}
