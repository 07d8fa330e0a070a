//! What can be wrong with an Authorization before any secret is looked at.

/// The rule that an Authorization value broke. All but [`AuthorizationError::NotDigest`] make the request a bad one (400).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuthorizationError {
    /// Another scheme: to be answered by 401 with a Digest challenge (RFC 4976 section 9.1, RLY-11).
    #[error("the scheme is not Digest")]
    NotDigest,
    /// Longer than [`MAX_VALUE`](super::MAX_VALUE).
    #[error("the value is too long")]
    TooLong,
    /// Not UTF-8 (RFC 4975 section 9).
    #[error("the value is not UTF-8")]
    NotUtf8,
    /// A control octet other than a tab.
    #[error("the value has a control octet")]
    ControlOctet,
    /// A quoted string without end.
    #[error("a quote is not closed")]
    UnterminatedQuote,
    /// Not a list of `name=value`.
    #[error("the value is not a list of parameters")]
    Syntax,
    /// A parameter that must be there is not (RFC 4976 section 9.1, RLY-16).
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter is there twice.
    #[error("parameter {0} appears twice")]
    Duplicate(&'static str),
    /// `nc` is not 8 hex digits, or is 0.
    #[error("nc is not a count of 8 hex digits")]
    BadNc,
    /// `qop` is not `auth`.
    #[error("qop is not auth")]
    BadQop,
    /// `algorithm` is not a name of [`Algorithm`](super::Algorithm).
    #[error("the algorithm is not known")]
    UnknownAlgorithm,
    /// `response` has another length than digests of its algorithm.
    #[error("the response does not have the length of its algorithm")]
    ResponseLength,
    /// `response` has characters that are no hex digits.
    #[error("the response is not hex digits")]
    ResponseNotHex,
    /// `realm` is not the one of the challenge (RLY-104).
    #[error("the realm is another one")]
    OtherRealm,
    /// The algorithm is known but was not offered (AMB-50).
    #[error("the algorithm was not offered")]
    NotOffered,
    /// `uri` is not equivalent to the rightmost To-Path URI (AMB-48).
    #[error("the uri is not the one that was addressed")]
    OtherUri,
}
