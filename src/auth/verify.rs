//! Is the response the right one?

use std::fmt;

use subtle::{Choice, ConstantTimeEq};

use super::authorization::Authorization;
use super::digest::{Algorithm, HexDigest, response};
use super::error::AuthorizationError;
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
    let other_spelling = uri.filter(|uri| *uri != to_uri);
    let methods: &[&str] = if compat_msrp_method { &["AUTH", "MSRP"] } else { &["AUTH"] };
    for digest_uri in [Some(to_uri), other_spelling].into_iter().flatten() {
        for method in methods {
            if let right @ Verdict::Right(_) = compare(authorization, ha1, method, digest_uri) {
                return right;
            }
        }
    }
    Verdict::Wrong
}

/// Compares the client's response with what the account's `ha1` yields, for a protocol whose requests carry their digest-uri
/// in the Authorization, as SIP does (RFC 8760 section 2.6). Whether that is the URI of the request is the caller's to see.
pub fn verify_request<'v>(
    authorization: &'v Authorization<'v>,
    ha1: Option<&'v Ha1>,
    method: &str,
    offered: &[Algorithm],
) -> Verdict<'v> {
    let Some(uri) = &authorization.uri else { return Verdict::Malformed(AuthorizationError::Missing("uri")) };
    match authorization.check_algorithm(offered) {
        Ok(()) => compare(authorization, ha1, method, uri.as_bytes()),
        Err(e) => Verdict::Malformed(e),
    }
}

