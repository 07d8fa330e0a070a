//! The way to the shards for everything that is rare: operators, reload, drain, metrics.
//!
//! Shards are reached by bounded command queues only. Whoever asks waits; a shard never does.

mod anchor;
mod memory;
mod settings;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use anchor::AnchorCommand;
pub use settings::{authority, ban_rules, rules, settings};

use crate::relay::{Counts, SessionView, Settings};

/// Commands that may wait for one shard.
const QUEUE: usize = 64;
/// A shard that does not answer within this is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a shard is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Tell the counters.
    Snapshot(oneshot::Sender<Snapshot>),
    /// List up to so many sessions.
    Sessions(usize, oneshot::Sender<Vec<SessionView>>),
    /// End the session of this public name; says whether there was one.
    End(String, oneshot::Sender<bool>),
    /// New rules from now on.
    Reconfigure(Arc<Settings>),
    /// End the sessions of these users, who may not use the relay any more.
    EndUsers(Arc<Vec<String>>, oneshot::Sender<usize>),
    /// Something about an anchored session.
    Anchor(AnchorCommand),
    /// Accept connections from now on.
    Accept,
    /// Accept no more; the listening sockets are let go, which others may hold as well.
    Release,
    /// Refuse new sessions; bound ones go on.
    Drain,
    /// Close the links that no session uses.
    Dismiss,
    /// Whether a drain has nothing left to wait for.
    Drained(oneshot::Sender<bool>),
    /// End everything in order and stop.
    Stop,
}

/// A look at one shard.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Shard number.
    pub shard: u16,
    /// Counters of the core.
    pub counts: Counts,
    /// Counters of the sockets.
    pub io: IoCounts,
    /// Links now.
    pub links: usize,
    /// Sessions now.
    pub sessions: usize,
    /// Anchors now.
    pub anchors: usize,
    /// Armed deadlines now.
    pub deadlines: usize,
    /// SENDs whose fate is open.
    pub pending: usize,
    /// Octets in buffers.
    pub buffered: usize,
}

/// Counters of a shard's sockets.
#[derive(Clone, Copy, Debug, Default)]
pub struct IoCounts {
    /// TLS handshakes that succeeded: full, resumed.
    pub handshakes: [u64; 2],
    /// TLS handshakes that failed or took too long.
    pub handshake_failures: u64,
    /// Connections refused at once: per-address limit, total limit, shortage, banned address.
    pub refused_connections: [u64; 4],
    /// Dials by outcome: made, failed.
    pub dials: [u64; 2],
    /// System calls that read and write.
    pub reads: u64,
    /// See `reads`.
    pub writes: u64,
    /// Waits for sockets to become ready; one may tell of many.
    pub polls: u64,
    /// Calls that hand operations to a ring, many at once; none without io_uring.
    pub submits: u64,
    /// Nanoseconds of CPU time of the shard's thread.
    pub cpu_nanos: u64,
}

/// Handles of all shards.
#[derive(Clone, Debug)]
pub struct Shards {
    queues: Arc<[mpsc::Sender<Command>]>,
}

/// A shard that did not take a command or answer it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("shard {0} does not answer")]
pub struct Stuck(pub usize);

impl Shards {
    /// Queues for `n` shards: the handles and the receiving ends in order.
    pub fn new(n: usize) -> (Shards, Vec<mpsc::Receiver<Command>>) {
        let (queues, ends): (Vec<_>, Vec<_>) = (0..n).map(|_| mpsc::channel(QUEUE)).unzip();
        (Shards { queues: queues.into() }, ends)
    }

    /// Number of shards.
    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Counters of all shards; `Err` names the first that is stuck.
    pub async fn snapshots(&self) -> Result<Vec<Snapshot>, Stuck> {
        self.ask_all(Command::Snapshot).await
    }

    /// Up to `most` sessions of each shard.
    pub async fn sessions(&self, most: usize) -> Result<Vec<SessionView>, Stuck> {
        Ok(self.ask_all(|reply| Command::Sessions(most, reply)).await?.into_iter().flatten().collect())
    }

    /// Ends a session by its public name; whether there was one.
    pub async fn end(&self, name: &str) -> Result<bool, Stuck> {
        Ok(self.ask_all(|reply| Command::End(name.to_owned(), reply)).await?.contains(&true))
    }

    /// Ends the sessions of these users; how many there were.
    pub async fn end_users(&self, users: Vec<String>) -> Result<usize, Stuck> {
        let users = Arc::new(users);
        Ok(self.ask_all(|reply| Command::EndUsers(users.clone(), reply)).await?.into_iter().sum())
    }

    /// New rules for all shards.
    pub async fn reconfigure(&self, settings: Arc<Settings>) -> Result<(), Stuck> {
        self.tell_all(|| Command::Reconfigure(settings.clone())).await
    }

    /// Lets connections in.
    pub async fn accept(&self) -> Result<(), Stuck> {
        self.tell_all(|| Command::Accept).await
    }

    /// Lets no more connections in, and lets go of the listening sockets.
    pub async fn release(&self) -> Result<(), Stuck> {
        self.tell_all(|| Command::Release).await
    }

    /// Starts a drain.
    pub async fn drain(&self) -> Result<(), Stuck> {
        self.tell_all(|| Command::Drain).await
    }

    /// Closes links that no session uses.
    pub async fn dismiss(&self) -> Result<(), Stuck> {
        self.tell_all(|| Command::Dismiss).await
    }

    /// Whether the drain has nothing left to wait for.
    pub async fn drained(&self) -> Result<bool, Stuck> {
        Ok(!self.ask_all(Command::Drained).await?.contains(&false))
    }

    /// Ends everything.
    pub async fn stop(&self) -> Result<(), Stuck> {
        self.tell_all(|| Command::Stop).await
    }

    async fn tell_all(&self, command: impl Fn() -> Command) -> Result<(), Stuck> {
        // One that is stuck does not keep the others from being told.
        let mut result = Ok(());
        for (i, queue) in self.queues.iter().enumerate() {
            let sent = tokio::time::timeout(PATIENCE, queue.send(command())).await;
            if !matches!(sent, Ok(Ok(()))) {
                result = result.and(Err(Stuck(i)));
            }
        }
        result
    }

    async fn ask_all<T>(&self, command: impl Fn(oneshot::Sender<T>) -> Command) -> Result<Vec<T>, Stuck> {
        let mut answers = Vec::with_capacity(self.queues.len());
        for (i, queue) in self.queues.iter().enumerate() {
            let (reply, answer) = oneshot::channel();
            queue.try_send(command(reply)).map_err(|_| Stuck(i))?;
            answers.push(answer);
        }
        let mut out = Vec::with_capacity(answers.len());
        for (i, answer) in answers.into_iter().enumerate() {
            let got = tokio::time::timeout(PATIENCE, answer).await.map_err(|_| Stuck(i))?;
            out.push(got.map_err(|_| Stuck(i))?);
        }
        Ok(out)
    }
}
