//! Our record layer on one end, rustls' own connection on the other: both sides, both versions, every cipher.

use super::fixture::{Authority, self_signed};
use super::*;
use bytes::BytesMut;
use proptest::prelude::*;
use rstest::rstest;
use rustls::crypto::aws_lc_rs::{ALL_CIPHER_SUITES, cipher_suite, default_provider};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, Connection, RootCertStore, ServerConfig, ServerConnection,
    SupportedCipherSuite as Suite,
};
use rustls_pki_types::ServerName;
use std::io::{IoSlice, Read, Write};

const NAME: &str = "relay.example";

const TLS13: Suite = cipher_suite::TLS13_AES_128_GCM_SHA256;
const TLS12: Suite = cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;

/// All that a certificate with an ECDSA key can be used with.
fn suites() -> Vec<Suite> {
    let usable = |suite: &Suite| !format!("{:?}", suite.suite()).contains("_RSA_");
    let suites: Vec<_> = ALL_CIPHER_SUITES.iter().copied().filter(usable).collect();
    assert_eq!(suites.len(), 6);
    suites
}

fn name() -> ServerName<'static> {
    ServerName::try_from(NAME).unwrap()
}

fn provider_of(suite: Suite) -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider { cipher_suites: vec![suite], ..default_provider() })
}

fn version_of(suite: Suite) -> &'static rustls::SupportedProtocolVersion {
    if suite.tls13().is_some() { &rustls::version::TLS13 } else { &rustls::version::TLS12 }
}

