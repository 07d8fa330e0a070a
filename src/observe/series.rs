//! The list of what is exported: each series with its name, its HELP and the cell it comes from.

use std::time::Duration;

use super::exposition::Exposition;
use super::metrics::{Exporter, Family, Word};
use crate::control::Snapshot;
use crate::relay::{
    AUTH_OUTCOMES, AnchorNews, Buckets, CodeCounts, Counts, DEPTH_BOUNDS, Event, FRAME_KINDS, LATENCY_BOUNDS_US,
    REFUSAL_KINDS, SessionEnd,
};

const BUILD_INFO: Family = ("chappe_build_info", "Always 1; the label names the version.");
const START_TIME: Family = ("chappe_start_time_seconds", "Start of the process in seconds since 1970.");
pub(super) const SHARDS_ANSWERING: Family =
    ("chappe_shards_answering", "1 if all shards answered when last asked; if 0, the other series may be old.");
pub(super) const LINES_LOST: Family =
    ("chappe_lines_lost_total", "Log lines and session records lost: queue full, or writing failed.");

pub(super) const ALLOCATED: Family = (
    "chappe_allocated_octets",
    "Memory in use: allocated and not freed, outside the kernel; without what threads keep at hand.",
);
pub(super) const HEAP_RESIDENT: Family = (
    "chappe_heap_resident_octets",
    "Memory in pages that the allocator holds, with its own books and what it keeps for later.",
);

const FRAMES: Family = ("chappe_frames_total", "MSRP frames by kind, direction and transport.");
const FRAME_OCTETS: Family =
    ("chappe_frame_octets_total", "Octets of heads and bodies of MSRP frames by kind, direction and transport.");
const OCTETS: Family = ("chappe_octets_total", "Octets of MSRP (inside TLS) by transport and direction.");
const RESPONSES: Family = ("chappe_responses_total", "Responses by code: made here, or received from next hops.");
const REPORTS: Family = ("chappe_reports_total", "REPORTs by the code of their Status: made here, or passed on.");
const REFUSALS: Family = ("chappe_refusals_total", "Requests refused by reason.");
const AUTHS: Family = ("chappe_auth_total", "AUTH requests by outcome.");
const LINKS_OPENED: Family = ("chappe_links_opened_total", "Connections by who made them.");
const LINKS_CLOSED: Family = ("chappe_links_closed_total", "Connections that ended by reason.");
const SESSIONS_ENDED: Family = ("chappe_sessions_ended_total", "Sessions that ended by reason.");
const AUTH_FAILURES: Family = ("chappe_auth_failures_total", "AUTH requests with wrong credentials, as logged.");
const BANS: Family = ("chappe_bans_total", "Addresses shut out for a while because they guessed passwords.");
const IMPOSTORS: Family = ("chappe_impostors_total", "Requests in which a peer relay named another relay as itself.");
const HANDSHAKES: Family = ("chappe_tls_handshakes_total", "TLS handshakes by outcome.");
const REFUSED: Family = ("chappe_connections_refused_total", "Connections refused at once by reason.");
const DIALS: Family = ("chappe_dials_total", "Outgoing connections by outcome.");
const SYSTEM_CALLS: Family = ("chappe_system_calls_total", "System calls on MSRP sockets.");

const LINKS: Family = ("chappe_links", "MSRP connections now.");
const SESSIONS: Family = ("chappe_sessions", "Sessions (tokens) now.");
const DEADLINES: Family = ("chappe_deadlines", "Timers that are armed now, some of them for what has gone.");
const PENDING: Family = ("chappe_pending_sends", "SENDs whose fate is open now.");
const BUFFERED: Family = ("chappe_buffered_octets", "Memory in buffers now.");
const CPU: Family = ("chappe_shard_cpu_seconds_total", "CPU time of each shard's thread.");
const LATENCY: Family =
    ("chappe_forward_latency_seconds", "From the arrival of a chunk's head to the hand-over of its last octet.");
const DEPTH: Family = ("chappe_queue_depth_octets", "Octets queued for a next hop when a chunk joins them.");

const ANCHORS: Family = ("chappe_anchors", "Anchored sessions now.");
const ANCHOR_NEWS: Family = ("chappe_anchor_news_total", "What anchored sessions told their dialogs.");

type Cell = fn(&Counts) -> u64;

