//! `chappe run`: the life of the process, from the configuration to the last goodbye.

#![expect(clippy::disallowed_methods, reason = "the process's own tasks: admin interface and sweep")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use chappe::admin::{self, Admin, Order, Parts, Phase, Refused};
use chappe::config::reload::{Change, diff};
use chappe::config::{Config, Secret};
use chappe::net::server::Server;
use chappe::observe::log::{self, LogHandle};
use chappe::observe::{Exporter, Observer, RecordWriter};
use chappe::relay::Event;
use chappe::sip::b2bua::AnchorRef;
use chappe::sip::plane::{Newsroom, Plane};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::CONFIGURATION;
use crate::rehearsal::Rehearsal;

/// How often a drain looks whether it is done.
const DRAIN_STEP: Duration = Duration::from_millis(200);
/// Time for the shards' last frames.
const GOODBYE: Duration = Duration::from_secs(10);

/// Runs the relay until it is told to stop.
pub(crate) fn run(path: Option<&Path>) -> ExitCode {
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
        Err(error) => {
            eprintln!("log: {error}");
            return ExitCode::from(CONFIGURATION);
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(serve(path, config, log));
    // A shard that does not end must not keep the process.
    runtime.shutdown_background();
    drop(flush);
    code
}

/// What an operator may say by signals.
struct Signals {
    term: Signal,
    int: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        let on = |kind| signal(kind);
        Ok(Signals {
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }
}

/// The running process.
struct Process {
    file: Option<PathBuf>,
    config: Config,
    server: Server,
    /// None without a `[[sip.listen]]`.
    plane: Option<Plane>,
    admin: Arc<Admin>,
    log: LogHandle,
    records: Arc<RecordWriter>,
    rehearsal: Rehearsal,
}

async fn serve(path: Option<&Path>, config: Config, log: LogHandle) -> ExitCode {
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if let Err(error) = chappe::net::socket::raise_descriptor_limit() {
        tracing::warn!(%error, "the descriptor limit stays as it is; many connections may not fit");
    }
    let exporter = Arc::new(Exporter::new());
    let records = match RecordWriter::start(config.records.as_ref()) {
        Ok(records) => Arc::new(records),
        Err(error) => {
            eprintln!("records.path: cannot be opened for writing: {error}");
            return ExitCode::from(CONFIGURATION);
        }
    };
    let observer = Observer::new(exporter.clone(), records.clone());
    let (newsroom, news) = Newsroom::new();
    let events = Box::new(observing(observer.clone(), newsroom));
    let server = match Server::start(&config, tokio::runtime::Handle::current(), events) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(CONFIGURATION);
        }
    };
    let plane = match Plane::start(&config, &server, news, observer) {
        Ok(plane) => plane,
        Err(error) => {
            eprintln!("{error}");
            let _ = server.shards.stop().await;
            return ExitCode::from(CONFIGURATION);
        }
    };
    for remark in chappe::net::server::examine(&config).unwrap_or_default() {
        tracing::warn!("{remark}");
    }
    let (orders, mut order) = mpsc::channel(8);
    let token = config.admin.as_ref().and_then(|a| a.token.clone());
    let shards = server.shards.clone();
    let admin = Admin::new(Parts { shards, exporter, records: records.clone(), log: log.clone(), token, orders });
    if let Some(address) = config.admin.as_ref().map(|a| a.address) {
        match tokio::net::TcpListener::bind(address).await {
            Ok(listener) => {
                let address = listener.local_addr().unwrap_or(address);
                tracing::info!(%address, "admin is listening");
                tokio::spawn(admin::serve(listener, admin.clone(), std::future::pending::<()>()));
            }
            Err(error) => {
                eprintln!("admin.address: cannot bind {address}: {error}; is another process using it?");
                let _ = server.shards.stop().await;
                return ExitCode::from(CONFIGURATION);
            }
        }
    }
    announce(path, &config, &server, plane.as_ref());
    tokio::spawn(sweep(server.shared.clone()));
    let mut process = Process {
        file: path.map(Path::to_owned),
        config,
        server,
        plane,
        admin,
        log,
        records,
        rehearsal: Rehearsal::default(),
    };
    process.admin.enter(Phase::Serving);
    let Ok(mut signals) = Signals::listen() else {
        eprintln!("cannot listen for signals");
        return ExitCode::FAILURE;
    };
    loop {
        tokio::select! {
            _ = signals.hangup.recv() => {
                let result = process.reload().await;
                report_reload(&result);
            }
            Some(order) = order.recv() => match order {
                Order::Reload(reply) => {
                    let result = process.reload().await;
                    report_reload(&result);
                    let _ = reply.send(result);
                }
                Order::Drain => break,
            },
            _ = signals.term.recv() => break,
            _ = signals.int.recv() => {
                tracing::info!("interrupted; links are closed now");
                return process.stop().await;
            }
        }
    }
    process.drain(signals, order).await
}

