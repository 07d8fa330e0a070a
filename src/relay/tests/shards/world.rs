//! Relays with their shards, the ends, and what lies between them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::End;
use crate::auth::Ha1;
use crate::moment::Moment;
use crate::msrp::Scheme;
use crate::relay::{
    Account, AnchorNews, Authority, CloseReason, Dial, DialFailure, Event, LinkId, Meta, MovedLink, Output, Parcel,
    Relay, RelayIdentity, Settings, Transmit,
};

/// Octets that lie between two sockets at most.
const PIPE: usize = 64 << 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Link {
        host: usize,
        shard: usize,
        id: LinkId,
        reading: bool,
        active: bool,
    },
    /// On its way to another shard.
    Moving,
    End(usize),
    Closed,
}

struct Wire {
    sides: [Side; 2],
    /// Octets on their way to each side.
    toward: [VecDeque<u8>; 2],
}

enum Carried {
    Parcel(Box<Parcel>),
    Link(usize, usize, Box<MovedLink>),
}

struct Host {
    settings: Arc<Settings>,
    shards: Vec<Relay>,
    /// From and to shard, then when it is delivered.
    mail: Vec<VecDeque<(Moment, Carried)>>,
    /// Connections of relays so far: each goes to the next shard.
    accepts: usize,
}

pub(crate) struct World {
    pub(crate) now: Moment,
    hosts: Vec<Host>,
    pub(crate) ends: Vec<End>,
    /// Wire and side of each end.
    end_wires: Vec<(usize, usize)>,
    wires: Vec<Wire>,
    links: HashMap<(usize, usize, u64), (usize, usize)>,
    rng: ChaCha8Rng,
    /// Longest delay of a parcel.
    pub(crate) delay: Option<Duration>,
    /// Octets of one read at most; pieces are of random length up to it.
    pub(crate) piece: usize,
    /// Dials that were asked for.
    pub(crate) dials: Vec<Dial>,
    /// How long a dial takes.
    pub(crate) dial_time: Duration,
    dialling: VecDeque<(Moment, usize, usize, LinkId, Dial)>,
    /// How long octets take between relays on links that are no bulk links.
    pub(crate) lag: Duration,
    lagging: VecDeque<(Moment, usize, usize, Vec<u8>)>,
    bulk_wires: Vec<usize>,
    pub(crate) most_buffered: usize,
    pub(crate) closings: Vec<CloseReason>,
    /// Hosts where an end answers every connection, and those ends.
    pub(crate) listens: Vec<String>,
    pub(crate) answered: Vec<(String, usize)>,
    /// What the dialogs of anchors were told.
    pub(crate) news: Vec<AnchorNews>,
}

impl World {
    pub(crate) fn new(seed: u64) -> World {
        World {
            now: Moment::from_nanos(1_000_000_000),
            hosts: Vec::new(),
            ends: Vec::new(),
            end_wires: Vec::new(),
            wires: Vec::new(),
            links: HashMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
            delay: None,
            piece: 16 << 10,
            dials: Vec::new(),
            dial_time: Duration::ZERO,
            dialling: VecDeque::new(),
            lag: Duration::ZERO,
            lagging: VecDeque::new(),
            bulk_wires: Vec::new(),
            most_buffered: 0,
            closings: Vec::new(),
            listens: Vec::new(),
            answered: Vec::new(),
            news: Vec::new(),
        }
    }

    /// One relay with so many shards.
    pub(crate) fn with_shards(seed: u64, shards: u16) -> World {
        let mut w = World::new(seed);
        w.relay("relay.example", shards, |_| {});
        w
    }

    pub(crate) fn relay(&mut self, name: &str, shards: u16, adjust: impl FnOnce(&mut Settings)) -> usize {
        let mut s = Settings::new(name);
        s.shards = shards;
        s.authorities.push(Authority { scheme: Scheme::Msrps, host: name.to_owned(), port: 2855 });
        adjust(&mut s);
        let settings = Arc::new(s);
        let n = usize::from(shards);
        let mut seed = [0; 32];
        let shards = (0..shards)
            .map(|i| {
                self.rng.fill_bytes(&mut seed);
                Relay::new(settings.clone(), i, seed)
            })
            .collect();
        let mail = (0..n * n).map(|_| VecDeque::new()).collect();
        self.hosts.push(Host { settings, shards, mail, accepts: 0 });
        self.hosts.len() - 1
    }

    pub(crate) fn shard(&mut self, host: usize, shard: usize) -> &mut Relay {
        &mut self.hosts[host].shards[shard]
    }

