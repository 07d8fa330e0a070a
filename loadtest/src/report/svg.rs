//! What charts are drawn with.

use std::fmt::Write;

use super::escape::Html;

/// Colours for labels; the page's style sheet has as many. More labels repeat them with broken lines.
const COLOURS: usize = 8;
/// The width of a character of the page's small type, on average.
const CHARACTER: f64 = 6.7;

/// A drawing.
pub(super) struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// Which end of a text is put to its place.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Drawing {
    pub(super) fn new(width: f64, height: f64) -> Drawing {
        Drawing { width, height, body: String::new() }
    }

    /// The whole, with what a screen reader says of it. `id` is unique in the page.
    pub(super) fn finish(self, id: &str, title: &str, desc: &str) -> String {
        let Drawing { width, height, body } = self;
        format!(
            "<svg viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>\n{body}</svg>\n",
            Html(title),
            Html(desc)
        )
    }

    pub(super) fn line(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.put(format_args!(
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
        ));
    }

    pub(super) fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        self.put(format_args!(
            "<text class=\"{class} {}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>\n",
            anchor.class(),
            Html(text)
        ));
    }

    /// As much of a text as fits the width; the whole of it is its tooltip.
    pub(super) fn fitted(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), width: f64, text: &str) {
        self.put(format_args!(
            "<text class=\"{class} {}\" x=\"{x:.1}\" y=\"{y:.1}\">{}<title>{}</title></text>\n",
            anchor.class(),
            Html(&fit(text, width)),
            Html(text)
        ));
    }

    pub(super) fn bar(&mut self, place: usize, (x, y): (f64, f64), (width, height): (f64, f64), title: &str) {
        self.put(format_args!(
            "<rect class=\"bar {}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\">\
             <title>{}</title></rect>\n",
            series(place),
            Html(title)
        ));
    }

    /// A line through points; `dotted` if what it shows is not to be trusted.
    pub(super) fn curve(&mut self, place: usize, dotted: bool, points: &[(f64, f64)], title: &str) {
        let mut path = String::new();
        for (n, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if n == 0 { "M" } else { "L" });
        }
        let dotted = if dotted { " dotted" } else { "" };
        self.put(format_args!(
            "<path class=\"curve {}{dotted}\" d=\"{path}\"><title>{}</title></path>\n",
            series(place),
            Html(title)
        ));
    }

    /// A small shape of the label's own, so that colour is not all that tells it from others.
    pub(super) fn marker(&mut self, place: usize, (x, y): (f64, f64), title: &str) {
        let shape = match place % 4 {
            0 => "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0Z",
            1 => "M-3 -3H3V3H-3Z",
            2 => "M0 -4.2L4 3H-4Z",
            _ => "M0 -4.4L4.4 0L0 4.4L-4.4 0Z",
        };
        self.put(format_args!(
            "<path class=\"marker {}\" transform=\"translate({x:.1} {y:.1})\" d=\"{shape}\"><title>{}</title></path>\n",
            series(place),
            Html(title)
        ));
    }

    /// A cross for errors.
    pub(super) fn cross(&mut self, (x, y): (f64, f64), title: &str) {
        self.put(format_args!(
            "<path class=\"cross\" transform=\"translate({x:.1} {y:.1})\" d=\"M-4 -4L4 4M-4 4L4 -4\"><title>{}</title></path>\n",
            Html(title)
        ));
    }

    fn put(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = self.body.write_fmt(element);
    }
}

impl Anchor {
    fn class(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// The class that has a label's colour.
pub(super) fn series(place: usize) -> String {
    format!("s{}{}", place % COLOURS, if place < COLOURS { "" } else { " again" })
}

/// How wide a text of the small type is, about.
pub(super) fn width(text: &str) -> f64 {
    // Scripts from Hangul on are mostly drawn in squares.
    text.chars()
        .map(|c| if c < '\u{1100}' || ('\u{2000}'..'\u{2e80}').contains(&c) { CHARACTER } else { 2.0 * CHARACTER })
        .sum()
}

/// As much of a text as fits, with an ellipsis for what does not.
pub(super) fn fit(text: &str, room: f64) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let mut fitting = String::new();
    for c in text.chars() {
        fitting.push(c);
        if width(&fitting) + CHARACTER > room {
            fitting.pop();
            break;
        }
    }
    fitting.push('…');
    fitting
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_escaped() {
        let mut drawing = Drawing::new(10.0, 10.0);
        drawing.text("name", Anchor::End, (1.0, 2.0), "</text><script>");
        drawing.marker(9, (0.0, 0.0), "\"><script>");
        let svg = drawing.finish("x", "<script>", "</desc><script>");
        assert!(!svg.contains("<script"), "{svg}");
        assert!(svg.contains("&lt;script&gt;") && svg.contains("s1 again"), "{svg}");
    }

    #[test]
    fn a_text_is_cut_to_its_room() {
        assert_eq!(fit("chappe", 100.0), "chappe");
        let cut = fit("a rather long label", 60.0);
        assert!(cut.ends_with('…') && width(&cut) <= 60.0, "{cut}");
    }
}
