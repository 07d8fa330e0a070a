//! Later offers, from either side by re-INVITE and by UPDATE (RFC 3261 section 14, RFC 3311, RFC 3264 section 8).

use rstest::rstest;

use super::scene::{line, path, sdp_at};
use super::talk::{Talk, at, known};
use crate::relay::{AnchorNews, CloseReason, Side};
use crate::sip::message::Response;

fn name(side: Side) -> &'static str {
    if side == Side::A { "ana" } else { "bo" }
}

fn host(side: Side) -> &'static str {
    if side == Side::A { "192.0.2.1" } else { "198.51.100.2" }
}

/// What was said to both sides when the call began.
fn paths(talk: &Talk) -> [String; 2] {
    [path(&talk.ok.body), path(&talk.invite.body)]
}

fn version(body: &[u8]) -> u64 {
    line(body, "o=").split(' ').nth(2).unwrap().parse().unwrap()
}

/// SDP-10, SDP-12, SDP-46, ADV-S20: nothing changed, whatever the version says; the other side hears nothing.
#[rstest]
fn a_refresh_is_answered_here(#[values(Side::A, Side::B)] from: Side, #[values("INVITE", "UPDATE")] method: &str) {
    let mut talk = Talk::begin();
    let first = talk.answered_here(from, method, &known(from));
    assert_eq!(path(&first.body), paths(&talk)[from as usize]);
    assert_ne!(line(&first.body, "a=setup:"), "actpass", "it is an answer");
    if from == Side::A {
        assert_eq!(first.body, talk.ok.body);
    }
    let again = known(from).replace("1 1 IN", "1 9 IN");
    let second = talk.answered_here(from, method, &again);
    assert_eq!(second.body, first.body);
    assert_eq!((talk.scene.reserved.len(), talk.scene.withdrawn.len()), (1, 0));
    talk.hang_up();
}

/// SDP-18, SDP-47, SDP-51: what changes is passed on, our URIs stay, and the version counts.
#[rstest]
#[case::hold("a=sendonly\r\n", "a=recvonly\r\n")]
#[case::inactive("a=inactive\r\n", "a=inactive\r\n")]
#[case::types("a=accept-wrapped-types:*\r\n", "a=max-size:77\r\n")]
#[case::file("a=file-transfer-id:x\r\na=file-selector:name:\"a\"\r\n", "a=file-transfer-id:x\r\n")]
fn a_change_beside_the_path_keeps_our_uris(
    #[case] offer: &str,
    #[case] answer: &str,
    #[values(Side::A, Side::B)] from: Side,
    #[values("INVITE", "UPDATE")] method: &str,
) {
    let mut talk = Talk::begin();
    let before = version(&if from == Side::A { talk.invite.body.clone() } else { talk.ok.body.clone() });
    let (passed, back) = talk.exchange(from, method, &(known(from) + offer), &(known(from.other()) + answer));
    assert_eq!([path(&back.body), path(&passed.body)], [from, from.other()].map(|s| paths(&talk)[s as usize].clone()));
    assert!(
        String::from_utf8_lossy(&passed.body).contains(offer) && String::from_utf8_lossy(&back.body).contains(answer)
    );
    assert_eq!(version(&passed.body), before + 1);
    assert_eq!(line(&passed.body, "a=setup:"), "actpass");
    assert_eq!(talk.scene.reserved.len(), 1);
    assert_eq!(talk.scene.files.len(), if offer.contains("a=file-transfer-id") { 2 } else { 0 }, "legs of a file");
    talk.hang_up();
}

/// A hold of the old kind: the connection stays.
#[rstest]
fn a_hold_by_address_keeps_our_uris(#[values(Side::A, Side::B)] from: Side) {
    let mut talk = Talk::begin();
    let hold = known(from).replace(&format!("c=IN IP4 {}", host(from)), "c=IN IP4 0.0.0.0");
    let (passed, back) = talk.exchange(from, "INVITE", &hold, &known(from.other()));
    assert_eq!([path(&back.body), path(&passed.body)], [from, from.other()].map(|s| paths(&talk)[s as usize].clone()));
    talk.hang_up();
}

