//! Only who was promised gets a leg (RFC 8122 section 6.2; RFC 4975 section 14.4).

use std::sync::Arc;

use super::scene::{ANA, BO, Meeting, listen, reserve, terms};
use crate::relay::tests::chunk::Request;
use crate::relay::{CloseReason, Connect, Expects, LegTerms, Side};
use crate::sdp::Fingerprint;

fn expecting(target: &str, connect: Connect, certificate: &[u8]) -> LegTerms {
    LegTerms { expects: Expects::Fingerprints(Fingerprint::of(certificate)), ..terms(target, connect) }
}

fn client(m: &mut Meeting, certificate: Option<&[u8]>) -> usize {
    let mut meta = m.net.meta((0, 0), true);
    meta.fingerprints = certificate.map(Fingerprint::of);
    m.net.connect((0, 0), meta)
}

/// CORE-95
#[test]
fn sdp_58_59_a_wrong_certificate_or_none_gets_nothing_and_is_closed() {
    for shown in [None, Some(&b"mallory"[..])] {
        let (mut m, ana, _) = Meeting::joined();
        let (second, uris) = reserve(&mut m.net).expect("room");
        let now = m.net.now;
        m.relay().set_leg(second, Side::A, terms(ANA, Connect::Them), now).expect("good terms");
        m.relay().set_leg(second, Side::B, expecting(BO, Connect::Them, b"bo"), now).expect("good terms");
        let hello = Request::send(&[&uris[0]], ANA).id("hello002").range("1-0/0");
        m.net.write(ana, hello.octets());
        m.forget();
        let mallory = client(&mut m, shown);
        let send = Request::send(&[&uris[1]], BO).id("m0000001").body("let me in");
        m.net.write(mallory, send.octets());
        assert_eq!(m.codes(mallory, &send.tid), [481]);
        assert!(m.net.ends[mallory].closed && m.net.ends[ana].frames.is_empty());
        assert_eq!(m.net.closed, [CloseReason::Certificate]);
        assert_eq!(m.news(), ["mismatch B"]);
        // The leg is still free for the right one.
        let bo = client(&mut m, Some(b"bo"));
        let send = Request::send(&[&uris[1]], BO).id("m0000002").body("it is me");
        m.net.write(bo, send.octets());
        assert_eq!(m.codes(bo, &send.tid), [200]);
        assert_eq!(m.net.ends[ana].sends()[0].body, b"it is me");
        m.relay().release_anchor(second, crate::relay::SessionEnd::Bye, now);
        m.assert_nothing_left();
    }
}

/// SDP-60
#[test]
fn sdp_60_the_fingerprint_that_comes_late_is_asked_of_what_waits() {
    for (shown, code) in [(&b"bo"[..], 200), (&b"mallory"[..], 481)] {
        let mut m = Meeting::reserved();
        m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
        let ana = m.come(Side::A);
        let bo = client(&mut m, Some(shown));
        let tid = m.say(bo, Side::B, "m0000001", "early");
        m.set(Side::B, expecting(BO, Connect::Them, b"bo")).expect("good terms");
        assert_eq!(m.codes(bo, &tid), [code]);
        assert_eq!(m.net.ends[ana].sends().len(), usize::from(code == 200));
        m.assert_nothing_left();
    }
}

/// SDP-62
#[test]
fn sdp_62_a_link_of_other_sessions_is_only_refused() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, expecting(BO, Connect::Them, b"bo")).expect("good terms");
    let bo = client(&mut m, Some(b"bo"));
    m.hello(bo, Side::B);
    let (second, uris) = reserve(&mut m.net).expect("room");
    let now = m.net.now;
    m.relay().set_leg(second, Side::B, expecting(BO, Connect::Them, b"bo's phone"), now).expect("good terms");
    let send = Request::send(&[&uris[1]], BO).id("m0000001").body("same link");
    m.net.write(bo, send.octets());
    assert_eq!(m.codes(bo, &send.tid), [481]);
    assert!(!m.net.ends[bo].closed);
    m.relay().release_anchor(second, crate::relay::SessionEnd::Bye, now);
    m.assert_nothing_left();
}

