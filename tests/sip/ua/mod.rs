//! A SIP user agent that does what a test tells it, and judges all that it hears.
//!
//! A test reads like a call flow:
//!
//! ```text
//! let invite = a.invite(&b.uri(), &offer).await;
//! let got = b.expect("INVITE").await;
//! b.reply(&got, 180).await;
//! b.answer(&got, &answer).await;
//! let ok = a.response(&invite, 200).await;
//! a.ack(&ok).await;
//! b.expect("ACK").await;
//! let bye = a.within(&ok, "BYE", Draft::new()).await;
//! ```
//!
//! It has no transaction layer: nothing is repeated, acknowledged or refused unless the test says so, and nothing waits by
//! the clock. Repetitions that come in are counted ([`Agent::heard`]), not told as new. Messages that are not asked for stay
//! in order until they are; [`Agent::quiet`] fails if some are left. Dialogs are kept by the agent: any message of a call is
//! a handle to it.
//!
//! [`message`] reads, [`draft`] writes, [`judge`] fails the test for what no correct peer sends, [`wire`] has the sockets. None
//! of it shares code with the relay.

mod call;
mod dialog;
mod digest;
mod draft;
mod hear;
mod judge;
mod message;
mod reply;
mod wire;

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

pub use draft::{Draft, msrp_sdp, sdp_version};
pub use message::{Message, Start, parameter, place_of, uri_of};

use super::{PATIENCE, Transport};
use dialog::Dialog;
use wire::Wire;

/// One user with one socket.
#[derive(Debug)]
pub struct Agent {
    name: String,
    transport: Transport,
    wire: Wire,
    proxy: Option<SocketAddr>,
    /// How long it waits for what it expects.
    pub patience: Duration,
    inbox: VecDeque<Message>,
    heard: HashMap<Vec<u8>, usize>,
    sent: Vec<Message>,
    tags: HashMap<String, String>,
    dialogs: Vec<Dialog>,
    seed: u64,
    count: u64,
}

impl Agent {
    /// An agent on a free port of loopback.
    pub async fn new(name: &str, transport: Transport) -> Agent {
        Agent::at(name, transport, SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// An agent at this address.
    pub async fn at(name: &str, transport: Transport, address: SocketAddr) -> Agent {
        Agent {
            name: name.to_owned(),
            transport,
            wire: Wire::open(transport, address).await,
            proxy: None,
            patience: PATIENCE,
            inbox: VecDeque::new(),
            heard: HashMap::new(),
            sent: Vec::new(),
            tags: HashMap::new(),
            dialogs: Vec::new(),
            seed: RandomState::new().hash_one(name),
            count: 0,
        }
    }

    /// By datagrams.
    pub async fn udp(name: &str) -> Agent {
        Agent::new(name, Transport::Udp).await
    }

    /// By connections.
    pub async fn tcp(name: &str) -> Agent {
        Agent::new(name, Transport::Tcp).await
    }

    /// Sends what begins something to this address, whatever its Request-URI says.
    pub fn through(mut self, proxy: SocketAddr) -> Agent {
        self.proxy = Some(proxy);
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.wire.local()
    }

    /// Its URI, which is its Contact, too.
    pub fn uri(&self) -> String {
        let transport = if self.transport == Transport::Tcp { ";transport=tcp" } else { "" };
        format!("sip:{}@{}{transport}", self.name, self.address())
    }

    /// Its URI in a domain: an address of record.
    pub fn uri_at(&self, domain: impl std::fmt::Display) -> String {
        format!("sip:{}@{domain}", self.name)
    }

    /// Closes its connections, as a phone does that is switched off without a word of SIP.
    pub async fn cut(&self) {
        self.wire.cut().await;
    }

    /// Sends octets as they are.
    pub async fn raw(&self, octets: &[u8], to: SocketAddr) {
        self.wire.send(octets, to).await;
    }

    /// Sends a message of its own once more.
    pub async fn again(&self, message: &Message) {
        self.wire.send(&message.raw, message.peer).await;
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("{:x}-{}", self.seed, self.count)
    }

    fn contact(&self) -> String {
        format!("<{}>", self.uri())
    }

    fn via(&mut self) -> String {
        let branch = self.fresh();
        format!("SIP/2.0/{} {};branch=z9hG4bK{branch};rport", self.transport.name(), self.address())
    }

    fn dialog(&mut self, handle: &Message) -> &mut Dialog {
        let found = self.dialogs.iter_mut().rev().find(|dialog| dialog.has(handle));
        found.unwrap_or_else(|| panic!("no dialog has this message:\n{handle}"))
    }
}
