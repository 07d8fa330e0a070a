//! Keeps the end-line of an outgoing chunk out of its own body (RFC 4975 7.1; RLY-84).

use super::{flag::Flag, ident::Tid};

const HYPHENS: usize = 7;

/// Watches the octets of one outgoing chunk for seven hyphens, its transact-id and a flag, wherever they stand.
///
/// For cut-through relaying the transact-id is visible downstream before the body is written, so whoever makes the body
/// may know it: the search is linear whatever is fed.
#[derive(Clone, Debug)]
pub struct EndLineGuard {
    tid: Tid,
    /// How much of hyphens and transact-id the octets written so far end with.
    matched: usize,
    /// Offset in the pattern of the octet that told the last false hit from it; never the flag's.
    telling: usize,
}

/// Hyphens, transact-id and flag.
const PATTERN: usize = HYPHENS + 16 + 1;
/// How many positions one step of the coarse search looks at, and how many of them make a vector.
const BLOCK: usize = 128;
const LANES: usize = 16;

impl EndLineGuard {
    /// A guard for a chunk whose body has not begun.
    pub fn new(tid: Tid) -> EndLineGuard {
        EndLineGuard { tid, matched: 0, telling: PATTERN - 2 }
    }

    /// How many leading octets of `slice` may be written behind those admitted before without completing the pattern.
    /// The guard goes on behind exactly those. Fewer than all, maybe none, is a hit: end the chunk there and go on under
    /// another transact-id.
    pub fn admit(&mut self, slice: &[u8]) -> usize {
        if slice.len() < BLOCK + PATTERN {
            return self.walk(slice);
        }
        // What began before the slice ends in its first octets.
        let early = self.walk(&slice[..PATTERN - 1]);
        if early < PATTERN - 1 {
            return early;
        }
        let mut at = 0;
        while let Some(window) = slice.get(at..at + BLOCK + PATTERN - 1) {
            if let Some(position) = self.find_in_block(window) {
                self.matched = PATTERN - 1;
                return at + position + PATTERN - 1;
            }
            at += BLOCK;
        }
        // All that begins before `at` is decided.
        self.matched = 0;
        at + self.walk(&slice[at..])
    }

    /// The first of the first [`BLOCK`] positions of `window` where the whole pattern stands. All are tried at once for
    /// three of its octets, as in the search for the incoming end-line: the last hyphen, the first of the transact-id, and
    /// the one that told the last false hit.
    fn find_in_block(&mut self, window: &[u8]) -> Option<usize> {
        let near = window.first_chunk::<{ BLOCK + HYPHENS }>()?;
        let telling = window.get(self.telling..)?.first_chunk::<BLOCK>()?;
        let (tid, told) = (self.tid.as_bytes()[0], self.expected(self.telling));
        let mut hits = [0u8; LANES];
        for row in 0..BLOCK / LANES {
            for (lane, hit) in hits.iter_mut().enumerate() {
                let at = row * LANES + lane;
                let candidate = (near[at + HYPHENS - 1] == b'-') & (near[at + HYPHENS] == tid) & (telling[at] == told);
                *hit |= u8::from(candidate) << row;
            }
        }
        let mut hits = u128::from_le_bytes(hits);
        let mut first = None;
        while hits != 0 {
            let bit = hits.trailing_zeros() as usize;
            let position = bit % 8 * LANES + bit / 8;
            let octets = &window[position..position + PATTERN];
            match octets[..PATTERN - 1].iter().enumerate().find(|(offset, octet)| **octet != self.expected(*offset)) {
                Some((offset, _)) => self.telling = offset,
                None if Flag::from_octet(octets[PATTERN - 1]).is_none() => {}
                None => first = Some(first.map_or(position, |earlier: usize| earlier.min(position))),
            }
            hits &= hits - 1;
        }
        first
    }

    fn expected(&self, offset: usize) -> u8 {
        offset.checked_sub(HYPHENS).map_or(b'-', |at| self.tid.as_bytes()[at])
    }

    /// The same octet by octet, for slices and ends of slices that are shorter than a block.
    fn walk(&mut self, slice: &[u8]) -> usize {
        let tid = self.tid.as_bytes();
        let mut at = 0;
        while at < slice.len() {
            if self.matched == 0 {
                at = skip(slice, at);
            }
            let Some(&octet) = slice.get(at) else { break };
            self.matched = match self.matched {
                matched if matched == HYPHENS + tid.len() => match Flag::from_octet(octet) {
                    Some(_) => return at,
                    None => restart(octet),
                },
                // A longer run still ends with seven hyphens.
                HYPHENS if octet == b'-' => HYPHENS,
                matched if matched < HYPHENS && octet == b'-' => matched + 1,
                matched if matched >= HYPHENS && octet == tid[matched - HYPHENS] => matched + 1,
                _ => restart(octet),
            };
            at += 1;
        }
        slice.len()
    }
}

