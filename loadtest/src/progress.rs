//! How a run goes, for who watches it on a terminal.

use std::{
    io::IsTerminal,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{result::RunResult, single::Audience};

/// A line on the terminal; nothing where there is none.
pub struct Progress {
    line: Option<ProgressBar>,
    last: (Instant, (u64, u64)),
}

/// Rates are those of so long a time.
const PERIOD: Duration = Duration::from_millis(500);

impl Progress {
    /// A line, unless it is not wanted.
    pub fn new(quiet: bool) -> Progress {
        let line = (!quiet && std::io::stderr().is_terminal()).then(|| {
            let line = ProgressBar::new_spinner();
            let style = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}");
            line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            line
        });
        Progress { line, last: (Instant::now(), (0, 0)) }
    }
}

impl Audience for Progress {
    fn tell(&mut self, phase: &str, delivered: (u64, u64), errors: u64) {
        let Some(line) = &self.line else { return };
        let past = self.last.0.elapsed();
        if past < PERIOD {
            return;
        }
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / past.as_secs_f64();
        let (messages, octets) = (rate(delivered.0, self.last.1.0), rate(delivered.1, self.last.1.1) / 1e6);
        let errors = if errors == 0 { String::new() } else { format!(", {errors} ERRORS") };
        line.set_message(format!(
            "{phase}: {messages:.0} messages/s, {octets:.1} MB/s, {} so far{errors}",
            delivered.0
        ));
        line.tick();
        self.last = (Instant::now(), delivered);
    }

    fn set_up(&mut self) {}
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.finish_and_clear();
        }
    }
}

/// A result in a few lines.
pub fn summary(result: &RunResult) -> String {
    let RunResult { counts, latencies, generator, .. } = result;
    let mut text = format!(
        "{} / {}: {} sessions, {}, {}, {}, {}\n",
        result.label,
        result.cell,
        result.scenario.sessions,
        result.scenario.shape,
        result.scenario.messages,
        result.scenario.route,
        result.scenario.transport
    );
    text += &format!(
        "  {} messages, {:.1} MB in {:.2} s: {:.0} messages/s, {:.1} MB/s",
        counts.messages,
        counts.octets as f64 / 1e6,
        result.window,
        result.message_rate(),
        result.megabyte_rate()
    );
    for (count, what) in [
        (counts.success_reports, "success REPORTs"),
        (counts.failure_reports, "failure REPORTs"),
        (counts.refused, "refused"),
        (counts.aborted, "aborted"),
        (counts.torn_down, "sessions torn down"),
    ] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text += "\n";
    let times = [
        ("delivery", &latencies.delivery),
        ("response", &latencies.response),
        ("report", &latencies.report),
        ("set-up", &latencies.set_up),
        ("own lag", &latencies.lag),
    ];
    for (name, times) in times {
        if let [Some(p50), Some(p90), Some(p99), Some(p999), Some(max)] =
            [times.quantile(0.5), times.quantile(0.9), times.quantile(0.99), times.quantile(0.999), times.max()]
        {
            text += &format!("  {name:9} p50 {p50:.0} p90 {p90:.0} p99 {p99:.0} p99.9 {p999:.0} max {max:.0} µs\n");
        }
    }
    let figure = |value: Option<f64>, unit: &str| value.map_or(String::new(), |value| format!(", {value:.2} {unit}"));
    if let Some(relay) = &result.relay {
        text += &format!("  relay     {:.0} % of a processor", relay.cpu / result.window * 100.0);
        text += &figure(relay.cpu_per_message, "µs/message");
        text += &figure(relay.cpu_per_megabyte, "µs/MB");
        text += &figure(relay.cpu_per_session, "µs/session");
        text += &figure(relay.pss_per_session, "kB PSS/session");
        text += &figure(relay.rss_per_session, "kB RSS/session");
        text += "\n";
    }
    text += &format!("  generator {:.0} % of a processor", generator.share * 100.0);
    text += &figure(generator.cpu_per_message, "µs/message");
    text += "\n";
    for limit in &generator.limits {
        text += &format!("  LIMITED BY THE GENERATOR: {limit}\n");
    }
    for (kind, fault) in &result.errors {
        text += &format!("  ERROR {kind}: {} times; the first: {}\n", fault.count, fault.first);
    }
    text
}
