//! Where requests in early dialogs go: each has a route set and a remote target of its own (RFC 3261 sections 12.1.2 and
//! 12.2.1.1), while CANCEL goes where the INVITE went (section 9.1).

use std::net::SocketAddr;

use rstest::rstest;

use super::scene::{ANA, BO, BO_TOO, Scene, Sent, cancel_of, sdp};
use crate::sip::message::{Message, Request, Response};
use crate::sip::way::Protocol;

const RELIABLE: [(&str, &str); 2] = [("Require", "100rel"), ("RSeq", "7")];
/// As a response of Bo has it: the proxy that is next to us comes last.
const PROXIES: &str = "<sip:10.0.0.1;lr>, <sip:198.51.100.3;lr>";
const ROUTE: &str = "<sip:198.51.100.3;lr>, <sip:10.0.0.1;lr>";
/// A proxy of Ana.
const HERS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 9)), 5060);

/// Ana's INVITE and ours to Bo, by this protocol.
fn invited(protocol: Protocol, headers: &[(&str, &str)]) -> (Scene, Request, Request) {
    let mut scene = Scene::new();
    scene.protocol = protocol;
    let asked = scene.invite_with(headers, &sdp("ana", 1, "active"));
    if protocol.is_reliable() {
        scene.connect(BO);
    }
    let invite = scene.request(BO, "INVITE");
    (scene, asked, invite)
}

/// A reliable answer of Bo, as Ana gets it.
fn ringing(scene: &mut Scene, invite: &Request, headers: &[(&str, &str)]) -> Response {
    let headers: Vec<_> = RELIABLE.iter().chain(headers).copied().collect();
    scene.reply_with(BO, invite, 183, &headers, &sdp("bo", 1, "passive"));
    scene.response(ANA, 183)
}

/// The next request that left, and where it went; responses that left before it are of no interest.
#[track_caller]
fn left(scene: &mut Scene, method: &str) -> (Request, SocketAddr) {
    let is_request = |s: &Sent| matches!(s.message, Message::Request(_));
    let at = scene.sent.iter().position(is_request).unwrap_or_else(|| panic!("no {method}"));
    match scene.sent.remove(at) {
        Some(Sent { message: Message::Request(request), way, .. }) if request.method == method => {
            (request, way.remote())
        }
        other => panic!("no {method}, but {other:?}"),
    }
}

/// An INFO of Ana in the early dialog of this response: where it goes.
#[track_caller]
fn info(scene: &mut Scene, early: &Response, number: u32) -> (Request, SocketAddr) {
    let info = scene.of_ana(early, "INFO", number);
    scene.say(ANA, info, "");
    let (passed, to) = left(scene, "INFO");
    scene.reply(to, &passed, 200, "");
    scene.response(ANA, 200);
    (passed, to)
}

/// A 180 that does not say where it comes from, as Ana gets it.
fn rings_somewhere(scene: &mut Scene, invite: &Request, to: &str) -> Response {
    let mut bare = Response::to(invite, 180, "Ringing");
    bare.headers.set("To", to);
    scene.hear(BO, std::str::from_utf8(&bare.octets()).unwrap());
    scene.response(ANA, 180)
}

/// Ana gives up; nothing is left.
#[track_caller]
fn cancelled(mut scene: Scene, asked: &Request, invite: &Request) {
    scene.say(ANA, cancel_of(asked), "");
    assert_eq!(left(&mut scene, "CANCEL").1, BO);
    scene.reply(BO, invite, 487, "");
    scene.forget();
    scene.nothing_left();
}

