//! A run from its first connection to its last answer: set-up, warm-up, window, end.

use std::{io, time::Duration};

use super::{Engine, poller::Ready};
use crate::{
    book::{Book, Time},
    process::own_cpu,
    result::Tls,
    scenario::Shape,
};

/// How often a watcher is told, in nanoseconds.
pub const TICK: Time = 100_000_000;

/// Who follows a run.
pub trait Watcher {
    /// All sessions are set up; the load begins when this returns.
    fn set_up(&mut self);
    /// Whether this is the only process of the run.
    fn is_alone(&self) -> bool {
        true
    }
    /// The measured window begins.
    fn begin(&mut self);
    /// Some time has passed: how far the run is, and its books. Answers whether it is to go on.
    fn tick(&mut self, now: Time, phase: &str, book: &mut Book) -> bool;
    /// The measured window is over, and all sessions are still there.
    fn end(&mut self);
}

/// What a run has found.
#[derive(Debug)]
pub struct Measured {
    /// Its books.
    pub book: Book,
    /// Length of the window in seconds.
    pub window: f64,
    /// CPU of this process in the window.
    pub cpu: Duration,
    /// What TLS was agreed on.
    pub tls: Option<Tls>,
    /// Whether it was ended by the watcher.
    pub interrupted: bool,
}

/// A phase of a run; it goes on until it is over, or until the watcher has enough.
struct Phase<'b> {
    name: &'static str,
    over: &'b dyn Fn(&Engine<'_>) -> bool,
    until: Time,
}

impl Engine<'_> {
    /// Runs the scenario.
    pub fn run(mut self, watcher: &mut dyn Watcher) -> io::Result<Measured> {
        let idle = self.scenario.load.shape == Shape::Idle;
        let mut ready = Vec::new();
        self.read_clock();
        if idle {
            // All of it is the window, since nothing but memory is measured.
            self.book.open(self.now, Time::MAX / 2);
        }
        self.pace.set_up_from = self.now;
        let mut go_on = self.phase(
            watcher,
            &mut ready,
            Phase {
                name: "setting up",
                over: &|engine| engine.all_are_set_up() && (engine.under_way == 0 || !idle),
                until: Time::MAX,
            },
        )?;
        watcher.set_up();
        self.read_clock();
        let load = &self.scenario.load;
        let nanoseconds = |time: Duration| time.as_nanos() as Time;
        let begin = self.now + if idle { 0 } else { nanoseconds(load.warm_up) };
        let end = begin + nanoseconds(if idle { load.rest } else { load.duration });
        if !idle {
            self.book.open(begin, end);
        }
        self.pace.start(self.now, end);
        for number in 0..self.sessions.len() as u32 {
            super::sending::queue(&mut self.sessions, &mut self.ready, number);
        }
        // One of several parts stays to the end of the common window, even if it has nobody left.
        let alone = watcher.is_alone();
        let nobody = |engine: &Engine<'_>| alone && engine.alive == 0 && !engine.is_churn();
        if go_on && begin > self.now {
            go_on = self.phase(watcher, &mut ready, Phase { name: "warming up", over: &nobody, until: begin })?;
        }
        watcher.begin();
        let (from, cpu) = (self.now, own_cpu());
        if go_on {
            let name = if idle { "resting" } else { "measuring" };
            go_on = self.phase(watcher, &mut ready, Phase { name, over: &nobody, until: end })?;
        }
        watcher.end();
        let cpu = own_cpu().saturating_sub(cpu);
        let window = (self.now.max(from + 1) - from) as f64 / 1e9;
        self.pace.load = None;
        self.book.close(self.now);
        // What is under way may arrive. What has not by then is told as lost.
        let patience = nanoseconds(self.scenario.load.patience);
        let until = self.now + patience + 2 * super::SWEEP;
        let quiet = |engine: &Engine<'_>| engine.under_way == 0 && engine.setting_up == 0 && engine.none_is_due();
        if go_on {
            go_on = self.phase(watcher, &mut ready, Phase { name: "ending", over: &quiet, until })?;
        }
        if go_on {
            self.write_off();
        }
        self.linger(&mut ready)?;
        for number in 0..self.sessions.len() as u32 {
            self.take_down(number);
        }
        self.send_ready();
        Ok(Measured { book: self.book, window, cpu, tls: self.tls, interrupted: !go_on })
    }

    fn none_is_due(&self) -> bool {
        self.sessions.iter().all(|session| session.outbox.due.is_empty())
    }

    fn phase(&mut self, watcher: &mut dyn Watcher, ready: &mut Vec<Ready>, phase: Phase<'_>) -> io::Result<bool> {
        self.read_clock();
        let mut tick = self.now;
        while !(phase.over)(self) && self.now < phase.until {
            if self.now >= tick {
                tick = self.now + TICK;
                if !watcher.tick(self.now, phase.name, &mut self.book) {
                    return Ok(false);
                }
            }
            self.turn(phase.until.min(tick), ready)?;
            self.read_clock();
        }
        Ok(true)
    }

    /// Duplicates come after their originals: what is on the way when all is settled is waited for, until the links have been
    /// silent for a moment.
    fn linger(&mut self, ready: &mut Vec<Ready>) -> io::Result<()> {
        // A slow link is looked at every 50 ms.
        const SILENCE: Time = 120_000_000;
        let until = self.now + 10 * SILENCE;
        let mut silent_since = self.now;
        while self.now < until && self.now < silent_since + SILENCE {
            self.turn(silent_since + SILENCE, ready)?;
            self.read_clock();
            if !ready.is_empty() {
                silent_since = self.now;
            }
        }
        Ok(())
    }
}
