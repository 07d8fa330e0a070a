//! A chart of lines: one per label, over an axis they share.

use super::{
    scale::Scale,
    svg::{Anchor, Drawing, fit, width},
};

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 24.0;
const BOTTOM: f64 = 46.0;
/// A legend's line.
const ROW: f64 = 20.0;
/// The widest name in a legend.
const NAME: f64 = 220.0;
/// More points than that are not marked one by one.
const MARKS: usize = 40;

/// A chart of lines.
pub(super) struct Plot<'a> {
    /// Unique in the page.
    pub(super) id: String,
    pub(super) title: String,
    pub(super) x: Axis,
    pub(super) y: Axis,
    pub(super) lines: Vec<Line<'a>>,
}

/// What is measured along an edge.
pub(super) struct Axis {
    /// With its unit.
    pub(super) name: String,
    pub(super) scale: Scale,
    /// How its values are written.
    pub(super) show: fn(f64) -> String,
}

/// What one label has to show.
pub(super) struct Line<'a> {
    pub(super) label: &'a str,
    /// The label's place among all: its colour and marker.
    pub(super) place: usize,
    /// Of a run that the generator limited.
    pub(super) limited: bool,
    /// Of a run with errors.
    pub(super) spoiled: bool,
    /// In order of x. Where there is nothing, the line breaks.
    pub(super) points: Vec<Option<(f64, f64)>>,
    /// The points that have a marker and a tooltip; all of them, or every n-th, if there are none here.
    pub(super) marked: Vec<(f64, f64)>,
    /// Where errors were found, and how many.
    pub(super) errors: Vec<(f64, f64, u64)>,
}

/// The chart as SVG.
pub(super) fn draw(plot: &Plot<'_>) -> String {
    let legend = legend(&plot.lines);
    let top = ROW * legend.last().map_or(0.0, |(_, row, _)| row + 1.0) + 34.0;
    let frame = Frame { plot, top, bottom: top + HEIGHT };
    let mut drawing = Drawing::new(WIDTH, frame.bottom + BOTTOM);
    for (x, row, line) in legend {
        let y = 14.0 + ROW * row;
        drawing.curve(line.place, line.spoiled, &[(x, y - 4.0), (x + 22.0, y - 4.0)], line.label);
        drawing.marker(line.place, (x + 11.0, y - 4.0), line.label);
        drawing.fitted("name", Anchor::Start, (x + 28.0, y), NAME, &named(line));
    }
    frame.axes(&mut drawing);
    plot.lines.iter().for_each(|line| frame.line(&mut drawing, line));
    drawing.finish(&plot.id, &plot.title, &described(plot))
}

/// Each line's place in the legend: from the left, and in which row.
fn legend<'p, 'a>(lines: &'p [Line<'a>]) -> Vec<(f64, f64, &'p Line<'a>)> {
    let (mut x, mut row) = (LEFT, 0.0);
    let mut places = Vec::new();
    for line in lines {
        let needed = 28.0 + width(&fit(&named(line), NAME)) + 18.0;
        if x > LEFT && x + needed > WIDTH {
            (x, row) = (LEFT, row + 1.0);
        }
        places.push((x, row, line));
        x += needed;
    }
    places
}

fn named(line: &Line<'_>) -> String {
    let remark = match line {
        Line { spoiled: true, .. } => " (errors)",
        Line { limited: true, .. } => " ⚠",
        _ => return line.label.to_owned(),
    };
    // The label is cut, but never the remark.
    format!("{}{remark}", fit(line.label, NAME - width(remark)))
}

/// What the chart says, for those who do not see it.
fn described(plot: &Plot<'_>) -> String {
    let lines = plot.lines.iter().map(|line| {
        let points = marked(line).into_iter().step_by((marked(line).len() / 8).max(1));
        let points = points.map(|(x, y)| format!("{} at {}", (plot.y.show)(y), (plot.x.show)(x)));
        format!("{}: {}", named(line), points.collect::<Vec<_>>().join(", "))
    });
    format!("{} over {}. {}", plot.y.name, plot.x.name, lines.collect::<Vec<_>>().join(". "))
}

fn marked(line: &Line<'_>) -> Vec<(f64, f64)> {
    let all = || line.points.iter().flatten().copied();
    let every = all().count().div_ceil(MARKS).max(1);
    if line.marked.is_empty() { all().step_by(every).collect() } else { line.marked.clone() }
}

