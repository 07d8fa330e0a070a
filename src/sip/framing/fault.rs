//! What can be wrong with a message, and what a request that has it is answered.

use thiserror::Error;

/// The rule that a message breaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// The first line names no SIP version: another protocol, or noise.
    #[error("not a SIP message")]
    NotSip,
    /// A NUL octet in the head, outside of a quoted pair.
    #[error("NUL in the head")]
    Nul,
    /// A control octet in the head, a CR inside a line among them.
    #[error("control octet in the head")]
    Control,
    /// The datagram ends before its head does.
    #[error("head without an end")]
    HeadOpen,
    /// Start line over the limit.
    #[error("start line is too long")]
    StartLineTooLong,
    /// Start line and headers over the limit.
    #[error("head is too long")]
    HeadTooLong,
    /// More header lines than the limit.
    #[error("too many header lines")]
    TooManyHeaders,
    /// Body over the limit.
    #[error("body is too long")]
    BodyTooLong,
    /// A message of a stream that is not complete in time.
    #[error("message is too slow")]
    Slow,
    /// Not three fields with single spaces between them (RFC 3261 section 7.1).
    #[error("bad start line")]
    StartLine,
    /// A version other than SIP/2.0.
    #[error("unknown SIP version")]
    Version,
    /// A status code outside of 100 to 699.
    #[error("bad status code")]
    StatusCode,
    /// A header line without a name that is a token and a colon (RFC 3261 section 7.3.1).
    #[error("bad header line")]
    HeaderLine,
    /// The head is not UTF-8 (RFC 3261 section 7.3.1).
    #[error("head is not UTF-8")]
    NotUtf8,
    /// A header that may occur once occurs twice.
    #[error("header twice")]
    HeaderTwice,
    /// Via, From, To, Call-ID or CSeq is missing (RFC 3261 section 8.1.1).
    #[error("header missing")]
    HeaderMissing,
    /// The top Via cannot be read (RFC 3261 section 20.42).
    #[error("bad Via")]
    Via,
    /// The CSeq is not a number below 2^31 and a method (RFC 3261 section 8.1.1.5).
    #[error("bad CSeq")]
    CSeq,
    /// The CSeq names another method than the request.
    #[error("CSeq names another method")]
    CSeqMethod,
    /// Max-Forwards is not a number up to 255 (RFC 3261 section 20.22).
    #[error("bad Max-Forwards")]
    MaxForwards,
    /// A quoted string without an end in From or To.
    #[error("quoted string without an end")]
    Quotes,
    /// Content-Length is missing where the stream needs it (RFC 3261 section 18.3).
    #[error("Content-Length missing")]
    LengthMissing,
    /// Content-Length is not a number.
    #[error("bad Content-Length")]
    Length,
    /// Two values of Content-Length that differ.
    #[error("Content-Length twice")]
    LengthTwice,
    /// Content-Length says more than the datagram holds.
    #[error("Content-Length beyond the datagram")]
    LengthBeyond,
    /// A From without a tag: an RFC 2543 caller, whose dialogs could not be told apart.
    #[error("From without a tag")]
    FromTag,
    /// A Request-URI whose scheme we do not serve (RFC 3261 section 8.2.2.1).
    #[error("URI scheme not served")]
    Scheme,
    /// A method that is not served (RFC 3261 section 8.2.1).
    #[error("method not served")]
    Method,
}

impl Fault {
    /// All of them, in order: a counter for each has this place.
    pub const ALL: [Fault; 28] = {
        use Fault::*;
        [
            NotSip,
            Nul,
            Control,
            HeadOpen,
            StartLineTooLong,
            HeadTooLong,
            TooManyHeaders,
            BodyTooLong,
            Slow,
            StartLine,
            Version,
            StatusCode,
            HeaderLine,
            NotUtf8,
            HeaderTwice,
            HeaderMissing,
            Via,
            CSeq,
            CSeqMethod,
            MaxForwards,
            Quotes,
            LengthMissing,
            Length,
            LengthTwice,
            LengthBeyond,
            FromTag,
            Scheme,
            Method,
        ]
    };

    /// Word for metric labels.
    pub fn word(self) -> &'static str {
        match self {
            Fault::NotSip => "not_sip",
            Fault::Nul => "nul",
            Fault::Control => "control",
            Fault::HeadOpen => "head_open",
            Fault::StartLineTooLong => "start_line_too_long",
            Fault::HeadTooLong => "head_too_long",
            Fault::TooManyHeaders => "too_many_headers",
            Fault::BodyTooLong => "body_too_long",
            Fault::Slow => "slow",
            Fault::StartLine => "start_line",
            Fault::Version => "version",
            Fault::StatusCode => "status_code",
            Fault::HeaderLine => "header_line",
            Fault::NotUtf8 => "not_utf8",
            Fault::HeaderTwice => "header_twice",
            Fault::HeaderMissing => "header_missing",
            Fault::Via => "via",
            Fault::CSeq => "c_seq",
            Fault::CSeqMethod => "c_seq_method",
            Fault::MaxForwards => "max_forwards",
            Fault::Quotes => "quotes",
            Fault::LengthMissing => "length_missing",
            Fault::Length => "length",
            Fault::LengthTwice => "length_twice",
            Fault::LengthBeyond => "length_beyond",
            Fault::FromTag => "from_tag",
            Fault::Scheme => "scheme",
            Fault::Method => "method",
        }
    }

    /// Status code and phrase for a request with this fault; none where a response would answer noise.
    pub fn status(self) -> Option<(u16, &'static str)> {
        Some(match self {
            Fault::NotSip | Fault::Nul | Fault::HeadOpen => return None,
            Fault::Method => (405, "Method Not Allowed"),
            Fault::Slow => (408, "Request Timeout"),
            Fault::BodyTooLong => (413, "Request Entity Too Large"),
            Fault::StartLineTooLong => (414, "Request-URI Too Long"),
            Fault::Scheme => (416, "Unsupported URI Scheme"),
            Fault::Version => (505, "Version Not Supported"),
            Fault::HeadTooLong | Fault::TooManyHeaders => (513, "Message Too Large"),
            Fault::Control => (400, "Control Octet"),
            Fault::StartLine => (400, "Bad Request-Line"),
            Fault::StatusCode => (400, "Bad Status Code"),
            Fault::HeaderLine => (400, "Bad Header Line"),
            Fault::NotUtf8 => (400, "Not UTF-8"),
            Fault::HeaderTwice => (400, "Header Twice"),
            Fault::HeaderMissing => (400, "Header Missing"),
            Fault::Via => (400, "Bad Via"),
            Fault::CSeq => (400, "Bad CSeq"),
            Fault::CSeqMethod => (400, "CSeq Names Another Method"),
            Fault::MaxForwards => (400, "Bad Max-Forwards"),
            Fault::Quotes => (400, "Quoted String Without An End"),
            Fault::LengthMissing => (400, "Content-Length Missing"),
            Fault::Length => (400, "Bad Content-Length"),
            Fault::LengthTwice => (400, "Content-Length Twice"),
            Fault::LengthBeyond => (400, "Content-Length Beyond The Datagram"),
            Fault::FromTag => (400, "From Without A Tag"),
        })
    }
}
