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
use crate::planted::{Bug, on};

/// A frozen clock runs on after this, if not one octet drained meanwhile.
const LONGEST_FREEZE: Duration = Duration::from_secs(60);
/// After a pause of at least this, what has waited in the socket is read before a silence counts.
const CATCH_UP: Duration = Duration::from_secs(1);
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
    /// Live ones that count against the cap: not those of `partial`.
    awaited: usize,
    frozen_at: Option<Moment>,
    frozen_before: Duration,
    /// No silence counts before this.
    catching_up: Moment,
}

impl Transactions {
    /// Gives back the room that a busy time has needed.
    pub(super) fn rest(&mut self) {
        // Answered ones stay in the queues until others are sent; here none may be.
        let live = &self.live;
        self.timed.retain(|(_, tid)| live.contains_key(tid));
        self.partial.retain(|(_, tid)| live.contains_key(tid));
        self.live.shrink_to_fit();
        self.timed.shrink_to_fit();
        self.partial.shrink_to_fit();
    }

    pub(super) fn begin(&mut self, tid: Tid, pending: PendingId, first: u64, failure_report: FailureReport) {
        self.awaited += usize::from(failure_report == FailureReport::Yes);
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
        let Transactions { live, timed, partial, .. } = self;
        let queue = if report == FailureReport::Partial { &mut *partial } else { &mut *timed };
        // Those that were answered are dropped here, so that a queue is not much longer than what is awaited.
        while queue.front().is_some_and(|(_, tid)| !live.contains_key(tid)) {
            queue.pop_front();
        }
        if queue.len() >= 2 * live.len() + 64 {
            queue.retain(|(_, tid)| live.contains_key(tid));
        }
        queue.push_back((at, tid));
        if partial.len() <= PARTIAL_RING {
            return None;
        }
        let (_, oldest) = partial.pop_front()?;
        self.remove(&oldest)
    }

    pub(super) fn get(&self, tid: &Tid) -> Option<&Transaction> {
        self.live.get(tid)
    }

    pub(super) fn remove(&mut self, tid: &Tid) -> Option<Transaction> {
        let gone = self.live.remove(tid)?;
        self.awaited -= usize::from(gone.failure_report == FailureReport::Yes);
        Some(gone)
    }

    /// Those that count against the cap of the link.
    pub(super) fn awaited(&self) -> usize {
        self.awaited
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
        if on(Bug::TimerNotFrozen) {
            return;
        }
        self.frozen_at.get_or_insert(now);
    }

    pub(super) fn thaw(&mut self, now: Moment) {
        if let Some(at) = self.frozen_at.take() {
            let pause = now.since(at);
            self.frozen_before += pause.min(LONGEST_FREEZE);
            if pause >= CATCH_UP {
                self.catching_up = now + CATCH_UP;
            }
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
        let at = self.frozen_at.map_or(now, |at| now.max(at + LONGEST_FREEZE)) + left;
        Some(at.max(self.catching_up))
    }

    /// Takes out one transaction whose time is over, and whether its silence is a failure.
    pub(super) fn expired(&mut self, wait: Duration, now: Moment) -> Option<(Transaction, bool)> {
        if now < self.catching_up {
            return None;
        }
        let clock = self.clock(now);
        let mut over = None;
        let (yes, partial) = (!on(Bug::LostTimeout), on(Bug::PartialTimeout));
        for (queue, failure) in [(&mut self.timed, yes), (&mut self.partial, partial)] {
            while let Some((at, tid)) = queue.front().copied() {
                if at + wait > clock {
                    break;
                }
                queue.pop_front();
                if self.live.contains_key(&tid) {
                    over = Some((tid, failure));
                    break;
                }
            }
            if over.is_some() {
                break;
            }
        }
        let (tid, failure) = over?;
        self.remove(&tid).map(|t| (t, failure))
    }

    /// Whether this is so of any.
    pub(super) fn any(&self, which: impl FnMut(&Transaction) -> bool) -> bool {
        self.live.values().any(which)
    }

    /// Takes out those that this says.
    pub(super) fn take_where(&mut self, mut which: impl FnMut(&Transaction) -> bool) -> Vec<Transaction> {
        let tids: Vec<Tid> = self.live.iter().filter(|(_, t)| which(t)).map(|(tid, _)| *tid).collect();
        tids.iter().filter_map(|tid| self.remove(tid)).collect()
    }

    /// All of them.
    pub(super) fn live(&self) -> impl Iterator<Item = &Transaction> {
        self.live.values()
    }

    /// All that is left, when the link is gone: in order of sending, what has not left completely last.
    pub(super) fn drain(&mut self) -> Vec<Transaction> {
        self.awaited = 0;
        let sent = self.timed.drain(..).chain(self.partial.drain(..));
        let mut all: Vec<_> = sent.filter_map(|(_, tid)| self.live.remove(&tid)).collect();
        all.extend(self.live.drain().map(|(_, t)| t));
        all
    }
}
