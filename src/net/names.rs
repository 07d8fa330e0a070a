//! Questions to the name servers of the system, with typed answers.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use crate::dns::{Pointer, Service};

/// Asks the name servers of the system, and its hosts file first. It works on the runtime where it is first used.
pub(crate) struct Names {
    resolver: TokioResolver,
    /// It knows no name server.
    alone: bool,
}

/// A question without an answer. That there are no such records is an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum NameError {
    /// No name that could be asked for.
    #[error("not a domain name")]
    Name,
    /// Nobody answered.
    #[error("no answer from the name servers")]
    Time,
    /// The name servers failed or refused, or the resolver could not be made.
    #[error("the name servers failed")]
    Failed,
}

impl Names {
    /// Reads the system's configuration; where there is none, the hosts file alone is left. That it cannot be read just now, for
    /// want of a descriptor, is a failure.
    pub(crate) fn from_system() -> Result<Names, NameError> {
        let (config, options) = read_system_conf().or_else(|error| match error {
            NetError::Io(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Other) => {
                Err(NameError::Failed)
            }
            _ => Ok((ResolverConfig::default(), ResolverOpts::default())),
        })?;
        Names::new(config, options)
    }

    /// Whether it knows no name server: it may have been made before the system had one.
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }

    pub(super) fn new(config: ResolverConfig, mut options: ResolverOpts) -> Result<Names, NameError> {
        options.timeout = Duration::from_secs(2);
        options.attempts = 1;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        let alone = config.name_servers().is_empty();
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = builder.with_options(options).build().map_err(|_| NameError::Failed)?;
        Ok(Names { resolver, alone })
    }

    /// A and AAAA of a name, in no order.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, NameError> {
        match self.resolver.lookup_ip(absolute(name)?).await {
            Ok(answer) => Ok(answer.iter().collect()),
            Err(error) => nothing(error),
        }
    }

    /// SRV records of a name, in no order.
    pub(crate) async fn services(&self, name: &str) -> Result<Vec<Service>, NameError> {
        self.records(name, RecordType::SRV, service).await
    }

    /// NAPTR records of a name, in no order.
    pub(crate) async fn pointers(&self, name: &str) -> Result<Vec<Pointer>, NameError> {
        self.records(name, RecordType::NAPTR, pointer).await
    }

    async fn records<T>(
        &self,
        name: &str,
        kind: RecordType,
        read: fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, NameError> {
        match self.resolver.lookup(absolute(name)?, kind).await {
            Ok(answer) => Ok(answer.answers().iter().filter_map(|record| read(&record.data)).collect()),
            Err(error) => nothing(error),
        }
    }
}

/// The name as one that no search list lengthens: it comes from a stranger, who means what it says.
fn absolute(name: &str) -> Result<Name, NameError> {
    let mut name = Name::from_ascii(name).map_err(|_| NameError::Name)?;
    name.set_fqdn(true);
    Ok(name)
}

/// No records, unless the name servers could not say. Without any the hosts file is all there is, and what it does not have
/// does not exist.
fn nothing<T>(error: NetError) -> Result<Vec<T>, NameError> {
    match error {
        error if error.is_no_records_found() => Ok(Vec::new()),
        NetError::NoConnections => Ok(Vec::new()),
        NetError::Timeout => Err(NameError::Time),
        _ => Err(NameError::Failed),
    }
}

fn service(data: &RData) -> Option<Service> {
    let RData::SRV(srv) = data else { return None };
    Some(Service { priority: srv.priority, weight: srv.weight, port: srv.port, target: srv.target.to_ascii() })
}

fn pointer(data: &RData) -> Option<Pointer> {
    let RData::NAPTR(naptr) = data else { return None };
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Some(Pointer {
        order: naptr.order,
        preference: naptr.preference,
        flags: text(&naptr.flags),
        service: text(&naptr.services),
        has_regexp: !naptr.regexp.is_empty(),
        replacement: naptr.replacement.to_ascii(),
    })
}

/// A number from 0 to `most`. It spreads load and protects nothing: without entropy the order is a fixed one.
pub(crate) fn random(most: u32) -> u32 {
    getrandom::u32().unwrap_or(0) % (most + 1)
}

/// A name server of a test: it knows a zone, and remembers what it was asked.
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test plays the name server")]
pub(crate) mod fixture {
    use std::cell::RefCell;
    use std::net::Ipv4Addr;
    use std::rc::Rc;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig};
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::Record;
    use tokio::net::UdpSocket;
    use tokio::task::{LocalSet, spawn_local};

    use super::*;

    pub(crate) fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    /// What is in a zone: by name (in lower case, with its last dot) and type.
    pub(crate) type Zone = fn(&str, RecordType) -> Vec<RData>;

    /// Runs `test` with a resolver whose only name server knows `zone`; gives the questions that it was asked.
    pub(crate) async fn with_name_server<T>(zone: Zone, test: impl AsyncFnOnce(Names) -> T) -> (T, Vec<String>) {
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
                    if name.starts_with("broken.") {
                        answer.metadata.response_code = ResponseCode::ServFail;
                    } else if answer.answers.is_empty() {
                        answer.metadata.response_code = ResponseCode::NXDomain;
                    }
                    asked.borrow_mut().push(format!("{name} {}", query.query_type()));
                    answer.add_query(query);
                    socket.send_to(&answer.to_vec().unwrap(), from).await.unwrap();
                }
            });
            let result = test(at(port)).await;
            server.abort();
            result
        };
        let result = LocalSet::new().run_until(run).await;
        (result, questions.take())
    }

    /// A resolver whose only name server is at this port of loopback.
    pub(crate) fn at(port: u16) -> Names {
        let mut connection = ConnectionConfig::udp();
        connection.port = port;
        let servers = vec![NameServerConfig::new(Ipv4Addr::LOCALHOST.into(), true, vec![connection])];
        let config = ResolverConfig::from_parts(None, vec![name("search.example.")], servers);
        Names::new(config, ResolverOpts::default()).unwrap()
    }

    /// A resolver without name servers.
    pub(crate) fn alone() -> Names {
        Names::new(ResolverConfig::default(), ResolverOpts::default()).unwrap()
    }
}
