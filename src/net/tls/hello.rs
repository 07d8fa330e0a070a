//! The ALPN names in a ClientHello, which decide by which configuration it is answered (RFC 7301 section 3.1).
//!
//! Nothing is judged here: what cannot be read offers nothing, and rustls, which reads the same octets next, says why.

use super::records::{self, HEADER, content};
use std::borrow::Cow;

/// Type of a ClientHello (RFC 8446 section 4).
const CLIENT_HELLO: u8 = 1;

/// Type of the extension (RFC 7301 section 3.1).
const ALPN: [u8; 2] = [0, 16];

/// The body of the ClientHello with which `wire` begins; empty when it begins otherwise, none while more has to come.
pub(super) fn body(wire: &[u8]) -> Option<Cow<'_, [u8]>> {
    let (mut message, mut rest) = (Cow::Borrowed(&[][..]), wire);
    loop {
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Some(Cow::Borrowed(&[]));
        }
        if let Some(&[_, high, middle, low]) = message.first_chunk() {
            let end = 4 + u32::from_be_bytes([0, high, middle, low]) as usize;
            if end <= message.len() {
                return Some(match message {
                    Cow::Borrowed(message) => Cow::Borrowed(&message[4..end]),
                    Cow::Owned(message) => Cow::Owned(message[4..end].to_vec()),
                });
            }
        }
        // One record holds it all, but for clients that want to be seen by nobody in between.
        let header = *rest.first_chunk()?;
        let Some(length) = records::handshake_length(header).filter(|_| header[0] == content::HANDSHAKE) else {
            return Some(Cow::Borrowed(&[]));
        };
        let payload = &rest.split_off(..length)?[HEADER..];
        if message.is_empty() {
            message = Cow::Borrowed(payload);
        } else {
            message.to_mut().extend_from_slice(payload);
        }
    }
}

/// The ALPN names that the ClientHello with this body offers.
pub(super) fn alpn(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut names = names(body).unwrap_or_default();
    std::iter::from_fn(move || vector::<1>(&mut names))
}

/// RFC 8446 section 4.1.2, RFC 7301 section 3.1.
fn names(body: &[u8]) -> Option<&[u8]> {
    const VERSION_AND_RANDOM: usize = 2 + 32;
    let mut rest = body.get(VERSION_AND_RANDOM..)?;
    let _session = vector::<1>(&mut rest)?;
    let _suites = vector::<2>(&mut rest)?;
    let _compression = vector::<1>(&mut rest)?;
    let mut extensions = vector::<2>(&mut rest)?;
    loop {
        let kind = extensions.split_off(..2)?;
        let mut extension = vector::<2>(&mut extensions)?;
        if *kind == ALPN {
            return vector::<2>(&mut extension);
        }
    }
}

/// Takes a vector with a length of `N` octets before it (RFC 8446 section 3.4).
fn vector<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = rest.split_off(..N)?.iter().fold(0, |sum, octet| sum << 8 | usize::from(*octet));
    rest.split_off(..length)
}

#[cfg(test)]
mod tests {
    use super::super::{ClientSide, Tls};
    use super::*;
    use proptest::prelude::*;
    use rustls_pki_types::ServerName;

    fn wire(names: &[&[u8]]) -> Vec<u8> {
        let none: [&str; 0] = [];
        let side = ClientSide::new(&none, None, false).unwrap();
        let mut wire = Vec::new();
        Tls::connect(&side, ServerName::try_from("relay.example").unwrap(), names).unwrap().seal_pending(&mut wire);
        wire
    }

    /// The same message in records of `piece` octets.
    fn cut(wire: &[u8], piece: usize) -> Vec<u8> {
        let pieces = wire[HEADER..].chunks(piece);
        pieces.flat_map(|piece| [&[22, 3, 1, 0, piece.len() as u8], piece].concat()).collect()
    }

    fn read(wire: &[u8]) -> Option<Vec<Vec<u8>>> {
        Some(alpn(&body(wire)?).map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn names_are_found_whatever_the_records() {
        let names: [&[u8]; 2] = [b"h2", b"chappe/1"];
        for names in [&names[..0], &names[..1], &names] {
            let wire = wire(names);
            assert_eq!(read(&wire).unwrap(), names);
            for piece in [1, 3, 4, 5, 200] {
                assert_eq!(read(&cut(&wire, piece)).unwrap(), names);
            }
            assert!((0..wire.len()).all(|end| read(&wire[..end]).is_none()));
        }
    }

    #[test]
    fn what_is_no_client_hello_is_left_to_rustls() {
        for wire in [b"MSRP a786hjs2".as_slice(), &[21, 3, 3, 0, 2, 1, 0], &[22, 3, 1, 0, 1, 2], &[22, 3, 1, 255, 255]]
        {
            assert_eq!(read(wire), Some(vec![]));
        }
    }

    proptest! {
        #[test]
        fn no_octets_panic(body: Vec<u8>, damage: (prop::sample::Index, u8)) {
            let _ = super::body(&body);
            let _ = alpn(&body).count();
            let mut wire = wire(&[b"h2"]);
            let at = damage.0.index(wire.len());
            wire[at] = damage.1;
            let _ = read(&wire);
        }
    }
}
