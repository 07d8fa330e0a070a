//! Labels against a baseline, as Markdown tables to quote.

use std::fmt::Write;

use super::{
    campaign::{Campaign, Cell, distinct},
    date,
    escape::Markdown,
    fairness, number,
    outcome::Outcome,
};
use crate::result::{Figure, RunResult};

const LIMITED: &str = "†";

/// All runs as Markdown: figures and their ratios to `baseline`, throughput and latency, and where they were measured.
pub fn markdown(results: &[RunResult], baseline: &str) -> String {
    let campaign = Campaign::of(results);
    let mut text = String::new();
    for objection in fairness::objections(&campaign) {
        let _ = writeln!(text, "> **⚠ NOT A FAIR COMPARISON:** {}\n", Markdown(&objection));
    }
    if !campaign.labels.contains(&baseline) {
        let _ = writeln!(text, "> No run is of the baseline “{}”: there are no ratios.\n", Markdown(baseline));
    }
    figures(&mut text, &campaign, baseline);
    throughput(&mut text, &campaign);
    limits(&mut text, &campaign);
    circumstances(&mut text, &campaign);
    text
}

fn figures(text: &mut String, campaign: &Campaign<'_>, baseline: &str) {
    let others: Vec<&str> = match campaign.labels.contains(&baseline) {
        true => campaign.labels.iter().copied().filter(|label| *label != baseline).collect(),
        false => Vec::new(),
    };
    text.push_str("## Figures\n\nMedian of the clean repeats, least and greatest in brackets. Less is better.\n\n");
    let labels = campaign.labels.iter().map(|label| Markdown(label).to_string());
    let ratios = others.iter().map(|label| format!("{} / {}", Markdown(label), Markdown(baseline)));
    let heading: Vec<String> = ["cell", "figure"].map(String::from).into_iter().chain(labels).chain(ratios).collect();
    head(text, &heading, 2);
    for cell in &campaign.cells {
        let figures = campaign.labels.iter().map(|label| figure(&cell.outcome(label)));
        let ratios = others.iter().map(|label| ratio(cell, label, baseline));
        let names = [cell.name.to_owned(), cell.figure.title().to_owned()].into_iter();
        row(text, names.chain(figures).chain(ratios));
    }
    text.push('\n');
}

fn figure(outcome: &Outcome<'_>) -> String {
    let text = outcome.text(number::significant, LIMITED);
    outcome.left_out().map_or(text.clone(), |left_out| format!("{text}, {left_out}"))
}

fn ratio(cell: &Cell<'_>, label: &str, baseline: &str) -> String {
    let (of, base) = (cell.outcome(label), cell.outcome(baseline));
    let mark = if of.is_limited() || base.is_limited() { LIMITED } else { "" };
    of.over(&base).map_or(number::NONE.to_owned(), |ratio| format!("{}×{mark}", number::significant(ratio.median)))
}

fn throughput(text: &mut String, campaign: &Campaign<'_>) {
    text.push_str(
        "## Throughput and time to delivery\n\nMedian of the clean repeats, least and greatest in brackets.\n\n",
    );
    head(text, &["cell", "label", "throughput", "delivery p50", "delivery p99"].map(String::from), 2);
    for cell in &campaign.cells {
        let (unit, rate) = rate(cell);
        for repeats in &cell.labels {
            let outcome = cell.measured(repeats.label, rate);
            let unit = if matches!(outcome, Outcome::Measured { .. }) { unit } else { "" };
            let rate = format!("{}{unit}", outcome.text(number::significant, LIMITED));
            let [p50, p99] = [0.5, 0.99].map(|share| {
                match cell.measured(repeats.label, |run| run.latencies.delivery.quantile(share)) {
                    outcome @ Outcome::Measured { .. } => outcome.text(number::time, LIMITED),
                    _ => number::NONE.to_owned(),
                }
            });
            row(text, [cell.name.to_owned(), repeats.label.to_owned(), rate, p50, p99].into_iter());
        }
    }
    text.push('\n');
}