#[rstest]
#[case::contact(&[("Contact", "<sip:bo@198.51.100.3>")], "sip:bo@198.51.100.3", None)]
#[case::proxy(&[("Contact", "<sip:bo@10.0.0.7>"), ("Record-Route", PROXIES)], "sip:bo@10.0.0.7", Some(ROUTE))]
#[case::named(&[("Contact", "<sip:bo@pc.east.example>")], "sip:bo@pc.east.example", None)]
fn requests_go_where_the_early_dialog_leads(
    #[case] headers: &[(&str, &str)],
    #[case] uri: &str,
    #[case] route: Option<&str>,
    #[values(Protocol::Udp, Protocol::Tcp)] protocol: Protocol,
) {
    let (mut scene, asked, invite) = invited(protocol, &[("Supported", "100rel")]);
    let early = ringing(&mut scene, &invite, headers);
    for (number, method) in [(2, "PRACK"), (3, "INFO"), (4, "UPDATE")] {
        let mut request = scene.of_ana(&early, method, number);
        request.headers.push("RAck", "7 1 INVITE");
        let offers = method == "UPDATE";
        scene.say(ANA, request, &if offers { sdp("ana", number, "active") + "a=sendonly\r\n" } else { String::new() });
        let (passed, to) = left(&mut scene, method);
        assert_eq!((to, &*passed.uri, passed.headers.first("Route")), (BO_TOO, uri, route), "{method}");
        let answer = if offers { sdp("bo", number, "passive") + "a=recvonly\r\n" } else { String::new() };
        scene.reply(to, &passed, 200, &answer);
        scene.response(ANA, 200);
    }
    // The 2xx to UPDATE has told another Contact (RFC 3311 section 5.1), and then Bo himself does.
    assert_eq!(info(&mut scene, &early, 5).0.uri, "sip:them@198.51.100.3:5060");
    let mut moved = scene.of_bo(&invite, "UPDATE", 1);
    moved.headers.set("Contact", "<sip:bo@198.51.100.2:5060>");
    scene.say(BO, moved, "");
    scene.response(BO, 200);
    let (passed, to) = info(&mut scene, &early, 6);
    let there = if route.is_some() { BO_TOO } else { BO };
    assert_eq!((&*passed.uri, to), ("sip:bo@198.51.100.2:5060", there));
    cancelled(scene, &asked, &invite);
}

/// The call goes on as its early dialog was.
#[test]
fn the_ack_goes_where_the_early_dialog_led() {
    let (mut scene, _, invite) = invited(Protocol::Udp, &[]);
    let there = [("Contact", "<sip:bo@pc.east.example>")];
    ringing(&mut scene, &invite, &there);
    assert_eq!(scene.located, ["sip:bo@pc.east.example"]);
    scene.reply_with(BO, &invite, 200, &there, "");
    let ok = scene.response(ANA, 200);
    assert_eq!(left(&mut scene, "ACK").1, BO_TOO);
    scene.acknowledge(&ok, "");
    let bye = scene.of_ana(&ok, "BYE", 90);
    scene.say(ANA, bye, "");
    let (bye, to) = left(&mut scene, "BYE");
    assert_eq!(to, BO_TOO);
    scene.reply(to, &bye, 200, "");
    scene.forget();
    scene.nothing_left();
}

/// A 180 without a Contact says nothing of the way; the first that has one does, and a bad one or a second nothing more.
#[test]
fn the_first_contact_of_an_early_dialog_counts() {
    let (mut scene, asked, invite) = invited(Protocol::Udp, &[]);
    let early = rings_somewhere(&mut scene, &invite, "<sip:bo@east.example>;tag=bo1");
    assert_eq!(info(&mut scene, &early, 2).1, BO);
    scene.reply_with(BO, &invite, 180, &[("Contact", "<tel:+1>")], "");
    scene.response(ANA, 180);
    assert_eq!(info(&mut scene, &early, 3).1, BO);
    scene.reply_with(BO, &invite, 180, &[("Contact", "<sip:bo@10.0.0.7>"), ("Record-Route", PROXIES)], "");
    scene.response(ANA, 180);
    let (passed, to) = info(&mut scene, &early, 4);
    assert_eq!((&*passed.uri, passed.headers.first("Route"), to), ("sip:bo@10.0.0.7", Some(ROUTE), BO_TOO));
    scene.reply_with(BO, &invite, 180, &[("Contact", "<sip:eve@198.51.100.2>")], "");
    scene.response(ANA, 180);
    assert_eq!(info(&mut scene, &early, 5).1, BO_TOO);
    cancelled(scene, &asked, &invite);
}

