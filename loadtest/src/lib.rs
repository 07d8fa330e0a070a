//! A load generator for MSRP relays: see `README.md` beside it.
//!
//! `scenario` and `cli` say what is to be done, `engine` does it (its own documentation has the way of a message), `book` keeps
//! count, `single` and `fleet` make results of it, `report` makes tables and pages of results. Nothing of Chappe is used, so
//! that a mistake of its parser cannot hide from the tool that looks for it.

pub mod book;
pub mod cli;
pub mod dial;
pub mod digest;
pub mod engine;
pub mod faults;
pub mod fleet;
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
