//! Who connects: every pair of roles that offers and answers lead to (RFC 6135 section 4.2), and what comes of it.

use super::scene::{ANA, BO, Meeting, from_path, host, listen, peer, terms, to_path};
use crate::relay::tests::chunk::Request;
use crate::relay::tests::end::Answer;
use crate::relay::{AnchorError, Connect, DialFailure, Side};

/// SDP-29
#[test]
fn every_pair_of_roles_meets() {
    for (a, b) in [
        (Connect::Them, Connect::Us),
        (Connect::Them, Connect::Them),
        (Connect::Us, Connect::Us),
        (Connect::Us, Connect::Them),
    ] {
        let mut m = Meeting::reserved();
        let roles = [(Side::A, a), (Side::B, b)];
        for (side, role) in roles {
            listen(&mut m.net, side);
            m.set(side, terms(peer(side), role)).expect("good terms");
        }
        let ends: Vec<usize> = roles
            .iter()
            .map(|(side, role)| match role {
                Connect::Them => m.come(*side),
                Connect::Us => m.net.accepted(host(*side).0, host(*side).1)[0],
            })
            .collect();
        let mut news = m.news();
        news.sort();
        assert_eq!(news, ["bound A", "bound B"], "{a:?} {b:?}");
        m.forget();
        for side in Side::BOTH {
            let (from, to) = (ends[side as usize], ends[side.other() as usize]);
            let tid = m.say(from, side, "m0000001", "moin");
            assert_eq!(m.codes(from, &tid), [200], "{a:?} {b:?} {side:?}");
            assert_eq!(to_path(m.net.ends[to].sends()[0]), peer(side.other()));
        }
        m.assert_nothing_left();
    }
}

/// SDP-25, CORE-43, CORE-79
#[test]
fn sdp_25_where_we_are_active_we_are_heard_at_once() {
    let mut m = Meeting::dialling(false);
    let bo = m.net.accepted("bo.east.example", 7200)[0];
    let hello = m.net.ends[bo].frames[0].clone();
    assert!(hello.is_send() && !hello.has_body && hello.range() == "1-0/0" && !hello.message().is_empty());
    assert_eq!((to_path(&hello), from_path(&hello)), (BO.into(), m.uri(Side::B).into()));
    assert_eq!(m.relay().counts().responses_unmatched, 0, "its answer is known");
    // Nobody's quota pays for it.
    assert_eq!(m.news(), ["bound B"]);
    m.assert_nothing_left();
}

/// CORE-35
#[test]
fn each_greeting_is_a_message_of_its_own() {
    let mut m = Meeting::dialling(false);
    let (second, _) = super::scene::reserve(&mut m.net).expect("room");
    let now = m.net.now;
    m.relay().set_leg(second, Side::B, terms(BO, Connect::Us), now).expect("good terms");
    m.net.run();
    let ends = m.net.accepted("bo.east.example", 7200);
    let ids: Vec<_> = ends.iter().flat_map(|end| m.net.ends[*end].sends()).map(|f| f.message()).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.len() == 16), "{ids:?}");
    m.relay().release_anchor(second, crate::relay::SessionEnd::Bye, now);
    m.assert_nothing_left();
}

#[test]
fn what_is_ready_to_leave_is_greeting_enough() {
    let mut m = Meeting::dialling(true);
    let ana = m.net.client(0);
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    assert_eq!(m.codes(ana, &tid), [200], "it waits for the connection");
    m.net.answer_dials();
    m.net.run();
    let bo = m.net.accepted("bo.east.example", 7200)[0];
    let arrived: Vec<_> = m.net.ends[bo].sends().iter().map(|f| f.message()).collect();
    assert_eq!(arrived, ["m0000001"]);
    m.assert_nothing_left();
}

/// CORE-75, CORE-76
#[test]
fn an_end_that_denies_its_session_is_told_to_the_dialogs() {
    for code in [481, 506] {
        let mut m = Meeting::reserved();
        m.net.listen("bo.east.example", 7200, Answer::Code(code));
        m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
        m.set(Side::B, terms(BO, Connect::Us)).expect("good terms");
        assert_eq!(m.news(), ["bound B".to_owned(), format!("refused B {code}")]);
        m.assert_nothing_left();
    }
}

#[test]
fn an_end_that_cannot_be_reached_is_told_and_what_waits_for_it_fails() {
    let mut m = Meeting::reserved();
    m.net.hold_dials = true;
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(BO, Connect::Us)).expect("good terms");
    let ana = m.net.client(0);
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    m.forget();
    let (at, link, _) = m.net.dials.pop().expect("a dial");
    m.net.fail_dial(at, link, DialFailure::Connect);
    m.net.run();
    assert_eq!(m.news(), ["unreachable B Connect"]);
    assert_eq!((m.codes(ana, &tid), m.net.ends[ana].reported()), (vec![], vec![408]));
    m.assert_nothing_left();
}

