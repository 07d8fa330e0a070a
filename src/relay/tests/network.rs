//! Relays, clients and far ends in one process and virtual time.
//!
//! A [`Wire`] joins two plugs; each plug is a link of some shard or a scripted [`End`]. Octets that a plug has written lie
//! in the other plug's socket until that one reads. The network keeps the contract of the core: after each input all
//! outputs and touched links are drained, and once everything is quiet each shard settles.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::end::{Answer, End};
use crate::auth::Ha1;
use crate::moment::Moment;
use crate::relay::{
    Account, Authority, CloseReason, Dial, DialFailure, Event, LinkId, LookUpFailure, Meta, Output, Relay,
    RelayIdentity, Settings, Transmit,
};

/// Which relay, which of its shards.
pub(super) type At = (usize, u16);

/// What one end of a wire is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plug {
    Link(At, LinkId),
    End(usize),
    Gone,
}

struct Side {
    plug: Plug,
    /// Octets that wait to be read by this side.
    socket: VecDeque<u8>,
    /// A batch of this side of which the socket has not taken everything.
    batch: VecDeque<u8>,
}

struct Wire {
    sides: [Side; 2],
}

/// A relay with its shards.
pub(super) struct Node {
    pub(super) shards: Vec<Relay>,
    pub(super) settings: Arc<Settings>,
}

/// Who answers under a name.
enum Listener {
    Relay(At),
    Ends { answer: Answer, accepted: Vec<usize> },
}

/// Everything at once.
pub(super) struct Network {
    pub(super) now: Moment,
    pub(super) nodes: Vec<Node>,
    pub(super) ends: Vec<End>,
    wires: Vec<Wire>,
    listeners: HashMap<(String, Option<u16>), Listener>,
    /// User, realm and password, permission, lease.
    pub(super) accounts: HashMap<String, Account>,
    /// Octets that a socket holds.
    pub(super) window: usize,
    /// Octets that a relay reads at once.
    pub(super) read: usize,
    /// Look-ups are kept instead of answered.
    pub(super) hold_look_ups: bool,
    pub(super) look_ups: Vec<(At, LinkId, u64, String)>,
    /// Of each look-up ever, whether its link had a session.
    pub(super) in_session: Vec<bool>,
    /// Dials are kept instead of answered.
    pub(super) hold_dials: bool,
    pub(super) dials: Vec<(At, LinkId, Dial)>,
    /// All dials ever.
    pub(super) dialled: Vec<Dial>,
    pub(super) released: Vec<String>,
    pub(super) closed: Vec<CloseReason>,
    pub(super) events: Vec<Event>,
    /// Leases given minus leases returned.
    pub(super) leases: i64,
    /// Of the certificate that far ends show.
    pub(super) shown: Option<Arc<[crate::sdp::Fingerprint]>>,
    next_port: u16,
}

impl Network {
    pub(super) fn new() -> Network {
        Network {
            now: Moment::from_nanos(1_000_000_000_000),
            nodes: Vec::new(),
            ends: Vec::new(),
            wires: Vec::new(),
            listeners: HashMap::new(),
            accounts: HashMap::new(),
            window: 64 << 10,
            read: 64 << 10,
            hold_look_ups: false,
            look_ups: Vec::new(),
            in_session: Vec::new(),
            hold_dials: false,
            dials: Vec::new(),
            dialled: Vec::new(),
            released: Vec::new(),
            closed: Vec::new(),
            events: Vec::new(),
            leases: 0,
            shown: None,
            next_port: 20_000,
        }
    }

    // ---- building

    /// Settings of a relay that is reached under `host:2855` by TLS and `host:2856` without.
    pub(super) fn settings(host: &str) -> Settings {
        let mut settings = Settings::new(host);
        for (scheme, port) in [(crate::msrp::Scheme::Msrps, 2855), (crate::msrp::Scheme::Msrp, 2856)] {
            settings.authorities.push(Authority { scheme, host: host.to_owned(), port });
        }
        settings
    }

    pub(super) fn relay(&mut self, settings: Settings) -> usize {
        let at = self.nodes.len();
        let settings = Arc::new(settings);
        for a in &settings.authorities {
            self.listeners.insert((a.host.clone(), Some(a.port)), Listener::Relay((at, 0)));
        }
        self.listeners.insert((settings.hostname.clone(), None), Listener::Relay((at, 0)));
        let shards = (0..settings.shards)
            .map(|shard| Relay::new(settings.clone(), shard, [at as u8 * 16 + shard as u8; 32]))
            .collect();
        self.nodes.push(Node { shards, settings });
        at
    }

