//! Why a request is refused, and the one place that says by which status code (RFC 4975 section 10).

use super::event::RefusalKind;
use crate::msrp::Status;

/// Why a request is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// To-Path\[0\] names another host.
    Misaddressed,
    /// Its token is unknown, expired, dead or not usable from here.
    NoSession,
    /// Its token is of an earlier start of this relay.
    OldGeneration,
    /// Another far side is bound.
    InUse,
    /// Egress or media policy, or a user who may not.
    Policy,
    /// Malformed or a loop.
    Bad,
    /// Too many unanswered SENDs.
    TooMany,
    /// Too large, or a buffer is full.
    TooLarge,
    /// The media type is not allowed.
    Media,
    /// The message failed before with this code.
    Poisoned(Status),
    /// The method is not served.
    NotImplemented,
    /// A quota.
    Quota,
    /// Memory is short.
    Shortage,
    /// The relay is draining.
    Draining,
    /// From-Path\[0\] is not in the relay's certificate.
    Impostor,
    /// The leg that this comes from has no answer yet: who may use it is not known.
    Unanswered,
    /// The leg that this goes to has no answer or no link yet.
    Unconnected,
    /// The certificate is not the one that the leg's SDP promised (RFC 8122 section 6.2).
    Certificate,
}

impl Refusal {
    /// The status code on the wire.
    pub(super) fn status(self) -> Status {
        match self {
            Refusal::Misaddressed | Refusal::NoSession | Refusal::OldGeneration => Status::NO_SESSION,
            Refusal::Unanswered | Refusal::Unconnected | Refusal::Certificate => Status::NO_SESSION,
            Refusal::InUse => Status::IN_USE,
            Refusal::Policy | Refusal::Quota | Refusal::Impostor | Refusal::Shortage | Refusal::Draining => {
                Status::FORBIDDEN
            }
            Refusal::Bad => Status::BAD_REQUEST,
            Refusal::TooMany | Refusal::TooLarge => Status::TOO_LARGE,
            Refusal::Media => Status::UNSUPPORTED_MEDIA,
            Refusal::Poisoned(status) => status,
            Refusal::NotImplemented => Status::NOT_IMPLEMENTED,
        }
    }

    pub(super) fn kind(self) -> RefusalKind {
        match self {
            Refusal::Misaddressed => RefusalKind::Misaddressed,
            Refusal::NoSession | Refusal::Unanswered | Refusal::Unconnected => RefusalKind::NoSession,
            Refusal::Certificate => RefusalKind::Certificate,
            Refusal::OldGeneration => RefusalKind::OldGeneration,
            Refusal::InUse => RefusalKind::InUse,
            Refusal::Policy | Refusal::Media => RefusalKind::Policy,
            Refusal::Bad => RefusalKind::Bad,
            Refusal::TooMany => RefusalKind::TooMany,
            Refusal::TooLarge => RefusalKind::TooLarge,
            Refusal::Poisoned(_) => RefusalKind::Poisoned,
            Refusal::NotImplemented => RefusalKind::NotImplemented,
            Refusal::Quota => RefusalKind::Quota,
            Refusal::Impostor => RefusalKind::Impostor,
            Refusal::Shortage => RefusalKind::Shortage,
            Refusal::Draining => RefusalKind::Draining,
        }
    }

    /// What it lacks may come in a moment: the request may wait for it.
    pub(super) fn may_pass(self) -> bool {
        matches!(self, Refusal::Unanswered | Refusal::Unconnected)
    }
}
