//! What descriptions say is what sockets do: places, certificates, and who connects, through a real process.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;
mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use chappe::client::{Endpoint, EndpointOptions, Listener, SendOptions};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use sha2::{Digest, Sha256};
use sip::Transport::Udp;
use sip::ua::{Agent, Draft, Message, msrp_sdp, sdp_version};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::net::TcpStream;
use tokio::time::timeout;

const ALICE: &str = "msrp://127.0.0.1:9/alice7tB2mXv9;tcp";
const BOB: &str = "msrp://127.0.0.1:9/bobT5nWq8ZxC1;tcp";

/// A relay between Alice and Bob.
struct Scene {
    relay: Relay,
    alice: Agent,
    bob: Agent,
}

impl Scene {
    async fn new(authority: &Authority) -> Scene {
        Scene::with(authority, "").await
    }

    /// With further lines in `[sip.media]`.
    async fn with(authority: &Authority, media: &str) -> Scene {
        let bob = Agent::new("bob", Udp).await;
        let extra = format!(
            "[sip]\noutbound_proxy = \"sip:{};lr\"\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n\
             [sip.media]\naccept_loopback = true\n{media}",
            bob.address()
        );
        let mut relay = Relay::start(authority, &Wish { extra: &extra, ..Wish::default() });
        let address = relay.sip("UDP");
        let alice = Agent::new("alice", Udp).await.through(address);
        Scene { relay, alice, bob }
    }

    /// Alice offers this, and Bob answers that: what Bob was offered, and what Alice was answered.
    async fn call(&mut self, offer: &str, answer: &str) -> (Message, Message) {
        let invite = self.alice.invite("sip:bob@east.example", offer).await;
        let got = self.bob.expect("INVITE").await;
        self.bob.answer(&got, answer).await;
        let ok = self.alice.response(&invite, 200).await;
        self.alice.ack(&ok).await;
        self.bob.expect("ACK").await;
        (got, ok)
    }

    async fn hang_up(&mut self, ok: &Message) {
        let bye = self.alice.within(ok, "BYE", Draft::new()).await;
        self.alice.response(&bye, 200).await;
        let heard = self.bob.expect("BYE").await;
        self.bob.reply(&heard, 200).await;
        self.relay.metric_becomes("chappe_anchors", 0.0).await;
    }
}

/// Connects to the place that a URI of the relay names.
async fn connect(to: &str, own: &str) -> Endpoint {
    let options = EndpointOptions { uri: Some(own.to_owned()), ..EndpointOptions::default() };
    Endpoint::connect_tcp_with(place(to), options).await.expect("the place that was named")
}

fn place(uri: &str) -> SocketAddr {
    let place = uri.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("a URI");
    place.replace("localhost", "127.0.0.1").parse().expect("an address")
}

/// What one end hears of what the other one sends, by the URI of ours that it was told.
async fn told(from: &Endpoint, by: &Message, to: &Endpoint, words: &str) -> Vec<u8> {
    let sending = from.send_message(&by.path(), Some("text/plain"), words.to_owned(), SendOptions::default()).await;
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
    loop {
        let body = next_message(to).await.body.expect("a whole body");
        // By which the relay makes itself known has none.
        if !body.is_empty() {
            return body.to_vec();
        }
    }
}

/// SDP-23
#[tokio::test]
async fn who_answers_active_reaches_the_place_that_was_offered() {
    let mut scene = Scene::new(&Authority::new()).await;
    let (got, ok) = scene.call(&msrp_sdp(ALICE, "active"), &msrp_sdp(BOB, "active")).await;
    assert_eq!((got.attributes("setup"), ok.attributes("setup")), (vec!["actpass".into()], vec!["passive".into()]));
    let (alice, bob) = (connect(&ok.path(), ALICE).await, connect(&got.path(), BOB).await);
    for (end, by) in [(&alice, &ok), (&bob, &got)] {
        // Who connects makes itself known (RFC 4975 section 5.4).
        let hello = end.send_message(&by.path(), None, "", SendOptions::default()).await.expect("sent");
        timeout(PATIENCE, hello.outcome()).await.expect("in time").expect("known");
    }
    assert_eq!(told(&bob, &got, &alice, "from bob").await, b"from bob");
    assert_eq!(told(&alice, &ok, &bob, "from alice").await, b"from alice");
    scene.hang_up(&ok).await;
}

