//! What the layer is told and what it tells.

use bytes::Bytes;
use thiserror::Error;

use crate::sip::message::{Request, Response};
use crate::sip::way::{FlowId, Way};

/// A transaction that we began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub(super) u64);

/// A transaction that another began.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerId(pub(super) u64);

/// Something that is to be done, or to be known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Output {
    /// Send this, of whatever length.
    Transmit {
        /// The message.
        octets: Bytes,
        /// How.
        way: Way,
        /// Whom to name in [`unsent`](super::Transactions::unsent); nobody if that would change nothing.
        of: Option<ClientId>,
    },
    /// A new request, never ACK or CANCEL.
    Request {
        /// Its transaction.
        id: ServerId,
        /// The request.
        request: Request,
        /// How it came.
        flow: FlowId,
    },
    /// The ACK of our 2xx (RFC 3261 section 13.3.1.4), once.
    Acknowledged {
        /// The transaction of the INVITE.
        id: ServerId,
        /// The ACK.
        ack: Request,
        /// How it came.
        flow: FlowId,
    },
    /// A CANCEL came before a final response, and has been answered: the INVITE wants 487 (RFC 3261 section 9.2).
    Cancelled {
        /// The transaction of the INVITE.
        id: ServerId,
        /// Its values of Reason (RFC 3326), the only header of it that says more than its INVITE.
        reasons: Vec<String>,
    },
    /// 64*T1 have passed without the ACK of our 2xx: the dialog wants a BYE (RFC 3261 section 13.3.1.4).
    Unacknowledged {
        /// The transaction of the INVITE.
        id: ServerId,
    },
    /// A response: each provisional one but 100, repetitions too, then one final one; for an INVITE one 2xx of each fork.
    Response {
        /// Our transaction.
        id: ClientId,
        /// The response.
        response: Response,
        /// How it came.
        flow: FlowId,
    },
    /// No final response will come: once, in place of it.
    Failed {
        /// Our transaction.
        id: ClientId,
        /// Why.
        why: Failure,
    },
    /// Nothing more will come, whatever came before: once for each transaction that we began.
    Ended {
        /// Our transaction.
        id: ClientId,
    },
}

/// Why the transport could not deliver a message.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Unsent {
    /// No connection could be made, or the system knows no way.
    #[error("unreachable")]
    Unreachable,
    /// The connection is gone.
    #[error("the connection is closed")]
    Closed,
    /// Too much waits for the peer already.
    #[error("too many messages wait for this peer")]
    Full,
}

/// Why a transaction of ours ends without a final response.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Failure {
    /// No response within 64*T1, or no final one within 64*T1 of the CANCEL (RFC 3261 sections 17.1.1.2, 17.1.2.2, 9.1).
    #[error("no response in time")]
    Timeout,
    /// The INVITE rang for timer C, and has been cancelled here (RFC 3261 section 16.8).
    #[error("no final response within timer C")]
    Unanswered,
    /// The transport could not deliver the request, or has lost the connection (RFC 3261 sections 17.1.4, 18.4).
    #[error(transparent)]
    Unsent(#[from] Unsent),
}

/// There are too many transactions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("too many transactions")]
pub struct Full;
