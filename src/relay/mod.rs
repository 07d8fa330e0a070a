//! The relay core: one state machine per shard, without sockets, clock, lock or async.
//!
//! A chunk's way: [`Relay::handle_data`] feeds the link's decoder (`ingress`), `route` finds the session and who may
//! use it how, `forward` answers the previous hop and feeds octets to a [`flow`], `egress` gives flows their turn when
//! [`Relay::poll_transmit`] asks for octets and cuts them into parts, `transaction` waits for answers, `response` takes them,
//! `settling` and `report` see to it that each accepted SEND ends in exactly one outcome (RFC 4976 section 6.4).
//!
//! Contract: after each `handle_*`, drain [`Relay::poll_output`] and [`Relay::poll_touched`] to their ends, then call
//! [`Relay::settle`], then wait for I/O or for [`Relay::poll_timeout`]. Every input carries `now`; the core reads no
//! clock. The same inputs and seed give the same outputs.

mod anchor;
mod arena;
mod audit;
mod authorize;
mod backpressure;
mod bulk;
mod closing;
mod egress;
mod ending;
mod event;
mod feed;
mod flow;
mod forward;
mod ingress;
mod lifecycle;
mod link;
mod outward;
mod part;
mod pending;
pub mod policy;
mod refusal;
mod report;
mod response;
mod route;
mod session;
mod settings;
mod settling;
mod shard;
mod short;
mod source;
mod timeout;
mod timer;
mod tokens;
mod transaction;
mod transit;
mod transmit;
mod turn;
mod view;
mod way;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use hashbrown::HashMap;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;

pub use anchor::{AnchorError, AnchorId, AnchorNews, AnchorWish, Connect, Expects, LegTerms, Reserved, Side};
pub use arena::Key;
pub use audit::Discrepancy;
pub use authorize::{Account, LookUpFailure};
pub use event::{
    AUTH_OUTCOMES, AuthOutcome, Buckets, CODES, Claimant, CodeCounts, Counts, DEPTH_BOUNDS, Event, FRAME_KINDS,
    LATENCY_BOUNDS_US, REFUSAL_KINDS, RefusalKind, SessionRecord,
};
pub use link::{CloseReason, Dial, DialFailure, Link, LinkId, Meta, RelayIdentity};
pub use session::{FarLink, Label, SessionEnd, Tally, TokenId};
pub use settings::{AuthRules, Authority, Limits, Peer, Settings};
pub use shard::{MovedLink, Parcel};
pub use transmit::{Span, Transmit};
pub use view::SessionView;

use crate::auth::Nonces;
use crate::moment::Moment;
use arena::Arena;
use flow::Flow;
use pending::Pending;
use session::Session;
use source::Source;
use timer::Timers;

/// Something the core wants done outside.
#[derive(Debug)]
pub enum Output {
    /// Make a connection and answer with `handle_dialled` or `handle_dial_failed`.
    Dial {
        /// The link that will have it.
        link: LinkId,
        /// Where to.
        to: Dial,
        /// In whose name: dials of a user are limited. Nobody's for a leg of an anchor, whose dialogs are.
        user: Option<Arc<str>>,
    },
    /// Ask the credential stores and answer with `handle_account`.
    LookUp {
        /// The link whose AUTH waits.
        link: LinkId,
        /// Goes back with the answer.
        ticket: u64,
        /// User name as the client wrote it.
        user: String,
        /// Address of the client, for limits.
        peer: Option<SocketAddr>,
        /// The link has a session: a ban of its address, which others may share, is not for it.
        in_session: bool,
    },
    /// Give back one token lease of this user.
    Release {
        /// Whose.
        user: Arc<str>,
    },
    /// Close this connection; all that was to be sent has been taken.
    Close {
        /// The link, which is forgotten already.
        link: LinkId,
        /// Why, for the log.
        reason: CloseReason,
    },
    /// Carry this link to another shard, with its socket and TLS state, and hand it to `handle_adopt` there.
    Move {
        /// The link, which is forgotten here.
        link: LinkId,
        /// Destination shard.
        to: u16,
        /// All that belongs to it.
        state: Box<MovedLink>,
    },
    /// Carry this to another shard, in order, and hand it to `handle_parcel` there.
    Post {
        /// Destination shard.
        to: u16,
        /// What.
        parcel: Box<Parcel>,
    },
    /// For logs and records.
    Event(Event),
}