/// A transact-id of ours has no hyphen: a mismatch leaves at most the hyphen just read.
fn restart(octet: u8) -> usize {
    usize::from(octet == b'-')
}

/// The first position from `at` on where seven hyphens could begin. Such a run covers every seventh octet.
fn skip(slice: &[u8], mut at: usize) -> usize {
    while let Some(octet) = slice.get(at + HYPHENS - 1) {
        if *octet == b'-' {
            let run = slice[at..at + HYPHENS].iter().rev().take_while(|c| **c == b'-').count();
            return at + HYPHENS - run;
        }
        at += HYPHENS;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TID: &[u8] = b"AbcdEfgh01234567";

    fn guard() -> EndLineGuard {
        EndLineGuard::new(Tid::parse(TID).unwrap())
    }

    fn pattern(flag: u8) -> Vec<u8> {
        [b"-------", TID, &[flag]].concat()
    }

    /// Where the slow and obvious search finds the pattern's flag.
    fn first_hit(octets: &[u8]) -> Option<usize> {
        let hit = octets.windows(24).position(|w| b"$+#".iter().any(|flag| w == pattern(*flag)));
        hit.map(|start| start + 23)
    }

    /// CORE-31, RLY-84
    #[test]
    fn rly_84_the_octet_that_completes_the_pattern_is_not_admitted() {
        for flag in *b"$+#" {
            let body = [b"before", &pattern(flag)[..], b"behind"].concat();
            let mut guard = guard();
            assert_eq!(guard.admit(&body), 29);
            assert_eq!(guard.admit(&body[29..]), 0, "it stays refused");
            let mut later = super::tests::guard();
            assert_eq!(later.admit(&body[..20]), 20);
            assert_eq!(later.admit(&body[20..]), 9);
        }
    }

    #[test]
    fn rly_84_what_only_resembles_the_pattern_is_admitted() {
        for body in
            [&b"-------AbcdEfgh01234567x"[..], b"------AbcdEfgh01234567$", b"-------AbcdEfgh0123456$", b"-------$"]
        {
            assert_eq!(guard().admit(body), body.len());
        }
        assert_eq!(guard().admit(&[b'-'; 100_000]), 100_000);
    }

    /// RLY-84
    #[test]
    fn rly_84_longer_runs_and_broken_beginnings_hide_nothing() {
        for before in
            ["-", "---------", "-------Abcd", "-------AbcdEfgh01234567", "------x", "-------AbcdEfgh01234567-"]
        {
            let body = [before.as_bytes(), &pattern(b'+')].concat();
            assert_eq!(guard().admit(&body), body.len() - 1, "{before}");
        }
    }

    /// RLY-84
    #[test]
    fn rly_84_large_slices_hide_nothing_at_any_position() {
        let near: Vec<u8> = (0..PATTERN)
            .flat_map(|wrong| {
                let mut miss = pattern(b'$');
                miss[wrong] = b'_';
                miss
            })
            .collect();
        for shift in 0..BLOCK {
            for begun in [0, 5, 20] {
                let body = [&near[..], &vec![b'-'; shift], &pattern(b'#'), &pattern(b'$'), &near].concat();
                let expected = first_hit(&body).unwrap();
                let mut guard = guard();
                assert_eq!(guard.admit(&body[..begun]), begun);
                assert_eq!(guard.admit(&body[begun..]), expected - begun, "{shift} {begun}");
                assert_eq!(guard.admit(&body[expected..]), 0, "it stays refused");
            }
        }
        for begun in 1..PATTERN {
            let pattern = pattern(b'+');
            let mut guard = guard();
            assert_eq!(guard.admit(&pattern[..begun]), begun.min(PATTERN - 1));
            if begun < PATTERN - 1 {
                let rest = [&pattern[begun..], &[b'x'; 400]].concat();
                assert_eq!(guard.admit(&rest), PATTERN - 1 - begun);
            }
        }
    }

    proptest! {
        /// CORE-31, RLY-84
        #[test]
        fn rly_84_no_split_lets_the_pattern_through(
            bits in prop::collection::vec(prop_oneof![
                Just("-"), Just("-------"), Just("AbcdEfgh01234567"), Just("$"), Just("#"), Just("Abcd"), Just("xyz"),
                Just("-------AbcdEfgh01234567"), Just("-------AbcdEfgh01234567+"),
                Just("a longer stretch of plain text that fills the blocks of the coarse search"),
            ], 0..32),
            sizes in prop::collection::vec(prop_oneof![1usize..12, 100usize..600], 1..6),
        ) {
            let body = bits.concat().into_bytes();
            let expected = first_hit(&body).unwrap_or(body.len());
            let mut guard = guard();
            let mut written = 0;
            for size in sizes.into_iter().cycle() {
                let slice = &body[written..body.len().min(written + size)];
                let admitted = guard.admit(slice);
                written += admitted;
                if admitted < slice.len() || written == body.len() {
                    break;
                }
            }
            prop_assert_eq!(written, expected);
        }
    }
}