/// Where things stand in the drawing.
struct Frame<'p, 'a> {
    plot: &'p Plot<'a>,
    top: f64,
    bottom: f64,
}

impl Frame<'_, '_> {
    fn at(&self, x: f64, y: f64) -> (f64, f64) {
        let across = LEFT + self.plot.x.scale.place(x) * (WIDTH - RIGHT - LEFT);
        (across, self.bottom - self.plot.y.scale.place(y) * (self.bottom - self.top))
    }

    fn axes(&self, drawing: &mut Drawing) {
        let Plot { x, y, .. } = self.plot;
        for tick in y.scale.ticks() {
            let level = self.bottom - y.scale.place(tick) * (self.bottom - self.top);
            drawing.line("grid", (LEFT, level), (WIDTH - RIGHT, level));
            drawing.text("tick", Anchor::End, (LEFT - 8.0, level + 4.0), &(y.show)(tick));
        }
        for tick in x.scale.ticks() {
            let across = LEFT + x.scale.place(tick) * (WIDTH - RIGHT - LEFT);
            drawing.line("grid", (across, self.top), (across, self.bottom));
            drawing.text("tick", Anchor::Middle, (across, self.bottom + 18.0), &(x.show)(tick));
        }
        drawing.line("axis", (LEFT, self.top), (LEFT, self.bottom));
        drawing.line("axis", (LEFT, self.bottom), (WIDTH - RIGHT, self.bottom));
        // Above its axis and not along it: read without turning the head.
        drawing.text("axis-name", Anchor::Start, (8.0, self.top - 12.0), &y.name);
        drawing.text("axis-name", Anchor::End, (WIDTH - RIGHT, self.bottom + 38.0), &x.name);
    }

    fn line(&self, drawing: &mut Drawing, line: &Line<'_>) {
        for part in line.points.split(Option::is_none).filter(|part| part.len() > 1) {
            let part: Vec<_> = part.iter().flatten().map(|(x, y)| self.at(*x, *y)).collect();
            drawing.curve(line.place, line.spoiled, &part, line.label);
        }
        for (x, y) in marked(line) {
            let title = format!("{}: {} at {}", line.label, (self.plot.y.show)(y), (self.plot.x.show)(x));
            drawing.marker(line.place, self.at(x, y), &title);
        }
        for (x, y, errors) in &line.errors {
            let title = format!("{}: {errors} errors at {}", line.label, (self.plot.x.show)(*x));
            drawing.cross(self.at(*x, *y), &title);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::number::short;

    fn plot(points: Vec<Option<(f64, f64)>>) -> String {
        let axis = |to| Axis { name: format!("up to {to}"), scale: Scale::upto(to), show: short };
        let line = Line {
            label: "a<b",
            place: 0,
            limited: true,
            spoiled: false,
            points,
            marked: vec![],
            errors: vec![(1.0, 1.0, 7)],
        };
        draw(&Plot { id: "p".into(), title: "t".into(), x: axis(10.0), y: axis(100.0), lines: vec![line] })
    }

    #[test]
    fn a_line_breaks_where_there_is_nothing() {
        let whole = plot(vec![Some((0.0, 1.0)), Some((1.0, 2.0)), Some((2.0, 2.0)), Some((3.0, 2.0))]);
        let broken = plot(vec![Some((0.0, 1.0)), Some((1.0, 2.0)), None, Some((2.0, 2.0)), Some((3.0, 2.0))]);
        let curves = |svg: &str| svg.matches("class=\"curve").count();
        assert_eq!((curves(&whole), curves(&broken)), (2, 3)); // one of them in the legend
    }

    #[test]
    fn the_chart_can_be_read_without_being_seen() {
        let svg = plot(vec![Some((2.5, 50.0))]);
        assert!(svg.contains("up to 100 over up to 10. a&lt;b ⚠: 50 at 2.5</desc>"), "{svg}");
        assert!(svg.contains("<title>a&lt;b: 50 at 2.5</title>") && svg.contains("7 errors at 1"), "{svg}");
        assert!(svg.contains("role=\"img\"") && !svg.contains("a<b"));
    }

    #[test]
    fn many_points_are_not_all_marked() {
        let svg = plot((0..400).map(|n| Some((f64::from(n) / 40.0, 3.0))).collect());
        assert_eq!(svg.matches("class=\"marker").count(), 41);
    }
}
