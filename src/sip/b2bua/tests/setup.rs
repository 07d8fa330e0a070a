//! Calls that do not begin, and the way on to where they do (RFC 3261 sections 8.2, 16, 21; RFC 3263 section 4.3).

use std::time::Duration;

use rstest::rstest;

use super::calls::answered;
use super::scene::{ANA, BO, BO_TOO, Scene, US, cancel_of, line, sdp, uri_of};
use crate::sip::b2bua::{CallEvent, Refusal};
use crate::sip::message::{Request, Response};
use crate::sip::way::Protocol;

/// Ana's INVITE gets this at once, and nothing is left of it.
fn refused(scene: &mut Scene, headers: &[(&str, &str)], body: &str, status: u16) -> Response {
    scene.invite_with(headers, body);
    let response = scene.response(ANA, status);
    assert!(response.headers.first("To").unwrap().contains(";tag="), "{response:?}");
    scene.silence();
    assert_eq!((scene.b2bua.calls(), scene.reserved.len()), (0, scene.released.len()));
    scene.nothing_left();
    response
}

/// SDP-6, SDP-13, ADV-S01, ADV-S02, ADV-S03, ADV-S05, SDP-96: 488 with its cause.
#[rstest]
#[case::no_path("a=path:", "a=nopath:", "399 gate.example \"no path\"")]
#[case::no_types("a=accept-types", "a=reject-types", "304 gate.example \"no accept-types\"")]
#[case::port("message 7100", "message 70000", "399 gate.example \"bad port in the m-line\"")]
#[case::range("message 7100", "message 7100/2", "399 gate.example \"bad port in the m-line\"")]
#[case::format("MSRP *", "MSRP text/plain", "399 gate.example \"format of the m-line is not *\"")]
#[case::scheme("msrp://", "msrps://", "399 gate.example \"scheme of the path does not fit the protocol\"")]
#[case::implicit("msrp://192.0.2.1:7100/", "msrp://ana.example/", "399 gate.example \"URI without port in the path\"")]
#[case::host("msrp://192.0.2.1", "msrp://127.0.0.1", "399 gate.example \"address of the path cannot be reached\"")]
#[case::ours(
    "msrp://192.0.2.1:7100",
    "msrp://203.0.113.20:2856",
    "399 gate.example \"path names an unknown session of this relay\""
)]
fn an_unacceptable_description_is_refused(#[case] from: &str, #[case] to: &str, #[case] warning: &str) {
    let body = sdp("ana", 1, "active").replace(from, to);
    let response = refused(&mut Scene::new(), &[], &body, 488);
    assert_eq!(response.headers.first("Warning"), Some(warning));
}

/// ADV-S02.
#[test]
fn two_paths_are_refused() {
    let body = sdp("ana", 1, "active") + "a=path:msrp://192.0.2.1:7100/zwei;tcp\r\n";
    let response = refused(&mut Scene::new(), &[], &body, 488);
    assert_eq!(response.headers.first("Warning"), Some("399 gate.example \"more than one path\""));
}

/// ADV-S04: the egress policy of the relay has the last word about a path that we connect to, after ACK and BYE to Bo.
#[test]
fn a_forbidden_target_is_refused_when_it_is_to_be_connected_to() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "passive").replace("192.0.2.1", "169.254.169.254"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let response = scene.response(ANA, 488);
    assert_eq!(response.headers.first("Warning"), Some("399 gate.example \"target forbidden by policy\""));
    scene.request(BO, "ACK");
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    assert_eq!(scene.released.len(), 1);
    scene.nothing_left();
}

/// ADV-S11, ADV-S13; RFC 3261 section 21.4.13.
#[rstest]
#[case::other_type("text/plain", "hello", 415)]
#[case::no_description("application/sdp", "hello", 400)]
#[case::nul("application/sdp", "v=0\0\r\n", 400)]
#[case::open("multipart/mixed;boundary=x", "--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n", 400)]
#[case::unreadable("sdp", "v=0", 400)]
fn a_body_that_cannot_be_read_is_refused(#[case] kind: &str, #[case] body: &str, #[case] status: u16) {
    let response = refused(&mut Scene::new(), &[("Content-Type", kind)], body, status);
    assert_eq!(response.headers.has("Accept"), status == 415);
}

