//! The Authorization header of an AUTH request (RFC 4976 section 9.1).

use std::borrow::Cow;
use std::fmt;

use super::digest::{Algorithm, HexDigest};
use super::error::AuthorizationError;
use super::params::Params;

/// The longest value in octets that is read. A header line of MSRP has the same limit.
pub const MAX_VALUE: usize = 8192;

/// A Digest answer, well-formed but not yet verified. Values are without quotes and escapes.
#[derive(Clone)]
pub struct Authorization<'a> {
    /// Who wants a token.
    pub username: Cow<'a, str>,
    /// The realm that was answered.
    pub realm: Cow<'a, str>,
    /// The nonce that was answered.
    pub nonce: Cow<'a, str>,
    /// The client's own nonce.
    pub cnonce: Cow<'a, str>,
    /// How often the client has used the nonce, this time included; never 0.
    pub nc: u32,
    /// `nc` as sent: 8 hex digits.
    pub nc_text: Cow<'a, str>,
    /// The digest-uri, if it was sent (AMB-48).
    pub uri: Option<Cow<'a, str>>,
    /// The algorithm that was named, or the one that the length of the response tells.
    pub algorithm: Algorithm,
    /// The opaque of the challenge, if the client returned it.
    pub opaque: Option<Cow<'a, str>>,
    pub(super) response: HexDigest,
}

impl<'a> Authorization<'a> {
    /// Reads the value of an Authorization header.
    pub fn parse(value: &'a [u8]) -> Result<Authorization<'a>, AuthorizationError> {
        if value.len() > MAX_VALUE {
            return Err(AuthorizationError::TooLong);
        }
        let text = std::str::from_utf8(value).map_err(|_| AuthorizationError::NotUtf8)?;
        if text.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            return Err(AuthorizationError::ControlOctet);
        }
        Sent::read(after_scheme(text)?)?.checked()
    }

    /// The rules that need the challenge but no account: the realm is ours and the algorithm was offered.
    pub fn check(&self, realm: &str, offered: &[Algorithm]) -> Result<(), AuthorizationError> {
        if self.realm != realm {
            return Err(AuthorizationError::OtherRealm);
        }
        self.check_algorithm(offered)
    }

    pub(super) fn check_algorithm(&self, offered: &[Algorithm]) -> Result<(), AuthorizationError> {
        if offered.contains(&self.algorithm) { Ok(()) } else { Err(AuthorizationError::NotOffered) }
    }
}

/// Response and nonce together let a password be guessed off-line, so they are not shown.
impl fmt::Debug for Authorization<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization")
            .field("username", &self.username)
            .field("realm", &self.realm)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The parameter list behind the scheme name.
fn after_scheme(text: &str) -> Result<&str, AuthorizationError> {
    let text = text.trim_matches([' ', '\t']);
    let (scheme, list) = text.split_once([' ', '\t']).unwrap_or((text, ""));
    match scheme {
        "" => Err(AuthorizationError::Syntax),
        s if s.eq_ignore_ascii_case("Digest") => Ok(list),
        _ => Err(AuthorizationError::NotDigest),
    }
}

/// The parameters as sent, each at most once. Unknown ones are ignored (RFC 7616 section 3.4).
#[derive(Default)]
struct Sent<'a> {
    username: Option<Cow<'a, str>>,
    realm: Option<Cow<'a, str>>,
    nonce: Option<Cow<'a, str>>,
    response: Option<Cow<'a, str>>,
    cnonce: Option<Cow<'a, str>>,
    nc: Option<Cow<'a, str>>,
    qop: Option<Cow<'a, str>>,
    uri: Option<Cow<'a, str>>,
    algorithm: Option<Cow<'a, str>>,
    opaque: Option<Cow<'a, str>>,
}

