//! From a place to the addresses to try, in order (RFC 3263 sections 4.1 to 4.3): questions out, answers in.
//!
//! ```text
//!   neither port nor protocol ── NAPTR ──┐
//!   protocol, no port ───────────────────┴─ SRV, one after the other until one leads somewhere ──┐
//!   port ─────────────────────────────────────────────────────────────────────────────────── A, AAAA
//!   address: nothing is asked
//! ```
//!
//! Each step asks a bounded number of questions: [`MOST_SERVICES`] for services, [`MOST_HOSTS`] for addresses, whichever
//! services their hosts are of.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};

use super::pointers::{ServiceName, plain_names, selected};
use super::{Means, Place};
use crate::dns::{Known, Pointer, Service, alternating, in_order, without_asking};
use crate::sip::way::{Protocol, Target};

/// Targets that are tried; what else there may be is forgotten.
pub const MOST_TARGETS: usize = 16;
/// Services that are asked for.
pub const MOST_SERVICES: usize = 4;
/// Hosts whose addresses are asked for.
pub const MOST_HOSTS: usize = 8;

/// A question, with a name that no search list may lengthen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Question {
    /// NAPTR records.
    Pointers(String),
    /// SRV records.
    Services(String),
    /// A and AAAA records.
    Addresses(String),
}

/// The answer to a [`Question`] of the same name; no records are an empty list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// NAPTR records.
    Pointers(Vec<Pointer>),
    /// SRV records.
    Services(Vec<Service>),
    /// Addresses.
    Addresses(Vec<IpAddr>),
    /// The name servers did not say.
    Failed,
}

/// Why there is no target.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unresolved {
    /// Nothing of that name, or nothing there that speaks SIP with us.
    #[error("no SIP server is found there")]
    Nothing,
    /// The protocol that the URI names is not spoken here.
    #[error("that protocol is not spoken here")]
    Protocol,
    /// The name servers failed.
    #[error("the name servers failed")]
    Failed,
    /// The name servers were too slow.
    #[error("the name servers did not answer in time")]
    Time,
}

impl Unresolved {
    /// Status code and phrase for the caller (RFC 3261 sections 21.4.5, 21.5.1, 21.5.5).
    pub fn status(self) -> (u16, &'static str) {
        match self {
            Unresolved::Nothing | Unresolved::Protocol => (404, "Not Found"),
            Unresolved::Failed => (500, "Name Servers Failed"),
            Unresolved::Time => (504, "Name Servers Too Slow"),
        }
    }
}

/// One search.
#[derive(Clone, Debug)]
pub struct Search {
    place: Place,
    means: Means,
    long: bool,
    step: Step,
    found: Vec<Target>,
    /// Hosts whose addresses were asked for.
    hosts: usize,
    problem: Unresolved,
}

/// Services to go on to where one has led nowhere, and what speaks with the domain itself where none has records.
#[derive(Clone, Default, Debug)]
struct Further {
    names: VecDeque<ServiceName>,
    fallback: Option<Protocol>,
}

#[derive(Clone, Debug)]
enum Step {
    Pointers,
    /// The first one is being asked for.
    Services(Further),
    Hosts {
        protocol: Protocol,
        /// The first one is being asked for.
        hosts: VecDeque<(String, u16)>,
        further: Further,
    },
    Done,
}

impl Search {
    /// A search for `place`. `long` says that the request is over 1300 octets: then each datagram target is preceded by the
    /// same one over TCP, and the datagram is for where that is refused (RFC 3261 section 18.1.1).
    pub fn new(place: Place, means: Means, long: bool) -> Search {
        let mut search =
            Search { place, means, long, step: Step::Done, found: Vec::new(), hosts: 0, problem: Unresolved::Nothing };
        search.begin();
        search
    }

    fn begin(&mut self) {
        let place = &self.place;
        let named = place.protocol;
        let usual = named.or_else(|| self.means.preferred(place.secure, false).next());
        let Some(protocol) = usual.filter(|protocol| self.means.speaks(*protocol)) else {
            self.problem = Unresolved::Protocol;
            return;
        };
        let known = without_asking(&place.host);
        if known.is_some() || place.port.is_some() {
            let host = (place.host.clone(), place.port.unwrap_or(protocol.default_port()));
            return self.seek(protocol, [host].into(), Further::default());
        }
        if named.is_none() {
            self.step = Step::Pointers;
            return;
        }
        let names = [ServiceName::plain(protocol, &place.host)].into();
        self.step = Step::Services(Further { names, fallback: Some(protocol) });
    }

    /// The question whose answer comes next; none when the search is over.
    pub fn question(&self) -> Option<Question> {
        match &self.step {
            Step::Pointers => Some(Question::Pointers(self.place.host.clone())),
            Step::Services(further) => further.names.front().map(|service| Question::Services(service.name.clone())),
            Step::Hosts { hosts, .. } => hosts.front().map(|(host, _)| Question::Addresses(host.clone())),
            Step::Done => None,
        }
    }

