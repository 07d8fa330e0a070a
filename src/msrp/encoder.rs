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

/// Head of a forwarded request (RFC 4976 6; msrp-relay.md 5.1, 5.2): the first `pops` URIs of To-Path move to the front
/// of From-Path, newest first; all other headers follow as received and in order, except Byte-Range (see [`RangeOut`])
/// and Content-Type, which comes last. With `body` the empty line is included, without it all MIME headers are left out.
///
/// The head must be a request with both paths; an absent path counts as empty.
pub fn forward_request(out: &mut Vec<u8>, head: &Head, tid: &[u8], pops: usize, range: RangeOut, body: bool) {
    start_line(out, tid, head.method_name());
    paths(out, head, pops);
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

/// An end-to-end response on its way back (msrp-relay.md 5.1, last row), complete with its end-line: the first `pops`
/// URIs of To-Path move to the front of From-Path, all other headers follow as received.
pub fn forward_response(out: &mut Vec<u8>, head: &Head, tid: &[u8], pops: usize) {
    let Kind::Response(status) = head.kind() else { return };
    status_line(out, tid, status, head.comment());
    paths(out, head, pops);
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

/// Both paths after `pops` hops.
fn paths(out: &mut Vec<u8>, head: &Head, pops: usize) {
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
