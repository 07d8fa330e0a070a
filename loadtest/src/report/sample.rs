//! Invented results for the tests of this module.

use std::collections::BTreeMap;

use crate::{
    latency::Latency,
    result::{
        Counts, FORMAT, Fault, Figure, Generator, Interval, Latencies, Load, Machine, Memory, RelayUse, RunResult, Tls,
    },
};

const WINDOW: u64 = 10;
const SESSIONS: u64 = 100;

/// A clean run: 10 s at 1000 messages/s, 10 µs of relay CPU per message.
pub(super) fn run(label: &str, cell: &str) -> RunResult {
    costing(label, cell, 10.0)
}

/// A clean run in which a message costs the relay this many µs.
pub(super) fn costing(label: &str, cell: &str, cost: f64) -> RunResult {
    invented(label, cell, Shape { rate: 1000, cost, latency: 300.0, seed: 1 })
}

/// A run in which the generator was at its limit.
pub(super) fn limited(label: &str, cell: &str, cost: f64) -> RunResult {
    let mut run = costing(label, cell, cost);
    run.generator.limits = vec!["a worker had 98 % of its processor".to_owned()];
    run
}

/// A run in which nobody named the relay's process.
pub(super) fn unmeasured(label: &str, cell: &str) -> RunResult {
    RunResult { relay: None, ..run(label, cell) }
}

/// A run in which nothing was delivered, because of one error.
pub(super) fn failing(label: &str, cell: &str, kind: &str) -> RunResult {
    let fault = Fault { count: 1, first: format!("MSRP a786hjs2 {kind} <sip:&> | of a session that never came up") };
    RunResult {
        counts: Counts::default(),
        latencies: Latencies::default(),
        series: Vec::new(),
        errors: BTreeMap::from([(kind.to_owned(), fault)]),
        ..run(label, cell)
    }
}

/// What an invented run looks like.
#[derive(Clone, Copy)]
struct Shape {
    /// Messages per second.
    rate: u64,
    /// Relay CPU per message in µs.
    cost: f64,
    /// Median time to delivery in µs.
    latency: f64,
    seed: u64,
}

fn invented(label: &str, cell: &str, shape: Shape) -> RunResult {
    let Shape { rate, cost, latency, seed } = shape;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut latencies = Latencies::default();
    let series = (0..WINDOW).map(|second| {
        let messages = (rate as f64 * (0.97 + 0.06 * random.f64())) as u64;
        let mut delivery = Latency::default();
        for _ in 0..messages.min(2000) {
            delivery.record((1e3 * latency * (0.6 + random.f64().powi(2)) / (1.0 - random.f64()).powf(0.35)) as u64);
        }
        latencies.delivery.add(&delivery);
        Interval {
            at: second as f64,
            length: 1.0,
            messages,
            octets: messages * 200,
            errors: 0,
            delivery,
            relay_cpu: Some(messages as f64 * cost / 1e6),
            relay_rss: Some(20_000 + 90 * second + (latency as u64) * 10),
        }
    });
    let series: Vec<Interval> = series.collect();
    (0..SESSIONS).for_each(|n| latencies.set_up.record(2_000_000 + 10_000 * n));
    let messages = series.iter().map(|i| i.messages).sum();
    let counts = Counts {
        messages,
        octets: messages * 200,
        chunks: messages,
        success_reports: messages,
        set_up: SESSIONS,
        torn_down: SESSIONS,
        ..Counts::default()
    };
    RunResult {
        format: FORMAT,
        label: label.to_owned(),
        cell: cell.to_owned(),
        scenario: load(),
        started: 1_774_100_000 + seed * 60,
        machine: Machine { kernel: "Linux 6.18.44".to_owned(), processor: "AMD EPYC 7B13".to_owned(), cpus: 2 },
        tls: Some(Tls {
            version: "TLSv1_3".to_owned(),
            cipher: "TLS13_AES_128_GCM_SHA256".to_owned(),
            key_exchange: "X25519".to_owned(),
        }),
        window: WINDOW as f64,
        counts,
        latencies,
        series,
        generator: Generator {
            processes: 1,
            cpu: 3.1,
            share: 0.31,
            cpu_per_message: Some(3.1e6 / messages as f64),
            limits: Vec::new(),
        },
        relay: Some(relay(counts, cost)),
        errors: BTreeMap::new(),
    }
}

