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

    /// The lines of both paths as received; `None` unless both stand where they must.
    pub fn path_lines(&self) -> Option<&[u8]> {
        let (to, from) = (self.scan.to_path?, self.scan.from_path?);
        self.bytes.get(usize::from(to.whole.start)..usize::from(from.whole.end))
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::msrp::ByteRangeError;

    const PATHS: &str = "To-Path: msrp://r.example:1/t;tcp\r\nFrom-Path: msrp://c.example:2/f;tcp\r\n";

    fn parse(block: impl Into<Vec<u8>>) -> Head {
        Head::parse(Bytes::from(block.into()), &Limits::default()).unwrap()
    }

    fn send(headers: &str) -> Head {
        parse(format!("MSRP abcd1234 SEND\r\n{PATHS}{headers}"))
    }

    #[test]
    fn every_interpreted_header_is_found() {
        let head = send(
            "Message-ID: m1\r\nByte-Range: 1-3/3\r\nSuccess-Report: yes\r\nFailure-Report: partial\r\n\
             X-Note: \u{b4}\u{fc}\r\nContent-Type: text/plain\r\n",
        );
        assert_eq!(head.kind(), Kind::Request(Method::Send));
        assert_eq!(
            (head.method_name(), head.transact_id(), head.comment()),
            (&b"SEND"[..], &b"abcd1234"[..], &b""[..])
        );
        assert_eq!(head.to_path().unwrap().first(), Some(&b"msrp://r.example:1/t;tcp"[..]));
        assert_eq!(head.from_path().unwrap().first(), Some(&b"msrp://c.example:2/f;tcp"[..]));
        assert_eq!(head.message_id(), Some(&b"m1"[..]));
        assert_eq!(head.byte_range(), Some(ByteRange { start: 1, end: Some(3), total: Some(3) }));
        assert_eq!((head.success_report(), head.failure_report()), (true, FailureReport::Partial));
        assert_eq!(head.content_type(), Some(&b"text/plain"[..]));
        assert_eq!(head.header("x-note"), Some("\u{b4}\u{fc}".as_bytes()));
        assert_eq!(head.header("Expires"), None);
        assert_eq!(head.headers().count(), 8);
        assert_eq!(head.fault(), None);
    }

    /// CORE-14, CORE-37, CORE-38, ADV-R29
    #[test]
    fn core_37_38_reports_have_their_defaults() {
        let head = send("");
        assert_eq!((head.success_report(), head.failure_report()), (false, FailureReport::Yes));
        let head = send("failure-report: NO\r\nsuccess-report: YES\r\n");
        assert_eq!((head.success_report(), head.failure_report()), (true, FailureReport::No));
        let head = send("Failure-Report: maybe\r\nSuccess-Report: maybe\r\n");
        assert_eq!((head.success_report(), head.failure_report()), (false, FailureReport::Yes));
    }

    /// CORE-13, CORE-20
    #[test]
    fn core_13_20_names_in_any_case_and_odd_spacing() {
        let head = parse("MSRP a SEND\r\nTO-PATH:x\r\nfrom-path: \t y  z \r\nMESSAGE-id:abcd \r\nbyte-RANGE:1-*/*\r\n");
        assert_eq!(head.to_path().unwrap().first(), Some(&b"x"[..]));
        assert_eq!(head.from_path().unwrap().texts().collect::<Vec<_>>(), [b"y", b"z"]);
        assert_eq!(head.message_id(), Some(&b"abcd"[..]));
        assert_eq!(head.byte_range(), Some(ByteRange::UNKNOWN));
        assert_eq!(head.fault(), None);
    }

    /// CORE-17, CORE-19, CORE-22, CORE-100
    #[rstest]
    #[case::core_17_folding("X-A: b\r\n continued\r\n", HeadFault::Folded)]
    #[case::core_19_two_message_ids("Message-ID: aaaa\r\nMESSAGE-ID: bbbb\r\n", HeadFault::Duplicate)]
    #[case::core_19_two_to_paths("To-Path: msrp://r.example:1/t;tcp\r\n", HeadFault::Duplicate)]
    #[case::core_22_control_octet("X-Note: a\u{1}\r\n", HeadFault::ControlOctet)]
    #[case::core_22_delete("X-Note: a\u{7f}\r\n", HeadFault::ControlOctet)]
    #[case::amb_35_no_colon("nonsense\r\n", HeadFault::Name)]
    #[case::amb_35_space_in_name("X A: b\r\n", HeadFault::Name)]
    #[case::bad_message_id("Message-ID: a b\r\n", HeadFault::MessageId)]
    #[case::empty_message_id("Message-ID:\r\n", HeadFault::MessageId)]
    #[case::core_100("Byte-Range: 5-3/10\r\n", HeadFault::ByteRange(ByteRangeError::EndBeforeStart))]
    #[case::the_first_counts("Byte-Range: x\r\nMessage-ID: a b\r\n", HeadFault::ByteRange(ByteRangeError::Syntax))]
    fn recoverable(#[case] headers: &str, #[case] fault: HeadFault) {
        let head = send(headers);
        assert_eq!(head.fault(), Some(fault));
        assert!(head.to_path().is_some() && head.from_path().is_some());
    }

    /// CORE-22
    #[test]
    fn core_22_only_space_and_tab_are_trimmed() {
        let head = parse("MSRP a SEND\r\nTo-Path: \t\u{c}x \r\n");
        assert_eq!(head.to_path().unwrap().first(), Some(&b"\x0cx"[..]));
        assert_eq!(head.fault(), Some(HeadFault::ControlOctet));
    }

    /// CORE-22
    #[test]
    fn core_22_tab_is_no_control_octet() {
        assert_eq!(send("X-Note: a\tb\r\n").fault(), None);
    }

    /// CORE-21, ADV-C19
    #[test]
    fn adv_c19_utf8_counts_only_where_it_is_interpreted() {
        let block = |line: &[u8]| [format!("MSRP a SEND\r\n{PATHS}").as_bytes(), line].concat();
        assert_eq!(parse(block(b"X-A: \xC0\xAF\r\nX-B: \xff\r\n")).fault(), None);
        assert_eq!(parse(block(b"Message-ID: \xff\r\n")).fault(), Some(HeadFault::NotUtf8));
        assert_eq!(parse(b"MSRP a 200 \xff\r\n".to_vec()).fault(), None);
    }

    /// ADV-C16
    #[test]
    fn adv_c16_a_path_counts_only_in_its_place() {
        let head = parse("MSRP a SEND\r\nTo-Path: x\r\nMessage-ID: abcd\r\nFrom-Path: y\r\n");
        assert!(head.to_path().is_some() && head.from_path().is_none());
        let head = parse("MSRP a SEND\r\nFrom-Path: y\r\nTo-Path: x\r\n");
        assert!(head.to_path().is_none() && head.from_path().is_none());
        assert_eq!(head.fault(), None);
    }

    #[test]
    fn iop_7_9_start_lines() {
        let head = parse("MSRP abcd1234 200\r\n");
        assert_eq!((head.kind(), head.comment()), (Kind::Response(Status::OK), &b""[..]));
        assert_eq!(head.method_name(), b"");
        let head = parse("MSRP abcd1234 481 No  such\r\n");
        assert_eq!((head.kind(), head.comment()), (Kind::Response(Status::NO_SESSION), &b"No  such"[..]));
        let head = parse("MSRP abcd1234 FILE_OFFSET\r\n");
        assert_eq!((head.kind(), head.method_name()), (Kind::Request(Method::Other), &b"FILE_OFFSET"[..]));
        assert_eq!(parse("MSRP a REPORT\r\n").kind(), Kind::Request(Method::Report));
        assert_eq!(parse("MSRP a AUTH\r\n").kind(), Kind::Request(Method::Auth));
        assert_eq!(parse("MSRP a NICKNAME\r\n").kind(), Kind::Request(Method::Nickname));
    }

    #[test]
    fn iop_6_a_response_may_carry_anything_in_byte_range() {
        assert_eq!(parse(format!("MSRP a 200 OK\r\n{PATHS}Byte-Range: 9-1/1\r\nMessage-ID: a b\r\n")).fault(), None);
    }

    /// ADV-C22
    #[rstest]
    #[case::exact("000 200", Some((0, 200)))]
    #[case::comment("000 413 Stop", Some((0, 413)))]
    #[case::iop_28("000 413 413", Some((0, 413)))]
    #[case::adv_c22("000", None)]
    #[case::adv_c22("abc 200", None)]
    #[case::adv_c22("000 20", None)]
    #[case::four_digits("000 2000", None)]
    fn status_header(#[case] value: &str, #[case] expected: Option<(u16, u16)>) {
        let read = send(&format!("Status: {value}\r\n")).status_header().unwrap();
        assert_eq!(read.ok(), expected.map(|(namespace, code)| (namespace, Status::new(code))));
    }

    #[test]
    fn a_block_must_be_exactly_a_block() {
        let parse = |block: &'static str| Head::parse(Bytes::from(block), &Limits::default()).unwrap_err();
        assert_eq!(parse(""), Fatal::Incomplete);
        assert_eq!(parse("MSRP a SEND"), Fatal::Incomplete);
        assert_eq!(parse("MSRP a SEND\r\nTo-Path: x"), Fatal::Incomplete);
        assert_eq!(parse("MSRP a SEND\r\n\r\n"), Fatal::Incomplete);
        assert_eq!(parse("MSRP a SEND\r\n-------a$\r\n"), Fatal::Incomplete);
    }

    proptest! {
        #[test]
        fn no_block_makes_an_accessor_panic(lines in prop::collection::vec(
            "(To-Path|From-Path|Message-ID|Byte-Range|Status|Content-Type|[ -~]{0,9}): ?[ -~\t\u{e9}]{0,20}", 0..8)) {
            let head = parse(format!("MSRP a SEND\r\n{}", lines.iter().map(|line| format!("{line}\r\n")).collect::<String>()));
            let _ = (head.to_path().map(|p| p.len()), head.from_path().map(|p| p.len()), head.message_id());
            let _ = (head.byte_range(), head.status_header(), head.content_type(), head.headers().count());
            prop_assert!(head.headers().count() <= lines.len());
        }
    }
}
