//! Why the demonstration was none.

use std::{io, time::Duration};

use crate::client::{ClientError, Failure};

/// What went wrong; each ends the demonstration.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DemoError {
    /// The private directory or a file in it cannot be made.
    #[error("cannot write the relay's files: {0}")]
    Workspace(io::ErrorKind),
    /// The relay's certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(String),
    /// The system gives no random numbers for passwords.
    #[error("no random numbers")]
    Entropy,
    /// There is no free port on loopback.
    #[error("no free port: {0}")]
    Port(io::ErrorKind),
    /// The relay's program cannot be started.
    #[error("cannot start the relay: {0}")]
    Start(io::ErrorKind),
    /// The relay has ended before it was ready; the text is the end of its log.
    #[error("the relay has ended at its start:\n{0}")]
    Ended(String),
    /// The relay was not ready in time; the text is the end of its log.
    #[error("the relay does not become ready:\n{0}")]
    NotReady(String),
    /// The relay did not end after SIGTERM, or not with success.
    #[error("the relay did not end in order")]
    NotEnded,
    /// The relay's memory cannot be read from `/proc`.
    #[error("the relay's memory cannot be read")]
    Memory,
    /// Signals cannot be handled.
    #[error("cannot handle signals: {0}")]
    Signals(io::ErrorKind),
    /// The user has ended the demonstration.
    #[error("interrupted")]
    Interrupted,
    /// A client's connection or AUTH failed.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// A message did not arrive.
    #[error("message failed: {0}")]
    Message(#[from] Failure),
    /// Nothing came in for this long.
    #[error("nothing has arrived for {} s", .0.as_secs())]
    Stalled(Duration),
    /// A chat message came twice, or is none that was sent.
    #[error("a chat message is not as it was sent: {0:?}")]
    Chat(String),
    /// Octets of the file did not come in order.
    #[error("octets of the file at {0} instead of {1}")]
    Order(u64, u64),
    /// The file has another length or another SHA-256 than the one sent.
    #[error("the file is not as it was sent: {received} octets of {sent}, SHA-256 {digest}")]
    File {
        /// Octets sent.
        sent: u64,
        /// Octets received.
        received: u64,
        /// SHA-256 of those received.
        digest: String,
    },
    /// Something came that nobody sent.
    #[error("unexpected: {0}")]
    Unexpected(String),
}
