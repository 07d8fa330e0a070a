//! Where a body ends: the search for CRLF, seven hyphens, transact-id, flag, CRLF (RFC 4975 7.1).

use super::{flag::Flag, scan::HYPHENS};

/// CRLF, hyphens and the longest transact-id.
const FIXED_MAX: usize = 2 + 7 + 64;

/// The longest terminator there is.
pub(super) const TERMINATOR_MAX: usize = FIXED_MAX + 3;

/// The terminator of one frame's body.
#[derive(Clone, Copy)]
pub(super) struct Terminator {
    fixed: [u8; FIXED_MAX],
    length: u8,
    /// Offset of the octet that told the last false hit from a terminator.
    telling: u8,
}

/// What a stretch of body octets turned out to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// The terminator begins at `at`.
    End {
        /// Octets before it.
        at: usize,
        /// Its flag.
        flag: Flag,
    },
    /// Everything before `at` is body; what follows is a proper beginning of the terminator (or nothing).
    Open {
        /// Octets that are body for certain.
        at: usize,
    },
}

/// How many octets one step of the coarse search looks at.
const BLOCK: usize = 128;
/// How many of them make a vector.
const LANES: usize = 16;

impl Terminator {
    /// The terminator for a transact-id, which is at most 64 octets long.
    pub(super) fn new(tid: &[u8]) -> Terminator {
        let mut fixed = [0; FIXED_MAX];
        let length = 9 + tid.len();
        fixed[..2].copy_from_slice(b"\r\n");
        fixed[2..9].copy_from_slice(HYPHENS);
        fixed[9..length].copy_from_slice(tid);
        Terminator { fixed, length: length as u8, telling: length as u8 - 1 }
    }

    /// Octets from the first CR to the last LF.
    pub(super) fn len(&self) -> usize {
        usize::from(self.length) + 3
    }

    /// Looks for the first terminator in `octets`.
    pub(super) fn find(&mut self, octets: &[u8]) -> Found {
        let mut at = 0;
        // Every position of a block can be decided as long as a whole terminator fits behind the last of them.
        while let Some(window) = octets.get(at..at + BLOCK + self.len() - 1) {
            if let Some((position, flag)) = self.find_in_block(window) {
                return Found::End { at: at + position, flag };
            }
            at += BLOCK;
        }
        while let Some(cr) = memchr::memchr(b'\r', &octets[at..]) {
            at += cr;
            match self.matches(&octets[at..]) {
                Match::Whole(flag) => return Found::End { at, flag },
                Match::Beginning => return Found::Open { at },
                Match::No => at += 1,
            }
        }
        Found::Open { at: octets.len() }
    }

    /// Looks for a terminator that begins in the first [`BLOCK`] octets of `window`.
    ///
    /// All positions are tried at once for five octets of it; the loop is written without branches so that it compiles to
    /// vector instructions. A hit is a bit of its lane, one for each row of lanes. Four of the octets are always the same:
    /// CR, LF, a hyphen and the first of the transact-id, which is no hyphen. The fifth is the one that told the last false
    /// hit from a terminator: a body full of near misses of one kind costs what any other does.
    fn find_in_block(&mut self, window: &[u8]) -> Option<(usize, Flag)> {
        let near = window.first_chunk::<{ BLOCK + 9 }>()?;
        let offset = usize::from(self.telling);
        let telling = window.get(offset..)?.first_chunk::<BLOCK>()?;
        let hits = match offset.checked_sub(usize::from(self.length)) {
            None => hits(near, self.fixed[9], telling, |octet| octet == self.fixed[offset]),
            Some(0) => hits(near, self.fixed[9], telling, |octet| (octet == b'$') | (octet == b'+') | (octet == b'#')),
            Some(1) => hits(near, self.fixed[9], telling, |octet| octet == b'\r'),
            Some(_) => hits(near, self.fixed[9], telling, |octet| octet == b'\n'),
        };
        if hits == 0 { None } else { self.first_hit(window, hits) }
    }

    /// The first of these hits that is a terminator.
    fn first_hit(&mut self, window: &[u8], hits: u128) -> Option<(usize, Flag)> {
        let mut first: Option<(usize, Flag)> = None;
        for (half, mut hits) in [hits as u64, (hits >> 64) as u64].into_iter().enumerate() {
            while hits != 0 {
                let bit = hits.trailing_zeros() as usize;
                let position = bit % 8 * LANES + bit / 8 + half * 8;
                match self.verify(&window[position..]) {
                    Ok(flag) if first.is_none_or(|(earlier, _)| position < earlier) => first = Some((position, flag)),
                    Ok(_) => {}
                    Err(offset) => self.telling = offset as u8,
                }
                hits &= hits - 1;
            }
        }
        first
    }