impl<'a> Sent<'a> {
    fn read(list: &'a str) -> Result<Sent<'a>, AuthorizationError> {
        let mut sent = Sent::default();
        for parameter in Params::new(list) {
            let (name, value) = parameter?;
            if let Some((name, slot)) = sent.slot(name)
                && slot.replace(value).is_some()
            {
                return Err(AuthorizationError::Duplicate(name));
            }
        }
        Ok(sent)
    }

    fn slot(&mut self, name: &str) -> Option<(&'static str, &mut Option<Cow<'a, str>>)> {
        let slots = [
            ("username", &mut self.username),
            ("realm", &mut self.realm),
            ("nonce", &mut self.nonce),
            ("response", &mut self.response),
            ("cnonce", &mut self.cnonce),
            ("nc", &mut self.nc),
            ("qop", &mut self.qop),
            ("uri", &mut self.uri),
            ("algorithm", &mut self.algorithm),
            ("opaque", &mut self.opaque),
        ];
        slots.into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name))
    }

    fn checked(self) -> Result<Authorization<'a>, AuthorizationError> {
        let missing = AuthorizationError::Missing;
        if self.qop.ok_or(missing("qop"))? != "auth" {
            return Err(AuthorizationError::BadQop);
        }
        let nc_text = self.nc.ok_or(missing("nc"))?;
        let nc = parse_nc(&nc_text)?;
        let response = self.response.ok_or(missing("response"))?;
        let (algorithm, response) = parse_response(self.algorithm.as_deref(), &response)?;
        Ok(Authorization {
            username: self.username.ok_or(missing("username"))?,
            realm: self.realm.ok_or(missing("realm"))?,
            nonce: self.nonce.ok_or(missing("nonce"))?,
            cnonce: self.cnonce.ok_or(missing("cnonce"))?,
            nc,
            nc_text,
            uri: self.uri,
            algorithm,
            opaque: self.opaque,
            response,
        })
    }
}

fn parse_nc(text: &str) -> Result<u32, AuthorizationError> {
    let digits = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    match u32::from_str_radix(text, 16) {
        Ok(nc) if digits && nc > 0 => Ok(nc),
        _ => Err(AuthorizationError::BadNc),
    }
}

