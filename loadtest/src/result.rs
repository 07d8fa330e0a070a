//! What a run has found, as it is written to a file and read back: one JSON object per run.
//!
//! Latencies are kept as whole histograms, so that results of several processes merge without loss.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::latency::Latency;

/// The version of the form below. A file of another version is refused.
pub const FORMAT: u32 = 1;

/// One run against one relay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunResult {
    /// [`FORMAT`].
    pub format: u32,
    /// What the load ran against, as the user named it: `chappe`, `kamailio` …
    pub label: String,
    /// What the load was: the scenario's name, or what `--cell` said.
    pub cell: String,
    /// The scenario as it was run, in its own words.
    pub scenario: Load,
    /// When the measured window began, in seconds since 1970.
    pub started: u64,
    /// Where the generator ran.
    pub machine: Machine,
    /// What TLS was agreed on; nothing over plain TCP.
    pub tls: Option<Tls>,
    /// Length of the measured window in seconds; the warm-up before it is left out.
    pub window: f64,
    /// What happened within the window.
    pub counts: Counts,
    /// Latencies of the messages that were due within the window.
    pub latencies: Latencies,
    /// The window second by second, or in longer steps if it is long.
    pub series: Vec<Interval>,
    /// What the generator itself cost.
    pub generator: Generator,
    /// What the relay cost, if its process was named.
    pub relay: Option<RelayUse>,
    /// Errors of the whole run, warm-up and end included, by kind.
    pub errors: BTreeMap<String, Fault>,
}

/// A scenario in short, for readers of a result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Load {
    /// The scenario's sentence about itself.
    pub about: String,
    /// The figure that this load is run for.
    pub figure: Figure,
    /// Number of sessions.
    pub sessions: u64,
    /// How the load is shaped: `16 in flight`, `5000/s`, …
    pub shape: String,
    /// What is sent: `200 B`, `10 MiB in chunks of 2 KiB`, …
    pub messages: String,
    /// Who is connected to whom: `caller direct`, `both authenticated`, …
    pub route: String,
    /// `TLS` or `TCP`.
    pub transport: String,
}

/// What is read first of a result.
#[derive(Deserialize)]
struct Form {
    format: u32,
}

/// The figure that a load is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// Relay CPU per message in µs.
    #[default]
    CpuPerMessage,
    /// Relay CPU per MB (10^6 octets of bodies) in µs.
    CpuPerMegabyte,
    /// Relay CPU per session set up and torn down in µs.
    CpuPerSession,
    /// Proportional memory of the relay per session in kB (1024 octets).
    MemoryPerSession,
    /// 99th percentile of the time to delivery in µs.
    DeliveryP99,
}

/// Where the generator ran.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Machine {
    /// `Linux 6.18.44`.
    pub kernel: String,
    /// The processor's name.
    pub processor: String,
    /// How many processors it has.
    pub cpus: u64,
}

/// What TLS was agreed on.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
pub struct Tls {
    /// `TLSv1_3`.
    pub version: String,
    /// `TLS13_AES_128_GCM_SHA256`.
    pub cipher: String,
    /// `X25519`.
    pub key_exchange: String,
}

/// Events within the window.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Counts {
    /// Messages delivered whole and verified, with every answer they asked for.
    pub messages: u64,
    /// Octets of bodies that were verified at their receiver.
    pub octets: u64,
    /// SENDs received, each a chunk or a part of one.
    pub chunks: u64,
    /// Messages that were refused on purpose and came back as a failure REPORT or response.
    pub refused: u64,
    /// Messages that were aborted on purpose and arrived so.
    pub aborted: u64,
    /// Success REPORTs.
    pub success_reports: u64,
    /// Failure REPORTs.
    pub failure_reports: u64,
    /// Sessions set up.
    pub set_up: u64,
    /// Sessions torn down.
    pub torn_down: u64,
}

/// Latencies of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Latencies {
    /// From when a message was due to be sent to the receipt of its last octet.
    pub delivery: Latency,
    /// From when a message was due to be sent to the response to its last SEND.
    pub response: Latency,
    /// From when a message was due to be sent to its success REPORT.
    pub report: Latency,
    /// From the first connect of a session to the moment when both sides may send; authentication included.
    pub set_up: Latency,
    /// From when a message was due to when the generator began to write it: its own fault, and part of the others.
    pub lag: Latency,
}

