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
        let mut at = self.skip_blocks(octets, 0);
        while let Some(cr) = memchr::memchr(b'\r', &octets[at..]) {
            at += cr;
            match self.matches(&octets[at..]) {
                Match::Whole(flag) => return Found::End { at, flag },
                Match::Beginning => return Found::Open { at },
                Match::No => at = self.skip_blocks(octets, at + 1),
            }
        }
        Found::Open { at: octets.len() }
    }

    /// The first position from `at` on where a terminator could begin, as far as whole blocks tell: coarse but quick, and
    /// no slower on hostile input. A terminator has three octets at known places that seldom meet by chance: its first
    /// CR, the last of the transact-id, and the CR behind the flag.
    fn skip_blocks(&self, octets: &[u8], mut at: usize) -> usize {
        let fixed = usize::from(self.length);
        let last = self.fixed[fixed - 1];
        while let Some(window) = octets.get(at..at + BLOCK + fixed + 1) {
            let ends = window[fixed - 1..].iter().zip(&window[fixed + 1..]);
            let mut hits = 0;
            for (&first, (&tid, &cr)) in window[..BLOCK].iter().zip(ends) {
                hits |= u8::from(first == b'\r') & u8::from(tid == last) & u8::from(cr == b'\r');
            }
            if hits != 0 {
                break;
            }
            at += BLOCK;
        }
        at
    }

    fn matches(&self, octets: &[u8]) -> Match {
        let fixed = &self.fixed[..usize::from(self.length)];
        let Some((start, rest)) = octets.split_at_checked(fixed.len()) else {
            return if fixed.starts_with(octets) { Match::Beginning } else { Match::No };
        };
        if start != fixed {
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

enum Match {
    Whole(Flag),
    Beginning,
    No,
}
