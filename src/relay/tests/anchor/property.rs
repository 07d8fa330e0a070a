//! Whatever ends and dialogs do and in whatever order, an accepted SEND has one outcome, and nothing is left of anything.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::shards::Meeting;
use crate::relay::tests::shards::World;
use crate::relay::{Connect, Expects, LegTerms, SessionEnd, Side};

struct Sent {
    from: usize,
    to: usize,
    meeting: usize,
    id: String,
    tid: String,
    report: &'static str,
    body: Vec<u8>,
}

/// A run of one seed.
struct Story {
    w: World,
    rng: ChaCha8Rng,
    shards: usize,
    meetings: Vec<Meeting>,
    /// What the ends write before our URI, and in their paths before their own: a token of ours with a space, or nothing.
    through: Vec<[String; 2]>,
    /// Some ends have us as their relay.
    clients: bool,
    sent: Vec<Sent>,
    /// Ends that have hung up, meetings of which a dialog has changed or ended something.
    gone: Vec<usize>,
    disturbed: Vec<usize>,
}

impl Story {
    fn new(seed: u64, clients: bool) -> Story {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shards = 1 + seed as usize % 3;
        let mut w = World::new(seed);
        w.relay("relay.example", shards as u16, |s| {
            s.limits.mailbox = [4, 32, 4096][seed as usize % 3];
            s.limits.session_buffer = [20_000, 256 << 10][seed as usize / 3 % 2];
        });
        w.delay = Some(Duration::from_micros(1 + u64::from(rng.next_u32() % 4000)));
        w.piece = [100, 3000, 16 << 10][rng.next_u32() as usize % 3];
        w.dial_time = Duration::from_micros(u64::from(rng.next_u32() % 50_000));
        let (meetings, through, sent) = (Vec::new(), Vec::new(), Vec::new());
        Story { w, rng, shards, meetings, through, clients, sent, gone: Vec::new(), disturbed: Vec::new() }
    }

    fn below(&mut self, n: usize) -> usize {
        self.rng.next_u32() as usize % n
    }

    fn side(&mut self) -> Side {
        Side::BOTH[self.below(2)]
    }

    /// An end that waits to be told its URI, and what it writes before that: a fresh one, one with sessions of its own that
    /// does not move, or a client that may or may not.
    fn end(&mut self, i: usize) -> (usize, String) {
        let shard = self.below(self.shards);
        let name = format!("e{i}.example");
        if self.clients && self.below(2) == 0 {
            let moves = self.below(2) == 0;
            let client = if moves { World::client } else { World::busy_client };
            let (end, token) = client(&mut self.w, &name, 0, shard);
            return (end, format!("{token} "));
        }
        let busy = self.below(3) == 0;
        let end = if busy { self.w.busy_client(&name, 0, shard).0 } else { self.w.connect(&name, 0, shard) };
        (end, String::new())
    }

    fn hello(&mut self, at: usize, side: Side) {
        let m = &self.meetings[at];
        let path = format!("{}{}", self.through[at][side as usize], m.uris[side as usize]);
        self.w.ends[m.ends[side as usize]].request("SEND", &path, "Message-ID: hello\r\nByte-Range: 1-0/0\r\n");
    }

    fn invite(&mut self) {
        let at = self.meetings.len();
        let [(a, before_a), (b, before_b)] = [self.end(2 * at), self.end(2 * at + 1)];
        let home = self.below(self.shards);
        let m = Meeting::reserve(&mut self.w, home, [a, b]);
        self.meetings.push(m);
        self.through.push([before_a, before_b]);
    }

    fn set(&mut self, at: usize, side: Side, connect: Connect) {
        let m = &self.meetings[at];
        let target = match connect {
            Connect::Them => {
                format!("{}{}", self.through[at][side as usize], self.w.ends[m.ends[side as usize]].uri)
            }
            Connect::Us => format!("msrps://called{at}.example:7000/called{at};tcp"),
        };
        let terms = LegTerms {
            target: target.into_bytes().into(),
            connect,
            expects: Expects::Nothing,
            within: None,
            max_size: None,
            file: false,
        };
        let now = self.w.now;
        let _ = self.w.shard(0, m.home).set_leg(m.anchor, side, terms, now);
    }

    fn say(&mut self, at: usize, side: Side) {
        let (from, to) = (self.meetings[at].ends[side as usize], self.meetings[at].ends[side.other() as usize]);
        if self.w.ends[from].closed {
            return;
        }
        let most = [30, 3000, 60_000][self.below(3)];
        let mut body = vec![0; 1 + self.below(most)];
        self.rng.fill_bytes(&mut body);
        let id = format!("m{:05}", self.sent.len());
        let report = ["yes", "yes", "yes", "partial", "no"][self.below(5)];
        let headers = format!("Failure-Report: {report}\r\n");
        let range = format!("1-{0}/{0}", body.len());
        let path = format!("{}{}", self.through[at][side as usize], self.meetings[at].uris[side as usize]);
        let tid = self.w.ends[from].send_with(&path, &id, &body, &headers, &range, '$');
        self.sent.push(Sent { from, to, meeting: at, id, tid, report, body });
    }

