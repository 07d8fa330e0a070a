//! Anchors whose news are lost: shards are asked now and then which of ours they do not have, and what is not there twice is over.

use std::collections::HashSet;
use std::time::Duration;

use super::event::{CallEvent, Cause};
use super::media::AnchorRef;
use super::{B2bua, Output};
use crate::moment::Moment;

/// Between two questions: news that are under way have come by the next one.
const EVERY: Duration = Duration::from_secs(30);

/// What is known of strays.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// When to ask; not at all while there is nothing to ask for.
    next: Option<Moment>,
    /// Not found the last time.
    missed: HashSet<AnchorRef>,
}

impl Strays {
    pub(super) fn next(&self) -> Option<Moment> {
        self.next
    }
}

impl B2bua {
    /// There is an anchor to be heard of.
    pub(super) fn await_news(&mut self, now: Moment) {
        self.strays.next.get_or_insert(now + EVERY);
    }

    /// Asks for all anchors, if it is time.
    pub(super) fn look_for_strays(&mut self, now: Moment) {
        if self.strays.next.is_none_or(|at| now < at) {
            return;
        }
        self.strays.next = (!self.anchors.is_empty()).then_some(now + EVERY);
        if self.anchors.is_empty() {
            return self.strays.missed.clear();
        }
        self.outputs.push_back(Output::Find { anchors: self.anchors.keys().copied().collect() });
    }

    /// The answer to [`Output::Find`]: those that are not there.
    pub fn not_found(&mut self, anchors: Vec<AnchorRef>, now: Moment) {
        let missed = std::mem::take(&mut self.strays.missed);
        for at in anchors {
            if !missed.contains(&at) {
                self.strays.missed.insert(at);
            } else if let Some(key) = self.anchors.remove(&at) {
                self.tell(CallEvent::Stray(at));
                self.anchor_failed(key, at, Cause::Operator, true, now);
            }
        }
        self.work(now);
    }
}
