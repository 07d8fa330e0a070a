//! Bugs put into the relay on purpose, one at a time: the judge finds each of them within as many seeds as a test run has.
//! What it could not find it would not have found in earnest.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use chappe::planted::{Bug, plant};

use crate::run::Failure;
use crate::{SEEDS, run, wish};

/// The first seed at which this bug is found, and what was wrong there. The same seed must go well without it, or it is
/// something else that was found.
fn hunt(bug: Bug, seeds: u64) -> Option<(u64, Failure)> {
    (0..seeds).find_map(|seed| {
        plant(Some(bug));
        let failed = run::run(seed).err();
        plant(None);
        failed.filter(|_| run::run(seed).is_ok()).map(|failure| (seed, failure))
    })
}

/// Bugs that are looked for: all, or the one that `SIM_BUG` names.
fn bugs() -> Vec<Bug> {
    let name = std::env::var("SIM_BUG").ok();
    Bug::ALL.into_iter().filter(|bug| name.as_ref().is_none_or(|name| *name == format!("{bug:?}"))).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long the search takes is told")]
fn each_planted_bug_is_found() {
    let (bugs, seeds) = (bugs(), wish("SIM_SEEDS").unwrap_or(SEEDS));
    assert!(!bugs.is_empty(), "no bug of that name");
    let next = AtomicUsize::new(0);
    let (tell, told) = sync_channel(Bug::ALL.len());
    let hunter = || {
        let tell = tell.clone();
        while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let from = Instant::now();
            let found = hunt(*bug, seeds);
            let seconds = from.elapsed().as_secs_f64();
            match &found {
                Some((seed, f)) => println!("{bug:?} at seed {seed} by {:?} in {seconds:.1} s: {}", f.rule, f.what),
                None => println!("{bug:?} not in {seeds} seeds, {seconds:.1} s"),
            }
            tell.send((*bug, found.map(|(seed, _)| seed))).expect("room for all bugs");
        }
    };
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(hunter))));
    drop(tell);
    let found: Vec<(Bug, Option<u64>)> = told.into_iter().collect();
    let missed: Vec<Bug> = found.iter().filter(|(_, seed)| seed.is_none()).map(|(bug, _)| *bug).collect();
    assert!(missed.is_empty(), "not found: {missed:?}");
}