/// The state machine of one shard.
pub struct Relay {
    settings: Arc<Settings>,
    shard: u16,
    rng: ChaCha12Rng,
    nonces: Nonces,
    opaque: String,
    links: Arena<Link>,
    sessions: HashMap<TokenId, Session, foldhash::fast::FixedState>,
    anchors: Arena<anchor::Anchor>,
    sources: Arena<Source>,
    flows: Arena<Flow>,
    pendings: Arena<Pending>,
    /// Links by where they were dialled to, for reuse (RFC 4976 section 6.5). Users choose these keys: a tree cannot be made slow.
    next_hops: BTreeMap<Dial, LinkId>,
    /// Links by verified relay name, in both directions.
    relays: HashMap<Arc<str>, Vec<LinkId>, foldhash::fast::FixedState>,
    /// Tokens whose link moved away.
    redirects: HashMap<TokenId, shard::Redirect, foldhash::fast::FixedState>,
    /// When redirects of tokens that were not made here end.
    forwarding: VecDeque<(Moment, TokenId, u32)>,
    /// Ways to sessions of other shards, by sender and token.
    abroad: HashMap<(LinkId, TokenId), Vec<session::Way>, foldhash::fast::FixedState>,
    mailboxes: Vec<shard::Mailbox>,
    /// Chunks of sources elsewhere that found no flow, until all of them has come.
    lost: HashMap<(u16, source::SourceId), shard::Lost, foldhash::fast::FixedState>,
    timers: Timers,
    outputs: VecDeque<Output>,
    touched: VecDeque<LinkId>,
    /// Links whose input may go on.
    resumable: Vec<LinkId>,
    dirty: Vec<flow::FlowId>,
    held: Vec<flow::FlowId>,
    /// Sources that have ended in this batch.
    retiring: Vec<source::SourceId>,
    /// Ended sources, kept until nothing can be said of their chunks any more.
    retired: VecDeque<(Moment, source::SourceId)>,
    next_ticket: u64,
    /// Bulk links that were asked for.
    lanes: u64,
    /// Whose account is being looked up though the AUTH has been given up.
    abandoned: HashMap<u64, Arc<str>, foldhash::fast::FixedState>,
    /// Octets in buffers.
    buffered: usize,
    /// Octets in batches that sockets have not taken yet.
    handed_out: usize,
    /// Octets of whole frames that wait on links.
    urgent: usize,
    draining: bool,
    counts: Counts,
}

impl Relay {
    /// The relay of shard `shard`; `seed` must come from the operating system's randomness outside of tests.
    pub fn new(settings: Arc<Settings>, shard: u16, seed: [u8; 32]) -> Relay {
        use rand_chacha::rand_core::RngCore;
        let mut rng = ChaCha12Rng::from_seed(seed);
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        let mut opaque = [0; 12];
        crate::msrp::random_base62(&mut rng, &mut opaque);
        let hasher =
            || foldhash::fast::FixedState::with_seed(u64::from_le_bytes(key[..8].try_into().unwrap_or_default()));
        Relay {
            nonces: Nonces::new(key, shard, 65_536),
            opaque: String::from_utf8_lossy(&opaque).into_owned(),
            mailboxes: (0..settings.shards).map(|_| shard::Mailbox::default()).collect(),
            settings,
            shard,
            links: Arena::default(),
            sessions: HashMap::with_hasher(hasher()),
            anchors: Arena::default(),
            sources: Arena::default(),
            flows: Arena::default(),
            pendings: Arena::default(),
            next_hops: BTreeMap::new(),
            relays: HashMap::with_hasher(hasher()),
            redirects: HashMap::with_hasher(hasher()),
            forwarding: VecDeque::new(),
            abroad: HashMap::with_hasher(hasher()),
            lost: HashMap::with_hasher(hasher()),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            touched: VecDeque::new(),
            resumable: Vec::new(),
            dirty: Vec::new(),
            held: Vec::new(),
            retiring: Vec::new(),
            retired: VecDeque::new(),
            next_ticket: 0,
            lanes: 0,
            abandoned: HashMap::with_hasher(hasher()),
            buffered: 0,
            handed_out: 0,
            urgent: 0,
            draining: false,
            counts: Counts::default(),
            rng,
        }
    }

