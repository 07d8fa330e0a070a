//! SIP URIs (RFC 3261 section 19.1) in the parts that routing needs.

use std::net::IpAddr;

use super::name_addr::param;
use crate::sip::way::Protocol;

/// A SIP or SIPS URI, or a tel URI, which has neither host nor parameters of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uri<'a> {
    /// `sip`, `sips` or `tel`, as written.
    pub scheme: &'a str,
    /// The user part with its password, as written; the number of a tel URI.
    pub user: Option<&'a str>,
    /// The host; an IPv6 address without its brackets. Empty for tel.
    pub host: &'a str,
    /// The port, if one is named.
    pub port: Option<u16>,
    /// The parameters, without their first semicolon.
    pub params: &'a str,
    /// The headers, without their question mark.
    pub headers: &'a str,
}

impl<'a> Uri<'a> {
    /// Reads a URI; none if it is of another scheme or has no host.
    pub fn parse(text: &'a str) -> Option<Uri<'a>> {
        let (scheme, rest) = text.split_once(':')?;
        if scheme.eq_ignore_ascii_case("tel") {
            let (number, params) = rest.split_once(';').unwrap_or((rest, ""));
            let user = (!number.is_empty()).then_some(number)?;
            return Some(Uri { scheme, user: Some(user), host: "", port: None, params, headers: "" });
        }
        if !scheme.eq_ignore_ascii_case("sip") && !scheme.eq_ignore_ascii_case("sips") {
            return None;
        }
        // A user may hold semicolons and question marks; the last @ ends it, for headers cannot hold one.
        let (user, rest) = match rest.rfind('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let (rest, headers) = rest.split_once('?').unwrap_or((rest, ""));
        let (place, params) = rest.split_once(';').unwrap_or((rest, ""));
        let (host, port) = match place.strip_prefix('[') {
            Some(six) => {
                let (six, behind) = six.split_once(']')?;
                six.parse::<std::net::Ipv6Addr>().ok()?;
                (six, if behind.is_empty() { None } else { Some(behind.strip_prefix(':')?) })
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let known = |b: u8| b.is_ascii_alphanumeric() || b"-._:".contains(&b);
        if host.is_empty() || !host.bytes().all(known) || user.is_some_and(str::is_empty) {
            return None;
        }
        let port = match port {
            Some(port) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => Some(port.parse().ok()?),
            Some(_) => return None,
            None => None,
        };
        Some(Uri { scheme, user, host, port, params, headers })
    }

    /// Whether the scheme is `sips`.
    pub fn is_secure(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("sips")
    }

    /// The host as an address, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The value of a parameter: none if it is absent, an inner none if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&'a str>> {
        param(self.params, name)
    }

    /// Whether it is the URI of a loose router (RFC 3261 section 19.1.1).
    pub fn is_loose(&self) -> bool {
        self.param("lr").is_some()
    }

    /// The protocol that it names: by its parameter, else TLS for `sips`. An inner error is one that we do not have.
    pub fn protocol(&self) -> Result<Option<Protocol>, ()> {
        let named = match self.param("transport").flatten() {
            Some(name) => Some(
                [Protocol::Udp, Protocol::Tcp, Protocol::Tls]
                    .into_iter()
                    .find(|p| p.param().eq_ignore_ascii_case(name))
                    .ok_or(())?,
            ),
            None => None,
        };
        Ok(match (self.is_secure(), named) {
            (true, Some(Protocol::Udp)) => return Err(()),
            (true, _) => Some(Protocol::Tls),
            (false, named) => named,
        })
    }

    /// Whether both name one place, port and protocol, whatever the user.
    pub fn same_place(&self, other: &Uri<'_>) -> bool {
        let host = |uri: &Uri<'_>| uri.host.trim_end_matches('.').to_ascii_lowercase();
        host(self) == host(other) && self.port == other.port && self.protocol() == other.protocol()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let uri = Uri::parse("sips:a;x?y@[2001:db8::1]:5061;transport=tcp;lr?h=1").unwrap();
        assert_eq!((uri.user, uri.host, uri.port), (Some("a;x?y"), "2001:db8::1", Some(5061)));
        assert_eq!((uri.params, uri.headers, uri.is_loose(), uri.is_secure()), ("transport=tcp;lr", "h=1", true, true));
        assert_eq!(uri.protocol(), Ok(Some(Protocol::Tls)));
        let tel = Uri::parse("tel:+1-201-555-0123;phone-context=x").unwrap();
        assert_eq!((tel.user, tel.host), (Some("+1-201-555-0123"), ""));
        for bad in
            ["", "sip:", "sip:@host", "sip:a@", "sip:a@ho st", "sip:a@[::1", "sip:a@h:99999", "sip:a@h:", "http://x"]
        {
            assert_eq!(Uri::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn protocols() {
        let of = |text| Uri::parse(text).unwrap().protocol();
        assert_eq!(of("sip:h"), Ok(None));
        assert_eq!(of("sip:h;transport=TCP"), Ok(Some(Protocol::Tcp)));
        assert_eq!(of("sip:h;transport=sctp"), Err(()));
        assert_eq!(of("sips:h;transport=udp"), Err(()));
    }
}
