//! When messages are due and sessions begin.

use super::{Engine, sending, session::Stage};
use crate::{
    book::Time,
    faults::Kind,
    scenario::{Scenario, Shape},
};

/// So many messages may be due and not begun, over all sessions.
const MOST_DUE: usize = 1_000_000;

pub(super) struct Pace {
    /// The load, warm-up included: from when to when.
    pub(super) load: Option<(Time, Time)>,
    /// When the next message or session of an open load is due.
    next: Time,
    /// When sessions began to be set up, and how many have been since.
    pub(super) set_up_from: Time,
    begun: u32,
    queued: usize,
}

impl Pace {
    pub(super) fn new(scenario: &Scenario) -> Pace {
        // Churn begins its sessions under load, and none before.
        let begun = if scenario.load.shape == Shape::Churn { scenario.sessions.count } else { 0 };
        Pace { load: None, next: Time::MAX, set_up_from: 0, begun, queued: 0 }
    }

    /// The load begins.
    pub(super) fn start(&mut self, now: Time, end: Time) {
        self.load = Some((now, end));
        self.next = now;
    }

    pub(super) fn is_sending(&self, now: Time) -> bool {
        self.load.is_some_and(|(from, to)| (from..to).contains(&now))
    }
}

impl Engine<'_> {
    pub(super) fn next_arrival(&self) -> Time {
        let open = matches!(self.scenario.load.shape, Shape::Open | Shape::Ramp | Shape::Churn);
        if open { self.pace.next } else { Time::MAX }
    }

    /// Lets messages or sessions become due whose time has come.
    pub(super) fn arrive(&mut self) {
        while self.next_arrival() <= self.now {
            let due = self.pace.next;
            if !self.pace.is_sending(due) {
                self.pace.next = Time::MAX;
                return;
            }
            let gap = -(1.0 - self.random.f64()).ln() / self.rate(due);
            self.pace.next = due + (gap * 1e9) as Time;
            if self.is_churn() { self.arrive_session() } else { self.arrive_message(due) }
        }
    }

    /// Arrivals per second at a time.
    fn rate(&self, at: Time) -> f64 {
        let load = &self.scenario.load;
        let Some((from, to)) = self.pace.load.filter(|_| load.shape == Shape::Ramp) else { return load.rate };
        // The ramp is what is measured; the warm-up stays at its foot.
        let foot = from + load.warm_up.as_nanos() as Time;
        let share = at.saturating_sub(foot) as f64 / (to - foot).max(1) as f64;
        load.rate + (load.rate_end - load.rate) * share
    }

    fn arrive_message(&mut self, due: Time) {
        let number = self.random.u32(..self.sessions.len() as u32);
        // A session that is over has been counted as an error; its share goes to its neighbours.
        let count = self.sessions.len() as u32;
        let alive = (0..count).map(|step| (number + step) % count);
        let Some(number) = { alive }.find(|&number| self.sessions[number as usize].stage == Stage::Ready) else {
            return;
        };
        if self.pace.queued >= MOST_DUE {
            self.pace.queued = self.sessions.iter().map(|session| session.outbox.due.len()).sum();
            if self.pace.queued >= MOST_DUE {
                return self
                    .book
                    .fault(self.now, Kind::Overrun, || format!("{MOST_DUE} messages are due and cannot be begun"));
            }
        }
        self.pace.queued += 1;
        if self.book.is_in(due) {
            self.book.latencies.lag.record(self.now - due);
        }
        let kind = self.choose_kind();
        self.sessions[number as usize].outbox.due.push_back((due, kind));
        sending::queue(&mut self.sessions, &mut self.ready, number);
    }

    fn arrive_session(&mut self) {
        match self.sessions.iter().position(|session| session.stage == Stage::Over) {
            Some(number) => self.set_up(number as u32),
            None => self.book.fault(self.now, Kind::Overrun, || {
                format!("all {} sessions are alive when the next one is due", self.sessions.len())
            }),
        }
    }

    /// Begins the set-up of sessions as far as they may be begun.
    pub(super) fn begin_set_ups(&mut self) {
        while self.pace.begun < self.scenario.sessions.count
            && self.setting_up < self.scenario.sessions.set_up
            && self.due_set_up(self.pace.begun) <= self.now
        {
            self.pace.begun += 1;
            self.set_up(self.pace.begun - 1);
        }
    }

    pub(super) fn next_set_up(&self) -> Time {
        let waits = self.pace.begun < self.scenario.sessions.count && self.setting_up < self.scenario.sessions.set_up;
        if waits { self.due_set_up(self.pace.begun) } else { Time::MAX }
    }

    fn due_set_up(&self, number: u32) -> Time {
        let over = self.scenario.sessions.over.as_nanos() as f64;
        self.pace.set_up_from + (over * f64::from(number) / f64::from(self.scenario.sessions.count)) as Time
    }

    /// Whether all sessions are set up, or have failed to be.
    pub(super) fn all_are_set_up(&self) -> bool {
        self.pace.begun == self.scenario.sessions.count && self.setting_up == 0
    }
}
