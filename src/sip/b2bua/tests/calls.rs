//! Calls that are set up and end (RFC 3261 sections 13 to 15).

use std::time::Duration;

use super::scene::{ANA, BO, Scene, cancel_of, line, path, sdp, uri_of};
use crate::sip::b2bua::CallEvent;
use crate::sip::message::{Request, Response};

/// An answered call: our INVITE to Bo, our 2xx to Ana.
pub(super) fn answered(scene: &mut Scene) -> (Request, Response) {
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    scene.silence();
    (invite, ok)
}

#[test]
fn a_call_meets_at_the_relay_and_leaves_nothing() {
    let mut scene = Scene::new();
    scene.invite_with(&[("X-Odd", "a;b"), ("Subject", "hi")], &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    let text = String::from_utf8(invite.octets().to_vec()).unwrap();
    assert!(!text.contains("192.0.2.1"), "nothing of Ana's place is told: {text}");
    assert_eq!(invite.uri, "sip:bo@east.example");
    assert_eq!((invite.headers.first("X-Odd"), invite.headers.first("Max-Forwards")), (Some("a;b"), Some("69")));
    assert_eq!(uri_of(&invite.headers, "Contact"), "sip:203.0.113.20:5060");
    assert!(path(&invite.body).starts_with("msrp://203.0.113.20:2856/"));
    assert_eq!(line(&invite.body, "a=setup:"), "actpass");
    assert_eq!(line(&invite.body, "m="), "message 2856 TCP/MSRP *");
    scene.reply(BO, &invite, 180, "");
    let ringing = scene.response(ANA, 180);
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    assert_eq!(ringing.headers.first("To"), ok.headers.first("To"), "one dialog");
    assert_eq!(line(&ok.body, "a=setup:"), "passive");
    assert_ne!(path(&ok.body), path(&invite.body));
    let ack = scene.request(BO, "ACK");
    assert_eq!(ack.headers.first("CSeq"), Some("1 ACK"));
    scene.acknowledge(&ok, "");
    assert_eq!((scene.b2bua.calls(), scene.b2bua.dialogs(), scene.b2bua.anchors()), (1, 2, 1));

    let bye = scene.of_ana(&ok, "BYE", 2);
    scene.say(ANA, bye, "");
    scene.response(ANA, 200);
    let bye = scene.request(BO, "BYE");
    assert!(!bye.headers.has("Contact"));
    scene.reply(BO, &bye, 200, "");
    scene.silence();
    assert_eq!(scene.released.len(), 1);
    assert!(matches!(scene.events.last(), Some(CallEvent::Ended(record)) if record.cause.word() == "bye"));
    scene.nothing_left();
}

#[test]
fn s13_3_1_4_a_2xx_that_is_never_acknowledged_ends_the_call() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    scene.request(BO, "ACK");
    scene.pass(Duration::from_secs(33));
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    scene.response(ANA, 200);
    scene.nothing_left();
}

/// SDP-80
#[test]
fn s9_2_cancel_ends_a_call_that_rings() {
    let mut scene = Scene::new();
    let asked = scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 180, "");
    scene.response(ANA, 180);
    let cancel = cancel_of(&asked);
    scene.say(ANA, cancel, "");
    scene.response(ANA, 200);
    scene.response(ANA, 487);
    let cancel = scene.request(BO, "CANCEL");
    scene.reply(BO, &cancel, 200, "");
    scene.reply(BO, &invite, 487, "");
    scene.request(BO, "ACK");
    assert_eq!(scene.released.len(), 1);
    scene.nothing_left();
}
