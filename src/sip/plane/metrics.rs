//! What the control plane counts, gathered once a second for the exporter.

use std::sync::Arc;

use crate::observe::{Observer, SETUP_BOUNDS_MS, SipSnapshot};
use crate::sip::b2bua::{B2bua, CallEvent, CallRecord};
use crate::sip::framing::Fault;
use crate::sip::transport::{Counts, Loss};

/// Counts events, and copies what others count.
pub(super) struct Metrics {
    snapshot: SipSnapshot,
    transport: Arc<Counts>,
}

impl Metrics {
    pub(super) fn new(transport: Arc<Counts>) -> Metrics {
        let mut snapshot = SipSnapshot::default();
        for outcome in ["answered", "rejected", "refused", "cancelled", "timeout", "negotiation"] {
            snapshot.outcomes.insert(outcome, 0);
        }
        Metrics { snapshot, transport }
    }

    /// Counts an event.
    pub(super) fn event(&mut self, event: &CallEvent) {
        match event {
            CallEvent::Began | CallEvent::Stray(_) => {}
            CallEvent::Refused { status } => *self.snapshot.refused.entry(code(*status)).or_default() += 1,
            CallEvent::Answered { setup } => {
                *self.snapshot.outcomes.entry("answered").or_default() += 1;
                let millis = u64::try_from(setup.as_millis()).unwrap_or(u64::MAX);
                self.snapshot.setup.observe(&SETUP_BOUNDS_MS, millis);
            }
            CallEvent::Negotiated { anchored, passed } => {
                self.snapshot.lines[0] += *anchored as u64;
                self.snapshot.lines[1] += *passed as u64;
            }
            CallEvent::Ended(record) => self.ended(record),
        }
    }

    fn ended(&mut self, record: &CallRecord) {
        let cause = record.cause.word();
        match record.duration {
            Some(_) => *self.snapshot.ended.entry((cause, record.by.word())).or_default() += 1,
            None => *self.snapshot.outcomes.entry(cause).or_default() += 1,
        }
    }

    /// Gives everything to the exporter.
    pub(super) fn copy(&mut self, b2bua: &B2bua, observer: &Observer) {
        let (transactions, transport, snapshot) = (b2bua.transactions(), &self.transport, &mut self.snapshot);
        let counts = transactions.counts();
        snapshot.calls = b2bua.calls();
        snapshot.dialogs = b2bua.dialogs();
        snapshot.anchors = b2bua.anchors();
        snapshot.timers = b2bua.timers();
        snapshot.transactions = [transactions.clients(), transactions.servers()];
        snapshot.retransmissions = [counts.repeated, counts.absorbed];
        snapshot.timeouts = counts.timeouts;
        snapshot.stray = [
            ("full", counts.refused),
            ("merged", counts.merged),
            ("foreign", counts.foreign),
            ("unmatched", counts.stray),
        ]
        .into();
        snapshot.messages = [transport.received(), transport.sent()];
        snapshot.faults = Fault::ALL.map(|fault| (fault.word(), transport.faults(fault))).into();
        snapshot.lost = Loss::ALL.map(|loss| (loss.word(), transport.losses(loss))).into();
        observer.sip(snapshot);
    }
}

/// A status code as a label: those that we give ourselves.
fn code(status: u16) -> &'static str {
    match status {
        400 => "400",
        401 => "401",
        403 => "403",
        404 => "404",
        405 => "405",
        407 => "407",
        413 => "413",
        415 => "415",
        420 => "420",
        422 => "422",
        480 => "480",
        481 => "481",
        482 => "482",
        483 => "483",
        488 => "488",
        500 => "500",
        502 => "502",
        503 => "503",
        504 => "504",
        _ => "other",
    }
}
