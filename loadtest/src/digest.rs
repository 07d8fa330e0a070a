//! Digest as RFC 4976 section 5.1 uses it: MD5 or SHA-256, qop `auth`, method AUTH.

use md5::Md5;
use sha2::{Digest, Sha256};

/// A user of the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub user: String,
    /// Password.
    pub password: String,
}

/// A digest algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Algorithm {
    /// RFC 2617.
    Md5,
    /// RFC 7616.
    #[value(name = "sha-256")]
    Sha256,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Algorithm::Md5 => hex(&Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// What a relay asks with: one WWW-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The algorithm it asks for.
    pub algorithm: Algorithm,
    realm: String,
    nonce: String,
    opaque: Option<String>,
}

/// An answer to a challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The value of Authorization.
    pub authorization: String,
    /// What the relay must show in Authentication-Info if it shows anything.
    pub rspauth: String,
}

impl Challenge {
    /// Reads a WWW-Authenticate; nothing if it is no Digest challenge with qop `auth` that we can answer.
    pub fn parse(value: &[u8]) -> Option<Challenge> {
        let value = std::str::from_utf8(value).ok()?;
        let (scheme, rest) = value.trim().split_once(' ')?;
        let algorithm = match parameter(rest, "algorithm") {
            None => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("MD5") => Algorithm::Md5,
            Some(name) if name.eq_ignore_ascii_case("SHA-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let offers_auth = parameter(rest, "qop")?.split(',').any(|qop| qop.trim() == "auth");
        (scheme.eq_ignore_ascii_case("Digest") && offers_auth).then_some(())?;
        let opaque = parameter(rest, "opaque");
        Some(Challenge { algorithm, realm: parameter(rest, "realm")?, nonce: parameter(rest, "nonce")?, opaque })
    }

    /// The strongest challenge of these, or the one for `wanted`.
    pub fn choose<'a>(values: impl Iterator<Item = &'a [u8]>, wanted: Option<Algorithm>) -> Option<Challenge> {
        values
            .filter_map(Challenge::parse)
            .filter(|challenge| wanted.is_none_or(|wanted| wanted == challenge.algorithm))
            .max_by_key(|challenge| challenge.algorithm)
    }

    /// Answers for the digest-URI `uri`.
    pub fn answer(&self, credentials: &Credentials, uri: &str, cnonce: &str) -> Answer {
        let hash = |parts: &[&str]| self.algorithm.hash(parts);
        let Credentials { user, password } = credentials;
        let ha1 = hash(&[user, &self.realm, password]);
        let proof = |method: &str| hash(&[&ha1, &self.nonce, "00000001", cnonce, "auth", &hash(&[method, uri])]);
        let mut authorization = format!(
            "Digest username=\"{user}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{}\", algorithm={}, \
             cnonce=\"{cnonce}\", qop=auth, nc=00000001",
            self.realm,
            self.nonce,
            proof("AUTH"),
            self.algorithm.name(),
        );
        if let Some(opaque) = &self.opaque {
            authorization += &format!(", opaque=\"{opaque}\"");
        }
        Answer { authorization, rspauth: proof("") }
    }
}

/// A parameter of a comma-separated list, unquoted.
pub fn parameter(list: &str, name: &str) -> Option<String> {
    let mut rest = list;
    while let Some((found, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if found.trim_matches([' ', ',', '\t']).eq_ignore_ascii_case(name) {
            return Some(value.trim().to_owned());
        }
        rest = next;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7616 section 3.9.1, with its method GET in the place of AUTH.
    #[test]
    fn the_rfcs_example_has_the_rfcs_hashes() {
        let ha1 = Algorithm::Sha256.hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
        let ha2 = Algorithm::Sha256.hash(&["GET", "/dir/index.html"]);
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let response = Algorithm::Sha256.hash(&[&ha1, nonce, "00000001", cnonce, "auth", &ha2]);
        assert_eq!(response, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
        let ha1 = Algorithm::Md5.hash(&["Mufasa", "http-auth@example.org", "Circle of Life"]);
        let ha2 = Algorithm::Md5.hash(&["GET", "/dir/index.html"]);
        let response = Algorithm::Md5.hash(&[&ha1, nonce, "00000001", cnonce, "auth", &ha2]);
        assert_eq!(response, "8ca523f5e9506fed4657c9700eebdbec");
    }

    #[test]
    fn the_strongest_offer_is_taken_unless_one_is_wanted() {
        let offers: [&[u8]; 3] = [
            b"Digest realm=\"a, b\", nonce=\"n=1\", qop=\"auth-int,auth\"",
            b"Digest realm=\"r\", nonce=\"m\", algorithm=SHA-256, qop=auth, opaque=\"o\"",
            b"Digest realm=\"r\", nonce=\"m\", algorithm=SHA-512-256, qop=\"auth\"",
        ];
        let strongest = Challenge::choose(offers.into_iter(), None).unwrap();
        assert_eq!((strongest.algorithm, strongest.opaque.as_deref()), (Algorithm::Sha256, Some("o")));
        let md5 = Challenge::choose(offers.into_iter(), Some(Algorithm::Md5)).unwrap();
        assert_eq!((md5.realm.as_str(), md5.nonce.as_str()), ("a, b", "n=1"));
        assert_eq!(Challenge::parse(b"Basic realm=\"r\""), None);
        assert_eq!(Challenge::parse(b"Digest realm=\"r\", nonce=\"n\""), None);
    }
}
