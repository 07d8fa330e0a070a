//! What can be wrong with a session description, one variant per broken rule. What follows from it stands in `refusal`.

use thiserror::Error;

use super::fingerprint::FingerprintFault;
use crate::msrp::PathError;

/// The description as a whole cannot be worked with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DescriptionFault {
    /// More octets than the limit (ADV-S11).
    #[error("session description is too long")]
    TooLong,
    /// More lines than the limit.
    #[error("too many lines in the session description")]
    TooManyLines,
    /// A NUL octet (RFC 8866 section 5, ADV-S11).
    #[error("NUL in the session description")]
    Nul,
    /// A CR that does not stand before LF (RFC 8866 section 5): some read it as the end of a line.
    #[error("CR inside a line of the session description")]
    BareCr,
    /// The first line is not `v=0` (RFC 8866 section 5.1).
    #[error("session description does not begin with v=0")]
    Version,
    /// A line that is not a letter and `=`; lines are not folded (RFC 8866 section 5).
    #[error("malformed line in the session description")]
    Line,
    /// No o= line, several, or one behind an m-line (RFC 8866 section 5.2).
    #[error("session description without exactly one origin")]
    Origin,
    /// An m-line with fewer than three fields (RFC 8866 section 5.14).
    #[error("malformed m-line")]
    MediaLine,
    /// More m-lines than the limit (ADV-S06).
    #[error("too many m-lines")]
    TooManySections,
    /// More m-lines for MSRP than the limit.
    #[error("too many m-lines for MSRP")]
    TooManyMessageSections,
    /// A later offer with fewer m-lines than the one before (RFC 3264 section 8).
    #[error("fewer m-lines than before")]
    FewerSections,
}

/// One m=message section is not acceptable.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SectionFault {
    /// The port is not a number up to 65535; a range is none (RFC 8866 section 5.14, ADV-S05).
    #[error("bad port in the m-line")]
    Port,
    /// The format list is not `*` (RFC 4975 section 8.1).
    #[error("format of the m-line is not *")]
    Format,
    /// No path (RFC 4975 section 8.2, SDP-6).
    #[error("no path")]
    PathMissing,
    /// Two path attributes (ADV-S02).
    #[error("more than one path")]
    PathTwice,
    /// No URI, too many, or one that does not parse (RFC 4975 section 8.2, ADV-S01).
    #[error("bad path: {0}")]
    Path(PathError),
    /// A URI without port (RFC 4975 section 8.2).
    #[error("URI without port in the path")]
    PortImplicit,
    /// The scheme of the first URI is not that of the m-line's protocol (RFC 4975 section 8.1).
    #[error("scheme of the path does not fit the protocol")]
    Scheme,
    /// We have to connect, and the first URI is not for TCP (RFC 4975 section 6; WS-21).
    #[error("no TCP connection can be made to the path")]
    Transport,
    /// The first URI names a loopback, unspecified or multicast address (ADV-S03).
    #[error("address of the path cannot be reached")]
    Host,
    /// The first URI names us, but no session that we know (SDP-96).
    #[error("path names an unknown session of this relay")]
    SessionUnknown,
    /// No accept-types (RFC 4975 section 8.6, SDP-13).
    #[error("no accept-types")]
    AcceptTypesMissing,
    /// Policy blocks every type that is accepted (RFC 4975 section 8.6).
    #[error("no acceptable media type")]
    NothingAccepted,
    /// The file is longer than policy allows (RFC 5547 section 10, SDP-72).
    #[error("file is too large")]
    FileTooLarge,
    /// A fingerprint that cannot be read or used (RFC 8122 section 5).
    #[error("{0}")]
    Fingerprint(#[from] FingerprintFault),
    /// Policy demands a fingerprint.
    #[error("fingerprint required")]
    FingerprintMissing,
    /// A fingerprint came by signalling that policy does not trust (RFC 8122 section 7, SDP-104).
    #[error("fingerprint needs secure signalling")]
    SignallingInsecure,
    /// Policy demands TLS.
    #[error("TLS required")]
    TlsRequired,
    /// No `msrp-cema`, and c= and m= name another place than the path (RFC 6714 section 4.3, SDP-36).
    #[error("connection address does not match the path")]
    AddressDiffers,
}

/// An answer that does not answer the offer (RFC 3264 section 6), or that we cannot work with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum AnswerFault {
    /// It is no session description.
    #[error(transparent)]
    Description(#[from] DescriptionFault),
    /// Another number of m-lines (ADV-S07).
    #[error("answer has another number of m-lines than the offer")]
    Count,
    /// Another media in an m-line.
    #[error("m-line {0} of the answer has another media than the offer")]
    Media(usize),
    /// Another protocol in an m-line (ADV-S08).
    #[error("m-line {0} of the answer has another protocol than the offer")]
    Protocol(usize),
    /// A port where the offer had zero.
    #[error("m-line {0} of the answer accepts what was not offered")]
    Revived(usize),
    /// An m=message section that is not acceptable.
    #[error("m-line {index} of the answer: {fault}")]
    Section {
        /// Which m-line, from 0.
        index: usize,
        /// What is wrong.
        fault: SectionFault,
    },
}
