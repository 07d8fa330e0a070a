//! Kamailio and Chappe beside each other, both with the files of `config/kamailio/` on other ports.

use rstest::rstest;
use serde_json::Value;

use super::scene::{MOMENT, carries, empty, join, joined, listener, shipped};
use super::sip::Transport::{self, Tcp, Udp};
use super::sip::kamailio::{Kamailio, Wish};
use super::sip::ua::{Agent, Draft, Message, msrp_sdp, sdp_version};
use super::support::{self, Authority, Relay};

/// Both servers, and two users who have registered.
struct Site {
    kamailio: Kamailio,
    relay: Relay,
    alice: Agent,
    bob: Agent,
}

impl Site {
    async fn new(wish: Wish, ways: [Transport; 2]) -> Site {
        let kamailio = Kamailio::start(&wish).await;
        let relay = beside(&kamailio);
        let passwords = if wish.auth { [Some("secret"), Some("hunter2")] } else { [None, None] };
        let mut alice = Agent::new("alice", ways[0]).await.through(kamailio.address());
        let mut bob = Agent::new("bob", ways[1]).await.through(kamailio.address());
        alice.register(kamailio.address(), passwords[0]).await;
        bob.register(kamailio.address(), passwords[1]).await;
        Site { kamailio, relay, alice, bob }
    }

    /// Alice calls Bob's address of record.
    async fn call(&mut self, draft: Draft) -> Message {
        self.alice.request("INVITE", &self.kamailio.uri("bob"), draft).await
    }

    /// Bob takes it: what Alice has heard, and what Bob.
    async fn take(&mut self, invite: &Message, answer: &str) -> (Message, Message) {
        let got = self.bob.expect("INVITE").await;
        self.bob.reply(&got, 180).await;
        self.alice.response(invite, 180).await;
        self.bob.answer(&got, answer).await;
        let ok = self.alice.response(invite, 200).await;
        self.alice.ack(&ok).await;
        self.bob.expect("ACK").await;
        (ok, got)
    }

    async fn hang_up(&mut self, call: &Message) {
        let bye = self.alice.within(call, "BYE", Draft::new()).await;
        let heard = self.bob.expect("BYE").await;
        self.bob.reply(&heard, 200).await;
        self.alice.response(&bye, 200).await;
    }

    async fn over(mut self) {
        empty(&self.relay).await;
        self.alice.quiet();
        self.bob.quiet();
    }
}

/// Chappe with the file that is shipped, where this Kamailio looks for it.
fn beside(kamailio: &Kamailio) -> Relay {
    let (chappe, inner) = (kamailio.chappe().to_string(), kamailio.inner().to_string());
    let text = shipped(
        "kamailio/chappe.toml",
        &[
            ("127.0.0.1:2855", "127.0.0.1:0"),
            ("127.0.0.1:2856", "127.0.0.1:0"),
            ("127.0.0.1:9855", "127.0.0.1:0"),
            ("127.0.0.1:5070", &chappe),
            ("127.0.0.1:5062", &inner),
        ],
    );
    let mut relay = Relay::with_text(&Authority::new(), &support::Wish::default(), &text);
    assert_eq!(relay.sip("TCP"), kamailio.chappe());
    relay
}

#[rstest]
#[case([Udp, Udp])]
#[case([Tcp, Tcp])]
#[case([Udp, Tcp])]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn two_registered_clients_chat(#[case] ways: [Transport; 2]) {
    let mut site = Site::new(Wish::default(), ways).await;
    let (alices, desk) = (listener().await, listener().await);
    let offer = msrp_sdp(alices.uri(), "active");
    let invite = site.call(Draft::sdp(&offer)).await;
    let (ok, got) = site.take(&invite, &msrp_sdp(desk.uri(), "passive")).await;
    let (to_alice, to_bob) = (ok.path(), got.path());
    assert!(!String::from_utf8_lossy(&got.raw).contains(alices.uri()), "{got}");
    assert_eq!(got.uri(), site.bob.uri(), "where Bob has registered");
    let alice = join(&site.relay, &to_alice, alices.uri()).await;
    let bob = joined(&desk).await;
    carries((&alice, &to_alice), (&bob, &to_bob)).await;

    let (_, text) = site.relay.http("GET", "/sessions", "");
    let legs: Value = serde_json::from_str(&text).expect("JSON");
    let legs = legs.as_array().or(legs["sessions"].as_array()).expect("a list").clone();
    assert_eq!(legs.len(), 2, "{text}");
    assert_eq!(legs[0]["anchor"], legs[1]["anchor"], "{text}");

    // Within the call, by the recorded route: on hold, and a word beside it.
    let hold = sdp_version(desk.uri(), "passive", 2, "a=sendonly\r\n");
    let invite = site.bob.reinvite(&got, &hold).await;
    let heard = site.alice.expect("INVITE").await;
    assert_eq!((heard.path(), heard.attributes("sendonly").len()), (to_alice, 1));
    site.alice.answer(&heard, &sdp_version(alices.uri(), "active", 2, "a=recvonly\r\n")).await;
    let held = site.bob.response(&invite, 200).await;
    assert_eq!((held.path(), held.attributes("recvonly").len()), (to_bob, 1));
    site.bob.ack(&held).await;
    site.alice.expect("ACK").await;
    let info = site.alice.within(&ok, "INFO", Draft::new().body("text/plain", "word")).await;
    let heard = site.bob.expect("INFO").await;
    assert_eq!(heard.body, b"word");
    site.bob.reply(&heard, 200).await;
    site.alice.response(&info, 200).await;
    site.hang_up(&ok).await;
    site.over().await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_caller_gives_up_and_a_callee_refuses(#[values(Udp, Tcp)] transport: Transport) {
    let mut site = Site::new(Wish::default(), [transport; 2]).await;
    let alices = listener().await;
    let offer = msrp_sdp(alices.uri(), "actpass");
    let invite = site.call(Draft::sdp(&offer)).await;
    let got = site.bob.expect("INVITE").await;
    site.bob.reply(&got, 180).await;
    site.alice.response(&invite, 180).await;
    let cancel = site.alice.cancel(&invite, Draft::new()).await;
    site.alice.response(&cancel, 200).await;
    let heard = site.bob.expect("CANCEL").await;
    site.bob.reply(&heard, 200).await;
    site.bob.reply(&got, 487).await;
    let ended = site.alice.response(&invite, 487).await;
    site.alice.ack(&ended).await;
    site.bob.expect("ACK").await;

    let invite = site.call(Draft::sdp(&offer)).await;
    let got = site.bob.expect("INVITE").await;
    site.bob.reply_with(&got, 486, Draft::new().header("Retry-After", "7")).await;
    let refused = site.alice.response(&invite, 486).await;
    assert_eq!(refused.need("Retry-After"), "7");
    site.alice.ack(&refused).await;
    site.bob.expect("ACK").await;

    let nobody = site.alice.invite(&site.kamailio.uri("carol"), &offer).await;
    let refused = site.alice.response(&nobody, 404).await;
    site.alice.ack(&refused).await;
    site.over().await;
}

