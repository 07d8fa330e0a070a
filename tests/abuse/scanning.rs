//! What a user can find out about a network through the relay: whether a permitted address takes a connection, a few times a
//! minute, and nothing that is said there (RLY-91).

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use chappe::client::{Endpoint, Event, Failure, Grant, SendOptions};
use tokio::time::timeout;

use super::{Authority, PATIENCE, Relay, Rules, body, local, owner_from, talks};

/// How a message to that address ends: the code that tells it.
async fn probe(endpoint: &Endpoint, grant: &Grant, target: &str) -> u16 {
    let to = grant.to_path(&format!("msrp://{target}/x;tcp"));
    let sending = endpoint.send_message(&to, Some("text/plain"), body("probe"), SendOptions::default()).await;
    let mut sending = sending.expect("sent");
    // What is accepted at first fails by a REPORT.
    let failed = timeout(PATIENCE, sending.until(|p| p.failure.is_some())).await.expect("in time");
    match failed.err().or_else(|| sending.progress().failure) {
        Some(Failure::Response(status) | Failure::Report { status, .. }) => status.code(),
        other => panic!("{other:?}"),
    }
}

/// Ports of loopback where nobody listens, and that nobody else takes meanwhile.
fn closed(n: usize) -> Vec<(socket2::Socket, SocketAddr)> {
    let one = |_| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
        let address = socket.local_addr().expect("an address").as_socket().expect("of IPv4");
        (socket, address)
    };
    (0..n).map(one).collect()
}

async fn scanner(relay: &Relay, authority: &Authority) -> (Endpoint, Grant) {
    owner_from(local(1), relay, authority, "alice").await
}

#[tokio::test]
async fn a_user_dials_so_often_in_a_minute_and_others_go_on() {
    let authority = Authority::new();
    let rules = Rules {
        limits: "dials_per_user_per_minute = 3",
        policy: "allow_next_hops = [\"127.0.0.0/8\"]",
        ..Rules::default()
    };
    let relay = rules.start(&authority);
    let (alice, a) = scanner(&relay, &authority).await;
    let ports = closed(6);
    let mut codes = Vec::new();
    for (_, port) in &ports {
        codes.push(probe(&alice, &a, &port.to_string()).await);
    }
    assert_eq!(codes, [408, 408, 408, 403, 403, 403]);
    assert_eq!(relay.metric("chappe_links_closed_total{reason=\"dial_connect\"}"), 3.0);
    assert_eq!(relay.metric("chappe_links_closed_total{reason=\"dial_quota\"}"), 3.0);
    assert_eq!(relay.metric("chappe_dials_total{outcome=\"failed\"}"), 6.0);
    // A second session is the same user; somebody else is not.
    let (again, g) = scanner(&relay, &authority).await;
    assert_eq!(probe(&again, &g, &ports[0].1.to_string()).await, 403);
    let (bob, b) = owner_from(local(2), &relay, &authority, "bob").await;
    assert_eq!(probe(&bob, &b, &ports[0].1.to_string()).await, 408);
    talks(&alice, &a, "her session is not hurt").await;
}

/// By number or by name, the relay's own network is refused before a packet leaves; a name that does not exist is told apart from
/// one that is forbidden, which costs a dial each.
#[tokio::test]
async fn what_policy_refuses_is_not_connected_to() {
    let authority = Authority::new();
    let relay = Rules::default().start(&authority);
    let (alice, a) = scanner(&relay, &authority).await;
    let there = TcpListener::bind("127.0.0.1:0").expect("a port");
    there.set_nonblocking(true).expect("an option");
    let port = there.local_addr().expect("an address").port();
    let targets = [format!("127.0.0.1:{port}"), format!("[::ffff:127.0.0.1]:{port}"), format!("localhost:{port}")];
    for target in targets {
        assert_eq!(probe(&alice, &a, &target).await, 403, "{target}");
    }
    assert_eq!(probe(&alice, &a, &relay.tcp.to_string()).await, 403, "nor is it made to talk to itself");
    assert!(there.accept().is_err(), "nobody came");
}

/// A server that is no MSRP endpoint hears one request and is left; what it says reaches nobody.
#[tokio::test]
async fn a_banner_does_not_come_back() {
    const BANNER: &[u8] = b"220 mail.internal ESMTP version 1.2.3 ready\r\n";
    let authority = Authority::new();
    let relay = Rules { policy: "allow_next_hops = [\"127.0.0.0/8\"]", ..Rules::default() }.start(&authority);
    let (alice, a) = scanner(&relay, &authority).await;
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = server.local_addr().expect("an address");
    let serving = std::thread::spawn(move || {
        let (mut stream, _) = server.accept().expect("the relay");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.write_all(BANNER).expect("written");
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        heard
    });
    assert_eq!(probe(&alice, &a, &address.to_string()).await, 408);
    let heard = serving.join().expect("the relay has closed");
    assert!(heard.is_empty() || heard.starts_with(b"MSRP "), "{}", String::from_utf8_lossy(&heard));
    // Until her next message comes back, nothing else does.
    let to = a.to_path(&a.own_path(alice.uri()));
    alice.send_message(&to, Some("text/plain"), body("marker"), SendOptions::default()).await.expect("sent");
    loop {
        let event = timeout(PATIENCE, alice.event()).await.expect("in time").expect("an event");
        assert!(!format!("{event:?}").contains("ESMTP"), "{event:?}");
        if matches!(&event, Event::Message(message) if message.body.as_deref() == Some(b"marker")) {
            break;
        }
    }
}
