//! What was carried and what was dropped, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sip::framing::Fault;

/// Why a whole message, a connection or a datagram was dropped that broke no rule of the framing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loss {
    /// A datagram over the rate of its address.
    Rate,
    /// A datagram that found the queue full.
    InboxFull,
    /// A message that found the queue of its connection full.
    OutboxFull,
    /// A message for a connection that is closed.
    Closed,
    /// A datagram that the system did not take.
    NotSent,
    /// A request over 1300 octets that was to go by UDP.
    TooLong,
    /// A connection over the limits of its address.
    Address,
    /// A connection over the limit in all, or over the system's.
    Total,
    /// A TLS handshake that failed or was too slow.
    Handshake,
    /// A connection that could not be made.
    Connect,
    /// A connection that said nothing for too long.
    Idle,
    /// A connection whose peer does not read.
    Stalled,
    /// A message with a fault that must not be answered: a response, an ACK, noise, or one without the headers to repeat.
    Unanswered,
    /// A message that waited in a queue when the transport stopped.
    Stopped,
}

impl Loss {
    /// All of them, in order.
    pub const ALL: [Loss; 14] = {
        use Loss::*;
        [
            Rate, InboxFull, OutboxFull, Closed, NotSent, TooLong, Address, Total, Handshake, Connect, Idle, Stalled,
            Unanswered, Stopped,
        ]
    };

    /// Word for metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Loss::Rate => "rate",
            Loss::InboxFull => "inbox_full",
            Loss::OutboxFull => "outbox_full",
            Loss::Closed => "closed",
            Loss::NotSent => "not_sent",
            Loss::TooLong => "too_long",
            Loss::Address => "address",
            Loss::Total => "total",
            Loss::Handshake => "handshake",
            Loss::Connect => "connect",
            Loss::Idle => "idle",
            Loss::Stalled => "stalled",
            Loss::Unanswered => "unanswered",
            Loss::Stopped => "stopped",
        }
    }
}

/// Counters of one transport.
#[derive(Debug, Default)]
pub struct Counts {
    received: AtomicU64,
    sent: AtomicU64,
    answered: AtomicU64,
    opened: AtomicU64,
    faults: [AtomicU64; Fault::ALL.len()],
    losses: [AtomicU64; Loss::ALL.len()],
}

impl Counts {
    /// Well-formed messages that came in.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Messages that were given to a socket.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Requests that were refused here.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Connections that were accepted or made.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Messages with this fault.
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize].load(Ordering::Relaxed)
    }

    /// What was dropped for this reason.
    pub fn losses(&self, why: Loss) -> u64 {
        self.losses[why as usize].load(Ordering::Relaxed)
    }

    pub(in crate::sip) fn fault(&self, fault: Fault) {
        self.faults[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lose(&self, why: Loss) {
        self.losses[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn receive(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn send(&self) {
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answer(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn open(&self) {
        self.opened.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_place() {
        for (place, why) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(why as usize, place);
        }
        assert_eq!(Loss::Stopped as usize + 1, Loss::ALL.len());
    }
}
