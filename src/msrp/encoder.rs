//! Writes frames. Every function appends to the buffer it is given and does nothing else.

use super::{
    byte_range::ByteRange,
    flag::Flag,
    head::{Head, Kind, lines},
    header::is_mime,
    path::Path,
    scan::{HYPHENS, Line},
    status::Status,
};

/// What becomes of the Byte-Range of a forwarded request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RangeOut {
    /// As received, octet for octet.
    Keep,
    /// This one, in place of the received one or behind Message-ID.
    Set(ByteRange),
    /// None.
    Omit,
}

/// What becomes of the paths of a forwarded frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathsOut<'a> {
    /// This many URIs of To-Path move to the front of From-Path, newest first (RFC 4976 6).
    Turn(usize),
    /// These values in place of both: an end of its own on either side shows neither the path of the other (RFC 4975 8).
    Set {
        /// Value of To-Path.
        to: &'a [u8],
        /// Value of From-Path.
        from: &'a [u8],
    },
}

/// Head of a forwarded request (RFC 4976 6): the paths change as [`PathsOut`] says; all other headers follow as received
/// and in order, except Byte-Range (see [`RangeOut`]) and Content-Type, which comes last. With `body` the empty line is included, without it all MIME headers are left out.
///
/// The head must be a request with both paths; an absent path counts as empty.
pub fn forward_request(out: &mut Vec<u8>, head: &Head, tid: &[u8], change: PathsOut<'_>, range: RangeOut, body: bool) {
    start_line(out, tid, head.method_name());
    paths(out, head, change);
    let scan = head.scan();
    let insert = match range {
        RangeOut::Set(range) if scan.byte_range.is_none() => Some(range),
        _ => None,
    };
    if let Some(range) = insert
        && scan.message_id.is_none()
    {
        byte_range(out, range);
    }
    let block = &head.bytes()[..];
    let mut at = behind_paths(head);
    let mut stops = [scan.message_id, scan.byte_range, scan.content_type.filter(|_| body)];
    stops.sort_unstable_by_key(|line| line.map(|line| line.whole.start));
    for line in stops.into_iter().flatten() {
        let (start, end) = (usize::from(line.whole.start), usize::from(line.whole.end));
        if start < at {
            // Stood before a path, where no header may stand.
            continue;
        }
        others(out, &block[at..start], scan.mime && !body);
        if Some(line) == scan.byte_range {
            match range {
                RangeOut::Keep => out.extend_from_slice(&block[start..end]),
                RangeOut::Set(range) => byte_range(out, range),
                RangeOut::Omit => {}
            }
        } else if Some(line) == scan.message_id {
            out.extend_from_slice(&block[start..end]);
            if let Some(range) = insert {
                byte_range(out, range);
            }
        }
        at = end;
    }
    others(out, &block[at..], scan.mime && !body);
    if body {
        if let Some(line) = scan.content_type {
            out.extend_from_slice(line.whole.of(block));
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// An end-to-end response on its way back, complete with its end-line: the paths change as [`PathsOut`] says, all other
/// headers follow as received.
pub fn forward_response(out: &mut Vec<u8>, head: &Head, tid: &[u8], change: PathsOut<'_>) {
    let Kind::Response(status) = head.kind() else { return };
    status_line(out, tid, status, head.comment());
    paths(out, head, change);
    others(out, &head.bytes()[behind_paths(head)..], head.scan().mime);
    end_line(out, tid, Flag::Complete, false);
}

/// The end-line, with the CRLF that ends the body before it if `after_body`.
pub fn end_line(out: &mut Vec<u8>, tid: &[u8], flag: Flag, after_body: bool) {
    if after_body {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(HYPHENS);
    out.extend_from_slice(tid);
    out.extend_from_slice(&[flag.octet(), b'\r', b'\n']);
}

/// A complete response (RFC 4975 7.2). `to` and `from` are the values of the paths.
pub fn response(out: &mut Vec<u8>, tid: &[u8], status: Status, to: &[u8], from: &[u8], extra: &[(&str, &[u8])]) {
    status_line(out, tid, status, b"");
    header(out, b"To-Path", to);
    header(out, b"From-Path", from);
    for (name, value) in extra {
        header(out, name.as_bytes(), value);
    }
    end_line(out, tid, Flag::Complete, false);
}

/// A complete REPORT without body (RFC 4975 7.1.2). `to` and `from` are the values of the paths.
pub fn report(
    out: &mut Vec<u8>,
    tid: &[u8],
    to: &[u8],
    from: &[u8],
    message_id: Option<&[u8]>,
    range: ByteRange,
    status: Status,
) {
    start_line(out, tid, b"REPORT");
    header(out, b"To-Path", to);
    header(out, b"From-Path", from);
    if let Some(id) = message_id {
        header(out, b"Message-ID", id);
    }
    byte_range(out, range);
    out.extend_from_slice(b"Status: 000 ");
    out.extend_from_slice(&status.digits());
    out.push(b' ');
    out.extend_from_slice(status.comment().as_bytes());
    out.extend_from_slice(b"\r\n");
    end_line(out, tid, Flag::Complete, false);
}

/// The head of a request as an endpoint makes it. With a Content-Type the empty line is included and a body must follow.
pub fn request_head(
    out: &mut Vec<u8>,
    tid: &[u8],
    method: &str,
    to: &[u8],
    from: &[u8],
    headers: &[(&str, &[u8])],
    content_type: Option<&[u8]>,
) {
    start_line(out, tid, method.as_bytes());
    header(out, b"To-Path", to);
    header(out, b"From-Path", from);
    for (name, value) in headers {
        header(out, name.as_bytes(), value);
    }
    if let Some(media_type) = content_type {
        header(out, b"Content-Type", media_type);
        out.extend_from_slice(b"\r\n");
    }
}

fn start_line(out: &mut Vec<u8>, tid: &[u8], third: &[u8]) {
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(tid);
    out.push(b' ');
    out.extend_from_slice(third);
    out.extend_from_slice(b"\r\n");
}

/// A comment is always written: some clients do not parse a response without one (IOP-7).
fn status_line(out: &mut Vec<u8>, tid: &[u8], status: Status, comment: &[u8]) {
    out.extend_from_slice(b"MSRP ");
    out.extend_from_slice(tid);
    out.push(b' ');
    out.extend_from_slice(&status.digits());
    out.push(b' ');
    out.extend_from_slice(if comment.is_empty() { status.comment().as_bytes() } else { comment });
    out.extend_from_slice(b"\r\n");
}

fn header(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

fn byte_range(out: &mut Vec<u8>, range: ByteRange) {
    out.extend_from_slice(b"Byte-Range: ");
    range.write(out);
    out.extend_from_slice(b"\r\n");
}

/// Both paths as they leave.
fn paths(out: &mut Vec<u8>, head: &Head, change: PathsOut<'_>) {
    let pops = match change {
        PathsOut::Turn(pops) => pops,
        PathsOut::Set { to, from } => {
            header(out, b"To-Path", to);
            return header(out, b"From-Path", from);
        }
    };
    let to = head.to_path().unwrap_or(Path::new(b""));
    let from = head.from_path().unwrap_or(Path::new(b""));
    uris(out, b"To-Path:", to.texts().skip(pops));
    // URIs cannot be walked backwards in place; paths are short, so each one is looked up from the front.
    let pops = pops.min(to.len());
    let popped = (0..pops).rev().filter_map(|index| to.texts().nth(index));
    uris(out, b"From-Path:", popped.chain(from.texts()));
}

fn uris<'a>(out: &mut Vec<u8>, name: &[u8], texts: impl Iterator<Item = &'a [u8]>) {
    out.extend_from_slice(name);
    for text in texts {
        out.push(b' ');
        out.extend_from_slice(text);
    }
    out.extend_from_slice(b"\r\n");
}

/// Where the headers other than the paths begin.
fn behind_paths(head: &Head) -> usize {
    let scan = head.scan();
    let behind = |line: Line| line.whole.end;
    usize::from(scan.from_path.or(scan.to_path).map_or(scan.start_line, behind))
}

fn others(out: &mut Vec<u8>, block: &[u8], without_mime: bool) {
    if !without_mime {
        return out.extend_from_slice(block);
    }
    for line in lines(block).filter(|line| !is_mime(line)) {
        out.extend_from_slice(line);
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::msrp::Limits;

    const A: &str = "msrp://a.example:1/a;tcp";
    const B: &str = "msrps://b.example:2/b;tcp";
    const X: &str = "msrp://x.example:3/x;tcp";
    const F: &str = "msrp://f.example:4/f;tcp";
    const RANGE: ByteRange = ByteRange { start: 4, end: None, total: Some(9) };

    fn head(block: String) -> Head {
        Head::parse(Bytes::from(block), &Limits::default()).unwrap()
    }

    fn send(to: &str, from: &str, rest: &str) -> Head {
        head(format!("MSRP abcd1234 SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n{rest}"))
    }

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = b"before ".to_vec();
        write(&mut out);
        String::from_utf8(out).unwrap().strip_prefix("before ").expect("only appends").to_owned()
    }

    fn forwarded(head: &Head, pops: usize, range: RangeOut, body: bool) -> String {
        written(|out| forward_request(out, head, b"Tid0", PathsOut::Turn(pops), range, body))
    }

    /// RLY-46, RLY-47
    #[test]
    fn popped_uris_go_to_from_path_newest_first() {
        let head = send(&format!("{A} \t {B}  {X}"), F, "Message-ID: m1m1\r\n");
        let expected = |to: &str, from: &str| {
            format!("MSRP Tid0 SEND\r\nTo-Path:{to}\r\nFrom-Path: {from}\r\nMessage-ID: m1m1\r\n")
        };
        assert_eq!(forwarded(&head, 1, RangeOut::Keep, false), expected(&format!(" {B} {X}"), &format!("{A} {F}")));
        assert_eq!(forwarded(&head, 2, RangeOut::Keep, false), expected(&format!(" {X}"), &format!("{B} {A} {F}")));
        assert_eq!(forwarded(&head, 9, RangeOut::Keep, false), expected("", &format!("{X} {B} {A} {F}")));
    }

    #[test]
    fn sdp_99_paths_that_are_set_show_nothing_of_those_that_came() {
        let head = send(A, F, "Message-ID: m1m1\r\n");
        let set = PathsOut::Set { to: X.as_bytes(), from: B.as_bytes() };
        let out = written(|out| forward_request(out, &head, b"Tid0", set, RangeOut::Keep, false));
        assert_eq!(out, format!("MSRP Tid0 SEND\r\nTo-Path: {X}\r\nFrom-Path: {B}\r\nMessage-ID: m1m1\r\n"));
    }

    /// CORE-9, RLY-62
    #[test]
    fn other_headers_stay_as_they_are_and_content_type_comes_last() {
        let head = send(
            &format!("{A} {X}"),
            F,
            "x-odd:  y \t\r\nmessage-id:m1m1\r\nbyte-range: 1-*/9\r\nContent-Type :no\r\ncontent-type:text/plain\r\n\
             Failure-Report: NO\r\nContent-ID: <i>\r\n",
        );
        let start =
            format!("MSRP Tid0 SEND\r\nTo-Path: {X}\r\nFrom-Path: {A} {F}\r\nx-odd:  y \t\r\nmessage-id:m1m1\r\n");
        let end = "Content-Type :no\r\nFailure-Report: NO\r\nContent-ID: <i>\r\ncontent-type:text/plain\r\n\r\n";
        assert_eq!(forwarded(&head, 1, RangeOut::Keep, true), format!("{start}byte-range: 1-*/9\r\n{end}"));
        assert_eq!(forwarded(&head, 1, RangeOut::Set(RANGE), true), format!("{start}Byte-Range: 4-*/9\r\n{end}"));
        assert_eq!(forwarded(&head, 1, RangeOut::Omit, true), format!("{start}{end}"));
    }

    /// CORE-11
    #[test]
    fn core_11_without_body_there_are_no_mime_headers() {
        let head =
            send(&format!("{A} {X}"), F, "Content-ID: <i>\r\nMessage-ID: m1m1\r\ncontent-type: a/b\r\nX-Y: z\r\n");
        let expected =
            format!("MSRP Tid0 SEND\r\nTo-Path: {X}\r\nFrom-Path: {A} {F}\r\nMessage-ID: m1m1\r\nX-Y: z\r\n");
        assert_eq!(forwarded(&head, 1, RangeOut::Keep, false), expected);
    }

    /// CORE-44
    #[test]
    fn core_44_an_absent_byte_range_is_put_behind_message_id() {
        let start = format!("MSRP Tid0 SEND\r\nTo-Path: {X}\r\nFrom-Path: {A} {F}\r\n");
        let to = format!("{A} {X}");
        let head = send(&to, F, "X-A: b\r\nMessage-ID: m1m1\r\nX-B: c\r\n");
        let expected = format!("{start}X-A: b\r\nMessage-ID: m1m1\r\nByte-Range: 4-*/9\r\nX-B: c\r\n");
        assert_eq!(forwarded(&head, 1, RangeOut::Set(RANGE), false), expected);
        let head = send(&to, F, "X-A: b\r\n");
        assert_eq!(forwarded(&head, 1, RangeOut::Set(RANGE), false), format!("{start}Byte-Range: 4-*/9\r\nX-A: b\r\n"));
        let head = send(&to, F, "Byte-Range: 1-*/9\r\nMessage-ID: m1m1\r\n");
        let expected = format!("{start}Byte-Range: 4-*/9\r\nMessage-ID: m1m1\r\n");
        assert_eq!(forwarded(&head, 1, RangeOut::Set(RANGE), false), expected);
    }

    #[test]
    fn responses_travel_back_with_their_comment() {
        let block = |start: &str| format!("{start}\r\nTo-Path: {A} {X}\r\nFrom-Path: {F}\r\nExpires: 9\r\n");
        let back = |start: &str| written(|out| forward_response(out, &head(block(start)), b"Tid0", PathsOut::Turn(1)));
        let rest = format!("To-Path: {X}\r\nFrom-Path: {A} {F}\r\nExpires: 9\r\n-------Tid0$\r\n");
        assert_eq!(back("MSRP abcd1234 299 Fine by me"), format!("MSRP Tid0 299 Fine by me\r\n{rest}"));
        assert_eq!(back("MSRP abcd1234 481"), format!("MSRP Tid0 481 No Such Session\r\n{rest}"));
    }

    /// CORE-5, CORE-6, CORE-7, CORE-8
    #[test]
    fn core_5_6_7_a_response_repeats_the_transact_id_and_has_no_body() {
        let out =
            written(|out| response(out, b"a.-+%=Z9", Status::OK, F.as_bytes(), A.as_bytes(), &[("Expires", b"60")]));
        let expected =
            format!("MSRP a.-+%=Z9 200 OK\r\nTo-Path: {F}\r\nFrom-Path: {A}\r\nExpires: 60\r\n-------a.-+%=Z9$\r\n");
        assert_eq!(out, expected);
    }

    /// CORE-8, CORE-51
    #[test]
    fn core_51_a_report_has_message_id_range_and_status() {
        let from_of_send = format!("{F} {X}");
        let report = |id| {
            written(|out| report(out, b"Tid0", from_of_send.as_bytes(), A.as_bytes(), id, RANGE, Status::TOO_LARGE))
        };
        let start = format!("MSRP Tid0 REPORT\r\nTo-Path: {F} {X}\r\nFrom-Path: {A}\r\n");
        let end = "Byte-Range: 4-*/9\r\nStatus: 000 413 Message Too Large\r\n-------Tid0$\r\n";
        assert_eq!(report(Some(b"m1m1")), format!("{start}Message-ID: m1m1\r\n{end}"));
        assert_eq!(report(None), format!("{start}{end}"));
    }

    /// CORE-8, CORE-10, CORE-12
    #[test]
    fn core_10_12_a_request_with_body_has_one_empty_line_and_a_crlf_before_the_end_line() {
        let out = written(|out| {
            let headers: &[(&str, &[u8])] = &[("Message-ID", b"m1m1"), ("Byte-Range", b"1-3/3")];
            request_head(out, b"Tid0", "SEND", A.as_bytes(), F.as_bytes(), headers, Some(b"text/plain"));
            out.extend_from_slice(b"abc");
            end_line(out, b"Tid0", Flag::More, true);
        });
        assert_eq!(
            out,
            format!(
                "MSRP Tid0 SEND\r\nTo-Path: {A}\r\nFrom-Path: {F}\r\nMessage-ID: m1m1\r\nByte-Range: 1-3/3\r\n\
                 Content-Type: text/plain\r\n\r\nabc\r\n-------Tid0+\r\n"
            )
        );
    }

    proptest! {
        /// RLY-46, RLY-47, RLY-62
        #[test]
        fn forwarding_turns_the_path_and_keeps_the_rest(
            to in prop::collection::vec("msrps?://[a-z]{1,9}:[1-9][0-9]{0,3}/[a-z]{1,9};tcp", 1..6),
            from in prop::collection::vec("msrps?://[a-z]{1,9}:[1-9][0-9]{0,3}/[a-z]{1,9};tcp", 1..4),
            others in prop::collection::vec("X-[a-z]{1,9}:[ -~]{0,20}\r\n", 0..5),
            pops in 0usize..6,
        ) {
            let before = send(&to.join(" "), &from.join(" "), &others.concat());
            let out = forwarded(&before, pops, RangeOut::Keep, false);
            let after = head(out);
            let turned: Vec<_> = after.from_path().unwrap().texts().rev_collect(pops.min(to.len()));
            prop_assert_eq!(turned, to.iter().take(pops).map(|uri| uri.as_bytes()).collect::<Vec<_>>());
            let rest: Vec<_> = after.from_path().unwrap().texts().skip(pops.min(to.len())).collect();
            prop_assert_eq!(rest, from.iter().map(|uri| uri.as_bytes()).collect::<Vec<_>>());
            let left: Vec<_> = after.to_path().unwrap().texts().collect();
            prop_assert_eq!(left, to.iter().skip(pops).map(|uri| uri.as_bytes()).collect::<Vec<_>>());
            prop_assert!(after.bytes().ends_with(others.concat().as_bytes()));
        }

        #[test]
        fn no_head_makes_forwarding_panic(
            lines in prop::collection::vec("(To-Path|From-Path|Message-ID|Byte-Range|Content-Type|X): ?[ -~]{0,20}\r\n", 0..8),
            pops in 0usize..4,
            body: bool,
        ) {
            let head = head(format!("MSRP a SEND\r\n{}", lines.concat()));
            for range in [RangeOut::Keep, RangeOut::Set(RANGE), RangeOut::Omit] {
                forwarded(&head, pops, range, body);
            }
        }
    }

    trait Reversed<'a> {
        fn rev_collect(self, n: usize) -> Vec<&'a [u8]>;
    }

    impl<'a, I: Iterator<Item = &'a [u8]>> Reversed<'a> for I {
        fn rev_collect(self, n: usize) -> Vec<&'a [u8]> {
            let mut first: Vec<_> = self.take(n).collect();
            first.reverse();
            first
        }
    }
}
