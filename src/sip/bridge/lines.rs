//! The connections as the library sees them.

#![expect(
    clippy::disallowed_methods,
    reason = "the library's channels have no bound, credits are theirs; a task per connection"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use dashmap::{DashMap, Entry};
use rsipstack::Error;
use rsipstack::platform::CancellationToken;
use rsipstack::platform::mpsc::{self, Receiver, UnboundedSender};
use rsipstack::sip::{Domain, Host, HostWithPort};
use rsipstack::transaction::endpoint::{EndpointInnerRef, TransportEventInspector};
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::sync::Semaphore;

use crate::sip::transport::{Flow, Protocol, Trust};

/// Which connection: no two open ones share all of this.
type Ends = (Protocol, SocketAddr, SocketAddr);

/// Open connections.
#[derive(Default)]
pub(super) struct Lines {
    open: DashMap<Ends, Line>,
    /// The same by the far end, which is all that the library knows; seldom more than one.
    far: DashMap<SipAddr, Vec<Flow>>,
}

struct Line {
    flow: Flow,
    connection: SipConnection,
    /// While this lives, the library keeps the connection.
    _holds: UnboundedSender<TransportEvent>,
}

impl Lines {
    /// What the library calls this connection; made when it is first asked for. None when it has closed meanwhile.
    pub(super) async fn open(
        &self,
        flow: &Flow,
        endpoint: &EndpointInnerRef,
        outgoing: usize,
    ) -> Option<SipConnection> {
        if let Some(line) = self.open.get(&ends(flow)).filter(|line| line.flow.is(flow)) {
            return Some(line.connection.clone());
        }
        let (holds, held) = mpsc::unbounded_channel();
        let (sender, receiver) = mpsc::channel(outgoing);
        let token = CancellationToken::new();
        let made = ChannelConnection::create_connection_bounded(held, sender, address(flow), Some(token)).await;
        let connection = SipConnection::Channel(made.ok()?);
        let line = Line { flow: flow.clone(), connection: connection.clone(), _holds: holds };
        match self.open.entry(ends(flow)) {
            // Another task was faster.
            Entry::Occupied(other) if other.get().flow.is(flow) => return Some(other.get().connection.clone()),
            // The ends were in use before, and the news that they are free is still under way.
            Entry::Occupied(mut other) => drop(other.insert(line)),
            Entry::Vacant(free) => drop(free.insert(line)),
        }
        self.far.entry(address(flow)).or_default().push(flow.clone());
        endpoint.transport_layer.add_connection(connection.clone());
        tokio::spawn(drain(receiver, flow.clone()));
        if !flow.is_open() {
            // Its end may have been told before it was noted here.
            self.close(flow);
            return None;
        }
        Some(connection)
    }

    pub(super) fn close(&self, flow: &Flow) {
        self.open.remove_if(&ends(flow), |_, line| line.flow.is(flow));
        self.far.remove_if_mut(&address(flow), |_, flows| {
            flows.retain(|one| !one.is(flow));
            flows.is_empty()
        });
    }

    /// Why the far end of a connection is trusted. Where it has several connections they must agree.
    pub(super) fn trust(&self, address: &SipAddr) -> Option<Trust> {
        let flows = self.far.get(address)?;
        let trust = flows.first()?.trust()?;
        flows.iter().all(|flow| flow.trust() == Some(trust)).then(|| trust.clone())
    }
}

fn ends(flow: &Flow) -> Ends {
    (flow.protocol(), flow.local(), flow.remote())
}

/// Takes what the library sends to one connection. Never waits for the peer: a message that finds no room is counted as lost.
async fn drain(mut messages: Receiver<TransportEvent>, flow: Flow) {
    while let Some(event) = messages.recv().await {
        if let TransportEvent::Incoming(message, ..) = event {
            let _ = flow.send(message.to_bytes().into());
        }
    }
}

/// The library's name for the far end of a flow.
pub(super) fn address(flow: &Flow) -> SipAddr {
    let transport = match flow.protocol() {
        Protocol::Udp => rsipstack::sip::Transport::Udp,
        Protocol::Tcp => rsipstack::sip::Transport::Tcp,
        Protocol::Tls => rsipstack::sip::Transport::Tls,
    };
    SipAddr::new(transport, flow.remote().into())
}

/// A connection that only carries messages into the library; it has a name that nothing is ever sent to.
pub(super) async fn feed(endpoint: &EndpointInnerRef) -> Result<UnboundedSender<TransportEvent>, Error> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let (outgoing, _) = mpsc::channel(1);
    let host = HostWithPort { host: Host::Domain(Domain::from("feed.invalid")), port: None };
    let address = SipAddr { r#type: None, addr: host };
    let connection = ChannelConnection::create_connection_bounded(receiver, outgoing, address, None).await?;
    endpoint.transport_layer.add_connection(SipConnection::Channel(connection));
    Ok(sender)
}

/// Gives a credit back for each message that the endpoint takes out of its queue.
pub(super) struct Credits(pub(super) Arc<Semaphore>);

impl TransportEventInspector for Credits {
    fn handle<'a, 'c>(
        &'a self,
        event: TransportEvent,
    ) -> Pin<Box<dyn Future<Output = Option<TransportEvent>> + Send + 'c>>
    where
        'a: 'c,
    {
        if matches!(event, TransportEvent::Incoming(..)) {
            self.0.add_permits(1);
        }
        Box::pin(async move { Some(event) })
    }
}
