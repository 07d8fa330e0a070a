//! Pairs of scenarios: how calls begin, go on and end.

use std::time::Duration;

use rstest::rstest;

use crate::between::{Between, Way, carries, listener};
use crate::sip::Transport::{self, Tcp, Udp};
use crate::sip::sipp::Script;
use crate::{A, B, B2};

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_by_which_msrp_endpoints_find_each_other(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
    #[values("basic", "late")] kind: &str,
) {
    let between = Between::new(way, transport).await;
    let (at_a, at_b) = (listener().await, listener().await);
    let callee = between.callee(&format!("uas_{kind}")).session(at_b.uri());
    let near =
        |next| Script::caller(&format!("uac_{kind}"), transport, next).session(at_a.uri()).hold(Duration::from_secs(2));
    let (mut caller, mut callee) = between.begin(callee, near).await;
    // A late offer is the callee's.
    let (told_b, told_a) = if kind == "basic" { ("offer.path", "answer.path") } else { ("answer.path", "offer.path") };
    let (to_b, to_a) = (caller.logged(told_a).await, callee.logged(told_b).await);
    assert_eq!((to_a.as_str(), to_b.as_str()), (at_a.uri(), at_b.uri()));
    carries(&to_b, &at_b).await;
    carries(&to_a, &at_a).await;
    assert!(caller.runs() && callee.runs(), "the call was over before its MSRP was");
    caller.end().await;
    callee.end().await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn the_callee_ends_the_call(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    between.pair("uac_byed", "uas_bye").await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn the_caller_gives_up(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (caller, callee) = between.pair("uac_cancel", "uas_cancel").await;
    assert_eq!(caller.all_logged("final"), ["487"]);
    assert_eq!(callee.all_logged("cancelled"), [""]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn calls_that_are_refused(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    for (callee, status, header) in [
        ("uas_busy", "486", "Retry-After: 7"),
        ("uas_redirect", "302", "Contact: <sip:carol@127.0.0.1:9>"),
        ("uas_decline", "603", "Reason: Q.850;cause=21"),
        ("uas_unacceptable", "488", "Warning: 304 bob.example \"Media type not available\""),
    ] {
        let (caller, _) = between.pair("uac_rejected", callee).await;
        assert_eq!(caller.all_logged("final"), [status]);
        assert!(caller.messages().contains(&format!("\n{header}")), "{}", caller.messages());
    }
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_200_is_repeated_until_the_ack(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (caller, _) = between.pair("uac_slow_ack", "uas_basic").await;
    // At 0, 0.5 and 1.5 s, also where the way there is reliable; SIPp repeats by datagrams only.
    let times = caller.messages().matches("SIP/2.0 200 OK").count() - 1;
    assert!(if transport == Udp { times >= 3 } else { times == 1 }, "{times} times");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_without_an_ack_is_ended(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (caller, _) = between.pair("uac_never_ack", "uas_never_acked").await;
    assert_eq!(caller.all_logged("ended by the callee").len(), 1);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_session_timer(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, callee) = between.pair("uac_timer", "uas_timer").await;
    assert_eq!(caller.logged("min_se").await, "90");
    assert_eq!(caller.logged("expires").await, "90;refresher=uac");
    assert_eq!(caller.logged("refreshed").await, "90;refresher=uac");
    assert_eq!(callee.all_logged("asked"), ["60", "90;refresher=uac"]);
    assert_eq!(callee.all_logged("refreshed"), ["90;refresher=uac"]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn info_and_message_within_a_call(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_in_dialog", "uas_in_dialog").await;
    assert_eq!(callee.logged("info").await, "first of Alice");
    assert_eq!(callee.logged("message").await, "second of Alice");
    assert_eq!(caller.logged("info").await, "third");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn options(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, _) = between.pair("uac_options", "uas_options").await;
    assert!(caller.logged("allow").await.contains("UPDATE"));
    assert!(caller.messages().contains("m=message 0 TCP/MSRP *"));
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn headers_that_nobody_knows(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let odd = "aB;q=\"\u{e9}\\\"x\" ,,  two  spaces";
    let far = between.callee("uas_headers").key("x_header", odd);
    let near = |next| Script::caller("uac_headers", transport, next).key("x_header", odd);
    let (caller, callee) = between.call(far, near).await;
    for (side, name, value) in [
        (&callee, "invite", String::new()),
        (&callee, "ack", "ack ".to_owned()),
        (&callee, "bye", "bye ".to_owned()),
        (&caller, "ringing", "ringing ".to_owned()),
        (&caller, "answer", "ok ".to_owned()),
        (&caller, "bye", "byeok ".to_owned()),
    ] {
        assert_eq!(side.all_logged(name), [value + odd], "{name}");
    }
    assert_eq!(callee.all_logged("odd"), ["a,b;c=\"d, e\""]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_call_to_two_devices(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let far = between.callee("uas_fork").session(B).second_session(B2);
    let (mut caller, _) = between.call(far, |next| Script::caller("uac_fork", transport, next).session(A)).await;
    assert_eq!(caller.logged("early.path").await, B2);
    assert_eq!(caller.logged("answer.path").await, B);
    let tags = caller.all_logged("tag");
    assert!(tags.len() == 3 && tags[0] != tags[1] && tags[1] == tags[2], "{tags:?}");
}
