//! What SIP says about each fault: the only place where a broken rule becomes a status code.
//!
//! A fault of one section is answered with port 0 for that m-line while another m-line remains, and only else with the
//! status below ([`Offer::refusal`](super::Offer::refusal)). After a faulty answer the leg that sent it gets ACK and
//! BYE, the other one this status.

use super::fault::{AnswerFault, DescriptionFault, SectionFault};

/// A final response to an offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// The code and the text of a Warning header (RFC 3261 section 20.43); the text holds nothing of the description.
    pub warning: Option<(u16, String)>,
}

/// Miscellaneous warning.
const MISCELLANEOUS: u16 = 399;
/// Media type not available.
const MEDIA_TYPE: u16 = 304;

impl From<DescriptionFault> for Refusal {
    fn from(fault: DescriptionFault) -> Refusal {
        let status = match fault {
            DescriptionFault::TooLong | DescriptionFault::TooManyLines => 413,
            DescriptionFault::Nul
            | DescriptionFault::BareCr
            | DescriptionFault::Version
            | DescriptionFault::Line
            | DescriptionFault::Origin
            | DescriptionFault::MediaLine => 400,
            DescriptionFault::TooManySections
            | DescriptionFault::TooManyMessageSections
            | DescriptionFault::FewerSections => 488,
        };
        Refusal { status, warning: Some((MISCELLANEOUS, fault.to_string())) }
    }
}

impl From<SectionFault> for Refusal {
    fn from(fault: SectionFault) -> Refusal {
        let code = match fault {
            SectionFault::AcceptTypesMissing | SectionFault::NothingAccepted => MEDIA_TYPE,
            _ => MISCELLANEOUS,
        };
        Refusal { status: 488, warning: Some((code, fault.to_string())) }
    }
}

impl From<AnswerFault> for Refusal {
    /// For the side that offered: it did nothing wrong, and hears no more than that.
    fn from(_: AnswerFault) -> Refusal {
        Refusal { status: 502, warning: None }
    }
}
