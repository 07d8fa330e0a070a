//! A run in this process, and its result.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};

use crate::{
    book::{Book, Time},
    cli::{RunOptions, Transport},
    engine::{Engine, Measured, TICK, Watcher},
    limits,
    process::{self, Tree},
    result::{FORMAT, Generator, Latencies, Memory, RelayUse, RunResult},
    scenario::{Scenario, Shape},
    target::Target,
};

/// Who is told how a run goes.
pub trait Audience {
    /// The relay has been looked at, and connections are made from now on.
    fn begun(&mut self) {}
    /// Some time has passed: the phase, messages and octets so far, errors so far.
    fn tell(&mut self, phase: &str, delivered: (u64, u64), errors: u64);
    /// All sessions are set up; the load begins when this returns.
    fn set_up(&mut self);
}

/// Runs a scenario. `stop` ends it early.
pub fn run(options: &RunOptions, audience: &mut dyn Audience, stop: &AtomicBool) -> Result<RunResult> {
    let mut scenario = Scenario::load(&options.scenario, &options.settings)?;
    // A part says what all of them do.
    let shape = scenario.shape();
    let part = options.part.unwrap_or(0);
    take_share(&mut scenario, options.processes, part);
    let target = options.target()?;
    limits::raise_descriptors(&scenario)?;
    limits::sharpen_timers();
    let relay = options.relay_pid.filter(|_| part == 0).map(Tree::find).transpose()?;
    let before = relay.as_ref().map(Tree::memory).unwrap_or_default();
    audience.begun();
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let engine = Engine::new(&scenario, &target, seed ^ u64::from(part) << 48 ^ u64::from(std::process::id()));
    let engine = engine.context("the generator cannot be set up")?;
    let mut meter = Meter {
        audience,
        stop,
        relay,
        before,
        with_sessions: Memory::default(),
        cpu: [Duration::ZERO; 2],
        sampled: None,
        started: SystemTime::now(),
        alone: options.processes == 1,
    };
    let measured = engine.run(&mut meter).context("the generator failed")?;
    Ok(meter.result(options, &scenario, &target, shape, measured))
}

/// Reduces a scenario to what one of several processes does of it.
fn take_share(scenario: &mut Scenario, processes: u32, part: u32) {
    let sessions = &mut scenario.sessions.count;
    *sessions = (*sessions / processes + u32::from(part < *sessions % processes)).max(1);
    scenario.load.rate /= f64::from(processes);
    scenario.load.rate_end /= f64::from(processes);
    scenario.sessions.set_up = scenario.sessions.set_up.div_ceil(processes);
}

/// Reads what the relay costs at the begin and end of the window, and between.
struct Meter<'a> {
    audience: &'a mut dyn Audience,
    stop: &'a AtomicBool,
    relay: Option<Tree>,
    before: Memory,
    with_sessions: Memory,
    /// At the begin and at the end of the window.
    cpu: [Duration; 2],
    /// CPU at the end of the last step of the window.
    sampled: Option<Duration>,
    started: SystemTime,
    alone: bool,
}

impl Watcher for Meter<'_> {
    fn set_up(&mut self) {
        self.audience.set_up();
    }

    fn is_alone(&self) -> bool {
        self.alone
    }

    fn begin(&mut self) {
        self.started = SystemTime::now();
        if let Some(relay) = &mut self.relay {
            relay.look();
            self.cpu[0] = relay.cpu();
            self.sampled = Some(self.cpu[0]);
        }
    }

    fn tick(&mut self, now: Time, phase: &str, book: &mut Book) -> bool {
        self.audience.tell(phase, book.delivered, book.faults.total);
        if let (Some(relay), Some(before)) = (&self.relay, self.sampled)
            // What was used since the last tick belongs to the time between them.
            && let Some(step) = book.step(now.saturating_sub(TICK / 2))
        {
            let cpu = relay.cpu();
            *step.relay_cpu.get_or_insert(0.0) += cpu.saturating_sub(before).as_secs_f64();
            step.relay_rss = Some(relay.resident());
            self.sampled = Some(cpu);
        }
        !self.stop.load(Ordering::Relaxed)
    }

    fn end(&mut self) {
        if let Some(relay) = &mut self.relay {
            // Children that have come since belong to it, too.
            relay.look();
            self.cpu[1] = relay.cpu();
            self.sampled = None;
            self.with_sessions = relay.memory();
        }
    }
}

