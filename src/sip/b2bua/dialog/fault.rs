//! What keeps a message from opening a dialog or from belonging to one.

use thiserror::Error;

/// The rule that a message breaks. In a response all of them are a 502 for whoever asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// From is missing or has no URI (RFC 3261 section 20.20).
    #[error("bad From")]
    From,
    /// To is missing or has no URI (RFC 3261 section 20.39).
    #[error("bad To")]
    To,
    /// No tag where a dialog needs one (RFC 3261 section 19.3).
    #[error("tag missing")]
    TagMissing,
    /// Call-ID is missing (RFC 3261 section 8.1.1.4).
    #[error("Call-ID missing")]
    CallId,
    /// CSeq is missing or no number (RFC 3261 section 8.1.1.5).
    #[error("bad CSeq")]
    CSeq,
    /// An INVITE without Contact (RFC 3261 section 8.1.1.8).
    #[error("Contact missing")]
    ContactMissing,
    /// Contact is not one SIP or SIPS URI (RFC 3261 sections 8.1.1.8, 12.1.1).
    #[error("bad Contact")]
    Contact,
    /// Record-Route has a value that is not a SIP or SIPS URI in angle brackets (RFC 3261 section 20.30).
    #[error("bad Record-Route")]
    RecordRoute,
    /// More values of Record-Route than hops that a request may take (RFC 3261 section 8.1.1.6).
    #[error("too many values of Record-Route")]
    TooManyRoutes,
    /// A number that is not above that of the request before (RFC 3261 section 12.2.2).
    #[error("request out of order")]
    OutOfOrder,
    /// A response that opens no dialog: 100, or from 300 (RFC 3261 section 12.1).
    #[error("response opens no dialog")]
    Status,
    /// A response with the To-tag of another dialog (RFC 3261 section 12.1.2).
    #[error("response of another dialog")]
    OtherDialog,
}

impl Fault {
    /// Status code and phrase for a request with this fault.
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Fault::OutOfOrder => (500, "Request Out Of Order"),
            Fault::From => (400, "Bad From"),
            Fault::To => (400, "Bad To"),
            Fault::TagMissing => (400, "Tag Missing"),
            Fault::CallId => (400, "Call-ID Missing"),
            Fault::CSeq => (400, "Bad CSeq"),
            Fault::ContactMissing => (400, "Contact Missing"),
            Fault::Contact => (400, "Bad Contact"),
            Fault::RecordRoute => (400, "Bad Record-Route"),
            Fault::TooManyRoutes => (400, "Too Many Values Of Record-Route"),
            Fault::Status | Fault::OtherDialog => (400, "Bad Request"),
        }
    }
}
