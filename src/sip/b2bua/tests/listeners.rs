//! Several listeners of ours: each leg has one, which says the same in Via and Contact and sends from there (RFC 3261 sections
//! 8.1.1.8, 18.1.1).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::scene::{ANA, BO, Scene, US, listener, sdp, uri_of};
use crate::sip::message::{Message, Request};
use crate::sip::way::Protocol;

/// Beside Bo, and beside nobody.
const NEAR_BO: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, 20)), 5060);
const SECOND: SocketAddr = SocketAddr::new(US.ip(), 5070);

fn several() -> Scene {
    let all = [(Protocol::Udp, US), (Protocol::Udp, NEAR_BO), (Protocol::Udp, SECOND), (Protocol::Tcp, US)];
    Scene::with(|settings| {
        settings.listeners = all.map(|(protocol, bound)| listener(protocol, bound)).into_iter().collect()
    })
}

/// The next request to somebody, which left this listener of ours and says so.
#[track_caller]
fn from(scene: &mut Scene, ours: SocketAddr, to: SocketAddr, method: &str) -> Request {
    let sent = scene.sent.iter().position(|s| s.to == to && matches!(&s.message, Message::Request(_)));
    let sent = scene.sent.remove(sent.expect("a request")).expect("found");
    let Message::Request(request) = sent.message else { panic!("a request") };
    assert_eq!((&*request.method, sent.way.local()), (method, Some(ours)));
    let via = request.headers.first("Via").expect("a Via");
    assert!(via.starts_with(&format!("SIP/2.0/UDP {ours};")), "{via}");
    if request.headers.has("Contact") {
        assert_eq!(uri_of(&request.headers, "Contact"), format!("sip:{ours}"));
    }
    request
}

#[test]
fn a_leg_has_the_listener_where_it_came_and_the_other_one_the_nearest() {
    let mut scene = several();
    scene.local = SECOND;
    scene.invite(&sdp("ana", 1, "active"));
    let invite = from(&mut scene, NEAR_BO, BO, "INVITE");
    scene.local = NEAR_BO;
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    assert_eq!(uri_of(&ok.headers, "Contact"), format!("sip:{SECOND}"));
    from(&mut scene, NEAR_BO, BO, "ACK");
    scene.local = SECOND;
    scene.acknowledge(&ok, "");
    // Each way, and by another body than the one that was agreed on.
    let changed = scene.of_ana(&ok, "INVITE", 2);
    scene.say(ANA, changed, &sdp("ana", 2, "active").replace("7100", "7102"));
    let again = from(&mut scene, NEAR_BO, BO, "INVITE");
    scene.local = NEAR_BO;
    scene.reply(BO, &again, 488, "");
    from(&mut scene, NEAR_BO, BO, "ACK");
    scene.forget();
    let info = scene.of_bo(&invite, "INFO", 1);
    scene.say(BO, info, "");
    let info = from(&mut scene, SECOND, ANA, "INFO");
    scene.local = SECOND;
    scene.reply(ANA, &info, 200, "");
    scene.local = NEAR_BO;
    scene.forget();
    let bye = scene.of_bo(&invite, "BYE", 2);
    scene.say(BO, bye, "");
    let bye = from(&mut scene, SECOND, ANA, "BYE");
    scene.reply(ANA, &bye, 200, "");
    scene.forget();
    scene.nothing_left();
}

/// What is too long for a datagram goes by TCP from the same address (RFC 3261 section 18.1.1).
#[test]
fn a_long_request_leaves_from_the_same_address() {
    let mut scene = several();
    let body = sdp("ana", 1, "active") + &format!("a=x-long:{}\r\n", "x".repeat(1300));
    scene.targets = vec![SocketAddr::new(US.ip(), 9)];
    scene.local = SECOND;
    scene.invite(&body);
    let sent = scene.sent.iter().find(|s| s.to.port() == 9).expect("an INVITE");
    let Message::Request(invite) = &sent.message else { panic!("an INVITE") };
    assert_eq!((sent.way.protocol(), sent.way.local()), (Protocol::Tcp, Some(US)));
    assert!(invite.headers.first("Via").expect("a Via").starts_with(&format!("SIP/2.0/TCP {US};")));
    scene.forget();
}
