//! The handshake, which is rustls' alone: it is given records until it has ended, and then hands out the keys.
//!
//! rustls' unbuffered connection digests handshake octets where they lie. It gets them one record at a time, so that it
//! never touches what follows the handshake's end: that is for our own record layer.

use super::client::Outgoing;
use super::keys::Keys;
use super::schedule::Schedule;
use super::server::Configs;
use super::traffic::Traffic;
use super::{ClientSide, HANDSHAKE_LIMIT, ServerSide, TlsError, records};
use crate::sdp::Fingerprint;
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{Acceptor, ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedConnectionCommon, UnbufferedStatus};
use rustls::{CommonState, Error, HandshakeKind, ProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;

/// A handshake that has not ended.
pub(super) struct Handshake {
    role: Role,
    /// Octets that rustls has not digested.
    octets: Vec<u8>,
    /// How many of them it has seen; whole records.
    seen: usize,
    /// How many it has digested.
    digested: usize,
}

enum Role {
    /// Server: the ClientHello, which decides the configuration, has not wholly come.
    Hello(Box<Acceptor>, Arc<Configs>),
    Server(Box<UnbufferedServerConnection>),
    /// Client: what to check once more if the session turns out to be a resumed one.
    Client(Box<UnbufferedClientConnection>, Arc<Outgoing>, ServerName<'static>),
}

/// What both sides agreed on.
pub(super) struct Agreed {
    pub(super) certificates: Option<Box<[CertificateDer<'static>]>>,
    pub(super) alpn: Option<Box<[u8]>>,
    pub(super) resumed: bool,
}

/// How a handshake ended.
pub(super) struct Ended {
    pub(super) traffic: Traffic,
    pub(super) agreed: Agreed,
    /// What came behind it.
    pub(super) rest: Vec<u8>,
    /// What is wrong with the peer for all that: it is to be told.
    pub(super) verdict: Result<(), TlsError>,
}

impl Handshake {
    pub(super) fn server(side: &ServerSide) -> Self {
        Self::at(Role::Hello(Box::default(), side.configs()))
    }

    /// The ClientHello is in `pending`.
    pub(super) fn client(
        side: &ClientSide,
        name: ServerName<'static>,
        alpn: &[&[u8]],
        pending: &mut Vec<u8>,
    ) -> Result<Self, TlsError> {
        let outgoing = side.outgoing();
        let alpn = alpn.iter().map(|offer| offer.to_vec()).collect();
        let connection = UnbufferedClientConnection::new_with_alpn(Arc::clone(&outgoing.config), name.clone(), alpn)?;
        let mut handshake = Self::at(Role::Client(Box::new(connection), outgoing, name));
        handshake.digest(pending)?;
        Ok(handshake)
    }

    /// The same for a server that is known by its fingerprints.
    pub(super) fn pinned(
        side: &ClientSide,
        name: ServerName<'static>,
        expected: Arc<[Fingerprint]>,
        pending: &mut Vec<u8>,
    ) -> Result<Self, TlsError> {
        let outgoing = side.outgoing();
        let config = Arc::new(outgoing.pinned(expected));
        let connection = UnbufferedClientConnection::new(config, name.clone())?;
        let mut handshake = Self::at(Role::Client(Box::new(connection), outgoing, name));
        handshake.digest(pending)?;
        Ok(handshake)
    }

    fn at(role: Role) -> Self {
        Self { role, octets: Vec::new(), seen: 0, digested: 0 }
    }

    /// Takes all of `octets` and says whether the handshake has ended; answers and alerts go to `pending`.
    pub(super) fn open(&mut self, octets: &[u8], pending: &mut Vec<u8>) -> Result<bool, TlsError> {
        self.octets.extend_from_slice(octets);
        if let Role::Hello(acceptor, configs) = &mut self.role {
            match hello(acceptor, configs, octets, pending)? {
                Some(connection) => self.role = Role::Server(Box::new(connection)),
                None => return self.unended(),
            }
        }
        loop {
            if self.ended() {
                return Ok(true);
            }
            if self.digested + self.seen > HANDSHAKE_LIMIT {
                return Err(TlsError::HandshakeTooLong);
            }
            let rest = self.octets.get(self.seen..).unwrap_or_default();
            let Some(length) = record(rest) else { return self.unended() };
            self.seen += length;
            self.digest(pending)?;
        }
    }

    /// More octets are needed, if the peer may send any.
    fn unended(&self) -> Result<bool, TlsError> {
        if self.digested + self.octets.len() > HANDSHAKE_LIMIT { Err(TlsError::HandshakeTooLong) } else { Ok(false) }
    }

    /// Lets rustls digest what it may see.
    fn digest(&mut self, pending: &mut Vec<u8>) -> Result<(), TlsError> {
        let (octets, seen) = (&mut self.octets, &mut self.seen);
        let before = octets.len();
        let verdict = match &mut self.role {
            Role::Hello(..) => Ok(()),
            Role::Server(connection) => {
                let process = UnbufferedConnectionCommon::<ServerConnectionData>::process_tls_records;
                digest(connection, process, octets, seen, pending)
            }
            Role::Client(connection, ..) => {
                let process = UnbufferedConnectionCommon::<ClientConnectionData>::process_tls_records;
                digest(connection, process, octets, seen, pending)
            }
        };
        self.digested += before - self.octets.len();
        Ok(verdict?)
    }

    fn common(&self) -> Option<&CommonState> {
        match &self.role {
            Role::Hello(..) => None,
            Role::Server(connection) => Some(connection),
            Role::Client(connection, ..) => Some(connection),
        }
    }

    /// Nothing is half digested: a handshake message may begin in the record that ends the handshake.
    fn ended(&self) -> bool {
        self.seen == 0 && self.common().is_some_and(|common| !common.is_handshaking() && !common.wants_write())
    }

    /// Whether the session is a resumed one, once that is known.
    pub(super) fn resumed(&self) -> Option<bool> {
        Some(self.common()?.handshake_kind()? == HandshakeKind::Resumed)
    }

    /// The chain that the peer has shown so far.
    pub(super) fn certificates(&self) -> Option<&[CertificateDer<'static>]> {
        self.common()?.peer_certificates()
    }

    /// The ALPN name, once it is agreed.
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.common()?.alpn_protocol()
    }

    pub(super) fn is_client(&self) -> bool {
        matches!(self.role, Role::Client(..))
    }

    /// The keys, after [`Handshake::open`] has said that the handshake has ended.
    pub(super) fn end(self) -> Result<Ended, TlsError> {
        let common = self.common().ok_or(Error::HandshakeNotComplete)?;
        let agreed = Agreed {
            certificates: self.certificates().map(Box::from),
            alpn: self.alpn().map(Box::from),
            resumed: self.resumed() == Some(true),
        };
        let tls13 = common.protocol_version() == Some(ProtocolVersion::TLSv1_3);
        let suite = common.negotiated_cipher_suite().ok_or(Error::HandshakeNotComplete)?;
        let limit = match suite {
            rustls::SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
            rustls::SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
        };
        let mut verdict = Ok(());
        let (secrets, schedule) = match self.role {
            Role::Hello(..) => return Err(Error::HandshakeNotComplete.into()),
            Role::Server(connection) => {
                let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
                (secrets, if tls13 { Schedule::Tls13Server(Box::new(kernel)) } else { Schedule::Tls12Server })
            }
            Role::Client(connection, outgoing, name) => {
                if agreed.resumed {
                    // A resumed session shows no certificate, so nobody has looked at its dates today (RLY-6).
                    verdict = outgoing.verify_again(agreed.certificates.as_deref().unwrap_or_default(), &name);
                }
                let (secrets, kernel) = connection.dangerous_into_kernel_connection()?;
                (secrets, if tls13 { Schedule::Tls13Client(Box::new(kernel)) } else { Schedule::Tls12Client })
            }
        };
        let (rx, tx) = (Keys::new(secrets.rx, tls13)?, Keys::new(secrets.tx, tls13)?);
        Ok(Ended { traffic: Traffic::new(rx, tx, schedule, limit), agreed, rest: self.octets, verdict })
    }
}

/// The length of the first record of `octets`, when rustls may see it: it is whole, or its header is unacceptable, which
/// rustls will find by itself.
fn record(octets: &[u8]) -> Option<usize> {
    match records::handshake_length(*octets.first_chunk()?) {
        None => Some(octets.len()),
        Some(length) => (octets.len() >= length).then_some(length),
    }
}

/// Reads the ClientHello for the ALPN names in it, and makes the connection that will read it once more.
fn hello(
    acceptor: &mut Acceptor,
    configs: &Configs,
    mut octets: &[u8],
    pending: &mut Vec<u8>,
) -> Result<Option<UnbufferedServerConnection>, TlsError> {
    while !octets.is_empty() {
        acceptor.read_tls(&mut octets).map_err(|_| TlsError::RecordTooLong)?;
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => {
                let config = configs.offered(accepted.client_hello().alpn());
                return Ok(Some(UnbufferedServerConnection::new(config)?));
            }
            Err((error, mut alert)) => {
                // Writing to memory cannot fail.
                let _ = alert.write_all(pending);
                return Err(error.into());
            }
        }
    }
    Ok(None)
}

type Process<Data> =
    for<'c, 'i> fn(&'c mut UnbufferedConnectionCommon<Data>, &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Data>;

/// Gives the first `seen` of `octets` to rustls until it wants more; what it has digested is taken away.
fn digest<Data>(
    connection: &mut UnbufferedConnectionCommon<Data>,
    process: Process<Data>,
    octets: &mut Vec<u8>,
    seen: &mut usize,
    pending: &mut Vec<u8>,
) -> Result<(), Error> {
    loop {
        let UnbufferedStatus { discard, state } = process(connection, octets.get_mut(..*seen).unwrap_or_default());
        let wants_more = match state {
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, pending);
                false
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                false
            }
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => true,
            // Records are given one by one, so none of application data comes here, and there is no early data.
            Ok(_) => return Err(Error::HandshakeNotComplete),
            Err(error) => {
                // The alert, as long as there is any: rustls gives what it has to send before it looks at input.
                while connection.wants_write() {
                    match process(connection, &mut []).state {
                        Ok(ConnectionState::EncodeTlsData(data)) => encode(data, pending),
                        _ => break,
                    }
                }
                return Err(error);
            }
        };
        octets.drain(..discard);
        *seen -= discard;
        if wants_more {
            return Ok(());
        }
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, pending: &mut Vec<u8>) {
    let start = pending.len();
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        pending.resize(start + size.required_size, 0);
        let written = data.encode(pending.get_mut(start..).unwrap_or_default()).unwrap_or(0);
        pending.truncate(start + written);
    }
}
