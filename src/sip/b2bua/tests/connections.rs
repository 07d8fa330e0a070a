//! Legs behind connections, which come and go (RFC 3261 section 18).

use std::net::SocketAddr;

use super::scene::{ANA, BO, BO_TOO, Scene, sdp};
use crate::sip::message::{Request, Response};

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
