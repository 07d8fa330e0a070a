//! Connections of our own, and connections that are only half there.

use super::*;
use tokio::net::TcpListener;

fn target(protocol: Protocol, address: SocketAddr) -> Target {
    Target { protocol, address, name: None, from: None }
}

#[tokio::test]
async fn s18_1_1_a_connection_is_used_again_until_it_closes() {
    let mut rig = Rig::new(Settings::default());
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(Protocol::Tcp, peer.local_addr().unwrap());
    let (first, second) = tokio::join!(rig.transport.connect(&target), rig.transport.connect(&target));
    let first = first.unwrap();
    assert!(first.is(&second.unwrap()), "dialled once, though twice at the same time");
    let (mut accepted, _) = peer.accept().await.unwrap();
    first.send(request("OPTIONS", "a").into()).unwrap();
    assert!(read(&mut accepted).await.contains("Call-ID: a\r\n"));
    // What comes on it has the same way back.
    accepted.write_all(request("OPTIONS", "b").as_bytes()).await.unwrap();
    assert!(rig.arrival().await.flow.is(&first));
    first.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
    assert!(read(&mut accepted).await.starts_with("SIP/2.0 200 "));
    drop(accepted);
    assert!(rig.closed().await.is(&first));
    assert_eq!(first.send("x".into()), Err(SendError::Closed));
    assert!(!rig.transport.connect(&target).await.unwrap().is(&first));
    assert_eq!(rig.transport.counts().opened(), 2);
}

#[tokio::test]
async fn targets_that_cannot_be_reached() {
    let rig = Rig::new(Settings { connect: Duration::from_millis(100), ..Settings::default() });
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let tls = rig.transport.connect(&target(Protocol::Tls, address)).await;
    assert_eq!(tls.unwrap_err(), SendError::NoTls);
    drop(silent);
    let refused = rig.transport.connect(&target(Protocol::Tcp, address)).await.unwrap_err();
    assert_eq!(refused, SendError::Socket(std::io::ErrorKind::ConnectionRefused));
    assert_eq!(rig.transport.counts().losses(Loss::Connect), 2);
}

#[tokio::test]
async fn a_handshake_that_is_never_answered_has_a_deadline() {
    let (authority, _) = crate::net::tls::development::in_memory("localhost").unwrap();
    let client = Some(client_config(&[authority], None, false).unwrap());
    let rig = Rig::new(Settings { connect: Duration::from_millis(100), client, ..Settings::default() });
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = target(Protocol::Tls, silent.local_addr().unwrap());
    assert_eq!(within(rig.transport.connect(&target)).await.unwrap_err(), SendError::Time);
}

#[tokio::test]
async fn s18_1_1_a_long_request_does_not_go_by_datagram_unless_its_caller_insists() {
    let rig = Rig::new(Settings::default());
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let flow = rig.transport.connect(&target(Protocol::Udp, peer.local_addr().unwrap())).await.unwrap();
    let long = |start: &str| bytes::Bytes::from(start.to_owned() + &"x".repeat(LONGEST_DATAGRAM));
    assert_eq!(flow.send(long("OPTIONS ")), Err(SendError::TooLong));
    flow.send(long("SIP/2.0 ")).unwrap();
    assert!(read_datagram(&peer).await.starts_with("SIP/2.0 "), "a response has no choice");
    flow.send_long(long("OPTIONS ")).unwrap();
    assert!(read_datagram(&peer).await.starts_with("OPTIONS "));
}

#[tokio::test]
async fn a_half_closed_peer_still_gets_its_response() {
    let mut rig = Rig::new(Settings::default());
    let mut stream = rig.tcp().await;
    stream.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let flow = rig.arrival().await.flow;
    flow.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
    assert_eq!(read_to_end(&mut stream).await, "SIP/2.0 200 OK\r\n\r\n", "and then the end: nothing is owed any more");
}

#[tokio::test]
async fn a_half_closed_peer_does_not_stay() {
    let mut rig = Rig::new(Settings { half_closed: Duration::from_millis(20), ..Settings::default() });
    let mut stream = rig.tcp().await;
    stream.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    rig.closed().await;
    assert_eq!(read_to_end(&mut stream).await, "");
}

#[tokio::test]
async fn a_peer_that_reads_nothing_is_given_up() {
    let settings = Settings { write: Duration::from_millis(200), outbox: 4, ..Settings::default() };
    let mut rig = Rig::new(settings);
    let mut stream = rig.tcp().await;
    stream.write_all(request("OPTIONS", "a").as_bytes()).await.unwrap();
    let flow = rig.arrival().await.flow;
    let big = bytes::Bytes::from(vec![b'x'; 1 << 20]);
    let mut error = None;
    while error.is_none() {
        error = flow.send(big.clone()).err();
        tokio::task::yield_now().await;
    }
    assert_eq!(error, Some(SendError::Full));
    assert!(rig.closed().await.is(&flow));
    let counts = rig.transport.counts();
    assert_eq!(counts.losses(Loss::Stalled), 5, "the one in hand, and those behind it: {counts:?}");
    assert_eq!(flow.send(big), Err(SendError::Closed));
}