    /// The next thing to be done outside.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The next link that may have octets to send or whose read interest may have changed: call
    /// [`poll_transmit`](Relay::poll_transmit) and [`wants_input`](Relay::wants_input) for it.
    pub fn poll_touched(&mut self, now: Moment) -> Option<LinkId> {
        while let Some(link) = self.resumable.pop() {
            self.resume(link, now);
        }
        let link = self.touched.pop_front()?;
        self.watch_input(link, now);
        if let Some(l) = self.links.get_mut(link) {
            l.touched = false;
        }
        Some(link)
    }

    /// When [`handle_timeout`](Relay::handle_timeout) must be called next, if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Moment> {
        let retired = self.retired.front().map(|(at, _)| *at);
        let forwarding = self.forwarding.front().map(|(at, ..)| *at);
        [self.timers.next(), retired, forwarding].into_iter().flatten().min()
    }

    /// Call at the end of each batch of inputs: what stays queued stops pinning the buffers it was read into.
    pub fn settle(&mut self, now: Moment) {
        self.retire_sources(now);
        while let Some(id) = self.held.pop() {
            self.arm_hold(id);
        }
        while let Some(id) = self.dirty.pop() {
            if let Some(flow) = self.flows.get_mut(id) {
                let before = flow.charged;
                flow.settle(self.settings.limits.read_buffer);
                self.buffered = self.buffered + flow.charged - before;
                // What stays may cost more than its octets.
                self.stop_if_full(id, now);
            }
        }
        while self.short_of_memory(90) && self.close_largest(now) {}
    }

    /// Counters since the start.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Octets in buffers, as the quotas account for them.
    pub fn buffered(&self) -> usize {
        self.buffered + self.handed_out + self.urgent
    }

    /// Number of links.
    pub fn link_count(&self) -> usize {
        self.links.len()
    }

    /// Number of sessions.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// Number of anchors.
    pub fn anchor_count(&self) -> usize {
        self.anchors.len()
    }

    /// Deadlines that are armed, some of them perhaps for what has gone.
    pub fn deadline_count(&self) -> usize {
        self.timers.len()
    }

    /// SENDs whose fate is open.
    pub fn pending_count(&self) -> usize {
        self.pendings.len()
    }

    /// New rules from now on; existing links and sessions stay, but for those of a peer relay that is not one any more.
    pub fn reconfigure(&mut self, settings: Arc<Settings>, now: Moment) {
        self.settings = settings;
        self.demote_relays(now);
        let flows: Vec<_> = self.flows.iter().map(|(id, f)| (id, f.link)).collect();
        for (id, link) in flows {
            let max_part = self.max_part(link);
            if let Some(flow) = self.flows.get_mut(id) {
                flow.max_part = max_part;
            }
        }
    }

    fn here(&self, link: LinkId) -> FarLink {
        FarLink { shard: self.shard, link }
    }

    fn touch(&mut self, link: LinkId) {
        if let Some(l) = self.links.get_mut(link)
            && !l.touched
        {
            l.touched = true;
            self.touched.push_back(link);
        }
    }

    fn arm(&mut self, link: LinkId, at: Moment) {
        if let Some(l) = self.links.get_mut(link) {
            l.look_at = l.look_at.min(at);
            self.arm_soon(link, at);
        }
    }

    /// As `arm`, for the quick clocks of egress, which need no look at everything the link waits for.
    fn arm_soon(&mut self, link: LinkId, at: Moment) {
        if let Some(l) = self.links.get_mut(link)
            && at < l.timer_at
        {
            l.timer_at = at;
            self.timers.arm(at, timer::Owner::Link(link));
        }
    }
}
