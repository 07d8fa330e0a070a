//! The fate of an accepted SEND: its parts are counted until each has an answer, and at most one failure is told.

use std::sync::Arc;

use super::arena::Key;
use super::flow::FlowId;
use super::link::LinkId;
use super::short::Short;
use crate::moment::Moment;
use crate::msrp::{ByteRange, FailureReport, Status};

/// Key of a pending SEND on the shard of the link it leaves on.
pub(super) type PendingId = Key<Pending>;

/// One accepted incoming chunk whose Failure-Report is not `no`.
pub(super) struct Pending {
    pub(super) flow: FlowId,
    /// Where its latest part went.
    pub(super) link: LinkId,
    pub(super) back: super::source::SourceRef,
    pub(super) serial: u32,
    pub(super) message: Option<Short>,
    pub(super) from_path: Arc<[u8]>,
    pub(super) token_uri: Arc<[u8]>,
    pub(super) failure_report: FailureReport,
    pub(super) total: Option<u64>,
    /// Parts on the wire or awaiting an answer.
    pub(super) open_parts: u32,
    /// No part will follow.
    pub(super) all_out: bool,
    pub(super) failed: Option<Failed>,
}

/// What failed so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed {
    pub(super) status: Status,
    pub(super) first: u64,
    /// One behind the last octet.
    pub(super) behind: u64,
    /// When the other parts have had their time.
    pub(super) tell_at: Moment,
}

impl Pending {
    /// Adds a failed part; the first code counts, the ranges unite.
    pub(super) fn fail(&mut self, status: Status, first: u64, behind: u64, tell_at: Moment) -> bool {
        match &mut self.failed {
            None => {
                self.failed = Some(Failed { status, first, behind, tell_at });
                true
            }
            Some(f) => {
                f.first = f.first.min(first);
                f.behind = f.behind.max(behind);
                false
            }
        }
    }

    /// The range that a REPORT names: real octets, total as received (RFC 4975 section 7.1.4).
    pub(super) fn range(&self, failed: &Failed) -> ByteRange {
        let end = failed.behind.saturating_sub(1);
        ByteRange { start: failed.first, end: Some(end), total: self.total.filter(|t| *t >= end) }
    }
}
