//! Legs behind connections, which come and go (RFC 3261 section 18).

use std::net::SocketAddr;

use rstest::rstest;

use super::scene::{ANA, BO, BO_TOO, Scene, US, listener, sdp};
use crate::sip::message::{Message, Request, Response};
use crate::sip::way::{Protocol, Target, Way};

const FIRST: SocketAddr = SocketAddr::new(ANA.ip(), 40_001);
const SECOND: SocketAddr = SocketAddr::new(ANA.ip(), 40_002);

/// Ana calls by a connection.
fn connected(contact: &str) -> (Scene, Request, Response) {
    let mut scene = Scene::new();
    scene.connect(FIRST);
    let mut request = scene.outside("INVITE");
    request.headers.push("Contact", contact);
    scene.say(FIRST, request, &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(FIRST, 200);
    scene.request(BO, "ACK");
    let ack = scene.of_ana(&ok, "ACK", 1);
    scene.say(FIRST, ack, "");
    (scene, invite, ok)
}

/// An INFO of Bo, which Ana gets there.
#[track_caller]
fn reaches(scene: &mut Scene, invite: &Request, number: u32, at: SocketAddr) {
    let info = scene.of_bo(invite, "INFO", number);
    scene.say(BO, info, "");
    let info = scene.request(at, "INFO");
    scene.reply(at, &info, 200, "");
    scene.response(BO, 200);
}

#[test]
fn a_leg_follows_its_connection() {
    let (mut scene, invite, ok) = connected("<sip:ana@192.0.2.1:5060;transport=tcp>");
    assert_eq!(ok.headers.first("Contact"), Some("<sip:203.0.113.20:5060;transport=tcp>"));
    reaches(&mut scene, &invite, 1, FIRST);
    let flow = scene.flow_of(FIRST);
    scene.close(flow);
    reaches(&mut scene, &invite, 2, ANA);
    scene.connect(SECOND);
    let info = scene.of_ana(&ok, "INFO", 2);
    scene.say(SECOND, info, "");
    let passed = scene.request(BO, "INFO");
    scene.reply(BO, &passed, 200, "");
    scene.response(SECOND, 200);
    reaches(&mut scene, &invite, 3, SECOND);
    let bye = scene.of_bo(&invite, "BYE", 4);
    scene.say(BO, bye, "");
    scene.response(BO, 200);
    let bye = scene.request(SECOND, "BYE");
    scene.reply(SECOND, &bye, 200, "");
    scene.nothing_left();
}

/// A name is looked up when the connection is gone, and not before.
#[test]
fn a_name_leads_to_a_lost_leg() {
    let (mut scene, invite, _) = connected("<sip:ana@pc.west.example;transport=tcp>");
    reaches(&mut scene, &invite, 1, FIRST);
    assert!(scene.located.is_empty());
    let flow = scene.flow_of(FIRST);
    scene.close(flow);
    assert_eq!(scene.located, ["sip:ana@pc.west.example;transport=tcp"]);
    reaches(&mut scene, &invite, 2, ANA);
    let bye = scene.of_bo(&invite, "BYE", 3);
    scene.say(BO, bye, "");
    scene.response(BO, 200);
    let bye = scene.request(ANA, "BYE");
    scene.reply(ANA, &bye, 200, "");
    scene.nothing_left();
}

/// Bo's leg by a name: its dialog says where later requests go, and until that is known they go where the INVITE went.
#[test]
fn a_name_leads_to_the_callee() {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply_with(BO, &invite, 200, &[("Contact", "<sip:bo@pc.east.example>")], &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    assert_eq!(scene.located, ["sip:bo@pc.east.example"]);
    let bye = scene.of_ana(&ok, "BYE", 2);
    scene.say(ANA, bye, "");
    let bye = scene.request(BO_TOO, "BYE");
    scene.reply(BO_TOO, &bye, 200, "");
    scene.forget();
    scene.nothing_left();
}

/// A connection that is lost while Bo rings: Ana's response goes where her Via says, and the call lives.
#[test]
fn a_connection_lost_while_it_rings() {
    let mut scene = Scene::new();
    let flow = scene.connect(FIRST);
    let mut request = scene.outside("INVITE");
    request.headers.push("Contact", "<sip:ana@192.0.2.1:5060;transport=tcp>");
    scene.say(FIRST, request, &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.close(flow);
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    scene.request(BO, "ACK");
    reaches(&mut scene, &invite, 1, ANA);
    let bye = scene.of_bo(&invite, "BYE", 2);
    scene.say(BO, bye, "");
    scene.response(BO, 200);
    let bye = scene.request(ANA, "BYE");
    scene.reply(ANA, &bye, 200, "");
    scene.nothing_left();
}

/// A request that was under way on a connection that closes fails, and its side is gone (RFC 3261 section 18.4).
#[test]
fn a_connection_lost_under_a_request() {
    let (mut scene, invite, _) = connected("<sip:ana@192.0.2.1:5060;transport=tcp>");
    let info = scene.of_bo(&invite, "INFO", 1);
    scene.say(BO, info, "");
    scene.request(FIRST, "INFO");
    let flow = scene.flow_of(FIRST);
    scene.close(flow);
    scene.response(BO, 408);
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    let bye = scene.request(ANA, "BYE");
    scene.reply(ANA, &bye, 200, "");
    scene.nothing_left();
}

/// Ana calls Bo by a connection of ours; his 2xx has these headers.
fn to_bo(headers: &[(&str, &str)]) -> (Scene, Request, Response) {
    let mut scene = Scene::new();
    scene.protocol = Protocol::Tcp;
    scene.invite(&sdp("ana", 1, "active"));
    scene.connect(BO);
    let invite = scene.request(BO, "INVITE");
    scene.reply_with(BO, &invite, 200, headers, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    (scene, invite, ok)
}

/// How the next request left, which goes to Bo or to where he says he is.
#[track_caller]
fn way_of(scene: &mut Scene, method: &str) -> Way {
    let sent = scene.sent.iter().position(|s| s.to != ANA).expect("a request");
    let sent = scene.sent.remove(sent).expect("found");
    assert!(matches!(&sent.message, Message::Request(request) if request.method == method), "{sent:?}");
    sent.way
}

fn to(address: SocketAddr, protocol: Protocol) -> Way {
    let from = (protocol != Protocol::Tls).then_some(US);
    Way::Target(Target { protocol, address, name: None, from })
}

/// Where a callee's dialog leads, by its Contact or its first proxy, decides, not which connection the INVITE took (RFC 3261
/// section 12.2.1.1). The connection stays where it leads there.
#[rstest]
#[case::there(&[("Contact", "<sip:bo@198.51.100.2:5060;transport=tcp>")], None)]
#[case::there_without_a_word(&[("Contact", "<sip:bo@198.51.100.2>")], None)]
#[case::behind_the_same_proxy(&[("Contact", "<sip:bo@10.0.0.1>"), ("Record-Route", "<sip:198.51.100.2;transport=tcp;lr>")], None)]
#[case::elsewhere(&[("Contact", "<sip:bo@198.51.100.3:5060;transport=tcp>")], Some(Protocol::Tcp))]
#[case::by_datagram(&[("Contact", "<sip:bo@198.51.100.3:5060;transport=udp>")], Some(Protocol::Udp))]
#[case::securely(&[("Contact", "<sips:bo@198.51.100.3:5060>")], Some(Protocol::Tls))]
#[case::behind_another_proxy(&[("Contact", "<sip:bo@10.0.0.1>"), ("Record-Route", "<sip:198.51.100.3;lr>")], Some(Protocol::Tcp))]
#[case::by_name(&[("Contact", "<sip:bo@pc.east.example>")], Some(Protocol::Tcp))]
fn a_callee_is_reached_where_its_dialog_leads(#[case] headers: &[(&str, &str)], #[case] elsewhere: Option<Protocol>) {
    let (mut scene, _, ok) = to_bo(headers);
    let flow = scene.flow_of(BO);
    let expected = elsewhere.map_or(Way::Flow(flow), |protocol| to(BO_TOO, protocol));
    way_of(&mut scene, "ACK");
    let info = scene.of_ana(&ok, "INFO", 2);
    scene.say(ANA, info, "");
    assert_eq!(way_of(&mut scene, "INFO"), expected);
}

/// A callee that moves is followed from then on; so is one whose connection of ours is gone.
#[test]
fn a_callee_that_moves_is_followed() {
    let (mut scene, invite, ok) = to_bo(&[("Contact", "<sip:bo@198.51.100.2;transport=tcp>")]);
    let flow = scene.flow_of(BO);
    assert_eq!(way_of(&mut scene, "ACK"), Way::Flow(flow));
    scene.close(flow);
    let info = scene.of_ana(&ok, "INFO", 2);
    scene.say(ANA, info, "");
    assert_eq!(way_of(&mut scene, "INFO"), to(BO, Protocol::Tcp));
    scene.connect(BO);
    let mut moved = scene.of_bo(&invite, "UPDATE", 1);
    moved.headers.set("Contact", "<sip:bo@198.51.100.3:5060;transport=tcp>");
    scene.say(BO, moved, "");
    scene.forget_until(BO, 200);
    let info = scene.of_ana(&ok, "INFO", 3);
    scene.say(ANA, info, "");
    assert_eq!(way_of(&mut scene, "INFO"), to(BO_TOO, Protocol::Tcp));
}

/// By a connection of Bo's own he is reached while it is there, if it comes from where his dialog leads.
#[rstest]
#[case::from_there(SocketAddr::new(BO.ip(), 40_003), true)]
#[case::from_elsewhere(BO_TOO, false)]
fn a_callee_may_connect_to_us(#[case] from: SocketAddr, #[case] used: bool) {
    let (mut scene, invite, ok) = to_bo(&[("Contact", "<sip:bo@198.51.100.2;transport=tcp>")]);
    way_of(&mut scene, "ACK");
    let own = scene.connect(from);
    let info = scene.of_bo(&invite, "INFO", 1);
    scene.say(from, info, "");
    let passed = scene.request(ANA, "INFO");
    scene.reply(ANA, &passed, 200, "");
    scene.response(from, 200);
    let info = scene.of_ana(&ok, "INFO", 2);
    scene.say(ANA, info, "");
    let expected = if used { Way::Flow(own) } else { to(BO, Protocol::Tcp) };
    assert_eq!(way_of(&mut scene, "INFO"), expected);
}

/// Ana's own connection is not good enough for a `sips` Contact, unless it has TLS (RFC 3261 section 26.2.2).
#[rstest]
fn a_secure_contact_is_reached_by_tls(#[values(Protocol::Tcp, Protocol::Tls)] protocol: Protocol) {
    let mut scene = Scene::with(|settings| {
        let all = [(Protocol::Udp, US), (Protocol::Tls, US)];
        settings.listeners = all.map(|(protocol, bound)| listener(protocol, bound)).into_iter().collect();
    });
    let flow = scene.connect_by(protocol, FIRST);
    let mut request = scene.outside("INVITE");
    request.headers.push("Contact", "<sips:ana@192.0.2.1>");
    scene.say(FIRST, request, &sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(FIRST, 200);
    let ack = scene.of_ana(&ok, "ACK", 1);
    scene.say(FIRST, ack, "");
    scene.forget();
    let info = scene.of_bo(&invite, "INFO", 1);
    scene.say(BO, info, "");
    let sent = scene.sent.iter().find(|s| s.to.ip() == ANA.ip()).expect("an INFO");
    match protocol {
        Protocol::Tls => assert_eq!(sent.way, Way::Flow(flow)),
        _ => assert_eq!((sent.way.protocol(), sent.way.remote().port()), (Protocol::Tls, 5061)),
    }
}

/// A Contact that leads where nobody may be sent leaves the leg as it was.
#[rstest]
#[case("<sip:bo@127.0.0.1:5060;transport=tcp>")]
#[case("<sip:bo@169.254.169.254;transport=tcp>")]
#[case("<sip:bo@198.51.100.3:22;transport=tcp>")]
#[case("<sip:bo@198.51.100.2:22;transport=tcp>")]
fn a_contact_leads_nowhere_forbidden(#[case] contact: &str) {
    let (mut scene, _, ok) = to_bo(&[("Contact", contact)]);
    let flow = scene.flow_of(BO);
    assert_eq!(way_of(&mut scene, "ACK"), Way::Flow(flow));
    let info = scene.of_ana(&ok, "INFO", 2);
    scene.say(ANA, info, "");
    assert_eq!(way_of(&mut scene, "INFO"), Way::Flow(flow));
}
