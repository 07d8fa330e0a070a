//! `[policy]`: which next hops a client may make us connect to. Here are only the rules as written; the decision, and
//! what is refused by default, stand with the code that dials.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

use thiserror::Error;
use toml::de::DeValue;

use super::document::{Found, Section};
use super::problem::Fault;
use super::relay::host;
use super::value::Value;

/// `[policy]`. It concerns only targets that a client names (open relay, port scan), never peer relays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EgressPolicy {
    /// Allowed although they are refused by default.
    pub allow: Vec<Rule>,
    /// Refused although they are allowed by default.
    pub deny: Vec<Rule>,
    /// Ports allowed where no rule of `allow` names its own.
    pub allow_ports: Vec<RangeInclusive<u16>>,
}

/// One entry: a target and, if written, its ports.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rule {
    /// Whom it concerns.
    pub target: Target,
    /// Ports it concerns; none = it says nothing about ports.
    pub ports: Option<RangeInclusive<u16>>,
}

/// Whom a rule concerns.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Target {
    /// Addresses that share the first `prefix` bits with `addr`, whose other bits are zero. IPv4 mapped into IPv6 is IPv4 here.
    Net {
        /// First address of the net.
        addr: IpAddr,
        /// Significant bits, up to 32 or 128.
        prefix: u8,
    },
    /// A host name as it stands in the URI, in lower case.
    Name(String),
}

/// Why an entry is no rule.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RuleError {
    /// Neither an address nor a name.
    #[error("neither an address nor a host name")]
    Host,
    /// The number behind the slash.
    #[error("the prefix is not a number up to {0}")]
    Prefix(u8),
    /// An address with bits behind the prefix.
    #[error("bits behind the prefix, the net is {0}")]
    HostBits(String),
    /// The part behind the colon.
    #[error("the port is not 1 to 65535 or a range of them")]
    Port,
}

impl Default for EgressPolicy {
    fn default() -> EgressPolicy {
        EgressPolicy { allow: Vec::new(), deny: Vec::new(), allow_ports: vec![1024..=65535] }
    }
}

impl EgressPolicy {
    pub(super) fn read(mut section: Section<'_>) -> EgressPolicy {
        let policy = EgressPolicy {
            allow: rules(&mut section, "allow_next_hops"),
            deny: rules(&mut section, "deny_next_hops"),
            allow_ports: section
                .nonempty_list::<Ports>("allow_ports", "[\"1024-65535\"]")
                .map_or(EgressPolicy::default().allow_ports, |list| list.into_iter().map(|it| it.value.0).collect()),
        };
        section.close();
        policy
    }
}

fn rules(section: &mut Section<'_>, key: &'static str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for Found { value, place } in section.list::<String>(key).unwrap_or_default() {
        match Rule::parse(&value) {
            Ok(rule) => rules.push(rule),
            Err(why) => section.fault(place, Fault::Rule { found: format!("{value:?}"), why }),
        }
    }
    rules
}

/// An entry of `allow_ports`.
struct Ports(RangeInclusive<u16>);

impl Value for Ports {
    const WHAT: &'static str = "a port";
    const MEND: &'static str = "a number from 1 to 65535, or a range such as \"1024-65535\"";

    fn read(value: &DeValue<'_>) -> Option<Ports> {
        match value {
            DeValue::String(text) => ports(text).ok().map(Ports),
            number => u16::read(number).filter(|port| *port != 0).map(|port| Ports(port..=port)),
        }
    }
}

impl Rule {
    /// A CIDR, an address or a host name, each with or without `:port` or `:low-high`; an IPv6 address without a slash
    /// needs brackets before a port.
    pub fn parse(text: &str) -> Result<Rule, RuleError> {
        if let Some((address, rest)) = text.split_once('/') {
            let (prefix, range) = split_ports(rest)?;
            return Ok(Rule { target: net(bare(address)?, Some(prefix))?, ports: range });
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Rule { target: net(address, None)?, ports: None });
        }
        if text.starts_with('[') {
            let end = text.find(']').ok_or(RuleError::Host)?;
            let (address, rest) = text.split_at(end + 1);
            let range = match rest {
                "" => None,
                rest => Some(ports(rest.strip_prefix(':').ok_or(RuleError::Host)?)?),
            };
            return Ok(Rule { target: net(bare(address)?, None)?, ports: range });
        }
        let (name, range) = split_ports(text)?;
        let target = match name.parse::<IpAddr>() {
            Ok(address) => net(address, None)?,
            Err(_) => Target::Name(host(name).ok_or(RuleError::Host)?),
        };
        Ok(Rule { target, ports: range })
    }
}

/// An address with or, IPv6, without brackets.
fn bare(text: &str) -> Result<IpAddr, RuleError> {
    let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(text).parse().map_err(|_| RuleError::Host)
}

