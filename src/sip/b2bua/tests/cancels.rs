//! CANCEL at every stage of an INVITE (RFC 3261 section 9; SDP-80).

use std::time::Duration;

use rstest::rstest;

use super::scene::{ANA, BO, Scene, cancel_of, path, sdp};
use super::talk::{Talk, at, known};
use crate::relay::Side;
use crate::sip::b2bua::CallEvent;
use crate::sip::message::Request;

/// 200 to the CANCEL, 487 to the INVITE.
#[track_caller]
fn cancelled(scene: &mut Scene, invite: &Request) {
    scene.say(ANA, cancel_of(invite), "");
    assert_eq!(scene.response(ANA, 200).headers.first("CSeq"), Some("1 CANCEL"));
    assert_eq!(scene.response(ANA, 487).headers.first("CSeq"), Some("1 INVITE"));
    assert_eq!(scene.b2bua.calls(), 0);
}

/// Before anybody has said who may, or where to; what they say then is too late.
#[rstest]
fn before_it_is_admitted_or_routed(#[values(0, 1)] done: usize) {
    let mut scene = Scene::new();
    scene.hold_rules = true;
    let invite = scene.invite(&sdp("ana", 1, "active"));
    for _ in 0..done {
        let output = scene.held.pop_front().unwrap();
        scene.perform_now(output);
        scene.run();
    }
    cancelled(&mut scene, &invite);
    scene.release_core();
    scene.silence();
    scene.nothing_left();
}

/// While the relay makes room: what it has made is given back.
#[test]
fn while_the_relay_reserves() {
    let mut scene = Scene::new();
    scene.hold_core = true;
    let invite = scene.invite(&sdp("ana", 1, "active"));
    cancelled(&mut scene, &invite);
    scene.release_core();
    scene.silence();
    assert_eq!((scene.reserved.len(), scene.released.len()), (1, 1));
    scene.nothing_left();
}

/// Why Ana gives up is told to Bo, whether she says so by CANCEL or by BYE (RFC 3326).
#[rstest]
fn why_a_call_is_given_up_is_told(#[values("CANCEL", "BYE")] method: &str) {
    let reasons = ["SIP;cause=200;text=\"Call completed elsewhere\"", "Q.850;cause=26"];
    let mut scene = Scene::new();
    let asked = scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 180, "");
    let ringing = scene.response(ANA, 180);
    let mut last = if method == "BYE" { scene.of_ana(&ringing, "BYE", 2) } else { cancel_of(&asked) };
    for reason in reasons {
        last.headers.push("Reason", reason);
    }
    last.headers.push("X-Hop", "not beyond");
    scene.say(ANA, last, "");
    let cancel = scene.request(BO, "CANCEL");
    assert_eq!(cancel.headers.all("Reason").collect::<Vec<_>>(), reasons);
    assert!(!cancel.headers.has("X-Hop"));
    scene.forget();
}

/// Our CANCEL waits for a provisional response; a 2xx that comes in its place is acknowledged and ended.
#[rstest]
#[case::never(0)]
#[case::trying(100)]
#[case::answered(200)]
#[case::refused(486)]
fn before_bo_has_said_anything(#[case] status: u16) {
    let mut scene = Scene::new();
    let asked = scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    cancelled(&mut scene, &asked);
    scene.silence();
    match status {
        100 => {
            scene.reply(BO, &invite, 100, "");
            let cancel = scene.request(BO, "CANCEL");
            scene.reply(BO, &cancel, 200, "");
            scene.reply(BO, &invite, 487, "");
            scene.request(BO, "ACK");
        }
        200 => {
            scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
            scene.request(BO, "ACK");
            let bye = scene.request(BO, "BYE");
            scene.reply(BO, &bye, 200, "");
        }
        486 => {
            scene.reply(BO, &invite, 486, "");
            scene.request(BO, "ACK");
        }
        _ => {
            scene.pass(Duration::from_secs(40));
            scene.forget();
        }
    }
    scene.silence();
    assert_eq!(scene.released.len(), 1);
    scene.nothing_left();
}

/// Our CANCEL and Bo's 2xx cross; two forks of it may.
#[test]
fn crossing_a_2xx() {
    let mut scene = Scene::new();
    let asked = scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 180, "");
    scene.response(ANA, 180);
    cancelled(&mut scene, &asked);
    let cancel = scene.request(BO, "CANCEL");
    for tag in ["bo1", "bo2"] {
        let to = format!("<sip:bo@east.example>;tag={tag}");
        scene.reply_with(BO, &invite, 200, &[("To", &to)], &sdp("bo", 1, "passive"));
        scene.request(BO, "ACK");
        let bye = scene.request(BO, "BYE");
        assert!(bye.headers.first("To").unwrap().ends_with(tag));
        scene.reply(BO, &bye, 200, "");
    }
    scene.reply(BO, &cancel, 481, "");
    scene.silence();
    scene.nothing_left();
}

