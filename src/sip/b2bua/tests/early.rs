//! Descriptions before the answer: shown in unreliable responses, agreed in reliable ones (RFC 3261 section 13.2.1, RFC 3262,
//! RFC 3311).

use super::scene::{ANA, BO, BO_TOO, Scene, line, path, sdp, sdp_at};
use crate::sip::message::{Request, Response};

const RELIABLE: [(&str, &str); 2] = [("Require", "100rel"), ("RSeq", "7")];

fn hang_up(scene: &mut Scene, ok: &Response) {
    let bye = scene.of_ana(ok, "BYE", 90);
    scene.say(ANA, bye, "");
    scene.response(ANA, 200);
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    scene.silence();
    assert_eq!(scene.reserved.len(), scene.released.len());
    scene.nothing_left();
}

/// Our INVITE to Bo, which is the second one, for the first target is dead: its CSeq differs from Ana's.
fn invited(scene: &mut Scene, body: &str) -> Request {
    scene.targets = vec![BO_TOO, BO];
    scene.dead = vec![BO_TOO];
    scene.invite_with(&[("Supported", "100rel")], body);
    let invite = scene.request(BO, "INVITE");
    assert_eq!(invite.headers.first("CSeq"), Some("2 INVITE"));
    invite
}

/// A PRACK of Ana, across and answered.
fn acknowledged(scene: &mut Scene, ringing: &Response, body: &str, answer: &str) -> (Request, Response) {
    let mut prack = scene.of_ana(ringing, "PRACK", 2);
    prack.headers.push("RAck", "7 1 INVITE");
    scene.say(ANA, prack, body);
    let prack = scene.request(BO, "PRACK");
    assert_eq!(prack.headers.first("RAck"), Some("7 2 INVITE"));
    assert_eq!(prack.headers.first("CSeq"), Some("3 PRACK"));
    scene.reply(BO, &prack, 200, answer);
    let ok = scene.response(ANA, 200);
    assert_eq!(ok.headers.first("CSeq"), Some("2 PRACK"));
    (prack, ok)
}

#[test]
fn an_unreliable_answer_is_shown_and_binds_nothing() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, &sdp("ana", 1, "active"));
    scene.reply(BO, &invite, 183, &sdp("bo", 1, "passive"));
    let shown = scene.response(ANA, 183);
    assert!(path(&shown.body).starts_with("msrp://203.0.113.20:2856/"));
    assert!(!String::from_utf8_lossy(&shown.body).contains("198.51.100.2"));
    scene.reply(BO, &invite, 183, "v=1");
    let shown = scene.response(ANA, 183);
    assert!(shown.body.is_empty() && !shown.headers.has("Content-Type"), "what cannot be shown is not");
    scene.reply(BO, &invite, 200, &sdp_at("bo", 2, "active", "198.51.100.9", "elsewhere"));
    let ok = scene.response(ANA, 200);
    assert_eq!(line(&ok.body, "a=setup:"), "passive");
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    hang_up(&mut scene, &ok);
}

#[test]
fn a_late_offer_in_an_unreliable_response_is_not_shown() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "");
    scene.reply(BO, &invite, 183, &sdp("bo", 1, "actpass"));
    assert!(scene.response(ANA, 183).body.is_empty());
    scene.reply(BO, &invite, 486, "");
    scene.response(ANA, 486);
    scene.forget();
    scene.nothing_left();
}

#[test]
fn s3262_5_a_reliable_answer_is_agreed_and_the_2xx_may_repeat_it() {
    for repeats in [false, true] {
        let mut scene = Scene::new();
        let invite = invited(&mut scene, &sdp("ana", 1, "active"));
        scene.reply_with(BO, &invite, 183, &RELIABLE, &sdp("bo", 1, "passive"));
        let ringing = scene.response(ANA, 183);
        assert_eq!((ringing.headers.first("RSeq"), ringing.headers.first("Require")), (Some("7"), Some("100rel")));
        acknowledged(&mut scene, &ringing, "", "");
        let answer = if repeats { sdp("bo", 1, "passive") } else { String::new() };
        scene.reply(BO, &invite, 200, &answer);
        let ok = scene.response(ANA, 200);
        assert_eq!(ok.body, if repeats { ringing.body } else { Default::default() });
        assert_eq!(ok.headers.has("Content-Type"), repeats);
        assert_eq!(scene.request(BO, "ACK").headers.first("CSeq"), Some("2 ACK"));
        scene.acknowledge(&ok, "");
        // The next request of ours has a number of its own: PRACK has taken one.
        let info = scene.of_ana(&ok, "INFO", 3);
        scene.say(ANA, info, "");
        let info = scene.request(BO, "INFO");
        assert_eq!(info.headers.first("CSeq"), Some("4 INFO"));
        scene.reply(BO, &info, 200, "");
        scene.response(ANA, 200);
        hang_up(&mut scene, &ok);
    }
}

