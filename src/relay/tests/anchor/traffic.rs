//! What passes between two legs, and what neither shows of the other (RFC 4975 section 8).

use super::scene::{ANA, BO, Meeting, from_path, terms, to_path};
use crate::relay::tests::chunk::{Request, pattern};
use crate::relay::tests::end::Answer;
use crate::relay::{Connect, LegTerms, SessionEnd, Side};

/// SDP-99
#[test]
fn sdp_99_each_side_sees_its_own_path_and_our_uri_there() {
    let (mut m, ana, bo) = Meeting::joined();
    let ends = [ana, bo];
    for side in Side::BOTH {
        let (from, to) = (ends[side as usize], ends[side.other() as usize]);
        let tid = m.say(from, side, "m0000001", "moin");
        assert_eq!(m.codes(from, &tid), [200]);
        let answer = m.net.ends[from].frames.last().cloned().expect("an answer");
        assert_eq!((to_path(&answer), from_path(&answer)), (super::scene::peer(side).into(), m.uri(side).into()));
        let arrived = m.net.ends[to].sends().last().copied().cloned().expect("it has arrived");
        assert_eq!(to_path(&arrived), super::scene::peer(side.other()));
        assert_eq!(from_path(&arrived), m.uri(side.other()));
        assert_eq!((arrived.message(), arrived.body.as_slice()), ("m0000001".into(), &b"moin"[..]));
        assert_eq!(arrived.header("Content-Type"), "text/plain");
        let seen = String::from_utf8_lossy(&m.net.ends[to].raw).into_owned();
        assert!(!seen.contains(super::scene::peer(side)) && !seen.contains(m.uri(side)), "{seen}");
    }
    m.assert_nothing_left();
}

#[test]
fn a_file_passes_in_chunks_and_is_cut_anew() {
    let (mut m, ana, bo) = Meeting::joined();
    let file = pattern(300_000);
    let mut tids = Vec::new();
    for (i, chunk) in file.chunks(70_000).enumerate() {
        let start = i * 70_000 + 1;
        let last = start - 1 + chunk.len() == file.len();
        let send = m.send(Side::A).id("file0001").range(&format!("{start}-*/300000")).body(chunk);
        let send = send.flag(if last { '$' } else { '+' });
        m.net.write(ana, send.octets());
        tids.push(send.tid);
    }
    assert!(m.net.ends[bo].content("file0001") == file);
    assert!(m.net.ends[bo].sends().iter().all(|f| f.body.len() <= 10_000 && to_path(f) == BO));
    assert!(tids.iter().all(|tid| m.codes(ana, tid) == [200]));
    assert!(m.net.ends[ana].reports().is_empty());
    m.assert_nothing_left();
}

/// SDP-17: over the size that Bo takes and a tenth more, whether it is announced or only comes.
#[test]
fn a_message_that_is_too_long_for_its_receiver_gets_413() {
    let (mut m, ana, bo) = Meeting::joined();
    m.set(Side::B, LegTerms { max_size: Some(1000), ..terms(BO, Connect::Them) }).expect("good terms");
    for (n, total, status) in [(1, 1000, 200), (2, 1100, 200), (3, 1101, 413)] {
        let body = pattern(total);
        let send = m.send(Side::A).id(&format!("long000{n}")).range(&format!("1-{total}/{total}")).body(&body);
        m.net.write(ana, send.octets());
        assert_eq!(m.codes(ana, &send.tid), [status], "{total} octets");
    }
    let send = m.send(Side::A).id("long0004").range("1-*/*").body(pattern(5000));
    m.net.write(ana, send.octets());
    assert_eq!(m.codes(ana, &send.tid), [413]);
    assert!(m.net.ends[bo].content("long0004").len() <= 1100, "no more than he takes");
    // The other way nothing was said.
    let body = pattern(5000);
    let send = m.send(Side::B).id("long0005").range("1-5000/5000").body(&body);
    m.net.write(bo, send.octets());
    assert_eq!(m.codes(bo, &send.tid), [200]);
}

