//! What can be wrong with a frame: framing lost for good, or one header bad in a frame that can still be answered.

use thiserror::Error;

use super::byte_range::ByteRangeError;

/// The framing is lost: close the connection, answer nothing, never resynchronise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Fatal {
    /// Something other than `MSRP ` where a frame must begin.
    #[error("frame does not begin with MSRP")]
    NotMsrp,
    /// More bare CRLFs between frames than allowed.
    #[error("too many empty lines between frames")]
    GapTooLong,
    /// Start line longer than the limit.
    #[error("start line is too long")]
    StartLineTooLong,
    /// The second field is not a transact-id.
    #[error("bad transact-id")]
    TransactId,
    /// The third field is neither a method nor a status code.
    #[error("bad method")]
    Method,
    /// The third field begins with a digit but is not exactly three digits.
    #[error("bad status code")]
    StatusCode,
    /// A line ends in LF without CR.
    #[error("line ends without CR")]
    BareLf,
    /// A CR inside a line.
    #[error("CR inside a line")]
    BareCr,
    /// A NUL octet in the start line or a header.
    #[error("NUL in the head")]
    Nul,
    /// Header line longer than the limit.
    #[error("header line is too long")]
    HeaderLineTooLong,
    /// Start line and headers together longer than the limit.
    #[error("header block is too long")]
    HeaderBlockTooLong,
    /// More header lines than the limit.
    #[error("too many header lines")]
    TooManyHeaderLines,
    /// A line of seven hyphens in the header block that is not this frame's end-line.
    #[error("end-line of another frame in the header block")]
    WrongEndLine,
    /// A response with an empty line: responses have no body.
    #[error("response with a body")]
    ResponseBody,
    /// A block given as complete has no terminated start line, or goes on behind its end.
    #[error("header block is not complete")]
    Incomplete,
}

/// The frame is well delimited but a header is bad: answer 400 where allowed and skip the body.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum HeadFault {
    /// A header that may occur once occurs twice (CORE-19).
    #[error("duplicate header")]
    Duplicate,
    /// A line that begins with space: folding does not exist (CORE-17).
    #[error("folded header line")]
    Folded,
    /// A control octet other than NUL and HTAB (CORE-22).
    #[error("control octet in the head")]
    ControlOctet,
    /// No colon, or a name that is not a letter and up to 63 token characters (AMB-35).
    #[error("bad header name")]
    Name,
    /// A header that is interpreted is not UTF-8 (AMB-33).
    #[error("header is not UTF-8")]
    NotUtf8,
    /// The Message-ID is not an identifier.
    #[error("bad Message-ID")]
    MessageId,
    /// The Byte-Range cannot be read.
    #[error(transparent)]
    ByteRange(#[from] ByteRangeError),
    /// A body without Content-Type (CORE-101).
    #[error("body without Content-Type")]
    ContentTypeMissing,
    /// The Status header is not a namespace and a code.
    #[error("bad Status header")]
    Status,
}