/// Kamailio forks behind Chappe: both ring, one takes it, the other is told that it is over.
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_callee_with_two_devices() {
    let mut site = Site::new(Wish::default(), [Udp, Udp]).await;
    let mut other = Agent::tcp("bob").await;
    other.register(site.kamailio.address(), None).await;
    let (alices, desk) = (listener().await, listener().await);
    let offer = msrp_sdp(alices.uri(), "active");
    let invite = site.call(Draft::sdp(&offer)).await;
    let rung = other.expect("INVITE").await;
    other.reply(&rung, 180).await;
    site.alice.response(&invite, 180).await;
    let (ok, got) = site.take(&invite, &msrp_sdp(desk.uri(), "passive")).await;
    let cancel = other.expect("CANCEL").await;
    other.reply(&cancel, 200).await;
    other.reply(&rung, 487).await;
    other.expect("ACK").await;
    let (to_alice, to_bob) = (ok.path(), got.path());
    let alice = join(&site.relay, &to_alice, alices.uri()).await;
    let bob = joined(&desk).await;
    carries((&alice, &to_alice), (&bob, &to_bob)).await;
    site.hang_up(&ok).await;
    site.over().await;
    other.quiet();
}

/// An offer in the 200 goes to Chappe only where the operator wants that.
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_late_offer() {
    for wanted in [true, false] {
        let mut site = Site::new(Wish { late_offers: wanted, ..Wish::default() }, [Udp, Tcp]).await;
        let (alices, desk) = (listener().await, listener().await);
        let invite = site.call(Draft::new()).await;
        let got = site.bob.expect("INVITE").await;
        site.bob.answer(&got, &msrp_sdp(desk.uri(), "actpass")).await;
        let ok = site.alice.response(&invite, 200).await;
        site.alice.ack_with(&ok, Draft::sdp(&msrp_sdp(alices.uri(), "active"))).await;
        let ack = site.bob.expect("ACK").await;
        let told = if wanted { [true, true] } else { [false, false] };
        assert_eq!([ok.path() != desk.uri(), ack.path() != alices.uri()], told);
        site.hang_up(&ok).await;
        site.over().await;
    }
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_without_msrp_passes_chappe_by() {
    let mut site = Site::new(Wish::default(), [Udp, Udp]).await;
    let audio = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    let invite = site.call(Draft::sdp(audio)).await;
    let (ok, _) = site.take(&invite, &audio.replace("4000", "4002")).await;
    assert_eq!(ok.sdp(), audio.replace("4000", "4002"));
    site.hang_up(&ok).await;
    tokio::time::sleep(MOMENT).await;
    assert!(site.relay.metric("chappe_sip_messages_total") == 0.0, "Chappe has heard of it");
    site.over().await;
}

/// Kamailio asks who it is; Chappe sees no password.
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn users_with_passwords() {
    let mut site = Site::new(Wish { auth: true, ..Wish::default() }, [Tcp, Udp]).await;
    let (alices, desk) = (listener().await, listener().await);
    let from = format!("<{}>;tag=own", site.kamailio.uri("alice"));
    let offer = Draft::sdp(&msrp_sdp(alices.uri(), "active")).instead("From", &from);
    let first = site.call(offer).await;
    let asked = site.alice.response(&first, 407).await;
    site.alice.ack(&asked).await;
    assert!(site.relay.metric("chappe_sip_messages_total") == 0.0, "Chappe has heard of it");
    let invite = site.alice.with_credentials(&first, &asked, "alice", "secret").await;
    let (ok, got) = site.take(&invite, &msrp_sdp(desk.uri(), "passive")).await;
    assert!(got.lines("Proxy-Authorization").is_empty(), "{got}");
    let (to_alice, to_bob) = (ok.path(), got.path());
    let alice = join(&site.relay, &to_alice, alices.uri()).await;
    let bob = joined(&desk).await;
    carries((&alice, &to_alice), (&bob, &to_bob)).await;
    site.hang_up(&ok).await;
    site.over().await;
}
