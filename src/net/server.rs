//! Starting the data plane: certificates, listeners, one thread per shard; and changing it while it runs.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::address::{Addresses, Leases};
use super::bans::Bans;
use super::bound::{Bound, bind, listeners};
use super::clock::Clock;
use super::engine;
use super::inherited::{InheritError, Inherited, Named};
use super::mailbox::mesh;
use super::shard::Shard;
use super::shared::{Peers, Shared};
use super::tls::{ClientSide, CredentialError, Identity, PeerTrust, ServerOptions, ServerSide, development};
use crate::accounts::{Chain, Htdigest, HtdigestError, Secret, Store, User, Users, UsersError};
use crate::auth::{Ha1, Ha1Error};
use crate::config::{CertSource, Config, Credential, TlsVersion};
use crate::control::{Shards, ban_rules, rules, settings};
use crate::relay::{Event, Label};

/// Why the data plane does not start, or does not take a new configuration.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file of the configuration cannot be read.
    #[error("cannot read {path}: {error}; correct the path or its permissions")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A certificate or key is unusable.
    #[error("{what}: {error}")]
    Credentials {
        /// The key of the configuration.
        what: &'static str,
        /// Why.
        error: CredentialError,
    },
    /// A user of the configuration is unusable.
    #[error("auth.user: {0}")]
    Users(#[from] UsersError),
    /// An HA1 is malformed.
    #[error("auth.user: {0}")]
    Ha1(#[from] Ha1Error),
    /// The htdigest file is unusable.
    #[error("auth.htdigest: {0}")]
    Htdigest(#[from] HtdigestError),
    /// A listener cannot be bound.
    #[error(
        "{key}.address: cannot bind {address}: {error}; write an address of this machine that no other process uses"
    )]
    Bind {
        /// The listener's key.
        key: String,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A socket that was handed to us is of no use.
    #[error("sockets of the service manager: {0}")]
    Inherit(#[from] InheritError),
    /// A thread or runtime cannot be made.
    #[error("cannot start a shard: {0}; allow this process more threads, descriptors or memory")]
    Thread(io::Error),
    /// The same for the control plane.
    #[error("cannot start the control plane: {0}; allow this process more threads, descriptors or memory")]
    SipThread(io::Error),
    /// A SIP listener over TLS without a certificate.
    #[error("a SIP listener over TLS needs a certificate")]
    SipCertificate,
    /// A SIP listener cannot be bound.
    #[error(
        "{key}.address: cannot bind {protocol} {address}: {error}; write an address of this machine that no other process uses"
    )]
    SipBind {
        /// The listener's key.
        key: String,
        /// Its protocol.
        protocol: crate::sip::way::Protocol,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The operating system gives no randomness.
    #[error("no randomness from the operating system")]
    Randomness,
}

impl StartError {
    /// Whether a change of the configuration is what mends it.
    pub fn is_configuration(&self) -> bool {
        match self {
            StartError::Thread(_) | StartError::SipThread(_) | StartError::Randomness => false,
            StartError::Bind { error, .. } | StartError::SipBind { error, .. } | StartError::File { error, .. } => {
                !is_shortage(error)
            }
            _ => true,
        }
    }
}

/// Whether the system has not got enough of something, whatever the configuration says.
pub fn is_shortage(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM | libc::EAGAIN))
}

/// The running data plane.
pub struct Server {
    /// The way to the shards.
    pub shards: Shards,
    /// What they share.
    pub shared: Arc<Shared>,
    /// Addresses of the listeners, in the order of the configuration.
    pub listening: Vec<SocketAddr>,
    /// Twins of all listening sockets by the keys of their listeners, for the process that takes over; without them a socket is closed
    /// when its shard lets go of it.
    pub sockets: Vec<Named>,
    /// The CA of a certificate made in memory, in PEM.
    pub development_ca: Option<String>,
    /// The certificate made in memory and its CA, if there is one.
    in_memory: Option<(String, Identity)>,
    generation: u32,
    /// Closed when all shards have ended.
    alive: tokio::sync::mpsc::Receiver<()>,
}

