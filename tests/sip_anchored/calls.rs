//! How calls begin and end.

use std::collections::BTreeSet;
use std::time::Duration;

use rstest::rstest;

use super::scene::{Scene, Ways, carries, join, joined};
use super::sip::Transport::{self, Tcp, Udp};
use super::sip::sipp::Script;
use super::sip::ua::{Agent, msrp_sdp};

/// SDP-2, SDP-25, SDP-89, SDP-99
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn msrp_goes_through_the_anchor_of_a_call(
    #[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways,
    #[values("basic", "late")] kind: &str,
) {
    let scene = Scene::new().await;
    let mut callee = scene.callee(&format!("uas_{kind}"), ways).start().await;
    let caller = scene.caller(&format!("uac_{kind}"), ways, &callee).hold(Duration::from_secs(4));
    let mut caller = caller.start().await;
    // A late offer is the callee's.
    let (told_b, told_a) = if kind == "basic" { ("offer.path", "answer.path") } else { ("answer.path", "offer.path") };
    let (to_alice, to_bob) = (caller.logged(told_a).await, callee.logged(told_b).await);
    assert!(scene.is_ours(&to_alice) && scene.is_ours(&to_bob), "{to_alice} {to_bob}");
    assert_ne!(to_alice, to_bob);
    let alice = join(&scene.relay, &to_alice, scene.alice[0].uri()).await;
    // Bob waits where he has answered, and comes where he has offered.
    let bob = match kind {
        "basic" => joined(&scene.bob[0]).await,
        _ => join(&scene.relay, &to_bob, scene.bob[0].uri()).await,
    };
    carries((&alice, &to_alice), (&bob, &to_bob)).await;
    caller.end().await;
    callee.end().await;
    scene.kept_apart(&caller, &callee);
    scene.empty().await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn either_side_ends_the_call(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    scene.pair(ways, "uac_basic", "uas_basic").await;
    scene.pair(ways, "uac_byed", "uas_bye").await;
    for by in ["caller", "callee"] {
        let metric = format!("chappe_sip_calls_ended_total{{cause=\"bye\",by=\"{by}\"}}");
        scene.relay.metric_becomes(&metric, 1.0).await;
    }
}

/// SDP-80
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn the_caller_gives_up(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (caller, callee) = scene.pair(ways, "uac_cancel", "uas_cancel").await;
    assert_eq!(caller.all_logged("final"), ["487"]);
    assert_eq!(callee.all_logged("cancelled"), [""]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn calls_that_are_refused(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    for (callee, status, header) in [
        ("uas_busy", "486", "Retry-After: 7"),
        ("uas_redirect", "302", "Contact: <sip:carol@127.0.0.1:9>"),
        ("uas_decline", "603", "Reason: Q.850;cause=21"),
        ("uas_unacceptable", "488", "Warning: 304 bob.example \"Media type not available\""),
    ] {
        let (caller, _) = scene.pair(ways, "uac_rejected", callee).await;
        assert_eq!(caller.all_logged("final"), [status]);
        assert!(caller.messages().contains(&format!("\n{header}")), "{}", caller.messages());
    }
}

/// The early answer binds nothing, and the caller hears of ours in both.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_to_two_devices(#[values(Ways::Udp, Ways::Tcp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (mut caller, _) = scene.pair(ways, "uac_fork", "uas_fork").await;
    for path in [caller.logged("early.path").await, caller.logged("answer.path").await] {
        assert!(scene.is_ours(&path), "{path}");
    }
    let tags = caller.all_logged("tag");
    assert!(tags.len() == 3 && tags[0] != tags[1] && tags[1] == tags[2], "{tags:?}");
}

/// The same for a caller who can do no forks: the first device is all that he hears of.
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_to_two_devices_with_one_dialog() {
    let scene = Scene::with("forks = \"first\"", "").await;
    let (caller, _) = scene.pair(Ways::Udp, "uac_basic", "uas_fork").await;
    let messages = caller.messages();
    assert!(messages.contains("SIP/2.0 180 ") && !messages.contains("SIP/2.0 183 "), "{messages}");
    let tag = |line: &str| line.strip_prefix("To: ").and_then(|to| Some(to.rsplit_once(";tag=")?.1.to_owned()));
    let tags: BTreeSet<String> = messages.lines().filter_map(tag).collect();
    assert_eq!(tags.len(), 1, "{tags:?}");
}

/// Each leg is acknowledged by itself: the callee at once, while the caller hears the 200 again. SIPp takes that for a
/// repetition by datagrams only.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_200_is_repeated_until_the_ack(#[values(Ways::Udp, Ways::Mixed)] ways: Ways) {
    let scene = Scene::new().await;
    let (caller, callee) = scene.pair(ways, "uac_slow_ack", "uas_basic").await;
    // At 0, 0.5 and 1.5 s, and the one to BYE.
    let times = |messages: String| messages.matches("SIP/2.0 200 OK").count();
    assert!(times(caller.messages()) >= 4, "{}", caller.messages());
    assert_eq!(times(callee.messages()), 2, "{}", callee.messages());
}

/// SDP-79: after 64*T1, and by connections as by datagrams (RFC 3261 section 13.3.1.4).
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn calls_without_an_ack_are_ended() {
    let scene = Scene::new().await;
    let patience = Duration::from_secs(45);
    let by_sipp = async |ways| {
        let mut callee = scene.callee("uas_basic", ways).patience(patience).start().await;
        let mut caller = scene.caller("uac_never_ack", ways, &callee).patience(patience).start().await;
        caller.end().await;
        callee.end().await;
        assert_eq!(caller.all_logged("ended by the callee").len(), 1);
        scene.kept_apart(&caller, &callee);
    };
    let by_connection = async {
        let mut callee = scene.callee("uas_basic", Ways::Tcp).patience(patience).start().await;
        let mut caller = Agent::tcp("alice").await.through(scene.address(Tcp));
        caller.patience = patience;
        let invite = caller.invite(&callee.uri("bob"), &msrp_sdp(scene.alice[0].uri(), "actpass")).await;
        let ok = caller.response(&invite, 200).await;
        // At 0, 0.5, 1.5, 3.5, 7.5 and each 4 s from then on.
        caller.heard_times(&ok, 10).await;
        let bye = caller.expect("BYE").await;
        caller.reply(&bye, 200).await;
        callee.end().await;
    };
    tokio::join!(by_sipp(Ways::Udp), by_sipp(Ways::Mixed), by_connection);
    scene.empty().await;
}

/// SDP-52: by Chappe itself; nobody is asked.
#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn options(#[values(Udp, Tcp)] transport: Transport) {
    let scene = Scene::new().await;
    let mut caller = Script::caller("uac_options", transport, scene.address(transport)).start().await;
    caller.end().await;
    assert!(caller.logged("allow").await.contains("UPDATE"));
    for line in ["m=message 0 TCP/MSRP *", "m=message 0 TCP/TLS/MSRP *", "a=accept-types:message/cpim text/plain *"] {
        assert!(caller.messages().contains(line), "{}", caller.messages());
    }
    scene.empty().await;
}
