//! Sockets and what stands between them and the core: TLS as a layer of octets, listeners, name resolution, dialling.
//!
//! Nothing here decides anything about MSRP. [`tls`] turns ciphertext into plaintext and back without touching a socket.

pub mod dial;
pub mod resolve;
pub mod socket;
pub mod tls;
