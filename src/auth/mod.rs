//! HTTP Digest as MSRP uses it (RFC 4976 section 9.1, RFC 7616): the challenge, the client's answer, the proof that the
//! relay knew the secret too. SIP uses the same parts (`sip::digest`).
//!
//! The way of an AUTH through this module:
//!
//! 1. [`Nonces::issue`] and [`challenges`] make the 401.
//! 2. [`Authorization::parse`] and [`Authorization::check`] read the client's answer; their errors say which rule it
//!    broke, before any account is looked up.
//! 3. [`verify`] compares the response with the account's [`Ha1`]. An unknown user takes the same way as a wrong
//!    password.
//! 4. [`Nonces::accept`] counts the nonce, and only for a right response: who knows no secret cannot use up anything.
//! 5. [`authentication_info`] makes the header of the 200.
//!
//! Nothing here reads a clock, keeps a password or holds state for a challenge that is never answered.

mod authorization;
mod challenge;
mod digest;
mod error;
mod ha1;
mod nonces;
mod params;
mod verify;

pub use authorization::{Authorization, MAX_VALUE};
pub use challenge::{authentication_info, challenge, challenges};
pub use digest::{Algorithm, HexDigest, response};
pub use error::AuthorizationError;
pub use ha1::{Ha1, Ha1Error};
pub use nonces::{NONCE_LIFETIME, NonceState, Nonces};
pub use verify::{Proof, Verdict, verify, verify_request};

#[cfg(test)]
pub(crate) use digest::work;
