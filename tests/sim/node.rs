//! A relay with its shards, its mailboxes, and what it asks its surroundings for.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use chappe::auth::Ha1;
use chappe::moment::Moment;
use chappe::msrp::Scheme;
use chappe::relay::{
    Account, Authority, CloseReason, Dial, DialFailure, Event, LinkId, LookUpFailure, Meta, MovedLink, Output, Parcel,
    Peer, Relay, RelayIdentity, Settings, Transmit,
};

use crate::model::LinkKind;
use crate::plan::Shape;
use crate::stats::Count;
use crate::wire::{EndRef, Plug};
use crate::world::{Task, What, World};

const MILLI: u64 = 1_000_000;
/// Octets that a socket is offered at once.
const ROOM: usize = 16 << 10;
/// The password of everybody who has one.
pub const PASSWORD: &str = "kelp-anchor-41";

/// What goes from shard to shard.
pub enum Carried {
    Parcel(Box<Parcel>),
    Link(EndRef, Box<MovedLink>),
}

/// A queue from one shard to another: when each leaves it.
#[derive(Default)]
pub struct Mail {
    queue: VecDeque<(u64, Carried)>,
}

/// One relay.
pub struct Node {
    pub host: String,
    pub settings: Settings,
    pub shards: Vec<Relay>,
    mail: Vec<Mail>,
    pub links: HashMap<(u16, u64), EndRef>,
    /// Which start this is; what belongs to an earlier one is dropped.
    pub start: u32,
    pub up: bool,
    /// How far its clock is ahead, in nanoseconds.
    pub skew: u64,
    pub frozen_until: u64,
    /// Token leases given and not returned.
    pub leases: i64,
    pub store_down: u64,
    pub store_slow: u64,
    pub resolver_down: u64,
    pub resolver_slow: u64,
    pub mail_stalled: u64,
    /// The next link that moves is cut on its way.
    pub cut_moving: bool,
    settled: u64,
}

impl Node {
    pub fn new(index: usize, shape: &Shape) -> Node {
        let host = host(index);
        let mut settings = Settings::new(&host);
        settings.node = index as u16;
        settings.shards = shape.shards[index];
        settings.authorities = vec![Authority { scheme: Scheme::Msrps, host: host.clone(), port: 2855 }];
        for other in (0..shape.shards.len()).filter(|o| *o != index) {
            let peer = Peer { max_chunk: shape.peer_chunk, multiplex: shape.multiplex, bulk: shape.bulk };
            settings.peers.insert(self::host(other), peer);
        }
        shape.limit(&mut settings);
        Node {
            host,
            settings,
            shards: Vec::new(),
            mail: Vec::new(),
            links: HashMap::new(),
            start: 0,
            up: false,
            skew: 0,
            frozen_until: 0,
            leases: 0,
            store_down: 0,
            store_slow: 0,
            resolver_down: 0,
            resolver_slow: 0,
            mail_stalled: 0,
            cut_moving: false,
            settled: 0,
        }
    }

    /// The moment when its next deadline is due, in the time of the world.
    pub fn next_deadline(&self) -> Option<u64> {
        let at = self.shards.iter().filter_map(Relay::poll_timeout).min()?;
        Some(at.as_nanos().saturating_sub(self.skew).max(self.frozen_until))
    }
}

/// Name of a relay.
pub fn host(index: usize) -> String {
    format!("relay{index}.example")
}

fn identity(name: &str) -> RelayIdentity {
    RelayIdentity { name: name.into(), dns_names: vec![name.to_owned()] }
}

impl World {
    /// The time as this relay sees it.
    pub fn node_now(&self, node: usize) -> Moment {
        Moment::from_nanos(self.now + self.nodes[node].skew)
    }

    /// The process starts, with nothing of what it was before.
    pub fn start_node(&mut self, node: usize) {
        let mut seed = [0; 32];
        let n = &mut self.nodes[node];
        n.start += 1;
        n.settings.generation = n.start;
        let settings = Arc::new(n.settings.clone());
        n.shards.clear();
        for shard in 0..settings.shards {
            self.dice.octets(&mut seed);
            n.shards.push(Relay::new(settings.clone(), shard, seed));
        }
        let pairs = usize::from(settings.shards) * usize::from(settings.shards);
        n.mail = (0..pairs).map(|_| Mail::default()).collect();
        n.links.clear();
        (n.up, n.leases, n.cut_moving, n.frozen_until) = (true, 0, false, 0);
        let host = n.host.clone();
        self.model.node_started(node, &host, self.now + self.nodes[node].skew);
    }

