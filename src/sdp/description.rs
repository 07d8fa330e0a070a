//! A session description as lines and sections, octet for octet (RFC 8866 section 5).

use std::ops::Range;

use super::{attribute::Attribute, fault::DescriptionFault, limits::Limits, media_line::MediaLine};

/// One line: what it says, and the same with its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Line<'a> {
    /// Without the end.
    pub(super) text: &'a [u8],
    /// With CRLF, LF or, in the last line, nothing.
    pub(super) raw: &'a [u8],
}

impl<'a> Line<'a> {
    /// The type letter; 0 for an empty line.
    pub(super) fn kind(&self) -> u8 {
        self.text.first().copied().unwrap_or(0)
    }

    /// What stands behind `=`.
    pub(super) fn value(&self) -> &'a [u8] {
        self.text.get(2..).unwrap_or_default()
    }

    /// Name and value of an `a=` line; the value of a flag is empty.
    pub(super) fn attribute(&self) -> Option<(Attribute, &'a [u8])> {
        if self.kind() != b'a' {
            return None;
        }
        let value = self.value();
        let (name, value) = match memchr::memchr(b':', value) {
            Some(colon) => (value.get(..colon)?, value.get(colon + 1..)?),
            None => (value, &b""[..]),
        };
        Some((Attribute::of(name), value))
    }
}

/// A session description that borrows its octets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Description<'a> {
    lines: Vec<Line<'a>>,
    /// Where each section begins: the index of its m-line.
    starts: Vec<usize>,
    media: Vec<MediaLine<'a>>,
    /// How the first line ends, and so those of ours that replace none.
    ending: &'static [u8],
}

impl<'a> Description<'a> {
    /// Splits octets into lines and sections. Lines may end in LF; neither values nor unknown types are looked at.
    pub fn parse(octets: &'a [u8], limits: &Limits) -> Result<Description<'a>, DescriptionFault> {
        if octets.len() > limits.octets {
            return Err(DescriptionFault::TooLong);
        }
        if memchr::memchr(0, octets).is_some() {
            return Err(DescriptionFault::Nul);
        }
        let mut lines = Vec::new();
        for raw in octets.split_inclusive(|octet| *octet == b'\n') {
            if lines.len() == limits.lines {
                return Err(DescriptionFault::TooManyLines);
            }
            // A CR with no LF behind it ends nothing, in the last line neither.
            let ended = raw.strip_suffix(b"\n").map(|text| text.strip_suffix(b"\r").unwrap_or(text));
            let text = ended.unwrap_or(raw);
            if memchr::memchr(b'\r', text).is_some() {
                return Err(DescriptionFault::BareCr);
            }
            lines.push(Line { text, raw });
        }
        check_lines(&lines)?;
        let mut starts = Vec::new();
        let mut media = Vec::new();
        for (index, line) in lines.iter().enumerate().filter(|(_, line)| line.kind() == b'm') {
            if starts.len() == limits.sections {
                return Err(DescriptionFault::TooManySections);
            }
            starts.push(index);
            media.push(MediaLine::parse(line.value()).ok_or(DescriptionFault::MediaLine)?);
        }
        if media.iter().filter(|line| line.message_protocol().is_some()).count() > limits.message_sections {
            return Err(DescriptionFault::TooManyMessageSections);
        }
        let ending = match lines.first() {
            Some(line) if line.raw.ends_with(b"\n") && !line.raw.ends_with(b"\r\n") => &b"\n"[..],
            _ => b"\r\n",
        };
        Ok(Description { lines, starts, media, ending })
    }

    /// The m-lines in order.
    pub fn media_lines(&self) -> &[MediaLine<'a>] {
        &self.media
    }

    /// The lines before the first m-line.
    pub(super) fn session(&self) -> &[Line<'a>] {
        let end = self.starts.first().copied().unwrap_or(self.lines.len());
        self.lines.get(..end).unwrap_or_default()
    }

    /// The lines of a section, its m-line first; empty if there is no such section.
    pub(super) fn section(&self, index: usize) -> &[Line<'a>] {
        self.range(index).and_then(|range| self.lines.get(range)).unwrap_or_default()
    }

    /// The values of an attribute: those of the section, or of the session where the section has none.
    pub(super) fn inherited(&self, index: usize, name: Attribute) -> impl Iterator<Item = &'a [u8]> + '_ {
        let own = self.section(index);
        let lines = if values(own, name).next().is_some() { own } else { self.session() };
        values(lines, name)
    }

    /// The line end for lines that have no pattern.
    pub(super) fn ending(&self) -> &'static [u8] {
        self.ending
    }

    /// Whether both say the same apart from the origin.
    pub(super) fn same_but_origin(&self, other: &Description<'_>) -> bool {
        let ours = self.lines.iter().filter(|line| line.kind() != b'o').map(|line| line.text);
        let theirs = other.lines.iter().filter(|line| line.kind() != b'o').map(|line| line.text);
        ours.eq(theirs)
    }

    fn range(&self, index: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(index)?;
        Some(start..self.starts.get(index + 1).copied().unwrap_or(self.lines.len()))
    }
}

/// The values of an attribute in some lines.
pub(super) fn values<'l, 'a>(lines: &'l [Line<'a>], name: Attribute) -> impl Iterator<Item = &'a [u8]> + use<'l, 'a> {
    lines.iter().filter_map(Line::attribute).filter(move |(other, _)| *other == name).map(|(_, value)| value)
}

/// Every line is `letter=`, the first one is the version, one before the m-lines is the origin; empty lines only at
/// the end.
fn check_lines(lines: &[Line<'_>]) -> Result<(), DescriptionFault> {
    if lines.first().map(|line| line.text.trim_ascii_end()) != Some(b"v=0") {
        return Err(DescriptionFault::Version);
    }
    let end = lines.iter().rposition(|line| !line.text.is_empty()).map_or(0, |last| last + 1);
    let (lines, _) = lines.split_at_checked(end).unwrap_or_default();
    if !lines.iter().all(|line| matches!(line.text, [letter, b'=', ..] if letter.is_ascii_alphabetic())) {
        return Err(DescriptionFault::Line);
    }
    let session = lines.iter().position(|line| line.kind() == b'm').unwrap_or(lines.len());
    let mut origins = lines.iter().enumerate().filter(|(_, line)| line.kind() == b'o').map(|(index, _)| index);
    match (origins.next(), origins.next()) {
        (Some(index), None) if index < session => Ok(()),
        _ => Err(DescriptionFault::Origin),
    }
}
