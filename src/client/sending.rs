//! What the sender of a message knows about its fate.

use std::{fmt, sync::Arc};

use tokio::sync::watch;

use super::{
    error::{ClientError, Failure},
    ledger::Ledger,
    ranges::Ranges,
};
use crate::msrp::{ByteRange, Status};

/// The state of one message on its way.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Octets of body that have been written to the connection.
    pub octets: u64,
    /// Chunks whose end-line has been written.
    pub chunks: u64,
    /// Chunks answered with 2xx.
    pub answered: u64,
    /// Chunks begun and not answered, with Failure-Report `yes`.
    pub unanswered: u64,
    /// The last chunk has been written.
    pub written: bool,
    /// Written, and all chunks answered as far as Failure-Report demands it.
    pub accepted: bool,
    /// Success REPORTs received.
    pub reports: u64,
    /// What they cover.
    pub covered: Ranges,
    /// The first failure, if there was one.
    pub failure: Option<Failure>,
}

impl Progress {
    /// Whether success REPORTs cover every octet; of an empty message, whether there was one.
    pub fn reported(&self) -> bool {
        self.written && self.reports > 0 && self.covered.cover(self.octets)
    }

    /// Whether nothing more will be sent.
    pub(super) fn over(&self) -> bool {
        self.written || self.failure.is_some()
    }

    pub(super) fn chunk_begins(&mut self) {
        self.unanswered += 1;
    }

    pub(super) fn chunk_written(&mut self, octets: u64, last: bool) {
        self.octets += octets;
        self.chunks += 1;
        self.written |= last;
        self.settle();
    }

    /// A response to a chunk; `awaited` unless Failure-Report is `partial`.
    pub(super) fn response(&mut self, status: Status, awaited: bool) {
        self.unanswered = self.unanswered.saturating_sub(u64::from(awaited));
        if status.is_success() {
            self.answered += 1;
        } else {
            self.fail(Failure::Response(status));
        }
        self.settle();
    }

    pub(super) fn report(&mut self, status: Status, range: ByteRange) {
        if !status.is_success() {
            return self.fail(Failure::Report { status, start: range.start, end: range.end });
        }
        self.reports += 1;
        // Without an end there is nothing to count; what is too ragged to be remembered is never complete.
        let _ = range.end.is_none_or(|end| self.covered.add(range.start, end));
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
    }

    fn settle(&mut self) {
        self.accepted |= self.written && self.unanswered == 0 && self.failure.is_none();
    }
}

/// A message handed over for sending. Dropping it does not stop the message, but its REPORTs then come as events.
pub struct Sending {
    pub(super) message_id: String,
    pub(super) progress: watch::Receiver<Progress>,
    pub(super) abandon: watch::Sender<bool>,
    pub(super) success_report: bool,
    pub(super) ledger: Arc<Ledger>,
}

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending").field("message_id", &self.message_id).field("progress", &self.progress()).finish()
    }
}

impl Sending {
    /// The Message-ID.
    pub fn message_id(&self) -> &str {
        &self.message_id
    }

    /// What is known now.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Gives the message up: a running chunk ends with `#`, and no other one follows (RFC 4975 section 7.1).
    pub fn abandon(&self) {
        self.abandon.send_replace(true);
        self.ledger.changed.notify_one();
    }

    /// Waits until `condition` holds. A connection that ends first is an error, even where the condition could no longer
    /// come true for another reason.
    pub async fn until(&mut self, condition: impl FnMut(&Progress) -> bool) -> Result<Progress, Failure> {
        match self.progress.wait_for(condition).await {
            Ok(progress) => Ok(progress.clone()),
            Err(_) => Err(Failure::Connection(ClientError::Closed)),
        }
    }

    /// Waits until every chunk is written and, with Failure-Report `yes`, answered with 2xx, or for the first failure.
    pub async fn accepted(&mut self) -> Result<Progress, Failure> {
        let progress = self.until(|progress| progress.accepted || progress.failure.is_some()).await?;
        match &progress.failure {
            Some(failure) if !progress.accepted => Err(failure.clone()),
            _ => Ok(progress),
        }
    }

    /// Waits until success REPORTs cover the whole message, or for the first failure, in particular a failure REPORT. It
    /// has no time limit of its own.
    pub async fn concluded(&mut self) -> Result<Progress, Failure> {
        let progress = self.until(|progress| progress.reported() || progress.failure.is_some()).await?;
        match &progress.failure {
            Some(failure) if !progress.reported() => Err(failure.clone()),
            _ => Ok(progress),
        }
    }

    /// Waits for [`Sending::accepted`] and, where success REPORTs were asked for, also for [`Sending::concluded`].
    pub async fn outcome(mut self) -> Result<Progress, Failure> {
        let accepted = self.accepted().await?;
        if self.success_report { self.concluded().await } else { Ok(accepted) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: ByteRange = ByteRange { start: 1, end: Some(10), total: Some(10) };

    fn written() -> Progress {
        let mut progress = Progress::default();
        progress.chunk_begins();
        progress.chunk_written(10, true);
        progress
    }

    #[test]
    fn message_is_accepted_when_written_and_answered() {
        let mut progress = written();
        assert!(!progress.accepted);
        progress.response(Status::OK, true);
        assert!(progress.accepted && !progress.reported());
    }

    #[test]
    fn answer_may_come_before_the_chunk_is_written() {
        let mut progress = Progress::default();
        progress.chunk_begins();
        progress.response(Status::OK, true);
        assert!(!progress.accepted);
        progress.chunk_written(10, true);
        assert!(progress.accepted);
    }

    /// CORE-108
    #[test]
    fn core_108_any_2xx_is_success_and_the_rest_is_not() {
        let mut progress = written();
        progress.response(Status::new(299), true);
        assert!(progress.accepted);
        let mut progress = written();
        progress.response(Status::new(699), true);
        assert_eq!((progress.accepted, progress.failure), (false, Some(Failure::Response(Status::new(699)))));
    }

    /// CORE-55
    #[test]
    fn core_55_reports_have_to_cover_every_octet() {
        let mut progress = written();
        progress.report(Status::OK, ByteRange { end: Some(9), ..ALL });
        progress.report(Status::OK, ByteRange { end: None, ..ALL });
        assert!(!progress.reported());
        progress.report(Status::OK, ByteRange { start: 10, ..ALL });
        assert!(progress.reported());
    }

    #[test]
    fn failure_report_after_acceptance_is_told() {
        let mut progress = written();
        progress.response(Status::OK, true);
        progress.report(Status::TIMEOUT, ALL);
        progress.report(Status::NO_SESSION, ALL);
        let first = Failure::Report { status: Status::TIMEOUT, start: 1, end: Some(10) };
        assert_eq!((progress.accepted, progress.failure), (true, Some(first)));
    }
}
