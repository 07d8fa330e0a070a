//! How an endpoint behaves.

use std::{net::IpAddr, time::Duration};

use crate::msrp::{FailureReport, Limits};

/// Settings of a connection; the defaults are those of an ordinary client.
#[derive(Clone, Debug)]
pub struct EndpointOptions {
    /// The URI of our session; by default one is made from the local address.
    pub uri: Option<String>,
    /// Take requests for any session-id, not only for our URI; otherwise they get 481.
    pub any_session: bool,
    /// The local address to connect from; by default the system chooses.
    pub from: Option<IpAddr>,
    /// How the decoder is bounded.
    pub limits: Limits,
    /// From the last octet of a request to giving up its answer (RFC 4975 section 7.1.1: 30 s).
    pub transaction_timeout: Duration,
    /// Octets up to which a message is kept and handed out whole; a longer one is handed out piece by piece.
    pub collect: usize,
    /// Events waiting for the caller. When it is reached, nothing more is read from the connection.
    pub event_queue: usize,
    /// Messages that may be incomplete at the same time; a new one beyond them gets 413.
    pub open_messages: usize,
    /// Answer AUTH, NICKNAME and unknown methods with 501. Otherwise the caller answers them.
    pub refuse_methods: bool,
}

impl Default for EndpointOptions {
    fn default() -> EndpointOptions {
        EndpointOptions {
            uri: None,
            any_session: false,
            from: None,
            limits: Limits::default(),
            transaction_timeout: Duration::from_secs(30),
            collect: 1024 * 1024,
            event_queue: 256,
            open_messages: 64,
            refuse_methods: true,
        }
    }
}

/// How one message is sent.
#[derive(Clone, Debug)]
pub struct SendOptions {
    /// Most octets in a chunk, at least 1.
    pub chunk: u64,
    /// Ask for success REPORTs.
    pub success_report: bool,
    /// Which outcomes the next hop tells.
    pub failure_report: FailureReport,
    /// Chunks that may wait for their answer; only answers that Failure-Report `yes` demands count.
    pub window: usize,
    /// The Message-ID; by default a random one.
    pub message_id: Option<String>,
    /// From-Path, where it is not our URI.
    pub from_path: Option<String>,
    /// Further headers, in this order behind Byte-Range.
    pub headers: Vec<(String, String)>,
}

impl Default for SendOptions {
    fn default() -> SendOptions {
        SendOptions {
            chunk: 65_536,
            success_report: false,
            failure_report: FailureReport::Yes,
            window: 16,
            message_id: None,
            from_path: None,
            headers: Vec::new(),
        }
    }
}

/// What SENDs that are in order get from us; others get an error in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200 to each chunk and, where asked for, a success REPORT for each message.
    Accept,
    /// The same, without success REPORTs.
    AcceptUnreported,
    /// This code, as soon as the head is read; the body is thrown away.
    Refuse(crate::msrp::Status),
    /// Messages are taken, but neither answered nor reported.
    Silence,
}