/// Bo's 2xx is here, but the relay still works on its answer: nobody else would acknowledge it.
#[rstest]
fn while_the_answer_is_under_way(#[values(false, true)] by_bye: bool, #[values(false, true)] late_offer: bool) {
    let mut scene = Scene::new();
    let asked = scene.invite(if late_offer { "" } else { "v" }.replace('v', &sdp("ana", 1, "active")).as_str());
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 180, "");
    let ringing = scene.response(ANA, 180);
    scene.hold_core = true;
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    scene.silence();
    if by_bye {
        let bye = scene.of_ana(&ringing, "BYE", 2);
        scene.say(ANA, bye, "");
        scene.response(ANA, 200);
        scene.response(ANA, 487);
    } else {
        cancelled(&mut scene, &asked);
    }
    scene.request(BO, "ACK");
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    scene.release_core();
    scene.silence();
    assert_eq!((scene.reserved.len(), scene.released.len()), (1, 1));
    scene.nothing_left();
}

/// After the 2xx it changes nothing.
#[test]
fn after_the_2xx() {
    let mut scene = Scene::new();
    let asked = scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.say(ANA, cancel_of(&asked), "");
    scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    scene.silence();
    assert_eq!(scene.b2bua.calls(), 1);
    assert!(scene.events.iter().all(|e| !matches!(e, CallEvent::Ended(_))));
    let bye = scene.of_ana(&ok, "BYE", 2);
    scene.say(ANA, bye, "");
    scene.forget();
    scene.nothing_left();
}

/// Nobody answers for so long that timer C passes: CANCEL to Bo, 408 to Ana.
#[test]
fn s16_8_an_invite_that_rings_out() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 180, "");
    scene.response(ANA, 180);
    scene.pass(Duration::from_secs(186));
    let cancel = scene.request(BO, "CANCEL");
    scene.reply(BO, &cancel, 200, "");
    scene.reply(BO, &invite, 487, "");
    scene.response(ANA, 408);
    scene.forget();
    scene.nothing_left();
}

fn cancel_again(asked: &Request) -> Request {
    let mut cancel = cancel_of(asked);
    let number = asked.headers.first("CSeq").unwrap().replace("INVITE", "CANCEL");
    cancel.headers.set("CSeq", number);
    cancel
}

/// A re-INVITE: the other side says how it ends, and the call lives in either case.
#[rstest]
#[case(487)]
#[case(200)]
fn of_a_reinvite(#[case] status: u16, #[values(Side::A, Side::B)] from: Side) {
    let mut talk = Talk::begin();
    let asked = talk.say(from, "INVITE", &(known(from) + "a=x-a:1\r\n"));
    let passed = talk.scene.request(at(from.other()), "INVITE");
    talk.scene.reply(at(from.other()), &passed, 180, "");
    talk.scene.response(at(from), 180);
    talk.scene.say(at(from), cancel_again(&asked), "");
    talk.scene.response(at(from), 200);
    let cancel = talk.scene.request(at(from.other()), "CANCEL");
    talk.scene.reply(at(from.other()), &cancel, 200, "");
    if status == 200 {
        talk.scene.reply(at(from.other()), &passed, 200, &known(from.other()));
        talk.scene.response(at(from), 200);
        talk.finish(from, &asked);
    } else {
        talk.scene.reply(at(from.other()), &passed, status, "");
        talk.scene.response(at(from), status);
        talk.scene.request(at(from.other()), "ACK");
        talk.scene.pass(Duration::from_secs(35));
        talk.scene.forget();
        let back = talk.answered_here(from, "UPDATE", &known(from));
        let first = if from == Side::A { &talk.ok.body } else { &talk.invite.body };
        assert_eq!(path(&back.body), path(first));
    }
    talk.hang_up();
}

/// A re-INVITE that has not gone on yet.
#[test]
fn of_a_reinvite_that_waits_for_the_relay() {
    let mut talk = Talk::begin();
    talk.scene.hold_core = true;
    let more = "m=message 7102 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://192.0.2.1:7102/more;tcp\r\n";
    let asked = talk.say(Side::A, "INVITE", &(known(Side::A) + more));
    talk.scene.say(ANA, cancel_again(&asked), "");
    talk.scene.response(ANA, 200);
    talk.scene.response(ANA, 487);
    talk.scene.release_core();
    talk.scene.silence();
    assert_eq!((talk.scene.reserved.len(), talk.scene.released.len()), (2, 1));
    talk.scene.pass(Duration::from_secs(35));
    talk.scene.forget();
    talk.hang_up();
}
