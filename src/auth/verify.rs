//! Is the response the right one?

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use super::authorization::{Authorization, AuthorizationError};
use super::digest::{Algorithm, HexDigest, response};
use super::ha1::Ha1;

/// What [`verify`] found.
#[derive(Debug)]
pub enum Verdict<'v> {
    /// The client knows the secret. Its nonce is still to be checked.
    Right(Proof<'v>),
    /// Wrong password or unknown user.
    Wrong,
    /// A rule is broken that does not depend on the secret.
    Malformed(AuthorizationError),
}

/// What [`authentication_info`](super::authentication_info) needs to prove in turn that the relay knows the secret.
#[derive(Clone, Copy)]
pub struct Proof<'v> {
    pub(super) authorization: &'v Authorization<'v>,
    pub(super) ha1: &'v str,
    /// The URI whose octets the client had hashed.
    pub(super) digest_uri: &'v [u8],
}

/// Stands in for the H(A1) of an unknown user, so that the answer takes the same time (RLY-98).
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Compares the client's response with what the account's `ha1` yields (RFC 4976 section 9.1).
///
/// `to_uri` is the rightmost To-Path URI as on the wire, `uri_equivalent` says whether the `uri` parameter, if there is
/// one, is equivalent to it. The digest may be over the octets of either (AMB-48). `compat_msrp_method` also accepts
/// digests over the method `MSRP` (IOP-13). `ha1` is `None` for an unknown user.
pub fn verify<'v>(
    authorization: &'v Authorization<'v>,
    ha1: Option<&'v Ha1>,
    to_uri: &'v [u8],
    uri_equivalent: bool,
    compat_msrp_method: bool,
    offered: &[Algorithm],
) -> Verdict<'v> {
    if let Err(e) = authorization.check_algorithm(offered) {
        return Verdict::Malformed(e);
    }
    let uri = authorization.uri.as_ref().map(|uri| uri.as_bytes());
    if uri.is_some() && !uri_equivalent {
        return Verdict::Malformed(AuthorizationError::OtherUri);
    }
    let known = ha1.and_then(|ha1| ha1.hex(authorization.algorithm));
    let ha1 = known.unwrap_or(&NOBODY[..authorization.algorithm.response_len()]);
    let other_spelling = uri.filter(|uri| *uri != to_uri);
    let methods: &[&str] = if compat_msrp_method { &["AUTH", "MSRP"] } else { &["AUTH"] };
    for digest_uri in [Some(to_uri), other_spelling].into_iter().flatten() {
        for method in methods {
            let right = equal(&expected(authorization, ha1, method, digest_uri), &authorization.response);
            if (right & Choice::from(u8::from(known.is_some()))).into() {
                return Verdict::Right(Proof { authorization, ha1, digest_uri });
            }
        }
    }
    Verdict::Wrong
}

impl Proof<'_> {
    /// The digest that proves it to the client: as the response, with an empty method.
    pub(super) fn rspauth(&self) -> HexDigest {
        expected(self.authorization, self.ha1, "", self.digest_uri)
    }
}

/// Without the secret.
impl fmt::Debug for Proof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Proof").field(self.authorization).finish()
    }
}

fn expected(authorization: &Authorization<'_>, ha1: &str, method: &str, digest_uri: &[u8]) -> HexDigest {
    let Authorization { algorithm, nonce, nc_text, cnonce, .. } = authorization;
    response(*algorithm, ha1, nonce, nc_text, cnonce, method, digest_uri)
}

fn equal(a: &HexDigest, b: &HexDigest) -> Choice {
    a.as_str().as_bytes().ct_eq(b.as_str().as_bytes())
}
