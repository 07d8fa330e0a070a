//! A link: one connection and all that belongs to it, as one value that can move to another shard.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;

use super::anchor::Held;
use super::arena::Key;
use super::authorize::AuthAttempt;
use super::egress::Egress;
use super::flow::FlowId;
use super::session::{FarLink, TokenId};
use super::settings::Authority;
use super::short::Short;
use super::source::SourceId;
use super::transaction::Transactions;
use crate::moment::Moment;
use crate::msrp::{Decoder, Head, Limits as WireLimits, Tid};
use crate::sdp::Fingerprint;

/// Key of a link on its shard.
pub type LinkId = Key<Link>;

/// The verified identity of a peer relay: from its certificate, never from a header (RFC 4976 section 6.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayIdentity {
    /// The provisioned name that matched, lower case.
    pub name: Arc<str>,
    /// All dNSNames of the certificate.
    pub dns_names: Vec<String>,
}

/// What `net` knows of a connection when it is there.
#[derive(Clone, Debug)]
pub struct Meta {
    /// Address of the other end; `None` for a local endpoint.
    pub peer: Option<SocketAddr>,
    /// TLS.
    pub secure: bool,
    /// AUTH is served here: TLS, or the lab switch on a plain listener (RFC 4976 section 9.2).
    pub auth: bool,
    /// The name under which clients reach us by this listener.
    pub local: Arc<Authority>,
    /// Mutual TLS with a provisioned relay.
    pub relay: Option<Arc<RelayIdentity>>,
    /// The other end said in the handshake that it is a relay of our kind.
    pub own_kind: bool,
    /// A bulk link: it carries one session and may be paused.
    pub bulk: bool,
    /// Of the other end's certificate, if it showed one (RFC 8122 section 5).
    pub fingerprints: Option<Arc<[Fingerprint]>>,
}

/// Where a link that we dial leads.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Dial {
    /// TLS with this host as the name to verify; plain TCP otherwise.
    pub secure: bool,
    /// Host name in lower case, or IP literal.
    pub host: String,
    /// Port; `None` asks for SRV `_msrps._tcp` (AUTH targets only, RFC 4976 section 8).
    pub port: Option<u16>,
    /// A bulk link for one session alone.
    pub bulk: bool,
    /// Keeps bulk links apart, which lead to one place and are not shared; zero for any other link.
    pub lane: u64,
    /// The host is a configured peer relay.
    pub peer: bool,
    /// Instead of chain and name, the certificate must have one of these (RFC 8122 section 6.2).
    pub fingerprints: Option<Arc<[Fingerprint]>>,
}

impl Dial {
    /// The peer relay that whoever answers has to prove to be.
    pub(super) fn relay(&self) -> Option<Arc<str>> {
        (self.peer && self.secure).then(|| Arc::from(self.host.as_str()))
    }
}

/// Why a dialled link did not come to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum DialFailure {
    /// No address.
    Unresolvable,
    /// The address is not allowed by the egress policy.
    Policy,
    /// Refused or unreachable.
    Connect,
    /// Not within the connect timeout.
    Timeout,
    /// The certificate or the handshake was not acceptable.
    Tls,
    /// The user's dials are used up.
    Quota,
}

/// Why a link was or is to be closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum CloseReason {
    /// The other end finished.
    Eof,
    /// The connection broke.
    Lost,
    /// Octets that are no MSRP frame.
    Framing,
    /// No successful request in probation.
    Probation,
    /// A request for another host (RFC 4976 section 6.2).
    Misaddressed,
    /// Too many failed AUTHs.
    AuthFailures,
    /// AUTH on a connection that does not serve it.
    AuthNotServed,
    /// Too many malformed requests.
    BadRequests,
    /// A start line and headers that do not end.
    SlowHead,
    /// A chunk that does not go on.
    StalledChunk,
    /// The receiver takes nothing.
    StalledWrite,
    /// Responses pile up.
    ResponseQueue,
    /// Unused for long.
    Idle,
    /// Memory or descriptors are short.
    Shortage,
    /// The dial failed.
    DialFailed(DialFailure),
    /// An operator or a drain.
    Shutdown,
    /// It moved to another shard.
    Moved,
    /// Not the certificate that its session's SDP promised (RFC 8122 section 6.2).
    Certificate,
    /// The anchors that it served are over.
    Released,
    /// A rule of ours is broken: a bug.
    Bug,
}

