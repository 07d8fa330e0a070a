//! Lines on their way out.

use super::{description::Line, origin::Draft};

/// Appends lines; what is ours ends like the line it stands for.
#[derive(Debug)]
pub(super) struct Writer {
    octets: Vec<u8>,
    ending: &'static [u8],
}

impl Writer {
    pub(super) fn new(ending: &'static [u8]) -> Writer {
        Writer { octets: Vec::new(), ending }
    }

    /// A line as it was received.
    pub(super) fn copy(&mut self, line: &Line<'_>) {
        self.end_line();
        self.octets.extend_from_slice(line.raw);
    }

    /// A line of ours, with the end of `pattern`.
    pub(super) fn write(&mut self, pattern: &Line<'_>, parts: &[&[u8]]) {
        self.end_line();
        parts.iter().for_each(|part| self.octets.extend_from_slice(part));
        let end = pattern.raw.get(pattern.text.len()..).filter(|end| !end.is_empty()).unwrap_or(self.ending);
        self.octets.extend_from_slice(end);
    }

    /// Where the next line will begin.
    pub(super) fn position(&mut self) -> usize {
        self.end_line();
        self.octets.len()
    }

    pub(super) fn into_draft(self, origin: usize) -> Draft {
        Draft::new(self.octets, origin, self.ending)
    }

    /// A last line without an end gets one when something follows.
    fn end_line(&mut self) {
        if !self.octets.is_empty() && !self.octets.ends_with(b"\n") {
            self.octets.extend_from_slice(self.ending);
        }
    }
}