struct TlsSides {
    server: Option<ServerSide>,
    client: ClientSide,
    peers: Option<Peers>,
    in_memory: Option<(String, Identity)>,
}

impl Server {
    /// Binds all listeners that are not inherited, then starts the shards, which accept nothing before `Shards::accept`. `control`
    /// runs what is not the data plane's: look-ups. Nothing is served unless everything can be.
    pub fn start(
        config: &Config,
        inherited: &mut Inherited,
        control: tokio::runtime::Handle,
        events: Box<dyn Fn(Event) + Send + Sync>,
    ) -> Result<Server, StartError> {
        let shards = shard_count(config);
        let Bound { of_shards, listening, sockets: twins } = bind(config, shards, inherited)?;
        let generation = u32::from_le_bytes(random()?) % Label::GENERATIONS;
        let core = settings(config, &listening, shards as u16, generation);
        let tls = tls_sides(config)?;
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            settings: ArcSwap::from_pointee(core),
            rules: ArcSwap::from_pointee(rules(config)),
            server: tls.server,
            client: tls.client,
            peers: ArcSwap::from_pointee(tls.peers),
            accounts: ArcSwap::from_pointee(accounts(config)?),
            control,
            addresses: Arc::new(Addresses::default()),
            leases: Leases::default(),
            bans: Bans::new(ban_rules(config)),
            events,
        });
        let (handles, commands) = Shards::new(shards);
        let (living, alive) = tokio::sync::mpsc::channel(1);
        let (started, has_started) = sync_channel(shards);
        let cpus = if config.relay.pin { allowed_cpus() } else { Vec::new() };
        let ends = mesh(shards).into_iter().zip(commands).zip(of_shards);
        for (number, (((outboxes, mailbox), commands), sockets)) in ends.enumerate() {
            let seed = random::<32>()?;
            let listeners = listeners(config, sockets, &listening);
            let shared = shared.clone();
            let cpu = cpus.get(number % cpus.len().max(1)).copied();
            let engine = config.relay.engine;
            let ready = started.clone();
            let living = living.clone();
            let body = move || {
                let _living = living;
                if let Some(cpu) = cpu {
                    pin(cpu);
                }
                // A ring belongs to the thread that makes it.
                match engine::Runtime::new(engine) {
                    Ok(runtime) => {
                        let _ = ready.send(Ok(()));
                        let shard = Shard::new(shared, number as u16, outboxes, seed);
                        runtime.block_on(shard.run(listeners, mailbox, commands));
                    }
                    Err(error) => {
                        let _ = ready.send(Err(error));
                    }
                }
            };
            let name = format!("shard-{number}");
            std::thread::Builder::new().name(name).spawn(body).map_err(StartError::Thread)?;
        }
        for outcome in has_started.iter().take(shards) {
            outcome.map_err(StartError::Thread)?;
        }
        let in_memory = tls.in_memory;
        let development_ca = in_memory.as_ref().map(|(ca, _)| ca.clone());
        Ok(Server { shards: handles, shared, listening, sockets: twins, development_ca, in_memory, generation, alive })
    }

    /// Makes a new configuration effective without dropping a link. Everything is read and checked before anything changes.
    pub fn reconfigure(&self, config: &Config) -> Result<Arc<crate::relay::Settings>, StartError> {
        let stores = accounts(config)?;
        let files = read_tls(config)?;
        let core = Arc::new(settings(config, &self.listening, self.shards.len() as u16, self.generation));
        if let Some(mut files) = files {
            let peers = peers(config, &files)?;
            let identity = match (files.identity.take(), &self.in_memory) {
                (Some(identity), _) => Some(identity),
                (None, Some((ca, identity))) => {
                    files.roots.push(ca.clone().into_bytes());
                    Some(identity.clone())
                }
                (None, None) => None,
            };
            let options = server_options(config);
            let wrong = |error| StartError::Credentials { what: "tls.certificate", error };
            let roots = |error| StartError::Credentials { what: "tls.client_ca or tls.trust", error };
            // Everything that can fail has failed before the first change.
            ClientSide::new(&files.roots, identity.as_ref(), options.key_log).map_err(roots)?;
            if let (Some(server), Some(identity)) = (&self.shared.server, &identity) {
                server.reload(identity, options).map_err(wrong)?;
            }
            self.shared.client.reload(&files.roots, identity.as_ref(), options.key_log).map_err(roots)?;
            self.shared.peers.store(Arc::new(peers));
        }
        self.shared.accounts.store(Arc::new(stores));
        self.shared.rules.store(Arc::new(rules(config)));
        self.shared.bans.reconfigure(ban_rules(config));
        self.shared.settings.store(core.clone());
        Ok(core)
    }

    /// The CA (PEM) and the certificate that were made in memory, if there are: the control plane shows the same.
    pub fn in_memory(&self) -> Option<&(String, Identity)> {
        self.in_memory.as_ref()
    }

    /// The certificate that TLS listeners present, as DER; none without one.
    pub fn certificate(&self, config: &Config) -> Option<Vec<u8>> {
        let files = read_tls(config).ok().flatten();
        let identity = files.and_then(|files| files.identity);
        let identity = identity.as_ref().or(self.in_memory.as_ref().map(|(_, identity)| identity));
        identity.and_then(|identity| identity.chain.first()).map(|leaf| leaf.to_vec())
    }

    /// Waits for the shards to end after `Shards::stop`. Needs no thread: there may be none to be had.
    pub async fn ended(mut self) {
        let _ = self.alive.recv().await;
    }
}

