//! The control plane: SIP messages in and out (RFC 3261), calls anchored at the relay.
//!
//! ```text
//!   sockets ── transport ── framing ── gate ──> message ──> transaction ──> b2bua
//!                  ▲                     │ answer                │             │
//!                  └─────────────────────┴────── octets ─────────┴─────────────┘
//! ```
//!
//! * [`framing`] is pure: octets in, whole messages or typed faults out. What it hands on is written anew in one form, so that
//!   a reader behind it meets no folding, no compact name, no missing length and no octet it cannot decode.
//! * [`gate`] says which well-formed requests are not for us: other methods, other URI schemes.
//! * [`answer`] writes the responses that need no transaction (RFC 3261 section 8.2.7).
//! * [`transport`] owns the sockets, with a bound on everything.
//! * [`message`] is what can be edited, [`way`] says where messages come from and go to.
//! * [`digest`] says who may send requests.
//! * [`routing`] says where requests go, [`resolve`] asks the DNS for it.
//!
//! All but [`transport`], [`resolve`] and [`setup`] build without a runtime. [`setup`] turns the configuration into their
//! settings.

pub mod answer;
pub mod digest;
pub mod framing;
pub mod gate;
pub mod message;
#[cfg(feature = "net")]
pub mod resolve;
pub mod routing;
#[cfg(feature = "net")]
pub mod setup;
#[cfg(feature = "net")]
pub mod transport;
pub mod way;
