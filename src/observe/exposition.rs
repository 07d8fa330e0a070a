//! The Prometheus text format for what the recorder cannot hold: histograms that were counted elsewhere, and counters in
//! seconds.

use std::fmt::Write;

use crate::relay::Buckets;

/// Text in exposition format 0.0.4; blocks are separated by an empty line.
#[derive(Default)]
pub(super) struct Exposition(String);

impl Exposition {
    /// The text so far.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// A histogram whose bounds and sum are counted in parts of the base unit, `parts` to one.
    pub(super) fn histogram<const N: usize>(
        &mut self,
        (name, help): (&str, &str),
        bounds: &[u64],
        parts: f64,
        buckets: &Buckets<N>,
    ) {
        self.head(name, help, "histogram");
        let mut below = 0;
        for (bound, count) in bounds.iter().zip(&buckets.counts) {
            below += count;
            self.line(format_args!("{name}_bucket{{le=\"{}\"}} {below}", *bound as f64 / parts));
        }
        let all: u64 = buckets.counts.iter().sum();
        self.line(format_args!("{name}_bucket{{le=\"+Inf\"}} {all}"));
        self.line(format_args!("{name}_sum {}", buckets.sum as f64 / parts));
        self.line(format_args!("{name}_count {all}\n"));
    }

    /// A counter of nanoseconds per shard, shown in seconds.
    pub(super) fn seconds(&mut self, (name, help): (&str, &str), nanos: impl Iterator<Item = (u16, u64)>) {
        self.head(name, help, "counter");
        for (shard, nanos) in nanos {
            self.line(format_args!("{name}{{shard=\"{shard}\"}} {}", nanos as f64 / 1e9));
        }
        self.0.push('\n');
    }

    fn head(&mut self, name: &str, help: &str, kind: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.0, "{line}");
    }
}

/// Puts blocks and the samples within them in order, so that two scrapes can be compared line by line.
pub(super) fn sorted(recorded: &str) -> String {
    let mut blocks: Vec<Vec<&str>> =
        recorded.split("\n\n").map(|block| block.lines().filter(|line| !line.is_empty()).collect()).collect();
    for block in &mut blocks {
        // HELP and TYPE come first and in this order: '#' and then 'H' are less than what else a line begins with.
        block.sort_unstable();
    }
    blocks.sort_unstable();
    let mut text = String::with_capacity(recorded.len());
    for line in blocks.iter().filter(|block| !block.is_empty()).flat_map(|block| block.iter().chain(&[""])) {
        text.push_str(line);
        text.push('\n');
    }
    text
}
