//! Accepting connections: limits first, then the handshake, then a link.

#![expect(clippy::disallowed_methods, reason = "one task per connection")]

use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;

use super::address::{Crowded, Permit};
use super::connection::{Connection, Event, Parts};
use super::shard::{Shard, bump};
use super::socket;
use super::tls::{ALPN_BULK, ALPN_RELAY, Tls, TlsError};
use crate::observe::throttle::Throttle;
use crate::relay::{Authority, Meta};
use crate::sdp::Fingerprint;

static SHORTAGE: Throttle = Throttle::new(1);

/// A listening socket of one shard.
pub struct Listener {
    /// Bound; it listens at the latest when it is registered.
    pub socket: std::net::TcpListener,
    /// TLS.
    pub secure: bool,
    /// AUTH is served.
    pub auth: bool,
    /// The name under which clients reach it.
    pub local: Arc<Authority>,
}

/// Why a handshake did not make a connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error("socket: {0}")]
    Socket(io::ErrorKind),
    #[error("closed during the handshake")]
    Closed,
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// Of the certificate that the other end has shown.
pub(super) fn fingerprints(tls: &Tls) -> Option<Arc<[Fingerprint]>> {
    tls.peer_certificates()?.first().map(|leaf| Fingerprint::of(leaf))
}

impl Shard {
    pub(super) async fn accept(self: Rc<Self>, listener: Listener) {
        let opened = socket::open(&listener.socket).and_then(|()| socket::register(listener.socket));
        let socket = match opened {
            Ok(socket) => socket,
            Err(error) => {
                tracing::error!(%error, "a listener could not be opened; this shard accepts nothing on it");
                return;
            }
        };
        let (secure, auth, local) = (listener.secure, listener.auth, listener.local);
        loop {
            let accepted = async {
                let mut guard = socket.readable().await?;
                match guard.try_io(|s| s.get_ref().accept()) {
                    Ok(result) => result.map(Some),
                    Err(_) => Ok(None),
                }
            };
            let accepted = tokio::select! {
                accepted = accepted => accepted,
                () = self.released() => return,
            };
            let stream = match accepted {
                Ok(Some((stream, _))) => stream,
                Ok(None) => continue,
                Err(e)
                    if matches!(e.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)) =>
                {
                    bump(&self.io.refused[2]);
                    let closed = self.with(|relay, now| relay.shed(64, now));
                    if let Some(held_back) = SHORTAGE.admit() {
                        tracing::warn!(
                            error = %e, closed, held_back,
                            "out of descriptors or memory; idle links were closed, sessions go on, new connections wait"
                        );
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
                // The other end gave up while it waited.
                Err(e) if matches!(e.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted) => continue,
                Err(_) => {
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                    continue;
                }
            };
            if self.stopping.get() {
                return;
            }
            let Ok(peer) = stream.peer_addr() else { continue };
            if self.shared.bans.holds(peer.ip(), self.shared.clock.now()) {
                bump(&self.io.refused[3]);
                continue;
            }
            let bounds = self.shared.rules.load().bounds;
            let connect = || self.shared.addresses.connect(peer.ip(), &bounds, self.shared.clock.now());
            let permit = connect().or_else(|why| {
                // RFC 4976 section 6.5: the longest idle make room.
                let room = why == Crowded::Total && self.with(|relay, now| relay.shed(16, now)) > 0;
                if room { connect() } else { Err(why) }
            });
            let permit = match permit {
                Ok(permit) => permit,
                Err(why) => {
                    bump(&self.io.refused[usize::from(why == Crowded::Total)]);
                    continue;
                }
            };
            let _ = socket::tune(&stream);
            let meta = Meta {
                peer: Some(peer),
                secure,
                auth,
                local: local.clone(),
                relay: None,
                own_kind: false,
                bulk: false,
                fingerprints: None,
            };
            tokio::task::spawn_local(self.clone().welcome(stream, permit, meta));
        }
    }

    async fn welcome(self: Rc<Self>, stream: TcpStream, permit: Permit, mut meta: Meta) {
        let Some(peer) = meta.peer else { return };
        let tls = match (&self.shared.server, meta.secure) {
            (Some(side), true) => Some(Tls::accept(side)),
            (None, true) => return,
            (_, false) => None,
        };
        let parts = Parts::fresh(stream, tls, peer, Some(permit));
        let Ok(connection) = Connection::new(parts) else { return };
        let mut early = BytesMut::new();
        if meta.secure {
            let limit = self.shared.rules.load().handshake;
            match tokio::time::timeout(limit, self.handshake(&connection, &mut early)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    bump(&self.io.handshake_failures);
                    tracing::debug!(%error, %peer, "handshake failed; the connection is closed");
                    let _ = connection.send_tls_pending(&self.io.calls);
                    self.part(connection.close(), false);
                    return;
                }
                Err(_) => {
                    bump(&self.io.handshake_failures);
                    tracing::debug!(%peer, "handshake not finished in time; the connection is closed");
                    self.part(connection.close(), false);
                    return;
                }
            }
            let tls = connection.tls();
            if let Some(tls) = tls.as_ref() {
                meta.relay = self.shared.identify(tls.peer_certificates()).map(Arc::new);
                meta.fingerprints = fingerprints(tls);
                meta.own_kind = tls.alpn().is_some_and(|a| a == ALPN_RELAY || a == ALPN_BULK);
                meta.bulk = meta.relay.is_some() && tls.alpn() == Some(ALPN_BULK);
                bump(&self.io.handshakes[usize::from(tls.resumed() == Some(true))]);
            }
        }
        self.add_accepted(connection, meta, early);
    }

    /// Goes through a TLS handshake on a connection, either side. Plaintext that came behind it is in `early`.
    pub(super) async fn handshake(&self, connection: &Connection, early: &mut BytesMut) -> Result<(), HandshakeError> {
        let mut buffer = vec![0; 8 << 10];
        let broken = |e: super::connection::SendError| match e {
            super::connection::SendError::Broken(kind) => HandshakeError::Socket(kind),
            super::connection::SendError::Tls(e) => HandshakeError::Tls(e),
        };
        connection.send_tls_pending(&self.io.calls).map_err(broken)?;
        loop {
            let event = std::future::poll_fn(|cx| match connection.poll_event(cx, &mut buffer, &self.io.calls) {
                Poll::Ready(event) => Poll::Ready(event),
                Poll::Pending => Poll::Pending,
            })
            .await;
            match event {
                Event::Read(0) | Event::Gone => return Err(HandshakeError::Closed),
                Event::Read(n) => {
                    let opened = match connection.tls().as_mut() {
                        Some(tls) => tls.open(&buffer[..n], early),
                        None => return Ok(()),
                    };
                    connection.send_tls_pending(&self.io.calls).map_err(broken)?;
                    opened?;
                    if connection.tls().as_ref().is_some_and(|t| !t.handshaking()) {
                        return Ok(());
                    }
                }
                Event::Writable => {
                    connection.resume(&self.io.calls).map_err(broken)?;
                }
                Event::Woken => {}
                Event::Broken(kind) => return Err(HandshakeError::Socket(kind)),
            }
        }
    }
}