#[test]
fn a_receivers_report_reaches_the_sender_in_the_name_of_our_leg() {
    let (mut m, ana, bo) = Meeting::joined();
    let report = Request::new("REPORT", &[m.uri(Side::B)], BO).id("m0000001").range("1-4/4").line("Status: 000 200 OK");
    m.net.write(bo, report.octets());
    let arrived = m.net.ends[ana].reports()[0].clone();
    assert_eq!((to_path(&arrived), from_path(&arrived)), (ANA.into(), m.uri(Side::A).into()));
    assert_eq!((arrived.message(), arrived.reported()), ("m0000001".into(), Some(200)));
    assert!(m.net.ends[bo].frames.is_empty(), "a REPORT has no answer");
    m.assert_nothing_left();
}

#[test]
fn a_refusal_becomes_our_report_and_the_dialogs_hear_of_a_dead_session() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.ends[bo].answer = Answer::Code(481);
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    assert_eq!(m.codes(ana, &tid), [200]);
    let report = m.net.ends[ana].reports()[0].clone();
    assert_eq!((to_path(&report), from_path(&report)), (ANA.into(), m.uri(Side::A).into()));
    assert_eq!((report.reported(), report.range()), (Some(481), "1-4/*".into()));
    assert_eq!(m.news(), ["refused B 481"]);
    // A message that was refused stays refused.
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    assert_eq!(m.codes(ana, &tid), [481]);
    m.assert_nothing_left();
}

#[test]
fn a_silent_receiver_becomes_one_408() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.ends[bo].answer = Answer::Nothing;
    m.say(ana, Side::A, "m0000001", "moin");
    m.net.seconds(31);
    assert_eq!(m.net.ends[ana].reported(), [408]);
    m.assert_nothing_left();
}

#[test]
fn a_nickname_and_an_unknown_method_pass_with_their_answers() {
    let (mut m, ana, bo) = Meeting::joined();
    for method in ["NICKNAME", "WAVE"] {
        m.forget();
        let request = Request::new(method, &[m.uri(Side::A)], ANA).line("Use-Nickname: \"ana\"");
        m.net.write(ana, request.octets());
        let arrived = m.net.ends[bo].frames[0].clone();
        assert_eq!((to_path(&arrived), from_path(&arrived)), (BO.into(), m.uri(Side::B).into()));
        assert_eq!(arrived.header("Use-Nickname"), "\"ana\"");
        m.net.ends[bo].answer_whole(&arrived, 423, &[("X-Why", b"taken")]);
        m.net.run();
        let answer = m.net.ends[ana].frames[0].clone();
        assert_eq!((answer.tid(), answer.code()), (request.tid.clone(), Some(423)));
        assert_eq!((to_path(&answer), from_path(&answer)), (ANA.into(), m.uri(Side::A).into()));
        assert_eq!(answer.header("X-Why"), "taken");
    }
    m.assert_nothing_left();
}

#[test]
fn nothing_may_stand_behind_our_uri() {
    let (mut m, ana, bo) = Meeting::joined();
    let send = Request::send(&[m.uri(Side::A), BO], ANA).id("m0000001").body("moin");
    m.net.write(ana, send.octets());
    assert_eq!(m.codes(ana, &send.tid), [481]);
    assert!(m.net.ends[bo].frames.is_empty());
    m.assert_nothing_left();
}

#[test]
fn a_bodiless_send_passes_too() {
    let (mut m, ana, bo) = Meeting::joined();
    let tid = m.hello(ana, Side::A);
    assert_eq!(m.codes(ana, &tid), [200]);
    let arrived = m.net.ends[bo].sends()[0].clone();
    assert!(!arrived.has_body && to_path(&arrived) == BO);
    m.assert_nothing_left();
}

