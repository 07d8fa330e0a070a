//! Where messages come from and go to, as plain values (RFC 3261 section 18).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

/// What carries a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// A connection.
    Tcp,
    /// A connection under TLS.
    Tls,
}

impl Protocol {
    /// Whether what is sent arrives or an error comes: nothing is sent twice over it (RFC 3261 section 17).
    pub fn is_reliable(self) -> bool {
        self != Protocol::Udp
    }

    /// The port where none is named (RFC 3261 section 19.1.2).
    pub fn default_port(self) -> u16 {
        if self == Protocol::Tls { 5061 } else { 5060 }
    }

    /// The value of the URI parameter `transport` (RFC 3261 section 19.1.1).
    pub fn param(self) -> &'static str {
        match self {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
            Protocol::Tls => "tls",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Udp => "UDP",
            Protocol::Tcp => "TCP",
            Protocol::Tls => "TLS",
        })
    }
}

/// Where a message of our own shall go.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// By which protocol.
    pub protocol: Protocol,
    /// To which address, as resolved (RFC 3263).
    pub address: SocketAddr,
    /// The name that its certificate must have (RFC 5922); the address itself if there is none. Only for TLS.
    pub name: Option<Arc<str>>,
    /// Which of our listeners speaks: what it is bound to. Where none is named, the nearest one does.
    pub from: Option<SocketAddr>,
}

/// One connection, or one pair of addresses that datagrams go between (RFC 5626 section 2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FlowId {
    /// The protocol.
    pub protocol: Protocol,
    /// Our address; on a connection that we made that of the listener for which it speaks.
    pub local: SocketAddr,
    /// The other side's address.
    pub remote: SocketAddr,
    /// Which connection; 0 for datagrams.
    pub number: u64,
}

/// How a message leaves.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Way {
    /// By this flow and no other.
    Flow(FlowId),
    /// By a flow to this target, the one that is there or a new one.
    Target(Target),
}

impl Way {
    /// What carries it.
    pub fn protocol(&self) -> Protocol {
        match self {
            Way::Flow(flow) => flow.protocol,
            Way::Target(target) => target.protocol,
        }
    }

    /// Which of our listeners speaks, where that is said.
    pub fn local(&self) -> Option<SocketAddr> {
        match self {
            Way::Flow(flow) => Some(flow.local),
            Way::Target(target) => target.from,
        }
    }

    /// The other side's address.
    pub fn remote(&self) -> SocketAddr {
        match self {
            Way::Flow(flow) => flow.remote,
            Way::Target(target) => target.address,
        }
    }
}

/// Why a source is trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trust {
    /// Its address is in one of the networks.
    Address,
    /// Its certificate is vouched for and has this name, which is on the list.
    Certificate(Arc<str>),
}