/// RFC 4976 fixes 32 digits and need not name MD5, so an algorithm that is not named is told by the length.
fn parse_response(algorithm: Option<&str>, response: &str) -> Result<(Algorithm, HexDigest), AuthorizationError> {
    let algorithm = match algorithm {
        Some(name) => Algorithm::from_name(name).ok_or(AuthorizationError::UnknownAlgorithm)?,
        None => Algorithm::STRONGEST_FIRST
            .into_iter()
            .find(|a| a.response_len() == response.len())
            .ok_or(AuthorizationError::ResponseLength)?,
    };
    if response.len() != algorithm.response_len() {
        return Err(AuthorizationError::ResponseLength);
    }
    let response = HexDigest::parse(algorithm, response).ok_or(AuthorizationError::ResponseNotHex)?;
    Ok((algorithm, response))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use AuthorizationError::*;

    const GOOD: &str = r#"Digest username="ines", realm="gate.north.example", nonce="5a1f0c77:Zm9vYmFy", response="f0e64d214ea2c73f35498d03f8453187", cnonce="c0ffee42", qop=auth, nc=00000001"#;

    fn error(value: &str) -> AuthorizationError {
        Authorization::parse(value.as_bytes()).unwrap_err()
    }

    /// The good value without the parameter `name`.
    fn without(name: &str) -> String {
        let list = GOOD.strip_prefix("Digest ").unwrap();
        let kept: Vec<_> = list.split(", ").filter(|p| !p.starts_with(&format!("{name}="))).collect();
        format!("Digest {}", kept.join(", "))
    }

    fn with(parameter: &str) -> String {
        let name = parameter.split('=').next().unwrap();
        format!("{}, {parameter}", without(name))
    }

    #[test]
    fn s9_1_values_are_read_without_quotes() {
        let value = with(r#"opaque="x y""#) + r#", uri="msrps://ines@gate.north.example;tcp", algorithm=MD5, x=y"#;
        let a = Authorization::parse(value.as_bytes()).unwrap();
        assert_eq!((&*a.username, &*a.realm), ("ines", "gate.north.example"));
        assert_eq!((&*a.nonce, &*a.cnonce), ("5a1f0c77:Zm9vYmFy", "c0ffee42"));
        assert_eq!((a.nc, &*a.nc_text), (1, "00000001"));
        assert_eq!(a.uri.as_deref(), Some("msrps://ines@gate.north.example;tcp"));
        assert_eq!((a.algorithm, a.opaque.as_deref()), (Algorithm::Md5, Some("x y")));
        assert_eq!(a.response.as_str(), "f0e64d214ea2c73f35498d03f8453187");
    }

    /// RLY-19
    #[rstest]
    #[case::comma_alone(GOOD.replace(", ", ","))]
    #[case::tabs_around_commas(GOOD.replace(", ", "\t,\t \t"))]
    #[case::all_quoted(with(r#"nc="00000001""#) + r#", algorithm="md5""#)]
    #[case::qop_quoted(with(r#"qop="auth""#))]
    #[case::nothing_quoted(GOOD.replace('"', ""))]
    #[case::scheme_and_names_in_other_case(GOOD.replace("Digest", "dIGEST").replace("nonce", "NONCE"))]
    #[case::other_order(with("username=ines"))]
    #[case::upper_case_response(GOOD.replace("f0e6", "F0E6"))]
    #[case::escaped(GOOD.replace("\"ines", r#""\i\nes"#))]
    #[case::space_around(format!(" {GOOD} "))]
    fn iop_10_every_way_of_writing_is_the_same(#[case] value: String) {
        let a = Authorization::parse(value.as_bytes()).unwrap();
        let good = Authorization::parse(GOOD.as_bytes()).unwrap();
        assert_eq!((a.username, a.nonce, a.cnonce, a.nc_text), (good.username, good.nonce, good.cnonce, good.nc_text));
        assert_eq!((a.algorithm, a.response.as_str()), (good.algorithm, good.response.as_str()));
    }

    /// RLY-16
    #[rstest]
    #[case("qop")]
    #[case("cnonce")]
    #[case("nc")]
    #[case("username")]
    #[case("realm")]
    #[case("nonce")]
    #[case("response")]
    fn rly_16_parameter_is_needed(#[case] name: &'static str) {
        assert_eq!(error(&without(name)), Missing(name));
    }

    /// ADV-R07
    #[rstest]
    #[case("username")]
    #[case("response")]
    #[case("NC")]
    #[case("uri")]
    #[case("opaque")]
    fn adv_r07_parameter_twice_is_refused(#[case] name: &str) {
        let value = format!("{GOOD}, uri=x, opaque=x, {name}=00000001");
        assert!(matches!(error(&value), Duplicate(n) if n.eq_ignore_ascii_case(name)));
    }

    /// RLY-11
    #[rstest]
    #[case("Basic YWxpY2U6c2VjcmV0")]
    #[case("Bearer x")]
    #[case("Digestusername=\"x\"")]
    fn rly_11_other_scheme_wants_a_challenge(#[case] value: &str) {
        assert_eq!(error(value), NotDigest);
    }

    /// ADV-R07
    #[rstest]
    #[case("", Syntax)]
    #[case(" ", Syntax)]
    #[case("Digest", Missing("qop"))]
    #[case("Digest ", Missing("qop"))]
    #[case("Digest ,,,,", Missing("qop"))]
    #[case("Digest username", Syntax)]
    #[case("Digest username=\"", UnterminatedQuote)]
    #[case("Digest username=\"x\\", UnterminatedQuote)]
    #[case("Digest username=\"a\u{0}b\"", ControlOctet)]
    #[case("Digest username=\"a\r\nb\"", ControlOctet)]
    #[case("Digest username=\u{7f}", ControlOctet)]
    fn adv_r07_malformed_value_is_refused(#[case] value: &str, #[case] rule: AuthorizationError) {
        assert_eq!(error(value), rule);
    }

    /// ADV-R07
    #[rstest]
    #[case("x=\"abc", UnterminatedQuote)]
    #[case("nc=zzzzzzzz", BadNc)]
    #[case("nc=0000001", BadNc)]
    #[case("nc=000000001", BadNc)]
    #[case("nc=+0000001", BadNc)]
    #[case("nc=00000000", BadNc)]
    #[case("nc=\"\"", BadNc)]
    #[case("qop=auth-int", BadQop)]
    #[case("qop=\"auth,auth-int\"", BadQop)]
    #[case("algorithm=MD5-sess", UnknownAlgorithm)]
    #[case("algorithm=ROT13", UnknownAlgorithm)]
    #[case("algorithm=\"\"", UnknownAlgorithm)]
    #[case("algorithm=SHA-256", ResponseLength)]
    #[case("response=f0e64d214ea2c73f35498d03f845318", ResponseLength)]
    #[case("response=f0e64d214ea2c73f35498d03f84531877", ResponseLength)]
    #[case("response=\"\"", ResponseLength)]
    #[case("response=g0e64d214ea2c73f35498d03f8453187", ResponseNotHex)]
    #[case("response=éé64d214ea2c73f35498d03f845318", ResponseNotHex)]
    fn adv_r07_malformed_parameter_is_refused(#[case] parameter: &str, #[case] rule: AuthorizationError) {
        assert_eq!(error(&with(parameter)), rule);
    }

    /// ADV-R06
    #[test]
    fn adv_r06_length_is_bounded() {
        assert_eq!(error(&with(&format!("opaque={}", "x".repeat(MAX_VALUE)))), TooLong);
        let room = MAX_VALUE - with("opaque=").len();
        assert!(Authorization::parse(with(&format!("opaque={}", "x".repeat(room))).as_bytes()).is_ok());
    }

    #[test]
    fn text_other_than_utf_8_is_refused() {
        assert_eq!(Authorization::parse(b"Digest username=\"\xff\"").unwrap_err(), NotUtf8);
    }

    #[test]
    fn amb_50_length_tells_an_unnamed_algorithm() {
        let value = with(&format!("response={}", "0".repeat(64)));
        let a = Authorization::parse(value.as_bytes()).unwrap();
        assert_eq!(a.algorithm, Algorithm::Sha256);
        assert_eq!(a.check("gate.north.example", &[Algorithm::Md5]), Err(NotOffered));
        assert_eq!(a.check("gate.north.example", &Algorithm::STRONGEST_FIRST), Ok(()));
    }

    /// RLY-104, ADV-R07
    #[test]
    fn adv_r07_realm_of_another_relay_is_refused() {
        let a = Authorization::parse(GOOD.as_bytes()).unwrap();
        assert_eq!(a.check("other.invalid", &[Algorithm::Md5]), Err(OtherRealm));
        assert_eq!(a.check("gate.north.example", &[Algorithm::Md5]), Ok(()));
    }

    #[test]
    fn debug_shows_neither_response_nor_nonce() {
        let shown = format!("{:?}", Authorization::parse(GOOD.as_bytes()));
        assert!(shown.contains("ines") && !shown.contains("f0e64d21") && !shown.contains("5a1f0c77"), "{shown}");
    }

    proptest! {
        #[test]
        fn parse_never_panics(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Authorization::parse(&value);
        }

        #[test]
        fn parse_of_nearly_right_values_never_panics(
            cuts in proptest::collection::vec((0..GOOD.len(), r#"["\\,= \t0-9a-zé-]{0,3}"#), 0..6),
        ) {
            let mut value = GOOD.to_owned();
            for (at, text) in cuts {
                if value.is_char_boundary(at) && value.is_char_boundary(at + 1) && at < value.len() {
                    value.replace_range(at..at + 1, &text);
                }
            }
            let _ = Authorization::parse(value.as_bytes());
        }

        #[test]
        fn any_username_survives_quoting(username in r#"[^\x00-\x1f\x7f]{0,20}"#) {
            let value = with(&format!("username={}", crate::auth::params::quoted(&username)));
            prop_assert_eq!(Authorization::parse(value.as_bytes()).unwrap().username, username);
        }
    }
}