#[test]
fn an_encoding_is_refused_with_what_is_taken() {
    let headers = [("Content-Type", "application/sdp"), ("Content-Encoding", "gzip")];
    let response = refused(&mut Scene::new(), &headers, "v=0\r\n", 415);
    assert_eq!(response.headers.first("Accept-Encoding"), Some("identity"));
}

/// RFC 3261 sections 8.2.2.3, 16.3; RFC 4028 section 9 (SDP-84).
#[rstest]
#[case::hops(&[("Max-Forwards", "0")], 483, None)]
#[case::require(&[("Require", "100rel, foo"), ("Proxy-Require", "bar")], 420, Some(("Unsupported", "foo, bar")))]
#[case::interval(&[("Session-Expires", "30"), ("Supported", "timer")], 422, Some(("Min-SE", "90")))]
fn what_cannot_go_on_is_refused(
    #[case] headers: &[(&str, &str)],
    #[case] status: u16,
    #[case] says: Option<(&str, &str)>,
) {
    let response = refused(&mut Scene::new(), headers, &sdp("ana", 1, "active"), status);
    if let Some((name, value)) = says {
        assert_eq!(response.headers.first(name), Some(value));
    }
}

/// ADV-S19: who does not know the timer cannot be refused for it.
#[test]
fn a_caller_without_the_timer_is_not_refused() {
    let mut scene = Scene::new();
    scene.invite_with(&[("Session-Expires", "1;refresher=uas")], &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    assert_eq!(ok.headers.first("Session-Expires"), Some("90;refresher=uas"));
    scene.acknowledge(&ok, "");
    scene.forget();
    scene.nothing_left();
}

#[rstest]
#[case::outside_info("INFO", "", 405)]
#[case::outside_message("MESSAGE", "", 405)]
#[case::outside_bye("BYE", "", 481)]
#[case::outside_update("UPDATE", "", 481)]
#[case::dialog_bye("BYE", ";tag=unknown", 481)]
#[case::dialog_invite("INVITE", ";tag=unknown", 481)]
#[case::dialog_info("INFO", ";tag=unknown", 481)]
fn what_has_no_dialog_is_refused(#[case] method: &str, #[case] tag: &str, #[case] status: u16) {
    let mut scene = Scene::new();
    let mut request = scene.outside(method);
    request.headers.set("To", format!("<sip:bo@east.example>{tag}"));
    scene.say(ANA, request, "");
    let response = scene.response(ANA, status);
    assert_eq!(response.headers.has("Allow"), status == 405);
    scene.nothing_left();
}

#[test]
fn a_call_that_comes_back_has_gone_in_a_circle() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    let mut again = invite.clone();
    again.headers.set("Via", "SIP/2.0/UDP 198.51.100.2:5060;branch=z9hG4bKspiral");
    scene.say(BO, again, &sdp("ana", 1, "active"));
    scene.response(BO, 482);
    scene.reply(BO, &invite, 482, "");
    scene.request(BO, "ACK");
    scene.response(ANA, 482);
    scene.nothing_left();
}

#[rstest]
#[case(401, "WWW-Authenticate")]
#[case(403, "X-Why")]
#[case(407, "Proxy-Authenticate")]
#[case(503, "Retry-After")]
fn admission_and_routing_refuse_with_their_headers(#[case] status: u16, #[case] header: &str) {
    let mut scene = Scene::new();
    scene.admission = Err(Refusal { status, headers: vec![(header.to_owned(), "17".to_owned())] });
    let response = refused(&mut scene, &[], &sdp("ana", 1, "active"), status);
    assert_eq!(response.headers.first(header), Some("17"));
    let mut scene = Scene::new();
    scene.targets.clear();
    refused(&mut scene, &[], &sdp("ana", 1, "active"), 404);
}

