//! What waits to leave on a link for one session and direction: chunks in order, their octets, their accounting.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::arena::Key;
use super::bulk::{Lane, Origin};
use super::link::LinkId;
use super::pending::PendingId;
use super::session::TokenId;
use super::source::SourceRef;
use super::turn::Turn;
use crate::moment::Moment;
use crate::msrp::{FailureReport, Flag, Head, Tid};

/// Key of a flow on its shard.
pub(super) type FlowId = Key<Flow>;

/// Rough octets of bookkeeping of a slice: charged with the octets themselves, so that a flood of
/// tiny chunks cannot hide behind their small bodies.
pub(super) const SLICE_OVERHEAD: usize = 96;

/// A receiver that has answered within this time is behind, not silent.
const ANSWERING: Duration = Duration::from_secs(1);

/// A part that has not 2048 octets after so many stalls gives way though octets still drip in: whoever sends one at a time
/// would hold a shared link for minutes.
const TRICKLE: u32 = 4;

/// A chunk as it came, on its way out in one or more parts.
pub(super) struct Queued {
    pub(super) head: Head,
    pub(super) turn: Turn,
    pub(super) failure_report: FailureReport,
    /// The record of its fate, kept when somebody may have to be told.
    pub(super) pending: Option<PendingId>,
    pub(super) has_body: bool,
    /// Position of its first octet in the message.
    pub(super) start: u64,
    pub(super) total: Option<u64>,
    /// Octets that its range announces, if it does. Only a hint: what really comes counts.
    pub(super) announced: Option<u64>,
    /// Octets of it that wait in the flow's slices.
    pub(super) buffered: u64,
    /// Octets of it that have been handed to the socket's batch.
    pub(super) written: u64,
    pub(super) end: Option<Flag>,
    /// Parts that were begun.
    pub(super) parts: u32,
    pub(super) arrived: Moment,
}

/// The same of a queued chunk: its place in a queue that grows by doubling, and the allocation of its head.
pub(super) const CHUNK_OVERHEAD: usize = std::mem::size_of::<Queued>() * 3 / 2;

impl Queued {
    /// What the chunk costs beside its octets: its head, and the bookkeeping. It does not change while it waits.
    pub(super) fn cost(&self) -> usize {
        self.head.bytes().len() + CHUNK_OVERHEAD
    }
}

/// A slice of body and what it costs.
pub(super) struct Slice {
    pub(super) octets: Bytes,
    pub(super) charge: usize,
    /// Copied out or judged large enough to stay.
    pub(super) settled: bool,
}

/// A part that is on the wire and not ended: its chunk is still arriving.
pub(super) struct OpenPart {
    pub(super) tid: Tid,
    pub(super) guard: crate::msrp::EndLineGuard,
    pub(super) start: u64,
    pub(super) written: u64,
    pub(super) opened: Moment,
    /// The next hop has refused it already: what is still written of it shares that fate.
    pub(super) refused: bool,
}

/// The receiving half of a way.
pub(super) struct Flow {
    pub(super) link: LinkId,
    pub(super) back: SourceRef,
    pub(super) queue: VecDeque<Queued>,
    pub(super) slices: VecDeque<Slice>,
    /// What the slices and chunks cost.
    pub(super) charged: usize,
    /// Charged octets that a source on another shard is still owed credit for.
    pub(super) deficit: i64,
    pub(super) in_ring: bool,
    pub(super) open: Option<OpenPart>,
    /// The front chunk need not wait for its end any longer.
    pub(super) hold_until: Moment,
    pub(super) held: bool,
    pub(super) last_input: Moment,
    pub(super) last_progress: Moment,
    /// SENDs that await an answer or their turn.
    pub(super) unsettled: usize,
    /// Answers since nothing was unsettled, and when the last one came.
    pub(super) answers: (usize, Moment),
    /// In the link's list of flows that are held.
    pub(super) holding: bool,
    /// The source was stopped.
    pub(super) full: bool,
    pub(super) full_since: Moment,
    pub(super) dirty: bool,
    /// The source is gone: the flow ends when it is empty.
    pub(super) orphan: bool,
    pub(super) max_part: u64,
    pub(super) token: TokenId,
    pub(super) relay: Option<Arc<str>>,
    pub(super) lane: Lane,
    /// It rests before it changes lanes.
    pub(super) parked: bool,
    /// Octets that have left on the shared link since it wanted a bulk link.
    pub(super) ahead: u64,
    /// Parts on the wire that are to be answered.
    pub(super) awaited: usize,
    /// How the last chunk ended that has left, and what it asked for.
    pub(super) last: Option<(Flag, FailureReport)>,
    /// An earlier flow of the session, which is not empty.
    pub(super) after: Option<FlowId>,
    /// Another flow waits for this one.
    pub(super) followed: bool,
    /// What its source on another shard had posted before that may still be under way.
    pub(super) trailing: bool,
}

