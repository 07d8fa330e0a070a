//! What happens within calls: new offers, reliable responses, session timers.

use std::time::Duration;

use rstest::rstest;

use super::scene::{MOMENT, Scene, Ways};
use super::sip::sipp::{Script, Sipp};
use super::sip::ua::{Agent, Draft, msrp_sdp};

/// The words of an o= line.
fn origin(line: &str) -> Vec<&str> {
    line.split(' ').collect()
}

/// A first description and a second one of the same leg are ours, of the same session, and one version apart (SDP-46).
async fn follows(side: &mut Sipp, first: &str, second: &str) {
    let (first, second) = (side.logged(first).await, side.logged(second).await);
    let (first, second) = (origin(&first), origin(&second));
    assert!(!["alice", "bob"].contains(&first[0]) && first[1] != "1", "{first:?}");
    assert_eq!(first[1], second[1]);
    let [first, second] = [first[2], second[2]].map(|n| n.parse::<u64>().expect("a version"));
    assert_eq!(second, first + 1);
}

/// SDP-18, SDP-45, SDP-46, SDP-94
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_new_offer_of_the_caller(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    for (caller, callee) in [("uac_reinvite", "uas_reinvited"), ("uac_update", "uas_update")] {
        let near = |script: Script| script.key("direction", "sendonly");
        let far = |script: Script| script.key("direction", "recvonly");
        let (mut caller, mut callee) = scene.call(ways, caller, callee, near, far).await;
        assert!(scene.is_ours(&callee.logged("reoffer.path").await));
        assert_eq!(callee.logged("reoffer.direction").await, "sendonly");
        follows(&mut callee, "offer.origin", "reoffer.origin").await;
        assert_eq!(caller.logged("reanswer.direction").await, "recvonly");
        follows(&mut caller, "answer.origin", "reanswer.origin").await;
        let again = caller.logged("reanswer.path").await;
        assert!(scene.is_ours(&again));
        assert_ne!(again, caller.logged("answer.path").await, "another session has another URI");
    }
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_new_offer_of_the_callee(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let inactive = |script: Script| script.key("direction", "inactive");
    let (mut caller, mut callee) = scene.call(ways, "uac_reinvited", "uas_reinvite", inactive, inactive).await;
    assert_eq!(caller.logged("reoffer.path").await, caller.logged("answer.path").await, "her side is as it was");
    assert_eq!(caller.logged("reoffer.direction").await, "inactive");
    follows(&mut caller, "answer.origin", "reoffer.origin").await;
    let again = callee.logged("reanswer.path").await;
    assert!(scene.is_ours(&again));
    assert_ne!(again, callee.logged("offer.path").await);
    follows(&mut callee, "offer.origin", "reanswer.origin").await;
}

/// SDP-73
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn new_offers_that_are_refused(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (caller, _) = scene.pair(ways, "uac_reinvite_refused", "uas_reinvited_refuse").await;
    assert_eq!(caller.all_logged("refused"), ["488"]);
    assert!(caller.messages().contains("\nWarning: 304 bob.example"), "{}", caller.messages());
    let (_, callee) = scene.pair(ways, "uac_reinvited_refuse", "uas_reinvite_refused").await;
    assert_eq!(callee.all_logged("refused"), ["488"]);
}

/// SDP-74: the caller, whose offer crosses ours, is refused here; the callee by the caller.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn crossing_offers_are_refused_and_one_is_made_again(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    // Until the caller has acknowledged the call, the callee's offer would be refused here.
    // What she says the second time is new, else it would be answered here.
    let other = |script: Script| script.key("direction", "sendonly");
    let later = |script: Script| script.hold(MOMENT);
    let (caller, callee) = scene.call(ways, "uac_glare", "uas_glare", other, later).await;
    assert_eq!((caller.all_logged("crossed").len(), callee.all_logged("crossed").len()), (1, 0));
    for side in [&caller, &callee] {
        assert_eq!(side.all_logged("refused"), ["491"]);
    }
    let (again, answer) = (callee.all_logged("reoffer.path"), caller.all_logged("reanswer.path"));
    assert!(again.len() == 1 && answer.len() == 1 && scene.is_ours(&again[0]) && scene.is_ours(&answer[0]));
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_reliable_183(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (mut caller, mut callee) = scene.pair(ways, "uac_prack", "uas_prack").await;
    assert_eq!(caller.logged("rseq").await, "4711");
    assert_eq!(callee.logged("rack").await, "4711 1 INVITE");
    assert!(scene.is_ours(&caller.logged("answer.path").await));
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn info_and_message_within_a_call(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (mut caller, mut callee) = scene.pair(ways, "uac_in_dialog", "uas_in_dialog").await;
    assert_eq!(callee.logged("info").await, "first of Alice");
    assert_eq!(callee.logged("message").await, "second of Alice");
    assert_eq!(caller.logged("info").await, "third");
}

/// SDP-82 to SDP-85: the timers of the two legs have nothing to do with each other. The caller's, and its refresh, is between
/// her and us; the callee, who knows none, is offered ours.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_session_timer_of_the_caller(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (mut caller, callee) = scene.pair(ways, "uac_timer", "uas_basic").await;
    assert_eq!(caller.logged("min_se").await, "90");
    assert_eq!(caller.logged("expires").await, "90;refresher=uac");
    assert_eq!(caller.logged("refreshed").await, "90;refresher=uac");
    let heard = callee.messages();
    for header in ["\nSession-Expires: 1800\r", "\nMin-SE: 90\r"] {
        assert_eq!(heard.matches(header).count(), 1, "{heard}");
    }
    assert!(!heard.contains("UPDATE sip:"), "{heard}");
}

/// SDP-84: the callee's demand is met by us; the caller does not hear of it.
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_session_timer_of_the_callee() {
    let scene = Scene::new().await;
    let mut bob = Agent::udp("bob").await;
    let script = Script::caller("uac_basic", Ways::Udp.caller(), scene.address(Ways::Udp.caller()));
    let script = script.session(scene.alice[0].uri()).target(&bob.address().to_string());
    let mut caller = script.hold(Duration::from_millis(100)).start().await;
    let first = bob.expect("INVITE").await;
    assert_eq!((first.need("Session-Expires"), first.need("Min-SE")), ("1800", "90"));
    bob.reply_with(&first, 422, Draft::new().header("Min-SE", "3600")).await;
    bob.expect("ACK").await;
    let second = bob.expect("INVITE").await;
    assert_eq!((second.need("Session-Expires"), second.need("Min-SE")), ("3600", "3600"));
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.path(), first.path());
    let answer = Draft::sdp(&msrp_sdp(scene.bob[0].uri(), "passive"))
        .header("Require", "timer")
        .header("Session-Expires", "3600;refresher=uas");
    bob.reply_with(&second, 200, answer).await;
    bob.expect("ACK").await;
    let bye = bob.expect("BYE").await;
    bob.reply(&bye, 200).await;
    caller.end().await;
    assert!(!caller.messages().contains("SIP/2.0 422"), "{}", caller.messages());
    scene.empty().await;
}
