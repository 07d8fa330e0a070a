//! Chappe: an MSRP relay engine (RFC 4975, RFC 4976).

#[cfg(feature = "net")]
pub mod accounts;
pub mod auth;
pub mod config;
pub mod moment;
pub mod msrp;
#[cfg(feature = "net")]
pub mod net;
