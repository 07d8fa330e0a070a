//! Chappe: an MSRP relay engine (RFC 4975, RFC 4976).

pub mod moment;
pub mod msrp;
