//! Handshakes and records between two ends in memory.

use super::fixture::{At, Authority, Clock, Pair, open_all, self_signed, version_1};
use super::*;
use bytes::BytesMut;
use proptest::prelude::*;
use rstest::rstest;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, CertificateError, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::IoSlice;
use std::sync::atomic::{AtomicU64, Ordering};

const NAME: &str = "relay.example";

fn name(host: &str) -> ServerName<'static> {
    ServerName::try_from(host.to_owned()).unwrap()
}

fn listener(identity: &Identity) -> ServerSide {
    ServerSide::new(identity, ServerOptions::default()).unwrap()
}

fn pair(client: &ClientSide, server: &ServerSide, alpn: &[&[u8]]) -> Pair {
    Pair { client: Tls::connect(client, name(NAME), alpn).unwrap(), server: Tls::accept(server) }
}

/// A pair after its handshake, between a trusting client and a listener of one authority.
fn joined(version: &'static SupportedProtocolVersion) -> Pair {
    let authority = Authority::new();
    let client = ClientSide::of_version(&[authority.pem()], None, version);
    let mut pair = pair(&client, &listener(&authority.identity(&[NAME])), &[]);
    pair.shake(usize::MAX).unwrap();
    pair
}

/// The lengths of the records that make up `wire`.
fn records(mut wire: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = wire {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        lengths.push(length);
        wire = &rest[length..];
    }
    lengths
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_split_of_the_ciphertext_gives_the_same_plaintext(
        tls13: bool,
        piece in prop_oneof![1usize..100, 4000usize..4200, 10_000usize..40_000],
        groups in prop::collection::vec(prop_oneof![0usize..300, 16_000usize..17_000, 60_000usize..70_000], 1..6),
    ) {
        let authority = Authority::new();
        let client = ClientSide::of_version(&[authority.pem()], None, if tls13 { &TLS13 } else { &TLS12 });
        let mut pair = pair(&client, &listener(&authority.identity(&[NAME])), &[]);
        pair.shake(piece).unwrap();
        let (mut sent, mut wire) = (Vec::new(), Vec::new());
        for (place, length) in groups.into_iter().enumerate() {
            let group: Vec<u8> = (0..length).map(|at| (at * 7 + place) as u8).collect();
            let (head, body) = group.split_at(length / 3);
            pair.client.seal(&[IoSlice::new(head), IoSlice::new(body)], &mut wire).unwrap();
            sent.extend_from_slice(&group);
        }
        let mut plain = BytesMut::new();
        for part in wire.chunks(piece) {
            let before = plain.len();
            pair.server.open(part, &mut plain).unwrap();
            // A piece may complete a record whose other octets came earlier, but never more than one of those.
            prop_assert!(plain.len() - before <= part.len() + 16 * 1024);
            pair.server.idle();
        }
        prop_assert!(plain == sent);
    }
}

#[rstest]
#[case(&TLS12)]
#[case(&TLS13)]
fn a_group_of_up_to_16_kib_is_one_record(#[case] version: &'static SupportedProtocolVersion) {
    let mut pair = joined(version);
    let octets = vec![b'x'; 16 * 1024];
    for length in [1, 200, 2048, 16 * 1024] {
        let (head, tail) = octets[..length].split_at(length / 2);
        let mut wire = Vec::new();
        pair.server.seal(&[IoSlice::new(head), IoSlice::new(tail), IoSlice::new(b"")], &mut wire).unwrap();
        assert_eq!(records(&wire).len(), 1, "{length} octets");
        assert_eq!(open_all(&mut pair.client, &wire).unwrap().1, octets[..length]);
    }
}

#[test]
fn a_group_with_more_records_than_one_gathered_write_is_sealed_whole() {
    let mut pair = joined(&TLS13);
    let (octets, mut wire) = (vec![b'x'; 100 * 16 * 1024 + 1], Vec::new());
    pair.client.seal(&[IoSlice::new(&octets)], &mut wire).unwrap();
    assert_eq!(records(&wire).len(), 101);
    assert!(!pair.client.wants_write());
    assert_eq!(open_all(&mut pair.server, &wire).unwrap().1, octets);
}

