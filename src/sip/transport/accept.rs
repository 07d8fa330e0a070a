//! Listeners of connections: limits first, then TLS, then the connection.

#![expect(clippy::disallowed_methods, reason = "one task per handshake, the date of a certificate")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::UnixTime;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::connection::Ends;
use super::server::{Shared, Task};
use super::{Loss, Protocol, Trust};
use crate::net::address::{Bounds, Crowded};
use crate::net::socket;

impl Shared {
    /// Accepts connections until the transport stops.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, tls: bool, _task: Task) {
        let (mut stop, mut release) = (self.stop.subscribe(), self.release.subscribe());
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stopping| *stopping) => return,
                _ = release.wait_for(|released| *released) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, remote)) => self.admit(stream, remote, tls),
                Err(_) => {
                    // Out of descriptors or memory, most likely.
                    self.counts.lose(Loss::Total);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, tls: bool) {
        let rules = self.rules.load();
        let trust = rules.trusted.address(remote.ip());
        let mut bounds = rules.connections;
        if trust.is_some() {
            bounds = Bounds { open: u32::MAX, new: u32::MAX, ..bounds };
        }
        let permit = match self.addresses.connect(remote.ip(), &bounds, self.clock.now()) {
            Ok(permit) => permit,
            Err(why) => {
                return self.counts.lose(if why == Crowded::Total { Loss::Total } else { Loss::Address });
            }
        };
        let _ = socket::tune(&stream);
        let Ok(local) = stream.local_addr() else { return };
        let protocol = if tls { Protocol::Tls } else { Protocol::Tcp };
        let ends = Ends { protocol, local, remote, trust, permit };
        match &rules.server {
            _ if !tls => {
                self.serve(stream, ends);
            }
            Some(server) => {
                let acceptor = TlsAcceptor::from(server.clone());
                tokio::spawn(self.clone().welcome(stream, acceptor, ends, self.task()));
            }
            // A transport does not start without, and a change never takes it away.
            None => self.counts.lose(Loss::Handshake),
        }
    }

    async fn welcome(self: Arc<Self>, stream: TcpStream, tls: TlsAcceptor, mut ends: Ends, _task: Task) {
        let mut stop = self.stop.subscribe();
        let shaken = tokio::select! {
            shaken = tokio::time::timeout(self.settings.handshake, tls.accept(stream)) => shaken,
            _ = stop.wait_for(|stopping| *stopping) => return,
        };
        let Ok(Ok(stream)) = shaken else { return self.counts.lose(Loss::Handshake) };
        let chain = stream.get_ref().1.peer_certificates();
        ends.trust = chain.and_then(|chain| self.vouched(chain)).or(ends.trust);
        self.serve(stream, ends);
    }

    fn vouched(&self, chain: &[rustls_pki_types::CertificateDer<'_>]) -> Option<Trust> {
        let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
        self.rules.load().trusted.chain(chain, UnixTime::since_unix_epoch(today))
    }
}
