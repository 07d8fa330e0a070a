//! What happens to a call when its media fail, end, or are never made (SDP-61, SDP-81, SDP-92, SDP-93).

use std::time::Duration;

use rstest::rstest;

use super::scene::{ANA, BO, Scene, line, sdp};
use super::talk::{Talk, known};
use crate::relay::{AnchorNews, CloseReason, DialFailure, SessionEnd, Side};
use crate::sip::b2bua::CallEvent;
use crate::sip::message::Message;

const AUDIO: &str = "m=audio 40000 RTP/AVP 0\r\n";

fn news(kind: &str) -> AnchorNews {
    let side = Side::B;
    match kind {
        "unreachable" => AnchorNews::Unreachable { side, failure: DialFailure::Connect },
        "unconnected" => AnchorNews::Unconnected { side },
        "not_rebuilt" => AnchorNews::NotRebuilt { side },
        "stopped" => AnchorNews::Stopped,
        "mismatch" => AnchorNews::Mismatch { side, peer: None },
        _ => AnchorNews::Refused { side, status: crate::msrp::Status::NO_SESSION },
    }
}

/// SDP-61, SDP-81, SDP-105: within 4 s both sides hear why.
#[rstest]
#[case("unreachable", "media address unreachable")]
#[case("unconnected", "media never connected")]
#[case("not_rebuilt", "media connection lost")]
#[case("mismatch", "media certificate does not match its fingerprint")]
#[case("refused", "media session failed")]
#[case("stopped", "file transfer stopped")]
fn a_session_that_fails_ends_the_call(#[case] kind: &str, #[case] reason: &str) {
    let mut talk = Talk::begin();
    let anchor = talk.scene.reserved[0];
    talk.scene.news(anchor, &news(kind));
    talk.scene.news(anchor, &news("mismatch"));
    talk.scene.silence();
    talk.scene.wait(Duration::from_secs(4));
    talk.both_hear_goodbye(Some(&format!("SIP;cause=500;text=\"{reason}\"")));
    assert_eq!((talk.cause(), talk.scene.released.len()), (kind, 1));
}

/// SDP-92: nobody connects, and the relay says so after its time.
#[test]
fn a_session_that_nobody_connects_to_ends_the_call() {
    let mut talk = Talk::begin();
    talk.scene.pass(Duration::from_secs(65));
    let reason = talk.scene.request(ANA, "BYE").headers.first("Reason").map(str::to_owned);
    assert!(reason.is_some_and(|r| r.contains("media")));
    assert!(matches!(talk.cause(), "unconnected" | "unreachable"));
    talk.scene.forget();
    talk.scene.pass(Duration::from_secs(40));
    talk.scene.forget();
    talk.over();
}

/// SDP-90, ADV-S10: who has us knock at closed doors may not call for the rest of the minute, and others may.
#[test]
fn a_caller_whose_media_cannot_be_reached_again_and_again_has_to_wait() {
    let mut talk = Talk::begin();
    let anchor = talk.scene.reserved[0];
    for _ in 0..30 {
        talk.scene.news(anchor, &news("unreachable"));
    }
    let scan = talk.scene.invite(&sdp("ana", 1, "passive"));
    let refused = talk.scene.response(ANA, 503);
    let wait: u64 = refused.headers.first("Retry-After").and_then(|wait| wait.parse().ok()).expect("seconds");
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(scan.method, "INVITE");
    talk.scene.invite_with(&[("From", "<sip:eve@west.example>;tag=eve1")], &sdp("ana", 1, "active"));
    talk.scene.request(BO, "INVITE");
    talk.scene.pass(Duration::from_secs(60));
    talk.scene.forget();
    talk.scene.invite(&sdp("ana", 1, "active"));
    talk.scene.request(BO, "INVITE");
}

/// Loss is no end: an offer may rebuild it.
#[test]
fn a_session_that_loses_a_leg_waits() {
    let mut talk = Talk::lasting();
    let anchor = talk.scene.reserved[0];
    talk.scene.news(anchor, &AnchorNews::Lost { side: Side::A, reason: CloseReason::Eof });
    talk.scene.pass(Duration::from_secs(20));
    talk.scene.silence();
    assert_eq!(talk.scene.b2bua.calls(), 1);
    talk.hang_up();
}

/// SDP-81: a hundred calls fail at once, and do not all say BYE at once.
#[test]
fn calls_that_fail_together_end_apart() {
    let mut scene = Scene::with(|s| s.calls = 200);
    for _ in 0..100 {
        scene.invite(&sdp("ana", 1, "active"));
        let invite = scene.request(BO, "INVITE");
        scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
        let ok = scene.response(ANA, 200);
        scene.acknowledge(&ok, "");
        scene.forget();
    }
    for anchor in scene.reserved.clone() {
        scene.news(anchor, &news("unconnected"));
    }
    let mut byes = Vec::new();
    for _ in 0..8 {
        scene.pass(Duration::from_millis(500));
        let first = |m: &Message| matches!(m, Message::Request(r) if r.method == "BYE");
        byes.push(100 - scene.b2bua.calls() - byes.iter().sum::<usize>());
        let sent: Vec<_> = std::mem::take(&mut scene.sent).into();
        for sent in sent.into_iter().filter(|s| first(&s.message)) {
            if let Message::Request(bye) = sent.message {
                scene.reply(sent.to, &bye, 200, "");
            }
        }
    }
    assert_eq!(byes.iter().sum::<usize>(), 100);
    assert!(byes.iter().all(|n| (3..30).contains(n)), "spread over 4 s: {byes:?}");
    scene.forget();
    scene.nothing_left();
}

