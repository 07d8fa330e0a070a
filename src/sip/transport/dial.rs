//! Connections of our own, one for each target (RFC 3261 section 18.1.1).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::OnceCell;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::Ends;
use super::server::Shared;
use super::{Flow, Loss, Protocol, SendError, Target, Trust};
use crate::net::address::Bounds;
use crate::net::socket;

impl Shared {
    /// The connection to a target: the one that is open, the one that is being made, or a new one.
    pub(super) async fn reach(self: &Arc<Self>, target: &Target) -> Result<Flow, SendError> {
        // Another turn for a connection that was found closed.
        for _ in 0..3 {
            if *self.stop.borrow() {
                return Err(SendError::Stopping);
            }
            // No guard of the map is held over an await.
            let cell: Arc<OnceCell<Flow>> = self.dialled.entry(target.clone()).or_default().clone();
            let reached = timeout(self.settings.connect, cell.get_or_try_init(|| self.dial(target))).await;
            let error = match reached {
                Ok(Ok(flow)) if flow.is_open() => return Ok(flow.clone()),
                Ok(Ok(flow)) => {
                    self.forget(flow);
                    continue;
                }
                Ok(Err(error)) => error,
                Err(_) => SendError::Time,
            };
            self.counts.lose(Loss::Connect);
            self.dialled.remove_if(target, |_, c| Arc::ptr_eq(c, &cell) && !c.initialized());
            return Err(error);
        }
        Err(SendError::Closed)
    }

    async fn dial(self: &Arc<Self>, target: &Target) -> Result<Flow, SendError> {
        let bounds = Bounds { open: u32::MAX, new: u32::MAX, ..self.rules.load().connections };
        let address = target.address;
        let permit = self.addresses.connect(address.ip(), &bounds, self.clock.now()).map_err(|_| SendError::Crowded)?;
        let stream = connect(address, target.from).await.map_err(|e| SendError::Socket(e.kind()))?;
        let _ = socket::tune(&stream);
        let local = stream.local_addr().map_err(|e| SendError::Socket(e.kind()))?;
        // It speaks for that listener, whatever port the system has given it.
        let local = target.from.unwrap_or(local);
        let trust = self.rules.load().trusted.address(address.ip());
        let mut ends = Ends { protocol: target.protocol, local, remote: address, trust, permit };
        if target.protocol != Protocol::Tls {
            return Ok(self.serve(stream, ends));
        }
        let config = self.rules.load().client.clone().ok_or(SendError::NoTls)?;
        let name = match &target.name {
            Some(name) => ServerName::try_from(name.to_string()).map_err(|_| SendError::NoTls)?,
            None => ServerName::from(address.ip()),
        };
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|_| SendError::Handshake)?;
        // The handshake has verified that name.
        if let Some(name) = target.name.as_ref().filter(|n| self.rules.load().trusted.names.contains(&***n)) {
            ends.trust = Some(Trust::Certificate(name.clone()));
        }
        Ok(self.serve(stream, ends))
    }

    /// A connection that takes no more requests.
    pub(super) fn forget(&self, flow: &Flow) {
        self.dialled.retain(|_, cell| !cell.get().is_some_and(|f| f.is(flow)));
    }
}

/// Connects from the address of that listener, so that what Via says is where the connection comes from. A wildcard names none,
/// and loopback leads nowhere else.
async fn connect(address: SocketAddr, from: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    let fits = |from: &SocketAddr| {
        let scope = from.ip().is_loopback() == address.ip().is_loopback();
        !from.ip().is_unspecified() && from.is_ipv4() == address.is_ipv4() && scope
    };
    if let Some(from) = from.filter(fits) {
        socket.bind(SocketAddr::new(from.ip(), 0))?;
    }
    socket.connect(address).await
}
