//! Peers that hold the keys and break the rules.

use super::fixture::{Authority, Pair, open_all};
use super::records::{FRAGMENT, content::*};
use super::*;
use bytes::BytesMut;
use proptest::prelude::*;
use rstest::rstest;
use rustls::AlertDescription as Alert;
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::ServerName;
use std::io::IoSlice;

const NAME: &str = "relay.example";

fn joined(tls13: bool) -> Pair {
    let authority = Authority::new();
    let client = ClientSide::of_version(&[authority.pem()], None, if tls13 { &TLS13 } else { &TLS12 });
    let server = ServerSide::new(&authority.identity(&[NAME]), ServerOptions::default()).unwrap();
    let client = Tls::connect(&client, ServerName::try_from(NAME).unwrap(), &[]).unwrap();
    let mut pair = Pair { client, server: Tls::accept(&server) };
    pair.shake(usize::MAX).unwrap();
    pair
}

/// What the server makes of records of these types and contents.
fn judge(pair: &mut Pair, records: &[(u8, &[u8])]) -> Result<BytesMut, TlsError> {
    let mut wire = Vec::new();
    records.iter().for_each(|(kind, octets)| pair.client.traffic().seal_as(*kind, octets, &mut wire));
    open_all(&mut pair.server, &wire).map(|(_, plain)| plain)
}

/// What the client hears from the server, if it is an error.
fn heard(pair: &mut Pair) -> Option<TlsError> {
    let mut wire = Vec::new();
    pair.server.seal_pending(&mut wire);
    open_all(&mut pair.client, &wire).err()
}

const fn record(kind: u8, octets: &[u8]) -> (u8, &[u8]) {
    (kind, octets)
}

static HUGE: [u8; FRAGMENT + 2] = [b'x'; FRAGMENT + 2];
static OVER: &[u8] = HUGE.split_at(FRAGMENT + 1).0;
const KEY_UPDATE: &[u8] = &[24, 0, 0, 1, 0];

