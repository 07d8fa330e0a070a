//! What a connection needs of its engine, the same for each.

mod moves;
mod socket;

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use bytes::Bytes;

use super::{Calls, Runtime};
use crate::config::Engine;
use crate::net::connection::{Connection, Event, Parts, Scratch, SendError};
use crate::relay::{Span, Transmit};

/// The engines that are part of this build.
pub(super) const ENGINES: &[Engine] =
    if cfg!(feature = "io-uring") { &[Engine::Tokio, Engine::IoUring] } else { &[Engine::Tokio] };

/// Runs on an engine; it must be that one.
pub(super) fn on<F: Future>(engine: Engine, future: F) -> F::Output {
    let runtime = Runtime::new(engine).unwrap();
    assert_eq!(matches!(runtime, Runtime::Epoll(_)), engine == Engine::Tokio);
    runtime.block_on(future)
}

/// Two ends of a connection over loopback; the second is the peer's.
pub(super) fn pair() -> (TcpStream, SocketAddr, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let theirs = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (ours, peer) = listener.accept().unwrap();
    crate::net::socket::tune(&ours).unwrap();
    (ours, peer, theirs)
}

/// A connection without TLS, with what a shard has for it.
pub(super) struct End {
    pub(super) connection: Connection,
    pub(super) buffer: Vec<u8>,
    pub(super) calls: Calls,
    scratch: Scratch,
}

impl End {
    pub(super) fn new(parts: Parts) -> io::Result<End> {
        let connection = Connection::new(parts)?;
        Ok(End { connection, buffer: vec![0; 64 << 10], calls: Calls::default(), scratch: Scratch::default() })
    }

    pub(super) fn plain(stream: TcpStream, peer: SocketAddr) -> End {
        End::new(Parts::fresh(stream, None, peer, None)).unwrap()
    }

    pub(super) async fn event(&mut self) -> Event {
        poll_fn(|cx| self.connection.poll_event(cx, &mut self.buffer, &self.calls)).await
    }

    /// The next octets; empty at the end of the stream.
    pub(super) async fn octets(&mut self) -> Vec<u8> {
        loop {
            match self.event().await {
                Event::Read(n) => return self.buffer[..n].to_vec(),
                Event::Writable => {
                    self.connection.resume(&self.calls).unwrap();
                }
                Event::Woken => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Returns how many octets were out at once.
    pub(super) fn send(&mut self, octets: Bytes) -> usize {
        self.try_send(octets).unwrap()
    }

    pub(super) fn try_send(&mut self, octets: Bytes) -> Result<usize, SendError> {
        let batch =
            Transmit { octets: octets.len(), spans: vec![Span::Body(octets), Span::Cut], ..Transmit::default() };
        self.connection.send(&batch, &mut self.scratch, &self.calls)
    }
}

/// The client's side of TLS, as a program of somebody else's would have it.
pub(super) fn tls_client(
    ca: &str,
    stream: TcpStream,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    use rustls_pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls_pki_types::CertificateDer::from_pem_slice(ca.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connection = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    rustls::StreamOwned::new(connection, stream)
}
