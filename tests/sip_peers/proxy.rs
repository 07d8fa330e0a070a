//! What Kamailio does with the configuration that is shipped.

use rstest::rstest;

use crate::between::register;
use crate::sip::Transport::{self, Tcp, Udp};
use crate::sip::kamailio::{Kamailio, Wish};
use crate::sip::sipp::Script;
use crate::sip::ua::{Agent, Draft, msrp_sdp, sdp_version};
use crate::{A, A2, B, B2};

/// Kamailio forks: one device rings until it is told that the other one has taken the call.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_forks_to_two_devices(#[values(Udp, Tcp)] transport: Transport) {
    let kamailio = Kamailio::start(&Wish { without_chappe: true, ..Wish::default() }).await;
    let mut rings = Script::callee("uas_cancel", transport).start().await;
    let mut takes = Script::callee("uas_basic", transport).start().await;
    for device in [&rings, &takes] {
        register(&kamailio, "bob", &device.uri("bob"), transport, None).await;
    }
    let mut caller = Script::caller("uac_basic", transport, kamailio.address()).start().await;
    caller.end().await;
    takes.end().await;
    rings.end().await;
    assert_eq!(rings.all_logged("cancelled"), [""]);
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_asks_for_passwords() {
    let kamailio = Kamailio::start(&Wish { auth: true, without_chappe: true, ..Wish::default() }).await;
    let mut callee = Script::callee("uas_basic", Udp).start().await;
    register(&kamailio, "bob", &callee.uri("bob"), Udp, Some("hunter2")).await;
    // Nobody registers for somebody else, or with a wrong password.
    for (user, password) in [("alice", "hunter2"), ("alice", "wrong"), ("carol", "secret")] {
        let script = Script::caller("uac_register", Udp, kamailio.address()).user("alice");
        let script = script.key("contact", "sip:alice@127.0.0.1:9").options(&["-au", user, "-ap", password]);
        let mut refused = script.start().await;
        assert_eq!(refused.end_anyhow().await, Some(1), "{user} {password}");
    }
    // A caller of its own domain is asked; who calls from elsewhere is not.
    let mut alice = Agent::udp("alice").await.through(kamailio.address());
    alice.register(kamailio.address(), Some("secret")).await;
    let from = format!("<{}>;tag=own", kamailio.uri("alice"));
    let first = alice.request("INVITE", &kamailio.uri("bob"), Draft::new().instead("From", &from)).await;
    let asked = alice.response(&first, 407).await;
    alice.ack(&asked).await;
    let mut stranger = Script::caller("uac_basic", Udp, kamailio.address()).start().await;
    stranger.end().await;
    callee.end().await;
}

