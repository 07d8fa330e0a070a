//! Chappe: an MSRP relay engine (RFC 4975, RFC 4976).
//!
//! WIRE ([`msrp`], [`auth`], [`sdp`], [`sip::framing`]) and CORE ([`relay`]) are plain state and values: they build with
//! `--no-default-features`, without a runtime, a socket or a clock. Everything else is behind the feature `net`.

#[cfg(all(feature = "planted", not(debug_assertions)))]
compile_error!("the feature `planted` is for tests: it puts bugs into the relay");

#[cfg(feature = "net")]
pub mod accounts;
#[cfg(feature = "net")]
pub mod admin;
pub mod auth;
#[cfg(feature = "net")]
pub mod client;
#[cfg(feature = "net")]
pub mod config;
#[cfg(feature = "net")]
pub mod control;
#[cfg(feature = "net")]
pub mod demo;
pub mod dns;
#[cfg(feature = "net")]
pub mod handover;
#[cfg(feature = "net")]
pub mod heap;
pub mod moment;
pub mod msrp;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod observe;
#[cfg(not(feature = "planted"))]
mod planted;
#[cfg(feature = "planted")]
pub mod planted;
pub mod relay;
pub mod sdp;
pub mod sip;
mod slack;
