//! TLS as a byte layer: ciphertext in, plaintext out, and back (RFC 4976 sections 5.1, 9.1, 9.2).
//!
//! A [`Tls`] is one side of one connection. It owns no socket: whoever reads the socket gives the octets to
//! [`Tls::open`], whoever writes takes the sealed octets of [`Tls::seal`] and [`Tls::seal_pending`]. So every I/O engine
//! shares it, and another record layer can stand behind the same five methods.
//!
//! * [`ServerSide`] is what a listener knows: certificate, tickets, ALPN. It asks for a client certificate and accepts
//!   any: a certificate that is unknown or self-signed is the normal case (AMB-58).
//! * [`ClientSide`] is what a dialler knows: roots and our own certificate. It is strict (RLY-6).
//! * [`classify`] runs after the handshake, resumed or not, on the stored chain: is the peer one of our relays *today*?
//! * [`development`] makes a certificate in memory.
//!
//! Both sides are replaced at run time by `reload`; connections that exist keep what they were made with.

mod client;
mod connection;
mod credentials;
pub mod development;
mod offered;
mod peers;
mod server;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;

pub use client::ClientSide;
pub use connection::{Opened, Tls};
pub use credentials::{CredentialError, Identity};
pub use peers::{PeerRelay, PeerTrust, classify, dns_names};
pub use server::{ServerOptions, ServerSide};

use rustls::CertificateError;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use std::sync::Arc;

/// ALPN name by which two relays of our own kind recognise each other.
pub const ALPN_RELAY: &[u8] = b"chappe/1";

/// ALPN name of a connection that carries one big message between relays of our own kind.
pub const ALPN_BULK: &[u8] = b"chappe-bulk/1";

/// Octets that a peer may send before its handshake ends (ADV-R28); more ends the connection.
pub const HANDSHAKE_LIMIT: usize = 32 * 1024;

/// Octets of a client's certificate chain (ADV-R28); a longer one ends the connection.
pub const CHAIN_LIMIT: usize = 16 * 1024;

/// Why a connection's TLS failed. Every one is fatal to the connection; [`Tls::seal_pending`] still yields the alert.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// The peer's certificate does not satisfy us: chain, dates, name (RFC 4976 section 9.2) or signature.
    #[error("certificate refused: {0}")]
    Certificate(CertificateError),
    /// The peer's certificate chain is over [`CHAIN_LIMIT`] octets.
    #[error("certificate chain is too long")]
    ChainTooLong,
    /// The peer sent over [`HANDSHAKE_LIMIT`] octets and had not finished its handshake.
    #[error("handshake is too long")]
    HandshakeTooLong,
    /// The peer ended the connection with this alert (RFC 8446 section 6.2).
    #[error("peer's alert: {0:?}")]
    Alert(rustls::AlertDescription),
    /// The peer broke the protocol, or no parameters suit both.
    #[error("protocol: {0}")]
    Protocol(rustls::Error),
    /// The record buffer refused octets: the peer's message exceeds what TLS permits.
    #[error("record or handshake message is too long")]
    RecordTooLong,
    /// The keys of a TLS 1.2 connection have sealed as many records as they safely can.
    #[error("keys are worn out")]
    KeysExhausted,
    /// Something was to be sealed before the handshake ended.
    #[error("handshake has not ended")]
    Handshaking,
    /// Something was to be sealed after our close_notify.
    #[error("connection is closed")]
    Closed,
}

impl From<rustls::Error> for TlsError {
    fn from(error: rustls::Error) -> Self {
        match error {
            // Only `offered` gives this one, and only for that reason.
            rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => Self::ChainTooLong,
            rustls::Error::InvalidCertificate(error) => Self::Certificate(error),
            rustls::Error::AlertReceived(alert) => Self::Alert(alert),
            error => Self::Protocol(error),
        }
    }
}

/// The cryptography of both sides, passed explicitly: the process default belongs to nobody.
fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group;
    // The cheap exchanges first; a peer that insists on another one still gets it.
    let kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1, kx_group::X25519MLKEM768];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}
