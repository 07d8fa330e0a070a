//! Certificates that have expired, or are replaced while everything runs.

use std::fs;
use std::time::Duration;

use chappe::client::{ClientError, Endpoint};
use chappe::msrp::Status;

use crate::scene::{Bystanders, PEER, Pair, one_shard, owner, reported, send};
use crate::support::{Authority, Relay, Wish};

fn install(relay: &Relay, (chain, key): (String, String)) {
    fs::write(relay.path("server.crt"), chain).expect("file");
    fs::write(relay.path("server.key"), key).expect("file");
}

fn reload(relay: &Relay) -> (u16, String) {
    relay.http("POST", "/reload", "")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_next_hop_whose_certificate_has_expired() {
    let authority = Authority::new();
    let peer = Wish { extra: PEER, ..one_shard("") };
    let (mut north, mut south) = (Relay::start(&authority, &peer), Relay::start(&authority, &peer));
    let bystanders = Bystanders::at(&north, &authority).await;
    // Both sessions are there before; only the relays have no link yet.
    let pair = Pair::new(&north, &south, &authority).await;
    install(&south, authority.issue_expired(&["localhost"]));
    let (status, text) = reload(&south);
    assert_eq!(status, 200, "{text}");
    // The expired relay's operator is told, before anybody complains.
    let line = south.expect_log("tls.certificate has expired");
    assert!(line.contains("WARN"), "{line}");
    let mut sending = send(&pair.alice, &pair.to_bob, "who are you?").await;
    let after = reported(&mut sending, Status::TIMEOUT, Duration::from_secs(5)).await;
    println!("an expired certificate was told after {after:?}");
    let line = north.expect_log("next hop not reached");
    assert!(line.contains("expired") || line.contains("Expired"), "{line}");
    // A client that comes now refuses it, too; those who are there stay.
    let fresh = Endpoint::connect_tls(south.tls, "localhost", &authority.pem, None).await;
    assert!(matches!(fresh, Err(ClientError::Tls(_))), "an expired certificate was accepted");
    install(&south, authority.issue(&["localhost"]));
    assert_eq!(reload(&south).0, 200);
    pair.talk("renewed").await;
    bystanders.finish("expired certificate").await;
}

/// A peer relay whose own certificate has expired is no peer any more: it is a stranger, and as one it is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_previous_hop_whose_certificate_has_expired() {
    let authority = Authority::new();
    let peer = Wish { extra: PEER, ..one_shard("") };
    let (mut north, south) = (Relay::start(&authority, &peer), Relay::start(&authority, &peer));
    let bystanders = Bystanders::at(&south, &authority).await;
    let pair = Pair::new(&north, &south, &authority).await;
    install(&north, authority.issue_expired(&["localhost"]));
    assert_eq!(reload(&north).0, 200);
    north.expect_log("tls.certificate has expired");
    pair.talk("it is me").await;
    bystanders.finish("expired previous hop").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replaced_twenty_times_under_load() {
    let authority = Authority::new();
    let mut relay = Relay::start(&authority, &Wish::default());
    let mut bystanders = Bystanders::at(&relay, &authority).await;
    let pair = Pair::new(&relay, &relay, &authority).await;
    for n in 0..20 {
        // One that does not fit its key, half a file, none at all: the one in force stays in force.
        match n % 4 {
            1 => {
                let (chain, _) = authority.issue(&["localhost"]);
                fs::write(relay.path("server.crt"), chain).expect("file");
            }
            2 => {
                let (chain, _) = authority.issue(&["localhost"]);
                fs::write(relay.path("server.crt"), &chain[..chain.len() / 2]).expect("file");
            }
            3 => fs::remove_file(relay.path("server.key")).expect("file"),
            _ => install(&relay, authority.issue(&["localhost"])),
        }
        let (status, text) = reload(&relay);
        assert_eq!(status, if n % 4 == 0 { 200 } else { 422 }, "{text}");
        assert!(status == 200 || text.contains("certificate") || text.contains("server.key"), "{text}");
        // Newcomers are served in between, and the files that were there before are good for a reload again.
        let (newcomer, _) = owner(&relay, &authority, "alice").await;
        pair.talk(&format!("after reload {n}")).await;
        newcomer.close().await;
        bystanders.go_on(2).await;
    }
    let line = relay.expect_log("configuration not reloaded");
    assert!(line.contains("ERROR") && line.contains("the old one stays in force"), "{line}");
    // Another authority: those who trust it come in, and nobody who is there has to leave.
    let other = Authority::new();
    install(&relay, other.issue(&["localhost"]));
    assert_eq!(reload(&relay).0, 200);
    Endpoint::connect_tls(relay.tls, "localhost", &other.pem, None).await.expect("the new certificate");
    pair.talk("at last").await;
    bystanders.finish("certificates replaced").await;
}

#[test]
fn an_expired_certificate_is_told_at_start_and_by_check() {
    let authority = Authority::new();
    let mut relay = Relay::start(&authority, &Wish::default());
    install(&relay, authority.issue_expired(&["localhost"]));
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_chappe"))
        .args(["check", "--config"])
        .arg(relay.path("chappe.toml"))
        .output()
        .expect("runs");
    let text = String::from_utf8_lossy(&check.stderr);
    assert!(check.status.success() && text.contains("tls.certificate has expired"), "{text}");
    assert!(!relay.read_log().contains("expired"));
}
