//! What is ourselves: a request that would go there would come back.

use std::net::{IpAddr, SocketAddr};

use super::Place;
use crate::sip::way::{Protocol, Target};

/// Names and addresses of our listeners.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ownership {
    names: Vec<(String, u16)>,
    bound: Vec<(bool, SocketAddr)>,
}

impl Ownership {
    /// `names` are what Via and Contact say (IPv6 without brackets), `bound` what the listeners are bound to.
    pub fn new(
        names: impl IntoIterator<Item = (String, u16)>,
        bound: impl IntoIterator<Item = (Protocol, SocketAddr)>,
    ) -> Ownership {
        let spelled = |(host, port): (String, u16)| (host.trim_end_matches('.').to_ascii_lowercase(), port);
        Ownership {
            names: names.into_iter().map(spelled).collect(),
            bound: bound.into_iter().map(|(protocol, address)| (protocol == Protocol::Udp, address)).collect(),
        }
    }

    /// Whether a URI names us, by name or by address; a port that is not named is the usual one.
    pub fn names(&self, place: &Place) -> bool {
        let usual = if place.secure { Protocol::Tls } else { place.protocol.unwrap_or(Protocol::Udp) }.default_port();
        let port = place.port.unwrap_or(usual);
        let named = self.names.iter().any(|(host, own)| *own == port && is_same_host(host, &place.host));
        named || place.address().is_some_and(|address| self.bound.iter().any(|(_, own)| is_at(*own, address, port)))
    }

    /// Whether a target is one of our listeners.
    pub fn is_at(&self, target: &Target) -> bool {
        let datagrams = target.protocol == Protocol::Udp;
        let (address, port) = (target.address.ip().to_canonical(), target.address.port());
        let by_name = |(host, own): &(String, u16)| *own == port && host.parse::<IpAddr>() == Ok(address);
        self.names.iter().any(by_name)
            || self.bound.iter().any(|(of_datagrams, own)| *of_datagrams == datagrams && is_at(*own, address, port))
    }

    /// The targets that are not ourselves.
    pub fn others(&self, targets: Vec<Target>) -> Vec<Target> {
        targets.into_iter().filter(|target| !self.is_at(target)).collect()
    }
}

/// A listener on all addresses is at loopback for sure; its other addresses are told by what it advertises.
fn is_at(own: SocketAddr, address: IpAddr, port: u16) -> bool {
    let ip = own.ip().to_canonical();
    own.port() == port
        && (ip == address || (ip.is_unspecified() && (address.is_loopback() || address.is_unspecified())))
}

fn is_same_host(own: &str, host: &str) -> bool {
    match (own.parse::<IpAddr>(), host.parse::<IpAddr>()) {
        (Ok(own), Ok(host)) => own.to_canonical() == host.to_canonical(),
        _ => own == host,
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn own() -> Ownership {
        let bound = |text: &str| text.parse().expect("an address");
        Ownership::new(
            [("Sip.Example.".to_owned(), 5060), ("192.0.2.7".to_owned(), 5070)],
            [(Protocol::Udp, bound("0.0.0.0:5060")), (Protocol::Tls, bound("[2001:db8::1]:5061"))],
        )
    }

    #[rstest]
    #[case("sip:sip.example", true)]
    #[case("sip:bob@SIP.example.:5060;transport=tcp", true)]
    #[case("sip:sip.example:5070", false)]
    #[case("sips:sip.example", false)]
    #[case("sip:192.0.2.7:5070", true)]
    #[case("sip:[::ffff:192.0.2.7]:5070", true)]
    #[case("sip:127.0.0.1", true)]
    #[case("sip:127.0.0.1:5061", false)]
    #[case("sip:192.0.2.1", false)]
    #[case("sips:[2001:db8:0::1]", true)]
    #[case("sip:other.example", false)]
    fn names_of_ours(#[case] uri: &str, #[case] ours: bool) {
        assert_eq!(own().names(&Place::parse(uri).expect("a place")), ours);
    }

    #[rstest]
    #[case(Protocol::Udp, "127.0.0.1:5060", true)]
    #[case(Protocol::Tcp, "127.0.0.1:5060", false)]
    #[case(Protocol::Tcp, "[2001:db8::1]:5061", true)]
    #[case(Protocol::Udp, "192.0.2.7:5070", true)]
    #[case(Protocol::Udp, "192.0.2.8:5060", false)]
    fn targets_of_ours(#[case] protocol: Protocol, #[case] address: &str, #[case] ours: bool) {
        let target = Target { protocol, address: address.parse().expect("an address"), name: None, from: None };
        assert_eq!(own().is_at(&target), ours);
        assert_eq!(own().others(vec![target]).is_empty(), ours);
    }
}
