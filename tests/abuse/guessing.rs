//! Guessing passwords: what counts, who is shut out, who is not, and for how long (RFC 4976 section 9.1).

use std::net::SocketAddr;
use std::time::Duration;

use chappe::client::{ClientError, Endpoint};
use chappe::msrp::Status;

use super::sip::Transport::{self, Tcp, Udp};
use super::sip::ua::{Agent, msrp_sdp};
use super::{Authority, Relay, Rules, client_from, comes_true, local, owner_from, plain, rest, talks};

const BANNED: &str = "chappe_connections_refused_total{reason=\"banned\"}";

async fn guess(endpoint: &Endpoint, relay: &Relay) {
    let refused = endpoint.authenticate(&relay.auth_uri("alice"), "alice", "guess", None).await;
    assert!(matches!(refused, Err(ClientError::Refused(Status::UNAUTHORIZED))), "{refused:?}");
}

fn is_shut_out(n: u8, relay: &Relay) -> bool {
    let before = relay.metric(BANNED);
    assert!(rest(&mut plain(local(n), relay.tls)).is_empty());
    relay.metric(BANNED) > before
}

#[tokio::test]
async fn an_address_that_guesses_is_shut_out_and_its_sessions_go_on() {
    let authority = Authority::new();
    // Silence at the TLS port ends a connection, too: soon, so that a test that waits for one does not take long.
    let auth = "ban_after = 4\nban_time = \"3s\"\nban_exempt = []";
    let rules = Rules { auth, limits: "handshake_timeout = \"200ms\"", ..Rules::default() };
    let mut relay = rules.start(&authority);
    let (alice, a) = owner_from(local(2), &relay, &authority, "alice").await;
    let (bob, b) = owner_from(local(3), &relay, &authority, "bob").await;
    let waiting = client_from(local(2), &relay, &authority).await.expect("a connection");
    let first = client_from(local(2), &relay, &authority).await.expect("a connection");
    for _ in 0..3 {
        guess(&first, &relay).await;
    }
    assert!(!is_shut_out(2, &relay), "three failures are one link's worth");
    guess(&client_from(local(2), &relay, &authority).await.expect("a connection"), &relay).await;
    let line = relay.expect_log("address banned");
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!((&line["peer"], &line["failures"], &line["seconds"]), (&"127.0.0.2".into(), &4.into(), &3.into()));
    assert!(is_shut_out(2, &relay));
    assert!(!is_shut_out(3, &relay), "another address is none of it");
    // The right password is no use where none is looked at, except to who has a session.
    let late = waiting.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await;
    assert!(matches!(late, Err(ClientError::Refused(Status::FORBIDDEN))), "{late:?}");
    alice.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a session is refreshed");
    talks(&alice, &a, "from a banned address").await;
    talks(&bob, &b, "from another").await;
    comes_true("the ban ends", || !is_shut_out(2, &relay)).await;
    owner_from(local(2), &relay, &authority, "alice").await;
    assert_eq!((relay.metric("chappe_bans_total"), relay.metric("chappe_auth_failures_total")), (1.0, 4.0));
}

#[tokio::test]
async fn an_exempt_address_is_never_shut_out_and_a_reload_lifts_a_ban() {
    let authority = Authority::new();
    let rules = |auth| Rules { auth, limits: "handshake_timeout = \"200ms\"", ..Rules::default() };
    let relay = rules("ban_after = 3\nban_time = \"1h\"\nban_exempt = [\"127.0.0.3\"]").start(&authority);
    for n in [2, 3] {
        let link = client_from(local(n), &relay, &authority).await.expect("a connection");
        for _ in 0..3 {
            guess(&link, &relay).await;
        }
    }
    comes_true("the ban begins", || is_shut_out(2, &relay)).await;
    assert!(!is_shut_out(3, &relay));
    let lifted = rules("ban_after = 3\nban_time = \"1h\"\nban_exempt = [\"127.0.0.0/8\"]").text();
    std::fs::write(relay.path("chappe.toml"), lifted).expect("a file");
    assert_eq!(relay.http("POST", "/reload", "").0, 200);
    assert!(!is_shut_out(2, &relay));
}

/// Failures in SIP count as those in MSRP do, except over UDP, where anybody could have the ban of anybody else.
#[tokio::test]
async fn guesses_over_sip_count_where_their_source_is_real() {
    for (transport, shut_out) in [(Udp, false), (Tcp, true)] {
        let authority = Authority::new();
        let extra = "[sip]\ntrusted = [\"192.0.2.0/24\"]\nuntrusted = \"digest\"\nresolve = false\n\
                     [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n\
                     [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n";
        let auth = "ban_after = 3\nban_time = \"1h\"\nban_exempt = []";
        let rules = Rules { auth, extra, limits: "handshake_timeout = \"200ms\"", ..Rules::default() };
        let mut relay = rules.start(&authority);
        let address = relay.sip(transport.name());
        guess_by_sip(transport, address).await;
        let line = relay.expect_log("authentication failed");
        assert_eq!(line.contains("datagram"), !shut_out, "{line}");
        relay.metric_becomes("chappe_auth_failures_total", 3.0).await;
        assert_eq!(relay.metric("chappe_bans_total"), if shut_out { 1.0 } else { 0.0 });
        assert_eq!(is_shut_out(1, &relay), shut_out, "{transport:?}");
    }
}

async fn guess_by_sip(transport: Transport, address: SocketAddr) {
    let mut caller = Agent::new("alice", transport).await.through(address);
    let sdp = msrp_sdp("msrp://127.0.0.1:9/alice7tB2mXv9;tcp", "active");
    let mut invite = caller.invite("sip:bob@east.example", &sdp).await;
    for _ in 0..3 {
        let asked = caller.response(&invite, 407).await;
        caller.ack(&asked).await;
        invite = caller.with_credentials(&invite, &asked, "alice", "guess").await;
    }
    let asked = caller.response(&invite, 407).await;
    caller.ack(&asked).await;
}

/// The limit of AUTHs in a minute holds for right passwords, too: a store behind a network is not to be tried out.
#[tokio::test]
async fn an_address_authenticates_so_often_in_a_minute() {
    let authority = Authority::new();
    let relay = Rules { limits: "auths_per_address_per_minute = 5", ..Rules::default() }.start(&authority);
    for _ in 0..5 {
        owner_from(local(2), &relay, &authority, "alice").await;
    }
    let sixth = client_from(local(2), &relay, &authority).await.expect("a connection");
    let refused = sixth.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await;
    assert!(matches!(refused, Err(ClientError::Refused(Status::FORBIDDEN))), "{refused:?}");
    tokio::time::timeout(Duration::from_secs(10), owner_from(local(3), &relay, &authority, "bob"))
        .await
        .expect("served");
}