/// The agent in Chappe's place: what goes to it, what comes back by its socket, and what passes it by.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_sends_msrp_to_chappe_and_all_else_past_it(#[values(Udp, Tcp)] transport: Transport) {
    let kamailio = Kamailio::start(&Wish::default()).await;
    let (mut alice, mut bob) = (Agent::new("alice", transport).await, Agent::new("bob", transport).await);
    let mut chappe = Agent::at("chappe", Tcp, kamailio.chappe()).await.through(kamailio.inner());
    bob.register(kamailio.address(), None).await;
    let mut alice = {
        alice.register(kamailio.address(), None).await;
        alice.through(kamailio.address())
    };
    // An offer of MSRP, alone and in a multipart body.
    let multipart =
        format!("--frontier\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--frontier--\r\n", msrp_sdp(A, "actpass"));
    let kinds = [
        Draft::sdp(&msrp_sdp(A, "actpass")),
        Draft::new().body("multipart/related; boundary=frontier", &multipart),
        Draft::sdp(&msrp_sdp("msrps://127.0.0.1:7001/alice1;tcp", "actpass")),
    ];
    for offer in kinds {
        let invite = alice.request("INVITE", &kamailio.uri("bob"), offer).await;
        let near = chappe.expect("INVITE").await;
        assert_eq!(near.uri(), kamailio.uri("bob"));
        bob.quiet();
        // Anchored, the call comes back to Kamailio and goes to where Bob has registered.
        let anchored = chappe.invite(near.uri(), &msrp_sdp(B2, "actpass")).await;
        let far = bob.expect("INVITE").await;
        assert_eq!((far.path().as_str(), far.uri()), (B2, bob.uri().as_str()));
        bob.reply(&far, 180).await;
        chappe.response(&anchored, 180).await;
        chappe.reply(&near, 180).await;
        alice.response(&invite, 180).await;
        bob.answer(&far, &msrp_sdp(B, "passive")).await;
        let ok = chappe.response(&anchored, 200).await;
        chappe.answer(&near, &msrp_sdp(A2, "passive")).await;
        let taken = alice.response(&invite, 200).await;
        assert_eq!(taken.path(), A2);
        chappe.ack(&ok).await;
        bob.expect("ACK").await;
        alice.ack(&taken).await;
        chappe.expect("ACK").await;
        // Within the call, from all four ends.
        let hold = alice.reinvite(&taken, &sdp_version(A, "actpass", 2, "a=sendonly\r\n")).await;
        let heard = chappe.expect("INVITE").await;
        chappe.reply(&heard, 488).await;
        let refused = alice.response(&hold, 488).await;
        alice.ack(&refused).await;
        let theirs = bob.within(&far, "INFO", Draft::new()).await;
        let heard = chappe.expect("INFO").await;
        chappe.reply(&heard, 200).await;
        bob.response(&theirs, 200).await;
        let bye = chappe.within(&near, "BYE", Draft::new()).await;
        let heard = alice.expect("BYE").await;
        alice.reply(&heard, 200).await;
        chappe.response(&bye, 200).await;
        let bye = chappe.within(&ok, "BYE", Draft::new()).await;
        let heard = bob.expect("BYE").await;
        bob.reply(&heard, 200).await;
        chappe.response(&bye, 200).await;
    }
    // Audio, a message outside of a call, and a call without an offer.
    let audio = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
    for (method, draft) in [
        ("INVITE", Draft::sdp(audio)),
        ("INVITE", Draft::new()),
        ("MESSAGE", Draft::new().body("text/plain", "m=message 9 TCP/MSRP *")),
    ] {
        let request = alice.request(method, &kamailio.uri("bob"), draft).await;
        let heard = bob.expect(method).await;
        bob.reply(&heard, 486).await;
        let refused = alice.response(&request, 486).await;
        if method == "INVITE" {
            alice.ack(&refused).await;
        }
    }
    // A CANCEL follows its INVITE.
    let invite = alice.invite(&kamailio.uri("bob"), &msrp_sdp(A, "actpass")).await;
    let near = chappe.expect("INVITE").await;
    chappe.reply(&near, 180).await;
    alice.response(&invite, 180).await;
    let cancel = alice.cancel(&invite, Draft::new()).await;
    alice.response(&cancel, 200).await;
    let heard = chappe.expect("CANCEL").await;
    chappe.reply(&heard, 200).await;
    chappe.reply(&near, 487).await;
    let ended = alice.response(&invite, 487).await;
    alice.ack(&ended).await;
    // Nobody is let through to another domain.
    let elsewhere = alice.invite("sip:eve@192.0.2.7", &msrp_sdp(A, "actpass")).await;
    let refused = alice.response(&elsewhere, 403).await;
    alice.ack(&refused).await;
    chappe.expect("ACK").await;
}

/// What comes by a connection that Kamailio has opened itself comes from a client, by whatever socket Kamailio chose.
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_takes_no_client_for_chappe() {
    let kamailio = Kamailio::start(&Wish::default()).await;
    let mut chappe = Agent::at("chappe", Tcp, kamailio.chappe()).await;
    let mut alice = Agent::udp("alice").await.through(kamailio.address());
    let mut bob = Agent::tcp("bob").await;
    register(&kamailio, "bob", &bob.uri(), Tcp, None).await;
    let message = alice.request("MESSAGE", &kamailio.uri("bob"), Draft::new().body("text/plain", "hi")).await;
    let heard = bob.expect("MESSAGE").await;
    bob.reply(&heard, 200).await;
    alice.response(&message, 200).await;
    let mut bob = bob.through(heard.peer);
    let invite = bob.invite(&kamailio.uri("alice"), &msrp_sdp(B, "actpass")).await;
    let near = chappe.expect("INVITE").await;
    chappe.reply(&near, 486).await;
    let refused = bob.response(&invite, 486).await;
    bob.ack(&refused).await;
}

#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn kamailio_tells_when_chappe_is_not_there() {
    let kamailio = Kamailio::start(&Wish { late_offers: true, ..Wish::default() }).await;
    let mut alice = Agent::udp("alice").await.through(kamailio.address());
    for draft in [Draft::sdp(&msrp_sdp(A, "actpass")), Draft::new()] {
        let invite = alice.request("INVITE", &kamailio.uri("bob"), draft).await;
        let refused = alice.final_response(&invite).await;
        assert!([477, 500, 503].contains(&refused.status()), "{refused}");
        alice.ack(&refused).await;
    }
    let gone = alice.request("MESSAGE", &kamailio.uri("nobody"), Draft::new()).await;
    alice.response(&gone, 404).await;
}
