//! A relay's shards, the mailboxes between them and the ends of their links, in invented time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chappe::auth::Ha1;
use chappe::moment::Moment;
use chappe::msrp::{Head, Scheme};
use chappe::relay::{
    Account, AnchorId, Authority, Dial, DialFailure, LinkId, LookUpFailure, MovedLink, Output, Parcel, Peer, Relay,
    SessionEnd, Settings, Transmit,
};

use super::plug::{Heard, Plug};
use super::script::Script;

pub const PEER: &str = "peer.example";
/// Octets that a shard may hold: the sum of all links' bounds with room for what one operation brings.
const BOUND: usize = 4 << 20;
/// Deadlines that may pass in one pause: nobody sends meanwhile.
const WAKES: usize = 10_000;
/// Things that are remembered for later use.
const KNOWN: usize = 256;

enum Carried {
    Parcel(Box<Parcel>),
    Link(usize, Box<MovedLink>),
}

pub struct World {
    pub now: Moment,
    pub settings: Settings,
    pub shards: Vec<Relay>,
    pub plugs: Vec<Plug>,
    by_link: HashMap<(u16, u64), usize>,
    ids: HashMap<(u16, u64), LinkId>,
    mail: Vec<VecDeque<Carried>>,
    pub held_mail: bool,
    pub dials: Vec<(u16, LinkId, Dial)>,
    pub look_ups: Vec<(u16, LinkId, u64, String)>,
    leases: i64,
    pub tokens: Vec<Vec<u8>>,
    /// Requests that may be answered, and who has heard them.
    pub requests: Vec<(usize, Head)>,
    pub anchors: Vec<(u16, AnchorId)>,
    /// Octets of one read.
    piece: usize,
    pub serial: u32,
}

impl World {
    pub fn new(script: &mut Script<'_>) -> World {
        let shape = script.octet();
        let mut settings = Settings::new("relay.example");
        for (scheme, port) in [(Scheme::Msrps, 2855), (Scheme::Msrp, 2856)] {
            settings.authorities.push(Authority { scheme, host: "relay.example".to_owned(), port });
        }
        settings.shards = 1 + u16::from(shape & 1);
        settings
            .peers
            .insert(PEER.to_owned(), Peer { max_chunk: None, multiplex: shape & 2 == 0, bulk: shape & 4 != 0 });
        let limits = &mut settings.limits;
        (limits.session_buffer, limits.link_buffer, limits.response_queue) = (16 << 10, 64 << 10, 16 << 10);
        (limits.mailbox, limits.read_buffer) = (8, 4 << 10);
        (limits.transactions_per_session, limits.tokens_per_connection) = (16, 8);
        limits.memory_ceiling = if shape & 8 != 0 { 96 << 10 } else { 0 };
        let shared = Arc::new(settings.clone());
        let shards: Vec<Relay> = (0..settings.shards).map(|i| Relay::new(shared.clone(), i, [i as u8; 32])).collect();
        World {
            now: Moment::from_nanos(1_000_000_000),
            mail: (0..shards.len().pow(2)).map(|_| VecDeque::new()).collect(),
            settings,
            shards,
            plugs: Vec::new(),
            by_link: HashMap::new(),
            ids: HashMap::new(),
            held_mail: false,
            dials: Vec::new(),
            look_ups: Vec::new(),
            leases: 0,
            tokens: Vec::new(),
            requests: Vec::new(),
            anchors: Vec::new(),
            piece: [1, 7, 100, 4096][usize::from(shape >> 4) % 4],
            serial: 0,
        }
    }

    pub fn shard(&mut self, at: u16) -> &mut Relay {
        &mut self.shards[usize::from(at)]
    }

    pub fn remember(&mut self, token: Vec<u8>) {
        if self.tokens.len() < KNOWN {
            self.tokens.push(token);
        }
    }

    /// The end of this link.
    pub fn plug(&mut self, shard: u16, id: LinkId, relay: bool) -> usize {
        let n = self.plugs.len();
        let host = if relay { PEER.to_owned() } else { format!("client{n}.example") };
        self.plugs.push(Plug::new((shard, id.as_u64()), format!("msrps://{host}:4000/s{n};tcp"), relay));
        self.by_link.insert((shard, id.as_u64()), n);
        self.ids.insert((shard, id.as_u64()), id);
        n
    }

    pub fn link(&self, plug: usize) -> Option<(u16, LinkId)> {
        let at = self.plugs.get(plug)?.at?;
        Some((at.0, *self.ids.get(&at)?))
    }

