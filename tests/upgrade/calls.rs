//! Calls while a new process takes over: those that are there go on, new ones are served, on the same port and the same connections.

use std::net::SocketAddr;

use chappe::client::{Endpoint, EndpointOptions, Listener, SendOptions};
use rstest::rstest;
use tokio::time::timeout;

use crate::sip::Transport::{self, Tcp, Udp};
use crate::sip::ua::{Agent, Draft, Message, msrp_sdp};
use crate::support::{Authority, PATIENCE, Relay, Wish, next_message};
use crate::with_engine;

const ALICE: &str = "msrp://127.0.0.1:9/alice7tB2mXv9;tcp";

/// A call that has been taken, with its endpoints.
struct Call {
    ok: Message,
    invite: Message,
    alice: Endpoint,
    bob: Endpoint,
}

/// Alice calls, Bob takes it, and both write.
async fn call(alice: &mut Agent, bob: &mut Agent) -> Call {
    // One for each: calls to the same place would share a connection.
    let desk = Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a listener");
    let invite = alice.invite("sip:bob@east.example", &msrp_sdp(ALICE, "active")).await;
    let got = bob.expect("INVITE").await;
    bob.reply(&got, 180).await;
    alice.response(&invite, 180).await;
    bob.answer(&got, &msrp_sdp(desk.uri(), "passive")).await;
    let ok = alice.response(&invite, 200).await;
    alice.ack(&ok).await;
    bob.expect("ACK").await;
    let place = ok.path().strip_prefix("msrp://").and_then(|u| u.split('/').next().map(str::to_owned)).expect("a URI");
    let place = place.replace("localhost", "127.0.0.1").parse().expect("an address");
    let options = EndpointOptions { uri: Some(ALICE.to_owned()), ..EndpointOptions::default() };
    let at_alice = Endpoint::connect_tcp_with(place, options).await.expect("a connection");
    let at_bob = timeout(PATIENCE, desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let call = Call { ok, invite: got, alice: at_alice, bob: at_bob };
    chat(&call).await;
    call
}

async fn heard(endpoint: &Endpoint) -> Vec<u8> {
    loop {
        let body = next_message(endpoint).await.body.expect("a whole body");
        if !body.is_empty() {
            return body.to_vec();
        }
    }
}

async fn chat(call: &Call) {
    for (from, to, path) in [(&call.alice, &call.bob, call.ok.path()), (&call.bob, &call.alice, call.invite.path())] {
        for n in 0..5 {
            let text = format!("number {n}");
            let sending = from.send_message(&path, Some("text/plain"), text.clone(), SendOptions::default()).await;
            assert_eq!(heard(to).await, text.as_bytes());
            timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
        }
    }
}

async fn hang_up(from: &mut Agent, handle: &Message, to: &mut Agent) {
    let bye = from.within(handle, "BYE", Draft::new()).await;
    from.response(&bye, 200).await;
    let heard = to.expect("BYE").await;
    to.reply(&heard, 200).await;
}

#[rstest]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_outlive_the_process_that_took_them_in(#[values(Udp, Tcp)] transport: Transport) {
    let mut bob = Agent::new("bob", transport).await;
    let param = if transport == Tcp { ";transport=tcp" } else { "" };
    let plane = format!(
        "[sip]\noutbound_proxy = \"sip:{}{param};lr\"\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n\
         [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n[sip.media]\naccept_loopback = true\n",
        bob.address()
    );
    let wish = Wish { relay: "handover = \"handover.sock\"", extra: &plane, ..Wish::default() };
    let mut old = Relay::with_text(&Authority::new(), &wish, &with_engine("tokio", &wish));
    let address = old.sip(transport.name());
    let mut alice = Agent::new("alice", transport).await.through(address);
    let first = call(&mut alice, &mut bob).await;

    let mut new = old.beside(&wish);
    assert_eq!(new.sip(transport.name()), address);
    old.expect_log("a new process serves");
    // The same phones, the same port, the same connection: a new call, and what happens within the old one.
    let second = call(&mut alice, &mut bob).await;
    new.metric_becomes("chappe_sip_calls", 1.0).await;
    for handle in [&first, &second] {
        let again = alice.within(&handle.ok, "INVITE", Draft::sdp(&msrp_sdp(ALICE, "active"))).await;
        let same = alice.response(&again, 200).await;
        assert_eq!(same.sdp(), handle.ok.sdp(), "each process answers for its own call");
        alice.ack(&same).await;
        chat(handle).await;
    }
    old.expect_log("draining");
    let third = call(&mut alice, &mut bob).await;
    hang_up(&mut bob, &second.invite, &mut alice).await;
    new.metric_becomes("chappe_sip_calls", 1.0).await;
    chat(&first).await;
    hang_up(&mut alice, &first.ok, &mut bob).await;
    assert!(old.wait().success());
    new.expect_log("the process before has ended");

    // Without it: its port is read here, and who was connected to it comes here.
    chat(&third).await;
    if transport == Tcp {
        alice.cut().await;
    }
    let fourth = call(&mut alice, &mut bob).await;
    hang_up(&mut alice, &fourth.ok, &mut bob).await;
    hang_up(&mut alice, &third.ok, &mut bob).await;
    for gauge in ["chappe_sip_calls", "chappe_sip_dialogs", "chappe_sip_anchors", "chappe_anchors", "chappe_sessions"] {
        new.metric_becomes(gauge, 0.0).await;
    }
    alice.quiet();
    bob.quiet();
}