#[rstest]
#[case::empty_alert(true, &[record(ALERT, b"")], TlsError::EmptyRecord, Alert::UnexpectedMessage)]
#[case::empty_handshake(true, &[record(HANDSHAKE, b"")], TlsError::EmptyRecord, Alert::UnexpectedMessage)]
#[case::empty_alert_12(false, &[record(ALERT, b"")], TlsError::EmptyRecord, Alert::UnexpectedMessage)]
#[case::empty_piece(true, &[record(HANDSHAKE, b"\x18"), record(HANDSHAKE, b"")], TlsError::EmptyRecord, Alert::UnexpectedMessage)]
#[case::no_type(true, &[record(0, b"")], TlsError::NoContentType, Alert::UnexpectedMessage)]
#[case::only_padding(true, &[record(0, &[0; 999])], TlsError::NoContentType, Alert::UnexpectedMessage)]
#[case::sealed_ccs(true, &[record(20, &[1])], TlsError::UnexpectedRecord(20), Alert::UnexpectedMessage)]
#[case::ccs_12(false, &[record(20, &[1])], TlsError::UnexpectedRecord(20), Alert::UnexpectedMessage)]
#[case::unknown_type(true, &[record(99, b"x")], TlsError::UnexpectedRecord(99), Alert::UnexpectedMessage)]
#[case::unknown_type_12(false, &[record(99, b"x")], TlsError::UnexpectedRecord(99), Alert::UnexpectedMessage)]
#[case::over_long(true, &[record(APPLICATION_DATA, &HUGE)], TlsError::RecordTooLong, Alert::RecordOverflow)]
#[case::over_long_12(false, &[record(APPLICATION_DATA, OVER)], TlsError::RecordTooLong, Alert::RecordOverflow)]
#[case::half_an_alert(true, &[record(ALERT, &[2])], TlsError::BadAlert, Alert::DecodeError)]
#[case::two_alerts(true, &[record(ALERT, &[1, 90, 1, 90])], TlsError::BadAlert, Alert::DecodeError)]
#[case::alert_level(true, &[record(ALERT, &[3, 0])], TlsError::AlertLevel(3), Alert::IllegalParameter)]
#[case::request(true, &[record(HANDSHAKE, &[24, 0, 0, 1, 2])], TlsError::BadKeyUpdate(2), Alert::IllegalParameter)]
#[case::no_request(true, &[record(HANDSHAKE, &[24, 0, 0, 0])], TlsError::MalformedKeyUpdate, Alert::DecodeError)]
#[case::requests(true, &[record(HANDSHAKE, &[24, 0, 0, 2, 0, 0])], TlsError::MalformedKeyUpdate, Alert::DecodeError)]
#[case::span(true, &[record(HANDSHAKE, &[24, 0, 0, 1, 0, 24])], TlsError::KeyUpdateNotLast, Alert::UnexpectedMessage)]
#[case::data_within(true, &[record(HANDSHAKE, &[24]), record(APPLICATION_DATA, b"x")], TlsError::Interleaved, Alert::UnexpectedMessage)]
#[case::alert_within(true, &[record(HANDSHAKE, &[24, 0]), record(ALERT, &[1, 0])], TlsError::Interleaved, Alert::UnexpectedMessage)]
#[case::long(true, &[record(HANDSHAKE, &[24, 0, 0x80, 1])], TlsError::MessageTooLong, Alert::DecodeError)]
#[case::ticket(true, &[record(HANDSHAKE, &[4, 0, 0, 1])], TlsError::UnexpectedMessage(4), Alert::UnexpectedMessage)]
#[case::finished(true, &[record(HANDSHAKE, &[20, 0, 0, 32])], TlsError::UnexpectedMessage(20), Alert::UnexpectedMessage)]
#[case::hello(true, &[record(HANDSHAKE, &[1, 0, 0, 99])], TlsError::UnexpectedMessage(1), Alert::UnexpectedMessage)]
#[case::key_update_12(false, &[record(HANDSHAKE, KEY_UPDATE)], TlsError::UnexpectedMessage(24), Alert::UnexpectedMessage)]
fn broken_rule_ends_the_connection_and_is_named(
    #[case] tls13: bool,
    #[case] records: &[(u8, &[u8])],
    #[case] error: TlsError,
    #[case] alert: Alert,
) {
    let mut pair = joined(tls13);
    let mut all = vec![(APPLICATION_DATA, &b"before"[..])];
    all.extend_from_slice(records);
    let mut wire = Vec::new();
    all.iter().for_each(|(kind, octets)| pair.client.traffic().seal_as(*kind, octets, &mut wire));
    let mut plain = BytesMut::new();
    assert_eq!(pair.server.open(&wire, &mut plain), Err(error.clone()));
    assert_eq!(&plain[..], b"before");
    assert_eq!(judge(&mut pair, &[(APPLICATION_DATA, b"after")]), Err(error));
    assert_eq!(heard(&mut pair), Some(TlsError::Alert(alert)));
    assert_eq!(pair.server.seal(&[IoSlice::new(b"x")], &mut wire), Err(TlsError::Closed));
}

#[rstest]
#[case::type_in_the_clear(true, &[22, 3, 3, 0, 1], TlsError::UnexpectedRecord(22))]
#[case::ccs(true, &[20, 3, 3, 0, 1], TlsError::UnexpectedRecord(20))]
#[case::ccs_12(false, &[20, 3, 3, 0, 1], TlsError::UnexpectedRecord(20))]
#[case::version(true, &[23, 2, 0, 0, 1], TlsError::RecordVersion)]
#[case::record_overflow(true, &[23, 3, 3, 0x41, 1], TlsError::RecordTooLong)]
#[case::record_overflow_12(false, &[23, 3, 3, 0x48, 1], TlsError::RecordTooLong)]
#[case::nothing(true, &[23, 3, 3, 0, 0], TlsError::BadRecordMac)]
#[case::nothing_12(false, &[23, 3, 3, 0, 0], TlsError::BadRecordMac)]
#[case::no_room_for_a_tag(true, &[23, 3, 3, 0, 2, 1, 2], TlsError::BadRecordMac)]
#[case::no_room_for_a_nonce(false, &[23, 3, 3, 0, 2, 1, 2], TlsError::BadRecordMac)]
fn what_was_not_sealed_is_refused_by_its_header(#[case] tls13: bool, #[case] wire: &[u8], #[case] error: TlsError) {
    for piece in [1, usize::MAX] {
        let mut pair = joined(tls13);
        let (last, mut plain) = (wire.chunks(piece).len() - 1, BytesMut::new());
        for (place, part) in wire.chunks(piece).enumerate() {
            let verdict = pair.server.open(part, &mut plain).map(|_| ());
            assert_eq!(verdict, if place == last { Err(error.clone()) } else { Ok(()) });
        }
        assert_eq!(heard(&mut pair), error.alert().map(TlsError::Alert));
    }
}