impl Process {
    /// Reads the file again and applies what may change without a restart; all or nothing.
    async fn reload(&mut self) -> Result<Vec<Change>, Refused> {
        let Some(file) = self.file.clone() else { return Err(Refused::NoFile) };
        let remarks = self.rehearsal.read(file.clone()).await?;
        let new = Config::load(&file)?;
        let changes = diff(&self.config, &new)?;
        // What can fail comes first; a target that was changed in vain is changed back.
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
        if let Some(plane) = &self.plane {
            plane.reconfigure(&new, &self.server).await.map_err(|e| Refused::Failed(e.to_string()))?;
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

    /// No new sessions; bound ones go on until they end or the time is over. A second signal ends the wait.
    async fn drain(mut self, mut signals: Signals, mut order: mpsc::Receiver<Order>) -> ExitCode {
        self.admin.enter(Phase::Draining);
        let time = self.config.relay.drain_timeout;
        tracing::info!(timeout_s = time.as_secs(), "draining: new sessions are refused, bound ones go on");
        if let Some(plane) = &self.plane {
            plane.drain().await;
        }
        let _ = self.server.shards.drain().await;
        let deadline = tokio::time::sleep(time);
        tokio::pin!(deadline);
        loop {
            let calls = match &self.plane {
                Some(plane) => plane.calls().await,
                None => 0,
            };
            // A shard that is too busy to answer has something left.
            if calls == 0 && self.server.shards.drained().await.unwrap_or(false) {
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(DRAIN_STEP) => {}
                () = &mut deadline => {
                    tracing::warn!("drain timeout: sessions that are left are ended");
                    break;
                }
                _ = signals.term.recv() => break,
                _ = signals.int.recv() => break,
                _ = signals.hangup.recv() => report_reload(&self.reload().await),
                Some(order) = order.recv() => match order {
                    Order::Reload(reply) => {
                        let result = self.reload().await;
                        report_reload(&result);
                        let _ = reply.send(result);
                    }
                    Order::Drain => {}
                },
            }
        }
        self.stop().await
    }

    async fn stop(self) -> ExitCode {
        // Whoever still has a call hears BYE before its media go.
        if let Some(plane) = self.plane {
            plane.stop().await;
        }
        let _ = self.server.shards.stop().await;
        let server = self.server;
        let joined = tokio::time::timeout(GOODBYE, tokio::task::spawn_blocking(move || server.join())).await;
        if joined.is_err() {
            tracing::warn!("some links did not take their last frames in time");
        }
        self.records.flush();
        tracing::info!("stopped");
        ExitCode::SUCCESS
    }
}

fn report_reload(result: &Result<Vec<Change>, Refused>) {
    match result {
        Ok(changes) => tracing::info!(?changes, "configuration reloaded"),
        Err(error) => tracing::error!(%error, "configuration not reloaded; the old one stays in force"),
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
                "the control plane is stuck: news of an anchored session is lost, its call ends by its timers"
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
