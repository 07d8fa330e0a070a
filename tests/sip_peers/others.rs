//! The agent with SIPp, telephones, and many calls at once.

use std::time::Duration;

use rstest::rstest;

use crate::sip::Transport::{self, Tcp, Udp};
use crate::sip::baresip::Baresip;
use crate::sip::kamailio::{Kamailio, Wish};
use crate::sip::sipp::Script;
use crate::sip::storm::Storm;
use crate::sip::ua::{Agent, Draft, msrp_sdp};
use crate::{A, A2, B};

/// The agent as caller of SIPp, and as its callee.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn the_agent_and_sipp(#[values(Udp, Tcp)] transport: Transport) {
    let mut agent = Agent::new("carol", transport).await;
    let mut callee = Script::callee("uas_in_dialog", transport).session(B).start().await;
    let invite = agent.invite(&callee.uri("bob"), &msrp_sdp(A, "actpass")).await;
    agent.response(&invite, 180).await;
    let ok = agent.response(&invite, 200).await;
    assert_eq!((ok.path().as_str(), callee.logged("offer.path").await.as_str()), (B, A));
    agent.ack(&ok).await;
    for (method, text) in [("INFO", "first"), ("MESSAGE", "second")] {
        let request = agent.within(&ok, method, Draft::new().body("text/plain", text)).await;
        agent.response(&request, 200).await;
    }
    let heard = agent.expect_in(&ok, "INFO").await;
    assert_eq!(heard.body, b"Bob: third\r\n");
    agent.reply(&heard, 200).await;
    agent.hang_up(&ok).await;
    callee.end().await;
    agent.quiet();

    let script = Script::caller("uac_reinvite_refused", transport, agent.address()).user("carol");
    let mut caller = script.session(A).second_session(A2).start().await;
    let invite = agent.expect("INVITE").await;
    agent.reply(&invite, 180).await;
    agent.answer(&invite, &msrp_sdp(B, "passive")).await;
    agent.expect("ACK").await;
    let again = agent.expect_in(&invite, "INVITE").await;
    assert_eq!(again.path(), A2);
    agent.reply(&again, 488).await;
    agent.expect("ACK").await;
    let bye = agent.expect("BYE").await;
    agent.reply(&bye, 200).await;
    caller.end().await;
    agent.quiet();
}

/// A failure of SIPp is seen, and not only its success.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn what_goes_otherwise_than_the_scenario_says_fails(#[values(Udp, Tcp)] transport: Transport) {
    let mut agent = Agent::new("carol", transport).await;
    let mut caller = Script::caller("uac_basic", transport, agent.address()).user("carol").start().await;
    let invite = agent.expect("INVITE").await;
    agent.reply(&invite, 486).await;
    assert_eq!(caller.end_anyhow().await, Some(1));
    assert!(caller.file("errors.txt").contains("486"), "{}", caller.file("errors.txt"));
}

/// Telephones, whose calls have nothing to do with MSRP.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn two_telephones_by_way_of_kamailio(#[values(Udp, Tcp)] transport: Transport) {
    let kamailio = Kamailio::start(&Wish { auth: true, ..Wish::default() }).await;
    let mut alice = Baresip::start("alice", transport, kamailio.address(), "secret").await;
    let mut bob = Baresip::start("bob", transport, kamailio.address(), "hunter2").await;
    alice.command("dial", &kamailio.uri("bob")).await;
    bob.event("CALL_INCOMING").await;
    alice.event("CALL_RINGING").await;
    bob.command("accept", "").await;
    for phone in [&mut alice, &mut bob] {
        phone.event("CALL_ESTABLISHED").await;
        // It hears the other one.
        phone.event("CALL_RTPESTAB").await;
    }
    bob.command("hold", "").await;
    alice.event("CALL_REMOTE_SDP").await;
    alice.command("hangup", "").await;
    bob.event("CALL_CLOSED").await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_storm_of_calls(#[values(Udp, Tcp)] transport: Transport) {
    let storm = Storm { rate: 500, calls: 1000, hold: Duration::from_millis(100) };
    let mut callee = storm.callee(transport).await;
    let address = callee.address();
    let reports = storm.run(transport, address, &address.to_string(), &mut callee).await;
    println!("caller: {}\ncallee: {}", reports[0], reports[1]);
    for report in reports {
        assert_eq!((report.successful, report.failed, report.unexpected), (1000, 0, 0), "{report}");
    }
    assert!(reports[0].rate > 200.0, "{}", reports[0]);
}
