//! What an anchor tells the dialogs that negotiated it (RFC 3261; SDP-92, SDP-93).

use std::net::SocketAddr;

use super::Side;
use crate::msrp::Status;
use crate::relay::SessionRecord;
use crate::relay::link::{CloseReason, DialFailure};

/// Something that the dialogs of an anchor must know.
#[derive(Clone, Debug)]
pub enum AnchorNews {
    /// A leg has its link.
    Bound {
        /// Which leg.
        side: Side,
        /// Address of its end.
        peer: Option<SocketAddr>,
    },
    /// A leg's end could not be connected to.
    Unreachable {
        /// Which leg.
        side: Side,
        /// Why.
        failure: DialFailure,
    },
    /// A leg had no link within its time.
    Unconnected {
        /// Which leg.
        side: Side,
    },
    /// A leg's link is gone and its URI with it; a new offer may rebuild it.
    Lost {
        /// Which leg.
        side: Side,
        /// By whom: `Eof` and `Lost` are the other end's doing, anything else is ours.
        reason: CloseReason,
    },
    /// No new offer has rebuilt a lost leg within its time.
    NotRebuilt {
        /// Which leg.
        side: Side,
    },
    /// Somebody with another certificate than promised came to a leg; nothing was delivered (RFC 4975 section 14.4).
    Mismatch {
        /// Which leg.
        side: Side,
        /// Address of that somebody.
        peer: Option<SocketAddr>,
    },
    /// A leg's end refuses its own session (481 or 506).
    Refused {
        /// Which leg.
        side: Side,
        /// With which code.
        status: Status,
    },
    /// A file was stopped, and no new terms have followed in half a minute.
    Stopped,
    /// The anchor is over; from the owner is from A.
    Ended(Box<SessionRecord>),
}

impl AnchorNews {
    /// Word for logs and metric labels.
    pub fn word(&self) -> &'static str {
        match self {
            AnchorNews::Bound { .. } => "bound",
            AnchorNews::Unreachable { .. } => "unreachable",
            AnchorNews::Unconnected { .. } => "unconnected",
            AnchorNews::Lost { .. } => "lost",
            AnchorNews::NotRebuilt { .. } => "not_rebuilt",
            AnchorNews::Mismatch { .. } => "mismatch",
            AnchorNews::Refused { .. } => "refused",
            AnchorNews::Stopped => "stopped",
            AnchorNews::Ended(_) => "ended",
        }
    }
}
