//! Text from files, made harmless for where it is shown.

use std::fmt::{self, Display, Formatter, Write};

/// Text for HTML and SVG: between tags or in a quoted attribute.
pub(super) struct Html<'a>(pub(super) &'a str);

/// Text for a cell of a Markdown table, on one line.
pub(super) struct Markdown<'a>(pub(super) &'a str);

impl Display for Html<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            // HTML and XML have no way to write the other control characters.
            c if c.is_control() && !c.is_whitespace() => f.write_char('\u{fffd}'),
            c => f.write_char(c),
        })
    }
}

impl Display for Markdown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '~' => write!(f, "\\{c}"),
            c if c.is_control() => f.write_char(' '),
            c => f.write_char(c),
        })
    }
}

/// The text up to this many characters, with an ellipsis for what is cut off.
pub(super) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(Html(r#"<a href="x">&'"#).to_string(), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
        assert_eq!(Html("a\0b").to_string(), "a\u{fffd}b");
        assert_eq!(Markdown("a|b\n<c>_`").to_string(), "a\\|b &lt;c&gt;\\_\\`");
    }

    #[test]
    fn only_what_is_too_long_is_cut() {
        assert_eq!(shortened("größe", 5), "größe");
        assert_eq!(shortened("größer", 5), "größ…");
    }
}
