//! What passes from one dialog to the other: requests, their responses, headers; and by which way (RFC 3261 sections 12.2, 16.12).

use std::time::Duration;

use rstest::rstest;

use super::scene::{ANA, BO, BO_TOO, Scene, sdp};
use super::talk::{Talk, at, known};
use crate::relay::Side;
use crate::sip::message::{Message, Request, cseq};

const ODD: [(&str, &str); 3] = [("X-Odd", "  a;;b ,\"c\""), ("x-odd", "2"), ("P-Charging-Vector", "icid-value=1")];

/// Octet for octet both ways, with the body.
#[rstest]
fn requests_and_responses_pass(
    #[values("INFO", "MESSAGE", "OPTIONS")] method: &str,
    #[values(Side::A, Side::B)] from: Side,
    #[values(200, 202, 415, 606)] status: u16,
) {
    let mut talk = Talk::begin();
    let mut request = talk.request_of(from, method);
    for (name, value) in ODD.iter().chain(&[("Content-Type", "text/x-odd;p=1"), ("Accept", "a/b")]) {
        request.headers.push(name, *value);
    }
    talk.scene.say(at(from), request, "\u{1}\r\n\r\nbody");
    let passed = talk.scene.request(at(from.other()), method);
    let odd = |headers: &crate::sip::message::Headers| {
        let of = headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case("x-odd") || n.starts_with("P-"));
        of.map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>()
    };
    let expected: Vec<_> = ODD.iter().map(|(n, v)| ((*n).to_owned(), v.trim().to_owned())).collect();
    assert_eq!(odd(&passed.headers), expected);
    assert_eq!((passed.headers.first("Accept"), &passed.body[..]), (Some("a/b"), &b"\x01\r\n\r\nbody"[..]));
    assert_eq!(passed.headers.first("Max-Forwards"), Some("69"));
    assert!(!passed.headers.has("Contact"));
    talk.scene.reply_with(at(from.other()), &passed, 183, &[("X-Odd", "early")], "");
    assert_eq!(talk.scene.response(at(from), 183).headers.first("X-Odd"), Some("early"));
    talk.scene.reply_with(at(from.other()), &passed, status, &[("X-Odd", "a;b"), ("Content-Type", "x/y")], "back");
    let back = talk.scene.response(at(from), status);
    assert_eq!((back.headers.first("X-Odd"), &back.body[..], &*back.phrase), (Some("a;b"), &b"back"[..], "Phrase"));
    assert_eq!(back.headers.first("Content-Type"), Some("x/y"));
    talk.hang_up();
}

/// SDP-99: what an end can do tells where it is, and is no offer.
#[test]
fn capabilities_in_a_dialog_stay_where_they_are() {
    let mut talk = Talk::begin();
    talk.say(Side::A, "OPTIONS", &known(Side::A));
    let passed = talk.scene.request(BO, "OPTIONS");
    assert!(passed.body.is_empty() && !passed.headers.has("Content-Type"));
    talk.scene.reply(BO, &passed, 200, &known(Side::B));
    let back = talk.scene.response(ANA, 200);
    assert!(back.body.is_empty() && !back.headers.has("Content-Type"));
    assert!(back.headers.first("Allow").is_some_and(|a| a.contains("UPDATE")));
    talk.exchange(Side::B, "UPDATE", &(known(Side::B) + "a=x-a:1\r\n"), &known(Side::A));
    talk.hang_up();
}

/// A description in something that negotiates nothing is one more body.
#[rstest]
fn a_description_in_an_info_is_no_offer(#[values("INFO", "MESSAGE")] method: &str) {
    let mut talk = Talk::begin();
    talk.say(Side::A, method, &known(Side::A));
    let passed = talk.scene.request(BO, method);
    assert_eq!(passed.body, known(Side::A));
    talk.scene.reply(BO, &passed, 200, &known(Side::B));
    assert_eq!(talk.scene.response(ANA, 200).body, known(Side::B));
    talk.exchange(Side::B, "UPDATE", &(known(Side::B) + "a=x-a:1\r\n"), &known(Side::A));
    talk.hang_up();
}

