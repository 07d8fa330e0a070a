//! Certificate fingerprints (RFC 8122 section 5).

use std::{fmt, sync::Arc};

use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use thiserror::Error;

/// A hash function by its textual name, the preferred first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Hash {
    /// `sha-256`, preferred by RFC 8122.
    Sha256,
    /// `sha-384`.
    Sha384,
    /// `sha-512`.
    Sha512,
    /// `sha-224`.
    Sha224,
    /// `sha-1`: accepted by a switch, never emitted alone (AMB-73).
    Sha1,
    /// `md5`, never used (SDP-56).
    Md5,
    /// `md2`, never used.
    Md2,
    /// A function we do not know.
    Unknown,
}

impl Hash {
    const KNOWN: [(Hash, &'static str, usize); 7] = [
        (Hash::Sha256, "SHA-256", 32),
        (Hash::Sha384, "SHA-384", 48),
        (Hash::Sha512, "SHA-512", 64),
        (Hash::Sha224, "SHA-224", 28),
        (Hash::Sha1, "SHA-1", 20),
        (Hash::Md5, "MD5", 16),
        (Hash::Md2, "MD2", 16),
    ];

    fn of(name: &[u8]) -> Hash {
        let known = Hash::KNOWN.iter().find(|(_, known, _)| name.eq_ignore_ascii_case(known.as_bytes()));
        known.map_or(Hash::Unknown, |(hash, ..)| *hash)
    }

    /// The name and the length of a digest in octets; none of an unknown function.
    fn known(self) -> Option<(&'static str, usize)> {
        Hash::KNOWN.iter().find(|(hash, ..)| *hash == self).map(|(_, name, length)| (*name, *length))
    }

    /// Whether a certificate may be verified with it.
    pub fn is_usable(self, accept_sha1: bool) -> bool {
        match self {
            Hash::Sha256 | Hash::Sha384 | Hash::Sha512 | Hash::Sha224 => true,
            Hash::Sha1 => accept_sha1,
            Hash::Md5 | Hash::Md2 | Hash::Unknown => false,
        }
    }
}

/// The digest of a certificate in DER form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub struct Fingerprint {
    hash: Hash,
    digest: Vec<u8>,
}

/// Why a fingerprint is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum FingerprintFault {
    /// No hash function, or octets that are not pairs of hexadecimal digits between colons.
    #[error("fingerprint is not a hash function and hexadecimal octets")]
    Syntax,
    /// A digest of another length than its function gives (ADV-S09).
    #[error("fingerprint has the wrong length for its hash function")]
    Length,
    /// More fingerprints than the limit.
    #[error("too many fingerprints")]
    TooMany,
    /// Only functions that must not be used, or that we do not know (RFC 8122 section 5).
    #[error("no fingerprint with an acceptable hash function")]
    NoneUsable,
}

impl Fingerprint {
    /// A digest; fails where its length is not the function's.
    pub fn new(hash: Hash, digest: &[u8]) -> Result<Fingerprint, FingerprintFault> {
        let right = match hash.known() {
            Some((_, length)) => digest.len() == length,
            None => !digest.is_empty(),
        };
        let fingerprint = Fingerprint { hash, digest: digest.to_vec() };
        if right { Ok(fingerprint) } else { Err(FingerprintFault::Length) }
    }

    /// The value of an attribute; name and digits in any case (AMB-73).
    pub fn parse(value: &[u8]) -> Result<Fingerprint, FingerprintFault> {
        let value = value.trim_ascii();
        let space = memchr::memchr(b' ', value).ok_or(FingerprintFault::Syntax)?;
        let (name, octets) = value.split_at_checked(space).ok_or(FingerprintFault::Syntax)?;
        let digit = |octet: &u8| char::from(*octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let octet = |pair: &[u8]| match pair {
            [high, low] => Some(digit(high)? * 16 + digit(low)?),
            _ => None,
        };
        let digest: Option<Vec<u8>> = octets.trim_ascii().split(|octet| *octet == b':').map(octet).collect();
        Fingerprint::new(Hash::of(name), &digest.ok_or(FingerprintFault::Syntax)?)
    }

    /// The fingerprints of a certificate in DER form, by all functions that are sound.
    pub fn of(certificate: &[u8]) -> Arc<[Fingerprint]> {
        Arc::new([
            Fingerprint { hash: Hash::Sha256, digest: Sha256::digest(certificate).to_vec() },
            Fingerprint { hash: Hash::Sha384, digest: Sha384::digest(certificate).to_vec() },
            Fingerprint { hash: Hash::Sha512, digest: Sha512::digest(certificate).to_vec() },
            Fingerprint { hash: Hash::Sha224, digest: Sha224::digest(certificate).to_vec() },
        ])
    }

    /// Whether a certificate with the fingerprints `seen` is one of those expected: by the most preferred function of the
    /// list, any of its digests may match (SDP-57).
    pub fn matches(expected: &[Fingerprint], seen: &[Fingerprint]) -> bool {
        let Some(hash) = expected.iter().map(|f| f.hash).min() else { return false };
        expected.iter().filter(|f| f.hash == hash).any(|f| seen.contains(f))
    }

    /// The hash function.
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The digest.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }
}

impl fmt::Display for Fingerprint {
    /// The value of the attribute, in upper case (RFC 8122 section 5).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hash.known().map_or("unknown", |(name, _)| name))?;
        for (index, octet) in self.digest.iter().enumerate() {
            write!(f, "{}{octet:02X}", if index == 0 { ' ' } else { ':' })?;
        }
        Ok(())
    }
}

/// The fingerprints that apply to one section.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Fingerprints(Vec<Fingerprint>);

impl Fingerprints {
    pub(super) fn parse<'a>(
        values: impl Iterator<Item = &'a [u8]>,
        most: usize,
    ) -> Result<Fingerprints, FingerprintFault> {
        let mut list = Vec::new();
        for value in values {
            if list.len() == most {
                return Err(FingerprintFault::TooMany);
            }
            list.push(Fingerprint::parse(value)?);
        }
        Ok(Fingerprints(list))
    }

    /// Whether the peer gave none, and so is known by the name in its certificate (AMB-73).
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The function to verify with: the most preferred one that was offered (RFC 8122 section 5.1).
    pub fn preferred(&self, accept_sha1: bool) -> Option<Hash> {
        self.0.iter().map(Fingerprint::hash).filter(|hash| hash.is_usable(accept_sha1)).min()
    }

    /// Those of that function, for whoever verifies a certificate ([`Fingerprint::matches`]).
    pub fn expected(&self, accept_sha1: bool) -> Option<Arc<[Fingerprint]>> {
        let hash = self.preferred(accept_sha1)?;
        Some(self.0.iter().filter(|fingerprint| fingerprint.hash == hash).cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(hash: Hash, octet: u8) -> Fingerprint {
        Fingerprint { hash, digest: vec![octet; 4] }
    }

    /// SDP-57
    #[test]
    fn sdp_57_any_digest_of_the_preferred_function_may_match_and_no_other() {
        use Hash::{Sha1, Sha256, Sha512};
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
        let lengths: Vec<_> = all.iter().map(|f| Some(f.digest.len())).collect();
        let known: Vec<_> = all.iter().map(|f| f.hash.known().map(|(_, length)| length)).collect();
        assert_eq!((lengths.len(), lengths), (4, known));
        assert!(Fingerprint::matches(&all, &all));
        assert!(!Fingerprint::matches(&all, &Fingerprint::of(b"another")));
    }
}
