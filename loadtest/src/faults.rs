//! What can go wrong under a load, and what of it was seen.

use std::collections::BTreeMap;

use crate::result::Fault;

/// A kind of error. Any of them makes a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A body octet is not the one that was sent.
    BodyMismatch,
    /// A Byte-Range whose start, end or total is not that of the octets under it.
    WrongRange,
    /// A chunk arrived after a later one of its message, or a message that cannot be interrupted after a later one of its session.
    Reordered,
    /// A message or octets of it arrived again.
    Duplicate,
    /// A message did not arrive whole in time.
    Lost,
    /// The end-line's flag is not the one due at this place of the message.
    WrongFlag,
    /// A path is not the one due on this link.
    WrongPath,
    /// Content-Type, Success-Report or Failure-Report is not what was sent.
    WrongHeader,
    /// A frame for a session or message that does not exist.
    Unknown,
    /// No response to a SEND in time.
    NoResponse,
    /// A response that nobody waits for.
    UnexpectedResponse,
    /// A request was answered with this status.
    Refused(u16),
    /// A success REPORT that was asked for did not come in time.
    MissingReport,
    /// No failure was told of a message that its receiver refused.
    MissingFailure,
    /// A REPORT that nobody waits for, or a second one.
    UnexpectedReport,
    /// A REPORT whose status or Byte-Range is not that of its message.
    WrongReport,
    /// A failure REPORT with this status, for a message that was not refused.
    Failed(u16),
    /// Octets that are not MSRP.
    Malformed,
    /// A link was closed while sessions used it.
    LinkClosed,
    /// A connection could not be made.
    Connect,
    /// TLS failed.
    Tls,
    /// A challenge or grant that cannot be used, or a relay that does not know the password.
    Authentication,
    /// A session was not set up in time.
    SetUp,
    /// Messages or sessions that were due could not even be queued: the rate is far above what is carried.
    Overrun,
}

impl Kind {
    /// Its name in results.
    pub fn key(self) -> String {
        match self {
            Kind::BodyMismatch => "body-mismatch",
            Kind::WrongRange => "wrong-range",
            Kind::Reordered => "reordered",
            Kind::Duplicate => "duplicate",
            Kind::Lost => "lost",
            Kind::WrongFlag => "wrong-flag",
            Kind::WrongPath => "wrong-path",
            Kind::WrongHeader => "wrong-header",
            Kind::Unknown => "unknown",
            Kind::NoResponse => "no-response",
            Kind::UnexpectedResponse => "unexpected-response",
            Kind::Refused(status) => return format!("refused-{status}"),
            Kind::MissingReport => "missing-report",
            Kind::MissingFailure => "missing-failure",
            Kind::UnexpectedReport => "unexpected-report",
            Kind::WrongReport => "wrong-report",
            Kind::Failed(status) => return format!("failed-{status}"),
            Kind::Malformed => "malformed",
            Kind::LinkClosed => "link-closed",
            Kind::Connect => "connect",
            Kind::Tls => "tls",
            Kind::Authentication => "authentication",
            Kind::SetUp => "set-up",
            Kind::Overrun => "overrun",
        }
        .to_owned()
    }
}

/// The errors of a run.
#[derive(Debug, Default)]
pub struct Faults {
    seen: BTreeMap<Kind, Fault>,
    /// All of them.
    pub total: u64,
}

impl Faults {
    /// Notes one; `what` puts the first of its kind into words.
    pub fn note(&mut self, kind: Kind, what: impl FnOnce() -> String) {
        self.total += 1;
        let fault = self.seen.entry(kind).or_default();
        fault.count += 1;
        if fault.count == 1 {
            fault.first = what();
        }
    }

    /// As they are written into a result.
    pub fn by_kind(&self) -> BTreeMap<String, Fault> {
        self.seen.iter().map(|(kind, fault)| (kind.key(), fault.clone())).collect()
    }
}
