//! A phone that vanishes without a word: in a network namespace whose link goes down. Needs root; takes up to two minutes.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use chappe::client::Endpoint;
use support::{Authority, Relay, Wish};

const NAMESPACE: &str = "chappe-vanished";
const HERE: &str = "chappe-van0";
const THERE: &str = "chappe-van1";

/// The relay's host and a link to it; both go with the test.
struct Network;

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("ip (package iproute2) runs");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Network {
    fn new() -> Network {
        // Left over from a run that was killed.
        let _ = Command::new("ip").args(["netns", "del", NAMESPACE]).output();
        let _ = Command::new("ip").args(["link", "del", HERE]).output();
        ip(&format!("netns add {NAMESPACE}"));
        ip(&format!("link add {HERE} type veth peer name {THERE}"));
        ip(&format!("link set {THERE} netns {NAMESPACE}"));
        ip(&format!("addr add 10.197.83.1/30 dev {HERE}"));
        ip(&format!("link set {HERE} up"));
        ip(&format!("netns exec {NAMESPACE} ip addr add 10.197.83.2/30 dev {THERE}"));
        ip(&format!("netns exec {NAMESPACE} ip link set {THERE} up"));
        ip(&format!("netns exec {NAMESPACE} ip link set lo up"));
        Network
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", NAMESPACE]).output();
        let _ = Command::new("ip").args(["link", "del", HERE]).output();
    }
}

#[tokio::test]
#[cfg_attr(debug_assertions, ignore = "needs a release build")]
async fn a_vanished_phone_frees_its_session_within_two_minutes() {
    let _network = Network::new();
    let authority = Authority::new();
    let wish = Wish {
        address: "10.197.83.2",
        namespace: Some(NAMESPACE),
        log: "debug",
        extra: "[records]\npath = \"records.jsonl\"\n",
        ..Wish::default()
    };
    let relay = Relay::start(&authority, &wish);
    let phone = Endpoint::connect_tls(relay.tls, "localhost", &authority.pem, None).await.expect("a connection");
    phone.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    // From now on nothing passes: neither octets nor FIN nor RST.
    ip(&format!("link set {HERE} down"));
    let gone = Instant::now();
    let records = loop {
        let records = std::fs::read_to_string(relay.path("records.jsonl")).unwrap_or_default();
        if records.contains("owner_gone") {
            break records;
        }
        assert!(gone.elapsed() < Duration::from_secs(120), "the session is still there after two minutes");
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    println!("the session was freed after {:.0} s", gone.elapsed().as_secs_f64());
    assert!(records.contains("\"alice\""), "{records}");
}