/// A step of the window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Interval {
    /// Where it begins, in seconds from the begin of the window.
    pub at: f64,
    /// Its length in seconds.
    pub length: f64,
    /// Messages delivered in it.
    pub messages: u64,
    /// Octets delivered in it.
    pub octets: u64,
    /// Errors found in it.
    pub errors: u64,
    /// Times to delivery of what was delivered in it.
    pub delivery: Latency,
    /// Relay CPU in it, in seconds.
    pub relay_cpu: Option<f64>,
    /// Resident memory of the relay at its end, in kB.
    pub relay_rss: Option<u64>,
}

/// What the generator itself cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    /// Its processes.
    pub processes: u64,
    /// CPU of all of them in the window, in seconds.
    pub cpu: f64,
    /// The largest share of a processor that one of them had, between 0 and 1.
    pub share: f64,
    /// CPU in µs per message.
    pub cpu_per_message: Option<f64>,
    /// Why this run says more about the generator than about the relay; empty if it does not.
    pub limits: Vec<String>,
}

/// What the relay cost, summed over its process and all of its children.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RelayUse {
    /// The process that was named.
    pub pid: u32,
    /// CPU in the window, in seconds, with the children's.
    pub cpu: f64,
    /// CPU in µs per message.
    pub cpu_per_message: Option<f64>,
    /// CPU in µs per MB (10^6 octets).
    pub cpu_per_megabyte: Option<f64>,
    /// CPU in µs per session set up in the window.
    pub cpu_per_session: Option<f64>,
    /// Memory before the first session, in kB.
    pub before: Memory,
    /// Memory with all sessions, at the end of the window, in kB.
    pub with_sessions: Memory,
    /// Proportional memory that each session added, in kB.
    pub pss_per_session: Option<f64>,
    /// Resident memory that each session added, in kB.
    pub rss_per_session: Option<f64>,
}

/// Memory of a process tree, in kB (1024 octets).
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Memory {
    /// Resident, shared pages counted once per process.
    pub rss: u64,
    /// Proportional, shared pages counted once in all.
    pub pss: u64,
}

/// Errors of one kind.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct Fault {
    /// How many.
    pub count: u64,
    /// The first of them, in words.
    pub first: String,
}

impl RunResult {
    /// Reads a result file; one of another [`FORMAT`] is refused.
    pub fn read(path: &Path) -> anyhow::Result<RunResult> {
        let name = path.display();
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
        let form: Form = serde_json::from_str(&text).with_context(|| format!("{name} is no result of chappe-load"))?;
        if form.format != FORMAT {
            bail!("{name} has format {}, and this program reads format {FORMAT}: run the load again", form.format);
        }
        serde_json::from_str(&text).with_context(|| format!("{name} is no result of chappe-load"))
    }

    /// The figure that the load was run for, in the unit that [`Figure`] names; nothing if the run could not measure it.
    pub fn figure(&self) -> Option<f64> {
        let relay = self.relay.as_ref();
        match self.scenario.figure {
            Figure::CpuPerMessage => relay?.cpu_per_message,
            Figure::CpuPerMegabyte => relay?.cpu_per_megabyte,
            Figure::CpuPerSession => relay?.cpu_per_session,
            Figure::MemoryPerSession => relay?.pss_per_session,
            Figure::DeliveryP99 => self.latencies.delivery.quantile(0.99),
        }
    }

    /// Whether the load could be carried without a single error.
    pub fn is_clean(&self) -> bool {
        self.errors.is_empty() && self.counts != Counts::default()
    }

    /// Messages per second; none where sessions rested.
    pub fn message_rate(&self) -> f64 {
        self.per_second(self.counts.messages as f64)
    }

    /// MB (10^6 octets) per second; none where sessions rested.
    pub fn megabyte_rate(&self) -> f64 {
        self.per_second(self.counts.octets as f64 / 1e6)
    }

    fn per_second(&self, count: f64) -> f64 {
        if self.scenario.figure == Figure::MemoryPerSession { 0.0 } else { count / self.window }
    }
}

impl Figure {
    /// Its name with its unit.
    pub fn title(self) -> &'static str {
        match self {
            Figure::CpuPerMessage => "relay CPU, µs per message",
            Figure::CpuPerMegabyte => "relay CPU, µs per MB",
            Figure::CpuPerSession => "relay CPU, µs per session",
            Figure::MemoryPerSession => "relay memory, kB PSS per session",
            Figure::DeliveryP99 => "p99 of delivery, µs",
        }
    }
}