    pub(super) fn account(&mut self, user: &str, realm: &str, password: &str) {
        let account = Account { ha1: Ha1::from_password(user, realm, password), relay: true, lease: true };
        self.accounts.insert(user.to_owned(), account);
    }

    /// Far ends that answer under a name.
    pub(super) fn listen(&mut self, host: &str, port: u16, answer: Answer) {
        self.listeners.insert((host.to_owned(), Some(port)), Listener::Ends { answer, accepted: Vec::new() });
    }

    /// The ends that connections to a name have made, in order.
    pub(super) fn accepted(&self, host: &str, port: u16) -> Vec<usize> {
        match self.listeners.get(&(host.to_owned(), Some(port))) {
            Some(Listener::Ends { accepted, .. }) => accepted.clone(),
            _ => Vec::new(),
        }
    }

    pub(super) fn meta(&mut self, at: At, secure: bool) -> Meta {
        self.next_port += 1;
        let local = self.nodes[at.0].settings.authorities[usize::from(!secure)].clone();
        Meta {
            peer: Some(SocketAddr::from(([192, 0, 2, 7], self.next_port))),
            secure,
            auth: secure,
            local: Arc::new(local),
            relay: None,
            own_kind: false,
            bulk: false,
            fingerprints: None,
        }
    }

    /// A client that connects by TLS.
    pub(super) fn client(&mut self, relay: usize) -> usize {
        let meta = self.meta((relay, 0), true);
        self.connect((relay, 0), meta)
    }

    /// An end that plays a peer relay.
    pub(super) fn peer_relay(&mut self, relay: usize, name: &str) -> usize {
        let mut meta = self.meta((relay, 0), true);
        meta.relay = Some(Arc::new(identity(name)));
        self.connect((relay, 0), meta)
    }

    pub(super) fn connect(&mut self, at: At, meta: Meta) -> usize {
        let link = self.nodes[at.0].shards[usize::from(at.1)].handle_accepted(meta, self.now);
        let end = self.end(Answer::Ok);
        self.join(Plug::End(end), Plug::Link(at, link));
        end
    }

    fn end(&mut self, answer: Answer) -> usize {
        self.ends.push(End::new(answer));
        self.ends.len() - 1
    }

    pub(super) fn join(&mut self, a: Plug, b: Plug) {
        let side = |plug| Side { plug, socket: VecDeque::new(), batch: VecDeque::new() };
        self.wires.push(Wire { sides: [side(a), side(b)] });
    }

    /// The link at the other end of an end's connection.
    pub(super) fn link_of(&self, end: usize) -> Option<(At, LinkId)> {
        self.wires.iter().find_map(|w| match (w.sides[0].plug, w.sides[1].plug) {
            (Plug::End(e), Plug::Link(at, link)) | (Plug::Link(at, link), Plug::End(e)) if e == end => Some((at, link)),
            _ => None,
        })
    }

    // ---- acting

    /// An end writes, and everything that follows at once happens.
    pub(super) fn write(&mut self, end: usize, octets: impl AsRef<[u8]>) {
        self.ends[end].output.extend_from_slice(octets.as_ref());
        self.run();
    }

    /// An end stops or goes on reading.
    pub(super) fn read(&mut self, end: usize, reading: bool) {
        self.ends[end].reading = reading;
        self.run();
    }

    /// An end's connection breaks.
    pub(super) fn lose(&mut self, end: usize) {
        self.run();
        if let Some((at, link)) = self.link_of(end) {
            self.unplug(Plug::Link(at, link));
            let now = self.now;
            self.shard(at).handle_lost(link, now);
        }
        self.run();
    }

    /// An end finishes its direction.
    pub(super) fn finish(&mut self, end: usize) {
        self.run();
        if let Some((at, link)) = self.link_of(end) {
            let now = self.now;
            self.shard(at).handle_eof(link, now);
        }
        self.run();
    }

    pub(super) fn shard(&mut self, at: At) -> &mut Relay {
        &mut self.nodes[at.0].shards[usize::from(at.1)]
    }

    fn unplug(&mut self, plug: Plug) {
        for wire in &mut self.wires {
            if wire.sides.iter().any(|s| s.plug == plug) {
                for side in &mut wire.sides {
                    if let Plug::End(end) = side.plug {
                        self.ends[end].closed = true;
                    }
                }
            }
        }
        // Octets that the relay had written before it closed still arrive.
        for i in 0..self.wires.len() {
            if self.wires[i].sides.iter().any(|s| s.plug == plug) {
                self.deliver_rest(i, plug);
            }
        }
    }

