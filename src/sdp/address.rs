//! Addresses in c= and o= lines, and our own URI, from which everything that must agree with it is written.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::media_line::Protocol;
use crate::msrp::{Host, Scheme, Uri, UriError};

/// The address type that stands before a host name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Family {
    /// `IP4`.
    V4,
    /// `IP6`.
    V6,
}

/// The address of a c= line (RFC 8866 section 5.7).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// An IPv4 literal.
    V4(Ipv4Addr),
    /// An IPv6 literal.
    V6(Ipv6Addr),
    /// A host name; the family says which of its records is meant.
    Name(String, Family),
}

impl From<IpAddr> for Address {
    fn from(address: IpAddr) -> Address {
        match address {
            IpAddr::V4(address) => Address::V4(address),
            IpAddr::V6(address) => Address::V6(address),
        }
    }
}

impl Address {
    /// The address of a c= value; none if it cannot be read, which only matters where it is needed (CEMA).
    pub(super) fn parse(value: &[u8]) -> Option<Address> {
        let mut words = str::from_utf8(value).ok()?.split_ascii_whitespace();
        if !words.next()?.eq_ignore_ascii_case("IN") {
            return None;
        }
        let family = match words.next()? {
            word if word.eq_ignore_ascii_case("IP4") => Family::V4,
            word if word.eq_ignore_ascii_case("IP6") => Family::V6,
            _ => return None,
        };
        let text = words.next()?;
        match (family, text.parse()) {
            (Family::V4, Ok(IpAddr::V4(address))) => Some(Address::V4(address)),
            (Family::V6, Ok(IpAddr::V6(address))) => Some(Address::V6(address)),
            (_, Ok(_)) => None,
            (family, Err(_)) => {
                let is_name = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._".contains(&c));
                is_name.then(|| Address::Name(text.to_owned(), family))
            }
        }
    }
}

impl fmt::Display for Address {
    /// Network type, address type and address, as in c= and o= lines; without brackets (SDP-98).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::V4(address) => write!(f, "IN IP4 {address}"),
            Address::V6(address) => write!(f, "IN IP6 {address}"),
            Address::Name(name, Family::V4) => write!(f, "IN IP4 {name}"),
            Address::Name(name, Family::V6) => write!(f, "IN IP6 {name}"),
        }
    }
}

/// One of our URIs for one leg. The m-line's port, the c= line and the protocol are all taken from here, so they cannot
/// disagree with the path (SDP-2): a CEMA endpoint refuses what disagrees (RFC 6714 section 4.3).
#[derive(Clone, PartialEq, Eq)]
pub struct OurUri {
    text: String,
    address: Address,
    protocol: Protocol,
    port: u16,
}

impl OurUri {
    /// Composes a URI; fails where address, port or session-id cannot stand in one.
    pub fn new(address: Address, protocol: Protocol, port: u16, session_id: &str) -> Result<OurUri, UriError> {
        let scheme = match protocol.scheme() {
            Scheme::Msrp => "msrp",
            Scheme::Msrps => "msrps",
        };
        let text = match &address {
            Address::V4(address) => format!("{scheme}://{address}:{port}/{session_id};tcp"),
            Address::V6(address) => format!("{scheme}://[{address}]:{port}/{session_id};tcp"),
            Address::Name(name, _) => format!("{scheme}://{name}:{port}/{session_id};tcp"),
        };
        let uri = Uri::parse(text.as_bytes())?;
        if uri.session_id() != Some(session_id.as_bytes()) {
            return Err(UriError::SessionId);
        }
        let host_agrees = match (&address, uri.host()) {
            (Address::Name(name, _), Host::Name(host)) => host == name.as_bytes(),
            (Address::V4(_), Host::V4(_)) | (Address::V6(_), Host::V6(_)) => true,
            _ => false,
        };
        if !host_agrees || uri.port() != Some(port) {
            return Err(UriError::HostName);
        }
        Ok(OurUri { text, address, protocol, port })
    }

    /// The URI as it stands in the path.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The host, for the c= line.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What its scheme and the m-line say.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The port of URI and m-line.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Debug for OurUri {
    /// Without the session-id: it is a token, and no token reaches a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OurUri({} {} {})", self.protocol.as_str(), self.address, self.port)
    }
}
