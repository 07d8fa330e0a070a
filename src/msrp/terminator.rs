//! Where a body ends: the search for CRLF, seven hyphens, transact-id, flag, CRLF (RFC 4975 7.1; msrp-core.md 2.2).

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
const BLOCK: usize = 64;

impl Terminator {
    /// The terminator for a transact-id, which is at most 64 octets long.
    pub(super) fn new(tid: &[u8]) -> Terminator {
        let mut fixed = [0; FIXED_MAX];
        let length = 9 + tid.len();
        fixed[..2].copy_from_slice(b"\r\n");
        fixed[2..9].copy_from_slice(HYPHENS);
        fixed[9..length].copy_from_slice(tid);
        Terminator { fixed, length: length as u8 }
    }

    /// Octets from the first CR to the last LF.
    pub(super) fn len(&self) -> usize {
        usize::from(self.length) + 3
    }

    /// Looks for the first terminator in `octets`.
    pub(super) fn find(&self, octets: &[u8]) -> Found {
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

    /// Looks for a terminator that begins in the first [`BLOCK`] octets of `window`. It has three octets at known places
    /// that seldom meet by chance: its first CR, the last of the transact-id, and the CR behind the flag. All positions
    /// are tried for these at once; the loop is written without branches so that it compiles to vector instructions.
    fn find_in_block(&self, window: &[u8]) -> Option<(usize, Flag)> {
        let fixed = usize::from(self.length);
        let last = self.fixed[fixed - 1];
        let (first, tid, cr) = (&window[..BLOCK], &window[fixed - 1..][..BLOCK], &window[fixed + 1..][..BLOCK]);
        let mut hits = [0; BLOCK];
        for (hit, ((first, tid), cr)) in hits.iter_mut().zip(first.iter().zip(tid).zip(cr)) {
            *hit = u8::from(*first == b'\r') & u8::from(*tid == last) & u8::from(*cr == b'\r');
        }
        if hits.iter().fold(0, |any, hit| any | hit) == 0 {
            return None;
        }
        let (words, _) = hits.as_chunks::<8>();
        for (index, word) in words.iter().enumerate() {
            let mut word = u64::from_le_bytes(*word);
            while word != 0 {
                let position = index * 8 + word.trailing_zeros() as usize / 8;
                if let [flag, _, b'\n'] = window[position + fixed..position + fixed + 3]
                    && let Some(flag) = Flag::from_octet(flag)
                    && same(&window[position..position + fixed], &self.fixed[..fixed])
                {
                    return Some((position, flag));
                }
                word &= word - 1;
            }
        }
        None
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

enum Match {
    Whole(Flag),
    Beginning,
    No,
}
