//! What repeated runs come to: a figure with its spread, or why there is none.

use std::collections::BTreeMap;

use super::{escape::shortened, number};
use crate::result::{Fault, RunResult};

/// Longer words of an error say no more in a table.
const WORDS: usize = 72;

/// What the repeats of a run say of one figure.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome<'a> {
    /// The clean repeats agree within the spread.
    Measured {
        spread: Spread,
        /// How many repeats there were in all.
        repeats: usize,
        /// How many of them were not clean.
        left_out: usize,
        /// Whether the generator was the limit of one that was used.
        limited: bool,
    },
    /// There are clean repeats, but none could measure this.
    Unmeasured,
    /// No repeat was clean.
    Cannot(Failure<'a>),
    /// There was no run.
    Absent,
}

/// Median and extremes of at least one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

/// Why no repeat was clean.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failure<'a> {
    /// The most frequent kind of error, if there was an error at all.
    pub(super) worst: Option<(&'a str, u64, &'a str)>,
    /// How many other kinds there were.
    pub(super) other_kinds: usize,
    /// Messages that were delivered nevertheless, in all repeats.
    pub(super) delivered: u64,
}

impl<'a> Outcome<'a> {
    /// Figures of runs that are not clean are not used: they are of another load than the one that was asked for.
    pub(super) fn of(runs: &[&'a RunResult], figure: impl Fn(&RunResult) -> Option<f64>) -> Outcome<'a> {
        if runs.is_empty() {
            return Outcome::Absent;
        }
        let clean: Vec<&RunResult> = runs.iter().copied().filter(|run| run.is_clean()).collect();
        if clean.is_empty() {
            return Outcome::Cannot(Failure::of(runs));
        }
        let used = clean.iter().filter_map(|run| Some((run, figure(run).filter(|f| f.is_finite())?)));
        match Spread::of(used.clone().map(|(_, figure)| figure).collect()) {
            None => Outcome::Unmeasured,
            Some(spread) => Outcome::Measured {
                spread,
                repeats: runs.len(),
                left_out: runs.len() - clean.len(),
                limited: used.into_iter().any(|(run, _)| !run.generator.limits.is_empty()),
            },
        }
    }

    pub(super) fn spread(&self) -> Option<Spread> {
        match self {
            Outcome::Measured { spread, .. } => Some(*spread),
            _ => None,
        }
    }

    pub(super) fn is_limited(&self) -> bool {
        matches!(self, Outcome::Measured { limited: true, .. })
    }

    /// Median and spread in words, `mark` put to a figure that the generator limited; or why there is none.
    pub(super) fn text(&self, show: impl Fn(f64) -> String, mark: &str) -> String {
        match self {
            Outcome::Measured { spread, limited, .. } => {
                format!("{}{}", spread.text(show), if *limited { mark } else { "" })
            }
            Outcome::Unmeasured => "not measured".to_owned(),
            Outcome::Cannot(failure) => failure.text(),
            Outcome::Absent => number::NONE.to_owned(),
        }
    }

    /// How many repeats were not used, in words; nothing if all were or none could be.
    pub(super) fn left_out(&self) -> Option<String> {
        match self {
            Outcome::Measured { repeats, left_out: left_out @ 1.., .. } => {
                Some(format!("{left_out} of {repeats} left out"))
            }
            _ => None,
        }
    }

    /// This figure as a multiple of another one's median; nothing where a quotient says nothing.
    pub(super) fn over(&self, baseline: &Outcome<'_>) -> Option<Spread> {
        let (of, base) = (self.spread()?, baseline.spread()?.median);
        let is_comparable = base > 0.0 && of.median > 0.0;
        is_comparable.then(|| Spread { median: of.median / base, min: of.min / base, max: of.max / base })
    }
}

impl Spread {
    pub(super) fn of(mut figures: Vec<f64>) -> Option<Spread> {
        figures.sort_by(f64::total_cmp);
        let (&min, &max) = (figures.first()?, figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Spread { median: (low + high) / 2.0, min, max })
    }

    /// `median (min–max)`, or the median alone where no digit that is shown differs.
    pub(super) fn text(&self, show: impl Fn(f64) -> String) -> String {
        let [median, min, max] = [self.median, self.min, self.max].map(show);
        if min == max { median } else { format!("{median} ({min}–{max})") }
    }
}

impl<'a> Failure<'a> {
    fn of(runs: &[&'a RunResult]) -> Failure<'a> {
        let mut kinds: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for (kind, Fault { count, first }) in runs.iter().flat_map(|run| &run.errors) {
            kinds.entry(kind).or_insert((0, first)).0 += count;
        }
        let worst = kinds.iter().max_by_key(|(_, (count, _))| *count);
        Failure {
            worst: worst.map(|(kind, (count, first))| (*kind, *count, *first)),
            other_kinds: kinds.len().saturating_sub(1),
            delivered: runs.iter().map(|run| run.counts.messages).sum(),
        }
    }

    /// `cannot: refused 501 ×480 (“…”)`.
    pub(super) fn text(&self) -> String {
        let Some((kind, count, first)) = self.worst else { return "cannot: nothing happened in the window".to_owned() };
        let mut text = format!("cannot: {} ×{}", kind.replace('-', " "), number::count(count));
        if !first.is_empty() {
            text += &format!(" (“{}”)", shortened(first, WORDS));
        }
        match self.other_kinds {
            0 => {}
            1 => text += ", and another kind of error",
            others => text += &format!(", and {others} other kinds of error"),
        }
        if self.delivered > 0 {
            text += &format!("; {} messages delivered", number::count(self.delivered));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{costing, failing, limited, unmeasured};

    fn outcome(runs: &[RunResult]) -> String {
        let outcome = Outcome::of(&runs.iter().collect::<Vec<_>>(), RunResult::figure);
        format!("{} {}", outcome.text(number::significant, "†"), outcome.left_out().unwrap_or_default())
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 9.0]), Some(Spread { median: 3.0, min: 1.0, max: 9.0 }));
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![3.07001, 3.07002]).unwrap().text(number::significant), "3.07");
    }

    #[test]
    fn unclean_repeats_are_left_out_and_told() {
        let runs =
            [costing("a", "c", 10.0), failing("a", "c", "lost"), costing("a", "c", 14.0), costing("a", "c", 11.0)];
        assert_eq!(outcome(&runs), "11.0 (10.0–14.0) 1 of 4 left out");
        assert_eq!(outcome(&[limited("a", "c", 10.0)]), "10.0† ");
    }

    #[test]
    fn a_label_without_a_clean_run_cannot() {
        let mut runs = [failing("a", "c", "refused-501"), failing("a", "c", "refused-501"), failing("a", "c", "lost")];
        runs[1].errors.get_mut("refused-501").unwrap().count = 1500;
        let text = outcome(&runs);
        assert!(text.starts_with("cannot: refused 501 ×1,501 (“"), "{text}");
        assert!(text.contains("and another kind of error"), "{text}");
        let mut idle = failing("a", "c", "lost");
        idle.errors.clear();
        assert_eq!(outcome(&[idle]), "cannot: nothing happened in the window ");
    }

    #[test]
    fn what_is_missing_is_not_called_zero() {
        assert_eq!(outcome(&[unmeasured("a", "c")]), "not measured ");
        assert_eq!(outcome(&[]), "– ");
    }

    #[test]
    fn a_ratio_needs_two_positive_figures() {
        let of = |figure| {
            let spread = Spread { median: figure, min: figure / 2.0, max: figure * 2.0 };
            Outcome::Measured { spread, repeats: 1, left_out: 0, limited: false }
        };
        assert_eq!(of(30.0).over(&of(20.0)), Some(Spread { median: 1.5, min: 0.75, max: 3.0 }));
        assert_eq!(of(30.0).over(&of(0.0)), None);
        assert_eq!(of(-3.0).over(&of(20.0)), None);
        assert_eq!(of(3.0).over(&Outcome::Absent), None);
    }
}
