//! An endpoint of the library behind the bridge, raw sockets before it.

use std::net::SocketAddr;
use std::time::Duration;

use rsipstack::sip::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::*;
use crate::sip::transport::{Listen, Settings};

struct Rig {
    bridge: Arc<Bridge>,
    transport: Transport,
    tasks: JoinSet<()>,
}

/// An endpoint that answers OPTIONS with 200 and keeps everything else.
async fn rig(options: Options) -> Rig {
    rig_with(options, Settings::default()).await
}

/// The same; BYE is answered 200 to who is trusted, 403 to others.
async fn rig_with(options: Options, settings: Settings) -> Rig {
    let address = "127.0.0.1:0".parse().unwrap();
    let listen = [Listen { protocol: Protocol::Udp, address }, Listen { protocol: Protocol::Tcp, address }];
    let (transport, events) = Transport::start(settings, &listen).unwrap();
    let (bridge, mut incoming) = Bridge::new(&transport, options).await.unwrap();
    let bridge = Arc::new(bridge);
    let mut tasks = JoinSet::new();
    let served = bridge.clone();
    tasks.spawn(async move { served.serve(events).await });
    let judging = bridge.clone();
    tasks.spawn(async move {
        let mut kept = Vec::new();
        while let Some(mut transaction) = incoming.recv().await {
            if transaction.original.method == Method::Options {
                transaction.reply(StatusCode::OK).await.unwrap();
            } else if transaction.original.method == Method::Bye {
                let trust = judging.trust(&transaction.original, transaction.connection.as_ref());
                let status = if trust == Some(Trust::Address) { StatusCode::OK } else { StatusCode::Forbidden };
                transaction.reply(status).await.unwrap();
            } else {
                kept.push(transaction);
            }
        }
    });
    Rig { bridge, transport, tasks }
}

impl Rig {
    fn address(&self, protocol: Protocol) -> SocketAddr {
        self.transport.listening().iter().find(|(p, _)| *p == protocol).unwrap().1
    }

    async fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address(Protocol::Udp)).await.unwrap();
        socket
    }
}

