//! Who may send requests: HTTP Digest as SIP uses it (RFC 3261 section 22, RFC 7616, RFC 8760), with the nonces and the
//! verification of MSRP AUTH.
//!
//! The way of a request whose source is not trusted:
//!
//! 1. [`may_be_challenged`] leaves out ACK and CANCEL.
//! 2. [`Guard::credentials`] finds those for our realm. None: [`Guard::challenge`]. Bad ones: 400.
//! 3. The account of [`Credentials::user`] is looked up, somewhere else.
//! 4. [`Guard::judge`] says what they are worth. An unknown user takes the same way as a wrong password.
//!
//! Whether that user may call is the account's to say, and how often an address may try is the caller's.

use std::fmt;
use std::time::Duration;

use rand_chacha::rand_core::RngCore;

use super::message::{Request, Uri};
use crate::auth::{
    self, Algorithm, Authorization, AuthorizationError, Ha1, NonceState, Nonces, challenges, verify_request,
};
use crate::moment::Moment;

/// Used nonces that are remembered.
const REMEMBERED: usize = 1 << 16;

/// As whom we ask for credentials.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Role {
    /// A server that a request is for: 401 (RFC 3261 section 22.2).
    Server,
    /// A proxy that a request passes: 407 (RFC 3261 section 22.3).
    Proxy,
}

impl Role {
    /// The header in which clients send credentials.
    pub fn credentials_header(self) -> &'static str {
        match self {
            Role::Server => "Authorization",
            Role::Proxy => "Proxy-Authorization",
        }
    }

    fn challenge_header(self) -> &'static str {
        match self {
            Role::Server => "WWW-Authenticate",
            Role::Proxy => "Proxy-Authenticate",
        }
    }

    fn status(self) -> (u16, &'static str) {
        match self {
            Role::Server => (401, "Unauthorized"),
            Role::Proxy => (407, "Proxy Authentication Required"),
        }
    }
}

/// The terms on which credentials are asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terms {
    /// The realm, without quotes.
    pub realm: String,
    /// The algorithms that are offered; at least one.
    pub algorithms: Vec<Algorithm>,
    /// How long a nonce is good.
    pub nonce_lifetime: Duration,
}

/// A response that asks for credentials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// 401 or 407.
    pub status: u16,
    /// The phrase.
    pub phrase: &'static str,
    /// One header for each algorithm, the strongest first (RFC 8760 section 2.3).
    pub headers: Vec<(&'static str, String)>,
}

/// Credentials for our realm, well-formed but not yet judged.
pub struct Credentials<'r> {
    authorization: Authorization<'r>,
    method: &'r str,
}

/// What credentials are worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The client knows the secret, and has not said so before.
    Right,
    /// It knows the secret, but the nonce is used up, too old or of another process: a challenge with `stale`.
    Stale,
    /// Wrong password or unknown user: a challenge.
    Wrong,
}

/// Makes challenges and judges credentials; one for the control plane.
pub struct Guard {
    terms: Terms,
    opaque: String,
    nonces: Nonces,
}

/// Whether a request can be answered by a challenge: to ACK there is no answer, and CANCEL could not be sent again (RFC 3261
/// section 22.1).
pub fn may_be_challenged(method: &str) -> bool {
    !matches!(method, "ACK" | "CANCEL")
}

impl Guard {
    /// `key` is random and of this process; `label` tells the makers of nonces that share a key apart; `opaque` means nothing to
    /// us, but some clients cannot do without.
    pub fn new(terms: Terms, key: [u8; 32], label: u16, opaque: String) -> Guard {
        Guard { terms, opaque, nonces: Nonces::new(key, label, REMEMBERED) }
    }

    /// Puts other terms in force; nonces that are out stay good.
    pub fn reconfigure(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// A challenge with a fresh nonce; nothing is remembered of it.
    pub fn challenge(&self, role: Role, stale: bool, now: Moment, rng: &mut impl RngCore) -> Challenge {
        let Terms { realm, algorithms, nonce_lifetime } = &self.terms;
        let nonce = self.nonces.issue_until(now + *nonce_lifetime, rng);
        let values = challenges(realm, &nonce, &self.opaque, algorithms, stale);
        let (status, phrase) = role.status();
        Challenge { status, phrase, headers: values.map(|value| (role.challenge_header(), value)).collect() }
    }

    /// The credentials for our realm; none if there are only others'. They must be for this very request: the digest-uri is
    /// equivalent to the Request-URI (RFC 3261 section 19.1.4; we may demand it by RFC 8760 section 2.6). What is wrong with
    /// them makes the request a bad one (400).
    pub fn credentials<'r>(
        &self,
        role: Role,
        request: &'r Request,
    ) -> Result<Option<Credentials<'r>>, AuthorizationError> {
        let mut wrong = None;
        for value in request.headers.all(role.credentials_header()) {
            match self.read(value, request) {
                Ok(authorization) => return Ok(Some(Credentials { authorization, method: &request.method })),
                // Meant for somebody else on the way.
                Err(AuthorizationError::NotDigest | AuthorizationError::OtherRealm) => {}
                Err(error) => wrong = wrong.or(Some(error)),
            }
        }
        wrong.map_or(Ok(None), Err)
    }

    fn read<'r>(&self, value: &'r str, request: &Request) -> Result<Authorization<'r>, AuthorizationError> {
        let authorization = Authorization::parse(value.as_bytes())?;
        authorization.check(&self.terms.realm, &self.terms.algorithms)?;
        let digest_uri = authorization.uri.as_deref().ok_or(AuthorizationError::Missing("uri"))?;
        if !is_same(digest_uri, &request.uri) {
            return Err(AuthorizationError::OtherUri);
        }
        Ok(authorization)
    }

    /// What credentials are worth. `ha1` is that of the user's account, none for an unknown user. Only a right response uses up
    /// a nonce.
    pub fn judge(&mut self, credentials: &Credentials<'_>, ha1: Option<&Ha1>, now: Moment) -> Verdict {
        let Credentials { authorization, method } = credentials;
        match verify_request(authorization, ha1, method, &self.terms.algorithms) {
            auth::Verdict::Right(_) => {
                match self.nonces.accept(authorization.nonce.as_bytes(), authorization.nc, now) {
                    NonceState::Good => Verdict::Right,
                    NonceState::Stale => Verdict::Stale,
                }
            }
            // The terms may have changed since these were read.
            auth::Verdict::Wrong | auth::Verdict::Malformed(_) => Verdict::Wrong,
        }
    }
}

impl Credentials<'_> {
    /// Whose they claim to be, as the client spells it.
    pub fn user(&self) -> &str {
        &self.authorization.username
    }
}

/// Without what a password could be guessed from.
impl fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user()).field("method", &self.method).finish_non_exhaustive()
    }
}

fn is_same(a: &str, b: &str) -> bool {
    a == b || Uri::parse(a).zip(Uri::parse(b)).is_some_and(|(a, b)| a.is_equivalent(&b))
}

#[cfg(test)]
mod tests;
