//! The parts of a multipart: where each begins and ends, and what its head says (RFC 2046 section 5.1).

use std::ops::Range;

use memchr::{memchr, memmem};

use super::BodyFault;
use super::entity::bare_id;
use crate::sip::message::Headers;

/// The ranges between the delimiter lines, at most so many. What stands before the first one and behind the last is nothing
/// (RFC 2046 section 5.1.1). A line may end with LF alone, as in a description.
pub(super) fn split(
    body: &[u8],
    within: Range<usize>,
    boundary: &str,
    most: usize,
) -> Result<Vec<Range<usize>>, BodyFault> {
    let base = within.start;
    let text = body.get(within).unwrap_or_default();
    let delimiter = format!("--{boundary}");
    let mut parts = Vec::new();
    let mut open = None;
    for at in memmem::find_iter(text, &delimiter) {
        if at > 0 && text[at - 1] != b'\n' {
            continue;
        }
        if let Some(start) = open.take() {
            if parts.len() == most {
                return Err(BodyFault::TooManyParts);
            }
            parts.push(base + start..base + end_of_part(text, start, at));
        }
        let behind = &text[at + delimiter.len()..];
        let (is_last, padding) = match behind.strip_prefix(b"--") {
            Some(padding) => (true, padding),
            None => (false, behind),
        };
        let blank = padding.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        let line_end = match &padding[blank..] {
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            [] => 0,
            _ => return Err(BodyFault::Delimiter),
        };
        if is_last {
            return if parts.is_empty() { Err(BodyFault::NoPart) } else { Ok(parts) };
        }
        open = Some(text.len() - padding.len() + blank + line_end);
    }
    Err(BodyFault::Open)
}

/// The line end before a delimiter belongs to the delimiter.
fn end_of_part(text: &[u8], start: usize, delimiter: usize) -> usize {
    let part = text.get(start..delimiter).unwrap_or_default();
    let part = part.strip_suffix(b"\n").map_or(part, |part| part.strip_suffix(b"\r").unwrap_or(part));
    start + part.len()
}

/// One part.
#[derive(Debug)]
pub(super) struct Part {
    /// Those that begin with `Content-`; no others mean anything here (RFC 2046 section 5.1).
    pub(super) headers: Headers,
    /// Where its content stands in the body.
    pub(super) content: Range<usize>,
    /// Where the digits of its Content-Length stand in the body.
    pub(super) length: Option<Range<usize>>,
}

impl Part {
    /// Reads the head of what stands in this range: lines up to an empty one.
    pub(super) fn read(body: &[u8], within: Range<usize>) -> Result<Part, BodyFault> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut length = None;
        // Whether the header that a fold would continue is kept.
        let mut kept = None;
        let mut at = within.start;
        while at < within.end {
            let rest = &body[at..within.end];
            let end = memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
            let line = rest[..end].strip_suffix(b"\n").unwrap_or(rest);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let start = at;
            at += end;
            if line.is_empty() {
                break;
            }
            if matches!(line[0], b' ' | b'\t') {
                if kept.ok_or(BodyFault::PartHeader)? {
                    fold(&mut found, line);
                }
                continue;
            }
            let colon = memchr(b':', line).ok_or(BodyFault::PartHeader)?;
            let (name, value) = (line[..colon].trim_ascii_end(), &line[colon + 1..]);
            if name.is_empty() || !name.iter().all(|b| b.is_ascii_graphic()) {
                return Err(BodyFault::PartHeader);
            }
            let is_known = name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"));
            kept = Some(is_known);
            if !is_known {
                continue;
            }
            if name.eq_ignore_ascii_case(b"Content-Length") && digits(value.trim_ascii()).is_some() {
                if length.is_some() {
                    return Err(BodyFault::HeaderTwice);
                }
                let blank = value.len() - value.trim_ascii_start().len();
                let first = start + colon + 1 + blank;
                length = Some(first..first + value.trim_ascii().len());
            }
            let text = |octets: &[u8]| String::from_utf8_lossy(octets.trim_ascii()).into_owned();
            found.push((text(name), text(value)));
        }
        Ok(Part { headers: found.into_iter().collect(), content: at..within.end, length })
    }

    /// Whether this is its Content-ID, written without angle brackets (RFC 2045 section 7).
    pub(super) fn has_id(&self, id: &str) -> bool {
        self.headers.first("Content-ID").is_some_and(|found| bare_id(found) == id)
    }
}

fn fold(found: &mut [(String, String)], line: &[u8]) {
    if let Some((_, value)) = found.last_mut() {
        value.push(' ');
        value.push_str(&String::from_utf8_lossy(line.trim_ascii()));
    }
}

/// A number in decimal digits, below 2^32: nothing that a length could be is greater.
pub(super) fn digits(text: &[u8]) -> Option<usize> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    text.parse::<u32>().ok().map(|number| number as usize)
}
