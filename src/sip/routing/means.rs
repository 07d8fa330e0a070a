//! By which protocols we can send at all.

use std::net::IpAddr;

use crate::sip::way::Protocol;

/// What there is to send with: datagrams leave by a listener of their family, connections by any way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Means {
    /// A UDP listener on IPv4.
    pub udp4: bool,
    /// A UDP listener on IPv6.
    pub udp6: bool,
    /// TCP.
    pub tcp: bool,
    /// TLS.
    pub tls: bool,
}

impl Means {
    /// Whether a protocol is spoken here.
    pub fn speaks(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Udp => self.udp4 || self.udp6,
            Protocol::Tcp => self.tcp,
            Protocol::Tls => self.tls,
        }
    }

    /// Whether an address can be reached by a protocol.
    pub fn reaches(&self, protocol: Protocol, address: IpAddr) -> bool {
        match protocol {
            Protocol::Udp if address.is_ipv4() => self.udp4,
            Protocol::Udp => self.udp6,
            other => self.speaks(other),
        }
    }

    /// The protocols that a URI permits, the usual one first: UDP for `sip` (RFC 3263 section 4.1), or TCP for a request that
    /// is too long for a datagram (RFC 3261 section 18.1.1); TLS alone for `sips`.
    pub(super) fn preferred(&self, secure: bool, long: bool) -> impl Iterator<Item = Protocol> {
        let all: &'static [Protocol] = match (secure, long) {
            (true, _) => &[Protocol::Tls],
            (false, false) => &[Protocol::Udp, Protocol::Tcp, Protocol::Tls],
            (false, true) => &[Protocol::Tcp, Protocol::Udp, Protocol::Tls],
        };
        let means = *self;
        all.iter().copied().filter(move |protocol| means.speaks(*protocol))
    }
}
