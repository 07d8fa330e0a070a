//! The client's half of Digest: reading a challenge, answering it, checking what the relay proves in return (RFC 4976
//! section 9.1, RFC 7616).

use crate::auth::{Algorithm, Ha1, HexDigest, response};

use super::error::ClientError;

/// A Digest challenge that we can answer.
#[derive(Debug, PartialEq)]
pub(super) struct Challenge {
    pub(super) realm: String,
    pub(super) nonce: String,
    pub(super) opaque: Option<String>,
    pub(super) algorithm: Algorithm,
    pub(super) algorithm_named: bool,
    pub(super) stale: bool,
}

/// Who asks, and for what.
pub(super) struct Asking<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    /// The rightmost To-Path URI, as on the wire.
    pub(super) digest_uri: &'a str,
    pub(super) cnonce: &'a str,
}

/// The answer to a challenge.
pub(super) struct Reply {
    /// The value of the Authorization header.
    pub(super) authorization: String,
    /// What the relay has to prove with.
    rspauth: HexDigest,
}

impl Challenge {
    /// The strongest of all challenges in the values of WWW-Authenticate headers.
    pub(super) fn strongest<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Challenge> {
        let known: Vec<_> = values.filter_map(Challenge::parse).collect();
        let strength = |algorithm| Algorithm::STRONGEST_FIRST.iter().position(|known| *known == algorithm);
        known.into_iter().min_by_key(|challenge| strength(challenge.algorithm))
    }

    /// Reads the value of a WWW-Authenticate header; `None` if it is not one that we can answer.
    fn parse(value: &[u8]) -> Option<Challenge> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let (scheme, list) = text.split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let parameters = parameters(list)?;
        let offers_auth = find(&parameters, "qop")?.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth"));
        let algorithm = find(&parameters, "algorithm");
        offers_auth.then_some(Challenge {
            realm: find(&parameters, "realm")?.to_owned(),
            nonce: find(&parameters, "nonce")?.to_owned(),
            opaque: find(&parameters, "opaque").map(str::to_owned),
            algorithm: algorithm.map_or(Some(Algorithm::Md5), Algorithm::from_name)?,
            algorithm_named: algorithm.is_some(),
            stale: find(&parameters, "stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true")),
        })
    }

    /// The answer, for the first use of the nonce.
    pub(super) fn reply(&self, asking: &Asking<'_>) -> Result<Reply, ClientError> {
        let ha1 = Ha1::from_password(asking.user, &self.realm, asking.password);
        let ha1 = ha1.hex(self.algorithm).ok_or(ClientError::Challenge)?;
        let (nc, uri) = ("00000001", asking.digest_uri.as_bytes());
        let digest = |method| response(self.algorithm, ha1, &self.nonce, nc, asking.cnonce, method, uri);
        let mut authorization = format!(
            "Digest username={}, realm={}, nonce={}, qop=auth, nc={nc}, cnonce={}, response=\"{}\"",
            quoted(asking.user),
            quoted(&self.realm),
            quoted(&self.nonce),
            quoted(asking.cnonce),
            digest("AUTH"),
        );
        if self.algorithm_named {
            authorization.push_str(", algorithm=");
            authorization.push_str(self.algorithm.name());
        }
        if let Some(opaque) = &self.opaque {
            authorization.push_str(", opaque=");
            authorization.push_str(&quoted(opaque));
        }
        Ok(Reply { authorization, rspauth: digest("") })
    }
}

impl Reply {
    /// Whether the value of an Authentication-Info header proves that the relay knows the password.
    pub(super) fn proven_by(&self, authentication_info: &[u8]) -> bool {
        let list = std::str::from_utf8(authentication_info).ok().and_then(parameters);
        let rspauth = list.as_ref().and_then(|list| find(list, "rspauth"));
        rspauth.is_some_and(|rspauth| rspauth.eq_ignore_ascii_case(self.rspauth.as_str()))
    }
}

/// `name=value` pairs with commas between; `None` if the list is malformed.
fn parameters(list: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = list.trim_start_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=')?;
        let tail = tail.trim_start();
        let (value, tail) = match tail.strip_prefix('"') {
            Some(tail) => unquote(tail)?,
            None => {
                let end = tail.find([',', ' ', '\t']).unwrap_or(tail.len());
                (tail[..end].to_owned(), &tail[end..])
            }
        };
        let tail = tail.trim_start();
        if !tail.is_empty() && !tail.starts_with(',') {
            return None;
        }
        found.push((name.trim().to_owned(), value));
        rest = tail.trim_start_matches([' ', '\t', ',']);
    }
    Some(found)
}

