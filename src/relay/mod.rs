//! The relay core.

pub mod policy;