/// SDP-11, SDP-94: another session of the end gets another URI of ours in the answer; the other leg keeps its own.
#[rstest]
fn a_new_session_of_one_end_renews_its_leg(
    #[values(Side::A, Side::B)] from: Side,
    #[values("INVITE", "UPDATE")] method: &str,
) {
    let mut talk = Talk::begin();
    let moved = sdp_at(name(from), 2, "active", host(from), "another8Session");
    let (passed, back) = talk.exchange(from, method, &moved, &known(from.other()));
    assert_ne!(path(&back.body), paths(&talk)[from as usize]);
    assert_eq!(path(&passed.body), paths(&talk)[from.other() as usize]);
    if from == Side::A {
        assert_eq!(passed.body, talk.invite.body, "nothing of it is new to Bo");
    }
    assert_eq!((talk.scene.reserved.len(), talk.scene.withdrawn.len()), (1, 0));
    talk.hang_up();
}

/// Another relay of the end before the same session: our URI stays.
#[rstest]
fn another_way_to_the_same_session_keeps_our_uri(#[values(Side::A, Side::B)] from: Side) {
    let mut talk = Talk::begin();
    let relayed = known(from).replace("a=path:", &format!("a=path:msrp://{}:9000/relay;tcp ", host(from)));
    let (passed, back) = talk.exchange(from, "INVITE", &relayed, &known(from.other()));
    assert_eq!([path(&back.body), path(&passed.body)], [from, from.other()].map(|s| paths(&talk)[s as usize].clone()));
    talk.hang_up();
}

/// SDP-11: the answer may move as well.
#[rstest]
fn the_answer_may_name_another_session(#[values(Side::A, Side::B)] from: Side) {
    let mut talk = Talk::begin();
    let other = from.other();
    let moved = sdp_at(name(other), 2, "active", host(other), "another8Session");
    let (passed, back) = talk.exchange(from, "INVITE", &(known(from) + "a=x-a:1\r\n"), &moved);
    assert_eq!([path(&back.body), path(&passed.body)], [from, other].map(|s| paths(&talk)[s as usize].clone()));
    talk.hang_up();
}

/// Another protocol is a new session in the same place.
#[rstest]
fn another_protocol_begins_anew(#[values(Side::A, Side::B)] from: Side, #[values("INVITE", "UPDATE")] method: &str) {
    let mut talk = Talk::begin();
    let tls = |text: String| text.replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp:", "msrps:");
    let (passed, back) = talk.exchange(from, method, &tls(known(from)), &tls(known(from.other())));
    assert!([&passed.body, &back.body].iter().all(|b| path(b).starts_with("msrps://203.0.113.20:2855/")));
    assert_eq!((talk.scene.reserved.len(), talk.scene.released.len()), (2, 1));
    assert_eq!(talk.scene.released[0], talk.scene.reserved[0]);
    talk.hang_up();
}

/// SDP-47, SDP-48, SDP-50: port 0 ends the session, and the place can be used again.
#[rstest]
fn a_line_ends_and_begins_again(#[values(Side::A, Side::B)] from: Side, #[values("INVITE", "UPDATE")] method: &str) {
    let mut talk = Talk::begin();
    let zero = |text: String| text.replace("m=message 7100", "m=message 0");
    let (passed, back) = talk.exchange(from, method, &zero(known(from)), &zero(known(from.other())));
    assert!([&passed.body, &back.body].iter().all(|b| line(b, "m=") == "message 0 TCP/MSRP *"));
    assert_eq!((talk.scene.reserved.len(), talk.scene.released.len()), (1, 1));
    let (passed, back) = talk.exchange(from, method, &known(from), &known(from.other()));
    assert_eq!((talk.scene.reserved.len(), talk.scene.released.len()), (2, 1));
    let old = paths(&talk);
    assert!(!old.contains(&path(&passed.body)) && !old.contains(&path(&back.body)));
    talk.hang_up();
}

