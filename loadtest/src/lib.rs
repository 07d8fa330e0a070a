//! A load generator for MSRP relays: see `README.md` beside it.

pub mod latency;
pub mod report;
pub mod result;
