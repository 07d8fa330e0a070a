//! Floods of connections, handshakes that never end, and callers that say nothing.

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{Authority, PATIENCE, Rules, client_from, comes_true, is_served, local, owner_from, plain, rest, talks};

#[tokio::test]
async fn an_address_has_so_many_connections_and_another_is_served() {
    let authority = Authority::new();
    let relay = Rules { limits: "connections_per_address = 5", ..Rules::default() }.start(&authority);
    let mut held: Vec<TcpStream> = (0..5).map(|_| plain(local(2), relay.tcp)).collect();
    relay.metric_becomes("chappe_links", 5.0).await;
    for n in 1..=3 {
        assert!(rest(&mut plain(local(2), relay.tcp)).is_empty(), "closed without a word");
        relay.metric_becomes("chappe_connections_refused_total{reason=\"address_limit\"}", f64::from(n)).await;
    }
    assert!(is_served(&mut plain(local(3), relay.tcp)));
    held.pop();
    comes_true("a place that is given back is had again", || is_served(&mut plain(local(2), relay.tcp))).await;
}

#[tokio::test]
async fn an_address_makes_so_many_connections_in_a_minute() {
    let authority = Authority::new();
    let relay = Rules { limits: "new_connections_per_address_per_minute = 10", ..Rules::default() }.start(&authority);
    for _ in 0..10 {
        assert!(is_served(&mut plain(local(2), relay.tcp)));
    }
    assert!(!is_served(&mut plain(local(2), relay.tcp)));
    assert!(is_served(&mut plain(local(3), relay.tcp)));
    assert_eq!(relay.metric("chappe_connections_refused_total{reason=\"address_limit\"}"), 1.0);
}

/// RFC 4976 section 6.5: idle ones make room, and a client with a session is not idle.
#[tokio::test]
async fn a_flood_from_many_addresses_costs_no_session() {
    let authority = Authority::new();
    let relay = Rules { limits: "connections = 20", ..Rules::default() }.start(&authority);
    let (alice, a) = owner_from(local(1), &relay, &authority, "alice").await;
    let mut flood = Vec::new();
    for n in 2..152 {
        flood.push(plain(local(n), relay.tcp));
    }
    talks(&alice, &a, "still here").await;
    comes_true("somebody new is served", || is_served(&mut plain(local(200), relay.tcp))).await;
    let links = relay.metric("chappe_links");
    assert!(links <= 20.0, "{links} links");
    talks(&alice, &a, "and still").await;
}

/// A handshake has one deadline, however diligently octets trickle in.
#[tokio::test]
async fn slow_handshakes_end_at_their_deadline_and_hinder_nobody() {
    let authority = Authority::new();
    let relay = Rules { limits: "handshake_timeout = \"1s\"", ..Rules::default() }.start(&authority);
    let mut silent: Vec<TcpStream> = (0..50).map(|_| plain(local(2), relay.tls)).collect();
    let trickling = plain(local(3), relay.tls);
    let began = Instant::now();
    let trickle = std::thread::spawn(move || trickle(trickling, hello(), Duration::from_millis(20)));
    let (alice, a) = owner_from(local(1), &relay, &authority, "alice").await;
    assert!(began.elapsed() < Duration::from_secs(1), "she came in while they sat there");
    talks(&alice, &a, "hello").await;
    let lasted = trickle.join().expect("the trickle ends");
    assert!((900..3000).contains(&lasted.as_millis()), "{lasted:?}");
    silent.iter_mut().for_each(|stream| assert!(rest(stream).is_empty()));
    relay.metric_becomes("chappe_tls_handshakes_total{outcome=\"failed\"}", 51.0).await;
}

/// Writes octet by octet until the relay closes. How long that took.
fn trickle(mut stream: TcpStream, octets: Vec<u8>, pause: Duration) -> Duration {
    let began = Instant::now();
    stream.set_read_timeout(Some(pause)).expect("a timeout");
    for octet in octets.iter().cycle() {
        let mut answer = [0];
        // The pause is spent waiting for an answer, so that the close is seen at once.
        let closed = match std::io::Read::read(&mut stream, &mut answer) {
            Ok(n) => n == 0,
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        };
        if closed || stream.write_all(&[*octet]).is_err() {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "the relay lets it trickle");
    }
    began.elapsed()
}

/// The first record of a real handshake.
fn hello() -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls_pki_types::ServerName::try_from("localhost").expect("a name");
    let mut tls = rustls::ClientConnection::new(std::sync::Arc::new(config), name).expect("TLS");
    let mut octets = Vec::new();
    tls.write_tls(&mut octets).expect("in memory");
    octets
}

#[tokio::test]
async fn who_says_nothing_or_never_ends_a_head_is_closed() {
    let authority = Authority::new();
    let limits = "probation = \"1s\"\nheader_timeout = \"1s\"";
    let relay = Rules { limits, ..Rules::default() }.start(&authority);
    // Over TLS, too: a finished handshake proves nothing.
    let quiet = client_from(local(2), &relay, &authority).await.expect("a connection");
    let mut silent = plain(local(2), relay.tcp);
    let trickling = plain(local(3), relay.tcp);
    let head = b"MSRP abcd1234 SEND\r\nTo-Path: ".to_vec();
    let lasted = std::thread::spawn(move || trickle(trickling, head, Duration::from_millis(50)));
    assert!(rest(&mut silent).is_empty());
    tokio::time::timeout(PATIENCE, quiet.closed()).await.expect("closed, too");
    let lasted = lasted.join().expect("the trickle ends");
    assert!((900..3000).contains(&lasted.as_millis()), "{lasted:?}");
    relay.metric_becomes("chappe_links", 0.0).await;
    let closed = relay.metric("chappe_links_closed_total{reason=\"probation\"}")
        + relay.metric("chappe_links_closed_total{reason=\"slow_head\"}");
    assert_eq!(closed, 3.0);
}