/// Counters without labels.
const PLAIN: [(Family, Cell); 13] = [
    (("chappe_tokens_issued_total", "Tokens handed out by AUTH."), |c| c.sessions_started),
    (("chappe_reports_dropped_total", "REPORTs that had no previous hop any more."), |c| c.reports_dropped),
    (("chappe_responses_unmatched_total", "Responses that matched no request."), |c| c.responses_unmatched),
    (("chappe_unanswerable_total", "Requests skipped because nobody could be answered."), |c| c.unanswerable),
    (("chappe_parts_cut_total", "Chunks cut in parts."), |c| c.parts_cut),
    (("chappe_interruptions_total", "Parts interrupted for other work."), |c| c.interruptions),
    (("chappe_aborts_total", "Chunks ended with # by this relay."), |c| c.aborts),
    (("chappe_end_lines_in_bodies_total", "Bodies that held the end-line chosen for them."), |c| c.end_lines_in_bodies),
    (("chappe_keep_alives_total", "SENDs without a body, as clients send to keep a link alive."), |c| c.keep_alives),
    (("chappe_heartbeats_total", "SENDs whose content is a heartbeat."), |c| c.heartbeats),
    (("chappe_links_moved_total", "Links moved to another shard."), |c| c.links_moved),
    (("chappe_bulk_switches_total", "Sessions that changed between a shared and a bulk link to a peer relay."), |c| {
        c.bulk_switches
    }),
    (("chappe_parcels_total", "Parcels to other shards."), |c| c.parcels),
];

/// What is known when the process starts.
pub(super) fn begin(to: &Exporter, started: Duration) {
    to.gauge(BUILD_INFO, &[("version", env!("CARGO_PKG_VERSION").into())], 1.0);
    to.gauge(START_TIME, &[], started.as_secs_f64());
    for end in [
        SessionEnd::Expired,
        SessionEnd::OwnerGone,
        SessionEnd::Operator,
        SessionEnd::Drained,
        SessionEnd::Bye,
        SessionEnd::Cancelled,
    ] {
        to.counter(SESSIONS_ENDED, &[("reason", end.word().into())], 0);
    }
    to.counter(AUTH_FAILURES, &[], 0);
    to.counter(BANS, &[], 0);
    to.counter(IMPOSTORS, &[], 0);
    to.describe(LINKS_CLOSED);
    to.describe(ANCHOR_NEWS);
}

/// The counter that an event raises.
pub(super) fn of_event(event: &Event) -> (Family, Option<(&'static str, Word)>) {
    match event {
        Event::SessionEnded(record) => (SESSIONS_ENDED, Some(("reason", record.end.word().into()))),
        Event::LinkClosed { reason, .. } => (LINKS_CLOSED, Some(("reason", reason.word().into()))),
        Event::AuthFailed { .. } => (AUTH_FAILURES, None),
        Event::Banned { .. } => (BANS, None),
        Event::Impostor { .. } => (IMPOSTORS, None),
        Event::Anchor { news: AnchorNews::Ended(record), .. } => {
            (SESSIONS_ENDED, Some(("reason", record.end.word().into())))
        }
        Event::Anchor { news, .. } => (ANCHOR_NEWS, Some(("what", news.word().into()))),
    }
}

/// Copies all that the recorder can hold.
pub(super) fn copy(to: &Exporter, shards: &[Snapshot]) {
    traffic(to, shards);
    outcomes(to, shards);
    sockets(to, shards);
    now(to, shards);
    for (family, cell) in PLAIN {
        to.counter(family, &[], sum(shards, |s| cell(&s.counts)));
    }
}

/// Writes what the recorder cannot hold.
pub(super) fn expose(to: &mut Exposition, shards: &[Snapshot]) {
    to.seconds(CPU, shards.iter().map(|s| (s.shard, s.io.cpu_nanos)));
    let latency = together(shards.iter().map(|s| &s.counts.forward_latency));
    to.histogram(LATENCY, &LATENCY_BOUNDS_US, 1e6, &latency);
    let depth = together(shards.iter().map(|s| &s.counts.queue_depth));
    to.histogram(DEPTH, &DEPTH_BOUNDS, 1.0, &depth);
}

/// Plain links first, as the core counts.
const TRANSPORTS: [&str; 2] = ["tcp", "tls"];

fn traffic(to: &Exporter, shards: &[Snapshot]) {
    for (i, kind) in FRAME_KINDS.into_iter().enumerate() {
        for (t, transport) in TRANSPORTS.into_iter().enumerate() {
            let labels = |direction: &'static str| {
                [("kind", kind.into()), ("direction", direction.into()), ("transport", transport.into())]
            };
            to.counter(FRAMES, &labels("in"), sum(shards, |s| s.counts.frames_in[i][t]));
            to.counter(FRAMES, &labels("out"), sum(shards, |s| s.counts.frames_out[i][t]));
            to.counter(FRAME_OCTETS, &labels("in"), sum(shards, |s| s.counts.frame_octets_in[i][t]));
            to.counter(FRAME_OCTETS, &labels("out"), sum(shards, |s| s.counts.frame_octets_out[i][t]));
        }
    }
    for (i, transport) in TRANSPORTS.into_iter().enumerate() {
        let labels = |direction: &'static str| [("transport", transport.into()), ("direction", direction.into())];
        to.counter(OCTETS, &labels("in"), sum(shards, |s| s.counts.octets_in[i]));
        to.counter(OCTETS, &labels("out"), sum(shards, |s| s.counts.octets_out[i]));
    }
}

