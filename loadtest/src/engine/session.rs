//! A session: a caller, a callee, and what is under way between them. Both ends live in one process, so whatever arrives is
//! compared with what was sent.

use std::collections::VecDeque;

use super::links::LinkId;
use crate::{book::Time, digest::Answer, names::TRANSACTION, wire::SendHead};

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Stage {
    /// Not begun, or over.
    #[default]
    Over,
    /// The callee's link is being made.
    CalleeConnects,
    /// The callee authenticates.
    CalleeAuth,
    /// The caller's link is being made.
    CallerConnects,
    /// The caller authenticates.
    CallerAuth,
    /// Both may send.
    Ready,
}

impl Stage {
    pub(super) fn is_setting_up(self) -> bool {
        !matches!(self, Stage::Over | Stage::Ready)
    }
}

#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) stage: Stage,
    /// When its set-up began.
    pub(super) began: Time,
    pub(super) callee: Option<LinkId>,
    pub(super) caller: Option<LinkId>,
    pub(super) callee_uri: Vec<u8>,
    pub(super) caller_uri: Vec<u8>,
    /// What the relays have granted, in order of use.
    pub(super) callee_use: Vec<Vec<u8>>,
    pub(super) caller_use: Vec<Vec<u8>>,
    /// The answer to the challenge of the AUTH that is under way, and how many were given.
    pub(super) answer: Option<Answer>,
    pub(super) attempts: u32,
    /// The first URI of the caller's To-Path: who answers.
    pub(super) first_hop: Vec<u8>,
    pub(super) head: SendHead,
    /// The From-Path that the callee has to see (RFC 4976 section 6.3): the URIs passed, the last one first, and the caller.
    pub(super) from_path: Vec<u8>,
    /// The latest message that has begun to arrive, plus one, of those that cannot be overtaken.
    pub(super) arriving: u32,
    pub(super) outbox: Outbox,
    /// Waits for its turn to send.
    pub(super) queued: bool,
    /// Numbers of requests, which are not used again in another life of this place.
    pub(super) next_transaction: u32,
}

/// What the caller has under way.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Messages due and not begun: when, which kind.
    pub(super) due: VecDeque<(Time, u16)>,
    /// Messages begun and not settled, by number.
    pub(super) messages: VecDeque<Message>,
    /// The number of the next message.
    pub(super) next: u32,
    /// Messages begun since the session was set up.
    pub(super) begun: u32,
    /// The message that is being written, and how much of it has been.
    pub(super) cursor: Option<(u32, u64)>,
    /// SENDs without a response so far.
    pub(super) unanswered: VecDeque<Unanswered>,
    /// Those of them whose response must come.
    pub(super) awaited: usize,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Unanswered {
    pub(super) transaction: u32,
    pub(super) message: u32,
    /// The last SEND of its message.
    pub(super) last: bool,
    /// A response must come; if not, only a failure may.
    pub(super) required: bool,
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u16,
    pub(super) size: u64,
    /// Where its sender gives it up.
    pub(super) abort_at: Option<u64>,
    pub(super) refuse: bool,
    pub(super) due: Time,
    /// All of it has been written.
    pub(super) written: bool,
    /// SENDs whose response must come and has not.
    pub(super) unanswered: u32,
    pub(super) received: Ranges,
    /// The flag that ends it has been seen.
    pub(super) flagged: bool,
    /// It has arrived, whole or given up as was meant.
    pub(super) arrived: bool,
    /// Something in it was wrong; it does not count as delivered.
    pub(super) spoilt: bool,
    /// Its success REPORT came.
    pub(super) reported: bool,
    /// Its refusal was told to its sender.
    pub(super) refusal_told: bool,
    /// It was refused though it should not have been: nothing more will come of it.
    pub(super) failed: bool,
}

impl Outbox {
    /// The message of this number, if it is under way.
    pub(super) fn message(&mut self, number: u32) -> Option<&mut Message> {
        let first = self.next.wrapping_sub(self.messages.len() as u32);
        self.messages.get_mut(number.wrapping_sub(first) as usize)
    }

    /// Whether this number was given to a message already.
    pub(super) fn was_begun(&self, number: u32) -> bool {
        number < self.next
    }

    /// The number of the oldest message.
    pub(super) fn oldest(&self) -> u32 {
        self.next.wrapping_sub(self.messages.len() as u32)
    }
}

/// Ranges of octets that have arrived, in order and apart from each other. There is only one unless something is wrong.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<(u64, u64)>);

/// What a further range is to the ones before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placed {
    Next,
    /// It leaves a gap, or fills one.
    OutOfOrder,
    /// Some of it was there.
    Again,
}

impl Ranges {
    pub(super) fn insert(&mut self, begin: u64, end: u64) -> Placed {
        let expected = self.0.last().map_or(0, |last| last.1);
        if begin == expected {
            match self.0.last_mut() {
                Some(last) => last.1 = end,
                None => self.0.push((begin, end)),
            }
            return Placed::Next;
        }
        let again = self.0.iter().any(|&(from, to)| begin < to && from < end);
        self.0.push((begin, end));
        self.0.sort_unstable();
        self.0.dedup_by(|later, earlier| {
            let touches = later.0 <= earlier.1;
            if touches {
                earlier.1 = earlier.1.max(later.1);
            }
            touches
        });
        if again { Placed::Again } else { Placed::OutOfOrder }
    }

    /// Whether nothing has arrived yet.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether all octets up to `size` are there.
    pub(super) fn is_whole(&self, size: u64) -> bool {
        matches!(self.0[..], [(0, end)] if end == size)
    }
}

/// The transaction identifier of the frame that is being read, to be answered with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    octets: [u8; 32],
    length: u8,
}

impl Asked {
    pub(super) fn new(transaction: &[u8]) -> Asked {
        let mut octets = [0; 32];
        octets[..transaction.len()].copy_from_slice(transaction);
        Asked { octets, length: transaction.len() as u8 }
    }

    pub(super) fn transaction(&self) -> &[u8] {
        &self.octets[..usize::from(self.length)]
    }
}

const _: () = assert!(TRANSACTION <= 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_tell_order_gaps_and_repeats() {
        let mut ranges = Ranges::default();
        assert_eq!(ranges.insert(0, 10), Placed::Next);
        assert_eq!(ranges.insert(10, 20), Placed::Next);
        assert_eq!(ranges.insert(30, 40), Placed::OutOfOrder);
        assert!(!ranges.is_whole(40));
        assert_eq!(ranges.insert(20, 30), Placed::OutOfOrder);
        assert!(ranges.is_whole(40));
        assert_eq!(ranges.insert(35, 40), Placed::Again);
        assert_eq!(ranges.insert(5, 50), Placed::Again);
        assert!(ranges.is_whole(50));
    }

    #[test]
    fn an_empty_message_is_whole_when_its_end_has_come() {
        let mut ranges = Ranges::default();
        assert!(!ranges.is_whole(0));
        ranges.insert(0, 0);
        assert!(ranges.is_whole(0));
    }

    #[test]
    fn messages_that_are_not_under_way_are_not_found() {
        let mut outbox = Outbox { next: 5, ..Outbox::default() };
        assert!(outbox.message(4).is_none());
        assert_eq!(outbox.oldest(), 5);
        assert!(outbox.was_begun(4) && !outbox.was_begun(5));
        outbox.messages.clear();
        assert!(outbox.message(5).is_none());
    }
}
