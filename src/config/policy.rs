//! `[policy]`: which next hops a client may make us connect to. Here are only the rules as written; the decision, and
//! what is refused by default, stand with the code that dials.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::document::{Found, Section};
use super::problem::Fault;
use super::value::Value;
use crate::relay::policy::{Rule, RuleError};

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
        match value.parse::<Rule>() {
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

fn ports(text: &str) -> Result<RangeInclusive<u16>, RuleError> {
    let port = |text: &str| text.trim().parse().ok().filter(|port: &u16| *port != 0).ok_or(RuleError::Port);
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let (low, high) = (port(low)?, port(high)?);
    if low > high { Err(RuleError::Port) } else { Ok(low..=high) }
}