/// An operator ends the session: the call ends with it.
#[test]
fn an_operator_ends_a_session() {
    let mut talk = Talk::begin();
    let anchor = talk.scene.reserved[0];
    let now = talk.scene.now;
    talk.scene.relay.release_anchor(anchor.anchor, SessionEnd::Cancelled, now);
    talk.scene.run();
    talk.scene.wait(Duration::from_secs(4));
    talk.both_hear_goodbye(Some("SIP;cause=503;text=\"ended by the relay\""));
    assert_eq!((talk.cause(), talk.scene.released.len()), ("operator", 0));
}

/// With audio beside it, or another chat, the call goes on without what has failed; the place can be used again.
#[rstest]
#[case(AUDIO, AUDIO, 1)]
#[case(
    "m=message 7102 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://192.0.2.1:7102/more;tcp\r\n",
    "m=message 7102 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://198.51.100.2:7102/more;tcp\r\n",
    2
)]
fn a_call_goes_on_with_what_is_left(#[case] offer: &str, #[case] answer: &str, #[case] sessions: usize) {
    for ended in [false, true] {
        let scene = Scene::with(|s| s.media.within = Duration::from_secs(1 << 20));
        let said = [known(Side::A) + offer, known(Side::B) + answer];
        let mut talk = Talk::of(scene, &[], &[], [&said[0], &said[1]]);
        let anchor = talk.scene.reserved[0];
        if ended {
            let now = talk.scene.now;
            talk.scene.relay.release_anchor(anchor.anchor, SessionEnd::Cancelled, now);
            talk.scene.run();
        } else {
            talk.scene.news(anchor, &news("mismatch"));
        }
        talk.scene.pass(Duration::from_secs(100));
        talk.scene.silence();
        assert_eq!((talk.scene.b2bua.calls(), talk.scene.released.len()), (1, usize::from(!ended)));
        let again = said[0].replace("/ana7tB2mXv9", "/anotherSession");
        let (passed, _) = talk.exchange(Side::A, "INVITE", &again, &said[1]);
        assert_eq!(talk.scene.reserved.len(), sessions + 1);
        assert!(line(&passed.body, "m=").starts_with("message 2856"));
        talk.hang_up();
    }
}

/// What the relay never says, or refuses to do, is a 500 or 503 to whoever asked.
#[rstest]
fn a_relay_that_is_silent_is_not_waited_for(#[values(false, true)] answer: bool) {
    let mut scene = Scene::new();
    scene.hold_core = !answer;
    scene.invite(&sdp("ana", 1, "active"));
    if answer {
        let invite = scene.request(BO, "INVITE");
        scene.hold_core = true;
        scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    }
    scene.pass(Duration::from_secs(9));
    assert_eq!(scene.b2bua.calls(), 1);
    scene.pass(Duration::from_secs(1));
    scene.forget_until(ANA, 500);
    if answer {
        scene.request(BO, "ACK");
        scene.request(BO, "BYE");
    }
    assert_eq!(scene.b2bua.calls(), 0);
    scene.release_core();
    scene.forget();
    assert_eq!(scene.reserved.len(), scene.released.len());
    scene.nothing_left();
}

/// No room at the relay (503), and room again for the next one.
#[test]
fn a_relay_that_is_full_refuses() {
    let mut scene = Scene::new();
    scene.hold_core = true;
    scene.invite(&sdp("ana", 1, "active"));
    let Some(crate::sip::b2bua::Output::Reserve { ticket, .. }) = scene.held.pop_front() else { panic!("no Reserve") };
    let now = scene.now;
    scene.b2bua.reserved(ticket, Err(crate::relay::AnchorError::Full), now);
    scene.run();
    assert_eq!(scene.response(ANA, 503).headers.first("Retry-After"), Some("10"));
    scene.forget();
    scene.nothing_left();
}

/// What is lost of an anchor's news is missed: after the call nothing is left of it, and an anchor that died under a call ends it.
#[rstest]
fn news_that_are_lost_are_missed(#[values(true, false)] over: bool) {
    let mut talk = Talk::begin();
    talk.scene.deaf = true;
    let at = talk.scene.reserved[0];
    if over {
        talk.say(Side::A, "BYE", "");
        assert_eq!(talk.scene.b2bua.anchors(), 1);
    } else {
        talk.scene.relay.release_anchor(at.anchor, SessionEnd::Cancelled, talk.scene.now);
        talk.scene.run();
    }
    talk.scene.pass(Duration::from_secs(90));
    assert!(talk.scene.events.iter().any(|event| matches!(event, CallEvent::Stray(stray) if *stray == at)));
    assert_eq!((talk.scene.b2bua.anchors(), talk.scene.b2bua.calls()), (0, 0));
    talk.scene.forget();
    talk.scene.nothing_left();
}

#[test]
fn what_lives_is_found() {
    let mut talk = Talk::begin();
    talk.scene.deaf = true;
    talk.scene.pass(Duration::from_secs(300));
    assert!(!talk.scene.events.iter().any(|event| matches!(event, CallEvent::Stray(_))));
    assert_eq!(talk.scene.b2bua.anchors(), 1);
}
