//! The UDP listeners as the library sees them.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use rsipstack::platform::CancellationToken;
use rsipstack::platform::net::UdpSocket;
use rsipstack::transport::transport_layer::DomainResolver;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection};
use rsipstack::{Error, transport};

use crate::sip::transport::Dialer;

/// What an async method of a foreign trait returns.
type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A UDP listener and its connection.
pub(super) struct Virtual {
    pub(super) local: SocketAddr,
    pub(super) connection: SipConnection,
}

struct Socket {
    dialer: Dialer,
    local: SocketAddr,
}

impl Virtual {
    pub(super) async fn new(
        dialer: Dialer,
        local: SocketAddr,
        cancel: &CancellationToken,
    ) -> Result<Virtual, rsipstack::Error> {
        let socket = Arc::new(Socket { dialer, local });
        let connection = UdpConnection::from_socket(socket, Some(local), Some(cancel.child_token())).await?;
        Ok(Virtual { local, connection: transport::SipConnection::Udp(connection) })
    }
}

impl UdpSocket for Socket {
    /// The transport reads; what it has read comes by the feed.
    fn recv_from<'a, 'b, 'c>(&'a self, _: &'b mut [u8]) -> Later<'c, Result<(usize, SocketAddr), Error>>
    where
        'a: 'c,
        'b: 'c,
    {
        Box::pin(std::future::pending())
    }

    fn send_to<'a, 'b, 'c>(&'a self, octets: &'b [u8], to: SocketAddr) -> Later<'c, Result<usize, Error>>
    where
        'a: 'c,
        'b: 'c,
    {
        let sent = self.dialer.datagrams(self.local, to).and_then(|flow| flow.send(Bytes::copy_from_slice(octets)));
        let length = octets.len();
        Box::pin(async move { sent.map(|()| length).map_err(|e| Error::Error(e.to_string())) })
    }

    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Ok(self.local)
    }
}

/// Refuses names: they are resolved before the library is asked.
pub(super) struct Names;

impl DomainResolver for Names {
    fn resolve<'a, 'b, 'c>(&'a self, target: &'b SipAddr) -> Later<'c, Result<SipAddr, Error>>
    where
        'a: 'c,
        'b: 'c,
    {
        let error = Error::DnsResolutionError(target.to_string());
        Box::pin(async move { Err(error) })
    }
}
