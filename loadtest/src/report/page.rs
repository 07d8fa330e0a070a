//! Runs as one HTML page that needs nothing beside it: no script, no font, no network.

use std::fmt::Write;

use super::{
    campaign::{Campaign, Cell, distinct},
    charts::{self, Chart},
    date,
    escape::Html,
    fairness, number, runs,
};
use crate::result::RunResult;

const STYLE: &str = include_str!("page.css");
/// A longer table is folded, so that charts are seen without scrolling through it.
const UNFOLDED: usize = 30;

/// All runs as a page; ratios are against the first label.
pub fn page(results: &[RunResult]) -> String {
    page_against(results, results.first().map_or("", |run| &run.label))
}

/// All runs as a page; ratios are against the label `baseline`.
pub fn page_against(results: &[RunResult], baseline: &str) -> String {
    let campaign = Campaign::of(results);
    let mut html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        Html(&title(&campaign))
    );
    head(&mut html, &campaign);
    let charts: Vec<Chart> = charts::ratios(&campaign, baseline).into_iter().collect();
    if !charts.is_empty() {
        html.push_str("<main>\n<section id=\"comparison\">\n<h2>Comparison</h2>\n");
        draw(&mut html, &charts);
        html.push_str("</section>\n");
    } else {
        html.push_str("<main>\n");
    }
    table(&mut html, &campaign, results.len());
    for (number, cell) in campaign.cells.iter().enumerate() {
        section(&mut html, &campaign, cell, number);
    }
    html.push_str("</main>\n</body>\n</html>\n");
    html
}

fn title(campaign: &Campaign<'_>) -> String {
    format!("MSRP relay load: {}", campaign.labels.join(" · "))
}

fn head(html: &mut String, campaign: &Campaign<'_>) {
    let _ = writeln!(html, "<header>\n<h1>{}</h1>\n<dl>", Html(&title(campaign)));
    let mut fact = |name: &str, values: Vec<String>| {
        let _ = write!(html, "<dt>{name}</dt>");
        for value in values {
            let _ = writeln!(html, "<dd>{}</dd>", Html(&value));
        }
    };
    let runs = campaign.runs();
    fact("Runs", vec![format!("{} in {} cells", number::count(runs.clone().count() as u64), campaign.cells.len())]);
    fact("When", vec![date::span(runs.clone().map(|run| run.started))]);
    fact("Machine", fairness::machines(runs.clone()));
    fact("TLS", fairness::suites(runs));
    html.push_str("</dl>\n");
    for objection in fairness::objections(campaign) {
        let _ = writeln!(
            html,
            "<p class=\"objection\" role=\"alert\"><strong>⚠ Not a fair comparison:</strong> {}</p>",
            Html(&objection)
        );
    }
    html.push_str("<nav><a href=\"#runs\">All runs</a>");
    for (number, cell) in campaign.cells.iter().enumerate() {
        let _ = write!(html, " <a href=\"#cell-{number}\">{}</a>", Html(cell.name));
    }
    html.push_str("</nav>\n</header>\n");
}

fn table(html: &mut String, campaign: &Campaign<'_>, number: usize) {
    let open = if number <= UNFOLDED { " open" } else { "" };
    let _ = writeln!(
        html,
        "<section id=\"runs\">\n<h2>All runs</h2>\n<details{open}><summary>{number} runs, {} with errors, {} limited by the \
         generator</summary>\n{}</details>\n</section>",
        campaign.runs().filter(|run| !run.is_clean()).count(),
        campaign.runs().filter(|run| !run.generator.limits.is_empty()).count(),
        runs::table(campaign)
    );
}

fn section(html: &mut String, campaign: &Campaign<'_>, cell: &Cell<'_>, number: usize) {
    let _ = writeln!(
        html,
        "<section id=\"cell-{number}\">\n<h2>{}</h2>\n<p>{}</p>\n<p class=\"load\">{}</p>",
        Html(cell.name),
        Html(&cell.load.about),
        Html(&fairness::load(cell.load))
    );
    let runs = cell.labels.iter().flat_map(|repeats| &repeats.runs).filter(|run| !run.generator.limits.is_empty());
    for (label, limits) in distinct(runs.map(|run| (&run.label, run.generator.limits.join("; ")))) {
        let _ = writeln!(html, "<p class=\"warn\">⚠ {}: the generator was a limit: {}</p>", Html(label), Html(&limits));
    }
    for repeats in &cell.labels {
        if let Some(left_out) = cell.outcome(repeats.label).left_out() {
            let _ = writeln!(html, "<p class=\"bad\">✕ {}: {left_out}, with errors</p>", Html(repeats.label));
        }
    }
    draw(html, &charts::of_cell(campaign, cell, number));
    html.push_str("</section>\n");
}

