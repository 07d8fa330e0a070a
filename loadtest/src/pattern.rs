//! Bodies: octets that depend on the message and on their position in it, so that any that is changed, lost, repeated or
//! moved is noticed where it is received.

/// Within a block the octets are one run of a random table; where the run begins depends on message and block.
const BLOCK: usize = 4096;
const TABLE: usize = 32 * 1024;

/// The source of all bodies of a run.
pub struct Pattern {
    text: Vec<u8>,
    binary: Vec<u8>,
}

/// What a body is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Letters, digits and spaces.
    Text,
    /// All octets.
    Binary,
}

impl Pattern {
    /// The same seed makes the same bodies.
    pub fn new(seed: u64) -> Pattern {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .";
        let mut random = fastrand::Rng::with_seed(seed);
        let text = (0..TABLE + BLOCK).map(|_| LETTERS[random.usize(..64)]).collect();
        Pattern { text, binary: (0..TABLE + BLOCK).map(|_| random.u8(..)).collect() }
    }

    /// Appends octets `offset..offset + length` of a message.
    pub fn write(&self, out: &mut Vec<u8>, alphabet: Alphabet, message: u64, offset: u64, length: usize) {
        self.runs(alphabet, message, offset, length, |run| {
            out.extend_from_slice(run);
            true
        });
    }

    /// Whether `octets` are those of the message from `offset` on; if not, the number of the first that is not.
    pub fn check(&self, alphabet: Alphabet, message: u64, offset: u64, octets: &[u8]) -> Result<(), u64> {
        let mut at = 0;
        let same = self.runs(alphabet, message, offset, octets.len(), |run| {
            let same = octets[at..at + run.len()] == *run;
            at += if same { run.len() } else { octets[at..].iter().zip(run).take_while(|(a, b)| a == b).count() };
            same
        });
        if same { Ok(()) } else { Err(offset + at as u64) }
    }

    fn runs(
        &self,
        alphabet: Alphabet,
        message: u64,
        mut offset: u64,
        mut length: usize,
        mut each: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        let table = match alphabet {
            Alphabet::Text => &self.text,
            Alphabet::Binary => &self.binary,
        };
        while length > 0 {
            let within = (offset % BLOCK as u64) as usize;
            let run = length.min(BLOCK - within);
            let begin = mix(message ^ mix(offset / BLOCK as u64)) as usize % TABLE + within;
            if !each(&table[begin..begin + run]) {
                return false;
            }
            offset += run as u64;
            length -= run;
        }
        true
    }
}

/// Spreads a number over 64 bits (the finaliser of SplitMix64).
pub fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static PATTERN: LazyLock<Pattern> = LazyLock::new(|| Pattern::new(1));

    fn body(message: u64, offset: u64, length: usize) -> Vec<u8> {
        let mut out = Vec::new();
        PATTERN.write(&mut out, Alphabet::Binary, message, offset, length);
        out
    }

    #[test]
    fn a_body_is_the_same_in_any_pieces() {
        let whole = body(7, 0, 50_000);
        for piece in [1, 999, 4096, 10_000] {
            let pieces: Vec<u8> =
                (0..50_000).step_by(piece).flat_map(|at| body(7, at as u64, piece.min(50_000 - at))).collect();
            assert_eq!(pieces, whole, "{piece}");
        }
    }

    #[test]
    fn every_flipped_bit_is_found_where_it_is() {
        let mut octets = body(9, 4000, 5000);
        assert_eq!(PATTERN.check(Alphabet::Binary, 9, 4000, &octets), Ok(()));
        for at in [0, 95, 96, 97, 2048, 4999] {
            for bit in 0..8 {
                octets[at] ^= 1 << bit;
                assert_eq!(PATTERN.check(Alphabet::Binary, 9, 4000, &octets), Err(4000 + at as u64));
                octets[at] ^= 1 << bit;
            }
        }
    }

    #[test]
    fn octets_of_another_place_or_message_are_found() {
        for (message, offset) in [(9, 4096), (9, 1), (9, 8192), (9, TABLE as u64), (8, 0)] {
            assert!(PATTERN.check(Alphabet::Binary, 9, 0, &body(message, offset, 4096)).is_err(), "{message} {offset}");
        }
    }
}