/// A quoted string whose opening quote is taken, and what follows its closing quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    loop {
        match characters.next()? {
            (at, '"') => return Some((value, &text[at + 1..])),
            (_, '\\') => value.push(characters.next()?.1),
            (_, character) => value.push(character),
        }
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', r"\\").replace('"', "\\\""))
}

fn find<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::md5(
        r#"Digest realm="gate.north.example", nonce="5a1f0c77:Zm9vYmFy", qop="auth""#,
        "ines",
        "msrps://ines@gate.north.example;tcp",
        "c0ffee42",
        "f0e64d214ea2c73f35498d03f8453187",
        "934c6ab04bfefb235306b70d9180e60f"
    )]
    #[case::sha256(
        r#"Digest realm="gate.north.example",nonce="5a1f0c77:Zm9vYmFy",qop="auth",algorithm=SHA-256"#,
        "ines",
        "msrps://ines@gate.north.example;tcp",
        "c0ffee42",
        "4a5a2dcdacafe720a4d2070a9dc33c65e38b967fa04dd553bb1f32e2f8c59708",
        "e9f1e3f39a3e4efa59e77ef01f7e3917aafb22cdc8a0ac702e11fcb55307a416"
    )]
    #[case::without_userinfo(
        r#"Digest realm="hub.south.example", nonce="77b2:QUJDREVG", qop="auth""#,
        "ines",
        "msrps://hub.south.example;tcp",
        "0badcafe",
        "041584eb4706a05bc861e248e8d1e20d",
        "a0dc41a7943ad0c38924f50921f3592d"
    )]
    fn s9_1_published_vectors(
        #[case] value: &str,
        #[case] user: &str,
        #[case] digest_uri: &str,
        #[case] cnonce: &str,
        #[case] response: &str,
        #[case] rspauth: &str,
    ) {
        let challenge = Challenge::parse(value.as_bytes()).unwrap();
        let reply = challenge.reply(&Asking { user, password: "kelp-anchor-41", digest_uri, cnonce }).unwrap();
        assert!(reply.authorization.contains(&format!("response=\"{response}\"")), "{}", reply.authorization);
        assert!(reply.proven_by(format!("rspauth=\"{rspauth}\", cnonce=\"{cnonce}\"").as_bytes()));
        assert!(reply.proven_by(format!("nc=00000001,qop=auth,rspauth={rspauth}").as_bytes()));
        for lie in ["", "rspauth=", "rspauth=\"0\"", "nextnonce=\"x\"", "\u{fffd}"] {
            assert!(!reply.proven_by(lie.as_bytes()));
        }
    }

    #[test]
    fn amb_50_strongest_known_challenge_is_answered() {
        let md5: &[u8] = br#"Digest realm="r", nonce="m", qop="auth", algorithm=MD5"#;
        let sha: &[u8] = br#"Digest realm="r", nonce="s", qop="auth,auth-int", algorithm=sha-256, stale=TRUE"#;
        let new: &[u8] = br#"Digest realm="r", nonce="n", qop="auth", algorithm=SHA-512-256"#;
        let sess: &[u8] = br#"Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess"#;
        let strongest = Challenge::strongest([new, md5, sha, sess].into_iter()).unwrap();
        assert_eq!((strongest.algorithm, strongest.nonce.as_str(), strongest.stale), (Algorithm::Sha256, "s", true));
        assert!(Challenge::strongest([new, sess].into_iter()).is_none());
    }

    #[rstest]
    #[case("")]
    #[case("Digest")]
    #[case("Basic realm=\"r\"")]
    #[case(r#"Digest realm="r", nonce="n""#)]
    #[case(r#"Digest realm="r", nonce="n", qop="auth-int""#)]
    #[case(r#"Digest realm="r", qop="auth""#)]
    #[case(r#"Digest realm="r, nonce="n", qop="auth""#)]
    #[case(r#"Digest realm="r" nonce="n", qop="auth""#)]
    #[case(r#"Digest realm="r", nonce="n", qop="auth"#)]
    #[case(r#"Digest realm="r\"#)]
    fn unusable_challenge_is_no_challenge(#[case] value: &str) {
        assert_eq!(Challenge::parse(value.as_bytes()), None);
    }

    #[test]
    fn odd_characters_are_escaped_and_read_back() {
        let challenge = Challenge::parse(br#"Digest realm="a\"b\\c", nonce="n", qop=auth, opaque="o""#).unwrap();
        assert_eq!(challenge.realm, r#"a"b\c"#);
        let asking = Asking { user: "u\"", password: "p", digest_uri: "x", cnonce: "c" };
        let reply = challenge.reply(&asking).unwrap();
        assert!(reply.authorization.contains(r#"username="u\"", realm="a\"b\\c""#), "{}", reply.authorization);
        assert!(reply.authorization.ends_with(r#", opaque="o""#), "{}", reply.authorization);
    }
}
