//! The exporter: counters of all shards, and of events, as text for Prometheus.
//!
//! Shards count in cells of their own; [`Exporter::update`] copies their sums into a recorder that belongs to this exporter
//! alone. Histograms arrive counted already and are written by `exposition`.

#![expect(clippy::disallowed_methods, reason = "the process's start time is a metric")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use dashmap::DashSet;
use metrics::{Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::exposition::{Exposition, sorted};
use super::series;
use super::sip::{self, SipSnapshot};
use super::spool::Losses;
use crate::control::Snapshot;
use crate::heap::Heap;
use crate::relay::Event;

/// Name and HELP of a family of series.
pub(super) type Family = (&'static str, &'static str);

static METADATA: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, None);

/// Holds the metrics of this process. Shared by reference; nothing in it waits for a scrape.
pub struct Exporter {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Families whose HELP the recorder has: it keeps whatever it is told until somebody asks.
    described: DashSet<&'static str>,
    counted_elsewhere: ArcSwap<String>,
    sip: ArcSwap<String>,
}

impl Exporter {
    /// An exporter that knows the version and the start time of the process, and nothing else yet.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Exporter {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let exporter = Exporter {
            recorder,
            handle,
            described: DashSet::new(),
            counted_elsewhere: ArcSwap::default(),
            sip: ArcSwap::default(),
        };
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        series::begin(&exporter, started);
        exporter
    }

    /// Takes over the counters of all shards.
    pub fn update(&self, shards: &[Snapshot]) {
        series::copy(self, shards);
        let mut text = Exposition::default();
        series::expose(&mut text, shards);
        self.counted_elsewhere.store(text.into_text().into());
        if let Some(heap) = Heap::now() {
            self.gauge(series::ALLOCATED, &[], heap.allocated as f64);
            self.gauge(series::HEAP_RESIDENT, &[], heap.resident as f64);
        }
        self.handle.run_upkeep();
    }

    /// Takes over the counters of the control plane.
    pub fn update_sip(&self, plane: &SipSnapshot) {
        sip::copy(self, plane);
        let mut text = Exposition::default();
        sip::expose(&mut text, plane);
        self.sip.store(text.into_text().into());
    }

    /// Says whether all shards answered when they were asked for their counters.
    pub fn answering(&self, all: bool) {
        self.gauge(series::SHARDS_ANSWERING, &[], if all { 1.0 } else { 0.0 });
    }

    /// Says whether the control plane runs; without `[sip]` there is nothing to say.
    pub fn sip_running(&self, runs: bool) {
        self.gauge(sip::RUNNING, &[], if runs { 1.0 } else { 0.0 });
    }

    /// Takes over the number of lines that `sink` (a fixed word: `log`, `records`) lost.
    pub fn lost_lines(&self, sink: &'static str, losses: Losses) {
        for (reason, count) in [("full", losses.full), ("failed", losses.failed)] {
            self.counter(series::LINES_LOST, &[("sink", sink.into()), ("reason", reason.into())], count);
        }
    }

    /// Counts what only events tell. Called by shards.
    pub fn event(&self, event: &Event) {
        let (family, label) = series::of_event(event);
        self.recorder.register_counter(&key(family, label.as_slice()), &METADATA).increment(1);
    }

    /// All metrics in Prometheus' text format 0.0.4.
    pub fn render(&self) -> String {
        let mut text = sorted(&self.handle.render());
        text.push_str(&self.counted_elsewhere.load());
        text.push_str(&self.sip.load());
        text
    }

    /// Sets a counter to the value counted so far.
    pub(super) fn counter(&self, family: Family, labels: &[(&'static str, Word)], value: u64) {
        self.describe(family);
        self.recorder.register_counter(&key(family, labels), &METADATA).absolute(value);
    }

    /// Sets a gauge.
    pub(super) fn gauge(&self, family: Family, labels: &[(&'static str, Word)], value: f64) {
        if self.described.insert(family.0) {
            self.recorder.describe_gauge(family.0.into(), None, family.1.into());
        }
        self.recorder.register_gauge(&key(family, labels), &METADATA).set(value);
    }

    /// Describes a counter, once.
    pub(super) fn describe(&self, family: Family) {
        if self.described.insert(family.0) {
            self.recorder.describe_counter(family.0.into(), None, family.1.into());
        }
    }
}

/// The value of a label: a word of a fixed list or the number of a shard, never anything that a peer chose.
#[derive(Clone, Copy)]
pub(super) enum Word {
    Fixed(&'static str),
    Shard(u16),
}

impl From<&'static str> for Word {
    fn from(word: &'static str) -> Word {
        Word::Fixed(word)
    }
}

fn key(family: Family, labels: &[(&'static str, Word)]) -> Key {
    let label = |(name, word): &(&'static str, Word)| match *word {
        Word::Fixed(word) => Label::from_static_parts(name, word),
        Word::Shard(shard) => Label::new(*name, shard.to_string()),
    };
    Key::from_parts(family.0, labels.iter().map(label).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{CloseReason, DEPTH_BOUNDS, LATENCY_BOUNDS_US};
    use std::collections::{BTreeMap, BTreeSet};

    /// A family as a reader of the text sees it: type, and each sample's suffix, labels and value.
    #[derive(Default, Debug)]
    struct Read {
        help: bool,
        kind: String,
        samples: Vec<(String, BTreeMap<String, String>, f64)>,
    }

    fn is_name(text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_')
    }

    fn labels(text: &str) -> BTreeMap<String, String> {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').expect("label");
            assert!(is_name(name), "{pair}");
            let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).expect("quotes");
            assert!(!value.contains(['"', '\\', ',']), "{pair}");
            (name.to_owned(), value.to_owned())
        };
        text.split(',').map(pair).collect()
    }

    /// Reads strictly: each sample belongs to the family whose HELP and TYPE stand right above it, no family twice.
    fn read(text: &str) -> BTreeMap<String, Read> {
        let mut families = BTreeMap::<String, Read>::new();
        let mut current = String::new();
        let mut seen = BTreeSet::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("help");
                assert!(is_name(name) && name.starts_with("chappe_") && !help.is_empty(), "{line}");
                assert!(families.insert(name.to_owned(), Read { help: true, ..Read::default() }).is_none(), "{line}");
                current = name.to_owned();
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("type");
                assert_eq!(name, current, "TYPE without HELP");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                families.get_mut(name).expect("family").kind = kind.to_owned();
            } else {
                let (series, value) = line.rsplit_once(' ').expect("sample");
                let (name, labelled) = match series.split_once('{') {
                    Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect("brace"))),
                    None => (series, BTreeMap::new()),
                };
                assert!(seen.insert((name.to_owned(), labelled.clone())), "twice: {line}");
                let suffix = name.strip_prefix(current.as_str()).expect("a sample of the family above").to_owned();
                let value = value.parse().expect("number");
                families.get_mut(&current).expect("family").samples.push((suffix, labelled, value));
            }
        }
        families
    }

    fn value(families: &BTreeMap<String, Read>, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: BTreeMap<_, _> = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        families.get(name)?.samples.iter().find(|(_, labels, _)| *labels == wanted).map(|(.., value)| *value)
    }

    fn busy(shard: u16) -> Snapshot {
        let mut snapshot = Snapshot { shard, links: 3, sessions: 2, pending: 1, buffered: 4096, ..Snapshot::default() };
        snapshot.counts.frames_in[0][1] = 10;
        snapshot.counts.octets_out = [100, 200];
        snapshot.counts.refusals[4] = 7;
        snapshot.counts.auth[1] = 5;
        snapshot.counts.forward_latency.counts = [1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3];
        snapshot.counts.forward_latency.sum = 1_500_000;
        snapshot.counts.queue_depth.counts[8] = 4;
        snapshot.io.handshakes = [6, 1];
        snapshot.io.cpu_nanos = 2_500_000_000;
        snapshot
    }

    #[test]
    fn the_text_is_well_formed_and_every_family_has_help_and_type() {
        let exporter = Exporter::new();
        exporter.update(&[busy(0), busy(1)]);
        exporter.answering(true);
        exporter.lost_lines("records", Losses { full: 1, failed: 2 });
        exporter.event(&Event::LinkClosed { peer: None, reason: CloseReason::Framing, relay: None });
        let families = read(&exporter.render());
        assert!(families.len() > 30, "{}", families.len());
        for (name, family) in &families {
            assert!(family.help && !family.kind.is_empty() && !family.samples.is_empty(), "{name}");
            assert_eq!(name.ends_with("_total"), family.kind == "counter", "{name} is a {}", family.kind);
            assert!(family.samples.len() <= 64, "{name}: labels are bounded");
        }
    }

    #[test]
    fn histograms_are_cumulative_and_end_in_infinity() {
        let exporter = Exporter::new();
        exporter.update(&[busy(0), busy(1)]);
        let families = read(&exporter.render());
        for (name, bounds) in [
            ("chappe_forward_latency_seconds", LATENCY_BOUNDS_US.len()),
            ("chappe_queue_depth_octets", DEPTH_BOUNDS.len()),
        ] {
            let family = &families[name];
            assert_eq!(family.kind, "histogram");
            let buckets: Vec<_> = family.samples.iter().filter(|(suffix, ..)| suffix == "_bucket").collect();
            assert_eq!(buckets.len(), bounds + 1);
            assert!(buckets.is_sorted_by(|a, b| a.2 <= b.2), "{name}");
            let bound = |bucket: &&(String, BTreeMap<String, String>, f64)| bucket.1["le"].parse::<f64>().expect("le");
            assert!(buckets.is_sorted_by(|a, b| bound(a) < bound(b)), "{name}");
            assert_eq!(buckets[bounds].1["le"], "+Inf");
            let count = family.samples.iter().find(|(suffix, ..)| suffix == "_count").expect("count");
            assert_eq!(count.2, buckets[bounds].2);
        }
        let latency = &families["chappe_forward_latency_seconds"].samples;
        assert_eq!((latency[0].1["le"].as_str(), latency[0].2), ("0.00005", 2.0));
        assert_eq!((latency[12].2, latency[13].0.as_str(), latency[13].2), (12.0, "_sum", 3.0));
    }

    #[test]
    fn counters_are_sums_over_shards_and_loads_are_not() {
        let exporter = Exporter::new();
        exporter.update(&[busy(0)]);
        exporter.update(&[busy(0), busy(1)]);
        let families = read(&exporter.render());
        let value = |name, labels: &[(&str, &str)]| value(&families, name, labels).expect(name);
        assert_eq!(value("chappe_frames_total", &[("kind", "SEND"), ("direction", "in"), ("transport", "tls")]), 20.0);
        assert_eq!(value("chappe_octets_total", &[("transport", "tls"), ("direction", "out")]), 400.0);
        assert_eq!(value("chappe_refusals_total", &[("reason", "policy")]), 14.0);
        assert_eq!(value("chappe_auth_total", &[("outcome", "granted")]), 10.0);
        assert_eq!(value("chappe_tls_handshakes_total", &[("outcome", "full")]), 12.0);
        assert_eq!(value("chappe_sessions", &[("shard", "1")]), 2.0);
        assert_eq!(value("chappe_shard_cpu_seconds_total", &[("shard", "0")]), 2.5);
        assert_eq!(value("chappe_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    }

    #[test]
    fn events_are_counted_by_their_reason() {
        let exporter = Exporter::new();
        let before = read(&exporter.render());
        assert_eq!(value(&before, "chappe_sessions_ended_total", &[("reason", "operator")]), Some(0.0));
        exporter.event(&Event::LinkClosed { peer: None, reason: CloseReason::Idle, relay: None });
        exporter.event(&Event::LinkClosed { peer: None, reason: CloseReason::Idle, relay: None });
        let families = read(&exporter.render());
        assert_eq!(value(&families, "chappe_links_closed_total", &[("reason", "idle")]), Some(2.0));
    }
}