    /// Moves the link of an end, if it is at rest.
    pub(crate) fn force_move(&mut self, end: usize, to: u16) -> bool {
        let now = self.now;
        self.link_of(end).is_some_and(|(shard, link)| self.shard(0, shard).force_move(link, to, now))
    }

    fn meta(&self, host: usize) -> Meta {
        let local = Arc::new(self.hosts[host].settings.authorities[0].clone());
        Meta {
            peer: Some(([10, 0, 0, 1], 40_000).into()),
            secure: true,
            auth: true,
            local,
            relay: None,
            own_kind: false,
            bulk: false,
            fingerprints: None,
        }
    }

    /// A new end whose connection is accepted by this shard.
    pub(crate) fn connect(&mut self, name: &str, host: usize, shard: usize) -> usize {
        let meta = self.meta(host);
        let id = self.hosts[host].shards[shard].handle_accepted(meta, self.now);
        let end = self.ends.len();
        self.ends.push(End::new(name));
        self.wire(Side::End(end), link(host, shard, id));
        self.end_wires.push((self.wires.len() - 1, 0));
        end
    }

    /// A local endpoint that the test plays, and its link.
    pub(crate) fn endpoint(&mut self, host: usize, shard: usize) -> (usize, LinkId) {
        let id = self.hosts[host].shards[shard].handle_local_endpoint(self.now);
        let end = self.ends.len();
        self.ends.push(End::new("endpoint.example"));
        self.wire(Side::End(end), link(host, shard, id));
        self.end_wires.push((self.wires.len() - 1, 0));
        (end, id)
    }

    /// A peer relay that the test plays by hand.
    pub(crate) fn connect_relay(&mut self, name: &str, host: usize, shard: usize) -> usize {
        self.connect_relay_by(name, host, shard, false)
    }

    /// The same by a bulk link, or not.
    pub(crate) fn connect_relay_by(&mut self, name: &str, host: usize, shard: usize, bulk: bool) -> usize {
        let mut meta = self.meta(host);
        meta.relay = Some(Arc::new(identity(name)));
        meta.bulk = bulk;
        let id = self.hosts[host].shards[shard].handle_accepted(meta, self.now);
        let end = self.ends.len();
        self.ends.push(End::new(name));
        self.wire(Side::End(end), link(host, shard, id));
        self.end_wires.push((self.wires.len() - 1, 0));
        end
    }

    fn wire(&mut self, a: Side, b: Side) -> usize {
        let at = self.wires.len();
        for (side, s) in [a, b].into_iter().enumerate() {
            if let Side::Link { host, shard, id, .. } = s {
                self.links.insert((host, shard, id.as_u64()), (at, side));
            }
        }
        self.wires.push(Wire { sides: [a, b], toward: Default::default() });
        at
    }

    /// Shard and key of the link of an end.
    pub(crate) fn link_of(&self, end: usize) -> Option<(usize, LinkId)> {
        let (wire, side) = self.end_wires[end];
        match self.wires.get(wire)?.sides[1 - side] {
            Side::Link { shard, id, .. } => Some((shard, id)),
            _ => None,
        }
    }

    /// AUTHs and returns the token URI.
    pub(crate) fn auth(&mut self, end: usize, host: usize) -> String {
        let target = format!("msrps://{};tcp", self.hosts[host].settings.hostname);
        let tid = self.ends[end].request("AUTH", &target, "");
        self.run(Duration::from_millis(5));
        let at = self.ends[end].frames.iter().rposition(|f| f.head.transact_id() == tid.as_bytes());
        let challenge = self.ends[end].frames.remove(at.expect("an answer to AUTH"));
        let tid = self.ends[end].credentials(&challenge, &target, "user");
        self.run(Duration::from_millis(5));
        assert_eq!(self.ends[end].status_of(&tid), Some(200));
        self.ends[end].use_path().expect("a token")
    }

    /// A client that has AUTHed, and its token.
    pub(crate) fn client(&mut self, name: &str, host: usize, shard: usize) -> (usize, String) {
        let end = self.connect(name, host, shard);
        let token = self.auth(end, host);
        (end, token)
    }

    /// A client that does not move: it has a session with somebody on its own shard.
    pub(crate) fn busy_client(&mut self, name: &str, host: usize, shard: usize) -> (usize, String) {
        let (end, token) = self.client(name, host, shard);
        let friend = self.connect("friend.example", host, shard);
        let to = format!("{token} {}", self.ends[end].uri);
        self.ends[friend].send(&to, "hello", b"hello");
        let token = self.auth(end, host);
        assert_eq!(self.link_of(end).map(|l| l.0), Some(shard));
        (end, token)
    }