#[rstest]
fn a_line_more_begins_and_a_line_less_is_refused(
    #[values(Side::A, Side::B)] from: Side,
    #[values("INVITE", "UPDATE")] method: &str,
) {
    let mut talk = Talk::begin();
    let more = |side: Side| {
        let host = host(side);
        format!(
            "{}m=message 7102 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://{host}:7102/more;tcp\r\n",
            known(side)
        )
    };
    talk.exchange(from, method, &more(from), &more(from.other()));
    assert_eq!((talk.scene.reserved.len(), talk.scene.released.len()), (2, 0));
    let refused = talk.refused_here(from, method, &known(from), 488);
    assert_eq!(refused.headers.first("Warning"), Some("399 gate.example \"fewer m-lines than before\""));
    talk.hang_up();
}

/// SDP-73, SDP-76: refused, by us or by the other side, everything is as it was.
#[rstest]
fn a_refused_offer_restores_everything(
    #[values(Side::A, Side::B)] from: Side,
    #[values("INVITE", "UPDATE")] method: &str,
    #[values(488, 491, 500)] status: u16,
) {
    let mut talk = Talk::begin();
    let other = from.other();
    let more = "m=message 7102 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://192.0.2.1:7102/more;tcp\r\n";
    let moved = sdp_at(name(from), 2, "active", host(from), "another8Session") + more;
    talk.say(from, method, &moved);
    let passed = talk.scene.request(at(other), method);
    talk.scene.reply(at(other), &passed, status, "");
    if method == "INVITE" {
        talk.scene.request(at(other), "ACK");
    }
    let refusal = talk.scene.response(at(from), status);
    if method == "INVITE" {
        acknowledge_refusal(&mut talk, from, &refusal);
    }
    assert_eq!(talk.scene.withdrawn, [(talk.scene.reserved[0], from)]);
    assert_eq!(talk.scene.released, [talk.scene.reserved[1]]);
    let bad = known(from).replace("a=path", "a=nopath");
    let refusal = talk.refused_here(from, method, &bad, 488);
    if method == "INVITE" {
        acknowledge_refusal(&mut talk, from, &refusal);
    }
    // What was said before is in force, on both sides.
    let back = talk.answered_here(from, method, &known(from));
    assert_eq!(path(&back.body), paths(&talk)[from as usize]);
    let back = talk.answered_here(other, method, &known(other));
    assert_eq!(path(&back.body), paths(&talk)[other as usize]);
    talk.hang_up();
}

fn acknowledge_refusal(talk: &mut Talk, from: Side, refusal: &Response) {
    let mut ack = crate::sip::message::Request::new("ACK", "sip:us");
    for name in ["Via", "From", "To", "Call-ID"] {
        ack.headers.push(name, refusal.headers.first(name).unwrap());
    }
    let number = refusal.headers.first("CSeq").unwrap().split(' ').next().unwrap();
    ack.headers.push("CSeq", format!("{number} ACK"));
    talk.scene.say(at(from), ack, "");
    talk.scene.silence();
}

/// A re-INVITE without SDP: the other side offers, whether anything is new or not.
#[rstest]
fn a_late_offer_in_the_dialog(#[values(Side::A, Side::B)] from: Side, #[values(false, true)] changes: bool) {
    let mut talk = Talk::begin();
    let other = from.other();
    let asked = talk.say(from, "INVITE", "");
    let passed = talk.scene.request(at(other), "INVITE");
    assert!(passed.body.is_empty());
    let offer = if changes { sdp_at(name(other), 2, "actpass", host(other), "another8Session") } else { known(other) };
    talk.scene.reply(at(other), &passed, 200, &offer);
    let ok = talk.scene.response(at(from), 200);
    assert_eq!(
        (path(&ok.body), line(&ok.body, "a=setup:")),
        (paths(&talk)[from as usize].clone(), "actpass".to_owned())
    );
    talk.acknowledge(from, &asked, &known(from));
    let ack = talk.scene.request(at(other), "ACK");
    assert_eq!(path(&ack.body) == paths(&talk)[other as usize], !changes);
    talk.scene.silence();
    talk.hang_up();
}