    /// What a plug has written before it went still arrives at the other side.
    fn deliver_rest(&mut self, wire: usize, gone: Plug) {
        let now = self.now;
        for i in 0..2 {
            let side = &mut self.wires[wire].sides[i];
            let octets: Vec<u8> = side.socket.drain(..).collect();
            match std::mem::replace(&mut side.plug, Plug::Gone) {
                Plug::End(end) if self.ends[end].reading => self.ends[end].receive(&octets),
                Plug::Link(at, link) if Plug::Link(at, link) != gone => {
                    self.shard(at).handle_data(link, Bytes::from(octets), now);
                    self.shard(at).handle_lost(link, now);
                }
                _ => {}
            }
        }
    }

    /// Lets time pass, deadline by deadline.
    pub(super) fn advance(&mut self, time: Duration) {
        let until = self.now + time;
        let mut rounds_at_once = 0;
        loop {
            self.run();
            let next = self.nodes.iter().flat_map(|n| &n.shards).filter_map(Relay::poll_timeout).min();
            let Some(next) = next.filter(|at| *at <= until) else { break };
            rounds_at_once = if next > self.now { 0 } else { rounds_at_once + 1 };
            assert!(rounds_at_once < 4, "a deadline is armed in the past again and again");
            self.now = self.now.max(next);
            let now = self.now;
            for shard in self.nodes.iter_mut().flat_map(|n| &mut n.shards) {
                shard.handle_timeout(now);
            }
        }
        self.now = until;
    }

    pub(super) fn seconds(&mut self, n: u64) {
        self.advance(Duration::from_secs(n));
    }

    pub(super) fn millis(&mut self, n: u64) {
        self.advance(Duration::from_millis(n));
    }

    /// Everything that can happen now.
    pub(super) fn run(&mut self) {
        for _ in 0..1_000_000 {
            let mut quiet = true;
            for wire in 0..self.wires.len() {
                for side in 0..2 {
                    quiet &= !self.fill_socket(wire, side);
                    quiet &= !self.drain_socket(wire, side);
                }
            }
            for node in 0..self.nodes.len() {
                for shard in 0..self.nodes[node].shards.len() {
                    quiet &= !self.drain_outputs((node, shard as u16));
                }
            }
            if quiet {
                let now = self.now;
                for shard in self.nodes.iter_mut().flat_map(|n| &mut n.shards) {
                    shard.settle(now);
                    shard.check();
                }
                return;
            }
        }
        panic!("the network never comes to rest");
    }

    /// Moves what a side has to write into the other side's socket.
    fn fill_socket(&mut self, wire: usize, side: usize) -> bool {
        let now = self.now;
        if let Plug::End(end) = self.wires[wire].sides[side].plug {
            let output = std::mem::take(&mut self.ends[end].output);
            self.wires[wire].sides[1 - side].socket.extend(&output);
            return !output.is_empty();
        }
        let room = self.window.saturating_sub(self.wires[wire].sides[1 - side].socket.len());
        let from = &mut self.wires[wire].sides[side];
        let n = room.min(from.batch.len());
        if n == 0 {
            return false;
        }
        let octets: Vec<u8> = from.batch.drain(..n).collect();
        let plug = from.plug;
        self.wires[wire].sides[1 - side].socket.extend(octets);
        if let Plug::Link(at, link) = plug {
            self.shard(at).handle_written(link, n, now);
        }
        true
    }

    /// A side reads.
    fn drain_socket(&mut self, wire: usize, side: usize) -> bool {
        let (now, read) = (self.now, self.read);
        let plug = self.wires[wire].sides[side].plug;
        let socket = &mut self.wires[wire].sides[side].socket;
        if socket.is_empty() {
            return false;
        }
        match plug {
            Plug::End(end) if self.ends[end].reading => {
                let octets: Vec<u8> = socket.drain(..).collect();
                self.ends[end].receive(&octets);
                true
            }
            Plug::Link(at, link) => {
                if !self.shard(at).wants_input(link) {
                    return false;
                }
                let socket = &mut self.wires[wire].sides[side].socket;
                let n = read.min(socket.len());
                let octets: Vec<u8> = socket.drain(..n).collect();
                self.shard(at).handle_data(link, Bytes::from(octets), now);
                true
            }
            _ => false,
        }
    }

