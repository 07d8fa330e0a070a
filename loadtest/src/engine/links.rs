//! The connections of a run, at either side.

use super::{poller::Interest, receiving::Incoming};
use crate::{book::Time, stream::Stream, wire::Scanner};

/// Names a link; a link that takes the place of another one has another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LinkId {
    index: u32,
    generation: u32,
}

impl LinkId {
    pub(super) fn key(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn from_key(key: u64) -> LinkId {
        LinkId { index: key as u32, generation: (key >> 32) as u32 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Caller,
    Callee,
}

/// A connection with what is being read from it and written to it.
pub(super) struct Link {
    pub(super) stream: Stream,
    pub(super) scanner: Scanner,
    pub(super) end: LinkEnd,
    pub(super) connecting: bool,
    pub(super) interest: Interest,
    pub(super) slow: Option<Slow>,
}

/// The sessions' side of a link.
pub(super) struct LinkEnd {
    pub(super) id: LinkId,
    pub(super) side: Side,
    /// Both sides may send.
    pub(super) open: bool,
    pub(super) sessions: Vec<u32>,
    /// Plaintext to be written, from `written` on.
    pub(super) out: Vec<u8>,
    pub(super) written: usize,
    /// The SEND that is being read.
    pub(super) incoming: Option<Incoming>,
    /// Sessions that wait until `out` is empty.
    pub(super) stalled: Vec<u32>,
}

/// A link that is read slowly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slow {
    /// Octets per second.
    pub(super) rate: f64,
    /// When it may be read again.
    pub(super) next: Time,
}

impl Slow {
    /// Octets that may be read at a time: the share of a twentieth of a second.
    pub(super) fn room(&self) -> usize {
        (self.rate / 20.0).clamp(1.0, 65536.0) as usize
    }
}

#[derive(Default)]
pub(super) struct Links {
    slots: Vec<(u32, Option<Box<Link>>)>,
    free: Vec<u32>,
}

impl Links {
    /// A place for a link; it is empty until the link is put there.
    pub(super) fn reserve(&mut self) -> LinkId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        });
        LinkId { index, generation: self.slots[index as usize].0 }
    }

    pub(super) fn put(&mut self, id: LinkId, link: Box<Link>) {
        self.slots[id.index as usize].1 = Some(link);
    }

    /// Takes a link out for a moment, so that it and all the others can be changed.
    pub(super) fn take(&mut self, id: LinkId) -> Option<Box<Link>> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.0 == id.generation)?.1.take()
    }

    pub(super) fn find(&mut self, id: LinkId) -> Option<&mut Link> {
        self.slots.get_mut(id.index as usize).filter(|slot| slot.0 == id.generation)?.1.as_deref_mut()
    }

    /// Gives up a place, whose link was taken out.
    pub(super) fn release(&mut self, id: LinkId) {
        self.slots[id.index as usize].0 += 1;
        self.free.push(id.index);
    }
}
