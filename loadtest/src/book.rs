//! Keeping count: what happened within the measured window, and all errors.

use crate::{
    faults::{Faults, Kind},
    result::{Counts, Interval, Latencies},
};

/// Nanoseconds since the begin of the run.
pub type Time = u64;

/// The books of a run.
#[derive(Debug, Default)]
pub struct Book {
    /// All errors.
    pub faults: Faults,
    /// Events within the window.
    pub counts: Counts,
    /// Times of what was due within the window.
    pub latencies: Latencies,
    /// The window in steps.
    pub series: Vec<Interval>,
    /// Messages and octets delivered since the begin, for who watches.
    pub delivered: (u64, u64),
    window: Option<Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    begin: Time,
    end: Time,
    step: Time,
}

/// The most steps that a window has.
const MOST_STEPS: u64 = 600;
/// The shortest step and the longest, as long as they are not too many.
const STEPS: (Time, Time) = (100_000_000, 1_000_000_000);

impl Book {
    /// From now on what happens between these times counts.
    pub fn open(&mut self, begin: Time, end: Time) {
        let length = end - begin;
        let step = (length / 20).clamp(STEPS.0, STEPS.1).max(length / MOST_STEPS);
        self.window = Some(Window { begin, end, step });
        self.series = (0..length.div_ceil(step))
            .map(|at| Interval {
                at: (at * step) as f64 / 1e9,
                length: step.min(length - at * step) as f64 / 1e9,
                ..Interval::default()
            })
            .collect();
    }

    /// The window ends earlier than was thought.
    pub fn close(&mut self, now: Time) {
        let Some(window) = &mut self.window else { return };
        window.end = window.end.min(now.max(window.begin + 1));
        let length = window.end - window.begin;
        self.series.truncate(length.div_ceil(window.step) as usize);
        if let Some(last) = self.series.last_mut() {
            last.length = length as f64 / 1e9 - last.at;
        }
    }

    /// Whether a time lies in the window.
    pub fn is_in(&self, time: Time) -> bool {
        self.window.is_some_and(|window| (window.begin..window.end).contains(&time))
    }

    /// The step of the window that a time lies in.
    pub fn step(&mut self, time: Time) -> Option<&mut Interval> {
        let window = self.window.filter(|_| self.is_in(time))?;
        self.series.get_mut(((time - window.begin) / window.step) as usize)
    }

    /// Octets of a body were verified.
    pub fn octets(&mut self, now: Time, octets: u64) {
        self.delivered.1 += octets;
        if self.is_in(now) {
            self.counts.octets += octets;
            if let Some(step) = self.step(now) {
                step.octets += octets;
            }
        }
    }

    /// A message that was due at `due` has been received whole.
    pub fn delivered(&mut self, now: Time, due: Time) {
        self.delivered.0 += 1;
        if self.is_in(due) {
            self.latencies.delivery.record(now - due);
        }
        if let Some(step) = self.step(now) {
            step.messages += 1;
            step.delivery.record(now - due);
        }
    }

    /// Changes the counts, if this happens within the window.
    pub fn count(&mut self, now: Time, change: impl FnOnce(&mut Counts)) {
        if self.is_in(now) {
            change(&mut self.counts);
        }
    }

    /// Notes an error; `what` puts the first of its kind into words.
    pub fn fault(&mut self, now: Time, kind: Kind, what: impl FnOnce() -> String) {
        self.faults.note(kind, what);
        if let Some(step) = self.step(now) {
            step.errors += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_window_counts() {
        let mut book = Book::default();
        book.delivered(5, 1);
        book.open(1_000_000_000, 3_050_000_000);
        book.octets(900_000_000, 7);
        book.delivered(1_000_000_000, 999_999_999);
        book.delivered(2_000_000_000, 1_500_000_000);
        book.delivered(9_000_000_000, 3_049_999_999);
        assert_eq!(book.latencies.delivery.count(), 2);
        assert_eq!(book.series.len(), 20);
        assert_eq!(book.series.iter().map(|step| step.messages).sum::<u64>(), 2);
        assert_eq!((book.counts.octets, book.delivered), (0, (4, 7)));
    }

    #[test]
    fn a_window_may_end_early_and_a_long_one_has_few_steps() {
        let mut book = Book::default();
        book.open(0, 3_600_000_000_000);
        assert_eq!(book.series.len(), 600);
        book.close(9_000_000_000);
        assert_eq!(book.series.len(), 2);
        assert!((book.series[1].length - 3.0).abs() < 1e-9);
        assert!(!book.is_in(9_000_000_001));
    }
}
