//! Sockets and what stands between them and the core: TLS as a layer of octets, listeners, name resolution, dialling.
//!
//! Nothing here decides anything about MSRP. [`tls`] turns ciphertext into plaintext and back without touching a socket,
//! [`connection`] joins it with a socket, [`shard`] joins connections with the core, [`server`] starts the shards.

mod accept;
pub mod address;
pub mod bans;
pub mod batch;
mod bound;
pub mod clock;
pub mod connection;
pub mod dial;
pub mod engine;
pub mod inherited;
pub mod mailbox;
pub(crate) mod names;
mod outgoing;
pub mod resolve;
pub mod server;
mod serving;
pub mod shard;
pub mod shared;
pub mod socket;
pub mod tls;
