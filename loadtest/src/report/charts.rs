//! Which charts there are, and what of the results they show.

use super::{
    bars::{self, Bar, Bars, Group},
    campaign::{Campaign, Cell},
    number,
    outcome::{Outcome, Spread},
    plot::{self, Axis, Line, Plot},
    scale::{self, Scale},
};
use crate::{
    latency::Latency,
    result::{Figure, Interval, Latencies, RunResult},
};

/// Put to figures of runs that the generator limited.
pub(super) const LIMITED: &str = " ⚠";

/// The chart of a cell's own figure.
const FIGURE: &str = "figure";

/// Points of a line; it breaks where there is nothing.
type Points = Vec<Option<(f64, f64)>>;
/// Points with a marker.
type Marked = Vec<(f64, f64)>;

/// A chart with what is written over it.
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) note: &'static str,
    pub(super) svg: String,
}

/// The figure of every cell as a multiple of the baseline's; nothing if there is nothing to compare with.
pub(super) fn ratios(campaign: &Campaign<'_>, baseline: &str) -> Option<Chart> {
    let groups: Vec<Group<'_>> = campaign.cells.iter().map(|cell| ratio_group(campaign, cell, baseline)).collect();
    let spreads: Vec<Spread> = groups.iter().flat_map(|g| &g.bars).filter_map(|bar| bar.spread).collect();
    let ends = spreads.iter().flat_map(|s| [s.median, s.min, s.max]).chain([0.5, 1.0, 2.0]);
    if campaign.labels.len() < 2 || spreads.is_empty() {
        return None;
    }
    let title = format!("Against {baseline}");
    let svg = bars::draw(&Bars {
        id: "ratios".to_owned(),
        title: title.clone(),
        width: bars::WHOLE,
        axis: format!("figure as a multiple of that of {baseline}; equal lengths are equal factors"),
        scale: Scale::log(ends)?,
        origin: 1.0,
        show: |ratio| format!("{}×", number::short(ratio)),
        groups,
    });
    let note = "To the right: costs more than the baseline. To the left: costs less. Median of the repeats; whiskers from their least to \
                their greatest, against the baseline's median.";
    Some(Chart { title, note, svg })
}

fn ratio_group<'a>(campaign: &Campaign<'a>, cell: &Cell<'a>, baseline: &str) -> Group<'a> {
    let base = cell.outcome(baseline);
    let bars = cell.labels.iter().filter(|repeats| repeats.label != baseline).map(|repeats| {
        let outcome = cell.outcome(repeats.label);
        let spread = outcome.over(&base);
        let mark = if outcome.is_limited() || base.is_limited() { LIMITED } else { "" };
        let text = match (spread, &outcome) {
            (Some(spread), _) => format!("{}{mark}", spread.text(|ratio| format!("{}×", number::significant(ratio)))),
            (None, Outcome::Measured { .. }) => {
                format!("{}, no ratio", outcome.text(number::significant, LIMITED))
            }
            (None, _) => outcome.text(number::significant, LIMITED),
        };
        bar(campaign, cell, repeats.label, &outcome, spread, text)
    });
    let bars = bars.collect();
    let name =
        format!("{} – {}; {baseline}: {}", cell.name, cell.figure.title(), base.text(number::significant, LIMITED));
    Group { name: Some(name), bars }
}

/// All charts of one cell; `number` is unique among the page's cells.
pub(super) fn of_cell(campaign: &Campaign<'_>, cell: &Cell<'_>, number: usize) -> Vec<Chart> {
    let sheet = Sheet { campaign, cell, number };
    let mut charts = vec![sheet.bars(FIGURE, cell.figure.title(), RunResult::figure)];
    if cell.figure != Figure::CpuPerMessage {
        charts.push(sheet.bars("cpu", Figure::CpuPerMessage.title(), |run| run.relay.as_ref()?.cpu_per_message));
    }
    if cell.figure == Figure::CpuPerSession {
        charts.push(sheet.latency("setup", "Set-up of sessions", |latencies| &latencies.set_up));
    }
    charts.push(sheet.latency("latency", "Time to delivery", |latencies| &latencies.delivery));
    charts.push(if cell.is_bulk() {
        sheet.throughput("MB/s", |interval| interval.octets as f64 / 1e6)
    } else {
        sheet.throughput("messages/s", |interval| interval.messages as f64)
    });
    charts.push(sheet.p99());
    charts.push(sheet.over_time("memory", "Relay memory over time", "resident memory, MiB", |interval| {
        Some(interval.relay_rss? as f64 / 1024.0)
    }));
    charts.push(sheet.over_time("busy", "Relay CPU over time", "processors busy", |interval| {
        (interval.length > 0.0).then_some(interval.relay_cpu? / interval.length)
    }));
    charts.into_iter().flatten().collect()
}

struct Sheet<'c, 'a> {
    campaign: &'c Campaign<'a>,
    cell: &'c Cell<'a>,
    number: usize,
}

