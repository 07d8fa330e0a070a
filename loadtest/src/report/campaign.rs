//! Runs in the order in which they are compared: by cell, within it by label, within that as repeats.

use super::outcome::Outcome;
use crate::result::{Figure, Load, RunResult};

/// All runs.
pub(super) struct Campaign<'a> {
    /// In order of first appearance; a label's place in it is its colour.
    pub(super) labels: Vec<&'a str>,
    /// In order of first appearance.
    pub(super) cells: Vec<Cell<'a>>,
}

/// All runs of one load.
pub(super) struct Cell<'a> {
    pub(super) name: &'a str,
    /// Part of what a cell is: figures of two kinds have no common scale.
    pub(super) figure: Figure,
    /// The load of the first run.
    pub(super) load: &'a Load,
    /// In the order of [`Campaign::labels`]; those without a run are left out.
    pub(super) labels: Vec<Repeats<'a>>,
}

/// The runs of one load against one label.
pub(super) struct Repeats<'a> {
    pub(super) label: &'a str,
    /// At least one.
    pub(super) runs: Vec<&'a RunResult>,
}

impl<'a> Campaign<'a> {
    pub(super) fn of(results: &'a [RunResult]) -> Campaign<'a> {
        let labels = distinct(results.iter().map(|r| r.label.as_str()));
        let cells = distinct(results.iter().map(|r| (r.cell.as_str(), r.scenario.figure)))
            .into_iter()
            .filter_map(|(name, figure)| {
                let of_cell = || results.iter().filter(move |r| r.cell == name && r.scenario.figure == figure);
                let labels = labels
                    .iter()
                    .map(|&label| Repeats { label, runs: of_cell().filter(|r| r.label == label).collect() });
                let labels = labels.filter(|repeats| !repeats.runs.is_empty()).collect();
                Some(Cell { name, figure, load: &of_cell().next()?.scenario, labels })
            })
            .collect();
        Campaign { labels, cells }
    }

    /// Where a label stands among all.
    pub(super) fn place(&self, label: &str) -> usize {
        self.labels.iter().position(|l| *l == label).unwrap_or(self.labels.len())
    }

    /// Every run, cell by cell.
    pub(super) fn runs(&self) -> impl Iterator<Item = &'a RunResult> + Clone {
        self.cells.iter().flat_map(|cell| &cell.labels).flat_map(|repeats| repeats.runs.iter().copied())
    }
}

impl<'a> Cell<'a> {
    /// What the label's runs say of the cell's figure.
    pub(super) fn outcome(&self, label: &str) -> Outcome<'a> {
        self.measured(label, RunResult::figure)
    }

    /// What the label's runs say of any figure.
    pub(super) fn measured(&self, label: &str, figure: impl Fn(&RunResult) -> Option<f64>) -> Outcome<'a> {
        let repeats = self.labels.iter().find(|repeats| repeats.label == label);
        repeats.map_or(Outcome::Absent, |repeats| Outcome::of(&repeats.runs, figure))
    }

    /// Whether octets tell more about this load than messages do.
    pub(super) fn is_bulk(&self) -> bool {
        self.figure == Figure::CpuPerMegabyte
    }
}

impl<'a> Repeats<'a> {
    /// The run that stands for all of them where only one can be drawn: a clean one if there is one, with the median figure.
    pub(super) fn typical(&self) -> &'a RunResult {
        let mut pool = self.runs.clone();
        for wish in [RunResult::is_clean, |run: &RunResult| run.figure().is_some()] {
            if pool.iter().any(|run| wish(run)) {
                pool.retain(|run| wish(run));
            }
        }
        let figure = |run: &RunResult| run.figure().or(run.latencies.delivery.quantile(0.99)).unwrap_or(0.0);
        pool.sort_by(|a, b| figure(a).total_cmp(&figure(b)));
        pool[(pool.len() - 1) / 2]
    }
}

/// Each value once, in order of first appearance.
pub(super) fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    values.fold(Vec::new(), |mut seen, value| {
        if !seen.contains(&value) {
            seen.push(value);
        }
        seen
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{costing, failing, run};

    #[test]
    fn cells_and_labels_keep_the_order_in_which_they_came() {
        let results = [run("b", "two"), run("a", "one"), run("a", "two"), run("b", "two")];
        let campaign = Campaign::of(&results);
        assert_eq!(campaign.labels, ["b", "a"]);
        assert_eq!(campaign.cells.iter().map(|c| c.name).collect::<Vec<_>>(), ["two", "one"]);
        assert_eq!(
            campaign.cells[0].labels.iter().map(|r| (r.label, r.runs.len())).collect::<Vec<_>>(),
            [("b", 2), ("a", 1)]
        );
        assert_eq!(campaign.runs().count(), 4);
    }

    #[test]
    fn one_name_with_two_figures_is_two_cells() {
        let mut other = run("a", "one");
        other.scenario.figure = Figure::MemoryPerSession;
        assert_eq!(Campaign::of(&[run("a", "one"), other]).cells.len(), 2);
    }

    #[test]
    fn the_typical_run_is_clean_and_has_the_median_figure() {
        let results = [
            costing("a", "one", 30.0),
            failing("a", "one", "lost"),
            costing("a", "one", 10.0),
            costing("a", "one", 20.0),
        ];
        let campaign = Campaign::of(&results);
        assert_eq!(campaign.cells[0].labels[0].typical().figure(), Some(20.0));
        let results = [failing("a", "one", "lost")];
        assert!(!Campaign::of(&results).cells[0].labels[0].typical().is_clean());
    }
}
