//! What becomes of descriptions on their way: offers of every shape, and answers that fit or do not (RFC 3264).

use rstest::rstest;

use super::scene::{ANA, BO, Scene, line, path, sdp};
use crate::relay::{LinkId, Side};
use crate::sdp::Protocol;
use crate::sip::b2bua::CallEvent;
use crate::sip::message::{Request, Response};

const AUDIO: &str = "m=audio 40000 RTP/AVP 0 8\r\na=rtpmap:0 PCMU/8000\r\na=x-odd:  1;2\r\n";

/// Both sides answer as they should; Ana's 2xx, acknowledged.
fn taken(scene: &mut Scene, offer: &str, answer: &str) -> (Request, Response) {
    scene.invite(offer);
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, answer);
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    scene.silence();
    (invite, ok)
}

fn hang_up(scene: &mut Scene, ok: &Response) {
    let bye = scene.of_ana(ok, "BYE", 90);
    scene.say(ANA, bye, "");
    scene.response(ANA, 200);
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    scene.silence();
    assert_eq!(scene.reserved.len(), scene.released.len());
    scene.nothing_left();
}

fn lines<'a>(body: &'a [u8], start: &str) -> Vec<&'a str> {
    std::str::from_utf8(body).unwrap().lines().filter(|l| l.starts_with(start)).collect()
}

/// Lines that were told, anchored and passed by.
fn counted(scene: &Scene) -> Vec<(usize, usize)> {
    let lines = scene.events.iter().filter_map(|event| match event {
        CallEvent::Negotiated { anchored, passed } => Some((*anchored, *passed)),
        _ => None,
    });
    lines.collect()
}

/// Once for each call, when its lines are known: with the ACK if the offer was late, and not again by a new offer.
#[test]
fn lines_are_counted_when_they_are_agreed() {
    let mut scene = Scene::new();
    scene.invite("");
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &format!("{}{AUDIO}{AUDIO}", sdp("bo", 1, "actpass")));
    let ok = scene.response(ANA, 200);
    assert_eq!(counted(&scene), []);
    scene.acknowledge(&ok, &format!("{}{AUDIO}{AUDIO}", sdp("ana", 1, "active")));
    scene.request(BO, "ACK");
    assert_eq!(counted(&scene), [(1, 2)]);
    let again = scene.of_ana(&ok, "INVITE", 2);
    scene.say(ANA, again, &format!("{}{AUDIO}{AUDIO}a=sendonly\r\n", sdp("ana", 2, "active")));
    let passed = scene.request(BO, "INVITE");
    scene.reply(BO, &passed, 200, &format!("{}{AUDIO}{AUDIO}", sdp("bo", 2, "passive")));
    scene.request(BO, "ACK");
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, "");
    assert_eq!(counted(&scene), [(1, 2)]);
    hang_up(&mut scene, &ok);
}

/// SDP-89: the roles of the legs are swapped.
#[test]
fn a_late_offer_is_answered_in_the_ack() {
    let mut scene = Scene::new();
    scene.invite("");
    let invite = scene.request(BO, "INVITE");
    assert!(invite.body.is_empty() && !invite.headers.has("Content-Type"));
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "actpass"));
    let ok = scene.response(ANA, 200);
    scene.silence();
    assert_eq!(
        (line(&ok.body, "a=setup:"), line(&ok.body, "m=")),
        ("actpass".into(), "message 2856 TCP/MSRP *".into())
    );
    let mut ack = scene.of_ana(&ok, "ACK", 1);
    ack.headers.push("X-Odd", "in the ACK");
    scene.say(ANA, ack, &sdp("ana", 1, "active"));
    let ack = scene.request(BO, "ACK");
    assert_eq!((line(&ack.body, "a=setup:"), ack.headers.first("X-Odd")), ("passive".into(), Some("in the ACK")));
    assert!(path(&ack.body).starts_with("msrp://203.0.113.20:2856/") && path(&ack.body) != path(&ok.body));
    scene.silence();
    hang_up(&mut scene, &ok);
}

/// SDP-79, SDP-89: without an answer, or with one that does not fit, the call is over; Bo's 2xx is acknowledged first.
#[rstest]
#[case::none(String::new())]
#[case::more_lines(sdp("ana", 1, "active") + AUDIO)]
#[case::no_path(sdp("ana", 1, "active").replace("a=path", "a=nopath"))]
#[case::garbage("v=1".to_owned())]
fn a_late_offer_without_a_fitting_answer_ends_the_call(#[case] answer: String) {
    let mut scene = Scene::new();
    scene.invite("");
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "actpass"));
    let ok = scene.response(ANA, 200);
    scene.acknowledge(&ok, &answer);
    assert!(scene.request(BO, "ACK").body.is_empty());
    let byes = [scene.request(BO, "BYE"), scene.request(ANA, "BYE")];
    assert_eq!(byes[1].headers.first("Reason"), Some("SIP;cause=502;text=\"offer and answer do not fit\""));
    scene.reply(BO, &byes[0], 200, "");
    scene.reply(ANA, &byes[1], 200, "");
    assert_eq!(scene.released.len(), 1);
    scene.nothing_left();
}

