//! One pass over the lines of a head: each line is looked at once, when it is complete, and leaves spans behind.

use super::{
    byte_range::ByteRange,
    fault::{Fatal, HeadFault},
    flag::Flag,
    head::{FailureReport, Kind, Method},
    header::{Known, is_mime, split_name},
    ident::{is_message_id, is_transact_id},
    limits::Limits,
    path::{trim, trim_start},
    status::Status,
};

/// Offsets into a header block, which is never longer than a u16 can say.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Span {
    pub(super) start: u16,
    pub(super) end: u16,
}

impl Span {
    pub(super) fn of(self, block: &[u8]) -> &[u8] {
        &block[usize::from(self.start)..usize::from(self.end)]
    }

    fn new(start: usize, end: usize) -> Span {
        Span { start: start as u16, end: end as u16 }
    }
}

/// A header line with its CRLF, and the trimmed value in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Line {
    pub(super) whole: Span,
    pub(super) value: Span,
}

/// What the lines seen so far say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan {
    pub(super) kind: Option<Kind>,
    pub(super) tid: Span,
    /// Method of a request, comment of a response.
    pub(super) word: Span,
    /// Length of the start line with its CRLF.
    pub(super) start_line: u16,
    pub(super) to_path: Option<Line>,
    pub(super) from_path: Option<Line>,
    pub(super) message_id: Option<Line>,
    pub(super) byte_range: Option<Line>,
    pub(super) content_type: Option<Line>,
    pub(super) status: Option<Span>,
    pub(super) range: Option<ByteRange>,
    pub(super) failure_report: FailureReport,
    pub(super) success_report: bool,
    /// Whether there is any header of the body.
    pub(super) mime: bool,
    pub(super) fault: Option<HeadFault>,
    lines: u16,
    seen: u16,
}

/// What a line in the head turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// Start line or header: the head goes on.
    Line,
    /// The empty line: a body follows.
    Empty,
    /// The end-line: there is no body.
    End(Flag),
}

impl Scan {
    pub(super) fn new() -> Scan {
        Scan {
            kind: None,
            tid: Span::default(),
            word: Span::default(),
            start_line: 0,
            to_path: None,
            from_path: None,
            message_id: None,
            byte_range: None,
            content_type: None,
            status: None,
            range: None,
            failure_report: FailureReport::Yes,
            success_report: false,
            mime: false,
            fault: None,
            lines: 0,
            seen: 0,
        }
    }

    /// How long the line that begins at `start` may be, with its CRLF, and what is wrong if it is longer.
    pub(super) fn line_limit(&self, start: usize, limits: &Limits) -> (usize, Fatal) {
        if self.kind.is_none() {
            return (limits.start_line.min(block_limit(limits)), Fatal::StartLineTooLong);
        }
        // An end-line is no part of the block: it has its place even where the block is full.
        let left = block_limit(limits).saturating_sub(start).max(END_LINE_MAX);
        if left < limits.header_line {
            (left, Fatal::HeaderBlockTooLong)
        } else {
            (limits.header_line, Fatal::HeaderLineTooLong)
        }
    }

    /// Takes the line at `start..end` of `block`, which ends in LF.
    pub(super) fn line(&mut self, block: &[u8], start: usize, end: usize, limits: &Limits) -> Result<Mark, Fatal> {
        let line = block[start..end].strip_suffix(b"\r\n").ok_or(Fatal::BareLf)?;
        let octets = Octets::of(line)?;
        if octets.control {
            self.blame(HeadFault::ControlOctet);
        }
        if self.kind.is_none() {
            self.start_line(line, end)?;
            return Ok(Mark::Line);
        }
        if line.is_empty() {
            return self.empty_line();
        }
        if let Some(rest) = line.strip_prefix(HYPHENS) {
            let flag = rest.strip_prefix(self.tid.of(block)).ok_or(Fatal::WrongEndLine)?;
            let [flag] = flag else { return Err(Fatal::WrongEndLine) };
            return Flag::from_octet(*flag).map(Mark::End).ok_or(Fatal::WrongEndLine);
        }
        if usize::from(self.lines) >= limits.header_lines {
            return Err(Fatal::TooManyHeaderLines);
        }
        if end > block_limit(limits) {
            return Err(Fatal::HeaderBlockTooLong);
        }
        self.header(line, start, end, octets.beyond_ascii);
        self.lines = self.lines.saturating_add(1);
        Ok(Mark::Line)
    }

