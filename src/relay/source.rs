//! Where chunks of one session come from: the half of a way that belongs to the link they arrive on.
//!
//! It remembers what is needed to answer and report to the previous hop, and which messages have failed. The other
//! half, a [`Flow`](super::flow::Flow), belongs to the link they leave on, perhaps on another shard.

use std::collections::VecDeque;
use std::sync::Arc;

use super::arena::Key;
use super::flow::FlowId;
use super::link::LinkId;
use super::session::TokenId;
use super::short::Short;
use super::turn::Turn;
use crate::moment::Moment;
use crate::msrp::{ByteRange, Status};

/// Key of a source on its shard.
pub(super) type SourceId = Key<Source>;

/// A source, wherever it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SourceRef {
    pub(super) shard: u16,
    pub(super) source: SourceId,
}

/// A flow, wherever it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Target {
    /// The home shard of the token is being asked.
    Asked,
    Here(FlowId),
    There {
        shard: u16,
        flow: FlowId,
    },
}

/// A Message-ID whose next hop refused it: no more of it is accepted for a while.
#[derive(Clone)]
pub(super) struct Poisoned {
    pub(super) message: Short,
    pub(super) status: Status,
    pub(super) until: Moment,
}

/// What a REPORT of ours says (RFC 4976 section 6.4.1).
#[derive(Clone)]
pub(super) struct Failure {
    pub(super) serial: u32,
    pub(super) from_path: Arc<[u8]>,
    pub(super) token_uri: Arc<[u8]>,
    pub(super) message: Option<Short>,
    pub(super) range: ByteRange,
    pub(super) status: Status,
}

/// The sending half of a way.
pub(super) struct Source {
    pub(super) link: LinkId,
    /// The previous hop is a relay: a REPORT may go by any link of it.
    pub(super) relay: Option<Arc<str>>,
    pub(super) token: TokenId,
    /// The second token of an internal hop: of another client, or of a leg of an anchor.
    pub(super) inner: Option<TokenId>,
    /// The token belongs to the sender (from-owner); otherwise the traffic is to-owner.
    pub(super) from_owner: bool,
    /// To-Path\[0\] as the sender writes it.
    pub(super) token_uri: Arc<[u8]>,
    /// From-Path as the sender writes it.
    pub(super) from_path: Arc<[u8]>,
    /// What becomes of the paths of its requests.
    pub(super) turn: Turn,
    pub(super) target: Target,
    pub(super) next_serial: u32,
    pub(super) poisoned: VecDeque<Poisoned>,
    /// Chunks that got an error response: what is still said of them is dropped.
    pub(super) answered: Vec<u32>,
    /// REPORTs of this second, and those that wait for the next.
    pub(super) reports: (u32, Moment),
    pub(super) deferred: Vec<Failure>,
    /// Its flow holds as much as it may: the link is stopped.
    pub(super) full: bool,
    /// Its session ended inside a chunk: it ends with the chunk.
    pub(super) session_over: bool,
    /// Octets on the way to a flow of another shard.
    pub(super) in_flight: usize,
    pub(super) full_since: Moment,
    /// When a flow of another shard last gave credit.
    pub(super) progress: Moment,
    /// Its flow is gone: no further chunk takes this way.
    pub(super) closed: bool,
    /// When it may be forgotten, once its end is decided.
    pub(super) retired: Moment,
}

impl Source {
    /// The code with which this message was refused, if it was.
    pub(super) fn poison(&mut self, message: Option<&[u8]>, now: Moment) -> Option<Status> {
        if self.poisoned.is_empty() {
            return None;
        }
        while self.poisoned.front().is_some_and(|p| p.until <= now) {
            self.poisoned.pop_front();
        }
        let message = message?;
        self.poisoned.iter().find(|p| p.message.as_bytes() == message).map(|p| p.status)
    }
}

/// Whether a failure with this code concerns the whole message.
pub(super) fn poisons(status: Status) -> bool {
    [Status::FORBIDDEN, Status::TOO_LARGE, Status::UNSUPPORTED_MEDIA, Status::NO_SESSION, Status::IN_USE]
        .contains(&status)
}
