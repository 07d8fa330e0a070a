//! Session timers of either leg, each by itself (RFC 4028; SDP-82 to SDP-88).

use std::time::Duration;

use rstest::rstest;

use super::scene::{ANA, BO, Scene, sdp};
use super::talk::{Talk, known};
use crate::relay::Side;
use crate::sip::message::{Request, Response};

const EXPIRED: Option<&str> = Some("SIP;cause=408;text=\"session timer expired\"");
/// Ana refreshes by herself and is out of the way of what Bo's leg does.
const ANA_LONG: [(&str, &str); 2] = [("Supported", "timer"), ("Session-Expires", "1000000;refresher=uac")];

/// A call whose Bo says this of his leg; Ana refreshes hers whenever it passes.
fn with_bo(bo: &[(&str, &str)]) -> Talk {
    let change = |s: &mut crate::sip::b2bua::Settings| {
        s.media.within = Duration::from_secs(1 << 20);
        s.timers.interval = Duration::from_secs(1800);
    };
    Talk::with(change, &ANA_LONG, bo)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Time passes, in which Ana refreshes.
fn pass(talk: &mut Talk, time: u64) {
    talk.scene.pass(secs(time));
}

/// SDP-82: asked for on Bo's leg, whatever Ana asks for on hers.
#[rstest]
#[case(&[], "1800;refresher=uas")]
#[case(&[("Supported", "timer")], "1800;refresher=uac")]
#[case(&[("Supported", "timer"), ("Session-Expires", "600")], "600;refresher=uac")]
#[case(&[("Supported", "timer"), ("Session-Expires", "3600;refresher=uas")], "1800;refresher=uas")]
#[case(&[("Supported", "timer"), ("Session-Expires", "3600;refresher=uas"), ("Min-SE", "2000")], "2000;refresher=uas")]
fn each_leg_has_its_own(#[case] ana: &[(&str, &str)], #[case] agreed: &str) {
    let mut talk = Talk::with(|_| {}, ana, &[("Session-Expires", "700;refresher=uas"), ("Require", "timer")]);
    assert_eq!(talk.invite.headers.first("Session-Expires"), Some("1800"));
    assert_eq!(talk.invite.headers.first("Min-SE"), Some("90"));
    assert_eq!(talk.invite.headers.first("Supported"), Some("timer"));
    assert_eq!(talk.ok.headers.first("Session-Expires"), Some(agreed));
    let required = ana.iter().any(|(name, _)| *name == "Supported");
    assert_eq!(talk.ok.headers.first("Require"), required.then_some("timer"));
    talk.say(Side::A, "BYE", "");
    talk.scene.forget();
    talk.over();
}

/// SDP-85, SDP-88: at half the interval, by UPDATE where that is taken, with nothing in it; or by INVITE with what was said.
#[rstest]
#[case(true)]
#[case(false)]
fn we_refresh_where_it_is_ours(#[case] update: bool) {
    let allow = if update { "INVITE, UPDATE" } else { "INVITE" };
    let mut talk = with_bo(&[("Session-Expires", "600;refresher=uac"), ("Allow", allow)]);
    let method = if update { "UPDATE" } else { "INVITE" };
    for _ in 0..3 {
        pass(&mut talk, 299);
        talk.scene.silence();
        pass(&mut talk, 1);
        let refresh = talk.scene.request(BO, method);
        assert_eq!(refresh.headers.first("Session-Expires"), Some("600;refresher=uac"));
        assert_eq!(refresh.body, if update { Default::default() } else { talk.invite.body.clone() });
        talk.scene.reply_with(BO, &refresh, 200, &[("Session-Expires", "600;refresher=uac")], &answer(update));
        if !update {
            talk.scene.request(BO, "ACK");
        }
        talk.scene.silence();
    }
    assert_eq!((talk.scene.reserved.len(), talk.scene.terms.len()), (1, 2), "the media know nothing of it");
    talk.hang_up();
}

fn answer(update: bool) -> String {
    if update { String::new() } else { known(Side::B) }
}

/// SDP-85: Ana's leg too, if she knows no timer.
#[test]
fn we_refresh_the_callers_leg() {
    let mut talk = Talk::with(
        |s| {
            s.media.within = secs(1 << 20);
            s.timers.interval = secs(600);
        },
        &[("Allow", "INVITE, UPDATE")],
        &[("Session-Expires", "600;refresher=uas")],
    );
    pass(&mut talk, 300);
    let refresh = talk.scene.request(ANA, "UPDATE");
    talk.scene.reply(ANA, &refresh, 200, "");
    talk.scene.silence();
    talk.hang_up();
}

/// SDP-86: who was to refresh and did not is gone, a little before the session is.
#[rstest]
#[case::ana("100000;refresher=uas", 1800 - 32)]
#[case::bo("600;refresher=uas", 600 - 32)]
#[case::bo_soon("90;refresher=uas", 90 - 30)]
fn their_refresh_is_missing(#[case] bo: &str, #[case] after: u64) {
    let mut talk = with_bo(&[("Session-Expires", bo)]);
    pass(&mut talk, after - 1);
    talk.scene.silence();
    pass(&mut talk, 1);
    talk.both_hear_goodbye(EXPIRED);
    assert_eq!((talk.cause(), talk.scene.released.len()), ("expired", 1));
}

/// Their refresh, by whichever request, begins the time anew.
#[rstest]
fn their_refresh_comes(#[values("UPDATE", "INVITE")] method: &str, #[values(false, true)] with_sdp: bool) {
    let mut talk = with_bo(&[("Session-Expires", "600;refresher=uas")]);
    for _ in 0..4 {
        pass(&mut talk, 500);
        talk.scene.silence();
        let mut refresh = talk.request_of(Side::B, method);
        refresh.headers.push("Supported", "timer");
        refresh.headers.push("Session-Expires", "600;refresher=uac");
        let body = if with_sdp || method == "INVITE" { known(Side::B) } else { String::new() };
        let asked = talk.scene.say(BO, refresh, &body);
        let ok = talk.scene.response(BO, 200);
        assert_eq!(ok.headers.first("Session-Expires"), Some("600;refresher=uac"));
        if method == "INVITE" {
            talk.acknowledge(Side::B, &asked, "");
        }
        let ana = talk.request_of(Side::A, "UPDATE");
        talk.scene.say(ANA, ana, "");
        talk.scene.response(ANA, 200);
    }
    pass(&mut talk, 568);
    talk.both_hear_goodbye(EXPIRED);
}

/// A call with a refresh of ours on its way.
fn refreshing(allow: &str) -> (Talk, Request) {
    let mut talk = with_bo(&[("Session-Expires", "600;refresher=uac"), ("Allow", allow)]);
    pass(&mut talk, 300);
    let refresh = talk.scene.request(BO, if allow.contains("UPDATE") { "UPDATE" } else { "INVITE" });
    (talk, refresh)
}

/// SDP-87.
#[rstest]
fn a_refresh_that_finds_nobody_ends_the_call(
    #[values("UPDATE", "INVITE")] allow: &str,
    #[values(408, 481, 0)] status: u16,
) {
    let (mut talk, refresh) = refreshing(allow);
    if status == 0 {
        pass(&mut talk, 33);
        talk.scene.sent.retain(|s| matches!(&s.message, crate::sip::message::Message::Request(r) if r.method == "BYE"));
        assert_eq!(talk.scene.request(ANA, "BYE").headers.first("Reason"), EXPIRED);
        talk.scene.forget();
        assert_eq!(talk.cause(), "expired");
        pass(&mut talk, 40);
        talk.scene.forget();
        return talk.over();
    }
    talk.scene.reply(BO, &refresh, status, "");
    if allow == "INVITE" {
        talk.scene.request(BO, "ACK");
    }
    talk.both_hear_goodbye(EXPIRED);
}

/// RFC 3261 section 14.1: Bo's leg has a Call-ID of ours, so we wait 2.1 to 4 s.
#[test]
fn a_refresh_that_crosses_comes_again() {
    let (mut talk, refresh) = refreshing("UPDATE");
    talk.scene.reply(BO, &refresh, 491, "");
    let waited = talk.scene.wait(Duration::from_millis(4010));
    assert!(waited >= Duration::from_millis(2100), "{waited:?}");
    let refresh = talk.scene.request(BO, "UPDATE");
    talk.scene.reply(BO, &refresh, 200, "");
    talk.scene.silence();
    talk.hang_up();
}

/// RFC 4028 section 7.4: 422 is answered with more, three times.
#[rstest]
#[case(1)]
#[case(4)]
fn a_refresh_that_is_too_short_is_lengthened(#[case] times: u32) {
    let (mut talk, mut refresh) = refreshing("UPDATE");
    for n in 1..=times {
        let more = (600 + n * 100).to_string();
        talk.scene.reply_with(BO, &refresh, 422, &[("Min-SE", &more)], "");
        if n == 4 {
            return talk.both_hear_goodbye(EXPIRED);
        }
        refresh = talk.scene.request(BO, "UPDATE");
        assert_eq!(refresh.headers.first("Session-Expires"), Some(&*format!("{more};refresher=uac")));
        assert_eq!(refresh.headers.first("Min-SE"), Some(&*more));
    }
    talk.scene.reply(BO, &refresh, 200, "");
    talk.scene.silence();
    talk.hang_up();
}

/// A 422 that wants no more than we asked for is nonsense.
#[test]
fn a_422_without_reason_ends_the_call() {
    let (mut talk, refresh) = refreshing("UPDATE");
    talk.scene.reply_with(BO, &refresh, 422, &[("Min-SE", "90")], "");
    talk.both_hear_goodbye(EXPIRED);
}

/// UPDATE was allowed and is not taken: an INVITE follows.
#[rstest]
#[case(405)]
#[case(501)]
fn an_update_that_is_not_taken(#[case] status: u16) {
    let (mut talk, refresh) = refreshing("UPDATE");
    talk.scene.reply(BO, &refresh, status, "");
    let refresh = talk.scene.request(BO, "INVITE");
    assert_eq!(refresh.body, talk.invite.body);
    talk.scene.reply(BO, &refresh, 200, &known(Side::B));
    talk.scene.request(BO, "ACK");
    talk.scene.silence();
    talk.hang_up();
}

/// A refusal of another kind shows that somebody is there.
#[test]
fn a_refresh_that_is_refused_comes_again_in_its_time() {
    let (mut talk, refresh) = refreshing("UPDATE");
    talk.scene.reply(BO, &refresh, 500, "");
    pass(&mut talk, 299);
    talk.scene.silence();
    pass(&mut talk, 1);
    let refresh = talk.scene.request(BO, "UPDATE");
    talk.scene.reply(BO, &refresh, 200, "");
    talk.hang_up();
}

/// Glare with our INVITE: their offers wait (SDP-75), the refresh does not.
#[rstest]
fn offers_wait_for_our_refresh(#[values("INVITE", "UPDATE")] method: &str) {
    let (mut talk, refresh) = refreshing("INVITE");
    talk.refused_here(Side::B, method, &(known(Side::B) + "a=x-a:1\r\n"), 491);
    talk.scene.reply(BO, &refresh, 200, &known(Side::B));
    talk.scene.request(BO, "ACK");
    talk.scene.forget();
    talk.exchange(Side::B, method, &(known(Side::B) + "a=x-a:1\r\n"), &known(Side::A));
    talk.scene.forget();
    talk.hang_up();
}

/// While something else is under way our refresh waits a little.
#[test]
fn our_refresh_waits_for_what_is_under_way() {
    let mut talk = with_bo(&[("Session-Expires", "600;refresher=uac"), ("Allow", "UPDATE")]);
    pass(&mut talk, 299);
    talk.say(Side::A, "INVITE", &(known(Side::A) + "a=x-a:1\r\n"));
    let passed = talk.scene.request(BO, "INVITE");
    talk.scene.reply(BO, &passed, 180, "");
    talk.scene.response(ANA, 180);
    pass(&mut talk, 5);
    talk.scene.silence();
    talk.scene.reply(BO, &passed, 488, "");
    talk.scene.request(BO, "ACK");
    talk.scene.forget();
    pass(&mut talk, 4);
    let refresh = talk.scene.request(BO, "UPDATE");
    talk.scene.reply(BO, &refresh, 200, "");
    talk.scene.forget();
    pass(&mut talk, 40);
    talk.scene.forget();
    talk.hang_up();
}

/// RFC 4028 section 7.3: Bo wants more than we asked for; that is between him and us.
#[test]
fn a_callee_that_wants_a_longer_interval_is_asked_again() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let mut invite = scene.request(BO, "INVITE");
    for (n, more) in [(2, "2000"), (3, "3000"), (4, "4000")] {
        scene.reply_with(BO, &invite, 422, &[("Min-SE", more)], "");
        scene.request(BO, "ACK");
        let body = invite.body;
        invite = scene.request(BO, "INVITE");
        assert_eq!((invite.headers.first("Session-Expires"), invite.headers.first("Min-SE")), (Some(more), Some(more)));
        assert_eq!((invite.headers.first("CSeq"), &invite.body), (Some(&*format!("{n} INVITE")), &body));
    }
    scene.reply_with(BO, &invite, 422, &[("Min-SE", "5000")], "");
    let response: Response = scene.response(ANA, 422);
    assert_eq!(response.headers.first("Min-SE"), Some("5000"));
    assert_eq!((scene.reserved.len(), scene.released.len()), (1, 1));
    scene.forget();
    scene.nothing_left();
}

/// Nobody wants a timer: none is asked for, and none runs.
#[test]
fn without_wishes_there_is_none() {
    let change = |s: &mut crate::sip::b2bua::Settings| {
        s.timers.interval = Duration::ZERO;
        s.media.within = secs(1 << 20);
    };
    let mut talk = Talk::with(change, &[], &[]);
    assert!(!talk.invite.headers.has("Session-Expires") && !talk.ok.headers.has("Session-Expires"));
    assert!(talk.invite.headers.first("Supported").unwrap().contains("timer"));
    pass(&mut talk, 86_400);
    talk.scene.silence();
    assert_eq!(talk.scene.b2bua.timers(), 0);
    talk.hang_up();
}