/// SDP-5
#[tokio::test]
async fn address_and_port_of_the_m_line_are_not_connected_to() {
    let mut scene = Scene::new(&Authority::new()).await;
    let local = || SocketAddr::from(([127, 0, 0, 1], 0));
    let desk = Listener::bind_tcp(local()).await.expect("a listener");
    let decoy = std::net::TcpListener::bind(local()).expect("a listener");
    decoy.set_nonblocking(true).expect("a socket");
    let answer = msrp_sdp(desk.uri(), "passive").replace(
        &format!("m=message {} ", desk.local_addr().port()),
        &format!("m=message {} ", decoy.local_addr().expect("an address").port()),
    );
    assert!(!answer.contains(&format!("m=message {} ", desk.local_addr().port())), "{answer}");
    let (_, ok) = scene.call(&msrp_sdp(ALICE, "active"), &answer).await;
    let bob = timeout(PATIENCE, desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let alice = connect(&ok.path(), ALICE).await;
    assert_eq!(told(&alice, &ok, &bob, "to the path").await, b"to the path");
    scene.hang_up(&ok).await;
    assert_eq!(decoy.accept().map_err(|error| error.kind()).err(), Some(std::io::ErrorKind::WouldBlock));
}

/// SDP-55
#[tokio::test]
async fn the_fingerprint_is_that_of_the_certificate_that_is_shown() {
    let authority = Authority::new();
    let mut scene = Scene::new(&authority).await;
    let secure = |uri: &str| msrp_sdp(&uri.replace("msrp://", "msrps://"), "active");
    let (got, ok) = scene.call(&secure(ALICE), &secure(BOB)).await;
    let shown = certificate(&authority, place(&ok.path()), &scene.relay.name).await;
    let digest: Vec<String> = Sha256::digest(&shown).iter().map(|octet| format!("{octet:02X}")).collect();
    let expected = format!("SHA-256 {}", digest.join(":"));
    for message in [&got, &ok] {
        assert!(message.sdp().contains(" TCP/TLS/MSRP *"), "{message}");
        assert_eq!(message.attributes("fingerprint").first(), Some(&expected), "{message}");
    }
    scene.hang_up(&ok).await;
}

/// SDP-58, SDP-59: a caller who has promised a certificate and shows none is told so, and nothing of it passes.
/// CORE-95.
#[tokio::test]
async fn who_shows_another_certificate_than_promised_hears_bad_certificate() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let authority = Authority::new();
    let mut scene = Scene::new(&authority).await;
    let promised = format!("a=fingerprint:SHA-256 {}\r\n", ["AB"; 32].join(":"));
    let [alice, bob] = [ALICE, BOB].map(|uri| uri.replace("msrp://", "msrps://"));
    let offer = sdp_version(&alice, "active", 1, &promised);
    let (_, ok) = scene.call(&offer, &sdp_version(&bob, "active", 1, "")).await;
    let mut tls = handshake(&authority, place(&ok.path()), &scene.relay.name).await;
    let send = format!(
        "MSRP stranger1 SEND\r\nTo-Path: {}\r\nFrom-Path: {alice}\r\nMessage-ID: m1\r\nByte-Range: 1-2/2\r\n\
         Content-Type: text/plain\r\n\r\nhi\r\n-------stranger1$\r\n",
        ok.path()
    );
    tls.write_all(send.as_bytes()).await.expect("written");
    let mut heard = Vec::new();
    let end = timeout(PATIENCE, tls.read_to_end(&mut heard)).await.expect("in time").expect_err("an alert");
    assert!(heard.is_empty() || heard.starts_with(b"MSRP stranger1 481 "), "what came with the alert may be gone");
    let end = end.into_inner().expect("of TLS").downcast::<rustls::Error>().expect("of TLS");
    assert_eq!(*end, rustls::Error::AlertReceived(rustls::AlertDescription::BadCertificate));
    for agent in [&mut scene.alice, &mut scene.bob] {
        let bye = agent.expect("BYE").await;
        agent.reply(&bye, 200).await;
    }
    scene.relay.metric_becomes("chappe_anchors", 0.0).await;
}

/// What the relay shows in a handshake.
async fn certificate(authority: &Authority, place: SocketAddr, name: &str) -> CertificateDer<'static> {
    let tls = handshake(authority, place, name).await;
    let (_, session) = tls.get_ref();
    session.peer_certificates().and_then(<[_]>::first).expect("a certificate").clone().into_owned()
}

/// A connection without a certificate of our own.
async fn handshake(authority: &Authority, place: SocketAddr, name: &str) -> tokio_rustls::client::TlsStream<TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("PEM")).expect("an authority");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(place).await.expect("the place that was named");
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("a handshake")
}

/// SDP-104
#[tokio::test]
async fn a_fingerprint_that_came_by_datagram_is_refused_where_policy_says_so() {
    let fingerprint = format!("a=fingerprint:SHA-256 {}\r\n", ["AB"; 32].join(":"));
    let [alice, bob] = [ALICE, BOB].map(|uri| uri.replace("msrp://", "msrps://"));
    let offer = sdp_version(&alice, "active", 1, &fingerprint);
    let mut scene = Scene::with(&Authority::new(), "fingerprints_need_secure_sip = true\n").await;
    let invite = scene.alice.invite("sip:bob@east.example", &offer).await;
    let refused = scene.alice.response(&invite, 488).await;
    assert!(refused.header("Warning").is_some(), "{refused}");
    scene.alice.ack(&refused).await;
    scene.bob.quiet();
    // It was the fingerprint, and not TLS; and elsewhere it may come so.
    let (_, ok) = scene.call(&offer.replace(&fingerprint, ""), &msrp_sdp(&bob, "active")).await;
    scene.hang_up(&ok).await;
    let mut scene = Scene::new(&Authority::new()).await;
    let (_, ok) = scene.call(&offer, &msrp_sdp(&bob, "active")).await;
    scene.hang_up(&ok).await;
}