fn request(method: &str, transport: &str, id: &str) -> String {
    format!(
        "{method} sip:relay.example SIP/2.0\r\nVia: SIP/2.0/{transport} c.example;branch=z9hG4bK{id};rport\r\n\
         From: <sip:ada@c.example>;tag=1\r\nTo: <sip:relay.example>\r\nCall-ID: {id}\r\nCSeq: 7 {method}\r\n\
         Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    )
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("in time")
}

async fn read(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        text.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(text).unwrap()
}

async fn ask(socket: &UdpSocket, text: &str) -> String {
    socket.send(text.as_bytes()).await.unwrap();
    hear(socket).await
}

async fn hear(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let length = within(socket.recv(&mut buffer)).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn options_gets_200_and_other_methods_405_by_udp() {
    let rig = rig(Options::default()).await;
    let socket = rig.udp().await;
    let port = socket.local_addr().unwrap().port();
    let answer = ask(&socket, &request("OPTIONS", "UDP", "a")).await;
    assert!(answer.starts_with("SIP/2.0 200 OK\r\n"), "{answer}");
    assert!(answer.contains(&format!(";received=127.0.0.1;rport={port}\r\n")), "{answer}");
    assert_eq!(ask(&socket, &request("OPTIONS", "UDP", "a")).await, answer, "sent again");
    for method in ["MESSAGE", "REGISTER", "options", "X-ODD!"] {
        let answer = ask(&socket, &request(method, "UDP", method)).await;
        assert!(answer.starts_with("SIP/2.0 405 ") && answer.contains("\r\nAllow: INVITE, "), "{answer}");
    }
}

#[tokio::test]
async fn options_gets_200_and_other_methods_405_by_tcp() {
    let rig = rig(Options::default()).await;
    let mut stream = TcpStream::connect(rig.address(Protocol::Tcp)).await.unwrap();
    for round in 0..3 {
        let text = request("OPTIONS", "TCP", &format!("o{round}"));
        for octets in text.as_bytes().chunks(50) {
            stream.write_all(octets).await.unwrap();
        }
        let answer = read(&mut stream).await;
        assert!(answer.starts_with("SIP/2.0 200 OK\r\n") && answer.contains(&format!("Call-ID: o{round}\r\n")));
        stream.write_all(request("SUBSCRIBE", "TCP", &format!("s{round}")).as_bytes()).await.unwrap();
        assert!(read(&mut stream).await.starts_with("SIP/2.0 405 "));
    }
}

#[tokio::test]
async fn what_the_library_would_lose_is_answered() {
    let rig = rig(Options::default()).await;
    let socket = rig.udp().await;
    let good = request("OPTIONS", "UDP", "g");
    let odd_uri = good.replace("sip:relay.example SIP", "sip:bob@ SIP");
    assert!(ask(&socket, &odd_uri).await.starts_with("SIP/2.0 400 Not Understood\r\n"));
    assert_eq!(rig.transport.counts().faults(Fault::NotUnderstood), 1);
    assert!(ask(&socket, &good.replace(";tag=1", "")).await.starts_with("SIP/2.0 400 From Without A Tag\r\n"));
    let old = good.replace(";branch=z9hG4bKg", "").replace("Call-ID: g", "i: old");
    assert!(ask(&socket, &old).await.starts_with("SIP/2.0 200 "), "an RFC 2543 Via is understood");
    let led = format!("\r\n\r\n{}", good.replace("\r\nContent-Length: 0", "").replace("Call-ID: g", "i: led"));
    assert!(ask(&socket, &led).await.starts_with("SIP/2.0 200 "));
}

#[tokio::test]
async fn a_transaction_tells_whether_its_sender_is_trusted() {
    for (network, status) in [("127.0.0.0/8", "SIP/2.0 200 "), ("10.0.0.0/8", "SIP/2.0 403 ")] {
        let mut settings = Settings::default();
        settings.trusted.networks.push(network.parse().unwrap());
        let rig = rig_with(Options::default(), settings).await;
        let socket = rig.udp().await;
        assert!(ask(&socket, &request("BYE", "UDP", "u")).await.starts_with(status));
        let posing = request("BYE", "UDP", "p").replace("c.example;", "10.0.0.1;received=10.0.0.1;");
        assert!(ask(&socket, &posing).await.starts_with(status), "what a Via claims counts for nothing");
        let mut stream = TcpStream::connect(rig.address(Protocol::Tcp)).await.unwrap();
        stream.write_all(request("BYE", "TCP", "t").as_bytes()).await.unwrap();
        assert!(read(&mut stream).await.starts_with(status));
    }
}

#[tokio::test]
async fn too_many_transactions_are_refused() {
    let rig = rig(Options { transactions: 1, ..Options::default() }).await;
    let socket = rig.udp().await;
    socket.send(request("INVITE", "UDP", "i").as_bytes()).await.unwrap();
    let mut answer = ask(&socket, &request("OPTIONS", "UDP", "o")).await;
    while !answer.contains("Call-ID: o\r\n") {
        answer = hear(&socket).await;
    }
    while answer.starts_with("SIP/2.0 200 ") {
        // The endpoint had not seen the INVITE yet.
        answer = ask(&socket, &request("OPTIONS", "UDP", "o2")).await;
    }
    assert!(answer.starts_with("SIP/2.0 503 ") && answer.contains("\r\nRetry-After: 10\r\n"), "{answer}");
}

/// A request of ours: made by the library, carried on a connection that the bridge made, answered on it.
async fn ours(rig: &Rig, target: &Target) -> (rsipstack::transaction::Transaction, rsipstack::Result<()>) {
    let (connection, destination) = rig.bridge.reach(target).await.unwrap();
    let text = request("OPTIONS", &target.protocol.to_string(), "ours");
    let original = Request::try_from(text.as_str()).unwrap();
    let key = TransactionKey::from_request(&original, TransactionRole::Client).unwrap();
    let endpoint = rig.bridge.endpoint().clone();
    let mut transaction = rsipstack::transaction::Transaction::new_client(key, original, endpoint, Some(connection));
    transaction.destination = Some(destination);
    let sent = transaction.send().await;
    (transaction, sent)
}

#[tokio::test]
async fn a_request_of_ours_goes_by_tcp_and_its_response_comes_back() {
    let rig = rig(Options::default()).await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target { protocol: Protocol::Tcp, address: peer.local_addr().unwrap(), name: None };
    let (mut transaction, sent) = ours(&rig, &target).await;
    sent.unwrap();
    let (mut accepted, _) = within(peer.accept()).await.unwrap();
    let text = read(&mut accepted).await;
    assert!(text.starts_with("OPTIONS sip:relay.example SIP/2.0\r\n"), "{text}");
    let response = text.replace("OPTIONS sip:relay.example SIP/2.0", "SIP/2.0 200 OK");
    accepted.write_all(response.as_bytes()).await.unwrap();
    let Some(SipMessage::Response(response)) = within(transaction.receive()).await else { panic!("no response") };
    assert_eq!(response.status_code, StatusCode::OK);
}

#[tokio::test]
async fn s17_1_2_a_request_of_ours_is_sent_again_by_udp() {
    let rig = rig(Options::default()).await;
    let peer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = Target { protocol: Protocol::Udp, address: peer.local_addr().unwrap(), name: None };
    let (mut transaction, sent) = ours(&rig, &target).await;
    sent.unwrap();
    let waiting = async { transaction.receive().await };
    let answering = async {
        let first = hear(&peer).await;
        assert_eq!(hear(&peer).await, first);
        let response = first.replace("OPTIONS sip:relay.example SIP/2.0", "SIP/2.0 200 OK");
        peer.send_to(response.as_bytes(), rig.address(Protocol::Udp)).await.unwrap();
    };
    let (response, ()) = within(async { tokio::join!(waiting, answering) }).await;
    assert!(matches!(response, Some(SipMessage::Response(_))));
}

#[tokio::test]
async fn the_library_forgets_a_connection_that_has_closed() {
    let mut rig = rig(Options::default()).await;
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = Target { protocol: Protocol::Tcp, address: peer.local_addr().unwrap(), name: None };
    let (first, _) = rig.bridge.reach(&target).await.unwrap();
    let (again, _) = rig.bridge.reach(&target).await.unwrap();
    let token = first.cancel_token().unwrap();
    assert!(!token.is_cancelled() && !again.cancel_token().unwrap().is_cancelled());
    drop(within(peer.accept()).await.unwrap());
    within(token.cancelled()).await;
    let (second, _) = within(rig.bridge.reach(&target)).await.unwrap();
    assert!(!second.cancel_token().unwrap().is_cancelled());
    // When the transport stops, the pump does, and the endpoint with it.
    rig.transport.stop(Duration::from_millis(200)).await;
    drop(rig.bridge);
    rig.tasks.abort_all();
}