    /// All shards of a relay run under new settings.
    pub fn reload_node(&mut self, node: usize) {
        let now = self.node_now(node);
        let settings = Arc::new(self.nodes[node].settings.clone());
        for shard in 0..self.nodes[node].shards.len() {
            self.nodes[node].shards[shard].reconfigure(settings.clone(), now);
            self.ready(Task::Shard(node, shard as u16));
        }
    }

    /// Deadlines that are due.
    pub fn keep_time(&mut self, node: usize) -> bool {
        if self.nodes[node].frozen_until > self.now {
            return false;
        }
        let (now, mut acted) = (self.node_now(node), false);
        for shard in 0..self.nodes[node].shards.len() {
            let relay = &mut self.nodes[node].shards[shard];
            if relay.poll_timeout().is_some_and(|at| at <= now) {
                relay.handle_timeout(now);
                self.ready(Task::Shard(node, shard as u16));
                acted = true;
            }
        }
        acted
    }

    /// The contract of the core: outputs and touched links to their ends, then settle.
    pub fn pump(&mut self, node: usize, shard: u16) {
        let now = self.node_now(node);
        let mut settled = false;
        for round in 0.. {
            if round > 100_000 {
                return self.stuck("outputs without end");
            }
            let mut acted = false;
            while let Some(output) = self.relay(node, shard).and_then(Relay::poll_output) {
                self.act_out(node, shard, output);
                acted = true;
            }
            if let Some(id) = self.relay(node, shard).and_then(|r| r.poll_touched(now)) {
                self.touched(node, shard, id);
                settled = false;
            } else if !settled || acted {
                if let Some(relay) = self.relay(node, shard) {
                    relay.settle(now);
                }
                settled = true;
            } else {
                break;
            }
        }
        self.look_after(node, shard);
    }

    pub fn relay(&mut self, node: usize, shard: u16) -> Option<&mut Relay> {
        self.nodes[node].shards.get_mut(usize::from(shard))
    }

    /// Now and then the books are looked into; what is buffered, each time.
    fn look_after(&mut self, node: usize, shard: u16) {
        let n = &mut self.nodes[node];
        n.settled += 1;
        let audit = n.settled.is_multiple_of(16);
        let Some(relay) = n.shards.get(usize::from(shard)) else { return };
        if audit && let Err(wrong) = relay.audit() {
            return self.model.books(node, shard, &wrong.to_string());
        }
        let buffered: usize = self.nodes[node].shards.iter().map(Relay::buffered).sum();
        let limits = &self.nodes[node].settings.limits;
        self.model.memory(node, buffered, limits);
    }

    /// Every book at once.
    pub fn audit_all(&mut self) {
        for node in 0..self.nodes.len() {
            for shard in 0..self.nodes[node].shards.len() {
                if let Err(wrong) = self.nodes[node].shards[shard].audit() {
                    self.model.books(node, shard as u16, &wrong.to_string());
                }
            }
        }
    }

    fn touched(&mut self, node: usize, shard: u16, id: LinkId) {
        let now = self.node_now(node);
        let Some(end) = self.nodes[node].links.get(&(shard, id.as_u64())).copied() else {
            // Without a wire only the core's own bookkeeping is due.
            let mut out = Transmit::default();
            if let Some(relay) = self.relay(node, shard) {
                relay.poll_transmit(id, ROOM, now, &mut out);
            }
            return;
        };
        let wants = self.relay(node, shard).is_some_and(|r| r.wants_input(id));
        let at = self.now;
        let e = self.end_mut(end);
        if wants != e.reading {
            e.reading = wants;
            e.unread_since = (!wants).then_some(at);
            self.model.reading(node, end, wants, now.as_nanos());
        }
        if wants {
            self.ready(Task::Read(end));
        }
        if self.end_mut(end).batch.is_empty() {
            let mut out = Transmit::default();
            let Some(relay) = self.relay(node, shard) else { return };
            relay.poll_transmit(id, ROOM, now, &mut out);
            let octets = out.to_vec();
            let empty = octets.is_empty();
            self.end_mut(end).batch.extend(octets);
            self.model.has_room(node, end, now.as_nanos(), empty);
        }
        if !self.end_mut(end).batch.is_empty() {
            self.write_link(end);
        }
    }

