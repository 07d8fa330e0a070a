//! Transaction and message identifiers (RFC 4975 9, `ident`): strict in what is made, lenient in what is taken.

use std::fmt;

use rand_chacha::rand_core::RngCore;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A transact-id made here: 16 base62 characters, about 95 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tid([u8; 16]);

impl Tid {
    /// Draws a fresh transact-id.
    pub fn random(rng: &mut impl RngCore) -> Tid {
        let mut text = [0; 16];
        random_base62(rng, &mut text);
        Tid(text)
    }

    /// The identifier's characters.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Reads back one of our own transact-ids: exactly 16 base62 characters.
    pub fn parse(text: &[u8]) -> Option<Tid> {
        let text: [u8; 16] = text.try_into().ok()?;
        text.iter().all(u8::is_ascii_alphanumeric).then_some(Tid(text))
    }
}

impl fmt::Debug for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tid({})", self.0.escape_ascii())
    }
}

/// Fills `out` with base62 characters, each equally likely.
pub fn random_base62(rng: &mut impl RngCore, out: &mut [u8]) {
    let mut filled = 0;
    let mut drawn = [0; 24];
    while filled < out.len() {
        rng.fill_bytes(&mut drawn);
        // Six bits give 0..=63; the two values beyond the alphabet are thrown away so that none is favoured.
        let usable = drawn.iter().filter_map(|octet| BASE62.get(usize::from(octet & 0x3f)));
        for (slot, &character) in out[filled..].iter_mut().zip(usable) {
            *slot = character;
            filled += 1;
        }
    }
}

/// Whether `text` is accepted as a transact-id: 1 to 64 characters of the `ident` alphabet, the first alphanumeric.
pub fn is_transact_id(text: &[u8]) -> bool {
    let Some(first) = text.first() else { return false };
    text.len() <= 64
        && first.is_ascii_alphanumeric()
        && text.iter().all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'-' | b'+' | b'%' | b'='))
}

/// Whether `text` is accepted as a Message-ID: 1 to 128 printable characters without space.
pub fn is_message_id(text: &[u8]) -> bool {
    (1..=128).contains(&text.len()) && text.iter().all(u8::is_ascii_graphic)
}

#[cfg(test)]
mod tests {
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    use super::*;

    /// CORE-3
    #[test]
    fn core_3_generated_transact_ids_are_base62_and_differ() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let (a, b) = (Tid::random(&mut rng), Tid::random(&mut rng));
        assert_ne!(a, b);
        assert!(a.as_bytes().iter().all(u8::is_ascii_alphanumeric));
        assert_eq!(Tid::parse(a.as_bytes()), Some(a));
        assert_eq!(Tid::parse(b"0123456789abcde+"), None);
        assert_eq!(Tid::parse(b"0123456789abcde"), None);
    }

    /// CORE-4
    #[test]
    fn base62_uses_every_character_about_equally() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut text = vec![0; 62_000];
        random_base62(&mut rng, &mut text);
        for character in BASE62 {
            let count = text.iter().filter(|c| *c == character).count();
            assert!((800..1200).contains(&count), "{character} came {count} times");
        }
    }

    #[test]
    fn amb_36_identifiers_are_taken_leniently() {
        assert!(is_transact_id(b"a"));
        assert!(is_transact_id(b"a.-+%=Z9"));
        assert!(is_transact_id(&[b'7'; 64]));
        assert!(!is_transact_id(&[b'7'; 65]));
        assert!(!is_transact_id(b""));
        assert!(!is_transact_id(b"-abc"));
        assert!(!is_transact_id(b"ab$d1234"));
        assert!(is_message_id(b"x@host:1_2"));
        assert!(is_message_id(&[b'm'; 128]));
        assert!(!is_message_id(&[b'm'; 129]));
        assert!(!is_message_id(b"a b"));
        assert!(!is_message_id(b""));
    }
}
