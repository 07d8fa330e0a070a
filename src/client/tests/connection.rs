use base64::{Engine, engine::general_purpose::STANDARD};

use super::*;
use crate::net::tls::development;

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// Authority, chain and key of a fresh certificate for localhost.
fn credentials() -> (String, String, String) {
    let (authority, identity) = development::in_memory("localhost").unwrap();
    (authority, pem("CERTIFICATE", &identity.chain[0]), pem("PRIVATE KEY", identity.key.secret_der()))
}

fn loopback() -> std::net::SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// CORE-55
#[tokio::test]
async fn message_through_tls_arrives_and_is_reported() {
    let (authority, chain, key) = credentials();
    let listener = Listener::bind_tls(loopback(), "localhost", &chain, &key, Some(&authority)).await.unwrap();
    let (near, far) = tokio::join!(
        Endpoint::connect_tls(listener.local_addr(), "localhost", &authority, Some((&chain, &key))),
        listener.accept(EndpointOptions { collect: 1000, ..EndpointOptions::default() })
    );
    let (near, far) = (near.unwrap(), far.unwrap());
    assert!(near.uri().starts_with("msrps://127.0.0.1:") && listener.uri().starts_with("msrps://localhost:"));
    let body: Vec<u8> = (0..1_000_000u32).map(|position| (position * 7 % 251) as u8).collect();
    let options = SendOptions { success_report: true, chunk: 10_000, ..SendOptions::default() };
    let sending = near.send_message(listener.uri(), Some("x/y"), body.clone(), options).await.unwrap();
    let mut received = vec![0; body.len()];
    let message = loop {
        match far.event().await.unwrap() {
            Event::Octets { offset, octets, .. } => {
                received[offset as usize..][..octets.len()].copy_from_slice(&octets)
            }
            Event::Message(message) => break message,
            other => panic!("{other:?}"),
        }
    };
    assert!(received == body);
    assert_eq!((message.length, message.longest_chunk), (1_000_000, 10_000));
    let progress = sending.outcome().await.unwrap();
    assert_eq!((progress.reports, progress.answered), (1, 100));
    far.close().await;
    assert_eq!(near.closed().await, ClientError::Closed);
    assert!(near.event().await.is_none());
}

/// CORE-83
#[tokio::test]
async fn core_83_certificate_of_another_authority_or_name_is_refused() {
    let (authority, chain, key) = credentials();
    let (stranger, _, _) = credentials();
    let listener = Listener::bind_tls(loopback(), "localhost", &chain, &key, None).await.unwrap();
    for (name, roots) in [("localhost", &stranger), ("other.example", &authority)] {
        let (near, far) = tokio::join!(
            Endpoint::connect_tls(listener.local_addr(), name, roots, None),
            listener.accept(EndpointOptions::default())
        );
        assert!(matches!(near.err().unwrap(), ClientError::Tls(_)));
        assert!(matches!(far.err().unwrap(), ClientError::Tls(_)));
    }
    let bad = Endpoint::connect_tls(listener.local_addr(), "not a name", &authority, None).await;
    assert_eq!(bad.err().unwrap(), ClientError::ServerName);
    let bad = Endpoint::connect_tls(listener.local_addr(), "localhost", "no pem", None).await;
    assert!(matches!(bad.err().unwrap(), ClientError::Credentials(_)));
}

#[tokio::test]
async fn lost_connection_fails_what_is_open() {
    let (endpoint, peer) = pair(EndpointOptions::default()).await;
    let mut sending = endpoint.send_message(PEER, Some("x/y"), "abc", SendOptions::default()).await.unwrap();
    drop(peer);
    assert!(matches!(sending.accepted().await, Err(Failure::Connection(_))));
    let why = endpoint.closed().await;
    assert!(endpoint.send_message(PEER, Some("x/y"), "abc", SendOptions::default()).await.is_err());
    assert_eq!(endpoint.request("X", PEER, &[], None).await.unwrap_err(), why);
}

#[tokio::test]
async fn framing_error_ends_the_connection() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    peer.write("GET / HTTP/1.1\r\n\r\n").await;
    assert!(matches!(endpoint.closed().await, ClientError::Framing(_)));
    assert!(peer.frame().await.is_none());
}

#[tokio::test]
async fn last_words_of_a_peer_that_closes_are_heard() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let mut sending = endpoint.send_message(PEER, Some("x/y"), "abc", SendOptions::default()).await.unwrap();
    let got = peer.frame().await.unwrap();
    peer.answer(&got, 481, "").await;
    drop(peer);
    assert_eq!(sending.accepted().await, Err(Failure::Response(Status::NO_SESSION)));
    endpoint.closed().await;
}

#[tokio::test]
async fn close_does_not_wait_for_a_peer_or_a_caller_that_stalls() {
    let options = EndpointOptions { event_queue: 1, ..EndpointOptions::default() };
    let (endpoint, mut peer) = pair(options).await;
    for _ in 0..5 {
        peer.send(endpoint.uri(), "Message-ID: m1\r\nByte-Range: 1-2/2\r\nFailure-Report: no\r\n", "hi", '$').await;
    }
    endpoint.close().await;
    assert!(peer.frame().await.is_none());
}

#[tokio::test]
async fn raw_octets_and_addresses_are_passed_on() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    assert_eq!(endpoint.local_addr(), peer.stream.peer_addr().unwrap());
    assert_eq!(endpoint.peer_addr(), peer.stream.local_addr().unwrap());
    endpoint
        .write_raw(format!("MSRP r4w1 X\r\nTo-Path: {PEER}\r\nFrom-Path: {PEER}\r\n-------r4w1$\r\n"))
        .await
        .unwrap();
    assert_eq!(peer.frame().await.unwrap().start_line(), "MSRP r4w1 X");
}
