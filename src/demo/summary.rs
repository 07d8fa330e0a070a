//! What has been shown, as a small table.

use std::{fmt, time::Duration};

/// The whole demonstration.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The chat.
    pub chat: ChatSummary,
    /// The file.
    pub file: FileSummary,
    /// Resident octets of the relay with both clients connected and nothing to do.
    pub memory_at_rest: u64,
    /// Most resident octets of the relay afterwards.
    pub memory_peak: u64,
}

/// The chat in both directions.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatSummary {
    /// Messages that arrived.
    pub messages: u32,
    /// Octets of text.
    pub octets: u64,
    /// Success REPORTs.
    pub reports: u64,
    /// From the first message to the last REPORT.
    pub elapsed: Duration,
}

/// The file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSummary {
    /// Octets that arrived.
    pub octets: u64,
    /// Chunks it was sent in.
    pub chunks_sent: u64,
    /// Chunks it arrived in.
    pub chunks_received: u64,
    /// Success REPORTs.
    pub reports: u64,
    /// From the first octet to the last REPORT.
    pub elapsed: Duration,
    /// SHA-256 on both sides, in hex.
    pub sha256: String,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { chat, file, .. } = self;
        let (chat_rate, file_rate) =
            (f64::from(chat.messages) / chat.elapsed.as_secs_f64(), rate(file.octets, file.elapsed));
        writeln!(f, "{:18}{:>14}{:>14}", "", "chat", "file")?;
        writeln!(f, "{:18}{:>14}{:>14}", "messages", chat.messages, 1)?;
        writeln!(f, "{:18}{:>14}{:>14}", "octets", chat.octets, file.octets)?;
        writeln!(f, "{:18}{:>14}{:>14}", "chunks sent", chat.messages, file.chunks_sent)?;
        writeln!(f, "{:18}{:>14}{:>14}", "chunks received", chat.messages, file.chunks_received)?;
        writeln!(f, "{:18}{:>14}{:>14}", "REPORTs", chat.reports, file.reports)?;
        writeln!(f, "{:18}{:>14}{:>14}", "seconds", seconds(chat.elapsed), seconds(file.elapsed))?;
        writeln!(
            f,
            "{:18}{:>14}{:>14}",
            "throughput",
            format!("{chat_rate:.0} msg/s"),
            format!("{file_rate:.1} MB/s")
        )?;
        writeln!(
            f,
            "relay memory at rest {}, at peak {}",
            mebibytes(self.memory_at_rest),
            mebibytes(self.memory_peak)
        )?;
        write!(f, "SHA-256 on both sides {}", file.sha256)
    }
}

/// Megabytes a second.
fn rate(octets: u64, elapsed: Duration) -> f64 {
    octets as f64 / 1e6 / elapsed.as_secs_f64()
}

fn seconds(elapsed: Duration) -> String {
    format!("{:.2}", elapsed.as_secs_f64())
}

fn mebibytes(octets: u64) -> String {
    format!("{:.1} MiB", octets as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_every_figure() {
        let summary = Summary {
            chat: ChatSummary { messages: 1000, octets: 54_321, reports: 999, elapsed: Duration::from_millis(500) },
            file: FileSummary {
                octets: 300_000_000,
                chunks_sent: 4578,
                chunks_received: 30_001,
                reports: 1,
                elapsed: Duration::from_secs(2),
                sha256: "abcdef".into(),
            },
            memory_at_rest: 10 << 20,
            memory_peak: 12 << 20,
        };
        let table = summary.to_string();
        for figure in
            ["54321", "999", "2000 msg/s", "150.0 MB/s", "4578", "30001", "10.0 MiB", "12.0 MiB", "abcdef", "2.00"]
        {
            assert!(table.contains(figure), "{figure} in\n{table}");
        }
    }
}
