//! What holds for any octets and any split.

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;
use std::time::Duration;

fn small() -> Limits {
    Limits { start_line: 60, headers: 10, head: 500, body: 20, time: Duration::from_secs(1) }
}

/// Pieces of messages, good and bad, whose joints are where mistakes are made.
fn material() -> impl Strategy<Value = Vec<u8>> {
    let whole = |more: &str, body: &str| options(more, body).into_bytes();
    let piece = prop_oneof![
        4 => Just(whole("Content-Length: 3\r\n", "abc")),
        2 => Just(whole("l: 0\r\n", "")),
        1 => Just(whole("l: 4\r\nSubject: a\r\n b\r\n", "\r\n\r\n")),
        1 => Just(options("l: 0\r\n", "").replace(";rport", " , SIP/2.0/UDP d;x=\",\", a").into_bytes()),
        1 => Just(whole("l: 0\r\nSubject: \x01\r\n", "")),
        1 => Just(whole("l: 99\r\n", "")),
        1 => Just(whole("", "")),
        1 => Just(options("l: 0\r\n", "").replace("\r\n", "\n").into_bytes()),
        1 => Just(whole(&"A: b\r\n".repeat(12), "")),
        1 => Just(whole(&format!("A: {}\r\n", "b".repeat(500)), "")),
        2 => Just(b"\r\n".to_vec()),
        2 => Just(b"\r\n\r\n".to_vec()),
        1 => Just(b"SIP/2.0 200 \r\n\r\n".to_vec()),
        1 => Just(vec![b'x'; 80]),
        1 => vec(any::<u8>(), 0..30),
    ];
    vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_split_gives_the_same(octets in material(), cuts in vec(any::<prop::sample::Index>(), 0..12)) {
        let whole = frames([&*octets], small());
        let mut at: Vec<usize> = cuts.iter().map(|c| c.index(octets.len() + 1)).collect();
        at.sort_unstable();
        at.insert(0, 0);
        at.push(octets.len());
        prop_assert_eq!(&frames(at.windows(2).map(|w| &octets[w[0]..w[1]]), small()), &whole);
        prop_assert_eq!(&frames(octets.chunks(1), small()), &whole);
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in vec(any::<u8>(), 0..600)) {
        let _ = datagram(&octets, source(), &small());
        let _ = frames(octets.chunks(7), small());
    }

    /// What is handed on is read again as the same message, from a datagram and from a stream.
    #[test]
    fn what_is_handed_on_is_in_its_last_form(octets in material()) {
        for framed in frames([&*octets], small()) {
            let Framed::Message(message) = framed else { continue };
            prop_assert_eq!(&one(&message.octets).unwrap(), &*message);
            let again = frames([&*message.octets], Limits::default());
            prop_assert_eq!(again, [Framed::Message(message)]);
        }
    }
}

/// Octet by octet, a big message costs as many steps as it has octets: no search begins again from the front.
#[test]
fn a_stream_is_read_in_linear_time() {
    let body = "b".repeat(60_000);
    let octets = options(&format!("A: {}\r\nContent-Length: 60000\r\n", "a".repeat(30_000)), &body);
    let mut stream = Stream::new(source(), Limits::default());
    let mut found = 0;
    for octet in octets.as_bytes().chunks(1).cycle().take(octets.len() * 20) {
        stream.push(octet, NOW);
        while let Some(framed) = stream.next(NOW) {
            assert!(matches!(framed, Framed::Message(_)));
            found += 1;
        }
    }
    assert_eq!(found, 20);
}
