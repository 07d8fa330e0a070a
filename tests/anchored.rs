//! Calls through the control plane of a real process: SIP on either side, MSRP between the endpoints and the relay.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;
mod support;

use std::net::SocketAddr;

use chappe::client::{Endpoint, EndpointOptions, Event, Listener, SendOptions};
use rstest::rstest;
use sip::Transport::{self, Tcp, Udp};
use sip::ua::{Agent, Draft, Message, msrp_sdp, sdp_version};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::time::timeout;

/// What every test has in its configuration, beside where calls go.
fn plane(extra: &str) -> String {
    format!(
        "[records]\npath = \"records.jsonl\"\n[sip]\n{extra}\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n\
         [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n[sip.media]\naccept_loopback = true\n"
    )
}

/// A relay between Alice and Bob.
struct Scene {
    relay: Relay,
    alice: Agent,
    bob: Agent,
    /// Where Bob's endpoint waits to be connected to.
    desk: Listener,
}

/// A call that has been taken.
struct Call {
    /// Alice's handle, and Bob's.
    ok: Message,
    invite: Message,
    /// Our URIs, as Alice and Bob heard them.
    to_alice: String,
    to_bob: String,
}

impl Scene {
    async fn new(transport: Transport) -> Scene {
        Scene::with(transport, "").await
    }

    async fn with(transport: Transport, extra: &str) -> Scene {
        let bob = Agent::new("bob", transport).await;
        let param = if transport == Tcp { ";transport=tcp" } else { "" };
        let route = format!("outbound_proxy = \"sip:{}{param};lr\"\n{extra}", bob.address());
        let mut relay = Relay::start(&Authority::new(), &Wish { extra: &plane(&route), ..Wish::default() });
        let address = relay.sip(transport.name());
        let alice = Agent::new("alice", transport).await.through(address);
        let desk = Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a listener");
        Scene { relay, alice, bob, desk }
    }

    /// Alice calls, and Bob takes it: Alice connects to the relay, the relay to Bob.
    async fn call(&mut self, alice_path: &str) -> Call {
        let invite = self.alice.invite("sip:bob@east.example", &msrp_sdp(alice_path, "active")).await;
        let got = self.bob.expect("INVITE").await;
        self.bob.reply(&got, 180).await;
        self.alice.response(&invite, 180).await;
        self.bob.answer(&got, &msrp_sdp(self.desk.uri(), "passive")).await;
        let ok = self.alice.response(&invite, 200).await;
        self.alice.ack(&ok).await;
        self.bob.expect("ACK").await;
        assert!(!String::from_utf8_lossy(&got.raw).contains(alice_path), "Alice's path is not told");
        Call { to_alice: ok.path(), to_bob: got.path(), ok, invite: got }
    }

    async fn hang_up(&mut self, call: &Call) {
        let bye = self.alice.within(&call.ok, "BYE", Draft::new()).await;
        self.alice.response(&bye, 200).await;
        let heard = self.bob.expect("BYE").await;
        self.bob.reply(&heard, 200).await;
    }

    /// Nothing of any call is left.
    async fn empty(&self) {
        for gauge in ["chappe_sip_calls", "chappe_sip_dialogs", "chappe_sip_anchors", "chappe_sip_timers"] {
            self.relay.metric_becomes(gauge, 0.0).await;
        }
        for gauge in ["chappe_anchors", "chappe_sessions"] {
            self.relay.metric_becomes(gauge, 0.0).await;
        }
    }
}

async fn alices_endpoint(call: &Call) -> Endpoint {
    alices_endpoint_with(call, EndpointOptions::default()).await
}

async fn alices_endpoint_with(call: &Call, options: EndpointOptions) -> Endpoint {
    let place = call.to_alice.strip_prefix("msrp://").and_then(|u| u.split('/').next()).expect("a URI");
    let place = place.replace("localhost", "127.0.0.1").parse().expect("an address");
    let options = EndpointOptions { uri: Some(ALICE.to_owned()), ..options };
    Endpoint::connect_tcp_with(place, options).await.expect("a connection")
}

/// The body of the next message that has one: by which we make ourselves known has none.
async fn heard(endpoint: &Endpoint) -> Vec<u8> {
    loop {
        let body = next_message(endpoint).await.body.expect("a whole body");
        if !body.is_empty() {
            return body.to_vec();
        }
    }
}

const ALICE: &str = "msrp://127.0.0.1:9/alice7tB2mXv9;tcp";