impl Flow {
    pub(super) fn new(link: LinkId, back: SourceRef, origin: Origin, max_part: u64, now: Moment) -> Flow {
        Flow {
            link,
            back,
            queue: VecDeque::new(),
            slices: VecDeque::new(),
            charged: 0,
            deficit: 0,
            in_ring: false,
            open: None,
            hold_until: Moment::FAR,
            held: false,
            last_input: now,
            last_progress: now,
            unsettled: 0,
            answers: (0, Moment::ZERO),
            holding: false,
            full: false,
            full_since: now,
            dirty: false,
            orphan: false,
            max_part,
            token: origin.token,
            relay: origin.relay,
            lane: Lane::default(),
            parked: false,
            ahead: 0,
            awaited: 0,
            last: None,
            after: None,
            followed: false,
            trailing: false,
        }
    }

    /// Octets that the next part would take, if it may leave now (the hold rule): the front chunk has ended, or so
    /// much of it is there that a full part leaves a rest worth sending, or it has waited long enough.
    pub(super) fn ready(&self, now: Moment) -> Option<Ready> {
        let front = self.queue.front()?;
        let there = front.buffered;
        if front.end.is_some() {
            if there <= self.max_part {
                return Some(Ready::Part { octets: there, last: true });
            }
            return Some(Ready::Part { octets: self.equal_part(there), last: false });
        }
        let left = front.announced.unwrap_or(0).saturating_sub(front.written);
        let part = if left > self.max_part { self.equal_part(left) } else { self.max_part };
        if there >= part + SMALL {
            return Some(Ready::Part { octets: part, last: false });
        }
        // A full flow gets no more: there is nothing to wait for.
        (there > 0 && (self.full || now >= self.hold_until)).then_some(Ready::Open)
    }

    /// RFC 4975 7.1.1: no chunks of our making under 2048 octets but the last, so the parts are of equal size.
    fn equal_part(&self, octets: u64) -> u64 {
        octets.div_ceil(octets.div_ceil(self.max_part))
    }

    /// When the part on the wire gives way to whatever else has to leave: its sender pauses, or trickles.
    pub(super) fn gives_way_at(&self, stall: Duration) -> Option<Moment> {
        let part = self.open.as_ref()?;
        Some((self.last_input + stall).min(part.opened + stall * TRICKLE))
    }

    /// Octets that the part on the wire takes next: never so many that a rest under 2048 octets is left for a part of its
    /// own, as long as the chunk may go on.
    pub(super) fn next_of_open(&self) -> u64 {
        let (Some(part), Some(chunk)) = (&self.open, self.queue.front()) else { return 0 };
        let room = self.max_part.saturating_sub(part.written);
        let there = chunk.buffered;
        let rest = SMALL.min(self.max_part / 2);
        if there >= room + rest {
            room
        } else if chunk.end.is_none() && self.full {
            // Its source is stopped: what is here must leave, or no more comes.
            there.min(room)
        } else if chunk.end.is_none() {
            there.min(room.saturating_sub(rest))
        } else if there <= room {
            there
        } else {
            there.saturating_sub(rest).min(room)
        }
    }

    /// How many SENDs may await an answer: the limit, and as many again while a receiver that is behind keeps answering.
    pub(super) fn transaction_limit(&self, limit: usize, now: Moment) -> usize {
        let (count, last) = self.answers;
        let answering = count > 0 && now.since(last) < ANSWERING;
        if answering { limit.saturating_mul(2) } else { limit }
    }

    /// Holds more than its source may fill.
    pub(super) fn over(&self, limit: usize) -> bool {
        self.charged >= limit
    }

    /// Keeps what stays behind after a batch from pinning the buffers that were read into: small slices are copied out,
    /// large ones are charged for the whole buffer they hold.
    pub(super) fn settle(&mut self, read_buffer: usize) {
        self.dirty = false;
        for slice in self.slices.iter_mut().rev() {
            if slice.settled {
                break;
            }
            slice.settled = true;
            self.charged -= slice.charge;
            if slice.octets.len() * 4 < read_buffer {
                slice.octets = Bytes::copy_from_slice(&slice.octets);
                slice.charge = slice.octets.len() + SLICE_OVERHEAD;
            } else {
                slice.charge = slice.octets.len().max(read_buffer) + SLICE_OVERHEAD;
            }
            self.charged += slice.charge;
        }
        for chunk in self.queue.iter_mut().rev() {
            if chunk.head.is_detached() {
                break;
            }
            chunk.head.detach();
        }
    }
}

/// Octets up to which a chunk has a numeric range end and is written in one piece (RFC 4975 section 7.1.1).
pub(super) const SMALL: u64 = 2048;

/// What may leave now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ready {
    /// A part whose octets are all there.
    Part { octets: u64, last: bool },
    /// The beginning of a chunk that is still arriving.
    Open,
}
