//! The decoder sees the same in one piece and in pieces. The first octet of the data says how long the pieces are.
#![no_main]

use bytes::Bytes;
use chappe::msrp::{Decoder, Event, Fatal, Flag, HeadFault, Limits};
use libfuzzer_sys::fuzz_target;

#[derive(PartialEq, Debug)]
enum Seen {
    Head(Bytes, Option<HeadFault>),
    Body(Vec<u8>),
    End(Flag, bool),
}

fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Seen>, Option<Fatal>) {
    let mut decoder = Decoder::new(Limits::default());
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.feed(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(Event::Head(head))) => seen.push(Seen::Head(head.bytes().clone(), head.fault())),
                Ok(Some(Event::Body(octets))) => match seen.last_mut() {
                    Some(Seen::Body(body)) => body.extend_from_slice(&octets),
                    _ => seen.push(Seen::Body(octets.to_vec())),
                },
                Ok(Some(Event::End(flag))) => seen.push(Seen::End(flag, decoder.frame_has_body())),
                Ok(None) => break,
                Err(fatal) => return (seen, Some(fatal)),
            }
        }
        assert!(decoder.unread() <= 20_000);
    }
    (seen, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, input)) = data.split_first() else { return };
    let whole = decode(std::iter::once(input));
    assert_eq!(decode(input.chunks(usize::from(first % 97) + 1)), whole);
    let (left, right) = input.split_at(usize::from(first) * input.len() / 255);
    assert_eq!(decode([left, right].into_iter()), whole);
});
