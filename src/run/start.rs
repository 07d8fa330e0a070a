//! From the configuration to a process that serves: everything that can fail comes before the first connection is let in.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use chappe::handover::{HandoverError, Offer, Predecessor, take_over};
use chappe::net::inherited::{Inherited, Unclaimed};
use chappe::net::server::{StartError, is_shortage};
use chappe::net::socket;

use super::*;
use crate::CONFIGURATION;

/// Why the process does not start: one message, and one exit code.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("records.path: cannot be opened for writing: {0}; write the path of a file that this user may write to")]
    Records(std::io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(
        "admin.address: cannot bind {address}: {error}; write an address of this machine that no other process uses"
    )]
    Admin { address: std::net::SocketAddr, error: std::io::Error },
    #[error(
        "the service manager hands over a socket that no listener takes: {0}; write its address under [[listen]], [[sip.listen]] or [admin], or remove it there"
    )]
    Unclaimed(Unclaimed),
    #[error(transparent)]
    Handover(#[from] HandoverError),
    #[error("cannot start: {0}; allow this process more threads, descriptors or memory")]
    System(std::io::Error),
}

impl Failure {
    /// 78 where the configuration has to be changed (sysexits.h: EX_CONFIG), 1 otherwise.
    pub(super) fn code(&self) -> ExitCode {
        let configuration = match self {
            Failure::Admin { error, .. } => !is_shortage(error),
            Failure::Records(_) | Failure::Unclaimed(_) => true,
            Failure::Start(error) => error.is_configuration(),
            Failure::Handover(error) => matches!(error, HandoverError::Bind { .. }),
            Failure::System(_) => false,
        };
        if configuration { ExitCode::from(CONFIGURATION) } else { ExitCode::FAILURE }
    }
}

/// What has been started so far. Without the word it serves nothing.
struct Opened {
    server: Server,
    plane: Option<Plane>,
    admin: Option<TcpListener>,
    offer: Option<Offer>,
}

/// Starts everything, lets connections in, and tells who waits for it.
pub(super) async fn start(
    path: Option<&Path>,
    config: Config,
    log: LogHandle,
    mut inherited: Inherited,
) -> Result<(Process, Signals), Failure> {
    let manager = Manager::from_environment();
    let program = Program::of_this_process();
    let signals = Signals::listen().map_err(Failure::System)?;
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    if let Err(error) = socket::raise_descriptor_limit() {
        tracing::warn!(%error, "the descriptor limit stays as it is; many connections may not fit");
    }
    let exporter = Arc::new(Exporter::new());
    let records = Arc::new(
        RecordWriter::start(config.records.as_ref())
            .map_err(|error| if is_shortage(&error) { Failure::System(error) } else { Failure::Records(error) })?,
    );
    let observer = Observer::new(exporter.clone(), records.clone());
    let predecessor = take_sockets(&config, &mut inherited).await?;

    let (newsroom, news) = Newsroom::new();
    let events = Box::new(observing(observer.clone(), newsroom));
    let server = Server::start(&config, &mut inherited, tokio::runtime::Handle::current(), events)?;
    let mut opened = Opened { server, plane: None, admin: None, offer: None };
    let rest = open_rest(&mut opened, &config, (&mut inherited, predecessor.is_some()), news, observer);
    let allowed = match (rest, predecessor) {
        (Ok(()), Some(predecessor)) => predecessor.ready().await.map(Some).map_err(Failure::from),
        (result, _) => result.map(|()| None),
    };
    let before = match allowed {
        Ok(before) => before,
        Err(failure) => {
            let _ = opened.server.shards.stop().await;
            if let Some(offer) = opened.offer {
                offer.withdraw();
            }
            return Err(failure);
        }
    };
    for remark in chappe::net::server::examine(&config).unwrap_or_default() {
        tracing::warn!("{remark}");
    }

    // From here on it serves.
    let Opened { mut server, mut plane, admin: admin_listener, offer } = opened;
    let mut sockets = std::mem::take(&mut server.sockets);
    sockets.extend(plane.as_mut().map(|plane| std::mem::take(&mut plane.sockets)).unwrap_or_default());
    if let Some(twin) = admin_listener.as_ref().and_then(|listener| listener.try_clone().ok()) {
        sockets.push(("admin".to_owned(), OwnedFd::from(twin)));
    }
    let (orders, order) = mpsc::channel(8);
    let token = config.admin.as_ref().and_then(|a| a.token.clone());
    let shards = server.shards.clone();
    let parts = Parts { shards, exporter: exporter.clone(), records: records.clone(), log: log.clone(), token, orders };
    let admin = Admin::new(parts);
    let (admin_ends, admin_end) = tokio::sync::watch::channel(());
    if let Some(listener) = admin_listener.and_then(|listener| tokio::net::TcpListener::from_std(listener).ok()) {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, "admin is listening");
        }
        let ended = async move {
            let mut end = admin_end;
            while end.changed().await.is_ok() {}
        };
        tokio::spawn(admin::serve(listener, admin.clone(), ended));
    }
    let _ = server.shards.accept().await;
    if let Some(plane) = &plane {
        plane.serve(before);
        exporter.sip_running(true);
    }
    let (ready, successors) = mpsc::channel(1);
    let offered = match offer.map(|offer| offer.publish(sockets, ready)).transpose() {
        Ok(offered) => {
            offered.map(|(place, offer)| Offered { task: tokio::spawn(offer).abort_handle(), _place: place })
        }
        Err(error) => {
            tracing::error!(%error, "no other process can take over from this one");
            None
        }
    };
    admin.enter(Phase::Serving);
    announce(path, &config, &server, plane.as_ref());
    tokio::spawn(sweep(server.shared.clone()));
    manager.ready();
    let process = Process {
        file: path.map(Path::to_owned),
        config,
        server,
        plane,
        exporter,
        admin,
        admin_ends: Some(admin_ends),
        log,
        records,
        rehearsal: Rehearsal::default(),
        offered,
        successors,
        order,
        manager,
        program,
        handed_on: false,
    };
    Ok((process, signals))
}

/// The sockets of the process that runs under the same configuration, if there is one.
async fn take_sockets(config: &Config, inherited: &mut Inherited) -> Result<Option<Predecessor>, Failure> {
    let Some(path) = &config.relay.handover else { return Ok(None) };
    let Some((predecessor, sockets)) = take_over(path).await? else { return Ok(None) };
    tracing::info!(sockets = sockets.len(), "took the listening sockets of the running process");
    for socket in sockets {
        inherited.add(socket).map_err(StartError::from)?;
    }
    Ok(Some(predecessor))
}

/// Whatever comes behind the data plane.
fn open_rest(
    opened: &mut Opened,
    config: &Config,
    (inherited, taken_over): (&mut Inherited, bool),
    news: News,
    observer: Observer,
) -> Result<(), Failure> {
    opened.plane = Plane::start(config, inherited, &opened.server, news, observer)?;
    if let Some(address) = config.admin.as_ref().map(|admin| admin.address) {
        let listener = match inherited.streams("admin", address).into_iter().next() {
            Some(listener) => Ok(listener),
            None => socket::listen(address, false),
        };
        opened.admin = Some(listener.map_err(|error| Failure::Admin { address, error })?);
    }
    for unclaimed in inherited.unclaimed() {
        if !taken_over {
            return Err(Failure::Unclaimed(unclaimed));
        }
        // The process before had another configuration.
        tracing::warn!(socket = %unclaimed, "no listener takes this socket any more; it is let go");
    }
    if let Some(path) = &config.relay.handover {
        opened.offer = Some(Offer::prepare(path)?);
    }
    Ok(())
}