/// SDP-8
#[test]
fn the_target_path_may_lead_over_relays() {
    let mut m = Meeting::reserved();
    let path = format!("msrps://edge.east.example:2855/tok3n;tcp {BO}");
    m.net.listen("edge.east.example", 2855, Answer::Ok);
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(&path, Connect::Us)).expect("good terms");
    let edge = m.net.accepted("edge.east.example", 2855)[0];
    let ana = m.come(Side::A);
    m.forget();
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    assert_eq!(m.codes(ana, &tid), [200]);
    let arrived = m.net.ends[edge].sends()[0].clone();
    assert_eq!((to_path(&arrived), from_path(&arrived)), (path, m.uri(Side::B).into()));
    // What comes back comes from behind the relay.
    let from = format!("msrps://edge.east.example:2855/tok3n;tcp {BO}");
    let back = Request::send(&[m.uri(Side::B)], &from).id("m0000002").body("na");
    m.net.write(edge, back.octets());
    assert_eq!(m.codes(edge, &back.tid), [200]);
    let arrived = m.net.ends[ana].sends()[0].clone();
    assert_eq!((to_path(&arrived), from_path(&arrived)), (ANA.into(), m.uri(Side::A).into()));
    m.assert_nothing_left();
}

/// SDP-69
#[test]
fn several_anchors_share_a_link() {
    let (mut m, ana, bo) = Meeting::joined();
    let (second, uris) = super::scene::reserve(&mut m.net).expect("room");
    let now = m.net.now;
    for (side, target) in [(Side::A, ANA), (Side::B, BO)] {
        let terms = terms(&format!("{target};n=2").replace(";tcp;n=2", "2;tcp"), Connect::Them);
        m.relay().set_leg(second, side, terms, now).expect("good terms");
    }
    for (end, uri, from) in [(ana, &uris[0], ANA), (bo, &uris[1], BO)] {
        let hello = Request::send(&[uri], from).id("hello002").range("1-0/0");
        m.net.write(end, hello.octets());
        assert_eq!(m.codes(end, &hello.tid), [200]);
    }
    m.forget();
    m.say(ana, Side::A, "m0000001", "by the first");
    let send = Request::send(&[&uris[0]], ANA).id("m0000002").body("by the second");
    m.net.write(ana, send.octets());
    let arrived: Vec<_> = m.net.ends[bo].sends().iter().map(|f| (f.message(), from_path(f))).collect();
    assert_eq!(arrived, [("m0000001".into(), m.uri(Side::B).to_owned()), ("m0000002".into(), uris[1].clone())]);
    // The first ends; the link serves the second, and the first's URI is dead (SDP-69).
    m.release(SessionEnd::Bye);
    assert!(!m.net.ends[ana].closed && !m.net.ends[bo].closed);
    let tid = m.say(ana, Side::A, "m0000003", "late");
    assert_eq!(m.codes(ana, &tid), [481]);
    let send = Request::send(&[&uris[0]], ANA).id("m0000004").body("still here");
    m.net.write(ana, send.octets());
    assert_eq!(m.codes(ana, &send.tid), [200]);
    m.anchor = second;
    m.release(SessionEnd::Bye);
    assert!(m.net.ends[ana].closed && m.net.ends[bo].closed);
    m.assert_dead();
}

#[test]
fn the_record_counts_both_ways_and_views_show_a_leg_as_such() {
    let (mut m, ana, bo) = Meeting::joined();
    m.say(ana, Side::A, "m0000001", "moin");
    m.say(ana, Side::A, "m0000002", "moin");
    m.say(bo, Side::B, "m0000003", "na");
    let now = m.net.now;
    let views = m.relay().sessions(10, now);
    assert_eq!(views.len(), 2);
    assert_eq!(views[0].anchor, views[1].anchor);
    let from: Vec<_> = views.iter().map(|v| (v.tally.octets_from_owner, v.tally.octets_to_owner)).collect();
    assert!(from.contains(&(8, 2)) && from.contains(&(2, 8)), "{from:?}");
    let name = views[0].anchor.clone().expect("a leg");
    m.release(SessionEnd::Bye);
    let record = m.record().expect("it is over");
    let tally = record.tally;
    assert_eq!((record.id, record.end, record.far_host.as_deref()), (name, SessionEnd::Bye, Some("bo.east.example")));
    assert_eq!((tally.messages_from_owner, tally.messages_to_owner), (2, 1));
    assert_eq!((tally.octets_from_owner, tally.octets_to_owner), (8, 2));
    m.assert_dead();
}