    /// Takes the answer to [`Search::question`]; one of another kind counts as a failure. `random` gives a number from 0 to
    /// its argument, for the draw of RFC 2782.
    pub fn answer(&mut self, answer: Answer, random: impl FnMut(u32) -> u32) {
        match (std::mem::replace(&mut self.step, Step::Done), answer) {
            (Step::Pointers, Answer::Pointers(records)) => self.pointed(records),
            // There are resolvers that know no NAPTR: as if there were none.
            (Step::Pointers, _) => self.pointed(Vec::new()),
            (Step::Services(further), Answer::Services(records)) => self.served(further, records, random),
            (Step::Services(Further { mut names, .. }), _) => {
                // Without this answer nobody knows whether a fallback would be right.
                self.problem = Unresolved::Failed;
                names.pop_front();
                self.next_service(Further { names, fallback: None });
            }
            (Step::Hosts { protocol, mut hosts, further }, answer) => {
                let port = hosts.pop_front().map_or(0, |(_, port)| port);
                self.hosts += 1;
                match answer {
                    Answer::Addresses(addresses) => self.take(protocol, port, addresses),
                    _ => self.problem = Unresolved::Failed,
                }
                self.seek(protocol, hosts, further);
            }
            (Step::Done, _) => {}
        }
    }

    /// Ends the search: what was found by now, at least one and at most [`MOST_TARGETS`].
    pub fn finish(self) -> Result<Vec<Target>, Unresolved> {
        let problem = if self.question().is_some() { Unresolved::Time } else { self.problem };
        let mut targets: Vec<Target> = Vec::new();
        for target in self.found {
            let stream = (self.long && target.protocol == Protocol::Udp && self.means.tcp)
                .then(|| Target { protocol: Protocol::Tcp, ..target.clone() });
            for target in stream.into_iter().chain([target]) {
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
        targets.truncate(MOST_TARGETS);
        if targets.is_empty() { Err(problem) } else { Ok(targets) }
    }

    /// RFC 3263 section 4.1.
    fn pointed(&mut self, records: Vec<Pointer>) {
        let mut names = selected(records, &self.means, self.place.secure, self.long);
        let fallback = match names.first() {
            Some(first) => Some(first.protocol),
            None => {
                names = plain_names(&self.place.host, &self.means, self.place.secure, self.long);
                self.means.preferred(self.place.secure, false).next()
            }
        };
        names.truncate(MOST_SERVICES);
        self.step = Step::Services(Further { names: names.into(), fallback });
    }

    fn served(&mut self, mut further: Further, records: Vec<Service>, random: impl FnMut(u32) -> u32) {
        let Some(protocol) = further.names.pop_front().map(|service| service.protocol) else { return };
        // The domain itself is meant only where nothing else is said (RFC 3263 section 4.2), least of all by a target of "."
        // (RFC 2782).
        further.fallback.take_if(|fallback| !records.is_empty() && *fallback == protocol);
        let usable = in_order(records, random).into_iter().filter(Service::is_usable).take(MOST_HOSTS);
        self.seek(protocol, usable.map(|record| (record.target, record.port)).collect(), further);
    }

    /// The next service, by order and preference where NAPTR records name it; without SRV records the domain itself is the host
    /// (RFC 3263 section 4.2).
    fn next_service(&mut self, further: Further) {
        if !further.names.is_empty() {
            self.step = Step::Services(further);
        } else if let Some(protocol) = further.fallback {
            self.seek(protocol, [(self.place.host.clone(), protocol.default_port())].into(), Further::default());
        }
    }

    /// Goes on with the first host about which somebody has to be asked; where none of them has led anywhere, with what comes
    /// after them.
    fn seek(&mut self, protocol: Protocol, mut hosts: VecDeque<(String, u16)>, further: Further) {
        while self.found.len() < MOST_TARGETS
            && let Some((host, port)) = hosts.front()
        {
            let (known, port) = (without_asking(host), *port);
            match known {
                None if self.hosts < MOST_HOSTS => {
                    self.step = Step::Hosts { protocol, hosts, further };
                    return;
                }
                None | Some(Known::Nowhere) => {}
                Some(Known::Addresses(addresses)) => self.take(protocol, port, addresses),
            }
            hosts.pop_front();
        }
        if self.found.is_empty() {
            self.next_service(further);
        }
    }

    fn take(&mut self, protocol: Protocol, port: u16, addresses: Vec<IpAddr>) {
        // The certificate must be good for what the URI says, wherever the DNS leads (RFC 5922 section 4).
        let named = protocol == Protocol::Tls && self.place.address().is_none();
        let name = named.then(|| self.place.host.as_str().into());
        let means = self.means;
        let addresses = alternating(addresses.into_iter().map(|address| address.to_canonical()))
            .filter(|address| means.reaches(protocol, *address));
        let targets = addresses.map(|address| Target {
            protocol,
            address: SocketAddr::new(address, port),
            name: Option::clone(&name),
            from: None,
        });
        let room = MOST_TARGETS - self.found.len().min(MOST_TARGETS);
        self.found.extend(targets.take(room));
    }
}