    /// The socket of a link takes what it has room for.
    pub fn write_link(&mut self, end: EndRef) {
        let Plug::Link { node, shard, id } = self.end_mut(end).plug else { return };
        let now = self.node_now(node);
        let (wire, side) = (end / 2, end % 2);
        if self.wires[wire].ends[1 - side].plug == Plug::Gone {
            return self.reset(wire);
        }
        let free = self.wires[wire].pipes[1 - side].free();
        let batch = &mut self.wires[wire].ends[side].batch;
        let n = free.min(batch.len());
        if n == 0 {
            return;
        }
        let octets: Vec<u8> = batch.drain(..n).collect();
        self.trace.note("out", &[node as u64, end as u64, n as u64]);
        self.trace.octets(&octets);
        self.model.octets_out(&mut self.trace, node, end, &octets, now.as_nanos());
        self.send_on(wire, 1 - side, octets);
        if let Some(relay) = self.relay(node, shard) {
            relay.handle_written(id, n, now);
        }
        self.ready(Task::Shard(node, shard));
    }

    /// A link reads a piece of what has arrived for it.
    pub fn read_link(&mut self, end: EndRef) {
        let (wire, side) = (end / 2, end % 2);
        let Plug::Link { node, shard, id } = self.wires[wire].ends[side].plug else { return };
        let now = self.node_now(node);
        if !self.relay(node, shard).is_some_and(|r| r.wants_input(id)) {
            return;
        }
        let piece = self.wires[wire].piece;
        let most = 1 + self.dice.below(piece);
        let octets = self.wires[wire].pipes[side].read(most);
        if octets.is_empty() {
            let pipe = &self.wires[wire].pipes[side];
            if pipe.fin && pipe.is_empty() && !self.wires[wire].ends[side].finished {
                self.wires[wire].ends[side].finished = true;
                self.trace.note("eof", &[node as u64, end as u64]);
                self.model.finished(node, end);
                if let Some(relay) = self.relay(node, shard) {
                    relay.handle_eof(id, now);
                }
                self.ready(Task::Shard(node, shard));
            }
            return;
        }
        self.trace.note("in", &[node as u64, end as u64, octets.len() as u64]);
        self.model.octets_in(&mut self.trace, node, end, &octets, now.as_nanos());
        if let Some(relay) = self.relay(node, shard) {
            relay.handle_data(id, octets.into(), now);
        }
        // The core's contract: outputs and touched links before the next input.
        self.pump(node, shard);
        self.ready(Task::Read(end));
        self.ready(Task::Write(wire * 2 + 1 - side));
    }

    fn act_out(&mut self, node: usize, shard: u16, output: Output) {
        let start = self.nodes[node].start;
        match output {
            Output::Dial { link, to, .. } => {
                self.stats.add(Count::Dial);
                let n = &self.nodes[node];
                let slow = if n.resolver_slow > self.now { 8000 } else { 60 };
                let wait = self.dice.between(0, slow) * MILLI;
                self.at(wait, What::Dialled { node, start, shard, link, to });
            }
            Output::LookUp { link, ticket, user, .. } => {
                self.stats.add(Count::LookUp);
                let slow = if self.nodes[node].store_slow > self.now { 9000 } else { 40 };
                let wait = self.dice.between(0, slow) * MILLI;
                self.at(wait, What::Account { node, start, shard, link, ticket, user });
            }
            Output::Release { .. } => self.nodes[node].leases -= 1,
            Output::Close { link, reason } => self.close_link(node, shard, link, reason),
            Output::Move { link, to, state } => {
                self.stats.add(Count::Move);
                if let Some(end) = self.nodes[node].links.remove(&(shard, link.as_u64())) {
                    self.end_mut(end).plug = Plug::Moving { node };
                    self.trace.note("move", &[node as u64, shard.into(), to.into(), end as u64]);
                    self.post(node, shard, to, Carried::Link(end, state));
                    if std::mem::take(&mut self.nodes[node].cut_moving) {
                        self.stats.add(Count::CutMoving);
                        self.reset(end / 2);
                    }
                }
            }
            Output::Post { to, parcel } => {
                self.stats.add(Count::Parcel);
                self.trace.note("post", &[node as u64, shard.into(), to.into()]);
                self.trace.say(|| format!("    {parcel:?}"));
                self.post(node, shard, to, Carried::Parcel(parcel));
            }
            Output::Event(Event::Anchor { shard, anchor, news }) => self.anchor_news(node, shard, anchor, news),
            Output::Event(Event::LinkClosed { reason, .. }) => {
                self.trace.say(|| format!("    relay {node} closes a link: {}", reason.word()));
                if reason == CloseReason::Bug {
                    self.model.fail(crate::model::Rule::Books, format!("relay {node} found a bug in itself"));
                }
            }
            Output::Event(_) => {}
        }
    }

