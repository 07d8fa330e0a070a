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