/// SDP-43, ADV-S07, ADV-S08: ACK and BYE to Bo, 502 to Ana.
#[rstest]
#[case::more_lines(sdp("bo", 1, "passive") + AUDIO)]
#[case::no_lines("v=0\r\no=bo 1 1 IN IP4 198.51.100.2\r\ns=-\r\nc=IN IP4 198.51.100.2\r\nt=0 0\r\n".to_owned())]
#[case::other_protocol(sdp("bo", 1, "passive").replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp:", "msrps:"))]
#[case::other_media(sdp("bo", 1, "passive").replace("m=message", "m=text"))]
#[case::no_path(sdp("bo", 1, "passive").replace("a=path", "a=nopath"))]
#[case::nothing(String::new())]
#[case::garbage("v=1\r\n".to_owned())]
fn an_answer_that_does_not_fit_ends_the_call(#[case] answer: String) {
    let mut scene = Scene::new();
    scene.invite(&sdp("ana", 1, "active"));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, &answer);
    scene.response(ANA, 502);
    assert_eq!(scene.request(BO, "ACK").headers.first("CSeq"), Some("1 ACK"));
    let bye = scene.request(BO, "BYE");
    assert_eq!(bye.headers.first("CSeq"), Some("2 BYE"));
    scene.reply(BO, &bye, 200, "");
    scene.silence();
    assert!(matches!(scene.events.last(), Some(CallEvent::Ended(record)) if record.cause.word() == "negotiation"));
    assert_eq!(scene.released.len(), 1);
    scene.nothing_left();
}

/// A 2xx to an INVITE without an offer must have one.
#[test]
fn a_late_offer_that_never_comes_is_a_bad_gateway() {
    let mut scene = Scene::new();
    scene.invite("");
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 200, "");
    scene.response(ANA, 502);
    scene.request(BO, "ACK");
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    scene.nothing_left();
}

/// SDP-4, SDP-7, SDP-43, SDP-54: sessions of equal ports are two, and audio beside them is untouched.
#[test]
fn several_lines_keep_their_places() {
    let mut scene = Scene::new();
    let second = "m=message 7100 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://192.0.2.1:7100/zwei;tcp\r\n";
    let offer = format!("{}{AUDIO}{second}", sdp("ana", 1, "active"));
    let second = "m=message 7101 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://198.51.100.2:7101/zwei;tcp\r\n";
    let answer = format!("{}{AUDIO}{second}", sdp("bo", 1, "passive"));
    let (invite, ok) = taken(&mut scene, &offer, &answer);
    for (body, session_c) in [(&invite.body, "c=IN IP4 192.0.2.1"), (&ok.body, "c=IN IP4 198.51.100.2")] {
        let text = std::str::from_utf8(body).unwrap();
        assert!(text.contains(AUDIO), "{text}");
        assert_eq!(lines(body, "m=").len(), 3);
        assert_eq!(lines(body, "c=")[0], session_c, "audio has no other");
        let paths = lines(body, "a=path");
        assert!(paths.len() == 2 && paths[0] != paths[1] && paths.iter().all(|p| p.contains("203.0.113.20:2856")));
    }
    assert_eq!(scene.reserved.len(), 2);
    assert_eq!(counted(&scene), [(2, 1)]);
    hang_up(&mut scene, &ok);
}

/// SDP-3, SDP-48, SDP-66: what is refused here is offered with port 0 and comes back so; what was removed stays so.
#[test]
fn a_refused_line_beside_a_good_one_has_port_0() {
    let mut scene = Scene::new();
    let bad = "m=message 7101 TCP/MSRP *\r\na=accept-types:*\r\n";
    let gone = "m=message 0 TCP/MSRP *\r\n";
    let offer = format!("{}{bad}{gone}", sdp("ana", 1, "active"));
    let answer = format!("{}m=message 0 TCP/MSRP *\r\n{gone}", sdp("bo", 1, "passive"));
    let (invite, ok) = taken(&mut scene, &offer, &answer);
    for body in [&invite.body, &ok.body] {
        assert_eq!(lines(body, "m=")[1..], ["m=message 0 TCP/MSRP *", "m=message 0 TCP/MSRP *"]);
    }
    assert_eq!(scene.reserved.len(), 1);
    hang_up(&mut scene, &ok);
}

