//! MSRP URIs (RFC 4975 6): parsing without copying, and the comparison of 6.1.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

/// `msrp` or `msrps`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Scheme {
    /// Over whatever transport the URI names.
    Msrp,
    /// Over TLS.
    Msrps,
}

/// The host of a URI.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Host<'a> {
    /// A registered name as written, maybe percent-encoded.
    Name(&'a [u8]),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, written in brackets.
    V6(Ipv6Addr),
}

/// A parsed MSRP URI that borrows its text.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'a> {
    text: &'a [u8],
    scheme: Scheme,
    userinfo: Option<&'a [u8]>,
    host: Host<'a>,
    port: Option<u16>,
    session_id: Option<&'a [u8]>,
    transport: &'a [u8],
}

/// Why a URI is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum UriError {
    /// An octet that is not printable ASCII.
    #[error("URI holds an octet that is not printable ASCII")]
    Octet,
    /// Not `msrp://` or `msrps://`.
    #[error("URI scheme is not msrp or msrps")]
    Scheme,
    /// No host.
    #[error("URI without host")]
    HostEmpty,
    /// A character, percent-encoding or empty label that no host name has.
    #[error("bad host name in URI")]
    HostName,
    /// Brackets without an IPv6 address in them.
    #[error("bad IPv6 address in URI")]
    HostV6,
    /// The port is not a number from 1 to 65535.
    #[error("bad port in URI")]
    Port,
    /// A numeric host needs an explicit port (CORE-88).
    #[error("numeric host without port in URI")]
    PortMissing,
    /// `/` without a session-id.
    #[error("empty session-id in URI")]
    SessionIdEmpty,
    /// A character that no session-id has.
    #[error("bad session-id in URI")]
    SessionId,
    /// No `;transport`.
    #[error("URI without transport")]
    TransportMissing,
    /// The transport is not an alphanumeric word.
    #[error("bad transport in URI")]
    Transport,
    /// A parameter without name.
    #[error("empty parameter in URI")]
    Parameter,
}

impl<'a> Uri<'a> {
    /// Parses a URI. The port is mandatory for numeric hosts only.
    pub fn parse(text: &'a [u8]) -> Result<Uri<'a>, UriError> {
        if !text.iter().all(u8::is_ascii_graphic) {
            return Err(UriError::Octet);
        }
        let (scheme, rest) = scheme(text)?;
        // The transport separator ends the authority even where RFC 3986 would allow it inside (AMB-15).
        let authority_end = memchr::memchr2(b'/', b';', rest).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(authority_end);
        let (userinfo, host, port) = split_authority(authority)?;
        let (before, parameters) = match memchr::memchr(b';', rest) {
            Some(semicolon) => (&rest[..semicolon], &rest[semicolon + 1..]),
            None => (rest, &rest[rest.len()..]),
        };
        let session_id = match before.strip_prefix(b"/") {
            None => None,
            Some(b"") => return Err(UriError::SessionIdEmpty),
            Some(id) if id.iter().copied().all(is_session_id_octet) => Some(id),
            Some(_) => return Err(UriError::SessionId),
        };
        if before.len() == rest.len() {
            return Err(UriError::TransportMissing);
        }
        let transport = transport(parameters)?;
        Ok(Uri { text, scheme, userinfo, host, port, session_id, transport })
    }

    /// The URI as written.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// What stands before `@`; it plays no part in comparison.
    pub fn userinfo(&self) -> Option<&'a [u8]> {
        self.userinfo
    }

    /// The host.
    pub fn host(&self) -> Host<'a> {
        self.host
    }

    /// The port, if written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The session-id; without one the URI names a relay, not a session.
    pub fn session_id(&self) -> Option<&'a [u8]> {
        self.session_id
    }

    /// The transport word.
    pub fn transport(&self) -> &'a [u8] {
        self.transport
    }

    /// Whether the transport is `tcp`.
    pub fn is_tcp(&self) -> bool {
        self.transport.eq_ignore_ascii_case(b"tcp")
    }

    /// Whether both name the same resource (RFC 4975 6.1): userinfo and further parameters do not count, the session-id
    /// counts octet by octet, nothing is filled in for an absent port.
    pub fn equivalent(&self, other: &Uri<'_>) -> bool {
        self.session_id == other.session_id
            && self.scheme == other.scheme
            && self.transport.eq_ignore_ascii_case(other.transport)
            && self.same_authority(other)
    }

    /// Whether host and port are the same.
    pub fn same_authority(&self, other: &Uri<'_>) -> bool {
        self.port == other.port
            && match (self.host, other.host) {
                (Host::Name(a), Host::Name(b)) => decoded(a).eq(decoded(b)),
                (a, b) => a == b,
            }
    }

    /// Whether the host is this name or IP literal (brackets optional), by the comparison rules.
    pub fn host_is(&self, name: &str) -> bool {
        let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        match (self.host, literal.parse::<IpAddr>()) {
            (Host::Name(host), Err(_)) => decoded(host).eq(decoded(name.as_bytes())),
            (Host::V4(address), Ok(IpAddr::V4(other))) => address == other,
            (Host::V6(address), Ok(IpAddr::V6(other))) => address == other,
            _ => false,
        }
    }

    /// The host in one spelling: a decoded lower-case name without trailing dot, or an IP literal without brackets.
    pub fn host_string(&self) -> String {
        match self.host {
            Host::Name(name) => decoded(name).map(char::from).collect(),
            Host::V4(address) => address.to_string(),
            Host::V6(address) => address.to_string(),
        }
    }
}

