//! A head that parses can be asked anything, and what is forwarded of it parses again with its paths turned.
#![no_main]

use bytes::Bytes;
use chappe::msrp::{ByteRange, Head, Kind, Limits, PathsOut, RangeOut, forward_request, forward_response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let Ok(head) = Head::parse(Bytes::copy_from_slice(data), &limits) else { return };
    let _ = (head.method_name(), head.transact_id(), head.comment(), head.status_header(), head.content_type());
    let _ = (head.message_id(), head.failure_report(), head.success_report(), head.header("Expires"));
    for path in [head.to_path(), head.from_path()].into_iter().flatten() {
        let _ = path.check(&limits);
        assert_eq!(path.texts().last(), path.last());
        assert_eq!(path.after(path.len()), b"");
    }
    if let Some(range) = head.byte_range() {
        let mut text = Vec::new();
        range.write(&mut text);
        assert_eq!(ByteRange::parse(&text), Ok(range));
    }
    let mut out = Vec::new();
    match head.kind() {
        Kind::Response(_) => forward_response(&mut out, &head, b"0123456789abcdef", PathsOut::Turn(1)),
        Kind::Request(_) => {
            for range in [RangeOut::Keep, RangeOut::Omit, RangeOut::Set(ByteRange::UNKNOWN)] {
                out.clear();
                forward_request(&mut out, &head, b"0123456789abcdef", PathsOut::Turn(1), range, false);
            }
            let (Some(to), Some(from)) = (head.to_path(), head.from_path()) else { return };
            let wide = Limits { header_line: 1 << 16, header_block: 1 << 16, header_lines: 1 << 16, ..limits };
            let Ok(next) = Head::parse(Bytes::from(out), &wide) else { return };
            let next_to = next.to_path().expect("To-Path comes first");
            let next_from = next.from_path().expect("From-Path comes second");
            assert!(next_to.texts().eq(to.texts().skip(1)));
            assert!(next_from.texts().eq(to.texts().take(1).chain(from.texts())));
        }
    }
});
