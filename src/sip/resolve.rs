//! From places to targets with the name servers of the system: what drives a [`Search`].

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::routing::{Answer, MOST_TARGETS, Means, Place, Question, Search, Unresolved};
use super::way::Target;
use crate::net::names::{NameError, Names, random};

/// All questions about one request together may take this long.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Asks the name servers of the system, and its hosts file first. It belongs to the runtime where it is first used.
pub struct Resolver {
    names: Names,
    within: Duration,
}

impl Resolver {
    /// Reads the system's configuration; where there is none, the hosts file alone is left. Fails as a look-up would.
    pub fn from_system() -> Result<Resolver, Unresolved> {
        let names = Names::from_system().map_err(|_| Unresolved::Failed)?;
        Ok(Resolver { names, within: LOOKUP_TIMEOUT })
    }

    /// The targets to try for a request, in order: at least one, at most [`MOST_TARGETS`], none twice. `places` are tried one
    /// after the other (a next hop has several where the operator names several). `long` says that the request is over 1300
    /// octets. Where the time is over, what was found by then counts.
    pub async fn targets(&self, places: &[Place], means: Means, long: bool) -> Result<Vec<Target>, Unresolved> {
        let mut found: Vec<Target> = Vec::new();
        let mut problem = Unresolved::Nothing;
        let deadline = deadline(self.within);
        for place in places {
            match self.search(Search::new(place.clone(), means, long), deadline).await {
                Ok(targets) => {
                    let fresh: Vec<Target> = targets.into_iter().filter(|target| !found.contains(target)).collect();
                    found.extend(fresh);
                }
                // That one name does not exist is no news where another could not be asked for.
                Err(why) if problem == Unresolved::Nothing => problem = why,
                Err(_) => {}
            }
            if found.len() >= MOST_TARGETS {
                break;
            }
        }
        found.truncate(MOST_TARGETS);
        if found.is_empty() { Err(problem) } else { Ok(found) }
    }

    async fn search(&self, mut search: Search, deadline: Instant) -> Result<Vec<Target>, Unresolved> {
        while let Some(question) = search.question() {
            match timeout_at(deadline, self.ask(&question)).await {
                Ok(answer) => search.answer(answer, random),
                Err(_) => break,
            }
        }
        search.finish()
    }

    async fn ask(&self, question: &Question) -> Answer {
        let answer = match question {
            Question::Pointers(name) => self.names.pointers(name).await.map(Answer::Pointers),
            Question::Services(name) => self.names.services(name).await.map(Answer::Services),
            Question::Addresses(name) => self.names.addresses(name).await.map(Answer::Addresses),
        };
        answer.unwrap_or_else(|error| match error {
            // What is no name has no records.
            NameError::Name => nothing(question),
            NameError::Time | NameError::Failed => Answer::Failed,
        })
    }
}

