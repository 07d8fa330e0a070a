//! The admin interface: HTTP for probes, Prometheus and operators.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200 if every shard answers; 503 names the one that does not |
//! | `GET /readyz` | 200 while serving; 503 while starting or draining |
//! | `GET /metrics` | Prometheus' text format |
//! | `GET /sessions?limit=N` | a list of sessions, nothing secret |
//! | `DELETE /sessions/{id}` | 204, or 404 |
//! | `POST /drain` | 202; as SIGTERM |
//! | `POST /reload` | 200 with the changes, or 409, 422 with the problems and nothing changed; as SIGHUP |
//! | `GET`, `PUT /log-level` | `{"level": "info,chappe::net=debug"}` |
//!
//! Errors are `{"error": …}`. A request comes in through `listener` (how many, how long), `guard` (who), `routes` (what) and
//! leaves as `answer` or `view`. Shards are asked through [`Shards`]; what only the process can do goes to it as an [`Order`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::config::reload::{Change, NeedsRestart};
use crate::config::{Problems, Secret};
use crate::control::Shards;
use crate::observe::{Exporter, LogHandle, RecordWriter};

mod answer;
mod guard;
mod listener;
mod routes;
mod view;

#[cfg(test)]
mod tests;

/// At the end, requests under way have so long.
const GRACE: Duration = Duration::from_secs(5);

/// What the process is asked to do. It answers a reload within 20 seconds or the client is told that it does not know.
#[derive(Debug)]
pub enum Order {
    /// Read the configuration again and apply it, as on SIGHUP.
    Reload(oneshot::Sender<Result<Vec<Change>, Refused>>),
    /// Refuse new sessions and end when the others have ended, as on SIGTERM.
    Drain,
}

/// Why a reload changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The file breaks rules.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// It asks for what only a restart can do.
    #[error("{0}")]
    NeedsRestart(#[from] NeedsRestart),
    /// The process runs without a file.
    #[error("there is no configuration file to read again")]
    NoFile,
    /// The file is good, but something it names could not be used: a certificate, a file for records.
    #[error("{0}")]
    Failed(String),
}

/// How far the process is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phase {
    /// Not all listeners are open.
    Starting,
    /// Open for sessions.
    Serving,
    /// New sessions are refused.
    Draining,
}

/// What the interface reaches.
pub struct Parts {
    /// All shards.
    pub shards: Shards,
    /// Metrics.
    pub exporter: Arc<Exporter>,
    /// Session records, for the count of those lost.
    pub records: Arc<RecordWriter>,
    /// The log's filter.
    pub log: LogHandle,
    /// Bearer token. Without one, only requests that name this machine's loopback in Host are served.
    pub token: Option<Secret>,
    /// The process's queue of orders.
    pub orders: mpsc::Sender<Order>,
}

/// State of the interface.
pub struct Admin {
    shards: Shards,
    exporter: Arc<Exporter>,
    records: Arc<RecordWriter>,
    log: LogHandle,
    token: ArcSwapOption<Secret>,
    orders: mpsc::Sender<Order>,
    phase: AtomicU8,
}

impl Admin {
    /// The interface of a process that is still starting.
    pub fn new(parts: Parts) -> Arc<Admin> {
        let Parts { shards, exporter, records, log, token, orders } = parts;
        let token = ArcSwapOption::new(token.map(Arc::new));
        let phase = AtomicU8::new(Phase::Starting as u8);
        Arc::new(Admin { shards, exporter, records, log, token, orders, phase })
    }

    /// Tells what `GET /readyz` is to say from now on.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Changes the bearer token, after a reload.
    pub fn replace_token(&self, token: Option<Secret>) {
        self.token.store(token.map(Arc::new));
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Starting,
            1 => Phase::Serving,
            _ => Phase::Draining,
        }
    }
}

/// Serves until `shutdown` is over, then for up to 5 seconds more what is under way.
pub async fn serve(
    listener: TcpListener,
    admin: Arc<Admin>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let ending = Arc::new(Notify::new());
    let signal = {
        let ending = ending.clone();
        async move {
            shutdown.await;
            ending.notify_one();
        }
    };
    let service = routes::router(admin).into_make_service_with_connect_info::<listener::Peer>();
    let served = axum::serve(listener::Capped::new(listener), service).with_graceful_shutdown(signal);
    let patience = async {
        ending.notified().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = served => result,
        () = patience => Ok(()),
    }
}
