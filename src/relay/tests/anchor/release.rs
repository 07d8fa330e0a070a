//! How an anchor ends, and that every SEND has one outcome even then (RFC 3261 section 15; SDP-77, ADV-S18).

use super::scene::Meeting;
use crate::msrp::Flag;
use crate::relay::tests::chunk::pattern;
use crate::relay::tests::end::Answer;
use crate::relay::{CloseReason, SessionEnd, Side};

/// SDP-77
#[test]
fn sdp_77_a_quiet_anchor_ends_at_once_and_its_links_with_it() {
    let (mut m, ana, bo) = Meeting::joined();
    m.release(SessionEnd::Bye);
    assert_eq!(m.news(), ["ended bye"]);
    assert!(m.net.ends[ana].closed && m.net.ends[bo].closed);
    assert_eq!(m.net.closed, [CloseReason::Released; 2]);
    let late = m.net.client(0);
    let tid = m.hello(late, Side::A);
    assert_eq!(m.codes(late, &tid), [481]);
    m.assert_dead();
}

/// ADV-S18
#[test]
fn what_was_accepted_before_a_bye_still_leaves() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.read(bo, false);
    m.net.window = 1000;
    let file = pattern(40_000);
    let send = m.send(Side::A).id("file0001").range("1-*/40000").body(&file);
    m.net.write(ana, send.octets());
    assert_eq!(m.codes(ana, &send.tid), [200]);
    m.release(SessionEnd::Bye);
    assert!(m.news().is_empty() && !m.net.ends[ana].closed);
    let tid = m.say(ana, Side::A, "m0000002", "too late");
    assert_eq!(m.codes(ana, &tid), [481]);
    m.net.millis(500);
    m.net.window = 64 << 10;
    m.net.read(bo, true);
    m.net.millis(200);
    assert!(m.net.ends[bo].content("file0001") == file);
    assert_eq!(m.net.ends[bo].sends().last().map(|f| f.flag), Some(Flag::Complete));
    assert!(m.net.ends[ana].reports().is_empty());
    assert_eq!(m.news(), ["ended bye"]);
    m.assert_dead();
}

#[test]
fn a_renewed_uri_that_nobody_has_used_ends_with_its_anchor() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.read(bo, false);
    m.net.window = 1000;
    let send = m.send(Side::A).id("file0001").range("1-*/40000").body(pattern(40_000));
    m.net.write(ana, send.octets());
    m.renew(Side::B);
    m.release(SessionEnd::Bye);
    // While what was accepted leaves, the books are looked at.
    m.net.millis(500);
    assert!(m.news().is_empty());
    m.net.window = 64 << 10;
    m.net.read(bo, true);
    m.net.millis(200);
    assert_eq!(m.news(), ["ended bye"]);
    m.assert_dead();
}

#[test]
fn a_link_that_is_lost_while_its_anchor_drains_is_forgotten() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.read(bo, false);
    m.net.window = 1000;
    let send = m.send(Side::A).id("file0001").range("1-*/40000").body(pattern(40_000));
    m.net.write(ana, send.octets());
    m.release(SessionEnd::Bye);
    m.net.lose(bo);
    m.net.seconds(3);
    assert_eq!(m.news(), ["ended bye"]);
    assert_eq!(m.net.ends[ana].reports().len(), 1);
    m.assert_dead();
}

/// ADV-S18
#[test]
fn adv_s18_what_has_not_left_after_two_seconds_is_cut_and_told() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.window = 1000;
    m.net.read(bo, false);
    let first = m.send(Side::A).id("file0001").range("1-*/40000").body(pattern(40_000));
    let second = m.send(Side::A).id("m0000002").range("1-4/4").body("more");
    let third = m.send(Side::A).id("m0000003").range("1-4/4").body("none").failure_report("no");
    for send in [&first, &second, &third] {
        m.net.write(ana, send.octets());
    }
    m.release(SessionEnd::Bye);
    m.net.millis(1900);
    assert!(m.news().is_empty() && m.net.ends[ana].reports().is_empty());
    m.net.millis(200);
    let mut told: Vec<_> = m.net.ends[ana].reports().iter().map(|f| (f.message(), f.reported())).collect();
    told.sort();
    assert_eq!(told, [("file0001".into(), Some(408)), ("m0000002".into(), Some(408))]);
    assert_eq!(m.news(), ["ended bye"]);
    // The part that was on the wire ends with `#`, once its end takes octets again.
    m.net.window = 64 << 10;
    m.net.read(bo, true);
    m.net.seconds(6);
    assert!(m.net.ends[bo].closed && m.net.ends[ana].closed);
    m.assert_dead();
}

