//! Callers who had to show who they are are believed that, and nothing else.

use std::sync::Arc;

use super::scene::{ANA, BO, Scene, sdp};
use crate::sip::b2bua::{Admission, Refusal};
use crate::sip::message::{Message, Request};

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.admission = Ok(Admission { user: Some(Arc::from("ana")), realm: Some(Arc::from("ours")) });
    scene
}

const OURS: (&str, &str) = ("Proxy-Authorization", "Digest username=\"ana\", realm=\"ours\", response=\"x\"");
const ASSERTED: (&str, &str) = ("P-Asserted-Identity", "<sip:boss@east.example>");

#[track_caller]
fn nothing_of_ours(request: &Request) {
    for name in [OURS.0, "Authorization", ASSERTED.0] {
        assert!(!request.headers.has(name), "{name} in {request:?}");
    }
}

#[test]
fn credentials_and_assertions_stay_here_in_every_request() {
    let mut scene = scene();
    scene.invite_with(&[OURS, ASSERTED], &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    nothing_of_ours(&invite);
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    for (number, method) in [(2, "INVITE"), (3, "INFO"), (4, "BYE")] {
        let mut request = scene.of_ana(&ok, method, number);
        request.headers.push(OURS.0, OURS.1);
        request.headers.push(ASSERTED.0, ASSERTED.1);
        scene.say(
            ANA,
            request,
            if method == "INVITE" {
                "v=0\r\no=ana 1 2 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n\
            m=message 7100 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://192.0.2.1:7100/anotherSession;tcp\r\n"
            } else {
                ""
            },
        );
        let passed = scene.request(BO, method);
        nothing_of_ours(&passed);
        scene.reply(BO, &passed, if method == "INVITE" { 488 } else { 200 }, "");
        scene.forget();
    }
    scene.nothing_left();
}

#[test]
fn a_strangers_route_is_not_followed() {
    for (stranger, followed) in [(true, 0), (false, 1)] {
        let mut scene = if stranger { scene() } else { Scene::new() };
        scene.invite_with(&[("Route", "<sip:127.0.0.1:6379;transport=tcp;lr>")], &sdp("ana", 1, "active"));
        let [(routes, told)] = &scene.asked_routes[..] else { panic!("one question") };
        assert_eq!((routes.len(), *told), (followed, stranger));
    }
}

/// RFC 3261 section 26.3.2.4: a flood of strangers fills nothing.
#[test]
fn who_is_refused_has_nothing_kept_for_it() {
    let mut scene = Scene::new();
    scene.admission =
        Err(Refusal { status: 407, headers: vec![("Proxy-Authenticate".to_owned(), "Digest".to_owned())] });
    for _ in 0..3 {
        scene.invite(&sdp("ana", 1, "active"));
        let challenge = scene.response(ANA, 407);
        assert!(challenge.headers.has("Proxy-Authenticate"));
        assert!(scene.b2bua.transactions().is_empty() && scene.b2bua.servers.is_empty());
    }
    scene.silence();
    scene.nothing_left();
}

/// Bo's second phone answers while the relay is being told what the first one said.
#[test]
fn an_answer_beside_one_that_is_concluded_waits() {
    let mut scene = Scene::new();
    scene.invite_with(&[("Supported", "100rel")], &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.hold_core = true;
    let reliable = |n: &'static str| [("Require", "100rel"), ("RSeq", n)];
    let first = ("To", "<sip:bo@east.example>;tag=one");
    let second = ("To", "<sip:bo@east.example>;tag=two");
    let [require, rseq] = reliable("1");
    scene.reply_with(BO, &invite, 183, &[first, require, rseq], &sdp("bo", 1, "passive"));
    scene.reply_with(BO, &invite, 183, &[second, require, ("RSeq", "9")], &sdp("bo", 1, "passive"));
    scene.reply_with(BO, &invite, 200, &[second], &sdp("bo", 2, "passive"));
    assert!(scene.next(ANA).is_none(), "nothing is settled yet");
    scene.release_core();
    scene.response(ANA, 183);
    let ok = scene.response(ANA, 200);
    assert!(matches!(scene.next(BO), Some(Message::Request(ack)) if ack.method == "ACK"));
    scene.acknowledge(&ok, "");
    let bye = scene.of_ana(&ok, "BYE", 2);
    scene.say(ANA, bye, "");
    scene.response(ANA, 200);
    let bye = scene.request(BO, "BYE");
    assert!(bye.headers.first("To").is_some_and(|to| to.contains("tag=two")), "{bye:?}");
    scene.reply(BO, &bye, 200, "");
    scene.nothing_left();
}