    /// The flag of the terminator that `octets` begin with, or the offset of an octet that is not as it would have to be.
    fn verify(&self, octets: &[u8]) -> Result<Flag, usize> {
        let fixed = usize::from(self.length);
        let Some((start, [flag, cr, lf, ..])) = octets.split_at_checked(fixed) else { return Err(0) };
        let differing = last_word(start) ^ last_word(&self.fixed[..fixed]);
        if differing != 0 {
            return Err(fixed - 8 + differing.trailing_zeros() as usize / 8);
        }
        let flag = Flag::from_octet(*flag).ok_or(fixed)?;
        if (*cr, *lf) != (b'\r', b'\n') {
            return Err(fixed + if *cr == b'\r' { 2 } else { 1 });
        }
        let words = start.as_chunks::<8>().0.iter().zip(self.fixed.as_chunks::<8>().0);
        for (index, (word, expected)) in words.enumerate() {
            let differing = u64::from_le_bytes(*word) ^ u64::from_le_bytes(*expected);
            if differing != 0 {
                return Err(index * 8 + differing.trailing_zeros() as usize / 8);
            }
        }
        Ok(flag)
    }

    fn matches(&self, octets: &[u8]) -> Match {
        let fixed = &self.fixed[..usize::from(self.length)];
        let Some((start, rest)) = octets.split_at_checked(fixed.len()) else {
            return if fixed.starts_with(octets) { Match::Beginning } else { Match::No };
        };
        if !same(start, fixed) {
            return Match::No;
        }
        let (flag, rest) = match rest {
            [] => return Match::Beginning,
            [octet, rest @ ..] => match Flag::from_octet(*octet) {
                Some(flag) => (flag, rest),
                None => return Match::No,
            },
        };
        match rest {
            [b'\r', b'\n', ..] => Match::Whole(flag),
            [] | [b'\r'] => Match::Beginning,
            _ => Match::No,
        }
    }
}

/// Equality of two slices of the same length of at least eight octets. The last eight are compared first, inline: a body
/// may be full of candidates.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.last_chunk::<8>() == b.last_chunk::<8>() && a.as_chunks::<8>().0 == b.as_chunks::<8>().0
}

/// Positions of the four fixed octets and the telling one: a bit of its lane, one for each row of lanes.
#[inline(always)]
fn hits(near: &[u8; BLOCK + 9], tid: u8, telling: &[u8; BLOCK], told: impl Fn(u8) -> bool) -> u128 {
    let mut hits = [0u8; LANES];
    for row in 0..BLOCK / LANES {
        for (lane, hit) in hits.iter_mut().enumerate() {
            let at = row * LANES + lane;
            let line = (near[at] == b'\r') & (near[at + 1] == b'\n') & (near[at + 7] == b'-');
            *hit |= u8::from(line & (near[at + 9] == tid) & told(telling[at])) << row;
        }
    }
    u128::from_le_bytes(hits)
}

fn last_word(octets: &[u8]) -> u64 {
    octets.last_chunk::<8>().map_or(0, |word| u64::from_le_bytes(*word))
}

enum Match {
    Whole(Flag),
    Beginning,
    No,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TID: &[u8] = b"aW8dkq3ZpX1m";

    fn end(tid: &[u8]) -> Vec<u8> {
        [b"\r\n-------", tid, b"$\r\n"].concat()
    }

    /// Where the slow and obvious search finds the end-line.
    fn slow(tid: &[u8], octets: &[u8]) -> Option<usize> {
        let flagged = |flag: u8| [b"\r\n-------", tid, &[flag, b'\r', b'\n']].concat();
        let ends: Vec<_> = b"$+#".iter().map(|flag| flagged(*flag)).collect();
        octets.windows(ends[0].len()).position(|w| ends.iter().any(|end| w == end))
    }

    /// ADV-C11
    #[test]
    fn near_misses_of_every_kind_hide_no_end_line() {
        for tid in [TID, b"a", b"a-------", &[b'7'; 64]] {
            let end = end(tid);
            // Each octet wrong in turn, again and again, at all positions in a block.
            let body: Vec<u8> = (0..2000 * end.len())
                .map(|at| if at / end.len() % end.len() == at % end.len() { b'_' } else { end[at % end.len()] })
                .collect();
            for shift in 0..BLOCK {
                let octets = [&body[..end.len() * 97], &vec![b'x'; shift], &end, &end, b"behind"].concat();
                let at = slow(tid, &octets).unwrap();
                assert_eq!(Terminator::new(tid).find(&octets), Found::End { at, flag: Flag::Complete }, "{shift}");
            }
        }
    }

    proptest! {
        /// CORE-23, ADV-C11
        #[test]
        fn the_fast_search_finds_what_the_slow_one_does(
            pieces in prop::collection::vec(prop_oneof![
                Just("\r\n"), Just("-------"), Just("\r\n-------aW8d"), Just("aW8dkq3ZpX1m"), Just("$"), Just("+\r\n"),
                Just("kq3ZpX1m#\r\n"), Just("\r\n-------aW8dkq3ZpX1m"), Just("x"), Just("some words of text "),
            ], 0..80),
        ) {
            let octets = pieces.concat().into_bytes();
            let found = match Terminator::new(TID).find(&octets) {
                Found::End { at, .. } => Some(at),
                Found::Open { .. } => None,
            };
            prop_assert_eq!(found, slow(TID, &octets));
        }
    }
}