    fn step(&mut self) {
        let at = self.below(self.meetings.len());
        let side = self.side();
        let (anchor, home) = (self.meetings[at].anchor, self.meetings[at].home);
        let now = self.w.now;
        match self.below(40) {
            0 => {
                let end =
                    [SessionEnd::Bye, SessionEnd::Bye, SessionEnd::Cancelled, SessionEnd::Operator][self.below(4)];
                self.meetings[at].release(&mut self.w, end);
                self.disturbed.push(at);
            }
            1 => {
                let end = self.meetings[at].ends[side as usize];
                self.w.hang_up(end);
                self.gone.push(end);
            }
            2 | 3 => {
                if let Ok(uri) = self.w.shard(0, home).renew_leg(anchor, side, now) {
                    if self.below(3) == 0 {
                        self.w.shard(0, home).withdraw_renewal(anchor, side, now);
                    } else {
                        self.meetings[at].uris[side as usize] = String::from_utf8_lossy(&uri).into_owned();
                        self.set(at, side, Connect::Them);
                        self.disturbed.push(at);
                    }
                }
            }
            4 => {
                self.w.listens.push(format!("called{at}.example"));
                self.set(at, side, Connect::Us);
                self.disturbed.push(at);
            }
            5 => {
                let end = self.meetings[at].ends[side as usize];
                self.w.ends[end].rate = if self.below(2) == 0 { Some(50) } else { None };
            }
            6..=9 => self.set(at, side, Connect::Them),
            10..=12 => self.hello(at, side),
            _ => self.say(at, side),
        }
    }

    fn check(&self, seed: u64) {
        for m in &self.sent {
            let why = format!("seed {seed}, {} from {} to {} ({})", m.id, m.from, m.to, m.report);
            let arrived = self.w.ends.iter().find_map(|e| e.message(&m.id));
            assert!(arrived.as_ref().is_none_or(|b| *b == m.body), "{why}: altered");
            if self.gone.contains(&m.from) {
                continue;
            }
            let (status, reports) = (self.w.ends[m.from].status_of(&m.tid), self.w.ends[m.from].reports(&m.id));
            let failed = status.is_some_and(|s| s != 200);
            assert!(reports.len() + usize::from(failed) <= 1, "{why}: {status:?} {reports:?}");
            let told = failed || !reports.is_empty();
            let over = self.w.ends[m.from].closed;
            match m.report {
                "yes" => {
                    assert!(status.is_some() || over, "{why}: no response");
                    assert!(status != Some(200) || told || arrived.is_some(), "{why}: accepted and then nothing");
                }
                "partial" => assert!(status != Some(200), "{why}"),
                _ => assert!(!told && status.is_none(), "{why}"),
            }
            let quiet = !over && !self.gone.contains(&m.to) && !self.disturbed.contains(&m.meeting);
            assert!(!quiet || told || arrived.is_some() || m.report == "no", "{why}: lost between two that live");
            assert!(!quiet || !told || arrived.is_none(), "{why}: arrived and failed: {status:?} {reports:?}");
        }
    }
}

#[test]
fn every_accepted_send_has_one_outcome_and_nothing_is_left() {
    (0..60).for_each(|seed| told(seed, false));
}

/// The same where half of the ends have us as their relay.
#[test]
fn every_accepted_send_through_a_clients_token_has_one_outcome_and_nothing_is_left() {
    (0..60).for_each(|seed| told(seed, true));
}

fn told(seed: u64, clients: bool) {
    let mut s = Story::new(seed, clients);
    for at in 0..4 {
        s.invite();
        if s.below(4) > 0 {
            for side in Side::BOTH {
                s.set(at, side, Connect::Them);
                s.hello(at, side);
            }
        }
    }
    for _ in 0..150 {
        s.step();
        if s.below(3) == 0 {
            let micros = s.rng.next_u32() % [3000, 3000, 300_000][s.below(3)];
            s.w.run(Duration::from_micros(u64::from(micros)));
        }
    }
    s.w.ends.iter_mut().for_each(|e| e.rate = None);
    s.w.run(Duration::from_secs(80));
    s.check(seed);
    for at in 0..s.meetings.len() {
        s.meetings[at].release(&mut s.w, SessionEnd::Bye);
    }
    s.w.run(Duration::from_secs(5));
    s.check(seed);
    s.w.assert_nothing_left();
    s.w.run(Duration::from_secs(8000));
    for shard in 0..s.shards {
        assert_eq!(s.w.shard(0, shard).deadline_count(), 0, "seed {seed}: deadlines");
    }
}
