//! One side of one connection, driven by hand over rustls' buffered connection.

use super::client::Outgoing;
use super::server::Configs;
use super::{ClientSide, HANDSHAKE_LIMIT, ServerSide, TlsError};
use bytes::{BufMut, BytesMut};
use rustls::server::Acceptor;
use rustls::{ClientConnection, Connection, HandshakeKind};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::sync::Arc;

/// TLS of one connection: [`Tls::open`] what was read, [`Tls::seal`] what is to be written.
pub struct Tls {
    stage: Stage,
    /// Ciphertext taken so far, counted until the handshake ends.
    handshake_octets: usize,
    /// We have sent close_notify.
    closed: bool,
}

enum Stage {
    /// Server: the ClientHello, which decides the configuration, has not wholly come.
    Hello(Box<Acceptor>, Arc<Configs>),
    /// Server: the connection after its ClientHello.
    Server(Box<Connection>),
    /// Client: what to check once more if the session turns out to be a resumed one.
    Client(Box<Connection>, Arc<Outgoing>, ServerName<'static>),
    /// Server: the ClientHello was unacceptable; the alert waits to be written.
    Refused(TlsError, Vec<u8>),
}

/// What came of a call to [`Tls::open`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Opened {
    /// The handshake ended in this call: the peer's certificates and the ALPN name are known now.
    pub handshake_finished: bool,
    /// The peer has sent close_notify: no plaintext will follow.
    pub close_notify: bool,
    /// [`Tls::seal_pending`] has octets to give.
    pub wants_write: bool,
}

impl Tls {
    /// The server side of a connection that was just accepted.
    pub fn accept(side: &ServerSide) -> Self {
        Self::at(Stage::Hello(Box::default(), side.configs()))
    }

    /// The client side of a connection to the host that the URI calls `name` (not the target of an SRV record: AMB-60),
    /// offering these ALPN names. [`Tls::seal_pending`] has the ClientHello.
    pub fn connect(side: &ClientSide, name: ServerName<'static>, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        let outgoing = side.outgoing();
        let alpn = alpn.iter().map(|offer| offer.to_vec()).collect();
        let mut connection = ClientConnection::new_with_alpn(Arc::clone(&outgoing.config), name.clone(), alpn)?;
        connection.set_buffer_limit(None);
        Ok(Self::at(Stage::Client(Box::new(connection.into()), outgoing, name)))
    }

    fn at(stage: Stage) -> Self {
        Self { stage, handshake_octets: 0, closed: false }
    }

    /// Takes all of `ciphertext` and appends what it holds to `plain`, at most as many octets. After an error the alert
    /// is in [`Tls::seal_pending`], `plain` has what came before, and the connection is to be closed.
    pub fn open(&mut self, mut ciphertext: &[u8], plain: &mut BytesMut) -> Result<Opened, TlsError> {
        let mut opened = Opened::default();
        while !ciphertext.is_empty() {
            let before = ciphertext.len();
            let plain_before = plain.len();
            let was_handshaking = self.handshaking();
            let closed = self.open_some(&mut ciphertext, plain)?;
            if was_handshaking {
                if self.handshaking() {
                    self.handshake_octets += before - ciphertext.len();
                    if self.handshake_octets > HANDSHAKE_LIMIT {
                        return Err(TlsError::HandshakeTooLong);
                    }
                } else {
                    // Not an octet of a peer that fails here may be seen.
                    self.verify_resumed().inspect_err(|_| plain.truncate(plain_before))?;
                    opened.handshake_finished = true;
                }
            }
            if closed {
                // RFC 8446 section 6.1: whatever follows is to be ignored.
                opened.close_notify = true;
                break;
            }
        }
        opened.wants_write = self.wants_write();
        Ok(opened)
    }

    /// Takes what rustls will take at once (4096 octets) and tells whether the peer has closed.
    fn open_some(&mut self, ciphertext: &mut &[u8], plain: &mut BytesMut) -> Result<bool, TlsError> {
        match &mut self.stage {
            Stage::Hello(acceptor, configs) => {
                acceptor.read_tls(ciphertext).map_err(|_| TlsError::RecordTooLong)?;
                let accepted = match acceptor.accept() {
                    Ok(None) => return Ok(false),
                    Ok(Some(accepted)) => accepted,
                    Err((error, alert)) => return Err(self.refuse(error, alert)),
                };
                let config = configs.offered(accepted.client_hello().alpn());
                match accepted.into_connection(config) {
                    Ok(mut connection) => {
                        connection.set_buffer_limit(None);
                        self.stage = Stage::Server(Box::new(connection.into()));
                        // What came with the ClientHello waits inside the connection.
                        self.process(plain)
                    }
                    Err((error, alert)) => Err(self.refuse(error, alert)),
                }
            }
            Stage::Server(connection) | Stage::Client(connection, ..) => {
                let taken = connection.read_tls(ciphertext).map_err(|_| TlsError::RecordTooLong)?;
                if taken == 0 {
                    return Ok(true);
                }
                self.process(plain)
            }
            Stage::Refused(error, _) => Err(error.clone()),
        }
    }

