//! What metrics and records learn of calls.

use std::sync::Arc;
use std::time::Duration;

use super::media::AnchorRef;
use crate::relay::Side;

/// Something that is counted.
#[derive(Clone, Debug)]
pub enum CallEvent {
    /// A call was admitted.
    Began,
    /// A request to begin something was refused by us before any call was made of it.
    Refused {
        /// With which status.
        status: u16,
    },
    /// A call was answered.
    Answered {
        /// From the INVITE to the 2xx.
        setup: Duration,
    },
    /// A call that was answered has its first answer to a description: with the 2xx, or after it if the offer was late.
    Negotiated {
        /// Lines that are anchored.
        anchored: usize,
        /// Lines that live and are not.
        passed: usize,
    },
    /// An anchor is over, and the news of it were lost, its record with them.
    Stray(AnchorRef),
    /// A call is over.
    Ended(Arc<CallRecord>),
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// Call-ID of the caller's leg.
    pub call_id: String,
    /// How it ended.
    pub cause: Cause,
    /// Who ended it.
    pub by: EndedBy,
    /// From its answer to its end; none if it was never answered.
    pub duration: Option<Duration>,
    /// Its anchors, whose own records follow.
    pub anchors: Vec<AnchorRef>,
}

/// Who ended a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndedBy {
    /// One of its ends.
    Side(Side),
    /// We did.
    Us,
}

impl EndedBy {
    /// Word for metric labels and records.
    pub fn word(self) -> &'static str {
        match self {
            EndedBy::Side(Side::A) => "caller",
            EndedBy::Side(Side::B) => "callee",
            EndedBy::Us => "relay",
        }
    }
}

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cause {
    /// BYE.
    Bye,
    /// CANCEL.
    Cancelled,
    /// The callee's side refused it with this status.
    Rejected(u16),
    /// We refused it with this status.
    Refused(u16),
    /// Nobody answered.
    Timeout,
    /// Our 2xx was never acknowledged.
    NoAck,
    /// A session timer ran out, or a refresh failed.
    Expired,
    /// One side's dialog is gone (481 or 408 to a request in it).
    DialogGone,
    /// The media never connected, or could not be rebuilt.
    Media(&'static str),
    /// Offer and answer did not fit.
    Negotiation,
    /// An operator or a drain ended its session.
    Operator,
}

impl Cause {
    /// Word for metric labels and records.
    pub fn word(self) -> &'static str {
        match self {
            Cause::Bye => "bye",
            Cause::Cancelled => "cancelled",
            Cause::Rejected(_) => "rejected",
            Cause::Refused(_) => "refused",
            Cause::Timeout => "timeout",
            Cause::NoAck => "no_ack",
            Cause::Expired => "expired",
            Cause::DialogGone => "dialog_gone",
            Cause::Media(word) => word,
            Cause::Negotiation => "negotiation",
            Cause::Operator => "operator",
        }
    }

    /// Status and text of a Reason header in our BYE (RFC 3326); none where the end is no failure.
    pub(super) fn reason(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Cause::Bye | Cause::Cancelled | Cause::Rejected(_) | Cause::Refused(_) => return None,
            Cause::Timeout => (408, "no answer"),
            Cause::NoAck => (408, "no ACK"),
            Cause::Expired => (408, "session timer expired"),
            Cause::DialogGone => (481, "other side is gone"),
            Cause::Media("unconnected") => (500, "media never connected"),
            Cause::Media("unreachable") => (500, "media address unreachable"),
            Cause::Media("mismatch") => (500, "media certificate does not match its fingerprint"),
            Cause::Media("not_rebuilt") => (500, "media connection lost"),
            Cause::Media("stopped") => (500, "file transfer stopped"),
            Cause::Media(_) => (500, "media session failed"),
            Cause::Negotiation => (502, "offer and answer do not fit"),
            Cause::Operator => (503, "ended by the relay"),
        })
    }
}
