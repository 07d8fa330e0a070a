//! The headers that we send: WWW-Authenticate and Authentication-Info (RFC 4976 section 9.1).

use super::digest::Algorithm;
use super::params::quoted;
use super::verify::Proof;

/// The value of a WWW-Authenticate header. `opaque` has no meaning to us, but some clients cannot do without (IOP-11).
/// Never a `domain` (RLY-14).
pub fn challenge(realm: &str, nonce: &str, opaque: &str, algorithm: Algorithm, stale: bool) -> String {
    let (realm, nonce, opaque) = (quoted(realm), quoted(nonce), quoted(opaque));
    let stale = if stale { ", stale=true" } else { "" };
    let algorithm = algorithm.name();
    format!(r#"Digest realm={realm}, nonce={nonce}, qop="auth", opaque={opaque}, algorithm={algorithm}{stale}"#)
}

/// The values of all WWW-Authenticate headers, in order. MD5 comes last, for clients that keep only the last header
/// (AMB-50).
pub fn challenges(
    realm: &str,
    nonce: &str,
    opaque: &str,
    offered: &[Algorithm],
    stale: bool,
) -> impl Iterator<Item = String> {
    Algorithm::STRONGEST_FIRST
        .into_iter()
        .filter(|a| offered.contains(a))
        .map(move |a| challenge(realm, nonce, opaque, a, stale))
}

/// The value of the Authentication-Info header of a 200 (RLY-18). `cnonce` and `nc` are repeated as sent; `nextnonce`
/// is the nonce that the client should use next, if there is one.
pub fn authentication_info(proof: &Proof<'_>, nextnonce: Option<&str>) -> String {
    let sent = proof.authorization;
    let (rspauth, cnonce, nc) = (proof.rspauth(), quoted(&sent.cnonce), &sent.nc_text);
    let nextnonce = nextnonce.map(|n| format!(", nextnonce={}", quoted(n))).unwrap_or_default();
    format!(r#"rspauth="{rspauth}", cnonce={cnonce}, nc={nc}, qop=auth{nextnonce}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Authorization, Ha1, Verdict, response, verify};

    /// RLY-10, RLY-12, RLY-13, RLY-14, RLY-15
    #[test]
    fn rly_15_challenge_quotes_qop_and_never_names_a_domain() {
        assert_eq!(
            challenge("gate.north.example", "bm9uY2U", "Y2hhcHBl", Algorithm::Md5, false),
            r#"Digest realm="gate.north.example", nonce="bm9uY2U", qop="auth", opaque="Y2hhcHBl", algorithm=MD5"#
        );
    }

    /// RLY-21
    #[test]
    fn rly_21_stale_only_when_true() {
        let stale = challenge("r", "n", "o", Algorithm::Sha256, true);
        assert!(stale.ends_with("algorithm=SHA-256, stale=true"), "{stale}");
    }

    #[test]
    fn amb_50_md5_comes_last() {
        let lines: Vec<_> = challenges("r", "n", "o", &[Algorithm::Md5, Algorithm::Sha256], false).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].contains("SHA-256") && lines[1].contains("MD5"), "{lines:?}");
        assert_eq!(challenges("r", "n", "o", &[Algorithm::Md5], false).count(), 1);
    }

    #[test]
    fn odd_characters_in_a_realm_are_escaped() {
        assert!(challenge(r#"a"b\c"#, "n", "o", Algorithm::Md5, false).contains(r#"realm="a\"b\\c","#));
    }

    /// RLY-15, RLY-18
    #[test]
    fn rly_18_cnonce_and_nc_are_repeated_as_sent() {
        let ha1 = Ha1::from_password("u", "r", "p");
        let r = response(Algorithm::Md5, ha1.hex(Algorithm::Md5).unwrap(), "n", "0000000A", r#"c"\"#, "AUTH", b"uri");
        let value =
            format!(r#"Digest username=u, realm=r, nonce=n, cnonce="c\"\\", nc=0000000A, qop="auth", response={r}"#);
        let authorization = Authorization::parse(value.as_bytes()).unwrap();
        let verdict = verify(&authorization, Some(&ha1), b"uri", false, false, &[Algorithm::Md5]);
        let Verdict::Right(proof) = verdict else { panic!("{verdict:?}") };
        let info = authentication_info(&proof, Some("next"));
        assert!(info.ends_with(r#", cnonce="c\"\\", nc=0000000A, qop=auth, nextnonce="next""#), "{info}");
    }
}
