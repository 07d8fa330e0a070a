//! A transport on loopback, and raw sockets against it.

mod flows;
mod limits;
mod secure;
mod stop;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;

use super::*;

/// Nothing here takes that long; a test that would wait for ever fails instead.
const PATIENCE: Duration = Duration::from_secs(20);

struct Rig {
    transport: Transport,
    events: mpsc::Receiver<Event>,
}

impl Rig {
    fn new(settings: Settings) -> Rig {
        let mut listen = Vec::new();
        for host in ["127.0.0.1:0", "[::1]:0"] {
            for protocol in [Protocol::Udp, Protocol::Tcp] {
                listen.push(Listen { protocol, address: host.parse().unwrap() });
            }
        }
        if settings.server.is_some() {
            listen.push(Listen { protocol: Protocol::Tls, address: "127.0.0.1:0".parse().unwrap() });
        }
        let (transport, events) = Transport::start(settings, &listen).unwrap();
        Rig { transport, events }
    }

    fn address(&self, protocol: Protocol) -> SocketAddr {
        self.transport.listening().iter().find(|(p, _)| *p == protocol).unwrap().1
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(self.address(Protocol::Tcp)).await.unwrap()
    }

    async fn udp(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address(Protocol::Udp)).await.unwrap();
        socket
    }

    async fn event(&mut self) -> Event {
        within(self.events.recv()).await.expect("the transport lives")
    }

    /// The next message, whatever opens and closes before it.
    async fn arrival(&mut self) -> Arrival {
        loop {
            if let Event::Message(arrival) = self.event().await {
                return arrival;
            }
        }
    }

    async fn closed(&mut self) -> Flow {
        loop {
            if let Event::Closed(flow) = self.event().await {
                return flow;
            }
        }
    }
}

async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

fn request(method: &str, id: &str) -> String {
    format!(
        "{method} sip:relay.example SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bK{id};rport\r\n\
         From: <sip:ada@c.example>;tag=1\r\nTo: <sip:relay.example>\r\nCall-ID: {id}\r\nCSeq: 7 {method}\r\n\
         Content-Length: 0\r\n\r\n"
    )
}

/// Reads one message without a body, or a keep-alive.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") && text != b"\r\n" {
        text.push(within(stream.read_u8()).await.unwrap());
        if text == b"\r\n" {
            break;
        }
    }
    String::from_utf8(text).unwrap()
}