impl<'a> Sheet<'_, 'a> {
    /// One bar per label.
    fn bars(&self, id: &str, axis: &str, figure: fn(&RunResult) -> Option<f64>) -> Option<Chart> {
        let outcomes: Vec<_> =
            self.cell.labels.iter().map(|r| (r.label, self.cell.measured(r.label, figure))).collect();
        let spreads = outcomes.iter().filter_map(|(_, outcome)| outcome.spread());
        let max = spreads.clone().map(|s| s.max.max(s.median)).reduce(f64::max);
        // A figure beside the cell's own is shown for what it adds; the cell's own is missed if it is not there.
        if max.is_none() && id != FIGURE {
            return None;
        }
        let bars = outcomes.iter().map(|(label, outcome)| {
            bar(self.campaign, self.cell, label, outcome, outcome.spread(), outcome.text(number::significant, LIMITED))
        });
        let title = capitalised(axis);
        let svg = bars::draw(&Bars {
            id: self.id(id),
            title: title.clone(),
            width: bars::HALF,
            axis: axis.to_owned(),
            scale: Scale::upto(max.unwrap_or(1.0)),
            origin: 0.0,
            show: number::short,
            groups: vec![Group { name: None, bars: bars.collect() }],
        });
        Some(Chart { title, note: "Median of the repeats, whiskers from least to greatest. Less is better.", svg })
    }

    fn latency(&self, id: &str, title: &str, of: fn(&Latencies) -> &Latency) -> Option<Chart> {
        let most = self.cell.labels.iter().map(|r| of(&r.typical().latencies).count()).max()?;
        let lines = self.lines(|run| distribution(of(&run.latencies)));
        let scale = Scale::log(values(&lines))?;
        let x = Axis { name: "percentile".to_owned(), scale: Scale::nines(most), show: scale::percentage };
        let y = Axis { name: title.to_lowercase(), scale, show: number::short_time };
        Some(self.plot(
            id,
            title,
            "The same room for every further nine; a line ends at its longest time.",
            x,
            y,
            lines,
        ))
    }

    fn throughput(&self, unit: &str, of: fn(&Interval) -> f64) -> Option<Chart> {
        let rate = |interval: &Interval| (interval.length > 0.0).then(|| of(interval) / interval.length);
        let mut lines = self.lines(|run| (series(run, rate), Vec::new()));
        for (line, repeats) in lines.iter_mut().zip(self.drawn()) {
            let faulty = repeats.typical().series.iter().filter(|interval| interval.errors > 0);
            line.errors = faulty.map(|i| (middle(i), rate(i).unwrap_or(0.0), i.errors)).collect();
        }
        let max = values(&lines).reduce(f64::max).filter(|max| *max > 0.0)?;
        let y = Axis { name: unit.to_owned(), scale: Scale::upto(max), show: number::short };
        Some(self.plot("throughput", "Throughput over time", "Crosses are errors.", self.time(), y, lines))
    }

    fn p99(&self) -> Option<Chart> {
        let lines = self.lines(|run| (series(run, |interval| interval.delivery.quantile(0.99)), Vec::new()));
        let y =
            Axis { name: "p99 of delivery".to_owned(), scale: Scale::log(values(&lines))?, show: number::short_time };
        Some(self.plot("p99", "p99 of delivery over time", "", self.time(), y, lines))
    }

    /// A value of each interval, from zero; nothing if no run knows it.
    fn over_time(&self, id: &str, title: &str, axis: &str, of: fn(&Interval) -> Option<f64>) -> Option<Chart> {
        let lines = self.lines(|run| (series(run, of), Vec::new()));
        let max = values(&lines).reduce(f64::max)?;
        let y = Axis { name: axis.to_owned(), scale: Scale::upto(max), show: number::short };
        Some(self.plot(id, title, "", self.time(), y, lines))
    }

    fn time(&self) -> Axis {
        let ends = self.cell.labels.iter().flat_map(|r| &r.typical().series).map(|i| i.at + i.length);
        let scale = Scale::span(ends.reduce(f64::max).unwrap_or(1.0));
        Axis { name: "seconds from the begin of the window".to_owned(), scale, show: number::short }
    }

    /// A line per label, of the run that stands for its repeats.
    fn lines(&self, of: impl Fn(&RunResult) -> (Points, Marked)) -> Vec<Line<'a>> {
        let lines = self.drawn().map(|repeats| {
            let run = repeats.typical();
            let (points, marked) = of(run);
            let place = self.campaign.place(repeats.label);
            Line {
                label: repeats.label,
                place,
                limited: !run.generator.limits.is_empty(),
                spoiled: !run.is_clean(),
                points,
                marked,
                errors: Vec::new(),
            }
        });
        lines.collect()
    }

    /// Labels that have something to draw: without a delivery there is no line, not one at zero.
    fn drawn(&self) -> impl Iterator<Item = &super::campaign::Repeats<'a>> {
        self.cell.labels.iter().filter(|repeats| {
            let run = repeats.typical();
            run.is_clean() || run.latencies.delivery.count() > 0
        })
    }

    fn plot(&self, id: &str, title: &str, note: &'static str, x: Axis, y: Axis, lines: Vec<Line<'a>>) -> Chart {
        let lines = lines.into_iter().filter(|line| line.points.iter().any(Option::is_some)).collect();
        let svg = plot::draw(&Plot { id: self.id(id), title: format!("{title}, {}", self.cell.name), x, y, lines });
        Chart { title: title.to_owned(), note, svg }
    }

    fn id(&self, chart: &str) -> String {
        format!("c{}-{chart}", self.number)
    }
}

