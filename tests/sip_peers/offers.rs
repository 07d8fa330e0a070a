//! Pairs of scenarios: offers and answers.

use rstest::rstest;

use crate::between::{Between, Way};
use crate::sip::Transport::{self, Tcp, Udp};
use crate::sip::sipp::Script;
use crate::{A, A2, B, B2};

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_new_offer_of_the_caller(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    for (caller, callee) in [("uac_reinvite", "uas_reinvited"), ("uac_update", "uas_update")] {
        let far = between.callee(callee).session(B).key("direction", "recvonly");
        let near =
            |next| Script::caller(caller, transport, next).session(A).second_session(A2).key("direction", "sendonly");
        let (mut caller, mut callee) = between.call(far, near).await;
        assert_eq!(callee.logged("reoffer.path").await, A2);
        assert_eq!(callee.logged("reoffer.direction").await, "sendonly");
        assert_eq!(callee.logged("reoffer.origin").await, "alice 1 2 IN IP4 127.0.0.1");
        assert_eq!(caller.logged("reanswer.direction").await, "recvonly");
        assert_eq!(caller.logged("reanswer.path").await, B);
    }
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_new_offer_of_the_callee(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let far = between.callee("uas_reinvite").session(B).second_session(B2).key("direction", "inactive");
    let near = |next| Script::caller("uac_reinvited", transport, next).session(A).key("direction", "inactive");
    let (mut caller, mut callee) = between.call(far, near).await;
    assert_eq!(caller.logged("reoffer.path").await, B2);
    assert_eq!(caller.logged("reoffer.direction").await, "inactive");
    assert_eq!(callee.logged("reanswer.path").await, A);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn new_offers_that_are_refused(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let near = |next| Script::caller("uac_reinvite_refused", transport, next).session(A).second_session(A2);
    let (caller, _) = between.call(between.callee("uas_reinvited_refuse"), near).await;
    assert_eq!(caller.all_logged("refused"), ["488"]);
    let far = between.callee("uas_reinvite_refused").session(B).second_session(B2);
    let near = |next| Script::caller("uac_reinvited_refuse", transport, next);
    let (_, callee) = between.call(far, near).await;
    assert_eq!(callee.all_logged("refused"), ["488"]);
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn crossing_offers_are_refused_and_one_is_made_again(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (caller, callee) = between.pair("uac_glare", "uas_glare").await;
    for side in [&caller, &callee] {
        assert_eq!((side.all_logged("crossed").len(), side.all_logged("refused")), (1, vec!["491".to_owned()]));
    }
    assert_eq!((callee.all_logged("reoffer.path").len(), caller.all_logged("reanswer.path").len()), (1, 1));
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_reliable_183(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_prack", "uas_prack").await;
    assert_eq!(caller.logged("rseq").await, "4711");
    assert_eq!(callee.logged("rack").await, "4711 1 INVITE");
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_file_with_its_icon(
    #[values(Way::Direct, Way::Kamailio)] way: Way,
    #[values(Udp, Tcp)] transport: Transport,
) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_icon", "uas_icon").await;
    assert!(callee.logged("type").await.starts_with("multipart/related"));
    assert!(callee.logged("selector").await.starts_with("name:\"tides-2031.pdf\" type:application/pdf"));
    assert_eq!(callee.logged("part").await, "Content-ID: <icon@alice.example>");
    let icon = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";
    assert_eq!(callee.logged("icon").await, icon);
    caller.logged("answer.path").await;
}

#[rstest]
#[tokio::test]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn audio_beside_msrp(#[values(Way::Direct, Way::Kamailio)] way: Way, #[values(Udp, Tcp)] transport: Transport) {
    let between = Between::new(way, transport).await;
    let (mut caller, mut callee) = between.pair("uac_audio", "uas_audio").await;
    assert_eq!(callee.logged("audio").await, "m=audio 40000 RTP/AVP 0");
    assert_eq!(caller.logged("audio").await, "m=audio 41000 RTP/AVP 0");
    assert_eq!(caller.logged("rtpmap").await, "a=rtpmap:0 PCMU/8000");
}
