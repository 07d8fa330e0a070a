//! Our record layer on one end, rustls' own connection on the other: both sides, both versions, every cipher.

use super::fixture::{Authority, self_signed};
use super::theirs::{Ends, NAME, TLS12, TLS13, our_client, our_server, suites, their_client, their_server};
use super::*;
use proptest::prelude::*;
use rstest::rstest;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::{AlertDescription, ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite as Suite};
use std::io::{IoSlice, Write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// CORE-94
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
fn a_peer_that_asks_for_new_keys_and_reads_nothing_gets_one_answer(#[values(true, false)] we_serve: bool) {
    let mut ends = Ends::joined(we_serve, TLS13);
    for _ in 0..200 {
        ends.theirs.refresh_traffic_keys().unwrap();
        ends.theirs.writer().write_all(b"x").unwrap();
        let wire = ends.take();
        ends.ours.open(&wire, &mut ends.plain).unwrap();
    }
    let mut answers = Vec::new();
    ends.ours.seal_pending(&mut answers);
    // A KeyUpdate of five octets, its type, header and tag.
    assert_eq!(answers.len(), 5 + 5 + 1 + 16);
    ends.theirs.read_tls(&mut &answers[..]).unwrap();
    ends.theirs.process_new_packets().unwrap();
    ends.plain.clear();
    ends.talk();
    // Once we have spoken, the next request is answered.
    ends.theirs.refresh_traffic_keys().unwrap();
    let wire = ends.take();
    ends.ours.open(&wire, &mut ends.plain).unwrap();
    assert!(ends.ours.wants_write());
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

/// RLY-3
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

#[rstest]
fn a_handshake_may_need_a_second_client_hello(#[values(true, false)] we_serve: bool, #[values(9, 9999)] piece: usize) {
    use rustls::crypto::aws_lc_rs::kx_group;
    let authority = Authority::new();
    let other = |groups| Arc::new(CryptoProvider { kx_groups: groups, ..default_provider() });
    let mut ends = if we_serve {
        let mut roots = RootCertStore::empty();
        roots.add(authority.der()).unwrap();
        // Its first offer is one that we do not take.
        let builder = ClientConfig::builder_with_provider(other(vec![kx_group::MLKEM768, kx_group::X25519]));
        let config = builder.with_protocol_versions(&[&rustls::version::TLS13]).unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        Ends::we_serve(&our_server(&authority), &Arc::new(config))
    } else {
        let identity = authority.identity(&[NAME]);
        let builder = ServerConfig::builder_with_provider(other(vec![kx_group::SECP384R1]));
        let config = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let config = config.with_single_cert(identity.chain.clone(), identity.key.clone_key()).unwrap();
        Ends::we_dial(&our_client(&authority), &Arc::new(config))
    };
    ends.carry(piece).unwrap();
    assert_eq!(ends.theirs.handshake_kind(), Some(rustls::HandshakeKind::FullWithHelloRetryRequest));
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
    let resting = ends.ours.resting();
    assert!(resting <= if suite == TLS13 { 1000 } else { 400 }, "{resting} octets");
    ends.talk();
}
