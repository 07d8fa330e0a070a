//! Resident memory of a process, read while it works.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{task::JoinHandle, time};

use super::error::DemoError;

/// Between two looks.
const INTERVAL: Duration = Duration::from_millis(20);

/// Watches a process until it is dropped.
pub(super) struct Sampler {
    at_rest: u64,
    peak: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Sampler {
    /// Begins with a process at rest.
    pub(super) fn start(pid: u32) -> Result<Sampler, DemoError> {
        let at_rest = resident(pid).ok_or(DemoError::Memory)?;
        let peak = Arc::new(AtomicU64::new(at_rest));
        let seen = peak.clone();
        let task = tokio::spawn(async move {
            let mut ticks = time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
            loop {
                ticks.tick().await;
                let Some(now) = resident(pid) else { break };
                seen.fetch_max(now, Ordering::Relaxed);
            }
        });
        Ok(Sampler { at_rest, peak, task })
    }

    /// Octets at rest and at most.
    pub(super) fn end(self) -> (u64, u64) {
        (self.at_rest, self.peak.load(Ordering::Relaxed))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Octets of memory that a process has resident; `None` when there is no such process.
fn resident(pid: u32) -> Option<u64> {
    rss(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

fn rss(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_octets() {
        assert_eq!(rss("VmHWM:\t  9000 kB\nVmRSS:\t  1234 kB\n"), Some(1234 * 1024));
        assert_eq!(rss("Name:\tx\n"), None);
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }

    #[tokio::test]
    async fn peak_is_never_below_rest() {
        let (at_rest, peak) = Sampler::start(std::process::id()).unwrap().end();
        assert!(peak >= at_rest);
        assert_eq!(Sampler::start(u32::MAX).err(), Some(DemoError::Memory));
    }
}