    fn process(&mut self, plain: &mut BytesMut) -> Result<bool, TlsError> {
        let Some(connection) = self.connection_mut() else { return Ok(false) };
        let verdict = connection.process_new_packets();
        // Also after an error: records before the bad one were good.
        let mut reader = connection.reader();
        while let Ok(chunk) = reader.fill_buf() {
            if chunk.is_empty() {
                break;
            }
            plain.put_slice(chunk);
            let length = chunk.len();
            reader.consume(length);
        }
        Ok(verdict?.peer_has_closed())
    }

    fn refuse(&mut self, error: rustls::Error, mut alert: rustls::server::AcceptedAlert) -> TlsError {
        let error = TlsError::from(error);
        let mut octets = Vec::new();
        // Writing to memory cannot fail.
        let _ = alert.write_all(&mut octets);
        self.stage = Stage::Refused(error.clone(), octets);
        error
    }

    /// A resumed session shows no certificate, so nobody has looked at its dates today (RLY-6).
    fn verify_resumed(&mut self) -> Result<(), TlsError> {
        let Stage::Client(connection, outgoing, name) = &mut self.stage else { return Ok(()) };
        if connection.handshake_kind() != Some(HandshakeKind::Resumed) {
            return Ok(());
        }
        let verdict = outgoing.verify_again(connection.peer_certificates().unwrap_or_default(), name);
        if verdict.is_err() {
            self.close_notify();
        }
        verdict
    }

    /// Seals `parts` as one group: records of at most 16 KiB in sequence, so a group up to that size is one record.
    /// Appends the sealed octets to `out`, behind anything that was pending. Fails before the handshake has ended.
    pub fn seal(&mut self, parts: &[IoSlice<'_>], out: &mut Vec<u8>) -> Result<(), TlsError> {
        if self.closed {
            return Err(TlsError::Closed);
        }
        if self.handshaking() {
            return Err(TlsError::Handshaking);
        }
        let before = out.len();
        let plaintext: usize = parts.iter().map(|part| part.len()).sum();
        let Some(connection) = self.connection_mut() else { return Err(TlsError::Handshaking) };
        let accepted = connection.writer().write_vectored(parts);
        self.seal_pending(out);
        match accepted {
            // rustls drops, and says nothing, what worn out TLS 1.2 keys may not seal.
            Ok(_) if out.len() - before < plaintext => Err(TlsError::KeysExhausted),
            Ok(_) => Ok(()),
            Err(_) => Err(TlsError::Closed),
        }
    }

    /// Appends to `out` what the protocol itself has to say: handshake messages, tickets, alerts.
    pub fn seal_pending(&mut self, out: &mut Vec<u8>) {
        match &mut self.stage {
            Stage::Hello(..) => {}
            Stage::Refused(_, alert) => out.append(alert),
            Stage::Server(connection) | Stage::Client(connection, ..) => {
                // Writing to memory neither fails nor falls short; the loop is for more than 64 records.
                while connection.wants_write() && connection.write_tls(out).is_ok_and(|written| written > 0) {}
            }
        }
    }

    /// Announces that nothing will follow; [`Tls::seal_pending`] has the octets.
    pub fn close_notify(&mut self) {
        self.closed = true;
        if let Some(connection) = self.connection_mut() {
            connection.send_close_notify();
        }
    }

    /// Whether the handshake has not ended yet.
    pub fn handshaking(&self) -> bool {
        self.connection().is_none_or(|connection| connection.is_handshaking())
    }

    /// Whether [`Tls::seal_pending`] has octets to give.
    pub fn wants_write(&self) -> bool {
        match &self.stage {
            Stage::Hello(..) => false,
            Stage::Refused(_, alert) => !alert.is_empty(),
            Stage::Server(connection) | Stage::Client(connection, ..) => connection.wants_write(),
        }
    }

    /// The chain the peer showed, the leaf first, in this handshake or in the one that this session resumes.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.connection()?.peer_certificates()
    }

    /// The ALPN name that both sides agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        self.connection()?.alpn_protocol()
    }

    /// Whether this session resumes an earlier one; none before the handshake has gone that far.
    pub fn resumed(&self) -> Option<bool> {
        Some(self.connection()?.handshake_kind()? == HandshakeKind::Resumed)
    }

    /// Gives back the receive buffer that a big record has left, all but 4 KiB of it. Worth a call when the link rests.
    pub fn idle(&mut self) {
        if let Some(connection) = self.connection_mut() {
            // rustls shrinks its buffer just before it reads, so offer it a read that yields nothing.
            let _ = connection.read_tls(&mut Nothing);
        }
    }

    fn connection(&self) -> Option<&Connection> {
        match &self.stage {
            Stage::Server(connection) | Stage::Client(connection, ..) => Some(connection),
            Stage::Hello(..) | Stage::Refused(..) => None,
        }
    }

    fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.stage {
            Stage::Server(connection) | Stage::Client(connection, ..) => Some(connection),
            Stage::Hello(..) | Stage::Refused(..) => None,
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = match self.stage {
            Stage::Hello(..) | Stage::Server(_) => "server",
            Stage::Client(..) => "client",
            Stage::Refused(..) => "refused",
        };
        write!(f, "Tls({side}, handshaking: {})", self.handshaking())
    }
}

/// A socket with nothing to read: the error, unlike an end, leaves no trace in the connection.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}
