//! As which of our listeners we speak to somebody: Via, Contact and the socket that sends follow from the one choice made here
//! (RFC 3261 sections 8.1.1.8, 18.1.1).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::framing::Via;
use super::way::{Protocol, Target, Way};

/// A listener, and what we are called there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listener {
    /// Its protocol.
    pub protocol: Protocol,
    /// What it is bound to.
    pub bound: SocketAddr,
    /// Name or address; IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// All listeners, in the order of the configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Listeners(Arc<[Listener]>);

impl FromIterator<Listener> for Listeners {
    fn from_iter<I: IntoIterator<Item = Listener>>(all: I) -> Listeners {
        Listeners(all.into_iter().collect())
    }
}

impl Listener {
    /// Host and port as Via and URIs have them.
    fn place(&self) -> String {
        let Listener { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// How well it suits: the greatest counts, of equals the first.
    fn suits(&self, protocol: Protocol, from: Option<SocketAddr>, remote: SocketAddr) -> impl Ord + use<> {
        let family = self.bound.is_ipv4() == remote.is_ipv4();
        let named = from.map_or(0, |from| self.is_at(from));
        (self.protocol == protocol, family, named, nearness(self.address(), remote.ip()))
    }

    /// Whether it is the one at this local address of ours: itself, or at least there.
    fn is_at(&self, local: SocketAddr) -> u8 {
        let any = self.bound.ip().is_unspecified() && self.bound.is_ipv4() == local.is_ipv4();
        match (self.bound.ip() == local.ip(), any, self.bound.port() == local.port()) {
            (true, _, true) => 4,
            (_, true, true) => 3,
            (true, ..) => 2,
            (_, true, _) => 1,
            _ => 0,
        }
    }

    /// The address by which it is told from others: what it is called, else what it is bound to.
    fn address(&self) -> IpAddr {
        self.host.parse().unwrap_or(self.bound.ip())
    }
}

impl Listeners {
    /// The one that speaks on this way: on a flow its own, toward a target the one that it names, else one of its protocol and
    /// family, the nearest of several. None only where there are none.
    pub fn of(&self, way: &Way) -> Option<&Listener> {
        self.choose(way.protocol(), way.local(), way.remote())
    }

    /// The target with the listener by which it is reached, where one speaks its protocol.
    pub fn aim(&self, target: Target) -> Target {
        let Target { protocol, address, .. } = target;
        let suits = |own: &&Listener| own.protocol == protocol && own.bound.is_ipv4() == address.is_ipv4();
        let from = self.choose(protocol, target.from, address).filter(suits).map(|own| own.bound);
        Target { from, ..target }
    }

    fn choose(&self, protocol: Protocol, from: Option<SocketAddr>, remote: SocketAddr) -> Option<&Listener> {
        // Of equals the last one is taken.
        self.0.iter().rev().max_by_key(|listener| listener.suits(protocol, from, remote))
    }

    /// The value of Contact toward somebody who is reached in this way. A `sips` URI, where one is due, names a listener with
    /// TLS; none if there is no such (RFC 3261 sections 8.1.1.8, 12.1.1).
    pub fn contact(&self, way: &Way, secure: bool) -> Option<String> {
        if secure {
            let own = self.choose(Protocol::Tls, way.local(), way.remote()).filter(|own| own.protocol == Protocol::Tls);
            return own.map(|own| format!("<sips:{}>", own.place()));
        }
        Some(match self.of(way) {
            Some(own) if own.protocol == Protocol::Udp => format!("<sip:{}>", own.place()),
            Some(own) => format!("<sip:{};transport={}>", own.place(), own.protocol.param()),
            None => "<sip:localhost>".to_owned(),
        })
    }

    /// The Via of a request that goes this way. `rport` asks for the port that a NAT has made of ours (RFC 3581 section 3).
    pub fn via(&self, way: &Way, branch: &str) -> String {
        let protocol = way.protocol();
        let place = self.of(way).map_or_else(|| "localhost".to_owned(), Listener::place);
        let rport = if protocol.is_reliable() { "" } else { ";rport" };
        format!("SIP/2.0/{protocol} {place};branch={branch}{rport}")
    }

    /// Whether this is one of ours (RFC 3261 section 18.1.2).
    pub fn owns(&self, via: &Via) -> bool {
        let default = if via.transport == "TLS" { 5061 } else { 5060 };
        let host = via.host.trim_start_matches('[').trim_end_matches(']');
        let same = |own: &Listener| own.host.eq_ignore_ascii_case(host) && own.port == via.port.unwrap_or(default);
        self.0.iter().any(same)
    }
}

/// How near two addresses are: of one scope first, then by the octets that they share (RFC 6724 section 5, rules 2 and 8 and 9).
fn nearness(own: IpAddr, remote: IpAddr) -> (bool, u32) {
    let (own, remote) = (own.to_canonical(), remote.to_canonical());
    let shared = match (own, remote) {
        (IpAddr::V4(own), IpAddr::V4(remote)) => (own.to_bits() ^ remote.to_bits()).leading_zeros(),
        (IpAddr::V6(own), IpAddr::V6(remote)) => (own.to_bits() ^ remote.to_bits()).leading_zeros(),
        _ => 0,
    };
    (scope(own) == scope(remote), shared)
}

/// From where an address can be reached.
fn scope(address: IpAddr) -> u8 {
    match address {
        _ if address.is_loopback() => 0,
        IpAddr::V4(four) if four.is_link_local() => 1,
        IpAddr::V6(six) if six.is_unicast_link_local() => 1,
        IpAddr::V4(four) if four.is_private() => 2,
        IpAddr::V6(six) if six.is_unique_local() => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::sip::way::FlowId;

    fn listener(protocol: Protocol, bound: &str, name: Option<&str>) -> Listener {
        let bound: SocketAddr = bound.parse().unwrap();
        let host = name.map_or_else(|| bound.ip().to_string(), str::to_owned);
        Listener { protocol, bound, host, port: bound.port() }
    }

    /// A relay between two networks, with a second port on one of them.
    fn ours() -> Listeners {
        [
            listener(Protocol::Udp, "127.0.0.1:5060", None),
            listener(Protocol::Udp, "10.1.0.7:5060", None),
            listener(Protocol::Udp, "10.2.0.7:5060", None),
            listener(Protocol::Udp, "10.2.0.7:5070", None),
            listener(Protocol::Udp, "198.51.100.7:5060", Some("sip.example")),
            listener(Protocol::Udp, "[2001:db8::7]:5060", None),
            listener(Protocol::Tcp, "10.2.0.7:5080", None),
            listener(Protocol::Tls, "0.0.0.0:5061", Some("sip.example")),
        ]
        .into_iter()
        .collect()
    }

    fn flow(protocol: Protocol, local: &str, remote: &str) -> Way {
        Way::Flow(FlowId { protocol, local: local.parse().unwrap(), remote: remote.parse().unwrap(), number: 1 })
    }

    fn target(protocol: Protocol, address: &str, from: Option<&str>) -> Target {
        Target { protocol, address: address.parse().unwrap(), name: None, from: from.map(|it| it.parse().unwrap()) }
    }

    #[rstest]
    #[case::its_own(flow(Protocol::Udp, "10.2.0.7:5070", "192.0.2.1:9"), "10.2.0.7:5070")]
    #[case::accepted(flow(Protocol::Tls, "10.2.0.7:5061", "192.0.2.1:9"), "sip.example:5061")]
    #[case::ours(flow(Protocol::Tcp, "10.2.0.7:49152", "10.2.0.1:5060"), "10.2.0.7:5080")]
    #[case::named(Way::Target(target(Protocol::Udp, "192.0.2.1:9", Some("10.2.0.7:5070"))), "10.2.0.7:5070")]
    #[case::beside_it(Way::Target(target(Protocol::Tcp, "192.0.2.1:9", Some("10.2.0.7:5070"))), "10.2.0.7:5080")]
    fn a_way_has_the_listener_that_it_names(#[case] way: Way, #[case] place: &str) {
        assert_eq!(ours().via(&way, "b").split([' ', ';']).nth(1), Some(place));
        assert!(ours().contact(&way, false).is_some_and(|contact| contact.contains(place)));
    }

    #[rstest]
    #[case(Protocol::Udp, "127.0.0.9:5060", "127.0.0.1:5060")]
    #[case(Protocol::Udp, "10.1.9.9:5060", "10.1.0.7:5060")]
    #[case(Protocol::Udp, "10.2.9.9:5060", "10.2.0.7:5060")]
    #[case(Protocol::Udp, "192.168.9.9:5060", "10.1.0.7:5060")]
    #[case(Protocol::Udp, "192.0.2.9:5060", "sip.example:5060")]
    #[case(Protocol::Udp, "[2001:db8::9]:5060", "[2001:db8::7]:5060")]
    #[case(Protocol::Tcp, "127.0.0.9:5060", "10.2.0.7:5080")]
    #[case(Protocol::Tls, "192.0.2.9:5061", "sip.example:5061")]
    fn a_target_has_the_nearest_of_its_protocol(
        #[case] protocol: Protocol,
        #[case] address: &str,
        #[case] place: &str,
    ) {
        let free = target(protocol, address, None);
        let aimed = ours().aim(free.clone());
        assert!(aimed.from.is_some());
        for target in [free, aimed] {
            assert_eq!(ours().via(&Way::Target(target), "b").split([' ', ';']).nth(1), Some(place));
        }
    }

    #[test]
    fn what_no_listener_speaks_names_none_and_is_still_called_something() {
        let udp: Listeners = [listener(Protocol::Udp, "10.1.0.7:5060", None)].into_iter().collect();
        let aimed = udp.aim(target(Protocol::Tcp, "10.1.0.9:5060", Some("10.1.0.7:5060")));
        assert_eq!(aimed.from, None);
        assert_eq!(udp.via(&Way::Target(aimed.clone()), "b"), "SIP/2.0/TCP 10.1.0.7:5060;branch=b");
        assert_eq!(udp.contact(&Way::Target(aimed.clone()), false).as_deref(), Some("<sip:10.1.0.7:5060>"));
        assert_eq!(udp.contact(&Way::Target(aimed), true), None);
    }

    /// RFC 3261 section 26.2.2: whatever carries the request, a secure Contact leads to TLS.
    #[test]
    fn a_secure_contact_is_that_of_a_listener_with_tls() {
        for way in
            [flow(Protocol::Tls, "10.2.0.7:5061", "192.0.2.1:9"), flow(Protocol::Udp, "10.2.0.7:5060", "192.0.2.1:9")]
        {
            assert_eq!(ours().contact(&way, true).as_deref(), Some("<sips:sip.example:5061>"));
        }
    }

    #[test]
    fn s18_1_2_a_name_is_ours_with_or_without_its_default_port() {
        let owns = |text: &str| ours().owns(&Via::first(text).unwrap().0);
        assert!(owns("SIP/2.0/UDP SIP.example;branch=x"));
        assert!(owns("SIP/2.0/TLS sip.example"));
        assert!(owns("SIP/2.0/UDP [2001:db8::7]:5060"));
        for other in ["SIP/2.0/UDP sip.example:5062", "SIP/2.0/UDP other.example:5060", "SIP/2.0/TCP 10.1.0.7:5070"] {
            assert!(!owns(other), "{other}");
        }
    }
}