/// A hundred at once, answered backwards: each gets its own.
#[test]
fn many_at_once_are_not_mixed_up() {
    let mut talk = Talk::begin();
    let mut asked = Vec::new();
    for n in 0..100 {
        let mut request = talk.request_of(Side::A, "INFO");
        request.headers.push("X-N", n.to_string());
        asked.push(talk.scene.say(ANA, request, ""));
    }
    let passed: Vec<Request> = (0..100).map(|_| talk.scene.request(BO, "INFO")).collect();
    for request in passed.iter().rev() {
        let n = request.headers.first("X-N").unwrap().to_owned();
        talk.scene.reply_with(BO, request, 200, &[("X-N", &n)], "");
    }
    for (n, request) in asked.iter().enumerate().rev() {
        let back = talk.scene.response(ANA, 200);
        assert_eq!(back.headers.first("X-N"), Some(&*n.to_string()));
        assert_eq!(
            back.headers.first("Via").map(|v| v.split(';').nth(1)),
            request.headers.first("Via").map(|v| v.split(';').nth(1))
        );
    }
    let numbers: Vec<u32> = passed.iter().map(|r| cseq(&r.headers).unwrap().number).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    talk.hang_up();
}

/// RFC 3261 sections 8.2.2.3, 16.3.
#[rstest]
#[case(("Require", "foo"), 420)]
#[case(("Max-Forwards", "0"), 483)]
#[case(("Session-Expires", "10"), 422)]
fn what_cannot_go_on_in_a_dialog(#[case] header: (&str, &str), #[case] status: u16) {
    let mut talk = Talk::begin();
    let mut request = talk.request_of(Side::A, "UPDATE");
    request.headers.set("Supported", "timer");
    request.headers.set(header.0, header.1);
    talk.scene.say(ANA, request, "");
    talk.scene.response(ANA, status);
    talk.hang_up();
}

#[rstest]
#[case("text/plain", 415)]
#[case("multipart/mixed", 400)]
fn bodies_that_cannot_be_read_in_a_dialog(#[case] kind: &str, #[case] status: u16) {
    for method in ["UPDATE", "INVITE"] {
        let mut talk = Talk::begin();
        let mut request = talk.request_of(Side::B, method);
        request.headers.push("Content-Type", kind);
        talk.scene.say(BO, request, "hello");
        assert_eq!(talk.scene.response(BO, status).headers.has("Accept"), status == 415);
        talk.scene.forget();
        talk.hang_up();
    }
}

