//! Calls that end by a BYE, or because a side does not answer any more (RFC 3261 sections 12.2.1.2, 15).

use std::time::Duration;

use rstest::rstest;

use super::scene::{ANA, BO, Scene, sdp};
use super::talk::{Talk, at, known};
use crate::relay::Side;

const GONE: Option<&str> = Some("SIP;cause=481;text=\"other side is gone\"");

/// SDP-77: either side may; what else its BYE says goes on.
#[rstest]
fn a_bye_of_either_side(#[values(Side::A, Side::B)] from: Side) {
    let mut talk = Talk::begin();
    let mut bye = talk.request_of(from, "BYE");
    bye.headers.push("Reason", "Q.850;cause=16");
    bye.headers.push("X-Odd", " a;b ");
    talk.scene.say(at(from), bye, "");
    talk.scene.response(at(from), 200);
    let bye = talk.scene.request(at(from.other()), "BYE");
    assert_eq!((bye.headers.first("Reason"), bye.headers.first("X-Odd")), (Some("Q.850;cause=16"), Some("a;b")));
    talk.scene.reply(at(from.other()), &bye, 200, "");
    assert_eq!((talk.scene.released.len(), talk.cause()), (1, "bye"));
    talk.over();
}

/// SDP-78: both hang up at once, and both hear 200; long after it is unknown.
#[test]
fn byes_that_cross() {
    let mut talk = Talk::begin();
    talk.say(Side::A, "BYE", "");
    talk.scene.response(ANA, 200);
    let ours = talk.scene.request(BO, "BYE");
    talk.say(Side::B, "BYE", "");
    talk.scene.response(BO, 200);
    talk.scene.reply(BO, &ours, 481, "");
    let info = talk.request_of(Side::B, "INFO");
    talk.scene.say(BO, info, "");
    talk.scene.response(BO, 481);
    talk.scene.pass(Duration::from_secs(33));
    talk.say(Side::B, "BYE", "");
    talk.scene.response(BO, 481);
    talk.over();
}

/// RFC 3261 section 15: the caller may leave an early dialog by BYE, the callee may not.
#[test]
fn a_bye_in_an_early_dialog() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 180, "");
    let ringing = scene.response(ANA, 180);
    let bye = scene.of_bo(&invite, "BYE", 1);
    scene.say(BO, bye, "");
    scene.response(BO, 200);
    assert_eq!(scene.b2bua.calls(), 1);
    scene.silence();
    let bye = scene.of_ana(&ringing, "BYE", 2);
    scene.say(ANA, bye, "");
    scene.response(ANA, 200);
    scene.response(ANA, 487);
    let cancel = scene.request(BO, "CANCEL");
    scene.reply(BO, &cancel, 200, "");
    scene.reply(BO, &invite, 487, "");
    scene.request(BO, "ACK");
    assert_eq!(scene.released.len(), 1);
    scene.nothing_left();
}

/// RFC 3261 section 15: our BYE to Ana waits for her ACK, or for the end of that wait; hers does not.
#[rstest]
#[case::bo_and_ack(Side::B, true)]
#[case::bo_and_no_ack(Side::B, false)]
#[case::ana_and_ack(Side::A, true)]
#[case::ana_and_no_ack(Side::A, false)]
fn a_bye_before_the_ack(#[case] from: Side, #[case] acknowledged: bool) {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    let bye = if from == Side::A { scene.of_ana(&ok, "BYE", 2) } else { scene.of_bo(&invite, "BYE", 1) };
    scene.say(at(from), bye, "");
    scene.response(at(from), 200);
    assert_eq!(scene.b2bua.calls(), 0);
    if from == Side::A {
        let bye = scene.request(BO, "BYE");
        scene.reply(BO, &bye, 200, "");
    }
    scene.silence();
    if acknowledged {
        scene.acknowledge(&ok, "");
    } else {
        scene.pass(Duration::from_millis(31_990));
        scene.forget();
        scene.pass(Duration::from_millis(20));
    }
    if from == Side::B {
        let bye = scene.request(ANA, "BYE");
        scene.reply(ANA, &bye, 200, "");
    }
    scene.silence();
    scene.nothing_left();
}

/// What was passed on and has no answer gets one.
#[rstest]
fn a_bye_ends_what_is_pending(#[values(Side::A, Side::B)] from: Side) {
    let mut talk = Talk::begin();
    talk.say(Side::A, "INFO", "");
    talk.say(Side::A, "INVITE", &(known(Side::A) + "a=x-a:1\r\n"));
    talk.scene.request(BO, "INFO");
    talk.scene.request(BO, "INVITE");
    talk.say(from, "BYE", "");
    talk.scene.response(at(from), 200);
    talk.scene.request(at(from.other()), "BYE");
    assert_eq!(talk.scene.response(ANA, 481).headers.first("CSeq"), Some("2 INFO"));
    assert_eq!(talk.scene.response(ANA, 487).headers.first("CSeq"), Some("3 INVITE"));
    talk.over();
}