#[test]
fn nothing_is_sealed_before_the_handshake_ends_or_after_close_notify() {
    let mut pair = joined(&TLS13);
    let mut wire = Vec::new();
    pair.client.close_notify();
    assert_eq!(pair.client.seal(&[IoSlice::new(b"x")], &mut wire), Err(TlsError::Closed));
    assert!(wire.is_empty());
    pair.client.seal_pending(&mut wire);
    wire.extend_from_slice(b"octets after the end");
    let opened = open_all(&mut pair.server, &wire).unwrap().0;
    assert!(opened.close_notify);

    let side = listener(&self_signed(&[NAME]));
    assert_eq!(Tls::accept(&side).seal(&[IoSlice::new(b"x")], &mut wire), Err(TlsError::Handshaking));
}

/// RLY-4
#[rstest]
#[case(&TLS12)]
#[case(&TLS13)]
fn rly4_self_signed_client_certificate_is_accepted_and_kept(#[case] version: &'static SupportedProtocolVersion) {
    let authority = Authority::new();
    let caller = self_signed(&["phone.invalid"]);
    let client = ClientSide::of_version(&[authority.pem()], Some(&caller), version);
    let mut pair = pair(&client, &listener(&authority.identity(&[NAME])), &[]);
    pair.shake(usize::MAX).unwrap();
    assert_eq!(pair.server.peer_certificates(), Some(&caller.chain[..]));
}

/// RLY-4
#[rstest]
#[case(&TLS12)]
#[case(&TLS13)]
fn rly4_certificate_of_version_1_is_accepted_from_who_holds_its_key(
    #[case] version: &'static SupportedProtocolVersion,
) {
    let authority = Authority::new();
    let server = listener(&authority.identity(&[NAME]));
    let (caller, thief) = (self_signed(&["phone.invalid"]), self_signed(&["thief.invalid"]));
    let chain = vec![version_1(&caller.chain[0])];
    for (key, holds) in [(caller.key.clone_key(), true), (thief.key.clone_key(), false)] {
        let key = provider().key_provider.load_private_key(key).unwrap();
        let shown = SingleCertAndKey::from(CertifiedKey::new(chain.clone(), key));
        let client = ClientSide::of_version(&[authority.pem()], None, version)
            .twisted(|config| config.client_auth_cert_resolver = Arc::new(shown));
        let mut pair = pair(&client, &server, &[]);
        if holds {
            pair.shake(usize::MAX).unwrap();
            assert_eq!(pair.server.peer_certificates(), Some(&chain[..]));
        } else {
            let refused = TlsError::Certificate(CertificateError::BadSignature);
            assert_eq!(pair.shake(usize::MAX), Err(At::Server(refused)));
        }
    }
}

/// RLY-3
#[test]
fn rly3_client_without_certificate_connects() {
    assert_eq!(joined(&TLS12).server.peer_certificates(), None);
    assert_eq!(joined(&TLS13).server.peer_certificates(), None);
}

#[rstest]
#[case(&TLS12)]
#[case(&TLS13)]
fn resumed_session_keeps_the_client_certificate(#[case] version: &'static SupportedProtocolVersion) {
    let authority = Authority::new();
    let caller = self_signed(&["phone.invalid"]);
    let client = ClientSide::of_version(&[authority.pem()], Some(&caller), version);
    let server = listener(&authority.identity(&[NAME]));
    for resumed in [false, true, true] {
        let mut pair = pair(&client, &server, &[]);
        pair.shake(usize::MAX).unwrap();
        assert_eq!((pair.client.resumed(), pair.server.resumed()), (Some(resumed), Some(resumed)));
        assert_eq!(pair.server.peer_certificates(), Some(&caller.chain[..]));
    }
}

/// RLY-6
#[rstest]
#[case(&TLS12)]
#[case(&TLS13)]
fn rly6_dates_are_checked_in_a_resumed_session_too(#[case] version: &'static SupportedProtocolVersion) {
    // The last minute of 2020 in UTC, when the certificate ends.
    const LAST_MINUTE: u64 = 1_609_459_140;
    let authority = Authority::new();
    let server = listener(&authority.expired(&[NAME]));
    let clock = Arc::new(Clock(AtomicU64::new(LAST_MINUTE)));
    let client = ClientSide::of_version(&[authority.pem()], None, version)
        .twisted(|config| config.time_provider = Arc::<Clock>::clone(&clock));
    pair(&client, &server, &[]).shake(usize::MAX).unwrap();
    let mut again = pair(&client, &server, &[]);
    again.shake(usize::MAX).unwrap();
    assert_eq!(again.client.resumed(), Some(true));
    clock.0.store(LAST_MINUTE + 61, Ordering::Relaxed);
    let verdict = pair(&client, &server, &[]).shake(usize::MAX);
    assert!(matches!(verdict, Err(At::Client(TlsError::Certificate(_)))), "{verdict:?}");
}

