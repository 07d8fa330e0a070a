//! What the core tells its observers: counters it bumps in place, and rare events worth a log line or a record.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::anchor::{AnchorId, AnchorNews};
use super::link::CloseReason;
use super::session::{SessionEnd, Tally};
use crate::msrp::{Kind, Method, Status};

/// Status codes that have a counter of their own; others share one.
pub const CODES: [u16; 17] = [200, 400, 401, 403, 404, 408, 413, 415, 423, 424, 425, 428, 481, 501, 506, 299, 0];

/// A counter per status code.
#[derive(Clone, Copy, Default, Debug)]
pub struct CodeCounts([u64; CODES.len()]);

impl CodeCounts {
    pub(super) fn add(&mut self, status: Status) {
        let last = CODES.len() - 1;
        let at = CODES.iter().position(|c| *c == status.code()).unwrap_or(last);
        self.0[at] += 1;
    }

    /// Label and count of each code; the label of the rest is `other`.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        const LABELS: [&str; CODES.len()] = [
            "200", "400", "401", "403", "404", "408", "413", "415", "423", "424", "425", "428", "481", "501", "506",
            "299", "other",
        ];
        LABELS.iter().copied().zip(self.0.iter().copied())
    }
}

/// Frame kinds that are counted apart.
pub const FRAME_KINDS: [&str; 6] = ["SEND", "REPORT", "AUTH", "NICKNAME", "other", "response"];

/// Index of responses in [`FRAME_KINDS`].
pub(super) const RESPONSE: usize = 5;

pub(super) fn frame_kind(kind: Kind) -> usize {
    match kind {
        Kind::Request(Method::Send) => 0,
        Kind::Request(Method::Report) => 1,
        Kind::Request(Method::Auth) => 2,
        Kind::Request(Method::Nickname) => 3,
        Kind::Request(Method::Other) => 4,
        Kind::Response(_) => RESPONSE,
    }
}

/// Upper bounds in microseconds of the forward latency histogram; one more bucket holds the rest.
pub const LATENCY_BOUNDS_US: [u64; 12] =
    [50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000, 250_000, 1_000_000, 10_000_000];
/// Upper bounds in octets of the queue depth histogram; one more bucket holds the rest.
pub const DEPTH_BOUNDS: [u64; 8] = [0, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20];

/// A histogram with fixed bounds.
#[derive(Clone, Copy, Debug)]
pub struct Buckets<const N: usize> {
    /// Observations per bucket, not cumulative; the last one is beyond all bounds.
    pub counts: [u64; N],
    /// Sum of all observations.
    pub sum: u64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Buckets { counts: [0; N], sum: 0 }
    }
}

impl<const N: usize> Buckets<N> {
    /// Counts one, with the upper bounds of all buckets but the last.
    pub fn observe(&mut self, bounds: &[u64], value: u64) {
        let at = bounds.iter().position(|b| value <= *b).unwrap_or(bounds.len());
        self.counts[at.min(N - 1)] += 1;
        self.sum += value;
    }
}

/// Why a request was refused; the label of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum RefusalKind {
    /// For another host.
    Misaddressed,
    /// Unknown, expired or unusable token.
    NoSession,
    /// A token of an earlier start of this relay.
    OldGeneration,
    /// Another far side is bound.
    InUse,
    /// Egress or media policy.
    Policy,
    /// Malformed.
    Bad,
    /// Too many unanswered SENDs.
    TooMany,
    /// A message over its limit or a full buffer.
    TooLarge,
    /// A message that failed before.
    Poisoned,
    /// A method that is not served.
    NotImplemented,
    /// Quota or shortage.
    Quota,
    /// A relay named another relay as itself.
    Impostor,
    /// Memory is short.
    Shortage,
    /// The relay is draining.
    Draining,
    /// Not the certificate that the session's SDP promised.
    Certificate,
}

/// Labels of [`RefusalKind`] in order.
pub const REFUSAL_KINDS: [&str; 15] = [
    "misaddressed",
    "no_session",
    "old_generation",
    "in_use",
    "policy",
    "bad",
    "too_many",
    "too_large",
    "poisoned",
    "not_implemented",
    "quota",
    "impostor",
    "shortage",
    "draining",
    "certificate",
];

/// Outcomes of AUTH; the label of a metric.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum AuthOutcome {
    /// 401 without a failure.
    Challenged,
    /// A token was given.
    Granted,
    /// Wrong user or password.
    Failed,
    /// A nonce that is no longer good.
    Stale,
    /// Right password, may not use the relay, or a quota.
    Forbidden,
    /// Malformed.
    Malformed,
    /// Expires out of bounds.
    OutOfBounds,
    /// The credential store did not answer.
    StoreFailed,
}

/// Labels of [`AuthOutcome`] in order.
pub const AUTH_OUTCOMES: [&str; 8] =
    ["challenged", "granted", "failed", "stale", "forbidden", "malformed", "out_of_bounds", "store_failed"];