#[rstest]
fn empty_records_are_bounded(#[values(true, false)] tls13: bool) {
    let mut pair = joined(tls13);
    for _ in 0..2 {
        assert_eq!(&judge(&mut pair, &[record(APPLICATION_DATA, b""); 32]).unwrap()[..], b"");
        assert_eq!(&judge(&mut pair, &[(APPLICATION_DATA, b"x")]).unwrap()[..], b"x");
    }
    assert_eq!(judge(&mut pair, &[record(APPLICATION_DATA, b""); 33]), Err(TlsError::TooManyEmptyRecords));
    assert_eq!(heard(&mut pair), Some(TlsError::Alert(Alert::UnexpectedMessage)));
}

#[test]
fn padding_is_no_content() {
    let mut pair = joined(true);
    // The type of the inner text is its last octet that is not zero; what was sealed as type 0 is padding.
    let padded = [b"MSRP", &[APPLICATION_DATA][..], &[0; 300]].concat();
    let most = [&HUGE[..100], &[APPLICATION_DATA], &[0; FRAGMENT - 101]].concat();
    let plain = judge(&mut pair, &[(0, &padded), (0, &most), (APPLICATION_DATA, b"\0\0")]).unwrap();
    assert_eq!(plain.len(), 4 + 100 + 2);
    assert_eq!(&plain[..4], b"MSRP");
    let padding_alone = [&[APPLICATION_DATA][..], &[0; 9]].concat();
    assert_eq!(judge(&mut pair, &[record(0, &padding_alone); 33]), Err(TlsError::TooManyEmptyRecords));
}

#[test]
fn alerts_of_tls13_end_the_connection_whatever_their_level() {
    const USER_CANCELED: (u8, &[u8]) = (ALERT, &[1, 90]);
    let mut pair = joined(true);
    judge(&mut pair, &[USER_CANCELED; 4]).unwrap();
    assert_eq!(judge(&mut pair, &[USER_CANCELED]), Err(TlsError::TooManyWarnings));
    for level in [1, 2] {
        let mut pair = joined(true);
        let error = TlsError::Alert(Alert::InternalError);
        assert_eq!(judge(&mut pair, &[(ALERT, &[level, 80])]), Err(error));
        assert_eq!(heard(&mut pair), None, "an alert is not answered");
        pair.server.close_notify();
        assert!(!pair.server.wants_write());
    }
}

#[test]
fn warnings_of_tls12_are_ignored_a_few_times() {
    const NO_CERTIFICATE: (u8, &[u8]) = (ALERT, &[1, 41]);
    let mut pair = joined(false);
    let plain = judge(&mut pair, &[NO_CERTIFICATE, (APPLICATION_DATA, b"x"), NO_CERTIFICATE]).unwrap();
    assert_eq!(&plain[..], b"x");
    assert_eq!(judge(&mut pair, &[NO_CERTIFICATE; 3]), Err(TlsError::TooManyWarnings));
    let mut pair = joined(false);
    assert_eq!(judge(&mut pair, &[(ALERT, &[2, 41])]), Err(TlsError::Alert(Alert::NoCertificate)));
}

/// ADV-C28
#[test]
fn renegotiation_is_refused_and_then_not_tolerated() {
    let mut pair = joined(false);
    let hello = [1, 0, 0, 3, 9, 9, 9];
    judge(&mut pair, &[(HANDSHAKE, &hello[..2]), (HANDSHAKE, &hello[2..])]).unwrap();
    assert!(pair.server.wants_write());
    assert_eq!(heard(&mut pair), None, "a warning");
    assert_eq!(&judge(&mut pair, &[(APPLICATION_DATA, b"x")]).unwrap()[..], b"x");
    assert_eq!(judge(&mut pair, &[(HANDSHAKE, &hello)]), Err(TlsError::Renegotiation));
    assert_eq!(heard(&mut pair), Some(TlsError::Alert(Alert::HandshakeFailure)));

    // A server asks for it with a HelloRequest.
    let (mut pair, mut wire) = (joined(false), Vec::new());
    pair.server.traffic().seal_as(HANDSHAKE, &[0, 0, 0, 0], &mut wire);
    open_all(&mut pair.client, &wire).unwrap();
    assert!(pair.client.wants_write());
}

