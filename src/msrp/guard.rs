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
