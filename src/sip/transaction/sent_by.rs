//! What the Via of our own requests calls us, and whether a response came back to it (RFC 3261 sections 18.1.1, 18.1.2).

use std::net::SocketAddr;

use thiserror::Error;

use crate::sip::framing::Via;
use crate::sip::way::{Protocol, Way};

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// IPv4, also as IPv6 writes it.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: SocketAddr) -> Family {
        if address.ip().to_canonical().is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

/// The names by protocol and family, with one for all that have none of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SentBy {
    all: Place,
    others: Vec<(Protocol, Family, Place)>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    text: String,
    host: String,
    port: Option<u16>,
}

/// What a text says that cannot be sent-by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum SentByError {
    /// RFC 3261 section 25.1: `host [":" port]`, an IPv6 address in brackets.
    #[error("not a host with or without a port")]
    Form,
}

impl Default for SentBy {
    /// `localhost` for everything.
    fn default() -> SentBy {
        SentBy {
            all: Place { text: "localhost".to_owned(), host: "localhost".to_owned(), port: None },
            others: Vec::new(),
        }
    }
}

impl SentBy {
    /// One name for everything, such as `sip.example.com:5060`.
    pub fn new(text: &str) -> Result<SentBy, SentByError> {
        Ok(SentBy { all: Place::read(text)?, others: Vec::new() })
    }

    /// With another name for one protocol and family.
    pub fn with(mut self, protocol: Protocol, family: Family, text: &str) -> Result<SentBy, SentByError> {
        let place = Place::read(text)?;
        self.others.retain(|(p, f, _)| (*p, *f) != (protocol, family));
        self.others.push((protocol, family, place));
        Ok(self)
    }

    /// The Via of a request that goes this way. `rport` asks for the port that a NAT has made of ours (RFC 3581 section 3).
    pub(super) fn via(&self, way: &Way, branch: &str) -> String {
        let (protocol, family) = (way.protocol(), Family::of(way.remote()));
        let own = self.others.iter().find(|(p, f, _)| (*p, *f) == (protocol, family));
        let place = own.map_or(&self.all, |(_, _, place)| place);
        let rport = if protocol.is_reliable() { "" } else { ";rport" };
        format!("SIP/2.0/{protocol} {};branch={branch}{rport}", place.text)
    }

    /// Whether this is one of ours.
    pub(super) fn owns(&self, via: &Via) -> bool {
        let default = if via.transport == "TLS" { 5061 } else { 5060 };
        let same = |place: &Place| {
            place.host.eq_ignore_ascii_case(&via.host) && place.port.unwrap_or(default) == via.port.unwrap_or(default)
        };
        same(&self.all) || self.others.iter().any(|(_, _, place)| same(place))
    }
}

impl Place {
    fn read(text: &str) -> Result<Place, SentByError> {
        let via = format!("SIP/2.0/UDP {text}");
        let (via, rest) = Via::first(&via).map_err(|_| SentByError::Form)?;
        if !rest.is_empty() || !via.params.is_empty() {
            return Err(SentByError::Form);
        }
        Ok(Place { text: text.trim().to_owned(), host: via.host, port: via.port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::way::Target;

    fn to(protocol: Protocol, address: &str) -> Way {
        Way::Target(Target { protocol, address: address.parse().unwrap(), name: None })
    }

    #[test]
    fn each_protocol_and_family_may_have_its_name() {
        let names = SentBy::new("sip.example.com").unwrap();
        let names = names.with(Protocol::Udp, Family::V6, "[2001:db8::1]:5062").unwrap();
        assert_eq!(
            names.via(&to(Protocol::Udp, "[2001:db8::9]:5060"), "b"),
            "SIP/2.0/UDP [2001:db8::1]:5062;branch=b;rport"
        );
        assert_eq!(names.via(&to(Protocol::Tls, "[2001:db8::9]:5061"), "b"), "SIP/2.0/TLS sip.example.com;branch=b");
        assert_eq!(
            names.via(&to(Protocol::Udp, "[::ffff:192.0.2.1]:5060"), "b"),
            "SIP/2.0/UDP sip.example.com;branch=b;rport"
        );
    }

    #[test]
    fn s18_1_2_a_name_is_ours_with_or_without_its_default_port() {
        let names = SentBy::new("sip.example.com:5060").unwrap();
        let owns = |text: &str| names.owns(&Via::first(text).unwrap().0);
        assert!(owns("SIP/2.0/UDP SIP.example.com;branch=x"));
        assert!(owns("SIP/2.0/TLS sip.example.com:5060"));
        for other in ["SIP/2.0/TLS sip.example.com", "SIP/2.0/UDP sip.example.com:5062", "SIP/2.0/UDP example.com:5060"]
        {
            assert!(!owns(other), "{other}");
        }
    }

    #[test]
    fn s25_1_only_host_and_port() {
        for bad in ["", "a b", "a;x=y", "a, SIP/2.0/UDP b", "2001:db8::1", "a:port", "a:99999", "a\r\nb"] {
            assert_eq!(SentBy::new(bad).unwrap_err(), SentByError::Form, "{bad}");
        }
    }
}
