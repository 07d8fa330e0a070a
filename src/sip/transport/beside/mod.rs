//! Two processes at one address: the old one, which has calls, and the one that has taken over.
//!
//! A UDP port has one queue, and a connection one reader. Both stay with the old process while it lives, since it alone knows what
//! belongs to its calls; everything else it passes on ([`Outlet`]):
//!
//! ```text
//!   datagrams, connections ──> old process ──┬─> its calls
//!                                            └─> frames ──> new process: as if it had read the socket itself
//! ```
//!
//! The new one answers datagrams from its own twin of the socket. What it writes on a passed connection comes back in
//! frames. When the old process ends, the new one reads the sockets ([`inlet`]): what came meanwhile waits there. Both are the
//! same user's, and frames are bounded all the same.

mod frame;
mod inlet;
mod outlet;

#[cfg(test)]
mod tests;

pub use outlet::Outlet;

use std::io;

use tokio::net::UnixStream;

/// Frames that wait for the other process.
const QUEUE: usize = 4096;

/// The stream between the two, on this runtime.
pub(super) fn registered(stream: std::os::unix::net::UnixStream) -> io::Result<UnixStream> {
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}
