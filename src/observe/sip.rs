//! The series of the control plane.

use std::collections::BTreeMap;

use super::exposition::Exposition;
use super::metrics::{Exporter, Family};
use crate::relay::Buckets;

/// Upper bounds of the set-up times, in milliseconds; one bucket more is beyond.
pub const SETUP_BOUNDS_MS: [u64; 12] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

pub(super) const RUNNING: Family =
    ("chappe_sip_running", "1 if the control plane runs; if 0, it has failed: sessions go on, no call begins or ends.");
const CALLS: Family = ("chappe_sip_calls", "Calls now.");
const DIALOGS: Family = ("chappe_sip_dialogs", "SIP dialogs now, early ones too; a call has two.");
const ANCHORS: Family =
    ("chappe_sip_anchors", "Anchored sessions that calls have, or that have not told their end yet.");
const TRANSACTIONS: Family =
    ("chappe_sip_transactions", "SIP transactions now, those too that only absorb repetitions.");
const TIMERS: Family = ("chappe_sip_timers", "Calls that are woken at some time: session timers, delayed ends.");
const OUTCOMES: Family = ("chappe_sip_calls_total", "Calls by outcome of their set-up.");
const ENDED: Family = ("chappe_sip_calls_ended_total", "Answered calls that are over, by cause and by who ended them.");
const REFUSED: Family =
    ("chappe_sip_refused_total", "Requests to begin something that were refused before a call was made.");
const LINES: Family = ("chappe_sip_lines_total", "Media lines of answered calls: anchored here, or passed by.");
const RETRANSMISSIONS: Family =
    ("chappe_sip_retransmissions_total", "Messages sent again, and repetitions of others absorbed.");
const TIMEOUTS: Family = ("chappe_sip_timeouts_total", "Transactions that waited in vain.");
const STRAY: Family = (
    "chappe_sip_stray_total",
    "Responses and ACKs that belong to nothing, merged requests, and such for want of room.",
);
const MESSAGES: Family = ("chappe_sip_messages_total", "SIP messages, well-formed ones.");
const FAULTS: Family =
    ("chappe_sip_faults_total", "SIP messages that broke a rule; answered where a response is possible.");
const LOST: Family = ("chappe_sip_lost_total", "SIP messages and connections dropped by a limit or the network.");
const SETUP: Family = ("chappe_sip_setup_seconds", "From the INVITE to the 2xx of answered calls.");

/// What the control plane has counted since its start, and what it has now.
#[derive(Clone, Debug, Default)]
pub struct SipSnapshot {
    /// Calls now.
    pub calls: usize,
    /// Dialogs now.
    pub dialogs: usize,
    /// Anchors now.
    pub anchors: usize,
    /// Transactions now: ours, and those of others.
    pub transactions: [usize; 2],
    /// Timers of calls now.
    pub timers: usize,
    /// Calls by outcome.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Answered calls that are over, by cause and who.
    pub ended: BTreeMap<(&'static str, &'static str), u64>,
    /// Refused requests by status.
    pub refused: BTreeMap<&'static str, u64>,
    /// Media lines: anchored, passed by.
    pub lines: [u64; 2],
    /// Messages sent again, and absorbed.
    pub retransmissions: [u64; 2],
    /// Transactions that waited in vain.
    pub timeouts: u64,
    /// What belongs to nothing, by kind.
    pub stray: BTreeMap<&'static str, u64>,
    /// Messages in and out.
    pub messages: [u64; 2],
    /// Faults by reason.
    pub faults: BTreeMap<&'static str, u64>,
    /// Losses by reason.
    pub lost: BTreeMap<&'static str, u64>,
    /// Set-up times in milliseconds.
    pub setup: Buckets<13>,
}

pub(super) fn copy(to: &Exporter, plane: &SipSnapshot) {
    for (family, now) in
        [(CALLS, plane.calls), (DIALOGS, plane.dialogs), (ANCHORS, plane.anchors), (TIMERS, plane.timers)]
    {
        to.gauge(family, &[], now as f64);
    }
    for (kind, now) in ["client", "server"].into_iter().zip(plane.transactions) {
        to.gauge(TRANSACTIONS, &[("kind", kind.into())], now as f64);
    }
    let labelled = [
        (OUTCOMES, "outcome", &plane.outcomes),
        (REFUSED, "status", &plane.refused),
        (STRAY, "kind", &plane.stray),
        (FAULTS, "reason", &plane.faults),
        (LOST, "reason", &plane.lost),
    ];
    for (family, label, values) in labelled {
        for (word, value) in values {
            to.counter(family, &[(label, (*word).into())], *value);
        }
    }
    for ((cause, by), value) in &plane.ended {
        to.counter(ENDED, &[("cause", (*cause).into()), ("by", (*by).into())], *value);
    }
    for (mode, value) in ["anchored", "passed"].into_iter().zip(plane.lines) {
        to.counter(LINES, &[("mode", mode.into())], value);
    }
    for (what, value) in ["sent", "absorbed"].into_iter().zip(plane.retransmissions) {
        to.counter(RETRANSMISSIONS, &[("what", what.into())], value);
    }
    for (direction, value) in ["in", "out"].into_iter().zip(plane.messages) {
        to.counter(MESSAGES, &[("direction", direction.into())], value);
    }
    to.counter(TIMEOUTS, &[], plane.timeouts);
}

pub(super) fn expose(to: &mut Exposition, plane: &SipSnapshot) {
    to.histogram(SETUP, &SETUP_BOUNDS_MS, 1e3, &plane.setup);
}
