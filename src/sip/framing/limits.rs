//! How big a message may be.

use std::time::Duration;

/// Bounds of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of the start line.
    pub start_line: usize,
    /// Header lines, folded ones counted each.
    pub headers: usize,
    /// Octets of start line and headers.
    pub head: usize,
    /// Octets of the body: as many as a session description may have.
    pub body: usize,
    /// From the first octet of a message in a stream to its last.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { start_line: 2048, headers: 256, head: 32 << 10, body: 64 << 10, time: Duration::from_secs(16) }
    }
}