    fn close_link(&mut self, node: usize, shard: u16, id: LinkId, reason: CloseReason) {
        let Some(end) = self.nodes[node].links.remove(&(shard, id.as_u64())) else { return };
        self.trace.note("close", &[node as u64, end as u64]);
        self.trace.say(|| format!("    for {}", reason.word()));
        let now = self.node_now(node).as_nanos();
        self.model.link_closed(node, end, now);
        let (wire, side) = (end / 2, end % 2);
        let w = &mut self.wires[wire];
        w.ends[side].plug = Plug::Gone;
        w.ends[side].batch.clear();
        w.pipes[side].clear();
        w.pipes[1 - side].fin = true;
        self.ready(Task::Read(wire * 2 + 1 - side));
    }

    // ---- between shards

    fn post(&mut self, node: usize, from: u16, to: u16, carried: Carried) {
        let wait = self.dice.between(0, self.shape.mail_delay) * 1000;
        let n = &mut self.nodes[node];
        let due = (self.now + wait).max(n.mail_stalled);
        let queue = usize::from(from) * usize::from(n.settings.shards) + usize::from(to);
        let mail = &mut n.mail[queue];
        let due = mail.queue.back().map_or(due, |(last, _)| due.max(*last));
        mail.queue.push_back((due, carried));
        let start = n.start;
        self.at(due - self.now, What::Mail { node, start, queue });
    }

    pub fn deliver_mail(&mut self, node: usize, queue: usize) {
        let now = self.node_now(node);
        let n = &mut self.nodes[node];
        let shards = usize::from(n.settings.shards);
        let (from, to) = ((queue / shards) as u16, (queue % shards) as u16);
        let at = self.now;
        let Some((_, carried)) = n.mail[queue].queue.pop_front_if(|(due, _)| *due <= at) else { return };
        match carried {
            Carried::Parcel(parcel) => n.shards[usize::from(to)].handle_parcel(from, *parcel, now),
            Carried::Link(end, state) => {
                let id = n.shards[usize::from(to)].handle_adopt(state, now);
                self.trace.note("adopt", &[node as u64, to.into(), end as u64]);
                if self.end_mut(end).plug == (Plug::Moving { node }) {
                    self.nodes[node].links.insert((to, id.as_u64()), end);
                    let e = self.end_mut(end);
                    e.plug = Plug::Link { node, shard: to, id };
                    (e.reading, e.unread_since) = (true, None);
                    self.model.reading(node, end, true, now.as_nanos());
                    self.ready(Task::Read(end));
                } else {
                    // It broke on its way.
                    self.nodes[node].shards[usize::from(to)].handle_lost(id, now);
                }
            }
        }
        self.ready(Task::Shard(node, to));
    }

    // ---- surroundings

