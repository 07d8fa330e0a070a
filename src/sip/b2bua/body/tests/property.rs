//! What holds for any body.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LINE_ENDS: [&str; 2] = ["\r\n", "\n"];

/// Bodies with one description, in any nesting that is allowed, with odd octets around it.
fn bodies() -> impl Strategy<Value = (String, Vec<u8>)> {
    let octets = || vec(prop::sample::select(&b"a-=:\r\n\0\xff \t"[..]), 0..12);
    let level = (octets(), octets(), octets(), any::<[bool; 4]>());
    (vec(level, 0..=3), octets()).prop_map(|(levels, description)| {
        let mut kind = "application/sdp".to_owned();
        let mut body = [b"v=0\r\n", &description[..]].concat();
        for (number, (preamble, other, epilogue, [before, length, lf, quoted])) in levels.into_iter().enumerate() {
            let end = LINE_ENDS[usize::from(lf)].as_bytes();
            let delimiter = format!("--level{number}");
            let delimiter = delimiter.as_bytes();
            let head = if length { format!("Content-Length: {}{}", body.len(), LINE_ENDS[0]) } else { String::new() };
            let ours = [head.as_bytes(), b"Content-Type: ", kind.as_bytes(), end, end, &body].concat();
            let other = [end, &other].concat();
            let parts = if before { [other, ours] } else { [ours, other] };
            let [one, two] = parts.map(|part| [delimiter, b"\t", end, &part, end].concat());
            body = [&preamble[..], end, &one, &two, delimiter, b"--", end, &epilogue].concat();
            kind = if quoted {
                format!("Multipart/mixed;x=\"level;\";boundary=\"level{number}\"")
            } else {
                format!("multipart/alternative ; boundary = level{number}")
            };
        }
        (kind, body)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_same_octets_give_the_same_body((kind, body) in bodies()) {
        let body = Bytes::from(body);
        let place = find(&typed(&kind), &body, &Limits::default()).unwrap().expect("a description");
        prop_assert!(octets(&body, &place).starts_with(b"v=0\r\n"));
        prop_assert_eq!(&replace(&body, &place, octets(&body, &place)), &body);
    }

    #[test]
    fn another_description_is_found_again_and_back((kind, body) in bodies(), more in "[a-z=\r\n]{0,300}") {
        let body = Bytes::from(body);
        let new = format!("v=0\r\n{more}\n");
        let place = find(&typed(&kind), &body, &Limits::default()).unwrap().expect("a description");
        let changed = replace(&body, &place, new.as_bytes());
        let again = find(&typed(&kind), &changed, &Limits::default()).unwrap().expect("a description");
        prop_assert_eq!(octets(&changed, &again), new.as_bytes());
        prop_assert_eq!(replace(&changed, &again, octets(&body, &place)), body);
    }

    #[test]
    fn arbitrary_octets_never_panic(pieces in vec(prop_oneof![
        3 => Just(b"\r\n--b\r\n".to_vec()),
        1 => Just(b"\n--b--".to_vec()),
        1 => Just(b"Content-Type: application/sdp\r\n\r\n".to_vec()),
        1 => Just(b"Content-Type: multipart/related;start=x;boundary=b\r\n\r\n".to_vec()),
        1 => Just(b"Content-Length: 4294967295\r\n".to_vec()),
        2 => vec(any::<u8>(), 0..12),
    ], 0..12), value in vec(any::<char>(), 0..20), other in vec(any::<u8>(), 0..40)) {
        let body = Bytes::from(pieces.concat());
        let value: String = value.into_iter().collect();
        for kind in ["multipart/mixed;boundary=b", "multipart/related;boundary=b", &value, &format!("multipart/x;{value}")] {
            if let Ok(Some(place)) = find(&typed(kind), &body, &Limits::default()) {
                prop_assert_eq!(&replace(&body, &place, octets(&body, &place)), &body);
                // A place that is not of this body is a mistake, but no panic.
                let shorter = body.slice(..body.len() / 2);
                let _ = (replace(&shorter, &place, &other), octets(&shorter, &place));
            }
        }
    }
}
