//! The Authorization header of an AUTH request (RFC 4976 section 9.1).

use std::borrow::Cow;
use std::fmt;

use super::digest::{Algorithm, HexDigest};
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

/// The rule that an Authorization value broke. All but [`AuthorizationError::NotDigest`] make the request a bad one (400).
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuthorizationError {
    /// Another scheme: to be answered by 401 with a Digest challenge (RFC 4976 section 9.1, RLY-11).
    #[error("the scheme is not Digest")]
    NotDigest,
    /// Longer than [`MAX_VALUE`].
    #[error("the value is too long")]
    TooLong,
    /// Not UTF-8 (RFC 4975 section 9).
    #[error("the value is not UTF-8")]
    NotUtf8,
    /// A control octet other than a tab.
    #[error("the value has a control octet")]
    ControlOctet,
    /// A quoted string without end.
    #[error("a quote is not closed")]
    UnterminatedQuote,
    /// Not a list of `name=value`.
    #[error("the value is not a list of parameters")]
    Syntax,
    /// A parameter that must be there is not (RFC 4976 section 9.1, RLY-16).
    #[error("parameter {0} is missing")]
    Missing(&'static str),
    /// A parameter is there twice.
    #[error("parameter {0} appears twice")]
    Duplicate(&'static str),
    /// `nc` is not 8 hex digits, or is 0.
    #[error("nc is not a count of 8 hex digits")]
    BadNc,
    /// `qop` is not `auth`.
    #[error("qop is not auth")]
    BadQop,
    /// `algorithm` is not a name of [`Algorithm`].
    #[error("the algorithm is not known")]
    UnknownAlgorithm,
    /// `response` has another length than digests of its algorithm.
    #[error("the response does not have the length of its algorithm")]
    ResponseLength,
    /// `response` has characters that are no hex digits.
    #[error("the response is not hex digits")]
    ResponseNotHex,
    /// `realm` is not the one of the challenge (RLY-104).
    #[error("the realm is another one")]
    OtherRealm,
    /// The algorithm is known but was not offered (AMB-50).
    #[error("the algorithm was not offered")]
    NotOffered,
    /// `uri` is not equivalent to the rightmost To-Path URI (AMB-48).
    #[error("the uri is not the one that was addressed")]
    OtherUri,
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