#[test]
fn reload_shows_the_new_certificate_and_leaves_connections_alone() {
    let authority = Authority::new();
    let (old, new) = (authority.identity(&[NAME]), authority.identity(&[NAME, "node1.example"]));
    let server = listener(&old);
    let client = || ClientSide::new(&[authority.pem()], None, false).unwrap();
    let mut before = pair(&client(), &server, &[]);
    before.shake(usize::MAX).unwrap();
    server.reload(&new, ServerOptions::default()).unwrap();
    let mut after = pair(&client(), &server, &[]);
    after.shake(usize::MAX).unwrap();
    assert_eq!(before.client.peer_certificates(), Some(&old.chain[..]));
    assert_eq!(after.client.peer_certificates(), Some(&new.chain[..]));
    let mut wire = Vec::new();
    before.client.seal(&[IoSlice::new(b"still here")], &mut wire).unwrap();
    assert_eq!(&open_all(&mut before.server, &wire).unwrap().1[..], b"still here");

    let mismatched = Identity { chain: old.chain.clone(), key: new.key.clone_key() };
    assert!(matches!(server.reload(&mismatched, ServerOptions::default()), Err(CredentialError::Unusable(_))));
}

#[rstest]
#[case::ours(&[ALPN_RELAY], Some(ALPN_RELAY))]
#[case::bulk(&[b"h2".as_slice(), ALPN_BULK], Some(ALPN_BULK))]
#[case::none(&[], None)]
#[case::foreign(&[b"h2".as_slice(), b"http/1.1"], None)]
fn alpn_names_the_relay_and_never_aborts(#[case] offered: &[&[u8]], #[case] agreed: Option<&[u8]>) {
    let authority = Authority::new();
    let client = ClientSide::new(&[authority.pem()], None, false).unwrap();
    let mut pair = pair(&client, &listener(&authority.identity(&[NAME])), offered);
    pair.shake(usize::MAX).unwrap();
    assert_eq!((pair.client.alpn(), pair.server.alpn()), (agreed, agreed));
}

/// CORE-83, RLY-6
#[rstest]
#[case::tls12_wrong_name(&TLS12)]
#[case::tls13_wrong_name(&TLS13)]
fn rly6_server_must_be_named_current_and_vouched_for(#[case] version: &'static SupportedProtocolVersion) {
    let authority = Authority::new();
    let client = ClientSide::of_version(&[authority.pem()], None, version);
    for bad in [authority.identity(&["other.example"]), authority.expired(&[NAME]), self_signed(&[NAME])] {
        let mut pair = pair(&client, &listener(&bad), &[]);
        assert!(matches!(pair.shake(usize::MAX), Err(At::Client(TlsError::Certificate(_)))));
        let mut wire = Vec::new();
        pair.client.seal_pending(&mut wire);
        assert!(matches!(open_all(&mut pair.server, &wire), Err(TlsError::Alert(_))), "the server is told");
    }
}

/// CORE-94, RLY-6
#[test]
fn a_dialler_says_whom_it_wants() {
    let authority = Authority::new();
    let client = ClientSide::new(&[authority.pem()], None, false).unwrap();
    let mut wire = Vec::new();
    Tls::connect(&client, name(NAME), &[]).unwrap().seal_pending(&mut wire);
    let mut acceptor = rustls::server::Acceptor::default();
    acceptor.read_tls(&mut &wire[..]).unwrap();
    let hello = acceptor.accept().ok().flatten().expect("a whole hello");
    assert_eq!(hello.client_hello().server_name(), Some(NAME));
}