impl Meter<'_> {
    fn result(
        self,
        options: &RunOptions,
        scenario: &Scenario,
        target: &Target,
        shape: String,
        measured: Measured,
    ) -> RunResult {
        let Measured { book, window, cpu, tls, interrupted } = measured;
        let counts = book.counts;
        let per = |cpu: Duration, count: f64| (count > 0.0).then(|| cpu.as_secs_f64() * 1e6 / count);
        let transport = if options.transport == Transport::Tls { "TLS" } else { "TCP" };
        let file = options.scenario.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut load = scenario.summary(target.route(scenario), transport);
        load.shape = shape;
        let relay = self.relay.map(|tree| {
            let cpu = self.cpu[1].saturating_sub(self.cpu[0]);
            let sessions = f64::from(scenario.sessions.count);
            let stay = scenario.load.shape != Shape::Churn;
            let grown = |before: u64, after: u64| stay.then(|| after.saturating_sub(before) as f64 / sessions);
            let idle = scenario.load.shape == Shape::Idle;
            RelayUse {
                pid: tree.root(),
                cpu: cpu.as_secs_f64(),
                cpu_per_message: per(cpu, counts.messages as f64).filter(|_| !idle),
                cpu_per_megabyte: per(cpu, counts.octets as f64 / 1e6).filter(|_| !idle),
                cpu_per_session: per(cpu, counts.set_up as f64).filter(|_| scenario.load.shape == Shape::Churn),
                before: self.before,
                with_sessions: self.with_sessions,
                pss_per_session: grown(self.before.pss, self.with_sessions.pss),
                rss_per_session: grown(self.before.rss, self.with_sessions.rss),
            }
        });
        let share = cpu.as_secs_f64() / window;
        let mut limits = own_limits(scenario, share, window, &book.latencies);
        if interrupted {
            limits.push("it was interrupted".to_owned());
        }
        RunResult {
            format: FORMAT,
            label: options.label.clone(),
            cell: options.cell.clone().unwrap_or(file),
            scenario: load,
            started: self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs(),
            machine: process::machine(),
            tls,
            window,
            counts,
            generator: Generator {
                processes: 1,
                cpu: cpu.as_secs_f64(),
                share,
                cpu_per_message: per(cpu, counts.messages as f64).filter(|_| scenario.load.shape != Shape::Idle),
                limits,
            },
            relay,
            errors: book.faults.by_kind(),
            latencies: book.latencies,
            series: book.series,
        }
    }
}

/// Above this share of a processor the generator is what limits.
const BUSY: f64 = 0.9;
/// A window of fewer seconds, since all sessions had failed, says nothing of that.
const SHORTEST: f64 = 0.01;

/// Whether, and why, a result says more about the generator than about the relay.
fn own_limits(scenario: &Scenario, share: f64, window: f64, latencies: &Latencies) -> Vec<String> {
    let mut limits = Vec::new();
    if share > BUSY && window > SHORTEST {
        limits.push(format!("the generator used {:.0} % of a processor", share * 100.0));
    }
    let open = matches!(scenario.load.shape, Shape::Open | Shape::Ramp);
    if let (true, Some(lag), Some(delivery)) = (open, latencies.lag.quantile(0.99), latencies.delivery.quantile(0.99))
        && lag > 100.0
        && lag > delivery / 4.0
    {
        limits
            .push(format!("1 % of all messages were begun {lag:.0} µs late or later, of {delivery:.0} µs to delivery"));
    }
    limits
}