#[test]
fn a_reliable_offer_is_answered_in_the_prack() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, "");
    scene.reply_with(BO, &invite, 183, &RELIABLE, &sdp("bo", 1, "actpass"));
    let ringing = scene.response(ANA, 183);
    assert_eq!(line(&ringing.body, "a=setup:"), "actpass");
    let (prack, _) = acknowledged(&mut scene, &ringing, &sdp("ana", 1, "active"), "");
    assert_eq!(line(&prack.body, "a=setup:"), "passive");
    scene.reply(BO, &invite, 200, "");
    let ok = scene.response(ANA, 200);
    scene.silence();
    scene.acknowledge(&ok, "");
    assert!(scene.request(BO, "ACK").body.is_empty());
    hang_up(&mut scene, &ok);
}

#[test]
fn a_prack_may_offer_anew() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, &sdp("ana", 1, "active"));
    scene.reply_with(BO, &invite, 183, &RELIABLE, &sdp("bo", 1, "passive"));
    let ringing = scene.response(ANA, 183);
    let hold = sdp("ana", 2, "active") + "a=sendonly\r\n";
    let (prack, answer) = acknowledged(&mut scene, &ringing, &hold, &(sdp("bo", 2, "passive") + "a=recvonly\r\n"));
    assert_eq!(path(&prack.body), path(&invite.body));
    assert!(String::from_utf8_lossy(&prack.body).contains("a=sendonly"));
    assert_eq!(path(&answer.body), path(&ringing.body));
    scene.reply(BO, &invite, 200, "");
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    hang_up(&mut scene, &ok);
}

/// A PRACK with the offer that is in force is not answered here: Bo would send his 18x for ever.
#[test]
fn a_prack_that_repeats_the_offer_goes_on() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, &sdp("ana", 1, "active"));
    scene.reply_with(BO, &invite, 183, &RELIABLE, &sdp("bo", 1, "passive"));
    let ringing = scene.response(ANA, 183);
    acknowledged(&mut scene, &ringing, &sdp("ana", 1, "active"), &sdp("bo", 1, "passive"));
    scene.reply(BO, &invite, 486, "");
    scene.response(ANA, 486);
    scene.forget();
    scene.nothing_left();
}

/// RFC 3311 section 5.2: in an early dialog too, once offer and answer are done; before, it is refused.
#[test]
fn an_update_changes_an_early_session() {
    let mut scene = Scene::new();
    let invite = invited(&mut scene, &sdp("ana", 1, "active"));
    scene.reply(BO, &invite, 180, "");
    let ringing = scene.response(ANA, 180);
    let update = scene.of_ana(&ringing, "UPDATE", 2);
    scene.say(ANA, update, &sdp("ana", 2, "active"));
    assert!(scene.response(ANA, 500).headers.has("Retry-After"));
    let update = scene.of_bo(&invite, "UPDATE", 1);
    scene.say(BO, update, &sdp("bo", 1, "actpass"));
    scene.response(BO, 491);
    scene.reply_with(BO, &invite, 183, &RELIABLE, &sdp("bo", 1, "passive"));
    scene.response(ANA, 183);
    let update = scene.of_bo(&invite, "UPDATE", 2);
    scene.say(BO, update, &(sdp("bo", 2, "actpass") + "a=sendonly\r\n"));
    let update = scene.request(ANA, "UPDATE");
    assert_eq!(path(&update.body), path(&ringing_path(&mut scene, &invite)));
    scene.reply(ANA, &update, 200, &(sdp("ana", 2, "active") + "a=recvonly\r\n"));
    let answer = scene.response(BO, 200);
    assert_eq!(path(&answer.body), path(&invite.body));
    scene.reply(BO, &invite, 200, "");
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    hang_up(&mut scene, &ok);
}

/// What Ana was told in the reliable answer: Bo sends it once more.
fn ringing_path(scene: &mut Scene, invite: &Request) -> bytes::Bytes {
    scene.reply_with(BO, invite, 183, &RELIABLE, &sdp("bo", 1, "passive"));
    scene.response(ANA, 183).body
}