/// SDP-93, SDP-94: a leg that is lost is rebuilt by an offer of either side, even by one that says nothing new.
#[rstest]
fn a_lost_leg_is_rebuilt(
    #[values(Side::A, Side::B)] lost: Side,
    #[values(Side::A, Side::B)] from: Side,
    #[values("INVITE", "UPDATE")] method: &str,
) {
    let mut talk = Talk::begin();
    let anchor = talk.scene.reserved[0];
    talk.scene.news(anchor, &AnchorNews::Lost { side: lost, reason: CloseReason::Eof });
    talk.scene.silence();
    let (passed, back) = talk.exchange(from, method, &known(from), &known(from.other()));
    let now =
        if from == Side::A { [path(&back.body), path(&passed.body)] } else { [path(&passed.body), path(&back.body)] };
    for side in Side::BOTH {
        assert_eq!(now[side as usize] != paths(&talk)[side as usize], side == lost, "{side:?}");
    }
    // And that is that: the next refresh is answered here again.
    let back = talk.answered_here(from, method, &known(from));
    assert_eq!(path(&back.body), now[from as usize]);
    talk.hang_up();
}

/// A leg that is lost while an offer is under way is lost after it too.
#[test]
fn a_leg_lost_under_way_is_remembered() {
    let mut talk = Talk::begin();
    let asked = talk.say(Side::A, "INVITE", &(known(Side::A) + "a=x-a:1\r\n"));
    let passed = talk.scene.request(at(Side::B), "INVITE");
    let anchor = talk.scene.reserved[0];
    talk.scene.news(anchor, &AnchorNews::Lost { side: Side::B, reason: CloseReason::Eof });
    talk.scene.reply(at(Side::B), &passed, 200, &known(Side::B));
    talk.scene.response(at(Side::A), 200);
    talk.finish(Side::A, &asked);
    let (_, back) = talk.exchange(Side::B, "UPDATE", &known(Side::B), &known(Side::A));
    assert_ne!(path(&back.body), paths(&talk)[1]);
    talk.hang_up();
}

/// An UPDATE whose 2xx has no answer leaves the two ends with different pictures: the call is over.
#[rstest]
#[case("")]
#[case("v=1\r\n")]
fn an_update_without_a_fitting_answer_ends_the_call(#[case] answer: &str) {
    let mut talk = Talk::begin();
    talk.say(Side::A, "UPDATE", &(known(Side::A) + "a=x-a:1\r\n"));
    let passed = talk.scene.request(at(Side::B), "UPDATE");
    talk.scene.reply(at(Side::B), &passed, 200, answer);
    talk.scene.response(at(Side::A), 502);
    talk.both_hear_goodbye(Some("SIP;cause=502;text=\"offer and answer do not fit\""));
    assert_eq!(talk.scene.released.len(), 1);
}

/// The same for a re-INVITE, whose 2xx is acknowledged first.
#[test]
fn a_reinvite_without_a_fitting_answer_ends_the_call() {
    let mut talk = Talk::begin();
    talk.say(Side::A, "INVITE", &(known(Side::A) + "a=x-a:1\r\n"));
    let passed = talk.scene.request(at(Side::B), "INVITE");
    talk.scene.reply(at(Side::B), &passed, 200, "");
    talk.scene.response(at(Side::A), 502);
    talk.scene.request(at(Side::B), "ACK");
    talk.both_hear_goodbye(Some("SIP;cause=502;text=\"offer and answer do not fit\""));
}