    /// The connection breaks.
    pub(crate) fn hang_up(&mut self, end: usize) {
        let (wire, side) = self.end_wires[end];
        let Some(w) = self.wires.get_mut(wire) else { return };
        w.sides[side] = Side::Closed;
        w.toward[side].clear();
        self.ends[end].closed = true;
    }

    /// All bulk links break.
    pub(crate) fn break_bulk(&mut self) {
        let wires = std::mem::take(&mut self.bulk_wires);
        self.break_wires(wires);
    }

    fn break_wires(&mut self, wires: impl IntoIterator<Item = usize>) {
        for wire in wires {
            let sides = std::mem::replace(&mut self.wires[wire].sides, [Side::Closed; 2]);
            for side in sides {
                if let Side::Link { host, shard, id, .. } = side {
                    self.hosts[host].shards[shard].handle_lost(id, self.now);
                }
            }
        }
    }

    /// Everything that happens in this time.
    pub(crate) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        let (mut at, mut rounds) = (self.now, 0);
        loop {
            rounds = if self.now == at { rounds + 1 } else { 0 };
            at = self.now;
            assert!(rounds < 10_000, "time stands still");
            self.work();
            let next = self.next_event().unwrap_or(until).max(self.now);
            if next > until || next == self.now && self.now >= until {
                break;
            }
            self.advance(next);
        }
        self.advance(until);
        self.work();
    }

    fn advance(&mut self, to: Moment) {
        let ticks = (to.as_nanos() / 1_000_000).saturating_sub(self.now.as_nanos() / 1_000_000);
        for end in &mut self.ends {
            if let Some(rate) = end.rate {
                end.budget = (end.budget + rate * ticks as usize).min(rate.saturating_mul(5));
            }
        }
        self.now = to;
        for h in 0..self.hosts.len() {
            for s in 0..self.hosts[h].shards.len() {
                let relay = &mut self.hosts[h].shards[s];
                if relay.poll_timeout().is_some_and(|at| at <= to) {
                    relay.handle_timeout(to);
                }
                self.drain(h, s);
            }
        }
    }

    fn next_event(&self) -> Option<Moment> {
        let timers = self.hosts.iter().flat_map(|h| h.shards.iter().filter_map(Relay::poll_timeout));
        let mail = self.hosts.iter().flat_map(|h| h.mail.iter().filter_map(|m| m.front().map(|(at, _)| *at)));
        let slow = self.end_wires.iter().enumerate().any(|(e, (wire, side))| {
            self.ends[e].rate.is_some_and(|r| r > 0)
                && self.wires.get(*wire).is_some_and(|w| !w.toward[*side].is_empty())
        });
        let tick = slow.then(|| Moment::from_nanos((self.now.as_nanos() / 1_000_000 + 1) * 1_000_000));
        let dial = self.dialling.front().map(|d| d.0);
        let lag = self.lagging.front().map(|l| l.0);
        timers.chain(mail).chain(tick).chain(dial).chain(lag).min()
    }

    /// Until nothing moves at this instant.
    fn work(&mut self) {
        for h in 0..self.hosts.len() {
            (0..self.hosts[h].shards.len()).for_each(|s| self.drain(h, s));
        }
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 100_000, "work without end");
            let mut moved = self.deliver();
            for wire in 0..self.wires.len() {
                for side in 0..2 {
                    moved |= self.serve(wire, side);
                }
            }
            for h in 0..self.hosts.len() {
                let mut buffered = 0;
                for s in 0..self.hosts[h].shards.len() {
                    self.drain(h, s);
                    buffered += self.hosts[h].shards[s].buffered();
                }
                self.most_buffered = self.most_buffered.max(buffered);
            }
            if !moved {
                return;
            }
        }
    }

    fn deliver(&mut self) -> bool {
        let mut moved = false;
        while self.dialling.front().is_some_and(|d| d.0 <= self.now) {
            let Some((_, h, s, id, to)) = self.dialling.pop_front() else { break };
            self.dial(h, s, id, to);
            self.drain(h, s);
            moved = true;
        }
        while self.lagging.front().is_some_and(|l| l.0 <= self.now) {
            let Some((_, wire, side, octets)) = self.lagging.pop_front() else { break };
            self.wires[wire].toward[side].extend(&octets);
            moved = true;
        }
        for h in 0..self.hosts.len() {
            let n = self.hosts[h].shards.len();
            for at in 0..n * n {
                while self.hosts[h].mail[at].front().is_some_and(|(due, _)| *due <= self.now) {
                    let Some((_, carried)) = self.hosts[h].mail[at].pop_front() else { break };
                    moved = true;
                    let (from, to) = (at / n, at % n);
                    match carried {
                        Carried::Parcel(p) => self.hosts[h].shards[to].handle_parcel(from as u16, *p, self.now),
                        Carried::Link(wire, side, state) => {
                            let id = self.hosts[h].shards[to].handle_adopt(state, self.now);
                            self.links.insert((h, to, id.as_u64()), (wire, side));
                            self.wires[wire].sides[side] = link(h, to, id);
                        }
                    }
                    self.drain(h, to);
                }
            }
        }
        moved
    }

    /// Reads and writes what this side of a wire may.
    fn serve(&mut self, wire: usize, side: usize) -> bool {
        let w = &mut self.wires[wire];
        let other = 1 - side;
        match w.sides[side] {
            Side::End(end) => {
                let e = &mut self.ends[end];
                let free = PIPE.saturating_sub(w.toward[other].len());
                let out: Vec<u8> = e.outbox.drain(..free.min(e.outbox.len())).collect();
                w.toward[other].extend(&out);
                let most = if e.rate.is_some() { e.budget } else { usize::MAX };
                let octets: Vec<u8> = w.toward[side].drain(..most.min(w.toward[side].len())).collect();
                if e.rate.is_some() {
                    e.budget -= octets.len();
                }
                e.take(&octets, self.now);
                if w.sides[other] == Side::Closed && w.toward[side].is_empty() {
                    e.closed = true;
                    w.sides[side] = Side::Closed;
                }
                !out.is_empty() || !octets.is_empty()
            }
            Side::Link { host, shard, id, reading, active } => {
                if active && self.transmit(wire, side, host, shard, id) {
                    return true;
                }
                let mut moved = false;
                let w = &mut self.wires[wire];
                if !matches!(w.sides[side], Side::Link { id: same, .. } if same == id) {
                    return true;
                }
                if reading && !w.toward[side].is_empty() {
                    let n = 1 + self.rng.next_u32() as usize % self.piece.min(w.toward[side].len());
                    let octets: Vec<u8> = w.toward[side].drain(..n).collect();
                    self.hosts[host].shards[shard].handle_data(id, Bytes::from(octets), self.now);
                    self.drain(host, shard);
                    moved = true;
                } else if w.sides[other] == Side::Closed && w.toward[side].is_empty() {
                    w.sides[side] = Side::Closed;
                    self.hosts[host].shards[shard].handle_lost(id, self.now);
                    self.drain(host, shard);
                    moved = true;
                }
                moved
            }
            Side::Moving | Side::Closed => false,
        }
    }

    fn transmit(&mut self, wire: usize, side: usize, host: usize, shard: usize, id: LinkId) -> bool {
        let free = PIPE.saturating_sub(self.wires[wire].toward[1 - side].len());
        if free < 16 << 10 {
            return false;
        }
        if let Side::Link { active, .. } = &mut self.wires[wire].sides[side] {
            *active = false;
        }
        let mut out = Transmit::default();
        let relay = &mut self.hosts[host].shards[shard];
        relay.poll_transmit(id, free, self.now, &mut out);
        let octets = out.to_vec();
        if !octets.is_empty() {
            relay.handle_written(id, octets.len(), self.now);
        }
        let between = matches!(self.wires[wire].sides[1 - side], Side::Link { .. } | Side::Moving);
        if between && !self.lag.is_zero() && !self.bulk_wires.contains(&wire) {
            self.lagging.push_back((self.now + self.lag, wire, 1 - side, octets.clone()));
        } else if self.wires[wire].sides[1 - side] != Side::Closed {
            self.wires[wire].toward[1 - side].extend(&octets);
        }
        self.drain(host, shard);
        !octets.is_empty()
    }

    fn drain(&mut self, h: usize, s: usize) {
        let mut rounds = 0;
        loop {
            rounds += 1;
            assert!(rounds < 10_000, "outputs without end");
            let mut moved = false;
            while let Some(output) = self.hosts[h].shards[s].poll_output() {
                self.output(h, s, output);
                moved = true;
            }
            while let Some(id) = self.hosts[h].shards[s].poll_touched(self.now) {
                moved = true;
                let wants = self.hosts[h].shards[s].wants_input(id);
                if let Some((wire, side)) = self.links.get(&(h, s, id.as_u64()))
                    && let Side::Link { reading, active, .. } = &mut self.wires[*wire].sides[*side]
                {
                    (*reading, *active) = (wants, true);
                }
            }
            if !moved {
                break;
            }
        }
        self.hosts[h].shards[s].settle(self.now);
    }

    fn output(&mut self, h: usize, s: usize, output: Output) {
        match output {
            Output::LookUp { link, ticket, user, .. } => {
                let ha1 = Ha1::from_password(&user, &self.hosts[h].settings.realm, "secret");
                let account = Account { ha1, relay: true, lease: true };
                self.hosts[h].shards[s].handle_account(link, ticket, Ok(Some(account)), self.now);
            }
            Output::Dial { link, to, .. } => self.dialling.push_back((self.now + self.dial_time, h, s, link, to)),
            Output::Close { link, .. } => {
                if let Some((wire, side)) = self.links.remove(&(h, s, link.as_u64())) {
                    self.wires[wire].sides[side] = Side::Closed;
                }
            }
            Output::Move { link, to, state } => {
                let (wire, side) = self.links.remove(&(h, s, link.as_u64())).expect("a link with a wire");
                self.wires[wire].sides[side] = Side::Moving;
                self.mail(h, s, usize::from(to), Carried::Link(wire, side, state));
            }
            Output::Post { to, parcel } => self.mail(h, s, usize::from(to), Carried::Parcel(parcel)),
            Output::Event(Event::LinkClosed { reason, .. }) => self.closings.push(reason),
            Output::Event(Event::Anchor { news, .. }) => self.news.push(news),
            Output::Release { .. } | Output::Event(_) => {}
        }
    }

    fn mail(&mut self, h: usize, from: usize, to: usize, carried: Carried) {
        let wait = self.delay.map_or(0, |d| self.rng.next_u64() % (d.as_nanos() as u64 + 1));
        let host = &mut self.hosts[h];
        let n = host.shards.len();
        let queue = &mut host.mail[from * n + to];
        let due = (self.now + Duration::from_nanos(wait)).max(queue.back().map_or(Moment::ZERO, |(at, _)| *at));
        queue.push_back((due, carried));
    }

    fn dial(&mut self, h: usize, s: usize, id: LinkId, to: Dial) {
        self.dials.push(to.clone());
        let near = link(h, s, id);
        let peer = ([10, 0, 0, 2], 2855).into();
        if let Some(far) = self.hosts.iter().position(|x| x.settings.hostname == to.host) {
            let mut meta = self.meta(far);
            meta.relay = Some(Arc::new(identity(&self.hosts[h].settings.hostname)));
            (meta.own_kind, meta.bulk) = (true, to.bulk);
            let shard = self.hosts[far].accepts % self.hosts[far].shards.len();
            self.hosts[far].accepts += 1;
            let accepted = self.hosts[far].shards[shard].handle_accepted(meta, self.now);
            let wire = self.wire(near, link(far, shard, accepted));
            self.bulk_wires.extend(to.bulk.then_some(wire));
            self.hosts[h].shards[s].handle_dialled(id, peer, Some(identity(&to.host)), true, None, self.now);
        } else if self.listens.contains(&to.host) {
            let end = self.ends.len();
            self.ends.push(End::new(&to.host));
            self.wire(Side::End(end), near);
            self.end_wires.push((self.wires.len() - 1, 0));
            self.answered.push((to.host, end));
            self.hosts[h].shards[s].handle_dialled(id, peer, None, false, None, self.now);
        } else {
            self.hosts[h].shards[s].handle_dial_failed(id, DialFailure::Connect, self.now);
        }
    }

    /// After all have gone nothing may be left.
    pub(crate) fn assert_nothing_left(&mut self) {
        for end in 0..self.ends.len() {
            self.hang_up(end);
        }
        self.run(Duration::from_secs(400));
        self.break_wires(0..self.wires.len());
        self.run(Duration::from_secs(400));
        self.hosts.iter().flat_map(|host| &host.shards).for_each(Relay::assert_empty);
    }
}

fn link(host: usize, shard: usize, id: LinkId) -> Side {
    Side::Link { host, shard, id, reading: true, active: false }
}

fn identity(name: &str) -> RelayIdentity {
    RelayIdentity { name: name.into(), dns_names: vec![name.to_owned()] }
}