fn draw(html: &mut String, charts: &[Chart]) {
    html.push_str("<div class=\"charts\">\n");
    for Chart { title, note, svg } in charts {
        let _ = writeln!(
            html,
            "<figure><figcaption><strong>{}</strong> <span>{}</span></figcaption>\n{svg}</figure>",
            Html(title),
            Html(note)
        );
    }
    html.push_str("</div>\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        report::sample::{campaign, costing, failing, limited, run, unmeasured},
        result::Figure,
    };

    #[test]
    fn nothing_from_a_file_becomes_markup() {
        const HOSTILE: &str = "\"'><script>alert(1)</script>&<!--";
        let mut run = failing(HOSTILE, HOSTILE, HOSTILE);
        run.counts.messages = 1;
        run.errors.get_mut(HOSTILE).unwrap().first = HOSTILE.to_owned();
        run.generator.limits = vec![HOSTILE.to_owned()];
        run.machine.processor = HOSTILE.to_owned();
        run.machine.kernel = HOSTILE.to_owned();
        run.tls.as_mut().unwrap().cipher = HOSTILE.to_owned();
        let scenario = &mut run.scenario;
        for words in [&mut scenario.about, &mut scenario.shape, &mut scenario.messages, &mut scenario.route] {
            *words = HOSTILE.to_owned();
        }
        let mut clean = costing(HOSTILE, HOSTILE, 3.0);
        clean.scenario = run.scenario.clone();
        let html = page(&[run, clean, costing("b", HOSTILE, 4.0)]);
        assert!(!html.contains("<script") && !html.contains("<!--"));
        assert!(html.matches("&lt;script&gt;").count() > 20);
        assert!(!html.contains("\"'>"));
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere() {
        let html = page(&campaign());
        for outside in ["http:", "https:", "src=", "@import", "url(", "<link", "<script", "<img"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn every_element_is_closed_and_every_id_is_its_own() {
        let html = page(&campaign());
        for tag in
            ["svg", "g", "text", "title", "section", "table", "tbody", "tr", "td", "figure", "p", "a", "dl", "details"]
        {
            let (open, bare) = (html.matches(&format!("<{tag} ")).count(), html.matches(&format!("<{tag}>")).count());
            assert_eq!(open + bare, html.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        let ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(ids.len(), distinct(ids.iter()).len());
        assert!(!html.contains("NaN") && !html.contains("inf"));
    }

    #[test]
    fn the_heading_tells_when_where_and_with_what() {
        let html = page(&[run("a", "c"), run("b", "c")]);
        for words in [
            "<h1>MSRP relay load: a · b</h1>",
            "<dd>2026-03-21 13:34 UTC</dd>",
            "<dd>AMD EPYC 7B13, 2 CPUs, Linux 6.18.44</dd>",
            "<dd>TLSv1_3 TLS13_AES_128_GCM_SHA256 X25519</dd>",
        ] {
            assert!(html.contains(words), "{words}");
        }
        assert!(!html.contains("Not a fair comparison"));
    }

    #[test]
    fn unlike_suites_limits_and_errors_are_told() {
        let mut other = limited("b", "c", 20.0);
        other.tls = None;
        let html = page(&[run("a", "c"), other, failing("d", "c", "refused-501")]);
        assert!(html.contains("Not a fair comparison:</strong> TLS differs"));
        assert!(html.contains("⚠ b: the generator was a limit: a worker had 98 % of its processor"));
        assert!(html.contains("2.00× ⚠"));
        assert!(html.contains("cannot: refused 501 ×1"));
        assert!(html.contains("3 runs, 1 with errors, 1 limited by the generator"));
    }

    #[test]
    fn figures_that_do_not_exist_are_not_drawn() {
        let mut timeless = run("a", "c");
        timeless.window = 0.0;
        timeless.series.iter_mut().for_each(|interval| interval.length = 0.0);
        let mut free = costing("b", "c", 0.0);
        free.relay.as_mut().unwrap().cpu = 0.0;
        let mut shrunk = run("d", "idle");
        shrunk.scenario.figure = Figure::MemoryPerSession;
        shrunk.relay.as_mut().unwrap().pss_per_session = Some(-3.0);
        let html = page(&[timeless, free, unmeasured("d", "c"), costing("e", "c", 5.0), shrunk]);
        assert!(!html.contains("NaN") && !html.contains("inf"));
        assert!(html.contains("not measured") && html.contains("0, no ratio") && html.contains("-3.00"));
    }

    #[test]
    fn nothing_is_a_page_too() {
        assert!(page(&[]).contains("<dd>never</dd>"));
    }
}