/// Counters of one shard: plain cells that `observe` reads each second.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    /// Frames received, by [`FRAME_KINDS`], on plain and TLS links.
    pub frames_in: [[u64; 2]; 6],
    /// Frames sent, likewise.
    pub frames_out: [[u64; 2]; 6],
    /// Octets of heads and bodies received, by [`FRAME_KINDS`], on plain and TLS links.
    pub frame_octets_in: [[u64; 2]; 6],
    /// The same, sent.
    pub frame_octets_out: [[u64; 2]; 6],
    /// Octets received on plain and TLS links (plaintext).
    pub octets_in: [u64; 2],
    /// Octets sent on plain and TLS links (plaintext).
    pub octets_out: [u64; 2],
    /// Responses we made.
    pub responses_made: CodeCounts,
    /// Responses of next hops.
    pub responses_received: CodeCounts,
    /// REPORTs we made.
    pub reports_made: CodeCounts,
    /// REPORTs of others that we passed on.
    pub reports_passed: CodeCounts,
    /// REPORTs we made that had no living previous hop.
    pub reports_dropped: u64,
    /// Responses that matched nothing.
    pub responses_unmatched: u64,
    /// Refused requests by [`REFUSAL_KINDS`].
    pub refusals: [u64; 15],
    /// AUTHs by [`AUTH_OUTCOMES`].
    pub auth: [u64; 8],
    /// Sessions begun.
    pub sessions_started: u64,
    /// Anchors reserved.
    pub anchors_reserved: u64,
    /// Links accepted and dialled.
    pub links_opened: [u64; 2],
    /// Links ended.
    pub links_closed: u64,
    /// Requests skipped because nobody could be answered.
    pub unanswerable: u64,
    /// Chunks cut in parts.
    pub parts_cut: u64,
    /// Parts interrupted with `+` for other work.
    pub interruptions: u64,
    /// Chunks ended with `#` by us.
    pub aborts: u64,
    /// Outgoing end-lines found in bodies.
    pub end_lines_in_bodies: u64,
    /// SENDs without a body.
    pub keep_alives: u64,
    /// SENDs with a heartbeat as content (IOP-3).
    pub heartbeats: u64,
    /// Flows that went over to a bulk link.
    pub bulk_switches: u64,
    /// Links moved to another shard.
    pub links_moved: u64,
    /// Parcels to other shards.
    pub parcels: u64,
    /// Time from the arrival of a chunk's head to the hand-over of its last octet, in microseconds.
    pub forward_latency: Buckets<13>,
    /// Octets queued in a flow when a chunk joins it.
    pub queue_depth: Buckets<9>,
}

/// Whose wrong credentials came from an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claimant {
    /// Whoever has that address.
    Client,
    /// Somebody behind this peer relay; its address is nobody's to ban.
    Relay(Arc<str>),
    /// Whoever wrote a datagram: its source may be forged.
    Datagram,
}

/// Something rare that an operator may want to know.
#[derive(Clone, Debug)]
pub enum Event {
    /// A session ended: its record.
    SessionEnded(Box<SessionRecord>),
    /// A link was closed.
    LinkClosed {
        /// Address of the other end.
        peer: Option<SocketAddr>,
        /// Why.
        reason: CloseReason,
        /// Verified name of a peer relay.
        relay: Option<Arc<str>>,
    },
    /// Wrong credentials (a line that fail2ban can read).
    AuthFailed {
        /// Address of the other end.
        peer: Option<SocketAddr>,
        /// Failures on this link so far.
        failures: u32,
        /// What that address says about who failed.
        from: Claimant,
    },
    /// An address guessed too often and is shut out for a while.
    Banned {
        /// The address whose failure was one too many; of IPv6 its /64 is meant.
        address: IpAddr,
        /// Failures that led to it.
        failures: u32,
        /// How long it lasts.
        time: Duration,
    },
    /// A relay's From-Path names another relay: an alarm.
    Impostor {
        /// The verified name.
        relay: Arc<str>,
        /// Its address.
        peer: Option<SocketAddr>,
    },
    /// Something of an anchored session that its dialogs must know.
    Anchor {
        /// Shard that has the anchor.
        shard: u16,
        /// The anchor there.
        anchor: AnchorId,
        /// What.
        news: AnchorNews,
    },
}

/// The life of one session, for the record file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Public name of the session (not its token).
    pub id: String,
    /// Who authenticated.
    pub user: Arc<str>,
    /// Address of the owner, if direct.
    pub owner: Option<SocketAddr>,
    /// Name of the peer relay that acts for the owner, if any.
    pub relay: Option<String>,
    /// Host of the far side, as its URI names it.
    pub far_host: Option<String>,
    /// Messages and octets.
    pub tally: Tally,
    /// From the 200 to AUTH to the end.
    pub duration: Duration,
    /// Why it ended.
    pub end: SessionEnd,
}
