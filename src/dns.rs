//! What answers of the DNS mean, and what is known without a question: plain values, for all that look names up.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The parts of an SRV record (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Lower ones are tried first.
    pub priority: u16,
    /// Share within a priority.
    pub weight: u16,
    /// Port, perhaps 0.
    pub port: u16,
    /// Host, or `.` where the service is decidedly not available.
    pub target: String,
}

impl Service {
    /// Whether it leads somewhere: target `.` says no, and port 0 is none (ADV-R26).
    pub fn is_usable(&self) -> bool {
        self.target != "." && self.port != 0
    }
}

/// The order of RFC 2782: by priority, and within one drawn by weight. `random` gives a number from 0 to its argument.
pub fn in_order(mut records: Vec<Service>, mut random: impl FnMut(u32) -> u32) -> Vec<Service> {
    // Weight 0 goes first in a draw, so that it has a very small chance and not none.
    records.sort_by_key(|record| (record.priority, record.weight));
    let mut ordered = Vec::with_capacity(records.len());
    while let Some(priority) = records.first().map(|first| first.priority) {
        let equals = records.iter().take_while(|record| record.priority == priority);
        let total = equals.map(|record| u32::from(record.weight)).sum();
        let drawn = random(total);
        let mut running = 0;
        let place = records.iter().position(|record| {
            running += u32::from(record.weight);
            running >= drawn
        });
        ordered.push(records.remove(place.unwrap_or(0)));
    }
    ordered
}

/// The parts of a NAPTR record (RFC 3403 section 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// Lower ones come first, and later ones only if those will not do.
    pub order: u16,
    /// The owner's wish among equals of one order, the lowest first.
    pub preference: u16,
    /// `s` for an SRV record.
    pub flags: String,
    /// As `SIP+D2T`.
    pub service: String,
    /// Whether there is a regular expression, which excludes a replacement.
    pub has_regexp: bool,
    /// The name to ask for next, or `.`.
    pub replacement: String,
}

/// What is known of a host without a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing leads there, and nobody may be asked.
    Nowhere,
    /// These addresses.
    Addresses(Vec<IpAddr>),
}

/// What is known of a host without a name server: nothing may be asked about `.invalid` (RLY-102), `localhost` is here
/// (RFC 6761 section 6.3), and an address is itself.
pub fn without_asking(host: &str) -> Option<Known> {
    let bare = host.strip_suffix('.').unwrap_or(host);
    let last = bare.rsplit('.').next().unwrap_or_default();
    if last.eq_ignore_ascii_case("invalid") {
        return Some(Known::Nowhere);
    }
    if last.eq_ignore_ascii_case("localhost") {
        return Some(Known::Addresses(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]));
    }
    bare.parse().ok().map(|address| Known::Addresses(vec![address]))
}

/// One of each family in turn, IPv6 first, so that a family without a route costs one attempt only (RFC 8305 section 4).
pub fn alternating(addresses: impl IntoIterator<Item = IpAddr>) -> impl Iterator<Item = IpAddr> {
    let (six, four): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv6);
    let (mut six, mut four) = (six.into_iter(), four.into_iter());
    let mut turn = false;
    std::iter::from_fn(move || {
        turn = !turn;
        if turn { six.next().or_else(|| four.next()) } else { four.next().or_else(|| six.next()) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc2782_weight_draws_within_a_priority() {
        let record = |priority, weight, port| Service { priority, weight, port, target: "t.".to_owned() };
        let ports = |ordered: Vec<Service>| ordered.iter().map(|record| record.port).collect::<Vec<_>>();
        let records = vec![record(2, 9, 4), record(1, 60, 1), record(1, 0, 2), record(1, 40, 3)];
        // Sums as drawn from: 0 (port 2), 40 (port 3), 100 (port 1).
        assert_eq!(ports(in_order(records.clone(), |_| 0)), [2, 3, 1, 4]);
        assert_eq!(ports(in_order(records.clone(), |most| most)), [1, 3, 2, 4]);
        assert_eq!(ports(in_order(records.clone(), |most| most.min(1))), [3, 1, 2, 4]);
        let mut asked = Vec::new();
        in_order(records, |most| {
            asked.push(most);
            most
        });
        assert_eq!(asked, [100, 40, 0, 9]);
    }

    #[test]
    fn nobody_is_asked_about_these() {
        let here = Known::Addresses(vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]);
        for (host, known) in [
            ("x7.Invalid.", Some(Known::Nowhere)),
            ("localhost", Some(here.clone())),
            ("a.LocalHost.", Some(here)),
            ("192.0.2.1", Some(Known::Addresses(vec![[192, 0, 2, 1].into()]))),
            ("example.com", None),
            ("invalid.example", None),
        ] {
            assert_eq!(without_asking(host), known, "{host}");
        }
    }

    #[test]
    fn families_take_turns() {
        let list = |list: &[&str]| list.iter().map(|text| text.parse().expect("an address")).collect::<Vec<IpAddr>>();
        let mixed = alternating(list(&["192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.3"]));
        assert_eq!(mixed.collect::<Vec<_>>(), list(&["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"]));
    }
}
