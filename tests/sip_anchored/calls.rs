//! How calls begin and end.

use std::collections::BTreeSet;
use std::time::Duration;

use rstest::rstest;

use super::scene::{Scene, Ways, carries_files, join, joined};
use super::sip::Transport::{self, Tcp, Udp};
use super::sip::sipp::Script;
use super::sip::ua::{Agent, msrp_sdp};

/// What changes within a call.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    Nothing,
    /// Alice offers another session.
    HerSession,
    /// Bob does.
    HisSession,
    /// Alice offers the same one anew.
    HerOffer,
    /// What Alice offers is refused.
    HerOfferRefused,
    /// What Bob offers is.
    HisOfferRefused,
}

/// In each flow whose session stands: once it does, and again after what changes within the call.
///
/// SDP-2, SDP-25, SDP-89, SDP-99
#[rstest]
#[case::basic("uac_basic", "uas_basic", Change::Nothing)]
#[case::late("uac_late", "uas_late", Change::Nothing)]
#[case::bye("uac_byed", "uas_bye", Change::Nothing)]
#[case::slow_ack("uac_slow_ack", "uas_basic", Change::Nothing)]
#[case::fork("uac_fork", "uas_fork", Change::Nothing)]
#[case::prack("uac_prack", "uas_prack", Change::Nothing)]
#[case::timer("uac_timer", "uas_basic", Change::Nothing)]
#[case::in_dialog("uac_in_dialog", "uas_in_dialog", Change::Nothing)]
#[case::headers("uac_headers", "uas_headers", Change::Nothing)]
#[case::icon("uac_icon", "uas_icon", Change::Nothing)]
#[case::audio("uac_audio", "uas_audio", Change::Nothing)]
#[case::reinvite("uac_reinvite", "uas_reinvited", Change::HerSession)]
#[case::update("uac_update", "uas_update", Change::HerSession)]
#[case::reinvited("uac_reinvited", "uas_reinvite", Change::HisSession)]
#[case::glare("uac_glare", "uas_glare", Change::HerOffer)]
#[case::reinvite_refused("uac_reinvite_refused", "uas_reinvited_refuse", Change::HerOfferRefused)]
#[case::reinvited_refuse("uac_reinvited_refuse", "uas_reinvite_refused", Change::HisOfferRefused)]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn msrp_goes_through_the_anchor_of_a_call(#[case] near: &str, #[case] far: &str, #[case] change: Change) {
    // All at once, since they mostly wait. SIPp takes the 200 that comes again for a repetition by datagrams only.
    let by_connections = async {
        if near != "uac_slow_ack" {
            msrp_goes_through(Ways::Tcp, near, far, change).await;
        }
    };
    tokio::join!(
        msrp_goes_through(Ways::Udp, near, far, change),
        by_connections,
        msrp_goes_through(Ways::Mixed, near, far, change)
    );
}

async fn msrp_goes_through(ways: Ways, near: &str, far: &str, change: Change) {
    let scene = Scene::new().await;
    // How big the files are, and how long each pause of the call, in which they go.
    let (octets, hold) = if matches!(near, "uac_basic" | "uac_late") { (8 << 20, 8) } else { (300_000, 2) };
    let held = |script: Script| script.hold(Duration::from_secs(hold)).key("x_header", "odd");
    let mut callee = held(scene.callee(far, ways)).start().await;
    let mut caller = held(scene.caller(near, ways, &callee)).start().await;
    // A late offer is the callee's.
    let late = near == "uac_late";
    let (told_b, told_a) = if late { ("answer.path", "offer.path") } else { ("offer.path", "answer.path") };
    let (mut to_alice, mut to_bob) = (caller.logged(told_a).await, callee.logged(told_b).await);
    assert!(scene.is_ours(&to_alice) && scene.is_ours(&to_bob), "{to_alice} {to_bob}");
    assert_ne!(to_alice, to_bob);
    let mut alice = join(&scene.relay, &to_alice, scene.alice[0].uri()).await;
    // Bob waits where he has answered, and comes where he has offered.
    let mut bob = match late {
        false => joined(&scene.bob[0]).await,
        true => join(&scene.relay, &to_bob, scene.bob[0].uri()).await,
    };
    carries_files((&alice, &to_alice), (&bob, &to_bob), octets).await;
    match change {
        Change::Nothing => {}
        Change::HerSession | Change::HerOffer => {
            (to_alice, to_bob) = (caller.logged("reanswer.path").await, callee.logged("reoffer.path").await);
        }
        Change::HisSession => {
            (to_alice, to_bob) = (caller.logged("reoffer.path").await, callee.logged("reanswer.path").await);
        }
        Change::HerOfferRefused => assert_eq!(caller.logged("refused").await, "488"),
        Change::HisOfferRefused => assert_eq!(callee.logged("refused").await, "488"),
    }
    // Who offers another session connects it; the other side's connection stays.
    match change {
        Change::HerSession => alice = join(&scene.relay, &to_alice, scene.alice[1].uri()).await,
        Change::HisSession => bob = join(&scene.relay, &to_bob, scene.bob[1].uri()).await,
        _ => {}
    }
    if change != Change::Nothing {
        carries_files((&alice, &to_alice), (&bob, &to_bob), octets).await;
    }
    assert!(caller.runs(), "the call was over before the file was there");
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
