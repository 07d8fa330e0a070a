//! What the configuration means to the core: plain values, swapped whole at a reload.

use std::collections::HashMap;
use std::time::Duration;

use super::policy::EgressPolicy;
use crate::auth::Algorithm;
use crate::msrp;

/// One of the names under which this relay is addressed: what a listener advertises (RFC 4976 section 6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// `msrps` for a TLS listener, `msrp` for a plain one.
    pub scheme: msrp::Scheme,
    /// Host name or IP literal without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// What we know of a configured peer relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Largest chunk toward it in octets; `None` leaves the choice to us (64 KiB for our own kind).
    pub max_chunk: Option<u64>,
    /// Many sessions share one link. `false` opens a link per session (IOP-36).
    pub multiplex: bool,
    /// A large message may move to a bulk link of its own.
    pub bulk: bool,
}

/// Rules of AUTH (RFC 4976 sections 5.1, 6.3 and 9.1).
#[derive(Clone, Debug)]
pub struct AuthRules {
    /// Offered algorithms, strongest first.
    pub algorithms: Vec<Algorithm>,
    /// Also accept digests whose A2 names the method `MSRP` (IOP-13).
    pub msrp_method: bool,
    /// A token whose client named no Expires dies at its expiry even while its session is in use (IOP-14).
    pub expire_live_sessions: bool,
    /// Shortest token life granted, in whole seconds.
    pub min_expires: u64,
    /// Token life without an Expires header, in whole seconds.
    pub default_expires: u64,
    /// Longest token life granted, in whole seconds.
    pub max_expires: u64,
    /// Longest wait for a credential store.
    pub lookup_timeout: Duration,
    /// How long a nonce may be answered.
    pub nonce_lifetime: Duration,
}

/// Bounds of queues, maps, rates and waiting times; the defaults are those of `config/chappe.toml`.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Tokens one link may own.
    pub tokens_per_connection: usize,
    /// SENDs of one session that await an answer; more get 413.
    pub transactions_per_session: usize,
    /// The same for all sessions of a link from a peer relay.
    pub transactions_per_relay_link: usize,
    /// End-to-end requests of one link whose response is awaited.
    pub reverse_map_per_connection: usize,
    /// Message-IDs of one session that are refused since their failure.
    pub poisoned_per_session: usize,
    /// Leading To-Path URIs that may be our own.
    pub internal_hops: usize,
    /// REPORTs made by us, per session and second; more are put together.
    pub reports_per_second: u32,
    /// Octets buffered for one session and direction.
    pub session_buffer: usize,
    /// Octets buffered on behalf of one link from a peer relay.
    pub link_buffer: usize,
    /// Octets of responses and REPORTs waiting on one link.
    pub response_queue: usize,
    /// How long the beginning of a chunk waits for its end before it leaves.
    pub hold: Duration,
    /// A sender that pauses inside a chunk frees the link after this.
    pub stall_interrupt: Duration,
    /// Time to the first successful request.
    pub probation: Duration,
    /// Failed requests in probation that close the link.
    pub probation_failures: u32,
    /// Malformed requests in a minute that close the link.
    pub bad_requests_per_minute: u32,
    /// Time for a start line and its headers.
    pub header_timeout: Duration,
    /// Longest pause inside an incoming chunk.
    pub chunk_stall: Duration,
    /// Longest time without an octet written to a socket that has work.
    pub write_stall: Duration,
    /// Longest time a queued chunk waits without progress.
    pub queue_stall: Duration,
    /// A link of a peer relay whose receiver makes no progress for this long gets 413 once its buffer is full.
    pub overflow_patience: Duration,
    /// Time for the answer of a next hop (RFC 4975 section 7.1.1: 30 s).
    pub transaction: Duration,
    /// Life of the way back of an end-to-end request.
    pub reverse_map: Duration,
    /// How long a failed Message-ID stays refused.
    pub poison: Duration,
    /// After the first failed part of a chunk, how long the other parts are waited for.
    pub report_grace: Duration,
    /// Unused link with a session in the past or none.
    pub idle: Duration,
    /// Unused link of a far side.
    pub idle_foreign: Duration,
    /// Largest message in octets; larger ones get 413. `None` is unbounded.
    pub max_message: Option<u64>,
    /// Octets of the buffers that plaintext is read into: a slice under a quarter of it is copied out when it stays.
    pub read_buffer: usize,
    /// Parcels on the way to another shard; more stop the link that posts.
    pub mailbox: usize,
    /// Anchors of this shard; more are refused.
    pub anchors: usize,
    /// A reserved anchor whose legs do not both have their answer by then is given up.
    pub anchor_reserve: Duration,
    /// How long a request waits for the answer or the link of the other leg.
    pub anchor_hold: Duration,
    /// Time for a leg's link after its answer.
    pub anchor_media: Duration,
    /// Time for a new offer after a leg's link was lost.
    pub anchor_rebuild: Duration,
    /// How long a replaced URI stays good for what is under way.
    pub anchor_overlap: Duration,
    /// Time for what was accepted before a BYE to leave.
    pub anchor_drain: Duration,
    /// Octets in buffers of this shard above which new sessions are refused (80 %) and stalled links closed (90 %).
    /// Zero is no ceiling.
    pub memory_ceiling: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let s = Duration::from_secs;
        Limits {
            tokens_per_connection: 64,
            transactions_per_session: 4096,
            transactions_per_relay_link: 65_536,
            reverse_map_per_connection: 16,
            poisoned_per_session: 64,
            internal_hops: 4,
            reports_per_second: 50,
            session_buffer: 256 << 10,
            link_buffer: 8 << 20,
            response_queue: 1 << 20,
            hold: Duration::from_millis(10),
            stall_interrupt: Duration::from_millis(50),
            probation: s(30),
            probation_failures: 3,
            bad_requests_per_minute: 20,
            header_timeout: s(30),
            chunk_stall: s(60),
            write_stall: s(60),
            queue_stall: s(120),
            overflow_patience: s(5),
            transaction: s(30),
            reverse_map: s(60),
            poison: s(60),
            report_grace: s(2),
            idle: s(3600),
            idle_foreign: s(300),
            max_message: None,
            read_buffer: 64 << 10,
            mailbox: 4096,
            anchors: 65_536,
            anchor_reserve: s(180),
            anchor_hold: s(10),
            anchor_media: s(60),
            anchor_rebuild: s(32),
            anchor_overlap: s(30),
            anchor_drain: s(2),
            memory_ceiling: 0,
        }
    }
}