fn scheme(text: &[u8]) -> Result<(Scheme, &[u8]), UriError> {
    for (scheme, prefix) in [(Scheme::Msrp, &b"msrp://"[..]), (Scheme::Msrps, b"msrps://")] {
        if let Some((head, rest)) = text.split_at_checked(prefix.len())
            && head.eq_ignore_ascii_case(prefix)
        {
            return Ok((scheme, rest));
        }
    }
    Err(UriError::Scheme)
}

type Authority<'a> = (Option<&'a [u8]>, Host<'a>, Option<u16>);

fn split_authority(authority: &[u8]) -> Result<Authority<'_>, UriError> {
    let (userinfo, rest) = match memchr::memrchr(b'@', authority) {
        Some(at) => (Some(&authority[..at]), &authority[at + 1..]),
        None => (None, authority),
    };
    let (host, port) = if let Some(bracketed) = rest.strip_prefix(b"[") {
        let close = memchr::memchr(b']', bracketed).ok_or(UriError::HostV6)?;
        let address = str::from_utf8(&bracketed[..close]).ok().and_then(|text| text.parse().ok());
        (Host::V6(address.ok_or(UriError::HostV6)?), &bracketed[close + 1..])
    } else {
        let end = memchr::memchr(b':', rest).unwrap_or(rest.len());
        (name_or_v4(&rest[..end])?, &rest[end..])
    };
    let port = match port {
        b"" => None,
        [b':', digits @ ..] => Some(port_number(digits)?),
        _ => return Err(UriError::HostV6),
    };
    if port.is_none() && !matches!(host, Host::Name(_)) {
        return Err(UriError::PortMissing);
    }
    Ok((userinfo, host, port))
}

