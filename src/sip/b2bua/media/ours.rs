//! What of a description is ours: the operator's rules, and the listeners by which each side is served.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::msrp::{Path, Uri};
use crate::relay::Authority;
use crate::sdp::{Address, Family, Fingerprint, Protocol, Rules};

/// What the operator says about descriptions.
#[derive(Clone, Debug)]
pub struct MediaSettings {
    /// The rules of both sides, but for what depends on the call.
    pub rules: Rules,
    /// Whether fingerprints count only if they came over TLS (SDP-104).
    pub secure_fingerprints: bool,
    /// Where MSRP comes in, in the order of the configuration.
    pub listeners: Vec<MsrpListener>,
    /// Of the certificate that TLS listeners present.
    pub fingerprints: Arc<[Fingerprint]>,
    /// Time for a leg to connect.
    pub within: Duration,
}

/// A listener of the data plane.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MsrpListener {
    /// The name under which it is reached.
    pub name: Authority,
    /// What it is bound to.
    pub bound: SocketAddr,
}

impl MediaSettings {
    /// The name of the listener by which a side of this family is served.
    pub(in super::super) fn authority(&self, protocol: Protocol, family: Family) -> Option<&Authority> {
        let of_scheme = || self.listeners.iter().filter(|own| own.name.scheme == protocol.scheme());
        of_scheme().find(|own| own.serves(family)).or_else(|| of_scheme().next()).map(|own| &own.name)
    }

    /// The URI with which this path begins, if it is ours.
    pub(in super::super) fn own_first(&self, path: &[u8]) -> Option<Arc<[u8]>> {
        let first = Path::new(path).first()?;
        Uri::parse(first).is_ok_and(|uri| self.owns(&uri)).then(|| first.into())
    }

    pub(super) fn owns(&self, uri: &Uri<'_>) -> bool {
        let host = uri.host_string();
        let mut names = self.listeners.iter().map(|own| &own.name);
        names.any(|own| Some(own.port) == uri.port() && own.host.eq_ignore_ascii_case(&host))
    }
}

impl MsrpListener {
    /// Whether who speaks this family reaches it by its name: one that is an address says so itself, any other may have addresses
    /// of both, and then what it is bound to decides. `[::]` takes both.
    fn serves(&self, family: Family) -> bool {
        match self.name.host.parse::<IpAddr>() {
            Ok(address) => address.is_ipv6() == (family == Family::V6),
            Err(_) if self.bound.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => true,
            Err(_) => self.bound.is_ipv6() == (family == Family::V6),
        }
    }
}

/// A host as it stands in c=.
pub(in super::super) fn address(host: &str, family: Family) -> Address {
    match host.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => Address::Name(host.to_owned(), family),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::msrp::Scheme;

    const PLAIN: Scheme = Scheme::Msrp;

    fn listener(bound: &str, host: &str, port: u16) -> MsrpListener {
        let scheme = if port < 2900 { Scheme::Msrps } else { PLAIN };
        MsrpListener { name: Authority { scheme, host: host.to_owned(), port }, bound: bound.parse().unwrap() }
    }

    fn settings(listeners: &[(&str, &str, u16)]) -> MediaSettings {
        MediaSettings {
            rules: Rules::default(),
            secure_fingerprints: false,
            listeners: listeners.iter().map(|(bound, host, port)| listener(bound, host, *port)).collect(),
            fingerprints: Arc::new([]),
            within: Duration::from_secs(60),
        }
    }

    /// SDP-98: one name and a port for each family; a port that nobody answers at in the side's family is never named.
    #[rstest]
    #[case::one_name(&[("0.0.0.0:1", "r.example", 3001), ("[2001:db8::1]:2", "r.example", 3002)], [3001, 3002])]
    #[case::whatever_comes_first(&[("[2001:db8::1]:2", "r.example", 3002), ("192.0.2.1:1", "r.example", 3001)], [3001, 3002])]
    #[case::both(&[("[::]:1", "r.example", 3001), ("192.0.2.1:1", "r.example", 3002)], [3001, 3001])]
    #[case::both_comes_second(&[("192.0.2.1:1", "r.example", 3002), ("[::]:1", "r.example", 3001)], [3002, 3001])]
    #[case::an_address_is_what_it_says(&[("10.0.0.1:1", "2001:db8::1", 3002), ("[fd00::1]:1", "192.0.2.1", 3001)], [3001, 3002])]
    #[case::another_scheme(&[("192.0.2.1:1", "r.example", 2855), ("[::1]:1", "r.example", 3001)], [3001, 3001])]
    #[case::only_one(&[("192.0.2.1:1", "r.example", 3001)], [3001, 3001])]
    fn a_side_is_served_in_its_family(#[case] listeners: &[(&str, &str, u16)], #[case] ports: [u16; 2]) {
        let settings = settings(listeners);
        let port = |family| settings.authority(Protocol::Tcp, family).map(|own| own.port);
        assert_eq!([port(Family::V4), port(Family::V6)], ports.map(Some));
    }

    #[test]
    fn what_no_listener_speaks_has_no_name_and_every_name_is_ours() {
        let settings = settings(&[("192.0.2.1:1", "r.example", 3001), ("[::1]:1", "R.example", 3002)]);
        assert_eq!(settings.authority(Protocol::Tls, Family::V4), None);
        let owns = |text: &str| settings.owns(&Uri::parse(text.as_bytes()).unwrap());
        assert!(owns("msrp://R.Example:3001/x;tcp") && owns("msrp://r.example:3002/x;tcp"));
        assert!(!owns("msrp://r.example:3003/x;tcp") && !owns("msrp://other.example:3001/x;tcp"));
    }
}
