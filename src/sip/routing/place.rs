//! What a URI says about where it leads (RFC 3263 section 4).

use std::fmt;
use std::net::IpAddr;

use crate::sip::message::Uri;
use crate::sip::way::Protocol;

/// Host, port and protocol of a URI, as far as they are named.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// TARGET of RFC 3263: `maddr`, else the host; a name in lower case without its last dot, or an address without brackets.
    pub host: String,
    /// The port, if one is named; never 0.
    pub port: Option<u16>,
    /// The protocol that the URI names: TLS for `sips` with `transport=tcp`, none for `sips` without.
    pub protocol: Option<Protocol>,
    /// Whether it is `sips`: nothing but TLS leads there (RFC 3261 section 26.2.2).
    pub secure: bool,
}

/// A URI leads nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlaceError {
    /// Neither a SIP URI nor a telephone number.
    #[error("not a SIP URI")]
    Syntax,
    /// A telephone number: only a rule of ours could say where it is.
    #[error("a telephone number, which has no host")]
    NoHost,
    /// `transport` names what we do not speak, or UDP for `sips` (RFC 3261 section 26.2.2).
    #[error("a transport that is not spoken here")]
    Transport,
    /// Port 0.
    #[error("port 0")]
    Port,
    /// `maddr` is neither a name nor an address.
    #[error("malformed maddr")]
    Maddr,
}

impl Place {
    /// What a URI in text says; see [`Place::of`].
    pub fn parse(uri: &str) -> Result<Place, PlaceError> {
        Place::of(&Uri::parse(uri).ok_or(PlaceError::Syntax)?)
    }

    /// What `uri` says; `maddr` is stronger than the host (RFC 3263 section 4).
    pub fn of(uri: &Uri<'_>) -> Result<Place, PlaceError> {
        if uri.host.is_empty() {
            return Err(PlaceError::NoHost);
        }
        if uri.port == Some(0) {
            return Err(PlaceError::Port);
        }
        let protocol = uri.protocol().map_err(|_| PlaceError::Transport)?;
        let protocol = protocol.filter(|_| uri.param("transport").flatten().is_some());
        let host = match uri.param("maddr").flatten() {
            Some(maddr) => maddr_host(maddr).ok_or(PlaceError::Maddr)?,
            None => uri.host,
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        Ok(Place { host, port: uri.port, protocol, secure: uri.is_secure() })
    }

    /// The host as an address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "sips" } else { "sip" };
        if self.host.contains(':') {
            write!(f, "{scheme}:[{}]", self.host)?;
        } else {
            write!(f, "{scheme}:{}", self.host)?;
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        match self.protocol {
            Some(Protocol::Tls) if self.secure => f.write_str(";transport=tcp"),
            Some(protocol) => write!(f, ";transport={}", protocol.param()),
            None => Ok(()),
        }
    }
}

fn maddr_host(maddr: &str) -> Option<&str> {
    let bare = match maddr.strip_prefix('[') {
        Some(six) => six.strip_suffix(']').filter(|six| six.parse::<std::net::Ipv6Addr>().is_ok())?,
        None => maddr,
    };
    let known = |octet: u8| octet.is_ascii_alphanumeric() || b"-._:".contains(&octet);
    (!bare.is_empty() && bare.bytes().all(known)).then_some(bare)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn place(text: &str) -> Result<String, PlaceError> {
        Place::parse(text).map(|place| place.to_string())
    }

    #[rstest]
    #[case("sip:bob@Example.COM.", "sip:example.com")]
    #[case("sip:bob@192.0.2.1:5070;transport=TCP", "sip:192.0.2.1:5070;transport=tcp")]
    #[case("sips:[2001:DB8::1];lr", "sips:[2001:db8::1]")]
    #[case("sips:example.com;transport=tls", "sips:example.com;transport=tcp")]
    #[case("sip:example.com;maddr=192.0.2.9;transport=udp", "sip:192.0.2.9;transport=udp")]
    #[case("sip:example.com;maddr=[2001:db8::9]:1", "")]
    #[case("sip:example.com:5061;maddr=[2001:db8::9]", "sip:[2001:db8::9]:5061")]
    fn rfc3263_s4_target_is_maddr_or_host(#[case] uri: &str, #[case] expected: &str) {
        match expected {
            "" => assert_eq!(place(uri), Err(PlaceError::Maddr)),
            expected => assert_eq!(place(uri).as_deref(), Ok(expected)),
        }
    }

    #[rstest]
    #[case("http://example.com", PlaceError::Syntax)]
    #[case("tel:+1-201-555-0123", PlaceError::NoHost)]
    #[case("sip:example.com;transport=sctp", PlaceError::Transport)]
    #[case("sips:example.com;transport=udp", PlaceError::Transport)]
    #[case("sip:example.com:0", PlaceError::Port)]
    #[case("sip:example.com;maddr=a/b", PlaceError::Maddr)]
    fn uris_that_lead_nowhere(#[case] uri: &str, #[case] why: PlaceError) {
        assert_eq!(place(uri), Err(why));
    }
}
