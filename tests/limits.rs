//! `docs/LIMITS.md` tells the truth: its defaults are those of the configuration, its constants stand in the sources, and the
//! exporter has its metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use chappe::control::Snapshot;
use chappe::observe::{Exporter, Losses, SipSnapshot};
use chappe::relay::{CloseReason, DialFailure, Event};
use chappe::sip::framing::Fault;
use chappe::sip::transport::Loss;

fn read(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cells of each row whose table has so many columns.
fn rows(columns: usize) -> Vec<Vec<String>> {
    let page = read("docs/LIMITS.md");
    let cells = |line: &str| -> Vec<String> {
        let line = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")).unwrap_or_default();
        line.split(" | ").map(|cell| cell.trim().to_owned()).collect()
    };
    page.lines().filter(|line| line.starts_with("| `")).map(cells).filter(|row| row.len() == columns).collect()
}

fn bare(cell: &str) -> &str {
    cell.strip_prefix('`').and_then(|cell| cell.strip_suffix('`')).unwrap_or(cell)
}

/// Keys of `config/chappe.toml` with their defaults as written; a test beside the configuration compares it with the code.
fn documented() -> BTreeMap<String, String> {
    let (mut section, mut keys) = (String::new(), BTreeMap::new());
    for line in read("config/chappe.toml").lines() {
        if line.starts_with('[') {
            section = line.trim_matches(|c| c == '[' || c == ']').to_owned();
        } else if let Some((key, value)) = line.trim_start_matches('#').split_once(" = ").filter(|(key, _)| is_key(key))
        {
            let value = if line.starts_with('#') { "none" } else { value };
            keys.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    keys
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_')
}

#[test]
fn every_limit_is_listed_with_its_default() {
    let documented = documented();
    let mut listed = BTreeSet::new();
    for row in rows(4) {
        let key = bare(&row[0]);
        let key = if key.contains('.') { key.to_owned() } else { format!("limits.{key}") };
        let default = documented.get(&key).unwrap_or_else(|| panic!("{key} is no key"));
        assert_eq!(bare(&row[1]), default, "{key}");
        assert!(!row[2].is_empty(), "{key}");
        assert!(listed.insert(key.clone()), "{key} twice");
    }
    let must = |key: &&String| key.starts_with("limits.") || key.starts_with("auth.ban_");
    let missing: Vec<_> = documented.keys().filter(must).filter(|key| !listed.contains(*key)).collect();
    assert!(missing.is_empty(), "not on the page: {missing:?}");
    assert!(listed.len() > 50, "only {} rows were read", listed.len());
}

#[test]
fn fixed_bounds_stand_in_the_sources() {
    let rows = rows(5);
    assert!(rows.len() > 15, "only {} rows were read", rows.len());
    for row in rows {
        let (name, file, value) = (bare(&row[0]), bare(&row[1]), bare(&row[2]));
        let source = read(file);
        if name.starts_with(|first: char| first.is_ascii_lowercase()) {
            let mut fields = source.lines().flat_map(|line| line.split([',', '{', '}']));
            assert!(fields.any(|field| field.trim() == format!("{name}: {value}")), "{file} has no {name}: {value}");
            continue;
        }
        let line = source.lines().find(|line| line.contains(&format!("const {name}: ")));
        let line = line.unwrap_or_else(|| panic!("{file} has no {name}"));
        assert!(line.ends_with(&format!(" = {value};")), "{file}: {line}");
    }
}

/// All series of an exporter to which everything has happened.
fn exported() -> Vec<String> {
    let exporter = Exporter::new();
    exporter.update(&[Snapshot::default()]);
    exporter.lost_lines("log", Losses::default());
    exporter.lost_lines("records", Losses::default());
    let lost = Loss::ALL.map(|loss| (loss.word(), 0)).into();
    let faults = Fault::ALL.map(|fault| (fault.word(), 0)).into();
    exporter.update_sip(&SipSnapshot { lost, faults, ..SipSnapshot::default() });
    for reason in REASONS {
        exporter.event(&Event::LinkClosed { peer: None, reason, relay: None });
    }
    exporter.render().lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Those that a limit leads to.
const REASONS: [CloseReason; 16] = [
    CloseReason::Lost,
    CloseReason::Framing,
    CloseReason::Probation,
    CloseReason::AuthFailures,
    CloseReason::BadRequests,
    CloseReason::SlowHead,
    CloseReason::StalledChunk,
    CloseReason::StalledWrite,
    CloseReason::ResponseQueue,
    CloseReason::Idle,
    CloseReason::Shortage,
    CloseReason::DialFailed(DialFailure::Policy),
    CloseReason::DialFailed(DialFailure::Timeout),
    CloseReason::DialFailed(DialFailure::Quota),
    CloseReason::DialFailed(DialFailure::Connect),
    CloseReason::Bug,
];

/// Whether a series has this name and all of these labels, as `name{a="b",c="d"}`.
fn matches(series: &str, wanted: &str) -> bool {
    let (name, labels) = wanted.split_once('{').unwrap_or((wanted, ""));
    let rest = series.strip_prefix(name);
    // Of a histogram, the name is that of its parts.
    let named = rest.is_some_and(|rest| rest.starts_with(['{', ' ']) || rest.starts_with("_count"));
    named && labels.trim_end_matches('}').split(',').all(|label| series.contains(label))
}

#[test]
fn every_metric_is_exported() {
    let exported = exported();
    // Labels of these depend on calls; the words stand in one file.
    let words = read("src/sip/plane/metrics.rs");
    let mut seen = 0;
    for row in rows(4).into_iter().chain(rows(5)) {
        let metrics = row.last().expect("a cell");
        if metrics == "none" {
            let place = bare(&row[1]);
            assert!(["src/admin/", "src/sip/"].iter().any(|of| place.starts_with(of)), "{row:?}: must be seen");
            continue;
        }
        for metric in metrics.split(", ").map(bare) {
            assert!(metric.starts_with("chappe_"), "{metric}");
            let late = ["chappe_sip_refused_total{", "chappe_sip_stray_total{", "chappe_sip_calls_total{"];
            let late = late.iter().any(|name| metric.starts_with(name));
            let word = metric.split('"').nth(1).unwrap_or_default();
            let there = if late {
                words.contains(&format!("\"{word}\""))
            } else {
                exported.iter().any(|series| matches(series, metric))
            };
            assert!(there, "{metric} is not exported");
            seen += 1;
        }
    }
    assert!(seen > 70, "only {seen} metrics were looked for");
}
