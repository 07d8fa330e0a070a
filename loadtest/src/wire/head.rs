//! A frame from its start line to the end of its headers.

use super::{ByteRange, Malformed};

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// A request of this method.
    Request(&'a [u8]),
    /// A response with this status code.
    Response(u16),
}

/// Start line and headers. Those that every message carries are found at once, the others by [`Head::all`].
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// The transaction identifier.
    pub transaction: &'a [u8],
    /// What the frame is.
    pub start: Start<'a>,
    /// To-Path.
    pub to_path: &'a [u8],
    /// From-Path.
    pub from_path: &'a [u8],
    /// Message-ID.
    pub message_id: Option<&'a [u8]>,
    /// Byte-Range.
    pub byte_range: Option<ByteRange>,
    /// Success-Report.
    pub success_report: Option<&'a [u8]>,
    /// Failure-Report.
    pub failure_report: Option<&'a [u8]>,
    /// Status of a REPORT.
    pub status: Option<&'a [u8]>,
    /// Content-Type.
    pub content_type: Option<&'a [u8]>,
    headers: &'a [u8],
}

/// What follows the headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// An empty line, then a body.
    Body,
    /// The end-line.
    EndLine,
}

impl<'a> Head<'a> {
    /// Reads the head at the begin of `data`, and how long it is: up to its end-line, or up to its body. Nothing if it is
    /// not whole yet.
    pub(super) fn read(data: &'a [u8]) -> Result<Option<(Head<'a>, usize, After)>, Malformed> {
        let Some((line, mut at)) = line(data, 0)? else { return Ok(None) };
        let (transaction, start) = start_line(line)?;
        let headers = at;
        let mut head = Head {
            transaction,
            start,
            to_path: &[],
            from_path: &[],
            message_id: None,
            byte_range: None,
            success_report: None,
            failure_report: None,
            status: None,
            content_type: None,
            headers: &[],
        };
        loop {
            let Some((text, next)) = self::line(data, at)? else { return Ok(None) };
            if text.is_empty() || text.starts_with(b"-------") {
                if head.to_path.is_empty() || head.from_path.is_empty() {
                    return Err(Malformed::NoPath);
                }
                head.headers = &data[headers..at];
                let (length, after) = if text.is_empty() { (next, After::Body) } else { (at, After::EndLine) };
                return Ok(Some((head, length, after)));
            }
            head.header(text)?;
            at = next;
        }
    }

    fn header(&mut self, line: &'a [u8]) -> Result<(), Malformed> {
        let (name, value) = header(line)?;
        let slot = match name.len() {
            7 if name.eq_ignore_ascii_case(b"To-Path") => {
                return once(std::mem::replace(&mut self.to_path, value).is_empty());
            }
            9 if name.eq_ignore_ascii_case(b"From-Path") => {
                return once(std::mem::replace(&mut self.from_path, value).is_empty());
            }
            10 if name.eq_ignore_ascii_case(b"Byte-Range") => {
                let range = ByteRange::parse(value).ok_or(Malformed::ByteRange)?;
                return once(self.byte_range.replace(range).is_none());
            }
            10 if name.eq_ignore_ascii_case(b"Message-ID") => &mut self.message_id,
            12 if name.eq_ignore_ascii_case(b"Content-Type") => &mut self.content_type,
            14 if name.eq_ignore_ascii_case(b"Success-Report") => &mut self.success_report,
            14 if name.eq_ignore_ascii_case(b"Failure-Report") => &mut self.failure_report,
            6 if name.eq_ignore_ascii_case(b"Status") => &mut self.status,
            _ => return Ok(()),
        };
        once(slot.replace(value).is_none())
    }

    /// The values of all headers of this name, in their order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .split(|&octet| octet == b'\n')
            .filter_map(|line| header(line.strip_suffix(b"\r").unwrap_or(line)).ok())
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value)
    }
}

fn once(first: bool) -> Result<(), Malformed> {
    if first { Ok(()) } else { Err(Malformed::Twice) }
}

/// The line that begins at `at`, without its end, and where the next one begins.
fn line(data: &[u8], at: usize) -> Result<Option<(&[u8], usize)>, Malformed> {
    match memchr::memchr(b'\n', &data[at..]) {
        Some(length) if length > 0 && data[at + length - 1] == b'\r' => {
            Ok(Some((&data[at..at + length - 1], at + length + 1)))
        }
        Some(_) => Err(Malformed::LineEnd),
        None => Ok(None),
    }
}

fn start_line(line: &[u8]) -> Result<(&[u8], Start<'_>), Malformed> {
    let rest = line.strip_prefix(b"MSRP ").ok_or(Malformed::StartLine)?;
    let space = memchr::memchr(b' ', rest).ok_or(Malformed::StartLine)?;
    let (transaction, rest) = (&rest[..space], &rest[space + 1..]);
    if !(4..=32).contains(&transaction.len()) {
        return Err(Malformed::StartLine);
    }
    match rest {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9']
        | [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9', b' ', ..] => {
            let digit = |octet: &u8| u16::from(octet - b'0');
            Ok((transaction, Start::Response(digit(a) * 100 + digit(b) * 10 + digit(c))))
        }
        method if !method.is_empty() && method.iter().all(u8::is_ascii_uppercase) => {
            Ok((transaction, Start::Request(method)))
        }
        _ => Err(Malformed::StartLine),
    }
}

fn header(line: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let colon = memchr::memchr(b':', line).filter(|&colon| colon > 0).ok_or(Malformed::Header)?;
    let value = &line[colon + 1..];
    Ok((&line[..colon], value.strip_prefix(b" ").unwrap_or(value)))
}
