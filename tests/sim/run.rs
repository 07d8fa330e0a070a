//! One run: a plan is played, then all is calm, then all leave; at each step and at the end the judge has its say.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::model::Rule;
use crate::plan::{LENGTH, Plan};
use crate::stats::Stats;
use crate::world::World;

const SECOND: u64 = 1_000_000_000;

/// What was wrong with a run.
#[derive(Clone, Debug)]
pub struct Failure {
    pub rule: Rule,
    pub what: String,
    /// Virtual seconds from the start.
    pub at: f64,
    /// The last things that happened, if they were recorded.
    pub lines: Vec<String>,
}

impl Failure {
    /// The same thing is wrong, whatever it is called in that run.
    pub fn is_like(&self, other: &Failure) -> bool {
        let words = |f: &Failure| {
            let plain = |w: &&str| w.len() > 1 && w.chars().all(|c| c.is_ascii_lowercase());
            f.what.split([' ', ':', ',']).filter(plain).map(str::to_owned).collect::<Vec<_>>()
        };
        self.rule == other.rule && words(self) == words(other)
    }
}

/// What a run that went well was like.
#[derive(Clone, Debug)]
pub struct Report {
    pub stats: Stats,
    pub hash: u64,
    pub lines: Vec<String>,
}

/// Plays the plan of a seed.
pub fn run(seed: u64) -> Result<Stats, Failure> {
    play(seed, Plan::new(seed), false).map(|r| r.stats)
}

/// Plays a plan; `lines` says whether to record what happens.
pub fn play(seed: u64, plan: Plan, lines: bool) -> Result<Report, Failure> {
    let mut world = World::new(seed, plan, lines);
    let played = catch_unwind(AssertUnwindSafe(|| story(&mut world)));
    if let Err(panic) = played {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|t| (*t).to_owned())).unwrap_or_default();
        world.model.broken = None;
        world.model.fail(Rule::Panic, text);
    }
    let World { model, trace, stats, now, .. } = world;
    let hash = trace.hash();
    let lines = trace.into_lines();
    match model.broken {
        Some(broken) => {
            let at = now as f64 / SECOND as f64 - 1000.0;
            Err(Failure { rule: broken.rule, what: broken.what, at, lines })
        }
        None => {
            let mut all = stats;
            all.sum(&model.stats);
            Ok(Report { stats: all, hash, lines })
        }
    }
}

fn story(world: &mut World) {
    world.run(LENGTH * 1_000_000 + 2 * SECOND);
    // Faults end; what was begun is finished or given up; every clock runs out.
    world.calm_down();
    world.run(320 * SECOND);
    world.audit_all();
    world.check_stops();
    world.model.conclude();
    world.check_ends();
    // All leave; the longest life of a token, and of a link between relays.
    world.hang_up_calls();
    world.run(10 * SECOND);
    world.check_calls();
    world.leave();
    world.run(9000 * SECOND);
    world.check_leaks();
}