/// How fast a load of this kind is, and in which unit. A rate of nothing is no rate.
fn rate(cell: &Cell<'_>) -> (&'static str, fn(&RunResult) -> Option<f64>) {
    match cell.figure {
        Figure::CpuPerMegabyte => (" MB/s", |run| Some(run.megabyte_rate()).filter(|rate| *rate > 0.0)),
        Figure::CpuPerSession => {
            (" sessions/s", |run| Some(run.counts.set_up as f64 / run.window).filter(|rate| *rate > 0.0))
        }
        Figure::CpuPerMessage | Figure::MemoryPerSession | Figure::DeliveryP99 => {
            (" messages/s", |run| Some(run.message_rate()).filter(|rate| *rate > 0.0))
        }
    }
}

fn limits(text: &mut String, campaign: &Campaign<'_>) {
    let limited = campaign.runs().filter(|run| run.is_clean() && !run.generator.limits.is_empty());
    let reasons = distinct(limited.map(|run| {
        format!("{}, {}: {}", Markdown(&run.cell), Markdown(&run.label), Markdown(&run.generator.limits.join("; ")))
    }));
    if !reasons.is_empty() {
        let _ = writeln!(
            text,
            "{LIMITED} The generator was at a limit in at least one of the repeats; what is limited so says more about the generator than \
             about the relay:\n"
        );
        reasons.iter().for_each(|reason| _ = writeln!(text, "* {reason}"));
        text.push('\n');
    }
}

fn circumstances(text: &mut String, campaign: &Campaign<'_>) {
    let runs = campaign.runs();
    text.push_str("## Circumstances\n\n");
    for machine in distinct(runs.clone().map(|run| &run.machine)) {
        let _ = writeln!(text, "* machine: {}, {} CPUs", Markdown(&machine.processor), machine.cpus);
        let _ = writeln!(text, "* kernel: {}", Markdown(&machine.kernel));
    }
    let _ = writeln!(text, "* date: {}", date::span(runs.clone().map(|run| run.started)));
    for suite in fairness::suites(runs) {
        let _ = writeln!(text, "* TLS: {}", Markdown(&suite));
    }
    for cell in &campaign.cells {
        let repeats = cell.labels.iter().map(|repeats| format!("{} ×{}", Markdown(repeats.label), repeats.runs.len()));
        let _ = writeln!(
            text,
            "* {}: {} – {}",
            Markdown(cell.name),
            Markdown(&fairness::load(cell.load)),
            repeats.collect::<Vec<_>>().join("; ")
        );
    }
}

/// A heading whose first columns are words and whose others are figures.
fn head(text: &mut String, names: &[String], words: usize) {
    let rules = (0..names.len()).map(|n| if n < words { "---" } else { "--:" });
    let _ = writeln!(text, "| {} |\n| {} |", names.join(" | "), rules.collect::<Vec<_>>().join(" | "));
}

