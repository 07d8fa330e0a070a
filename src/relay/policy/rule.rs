//! One rule of the egress policy, and its text.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// What a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Addresses that share the first `prefix` bits of `addr`.
    Net {
        /// Any address of the network.
        addr: IpAddr,
        /// Bits that count, at most 32 or 128.
        prefix: u8,
    },
    /// A host name as the path has it, in lower case and without a final dot.
    Name(String),
}

/// One line of the operator's list: `10.0.0.0/8`, `10.0.0.0/8:5000-6000`, `[fd00::/8]:2855`, `relay.example:443`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The hosts.
    pub target: Target,
    /// The ports; all when none are named.
    pub ports: Option<RangeInclusive<u16>>,
}

/// What is wrong with the text of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no host.
    #[error("names no host")]
    Empty,
    /// The host looks like an address and is none.
    #[error("malformed address")]
    Address,
    /// The prefix length is no number or longer than the address.
    #[error("malformed prefix length")]
    Prefix,
    /// An address with bits behind the prefix: a network was meant, or one host.
    #[error("bits behind the prefix; write the first address of the network")]
    HostBits,
    /// `[` without `]`, or something other than a port behind it.
    #[error("malformed brackets")]
    Brackets,
    /// A port is no number from 1 to 65535, or a range runs backwards.
    #[error("malformed port or port range")]
    Port,
    /// The host name holds an octet that no host name has, or an empty label.
    #[error("malformed host name")]
    Name,
}

impl Rule {
    pub(super) fn matches(&self, host_name: Option<&str>, host: IpAddr, port: u16) -> bool {
        self.ports.as_ref().is_none_or(|ports| ports.contains(&port))
            && match &self.target {
                Target::Net { addr, prefix } => shares_prefix(*addr, host, *prefix),
                Target::Name(name) => host_name.is_some_and(|asked| without_dot(asked).eq_ignore_ascii_case(name)),
            }
    }
}

fn shares_prefix(net: IpAddr, host: IpAddr, prefix: u8) -> bool {
    let differing = |bits: u128, width: u8| {
        let ignored = u32::from(width.saturating_sub(prefix));
        bits.checked_shr(ignored).unwrap_or(0) == 0
    };
    match (net, host) {
        (IpAddr::V4(net), IpAddr::V4(host)) => differing(u128::from(net.to_bits() ^ host.to_bits()), 32),
        (IpAddr::V6(net), IpAddr::V6(host)) => differing(net.to_bits() ^ host.to_bits(), 128),
        _ => false,
    }
}

fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (host, ports) = split_ports(text)?;
        let target = if host.contains([':', '/']) || host.parse::<IpAddr>().is_ok() {
            parse_net(host)?
        } else {
            Target::Name(parse_name(host)?)
        };
        Ok(Self { target, ports: ports.map(parse_ports).transpose()? })
    }
}

/// Splits off the ports; the host comes without brackets.
fn split_ports(text: &str) -> Result<(&str, Option<&str>), RuleError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or(RuleError::Brackets)?;
        return match behind.strip_prefix(':') {
            Some(ports) => Ok((host, Some(ports))),
            None if behind.is_empty() => Ok((host, None)),
            None => Err(RuleError::Brackets),
        };
    }
    match text.split_once(':') {
        // Two colons before any port could begin: IPv6 without brackets, which leaves no room for one.
        Some((_, behind)) if behind.contains(':') => Ok((text, None)),
        Some((host, ports)) => Ok((host, Some(ports))),
        None => Ok((text, None)),
    }
}

fn parse_net(text: &str) -> Result<Target, RuleError> {
    let (host, prefix) = text.split_once('/').map_or((text, None), |(host, prefix)| (host, Some(prefix)));
    let addr: IpAddr = host.parse().map_err(|_| RuleError::Address)?;
    let width = if addr.is_ipv4() { 32 } else { 128 };
    let prefix = prefix.map_or(Ok(width), |prefix| prefix.parse::<u8>().map_err(|_| RuleError::Prefix))?;
    if prefix > width {
        return Err(RuleError::Prefix);
    }
    let behind = u32::from(width - prefix);
    let bits = match addr {
        IpAddr::V4(four) => u128::from(four.to_bits()),
        IpAddr::V6(six) => six.to_bits(),
    };
    if behind > 0 && bits.trailing_zeros() < behind {
        return Err(RuleError::HostBits);
    }
    // Addresses are compared in canonical form, so a network of mapped ones is one of IPv4.
    match addr {
        IpAddr::V6(v6) if prefix >= 96 && v6.to_ipv4_mapped().is_some() => {
            Ok(Target::Net { addr: addr.to_canonical(), prefix: prefix - 96 })
        }
        _ => Ok(Target::Net { addr, prefix }),
    }
}

