//! Authorities, certificates and a pair of connections for the tests of this module.

use super::{Identity, Opened, Tls, TlsError};
use bytes::BytesMut;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::time_provider::TimeProvider;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use x509_parser::asn1_rs::{Any, FromDer};

pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(super) fn der(&self) -> CertificateDer<'static> {
        self.0.der().clone()
    }

    pub(super) fn identity(&self, names: &[&str]) -> Identity {
        self.sign(params(names))
    }

    /// Good from 2020 to 2021.
    pub(super) fn expired(&self, names: &[&str]) -> Identity {
        let mut params = params(names);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign(params)
    }

    fn sign(&self, params: CertificateParams) -> Identity {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.0).unwrap();
        identity(leaf.der(), &key)
    }
}

pub(super) fn self_signed(names: &[&str]) -> Identity {
    let key = KeyPair::generate().unwrap();
    let leaf = params(names).self_signed(&key).unwrap();
    identity(leaf.der(), &key)
}

/// The certificate as version 1, as `openssl x509 -req -signkey` makes it: no version, no extensions. Its own signature
/// no longer fits, but nobody who looks at an unknown certificate checks that.
pub(super) fn version_1(leaf: &CertificateDer<'_>) -> CertificateDer<'static> {
    let (_, outer) = Any::from_der(leaf).unwrap();
    let (signature, body) = Any::from_der(outer.data).unwrap();
    let (mut rest, _version) = Any::from_der(body.data).unwrap();
    let fields = rest;
    for _serial_to_key in 0..6 {
        (rest, _) = Any::from_der(rest).unwrap();
    }
    let body = sequence(&[&fields[..fields.len() - rest.len()]]);
    CertificateDer::from(sequence(&[&body, signature]))
}

fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    let head: &[u8] = match body.len() {
        0..128 => &[0x30, low],
        128..256 => &[0x30, 0x81, low],
        _ => &[0x30, 0x82, high, low],
    };
    [head, &body].concat()
}

/// A clock in seconds since 1970 that tests set.
#[derive(Debug)]
pub(super) struct Clock(pub(super) AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn identity(leaf: &CertificateDer<'static>, key: &KeyPair) -> Identity {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Identity { chain: vec![leaf.clone()], key }
}

/// Which end met an error.
#[derive(Debug, PartialEq)]
pub(super) enum At {
    Client(TlsError),
    Server(TlsError),
}

/// Two ends joined in memory.
pub(super) struct Pair {
    pub(super) client: Tls,
    pub(super) server: Tls,
}

impl Pair {
    /// Carries octets until neither end has any, in pieces of at most `piece`; each end finishes its handshake once.
    pub(super) fn shake(&mut self, piece: usize) -> Result<(), At> {
        let (mut finished, mut plain) = ((0, 0), BytesMut::new());
        loop {
            let mut wire = Vec::new();
            self.client.seal_pending(&mut wire);
            let mut quiet = wire.is_empty();
            for part in wire.chunks(piece) {
                let opened = self.server.open(part, &mut plain).map_err(At::Server)?;
                finished.1 += usize::from(opened.handshake_finished);
            }
            wire.clear();
            self.server.seal_pending(&mut wire);
            quiet &= wire.is_empty();
            for part in wire.chunks(piece) {
                let opened = self.client.open(part, &mut plain).map_err(At::Client)?;
                finished.0 += usize::from(opened.handshake_finished);
            }
            if quiet {
                assert_eq!(finished, (1, 1), "each end tells the end of its handshake once");
                assert!(plain.is_empty());
                assert!(!self.client.handshaking() && !self.server.handshaking());
                return Ok(());
            }
        }
    }
}

/// Opens `wire` in one call at `end`.
pub(super) fn open_all(end: &mut Tls, wire: &[u8]) -> Result<(Opened, BytesMut), TlsError> {
    let mut plain = BytesMut::new();
    end.open(wire, &mut plain).map(|opened| (opened, plain))
}
