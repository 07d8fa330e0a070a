//! What happened: a hash of everything, and the last lines of it for whoever has to understand a failure.

use std::collections::VecDeque;

/// Lines that are kept, unless `SIM_LINES` names another number.
const TAIL: usize = 6000;

/// The trace of one run.
#[derive(Default)]
pub struct Trace {
    hash: u64,
    lines: Option<VecDeque<String>>,
    kept: usize,
    now: u64,
}

impl Trace {
    /// With lines, or with the hash alone.
    pub fn new(lines: bool) -> Trace {
        let kept = crate::wish("SIM_LINES").map_or(TAIL, |n| n as usize);
        Trace { hash: 0xcbf2_9ce4_8422_2325, lines: lines.then(VecDeque::new), kept, now: 0 }
    }

    /// The time from now on, in nanoseconds.
    pub fn set_time(&mut self, nanos: u64) {
        self.now = nanos;
    }

    /// Something happened, told by numbers; they go into the hash.
    pub fn note(&mut self, what: &'static str, numbers: &[u64]) {
        self.mix(self.now);
        what.bytes().for_each(|b| self.mix(b.into()));
        numbers.iter().for_each(|n| self.mix(*n));
        if self.lines.is_some() {
            let text: Vec<String> = numbers.iter().map(u64::to_string).collect();
            self.say(|| format!("{what} {}", text.join(" ")));
        }
    }

    /// Octets that passed; they go into the hash.
    pub fn octets(&mut self, octets: &[u8]) {
        let mut words = octets.chunks_exact(8);
        for word in &mut words {
            self.mix(u64::from_le_bytes(word.try_into().unwrap_or_default()));
        }
        words.remainder().iter().for_each(|b| self.mix((*b).into()));
    }

    /// A line for readers only.
    pub fn say(&mut self, line: impl FnOnce() -> String) {
        let now = self.now;
        if let Some(lines) = &mut self.lines {
            if lines.len() >= self.kept {
                lines.pop_front();
            }
            lines.push_back(format!("{:>12.6} {}", now as f64 / 1e9, line()));
        }
    }

    fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23);
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn into_lines(self) -> Vec<String> {
        self.lines.map(Vec::from).unwrap_or_default()
    }
}