/// SDP-24
#[test]
fn an_end_that_connects_may_name_port_9_which_nobody_connects_to() {
    const NOWHERE: &str = "msrps://10.8.0.4:9/Lq7ZtB2mXv9Ks4Rd;tcp";
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(NOWHERE, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    let bo = m.come(Side::B);
    let early = m.say(bo, Side::B, "m0000001", "are you there");
    let ana = m.net.client(0);
    let hello = Request::send(&[m.uri(Side::A)], NOWHERE).id("hello001").range("1-0/0");
    m.net.write(ana, hello.octets());
    assert_eq!((m.codes(ana, &hello.tid), m.codes(bo, &early)), (vec![200], vec![200]));
    assert_eq!(to_path(m.net.ends[ana].sends()[0]), NOWHERE);
    m.net.lose(ana);
    m.say(bo, Side::B, "m0000002", "and now");
    m.net.seconds(60);
    assert!(m.net.dialled.is_empty());
    m.assert_nothing_left();
}

/// SDP-105
#[test]
fn a_path_whose_name_nobody_knows_is_told_at_once() {
    let mut m = Meeting::reserved();
    m.net.hold_dials = true;
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(BO, Connect::Us)).expect("good terms");
    m.forget();
    let (at, link, _) = m.net.dials.pop().expect("a dial");
    m.net.fail_dial(at, link, DialFailure::Unresolvable);
    m.net.run();
    assert_eq!(m.news(), ["unreachable B Unresolvable"]);
    m.net.seconds(30);
    assert!(m.net.dials.is_empty(), "it is not tried again");
    m.assert_nothing_left();
}

/// ADV-S03, ADV-S12
#[test]
fn adv_s03_targets_that_lead_back_or_nowhere_are_refused() {
    let mut m = Meeting::with(|s| s.policy.deny.push("192.0.2.0/24".parse().expect("a network")));
    let own = m.uri(Side::A).to_owned();
    for (target, error) in [
        ("", AnchorError::Target),
        ("msrps://bo.east.example/x;tcp", AnchorError::Target),
        ("msrps://bo.east.example:1/x;tcp\r\nX: y", AnchorError::Target),
        ("msrps://bo.invalid:9/x;tcp", AnchorError::Target),
        ("msrps://bo.east.example:1/x;ws", AnchorError::Target),
        (&own, AnchorError::Target),
        ("msrp://192.0.2.7:22/x;tcp", AnchorError::Policy),
    ] {
        assert_eq!(m.set(Side::B, terms(target, Connect::Us)), Err(error), "{target}");
    }
    assert!(m.net.dialled.is_empty());
    m.assert_nothing_left();
}

#[test]
fn sdp_92_media_that_never_connects_is_told_after_a_minute() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    let mut slow = terms(BO, Connect::Them);
    slow.within = Some(std::time::Duration::from_secs(90));
    m.set(Side::B, slow).expect("good terms");
    m.net.seconds(59);
    assert!(m.news().is_empty());
    m.net.seconds(2);
    assert_eq!(m.news(), ["unconnected A"]);
    m.net.seconds(30);
    assert_eq!(m.news(), ["unconnected B"]);
    m.assert_nothing_left();
}

#[test]
fn a_reservation_without_an_answer_is_given_up_after_three_minutes() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.net.seconds(181);
    assert_eq!(m.news(), ["unconnected A", "ended expired"]);
    assert_eq!(m.set(Side::B, terms(BO, Connect::Them)), Err(AnchorError::Unknown));
    let end = m.net.client(0);
    let tid = m.say(end, Side::A, "m0000001", "late");
    assert_eq!(m.codes(end, &tid), [481]);
    m.assert_dead();
}

#[test]
fn anchors_are_bounded_and_counted() {
    let mut m = Meeting::with(|s| s.limits.anchors = 2);
    assert!(super::scene::reserve(&mut m.net).is_ok());
    assert_eq!(super::scene::reserve(&mut m.net).err(), Some(AnchorError::Full));
    assert_eq!((m.relay().anchor_count(), m.relay().counts().anchors_reserved), (2, 2));
    m.relay().drain();
    assert_eq!(super::scene::reserve(&mut m.net).err(), Some(AnchorError::Draining));
    m.net.seconds(200);
    assert_eq!(m.relay().anchor_count(), 0);
    m.assert_dead();
}
