//! rustls' own connection as the other end, for tests of ours.

use super::fixture::Authority;
use super::*;
use bytes::BytesMut;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, cipher_suite, default_provider};
use rustls::{
    ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedCipherSuite as Suite,
};
use rustls_pki_types::ServerName;
use std::io::{IoSlice, Read, Write};

pub(super) const NAME: &str = "relay.example";

pub(super) const TLS13: Suite = cipher_suite::TLS13_AES_128_GCM_SHA256;
pub(super) const TLS12: Suite = cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;

/// All that a certificate with an ECDSA key can be used with.
pub(super) fn suites() -> Vec<Suite> {
    let usable = |suite: &Suite| !format!("{:?}", suite.suite()).contains("_RSA_");
    let suites: Vec<_> = ALL_CIPHER_SUITES.iter().copied().filter(usable).collect();
    assert_eq!(suites.len(), 6);
    suites
}

pub(super) fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).unwrap()
}

pub(super) fn provider_of(suite: Suite) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: vec![suite], ..default_provider() })
}

pub(super) fn version_of(suite: Suite) -> &'static rustls::SupportedProtocolVersion {
    if suite.tls13().is_some() { &rustls::version::TLS13 } else { &rustls::version::TLS12 }
}

/// rustls as a client that speaks `suite` alone.
pub(super) fn their_client(authority: &Authority, suite: Suite, identity: Option<&Identity>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let builder = ClientConfig::builder_with_provider(provider_of(suite))
        .with_protocol_versions(&[version_of(suite)])
        .unwrap()
        .with_root_certificates(roots);
    Arc::new(match identity {
        Some(identity) => builder.with_client_auth_cert(identity.chain.clone(), identity.key.clone_key()).unwrap(),
        None => builder.with_no_client_auth(),
    })
}

/// rustls as a server that speaks `suite` alone.
pub(super) fn their_server(authority: &Authority, suite: Suite) -> Arc<ServerConfig> {
    let identity = authority.identity(&[NAME]);
    let algorithms = provider().signature_verification_algorithms;
    let mut config = ServerConfig::builder_with_provider(provider_of(suite))
        .with_protocol_versions(&[version_of(suite)])
        .unwrap()
        .with_client_cert_verifier(Arc::new(super::offered::Offered { algorithms }))
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .unwrap();
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    Arc::new(config)
}

pub(super) fn our_server(authority: &Authority) -> ServerSide {
    ServerSide::new(&authority.identity(&[NAME]), ServerOptions::default()).unwrap()
}

pub(super) fn our_client(authority: &Authority) -> ClientSide {
    ClientSide::new(&[authority.pem()], None, false).unwrap()
}

/// Our end, rustls' end, and what each has received.
pub(super) struct Ends {
    pub(super) ours: Tls,
    pub(super) theirs: Connection,
    pub(super) plain: BytesMut,
    pub(super) their_plain: Vec<u8>,
}

impl Ends {
    pub(super) fn new(ours: Tls, theirs: impl Into<Connection>) -> Self {
        let mut theirs = theirs.into();
        theirs.set_buffer_limit(None);
        Self { ours, theirs, plain: BytesMut::new(), their_plain: Vec::new() }
    }

    pub(super) fn we_serve(side: &ServerSide, config: &Arc<ClientConfig>) -> Self {
        Self::new(Tls::accept(side), ClientConnection::new(Arc::clone(config), name()).unwrap())
    }

    pub(super) fn we_dial(side: &ClientSide, config: &Arc<ServerConfig>) -> Self {
        let theirs = ServerConnection::new(Arc::clone(config)).unwrap();
        Self::new(Tls::connect(side, name(), &[]).unwrap(), theirs)
    }

    pub(super) fn joined(we_serve: bool, suite: Suite) -> Self {
        let authority = Authority::new();
        let mut ends = if we_serve {
            Self::we_serve(&our_server(&authority), &their_client(&authority, suite, None))
        } else {
            Self::we_dial(&our_client(&authority), &their_server(&authority, suite))
        };
        ends.carry(usize::MAX).unwrap();
        assert!(!ends.ours.handshaking() && !ends.theirs.is_handshaking());
        assert_eq!(ends.theirs.negotiated_cipher_suite(), Some(suite));
        ends
    }

    pub(super) fn give(&mut self, wire: &[u8]) -> Result<(), rustls::Error> {
        let mut wire = wire;
        while !wire.is_empty() {
            self.theirs.read_tls(&mut wire).unwrap();
            let verdict = self.theirs.process_new_packets();
            let mut reader = self.theirs.reader();
            let _ = reader.read_to_end(&mut self.their_plain);
            verdict?;
        }
        Ok(())
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.theirs.wants_write() {
            self.theirs.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// Carries octets in pieces until neither end has any.
    pub(super) fn carry(&mut self, piece: usize) -> Result<(), TlsError> {
        loop {
            let mut wire = Vec::new();
            self.ours.seal_pending(&mut wire);
            let theirs = self.take();
            if wire.is_empty() && theirs.is_empty() {
                return Ok(());
            }
            self.give(&wire).unwrap();
            for part in theirs.chunks(piece) {
                self.ours.open(part, &mut self.plain)?;
            }
        }
    }

    pub(super) fn we_send(&mut self, octets: &[u8]) {
        let mut wire = Vec::new();
        self.ours.seal(&[IoSlice::new(octets)], &mut wire).unwrap();
        self.give(&wire).unwrap();
    }

    pub(super) fn they_send(&mut self, octets: &[u8], piece: usize) {
        self.theirs.writer().write_all(octets).unwrap();
        self.carry(piece).unwrap();
    }

    /// Data passes in both directions.
    pub(super) fn talk(&mut self) {
        (self.plain, self.their_plain) = Default::default();
        self.we_send(b"hello");
        self.they_send(b"hello yourself", usize::MAX);
        assert_eq!((&self.plain[..], &self.their_plain[..]), (&b"hello yourself"[..], &b"hello"[..]));
    }
}
