//! Calls between the relay's own clients and everybody else (RFC 4976 with RFC 4975 section 8): who has a token of the relay
//! puts it into what it says, and the other side is anchored all the same (SDP-95).

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;
mod support;

use chappe::client::{Endpoint, EndpointOptions, Grant, SendOptions};
use rstest::rstest;
use sip::Transport::Udp;
use sip::ua::{Agent, Draft, Message, sdp_version};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::time::timeout;

const ALICE: &str = "msrps://alice.invalid:2855/alice7tB2mXv9;tcp";
const BOB: &str = "msrps://bob.invalid:2855/bob7tB2mXv9;tcp";
const PLANE: &str = "[sip]\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n\
                     [sip.media]\naccept_loopback = true\n";

/// A connection to the relay, as the session with this URI.
async fn connect(relay: &Relay, authority: &Authority, uri: &str) -> Endpoint {
    let options = EndpointOptions { uri: Some(uri.to_owned()), collect: 16 << 20, ..EndpointOptions::default() };
    let connected = Endpoint::connect_tls_with(relay.tls, &relay.name, &authority.pem, None, options);
    connected.await.expect("a connection")
}

/// Bob has a token of the relay.
async fn client(relay: &Relay, authority: &Authority) -> (Endpoint, Grant) {
    let bob = connect(relay, authority, BOB).await;
    let grant = bob.authenticate(&relay.auth_uri("bob"), "bob", "hunter2", None).await.expect("a grant");
    (bob, grant)
}

/// Alice's INVITE, as she sent it and as it has come.
async fn rings(caller: &mut Agent, callee: &mut Agent) -> (Message, Message) {
    let sdp = sdp_version(ALICE, "active", 1, "");
    let invite = caller.request("INVITE", &callee.uri(), Draft::sdp(&sdp)).await;
    (invite, callee.expect("INVITE").await)
}

/// The body of the next message that has one.
async fn heard(endpoint: &Endpoint) -> Vec<u8> {
    loop {
        let body = next_message(endpoint).await.body.expect("a whole body");
        if !body.is_empty() {
            return body.to_vec();
        }
    }
}

/// Messages with their REPORTs, and a file of 2 MiB, from one end to the other.
async fn says(from: &Endpoint, path: &str, to: &Endpoint, who: &str) {
    for n in 0..5 {
        let text = format!("{n} of {who}");
        let options = SendOptions { success_report: true, ..SendOptions::default() };
        let sending = from.send_message(path, Some("text/plain"), text.clone(), options).await.expect("sent");
        assert_eq!(heard(to).await, text.as_bytes());
        assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered").reported());
    }
    let file: Vec<u8> = (0..2u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let kind = Some("application/octet-stream");
    let sending = from.send_message(path, kind, file.clone(), SendOptions::default()).await.expect("sent");
    assert!(heard(to).await == file, "the file of {who}");
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered");
}

/// Bob is a client of the relay and is called by Alice, who is not. `setup` says whether he waits for a first message.
#[rstest]
#[tokio::test]
async fn a_called_client_answers_through_the_relay(
    #[values(1, 2, 3)] shards: usize,
    #[values("passive", "active")] setup: &str,
) {
    let authority = Authority::new();
    let mut relay = Relay::start(&authority, &Wish { shards, extra: PLANE, ..Wish::default() });
    let plane = relay.sip("UDP");
    let mut callee = Agent::new("bob", Udp).await;
    let mut caller = Agent::new("alice", Udp).await.through(plane);
    // So many that they are not all at home where the anchor is.
    for round in 0..3 {
        let (bob, grant) = client(&relay, &authority).await;
        let (invite, got) = rings(&mut caller, &mut callee).await;
        let own = grant.own_path(BOB);
        callee.answer(&got, &sdp_version(&own, setup, 1, "")).await;
        let ok = caller.response(&invite, 200).await;
        caller.ack(&ok).await;
        callee.expect("ACK").await;
        assert!(!ok.sdp().contains(&grant.use_path[0]) && !ok.sdp().contains(BOB), "SDP-99: {ok}");
        let alice = connect(&relay, &authority, ALICE).await;
        let (to_bob, to_alice) = (ok.path(), grant.to_path(&got.path()));
        tokio::join!(says(&alice, &to_bob, &bob, "Alice"), says(&bob, &to_alice, &alice, "Bob"));
        assert_eq!((relay.metric("chappe_anchors"), relay.metric("chappe_sessions")), (1.0, 3.0), "round {round}");
        caller.hang_up(&ok).await;
        let bye = callee.expect("BYE").await;
        callee.reply(&bye, 200).await;
        relay.metric_becomes("chappe_anchors", 0.0).await;
        // The client is at home, and goes on with other sessions.
        relay.metric_becomes("chappe_sessions", 1.0).await;
        let refused =
            bob.send_message(&to_alice, Some("text/plain"), "late", SendOptions::default()).await.expect("sent");
        timeout(PATIENCE, refused.outcome()).await.expect("in time").expect_err("the call is over");
        bob.close().await;
        relay.metric_becomes("chappe_sessions", 0.0).await;
    }
    relay.metric_becomes("chappe_sip_calls", 0.0).await;
    relay.metric_becomes("chappe_pending_sends", 0.0).await;
}

/// Bob answers by a token that is dead by then, wherever it was at home: nobody is told that the call stands.
#[rstest]
#[tokio::test]
async fn an_answer_through_a_dead_token_is_none(#[values(1, 2, 3)] shards: usize) {
    let authority = Authority::new();
    let mut relay = Relay::start(&authority, &Wish { shards, extra: PLANE, ..Wish::default() });
    let plane = relay.sip("UDP");
    let mut callee = Agent::new("bob", Udp).await;
    let mut caller = Agent::new("alice", Udp).await.through(plane);
    // So many that they are not all at home where the anchor is.
    for _ in 0..6 {
        let (bob, grant) = client(&relay, &authority).await;
        let (invite, got) = rings(&mut caller, &mut callee).await;
        bob.close().await;
        relay.metric_becomes("chappe_sessions", 2.0).await;
        callee.answer(&got, &sdp_version(&grant.own_path(BOB), "passive", 1, "")).await;
        callee.expect("ACK").await;
        let bye = callee.expect("BYE").await;
        callee.reply(&bye, 200).await;
        let refused = caller.response(&invite, 502).await;
        caller.ack(&refused).await;
        relay.metric_becomes("chappe_anchors", 0.0).await;
    }
    relay.metric_becomes("chappe_sip_calls", 0.0).await;
}
