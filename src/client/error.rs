//! What can go wrong for an endpoint.

use std::io;

use crate::msrp::{Fatal, PathError, Status};

/// Why a call on an endpoint has failed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ClientError {
    /// The connection could not be made.
    #[error("cannot connect: {0}")]
    Connect(io::ErrorKind),
    /// The address could not be listened on.
    #[error("cannot listen: {0}")]
    Listen(io::ErrorKind),
    /// The TLS handshake failed; in particular the peer's certificate was refused.
    #[error("TLS: {0}")]
    Tls(String),
    /// A certificate, key or root is not usable PEM text, or key and certificate do not fit.
    #[error("credentials: {0}")]
    Credentials(String),
    /// Not a name that a certificate can be checked for.
    #[error("not a server name")]
    ServerName,
    /// A path given by the caller is not a row of MSRP URIs.
    #[error("path: {0}")]
    Path(#[from] PathError),
    /// A header given by the caller has a line end or another control character in it.
    #[error("header has a control character")]
    Header,
    /// The connection has failed while in use.
    #[error("connection lost: {0}")]
    Lost(io::ErrorKind),
    /// The connection has ended, by the peer or by a close of ours.
    #[error("connection closed")]
    Closed,
    /// The peer does not keep the framing (RFC 4975 section 9).
    #[error("framing: {0}")]
    Framing(#[from] Fatal),
    /// No answer within the time of a transaction (RFC 4975 section 7.1.1).
    #[error("no answer in time")]
    Timeout,
    /// The system gives no random numbers.
    #[error("no random numbers")]
    Entropy,
    /// AUTH was answered with this code (RFC 4976 section 6.3).
    #[error("AUTH refused with {}", .0.code())]
    Refused(Status),
    /// The 401 has no Digest challenge with qop `auth` and an algorithm that we know (RFC 4976 section 9.1).
    #[error("no usable challenge")]
    Challenge,
    /// The 200 does not prove that the relay knows the password, too: `rspauth` is absent or wrong (RFC 4976 section 9.1).
    #[error("relay did not prove that it knows the password")]
    RspAuth,
    /// The 200 has no Use-Path of MSRP URIs or no Expires in whole seconds (RFC 4976 section 4).
    #[error("grant is malformed")]
    Grant,
}

/// Why a message did not arrive, as far as its sender can know.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Failure {
    /// The next hop answered a chunk with this code.
    #[error("refused with {}", .0.code())]
    Response(Status),
    /// A REPORT says that these octets failed (RFC 4975 section 7.1.2).
    #[error("REPORT {} for octets {start} to {end:?}", status.code())]
    Report {
        /// The code of its Status header.
        status: Status,
        /// First position.
        start: u64,
        /// Last position, if it is told.
        end: Option<u64>,
    },
    /// The next hop did not answer a chunk in time.
    #[error("no answer in time")]
    Timeout,
    /// The caller gave the message up, or its source did.
    #[error("given up")]
    Abandoned,
    /// The connection has ended first.
    #[error("{0}")]
    Connection(ClientError),
}
