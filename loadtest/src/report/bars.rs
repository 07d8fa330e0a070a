//! A chart of horizontal bars in groups, each with the spread of its repeats.

use super::{
    outcome::Spread,
    scale::Scale,
    svg::{Anchor, Drawing},
};

/// A chart of half the page's width.
pub(super) const HALF: Width = Width { whole: 600.0, names: 150.0, figures: 176.0 };
/// A chart of the page's whole width.
pub(super) const WHOLE: Width = Width { whole: 1200.0, names: 320.0, figures: 220.0 };

const ROW: f64 = 24.0;
const HEADING: f64 = 26.0;
const BOTTOM: f64 = 44.0;
/// Bold type is wider by this factor.
const BOLD: f64 = 1.15;

/// How the width of a chart is shared.
#[derive(Clone, Copy)]
pub(super) struct Width {
    whole: f64,
    /// Left of the bars.
    names: f64,
    /// Right of the bars.
    figures: f64,
}

/// A chart of bars.
pub(super) struct Bars<'a> {
    /// Unique in the page.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) width: Width,
    /// What the axis measures, with its unit.
    pub(super) axis: String,
    pub(super) scale: Scale,
    /// Where bars begin.
    pub(super) origin: f64,
    /// How values at the axis are written.
    pub(super) show: fn(f64) -> String,
    pub(super) groups: Vec<Group<'a>>,
}

/// Bars that are compared with each other.
pub(super) struct Group<'a> {
    /// Nothing if there is only one group.
    pub(super) name: Option<String>,
    pub(super) bars: Vec<Bar<'a>>,
}

/// One label's bar.
pub(super) struct Bar<'a> {
    pub(super) label: &'a str,
    /// The label's place among all: its colour.
    pub(super) place: usize,
    /// Nothing if there is no figure.
    pub(super) spread: Option<Spread>,
    /// The figure in words, or why there is none.
    pub(super) text: String,
    /// Whether the words tell of a failure.
    pub(super) failed: bool,
    /// What else is to be known, as a tooltip.
    pub(super) note: String,
}

/// The chart as SVG.
pub(super) fn draw(chart: &Bars<'_>) -> String {
    let height =
        |group: &Group<'_>| group.bars.len() as f64 * ROW + if group.name.is_some() { HEADING + 8.0 } else { 4.0 };
    let bottom: f64 = chart.groups.iter().map(height).sum();
    let mut drawing = Drawing::new(chart.width.whole, bottom + BOTTOM);
    axis(&mut drawing, chart, bottom);
    let mut y = 0.0;
    for group in &chart.groups {
        let mut row = y;
        if let Some(name) = &group.name {
            row += HEADING;
            drawing.fitted("group halo", Anchor::Start, (8.0, y + 18.0), (chart.width.whole - 16.0) / BOLD, name);
        }
        for bar in &group.bars {
            draw_bar(&mut drawing, chart, bar, row);
            row += ROW;
        }
        y += height(group);
    }
    drawing.finish(&chart.id, &chart.title, &described(chart))
}

fn across(chart: &Bars<'_>, value: f64) -> f64 {
    let Width { whole, names, figures } = chart.width;
    names + chart.scale.place(value) * (whole - figures - names)
}

fn axis(drawing: &mut Drawing, chart: &Bars<'_>, bottom: f64) {
    for tick in chart.scale.ticks() {
        let x = across(chart, tick);
        drawing.line("grid", (x, 0.0), (x, bottom));
        drawing.text("tick", Anchor::Middle, (x, bottom + 16.0), &(chart.show)(tick));
    }
    let origin = across(chart, chart.origin);
    drawing.line("axis", (origin, 0.0), (origin, bottom));
    let Width { whole, names, figures } = chart.width;
    drawing.text("axis-name", Anchor::Middle, ((names + whole - figures) / 2.0, bottom + 36.0), &chart.axis);
}