fn relay(counts: Counts, cost: f64) -> RelayUse {
    let cpu = counts.messages as f64 * cost / 1e6;
    RelayUse {
        pid: 4711,
        cpu,
        cpu_per_message: Some(cost),
        cpu_per_megabyte: Some(cost * counts.messages as f64 / (counts.octets as f64 / 1e6)),
        cpu_per_session: Some(cpu * 1e6 / counts.set_up as f64),
        before: Memory { rss: 20_000, pss: 18_000 },
        with_sessions: Memory { rss: 21_500, pss: 19_000 },
        pss_per_session: Some(10.0),
        rss_per_session: Some(15.0),
    }
}

fn load() -> Load {
    Load {
        about: "Chat messages between two users of one relay.".to_owned(),
        figure: Figure::CpuPerMessage,
        sessions: SESSIONS,
        shape: "1 in flight".to_owned(),
        messages: "200 B".to_owned(),
        route: "both authenticated".to_owned(),
        transport: "TLS".to_owned(),
    }
}

/// A whole campaign with everything in it that a page has to show: repeats, errors, a limited generator, unlike labels.
pub(super) fn campaign() -> Vec<RunResult> {
    let labels = [
        ("chappe", 1.0),
        ("chappe, one shard", 1.15),
        ("kamailio", 3.4),
        ("opensips-with-a-name-too-long-for-its-column", 2.2),
    ];
    let cells = [
        ("chat-200B", Figure::CpuPerMessage, 2000, 9.0, 220.0),
        ("chat-with-success-reports-and-a-long-name-of-its-own-2KiB", Figure::CpuPerMessage, 1200, 14.0, 340.0),
        ("file-10MiB", Figure::CpuPerMegabyte, 40, 5200.0, 52_000.0),
        ("sessions", Figure::CpuPerSession, 300, 420.0, 900.0),
        ("idle-memory", Figure::MemoryPerSession, 3, 30.0, 400.0),
    ];
    let mut results = Vec::new();
    for (n, (cell, figure, rate, cost, latency)) in cells.into_iter().enumerate() {
        for (m, (label, factor)) in labels.into_iter().enumerate() {
            for repeat in 0..3 {
                let wobble = 1.0 + 0.06 * f64::from(repeat) * (1.0 - 0.3 * m as f64);
                let shape = Shape {
                    rate: (rate as f64 / (1.0 + 0.1 * m as f64)) as u64,
                    cost: cost * factor * wobble,
                    latency: latency * factor * factor,
                    seed: (100 * n + 10 * m) as u64 + repeat as u64,
                };
                let mut run = invented(label, cell, shape);
                run.scenario.figure = figure;
                if figure == Figure::MemoryPerSession {
                    run.relay.as_mut().unwrap().pss_per_session = Some(12.0 * factor * wobble);
                }
                if figure == Figure::CpuPerMegabyte {
                    let octets = run.counts.messages * 10 * 1024 * 1024;
                    run.counts.octets = octets;
                    run.series.iter_mut().for_each(|i| i.octets = i.messages * 10 * 1024 * 1024);
                    let relay = run.relay.as_mut().unwrap();
                    relay.cpu_per_megabyte = Some(relay.cpu * 1e6 / (octets as f64 / 1e6));
                }
                results.push(run);
            }
        }
    }
    spoil(&mut results);
    results
}

/// A refusing label, a repeat with a loss, generators at their limit, a delivery that stops for a while.
fn spoil(results: &mut [RunResult]) {
    for run in results.iter_mut().filter(|r| r.label == "kamailio" && r.cell == "file-10MiB") {
        let refused = failing("", "", "refused-501");
        (run.counts, run.latencies, run.series, run.errors) =
            (refused.counts, refused.latencies, refused.series, refused.errors);
        run.errors.get_mut("refused-501").unwrap().count = 480;
    }
    results[4].errors = BTreeMap::from([
        ("lost".to_owned(), Fault { count: 3, first: "message 17 of session 4 came to nothing in 30 s".to_owned() }),
        ("link-closed".to_owned(), Fault { count: 1, first: "the relay closed the connection".to_owned() }),
    ]);
    for run in results.iter_mut().filter(|r| r.label == "chappe" && r.cell == "sessions") {
        run.generator.limits =
            vec!["a worker had 98 % of its processor".to_owned(), "messages began 4 ms late (p99)".to_owned()];
        run.generator.share = 0.98;
    }
    for run in results.iter_mut().filter(|r| r.label.starts_with("opensips") && r.cell == "chat-200B") {
        run.series[6] = Interval { at: 6.0, length: 1.0, errors: 4, relay_rss: Some(30_000), ..Interval::default() };
        run.errors.insert("timeout".to_owned(), Fault { count: 4, first: "no response to SEND in 5 s".to_owned() });
    }
}