    /// The credential store has an answer.
    pub fn answer_account(&mut self, node: usize, shard: u16, link: LinkId, ticket: u64, user: &str) {
        let now = self.node_now(node);
        let down = self.nodes[node].store_down > self.now;
        let answer = if down {
            self.stats.add(Count::StoreFailure);
            let limited = self.dice.one_in(3);
            Err(if limited { LookUpFailure::RateLimited } else { LookUpFailure::Unavailable })
        } else if user.starts_with("nobody") {
            Ok(None)
        } else {
            self.nodes[node].leases += 1;
            let ha1 = Ha1::from_password(user, &self.nodes[node].host, PASSWORD);
            Ok(Some(Account { ha1, relay: true, lease: true }))
        };
        if let Some(relay) = self.relay(node, shard) {
            relay.handle_account(link, ticket, answer, now);
        }
        self.ready(Task::Shard(node, shard));
    }

    /// A connection that a relay wants is made, or is not.
    pub fn answer_dial(&mut self, node: usize, shard: u16, link: LinkId, to: &Dial) {
        let now = self.node_now(node);
        self.ready(Task::Shard(node, shard));
        if !self.relay(node, shard).is_some_and(|r| r.has_link(link)) {
            return;
        }
        match self.called(node, to) {
            Ok((other, kind)) => {
                let plug = Plug::Link { node, shard, id: link };
                let wire = self.join(plug, other);
                self.nodes[node].links.insert((shard, link.as_u64()), wire * 2);
                self.model.link_opened(node, wire * 2, kind, true, now.as_nanos());
                let relay = if let LinkKind::Peer { .. } = kind { Some(identity(&to.host)) } else { None };
                let (own_kind, peer) = (relay.is_some(), SocketAddr::from(([198, 51, 100, 9], 2855)));
                match other {
                    Plug::Link { node: there, shard: at, id } => {
                        self.nodes[there].links.insert((at, id.as_u64()), wire * 2 + 1);
                        let then = self.node_now(there).as_nanos();
                        let kind = LinkKind::Peer { node, bulk: to.bulk };
                        self.model.link_opened(there, wire * 2 + 1, kind, false, then);
                        self.ready(Task::Shard(there, at));
                    }
                    Plug::Conn(conn) => self.conns[conn].end = wire * 2 + 1,
                    Plug::Moving { .. } | Plug::Gone => {}
                }
                if let Some(r) = self.relay(node, shard) {
                    r.handle_dialled(link, peer, relay, own_kind, None, now);
                }
            }
            Err(failure) => {
                self.stats.add(Count::DialFailure);
                if let Some(r) = self.relay(node, shard) {
                    r.handle_dial_failed(link, failure, now);
                }
            }
        }
    }

    /// Who answers a call.
    fn called(&mut self, from: usize, to: &Dial) -> Result<(Plug, LinkKind), DialFailure> {
        if self.nodes[from].resolver_down > self.now {
            return Err(self.dice.pick(&[DialFailure::Unresolvable, DialFailure::Timeout, DialFailure::Tls]));
        }
        if let Some(there) = self.nodes.iter().position(|n| n.host == to.host) {
            let n = &self.nodes[there];
            if !n.up || n.frozen_until > self.now {
                return Err(DialFailure::Connect);
            }
            let name = self.nodes[from].host.clone();
            let mut meta = self.meta(there);
            (meta.relay, meta.own_kind, meta.bulk) = (Some(Arc::new(identity(&name))), true, to.bulk);
            let shard = self.dice.below(self.nodes[there].shards.len()) as u16;
            let now = self.node_now(there);
            let id = self.nodes[there].shards[usize::from(shard)].handle_accepted(meta, now);
            if to.bulk {
                self.stats.add(Count::BulkLink);
            }
            return Ok((Plug::Link { node: there, shard, id }, LinkKind::Peer { node: there, bulk: to.bulk }));
        }
        let person = self.people.iter().position(|p| p.host == to.host && p.listens && p.online);
        let person = person.ok_or(DialFailure::Connect)?;
        let conn = self.new_conn(person);
        Ok((Plug::Conn(conn), LinkKind::Person(person)))
    }

    /// What a relay knows of a connection that was accepted.
    pub fn meta(&mut self, node: usize) -> Meta {
        self.ports += 1;
        Meta {
            peer: Some(SocketAddr::from(([192, 0, 2, 7], self.ports))),
            secure: true,
            auth: true,
            local: Arc::new(self.nodes[node].settings.authorities[0].clone()),
            relay: None,
            own_kind: false,
            bulk: false,
            fingerprints: None,
        }
    }
}
