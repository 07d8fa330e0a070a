//! TLS as a byte layer: ciphertext in, plaintext out, and back (RFC 4976 sections 5.1, 9.1, 9.2).
//!
//! A [`Tls`] is one side of one connection. It owns no socket: whoever reads the socket gives the octets to
//! [`Tls::open`], whoever writes takes the sealed octets of [`Tls::seal`] and [`Tls::seal_pending`]. So every I/O engine
//! shares it.
//!
//! The handshake is rustls' (`handshake`). When it has ended, rustls hands out the keys and its own record layer goes:
//! ours (`records`, `keys`, `traffic`) opens records straight into the caller's buffer and holds nothing while a link
//! rests. rustls stays as what it alone can do: the next keys, and tickets (`schedule`).
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
mod error;
mod handshake;
mod keys;
mod offered;
mod peers;
mod pinned;
mod records;
mod schedule;
mod server;
mod traffic;
mod validity;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod interop;
#[cfg(test)]
mod misbehaviour;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod theirs;

pub use client::ClientSide;
pub use connection::{Opened, Tls};
pub(crate) use credentials::roots;
pub use credentials::{CredentialError, Identity};
pub use error::TlsError;
pub(crate) use offered::Offered;
pub use peers::{PeerRelay, PeerTrust, classify, dns_names};
pub use server::{ServerOptions, ServerSide};
pub use validity::untimely;

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

/// The cryptography of both sides, passed explicitly: the process default belongs to nobody.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    use aws_lc_rs::kx_group;
    // The cheap exchanges first; a peer that insists on another one still gets it.
    let kx_groups = vec![kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1, kx_group::X25519MLKEM768];
    Arc::new(CryptoProvider { kx_groups, ..aws_lc_rs::default_provider() })
}
