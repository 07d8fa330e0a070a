//! A demonstration: two clients, one relay in a process of its own, chat both ways and a big file.
//!
//! [`present`] starts the relay ([`spawn_relay`]), runs [`run`] against it and ends it, whatever happens. The clients know
//! of the relay only its address, its name, its authority and their passwords, and everything between them goes through
//! TLS sockets. What an SDP exchange would do, [`run`] does itself: it tells each client the other one's path.

#![expect(
    clippy::disallowed_methods,
    reason = "tasks, deadlines and durations of clients, not of the relay, which is another process"
)]

mod chat;
mod error;
mod file;
mod memory;
mod party;
mod relay;
mod summary;
mod workspace;

#[cfg(test)]
mod tests;

pub use error::DemoError;
pub use relay::{RunningRelay, spawn_relay};
pub use summary::{ChatSummary, FileSummary, Summary};

use std::{net::SocketAddr, path::PathBuf};

use memory::Sampler;
use party::Party;
use tokio::signal::unix::{SignalKind, signal};

/// What is to be shown.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// The `chappe` program to run as the relay; by default the running one.
    pub program: Option<PathBuf>,
    /// Chat messages, half of them each way.
    pub messages: u32,
    /// Length of the file in octets.
    pub file_size: u64,
    /// Most octets in a chunk of the file.
    pub chunk: u64,
    /// Chunks of the file that may wait for their answer.
    pub window: usize,
    /// Show a progress bar, if standard error is a terminal.
    pub progress: bool,
}

impl Default for DemoOptions {
    fn default() -> DemoOptions {
        DemoOptions { program: None, messages: 1000, file_size: 256 << 20, chunk: 65_536, window: 32, progress: true }
    }
}

/// All that the clients need to know of a relay.
#[derive(Clone)]
pub struct RelayAccess {
    /// Where it accepts TLS.
    pub address: SocketAddr,
    /// The name that its certificate must be good for.
    pub server_name: String,
    /// Its URI for AUTH.
    pub uri: String,
    /// The authority that has signed its certificate, as PEM text.
    pub ca_pem: String,
    /// Names and passwords of two users.
    pub users: [(String, String); 2],
    /// Its process, whose memory is watched.
    pub memory_pid: u32,
}

/// Starts a relay, shows everything and ends the relay, also when something fails or the user interrupts.
pub async fn present(options: &DemoOptions) -> Result<Summary, DemoError> {
    let interrupted = |error: std::io::Error| DemoError::Signals(error.kind());
    let mut terminate = signal(SignalKind::terminate()).map_err(interrupted)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(interrupted)?;
    let shown = async {
        let relay = spawn_relay(options.program.as_deref()).await?;
        let result = run(options, relay.access()).await;
        relay.end()?;
        result
    };
    tokio::select! {
        result = shown => result,
        _ = terminate.recv() => Err(DemoError::Interrupted),
        _ = interrupt.recv() => Err(DemoError::Interrupted),
    }
}

/// Shows everything against a relay that runs. Success means that every octet has arrived and was reported.
pub async fn run(options: &DemoOptions, relay: &RelayAccess) -> Result<Summary, DemoError> {
    let [alice, bob] = &relay.users;
    let (alice, bob) = tokio::try_join!(Party::join(relay, alice), Party::join(relay, bob))?;
    let memory = Sampler::start(relay.memory_pid)?;
    let chat = chat::exchange(&alice, &bob, options.messages).await?;
    let file = file::transfer(&alice, &bob, options).await?;
    let (memory_at_rest, memory_peak) = memory.end();
    tokio::join!(alice.leave(), bob.leave());
    Ok(Summary { chat, file, memory_at_rest, memory_peak })
}
