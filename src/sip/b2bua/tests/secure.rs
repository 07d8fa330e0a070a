//! Calls to `sips` URIs: Contacts that say the same, and TLS to the next hop (RFC 3261 sections 8.1.1.8, 12.1.1, 26.2.2).

use std::net::SocketAddr;

use rstest::rstest;

use super::scene::{ANA, BO, Scene, US, listener, sdp, uri_of};
use crate::relay::Side;
use crate::sip::message::{Request, Response};
use crate::sip::way::Protocol;

const TLS: SocketAddr = SocketAddr::new(US.ip(), 5061);

fn scene() -> Scene {
    let all = [(Protocol::Udp, US), (Protocol::Tcp, US), (Protocol::Tls, TLS)];
    Scene::with(|settings| {
        settings.listeners = all.map(|(protocol, bound)| listener(protocol, bound)).into_iter().collect();
    })
}

/// Ana calls with this request by TLS, and Bo takes it.
fn call(scene: &mut Scene, uri: &str, headers: &[(&str, &str)]) -> (Request, Response) {
    scene.local = TLS;
    scene.connect_by(Protocol::Tls, ANA);
    let mut request = scene.outside("INVITE");
    request.uri = uri.to_owned();
    for (name, value) in headers {
        request.headers.push(name, *value);
    }
    scene.say(ANA, request, &sdp("ana", 1, "active"));
    scene.local = US;
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    (invite, scene.response(ANA, 200))
}

#[rstest]
#[case::request_uri("sips:bo@east.example", &[("Contact", "<sip:ana@192.0.2.1>")], true)]
#[case::record_route("sip:bo@east.example", &[("Contact", "<sip:ana@192.0.2.1>"), ("Record-Route", "<sips:p.example;lr>")], true)]
#[case::contact("sip:bo@east.example", &[("Contact", "<sips:ana@192.0.2.1>")], true)]
#[case::behind_a_route("sip:bo@east.example", &[("Contact", "<sips:ana@192.0.2.1>"), ("Record-Route", "<sip:p.example;lr>")], false)]
#[case::plain("sip:bo@east.example", &[("Contact", "<sip:ana@192.0.2.1>")], false)]
fn the_contact_for_a_caller_is_as_secure_as_the_request(
    #[case] uri: &str,
    #[case] headers: &[(&str, &str)],
    #[case] secure: bool,
) {
    let (_, ok) = call(&mut scene(), uri, headers);
    let expected = if secure { format!("sips:{TLS}") } else { format!("sip:{TLS};transport=tls") };
    assert_eq!(uri_of(&ok.headers, "Contact"), expected);
}

#[rstest]
#[case::request_uri("sips:bo@east.example", &[], true)]
#[case::route("sip:bo@east.example", &["<sips:p.example;lr>"], true)]
#[case::plain("sip:bo@east.example", &["<sip:p.example;lr>"], false)]
fn the_contact_for_a_callee_is_as_secure_as_the_request(
    #[case] uri: &str,
    #[case] route: &[&str],
    #[case] secure: bool,
) {
    let mut scene = scene();
    scene.protocol = Protocol::Tls;
    uri.clone_into(&mut scene.routed.request_uri);
    scene.routed.route = route.iter().map(|it| (*it).to_owned()).collect();
    let (invite, _) = call(&mut scene, "sip:bo@east.example", &[("Contact", "<sip:ana@192.0.2.1>")]);
    let expected = if secure { format!("sips:{TLS}") } else { format!("sip:{TLS};transport=tls") };
    assert_eq!(uri_of(&invite.headers, "Contact"), expected);
}

/// Without a listener that could stand in a secure Contact no such call begins (RFC 5630 section 5.3).
#[rstest]
fn without_tls_no_secure_call_begins(#[values("sips:bo@east.example", "sip:bo@east.example")] uri: &str) {
    let mut scene = Scene::new();
    scene.routed.request_uri = "sips:bo@east.example".to_owned();
    let mut request = scene.outside("INVITE");
    request.uri = uri.to_owned();
    request.headers.push("Contact", "<sip:ana@192.0.2.1>");
    scene.say(ANA, request, &sdp("ana", 1, "active"));
    let refused = scene.response(ANA, 480);
    assert_eq!(refused.headers.first("Warning"), Some("380 gate.example \"SIPS Not Allowed\""));
    scene.silence();
    scene.nothing_left();
}