#[test]
fn whoever_never_says_who_may_or_where_to_is_not_waited_for() {
    for outputs in [1, 2] {
        let mut scene = Scene::new();
        scene.hold_rules = true;
        scene.invite(&sdp("ana", 1, "active"));
        if outputs == 2 {
            let admit = scene.held.pop_front().unwrap();
            scene.perform_now(admit);
            scene.run();
        }
        scene.pass(Duration::from_secs(11));
        scene.response(ANA, 100);
        assert_eq!(scene.response(ANA, 503).headers.first("Retry-After"), Some("10"));
        scene.release_core();
        scene.forget();
        scene.nothing_left();
    }
}

/// RFC 3263 section 4.3.
#[test]
fn a_target_that_cannot_be_reached_gives_way_to_the_next() {
    let mut scene = Scene::new();
    scene.targets = vec![BO, BO_TOO];
    scene.dead = vec![BO];
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO_TOO, "INVITE");
    assert_eq!((line(&invite.body, "o="), invite.headers.first("CSeq")), (line(&invite.body, "o="), Some("2 INVITE")));
    scene.reply(BO_TOO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    assert_eq!((scene.reserved.len(), &*scene.rested), (1, &[BO][..]), "one session, whoever answers");
    scene.forget();
    scene.nothing_left();
}

/// RFC 3263 section 4.3: the next target may speak another protocol, and then we speak as another listener.
#[test]
fn another_protocol_takes_over() {
    let mut scene = Scene::new();
    (scene.protocol, scene.targets, scene.dead) = (Protocol::Tcp, vec![BO, BO_TOO], vec![BO]);
    scene.invite(&sdp("ana", 1, "active"));
    let sent = scene.sent.iter().find(|sent| sent.to == BO_TOO).expect("an INVITE");
    assert_eq!((sent.way.protocol(), sent.way.local()), (Protocol::Udp, Some(US)));
    let invite = scene.request(BO_TOO, "INVITE");
    assert!(invite.headers.first("Via").unwrap().starts_with("SIP/2.0/UDP "), "{invite:?}");
    assert_eq!(uri_of(&invite.headers, "Contact"), "sip:203.0.113.20:5060");
    scene.reply(BO_TOO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    scene.request(BO_TOO, "ACK");
    let info = scene.of_ana(&ok, "INFO", 2);
    scene.say(ANA, info, "");
    scene.request(BO_TOO, "INFO");
    assert_eq!(scene.rested, [BO]);
    scene.forget();
}

#[test]
fn a_target_that_is_busy_or_silent_gives_way_to_the_next() {
    for silent in [false, true] {
        let mut scene = Scene::new();
        scene.targets = vec![BO, BO_TOO];
        scene.invite(&sdp("ana", 1, "active"));
        let invite = scene.request(BO, "INVITE");
        if silent {
            scene.pass(Duration::from_secs(32));
        } else {
            scene.reply(BO, &invite, 180, "");
            scene.response(ANA, 180);
            scene.reply(BO, &invite, 503, "");
        }
        let invite = scene.request(BO_TOO, "INVITE");
        scene.reply(BO_TOO, &invite, 486, "");
        scene.request(BO_TOO, "ACK");
        scene.forget_until(ANA, 486);
        scene.forget();
        scene.nothing_left();
    }
}

#[test]
fn the_last_target_decides() {
    let mut scene = Scene::new();
    scene.dead = vec![BO];
    refused(&mut scene, &[], &sdp("ana", 1, "active"), 408);
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply_with(BO, &invite, 503, &[("Retry-After", "7")], "");
    assert_eq!(scene.response(ANA, 503).headers.first("Retry-After"), Some("7"));
    scene.forget();
    scene.nothing_left();
}

#[test]
fn redirections_pass_with_their_contacts() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply_with(BO, &invite, 302, &[("Contact", "<sip:bo@elsewhere.example>;q=0.7"), ("X-Odd", "1")], "");
    let response = scene.response(ANA, 302);
    assert_eq!(response.headers.first("Contact"), Some("<sip:bo@elsewhere.example>;q=0.7"));
    assert_eq!((response.headers.first("X-Odd"), response.phrase.as_str()), (Some("1"), "Phrase"));
    scene.forget();
    scene.nothing_left();
}

