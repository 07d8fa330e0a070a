//! Branches: what tells our transactions apart, and what nobody can guess who has not seen the request (RFC 3261 section
//! 8.1.1.7).

use std::fmt::Write;

use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::RngCore;

/// How every branch of RFC 3261 begins.
pub(super) const COOKIE: &str = "z9hG4bK";

/// Makes branches.
pub(super) struct Branches(ChaCha12Rng);

impl Branches {
    pub(super) fn new(random: ChaCha12Rng) -> Branches {
        Branches(random)
    }

    /// The next: 128 bits behind the cookie.
    pub(super) fn next(&mut self) -> String {
        let mut text = String::with_capacity(COOKIE.len() + 32);
        text.push_str(COOKIE);
        let _ = write!(text, "{:016x}{:016x}", self.0.next_u64(), self.0.next_u64());
        text
    }
}

/// Whether a branch names its transaction by itself. The cookie alone names nothing.
pub(super) fn is_unique(branch: &str) -> bool {
    let cookie = branch.get(..COOKIE.len());
    cookie.is_some_and(|cookie| cookie.eq_ignore_ascii_case(COOKIE)) && branch.len() > COOKIE.len()
}