fn bar<'a>(
    campaign: &Campaign<'_>,
    cell: &Cell<'_>,
    label: &'a str,
    outcome: &Outcome<'_>,
    spread: Option<Spread>,
    text: String,
) -> Bar<'a> {
    let runs = cell.labels.iter().filter(|repeats| repeats.label == label).flat_map(|repeats| &repeats.runs);
    let limits = super::campaign::distinct(runs.flat_map(|run| &run.generator.limits).map(String::as_str));
    let failed = matches!(outcome, Outcome::Cannot(_));
    Bar { label, place: campaign.place(label), spread, text, failed, note: limits.join("\n") }
}

/// Times over nines, and those of them that have names.
fn distribution(latency: &Latency) -> (Points, Marked) {
    let last = (latency.count().max(1) as f64).log10().min(7.0);
    let at = |nines: f64| Some((nines, latency.quantile(scale::share(nines))?));
    let end = latency.max().map(|max| (last, max));
    let steps = (0..).map(|n| f64::from(n) * 0.03).take_while(|nines| *nines < last);
    let named = [scale::nines(0.5), 1.0, 2.0, 3.0, 4.0, 5.0, 6.0].into_iter().filter(|nines| *nines < last - 0.05);
    (steps.filter_map(at).chain(end).map(Some).collect(), named.filter_map(at).chain(end).collect())
}

fn series(run: &RunResult, of: impl Fn(&Interval) -> Option<f64>) -> Points {
    run.series.iter().map(|interval| Some((middle(interval), of(interval)?))).collect()
}

fn middle(interval: &Interval) -> f64 {
    interval.at + interval.length / 2.0
}

fn values<'l>(lines: &'l [Line<'_>]) -> impl Iterator<Item = f64> + Clone + 'l {
    lines.iter().flat_map(|line| line.points.iter().flatten()).map(|(_, y)| *y)
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{costing, failing, run, unmeasured};

    fn titles(results: &[RunResult]) -> Vec<String> {
        let campaign = Campaign::of(results);
        of_cell(&campaign, &campaign.cells[0], 0).into_iter().map(|chart| chart.title).collect()
    }

    #[test]
    fn a_cell_has_the_charts_that_its_runs_can_fill() {
        let all =
            ["Relay CPU, µs per message", "Time to delivery", "Throughput over time", "p99 of delivery over time"];
        assert_eq!(titles(&[run("a", "c")])[..4], all);
        assert_eq!(titles(&[run("a", "c")])[4..], ["Relay memory over time", "Relay CPU over time"]);
        assert_eq!(titles(&[failing("a", "c", "refused-501")]), all[..1]);
        let mut sessions = unmeasured("a", "c");
        sessions.scenario.figure = Figure::CpuPerSession;
        assert_eq!(titles(&[sessions])[..2], ["Relay CPU, µs per session", "Set-up of sessions"]);
    }

    #[test]
    fn ratios_are_of_medians_and_name_what_failed() {
        let of = |results: &[RunResult], baseline| ratios(&Campaign::of(results), baseline);
        let results =
            [costing("a", "c", 10.0), costing("b", "c", 30.0), costing("b", "c", 20.0), costing("b", "c", 25.0)];
        let svg = of(&results, "a").unwrap().svg;
        assert!(svg.contains("2.50× (2.00×–3.00×)"), "{svg}");
        let svg = of(&results, "b").unwrap().svg;
        assert!(svg.contains(">0.400×<"), "{svg}");
        let spoiled = [costing("a", "c", 1.0), costing("b", "c", 1.0), failing("d", "c", "refused-501")];
        assert!(of(&spoiled, "a").unwrap().svg.contains("cannot: refused 501"));
        assert!(of(&results, "nobody").is_none());
        assert!(of(&results[..1], "a").is_none());
    }

    #[test]
    fn a_distribution_ends_at_its_longest_time() {
        let run = run("a", "c");
        let (points, named) = distribution(&run.latencies.delivery);
        let max = run.latencies.delivery.max().unwrap();
        assert_eq!(points.last().unwrap().unwrap().1, max);
        assert_eq!(named[1].1, run.latencies.delivery.quantile(0.9).unwrap());
        assert_eq!(named.last().unwrap().1, max);
    }
}
