//! The transport as the SIP library sees it (rsipstack 0.7.14, whose types stay behind this module).
//!
//! The library would rather own its sockets. It is given two things in their place:
//!
//! * For each UDP listener a `UdpConnection` over a socket of ours ([`datagrams`]), which never reads and sends through the
//!   transport. Only such a connection counts as unreliable for the library, so only with it are requests sent again.
//! * For each TCP or TLS connection a `ChannelConnection` ([`lines`]), through which messages go both ways.
//!
//! What comes in is read by the library out of the form that `framing` has given it. What it still cannot read is answered
//! 400 here, since it would drop it in silence. It has queues without bounds; so messages are given to it one by one for
//! credits, which come back when it has taken them, and new requests are refused with 503 while it has too many transactions.
//!
//! The library must never resolve a name or dial by itself: it has no deadline for either. [`Bridge::reach`] makes the way,
//! and the transaction is given its connection and destination.

mod datagrams;
mod lines;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rsipstack::EndpointBuilder;
use rsipstack::platform::CancellationToken;
use rsipstack::platform::mpsc::UnboundedSender;
use rsipstack::sip::{Request, SipMessage};
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::endpoint::{Endpoint, EndpointInnerRef, EndpointOption};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent, TransportLayer};
use tokio::sync::{Semaphore, mpsc};

use self::datagrams::{Names, Virtual};
use self::lines::{Credits, Lines};
use super::answer::Answers;
use super::framing::{Fault, Message};
use super::transport::{Arrival, Dialer, Event, Flow, Protocol, SendError, Target, Transport, Trust};

/// Bounds of the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Messages that the library has been given and has not looked at.
    pub unread: usize,
    /// Transactions; more new requests get 503.
    pub transactions: usize,
    /// Messages that wait between the library and one connection.
    pub outgoing: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { unread: 256, transactions: 16_384, outgoing: 64 }
    }
}

/// The endpoint of the library, joined to a transport.
pub struct Bridge {
    endpoint: Endpoint,
    joint: Arc<Joint>,
}

/// What the pump and [`Bridge::reach`] share.
struct Joint {
    endpoint: EndpointInnerRef,
    dialer: Dialer,
    answers: Answers,
    credits: Arc<Semaphore>,
    lines: Lines,
    datagrams: Vec<Virtual>,
    /// Gives the library messages that belong to no connection.
    feed: UnboundedSender<TransportEvent>,
    options: Options,
}