#[rstest]
#[case("application/sdp", false)]
#[case("text/html", false)]
#[case("message/sipfrag;version=2.0", true)]
fn bodies_of_refusals_stay_here_but_for_fragments(#[case] kind: &str, #[case] passes: bool) {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply_with(BO, &invite, 606, &[("Content-Type", kind)], "SIP/2.0 100 Trying\r\n");
    let response = scene.response(ANA, 606);
    assert_eq!((response.body.is_empty(), response.headers.has("Content-Type")), (!passes, passes));
    assert!(!response.headers.has("Contact"));
    scene.forget();
    scene.nothing_left();
}

#[test]
fn too_many_calls_and_a_drain_get_503() {
    let mut scene = Scene::with(|s| s.calls = 1);
    answered(&mut scene);
    scene.invite_with(&[("From", "<sip:eve@x.example>;tag=e")], &sdp("ana", 1, "active"));
    assert_eq!(scene.response(ANA, 503).headers.first("Retry-After"), Some("10"));
    assert!(matches!(scene.events.last(), Some(CallEvent::Refused { status: 503 })));
    scene.forget();
    scene.pass(Duration::from_secs(200));
    let mut scene = Scene::new();
    scene.b2bua.drain();
    refused(&mut scene, &[], &sdp("ana", 1, "active"), 503);
}

#[test]
fn admissions_that_come_together_do_not_pass_the_bound() {
    let mut scene = Scene::with(|s| s.calls = 1);
    scene.hold_rules = true;
    let first: Request = scene.invite(&sdp("ana", 1, "active"));
    scene.invite(&sdp("ana", 1, "active"));
    scene.release_core();
    scene.request(BO, "INVITE");
    scene.response(ANA, 503);
    assert_eq!(scene.b2bua.calls(), 1);
    scene.say(ANA, cancel_of(&first), "");
    scene.forget();
    scene.nothing_left();
}

/// SDP-52, SDP-71.
#[test]
fn options_are_answered_with_what_we_can_do() {
    let mut scene = Scene::new();
    let request = scene.outside("OPTIONS");
    scene.say(ANA, request, "");
    let response = scene.response(ANA, 200);
    let text = std::str::from_utf8(&response.body).unwrap();
    assert!(text.contains("m=message 0 TCP/TLS/MSRP *\r\n") && text.contains("m=message 0 TCP/MSRP *\r\n"), "{text}");
    assert!(
        text.contains("a=accept-types:message/cpim text/plain\r\n") && text.contains("a=file-selector\r\n"),
        "{text}"
    );
    assert_eq!(response.headers.first("Contact"), Some("<sip:203.0.113.20:5060>"));
    assert!(response.headers.first("Allow").unwrap().contains("UPDATE"));
    assert!(response.headers.first("Accept").unwrap().contains("application/sdp"));
    scene.nothing_left();
}

/// SDP-104: over UDP nobody knows whose fingerprint it is.
#[test]
fn a_fingerprint_needs_secure_signalling() {
    let print = "AA:".repeat(31) + "AA";
    let body = sdp("ana", 1, "active").replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp:", "msrps:");
    let body = format!("{body}a=fingerprint:sha-256 {print}\r\n");
    let mut scene = Scene::with(|s| s.media.secure_fingerprints = true);
    let response = refused(&mut scene, &[], &body, 488);
    assert_eq!(response.headers.first("Warning"), Some("399 gate.example \"fingerprint needs secure signalling\""));
}
