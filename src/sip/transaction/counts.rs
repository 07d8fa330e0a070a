//! What the layer has done and dropped.

/// Counters since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Messages that were sent once more.
    pub repeated: u64,
    /// Repetitions of others that ended here.
    pub absorbed: u64,
    /// Waits that ended in vain: for a response, for an ACK, for the user of the layer.
    pub timeouts: u64,
    /// Requests refused with 503 for want of room, and requests of our own that found none.
    pub refused: u64,
    /// Requests refused with 482, since they had come by another path (RFC 3261 section 8.2.2.2).
    pub merged: u64,
    /// Responses whose Via is not ours (RFC 3261 section 18.1.2).
    pub foreign: u64,
    /// Responses and ACKs without a transaction, and 2xx of more forks than are kept.
    pub stray: u64,
}
