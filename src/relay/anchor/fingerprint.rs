//! What a certificate must be for a leg: fingerprints that came by SDP, or a name (RFC 8122 sections 5 and 6.2).

use std::sync::Arc;

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};

/// A hash function of fingerprints, the preferred first (RFC 8122 section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HashFunction {
    /// `sha-256`
    Sha256,
    /// `sha-384`
    Sha384,
    /// `sha-512`
    Sha512,
    /// `sha-224`
    Sha224,
    /// `sha-1`: only where somebody computes it (SDP-56).
    Sha1,
}

/// The digest of a certificate in DER form (RFC 8122 section 5).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint {
    /// By which function.
    pub hash: HashFunction,
    /// Its octets.
    pub digest: Box<[u8]>,
}

impl Fingerprint {
    /// The fingerprints of a certificate by all functions that are sound.
    pub fn of(certificate: &[u8]) -> Arc<[Fingerprint]> {
        Arc::new([
            Fingerprint { hash: HashFunction::Sha256, digest: Sha256::digest(certificate).to_vec().into() },
            Fingerprint { hash: HashFunction::Sha384, digest: Sha384::digest(certificate).to_vec().into() },
            Fingerprint { hash: HashFunction::Sha512, digest: Sha512::digest(certificate).to_vec().into() },
            Fingerprint { hash: HashFunction::Sha224, digest: Sha224::digest(certificate).to_vec().into() },
        ])
    }

    /// Whether a certificate is one of those expected: by the most preferred function of the list, any of its digests may
    /// match (SDP-57).
    pub fn matches(expected: &[Fingerprint], seen: &[Fingerprint]) -> bool {
        let Some(hash) = expected.iter().map(|f| f.hash).min() else { return false };
        expected.iter().filter(|f| f.hash == hash).any(|f| seen.contains(f))
    }
}

/// What the certificate of a leg's end must be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Expects {
    /// Who has our URI is who is meant.
    #[default]
    Nothing,
    /// Valid, with this name.
    Name(Arc<str>),
    /// Any that has one of these.
    Fingerprints(Arc<[Fingerprint]>),
}

impl Expects {
    /// Whether a link with these fingerprints and these verified names satisfies.
    pub(super) fn met_by<'a>(&self, seen: Option<&[Fingerprint]>, mut names: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Expects::Nothing => true,
            Expects::Name(name) => names.any(|n| n.eq_ignore_ascii_case(name)),
            Expects::Fingerprints(expected) => seen.is_some_and(|seen| Fingerprint::matches(expected, seen)),
        }
    }

    /// The fingerprints that a connection of ours is verified by, in place of its name.
    pub(super) fn fingerprints(&self) -> Option<Arc<[Fingerprint]>> {
        match self {
            Expects::Fingerprints(expected) => Some(expected.clone()),
            Expects::Nothing | Expects::Name(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(hash: HashFunction, octet: u8) -> Fingerprint {
        Fingerprint { hash, digest: vec![octet; 4].into() }
    }

    #[test]
    fn sdp_57_any_digest_of_the_preferred_function_may_match_and_no_other() {
        use HashFunction::{Sha1, Sha256, Sha512};
        let seen = [one(Sha256, 1), one(Sha512, 2), one(Sha1, 3)];
        for (expected, met) in [
            (vec![one(Sha256, 1)], true),
            (vec![one(Sha256, 9), one(Sha256, 1)], true),
            // The weaker one would match, but does not count beside the preferred one.
            (vec![one(Sha256, 9), one(Sha1, 3)], false),
            (vec![one(Sha1, 3)], true),
            (vec![one(Sha512, 2), one(Sha1, 9)], true),
            (vec![], false),
        ] {
            assert_eq!(Fingerprint::matches(&expected, &seen), met, "{expected:?}");
        }
    }

    #[test]
    fn a_certificate_has_a_fingerprint_by_each_function() {
        let all = Fingerprint::of(b"certificate");
        let lengths: Vec<_> = all.iter().map(|f| f.digest.len()).collect();
        assert_eq!(lengths, [32, 48, 64, 28]);
        assert!(Fingerprint::matches(&all, &all));
        assert!(!Fingerprint::matches(&all, &Fingerprint::of(b"another")));
    }
}
