//! The table of all runs, in HTML.

use std::fmt::Write;

use super::{
    campaign::{Campaign, Repeats},
    date,
    escape::{Html, shortened},
    number, svg,
};
use crate::result::{RelayUse, RunResult};

const COLUMNS: usize = 14;
/// Longer labels are cut; the whole is their tooltip.
const LABEL: usize = 26;

/// A row for every run, cell by cell, and below it what is wrong with it.
pub(super) fn table(campaign: &Campaign<'_>) -> String {
    let mut html = String::from(HEAD);
    for cell in &campaign.cells {
        let _ = writeln!(
            html,
            "<tbody><tr class=\"cell\"><th colspan=\"{COLUMNS}\" scope=\"rowgroup\">{}</th></tr>",
            Html(cell.name)
        );
        for repeats in &cell.labels {
            for (number, run) in repeats.runs.iter().enumerate() {
                row(&mut html, campaign.place(repeats.label), &name(repeats, number), run);
                notes(&mut html, run);
            }
        }
        html.push_str("</tbody>\n");
    }
    html.push_str("</table></div>\n");
    html
}

const HEAD: &str = "<div class=\"wide\"><table class=\"runs\">\n<thead>\
    <tr><th rowspan=\"2\" scope=\"col\" class=\"words\">Cell and label</th>\
    <th colspan=\"2\" scope=\"colgroup\">Throughput</th><th colspan=\"5\" scope=\"colgroup\">Time to delivery</th>\
    <th rowspan=\"2\" scope=\"col\">Set-up<br>p50</th><th colspan=\"3\" scope=\"colgroup\">Relay CPU, µs per</th>\
    <th rowspan=\"2\" scope=\"col\">Memory,<br>kB PSS per<br>session</th>\
    <th rowspan=\"2\" scope=\"col\">Generator,<br>share of<br>a CPU</th></tr>\n\
    <tr><th scope=\"col\">messages/s</th><th scope=\"col\">MB/s</th><th scope=\"col\">p50</th><th scope=\"col\">p90</th>\
    <th scope=\"col\">p99</th><th scope=\"col\">p99.9</th><th scope=\"col\">max</th><th scope=\"col\">message</th>\
    <th scope=\"col\">MB</th><th scope=\"col\">session</th></tr></thead>\n";

/// With the number of the repeat, which a long label must not push out of sight.
fn name(repeats: &Repeats<'_>, number: usize) -> String {
    let label = shortened(repeats.label, LABEL);
    if repeats.runs.len() > 1 { format!("{label} #{}", number + 1) } else { label }
}

fn row(html: &mut String, place: usize, name: &str, run: &RunResult) {
    let sign = match (run.generator.limits.is_empty(), run.is_clean()) {
        (_, false) => "<span class=\"bad\" title=\"with errors\">✕</span> ",
        (false, true) => "<span class=\"warn\" title=\"the generator was a limit\">⚠</span> ",
        (true, true) => "",
    };
    let _ = write!(
        html,
        "<tr><th scope=\"row\" title=\"{}, {}\"><span class=\"swatch {}\"></span>{sign}{}</th>",
        Html(&run.label),
        Html(&date::minute(run.started)),
        svg::series(place),
        Html(name)
    );
    for figure in figures(run) {
        let _ = write!(html, "<td>{figure}</td>");
    }
    html.push_str("</tr>\n");
}

/// All of them written by this program, so that they need no escaping.
fn figures(run: &RunResult) -> [String; COLUMNS - 1] {
    let delivery = &run.latencies.delivery;
    let rate = |count: u64, rate: f64| if count > 0 { number::significant(rate) } else { number::NONE.to_owned() };
    let time = |share| number::optional_time(delivery.quantile(share));
    let relay = |of: fn(&RelayUse) -> Option<f64>| number::optional(run.relay.as_ref().and_then(of));
    [
        rate(run.counts.messages, run.message_rate()),
        rate(run.counts.octets, run.megabyte_rate()),
        time(0.5),
        time(0.9),
        time(0.99),
        time(0.999),
        number::optional_time(delivery.max()),
        number::optional_time(run.latencies.set_up.quantile(0.5)),
        relay(|relay| relay.cpu_per_message),
        relay(|relay| relay.cpu_per_megabyte),
        relay(|relay| relay.cpu_per_session),
        relay(|relay| relay.pss_per_session),
        number::share(run.generator.share),
    ]
}

fn notes(html: &mut String, run: &RunResult) {
    let mut note = |class: &str, text: &str| {
        let _ = writeln!(
            html,
            "<tr class=\"note\"><td></td><td colspan=\"{}\" class=\"words {class}\">{}</td></tr>",
            COLUMNS - 1,
            Html(text)
        );
    };
    if !run.generator.limits.is_empty() {
        note(
            "warn",
            &format!("⚠ says more about the generator than about the relay: {}", run.generator.limits.join("; ")),
        );
    }
    for (kind, fault) in &run.errors {
        note("bad", &format!("✕ {kind} ×{} – the first: {}", number::count(fault.count), fault.first));
    }
    if run.errors.is_empty() && !run.is_clean() {
        note("bad", "✕ nothing happened in the window");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample::{failing, limited, run};

    fn html(results: &[RunResult]) -> String {
        table(&Campaign::of(results))
    }

    #[test]
    fn every_row_has_a_field_for_every_column() {
        let html = html(&[run("a", "c")]);
        let row = html.lines().find(|line| line.contains("scope=\"row\"")).unwrap();
        assert_eq!(row.matches("<td").count() + 1, COLUMNS, "{row}");
        assert!(row.contains("<td>10.0</td>") && row.contains("<td>31 %</td>"), "{row}");
    }

    #[test]
    fn limits_and_errors_stand_below_their_run() {
        let html = html(&[limited("a", "c", 1.0), failing("b", "c", "refused-501"), failing("b", "c", "lost")]);
        assert!(
            html.contains("⚠ says more about the generator than about the relay: a worker had 98 % of its processor")
        );
        assert!(html.contains("✕ refused-501 ×1 – the first: MSRP a786hjs2 refused-501 &lt;sip:&amp;&gt;"), "{html}");
        assert!(html.contains("b #1</th>") && html.contains("b #2</th>"));
    }
}