/// Section 4.2 of RFC 4975's answer: a line that Bo declines has its session given back at once.
#[test]
fn a_declined_line_frees_its_session() {
    let mut scene = Scene::new();
    let (_, ok) = taken(
        &mut scene,
        &format!("{}{AUDIO}", sdp("ana", 1, "active")),
        &format!("{}{AUDIO}", sdp("bo", 1, "passive").replace("7100 TCP", "0 TCP")),
    );
    assert_eq!(lines(&ok.body, "m=")[0], "m=message 0 TCP/MSRP *");
    assert_eq!((scene.reserved.len(), scene.released.len(), scene.b2bua.calls()), (1, 1, 1));
    hang_up(&mut scene, &ok);
}

#[test]
fn a_route_without_anchoring_leaves_the_media_alone() {
    let mut scene = Scene::new();
    scene.routed.anchor = false;
    let (invite, ok) = taken(&mut scene, &sdp("ana", 1, "active"), &sdp("bo", 1, "passive"));
    assert_eq!(path(&invite.body), "msrp://192.0.2.1:7100/ana7tB2mXv9;tcp");
    assert_eq!(
        (path(&ok.body), line(&ok.body, "a=setup:")),
        ("msrp://198.51.100.2:7100/bo7tB2mXv9;tcp".into(), "passive".into())
    );
    assert_eq!(scene.reserved.len(), 0);
    hang_up(&mut scene, &ok);
}

/// SDP-63 turned round by the operator: the route says what is spoken behind it, and Ana never hears of it.
#[rstest]
#[case(Protocol::Tls)]
#[case(Protocol::Tcp)]
fn a_route_may_speak_another_protocol(#[case] beyond: Protocol) {
    let speaking = |protocol, text: String| match protocol {
        Protocol::Tls => text.replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp:", "msrps:"),
        Protocol::Tcp => text,
    };
    let here = if beyond == Protocol::Tls { Protocol::Tcp } else { Protocol::Tls };
    let mut scene = Scene::new();
    scene.routed.protocol = Some(beyond);
    let (invite, ok) =
        taken(&mut scene, &speaking(here, sdp("ana", 1, "active")), &speaking(beyond, sdp("bo", 1, "passive")));
    let m = |secure: bool| if secure { "message 2855 TCP/TLS/MSRP *" } else { "message 2856 TCP/MSRP *" };
    let is_tls = beyond == Protocol::Tls;
    assert_eq!((line(&invite.body, "m="), line(&ok.body, "m=")), (m(is_tls).to_owned(), m(!is_tls).to_owned()));
    assert_eq!(lines(&invite.body, "a=fingerprint").is_empty(), !is_tls);
    assert_eq!(lines(&ok.body, "a=fingerprint").is_empty(), is_tls);
    // Bo's own offers come out as what Ana speaks, and hers as what he does.
    let hold = |text: String| text + "a=sendonly\r\n";
    let again = scene.of_bo(&invite, "INVITE", 1);
    scene.say(BO, again, &speaking(beyond, hold(sdp("bo", 2, "passive"))));
    let again = scene.request(ANA, "INVITE");
    assert_eq!((line(&again.body, "m="), path(&again.body)), (m(!is_tls).to_owned(), path(&ok.body)));
    scene.reply(ANA, &again, 200, &speaking(here, sdp("ana", 2, "active") + "a=recvonly\r\n"));
    let held = scene.response(BO, 200);
    assert_eq!((line(&held.body, "m="), path(&held.body)), (m(is_tls).to_owned(), path(&invite.body)));
    scene.request(ANA, "ACK");
    let ack = scene.of_bo(&invite, "ACK", 1);
    scene.say(BO, ack, "");
    let again = scene.of_ana(&ok, "INVITE", 2);
    scene.say(ANA, again, &speaking(here, sdp("ana", 3, "active")));
    let again = scene.request(BO, "INVITE");
    assert_eq!((line(&again.body, "m="), path(&again.body)), (m(is_tls).to_owned(), path(&invite.body)));
    scene.reply(BO, &again, 200, &speaking(beyond, sdp("bo", 3, "passive")));
    let resumed = scene.response(ANA, 200);
    assert_eq!(line(&resumed.body, "m="), m(!is_tls));
    scene.acknowledge(&resumed, "");
    scene.request(BO, "ACK");
    hang_up(&mut scene, &ok);
}

