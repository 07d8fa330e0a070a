//! SIP URIs (RFC 3261 section 19.1) in the parts that routing needs.

use std::net::IpAddr;

use super::list::split;
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

/// A URI names a transport that we do not have, or UDP for `sips` (RFC 3261 section 26.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a transport that is not spoken here")]
pub struct UnknownTransport;

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

    /// The protocol that it names: by its parameter, else TLS for `sips`.
    pub fn protocol(&self) -> Result<Option<Protocol>, UnknownTransport> {
        let named = match self.param("transport").flatten() {
            Some(name) => Some(
                [Protocol::Udp, Protocol::Tcp, Protocol::Tls]
                    .into_iter()
                    .find(|p| p.param().eq_ignore_ascii_case(name))
                    .ok_or(UnknownTransport)?,
            ),
            None => None,
        };
        Ok(match (self.is_secure(), named) {
            (true, Some(Protocol::Udp)) => return Err(UnknownTransport),
            (true, _) => Some(Protocol::Tls),
            (false, named) => named,
        })
    }

    /// Whether both are one URI, however it is spelled (RFC 3261 section 19.1.4). tel URIs are compared as text.
    pub fn is_equivalent(&self, other: &Uri<'_>) -> bool {
        let is_tel = self.host.is_empty() || other.host.is_empty();
        if is_tel || !self.scheme.eq_ignore_ascii_case(other.scheme) {
            return self == other;
        }
        decoded(self.user.unwrap_or_default()) == decoded(other.user.unwrap_or_default())
            && self.user.is_some() == other.user.is_some()
            && self.port == other.port
            && same_host(self.host, other.host)
            && agree(self.params, other.params)
            && agree(other.params, self.params)
            && headers(self.headers) == headers(other.headers)
    }

    /// Whether both name one place, port and protocol, whatever the user.
    pub fn same_place(&self, other: &Uri<'_>) -> bool {
        let host = |uri: &Uri<'_>| uri.host.trim_end_matches('.').to_ascii_lowercase();
        host(self) == host(other) && self.port == other.port && self.protocol() == other.protocol()
    }
}

fn same_host(a: &str, b: &str) -> bool {
    match (a.parse::<IpAddr>(), b.parse::<IpAddr>()) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim_end_matches('.').eq_ignore_ascii_case(b.trim_end_matches('.')),
    }
}

/// Parameters that never match where only one side has them: their default is not the same as their absence.
const TELLING: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];

/// Whether each parameter of `a` agrees with `b`.
fn agree(a: &str, b: &str) -> bool {
    split(a, b';').filter(|one| !one.is_empty()).all(|one| {
        let (name, value) = one.split_once('=').map_or((one, None), |(name, value)| (name, Some(value.trim())));
        match param(b, name.trim()) {
            None => !TELLING.iter().any(|telling| telling.eq_ignore_ascii_case(name.trim())),
            Some(other) => {
                let plain = |value: Option<&str>| value.map(|value| decoded(value).to_ascii_lowercase());
                plain(value) == plain(other)
            }
        }
    })
}

/// The headers in an order of their own.
fn headers(text: &str) -> Vec<(Vec<u8>, Vec<u8>)> {
    let one = |one: &str| {
        let (name, value) = one.split_once('=').unwrap_or((one, ""));
        (decoded(name).to_ascii_lowercase(), decoded(value))
    };
    let mut all: Vec<_> = text.split('&').filter(|part| !part.is_empty()).map(one).collect();
    all.sort();
    all
}

/// Octets without their escapes; what is no escape stays.
fn decoded(text: &str) -> Vec<u8> {
    let digit = |octet: Option<&u8>| octet.and_then(|octet| char::from(*octet).to_digit(16));
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while let Some(octet) = octets.get(at) {
        match (octet, digit(octets.get(at + 1)), digit(octets.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                out.push(*octet);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

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

    #[rstest]
    #[case("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true)]
    #[case("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true)]
    #[case("sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true)]
    #[case("sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on", false)]
    #[case(
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        true
    )]
    #[case(
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        true
    )]
    #[case("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false)]
    #[case("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false)]
    #[case("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false)]
    #[case("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false)]
    #[case("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false)]
    #[case("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false)]
    #[case("sip:bob@biloxi.com", "sips:bob@biloxi.com", false)]
    #[case("sip:biloxi.com", "sip:bob@biloxi.com", false)]
    #[case("sip:bob@[2001:db8::1]", "sip:bob@[2001:DB8:0::1]", true)]
    #[case("sip:bob@biloxi.com;lr", "sip:bob@biloxi.com;lr=on", false)]
    #[case("sip:bob%@biloxi.com", "sip:bob%25@biloxi.com", true)]
    #[case("tel:+1-201-555-0123", "tel:+1-201-555-0123", true)]
    #[case("tel:+1-201-555-0123", "tel:+1-201-555-0124", false)]
    fn s19_1_4_comparison(#[case] a: &str, #[case] b: &str, #[case] equivalent: bool) {
        let (a, b) = (Uri::parse(a).unwrap(), Uri::parse(b).unwrap());
        assert_eq!((a.is_equivalent(&b), b.is_equivalent(&a)), (equivalent, equivalent));
    }

    #[test]
    fn protocols() {
        let of = |text| Uri::parse(text).unwrap().protocol();
        assert_eq!(of("sip:h"), Ok(None));
        assert_eq!(of("sip:h;transport=TCP"), Ok(Some(Protocol::Tcp)));
        assert_eq!(of("sip:h;transport=sctp"), Err(UnknownTransport));
        assert_eq!(of("sips:h;transport=udp"), Err(UnknownTransport));
    }
}