/// One digest and one comparison, for an unknown user too.
fn compare<'v>(
    authorization: &'v Authorization<'v>,
    ha1: Option<&'v Ha1>,
    method: &str,
    digest_uri: &'v [u8],
) -> Verdict<'v> {
    let known = ha1.and_then(|ha1| ha1.hex(authorization.algorithm));
    let ha1 = known.unwrap_or(&NOBODY[..authorization.algorithm.response_len()]);
    let right = equal(&expected(authorization, ha1, method, digest_uri), &authorization.response);
    if (right & Choice::from(u8::from(known.is_some()))).into() {
        Verdict::Right(Proof { authorization, ha1, digest_uri })
    } else {
        Verdict::Wrong
    }
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

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::auth::authentication_info;

    const GATE: &str = "msrps://ines@gate.north.example;tcp";
    const HUB: &str = "msrps://hub.south.example;tcp";

    struct Sent {
        realm: &'static str,
        nonce: &'static str,
        cnonce: &'static str,
        response: String,
        rest: String,
    }

    /// The first row of the test vectors.
    fn gate(response: &str) -> Sent {
        Sent {
            realm: "gate.north.example",
            nonce: "5a1f0c77:Zm9vYmFy",
            cnonce: "c0ffee42",
            response: response.into(),
            rest: String::new(),
        }
    }

    /// The answer of a client that hashes `uri` and `method`.
    fn hashed(password: &str, method: &str, uri: &str) -> Sent {
        let ha1 = Ha1::from_password("ines", "gate.north.example", password);
        let ha1 = ha1.hex(Algorithm::Md5).unwrap();
        let nonce = "5a1f0c77:Zm9vYmFy";
        gate(response(Algorithm::Md5, ha1, nonce, "00000001", "c0ffee42", method, uri.as_bytes()).as_str())
    }

    impl Sent {
        fn uri(mut self, uri: &str) -> Sent {
            self.rest = format!(r#", uri="{uri}""#);
            self
        }

        fn value(&self) -> String {
            let Sent { realm, nonce, cnonce, response, rest } = self;
            format!(
                r#"Digest username="ines", realm="{realm}", nonce="{nonce}", cnonce="{cnonce}", response="{response}", qop=auth, nc=00000001{rest}"#
            )
        }

        /// What comes of it: the Authentication-Info, no right response, or the rule that was broken.
        fn verify(
            &self,
            known: bool,
            to: &str,
            equivalent: bool,
            compat: bool,
            offered: &[Algorithm],
        ) -> Result<Option<String>, AuthorizationError> {
            let value = self.value();
            let authorization = Authorization::parse(value.as_bytes()).unwrap();
            let ha1 = known.then(|| Ha1::from_password("ines", self.realm, "kelp-anchor-41"));
            match verify(&authorization, ha1.as_ref(), to.as_bytes(), equivalent, compat, offered) {
                Verdict::Right(proof) => Ok(Some(authentication_info(&proof, None))),
                Verdict::Wrong => Ok(None),
                Verdict::Malformed(e) => Err(e),
            }
        }

        fn plain(&self, to: &str) -> Result<Option<String>, AuthorizationError> {
            self.verify(true, to, true, false, &[Algorithm::Md5])
        }
    }

    /// RLY-17, RLY-18
    #[test]
    fn rly_17_rly_18_test_vectors() {
        let both = &Algorithm::STRONGEST_FIRST;
        assert_eq!(
            gate("f0e64d214ea2c73f35498d03f8453187").plain(GATE).unwrap().unwrap(),
            r#"rspauth="934c6ab04bfefb235306b70d9180e60f", cnonce="c0ffee42", nc=00000001, qop=auth"#
        );
        let sha256 = gate("4a5a2dcdacafe720a4d2070a9dc33c65e38b967fa04dd553bb1f32e2f8c59708");
        assert_eq!(
            sha256.verify(true, GATE, true, false, both).unwrap().unwrap(),
            r#"rspauth="e9f1e3f39a3e4efa59e77ef01f7e3917aafb22cdc8a0ac702e11fcb55307a416", cnonce="c0ffee42", nc=00000001, qop=auth"#
        );
        let hub = Sent {
            realm: "hub.south.example",
            nonce: "77b2:QUJDREVG",
            cnonce: "0badcafe",
            ..gate("041584eb4706a05bc861e248e8d1e20d")
        };
        assert_eq!(
            hub.plain(HUB).unwrap().unwrap(),
            r#"rspauth="a0dc41a7943ad0c38924f50921f3592d", cnonce="0badcafe", nc=00000001, qop=auth"#
        );
    }

    /// RLY-98
    #[test]
    fn rly_98_unknown_user_is_wrong_like_a_wrong_password() {
        assert_eq!(hashed("wrong", "AUTH", GATE).plain(GATE), Ok(None));
        assert_eq!(hashed("wrong", "AUTH", GATE).verify(false, GATE, true, false, &[Algorithm::Md5]), Ok(None));
    }

    /// RLY-98
    #[test]
    fn rly_98_stand_in_of_an_unknown_user_opens_nothing() {
        let r = response(
            Algorithm::Md5,
            &NOBODY[..32],
            "5a1f0c77:Zm9vYmFy",
            "00000001",
            "c0ffee42",
            "AUTH",
            GATE.as_bytes(),
        );
        assert_eq!(gate(r.as_str()).verify(false, GATE, true, false, &[Algorithm::Md5]), Ok(None));
    }

    /// RLY-98
    #[test]
    fn an_unknown_user_costs_as_much_as_a_wrong_password() {
        let sent = hashed("wrong", "AUTH", GATE);
        let value = sent.value();
        let authorization = Authorization::parse(value.as_bytes()).unwrap();
        let ines = Ha1::from_password("ines", "gate.north.example", "kelp-anchor-41");
        let cost = |ha1: Option<&Ha1>| {
            crate::auth::digest::work::hashes(|| {
                let verdict = verify(&authorization, ha1, GATE.as_bytes(), true, false, &[Algorithm::Md5]);
                assert!(matches!(verdict, Verdict::Wrong));
            })
        };
        assert_eq!(cost(None), cost(Some(&ines)));
        assert!(cost(None) > 0);
    }

    #[test]
    fn account_without_the_algorithm_is_wrong() {
        let value = gate("4a5a2dcdacafe720a4d2070a9dc33c65e38b967fa04dd553bb1f32e2f8c59708").value();
        let authorization = Authorization::parse(value.as_bytes()).unwrap();
        let md5 = Ha1::from_md5_hex("0dac6c41b21367af2d7b662ed76ee8d2").unwrap();
        let verdict = verify(&authorization, Some(&md5), GATE.as_bytes(), true, false, &Algorithm::STRONGEST_FIRST);
        assert!(matches!(verdict, Verdict::Wrong));
    }

    /// RLY-17
    #[rstest]
    #[case::odd_case_as_written("MSRPS://ines@gate.north.example;TCP")]
    #[case::as_usual(GATE)]
    fn rly_17_octets_of_the_to_path_count(#[case] to: &str) {
        assert!(hashed("kelp-anchor-41", "AUTH", to).plain(to).unwrap().is_some());
        assert!(hashed("kelp-anchor-41", "AUTH", to).uri(to).plain(to).unwrap().is_some());
        assert_eq!(hashed("kelp-anchor-41", "AUTH", HUB).plain(to), Ok(None));
    }

    /// RLY-97
    #[test]
    fn adv_e12_digest_over_an_equivalent_uri_is_right() {
        let odd = "msrps://INES@GATE.north.example;tcp";
        let info = hashed("kelp-anchor-41", "AUTH", odd).uri(odd).plain(GATE).unwrap().unwrap();
        let ha1 = Ha1::from_password("ines", "gate.north.example", "kelp-anchor-41");
        let ha1 = ha1.hex(Algorithm::Md5).unwrap();
        let rspauth = response(Algorithm::Md5, ha1, "5a1f0c77:Zm9vYmFy", "00000001", "c0ffee42", "", odd.as_bytes());
        assert!(info.contains(rspauth.as_str()), "rspauth is over the spelling that the client used");
        assert!(hashed("kelp-anchor-41", "AUTH", GATE).uri(odd).plain(GATE).unwrap().is_some());
        assert_eq!(hashed("wrong", "AUTH", odd).uri(odd).plain(GATE), Ok(None));
    }

    /// RLY-97
    #[test]
    fn adv_e13_uri_of_another_relay_is_malformed() {
        let sent = hashed("kelp-anchor-41", "AUTH", HUB).uri(HUB);
        assert_eq!(sent.verify(true, GATE, false, false, &[Algorithm::Md5]), Err(AuthorizationError::OtherUri));
    }

    #[test]
    fn adv_e14_algorithm_that_was_not_offered_is_malformed() {
        let sent = gate(&"0".repeat(64));
        assert_eq!(sent.plain(GATE), Err(AuthorizationError::NotOffered));
        let sent = gate(&"0".repeat(32));
        assert_eq!(
            sent.verify(true, GATE, true, false, &[Algorithm::Sha256]),
            Err(AuthorizationError::NotOffered),
            "MD5 can be switched off"
        );
    }

    #[test]
    fn iop_13_method_msrp_needs_the_switch() {
        let sent = hashed("kelp-anchor-41", "MSRP", GATE);
        assert_eq!(sent.plain(GATE), Ok(None));
        assert!(sent.verify(true, GATE, true, true, &[Algorithm::Md5]).unwrap().is_some());
        assert!(
            hashed("kelp-anchor-41", "AUTH", GATE).verify(true, GATE, true, true, &[Algorithm::Md5]).unwrap().is_some()
        );
        assert_eq!(hashed("kelp-anchor-41", "SEND", GATE).verify(true, GATE, true, true, &[Algorithm::Md5]), Ok(None));
    }
}
