//! What happens next, and when: one entry per transaction, taken out when it is not needed any more.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Owner;
use crate::moment::Moment;

/// The next deadline of each transaction, the earliest first.
#[derive(Default)]
pub(super) struct Timers {
    entries: BTreeSet<(Moment, Owner)>,
}

impl Timers {
    /// Replaces the entry of `owner`, which is noted in `armed`.
    pub(super) fn set(&mut self, owner: Owner, armed: &mut Option<Moment>, next: Option<Moment>) {
        if *armed == next {
            return;
        }
        if let Some(at) = *armed {
            self.entries.remove(&(at, owner));
        }
        if let Some(at) = next {
            self.entries.insert((at, owner));
        }
        *armed = next;
    }

    /// The earliest deadline.
    pub(super) fn next(&self) -> Option<Moment> {
        self.entries.first().map(|(at, _)| *at)
    }

    /// Takes out one deadline that has come; its owner notes that nothing is armed.
    pub(super) fn due(&mut self, now: Moment) -> Option<Owner> {
        let (at, _) = self.entries.first()?;
        if *at > now {
            return None;
        }
        self.entries.pop_first().map(|(_, owner)| owner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// Sending again, at growing intervals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Again {
    pub(super) at: Moment,
    interval: Duration,
}

impl Again {
    /// For the first time after `interval`.
    pub(super) fn after(interval: Duration, now: Moment) -> Again {
        // Never at once: whoever does what is due would not come to an end.
        Again { at: now + interval.max(Duration::from_nanos(1)), interval }
    }

    /// After twice the last interval, but at most `longest`.
    pub(super) fn doubled(self, longest: Duration, now: Moment) -> Again {
        Again::after(self.interval.saturating_mul(2).min(longest), now)
    }
}