#[test]
fn a_message_in_pieces_is_put_together() {
    let (mut pair, mut wire) = (joined(true), Vec::new());
    let body = [&[0, 0, 9, 9, 1, 2, 3, 4, 1, 7, 0, 200][..], &[b't'; 200], &[0, 0]].concat();
    let ticket = [&[4, 0, 0, body.len() as u8][..], &body].concat();
    for piece in ticket.chunks(50) {
        pair.server.traffic().seal_as(HANDSHAKE, piece, &mut wire);
    }
    // Two in one record, and the beginning of a third.
    let more = [&ticket[..], &ticket, &ticket[..30]].concat();
    pair.server.traffic().seal_as(HANDSHAKE, &more, &mut wire);
    pair.server.traffic().seal_as(HANDSHAKE, &ticket[30..], &mut wire);
    pair.server.traffic().seal_as(APPLICATION_DATA, b"x", &mut wire);
    assert_eq!(&open_all(&mut pair.client, &wire).unwrap().1[..], b"x");
    assert_eq!(pair.client.traffic().held(), 0);

    wire.clear();
    pair.server.traffic().seal_as(HANDSHAKE, &[4, 0, 0, 2, 9, 9], &mut wire);
    let error = open_all(&mut pair.client, &wire).unwrap_err();
    assert!(matches!(error, TlsError::Protocol(rustls::Error::InvalidMessage(_))), "{error:?}");
    wire.clear();
    pair.client.seal_pending(&mut wire);
    assert_eq!(open_all(&mut pair.server, &wire).unwrap_err(), TlsError::Alert(Alert::DecodeError));
}

#[test]
fn nothing_is_answered_after_our_close_notify() {
    let (mut pair, mut wire) = (joined(true), Vec::new());
    pair.server.close_notify();
    pair.server.seal_pending(&mut wire);
    judge(&mut pair, &[(HANDSHAKE, &[24, 0, 0, 1, 1])]).unwrap();
    assert!(!pair.server.wants_write());
}

proptest! {
    #[test]
    fn no_record_panics(
        tls13: bool,
        records in prop::collection::vec((
            prop_oneof![Just(ALERT), Just(HANDSHAKE), Just(APPLICATION_DATA), any::<u8>()],
            prop::collection::vec(prop_oneof![0u8..3, 20u8..25, any::<u8>()], 0..9),
        ), 0..40),
        noise: Vec<u8>,
        piece in 1usize..60,
    ) {
        let (mut pair, mut wire) = (joined(tls13), Vec::new());
        for (kind, octets) in &records {
            pair.client.traffic().seal_as(*kind, octets, &mut wire);
        }
        wire.extend_from_slice(&noise);
        let mut plain = BytesMut::new();
        for part in wire.chunks(piece) {
            let _ = pair.server.open(part, &mut plain);
        }
        prop_assert!(plain.len() <= wire.len());
    }

    #[test]
    fn no_handshake_panics(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        server: bool,
        piece in 1usize..2000,
    ) {
        let authority = Authority::new();
        let client = ClientSide::new(&[authority.pem()], None, false).unwrap();
        let side = ServerSide::new(&authority.identity(&[NAME]), ServerOptions::default()).unwrap();
        let mut client = Tls::connect(&client, ServerName::try_from(NAME).unwrap(), &[]).unwrap();
        let (mut end, mut wire, mut plain) = (Tls::accept(&side), Vec::new(), BytesMut::new());
        client.seal_pending(&mut wire);
        if !server {
            end.open(&wire, &mut plain).unwrap();
            wire.clear();
            end.seal_pending(&mut wire);
            end = client;
        }
        for (at, octet) in damage {
            let at = at.index(wire.len());
            wire[at] = octet;
        }
        for part in wire.chunks(piece) {
            if end.open(part, &mut plain).is_err() {
                break;
            }
        }
        prop_assert!(plain.is_empty());
    }
}