fn split_ports(text: &str) -> Result<(&str, Option<RangeInclusive<u16>>), RuleError> {
    match text.split_once(':') {
        Some((before, after)) => Ok((before, Some(ports(after)?))),
        None => Ok((text, None)),
    }
}

fn ports(text: &str) -> Result<RangeInclusive<u16>, RuleError> {
    let port = |text: &str| text.trim().parse().ok().filter(|port: &u16| *port != 0).ok_or(RuleError::Port);
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (port(low)?, port(high)?);
    if low > high { Err(RuleError::Port) } else { Ok(low..=high) }
}

/// The net of `address`, all of its bits where no prefix is written.
fn net(address: IpAddr, prefix: Option<&str>) -> Result<Target, RuleError> {
    let width = if address.is_ipv4() { 32 } else { 128 };
    let prefix = match prefix {
        Some(text) => text.parse().ok().filter(|prefix| *prefix <= width).ok_or(RuleError::Prefix(width))?,
        None => width,
    };
    let addr = masked(address, prefix);
    if addr != address {
        return Err(RuleError::HostBits(format!("{addr}/{prefix}")));
    }
    match addr {
        IpAddr::V6(six) if prefix >= 96 => match six.to_ipv4_mapped() {
            Some(four) => Ok(Target::Net { addr: four.into(), prefix: prefix - 96 }),
            None => Ok(Target::Net { addr, prefix }),
        },
        _ => Ok(Target::Net { addr, prefix }),
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(four) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(four.to_bits() & mask).into()
        }
        IpAddr::V6(six) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(six.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net_rule(addr: &str, prefix: u8, ports: Option<RangeInclusive<u16>>) -> Result<Rule, RuleError> {
        Ok(Rule { target: Target::Net { addr: addr.parse().expect("an address"), prefix }, ports })
    }

    fn name_rule(name: &str, ports: Option<RangeInclusive<u16>>) -> Result<Rule, RuleError> {
        Ok(Rule { target: Target::Name(name.to_owned()), ports })
    }

    #[test]
    fn a_rule_is_a_net_or_a_name_with_or_without_ports() {
        assert_eq!(Rule::parse("127.0.0.0/8"), net_rule("127.0.0.0", 8, None));
        assert_eq!(Rule::parse("0.0.0.0/0:443"), net_rule("0.0.0.0", 0, Some(443..=443)));
        assert_eq!(Rule::parse("10.0.0.0/8:2855-2856"), net_rule("10.0.0.0", 8, Some(2855..=2856)));
        assert_eq!(Rule::parse("192.0.2.1"), net_rule("192.0.2.1", 32, None));
        assert_eq!(Rule::parse("192.0.2.1:1-2"), net_rule("192.0.2.1", 32, Some(1..=2)));
        assert_eq!(Rule::parse("::1/128"), net_rule("::1", 128, None));
        assert_eq!(Rule::parse("fd00::/8:443"), net_rule("fd00::", 8, Some(443..=443)));
        assert_eq!(Rule::parse("[fd00::]/8:443"), net_rule("fd00::", 8, Some(443..=443)));
        assert_eq!(Rule::parse("::/0"), net_rule("::", 0, None));
        assert_eq!(Rule::parse("::1"), net_rule("::1", 128, None));
        assert_eq!(Rule::parse("[::1]:2855"), net_rule("::1", 128, Some(2855..=2855)));
        assert_eq!(Rule::parse("Far.Example."), name_rule("far.example", None));
        assert_eq!(Rule::parse("far.example:2855"), name_rule("far.example", Some(2855..=2855)));
    }

    #[test]
    fn an_ipv4_address_mapped_into_ipv6_is_ipv4() {
        assert_eq!(Rule::parse("::ffff:10.0.0.0/104"), net_rule("10.0.0.0", 8, None));
    }

    #[test]
    fn what_is_not_a_rule_says_which_part_is_wrong() {
        assert_eq!(Rule::parse("10.0.0.1/8"), Err(RuleError::HostBits("10.0.0.0/8".to_owned())));
        assert_eq!(Rule::parse("10.0.0.0/33"), Err(RuleError::Prefix(32)));
        assert_eq!(Rule::parse("::/129"), Err(RuleError::Prefix(128)));
        assert_eq!(Rule::parse("10.0.0.0/x"), Err(RuleError::Prefix(32)));
        for wrong in ["10.0.0.0/8:0", "a.example:70000", "a.example:9-8", "a.example:", "10.0.0.0/8:1-"] {
            assert_eq!(Rule::parse(wrong), Err(RuleError::Port), "{wrong}");
        }
        for wrong in ["", "10.0.0", "a.example/8", "*.example", "a b", "[::1", "[::1]2855"] {
            assert_eq!(Rule::parse(wrong), Err(RuleError::Host), "{wrong}");
        }
    }
}
