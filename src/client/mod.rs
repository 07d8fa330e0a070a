//! An MSRP endpoint: what speaks to a relay (RFC 4975 sections 5 and 7, RFC 4976 section 5).
//!
//! It drives the demonstration and the end-to-end tests; the relay itself does not use it. An [`Endpoint`] is one
//! connection, made by [`Endpoint::connect_tls`] or [`Endpoint::connect_tcp`] or accepted by a [`Listener`], and two tasks:
//!
//! * the reader turns frames into answers, REPORTs and [`Event`]s. Its queue of events is bounded: who does not take
//!   them stops the connection, as a slow receiver does;
//! * the writer sends responses and REPORTs first, then chunks of all messages in turn, each message within its window
//!   of unanswered chunks. It also keeps the 30 s of each transaction.
//!
//! Both share a ledger of open transactions. [`Endpoint::send_message`] gives a [`Sending`], which tells how far a message
//! has come; a long one is made or streamed piece by piece ([`Body`]) and handed out likewise, and is never held whole.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tasks, clock and the ledger's lock belong to this module's connections; no relay thread waits here"
)]

mod auth;
mod body;
mod challenge;
mod endpoint;
mod error;
mod event;
mod inbox;
mod ledger;
mod listener;
mod options;
mod ranges;
mod reader;
mod sending;
mod tls;
mod writer;

#[cfg(test)]
mod tests;

pub use auth::Grant;
pub use body::{Body, Fill};
pub use endpoint::Endpoint;
pub use error::{ClientError, Failure};
pub use event::{Event, Message, Report, Request};
pub use listener::Listener;
pub use options::{Answer, EndpointOptions, SendOptions};
pub use ranges::Ranges;
pub use sending::{Progress, Sending};
