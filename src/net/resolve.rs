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

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test plays the name server")]
mod tests {
    use super::*;
    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};
    use rstest::rstest;
    use std::cell::RefCell;
    use std::rc::Rc;
    use tokio::net::UdpSocket;
    use tokio::task::{LocalSet, spawn_local};

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn srv(priority: u16, port: u16, target: &str) -> RData {
        RData::SRV(SRV::new(priority, 0, port, name(target)))
    }

    fn a(last: u8) -> RData {
        RData::A(A::new(9, 9, 9, last))
    }

    fn aaaa(last: u16) -> RData {
        RData::AAAA(AAAA::new(0x2620, 0, 0, 0, 0, 0, 0, last))
    }

    fn zone(asked: &str, kind: RecordType) -> Vec<RData> {
        match (asked, kind) {
            ("a.example.", RecordType::A) => vec![a(1), a(2)],
            ("a.example.", RecordType::AAAA) => vec![aaaa(1)],
            ("b.example.", RecordType::A) => vec![a(3)],
            ("many.example.", RecordType::A) => (0..40).map(a).collect(),
            ("_msrps._tcp.two.example.", RecordType::SRV) => {
                vec![srv(20, 5001, "b.example."), srv(10, 5002, "a.example."), srv(5, 0, "a.example.")]
            }
            ("_msrps._tcp.gone.example.", RecordType::SRV) => vec![srv(0, 0, ".")],
            ("_msrps._tcp.zero.example.", RecordType::SRV) => vec![srv(0, 0, "a.example.")],
            ("_msrps._tcp.void.example.", RecordType::SRV) => vec![srv(0, 5001, "nobody.invalid.")],
            ("x.example.", _) => vec![RData::CNAME(CNAME(name("y.example.")))],
            ("y.example.", _) => vec![RData::CNAME(CNAME(name("x.example.")))],
            _ => Vec::new(),
        }
    }

    /// Runs `test` with a resolver whose only name server knows the zone above; gives the questions that it was asked.
    async fn with_name_server<T>(test: impl AsyncFnOnce(Resolver) -> T) -> (T, Vec<String>) {
        let questions = Rc::new(RefCell::new(Vec::new()));
        let asked = Rc::clone(&questions);
        let run = async move {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let port = socket.local_addr().unwrap().port();
            let server = spawn_local(async move {
                let mut octets = [0; 1500];
                loop {
                    let (length, from) = socket.recv_from(&mut octets).await.unwrap();
                    let question = Message::from_vec(&octets[..length]).unwrap();
                    let query = question.queries[0].clone();
                    let name = query.name().to_ascii().to_ascii_lowercase();
                    let mut answer = Message::response(question.metadata.id, OpCode::Query);
                    for data in zone(&name, query.query_type()) {
                        answer.add_answer(Record::from_rdata(query.name().clone(), 60, data));
                    }
                    if answer.answers.is_empty() {
                        answer.metadata.response_code = ResponseCode::NXDomain;
                    }
                    asked.borrow_mut().push(format!("{name} {}", query.query_type()));
                    answer.add_query(query);
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            });
            let mut connection = ConnectionConfig::udp();
            connection.port = port;
            let loopback = Ipv4Addr::LOCALHOST.into();
            let servers = vec![NameServerConfig::new(loopback, true, vec![connection])];
            let config = ResolverConfig::from_parts(None, vec![name("search.example.")], servers);
            let result = test(Resolver::new(config, ResolverOpts::default()).unwrap()).await;
            server.abort();
            result
        };
        let result = LocalSet::new().run_until(run).await;
        (result, questions.take())
    }

    async fn resolve(target: Target) -> (Result<Vec<String>, DialError>, Vec<String>) {
        with_name_server(async |resolver| {
            resolver.resolve(&target).await.map(|found| found.iter().map(SocketAddr::to_string).collect())
        })
        .await
    }

    fn service(host: &str) -> Target {
        Target::Service { host: host.to_owned() }
    }

    fn named(host: &str, port: u16) -> Target {
        Target::Name { host: host.to_owned(), port }
    }

    #[rstest]
    #[case::families_alternate(named("a.example", 7000), &["[2620::1]:7000", "9.9.9.1:7000", "9.9.9.2:7000"])]
    #[case::priority(service("two.example"), &["[2620::1]:5002", "9.9.9.1:5002", "9.9.9.2:5002", "9.9.9.3:5001"])]
    #[case::no_service(service("b.example"), &["9.9.9.3:2855"])]
    #[case::numeric_name(named("9.9.9.9", 7000), &["9.9.9.9:7000"])]
    #[case::address(Target::Address(([9, 9, 9, 9], 1).into()), &["9.9.9.9:1"])]
    #[tokio::test]
    async fn rly76_addresses_in_order(#[case] target: Target, #[case] addrs: &[&str]) {
        assert_eq!(resolve(target).await.0.unwrap(), addrs);
    }

    #[rstest]
    #[case::decidedly_not_available(service("gone.example"))]
    #[case::port_0(service("zero.example"))]
    #[case::target_is_invalid(service("void.example"))]
    #[case::no_such_name(named("nobody.example", 7000))]
    #[case::cname_loop(named("x.example", 7000))]
    #[case::no_name(named("a..b", 7000))]
    #[tokio::test]
    async fn adv_r26_unreachable(#[case] target: Target) {
        assert_eq!(resolve(target).await.0, Err(DialError::Unresolvable));
    }

    #[tokio::test]
    async fn adv_r26_answers_are_bounded() {
        assert_eq!(resolve(named("many.example", 7000)).await.0.unwrap().len(), MOST_ADDRESSES);
    }

    #[rstest]
    #[case(named("x7.invalid", 7000), None)]
    #[case(service("X7.Invalid."), None)]
    #[case(named("localhost", 7000), Some(&["[::1]:7000", "127.0.0.1:7000"][..]))]
    #[case(service("localhost"), Some(&["[::1]:2855", "127.0.0.1:2855"][..]))]
    #[tokio::test]
    async fn rly102_nobody_is_asked(#[case] target: Target, #[case] addrs: Option<&[&str]>) {
        let (found, questions) = resolve(target).await;
        assert_eq!(
            found.ok().as_deref(),
            addrs.map(|addrs| addrs.iter().map(|addr| (*addr).to_owned()).collect::<Vec<_>>()).as_deref()
        );
        assert_eq!(questions, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_name_is_asked_for_as_it_is() {
        let (found, questions) = resolve(named("nobody", 7000)).await;
        assert_eq!(found, Err(DialError::Unresolvable));
        assert!(questions.iter().all(|question| question.starts_with("nobody. ")), "{questions:?}");
    }

    #[tokio::test]
    async fn without_name_servers_services_fall_back_to_addresses() {
        let resolver = Resolver::new(ResolverConfig::default(), ResolverOpts::default()).unwrap();
        assert_eq!(resolver.resolve(&service("far.example")).await, Err(DialError::Unresolvable));
        assert_eq!(resolver.resolve(&service("localhost")).await.unwrap().len(), 2);
    }

    #[test]
    fn rfc2782_weight_draws_within_a_priority() {
        let record = |priority, weight, port| Service { priority, weight, port, target: "t.".to_owned() };
        let ports = |ordered: Vec<Service>| ordered.iter().map(|record| record.port).collect::<Vec<_>>();
        let records = vec![record(2, 9, 4), record(1, 60, 1), record(1, 0, 2), record(1, 40, 3)];
        // Sums as drawn from: 0 (port 2), 40 (port 3), 100 (port 1).
        assert_eq!(ports(in_order(records.clone(), |_| 0)), [2, 3, 1, 4]);
        assert_eq!(ports(in_order(records.clone(), |most| most)), [1, 3, 2, 4]);
        assert_eq!(ports(in_order(records.clone(), |most| most.min(1))), [3, 1, 2, 4]);
        let mut asked = Vec::new();
        in_order(records, |most| {
            asked.push(most);
            most
        });
        assert_eq!(asked, [100, 40, 0, 9]);
    }
}