impl CloseReason {
    /// Word for logs and metric labels.
    pub fn word(self) -> &'static str {
        match self {
            CloseReason::Eof => "eof",
            CloseReason::Lost => "lost",
            CloseReason::Framing => "framing",
            CloseReason::Probation => "probation",
            CloseReason::Misaddressed => "misaddressed",
            CloseReason::AuthFailures => "auth_failures",
            CloseReason::AuthNotServed => "auth_not_served",
            CloseReason::BadRequests => "bad_requests",
            CloseReason::SlowHead => "slow_head",
            CloseReason::StalledChunk => "stalled_chunk",
            CloseReason::StalledWrite => "stalled_write",
            CloseReason::ResponseQueue => "response_queue",
            CloseReason::Idle => "idle",
            CloseReason::Shortage => "shortage",
            CloseReason::DialFailed(DialFailure::Unresolvable) => "dial_unresolvable",
            CloseReason::DialFailed(DialFailure::Policy) => "dial_policy",
            CloseReason::DialFailed(DialFailure::Connect) => "dial_connect",
            CloseReason::DialFailed(DialFailure::Timeout) => "dial_timeout",
            CloseReason::DialFailed(DialFailure::Tls) => "dial_tls",
            CloseReason::DialFailed(DialFailure::Quota) => "dial_quota",
            CloseReason::Shutdown => "shutdown",
            CloseReason::Moved => "moved",
            CloseReason::Certificate => "certificate",
            CloseReason::Released => "released",
            CloseReason::Bug => "bug",
        }
    }
}

/// The frame that is arriving.
pub(super) enum Frame {
    /// Between frames.
    None,
    /// The verdict is given, its octets are dropped.
    Skip,
    /// A SEND that is forwarded as it arrives.
    Chunk { source: SourceId, serial: u32, head: Head, received: u64 },
    /// A request that is forwarded or answered when it is complete (RFC 4976 section 6.4.2).
    Whole { head: Head, body: Vec<u8>, has_body: bool, oversize: bool },
}

/// Why input of a link waits although it is there.
pub(super) enum Waiting {
    /// A credential store is asked.
    Account { ticket: u64, attempt: Box<AuthAttempt>, until: Moment },
    /// The home shard of a token is asked about this chunk; `home` if the token that it came for is at home here.
    Admission { source: SourceId, head: Head, has_body: bool, may_move: bool, home: bool, until: Moment },
    /// The other side of an anchor is not there yet, or its answer is not; `ready` when that has changed.
    Anchor { held: Box<Held>, ready: bool, until: Moment },
}

/// Way back of an end-to-end response.
pub(super) struct Reverse {
    pub(super) back: FarLink,
    pub(super) tid: Short,
    /// From-Path of the request: some relays leave it out of their own answers.
    pub(super) origin: Box<[u8]>,
    /// URIs of ours that the response gives back.
    pub(super) hops: usize,
    /// The request came from a leg of an anchor by these URIs of ours: what goes back bears them, and the origin as To-Path.
    pub(super) leg: Option<Box<[u8]>>,
    /// An AUTH with credentials: failures count against the client (RFC 4976 section 6.3).
    pub(super) credentials: bool,
    pub(super) until: Moment,
}

/// Probation of an accepted connection (RFC 4976 section 6.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Probation {
    pub(super) until: Moment,
    pub(super) failures: u32,
}

/// How a link ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// The connection is being made; its queue may already fill.
    Dialling,
    Open,
    /// No more input; what is queued goes out, then it closes.
    Flushing {
        reason: CloseReason,
        until: Moment,
    },
}

