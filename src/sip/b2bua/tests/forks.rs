//! Calls that fork behind us (RFC 3261 sections 12.1, 13.2.2.4; SDP-91).

use rstest::rstest;

use super::scene::{ANA, BO, Scene, path, sdp, sdp_at};
use crate::relay::Side;
use crate::sip::b2bua::Forks;
use crate::sip::message::{NameAddr, Request, Response};

const RELIABLE: [(&str, &str); 2] = [("Require", "100rel"), ("RSeq", "7")];

fn invited(forks: Forks) -> (Scene, Request) {
    let mut scene = Scene::with(|s| s.forks = forks);
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    (scene, invite)
}

/// A response of this fork.
fn reply(scene: &mut Scene, invite: &Request, fork: &str, status: u16, more: &[(&str, &str)], body: &str) {
    let to = format!("<sip:bo@east.example>;tag={fork}");
    let mut headers = vec![("To", to.as_str())];
    headers.extend(more);
    scene.reply_with(BO, invite, status, &headers, body);
}

fn tag(response: &Response) -> String {
    NameAddr::read(response.headers.first("To").unwrap()).unwrap().tag().unwrap().to_owned()
}

fn of(fork: &str) -> String {
    sdp_at(fork, 1, "passive", "198.51.100.2", &format!("{fork}Session77"))
}

/// ACK and BYE for a 2xx that nobody wants.
#[track_caller]
fn turned_down(scene: &mut Scene, fork: &str) {
    let ack = scene.request(BO, "ACK");
    let bye = scene.request(BO, "BYE");
    for request in [&ack, &bye] {
        assert!(request.headers.first("To").unwrap().ends_with(&format!("tag={fork}")));
    }
    scene.reply(BO, &bye, 200, "");
}

fn hang_up(mut scene: Scene, ok: &Response) {
    scene.acknowledge(ok, "");
    let bye = scene.of_ana(ok, "BYE", 90);
    scene.say(ANA, bye, "");
    scene.response(ANA, 200);
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    scene.silence();
    assert_eq!(scene.reserved.len(), scene.released.len());
    scene.nothing_left();
}

#[rstest]
#[case(Forks::Each, true)]
#[case(Forks::First, false)]
fn the_caller_sees_each_fork_or_one(#[case] forks: Forks, #[case] each: bool) {
    let (mut scene, invite) = invited(forks);
    reply(&mut scene, &invite, "x", 180, &[], "");
    let first = scene.response(ANA, 180);
    reply(&mut scene, &invite, "y", 183, &[], &of("y"));
    if each {
        assert_ne!(tag(&scene.response(ANA, 183)), tag(&first));
    }
    scene.silence();
    reply(&mut scene, &invite, "x", 183, &[], "");
    assert_eq!(tag(&scene.response(ANA, 183)), tag(&first));
    reply(&mut scene, &invite, "y", 200, &[], &of("y"));
    let ok = scene.response(ANA, 200);
    assert_eq!(tag(&ok) != tag(&first), each);
    scene.request(BO, "ACK");
    assert_eq!((scene.b2bua.dialogs(), scene.reserved.len()), (2, 1), "the loser's dialogs are gone");
    if each {
        let info = scene.of_ana(&first, "INFO", 2);
        scene.say(ANA, info, "");
        scene.response(ANA, 481);
    }
    reply(&mut scene, &invite, "x", 200, &[], &of("x"));
    turned_down(&mut scene, "x");
    // The 2xx of the winner once more is acknowledged once more, and nothing else.
    reply(&mut scene, &invite, "y", 200, &[], &of("y"));
    scene.request(BO, "ACK");
    scene.silence();
    hang_up(scene, &ok);
}

/// SDP-91: the second 2xx comes while the relay still works on the first.
#[test]
fn a_second_2xx_under_way_is_turned_down() {
    let (mut scene, invite) = invited(Forks::Each);
    scene.hold_core = true;
    reply(&mut scene, &invite, "x", 200, &[], &of("x"));
    scene.silence();
    reply(&mut scene, &invite, "y", 200, &[], &of("y"));
    turned_down(&mut scene, "y");
    scene.release_core();
    let ok = scene.response(ANA, 200);
    let ack = scene.request(BO, "ACK");
    assert!(ack.headers.first("To").unwrap().ends_with("tag=x"));
    hang_up(scene, &ok);
}

/// SDP-91: one fork has answered reliably, another one takes the call: its answer is in force.
#[rstest]
fn the_fork_that_takes_the_call_has_its_answer_in_force(
    #[values(Forks::Each, Forks::First)] forks: Forks,
    #[values(false, true)] earlier: bool,
) {
    let (mut scene, invite) = invited(forks);
    reply(&mut scene, &invite, "x", 183, &RELIABLE, &of("x"));
    let first = scene.response(ANA, 183);
    if earlier && forks == Forks::Each {
        reply(&mut scene, &invite, "y", 183, &RELIABLE, &of("y"));
        scene.response(ANA, 183);
        reply(&mut scene, &invite, "x", 183, &RELIABLE, &of("x"));
        scene.response(ANA, 183);
        reply(&mut scene, &invite, "y", 200, &[], "");
    } else {
        reply(&mut scene, &invite, "y", 200, &[], &of("y"));
    }
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    let (_, target) = scene.terms.iter().rev().find(|(side, _)| *side == Side::B).unwrap();
    assert!(target.ends_with("/ySession77;tcp"), "{target}");
    if !ok.body.is_empty() {
        assert_eq!(path(&ok.body), path(&first.body));
    }
    assert_eq!((scene.reserved.len(), scene.b2bua.dialogs()), (1, 2));
    hang_up(scene, &ok);
}

/// A fork that never answered the offer cannot take the call without doing so.
#[test]
fn a_fork_without_an_answer_does_not_take_the_call() {
    let (mut scene, invite) = invited(Forks::Each);
    reply(&mut scene, &invite, "x", 183, &RELIABLE, &of("x"));
    scene.response(ANA, 183);
    reply(&mut scene, &invite, "y", 200, &[], "");
    scene.response(ANA, 502);
    turned_down(&mut scene, "y");
    scene.nothing_left();
}

#[test]
fn forks_have_a_bound() {
    let (mut scene, invite) = invited(Forks::Each);
    for n in 0..100 {
        reply(&mut scene, &invite, &format!("f{n}"), 180, &[], "");
    }
    assert_eq!(scene.b2bua.dialogs(), 32);
    scene.forget();
    reply(&mut scene, &invite, "f3", 486, &[], "");
    scene.response(ANA, 486);
    scene.forget();
    assert_eq!(scene.b2bua.dialogs(), 0);
    scene.nothing_left();
}

/// Whoever answers without a tag has no dialog: nobody can be told, and nobody waits.
#[test]
fn a_2xx_without_a_tag_is_a_bad_gateway() {
    let (mut scene, invite) = invited(Forks::Each);
    scene.reply_with(BO, &invite, 180, &[("To", "<sip:bo@east.example>")], "");
    scene.silence();
    scene.reply_with(BO, &invite, 200, &[("To", "<sip:bo@east.example>")], &of("x"));
    scene.response(ANA, 502);
    scene.nothing_left();
}
