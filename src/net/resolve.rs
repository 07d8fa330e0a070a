//! From the host of a URI to the addresses to try, in order (RFC 4976 section 5.1, RFC 2782).

use super::dial::DialError;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::SRV;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::time::timeout;

/// The port of MSRP where neither the URI nor an SRV record names one.
pub const DEFAULT_PORT: u16 = 2855;

/// All questions about one target together may take this long.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Addresses that are tried; what else a name may have is not asked for or forgotten (ADV-R26).
pub const MOST_ADDRESSES: usize = 16;

/// Targets of a service whose addresses are asked for.
const MOST_SERVICE_TARGETS: usize = 8;

/// Where a URI leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// Name and port: A and AAAA.
    Name {
        /// A host name, or an address in text.
        host: String,
        /// The port of the URI.
        port: u16,
    },
    /// A numeric host: nothing is asked.
    Address(SocketAddr),
    /// A name without port: SRV `_msrps._tcp`, then A and AAAA with port 2855 (RLY-76).
    Service {
        /// The domain. The server's certificate must name it, not the target of the SRV record (AMB-60).
        host: String,
    },
}

impl Target {
    /// The name that the URI names, if it names one.
    pub fn host_name(&self) -> Option<&str> {
        match self {
            Self::Name { host, .. } | Self::Service { host } => Some(host),
            Self::Address(_) => None,
        }
    }
}

/// Asks the name servers of the system, and its hosts file first. It works on the runtime where it is first used, so
/// each shard has its own.
pub struct Resolver {
    resolver: TokioResolver,
}

impl Resolver {
    /// Reads the system's configuration; where there is none, the hosts file alone is left.
    pub fn from_system() -> Result<Self, DialError> {
        let (config, options) =
            read_system_conf().unwrap_or_else(|_| (ResolverConfig::default(), ResolverOpts::default()));
        Self::new(config, options)
    }

    fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Self, DialError> {
        options.timeout = Duration::from_secs(2);
        options.attempts = 1;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = builder.with_options(options).build().map_err(|_| DialError::Unresolvable)?;
        Ok(Self { resolver })
    }

    /// The addresses to try for `target`, in order, at least one and at most [`MOST_ADDRESSES`].
    pub async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, DialError> {
        let found = match target {
            Target::Address(addr) => return Ok(vec![*addr]),
            Target::Name { host, port } => timeout(LOOKUP_TIMEOUT, self.host(host, *port)).await,
            Target::Service { host } => timeout(LOOKUP_TIMEOUT, self.service(host)).await,
        };
        let mut found = found.map_err(|_| DialError::Timeout)??;
        found.truncate(MOST_ADDRESSES);
        if found.is_empty() { Err(DialError::Unresolvable) } else { Ok(found) }
    }

    async fn host(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        if let Some(known) = without_asking(host)? {
            return Ok(known.into_iter().map(|addr| SocketAddr::new(addr, port)).collect());
        }
        let answer = self.resolver.lookup_ip(absolute(host)?).await.map_err(failure)?;
        let (six, four): (Vec<_>, Vec<_>) = answer.iter().partition(IpAddr::is_ipv6);
        Ok(alternating(six, four).take(MOST_ADDRESSES).map(|addr| SocketAddr::new(addr, port)).collect())
    }

    async fn service(&self, host: &str) -> Result<Vec<SocketAddr>, DialError> {
        if without_asking(host)?.is_some() {
            return self.host(host, DEFAULT_PORT).await;
        }
        let name = absolute(&format!("_msrps._tcp.{host}"))?;
        let records = match self.resolver.lookup(name, RecordType::SRV).await {
            Ok(answer) => answer.answers().iter().filter_map(|record| service(&record.data)).collect(),
            // Without name servers the hosts file is all there is, and it has no services.
            Err(error) if error.is_no_records_found() || matches!(error, NetError::NoConnections) => Vec::new(),
            Err(error) => return Err(failure(error)),
        };
        if records.is_empty() {
            return self.host(host, DEFAULT_PORT).await;
        }
        let mut found = Vec::new();
        let mut problem = DialError::Unresolvable;
        for record in in_order(records, random).into_iter().filter(usable).take(MOST_SERVICE_TARGETS) {
            match self.host(&record.target, record.port).await {
                Ok(addrs) => found.extend(addrs),
                Err(error) => problem = error,
            }
            if found.len() >= MOST_ADDRESSES {
                break;
            }
        }
        if found.is_empty() { Err(problem) } else { Ok(found) }
    }
}

/// What is known of a host without a name server: nothing may be asked about `.invalid` (RLY-102), `localhost` is here
/// (RFC 6761 section 6.3), and an address is itself.
fn without_asking(host: &str) -> Result<Option<Vec<IpAddr>>, DialError> {
    let bare = host.strip_suffix('.').unwrap_or(host);
    let last = bare.rsplit('.').next().unwrap_or_default();
    if last.eq_ignore_ascii_case("invalid") {
        return Err(DialError::Unresolvable);
    }
    if last.eq_ignore_ascii_case("localhost") {
        return Ok(Some(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]));
    }
    Ok(bare.parse().ok().map(|addr| vec![addr]))
}

/// The name as one that no search list lengthens: it comes from a stranger, who means what it says.
fn absolute(host: &str) -> Result<Name, DialError> {
    let mut name = Name::from_ascii(host).map_err(|_| DialError::Unresolvable)?;
    name.set_fqdn(true);
    Ok(name)
}

fn failure(error: NetError) -> DialError {
    match error {
        NetError::Timeout => DialError::Timeout,
        _ => DialError::Unresolvable,
    }
}

/// One of each in turn, so that a family without a route costs one attempt only (RFC 8305 section 4).
fn alternating(six: Vec<IpAddr>, four: Vec<IpAddr>) -> impl Iterator<Item = IpAddr> {
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { six.next().or_else(|| four.next()) } else { four.next().or_else(|| six.next()) }
    })
}

/// The parts of an SRV record.
#[derive(Clone, Debug, PartialEq)]
struct Service {
    priority: u16,
    weight: u16,
    port: u16,
    target: String,
}

fn service(data: &RData) -> Option<Service> {
    let RData::SRV(SRV { priority, weight, port, target, .. }) = data else { return None };
    Some(Service { priority: *priority, weight: *weight, port: *port, target: target.to_ascii() })
}

/// Target `.` says that the service is decidedly not available; port 0 is none (ADV-R26).
fn usable(service: &Service) -> bool {
    service.target != "." && service.port != 0
}

/// The order of RFC 2782: by priority, and within one drawn by weight. `random` gives a number from 0 to its argument.
fn in_order(mut records: Vec<Service>, mut random: impl FnMut(u32) -> u32) -> Vec<Service> {
    // Weight 0 goes first in a draw, so that it has a very small chance and not none.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|first| first.priority) {
        let equals = records.iter().take_while(|record| record.priority == priority);
        let total = equals.map(|record| u32::from(record.weight)).sum();
        let drawn = random(total);
        let mut running = 0;
        let place = records.iter().position(|record| {
            running += u32::from(record.weight);
            running >= drawn
        });
        ordered.push(records.remove(place.unwrap_or(0)));
    }
    ordered
}

/// Spreads load, protects nothing: without entropy the order is a fixed one.
fn random(most: u32) -> u32 {
    getrandom::u32().unwrap_or(0) % (most + 1)
}
