//! The hash of RFC 7616: strings joined by colons, digested, written as lower-case hex.

use std::fmt;

use md5::Md5;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A digest algorithm. The `-sess` variants are forbidden by RFC 4976 section 9.1 and have no value here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Algorithm {
    /// MD5, the one that every MSRP client knows.
    Md5,
    /// SHA-256 (RFC 7616, RFC 8760), offered only when configured (AMB-50).
    Sha256,
}

impl Algorithm {
    /// All algorithms in the order in which challenges offer them.
    pub const STRONGEST_FIRST: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Md5];

    /// The value of the `algorithm` parameter.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// Hex digits in a response.
    pub fn response_len(self) -> usize {
        match self {
            Algorithm::Md5 => 32,
            Algorithm::Sha256 => 64,
        }
    }

    /// The algorithm of this name, in any case (IOP-10).
    pub fn from_name(name: &str) -> Option<Algorithm> {
        Algorithm::STRONGEST_FIRST.into_iter().find(|a| a.name().eq_ignore_ascii_case(name))
    }
}

/// The response of a client to a challenge (RFC 4976 section 9.1): `method` is `AUTH`, or empty for `rspauth`; `ha1` is
/// H(A1) in hex; `digest_uri` is the rightmost To-Path URI as on the wire.
pub fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    nc: &str,
    cnonce: &str,
    method: &str,
    digest_uri: &[u8],
) -> HexDigest {
    let ha2 = joined_hash(algorithm, &[method.as_bytes(), digest_uri]);
    joined_hash(
        algorithm,
        &[ha1.as_bytes(), nonce.as_bytes(), nc.as_bytes(), cnonce.as_bytes(), b"auth", ha2.as_str().as_bytes()],
    )
}

/// H(part ":" part ":" …).
pub(super) fn joined_hash(algorithm: Algorithm, parts: &[&[u8]]) -> HexDigest {
    match algorithm {
        Algorithm::Md5 => HexDigest::new(&hash::<Md5>(parts)),
        Algorithm::Sha256 => HexDigest::new(&hash::<Sha256>(parts)),
    }
}

fn hash<D: Digest>(parts: &[&[u8]]) -> impl AsRef<[u8]> + use<D> {
    #[cfg(test)]
    work::note();
    let mut hash = D::new();
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

/// How much a thread has hashed, so that a test can see that two ways cost the same.
#[cfg(test)]
pub(crate) mod work {
    use std::cell::Cell;

    thread_local!(static HASHES: Cell<u64> = const { Cell::new(0) });

    pub(super) fn note() {
        HASHES.set(HASHES.get() + 1);
    }

    /// Hashes that `of` computes on this thread.
    pub(crate) fn hashes(of: impl FnOnce()) -> u64 {
        let before = HASHES.get();
        of();
        HASHES.get() - before
    }
}

/// A digest as lower-case hex, without a heap allocation. It may be an H(A1), so it is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct HexDigest {
    digits: [u8; 64],
    len: usize,
}

impl HexDigest {
    fn new(octets: &impl AsRef<[u8]>) -> HexDigest {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 64];
        let octets = octets.as_ref();
        for (pair, octet) in digits.chunks_exact_mut(2).zip(octets) {
            pair[0] = DIGITS[usize::from(octet >> 4)];
            pair[1] = DIGITS[usize::from(octet & 15)];
        }
        HexDigest { digits, len: octets.len() * 2 }
    }

    /// A digest of `algorithm` given as hex digits in either case; `None` if it is not one.
    pub(super) fn parse(algorithm: Algorithm, text: &str) -> Option<HexDigest> {
        if text.len() != algorithm.response_len() || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let mut digits = [0; 64];
        digits[..text.len()].copy_from_slice(text.as_bytes());
        digits.make_ascii_lowercase();
        Some(HexDigest { digits, len: text.len() })
    }

    /// The hex digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..self.len]).expect("hex digits are ASCII")
    }
}

impl fmt::Display for HexDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithm_names_are_case_free() {
        assert_eq!(Algorithm::from_name("md5"), Some(Algorithm::Md5));
        assert_eq!(Algorithm::from_name("sha-256"), Some(Algorithm::Sha256));
        assert_eq!(Algorithm::from_name("MD5-sess"), None);
        assert_eq!(Algorithm::from_name(""), None);
    }

    #[test]
    fn parts_are_joined_by_colons() {
        assert_eq!(
            joined_hash(Algorithm::Md5, &[b"bob", b"relay.test", b"secret"]).as_str(),
            "99477e34459fa0b8573440794b798a90"
        );
        assert_eq!(joined_hash(Algorithm::Md5, &[b""]).as_str(), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn hex_is_read_in_either_case_and_written_in_lower() {
        let upper = "99477E34459FA0B8573440794B798A90";
        assert_eq!(HexDigest::parse(Algorithm::Md5, upper).unwrap().as_str(), upper.to_lowercase());
        assert!(HexDigest::parse(Algorithm::Sha256, upper).is_none());
        assert!(HexDigest::parse(Algorithm::Md5, "99477E34459FA0B8573440794B798A9g").is_none());
    }
}
