//! Two transports with the same sockets.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::net::inherited::Inherited;
use crate::sip::transport::{Arrival, Event, Flow, Listen, Outlet, Protocol, Settings, Transport, Trust, bind, twins};

const PATIENCE: Duration = Duration::from_secs(20);

struct Side {
    transport: Transport,
    events: mpsc::Receiver<Event>,
}

impl Side {
    async fn arrival(&mut self) -> Arrival {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await.expect("in time").expect("an event");
            if let Event::Message(arrival) = event {
                return arrival;
            }
        }
    }

    /// The next connection that is gone.
    async fn closed(&mut self) -> Flow {
        loop {
            let event = timeout(PATIENCE, self.events.recv()).await.expect("in time").expect("an event");
            if let Event::Closed(flow) = event {
                return flow;
            }
        }
    }

    fn at(&self, protocol: Protocol) -> SocketAddr {
        self.transport.listening().iter().find(|(p, _)| *p == protocol).expect("a listener").1
    }
}

/// The old process, its way to the new one, and that.
fn two() -> (Side, Outlet, Side) {
    let listen: Vec<Listen> =
        [Protocol::Udp, Protocol::Tcp].map(|protocol| Listen { protocol, address: ([127, 0, 0, 1], 0).into() }).into();
    let settings = || Settings {
        trusted: crate::sip::transport::Trusted {
            networks: vec!["127.0.0.0/8".parse().expect("a network")],
            ..Default::default()
        },
        ..Settings::default()
    };
    let bound = bind(&listen, &mut Inherited::default()).expect("sockets");
    let mut inherited = Inherited::default();
    for twin in twins(&bound).expect("twins") {
        inherited.add(twin).expect("a socket");
    }
    let (old, old_events) = Transport::register(settings(), bound).expect("registered");
    old.listen(None);
    let again = bind(&listen, &mut inherited).expect("the same sockets");
    let (new, new_events) = Transport::register(settings(), again).expect("registered");
    let (near, far) = UnixStream::pair().expect("a pair");
    new.listen(Some(far));
    let outlet = old.pass_on_to(near).expect("registered");
    old.release();
    (Side { transport: old, events: old_events }, outlet, Side { transport: new, events: new_events })
}

fn options(number: u32, protocol: &str) -> String {
    format!(
        "OPTIONS sip:us SIP/2.0\r\nVia: SIP/2.0/{protocol} 127.0.0.1:9;branch=z9hG4bK{number}\r\nMax-Forwards: 70\r\n\
         From: <sip:a@x>;tag=1\r\nTo: <sip:us>\r\nCall-ID: {number}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

const OK: &[u8] = b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn datagrams_are_passed_on_and_read_when_the_old_process_has_ended() {
    let (mut old, mut outlet, mut new) = two();
    let phone = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let place = old.at(Protocol::Udp);
    assert_eq!(place, new.at(Protocol::Udp));
    for number in 0..20 {
        phone.send_to(options(number, "UDP").as_bytes(), place).await.expect("sent");
        let first = old.arrival().await;
        assert!(outlet.pass_on(&first));
        let second = new.arrival().await;
        assert_eq!(second.message, first.message, "as if it had come from the socket");
        assert_eq!(second.flow.id(), first.flow.id());
        assert_eq!(second.flow.trust(), Some(&Trust::Address));
        second.flow.send(Bytes::from_static(OK)).expect("sent");
        let mut room = [0; 100];
        let (length, from) = timeout(PATIENCE, phone.recv_from(&mut room)).await.expect("in time").expect("an answer");
        assert_eq!((&room[..length], from), (OK, place));
    }
    assert!(new.transport.follows());
    old.transport.stop(PATIENCE).await;
    outlet.finish(PATIENCE).await;
    phone.send_to(options(99, "UDP").as_bytes(), place).await.expect("sent");
    assert!(new.arrival().await.message.octets.windows(13).any(|w| w == b"Call-ID: 99\r\n"));
    assert!(!new.transport.follows());
}

#[tokio::test]
async fn a_connection_is_passed_on_with_its_way_back_and_its_end() {
    let (mut old, mut outlet, mut new) = two();
    // It was accepted by the old process or by the new one: that is the system's choice. The old one has let go of its listener.
    let place = old.at(Protocol::Tcp);
    let mut direct = TcpStream::connect(place).await.expect("a connection");
    direct.write_all(options(1, "TCP").as_bytes()).await.expect("written");
    let at_new = new.arrival().await;
    assert_eq!(at_new.flow.remote(), direct.local_addr().expect("an address"));

    // One that the old process has: it dialled it.
    let peer = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = peer.local_addr().expect("an address");
    let target = crate::sip::transport::Target { protocol: Protocol::Tcp, address, name: None, from: None };
    let flow = old.transport.connect(&target).await.expect("a flow");
    let (mut stream, _) = peer.accept().await.expect("a connection");
    for number in 2..6 {
        stream.write_all(options(number, "TCP").as_bytes()).await.expect("written");
        let first = old.arrival().await;
        assert!(outlet.pass_on(&first));
        let second = new.arrival().await;
        assert_eq!(second.message, first.message);
        assert_eq!((second.flow.local(), second.flow.remote()), (flow.local(), flow.remote()));
        assert_eq!(second.flow.trust(), Some(&Trust::Address));
        second.flow.send(Bytes::from_static(OK)).expect("sent");
        let mut room = vec![0; OK.len()];
        timeout(PATIENCE, stream.read_exact(&mut room)).await.expect("in time").expect("an answer");
        assert_eq!(room, OK);
    }
    // Its end is told.
    drop(stream);
    let gone = old.closed().await;
    outlet.closed(&gone);
    let closed = new.closed().await;
    assert_eq!(closed.remote(), gone.remote());
}

#[tokio::test]
async fn without_a_new_process_nothing_is_passed_on() {
    let (mut old, mut outlet, new) = two();
    let phone = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    new.transport.stop(PATIENCE).await;
    let deadline = tokio::time::timeout(PATIENCE, async {
        loop {
            phone.send_to(options(1, "UDP").as_bytes(), old.at(Protocol::Udp)).await.expect("sent");
            let arrival = old.arrival().await;
            if !outlet.pass_on(&arrival) {
                return;
            }
        }
    });
    deadline.await.expect("the old process keeps what it is told");
}
