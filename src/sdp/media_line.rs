//! The m-line and the transport it names (RFC 8866 section 5.14, RFC 4975 section 8.1).

use crate::msrp::Scheme;

/// What carries MSRP.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Protocol {
    /// `TCP/MSRP`.
    Tcp,
    /// `TCP/TLS/MSRP`.
    Tls,
}

impl Protocol {
    /// The protocol field of an m-line.
    pub fn as_str(self) -> &'static str {
        match self {
            Protocol::Tcp => "TCP/MSRP",
            Protocol::Tls => "TCP/TLS/MSRP",
        }
    }

    /// The scheme of the URI for the adjacent hop.
    pub fn scheme(self) -> Scheme {
        match self {
            Protocol::Tcp => Scheme::Msrp,
            Protocol::Tls => Scheme::Msrps,
        }
    }
}

/// The fields of an m-line as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MediaLine<'a> {
    /// The media, as `message` or `audio`.
    pub media: &'a [u8],
    /// The port, maybe with a range.
    pub port: &'a [u8],
    /// The protocol.
    pub protocol: &'a [u8],
    /// The format list; empty where it is missing.
    pub formats: &'a [u8],
}

impl<'a> MediaLine<'a> {
    /// The fields of a value; none if there are fewer than three.
    pub(super) fn parse(value: &'a [u8]) -> Option<MediaLine<'a>> {
        let mut rest = value;
        let mut word = || -> Option<&'a [u8]> {
            let text = rest.trim_ascii_start();
            let (word, tail) = text.split_at_checked(memchr::memchr(b' ', text).unwrap_or(text.len()))?;
            rest = tail;
            Some(word).filter(|word| !word.is_empty())
        };
        let (media, port, protocol) = (word()?, word()?, word()?);
        Some(MediaLine { media, port, protocol, formats: rest.trim_ascii() })
    }

    /// The transport if the line proposes MSRP, and so is ours to look at.
    pub fn message_protocol(&self) -> Option<Protocol> {
        if !self.media.eq_ignore_ascii_case(b"message") {
            return None;
        }
        let is = |protocol: &Protocol| self.protocol.eq_ignore_ascii_case(protocol.as_str().as_bytes());
        [Protocol::Tcp, Protocol::Tls].into_iter().find(is)
    }

    /// The port; none if it is not a number up to 65535, as a range is not (ADV-S05).
    pub fn port(&self) -> Option<u16> {
        let digits = !self.port.is_empty() && self.port.len() <= 5 && self.port.iter().all(u8::is_ascii_digit);
        str::from_utf8(self.port).ok().filter(|_| digits)?.parse().ok()
    }

    /// Whether the line is refused or removed (RFC 3264 sections 6 and 8.2).
    pub fn is_zero(&self) -> bool {
        self.port() == Some(0)
    }
}