/// Why there is no endpoint.
#[derive(Debug, thiserror::Error)]
#[error("the SIP library does not start: {0}")]
pub struct BridgeError(#[from] rsipstack::Error);

impl Bridge {
    /// Makes an endpoint on `transport`, whose messages are `events`. Nothing moves before [`Bridge::serve`].
    pub async fn new(transport: &Transport, options: Options) -> Result<(Bridge, TransactionReceiver), BridgeError> {
        let cancel = CancellationToken::new();
        let layer = TransportLayer::new_with_domain_resolver(cancel.clone(), Box::new(Names));
        let mut datagrams = Vec::new();
        for (_, local) in transport.listening().iter().filter(|(protocol, _)| *protocol == Protocol::Udp) {
            let one = Virtual::new(transport.dialer(), *local, &cancel).await?;
            layer.add_transport(one.connection.clone());
            datagrams.push(one);
        }
        let credits = Arc::new(Semaphore::new(options.unread));
        let endpoint = EndpointBuilder::new()
            .with_user_agent(concat!("Chappe/", env!("CARGO_PKG_VERSION")))
            .with_cancel_token(cancel)
            .with_transport_layer(layer)
            .with_transport_inspector(Box::new(Credits(credits.clone())))
            .with_option(EndpointOption::default())
            .build();
        let incoming = endpoint.incoming_transactions()?;
        let feed = lines::feed(&endpoint.inner).await?;
        let joint = Joint {
            endpoint: endpoint.inner.clone(),
            dialer: transport.dialer(),
            answers: Answers::default(),
            credits,
            lines: Lines::default(),
            datagrams,
            feed,
            options,
        };
        Ok((Bridge { endpoint, joint: Arc::new(joint) }, incoming))
    }

    /// Moves messages until the transport stops; then the endpoint does.
    pub async fn serve(&self, mut events: mpsc::Receiver<Event>) {
        let pump = async {
            while let Some(event) = events.recv().await {
                self.joint.take(event).await;
            }
        };
        tokio::select! {
            () = pump => {}
            () = self.endpoint.serve() => {}
        }
        self.endpoint.shutdown();
    }

    /// The endpoint, for making transactions and dialogs.
    pub fn endpoint(&self) -> &EndpointInnerRef {
        &self.joint.endpoint
    }

    /// The way to a target. A transaction that is given both as `connection` and `destination` asks for nothing more.
    pub async fn reach(&self, target: &Target) -> Result<(SipConnection, SipAddr), SendError> {
        let flow = self.joint.dialer.connect(target).await?;
        let connection = self.joint.connection(&flow).await.ok_or(SendError::Closed)?;
        Ok((connection, lines::address(&flow)))
    }

    /// Why the sender of a request is trusted, if it is: known from its connection or, on UDP, from the Via that we marked.
    pub fn trust(&self, request: &Request, connection: Option<&SipConnection>) -> Option<Trust> {
        match connection? {
            SipConnection::Udp(_) => {
                let (_, from) = SipConnection::parse_target_from_via(request_via(request)?).ok()?;
                self.joint.dialer.trusted(from.host.try_into().ok()?)
            }
            line => self.joint.lines.trust(line.get_addr()),
        }
    }
}

fn request_via(request: &Request) -> Option<&rsipstack::sip::headers::untyped::Via> {
    use rsipstack::sip::HeadersExt;
    request.via_header().ok()
}

impl Joint {
    async fn take(&self, event: Event) {
        match event {
            Event::Opened(flow) => {
                self.connection(&flow).await;
            }
            Event::Closed(flow) => self.lines.close(&flow),
            Event::Message(arrival) => self.message(arrival).await,
        }
    }

    async fn message(&self, Arrival { message, flow }: Arrival) {
        let Ok(parsed) = SipMessage::try_from(&*message.octets) else {
            return self.refuse(&message, &flow, Fault::NotUnderstood);
        };
        let key = match &parsed {
            SipMessage::Request(request) => TransactionKey::from_request(request, TransactionRole::Server),
            SipMessage::Response(response) => TransactionKey::from_response(response, TransactionRole::Client),
        };
        let Ok(key) = key else { return self.refuse(&message, &flow, Fault::NotUnderstood) };
        if self.overloaded(&message, &key) {
            if let Some(echo) = &message.echo {
                let answer = self.answers.write(echo, 503, "Service Unavailable", &[("Retry-After", "10")]);
                let _ = flow.send(answer);
            }
            return;
        }
        let Some(connection) = self.connection(&flow).await else { return };
        // Given back by the endpoint, when it has taken the message.
        let Ok(credit) = self.credits.acquire().await else { return };
        credit.forget();
        let _ = self.feed.send(TransportEvent::Incoming(parsed, connection, lines::address(&flow)));
    }

    /// Only what would make a new transaction is refused, and nothing that ends a dialog.
    fn overloaded(&self, message: &Message, key: &TransactionKey) -> bool {
        let begins = matches!(message.head.method(), Some("INVITE" | "OPTIONS" | "UPDATE"));
        begins
            && self.endpoint.transactions.len() >= self.options.transactions
            && !self.endpoint.transactions.contains_key(key)
            && !self.endpoint.finished_transactions.contains_key(key)
    }

    fn refuse(&self, message: &Message, flow: &Flow, fault: Fault) {
        self.dialer.refuse(flow, fault, message.echo.clone());
    }

    /// What the library calls the connection of a flow.
    async fn connection(&self, flow: &Flow) -> Option<SipConnection> {
        match flow.protocol() {
            Protocol::Udp => {
                let listener = self.datagrams.iter().find(|one| one.local == flow.local());
                listener.map(|one| one.connection.clone())
            }
            Protocol::Tcp | Protocol::Tls => self.lines.open(flow, &self.endpoint, self.options.outgoing).await,
        }
    }
}
