//! Whether runs of one cell may be compared at all.

use super::campaign::{Campaign, Cell, distinct};
use crate::{
    result::{Load, Machine, RunResult},
    target::BYTE_PROXY,
};

/// What must be the same in all runs of a cell, in words; nothing for a run of which it is not asked.
type Trait = fn(&RunResult) -> Option<String>;

/// What speaks against the comparison, in whole sentences; nothing if it is fair.
///
/// A relay that agreed on another TLS suite has other octets to encrypt, one on another machine has another processor, and
/// another load is no repeat. A byte proxy has a route of its own, as it can have no other. Only clean runs are looked at, since
/// only they are compared.
pub(super) fn objections(campaign: &Campaign<'_>) -> Vec<String> {
    let kinds: [(&str, Trait); 4] = [
        ("TLS differs", |run| Some(tls(run))),
        ("the machine differs", |run| Some(machine(&run.machine))),
        ("the load differs", |run| Some(load(&Load { route: String::new(), ..run.scenario.clone() }))),
        ("the route differs", |run| Some(run.scenario.route.clone()).filter(|route| route != BYTE_PROXY)),
    ];
    let found: Vec<(String, &str)> = kinds
        .iter()
        .flat_map(|(what, of)| campaign.cells.iter().filter_map(move |c| Some((difference(c, what, of)?, c.name))))
        .collect();
    distinct(found.iter().map(|(words, _)| words))
        .into_iter()
        .map(|words| {
            let cells: Vec<&str> = found.iter().filter(|(w, _)| w == words).map(|(_, cell)| *cell).collect();
            format!("{words} (in {})", cells.join(", "))
        })
        .collect()
}

/// The suites of all runs that agreed on one, and `plain TCP` for those that were to have none.
pub(super) fn suites<'a>(runs: impl Iterator<Item = &'a RunResult>) -> Vec<String> {
    distinct(runs.filter(|run| run.tls.is_some() || run.is_clean()).map(tls))
}

/// The machines of all runs, in words.
pub(super) fn machines<'a>(runs: impl Iterator<Item = &'a RunResult>) -> Vec<String> {
    distinct(runs.map(|run| machine(&run.machine)))
}

/// A load in short: what makes a run a repeat of another.
pub(super) fn load(Load { sessions, shape, messages, route, transport, .. }: &Load) -> String {
    let sessions = format!("{} session{}", super::number::count(*sessions), if *sessions == 1 { "" } else { "s" });
    [sessions.as_str(), shape, messages, route, transport]
        .into_iter()
        .filter(|s| !s.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn difference(cell: &Cell<'_>, what: &str, of: &Trait) -> Option<String> {
    let by_label: Vec<(&str, Vec<String>)> = cell
        .labels
        .iter()
        .map(|repeats| {
            (repeats.label, distinct(repeats.runs.iter().filter(|run| run.is_clean()).filter_map(|run| of(run))))
        })
        .filter(|(_, values)| !values.is_empty())
        .collect();
    let is_one = distinct(by_label.iter().flat_map(|(_, values)| values)).len() <= 1;
    let told = || by_label.iter().map(|(label, values)| format!("{label}: {}", values.join(" and ")));
    (!is_one).then(|| format!("{what} – {}", told().collect::<Vec<_>>().join("; ")))
}

fn tls(run: &RunResult) -> String {
    run.tls
        .as_ref()
        .map_or_else(|| "plain TCP".to_owned(), |t| format!("{} {} {}", t.version, t.cipher, t.key_exchange))
}

fn machine(Machine { kernel, processor, cpus }: &Machine) -> String {
    format!("{processor}, {cpus} CPUs, {kernel}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{failing, run};

    #[test]
    fn equal_runs_raise_no_objection() {
        assert_eq!(objections(&Campaign::of(&[run("a", "c"), run("b", "c")])), [""; 0]);
    }

    #[test]
    fn other_suites_machines_and_loads_are_told_once_with_their_cells() {
        let mut other = run("b", "c");
        other.tls.as_mut().unwrap().cipher = "TLS13_CHACHA20_POLY1305_SHA256".to_owned();
        other.machine.cpus = 64;
        other.scenario.sessions = 7;
        let mut again = other.clone();
        again.cell = "d".to_owned();
        let results = [run("a", "c"), other, run("a", "d"), again];
        let told = objections(&Campaign::of(&results));
        assert_eq!(told.len(), 3, "{told:#?}");
        assert!(told[0].starts_with("TLS differs – a: TLSv1_3 TLS13_AES_128_GCM_SHA256 X25519; b: "), "{told:#?}");
        assert!(told[0].ends_with("(in c, d)"), "{told:#?}");
        assert!(told[1].contains("64 CPUs") && told[2].contains("7 sessions"), "{told:#?}");
    }

    #[test]
    fn a_byte_proxy_may_have_its_own_route_and_a_relay_may_not() {
        let (mut proxy, mut relay) = (run("b", "c"), run("d", "c"));
        proxy.scenario.route = BYTE_PROXY.to_owned();
        assert_eq!(objections(&Campaign::of(&[run("a", "c"), proxy.clone()])), [""; 0]);
        relay.scenario.route = "two relays, both authenticated".to_owned();
        let told = objections(&Campaign::of(&[run("a", "c"), proxy, relay]));
        assert!(
            matches!(&told[..], [one] if one.starts_with("the route differs – a: ") && !one.contains("byte")),
            "{told:#?}"
        );
    }

    #[test]
    fn a_run_that_never_connected_has_no_suite() {
        let mut refused = failing("b", "c", "refused-501");
        refused.tls = None;
        let results = [run("a", "c"), refused];
        assert_eq!(objections(&Campaign::of(&results)), [""; 0]);
        assert_eq!(suites(results.iter()), ["TLSv1_3 TLS13_AES_128_GCM_SHA256 X25519"]);
    }
}