fn row(text: &mut String, fields: impl Iterator<Item = String>) {
    let fields: Vec<String> = fields.map(|field| Markdown(&field).to_string()).collect();
    let _ = writeln!(text, "| {} |", fields.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{campaign, costing, failing, limited, run, unmeasured};

    fn line<'t>(text: &'t str, begin: &str) -> &'t str {
        text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("no {begin} in:\n{text}"))
    }

    #[test]
    fn medians_and_ratios_stand_in_their_columns() {
        let results = [
            costing("kamailio", "chat", 31.0),
            costing("chappe", "chat", 12.0),
            costing("chappe", "chat", 10.0),
            costing("kamailio", "chat", 30.0),
            costing("kamailio", "chat", 36.0),
            costing("chappe", "chat", 8.0),
        ];
        let text = markdown(&results, "chappe");
        assert_eq!(line(&text, "| cell"), "| cell | figure | kamailio | chappe | kamailio / chappe |");
        assert_eq!(
            line(&text, "| chat"),
            "| chat | relay CPU, µs per message | 31.0 (30.0–36.0) | 10.0 (8.00–12.0) | 3.10× |"
        );
        assert!(
            line(&text, "* chat").ends_with("1 in flight, 200 B, both authenticated, TLS – kamailio ×3; chappe ×3")
        );
        assert!(text.contains("* kernel: Linux 6.18.44\n* date: 2026-03-21 13:34 UTC\n* TLS: TLSv1\\_3 "), "{text}");
        assert!(!text.contains("NOT A FAIR") && !text.contains('†'), "{text}");
    }

    #[test]
    fn what_cannot_carry_the_load_has_no_figure() {
        let results = [
            run("a", "c"),
            failing("b", "c", "refused-501"),
            failing("b", "c", "refused-501"),
            costing("d", "c", 20.0),
            failing("d", "c", "lost"),
        ];
        let text = markdown(&results, "a");
        let fields: Vec<&str> = line(&text, "| c |").split(" | ").collect();
        assert!(
            fields[3].starts_with("cannot: refused 501 ×2 (“MSRP a786hjs2 refused-501 &lt;sip:&amp;&gt;"),
            "{text}"
        );
        assert_eq!(fields[4..], ["20.0, 1 of 2 left out", "–", "2.00× |"]);
    }

    #[test]
    fn limited_figures_are_marked_and_explained() {
        let text = markdown(&[run("a", "c"), limited("b", "c", 5.0)], "a");
        assert!(line(&text, "| c |").ends_with("| 10.0 | 5.00† | 0.500×† |"), "{text}");
        assert!(line(&text, "* c, b").ends_with("a worker had 98 % of its processor"), "{text}");
    }

    #[test]
    fn rates_have_the_unit_of_their_load() {
        let mut bulk = unmeasured("a", "files");
        bulk.scenario.figure = Figure::CpuPerMegabyte;
        bulk.counts.octets = 1_230_000_000;
        let text = markdown(&[run("a", "chat"), bulk], "a");
        assert!(line(&text, "| files | relay CPU, µs per MB").ends_with("| not measured |"), "{text}");
        assert!(line(&text, "| files | a").starts_with("| files | a | 123 MB/s | "), "{text}");
        assert!(line(&text, "| chat | a").contains(" messages/s | "), "{text}");
    }

    #[test]
    fn unlike_suites_are_told_first() {
        let mut other = run("b", "c");
        other.tls.as_mut().unwrap().version = "TLSv1_2".to_owned();
        let text = markdown(&[run("a", "c"), other], "a");
        assert!(text.starts_with("> **⚠ NOT A FAIR COMPARISON:** TLS differs – a: TLSv1\\_3 "), "{text}");
    }

    #[test]
    fn a_label_cannot_break_the_table() {
        let text = markdown(&[run("a|b\n<i>", "c"), run("d", "c")], "d");
        assert_eq!(line(&text, "| cell"), "| cell | figure | a\\|b &lt;i&gt; | d | a\\|b &lt;i&gt; / d |");
    }

    #[test]
    fn without_the_baseline_there_are_no_ratios() {
        let text = markdown(&[run("a", "c"), run("b", "c")], "nobody");
        assert!(text.contains("No run is of the baseline “nobody”"));
        assert_eq!(line(&text, "| cell"), "| cell | figure | a | b |");
    }

    #[test]
    fn every_row_has_as_many_fields_as_its_heading() {
        let text = markdown(&campaign(), "chappe");
        let mut columns = 0;
        for row in text.lines().filter(|line| line.starts_with("| ")) {
            let fields = row.replace("\\|", "").matches('|').count();
            columns = if row.starts_with("| cell |") { fields } else { columns };
            assert_eq!(fields, columns, "{row}");
        }
    }
}