fn nothing(question: &Question) -> Answer {
    match question {
        Question::Pointers(_) => Answer::Pointers(Vec::new()),
        Question::Services(_) => Answer::Services(Vec::new()),
        Question::Addresses(_) => Answer::Addresses(Vec::new()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a deadline of the runtime's own clock")]
fn deadline(within: Duration) -> Instant {
    Instant::now() + within
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::rr::rdata::{A, AAAA, NAPTR, SRV};
    use hickory_resolver::proto::rr::{RData, RecordType};
    use rstest::rstest;

    use super::*;
    use crate::net::names::fixture::{alone, at, name, with_name_server};

    const ALL: Means = Means { udp4: true, udp6: true, tcp: true, tls: true };

    fn naptr(order: u16, service: &str, replacement: &str) -> RData {
        let text = |text: &str| text.as_bytes().to_vec().into_boxed_slice();
        RData::NAPTR(NAPTR::new(order, 1, text("s"), text(service), text(""), name(replacement)))
    }

    fn srv(priority: u16, port: u16, target: &str) -> RData {
        RData::SRV(SRV::new(priority, 0, port, name(target)))
    }

    fn zone(asked: &str, kind: RecordType) -> Vec<RData> {
        match (asked, kind) {
            ("example.com.", RecordType::NAPTR) => {
                vec![naptr(2, "SIP+D2U", "_sip._udp.example.com."), naptr(1, "SIP+D2T", "_sip._tcp.example.com.")]
            }
            ("_sip._tcp.example.com.", RecordType::SRV) => vec![srv(2, 5081, "b.example."), srv(1, 5080, "a.example.")],
            ("a.example.", RecordType::A) => vec![RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))],
            ("a.example.", RecordType::AAAA) => vec![RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))],
            ("b.example.", RecordType::A) => vec![RData::A(A(Ipv4Addr::new(192, 0, 2, 2)))],
            _ => Vec::new(),
        }
    }

    async fn resolve(uris: &[&str]) -> (Result<Vec<String>, Unresolved>, Vec<String>) {
        let places: Vec<Place> = uris.iter().map(|uri| Place::parse(uri).expect("a place")).collect();
        with_name_server(zone, async |names| {
            let found = Resolver { names, within: LOOKUP_TIMEOUT }.targets(&places, ALL, false).await;
            found.map(|targets| targets.iter().map(|it| format!("{} {}", it.protocol, it.address)).collect())
        })
        .await
    }

    #[rstest]
    #[case(&["sip:example.com"], &["TCP [2001:db8::1]:5080", "TCP 192.0.2.1:5080", "TCP 192.0.2.2:5081"])]
    #[case(&["sip:a.example:5070"], &["UDP [2001:db8::1]:5070", "UDP 192.0.2.1:5070"])]
    #[case(&["sip:b.example"], &["UDP 192.0.2.2:5060"])]
    #[case(&["sip:nobody.example", "sip:b.example:1", "sip:192.0.2.2:1", "sips:192.0.2.9"], &["UDP 192.0.2.2:1", "TLS 192.0.2.9:5061"])]
    #[tokio::test]
    async fn rfc3263_with_a_name_server(#[case] uris: &[&str], #[case] expected: &[&str]) {
        assert_eq!(resolve(uris).await.0.expect("targets"), expected);
    }

    #[rstest]
    #[case(&["sip:nobody.example"], Unresolved::Nothing)]
    #[case(&["sip:broken.example:5060"], Unresolved::Failed)]
    #[case(&["sip:broken.example:5060", "sip:nobody.example:5060"], Unresolved::Failed)]
    #[case(&["sip:nobody.example:5060", "sip:broken.example:5060"], Unresolved::Failed)]
    #[case(&["sip:a..b"], Unresolved::Nothing)]
    #[case(&["sip:x.invalid"], Unresolved::Nothing)]
    #[case(&[], Unresolved::Nothing)]
    #[tokio::test]
    async fn what_leads_nowhere(#[case] uris: &[&str], #[case] why: Unresolved) {
        assert_eq!(resolve(uris).await.0, Err(why));
    }

    #[tokio::test]
    async fn a_search_may_move_between_threads() {
        let resolver = std::sync::Arc::new(Resolver { names: alone(), within: LOOKUP_TIMEOUT });
        let place = Place::parse("sip:localhost").expect("a place");
        let search: std::pin::Pin<Box<dyn Future<Output = bool> + Send>> =
            Box::pin(async move { resolver.targets(&[place], ALL, false).await.is_ok() });
        assert!(search.await);
    }

    #[tokio::test]
    async fn rly102_nobody_is_asked() {
        for uri in ["sip:x.invalid", "sip:localhost", "sip:192.0.2.1", "sips:[2001:db8::1]:5090"] {
            assert_eq!(resolve(&[uri]).await.1, Vec::<String>::new(), "{uri}");
        }
    }

    #[tokio::test]
    async fn without_name_servers_the_hosts_file_is_left() {
        let resolver = Resolver { names: alone(), within: LOOKUP_TIMEOUT };
        let places = |uri| [Place::parse(uri).expect("a place")];
        let far = resolver.targets(&places("sip:far.example"), ALL, false).await;
        assert_eq!(far, Err(Unresolved::Nothing));
        let here = resolver.targets(&places("sip:localhost"), ALL, false).await;
        assert_eq!(here.map(|targets| targets.len()), Ok(2));
    }

    #[tokio::test]
    async fn silence_ends_with_what_is_there() {
        // Nobody answers here: the port is bound and never read.
        let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let port = silent.local_addr().expect("an address").port();
        let resolver = Resolver { names: at(port), within: Duration::from_millis(50) };
        let places = ["sip:192.0.2.1", "sip:a.example", "sip:b.example"].map(|uri| Place::parse(uri).expect("a place"));
        let found = resolver.targets(&places, ALL, false).await.expect("the first needs no question");
        assert_eq!(found.len(), 1);
        assert_eq!(resolver.targets(&places[1..], ALL, false).await, Err(Unresolved::Time));
    }
}