/// RFC 3261 section 12.1: both legs have their own route sets, in their own orders.
#[test]
fn routes_of_either_leg_are_followed() {
    let mut scene = Scene::new();
    let (near, far) = ("192.0.2.50:5060".parse().unwrap(), "198.51.100.50:5060".parse().unwrap());
    let records = "<sip:192.0.2.50;lr>, <sip:p2.west.example;lr;x=1>";
    scene.invite_with(&[("Record-Route", records)], &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    assert!(!invite.headers.has("Record-Route"));
    let record = ("Record-Route", "<sip:p3.east.example;lr>, <sip:198.51.100.50;lr>");
    scene.reply_with(BO, &invite, 200, &[record], &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    assert_eq!(ok.headers.all("Record-Route").collect::<Vec<_>>(), [records]);
    let ack = scene.request(far, "ACK");
    let routes = |request: &Request| {
        crate::sip::message::list::all(&request.headers, "Route").map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(routes(&ack), ["<sip:198.51.100.50;lr>", "<sip:p3.east.example;lr>"]);
    assert_eq!(ack.uri, "sip:them@198.51.100.2:5060");
    scene.acknowledge(&ok, "");
    let info = scene.of_bo(&invite, "INFO", 1);
    scene.say(BO, info, "");
    let info = scene.request(near, "INFO");
    assert_eq!(routes(&info), ["<sip:192.0.2.50;lr>", "<sip:p2.west.example;lr;x=1>"]);
    assert_eq!(info.uri, "sip:ana@192.0.2.1:5060");
    scene.reply(near, &info, 200, "");
    scene.response(BO, 200);
    let bye = scene.of_ana(&ok, "BYE", 2);
    scene.say(ANA, bye, "");
    let bye = scene.request(far, "BYE");
    assert_eq!(routes(&bye).len(), 2);
    scene.reply(far, &bye, 200, "");
    scene.forget();
    scene.nothing_left();
}

/// RFC 3261 section 12.2.1.1: before a strict router the target moves to the end of the route.
#[test]
fn a_strict_router_gets_what_it_expects() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply_with(BO, &invite, 200, &[("Record-Route", "<sip:198.51.100.50>")], &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    let ack = scene.request("198.51.100.50:5060".parse().unwrap(), "ACK");
    assert_eq!((&*ack.uri, ack.headers.first("Route")), ("sip:198.51.100.50", Some("<sip:them@198.51.100.2:5060>")));
    scene.acknowledge(&ok, "");
    scene.forget();
    scene.pass(Duration::from_secs(200));
    scene.forget();
    scene.nothing_left();
}

/// Who routes a call says its Request-URI and its Route, whatever the INVITE had.
#[test]
fn the_way_of_the_invite_is_written_by_who_routes_it() {
    let mut scene = Scene::new();
    scene.routed.route = vec!["<sip:out.example;lr>".to_owned(), "<sip:next.example;lr>".to_owned()];
    scene.routed.request_uri = "sip:bo@inner.example".to_owned();
    scene.invite_with(&[("Route", "<sip:203.0.113.20;lr>, <sip:next.example;lr>")], &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    assert_eq!(invite.headers.all("Route").collect::<Vec<_>>(), ["<sip:out.example;lr>", "<sip:next.example;lr>"]);
    assert_eq!(invite.uri, "sip:bo@inner.example");
    scene.reply(BO, &invite, 486, "");
    scene.forget();
    scene.nothing_left();
}

/// RFC 3261 section 12.2.2, RFC 3311 section 5: a side moves by re-INVITE or UPDATE, or in its answer.
#[rstest]
fn a_side_that_moves_is_followed(#[values("INVITE", "UPDATE")] method: &str, #[values(false, true)] in_answer: bool) {
    let mut talk = Talk::begin();
    let mover = if in_answer { Side::A } else { Side::B };
    let mut request = talk.request_of(mover, method);
    let changed = known(mover) + "a=x-a:1\r\n";
    let contact = "<sip:bo@198.51.100.3:5060>";
    if !in_answer {
        request.headers.set("Contact", contact);
    }
    let asked = talk.scene.say(at(mover), request, &changed);
    let passed = talk.scene.request(at(mover.other()), method);
    let more: &[(&str, &str)] = if in_answer { &[("Contact", contact)] } else { &[] };
    talk.scene.reply_with(at(mover.other()), &passed, 200, more, &known(mover.other()));
    talk.scene.response(at(mover), 200);
    if method == "INVITE" {
        let ack = talk.scene.request(if in_answer { BO_TOO } else { ANA }, "ACK");
        assert_eq!(ack.method, "ACK");
        talk.acknowledge(mover, &asked, "");
    }
    talk.say(Side::A, "INFO", "");
    let info = talk.scene.request(BO_TOO, "INFO");
    assert_eq!(info.uri, "sip:bo@198.51.100.3:5060");
    talk.scene.reply(BO_TOO, &info, 200, "");
    talk.scene.response(ANA, 200);
    talk.say(Side::A, "BYE", "");
    talk.scene.response(ANA, 200);
    let bye = talk.scene.request(BO_TOO, "BYE");
    talk.scene.reply(BO_TOO, &bye, 200, "");
    talk.over();
}

/// RFC 3581: behind a translator the Contact names a place that is nowhere; requests go where hers came from.
#[test]
fn whoever_stands_behind_a_translator_is_reached() {
    let mut scene = Scene::new();
    scene.invite_with(&[("Contact", "<sip:ana@10.1.2.3:5060>")], &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    let bye = scene.of_bo(&invite, "BYE", 1);
    scene.say(BO, bye, "");
    scene.response(BO, 200);
    let bye = scene.request(ANA, "BYE");
    assert_eq!(bye.uri, "sip:ana@10.1.2.3:5060");
    scene.reply(ANA, &bye, 200, "");
    scene.nothing_left();
}

/// What both ends understand works through us; what names a dialog or a hop does not (RFC 3261 section 20.37).
#[test]
fn extensions_that_work_through_us() {
    let ana = [("Supported", "100rel, replaces, x-thing"), ("Allow", "INVITE, UPDATE, REFER")];
    let mut talk = Talk::with(|_| {}, &ana, &[("Supported", "gruu, x-other"), ("Allow", "INVITE")]);
    assert_eq!(talk.invite.headers.first("Supported"), Some("100rel, x-thing, timer"));
    assert_eq!(talk.ok.headers.first("Supported"), Some("x-other, timer"));
    for headers in [&talk.invite.headers, &talk.ok.headers] {
        assert!(!headers.first("Allow").unwrap().contains("REFER"));
    }
    talk.say(Side::A, "INFO", "");
    assert!(matches!(talk.scene.next(BO), Some(Message::Request(_))));
    talk.scene.pass(Duration::from_secs(1));
    talk.scene.forget();
    talk.say(Side::A, "BYE", "");
    talk.scene.forget();
    talk.over();
}
