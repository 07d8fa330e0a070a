//! H(A1): what the relay keeps instead of a password.

use std::fmt;
use std::sync::Arc;

use super::digest::{Algorithm, HexDigest, joined_hash};

/// H(A1) = H(username ":" realm ":" password) of one account, for each algorithm it is known for (RFC 4976 section 9.1).
///
/// It stands for the password in its realm: it is never shown by `Debug`, and wiped with the last of its clones. All of them
/// share one place in memory, since a value that is moved leaves a copy behind that nobody wipes.
#[derive(Clone)]
pub struct Ha1 {
    md5: Option<Arc<HexDigest>>,
    sha256: Option<Arc<HexDigest>>,
}

/// Text that is no H(A1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Ha1Error {
    /// The text has another length than a digest of the algorithm.
    #[error("an HA1 has 32 hex digits (MD5) or 64 (SHA-256)")]
    Length,
    /// The text has characters that are no hex digits.
    #[error("an HA1 consists of hex digits")]
    NotHex,
}

impl Ha1 {
    /// Computes H(A1) for both algorithms.
    pub fn from_password(user: &str, realm: &str, password: &str) -> Ha1 {
        let parts = [user.as_bytes(), realm.as_bytes(), password.as_bytes()];
        let hash = |algorithm| Some(Arc::new(joined_hash(algorithm, &parts)));
        Ha1 { md5: hash(Algorithm::Md5), sha256: hash(Algorithm::Sha256) }
    }

    /// Takes H(A1) as 32 hex digits of MD5, in either case.
    pub fn from_md5_hex(text: &str) -> Result<Ha1, Ha1Error> {
        Ok(Ha1 { md5: Some(parse(Algorithm::Md5, text)?), sha256: None })
    }

    /// Takes H(A1) as 64 hex digits of SHA-256, in either case.
    pub fn from_sha256_hex(text: &str) -> Result<Ha1, Ha1Error> {
        Ok(Ha1 { md5: None, sha256: Some(parse(Algorithm::Sha256, text)?) })
    }

    /// Takes H(A1) as hex digits; their number tells the algorithm.
    pub fn from_hex(text: &str) -> Result<Ha1, Ha1Error> {
        match text.len() {
            32 => Ha1::from_md5_hex(text),
            64 => Ha1::from_sha256_hex(text),
            _ => Err(Ha1Error::Length),
        }
    }

    /// Adds what `other` knows and `self` does not.
    pub fn merge(&mut self, other: &Ha1) {
        if self.md5.is_none() {
            self.md5.clone_from(&other.md5);
        }
        if self.sha256.is_none() {
            self.sha256.clone_from(&other.sha256);
        }
    }

    /// The hex digits for `algorithm`, if they are known. A secret: not for logs.
    pub fn hex(&self, algorithm: Algorithm) -> Option<&str> {
        match algorithm {
            Algorithm::Md5 => self.md5.as_ref(),
            Algorithm::Sha256 => self.sha256.as_ref(),
        }
        .map(|digest| digest.as_str())
    }
}

fn parse(algorithm: Algorithm, text: &str) -> Result<Arc<HexDigest>, Ha1Error> {
    if text.len() != algorithm.response_len() {
        return Err(Ha1Error::Length);
    }
    HexDigest::parse(algorithm, text).map(Arc::new).ok_or(Ha1Error::NotHex)
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MD5: &str = "0dac6c41b21367af2d7b662ed76ee8d2";
    const SHA256: &str = "458771b9119b1a63545dd11cf4aadfc8882b980b2b82277d0718da4f14107d1e";

    #[test]
    fn s9_1_ha1_of_the_test_vectors() {
        let ha1 = Ha1::from_password("ines", "gate.north.example", "kelp-anchor-41");
        assert_eq!(ha1.hex(Algorithm::Md5), Some(MD5));
        assert_eq!(ha1.hex(Algorithm::Sha256), Some(SHA256));
        let ha1 = Ha1::from_password("ines", "hub.south.example", "kelp-anchor-41");
        assert_eq!(ha1.hex(Algorithm::Md5), Some("cf3254a176c74028337845492c831db3"));
    }

    #[test]
    fn hex_that_is_no_ha1_is_refused() {
        assert_eq!(Ha1::from_md5_hex(SHA256).unwrap_err(), Ha1Error::Length);
        assert_eq!(Ha1::from_sha256_hex(MD5).unwrap_err(), Ha1Error::Length);
        assert_eq!(Ha1::from_hex("").unwrap_err(), Ha1Error::Length);
        assert_eq!(Ha1::from_hex(&MD5.replace('d', "g")).unwrap_err(), Ha1Error::NotHex);
        assert_eq!(Ha1::from_hex(&"é".repeat(16)).unwrap_err(), Ha1Error::NotHex);
    }

    #[test]
    fn merge_keeps_what_is_there() {
        let mut ha1 = Ha1::from_hex(&MD5.to_uppercase()).unwrap();
        ha1.merge(&Ha1::from_hex(SHA256).unwrap());
        ha1.merge(&Ha1::from_hex(&"0".repeat(32)).unwrap());
        assert_eq!((ha1.hex(Algorithm::Md5), ha1.hex(Algorithm::Sha256)), (Some(MD5), Some(SHA256)));
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", Ha1::from_hex(MD5).unwrap()), "Ha1(…)");
    }
}
