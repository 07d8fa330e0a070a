//! A flow: the way on which a message came, and on which others go back (RFC 5626 section 2).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::sync::watch;

use super::{Counts, FlowId, Loss, Protocol, Trust};
use crate::sip::framing::Message;

/// A request over this goes by a connection (RFC 3261 section 18.1.1), unless its caller knows better.
pub const LONGEST_DATAGRAM: usize = 1300;

/// What comes out of a transport.
#[derive(Debug)]
pub enum Event {
    /// A connection was accepted or made.
    Opened(Flow),
    /// A message that may go to its transaction.
    Message(Arrival),
    /// A connection is gone.
    Closed(Flow),
}

/// A message and the way it came.
#[derive(Debug)]
pub struct Arrival {
    /// The message, in the form that [`crate::sip::framing`] gives it.
    pub message: Box<Message>,
    /// The way back.
    pub flow: Flow,
}

/// Why a message was not sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The other side does not take what waits for it already.
    #[error("too many messages wait for this peer")]
    Full,
    /// The connection is gone.
    #[error("the connection is closed")]
    Closed,
    /// A request too long for a datagram: connect by TCP, and if that is refused, `send_long` is the caller's decision.
    #[error("over 1300 octets, too long for a datagram")]
    TooLong,
    /// The system refuses, or the peer does.
    #[error("socket: {0}")]
    Socket(io::ErrorKind),
    /// Connecting took too long.
    #[error("not connected in time")]
    Time,
    /// The TLS handshake failed.
    #[error("TLS handshake failed")]
    Handshake,
    /// There are too many connections.
    #[error("too many connections")]
    Crowded,
    /// TLS to a target is not configured, or the target's name cannot be one.
    #[error("no TLS for this target")]
    NoTls,
    /// No UDP listener has an address of the target's family.
    #[error("no UDP listener of this address family")]
    NoListener,
    /// The transport is stopping.
    #[error("the transport is stopping")]
    Stopping,
}

/// How a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Debug)]
pub(super) enum Closing {
    /// Not at all.
    Open,
    /// After what waits has been written.
    Drain,
    /// At once.
    Abort,
}

#[derive(Debug)]
pub(super) enum Out {
    Datagrams(Arc<UdpSocket>),
    Stream {
        queue: mpsc::Sender<Bytes>,
        closing: watch::Sender<Closing>,
        /// Requests that were handed on and have no final response yet.
        owed: watch::Sender<usize>,
    },
}

#[derive(Debug)]
pub(super) struct Way {
    pub(super) id: FlowId,
    pub(super) trust: Option<Trust>,
    pub(super) out: Out,
    pub(super) counts: Arc<Counts>,
}

/// A connection, or the pair of addresses of a datagram. Cheap to clone; holding one does not keep a connection open.
#[derive(Clone, Debug)]
pub struct Flow(Arc<Way>);

impl Flow {
    pub(super) fn new(way: Way) -> Flow {
        Flow(Arc::new(way))
    }

    /// Its name.
    pub fn id(&self) -> FlowId {
        self.0.id
    }

    /// The protocol.
    pub fn protocol(&self) -> Protocol {
        self.0.id.protocol
    }

    /// Our address.
    pub fn local(&self) -> SocketAddr {
        self.0.id.local
    }

    /// The other side's address.
    pub fn remote(&self) -> SocketAddr {
        self.0.id.remote
    }

    /// Why the other side is trusted, if it is.
    pub fn trust(&self) -> Option<&Trust> {
        self.0.trust.as_ref()
    }

    /// Whether both are the same connection, or the same addresses.
    pub fn is(&self, other: &Flow) -> bool {
        match (&self.0.out, &other.0.out) {
            (Out::Datagrams(a), Out::Datagrams(b)) => Arc::ptr_eq(a, b) && self.0.id.remote == other.0.id.remote,
            _ => Arc::ptr_eq(&self.0, &other.0),
        }
    }

    /// Sends a whole message; never waits. A request over 1300 octets is refused on UDP.
    pub fn send(&self, octets: Bytes) -> Result<(), SendError> {
        if self.0.id.protocol == Protocol::Udp && octets.len() > LONGEST_DATAGRAM && !octets.starts_with(b"SIP/") {
            self.0.counts.lose(Loss::TooLong);
            return Err(SendError::TooLong);
        }
        self.send_long(octets)
    }

    /// Sends a whole message of any length. For a request that was too long for [`Flow::send`], when TCP was refused.
    pub fn send_long(&self, octets: Bytes) -> Result<(), SendError> {
        self.send_to(octets, self.0.id.remote)
    }

    pub(super) fn send_to(&self, octets: Bytes, to: SocketAddr) -> Result<(), SendError> {
        let sent = match &self.0.out {
            // Not by way of the reactor, which may not know yet that the socket can be written.
            Out::Datagrams(socket) => match SockRef::from(&**socket).send_to(&octets, &to.into()) {
                Ok(_) => Ok(()),
                Err(e) => Err((Loss::NotSent, SendError::Socket(e.kind()))),
            },
            Out::Stream { queue, closing, owed } if *closing.borrow() == Closing::Open => {
                let settles = matches!(octets.get(..9), Some([b'S', b'I', b'P', b'/', .., b'2'..=b'6']));
                match queue.try_send(octets) {
                    Ok(()) => {
                        if settles {
                            owed.send_modify(|owed| *owed = owed.saturating_sub(1));
                        }
                        // Counted when it is written.
                        return Ok(());
                    }
                    Err(TrySendError::Full(_)) => Err((Loss::OutboxFull, SendError::Full)),
                    Err(TrySendError::Closed(_)) => Err((Loss::Closed, SendError::Closed)),
                }
            }
            Out::Stream { .. } => Err((Loss::Closed, SendError::Closed)),
        };
        match sent {
            Ok(()) => self.0.counts.send(),
            Err((why, _)) => self.0.counts.lose(why),
        }
        sent.map_err(|(_, error)| error)
    }

    /// Whether messages can still be sent.
    pub fn is_open(&self) -> bool {
        match &self.0.out {
            Out::Datagrams(_) => true,
            Out::Stream { queue, closing, .. } => !queue.is_closed() && *closing.borrow() == Closing::Open,
        }
    }

    /// Closes a connection when what waits has been written; a pair of addresses has nothing to close.
    pub fn close(&self) {
        self.end(Closing::Drain);
    }

    /// Notes a request that will have a response.
    pub(super) fn owe(&self) {
        if let Out::Stream { owed, .. } = &self.0.out {
            owed.send_modify(|owed| *owed += 1);
        }
    }

    /// Waits until every request has its final response.
    pub(super) async fn settled(&self) {
        if let Out::Stream { owed, .. } = &self.0.out {
            let _ = owed.subscribe().wait_for(|owed| *owed == 0).await;
        }
    }

    pub(super) fn end(&self, how: Closing) {
        if let Out::Stream { closing, .. } = &self.0.out {
            closing.send_if_modified(|state| {
                let more = how > *state;
                if more {
                    *state = how;
                }
                more
            });
        }
    }
}
