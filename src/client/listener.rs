//! The far end: an endpoint that is connected to.

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, time::timeout};
use tokio_rustls::TlsAcceptor;

use super::{endpoint::Endpoint, error::ClientError, ledger::Ledger, options::EndpointOptions, tls};

/// How long a peer may take for its TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts connections for one session URI, or for any.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    acceptor: Option<TlsAcceptor>,
    uri: String,
}

impl Listener {
    /// Listens for plain TCP; port 0 takes a free one.
    pub async fn bind_tcp(addr: SocketAddr) -> Result<Listener, ClientError> {
        let (socket, address) = listen(addr).await?;
        let uri = format!("msrp://{address}/{};tcp", session_id()?);
        Ok(Listener { socket, address, acceptor: None, uri })
    }

    /// Listens for TLS with this chain and key, both PEM text. `host` is the name in our URI, which the certificate must be
    /// good for; with `client_ca` the peer is asked for a certificate of that authority, and may have none.
    pub async fn bind_tls(
        addr: SocketAddr,
        host: &str,
        chain_pem: &str,
        key_pem: &str,
        client_ca: Option<&str>,
    ) -> Result<Listener, ClientError> {
        let acceptor = tls::acceptor(chain_pem, key_pem, client_ca)?;
        let (socket, address) = listen(addr).await?;
        let uri = format!("msrps://{host}:{}/{};tcp", address.port(), session_id()?);
        Ok(Listener { socket, address, acceptor: Some(acceptor), uri })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The URI of its session.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// The next connection, for the listener's own URI unless the options name another one. A peer that fails its
    /// handshake is an error; the listener goes on.
    pub async fn accept(&self, mut options: EndpointOptions) -> Result<Endpoint, ClientError> {
        let (stream, peer) = self.socket.accept().await.map_err(|error| ClientError::Connect(error.kind()))?;
        stream.set_nodelay(true).map_err(|error| ClientError::Connect(error.kind()))?;
        options.uri.get_or_insert_with(|| self.uri.clone());
        let Some(acceptor) = &self.acceptor else {
            return Endpoint::new(Box::new(stream), "msrp", self.address, peer, options);
        };
        let stream = timeout(HANDSHAKE_TIMEOUT, acceptor.accept(stream)).await.map_err(|_| ClientError::Timeout)?;
        let stream = stream.map_err(|error| ClientError::Tls(error.to_string()))?;
        Endpoint::new(Box::new(stream), "msrps", self.address, peer, options)
    }
}

async fn listen(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), ClientError> {
    let failed = |error: std::io::Error| ClientError::Listen(error.kind());
    let socket = TcpListener::bind(addr).await.map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?;
    Ok((socket, address))
}

fn session_id() -> Result<String, ClientError> {
    Ok(Ledger::new(Duration::ZERO)?.random_text(22))
}