/// rustls as a client that speaks `suite` alone.
fn their_client(authority: &Authority, suite: Suite, identity: Option<&Identity>) -> Arc<ClientConfig> {
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
fn their_server(authority: &Authority, suite: Suite) -> Arc<ServerConfig> {
    let identity = authority.identity(&[NAME]);
    let algorithms = provider().signature_verification_algorithms;
    let mut config = ServerConfig::builder_with_provider(provider_of(suite))
        .with_protocol_versions(&[version_of(suite)])
        .unwrap()
        .with_client_cert_verifier(Arc::new(super::offered::Offered { algorithms }))
        .with_single_cert(identity.chain, identity.key)
        .unwrap();
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().unwrap();
    Arc::new(config)
}

fn our_server(authority: &Authority) -> ServerSide {
    ServerSide::new(&authority.identity(&[NAME]), ServerOptions::default()).unwrap()
}

fn our_client(authority: &Authority) -> ClientSide {
    ClientSide::new(&[authority.pem()], None, false).unwrap()
}

/// Our end, rustls' end, and what each has received.
struct Ends {
    ours: Tls,
    theirs: Connection,
    plain: BytesMut,
    their_plain: Vec<u8>,
}

impl Ends {
    fn new(ours: Tls, theirs: impl Into<Connection>) -> Self {
        let mut theirs = theirs.into();
        theirs.set_buffer_limit(None);
        Self { ours, theirs, plain: BytesMut::new(), their_plain: Vec::new() }
    }

    fn we_serve(side: &ServerSide, config: &Arc<ClientConfig>) -> Self {
        Self::new(Tls::accept(side), ClientConnection::new(Arc::clone(config), name()).unwrap())
    }

    fn we_dial(side: &ClientSide, config: &Arc<ServerConfig>) -> Self {
        let theirs = ServerConnection::new(Arc::clone(config)).unwrap();
        Self::new(Tls::connect(side, name(), &[]).unwrap(), theirs)
    }

    fn joined(we_serve: bool, suite: Suite) -> Self {
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

    fn give(&mut self, wire: &[u8]) -> Result<(), rustls::Error> {
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

    fn take(&mut self) -> Vec<u8> {
        let mut wire = Vec::new();
        while self.theirs.wants_write() {
            self.theirs.write_tls(&mut wire).unwrap();
        }
        wire
    }

    /// Carries octets in pieces until neither end has any.
    fn carry(&mut self, piece: usize) -> Result<(), TlsError> {
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

    fn we_send(&mut self, octets: &[u8]) {
        let mut wire = Vec::new();
        self.ours.seal(&[IoSlice::new(octets)], &mut wire).unwrap();
        self.give(&wire).unwrap();
    }

    fn they_send(&mut self, octets: &[u8], piece: usize) {
        self.theirs.writer().write_all(octets).unwrap();
        self.carry(piece).unwrap();
    }

    /// Data passes in both directions.
    fn talk(&mut self) {
        (self.plain, self.their_plain) = Default::default();
        self.we_send(b"hello");
        self.they_send(b"hello yourself", usize::MAX);
        assert_eq!((&self.plain[..], &self.their_plain[..]), (&b"hello yourself"[..], &b"hello"[..]));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn any_suite_any_sizes_any_split(
        suite in prop::sample::select(suites()),
        we_serve: bool,
        piece in prop_oneof![1usize..50, 4000usize..4200, 10_000usize..40_000],
        groups in prop::collection::vec(prop_oneof![0usize..300, 16_380usize..16_390, 40_000usize..50_000], 1..5),
    ) {
        let mut ends = Ends::joined(we_serve, suite);
        let mut sent = Vec::new();
        for (place, length) in groups.into_iter().enumerate() {
            let group: Vec<u8> = (0..length).map(|at| (at * 7 + place) as u8).collect();
            ends.they_send(&group, piece);
            let (head, body) = group.split_at(length / 3);
            let mut wire = Vec::new();
            ends.ours.seal(&[IoSlice::new(head), IoSlice::new(&[]), IoSlice::new(body)], &mut wire).unwrap();
            ends.give(&wire).unwrap();
            sent.extend_from_slice(&group);
        }
        prop_assert!(ends.plain == sent && ends.their_plain == sent);
        prop_assert_eq!(ends.ours.traffic().held(), 0);
    }

    #[test]
    fn handshake_in_any_pieces(suite in prop::sample::select(suites()), we_serve: bool, piece in 1usize..3000) {
        let authority = Authority::new();
        let mut ends = if we_serve {
            Ends::we_serve(&our_server(&authority), &their_client(&authority, suite, None))
        } else {
            Ends::we_dial(&our_client(&authority), &their_server(&authority, suite))
        };
        ends.carry(piece).unwrap();
        ends.talk();
    }
}

#[rstest]
fn keys_that_the_peer_changes_are_followed(#[values(true, false)] we_serve: bool) {
    for suite in suites().into_iter().filter(|suite| suite.tls13().is_some()) {
        let mut ends = Ends::joined(we_serve, suite);
        for _ in 0..100 {
            ends.theirs.refresh_traffic_keys().unwrap();
            ends.talk();
            ends.ours.idle();
        }
    }
}

#[rstest]
fn keys_that_change_without_end_are_an_attack(#[values(true, false)] we_serve: bool) {
    let mut ends = Ends::joined(we_serve, TLS13);
    for _ in 0..32 {
        ends.theirs.refresh_traffic_keys().unwrap();
        assert_eq!(ends.carry(usize::MAX), Ok(()));
    }
    ends.theirs.refresh_traffic_keys().unwrap();
    assert_eq!(ends.carry(usize::MAX), Err(TlsError::TooManyKeyUpdates));
}

#[rstest]
fn worn_out_keys_are_changed(#[values(true, false)] we_serve: bool) {
    for suite in suites().into_iter().filter(|suite| suite.tls13().is_some()) {
        let mut ends = Ends::joined(we_serve, suite);
        ends.ours.traffic().wear_out_after(4);
        for _ in 0..20 {
            ends.talk();
        }
        (ends.plain, ends.their_plain) = Default::default();
        let long: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
        ends.we_send(&long);
        assert!(ends.their_plain == long);
    }
}

#[rstest]
fn worn_out_keys_end_a_connection_of_tls12(#[values(true, false)] we_serve: bool) {
    let mut ends = Ends::joined(we_serve, TLS12);
    // One was used in the handshake, for Finished, and the last one is for the alert.
    ends.ours.traffic().wear_out_after(5);
    for _ in 0..3 {
        ends.talk();
    }
    let mut wire = Vec::new();
    assert_eq!(ends.ours.seal(&[IoSlice::new(b"more")], &mut wire), Err(TlsError::KeysExhausted));
    assert!(wire.is_empty());
    ends.ours.seal_pending(&mut wire);
    ends.theirs.read_tls(&mut &wire[..]).unwrap();
    assert!(ends.theirs.process_new_packets().unwrap().peer_has_closed());
    assert_eq!(ends.ours.seal(&[IoSlice::new(b"more")], &mut wire), Err(TlsError::Closed));
}

#[rstest]
fn close_notify_is_heard_on_both_ends(#[values(true, false)] we_serve: bool, #[values(TLS12, TLS13)] suite: Suite) {
    let mut ends = Ends::joined(we_serve, suite);
    ends.theirs.send_close_notify();
    let mut wire = ends.take();
    wire.extend_from_slice(b"octets after the end");
    let opened = ends.ours.open(&wire, &mut ends.plain).unwrap();
    assert!(opened.close_notify && ends.plain.is_empty());
    // Half closed: we may still speak.
    ends.we_send(b"last words");
    ends.ours.close_notify();
    ends.ours.close_notify();
    wire.clear();
    ends.ours.seal_pending(&mut wire);
    ends.theirs.read_tls(&mut &wire[..]).unwrap();
    assert!(ends.theirs.process_new_packets().unwrap().peer_has_closed());
    assert_eq!(ends.their_plain, b"last words");
}

#[rstest]
fn damaged_record_is_answered_with_an_alert(#[values(true, false)] we_serve: bool) {
    for suite in suites() {
        for bit in [5 * 8, 20 * 8 + 3, usize::MAX] {
            let mut ends = Ends::joined(we_serve, suite);
            ends.theirs.writer().write_all(b"sixteen octets or more").unwrap();
            let mut wire = ends.take();
            let bit = bit.min(wire.len() * 8 - 1);
            wire[bit / 8] ^= 1 << (bit % 8);
            for _again in 0..2 {
                assert_eq!(ends.ours.open(&wire, &mut ends.plain), Err(TlsError::BadRecordMac));
            }
            assert!(ends.plain.is_empty() && ends.ours.traffic().held() == 0);
            wire.clear();
            ends.ours.seal_pending(&mut wire);
            let told = rustls::Error::AlertReceived(AlertDescription::BadRecordMac);
            assert_eq!(ends.give(&wire), Err(told));
            ends.ours.close_notify();
            assert!(!ends.ours.wants_write(), "nothing follows a fatal alert");
        }
    }
}

#[rstest]
fn sessions_are_resumed(#[values(true, false)] we_serve: bool, #[values(TLS12, TLS13)] suite: Suite) {
    let authority = Authority::new();
    let (ours, theirs) = (our_server(&authority), their_client(&authority, suite, None));
    let (our_client, their_server) = (our_client(&authority), their_server(&authority, suite));
    for resumed in [false, true, true] {
        let mut ends =
            if we_serve { Ends::we_serve(&ours, &theirs) } else { Ends::we_dial(&our_client, &their_server) };
        ends.carry(7).unwrap();
        assert_eq!(ends.ours.resumed(), Some(resumed));
        ends.talk();
    }
}

#[rstest]
fn client_certificates_are_shown_and_seen(#[values(TLS12, TLS13)] suite: Suite) {
    let authority = Authority::new();
    let phone = self_signed(&["phone.invalid"]);
    let mut ends = Ends::we_serve(&our_server(&authority), &their_client(&authority, suite, Some(&phone)));
    ends.carry(usize::MAX).unwrap();
    assert_eq!(ends.ours.peer_certificates(), Some(&phone.chain[..]));
    ends.talk();

    let side = ClientSide::new(&[authority.pem()], Some(&phone), false).unwrap();
    let mut ends = Ends::we_dial(&side, &their_server(&authority, suite));
    ends.carry(usize::MAX).unwrap();
    assert_eq!(ends.theirs.peer_certificates(), Some(&phone.chain[..]));
    ends.talk();
}

#[rstest]
fn octets_that_come_with_the_end_of_the_handshake_are_ours(
    #[values(true, false)] we_serve: bool,
    #[values(TLS12, TLS13)] suite: Suite,
    #[values(1, 100, usize::MAX)] piece: usize,
) {
    let authority = Authority::new();
    let mut ends = if we_serve {
        Ends::we_serve(&our_server(&authority), &their_client(&authority, suite, None))
    } else {
        Ends::we_dial(&our_client(&authority), &their_server(&authority, suite))
    };
    // rustls sends this as soon as it may: in one flight with its Finished.
    ends.theirs.writer().write_all(&[b'x'; 40_000]).unwrap();
    ends.carry(piece).unwrap();
    assert!(ends.plain == vec![b'x'; 40_000]);
    ends.talk();
}

#[test]
fn a_peer_is_told_why_its_handshake_fails() {
    let authority = Authority::new();
    let only_tls13 = ServerOptions { only_tls13: true, ..ServerOptions::default() };
    let side = ServerSide::new(&authority.identity(&[NAME]), only_tls13).unwrap();
    let mut ends = Ends::we_serve(&side, &their_client(&authority, TLS12, None));
    let wire = ends.take();
    let error = ends.ours.open(&wire, &mut ends.plain).unwrap_err();
    assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
    assert_eq!(ends.ours.open(&wire, &mut ends.plain), Err(error));
    let mut wire = Vec::new();
    ends.ours.seal_pending(&mut wire);
    assert_eq!(ends.give(&wire), Err(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)));
}

#[rstest]
fn a_peer_that_refuses_us_is_heard(#[values(TLS12, TLS13)] suite: Suite) {
    let (trusted, other) = (Authority::new(), Authority::new());
    let mut ends = Ends::we_serve(&our_server(&other), &their_client(&trusted, suite, None));
    let hello = ends.take();
    ends.ours.open(&hello, &mut ends.plain).unwrap();
    let mut wire = Vec::new();
    ends.ours.seal_pending(&mut wire);
    ends.give(&wire).unwrap_err();
    let wire = ends.take();
    let refused = ends.ours.open(&wire, &mut ends.plain);
    assert!(matches!(refused, Err(TlsError::Alert(_))), "{refused:?}");
    assert_eq!(ends.ours.open(b"more", &mut ends.plain), refused);
}

#[rstest]
fn a_resting_link_holds_nothing(#[values(true, false)] we_serve: bool, #[values(TLS12, TLS13)] suite: Suite) {
    let mut ends = Ends::joined(we_serve, suite);
    ends.theirs.writer().write_all(&[b'x'; 10_000]).unwrap();
    let wire = ends.take();
    let (begin, end) = wire.split_at(wire.len() - 1);
    ends.ours.open(begin, &mut ends.plain).unwrap();
    assert!(ends.plain.is_empty());
    ends.ours.idle();
    assert_eq!(ends.ours.traffic().held(), wire.len(), "an incomplete record, and no more");
    ends.ours.open(end, &mut ends.plain).unwrap();
    assert_eq!(ends.plain.len(), 10_000);
    assert_eq!(ends.ours.traffic().held(), 0);
    ends.ours.idle();
    assert!(ends.ours.resting() <= Tls::RESTING, "{} octets", ends.ours.resting());
    ends.talk();
}
