//! SENDs that left on a link and await an answer (RFC 4976 sections 6.4.1 and 6.4.3).
//!
//! All wait equally long, so two queues in order of sending do for timers. While we ourselves do not read the link, its
//! answers cannot reach us: its clock stands still.

use std::collections::VecDeque;
use std::time::Duration;

use hashbrown::HashMap;

use super::pending::PendingId;
use crate::moment::Moment;
use crate::msrp::{FailureReport, Tid};

/// A frozen clock runs on after this, if not one octet drained meanwhile.
const LONGEST_FREEZE: Duration = Duration::from_secs(60);
/// Failure-Report `partial` keeps this many records for error answers; the oldest is forgotten first.
const PARTIAL_RING: usize = 4096;

/// One part that left or is leaving.
pub(super) struct Transaction {
    pub(super) pending: PendingId,
    pub(super) first: u64,
    /// One behind the last octet; grows while an open part is written.
    pub(super) behind: u64,
    /// The end-line was handed out.
    pub(super) complete: bool,
    failure_report: FailureReport,
}

/// Transactions of one link.
#[derive(Default)]
pub(super) struct Transactions {
    live: HashMap<Tid, Transaction, foldhash::fast::FixedState>,
    /// Sent at (on the link's own clock), oldest first.
    timed: VecDeque<(Moment, Tid)>,
    partial: VecDeque<(Moment, Tid)>,
    frozen_at: Option<Moment>,
    frozen_before: Duration,
}

impl Transactions {
    pub(super) fn begin(&mut self, tid: Tid, pending: PendingId, first: u64, failure_report: FailureReport) {
        self.live.insert(tid, Transaction { pending, first, behind: first, complete: false, failure_report });
    }

    /// The part has all its octets, up to but not including `behind`.
    pub(super) fn complete(&mut self, tid: &Tid, behind: u64) {
        if let Some(t) = self.live.get_mut(tid) {
            t.behind = behind;
            t.complete = true;
        }
    }

    /// The last octet of the part has left: its time runs. Returns a record that had to be forgotten for it.
    pub(super) fn sent(&mut self, tid: Tid, now: Moment) -> Option<Transaction> {
        let report = self.live.get(&tid)?.failure_report;
        let at = self.clock(now);
        if report != FailureReport::Partial {
            self.timed.push_back((at, tid));
            return None;
        }
        self.partial.push_back((at, tid));
        if self.partial.len() <= PARTIAL_RING {
            return None;
        }
        let (_, oldest) = self.partial.pop_front()?;
        self.live.remove(&oldest)
    }

    pub(super) fn get(&self, tid: &Tid) -> Option<&Transaction> {
        self.live.get(tid)
    }

    pub(super) fn remove(&mut self, tid: &Tid) -> Option<Transaction> {
        self.live.remove(tid)
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// The link's own clock, which stands still while frozen.
    fn clock(&self, now: Moment) -> Moment {
        let frozen = self.frozen_at.map_or(Duration::ZERO, |at| now.since(at).min(LONGEST_FREEZE));
        now - self.frozen_before - frozen
    }

    pub(super) fn freeze(&mut self, now: Moment) {
        self.frozen_at.get_or_insert(now);
    }

    pub(super) fn thaw(&mut self, now: Moment) {
        if let Some(at) = self.frozen_at.take() {
            self.frozen_before += now.since(at).min(LONGEST_FREEZE);
        }
    }

    /// When to look again, in real time.
    pub(super) fn deadline(&mut self, wait: Duration, now: Moment) -> Option<Moment> {
        let live = &self.live;
        for queue in [&mut self.timed, &mut self.partial] {
            while queue.front().is_some_and(|(_, tid)| !live.contains_key(tid)) {
                queue.pop_front();
            }
        }
        let first = match (self.timed.front(), self.partial.front()) {
            (Some(a), Some(b)) => a.0.min(b.0),
            (Some(a), None) | (None, Some(a)) => a.0,
            (None, None) => return None,
        };
        let left = (first + wait).since(self.clock(now));
        // While frozen, look again when the freeze must end.
        Some(self.frozen_at.map_or(now, |at| now.max(at + LONGEST_FREEZE)) + left)
    }

    /// Takes out one transaction whose time is over, and whether its silence is a failure.
    pub(super) fn expired(&mut self, wait: Duration, now: Moment) -> Option<(Transaction, bool)> {
        let clock = self.clock(now);
        for (queue, failure) in [(&mut self.timed, true), (&mut self.partial, false)] {
            while let Some((at, tid)) = queue.front().copied() {
                if at + wait > clock {
                    break;
                }
                queue.pop_front();
                if let Some(t) = self.live.remove(&tid) {
                    return Some((t, failure));
                }
            }
        }
        None
    }

    #[cfg(test)]
    pub(super) fn live(&self) -> impl Iterator<Item = &Transaction> {
        self.live.values()
    }

    /// All that is left, when the link is gone.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Transaction> + '_ {
        self.timed.clear();
        self.partial.clear();
        self.live.drain().map(|(_, t)| t)
    }
}