    fn start_line(&mut self, line: &[u8], end: usize) -> Result<(), Fatal> {
        let rest = line.strip_prefix(b"MSRP ").ok_or(Fatal::NotMsrp)?;
        let space = memchr::memchr(b' ', rest).ok_or(Fatal::TransactId)?;
        let (tid, third) = (&rest[..space], &rest[space + 1..]);
        if !is_transact_id(tid) {
            return Err(Fatal::TransactId);
        }
        self.tid = Span::new(5, 5 + tid.len());
        let third_start = line.len() - third.len();
        match third.first() {
            Some(first) if first.is_ascii_digit() => {
                let digits = third.get(..3).ok_or(Fatal::StatusCode)?;
                let status = Status::from_digits(digits).ok_or(Fatal::StatusCode)?;
                let comment = match third[3..] {
                    [] => line.len(),
                    [b' ', ..] => third_start + 4,
                    _ => return Err(Fatal::StatusCode),
                };
                self.word = Span::new(comment, line.len());
                self.kind = Some(Kind::Response(status));
            }
            Some(first) if first.is_ascii_uppercase() && third.iter().all(|c| c.is_ascii_uppercase() || *c == b'_') => {
                self.word = Span::new(third_start, line.len());
                self.kind = Some(Kind::Request(Method::from_name(third)));
            }
            _ => return Err(Fatal::Method),
        }
        self.start_line = end as u16;
        Ok(())
    }

    fn empty_line(&mut self) -> Result<Mark, Fatal> {
        if matches!(self.kind, Some(Kind::Response(_))) {
            return Err(Fatal::ResponseBody);
        }
        if self.content_type.is_none() {
            self.blame(HeadFault::ContentTypeMissing);
        }
        Ok(Mark::Empty)
    }

    fn header(&mut self, line: &[u8], start: usize, end: usize, beyond_ascii: bool) {
        if matches!(line[0], b' ' | b'\t') {
            return self.blame(HeadFault::Folded);
        }
        let Some((name, rest)) = split_name(line) else { return self.blame(HeadFault::Name) };
        self.mime |= is_mime(name);
        let Some(known) = Known::from_name(name) else { return };
        let bit = 1 << known as u16;
        if self.seen & bit != 0 {
            return self.blame(HeadFault::Duplicate);
        }
        self.seen |= bit;
        if beyond_ascii && str::from_utf8(line).is_err() {
            self.blame(HeadFault::NotUtf8);
        }
        let value = trim(rest);
        let value_start = start + line.len() - trim_start(rest).len();
        let value_span = Span::new(value_start, value_start + value.len());
        self.value(known, value, Line { whole: Span::new(start, end), value: value_span });
    }

    fn value(&mut self, known: Known, value: &[u8], line: Line) {
        // Responses may carry these two, and whatever is in them is ignored (IOP-6).
        let request = matches!(self.kind, Some(Kind::Request(_)));
        match known {
            Known::ToPath if self.lines == 0 => self.to_path = Some(line),
            Known::FromPath if self.lines == 1 => self.from_path = Some(line),
            Known::MessageId => {
                self.message_id = Some(line);
                if request && !is_message_id(value) {
                    self.blame(HeadFault::MessageId);
                }
            }
            Known::ByteRange => {
                self.byte_range = Some(line);
                match ByteRange::parse(value) {
                    Ok(range) => self.range = Some(range),
                    Err(error) if request => self.blame(error.into()),
                    Err(_) => {}
                }
            }
            Known::SuccessReport => self.success_report = value.eq_ignore_ascii_case(b"yes"),
            Known::FailureReport => self.failure_report = FailureReport::from_value(value),
            Known::Status => self.status = Some(line.value),
            Known::ContentType => self.content_type = Some(line),
            _ => {}
        }
    }

    fn blame(&mut self, fault: HeadFault) {
        self.fault.get_or_insert(fault);
    }
}

pub(super) const HYPHENS: &[u8] = b"-------";

/// Hyphens, the longest transact-id, flag and CRLF.
const END_LINE_MAX: usize = 7 + 64 + 1 + 2;

fn block_limit(limits: &Limits) -> usize {
    limits.header_block.min(usize::from(u16::MAX))
}

/// Which unusual octets a line holds.
struct Octets {
    control: bool,
    beyond_ascii: bool,
}

impl Octets {
    fn of(line: &[u8]) -> Result<Octets, Fatal> {
        // Written without branches so that it compiles to vector instructions.
        let (mut control, mut all) = (0u8, 0u8);
        for &octet in line {
            control |= u8::from(octet < 0x20) & u8::from(octet != b'\t') | u8::from(octet == 0x7f);
            all |= octet;
        }
        if control != 0 {
            match line.iter().find(|c| matches!(**c, 0 | b'\r')) {
                Some(0) => return Err(Fatal::Nul),
                Some(_) => return Err(Fatal::BareCr),
                None => {}
            }
        }
        Ok(Octets { control: control != 0, beyond_ascii: all & 0x80 != 0 })
    }
}
