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
//! * [`message`] is what can be edited, [`way`] says where messages come from and go to, [`listeners`] as whom we speak there.
//! * [`transaction`] sends what is lost again, and tells every request and every answer once.
//! * [`b2bua`] joins two dialogs to a call.
//! * [`digest`] says who may send requests.
//! * [`routing`] says where requests go, [`resolve`] asks the DNS for it.
//! * [`transport`] owns the sockets, with a bound on everything; [`plane`] is the thread where all this runs, [`setup`] turns the
//!   configuration into its settings.
//!
//! All but [`transport`], [`resolve`], [`plane`] and [`setup`] build without a runtime.

pub mod answer;
pub mod b2bua;
pub mod digest;
pub mod framing;
pub mod gate;
pub mod listeners;
pub mod message;
#[cfg(feature = "net")]
pub mod plane;
#[cfg(feature = "net")]
pub mod resolve;
pub mod routing;
#[cfg(feature = "net")]
pub mod setup;
pub mod transaction;
#[cfg(feature = "net")]
pub mod transport;
pub mod way;