    fn drain_outputs(&mut self, at: At) -> bool {
        let now = self.now;
        let mut acted = false;
        while let Some(output) = self.shard(at).poll_output() {
            acted = true;
            self.act(at, output);
        }
        let mut transmit = Transmit::default();
        while let Some(link) = self.shard(at).poll_touched(now) {
            // Even without octets: a link that has nothing left to write may end, and that is an output.
            acted = true;
            self.shard(at).poll_transmit(link, 16 << 10, now, &mut transmit);
            if transmit.octets == 0 {
                continue;
            }
            let octets = transmit.to_vec();
            assert_eq!(octets.len(), transmit.octets);
            if let Some(side) = self.side_of(Plug::Link(at, link)) {
                assert!(side.batch.is_empty(), "one batch at a time");
                side.batch.extend(octets);
            }
        }
        acted
    }

    fn side_of(&mut self, plug: Plug) -> Option<&mut Side> {
        self.wires.iter_mut().flat_map(|w| &mut w.sides).find(|s| s.plug == plug)
    }

    fn act(&mut self, at: At, output: Output) {
        let now = self.now;
        match output {
            Output::Dial { link, to, .. } => {
                self.dialled.push(to.clone());
                self.dials.push((at, link, to));
                if !self.hold_dials {
                    self.answer_dials();
                }
            }
            Output::LookUp { link, ticket, user, in_session, .. } => {
                self.in_session.push(in_session);
                self.look_ups.push((at, link, ticket, user));
                if !self.hold_look_ups {
                    self.answer_look_ups();
                }
            }
            Output::Release { user } => {
                self.leases -= 1;
                self.released.push(user.to_string());
            }
            Output::Close { link, reason } => {
                self.closed.push(reason);
                self.unplug(Plug::Link(at, link));
            }
            Output::Move { link, to, state } => {
                let there = (at.0, to);
                let new = self.shard(there).handle_adopt(state, now);
                if let Some(side) = self.side_of(Plug::Link(at, link)) {
                    side.plug = Plug::Link(there, new);
                }
            }
            Output::Post { to, parcel } => self.shard((at.0, to)).handle_parcel(at.1, *parcel, now),
            Output::Event(event) => self.events.push(event),
        }
    }

    pub(super) fn answer_look_ups(&mut self) {
        for (at, link, ticket, user) in std::mem::take(&mut self.look_ups) {
            let account = self.accounts.get(&user).cloned();
            self.leases += i64::from(account.as_ref().is_some_and(|a| a.lease));
            let now = self.now;
            self.shard(at).handle_account(link, ticket, Ok(account), now);
        }
    }

    pub(super) fn fail_look_ups(&mut self, failure: LookUpFailure) {
        for (at, link, ticket, _) in std::mem::take(&mut self.look_ups) {
            let now = self.now;
            self.shard(at).handle_account(link, ticket, Err(failure), now);
        }
        self.run();
    }

    pub(super) fn answer_dials(&mut self) {
        for (at, link, dial) in std::mem::take(&mut self.dials) {
            let now = self.now;
            let peer = SocketAddr::from(([198, 51, 100, 9], dial.port.unwrap_or(2855)));
            let name = self.nodes[at.0].settings.hostname.clone();
            match self.listeners.get(&(dial.host.clone(), dial.port)) {
                Some(Listener::Relay(there)) => {
                    let there = *there;
                    let mut meta = self.meta(there, dial.secure);
                    let mutual = dial.secure && self.nodes[there.0].settings.peers.contains_key(&name);
                    meta.relay = mutual.then(|| Arc::new(identity(&name)));
                    meta.own_kind = mutual;
                    let other = self.shard(there).handle_accepted(meta, now);
                    self.join(Plug::Link(at, link), Plug::Link(there, other));
                    let relay = (dial.peer && dial.secure).then(|| identity(&dial.host));
                    let own_kind = relay.is_some();
                    self.shard(at).handle_dialled(link, peer, relay, own_kind, None, now);
                }
                Some(Listener::Ends { answer, .. }) => {
                    let (end, dialled) = (self.end(*answer), dial.clone());
                    if let Some(Listener::Ends { accepted, .. }) = self.listeners.get_mut(&(dial.host, dial.port)) {
                        accepted.push(end);
                    }
                    self.join(Plug::End(end), Plug::Link(at, link));
                    let shown = self.shown.clone().filter(|_| dialled.secure);
                    self.shard(at).handle_dialled(link, peer, None, false, shown, now);
                }
                None => self.fail_dial(at, link, DialFailure::Connect),
            }
        }
    }

    pub(super) fn fail_dial(&mut self, at: At, link: LinkId, failure: DialFailure) {
        let now = self.now;
        self.shard(at).handle_dial_failed(link, failure, now);
    }
}

pub(super) fn identity(name: &str) -> RelayIdentity {
    RelayIdentity { name: name.into(), dns_names: vec![name.to_owned()] }
}