fn draw_bar(drawing: &mut Drawing, chart: &Bars<'_>, bar: &Bar<'_>, y: f64) {
    let Width { whole, names, figures } = chart.width;
    let baseline = y + 16.0;
    drawing.fitted("name", Anchor::End, (names - 10.0, baseline), names - 16.0, bar.label);
    let Some(Spread { median, min, max }) = bar.spread else {
        let class = if bar.failed { "failed halo" } else { "muted halo" };
        drawing.fitted(class, Anchor::Start, (names + 8.0, baseline), whole - names - 12.0, &bar.text);
        return;
    };
    let (origin, end) = (across(chart, chart.origin), across(chart, median));
    let title = if bar.note.is_empty() {
        format!("{}: {}", bar.label, bar.text)
    } else {
        format!("{}: {}\n{}", bar.label, bar.text, bar.note)
    };
    drawing.bar(bar.place, (origin.min(end), y + 5.0), ((end - origin).abs().max(1.0), 14.0), &title);
    if min < max {
        let (low, high, middle) = (across(chart, min), across(chart, max), y + 12.0);
        drawing.line("whisker", (low, middle), (high, middle));
        drawing.line("whisker", (low, middle - 4.0), (low, middle + 4.0));
        drawing.line("whisker", (high, middle - 4.0), (high, middle + 4.0));
    }
    drawing.fitted("figure", Anchor::Start, (whole - figures + 12.0, baseline), figures - 14.0, &bar.text);
}

/// What the chart says, for those who do not see it.
fn described(chart: &Bars<'_>) -> String {
    let groups = chart.groups.iter().map(|group| {
        let bars = group.bars.iter().map(|bar| format!("{}: {}", bar.label, bar.text)).collect::<Vec<_>>().join("; ");
        group.name.as_ref().map_or(bars.clone(), |name| format!("{name} – {bars}"))
    });
    format!("{}. {}", chart.axis, groups.collect::<Vec<_>>().join(". "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::number::short;

    fn bar(label: &str, spread: Option<Spread>) -> Bar<'_> {
        let text = if spread.is_some() { "the figure" } else { "cannot: <b>" };
        Bar { label, place: 0, spread, text: text.into(), failed: spread.is_none(), note: String::new() }
    }

    fn chart(scale: Scale, origin: f64, bars: Vec<Bar<'_>>) -> String {
        let groups = vec![Group { name: Some("cell".into()), bars }];
        draw(&Bars {
            id: "b".into(),
            title: "t".into(),
            width: HALF,
            axis: "µs".into(),
            scale,
            origin,
            show: short,
            groups,
        })
    }

    fn spread(median: f64) -> Option<Spread> {
        Some(Spread { median, min: median / 2.0, max: median * 2.0 })
    }

    #[test]
    fn bars_are_as_long_as_their_medians_and_have_whiskers() {
        let svg = chart(Scale::upto(10.0), 0.0, vec![bar("a", spread(5.0))]);
        let half = (HALF.whole - HALF.figures - HALF.names) / 2.0;
        assert!(svg.contains(&format!("width=\"{half:.1}\"")), "{svg}");
        assert_eq!(svg.matches("class=\"whisker\"").count(), 3);
    }

    #[test]
    fn a_bar_below_its_origin_goes_to_the_left() {
        let svg = chart(Scale::Log { from: 0.25, to: 4.0 }, 1.0, vec![bar("a", spread(0.5))]);
        let quarter = (HALF.whole - HALF.figures - HALF.names) / 4.0;
        assert!(svg.contains(&format!("x=\"{:.1}\" y=\"31.0\" width=\"{quarter:.1}\"", HALF.names + quarter)), "{svg}");
    }

    #[test]
    fn where_there_is_no_figure_there_is_the_reason() {
        let svg = chart(Scale::upto(1.0), 0.0, vec![bar("a", None)]);
        assert!(svg.contains("class=\"failed halo start\"") && svg.contains("cannot: &lt;b&gt;"), "{svg}");
        assert!(!svg.contains("class=\"bar"));
        assert!(svg.contains("cell – a: cannot: &lt;b&gt;</desc>"), "{svg}");
    }
}
