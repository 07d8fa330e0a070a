//! Lines on their way to a sink that may block: whoever writes never waits.

#![expect(clippy::disallowed_methods, reason = "the patience of a thread of its own")]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

/// Where lines end up.
pub(super) trait Sink: Send + 'static {
    /// Writes one line with its line feed. Blocks as long as it likes.
    fn write_line(&mut self, line: &[u8]) -> io::Result<()>;
}

/// Lines that nobody will read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// The queue was full: the sink was too slow.
    pub full: u64,
    /// The sink refused: a full disk, a closed pipe.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    full: AtomicU64,
    failed: AtomicU64,
}

enum Job {
    Line(Box<[u8]>),
    Flush(SyncSender<()>),
}

/// The writers' end of a bounded queue; its thread ends when the last writer is gone.
#[derive(Clone)]
pub(super) struct Spool {
    queue: SyncSender<Job>,
    counters: Arc<Counters>,
}

impl Spool {
    /// Starts a thread of this name that writes to `sink`; at most `depth` lines wait for it.
    pub(super) fn start(name: &str, depth: usize, sink: impl Sink) -> io::Result<Spool> {
        let (queue, jobs) = sync_channel(depth);
        let counters = Arc::new(Counters::default());
        let of_thread = counters.clone();
        thread::Builder::new().name(name.to_owned()).spawn(move || run(&jobs, sink, &of_thread))?;
        Ok(Spool { queue, counters })
    }

    /// Leaves one line with its line feed to the thread, or drops and counts it.
    pub(super) fn put(&self, line: &[u8]) {
        if self.queue.try_send(Job::Line(line.into())).is_err() {
            self.counters.full.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what was put so far is written, but no longer than `patience`. Not for shards.
    pub(super) fn flush(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let (done, wait) = sync_channel(1);
        // A sink that takes nothing must not keep the process from ending.
        while let Err(TrySendError::Full(_)) = self.queue.try_send(Job::Flush(done.clone())) {
            if Instant::now() >= until {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
        drop(done);
        let _ = wait.recv_timeout(until.saturating_duration_since(Instant::now()));
    }

    /// What was lost since the start.
    pub(super) fn losses(&self) -> Losses {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        Losses { full: read(&self.counters.full), failed: read(&self.counters.failed) }
    }
}

fn run(jobs: &Receiver<Job>, mut sink: impl Sink, counters: &Counters) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Line(line) => {
                if sink.write_line(&line).is_err() {
                    counters.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
            // Whoever asked may have lost patience.
            Job::Flush(done) => drop(done.send(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Takes a line each time it is let, and refuses empty ones.
    struct Gate {
        let_in: Receiver<()>,
        out: SyncSender<Vec<u8>>,
    }

    impl Sink for Gate {
        fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
            let _ = self.let_in.recv();
            if line == b"\n" {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let _ = self.out.send(line.to_vec());
            Ok(())
        }
    }

    #[test]
    fn a_sink_that_blocks_costs_lines_and_never_time() {
        let (open, let_in) = sync_channel(0);
        let (out, lines) = sync_channel(16);
        let spool = Spool::start("gate", 2, Gate { let_in, out }).expect("thread");
        // One line may be in the thread's hands, two wait, the others are lost.
        for _ in 0..9 {
            spool.put(b"line\n");
        }
        let full = spool.losses().full;
        assert!((6..=7).contains(&full), "{full} lost");
        drop(open);
        spool.flush(PATIENCE);
        assert_eq!(lines.try_iter().count() as u64 + full, 9);
        assert_eq!(spool.losses(), Losses { full, failed: 0 });
    }

    #[test]
    fn a_sink_that_fails_is_counted() {
        let (_, let_in) = sync_channel(0);
        let (out, lines) = sync_channel(16);
        let spool = Spool::start("gate", 8, Gate { let_in, out }).expect("thread");
        spool.put(b"\n");
        spool.put(b"line\n");
        spool.flush(PATIENCE);
        assert_eq!(lines.try_iter().collect::<Vec<_>>(), [b"line\n".to_vec()]);
        assert_eq!(spool.losses(), Losses { full: 0, failed: 1 });
    }
}