    /// A token was made without an account: its end gives a lease back that nobody had asked for.
    pub fn lend(&mut self) {
        self.leases += 1;
    }

    fn unplug(&mut self, shard: u16, id: LinkId) -> Option<usize> {
        self.ids.remove(&(shard, id.as_u64()));
        let plug = self.by_link.remove(&(shard, id.as_u64()))?;
        self.plugs[plug].at = None;
        Some(plug)
    }

    /// The connection of an end is gone.
    pub fn lose(&mut self, plug: usize) {
        let Some((shard, id)) = self.link(plug) else { return };
        self.unplug(shard, id);
        self.plugs[plug].gone = true;
        let now = self.now;
        self.shard(shard).handle_lost(id, now);
        self.drain(shard);
    }

    // ---- the contract

    /// After an input: outputs, touched links, and a settled shard.
    pub fn drain(&mut self, shard: u16) {
        let now = self.now;
        loop {
            let mut quiet = true;
            while let Some(output) = self.shard(shard).poll_output() {
                self.output(shard, output);
                quiet = false;
            }
            while let Some(id) = self.shard(shard).poll_touched(now) {
                if let Some(plug) = self.by_link.get(&(shard, id.as_u64())) {
                    self.plugs[*plug].active = true;
                }
                quiet = false;
            }
            if !quiet {
                continue;
            }
            // Settling may say something in its turn.
            self.shard(shard).settle(now);
            let Some(output) = self.shard(shard).poll_output() else { break };
            self.output(shard, output);
        }
    }

    fn output(&mut self, shard: u16, output: Output) {
        match output {
            Output::Dial { link, to, .. } => self.dials.push((shard, link, to)),
            Output::LookUp { link, ticket, user, .. } => self.look_ups.push((shard, link, ticket, user)),
            Output::Release { .. } => self.leases -= 1,
            Output::Close { link, .. } => {
                self.dials.retain(|d| (d.0, d.1) != (shard, link));
                if let Some(plug) = self.unplug(shard, link) {
                    self.plugs[plug].gone = true;
                }
            }
            Output::Move { link, to, state } => {
                let plug = self.unplug(shard, link).expect("a link that moves has its end");
                self.post(shard, to, Carried::Link(plug, state));
            }
            Output::Post { to, parcel } => self.post(shard, to, Carried::Parcel(parcel)),
            Output::Event(_) => {}
        }
    }

    fn post(&mut self, from: u16, to: u16, carried: Carried) {
        let at = usize::from(from) * self.shards.len() + usize::from(to);
        self.mail[at].push_back(carried);
    }

    /// One thing out of this mailbox.
    pub fn deliver(&mut self, at: usize) -> bool {
        let Some(carried) = self.mail.get_mut(at).and_then(VecDeque::pop_front) else { return false };
        let (from, to, now) = ((at / self.shards.len()) as u16, (at % self.shards.len()) as u16, self.now);
        match carried {
            Carried::Parcel(parcel) => self.shard(to).handle_parcel(from, *parcel, now),
            Carried::Link(plug, state) => {
                let id = self.shard(to).handle_adopt(state, now);
                let key = (to, id.as_u64());
                (self.plugs[plug].at, self.plugs[plug].active) = (Some(key), true);
                self.by_link.insert(key, plug);
                self.ids.insert(key, id);
            }
        }
        self.drain(to);
        true
    }

    pub fn mailboxes(&self) -> usize {
        self.mail.len()
    }

