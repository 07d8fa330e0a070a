//! A bound on log lines that strangers can cause.

#![expect(clippy::disallowed_methods, reason = "log lines are counted by the second")]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lets so many lines through in each second and remembers how many it held back.
///
/// Two threads at the turn of a second may let a few lines more through; a bound on lines needs no more than that.
pub(crate) struct Throttle {
    per_second: u64,
    second: AtomicU64,
    used: AtomicU64,
    held_back: AtomicU64,
}

impl Throttle {
    /// `per_second` lines each second.
    pub(crate) const fn new(per_second: u64) -> Throttle {
        Throttle { per_second, second: AtomicU64::new(u64::MAX), used: AtomicU64::new(0), held_back: AtomicU64::new(0) }
    }

    /// Whether a line may be written now; if so, how many were held back since the last one.
    pub(crate) fn admit(&self) -> Option<u64> {
        static START: OnceLock<Instant> = OnceLock::new();
        self.admit_at(START.get_or_init(Instant::now).elapsed().as_secs())
    }

    fn admit_at(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.used.store(0, Ordering::Relaxed);
        }
        if self.used.fetch_add(1, Ordering::Relaxed) < self.per_second {
            return Some(self.held_back.swap(0, Ordering::Relaxed));
        }
        self.held_back.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_few_lines_and_a_number() {
        let throttle = Throttle::new(2);
        let verdicts: Vec<_> = (0..5).map(|_| throttle.admit_at(7)).collect();
        assert_eq!(verdicts, [Some(0), Some(0), None, None, None]);
        assert_eq!([throttle.admit_at(8), throttle.admit_at(8), throttle.admit_at(8)], [Some(3), Some(0), None]);
    }
}
