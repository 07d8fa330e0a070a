//! Queues between shards: FIFO for each ordered pair, never blocking the shard that posts.
//!
//! The core bounds what it posts by credits; the channel's capacity is far above that bound, and what it would not take at
//! once waits in order.

use std::collections::VecDeque;
use std::io;

use tokio::sync::mpsc;

use super::connection::Parts;
use crate::relay::{MovedLink, Parcel};

const CAPACITY: usize = 16 << 10;

/// What goes from one shard to another.
pub enum Message {
    /// A parcel of the core.
    Parcel(Box<Parcel>),
    /// A link with its connection, or why that could not leave.
    Link(Box<MovedLink>, Box<io::Result<Parts>>),
}

/// The sending end toward one shard.
pub struct Outbox {
    queue: mpsc::Sender<(u16, Message)>,
    waiting: VecDeque<Message>,
}

impl Outbox {
    /// Posts a message from shard `from`.
    pub fn post(&mut self, from: u16, message: Message) {
        self.waiting.push_back(message);
        self.flush(from);
    }

    /// Sends what waits, as far as the channel takes it. True when all is gone.
    pub fn flush(&mut self, from: u16) -> bool {
        while let Some(message) = self.waiting.pop_front() {
            match self.queue.try_send((from, message)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full((_, message))) => {
                    self.waiting.push_front(message);
                    return false;
                }
                // The other shard has stopped; so will this one.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            }
        }
        true
    }

    /// A channel end to wait on for room.
    pub fn queue(&self) -> mpsc::Sender<(u16, Message)> {
        self.queue.clone()
    }
}

/// What one shard has of the mesh: sending ends toward all shards, and its own receiving end.
pub type Ends = (Vec<Outbox>, mpsc::Receiver<(u16, Message)>);

/// The ends of each shard.
pub fn mesh(shards: usize) -> Vec<Ends> {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..shards).map(|_| mpsc::channel(CAPACITY)).unzip();
    receivers
        .into_iter()
        .map(|r| (senders.iter().map(|s| Outbox { queue: s.clone(), waiting: VecDeque::new() }).collect(), r))
        .collect()
}
