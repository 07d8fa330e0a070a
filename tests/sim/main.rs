//! Whole networks in one process and in virtual time, from a seed: relays of several shards, persons of several
//! temperaments, the commands of the SIP plane, links and mailboxes that delay, stall and break, relays that restart, clocks
//! that leap, stores and resolvers that fail. Beside them a model that sees only what passes on the wires and shares no
//! code with the relay judges each step.
//!
//! ```text
//! plan     seed → who is there, what is said and what goes wrong, as a list of actions
//! world    the network and its time      node    a relay with its shards and mailboxes   wire   connections
//! client   persons                       control anchors                                 fault  what goes wrong
//! frame    MSRP read and written anew    model   the judge                               ends   what must be true at last
//! run      a plan played                 shrink  a failing plan made smaller             trace, stats, dice
//! ```
//!
//! ```text
//! cargo test --profile sim --no-default-features --test sim                   256 seeds
//! SIM_SEEDS=20000 SIM_FIRST=1000 …                                            as many as one likes
//! SIM_SEED=7 cargo test --profile sim … --test sim one_seed -- --nocapture    one, with its trace
//! SIM_SEED=7 SIM_KEEP=3,9-12 …                                                some of its actions alone
//! ```

#![allow(unreachable_pub, reason = "nobody can reach anything of a test")]

mod client;
mod control;
mod dice;
mod ends;
mod fault;
mod frame;
mod model;
mod node;
mod plan;
#[cfg(feature = "planted")]
mod planted;
mod run;
mod shrink;
mod stats;
mod trace;
mod wire;
mod world;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plan::Plan;
use run::{Failure, play};
use stats::{Count, KINDS, Stats};

/// Seeds of a test without wishes.
const SEEDS: u64 = 256;
/// Lines of a failure's trace that are printed.
const TAIL: usize = 120;

fn wish(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|v| v.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Tells all of a failure that one needs to understand it: the smallest plan found, its trace, how to see it again.
fn tell(seed: u64, failure: &Failure) -> String {
    let plan = Plan::new(seed);
    let kept = shrink::shrink(seed, &plan, failure);
    let small = plan.keep(|i| kept.binary_search(&i).is_ok());
    let again = play(seed, small.clone(), true);
    let list = shrink::write_list(&kept);
    let mut text = format!(
        "seed {seed}: {:?} after {:.3} s: {}\n{} of {} actions are enough. Again:\n  SIM_SEED={seed} SIM_KEEP={list} \
         cargo test --profile sim --no-default-features --test sim one_seed -- --nocapture\n",
        failure.rule,
        failure.at,
        failure.what,
        kept.len(),
        plan.actions.len()
    );
    for action in &small.actions {
        text += &format!("  {:>9.3} s {:?}\n", action.at as f64 / 1e9, action.act);
    }
    if let Err(small) = again {
        for line in small.lines.iter().skip(small.lines.len().saturating_sub(TAIL)) {
            text += &format!("{line}\n");
        }
        text += &format!("there: {:?} after {:.3} s: {}\n", small.rule, small.at, small.what);
    }
    text
}

/// What playing many seeds has shown.
#[derive(Default)]
struct Shown {
    stats: Stats,
    failure: Option<(u64, Failure)>,
    /// Seeds in which too little happened.
    poor: Vec<String>,
}

/// Plays seeds on all cores, up to the first failure.
fn seeds(first: u64, count: u64) -> Shown {
    let (next, failed) = (AtomicU64::new(first), AtomicBool::new(false));
    let worker = || {
        let mut shown = Shown::default();
        while !failed.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count {
                break;
            }
            match run::run(seed) {
                Ok(stats) => {
                    shown.poor.extend(poor(seed, &stats));
                    shown.stats.sum(&stats);
                }
                Err(f) => {
                    failed.store(true, Ordering::Relaxed);
                    shown.failure = Some((seed, f));
                }
            }
        }
        shown
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        let mut all = Shown::default();
        for worker in workers {
            let shown = worker.join().expect("a worker does not panic");
            all.stats.sum(&shown.stats);
            all.failure = all.failure.or(shown.failure);
            all.poor.extend(shown.poor);
        }
        all
    })
}

/// What each seed must bring at least, and this one does not.
fn poor(seed: u64, stats: &Stats) -> Option<String> {
    let least = [(Count::Send, 500), (Count::Person, 20), (Count::Fault, 5)];
    let (count, _) = least.into_iter().find(|(count, least)| stats.of(*count) < *least)?;
    Some(format!("seed {seed}: only {} {}", stats.of(count), KINDS[count as usize]))
}

#[test]
fn whatever_happens_every_send_has_one_outcome_and_nothing_is_left() {
    let (first, count) = (wish("SIM_FIRST").unwrap_or(0), wish("SIM_SEEDS").unwrap_or(SEEDS));
    let Shown { stats, failure, poor } = seeds(first, count);
    if let Some((seed, failure)) = failure {
        panic!("{}", tell(seed, &failure));
    }
    println!("{count} seeds: {stats}");
    assert!(poor.is_empty(), "{poor:?}");
    if count >= SEEDS {
        let never: Vec<_> = KINDS.iter().zip(stats.0).filter(|(_, n)| *n == 0).map(|(kind, _)| kind).collect();
        assert!(never.is_empty(), "never seen: {never:?}");
    }
}

#[test]
fn one_seed() {
    let Some(seed) = wish("SIM_SEED") else { return };
    let plan = Plan::new(seed);
    let kept = std::env::var("SIM_KEEP").ok();
    let kept = kept.map(|list| shrink::read_list(&list).unwrap_or_else(|| panic!("SIM_KEEP is a list of numbers")));
    let plan = plan.keep(|i| kept.as_ref().is_none_or(|k| k.contains(&i)));
    println!("{:?}", plan.shape);
    let (lines, end) = match play(seed, plan, true) {
        Ok(report) => (report.lines, format!("went well: {}", report.stats)),
        Err(f) => (f.lines, format!("{:?} after {:.3} s: {}", f.rule, f.at, f.what)),
    };
    lines.iter().for_each(|line| println!("{line}"));
    println!("seed {seed}: {end}");
    assert!(end.starts_with("went well"), "{end}");
}

/// What fails of many seeds, a line each: `SIM_SURVEY=256`.
#[test]
fn survey() {
    let Some(count) = wish("SIM_SURVEY") else { return };
    let first = wish("SIM_FIRST").unwrap_or(0);
    let failed = (first..first + count).filter_map(|seed| Some((seed, run::run(seed).err()?)));
    let failed: Vec<_> = failed.inspect(|(seed, f)| println!("{seed} {:?} {:.3} {}", f.rule, f.at, f.what)).collect();
    assert!(failed.is_empty(), "{} of {count} seeds fail", failed.len());
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in [1, 2] {
        let hash = || play(seed, Plan::new(seed), false).map(|r| r.hash).map_err(|f| f.what);
        assert_eq!(hash(), hash());
    }
    assert_ne!(play(1, Plan::new(1), false).map(|r| r.hash).ok(), play(2, Plan::new(2), false).map(|r| r.hash).ok());
}
