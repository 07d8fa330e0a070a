//! The top Via: read, and marked with where the request really came from (RFC 3261 sections 18.2.1, 20.42; RFC 3581).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use super::lines::is_token;
use super::{Fault, lines};

/// One value of Via.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, or what else a sender wrote, in capitals.
    pub transport: String,
    /// Host of sent-by; an IPv6 address has its brackets.
    pub host: String,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// Parameters in their order.
    pub params: Vec<(String, Option<String>)>,
}

impl Via {
    /// The first value of a Via header, and what follows it after the comma.
    pub(in crate::sip) fn first(header: &str) -> Result<(Via, &str), Fault> {
        let (value, rest) = split(header, b',').unwrap_or((header, ""));
        // What we write behind an open quote would be inside of it.
        if is_open(value) {
            return Err(Fault::Via);
        }
        Ok((Via::read(value).ok_or(Fault::Via)?, rest.trim()))
    }

    fn read(value: &str) -> Option<Via> {
        let mut parts = value.splitn(3, '/');
        let (name, version, rest) = (parts.next()?.trim(), parts.next()?.trim(), parts.next()?.trim());
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (transport, rest) = rest.split_once([' ', '\t'])?;
        if !is_token(transport.as_bytes()) {
            return None;
        }
        let (sent_by, mut left) = match split(rest, b';') {
            Some((sent_by, params)) => (sent_by, Some(params)),
            None => (rest, None),
        };
        let (host, port) = host_and_port(sent_by.trim())?;
        let mut params = Vec::new();
        while let Some(text) = left {
            let (one, behind) = match split(text, b';') {
                Some((one, behind)) => (one, Some(behind)),
                None => (text, None),
            };
            let (name, value) = match one.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
                None => (one.trim(), None),
            };
            if !is_token(name.as_bytes()) || value.as_ref().is_some_and(String::is_empty) {
                return None;
            }
            params.push((name.to_owned(), value));
            left = behind;
        }
        Some(Via { transport: transport.to_ascii_uppercase(), host, port, params })
    }

    /// The value of a parameter: none if it is absent, an inner none if it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        self.params.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_deref())
    }

    /// Notes where a request came from: `received` where sent-by says anything else, both where `rport` is asked for
    /// (RFC 3581 section 4). What a sender claims in their place is gone.
    pub(super) fn mark(&mut self, source: SocketAddr) {
        let address = source.ip().to_canonical();
        let asked = self.param("rport").is_some();
        self.params.retain(|(n, _)| !n.eq_ignore_ascii_case("received") && !n.eq_ignore_ascii_case("rport"));
        if asked || self.address() != Some(address) {
            self.params.push(("received".to_owned(), Some(address.to_string())));
        }
        if asked {
            self.params.push(("rport".to_owned(), Some(source.port().to_string())));
        }
    }

    /// Where a response goes that cannot take the request's connection (RFC 3261 section 18.2.2, RFC 3581 section 4). The
    /// address is always the one the request came from; `maddr` is not followed, since it would let anybody aim responses.
    pub fn reply_to(&self, source: SocketAddr) -> SocketAddr {
        let default = if self.transport == "TLS" { 5061 } else { 5060 };
        let port = if self.param("rport").is_some() { source.port() } else { self.port.unwrap_or(default) };
        SocketAddr::new(source.ip(), port)
    }

    fn address(&self) -> Option<IpAddr> {
        let bare = self.host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(&self.host);
        bare.parse().ok().map(|a: IpAddr| a.to_canonical())
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

fn host_and_port(sent_by: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match sent_by.strip_prefix('[') {
        Some(six) => {
            let (six, behind) = six.split_once(']')?;
            six.parse::<std::net::Ipv6Addr>().ok()?;
            let port = behind.trim();
            (&sent_by[..six.len() + 2], if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
        }
        None => match sent_by.split_once(':') {
            Some((host, port)) => (host.trim(), Some(port)),
            None => (sent_by, None),
        },
    };
    let named = host.starts_with('[')
        || (!host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)));
    let port = match port {
        Some(port) => Some(u16::try_from(lines::digits(port.trim().as_bytes())?).ok()?),
        None => None,
    };
    named.then(|| (host.to_owned(), port))
}

/// Whether a quoted string or a comment has no end.
fn is_open(text: &str) -> bool {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0usize);
    for b in text.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    quoted || escaped || depth > 0
}

/// Splits at the first `at` outside of quotes and comments.
fn split(text: &str, at: u8) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0usize);
    for (i, b) in text.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted || depth > 0 => escaped = true,
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => depth += 1,
            b')' if !quoted => depth = depth.saturating_sub(1),
            _ if b == at && !quoted && depth == 0 => return Some((&text[..i], &text[i + 1..])),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_we_add_stands_outside_of_quotes_and_comments() {
        for open in ["x=\"y", "x=\"y\\\"", "x=(y", "x=\"y\\"] {
            let header = format!("SIP/2.0/UDP a.example;branch=z9hG4bK1;{open}");
            assert_eq!(Via::first(&header).unwrap_err(), Fault::Via, "{open}");
        }
        let (mut via, _) = Via::first("SIP/2.0/UDP a.example;x=\"a;b,c\";rport, SIP/2.0/TCP b.example").unwrap();
        via.mark(([192, 0, 2, 1], 5061).into());
        let written = via.to_string();
        assert_eq!(Via::first(&written).unwrap().0, via);
        assert!(written.ends_with(";received=192.0.2.1;rport=5061"), "{written}");
    }
}
