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
}

impl EndLineGuard {
    /// A guard for a chunk whose body has not begun.
    pub fn new(tid: Tid) -> EndLineGuard {
        EndLineGuard { tid, matched: 0 }
    }

    /// How many leading octets of `slice` may be written behind those admitted before without completing the pattern.
    /// The guard goes on behind exactly those. Fewer than all, maybe none, is a hit: end the chunk there and go on under
    /// another transact-id.
    pub fn admit(&mut self, slice: &[u8]) -> usize {
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

    #[test]
    fn rly_84_longer_runs_and_broken_beginnings_hide_nothing() {
        for before in
            ["-", "---------", "-------Abcd", "-------AbcdEfgh01234567", "------x", "-------AbcdEfgh01234567-"]
        {
            let body = [before.as_bytes(), &pattern(b'+')].concat();
            assert_eq!(guard().admit(&body), body.len() - 1, "{before}");
        }
    }

    proptest! {
        #[test]
        fn rly_84_no_split_lets_the_pattern_through(
            bits in prop::collection::vec(prop_oneof![
                Just("-"), Just("-------"), Just("AbcdEfgh01234567"), Just("$"), Just("#"), Just("Abcd"), Just("xyz"),
                Just("-------AbcdEfgh01234567"), Just("-------AbcdEfgh01234567+"),
            ], 0..16),
            sizes in prop::collection::vec(1usize..12, 1..6),
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