fn shard_count(config: &Config) -> usize {
    // Follows the CPU quota of a container, and the affinity mask.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    config.relay.shards.unwrap_or(cores).clamp(1, 1024)
}

/// Contents of the TLS files.
pub(crate) struct TlsFiles {
    pub(crate) identity: Option<Identity>,
    pub(crate) client_ca: Option<Vec<u8>>,
    pub(crate) roots: Vec<Vec<u8>>,
}

/// A file that may hold a key: wiped when dropped.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, StartError> {
    fs::read(path).map(Zeroizing::new).map_err(|error| StartError::File { path: path.to_owned(), error })
}

pub(crate) fn read_tls(config: &Config) -> Result<Option<TlsFiles>, StartError> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let identity = match &tls.certificate {
        CertSource::Files { certificate, key } => {
            let wrong = |error| StartError::Credentials { what: "tls.certificate", error };
            Some(Identity::from_pem(&read(certificate)?, &read(key)?).map_err(wrong)?)
        }
        CertSource::InMemory => None,
    };
    let public = |path: &Path| read(path).map(|text| text.to_vec());
    let client_ca = tls.client_ca.as_deref().map(public).transpose()?;
    let trust = tls.trust.as_deref().map(public).transpose()?;
    let roots = client_ca.iter().chain(trust.iter()).cloned().collect();
    Ok(Some(TlsFiles { identity, client_ca, roots }))
}

fn peers(config: &Config, files: &TlsFiles) -> Result<Option<Peers>, StartError> {
    let Some(ca) = &files.client_ca else { return Ok(None) };
    let trust = PeerTrust::from_pem(&[ca]).map_err(|error| StartError::Credentials { what: "tls.client_ca", error })?;
    let names: HashSet<String> = config.peer_relay.iter().map(|p| p.name.to_ascii_lowercase()).collect();
    Ok(Some(Peers { trust, names }))
}

fn tls_sides(config: &Config) -> Result<TlsSides, StartError> {
    let wrong = |error| StartError::Credentials { what: "tls.certificate", error };
    let key_log = server_options(config).key_log;
    let Some(mut files) = read_tls(config)? else {
        let client = ClientSide::new(&[""; 0], None, key_log).map_err(wrong)?;
        return Ok(TlsSides { server: None, client, peers: None, in_memory: None });
    };
    let mut in_memory = None;
    let identity = match files.identity.take() {
        Some(identity) => identity,
        None => {
            let (ca, identity) = development::in_memory(&config.relay.hostname).map_err(wrong)?;
            files.roots.push(ca.clone().into_bytes());
            in_memory = Some((ca, identity.clone()));
            identity
        }
    };
    let options = server_options(config);
    let server = ServerSide::new(&identity, options).map_err(wrong)?;
    let trust = |error| StartError::Credentials { what: "tls.client_ca or tls.trust", error };
    let client = ClientSide::new(&files.roots, Some(&identity), key_log).map_err(trust)?;
    let peers = peers(config, &files)?;
    Ok(TlsSides { server: Some(server), client, peers, in_memory })
}

