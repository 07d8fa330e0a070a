//! A load generator for MSRP relays: see `README.md` beside it.

pub mod book;
pub mod cli;
pub mod dial;
pub mod digest;
pub mod engine;
pub mod faults;
pub mod latency;
pub mod limits;
pub mod names;
pub mod pattern;
pub mod process;
pub mod progress;
pub mod report;
pub mod result;
pub mod scenario;
pub mod security;
pub mod single;
pub mod stream;
pub mod target;
pub mod wire;
