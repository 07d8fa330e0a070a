//! From the host of a URI to the addresses to try, in order (RFC 4976 section 5.1, RFC 2782).

use super::dial::DialError;
use super::names::{NameError, Names, random};
use crate::dns::{Known, alternating, in_order, without_asking};
use std::net::SocketAddr;
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
    names: Names,
}

impl Resolver {
    /// Reads the system's configuration; where there is none, the hosts file alone is left.
    pub fn from_system() -> Result<Self, DialError> {
        Ok(Self { names: Names::from_system().map_err(failure)? })
    }

    /// Whether it may be kept: one that knows no name server is made anew, until the system has one.
    pub fn is_lasting(&self) -> bool {
        !self.names.is_alone()
    }

    /// The addresses to try for `target`, in order, at least one and at most [`MOST_ADDRESSES`].
    pub async fn resolve(&self, target: &Target) -> Result<Vec<SocketAddr>, DialError> {
        let found = match target {
            Target::Address(addr) => return Ok(vec![*addr]),
            Target::Name { host, port } => timeout(LOOKUP_TIMEOUT, self.host(host, *port)).await,
            Target::Service { host } => timeout(LOOKUP_TIMEOUT, self.service(host)).await,
        };
        let mut found = found.map_err(|_| DialError::NameServersSilent)??;
        found.truncate(MOST_ADDRESSES);
        if found.is_empty() { Err(DialError::Unresolvable) } else { Ok(found) }
    }

    async fn host(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let known = match without_asking(host) {
            Some(Known::Nowhere) => return Err(DialError::Unresolvable),
            Some(Known::Addresses(known)) => known,
            None => {
                let found = self.names.addresses(host).await.map_err(failure)?;
                alternating(found).take(MOST_ADDRESSES).collect()
            }
        };
        if known.is_empty() {
            return Err(DialError::Unresolvable);
        }
        Ok(known.into_iter().map(|address| SocketAddr::new(address, port)).collect())
    }

    async fn service(&self, host: &str) -> Result<Vec<SocketAddr>, DialError> {
        if without_asking(host).is_some() {
            return self.host(host, DEFAULT_PORT).await;
        }
        let records = self.names.services(&format!("_msrps._tcp.{host}")).await.map_err(failure)?;
        if records.is_empty() {
            return self.host(host, DEFAULT_PORT).await;
        }
        let mut found = Vec::new();
        let mut problem = DialError::Unresolvable;
        let records = in_order(records, random).into_iter().filter(|record| record.is_usable());
        for record in records.take(MOST_SERVICE_TARGETS) {
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

fn failure(error: NameError) -> DialError {
    match error {
        NameError::Time => DialError::NameServersSilent,
        NameError::Failed => DialError::NameServers,
        NameError::Name => DialError::Unresolvable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::names::fixture::{alone, name, with_name_server};
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, SRV};
    use hickory_resolver::proto::rr::{RData, RecordType};
    use rstest::rstest;

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

    async fn resolve(target: Target) -> (Result<Vec<String>, DialError>, Vec<String>) {
        with_name_server(zone, async |names| {
            let resolver = Resolver { names };
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

    /// CORE-91, RLY-76
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

    /// ADV-R26
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

    /// ADV-R26
    #[tokio::test]
    async fn adv_r26_answers_are_bounded() {
        assert_eq!(resolve(named("many.example", 7000)).await.0.unwrap().len(), MOST_ADDRESSES);
    }

    /// RLY-102
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
        let resolver = Resolver { names: alone() };
        assert_eq!(resolver.resolve(&service("far.example")).await, Err(DialError::Unresolvable));
        assert_eq!(resolver.resolve(&service("localhost")).await.unwrap().len(), 2);
    }
}
