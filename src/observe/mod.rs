//! What operators see: metrics, log lines and session records, made from the counters and events of the core.
//!
//! ```text
//! Snapshot ──────────> metrics (series -> exposition) ──> text for Prometheus
//! Event ──> Observer ─> metrics: what only events tell
//!                    ├> events: one log line each ──────> log ────┐
//!                    └> records: one JSON line a session ─────────┴> spool ─> a thread that may block
//! ```
//!
//! Shards call [`Observer::event`] themselves, so nothing here waits: lines that a slow disk or terminal does not take in
//! time are dropped and counted. Labels are words from fixed lists; no token, credential or body gets this far.

use std::sync::Arc;

use crate::relay::{Event, SessionRecord};

mod events;
mod exposition;
#[cfg(test)]
mod fail2ban;
pub mod log;
mod metrics;
mod records;
pub(crate) mod rfc3339;
mod series;
mod sip;
mod spool;
pub(crate) mod throttle;

pub use self::events::log_event;
pub use self::log::{Flush, LogError, LogHandle};
pub use self::metrics::Exporter;
pub use self::records::{CallOfSession, RecordWriter};
pub use self::sip::{SETUP_BOUNDS_MS, SipSnapshot};
pub use self::spool::Losses;

/// Everything an event goes to. Cheap to clone, one for each shard.
#[derive(Clone)]
pub struct Observer {
    exporter: Arc<Exporter>,
    records: Arc<RecordWriter>,
}

impl Observer {
    /// An observer that counts in `exporter` and writes session records to `records`.
    pub fn new(exporter: Arc<Exporter>, records: Arc<RecordWriter>) -> Observer {
        Observer { exporter, records }
    }

    /// Counts, logs and records one event of the core. Never waits.
    pub fn event(&self, event: &Event) {
        self.exporter.event(event);
        log_event(event);
        if let Event::SessionEnded(record) = event {
            self.records.write(record, None);
        }
    }

    /// Records an anchored session, with what the control plane knows of its call. Never waits.
    pub fn anchor_ended(&self, record: &SessionRecord, call: Option<&CallOfSession>) {
        self.records.write(record, call);
    }

    /// Takes over the counters of the control plane.
    pub fn sip(&self, plane: &SipSnapshot) {
        self.exporter.update_sip(plane);
    }
}
