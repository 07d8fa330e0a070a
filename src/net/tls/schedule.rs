//! What remains of the handshake: new keys, and tickets for the next one (RFC 8446 sections 4.6 and 7.2).

use super::TlsError;
use super::keys::Keys;
use rustls::client::ClientConnectionData;
use rustls::kernel::KernelConnection;
use rustls::server::ServerConnectionData;

/// Handshake messages that may come after the handshake (RFC 8446 section 4, RFC 5246 section 7.4).
pub(super) mod message {
    /// TLS 1.2, from a server: please renegotiate.
    pub(super) const HELLO_REQUEST: u8 = 0;
    /// TLS 1.2, from a client: it renegotiates.
    pub(super) const CLIENT_HELLO: u8 = 1;
    pub(in super::super) const NEW_SESSION_TICKET: u8 = 4;
    pub(in super::super) const KEY_UPDATE: u8 = 24;
    pub(in super::super) const UPDATE_REQUESTED: u8 = 1;
    /// Our KeyUpdate: the peer need not change its keys.
    pub(in super::super) const KEY_UPDATE_NOT_REQUESTED: [u8; 5] = [KEY_UPDATE, 0, 0, 1, 0];
}

/// Version and side of a connection, with rustls' state where anything can still come of it. It is boxed: a link has
/// one for as long as it lives and hardly ever looks at it.
pub(super) enum Schedule {
    Tls12Client,
    Tls12Server,
    Tls13Client(Box<KernelConnection<ClientConnectionData>>),
    Tls13Server(Box<KernelConnection<ServerConnectionData>>),
}

impl Schedule {
    pub(super) fn tls13(&self) -> bool {
        matches!(self, Self::Tls13Client(_) | Self::Tls13Server(_))
    }

    /// Whether a handshake message of this type may come now.
    pub(super) fn expects(&self, kind: u8) -> bool {
        match self {
            Self::Tls12Client => kind == message::HELLO_REQUEST,
            Self::Tls12Server => kind == message::CLIENT_HELLO,
            Self::Tls13Client(_) => matches!(kind, message::NEW_SESSION_TICKET | message::KEY_UPDATE),
            Self::Tls13Server(_) => kind == message::KEY_UPDATE,
        }
    }

    /// The keys by which the peer's next records are sealed.
    pub(super) fn next_rx(&mut self) -> Result<Keys, TlsError> {
        let secrets = match self {
            Self::Tls13Client(kernel) => kernel.update_rx_secret()?,
            Self::Tls13Server(kernel) => kernel.update_rx_secret()?,
            Self::Tls12Client | Self::Tls12Server => return Err(TlsError::Cipher),
        };
        Keys::new(secrets, true)
    }

    /// The keys for our next records.
    pub(super) fn next_tx(&mut self) -> Result<Keys, TlsError> {
        let secrets = match self {
            Self::Tls13Client(kernel) => kernel.update_tx_secret()?,
            Self::Tls13Server(kernel) => kernel.update_tx_secret()?,
            Self::Tls12Client | Self::Tls12Server => return Err(TlsError::Cipher),
        };
        Keys::new(secrets, true)
    }

    /// Stores the ticket of a NewSessionTicket; only a client of TLS 1.3 is asked to.
    pub(super) fn ticket(&mut self, body: &[u8]) -> Result<(), TlsError> {
        match self {
            Self::Tls13Client(kernel) => Ok(kernel.handle_new_session_ticket(body)?),
            _ => Err(TlsError::UnexpectedMessage(message::NEW_SESSION_TICKET)),
        }
    }

    /// Octets of rustls' state, but for what it points to.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        match self {
            Self::Tls13Client(kernel) => size_of_val(&**kernel),
            Self::Tls13Server(kernel) => size_of_val(&**kernel),
            Self::Tls12Client | Self::Tls12Server => 0,
        }
    }
}