async fn read_datagram(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let length = within(socket.recv(&mut buffer)).await.unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

/// Reads until the other side has closed.
async fn read_to_end(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = Vec::new();
    let _ = within(stream.read_to_end(&mut text)).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_datagram_comes_with_the_way_back() {
    let mut rig = Rig::new(Settings::default());
    let socket = rig.udp().await;
    let port = socket.local_addr().unwrap().port();
    socket.send(request("OPTIONS", "a").as_bytes()).await.unwrap();
    let Arrival { message, flow } = rig.arrival().await;
    assert_eq!(message.head.via.param("rport"), Some(Some(&*port.to_string())));
    assert_eq!(message.head.via.param("received"), Some(Some("127.0.0.1")));
    assert_eq!((flow.protocol(), flow.remote().port(), flow.trust()), (Protocol::Udp, port, None));
    flow.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
    assert_eq!(read_datagram(&socket).await, "SIP/2.0 200 OK\r\n\r\n");
    assert_eq!((rig.transport.counts().received(), rig.transport.counts().sent()), (1, 1));
}

#[tokio::test]
async fn both_address_families_are_served() {
    let mut rig = Rig::new(Settings::default());
    let six: Vec<_> = rig.transport.listening().iter().copied().filter(|(_, a)| a.is_ipv6()).collect();
    let socket = UdpSocket::bind("[::1]:0").await.unwrap();
    socket.send_to(request("OPTIONS", "a").as_bytes(), six[0].1).await.unwrap();
    let arrival = rig.arrival().await;
    assert_eq!(arrival.message.head.via.param("received"), Some(Some("::1")));
    let mut stream = TcpStream::connect(six[1].1).await.unwrap();
    stream.write_all(request("OPTIONS", "b").as_bytes()).await.unwrap();
    assert_eq!(rig.arrival().await.flow.remote(), stream.local_addr().unwrap());
}

#[tokio::test]
async fn what_needs_no_transaction_is_answered_here() {
    let rig = Rig::new(Settings::default());
    let socket = rig.udp().await;
    for noise in ["\0\0\0\0", "\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"] {
        socket.send(noise.as_bytes()).await.unwrap();
    }
    socket.send(request("SUBSCRIBE", "m").as_bytes()).await.unwrap();
    let first = read_datagram(&socket).await;
    assert!(first.starts_with("SIP/2.0 405 Method Not Allowed\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKm;rece"));
    assert!(
        first.contains("\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, PRACK, INFO, MESSAGE\r\n"),
        "{first}"
    );
    assert!(first.contains("\r\nTo: <sip:relay.example>;tag="), "{first}");
    socket.send(request("SUBSCRIBE", "m").as_bytes()).await.unwrap();
    assert_eq!(read_datagram(&socket).await, first, "the same tag for the same request");
    socket.send(request("OPTIONS", "o").replace("7 OPTIONS", "x OPTIONS").as_bytes()).await.unwrap();
    assert!(read_datagram(&socket).await.starts_with("SIP/2.0 400 Bad CSeq\r\n"));
    let counts = rig.transport.counts();
    assert_eq!(counts.faults(crate::sip::framing::Fault::NotSip), 2);
    assert_eq!(counts.faults(crate::sip::framing::Fault::Method), 2);
    assert_eq!((counts.losses(Loss::Unanswered), counts.answered(), counts.received()), (3, 3, 0));
}

#[tokio::test]
async fn an_unmarked_request_is_answered_at_the_port_of_its_via() {
    let rig = Rig::new(Settings::default());
    let (asking, answered) = (rig.udp().await, UdpSocket::bind("127.0.0.1:0").await.unwrap());
    let port = answered.local_addr().unwrap().port();
    let text = request("FOO", "m").replace(";rport", "").replace("127.0.0.1:9;", &format!("6.6.6.6:{port};"));
    asking.send(text.as_bytes()).await.unwrap();
    assert!(read_datagram(&answered).await.contains(";received=127.0.0.1\r\n"));
}

#[tokio::test]
async fn a_stream_carries_messages_pings_and_refusals() {
    let mut rig = Rig::new(Settings::default());
    let mut stream = rig.tcp().await;
    let text = "\r\n\r\n".to_owned() + &request("OPTIONS", "a") + &request("FOO", "b") + &request("BYE", "c");
    for octet in text.as_bytes().chunks(3) {
        stream.write_all(octet).await.unwrap();
    }
    assert!(matches!(rig.event().await, Event::Opened(_)));
    for id in ["a", "c"] {
        let Arrival { message, flow } = rig.arrival().await;
        assert_eq!(message.head.call_id, id);
        flow.send("SIP/2.0 200 OK\r\n\r\n".into()).unwrap();
    }
    assert_eq!(read(&mut stream).await, "\r\n");
    let mut answers = [read(&mut stream).await, read(&mut stream).await, read(&mut stream).await];
    answers.sort();
    assert!(answers[2].starts_with("SIP/2.0 405 ") && answers[1].starts_with("SIP/2.0 200 "), "{answers:?}");
    drop(stream);
    rig.closed().await;
}

#[tokio::test]
async fn lost_framing_is_answered_then_closed() {
    let mut rig = Rig::new(Settings::default());
    let mut stream = rig.tcp().await;
    let text = request("OPTIONS", "a").replace("Length: 0", "Length: 9999999") + &"x".repeat(100_000);
    stream.write_all(text.as_bytes()).await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.starts_with("SIP/2.0 413 ") && answer.ends_with("Content-Length: 0\r\n\r\n"), "{answer}");
    drop(stream);
    rig.closed().await;
    let mut stream = rig.tcp().await;
    stream.write_all(b"\x16\x03\x01\x00").await.unwrap();
    assert_eq!(read_to_end(&mut stream).await, "");
}