fn name_or_v4(text: &[u8]) -> Result<Host<'_>, UriError> {
    let mut rest = text;
    while let [octet, tail @ ..] = rest {
        rest = match octet {
            b'%' if matches!(tail, [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()) => &tail[2..],
            octet if is_unreserved(*octet) || b"!$&'()*+,=".contains(octet) => tail,
            _ => return Err(UriError::HostName),
        };
    }
    // Comparison is by value, so an address must be recognised however it is encoded.
    let mut short = [0; 15];
    let mut length = 0;
    let mut label_empty = true;
    for octet in decoded(text) {
        if octet == b'.' && label_empty {
            return Err(UriError::HostName);
        }
        label_empty = octet == b'.';
        if let Some(slot) = short.get_mut(length) {
            *slot = octet;
        }
        length += 1;
    }
    match (length, label_empty) {
        (0, _) => return Err(UriError::HostEmpty),
        (_, true) => return Err(UriError::HostName),
        _ => {}
    }
    let address = short.get(..length).and_then(|text| str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
    Ok(address.map_or(Host::Name(text), Host::V4))
}

fn port_number(digits: &[u8]) -> Result<u16, UriError> {
    if digits.is_empty() || digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(UriError::Port);
    }
    let number = digits.iter().fold(0u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    u16::try_from(number).ok().filter(|port| *port != 0).ok_or(UriError::Port)
}

fn transport(parameters: &[u8]) -> Result<&[u8], UriError> {
    let mut words = parameters.split(|c| *c == b';');
    let transport = words.next().unwrap_or_default();
    if transport.is_empty() || !transport.iter().all(u8::is_ascii_alphanumeric) {
        return Err(UriError::Transport);
    }
    if words.any(|word| word.is_empty() || word[0] == b'=') {
        return Err(UriError::Parameter);
    }
    Ok(transport)
}

fn is_unreserved(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.' | b'_' | b'~')
}

/// `%` stands in no session-id by the grammar but is taken as an ordinary octet (AMB-16).
fn is_session_id_octet(octet: u8) -> bool {
    is_unreserved(octet) || matches!(octet, b'+' | b'=' | b'/' | b'%')
}

/// The octets of a name as they are compared: unreserved characters decoded, lower case, one trailing dot gone (AMB-23).
fn decoded(name: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (octet, tail) = match *rest {
            [b'%', high, low, ref tail @ ..] => match hex(high, low).filter(|octet| is_unreserved(*octet)) {
                Some(octet) => (octet, tail),
                None => (b'%', &rest[1..]),
            },
            [octet, ref tail @ ..] => (octet, tail),
            [] => return None,
        };
        rest = tail;
        (octet != b'.' || !tail.is_empty()).then_some(octet.to_ascii_lowercase())
    })
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |c: u8| char::from(c).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_part_is_found() {
        let uri = uri("MSRPs://bo:x@[2001:db8::1]:9/a/b=+~;Tcp;x=1;y");
        assert_eq!(uri.scheme(), Scheme::Msrps);
        assert_eq!(uri.userinfo(), Some(&b"bo:x"[..]));
        assert_eq!(uri.host(), Host::V6("2001:db8::1".parse().unwrap()));
        assert_eq!(uri.port(), Some(9));
        assert_eq!(uri.session_id(), Some(&b"a/b=+~"[..]));
        assert!(uri.is_tcp());
        assert_eq!(uri.text().len(), 45);
    }

    /// ADV-S30, CORE-90
    #[rstest]
    #[case("msrp://H.example:2855/a;tcp", "MSRP://h.EXAMPLE:2855/a;TCP", true)]
    #[case("msrp://bo@h.example:2855/a;tcp", "msrp://h.example:2855/a;tcp", true)]
    #[case("msrp://h.example:2855/a;tcp", "msrps://h.example:2855/a;tcp", false)]
    #[case("msrp://h.example:2855/a;tcp", "msrp://h.example/a;tcp", false)]
    #[case("msrp://h.example:2855/a;tcp", "msrp://h.example:2855/A;tcp", false)]
    #[case("msrp://h.example:2855/a;tcp", "msrp://h.example:2855/a;ws", false)]
    #[case("msrp://[2001:db8::1]:9/a;tcp", "msrp://[2001:0db8:0:0::1]:9/a;tcp", true)]
    #[case("msrp://%68.example:9/a;tcp", "msrp://h.example:9/a;tcp", true)]
    #[case("msrp://h.example:2855/a;tcp;x=1", "msrp://h.example:2855/a;tcp", true)]
    #[case("msrp://192.0.2.7:9/a;tcp", "msrp://h.example:9/a;tcp", false)]
    // Beyond the table: AMB-22, AMB-23, absent against present parts, no path normalisation.
    #[case("msrp://h.example.:9/a;tcp", "msrp://h.example:9/a;tcp", true)]
    #[case("msrp://[::ffff:192.0.2.7]:9/a;tcp", "msrp://192.0.2.7:9/a;tcp", false)]
    #[case("msrp://192.0.2.%37:9/a;tcp", "msrp://192.0.2.7:9/a;tcp", true)]
    #[case("msrp://h.example:9/a;tcp", "msrp://h.example:9;tcp", false)]
    #[case("msrp://h.example:9/a/../b;tcp", "msrp://h.example:9/b;tcp", false)]
    #[case("msrp://h%2Cx:9/a;tcp", "msrp://h%2cx:9/a;tcp", true)]
    #[case("msrp://h%2Cx:9/a;tcp", "msrp://h,x:9/a;tcp", false)]
    #[case("msrp://h.example:09/a;tcp", "msrp://h.example:9/a;tcp", true)]
    fn core_90_comparison(#[case] a: &str, #[case] b: &str, #[case] equal: bool) {
        assert_eq!(uri(a).equivalent(&uri(b)), equal);
        assert_eq!(uri(b).equivalent(&uri(a)), equal);
        assert!(uri(a).equivalent(&uri(a)));
    }

    /// CORE-88, RLY-78, ADV-C25
    #[rstest]
    #[case::adv_c25("msrp://[::::::1]:2855/x;tcp", UriError::HostV6)]
    #[case::adv_c25("msrp://h:99999/x;tcp", UriError::Port)]
    #[case::adv_c25("msrp://h:/x;tcp", UriError::Port)]
    #[case::adv_c25("msrp:///x;tcp", UriError::HostEmpty)]
    #[case::adv_c25("msrp://h:1/;tcp", UriError::SessionIdEmpty)]
    #[case::adv_c25("msrp://h:1/x", UriError::TransportMissing)]
    #[case::adv_e03_semicolon_ends_the_authority("msrp://a;b@host:2855/tok;tcp", UriError::Transport)]
    #[case::core_88_numeric_host_without_port("msrp://192.0.2.1/x;tcp", UriError::PortMissing)]
    #[case::core_88_numeric_host_without_port("msrp://[::1]/x;tcp", UriError::PortMissing)]
    #[case::amb_22_brackets_are_required("msrp://2001:db8::1:9/x;tcp", UriError::Port)]
    #[case::amb_22_zone_ids("msrp://[fe80::1%25eth0]:9/x;tcp", UriError::HostV6)]
    #[case::junk_behind_brackets("msrp://[::1]9/x;tcp", UriError::HostV6)]
    #[case::port_zero("msrp://h:0/x;tcp", UriError::Port)]
    #[case::other_scheme("sip://h:1/x;tcp", UriError::Scheme)]
    #[case::no_scheme("msrp:/", UriError::Scheme)]
    #[case::host_is_a_dot("msrp://.:1/x;tcp", UriError::HostEmpty)]
    #[case::empty_label("msrp://a..b:1/x;tcp", UriError::HostName)]
    #[case::two_trailing_dots("msrp://a.%2e:1/x;tcp", UriError::HostName)]
    #[case::leading_dot("msrp://.a:1/x;tcp", UriError::HostName)]
    #[case::bad_percent("msrp://h%2:1/x;tcp", UriError::HostName)]
    #[case::bad_host_octet("msrp://h\"x:1/x;tcp", UriError::HostName)]
    #[case::colon_in_session_id("msrp://h:1/a:b;tcp", UriError::SessionId)]
    #[case::empty_transport("msrp://h:1/x;", UriError::Transport)]
    #[case::transport_is_no_word("msrp://h:1/x;t_p", UriError::Transport)]
    #[case::empty_parameter("msrp://h:1/x;tcp;;a", UriError::Parameter)]
    #[case::space("msrp://h:1/x y;tcp", UriError::Octet)]
    fn malformed(#[case] text: &str, #[case] error: UriError) {
        assert_eq!(Uri::parse(text.as_bytes()).unwrap_err(), error);
    }

    /// CORE-106
    #[test]
    fn core_106_and_amb_16_foreign_words_are_taken() {
        assert!(!uri("msrp://h:1/x;ws").is_tcp());
        assert_eq!(uri("msrps://h:1/x;dc").transport(), b"dc");
        assert_eq!(uri("msrp://h:1/a%20b;tcp").session_id(), Some(&b"a%20b"[..]));
        assert_eq!(uri("msrps://relay.example;tcp").session_id(), None);
    }

    /// ADV-S30
    #[test]
    fn a_host_is_known_by_any_of_its_spellings() {
        let named = uri("msrp://H%2eExample.:1/x;tcp");
        assert!(named.host_is("h.example") && named.host_is("H.EXAMPLE."));
        assert!(!named.host_is("192.0.2.1") && !named.host_is("h.example.org"));
        assert_eq!(named.host_string(), "h.example");
        let v6 = uri("msrp://[2001:0DB8::1]:1/x;tcp");
        assert!(v6.host_is("2001:db8::1") && v6.host_is("[2001:db8:0::1]") && !v6.host_is("192.0.2.1"));
        assert_eq!(v6.host_string(), "2001:db8::1");
        let v4 = uri("msrp://192.0.2.1:1/x;tcp");
        assert!(v4.host_is("192.0.2.1") && !v4.host_is("::ffff:192.0.2.1"));
        assert_eq!(v4.host_string(), "192.0.2.1");
        assert!(v4.same_authority(&uri("msrps://192.0.2.1:1/y;ws")));
        assert!(!v4.same_authority(&uri("msrps://192.0.2.1:2/y;ws")));
    }

    proptest! {
        #[test]
        fn anything_parses_or_is_refused_without_panic(text in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Uri::parse(&text);
        }

        #[test]
        fn what_is_alike_but_for_spelling_is_equivalent(
            text in "msrps?://([a-z]{1,8}@)?[a-z0-9-]{1,9}[.][a-z]{2,5}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~+=/-]{1,20})?;[a-z]{2,4}",
        ) {
            let one = uri(&text);
            let (authority, rest) = text.split_at(text.find(one.host_string().as_str()).unwrap());
            let shouted = format!("{}{};x=y", authority.to_uppercase(), rest.replacen(&one.host_string(), &one.host_string().to_uppercase(), 1));
            prop_assert!(one.equivalent(&uri(&shouted)));
            prop_assert!(one.host_is(&one.host_string()));
        }
    }
}