/// Everything the core is told by the configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host of the URIs handed out.
    pub hostname: String,
    /// Digest realm.
    pub realm: String,
    /// Which process of a farm this is.
    pub node: u16,
    /// Which start of that process this is: tokens of another are unknown.
    pub generation: u32,
    /// Number of shards.
    pub shards: u16,
    /// All names of this relay.
    pub authorities: Vec<Authority>,
    /// Unknown methods are forwarded (RFC 4976 section 6.4.2); otherwise 501.
    pub forward_unknown_methods: bool,
    /// Methods answered with 501.
    pub blocked_methods: Vec<String>,
    /// Only multipart/signed content passes, else 415 (RFC 4976 section 9.4).
    pub require_signed: bool,
    /// A chunk whose sender vanished ends with `#`; `false` ends it with `+` (AMB-64).
    pub abort_lost: bool,
    /// Largest chunk toward a next hop of unknown make, in octets (IOP-23).
    pub max_chunk: u64,
    /// Largest chunk toward a relay of our own kind, in octets.
    pub max_chunk_own_kind: u64,
    /// Configured peer relays by lower-case dNSName.
    pub peers: HashMap<String, Peer>,
    /// Rules of AUTH.
    pub auth: AuthRules,
    /// Bounds.
    pub limits: Limits,
    /// Bounds of frames.
    pub wire: msrp::Limits,
    /// Where from-owner traffic may go.
    pub policy: EgressPolicy,
}

impl Settings {
    /// Settings of a relay of this name with everything else at its default.
    pub fn new(hostname: &str) -> Settings {
        Settings {
            hostname: hostname.to_owned(),
            realm: hostname.to_owned(),
            node: 0,
            generation: 0,
            shards: 1,
            authorities: Vec::new(),
            forward_unknown_methods: true,
            blocked_methods: Vec::new(),
            require_signed: false,
            abort_lost: true,
            max_chunk: 10_000,
            max_chunk_own_kind: 64 << 10,
            peers: HashMap::new(),
            auth: AuthRules {
                algorithms: vec![Algorithm::Md5],
                msrp_method: false,
                expire_live_sessions: false,
                min_expires: 60,
                default_expires: 1800,
                max_expires: 7200,
                lookup_timeout: Duration::from_secs(5),
                nonce_lifetime: crate::auth::NONCE_LIFETIME,
            },
            limits: Limits::default(),
            wire: msrp::Limits::default(),
            policy: EgressPolicy::default(),
        }
    }
}
