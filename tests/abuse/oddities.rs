//! Octets at the TLS port that are no TLS, or TLS as nobody speaks it; and TLS at the plain port.

use std::io::Write;

use rstest::rstest;

use super::{Authority, Rules, local, owner_from, plain, rest, talks};

fn record(kind: u8, length: u16, content: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3], &length.to_be_bytes()[..], content].concat()
}

/// The beginning of a ClientHello that claims to have so many octets, in records of so many.
fn endless(length: u32, piece: usize, pieces: usize) -> Vec<u8> {
    let first = [&[1], &length.to_be_bytes()[1..], &[3, 3]].concat();
    let mut octets = record(22, first.len() as u16, &first);
    for _ in 0..pieces {
        octets.extend(record(22, piece as u16, &vec![0; piece]));
    }
    octets
}

#[rstest]
#[case::plain_msrp(b"MSRP abcd1234 SEND\r\nTo-Path: msrp://localhost:1/x;tcp\r\n\r\n".to_vec())]
#[case::http(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec())]
#[case::ssl_2([&[0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10], &[0; 35][..]].concat())]
#[case::record_too_long(record(22, 0xffff, &[0; 64]))]
#[case::application_data_first(record(23, 32, &[0; 32]))]
#[case::alert_first(record(21, 2, &[2, 40]))]
#[case::change_cipher_spec_first(record(20, 1, &[1]).repeat(100))]
#[case::heartbeat(record(24, 3, &[1, 0x40, 0]))]
#[case::unknown_kind(record(99, 3, b"abc"))]
#[case::empty_handshake_records(record(22, 0, &[]).repeat(5000))]
#[case::server_hello(record(22, 6, &[2, 0, 0, 2, 3, 3]))]
#[case::hello_of_16_mib(endless(0xff_ffff, 16_000, 8))]
#[case::hello_of_48_kib(endless(48 << 10, 16_000, 4))]
#[case::zeros(vec![0; 4096])]
#[tokio::test]
async fn what_is_no_handshake_is_closed_and_hinders_nobody(#[case] octets: Vec<u8>) {
    let authority = Authority::new();
    // What is merely waited for must not be what passes the test.
    let mut relay = Rules { limits: "handshake_timeout = \"1h\"", ..Rules::default() }.start(&authority);
    let (alice, a) = owner_from(local(1), &relay, &authority, "alice").await;
    for _ in 0..3 {
        let mut stream = plain(local(2), relay.tls);
        // The relay may close before it has read everything.
        let _ = stream.write_all(&octets);
        let heard = rest(&mut stream);
        let alerts = heard.chunks(7).all(|record| record.len() == 7 && record[0] == 21);
        assert!(alerts, "nothing but alerts is said: {heard:02x?}");
    }
    relay.metric_becomes("chappe_tls_handshakes_total{outcome=\"failed\"}", 3.0).await;
    talks(&alice, &a, "still here").await;
    assert_eq!(relay.metric("chappe_links"), 1.0);
    assert!(!relay.read_log().contains("panicked"));
}

#[tokio::test]
async fn tls_at_the_plain_port_is_closed_without_a_word() {
    let authority = Authority::new();
    let relay = Rules::default().start(&authority);
    let mut stream = plain(local(2), relay.tcp);
    let _ = stream.write_all(&endless(500, 400, 1));
    assert!(rest(&mut stream).is_empty());
    relay.metric_becomes("chappe_links_closed_total{reason=\"framing\"}", 1.0).await;
}