/// The 2xx of a re-INVITE is here when the call ends: it is acknowledged, and Ana hears that her INVITE is over.
#[rstest]
fn a_bye_while_the_answer_to_a_reinvite_is_under_way(#[values(Side::A, Side::B)] from: Side) {
    let mut talk = Talk::begin();
    talk.say(Side::A, "INVITE", &(known(Side::A) + "a=x-a:1\r\n"));
    let passed = talk.scene.request(BO, "INVITE");
    talk.scene.hold_core = true;
    talk.scene.reply(BO, &passed, 200, &(known(Side::B) + "a=x-a:1\r\n"));
    talk.scene.silence();
    talk.say(from, "BYE", "");
    talk.scene.response(at(from), 200);
    talk.scene.request(BO, "ACK");
    talk.scene.request(at(from.other()), "BYE");
    assert_eq!(talk.scene.response(ANA, 487).headers.first("CSeq"), Some("2 INVITE"));
    talk.scene.release_core();
    talk.over();
}

/// 481 and 408 to a request in its dialog mean that the side is gone (RFC 3261 section 12.2.1.2).
#[rstest]
fn a_side_that_is_gone(
    #[values("INFO", "MESSAGE", "OPTIONS", "UPDATE", "INVITE")] method: &str,
    #[values(408, 481)] status: u16,
    #[values(Side::A, Side::B)] from: Side,
) {
    let mut talk = Talk::begin();
    let body = if matches!(method, "UPDATE" | "INVITE") { known(from) + "a=x-a:1\r\n" } else { String::new() };
    talk.say(from, method, &body);
    let passed = talk.scene.request(at(from.other()), method);
    talk.scene.reply(at(from.other()), &passed, status, "");
    if method == "INVITE" {
        talk.scene.request(at(from.other()), "ACK");
    }
    talk.scene.response(at(from), status);
    talk.both_hear_goodbye(GONE);
    assert_eq!((talk.cause(), talk.scene.released.len()), ("dialog_gone", 1));
}

/// Other refusals end nothing.
#[rstest]
fn a_side_that_only_refuses(#[values(404, 488, 500, 603)] status: u16) {
    let mut talk = Talk::begin();
    talk.say(Side::A, "INFO", "");
    let passed = talk.scene.request(BO, "INFO");
    talk.scene.reply(BO, &passed, status, "");
    talk.scene.response(ANA, status);
    talk.hang_up();
}

/// Silence is 408.
#[rstest]
fn a_side_that_is_silent(#[values("INFO", "INVITE", "UPDATE")] method: &str) {
    let mut talk = Talk::lasting();
    let body = if method == "INFO" { String::new() } else { known(Side::A) + "a=x-a:1\r\n" };
    talk.say(Side::A, method, &body);
    talk.scene.pass(Duration::from_secs(33));
    talk.scene.sent.retain(|s| match &s.message {
        crate::sip::message::Message::Request(request) => request.method == "BYE",
        crate::sip::message::Message::Response(response) => response.status == 408,
    });
    if method == "INVITE" {
        talk.scene.response(ANA, 408);
    } else {
        // The asker's own timer has passed at the same moment (RFC 4320 section 4.2).
        talk.scene.sent.retain(|s| matches!(&s.message, crate::sip::message::Message::Request(_)));
    }
    let byes = talk.scene.sent.len();
    assert!(byes >= 2, "{byes}");
    talk.scene.forget();
    assert_eq!(talk.cause(), "dialog_gone");
    talk.scene.pass(Duration::from_secs(40));
    talk.scene.forget();
    talk.over();
}

/// Who cannot be reached any more is gone.
#[test]
fn a_side_that_cannot_be_reached() {
    let mut talk = Talk::begin();
    talk.scene.dead = vec![BO];
    talk.say(Side::A, "INFO", "");
    talk.scene.response(ANA, 408);
    let bye = talk.scene.request(ANA, "BYE");
    assert_eq!(bye.headers.first("Reason"), GONE);
    talk.scene.reply(ANA, &bye, 200, "");
    talk.over();
}

/// Numbers of requests that run backwards are refused, and change nothing (RFC 3261 section 12.2.2).
#[test]
fn a_request_out_of_order() {
    let mut talk = Talk::begin();
    talk.say(Side::A, "OPTIONS", "");
    let passed = talk.scene.request(BO, "OPTIONS");
    talk.scene.reply(BO, &passed, 200, "");
    talk.scene.response(ANA, 200);
    let mut old = talk.request_of(Side::A, "BYE");
    old.headers.set("CSeq", "2 BYE");
    talk.scene.say(ANA, old, "");
    talk.scene.response(ANA, 500);
    assert_eq!(talk.scene.b2bua.calls(), 1);
    talk.hang_up();
}