/// SDP-70: the description is rewritten where it stands, and the icon beside it is untouched.
#[test]
fn a_multipart_keeps_its_other_parts() {
    let mut scene = Scene::new();
    let icon =
        "--b1\r\nContent-Type: image/png\r\nContent-ID: <i@ana>\r\nContent-Length: 5\r\n\r\n\x01\x02--3\r\n--b1--\r\n";
    let body = format!(
        "preamble\r\n--b1\r\nContent-Type: application/sdp\r\nContent-ID: <s@ana>\r\n\r\n{}\r\n{icon}",
        sdp("ana", 1, "active") + "a=file-icon:cid:i@ana\r\n"
    );
    let kind = "multipart/related;boundary=b1;type=\"application/sdp\";start=\"<s@ana>\"";
    scene.invite_with(&[("Content-Type", kind)], &body);
    let invite = scene.request(BO, "INVITE");
    let text = std::str::from_utf8(&invite.body).unwrap();
    assert_eq!(invite.headers.first("Content-Type"), Some(kind));
    assert!(text.starts_with("preamble\r\n--b1\r\n") && text.ends_with(icon), "{text}");
    assert!(text.contains("a=file-icon:cid:i@ana\r\n") && !text.contains("192.0.2.1"), "{text}");
    scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
    let ok = scene.response(ANA, 200);
    scene.request(BO, "ACK");
    scene.acknowledge(&ok, "");
    hang_up(&mut scene, &ok);
}

/// SDP-95, SDP-96: a path through a living session of ours is relayed already, and passes; a dead one is refused.
#[test]
fn a_path_through_us_is_looked_up() {
    for living in [true, false] {
        let mut scene = Scene::new();
        (scene.living, scene.hold_core) = (living, true);
        let ours = "a=path:msrp://203.0.113.20:2856/token;tcp msrp://";
        scene.invite(&sdp("ana", 1, "active").replace("a=path:msrp://", ours));
        scene.silence();
        scene.release_core();
        if !living {
            scene.response(ANA, 488);
            scene.nothing_left();
            continue;
        }
        let invite = scene.request(BO, "INVITE");
        assert_eq!(path(&invite.body), "msrp://203.0.113.20:2856/token;tcp msrp://192.0.2.1:7100/ana7tB2mXv9;tcp");
        scene.reply(BO, &invite, 200, &sdp("bo", 1, "passive"));
        let ok = scene.response(ANA, 200);
        assert_eq!(path(&ok.body), "msrp://198.51.100.2:7100/bo7tB2mXv9;tcp");
        scene.request(BO, "ACK");
        scene.acknowledge(&ok, "");
        assert_eq!(scene.reserved.len(), 0);
        hang_up(&mut scene, &ok);
    }
}

/// What they say by TLS, with this in front of the path.
fn by_tls(who: &str, version: u32, setup: &str, before: &str) -> String {
    let plain = sdp(who, version, setup);
    plain.replace("TCP/MSRP", "TCP/TLS/MSRP").replace("a=path:msrp://", &format!("a=path:{before}msrps://"))
}

/// A client of the relay, and its token with a space behind it.
fn client(scene: &mut Scene, user: &str) -> (LinkId, String) {
    let link = scene.relay.handle_local_endpoint(scene.now);
    let token = scene.relay.bind_local(link, user, scene.now).unwrap();
    (link, format!("{} ", std::str::from_utf8(&token).unwrap()))
}

/// SDP-95: who answers may have us as its relay. The other side stays anchored, and its leg leads to the client's link.
#[test]
fn an_answer_through_us_is_anchored_on_the_other_side_only() {
    for setup in ["passive", "active"] {
        let mut scene = Scene::new();
        let (_, token) = client(&mut scene, "bo");
        let (invite, ok) = taken(&mut scene, &by_tls("ana", 1, "active", ""), &by_tls("bo", 1, setup, &token));
        let said = std::str::from_utf8(&ok.body).unwrap();
        assert!(path(&ok.body).starts_with("msrps://203.0.113.20:2855/") && !said.contains(token.trim()), "{said}");
        assert_ne!(path(&ok.body), path(&invite.body));
        let to_bo = format!("{token}msrps://198.51.100.2:7100/bo7tB2mXv9;tcp");
        let to_ana = "msrps://192.0.2.1:7100/ana7tB2mXv9;tcp".to_owned();
        assert_eq!(scene.terms, [(Side::B, to_bo), (Side::A, to_ana)]);
        let at = scene.reserved[0];
        assert_eq!(scene.told, [(at, "bound")], "nobody has to connect");
        assert_eq!(counted(&scene), [(1, 0)]);
        hang_up(&mut scene, &ok);
    }
}