pub(crate) fn server_options(config: &Config) -> ServerOptions {
    let key_log = config.tls.as_ref().is_some_and(|t| t.sslkeylog);
    let only_tls13 = config.tls.as_ref().is_some_and(|t| t.min_version == TlsVersion::V1_3);
    ServerOptions { ask_certificate: true, key_log, only_tls13 }
}

/// Reads what the configuration's files contain, without serving anything: the first thing that is wrong, else remarks.
pub fn examine(config: &Config) -> Result<Vec<String>, StartError> {
    accounts(config)?;
    tls_sides(config)?;
    let files = read_tls(config)?;
    let Some(leaf) = files.as_ref().and_then(|f| f.identity.as_ref()).and_then(|i| i.chain.first()) else {
        return Ok(Vec::new());
    };
    let untimely = super::tls::untimely(leaf, today());
    let names = super::tls::dns_names(leaf);
    let covers = |name: &str, host: &str| {
        let wild =
            name.strip_prefix("*.").zip(host.split_once('.')).is_some_and(|(n, (_, h))| n.eq_ignore_ascii_case(h));
        wild || name.eq_ignore_ascii_case(host)
    };
    let advertised = config.listen.iter().filter_map(|l| l.advertise.as_ref()).map(|a| a.host.as_str());
    let hosts = std::iter::once(config.relay.hostname.as_str()).chain(advertised);
    let missing = hosts.filter(|h| h.parse::<std::net::IpAddr>().is_err() && !names.iter().any(|n| covers(n, h)));
    let remark = |h: &str| format!("tls.certificate is not good for {h:?}, only for {names:?}: clients will refuse it");
    Ok(missing.map(remark).chain(untimely.map(|u| format!("tls.certificate {u}"))).collect())
}

#[expect(clippy::disallowed_methods, reason = "the dates of certificates are judged by the wall clock")]
fn today() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

fn accounts(config: &Config) -> Result<Box<dyn Store>, StartError> {
    let mut users = Vec::new();
    for user in &config.auth.users {
        let secret = match &user.credential {
            Credential::Password(password) => Secret::Password(password.expose().into()),
            Credential::Ha1 { md5, sha256 } => {
                let md5 = md5.as_ref().map(|h| Ha1::from_md5_hex(h.expose())).transpose()?;
                let sha256 = sha256.as_ref().map(|h| Ha1::from_sha256_hex(h.expose())).transpose()?;
                match (md5, sha256) {
                    (Some(mut a), Some(b)) => {
                        a.merge(&b);
                        Secret::Ha1(a)
                    }
                    (Some(h), None) | (None, Some(h)) => Secret::Ha1(h),
                    (None, None) => continue,
                }
            }
        };
        users.push(User { name: user.name.clone(), secret, relay: user.relay });
    }
    let mut stores: Vec<Arc<dyn Store>> = vec![Arc::new(Users::new(&config.relay.realm, users)?)];
    if let Some(path) = &config.auth.htdigest {
        stores.push(Arc::new(Htdigest::open(path, &config.relay.realm)?));
    }
    Ok(Box::new(Chain::new(stores)))
}

pub(crate) fn random<const N: usize>() -> Result<[u8; N], StartError> {
    let mut out = [0; N];
    getrandom::fill(&mut out).map_err(|_| StartError::Randomness)?;
    Ok(out)
}

fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect()
}

fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::info!(%error, cpu, "a shard could not be pinned; it runs where the system puts it");
    }
}
