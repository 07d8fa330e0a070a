//! Chappe: an MSRP relay engine (RFC 4975, RFC 4976).

pub mod moment;
#[cfg(feature = "net")]
pub mod net;
pub mod relay;