/// CORE-95
#[test]
fn where_we_connect_the_certificate_must_be_right_before_anything_leaves() {
    for (shown, right) in [(Some(&b"bo"[..]), true), (Some(&b"mallory"[..]), false), (None, false)] {
        let mut m = Meeting::reserved();
        listen(&mut m.net, Side::B);
        m.net.shown = shown.map(Fingerprint::of);
        m.net.hold_dials = true;
        m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
        m.set(Side::B, expecting(BO, Connect::Us, b"bo")).expect("good terms");
        assert!(m.net.dialled[0].fingerprints.as_ref().is_some_and(|f| **f == *Fingerprint::of(b"bo")));
        let ana = m.net.client(0);
        m.say(ana, Side::A, "m0000001", "secret");
        m.forget();
        m.net.answer_dials();
        m.net.run();
        let bo = m.net.accepted("bo.east.example", 7200)[0];
        assert_eq!(m.net.ends[bo].raw.is_empty(), !right, "{shown:?}");
        assert_eq!(m.news(), [if right { "bound B" } else { "mismatch B" }]);
        if !right {
            assert_eq!((m.net.ends[ana].reported(), m.net.closed.clone()), (vec![408], vec![CloseReason::Certificate]));
        }
        m.assert_nothing_left();
    }
}

/// SDP-62
#[test]
fn connections_are_shared_by_legs_that_expect_the_same_and_by_no_others() {
    let mut m = Meeting::reserved();
    listen(&mut m.net, Side::B);
    m.net.shown = Some(Fingerprint::of(b"bo"));
    m.set(Side::B, expecting(BO, Connect::Us, b"bo")).expect("good terms");
    let now = m.net.now;
    let mut others = Vec::new();
    for terms in [expecting(BO, Connect::Us, b"bo"), terms(BO, Connect::Us)] {
        let (anchor, _) = reserve(&mut m.net).expect("room");
        m.relay().set_leg(anchor, Side::B, terms, now).expect("good terms");
        m.net.run();
        others.push(anchor);
    }
    assert_eq!(m.net.accepted("bo.east.example", 7200).len(), 2);
    for anchor in others {
        m.relay().release_anchor(anchor, crate::relay::SessionEnd::Cancelled, now);
    }
    m.assert_nothing_left();
}

#[test]
fn a_name_may_be_expected_instead() {
    let mut m = Meeting::reserved();
    let name = LegTerms { expects: Expects::Name(Arc::from("edge.east.example")), ..terms(BO, Connect::Them) };
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, name).expect("good terms");
    let stranger = m.net.client(0);
    let tid = m.hello(stranger, Side::B);
    assert_eq!(m.codes(stranger, &tid), [481]);
    let edge = m.net.peer_relay(0, "edge.east.example");
    let from = format!("msrps://edge.east.example:2855/x;tcp {BO}");
    let hello = Request::send(&[m.uri(Side::B)], &from).id("hello001").range("1-0/0");
    m.net.write(edge, hello.octets());
    assert_eq!(m.codes(edge, &hello.tid), [200]);
    m.assert_nothing_left();
}

#[test]
fn a_second_living_link_is_told_that_the_session_is_in_use() {
    let (mut m, ana, bo) = Meeting::joined();
    let other = m.net.client(0);
    let tid = m.say(other, Side::A, "m0000001", "me too");
    assert_eq!(m.codes(other, &tid), [506]);
    assert!(m.net.ends[bo].frames.is_empty());
    let tid = m.say(ana, Side::A, "m0000002", "I was first");
    assert_eq!(m.codes(ana, &tid), [200]);
    m.assert_nothing_left();
}
