//! What a transport is told when it starts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ClientConfig, ServerConfig};

use super::Trusted;
use crate::net::address::Bounds;
use crate::sip::framing::Limits;
use crate::sip::way::Protocol;

/// One listener.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The protocol.
    pub protocol: Protocol,
    /// Where; port 0 lets the system choose.
    pub address: SocketAddr,
}

/// Bounds and certificates of a transport. What [`Dialer::reconfigure`](super::Dialer::reconfigure) can change says so.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How big and how slow a message may be.
    pub limits: Limits,
    /// Connections in all and of one address; `auths` is not used. Changeable.
    pub connections: Bounds,
    /// Messages of one address in a second, and how many may come at once. Changeable.
    pub messages_per_second: u32,
    /// See above. Changeable.
    pub burst: u32,
    /// Messages that wait to be taken out of the transport.
    pub inbox: usize,
    /// Messages that wait to be written to one connection.
    pub outbox: usize,
    /// A connection that says nothing for this long is closed.
    pub idle: Duration,
    /// Connecting, TLS included.
    pub connect: Duration,
    /// The TLS handshake of a caller.
    pub handshake: Duration,
    /// One message has to be written in this time.
    pub write: Duration,
    /// A connection whose sender has closed its half stays this long for responses that are still to come (64 times T1).
    pub half_closed: Duration,
    /// After our last octet we wait this long for the other side to close.
    pub linger: Duration,
    /// For TLS listeners. Changeable, but not to none.
    pub server: Option<Arc<ServerConfig>>,
    /// For TLS targets. Changeable.
    pub client: Option<Arc<ClientConfig>>,
    /// Who is trusted. Changeable.
    pub trusted: Trusted,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            limits: Limits::default(),
            connections: Bounds { open: 64, new: 120, auths: u32::MAX, total: 8192 },
            messages_per_second: 50,
            burst: 100,
            inbox: 1024,
            outbox: 256,
            idle: Duration::from_secs(600),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            write: Duration::from_secs(10),
            half_closed: Duration::from_secs(32),
            linger: Duration::from_secs(2),
            server: None,
            client: None,
            trusted: Trusted::default(),
        }
    }
}