fn outcomes(to: &Exporter, shards: &[Snapshot]) {
    let by_code = |family, rest: &[(&'static str, Word)], cells: fn(&Counts) -> &CodeCounts| {
        for (i, (code, _)) in CodeCounts::default().iter().enumerate() {
            let labels: Vec<_> = rest.iter().copied().chain([("code", code.into())]).collect();
            let cell = |s: &Snapshot| cells(&s.counts).iter().nth(i).map_or(0, |(_, count)| count);
            to.counter(family, &labels, sum(shards, cell));
        }
    };
    by_code(RESPONSES, &[("origin", "made".into())], |c| &c.responses_made);
    by_code(RESPONSES, &[("origin", "received".into())], |c| &c.responses_received);
    by_code(REPORTS, &[("origin", "made".into())], |c| &c.reports_made);
    by_code(REPORTS, &[("origin", "passed".into())], |c| &c.reports_passed);
    by_word(to, REFUSALS, "reason", REFUSAL_KINDS, shards, |s| s.counts.refusals);
    by_word(to, AUTHS, "outcome", AUTH_OUTCOMES, shards, |s| s.counts.auth);
    by_word(to, LINKS_OPENED, "side", ["accepted", "dialled"], shards, |s| s.counts.links_opened);
}

fn sockets(to: &Exporter, shards: &[Snapshot]) {
    by_word(to, HANDSHAKES, "outcome", ["full", "resumed", "failed"], shards, |s| {
        [s.io.handshakes[0], s.io.handshakes[1], s.io.handshake_failures]
    });
    by_word(to, REFUSED, "reason", ["address_limit", "total_limit", "shortage", "banned"], shards, |s| {
        s.io.refused_connections
    });
    by_word(to, DIALS, "outcome", ["made", "failed"], shards, |s| s.io.dials);
    by_word(to, SYSTEM_CALLS, "call", ["read", "write", "poll", "submit"], shards, |s| {
        [s.io.reads, s.io.writes, s.io.polls, s.io.submits]
    });
}

fn now(to: &Exporter, shards: &[Snapshot]) {
    for s in shards {
        let shard = [("shard", Word::Shard(s.shard))];
        to.gauge(LINKS, &shard, s.links as f64);
        to.gauge(SESSIONS, &shard, s.sessions as f64);
        to.gauge(ANCHORS, &shard, s.anchors as f64);
        to.gauge(DEADLINES, &shard, s.deadlines as f64);
        to.gauge(PENDING, &shard, s.pending as f64);
        to.gauge(BUFFERED, &shard, s.buffered as f64);
    }
}

/// One series for each word of a list whose cells stand in the same order.
fn by_word<const N: usize>(
    to: &Exporter,
    family: Family,
    label: &'static str,
    words: [&'static str; N],
    shards: &[Snapshot],
    cells: fn(&Snapshot) -> [u64; N],
) {
    for (i, word) in words.into_iter().enumerate() {
        to.counter(family, &[(label, word.into())], sum(shards, |s| cells(s)[i]));
    }
}

fn sum(shards: &[Snapshot], cell: impl Fn(&Snapshot) -> u64) -> u64 {
    shards.iter().map(cell).sum()
}

fn together<'a, const N: usize>(all: impl Iterator<Item = &'a Buckets<N>>) -> Buckets<N> {
    let mut together = Buckets::default();
    for buckets in all {
        together.sum += buckets.sum;
        for (cell, count) in together.counts.iter_mut().zip(&buckets.counts) {
            *cell += count;
        }
    }
    together
}
