//! SIP's sockets (RFC 3261 section 18): UDP, TCP and TLS, several listeners, IPv4 and IPv6.
//!
//! A [`Transport`] is started with its listeners and gives [`Event`]s out of one bounded queue. A message comes with its
//! [`Flow`], the way back: a response goes there whatever its Via says (RFC 3261 section 18.2.2), since the connection, or the
//! address a datagram came from, is what cannot be forged. For requests of our own [`Transport::connect`] gives the flow to
//! a [`Target`], the one that is there or a new one.
//!
//! Everything has a bound: connections in all and of one address, messages of one address in a second, the queue in, the
//! queue out of each connection, the time for a handshake, a message, a write, and for saying nothing. What is dropped is
//! counted by its reason in [`Counts`]. What can be answered without a transaction is answered here.

mod accept;
mod beside;
mod bound;
mod connection;
mod counts;
mod datagrams;
mod dial;
mod flow;
mod rate;
mod rules;
mod server;
mod settings;
mod tls;
mod trust;

#[cfg(test)]
mod tests;

pub use beside::Outlet;
pub use bound::{Bound, Sockets, bind, twins};
pub use counts::{Counts, Loss};
pub use flow::{Arrival, Event, Flow, LONGEST_DATAGRAM, SendError};
pub use server::{Dialer, StartError, Transport};
pub use settings::{Listen, Settings};
pub use tls::{client_config, server_config};
pub use trust::{Network, NetworkError, Trusted};

pub use super::way::{FlowId, Protocol, Target, Trust};
