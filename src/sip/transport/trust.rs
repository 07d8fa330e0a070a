//! Whom the operator trusts: by network, or by the name in a certificate.

use std::collections::HashSet;
use std::net::IpAddr;
use std::str::FromStr;

use rustls_pki_types::{CertificateDer, UnixTime};

use crate::net::tls::{PeerTrust, classify};
use crate::sip::way::Trust;

/// Who is trusted.
#[derive(Clone, Debug, Default)]
pub struct Trusted {
    /// Networks whose addresses are trusted. A datagram's address can be forged: only what a firewall keeps out otherwise.
    pub networks: Vec<Network>,
    /// The authorities that vouch for certificates.
    pub authorities: Option<PeerTrust>,
    /// Names of certificates, in lower case.
    pub names: HashSet<String>,
}

impl Trusted {
    pub(super) fn address(&self, address: IpAddr) -> Option<Trust> {
        self.networks.iter().any(|n| n.holds(address)).then_some(Trust::Address)
    }

    /// Judges the chain that a caller showed; today's, for a resumed session too.
    pub(super) fn chain(&self, chain: &[CertificateDer<'_>], today: UnixTime) -> Option<Trust> {
        let peer = classify(chain, self.authorities.as_ref()?, &self.names, today)?;
        Some(Trust::Certificate(peer.name.into()))
    }
}

/// A network in CIDR form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// A text is not a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NetworkError {
    /// What stands before the slash is not an address.
    #[error("not an IP address")]
    Address,
    /// What stands behind it is not a length that such an address has.
    #[error("not a prefix length of such an address")]
    Prefix,
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (base, prefix) = text.split_once('/').map_or((text, None), |(b, p)| (b, Some(p)));
        let base: IpAddr = base.parse().map_err(|_| NetworkError::Address)?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(p) => p.parse().ok().filter(|p| *p <= most).ok_or(NetworkError::Prefix)?,
            None => most,
        };
        Ok(Network { base, prefix })
    }
}

impl Network {
    /// Its first address, or another of it, and how many bits of that count.
    pub fn parts(&self) -> (IpAddr, u8) {
        (self.base, self.prefix)
    }

    /// Whether it holds every address of its family.
    pub fn is_everything(&self) -> bool {
        self.prefix == 0
    }

    /// Whether an address lies in it; one of IPv4 mapped into IPv6 counts as IPv4.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(a)) => {
                u32::from(32 - self.prefix) >= 32 || (base.to_bits() ^ a.to_bits()) >> (32 - self.prefix) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(a)) => {
                u32::from(128 - self.prefix) >= 128 || (base.to_bits() ^ a.to_bits()) >> (128 - self.prefix) == 0
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("10.1.0.0/16", "10.1.255.1", true)]
    #[case("10.1.0.0/16", "10.2.0.1", false)]
    #[case("10.1.0.0/16", "::ffff:10.1.0.1", true)]
    #[case("0.0.0.0/0", "192.0.2.1", true)]
    #[case("0.0.0.0/0", "2001:db8::1", false)]
    #[case("192.0.2.1", "192.0.2.1", true)]
    #[case("192.0.2.1", "192.0.2.2", false)]
    #[case("2001:db8::/32", "2001:db8:1::1", true)]
    #[case("::/0", "2001:db8:1::1", true)]
    #[case("2001:db8::/32", "2001:db9::1", false)]
    fn networks_hold_addresses(#[case] network: Network, #[case] address: IpAddr, #[case] held: bool) {
        assert_eq!(network.holds(address), held);
    }

    #[test]
    fn networks_are_checked() {
        assert_eq!("10.0.0.0/33".parse::<Network>(), Err(NetworkError::Prefix));
        assert_eq!("10.0.0/8".parse::<Network>(), Err(NetworkError::Address));
    }
}