fn parse_ports(text: &str) -> Result<RangeInclusive<u16>, RuleError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0).ok_or(RuleError::Port);
    let (first, last) = (port(first)?, port(last)?);
    if first > last { Err(RuleError::Port) } else { Ok(first..=last) }
}

fn parse_name(text: &str) -> Result<String, RuleError> {
    if text.is_empty() {
        return Err(RuleError::Empty);
    }
    let name = without_dot(text);
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if !name.split('.').all(label) {
        return Err(RuleError::Name);
    }
    // A name that ends in a number is an address with a slip of the pen.
    if name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
        return Err(RuleError::Address);
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn net(addr: &str, prefix: u8) -> Target {
        Target::Net { addr: addr.parse().unwrap(), prefix }
    }

    #[rstest]
    #[case("10.0.0.0/8", net("10.0.0.0", 8), None)]
    #[case("10.0.0.1", net("10.0.0.1", 32), None)]
    #[case("10.0.0.0/8:5000", net("10.0.0.0", 8), Some(5000..=5000))]
    #[case("10.0.0.0/8:1-65535", net("10.0.0.0", 8), Some(1..=65535))]
    #[case("0.0.0.0/0", net("0.0.0.0", 0), None)]
    #[case("fd00::/8", net("fd00::", 8), None)]
    #[case("::1", net("::1", 128), None)]
    #[case("[fd00::/8]:2855", net("fd00::", 8), Some(2855..=2855))]
    #[case("[::1]", net("::1", 128), None)]
    #[case("::ffff:10.0.0.0/104", net("10.0.0.0", 8), None)]
    #[case("Relay.Example.", Target::Name("relay.example".to_owned()), None)]
    #[case("relay.example:443", Target::Name("relay.example".to_owned()), Some(443..=443))]
    fn rule_text(#[case] text: &str, #[case] target: Target, #[case] ports: Option<RangeInclusive<u16>>) {
        assert_eq!(text.parse(), Ok(Rule { target, ports }));
    }

    #[rstest]
    #[case("", RuleError::Empty)]
    #[case(":443", RuleError::Empty)]
    #[case("10.0.0/8", RuleError::Address)]
    #[case("10.0.0", RuleError::Address)]
    #[case("10.0.0.256", RuleError::Address)]
    #[case("[]", RuleError::Empty)]
    #[case("10.0.0.0/33", RuleError::Prefix)]
    #[case("10.0.0.1/8", RuleError::HostBits)]
    #[case("fd00::/129", RuleError::Prefix)]
    #[case("fd00::/8:443", RuleError::Prefix)]
    #[case("10.0.0.0/", RuleError::Prefix)]
    #[case("[fd00::/8", RuleError::Brackets)]
    #[case("[fd00::/8]443", RuleError::Brackets)]
    #[case("10.0.0.0/8:0", RuleError::Port)]
    #[case("10.0.0.0/8:6-5", RuleError::Port)]
    #[case("relay.example:", RuleError::Port)]
    #[case("relay.example:70000", RuleError::Port)]
    #[case("relay..example", RuleError::Name)]
    #[case("relay example", RuleError::Name)]
    fn rule_text_refused(#[case] text: &str, #[case] why: RuleError) {
        assert_eq!(text.parse::<Rule>(), Err(why));
    }

    #[test]
    fn prefix_bounds() {
        let host = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(shares_prefix(host("0.0.0.0"), host("255.1.2.3"), 0));
        assert!(shares_prefix(host("::"), host("ff00::"), 0));
        assert!(!shares_prefix(host("10.0.0.1"), host("10.0.0.2"), 32));
        assert!(shares_prefix(host("10.0.0.1"), host("10.0.0.2"), 30));
        assert!(!shares_prefix(host("0.0.0.0"), host("::"), 0), "families are apart");
    }
}
