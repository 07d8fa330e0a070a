//! `chappe run`: the life of the process, from the configuration to the last goodbye.
//!
//! `start` opens everything, `ending` is what comes behind the last reload: a takeover, the drain, the end. `upgrade` starts the process that
//! takes over, `notify` tells the service manager.

#![expect(clippy::disallowed_methods, reason = "the process's own tasks: admin interface and sweep")]

mod ending;
mod notify;
mod panics;
mod rehearsal;
mod start;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chappe::admin::{self, Admin, Order, Parts, Phase, Refused};
use chappe::config::reload::{Change, diff};
use chappe::config::{Config, Secret};
use chappe::handover::{Place, Successor};
use chappe::net::inherited::Inherited;
use chappe::net::server::Server;
use chappe::observe::log::{self, LogHandle};
use chappe::observe::{Exporter, Observer, RecordWriter};
use chappe::relay::Event;
use chappe::sip::b2bua::AnchorRef;
use chappe::sip::plane::{News, Newsroom, Plane};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::CONFIGURATION;
use notify::Manager;
use rehearsal::Rehearsal;
use upgrade::Program;

/// Runs the relay until it is told to stop.
pub(crate) fn run(path: Option<&Path>) -> ExitCode {
    panics::make_fatal();
    // While there is one thread.
    let inherited = match Inherited::from_environment() {
        Ok(inherited) => inherited,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(CONFIGURATION);
        }
    };
    let config = match path.map(Config::load) {
        Some(Ok(config)) => config,
        Some(Err(problems)) => {
            eprintln!("{problems}");
            return ExitCode::from(CONFIGURATION);
        }
        None => match development() {
            Some(config) => config,
            None => {
                eprintln!("the operating system gives no randomness");
                return ExitCode::FAILURE;
            }
        },
    };
    let (log, flush) = match log::start(&config.log) {
        Ok(log) => log,
        // The filter was judged with the file: what is left is the system.
        Err(error) => {
            eprintln!("cannot start: {error}; allow this process more threads, descriptors or memory");
            return ExitCode::FAILURE;
        }
    };
    let control = match control() {
        Ok(control) => control,
        Err(error) => {
            eprintln!("cannot start: {error}; allow this process more threads, descriptors or memory");
            return ExitCode::FAILURE;
        }
    };
    // A shard that does not end does not keep the process, and neither does that thread.
    let code = control.block_on(serve(path, config, log, inherited));
    drop(flush);
    code
}

/// The runtime of everything but shards and control plane, on a thread of its own. tokio's own threads are no choice: where the
/// system gives none, starting them is a panic.
fn control() -> std::io::Result<tokio::runtime::Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let body = move || runtime.block_on(std::future::pending::<()>());
    std::thread::Builder::new().name("control".to_owned()).spawn(body)?;
    Ok(handle)
}

/// What an operator may say by signals.
struct Signals {
    term: Signal,
    int: Signal,
    hangup: Signal,
    upgrade: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        let on = |kind| signal(kind);
        Ok(Signals {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
            upgrade: on(SignalKind::user_defined2())?,
        })
    }
}

/// The running process.
struct Process {
    file: Option<PathBuf>,
    config: Config,
    server: Server,
    /// None without a `[[sip.listen]]`, or once it has failed.
    plane: Option<Plane>,
    exporter: Arc<Exporter>,
    admin: Arc<Admin>,
    /// Dropped, the admin interface ends.
    admin_ends: Option<tokio::sync::watch::Sender<()>>,
    log: LogHandle,
    records: Arc<RecordWriter>,
    rehearsal: Rehearsal,
    /// None where the configuration names no place for it, or once another process has taken over.
    offered: Option<Offered>,
    successors: mpsc::Receiver<Successor>,
    order: mpsc::Receiver<Order>,
    manager: Manager,
    program: Program,
    /// Another process has the listening sockets and serves them.
    handed_on: bool,
}

/// Listening sockets that wait for the process that takes over.
struct Offered {
    task: tokio::task::AbortHandle,
    _place: Place,
}

impl Drop for Offered {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(path: Option<&Path>, config: Config, log: LogHandle, inherited: Inherited) -> ExitCode {
    let (mut process, mut signals) = match start::start(path, config, log, inherited).await {
        Ok(started) => started,
        Err(failure) => {
            eprintln!("{failure}");
            return failure.code();
        }
    };
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                let _ = process.reload_as_told().await;
            }
            Some(order) = process.order.recv() => match order {
                Order::Reload(reply) => {
                    let _ = reply.send(process.reload_as_told().await);
                }
                Order::Drain => break,
            },
            Some(successor) = process.successors.recv() => {
                if process.hand_on(successor).await {
                    break;
                }
            }
            () = failed(&mut process.plane) => process.without_plane(),
            _ = signals.upgrade.recv() => process.upgrade(),
            _ = signals.term.recv() => break,
            _ = signals.int.recv() => {
                tracing::info!("interrupted; links are closed now");
                process.manager.stopping();
                return process.stop().await;
            }
        }
    }
    process.drain(signals).await
}

/// Waits until the control plane fails; without one, for ever.
async fn failed(plane: &mut Option<Plane>) {
    match plane {
        Some(plane) => plane.failed().await,
        None => std::future::pending().await,
    }
}

impl Process {
    /// Goes on without the control plane.
    fn without_plane(&mut self) {
        self.plane = None;
        self.exporter.sip_running(false);
        tracing::error!(
            "the SIP control plane has failed: sessions that are there go on, no call begins or ends; restart when they are over"
        );
    }