/// Each fork is reached where it is, also when its 2xx comes too late; and none by a connection that another one has made.
#[test]
fn each_fork_has_its_way() {
    let (mut scene, _, invite) = invited(Protocol::Udp, &[]);
    let to = |tag: &str| format!("<sip:bo@east.example>;tag={tag}");
    let rings = |scene: &mut Scene, tag: &str, contact: &str| {
        scene.reply_with(BO, &invite, 180, &[("To", &to(tag)), ("Contact", contact)], "");
        scene.response(ANA, 180)
    };
    let x = rings(&mut scene, "x", "<sip:x@198.51.100.3>");
    let y = rings_somewhere(&mut scene, &invite, &to("y"));
    assert_eq!((info(&mut scene, &x, 2).1, info(&mut scene, &y, 2).1), (BO_TOO, BO));
    let own = SocketAddr::new(BO_TOO.ip(), 40_003);
    scene.connect(own);
    let mut of_x = scene.of_bo(&invite, "INFO", 1);
    of_x.headers.set("From", to("x"));
    scene.say(own, of_x, "");
    let (passed, at) = left(&mut scene, "INFO");
    assert_eq!(at, ANA);
    scene.reply(ANA, &passed, 200, "");
    scene.response(own, 200);
    assert_eq!(info(&mut scene, &y, 3).1, BO);
    scene.reply_with(
        BO,
        &invite,
        200,
        &[("To", &to("y")), ("Contact", "<sip:y@198.51.100.2>")],
        &sdp("bo", 1, "passive"),
    );
    let ok = scene.response(ANA, 200);
    assert_eq!(left(&mut scene, "ACK").1, BO);
    scene.acknowledge(&ok, "");
    scene.reply_with(
        BO,
        &invite,
        200,
        &[("To", &to("x")), ("Contact", "<sip:x@198.51.100.3>")],
        &sdp("bo", 1, "passive"),
    );
    assert_eq!(left(&mut scene, "ACK").1, BO_TOO);
    let (bye, at) = left(&mut scene, "BYE");
    assert_eq!(at, BO_TOO);
    scene.reply(at, &bye, 200, "");
    let bye = scene.of_ana(&ok, "BYE", 90);
    scene.say(ANA, bye, "");
    let (bye, at) = left(&mut scene, "BYE");
    scene.reply(at, &bye, 200, "");
    scene.forget();
    scene.nothing_left();
}

/// Where nobody may be sent the INVITE's way is taken, as later in the call.
#[rstest]
#[case("<sip:bo@127.0.0.1:5060>")]
#[case("<sip:bo@198.51.100.3:22>")]
fn an_early_contact_leads_nowhere_forbidden(#[case] contact: &str) {
    let (mut scene, asked, invite) = invited(Protocol::Udp, &[]);
    let early = ringing(&mut scene, &invite, &[("Contact", contact)]);
    assert_eq!(info(&mut scene, &early, 2).1, BO);
    cancelled(scene, &asked, &invite);
}

/// The caller's early dialog leads through its proxies as well, and to where it has moved.
#[test]
fn the_callers_early_dialog_is_followed_too() {
    let headers = [("Record-Route", "<sip:192.0.2.9;lr>"), ("Contact", "<sip:ana@10.1.0.7>")];
    let (mut scene, asked, invite) = invited(Protocol::Udp, &headers);
    let early = ringing(&mut scene, &invite, &[]);
    let of_bo = |scene: &mut Scene, number| {
        let info = scene.of_bo(&invite, "INFO", number);
        scene.say(BO, info, "");
        let (passed, to) = left(scene, "INFO");
        scene.reply(to, &passed, 200, "");
        scene.response(BO, 200);
        (passed.uri.clone(), passed.headers.first("Route").map(str::to_owned), to)
    };
    let route = Some("<sip:192.0.2.9;lr>".to_owned());
    assert_eq!(of_bo(&mut scene, 1), ("sip:ana@10.1.0.7".to_owned(), route.clone(), HERS));
    let mut moved = scene.of_ana(&early, "UPDATE", 2);
    moved.headers.set("Contact", "<sip:ana@10.1.0.8>");
    scene.say(ANA, moved, "");
    scene.response(ANA, 200);
    assert_eq!(of_bo(&mut scene, 2), ("sip:ana@10.1.0.8".to_owned(), route, HERS));
    cancelled(scene, &asked, &invite);
}
