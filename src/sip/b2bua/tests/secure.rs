//! Calls to `sips` URIs: Contacts that say the same, and TLS to the next hop (RFC 3261 sections 8.1.1.8, 12.1.1, 26.2.2).

use std::net::SocketAddr;

use rstest::rstest;

use super::scene::{ANA, BO, Scene, US, listener, sdp, uri_of};
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
