//! Deadlines of a shard: one live entry per link or session, never one per message.
//!
//! An owner remembers the earliest deadline it has armed and arms again only for an earlier one. When its entry
//! fires it looks at everything it waits for and arms once for the next. Entries that were overtaken fire in vain.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::link::LinkId;
use super::session::TokenId;
use crate::moment::Moment;
use crate::slack::Slack;

/// Whose deadline it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Owner {
    Link(LinkId),
    Session(TokenId),
    Failing(super::pending::PendingId),
    Anchor(super::anchor::AnchorId),
}

/// The deadlines of one shard.
#[derive(Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<(Moment, Owner)>>,
}

impl Timers {
    pub(super) fn arm(&mut self, at: Moment, owner: Owner) {
        self.heap.push(Reverse((at, owner)));
    }

    /// Takes out the entries that no owner counts on any more, if there are more than `most` in all, and gives back the room
    /// that a busy time has needed. Else the deadlines of all that has come and gone would stay until they pass.
    pub(super) fn shrink(&mut self, most: usize, counts: impl Fn(Moment, Owner) -> bool) {
        if self.heap.len() > most {
            self.heap.retain(|Reverse((at, owner))| counts(*at, *owner));
        }
        self.heap.give_back();
    }

    /// The next deadline, if any.
    pub(super) fn next(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// Deadlines that are armed, overtaken ones too.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// Takes out one deadline that is due.
    pub(super) fn due(&mut self, now: Moment) -> Option<Owner> {
        let Reverse((at, _)) = self.heap.peek()?;
        if *at > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, owner))| owner)
    }
}