/// RLY-6
#[test]
fn rly6_address_as_host_is_matched_against_the_certificate() {
    let (ca, identity) = development::in_memory(NAME).unwrap();
    let client = ClientSide::new(&[ca], None, false).unwrap();
    let server = listener(&identity);
    for host in [NAME, "localhost", "127.0.0.1", "::1"] {
        let client = Tls::connect(&client, name(host), &[]).unwrap();
        Pair { client, server: Tls::accept(&server) }.shake(usize::MAX).unwrap();
    }
    let client = Tls::connect(&client, name("192.0.2.1"), &[]).unwrap();
    let verdict = Pair { client, server: Tls::accept(&server) }.shake(usize::MAX);
    assert!(matches!(verdict, Err(At::Client(TlsError::Certificate(_)))));
}

#[rstest]
#[case(&TLS12)]
#[case(&TLS13)]
fn sdp_57_a_server_may_be_known_by_its_fingerprint_alone(#[case] version: &'static SupportedProtocolVersion) {
    let identity = self_signed(&["phone.invalid"]);
    let client = ClientSide::of_version(&[Authority::new().pem()], None, version);
    let expected = crate::sdp::Fingerprint::of(&identity.chain[0]);
    let pinned = |expected| Tls::connect_pinned(&client, name("192.0.2.1"), expected).unwrap();
    Pair { client: pinned(expected), server: Tls::accept(&listener(&identity)) }.shake(usize::MAX).unwrap();
    // SDP-59: any other certificate is told to be a bad one.
    let other = crate::sdp::Fingerprint::of(b"another certificate");
    let mut pair = Pair { client: pinned(other), server: Tls::accept(&listener(&identity)) };
    assert!(matches!(pair.shake(usize::MAX), Err(At::Client(TlsError::Certificate(_)))));
    let mut wire = Vec::new();
    pair.client.seal_pending(&mut wire);
    assert_eq!(open_all(&mut pair.server, &wire).unwrap_err(), TlsError::Alert(AlertDescription::BadCertificate));
}

/// ADV-R28
#[rstest]
#[case(&TLS12)]
#[case(&TLS13)]
fn adv_r28_long_client_chain_closes(#[case] version: &'static SupportedProtocolVersion) {
    let authority = Authority::new();
    for (count, error) in [(24, TlsError::ChainTooLong), (64, TlsError::HandshakeTooLong)] {
        let mut caller = self_signed(&["phone.invalid"]);
        caller.chain.resize(count, CertificateDer::from(vec![0x30; 1000]));
        let client = ClientSide::of_version(&[authority.pem()], Some(&caller), version);
        let mut pair = pair(&client, &listener(&authority.identity(&[NAME])), &[]);
        assert_eq!(pair.shake(1000), Err(At::Server(error)));
    }
}

/// CORE-82
#[test]
fn what_is_not_tls_gets_an_alert() {
    let mut server = Tls::accept(&listener(&self_signed(&[NAME])));
    let error = open_all(&mut server, b"MSRP a786hjs2 SEND\r\nTo-Path: msrps://x\r\n").unwrap_err();
    assert!(matches!(error, TlsError::Protocol(_)), "{error:?}");
    assert!(server.wants_write());
    let mut wire = Vec::new();
    server.seal_pending(&mut wire);
    assert_eq!(wire[0], 21, "an alert record");
    assert_eq!(open_all(&mut server, b"more").unwrap_err(), error);
}

#[test]
fn damaged_record_is_fatal_and_what_came_before_it_is_kept() {
    let mut pair = joined(&TLS13);
    let mut wire = Vec::new();
    pair.client.seal(&[IoSlice::new(b"good")], &mut wire).unwrap();
    pair.client.seal(&[IoSlice::new(b"bad")], &mut wire).unwrap();
    *wire.last_mut().unwrap() ^= 1;
    let mut plain = BytesMut::new();
    assert_eq!(pair.server.open(&wire, &mut plain), Err(TlsError::BadRecordMac));
    assert_eq!(&plain[..], b"good");
    wire.clear();
    pair.server.seal_pending(&mut wire);
    assert_eq!(open_all(&mut pair.client, &wire).unwrap_err(), TlsError::Alert(AlertDescription::BadRecordMac));
}

#[test]
fn a_connection_can_move_to_another_shard() {
    fn moves<T: Send>() {}
    fn is_shared<T: Send + Sync>() {}
    moves::<Tls>();
    is_shared::<(ServerSide, ClientSide, PeerTrust)>();
}
