//! Which domains a rule of the operator is for.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A pattern for the host of a Request-URI: `example.com`, `*.example.com`, or `*`.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Domain {
    /// This host and no other: a name in lower case without its last dot, or an address without brackets.
    Exact(String),
    /// All names below this one, at any depth, but not itself.
    Below(String),
    /// Everything, telephone numbers without a host too.
    Any,
}

/// A text is no such pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DomainError {
    /// There is nothing.
    #[error("names no domain")]
    Empty,
    /// A `*` that is not the whole first label.
    #[error("a * stands alone or before the first dot")]
    Wildcard,
    /// An octet that no host name has, or an empty label.
    #[error("malformed host name or address")]
    Name,
}

impl Domain {
    /// Whether it is for a host, which is none in a tel URI.
    pub fn holds(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self {
            Domain::Exact(own) => match (own.parse::<IpAddr>(), host.parse::<IpAddr>()) {
                (Ok(own), Ok(host)) => own.to_canonical() == host.to_canonical(),
                _ => own.eq_ignore_ascii_case(host),
            },
            Domain::Below(own) => {
                let above = host.len().checked_sub(own.len() + 1).and_then(|at| host.split_at_checked(at));
                above.is_some_and(|(label, rest)| {
                    !label.is_empty() && rest.strip_prefix('.').is_some_and(|rest| rest.eq_ignore_ascii_case(own))
                })
            }
            Domain::Any => true,
        }
    }

    /// How much it says; of two that hold a host the greater one counts.
    pub fn weight(&self) -> usize {
        match self {
            Domain::Exact(_) => usize::MAX,
            Domain::Below(own) => own.len(),
            Domain::Any => 0,
        }
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Domain, DomainError> {
        if text == "*" {
            return Ok(Domain::Any);
        }
        let (below, name) = text.strip_prefix("*.").map_or((false, text), |name| (true, name));
        if name.is_empty() {
            return Err(DomainError::Empty);
        }
        if name.contains('*') {
            return Err(DomainError::Wildcard);
        }
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        if let Ok(address) = bare.parse::<IpAddr>() {
            let well = !below && (bare == name || address.is_ipv6());
            return if well { Ok(Domain::Exact(address.to_string())) } else { Err(DomainError::Name) };
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let label = |label: &str| {
            !label.is_empty()
                && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
        };
        if !name.split('.').all(label) {
            return Err(DomainError::Name);
        }
        let name = name.to_ascii_lowercase();
        Ok(if below { Domain::Below(name) } else { Domain::Exact(name) })
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Domain::Exact(own) => f.write_str(own),
            Domain::Below(own) => write!(f, "*.{own}"),
            Domain::Any => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("example.com", "Example.COM.", true)]
    #[case("example.com", "a.example.com", false)]
    #[case("*.example.com", "a.example.com", true)]
    #[case("*.example.com", "B.A.Example.com.", true)]
    #[case("*.example.com", "example.com", false)]
    #[case("*.example.com", ".example.com", false)]
    #[case("*.example.com", "an-example.com", false)]
    #[case("*.example.com", "com", false)]
    #[case("192.0.2.1", "192.0.2.1", true)]
    #[case("192.0.2.1", "::ffff:192.0.2.1", true)]
    #[case("[2001:DB8::1]", "2001:db8:0::1", true)]
    #[case("*", "anything", true)]
    #[case("*", "", true)]
    #[case("example.com", "", false)]
    fn patterns_hold_hosts(#[case] pattern: Domain, #[case] host: &str, #[case] held: bool) {
        assert_eq!(pattern.holds(host), held);
    }

    #[rstest]
    #[case("", DomainError::Empty)]
    #[case("*.", DomainError::Empty)]
    #[case("a.*.example", DomainError::Wildcard)]
    #[case("*a.example", DomainError::Wildcard)]
    #[case("**", DomainError::Wildcard)]
    #[case("a..b", DomainError::Name)]
    #[case("a b", DomainError::Name)]
    #[case("sip:a.example", DomainError::Name)]
    #[case("*.192.0.2.1", DomainError::Name)]
    #[case("[192.0.2.1]", DomainError::Name)]
    fn what_is_no_pattern(#[case] text: &str, #[case] why: DomainError) {
        assert_eq!(text.parse::<Domain>(), Err(why));
    }

    #[test]
    fn the_longer_pattern_weighs_more() {
        let weights: Vec<usize> = ["*", "*.com", "*.example.com", "a.b"]
            .iter()
            .map(|text| text.parse::<Domain>().map(|domain| domain.weight()).expect("a pattern"))
            .collect();
        assert!(weights.is_sorted_by(|a, b| a < b), "{weights:?}");
    }
}