/// What an unreliable response shows of such an answer, and one by a token that is no more.
#[test]
fn an_answer_through_nobody_ends_the_call() {
    let mut scene = Scene::new();
    let (link, token) = client(&mut scene, "bo");
    scene.invite(&by_tls("ana", 1, "active", ""));
    let invite = scene.request(BO, "INVITE");
    scene.reply(BO, &invite, 183, &by_tls("bo", 1, "passive", &token));
    let early = scene.response(ANA, 183);
    assert!(path(&early.body).starts_with("msrps://203.0.113.20:2855/"));
    scene.relay.handle_lost(link, scene.now);
    scene.reply(BO, &invite, 200, &by_tls("bo", 1, "passive", &token));
    scene.response(ANA, 502);
    scene.request(BO, "ACK");
    let bye = scene.request(BO, "BYE");
    scene.reply(BO, &bye, 200, "");
    assert_eq!(scene.released, scene.reserved);
    scene.nothing_left();
}

/// SDP-93, SDP-95: whatever Bo offers in the call, Ana's side of it stays; and who was relayed by both sides' wish and is
/// not any more on one of them, is anchored on that one.
#[test]
fn a_session_stays_anchored_when_its_end_offers_through_us() {
    let mut scene = Scene::new();
    scene.living = true;
    let (_, token) = client(&mut scene, "bo");
    let (invite, ok) = taken(&mut scene, &by_tls("ana", 1, "active", ""), &by_tls("bo", 1, "passive", &token));
    let again = scene.of_bo(&invite, "INVITE", 7);
    let again = scene.say(BO, again, &(by_tls("bo", 2, "actpass", &token) + "a=sendonly\r\n"));
    let passed = scene.request(ANA, "INVITE");
    assert_eq!(path(&passed.body), path(&ok.body));
    scene.reply(ANA, &passed, 200, &(by_tls("ana", 2, "active", "") + "a=recvonly\r\n"));
    scene.request(ANA, "ACK");
    let back = scene.response(BO, 200);
    assert_eq!(path(&back.body), path(&invite.body));
    let ack = scene.of_bo(&invite, "ACK", 7);
    scene.say(BO, ack, "");
    assert_eq!((again.method.as_str(), scene.reserved.len(), scene.released.len()), ("INVITE", 1, 0));
    hang_up(&mut scene, &ok);
}

#[test]
fn a_session_that_was_relayed_is_anchored_for_who_is_not_any_more() {
    let mut scene = Scene::new();
    scene.living = true;
    let (_, of_ana) = client(&mut scene, "ana");
    let (_, of_bo) = client(&mut scene, "bo");
    let said = [by_tls("ana", 1, "active", &of_ana), by_tls("bo", 1, "passive", &of_bo)];
    let (invite, ok) = taken(&mut scene, &said[0], &said[1]);
    assert!(path(&ok.body).starts_with(of_bo.trim()) && scene.reserved.is_empty());
    let again = scene.of_bo(&invite, "INVITE", 7);
    scene.say(BO, again, &by_tls("bo", 2, "actpass", ""));
    let passed = scene.request(ANA, "INVITE");
    assert!(path(&passed.body).starts_with("msrps://203.0.113.20:2855/"));
    scene.reply(ANA, &passed, 200, &by_tls("ana", 2, "active", &of_ana));
    scene.request(ANA, "ACK");
    let back = scene.response(BO, 200);
    assert!(path(&back.body).starts_with("msrps://203.0.113.20:2855/") && path(&back.body) != path(&passed.body));
    let ack = scene.of_bo(&invite, "ACK", 7);
    scene.say(BO, ack, "");
    assert_eq!(scene.told, [(scene.reserved[0], "bound")]);
    hang_up(&mut scene, &ok);
}

/// SDP-16, SDP-27, SDP-32, SDP-99: nothing of Ana's way or connection is in what Bo gets.
#[test]
fn what_belongs_to_the_leg_is_left_out() {
    let mut scene = Scene::with(|s| s.media.rules.content.max_size = Some(1000));
    let more = "a=connection:new\r\na=msrp-cema\r\na=max-size:1000000000000\r\na=x-odd:y\r\n";
    scene.invite(&(sdp("ana", 1, "holdconn") + more));
    let invite = scene.request(BO, "INVITE");
    let text = std::str::from_utf8(&invite.body).unwrap();
    assert!(!text.contains("connection") && !text.contains("cema") && !text.contains("192.0.2.1"), "{text}");
    assert!(text.contains("a=max-size:1000\r\n") && text.contains("a=x-odd:y\r\n"), "{text}");
    scene.reply(BO, &invite, 486, "");
    scene.forget();
    scene.nothing_left();
}