/// OPTIONS tells the same Contact as a call would.
#[test]
fn capabilities_are_told_by_a_contact_as_secure_as_the_request() {
    let mut scene = scene();
    let mut request = scene.outside("OPTIONS");
    request.uri = "sips:us.example".to_owned();
    scene.say(ANA, request, "");
    let told = scene.response(ANA, 200);
    assert_eq!(uri_of(&told.headers, "Contact"), format!("sips:{TLS}"));
}

/// A description whose media are secure, with a fingerprint of this octet.
fn printed(who: &str, version: u32, setup: &str, octet: &str) -> String {
    let body = sdp(who, version, setup).replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp:", "msrps:");
    format!("{body}a=fingerprint:sha-256 {}\r\n", [octet; 32].join(":"))
}

/// SDP-104: a fingerprint counts as the message does that has it, not as the call's first one.
#[rstest]
#[case::by_tls(Side::A, "INVITE", true, 200)]
#[case::by_datagram(Side::A, "INVITE", false, 488)]
#[case::in_an_update(Side::A, "UPDATE", false, 488)]
#[case::of_the_callee(Side::B, "INVITE", false, 488)]
fn later_fingerprints_need_secure_signalling_too(
    #[case] side: Side,
    #[case] method: &str,
    #[case] secure: bool,
    #[case] status: u16,
) {
    let all = [(Protocol::Udp, US), (Protocol::Tcp, US), (Protocol::Tls, TLS)];
    let mut scene = Scene::with(|settings| {
        settings.listeners = all.map(|(protocol, bound)| listener(protocol, bound)).into_iter().collect();
        settings.media.secure_fingerprints = true;
    });
    let flows = [ANA, BO].map(|end| scene.connect_by(Protocol::Tls, end));
    scene.protocol = Protocol::Tls;
    let mut request = scene.outside("INVITE");
    request.headers.push("Contact", "<sips:ana@192.0.2.1>");
    scene.say(ANA, request, &printed("ana", 1, "active", "AA"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &printed("bo", 1, "passive", "BB"));
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    scene.forget();
    let (who, end) = if side == Side::A { ("ana", ANA) } else { ("bo", BO) };
    if !secure {
        scene.close(flows[side as usize]);
    }
    let request = if side == Side::A { scene.of_ana(&ok, method, 2) } else { scene.of_bo(&invite, method, 2) };
    scene.say(end, request, &printed(who, 2, "active", "CC"));
    if status == 200 {
        let passed = scene.request(BO, "INVITE");
        scene.reply(BO, &passed, 200, &printed("bo", 2, "passive", "BB"));
    }
    let answer = scene.forget_until(end, status);
    let warning = "399 gate.example \"fingerprint needs secure signalling\"";
    assert_eq!(answer.headers.first("Warning"), (status == 488).then_some(warning));
}

/// The same for an answer: Bo's comes by datagram, though our offer went by TLS.
#[test]
fn an_answer_by_datagram_does_not_count_as_that_by_tls() {
    let all = [(Protocol::Udp, US), (Protocol::Tls, TLS)];
    let mut scene = Scene::with(|settings| {
        settings.listeners = all.map(|(protocol, bound)| listener(protocol, bound)).into_iter().collect();
        settings.media.secure_fingerprints = true;
    });
    scene.connect_by(Protocol::Tls, ANA);
    scene.protocol = Protocol::Tls;
    let mut request = scene.outside("INVITE");
    request.headers.push("Contact", "<sips:ana@192.0.2.1>");
    scene.say(ANA, request, &printed("ana", 1, "active", "AA"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &printed("bo", 1, "passive", "BB"));
    scene.forget_until(ANA, 502);
}