/// One connection with its decoder, egress, transactions and bindings.
pub struct Link {
    pub(super) meta: Meta,
    pub(super) phase: Phase,
    pub(super) dial: Option<Dial>,
    /// Dialled for, so that a plain far side may answer with an msrps token (AMB-19).
    pub(super) dialled: bool,
    pub(super) decoder: Decoder,
    pub(super) frame: Frame,
    pub(super) waiting: Option<Waiting>,
    /// Path lines of the last SEND that were checked: most chunks bring the same ones.
    pub(super) checked_paths: Vec<u8>,
    pub(super) egress: Egress,
    pub(super) transactions: Transactions,
    pub(super) reverse: HashMap<Tid, Reverse, foldhash::fast::FixedState>,
    /// End-to-end requests from this link that await a response.
    pub(super) reverse_from_here: usize,
    pub(super) sources: Vec<SourceId>,
    pub(super) flows: Vec<FlowId>,
    /// The flow for which this bulk link was made.
    pub(super) bulk_for: Option<FlowId>,
    pub(super) owned: Vec<TokenId>,
    /// Has had a token: no mere far side.
    pub(super) client: bool,
    pub(super) far_of: Vec<TokenId>,
    /// Of those the legs of anchors whose end has us as its relay, each with the token that it is reached by.
    pub(super) legs: Vec<(TokenId, TokenId)>,
    /// A leg of an anchor for whose other side this link has waited in vain: it does not wait again before that changes.
    pub(super) in_vain: Option<TokenId>,
    pub(super) probation: Option<Probation>,
    pub(super) auth_failures: u32,
    pub(super) challenges: u32,
    pub(super) remote_auth_failures: (u32, Moment),
    pub(super) bad_requests: (u32, Moment),
    pub(super) bad_responses: u32,
    pub(super) oversize: u32,
    /// Kind of the frame that arrives, for the counters.
    pub(super) frame_kind: usize,
    pub(super) unanswerable: u32,
    /// Flows fed by this link that are full: it is not read meanwhile.
    pub(super) full_flows: u32,
    /// Octets in flows fed by this link: counted then, and what came since.
    pub(super) fed: (Moment, usize),
    pub(super) head_since: Option<Moment>,
    pub(super) last_input: Moment,
    /// When its timer fires next.
    pub(super) timer_at: Moment,
    /// When the timer is to look at everything that the link waits for.
    pub(super) look_at: Moment,
    pub(super) eof: bool,
    pub(super) touched: bool,
    /// Read interest as `net` was last told.
    pub(super) paused: bool,
}

impl Link {
    pub(super) fn new(meta: Meta, phase: Phase, dial: Option<Dial>, wire: WireLimits, now: Moment) -> Link {
        Link {
            meta,
            phase,
            dialled: dial.is_some(),
            dial,
            decoder: Decoder::new(wire),
            frame: Frame::None,
            waiting: None,
            checked_paths: Vec::new(),
            egress: Egress::default(),
            transactions: Transactions::default(),
            reverse: HashMap::with_hasher(foldhash::fast::FixedState::default()),
            reverse_from_here: 0,
            sources: Vec::new(),
            flows: Vec::new(),
            bulk_for: None,
            owned: Vec::new(),
            client: false,
            far_of: Vec::new(),
            legs: Vec::new(),
            in_vain: None,
            probation: None,
            auth_failures: 0,
            challenges: 0,
            remote_auth_failures: (0, Moment::ZERO),
            bad_requests: (0, Moment::ZERO),
            bad_responses: 0,
            oversize: 0,
            frame_kind: 0,
            unanswerable: 0,
            full_flows: 0,
            fed: (Moment::ZERO, 0),
            head_since: None,
            last_input: now,
            timer_at: Moment::FAR,
            look_at: Moment::FAR,
            eof: false,
            touched: false,
            paused: false,
        }
    }

    /// The verified name of the peer relay, if the other end is one.
    pub(super) fn relay_name(&self) -> Option<&Arc<str>> {
        self.meta.relay.as_ref().map(|r| &r.name)
    }

    /// A link from a relay or a local endpoint that carries many sessions: never stopped for one of them.
    pub(super) fn shared(&self) -> bool {
        self.is_local() || (self.meta.relay.is_some() && !self.meta.bulk)
    }

    /// The other end lives in this process.
    pub(super) fn is_local(&self) -> bool {
        self.meta.peer.is_none() && !self.dialled
    }

    /// Whether more octets of it are wanted.
    pub(super) fn wants_input(&self, response_queue: usize) -> bool {
        self.phase == Phase::Open
            && !self.eof
            && self.waiting.is_none()
            && self.full_flows == 0
            && (self.meta.relay.is_some() || self.egress.queued_urgent() < response_queue)
    }

    /// In use by a session: as owner, as far side or with data under way.
    pub(super) fn in_session(&self) -> bool {
        !self.owned.is_empty() || !self.far_of.is_empty() || !self.flows.is_empty() || !self.sources.is_empty()
    }

    /// Another shard is asked for the way of this source.
    pub(super) fn asks_for(&self, id: SourceId) -> bool {
        matches!(&self.waiting, Some(Waiting::Admission { source, .. }) if *source == id)
    }

    /// A chunk of this source is arriving.
    pub(super) fn carries(&self, id: SourceId) -> bool {
        matches!(&self.frame, Frame::Chunk { source, .. } if *source == id)
    }

    pub(super) fn feed(&mut self, octets: Bytes, now: Moment) {
        self.last_input = now;
        self.decoder.feed(octets);
    }
}
