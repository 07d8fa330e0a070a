//! A failing plan made smaller: actions are left out as long as the same goes wrong.

use crate::plan::Plan;
use crate::run::{Failure, play};

/// Runs that a shrinking may take.
const MOST: usize = 250;

/// The smallest set of actions found with which the same is still wrong.
pub fn shrink(seed: u64, plan: &Plan, failure: &Failure) -> Vec<usize> {
    let fails = |kept: &[usize]| {
        let small = plan.keep(|i| kept.binary_search(&i).is_ok());
        play(seed, small, false).is_err_and(|f| f.is_like(failure))
    };
    let mut kept: Vec<usize> = (0..plan.actions.len()).collect();
    let (mut size, mut runs) = (kept.len() / 2, 0);
    while size > 0 && runs < MOST {
        let (mut at, mut smaller) = (0, false);
        while at < kept.len() && runs < MOST {
            let without: Vec<usize> =
                kept.iter().enumerate().filter(|(i, _)| *i < at || *i >= at + size).map(|(_, k)| *k).collect();
            runs += 1;
            if fails(&without) {
                (kept, smaller) = (without, true);
            } else {
                at += size;
            }
        }
        if !smaller || size > 1 {
            size /= 2;
        }
    }
    kept
}

/// Numbers as `3-7,9`.
pub fn write_list(numbers: &[usize]) -> String {
    let mut out: Vec<String> = Vec::new();
    let mut at = 0;
    while at < numbers.len() {
        let first = at;
        while at + 1 < numbers.len() && numbers[at + 1] == numbers[at] + 1 {
            at += 1;
        }
        let (a, b) = (numbers[first], numbers[at]);
        out.push(if a == b { a.to_string() } else { format!("{a}-{b}") });
        at += 1;
    }
    out.join(",")
}

/// Reads what `write_list` has written.
pub fn read_list(text: &str) -> Option<Vec<usize>> {
    let mut out = Vec::new();
    for entry in text.split(',') {
        match entry.split_once('-') {
            Some((a, b)) => out.extend(a.parse::<usize>().ok()?..=b.parse().ok()?),
            None => out.push(entry.parse().ok()?),
        }
    }
    Some(out)
}

#[test]
fn lists_are_read_as_they_were_written() {
    for list in [vec![1], vec![1, 2, 3, 9, 11, 12], vec![0, 2, 4]] {
        assert_eq!(read_list(&write_list(&list)), Some(list));
    }
}