    async fn reload_as_told(&mut self) -> Result<Vec<Change>, Refused> {
        if !self.handed_on {
            self.manager.reloading();
        }
        let result = self.reload().await;
        match &result {
            Ok(changes) => tracing::info!(?changes, "configuration reloaded"),
            Err(error) => tracing::error!(%error, "configuration not reloaded; the old one stays in force"),
        }
        if !self.handed_on {
            self.manager.reloaded(result.is_ok());
        }
        result
    }

    /// Reads the file again and applies what may change without a restart; all or nothing.
    async fn reload(&mut self) -> Result<Vec<Change>, Refused> {
        let Some(file) = self.file.clone() else { return Err(Refused::NoFile) };
        let remarks = self.rehearsal.read(file.clone()).await?;
        let new = Config::load(&file)?;
        let changes = diff(&self.config, &new)?;
        // What can fail comes first; a target that was changed in vain is changed back.
        let plane = match &self.plane {
            Some(plane) => {
                let still = || Refused::Failed("the SIP control plane stands still".to_owned());
                Some((plane, plane.room().await.ok_or_else(still)?))
            }
            None => None,
        };
        let redirect = |to: Option<&chappe::config::Records>| {
            self.records.redirect(to).map_err(|e| Refused::Failed(format!("records.path: {e}")))
        };
        redirect(new.records.as_ref())?;
        let settings = match self.server.reconfigure(&new) {
            Ok(settings) => settings,
            Err(error) => {
                redirect(self.config.records.as_ref())?;
                return Err(Refused::Failed(error.to_string()));
            }
        };
        // A level that was set by hand lasts until here.
        if let Err(error) = self.log.set(&new.log.level) {
            tracing::error!(%error, "log.level not applied");
        }
        let stuck = |e: chappe::control::Stuck| Refused::Failed(e.to_string());
        self.server.shards.reconfigure(settings).await.map_err(stuck)?;
        if let Some((plane, room)) = plane {
            plane.reconfigure(room, &new, &self.server).map_err(|e| Refused::Failed(e.to_string()))?;
        }
        let gone = gone_users(&self.config, &new);
        if !gone.is_empty() {
            let ended = self.server.shards.end_users(gone).await.map_err(stuck)?;
            tracing::info!(ended, "sessions of users who may not use the relay any more were ended");
        }
        self.admin.replace_token(new.admin.as_ref().and_then(|a| a.token.clone()));
        self.config = new;
        for remark in remarks {
            tracing::warn!("{remark}");
        }
        Ok(changes)
    }
}

/// What a shard does with an event: it is observed, and what concerns a call goes to the control plane. Never waits.
fn observing(observer: Observer, newsroom: Newsroom) -> impl Fn(Event) + Send + Sync {
    move |event| {
        observer.event(&event);
        if let Event::Anchor { shard, anchor, news } = event
            && !newsroom.leave(AnchorRef { shard, anchor }, news)
        {
            tracing::error!(
                shard,
                "the control plane is stuck or has failed: news of an anchored session is lost, its call ends by its timers, if at all"
            );
        }
    }
}

/// Users that were in the old configuration and may not use the relay under the new one.
fn gone_users(old: &Config, new: &Config) -> Vec<String> {
    let may = |config: &Config, name: &str| config.auth.users.iter().any(|u| u.name == name && u.relay);
    let names = old.auth.users.iter().map(|u| u.name.clone());
    names.filter(|name| may(old, name) && !may(new, name)).collect()
}

/// Forgets addresses and users that have been quiet.
async fn sweep(shared: Arc<chappe::net::shared::Shared>) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    loop {
        minute.tick().await;
        let now = shared.clock.now();
        shared.addresses.sweep(now);
        shared.leases.sweep(now);
        shared.bans.sweep(now);
    }
}

/// Without a file: loopback, a certificate in memory, one user with a password of this run.
fn development() -> Option<Config> {
    let mut octets = [0u8; 12];
    getrandom::fill(&mut octets).ok()?;
    let password: String = octets.iter().map(|b| format!("{b:02x}")).collect();
    Some(Config::development(Secret::from(password)))
}

fn announce(path: Option<&Path>, config: &Config, server: &Server, plane: Option<&Plane>) {
    for (protocol, address) in plane.iter().flat_map(|plane| &plane.listening) {
        tracing::info!(%address, %protocol, "SIP is listening");
    }
    for (listen, address) in config.listen.iter().zip(&server.listening) {
        tracing::info!(%address, transport = ?listen.transport, auth = listen.auth, "listening");
    }
    if path.is_some() {
        return;
    }
    let address = server.listening.first().map(ToString::to_string).unwrap_or_default();
    let user = config.auth.users.first();
    let password = user.map(|u| match &u.credential {
        chappe::config::Credential::Password(p) => p.expose().to_owned(),
        chappe::config::Credential::Ha1 { .. } => String::new(),
    });
    eprintln!("┌─ DEVELOPMENT MODE: no --config was given. Loopback only; nothing here is for production.");
    eprintln!("│  relay     msrps://{};tcp on {address}", config.relay.hostname);
    eprintln!("│  user      {}", user.map(|u| u.name.as_str()).unwrap_or_default());
    eprintln!("│  password  {} (of this run)", password.unwrap_or_default());
    if let Some(admin) = &config.admin {
        eprintln!("│  admin     http://{}/metrics", admin.address);
    }
    if let Some(ca) = &server.development_ca {
        eprintln!("└─ clients trust this CA (made in memory, gone with the process):\n{ca}");
    }
}
