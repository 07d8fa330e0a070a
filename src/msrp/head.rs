//! Start line and headers of one frame.

use std::fmt;

use bytes::Bytes;

use super::{
    byte_range::ByteRange,
    fault::{Fatal, HeadFault},
    header::split_name,
    limits::Limits,
    path::{Path, trim},
    scan::{Mark, Scan},
    status::Status,
};

/// What a request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Method {
    /// Carries a chunk of a message (RFC 4975 7.1).
    Send,
    /// Tells the fate of a message (RFC 4975 7.1.2).
    Report,
    /// Asks a relay for a URI (RFC 4976 3).
    Auth,
    /// Sets a name in a chat room (RFC 7701).
    Nickname,
    /// Anything else.
    Other,
}

impl Method {
    pub(super) fn from_name(name: &[u8]) -> Method {
        match name {
            b"SEND" => Method::Send,
            b"REPORT" => Method::Report,
            b"AUTH" => Method::Auth,
            b"NICKNAME" => Method::Nickname,
            _ => Method::Other,
        }
    }
}

/// Request or response.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A request and its method.
    Request(Method),
    /// A response and its code.
    Response(Status),
}

/// Which outcomes the sender wants to hear about (RFC 4975 7.1.1); an unknown value counts as `Yes`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum FailureReport {
    /// A response in any case.
    Yes,
    /// A response only on failure.
    Partial,
    /// Never a response.
    No,
}

impl FailureReport {
    pub(super) fn from_value(value: &[u8]) -> FailureReport {
        if value.eq_ignore_ascii_case(b"no") {
            FailureReport::No
        } else if value.eq_ignore_ascii_case(b"partial") {
            FailureReport::Partial
        } else {
            FailureReport::Yes
        }
    }
}

/// The head of a frame: one slice of octets and spans into it. Cloning is cheap.
#[derive(Clone)]
pub struct Head {
    bytes: Bytes,
    scan: Scan,
    kind: Kind,
    detached: bool,
}

impl Head {
    /// Parses a block that holds the start line and all header lines, each with its CRLF, but neither the empty line
    /// nor the end-line.
    pub fn parse(block: Bytes, limits: &Limits) -> Result<Head, Fatal> {
        let mut scan = Scan::new();
        let mut start = 0;
        while start < block.len() {
            let (limit, too_long) = scan.line_limit(start, limits);
            let rest = &block[start..];
            let window = &rest[..rest.len().min(limit)];
            let end = match memchr::memchr(b'\n', window) {
                Some(lf) => start + lf + 1,
                None if rest.len() >= limit => return Err(too_long),
                None => return Err(Fatal::Incomplete),
            };
            if scan.line(&block, start, end, limits)? != Mark::Line {
                return Err(Fatal::Incomplete);
            }
            start = end;
        }
        Head::new(block, scan)
    }

    /// A head whose lines have all been scanned.
    pub(super) fn new(bytes: Bytes, scan: Scan) -> Result<Head, Fatal> {
        let kind = scan.kind.ok_or(Fatal::Incomplete)?;
        Ok(Head { bytes, scan, kind, detached: false })
    }

    /// Copies the octets out of the buffer that they were read into, so that a head which stays does not pin it.
    pub fn detach(&mut self) {
        if !self.detached {
            self.bytes = Bytes::copy_from_slice(&self.bytes);
            self.detached = true;
        }
    }

    /// Whether [`detach`](Head::detach) was called.
    pub fn is_detached(&self) -> bool {
        self.detached
    }

    pub(super) fn scan(&self) -> &Scan {
        &self.scan
    }

    /// Request or response.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The method as written; empty for a response.
    pub fn method_name(&self) -> &[u8] {
        match self.kind {
            Kind::Request(_) => self.scan.word.of(&self.bytes),
            Kind::Response(_) => b"",
        }
    }

    /// The transact-id.
    pub fn transact_id(&self) -> &[u8] {
        self.scan.tid.of(&self.bytes)
    }

    /// The comment of a response; empty for a request.
    pub fn comment(&self) -> &[u8] {
        match self.kind {
            Kind::Request(_) => b"",
            Kind::Response(_) => self.scan.word.of(&self.bytes),
        }
    }

    /// Start line and header lines as received.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The first defect that leaves the framing intact, if any. Absent paths are no fault: see [`Head::to_path`].
    pub fn fault(&self) -> Option<HeadFault> {
        self.scan.fault
    }

    /// To-Path; `None` unless it is the first header.
    pub fn to_path(&self) -> Option<Path<'_>> {
        self.scan.to_path.map(|line| Path::new(line.value.of(&self.bytes)))
    }

    /// From-Path; `None` unless it is the second header.
    pub fn from_path(&self) -> Option<Path<'_>> {
        self.scan.from_path.map(|line| Path::new(line.value.of(&self.bytes)))
    }

    /// Message-ID.
    pub fn message_id(&self) -> Option<&[u8]> {
        self.scan.message_id.map(|line| line.value.of(&self.bytes))
    }

    /// Byte-Range; `None` when absent or malformed, which [`Head::fault`] tells apart.
    pub fn byte_range(&self) -> Option<ByteRange> {
        self.scan.range
    }

    /// Failure-Report, by default `Yes`.
    pub fn failure_report(&self) -> FailureReport {
        self.scan.failure_report
    }

    /// Success-Report, by default no.
    pub fn success_report(&self) -> bool {
        self.scan.success_report
    }

    /// Namespace and code of the Status header. What follows the code is ignored (IOP-28).
    pub fn status_header(&self) -> Option<Result<(u16, Status), HeadFault>> {
        let value = self.scan.status?.of(&self.bytes);
        Some(parse_status(value).ok_or(HeadFault::Status))
    }

    /// Content-Type.
    pub fn content_type(&self) -> Option<&[u8]> {
        self.scan.content_type.map(|line| line.value.of(&self.bytes))
    }

    /// The trimmed value of the first header of this name, in any case. Looks through all lines: meant for rare headers.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// Names and trimmed values of all header lines in order; lines without a name are left out.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        lines(&self.bytes[usize::from(self.scan.start_line)..])
            .filter_map(|line| split_name(line).map(|(name, value)| (name, trim(&value[..value.len() - 2]))))
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Head({})", self.bytes.escape_ascii())
    }
}

/// The lines of a scanned block, each with its CRLF.
pub(super) fn lines(block: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let end = memchr::memchr(b'\n', rest)? + 1;
        let (line, tail) = rest.split_at(end);
        rest = tail;
        Some(line)
    })
}

fn parse_status(value: &[u8]) -> Option<(u16, Status)> {
    let (namespace, rest) = value.split_at_checked(3)?;
    let namespace = Status::from_digits(namespace)?.code();
    let (code, rest) = rest.strip_prefix(b" ")?.split_at_checked(3)?;
    let comment_follows = matches!(rest, [] | [b' ', ..]);
    Status::from_digits(code).filter(|_| comment_follows).map(|code| (namespace, code))
}
