//! What keeps a body from being understood.

use thiserror::Error;

/// The rule that a body breaks. In a response all of them are a 502 for whoever asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum BodyFault {
    /// A body without Content-Type (RFC 3261 section 20.15).
    #[error("Content-Type missing")]
    TypeMissing,
    /// Content-Type is not a type and a subtype (RFC 3261 section 20.15).
    #[error("bad Content-Type")]
    TypeUnreadable,
    /// A type that is not read, and that nobody said may be ignored (RFC 5621 section 8.4).
    #[error("unsupported type")]
    Type,
    /// A description, or a multipart, that is compressed or not as it is (RFC 3261 section 20.12, RFC 2045 section 6).
    #[error("unsupported encoding")]
    Encoding,
    /// A header that says of what kind a body is occurs twice.
    #[error("header twice")]
    HeaderTwice,
    /// A boundary that is missing, named twice, not 1 to 70 characters long or of other characters (RFC 2046 section 5.1.1).
    #[error("bad boundary")]
    Boundary,
    /// A line that begins with the boundary and goes on with something else: not everyone would read it the same way (RFC
    /// 2046 section 5.1.1).
    #[error("bad delimiter line")]
    Delimiter,
    /// No last delimiter (RFC 2046 section 5.1.1).
    #[error("multipart without an end")]
    Open,
    /// A multipart without a part (RFC 2046 section 5.1.1).
    #[error("multipart without a part")]
    NoPart,
    /// More parts than the limit.
    #[error("too many parts")]
    TooManyParts,
    /// Multiparts inside of each other beyond the limit.
    #[error("multiparts too deep")]
    TooDeep,
    /// The head of a part has a line that is no header (RFC 2046 section 5.1).
    #[error("bad header of a part")]
    PartHeader,
    /// No part has the Content-ID that `start` names, or it is named twice (RFC 2387 section 3.2).
    #[error("root part missing")]
    RootMissing,
    /// A description that is not the root of its multipart/related: nobody could tell what it describes (RFC 2387 section 3.2).
    #[error("session description beside the root part")]
    Beside,
    /// Two session descriptions (RFC 5621 section 6.2).
    #[error("session description twice")]
    Twice,
}

impl BodyFault {
    /// Status code and phrase for a request with this body; a 415 needs Accept or Accept-Encoding beside it.
    pub fn status(self) -> (u16, &'static str) {
        match self {
            BodyFault::Type | BodyFault::Encoding => (415, "Unsupported Media Type"),
            BodyFault::TypeMissing => (400, "Content-Type Missing"),
            BodyFault::TypeUnreadable => (400, "Bad Content-Type"),
            BodyFault::HeaderTwice => (400, "Header Twice"),
            BodyFault::Boundary => (400, "Bad Boundary"),
            BodyFault::Delimiter => (400, "Bad Delimiter Line"),
            BodyFault::Open => (400, "Multipart Without An End"),
            BodyFault::NoPart => (400, "Multipart Without A Part"),
            BodyFault::TooManyParts => (400, "Too Many Parts"),
            BodyFault::TooDeep => (400, "Multiparts Too Deep"),
            BodyFault::PartHeader => (400, "Bad Header Of A Part"),
            BodyFault::RootMissing => (400, "Root Part Missing"),
            BodyFault::Beside => (400, "Session Description Beside The Root Part"),
            BodyFault::Twice => (400, "Session Description Twice"),
        }
    }
}