#[test]
fn a_bye_inside_a_chunk_gives_it_two_seconds_to_end() {
    for (goes_on, code) in [(true, 200), (false, 481)] {
        let (mut m, ana, bo) = Meeting::joined();
        let file = pattern(60_000);
        let send = m.send(Side::A).id("file0001").range("1-*/60000").body("");
        m.net.write(ana, [send.head(), file[..30_000].to_vec()].concat());
        m.net.millis(20);
        m.release(SessionEnd::Bye);
        m.net.millis(500);
        if goes_on {
            m.net.write(ana, [file[30_000..].to_vec(), send.end()].concat());
        }
        m.net.seconds(2);
        assert_eq!(m.codes(ana, &send.tid), [code]);
        assert!(m.net.ends[ana].reports().is_empty());
        let last = m.net.ends[bo].sends().last().copied().cloned().expect("a part");
        assert_eq!(last.flag, if goes_on { Flag::Complete } else { Flag::Abort });
        assert_eq!(m.news(), ["ended bye"]);
        m.assert_dead();
    }
}

/// SDP-80
#[test]
fn sdp_80_a_cancel_ends_everything_at_once() {
    let mut m = Meeting::dialling(true);
    let ana = m.net.client(0);
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    m.forget();
    m.release(SessionEnd::Cancelled);
    assert_eq!(m.news(), ["ended cancelled"]);
    assert_eq!((m.codes(ana, &tid), m.net.ends[ana].reported(), m.relay().link_count()), (vec![], vec![408], 0));
    // The connection that was being made comes too late.
    m.net.answer_dials();
    m.net.run();
    m.assert_dead();
}

#[test]
fn what_awaits_an_answer_is_told_when_the_anchor_is_cut() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.ends[bo].answer = Answer::Nothing;
    m.say(ana, Side::A, "m0000001", "moin");
    m.net.seconds(1);
    m.release(SessionEnd::Bye);
    m.net.seconds(1);
    assert!(m.net.ends[ana].reports().is_empty());
    m.net.seconds(2);
    assert_eq!(m.net.ends[ana].reported(), [408]);
    m.assert_dead();
}

#[test]
fn a_second_bye_changes_nothing_and_an_operator_does_not_wait() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.ends[bo].answer = Answer::Nothing;
    m.say(ana, Side::A, "m0000001", "moin");
    m.release(SessionEnd::Bye);
    m.release(SessionEnd::Bye);
    assert!(m.news().is_empty());
    m.release(SessionEnd::Operator);
    assert_eq!(m.news(), ["ended operator"]);
    assert_eq!(m.net.ends[ana].reported(), [408]);
    m.assert_dead();
}

#[test]
fn an_operator_ends_an_anchor_by_the_name_of_a_leg() {
    let (mut m, ..) = Meeting::joined();
    let now = m.net.now;
    let view = m.relay().sessions(10, now).pop().expect("a leg");
    assert!(m.relay().end_by_name(&view.id, now));
    m.net.run();
    assert_eq!(m.news(), ["ended operator"]);
    assert!(m.net.released.is_empty(), "nobody's lease");
    m.assert_dead();
}

#[test]
fn a_relay_that_stops_ends_its_anchors() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.ends[bo].answer = Answer::Nothing;
    m.say(ana, Side::A, "m0000001", "moin");
    let now = m.net.now;
    m.relay().shut_down(now);
    m.net.run();
    assert_eq!((m.news(), m.net.ends[ana].reported()), (vec!["ended drained".to_owned()], vec![408]));
    m.assert_dead();
}
