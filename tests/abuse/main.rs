//! Who means harm, against a relay process over real sockets: at the door, guessing, in storms, and through the relay at others.
//!
//! Each test looks at two things: that the attacker is stopped and shown in a metric, and that somebody else notices nothing.
//! Attackers come from addresses of loopback other than 127.0.0.1. `docs/LIMITS.md` lists the bounds that are tried here.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod door;
mod guessing;
mod oddities;
mod scanning;
#[path = "../sip/mod.rs"]
mod sip;
mod storms;
#[path = "../support/mod.rs"]
mod support;

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use chappe::client::{Body, ClientError, Endpoint, EndpointOptions, Grant, SendOptions};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::time::timeout;

/// What a test wants in the sections of the relay's configuration.
#[derive(Default)]
struct Rules<'a> {
    limits: &'a str,
    auth: &'a str,
    policy: &'a str,
    /// At the end of the file.
    extra: &'a str,
}

impl Rules<'_> {
    fn text(&self) -> String {
        let Rules { limits, auth, policy, extra } = self;
        let engine = support::engine();
        format!(
            "[relay]\nhostname = \"localhost\"\nrealm = \"relay.test\"\nshards = 2\npin = false\nengine = \"{engine}\"\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tls\"\n\
             [[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n\
             [tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\nclient_ca = \"ca.crt\"\n\
             [auth]\n{auth}\n\
             [[auth.user]]\nname = \"alice\"\npassword = \"secret\"\n[[auth.user]]\nname = \"bob\"\npassword = \"hunter2\"\n\
             [limits]\n{limits}\n[policy]\n{policy}\n\
             [admin]\naddress = \"127.0.0.1:0\"\n[log]\nlevel = \"debug\"\nformat = \"json\"\n{extra}\n"
        )
    }

    fn start(&self, authority: &Authority) -> Relay {
        Relay::with_text(authority, &Wish::default(), &self.text())
    }
}

/// The address 127.0.0.`n`.
fn local(n: u8) -> IpAddr {
    [127, 0, 0, n].into()
}

/// A connection without TLS of this test's own, from this address.
fn plain(from: IpAddr, to: SocketAddr) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("an address of loopback");
    socket.connect(&to.into()).expect("a connection");
    socket.set_tcp_nodelay(true).expect("an option");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    socket.into()
}

/// What the relay still says until it closes; a reset is an end, too.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let (mut octets, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return octets,
            Ok(n) => octets.extend_from_slice(&buffer[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => return octets,
            Err(error) => panic!("the relay does not close: {error}"),
        }
    }
}

async fn client_from(from: IpAddr, relay: &Relay, authority: &Authority) -> Result<Endpoint, ClientError> {
    let options = EndpointOptions { from: Some(from), ..EndpointOptions::default() };
    Endpoint::connect_tls_with(relay.tls, &relay.name, &authority.pem, None, options).await
}

/// A client with a session.
async fn owner_from(from: IpAddr, relay: &Relay, authority: &Authority, user: &str) -> (Endpoint, Grant) {
    let password = if user == "alice" { "secret" } else { "hunter2" };
    let endpoint = client_from(from, relay, authority).await.expect("a connection");
    let grant = endpoint.authenticate(&relay.auth_uri(user), user, password, None).await.expect("a grant");
    (endpoint, grant)
}

/// A client that writes to itself through the relay: in at its link, out at its link. How long that took.
async fn talks(endpoint: &Endpoint, grant: &Grant, words: &str) -> Duration {
    let began = Instant::now();
    let to = grant.to_path(&grant.own_path(endpoint.uri()));
    let sending = endpoint.send_message(&to, Some("text/plain"), words.to_owned(), SendOptions::default()).await;
    let message = next_message(endpoint).await;
    assert_eq!(message.body.as_deref(), Some(words.as_bytes()));
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
    began.elapsed()
}

/// Waits until this is so.
async fn comes_true(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A request of somebody whom the relay does not know, and what it answers: the connection is served.
fn is_served(stream: &mut TcpStream) -> bool {
    use std::io::Write;
    let to = "msrp://localhost:2856/nobody;tcp";
    let from = "msrp://127.0.0.1:9/stranger;tcp";
    let head = format!("MSRP served01 SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: m1\r\n");
    let written = stream.write_all(format!("{head}-------served01$\r\n").as_bytes());
    let mut octets = [0; 14];
    written.is_ok() && stream.read_exact(&mut octets).is_ok() && octets.starts_with(b"MSRP served01 ")
}

fn body(text: &str) -> Body {
    text.to_owned().into()
}