    /// Everything that can happen now.
    pub fn serve(&mut self) {
        for round in 0.. {
            assert!(round < 100_000, "it never comes to rest");
            let mut quiet = true;
            for plug in 0..self.plugs.len() {
                quiet &= !(self.read(plug) | self.write(plug));
            }
            if !self.held_mail {
                for at in 0..self.mail.len() {
                    quiet &= !self.deliver(at);
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// The relay reads, if it wants to.
    fn read(&mut self, plug: usize) -> bool {
        let Some((shard, id)) = self.link(plug) else { return false };
        if self.plugs[plug].socket.is_empty() || !self.shards[usize::from(shard)].wants_input(id) {
            return false;
        }
        // Small pieces are for small frames.
        let waiting = self.plugs[plug].socket.len();
        let n = if waiting > 1000 { 4096 } else { self.piece }.min(waiting);
        let octets: Vec<u8> = self.plugs[plug].socket.drain(..n).collect();
        let now = self.now;
        self.shard(shard).handle_data(id, Bytes::from(octets), now);
        self.drain(shard);
        true
    }

    /// The relay writes, if it may.
    fn write(&mut self, plug: usize) -> bool {
        let p = &mut self.plugs[plug];
        if !p.reading || !(p.active || !p.batch.is_empty()) {
            return false;
        }
        p.active = false;
        self.fill(plug);
        let n = self.plugs[plug].batch.len();
        self.take(plug, n);
        n > 0
    }

    /// A batch for the socket, unless one is there.
    pub fn fill(&mut self, plug: usize) {
        let Some((shard, id)) = self.link(plug) else { return };
        if !self.plugs[plug].batch.is_empty() {
            return;
        }
        let (now, mut out) = (self.now, Transmit::default());
        self.shard(shard).poll_transmit(id, 16 << 10, now, &mut out);
        self.plugs[plug].batch.extend(out.to_vec());
        self.drain(shard);
    }

    /// The socket takes so many octets.
    pub fn take(&mut self, plug: usize, n: usize) {
        let p = &mut self.plugs[plug];
        let octets: Vec<u8> = p.batch.drain(..n.min(p.batch.len())).collect();
        if octets.is_empty() {
            return;
        }
        let n = octets.len();
        for heard in p.hear(octets) {
            match heard {
                Heard::Token(token) => self.remember(token),
                Heard::Request(head) if self.requests.len() < KNOWN => self.requests.push((plug, head)),
                Heard::Request(_) => {}
            }
        }
        if let Some((shard, id)) = self.link(plug) {
            let now = self.now;
            self.shard(shard).handle_written(id, n, now);
            self.drain(shard);
        }
    }

    /// Time passes, deadline by deadline.
    pub fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut at_once = 0;
        for wakes in 0.. {
            assert!(wakes < WAKES, "shards wake without end");
            let next = self.shards.iter().filter_map(Relay::poll_timeout).min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            at_once = if next > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 64, "a deadline is armed in the past again and again");
            self.now = self.now.max(next);
            for shard in 0..self.settings.shards {
                let now = self.now;
                self.shard(shard).handle_timeout(now);
                self.drain(shard);
            }
            self.serve();
        }
        self.now = until;
    }

    /// A credential store answers the oldest question.
    pub fn answer_look_up(&mut self, kind: usize) {
        if self.look_ups.is_empty() {
            return;
        }
        let (shard, id, ticket, user) = self.look_ups.remove(0);
        let account =
            |relay, lease| Account { ha1: Ha1::from_password(&user, "relay.example", "secret"), relay, lease };
        let answer = match kind {
            0 | 1 => Ok(Some(account(true, true))),
            2 => Ok(Some(account(false, true))),
            3 => Ok(Some(account(true, false))),
            4 => Ok(None),
            5 => Err(LookUpFailure::RateLimited),
            _ => Err(LookUpFailure::Unavailable),
        };
        self.leases += i64::from(matches!(&answer, Ok(Some(a)) if a.lease));
        let now = self.now;
        self.shard(shard).handle_account(id, ticket, answer, now);
        self.drain(shard);
    }

    pub fn fail_dial(&mut self, failure: DialFailure) {
        if self.dials.is_empty() {
            return;
        }
        let (shard, id, _) = self.dials.remove(0);
        let now = self.now;
        self.shard(shard).handle_dial_failed(id, failure, now);
        self.drain(shard);
    }

    // ---- what must be so

    pub fn check(&self) {
        for relay in &self.shards {
            assert!(relay.buffered() <= BOUND, "{} octets in buffers", relay.buffered());
            assert_eq!(relay.audit(), Ok(()));
        }
    }

    /// All links go, all questions are answered, and time passes: nothing is left.
    pub fn finish(mut self) {
        self.held_mail = false;
        for (shard, anchor) in std::mem::take(&mut self.anchors) {
            let now = self.now;
            self.shard(shard).release_anchor(anchor, SessionEnd::Cancelled, now);
            self.drain(shard);
        }
        for _ in 0..3 {
            while !self.dials.is_empty() {
                self.fail_dial(DialFailure::Connect);
            }
            while !self.look_ups.is_empty() {
                self.answer_look_up(4);
            }
            self.serve();
            for plug in 0..self.plugs.len() {
                self.lose(plug);
            }
            self.serve();
            self.pass(Duration::from_secs(400));
        }
        // Tokens that were obtained by a peer relay outlive its links.
        self.pass(Duration::from_secs(u32::MAX.into()) * 2);
        for (at, relay) in self.shards.iter().enumerate() {
            assert_eq!(relay.remains(), [], "shard {at}");
            assert_eq!(relay.poll_timeout(), None, "shard {at}");
        }
        assert_eq!(self.leases, 0, "leases");
    }
}