#[rstest]
#[tokio::test]
async fn two_clients_chat_through_the_anchor(#[values(Udp, Tcp)] transport: Transport) {
    let mut scene = Scene::new(transport).await;
    let call = scene.call(ALICE).await;
    let bob = timeout(PATIENCE, scene.desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let alice = alices_endpoint(&call).await;
    for n in 0..20 {
        let there = format!("there {n}");
        let options = SendOptions { success_report: true, ..SendOptions::default() };
        let sending =
            alice.send_message(&call.to_alice, Some("text/plain"), there.clone(), options.clone()).await.expect("sent");
        assert_eq!(heard(&bob).await, there.as_bytes());
        assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered").reported());
        let back =
            bob.send_message(&call.to_bob, Some("text/plain"), format!("back {n}"), options).await.expect("sent");
        assert_eq!(heard(&alice).await, format!("back {n}").as_bytes());
        timeout(PATIENCE, back.outcome()).await.expect("in time").expect("delivered");
    }
    let (_, text) = scene.relay.http("GET", "/sessions", "");
    let legs: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let legs = legs.as_array().or(legs["sessions"].as_array()).expect("a list").clone();
    assert_eq!(legs.len(), 2, "{text}");
    assert_eq!(legs[0]["anchor"], legs[1]["anchor"], "both legs name their anchor: {text}");
    scene.hang_up(&call).await;
    scene.empty().await;
    scene.alice.quiet();
    scene.bob.quiet();
}

/// SDP-67
#[tokio::test]
async fn files_go_both_ways_and_a_refresh_disturbs_nothing() {
    let mut scene = Scene::new(Udp).await;
    let call = scene.call(ALICE).await;
    let all = || EndpointOptions { collect: 16 << 20, ..EndpointOptions::default() };
    let bob = timeout(PATIENCE, scene.desk.accept(all())).await.expect("in time").expect("bob");
    let alice = alices_endpoint_with(&call, all()).await;
    let file: Vec<u8> = (0..8u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let there = alice
        .send_message(&call.to_alice, Some("application/octet-stream"), file.clone(), SendOptions::default())
        .await
        .expect("sent");
    let back = bob
        .send_message(&call.to_bob, Some("application/octet-stream"), file.clone(), SendOptions::default())
        .await
        .expect("sent");
    // The same description again: answered here, with the same text, while both files are on their way.
    let sdp = msrp_sdp(ALICE, "active");
    let again = scene.alice.within(&call.ok, "INVITE", Draft::sdp(&sdp)).await;
    let same = scene.alice.response(&again, 200).await;
    assert_eq!(same.sdp(), call.ok.sdp());
    scene.alice.ack(&same).await;
    assert_eq!(heard(&bob).await, file);
    assert_eq!(heard(&alice).await, file);
    timeout(PATIENCE, there.outcome()).await.expect("in time").expect("delivered");
    timeout(PATIENCE, back.outcome()).await.expect("in time").expect("delivered");
    scene.hang_up(&call).await;
    scene.empty().await;
    scene.bob.quiet();
}

/// The callee dies in the middle of a file.
#[tokio::test]
async fn a_callee_that_dies_ends_the_call_and_leaves_nothing() {
    let mut scene = Scene::new(Tcp).await;
    let call = scene.call(ALICE).await;
    let bob = timeout(PATIENCE, scene.desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let alice = alices_endpoint(&call).await;
    let file = vec![7u8; 64 << 20];
    let sending = alice
        .send_message(&call.to_alice, Some("application/octet-stream"), file, SendOptions::default())
        .await
        .expect("sent");
    // A part of it has come.
    while !matches!(timeout(PATIENCE, bob.event()).await.expect("in time"), Some(Event::Octets { .. })) {}
    // Gone, with its listener and its signalling.
    drop(bob);
    let Scene { relay, mut alice, bob, desk } = scene;
    drop((bob, desk));
    assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").is_err(), "the sender hears of it");
    // Alice hangs up; Bob's side cannot be told, and yet nothing stays.
    let bye = alice.within(&call.ok, "BYE", Draft::new()).await;
    alice.response(&bye, 200).await;
    for gauge in ["chappe_sip_calls", "chappe_sip_dialogs", "chappe_sip_anchors", "chappe_anchors", "chappe_sessions"] {
        relay.metric_becomes(gauge, 0.0).await;
    }
}

/// SDP-10, SDP-11: another path of the callee in a re-INVITE, and what it is sent goes there.
#[tokio::test]
async fn a_new_path_in_a_reinvite_is_used_from_then_on() {
    let mut scene = Scene::new(Udp).await;
    let call = scene.call(ALICE).await;
    let _old = timeout(PATIENCE, scene.desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let alice = alices_endpoint(&call).await;
    let other = Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a listener");
    let sdp = sdp_version(other.uri(), "passive", 2, "");
    let invite = scene.bob.within(&call.invite, "INVITE", Draft::sdp(&sdp)).await;
    let got = scene.alice.expect("INVITE").await;
    assert_eq!(got.path(), call.to_alice, "Alice's side stays as it is");
    scene.alice.answer(&got, &sdp_version(ALICE, "active", 1, "")).await;
    let ok = scene.bob.response(&invite, 200).await;
    assert_ne!(ok.path(), call.to_bob, "a new URI of ours for Bob's new session");
    scene.bob.ack(&ok).await;
    scene.alice.expect("ACK").await;
    // His offer says that he waits, so the relay comes to him.
    let bob = timeout(PATIENCE, other.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let sending =
        alice.send_message(&call.to_alice, Some("text/plain"), "to the new place", SendOptions::default()).await;
    assert_eq!(heard(&bob).await, b"to the new place");
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
}

#[tokio::test]
async fn the_end_of_the_process_says_bye_to_everybody() {
    let mut scene = Scene::new(Udp).await;
    let call = scene.call(ALICE).await;
    scene.relay.signal("INT");
    let bye = scene.alice.expect("BYE").await;
    scene.alice.reply(&bye, 200).await;
    let bye = scene.bob.expect("BYE").await;
    scene.bob.reply(&bye, 200).await;
    assert!(scene.relay.wait().success());
    let records = std::fs::read_to_string(scene.relay.path("records.jsonl")).expect("records");
    assert!(records.contains("\"ended_by\":\"relay\"") && records.contains("\"call_end\":\"operator\""), "{records}");
    drop(call);
}

/// It is said, and nothing is served.
#[test]
fn a_sip_port_that_is_taken_ends_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let address = taken.local_addr().expect("an address");
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("chappe.toml");
    let text = format!(
        "[[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n[admin]\nenabled = false\n\
         [[sip.listen]]\naddress = \"{address}\"\ntransport = \"tcp\"\n"
    );
    std::fs::write(&path, text).expect("file");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_chappe"))
        .args(["run", "--config"])
        .arg(&path)
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains(&address.to_string()) && !said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn records_tell_the_call_and_who_ended_it() {
    let mut scene = Scene::new(Udp).await;
    let call = scene.call(ALICE).await;
    scene.hang_up(&call).await;
    scene.empty().await;
    let records = std::fs::read_to_string(scene.relay.path("records.jsonl")).expect("records");
    let record: serde_json::Value = serde_json::from_str(records.lines().last().expect("a record")).expect("JSON");
    assert_eq!((&record["ended_by"], &record["call_end"]), (&"caller".into(), &"bye".into()), "{record}");
    let call_id = record["call_id"].as_str().expect("a Call-ID");
    assert_eq!(call_id.len(), 24);
    assert!(!records.contains(call.ok.call_id()), "hashed");
    assert!(record["call_ms"].is_u64());
}

#[tokio::test]
async fn strangers_show_who_they_are_where_digest_is_on() {
    let mut scene = Scene::with(Udp, "trusted = [\"192.0.2.0/24\"]\nuntrusted = \"digest\"").await;
    let sdp = msrp_sdp(ALICE, "active");
    let mut invite = scene.alice.invite("sip:bob@east.example", &sdp).await;
    let mut asked = scene.alice.response(&invite, 407).await;
    scene.alice.ack(&asked).await;
    invite = scene.alice.with_credentials(&invite, &asked, "alice", "wrong").await;
    asked = scene.alice.response(&invite, 407).await;
    scene.alice.ack(&asked).await;
    invite = scene.alice.with_credentials(&invite, &asked, "alice", "secret").await;
    let got = scene.bob.expect("INVITE").await;
    assert!(got.lines("Proxy-Authorization").is_empty(), "our credentials stay here");
    scene.bob.reply(&got, 180).await;
    scene.alice.response(&invite, 180).await;
}

/// A certificate that nobody vouches for, and what SDP says of it.
struct SelfSigned {
    chain: String,
    key: String,
    fingerprint: String,
}

impl SelfSigned {
    fn new() -> SelfSigned {
        let key = rcgen::KeyPair::generate().expect("a key");
        let params = rcgen::CertificateParams::new(vec!["bob.invalid".to_owned()]).expect("params");
        let certificate = params.self_signed(&key).expect("a certificate");
        let digest = <sha2::Sha256 as sha2::Digest>::digest(certificate.der());
        let pairs: Vec<String> = digest.iter().map(|octet| format!("{octet:02X}")).collect();
        let fingerprint = format!("SHA-256 {}", pairs.join(":"));
        SelfSigned { chain: certificate.pem(), key: key.serialize_pem(), fingerprint }
    }
}

/// A plain caller, a callee with TLS and a certificate of its own, known by its fingerprint; another one ends the call: SDP-61.
#[tokio::test]
async fn a_route_speaks_tls_and_knows_the_callee_by_its_fingerprint() {
    for right in [true, false] {
        let own = SelfSigned::new();
        let told = if right { own.fingerprint.clone() } else { SelfSigned::new().fingerprint };
        let mut scene = Scene::with(Udp, "[[sip.route]]\ndomain = \"*\"\nprotocol = \"tls\"\n").await;
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        let desk = Listener::bind_tls(here, "127.0.0.1", &own.chain, &own.key, None).await.expect("a listener");
        let invite = scene.alice.invite("sip:bob@east.example", &msrp_sdp(ALICE, "active")).await;
        let got = scene.bob.expect("INVITE").await;
        assert!(got.sdp().contains("TCP/TLS/MSRP") && got.sdp().contains("a=fingerprint:SHA-256 "), "{}", got.sdp());
        let more = format!("a=fingerprint:{told}\r\n");
        scene.bob.answer(&got, &sdp_version(desk.uri(), "passive", 1, &more)).await;
        let ok = scene.alice.response(&invite, 200).await;
        scene.alice.ack(&ok).await;
        scene.bob.expect("ACK").await;
        assert!(!ok.sdp().contains("TLS") && !ok.sdp().contains("fingerprint"), "Alice speaks plain TCP: {}", ok.sdp());
        let call = Call { to_alice: ok.path(), to_bob: got.path(), ok, invite: got };
        if right {
            let bob = timeout(PATIENCE, desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
            let alice = alices_endpoint(&call).await;
            let sending = alice.send_message(&call.to_alice, Some("text/plain"), "over TLS", SendOptions::default());
            let sending = sending.await.expect("sent");
            assert_eq!(heard(&bob).await, b"over TLS");
            timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered");
            scene.hang_up(&call).await;
        } else {
            // The relay hangs up on it, and both sides hear BYE within 4 s.
            let _ = timeout(PATIENCE, desk.accept(EndpointOptions::default())).await.expect("in time");
            for agent in [&mut scene.alice, &mut scene.bob] {
                let bye = agent.expect("BYE").await;
                assert!(bye.header("Reason").is_some_and(|reason| reason.contains("SIP;cause=")), "{bye}");
                agent.reply(&bye, 200).await;
            }
        }
        scene.empty().await;
    }
}

#[tokio::test]
async fn a_reload_changes_where_new_calls_go() {
    let mut scene = Scene::new(Udp).await;
    let call = scene.call(ALICE).await;
    let mut carol = Agent::udp("carol").await;
    let route = format!("outbound_proxy = \"sip:{};lr\"\nmax_calls = 2", carol.address());
    scene.relay.rewrite(&Wish { extra: &plane(&route), ..Wish::default() });
    let (status, body) = scene.relay.http("POST", "/reload", "");
    assert_eq!(status, 200, "{body}");
    let invite = scene.alice.invite("sip:carol@east.example", &msrp_sdp(ALICE, "active")).await;
    let got = carol.expect("INVITE").await;
    carol.reply(&got, 603).await;
    let refused = scene.alice.response(&invite, 603).await;
    scene.alice.ack(&refused).await;
    carol.expect("ACK").await;
    scene.hang_up(&call).await;
    scene.empty().await;
}

#[tokio::test]
async fn a_drain_takes_no_new_calls_and_waits_for_those_that_are() {
    let mut scene = Scene::new(Udp).await;
    let call = scene.call(ALICE).await;
    let bob = timeout(PATIENCE, scene.desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let alice = alices_endpoint(&call).await;
    scene.relay.signal("TERM");
    scene.relay.expect_log("draining");
    // Until the control plane has heard of it, too.
    for n in 0.. {
        assert!(n < 1000, "no drain");
        let options = scene.alice.request("OPTIONS", "sip:relay.example", Draft::new()).await;
        if scene.alice.final_response(&options).await.status() == 503 {
            break;
        }
    }
    let invite = scene.alice.invite("sip:bob@east.example", &msrp_sdp(ALICE, "active")).await;
    let refused = scene.alice.response(&invite, 503).await;
    assert!(refused.header("Retry-After").is_some());
    scene.alice.ack(&refused).await;
    let sending = alice.send_message(&call.to_alice, Some("text/plain"), "still here", SendOptions::default()).await;
    assert_eq!(heard(&bob).await, b"still here");
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
    scene.hang_up(&call).await;
    assert!(scene.relay.wait().success());
}
