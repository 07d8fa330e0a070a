//! Handing listening sockets on to a new process, without systemd: nobody who connects meanwhile is refused.
//!
//! ```text
//!   running process                              new process
//!   listens at relay.handover  <── greeting ───  connects
//!                              ─── greeting, number of sockets ──>
//!                              ─── a name and a socket, each ────>   starts on them, accepts nothing yet
//!                              <── ready ──────
//!                              ─── go ────────>                      accepts; puts its own socket at relay.handover
//!   accepts no more, drains, ends
//!                              <── SIP that belongs to the other ──>  until the old one has ended
//! ```
//!
//! Until the new process is ready, the running one goes on as if nothing were: if the new one fails, its end of the
//! connection closes, and that is all. A listening socket is never closed while connections may wait in it, since both have it.
//!
//! Both sides demand that the other one runs as the same user (`SO_PEERCRED`), and the socket's mode is 0600. All lengths are
//! fixed, so that nothing that the other side says makes anything grow: a greeting of 8 octets with a version in it, a number of two
//! octets, names of 32 octets.

mod offer;
mod takeover;
mod wire;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;

pub use offer::{Offer, Place, Successor};
pub use takeover::{Predecessor, take_over};

/// Why sockets are not handed on.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// The socket cannot be made.
    #[error(
        "relay.handover: cannot make {path}: {error}; write the path of a file in a directory that this user may write to"
    )]
    Bind {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The running process cannot be reached, and is there.
    #[error("relay.handover: cannot connect to {path}: {error}; start the new process as the user of the running one")]
    Connect {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The other process belongs to somebody else.
    #[error("relay.handover: the other process has user id {theirs}, this one {ours}; start both as the same user")]
    User {
        /// Of the other process.
        theirs: u32,
        /// Of this one.
        ours: u32,
    },
    /// The other side speaks another version, or something else.
    #[error("relay.handover: the other process does not speak version {version} of the handover; stop it, then start this one", version = wire::VERSION)]
    Version,
    /// The connection broke off.
    #[error("relay.handover: the other process is gone: {0}")]
    Gone(io::Error),
    /// A message came without its socket.
    #[error("relay.handover: a socket did not come through; allow this process more descriptors")]
    NoSocket,
    /// More sockets than can be.
    #[error("relay.handover: {0} sockets are more than are handed on")]
    TooMany(usize),
    /// Nothing came in time.
    #[error("relay.handover: the other process does not answer; look at its log, or stop it, then start this one")]
    Silent,
}
