//! New offers: another path, another URI of ours, the one before good for a while (RFC 3264 section 8).

use super::scene::{ANA, BO, Meeting, from_path, listen, terms, to_path};
use crate::relay::tests::chunk::{Request, pattern};
use crate::relay::{AnchorError, Connect, SessionEnd, Side};

const BO_AGAIN: &str = "msrps://bo.east.example:7200/boSecond77Kq;tcp";
const BO_AWAY: &str = "msrps://bo.away.example:7300/boThird42LmN;tcp";

/// SDP-10, SDP-11
#[test]
fn an_old_uri_stays_good_for_thirty_seconds() {
    let (mut m, ana, bo) = Meeting::joined();
    let before = m.uri(Side::B).to_owned();
    let after = m.renew(Side::B);
    assert_ne!(before, after);
    assert_eq!(m.renew(Side::B), after, "the same until it is used");
    m.set(Side::B, terms(BO_AGAIN, Connect::Them)).expect("good terms");
    // What goes to Bo has his new path at once, on the link that he has.
    m.say(ana, Side::A, "m0000001", "moin");
    let arrived = m.net.ends[bo].sends()[0].clone();
    assert_eq!((to_path(&arrived), from_path(&arrived)), (BO_AGAIN.into(), after.clone()));
    // What he still sends to the old URI passes.
    let late = Request::send(&[&before], BO).id("m0000002").body("in flight");
    m.net.write(bo, late.octets());
    assert_eq!(m.codes(bo, &late.tid), [200]);
    // He comes by another link with the new one, and gets what follows there.
    let again = m.net.client(0);
    let hello = Request::send(&[&after], BO_AGAIN).id("hello001").range("1-0/0");
    m.net.write(again, hello.octets());
    assert_eq!(m.codes(again, &hello.tid), [200]);
    m.forget();
    m.say(ana, Side::A, "m0000003", "over there");
    assert_eq!((m.net.ends[again].sends().len(), m.net.ends[bo].sends().len()), (1, 0));
    m.net.seconds(31);
    let dead = Request::send(&[&before], BO).id("m0000004").body("too late");
    m.net.write(bo, dead.octets());
    assert_eq!(m.codes(bo, &dead.tid), [481]);
    m.assert_nothing_left();
}

#[test]
fn the_same_link_may_go_on_with_the_new_uri() {
    let (mut m, ana, bo) = Meeting::joined();
    let after = m.renew(Side::B);
    m.set(Side::B, terms(BO_AGAIN, Connect::Them)).expect("good terms");
    let send = Request::send(&[&after], BO_AGAIN).id("m0000001").body("same link");
    m.net.write(bo, send.octets());
    assert_eq!(m.codes(bo, &send.tid), [200]);
    m.net.seconds(31);
    m.forget();
    m.say(ana, Side::A, "m0000002", "still");
    assert_eq!(m.net.ends[bo].sends().len(), 1);
    assert!(m.news().is_empty());
    m.assert_nothing_left();
}

#[test]
fn an_end_that_only_listens_keeps_the_link_that_it_has() {
    let (mut m, ana, bo) = Meeting::joined();
    m.renew(Side::B);
    m.set(Side::B, terms(BO_AGAIN, Connect::Them)).expect("good terms");
    m.net.seconds(400);
    m.say(ana, Side::A, "m0000001", "still there");
    assert_eq!(m.net.ends[bo].sends().len(), 1);
    m.net.lose(bo);
    assert_eq!(m.news(), ["lost B lost"]);
    m.assert_nothing_left();
}

/// SDP-91: Bo's telephone has answered and connected, and then his desk takes the call: all that is his leaves the telephone's link.
#[test]
fn sdp_91_the_fork_that_takes_the_call_has_the_leg() {
    let (mut m, ana, bo) = Meeting::joined();
    m.set(Side::B, terms(BO_AGAIN, Connect::Them)).expect("good terms");
    let words = m.say(ana, Side::A, "m0000001", "moin");
    assert!(m.net.ends[bo].sends().is_empty(), "the telephone knows nothing of that session");
    let late = m.send(Side::B).id("m0000002").body("and I?");
    m.net.write(bo, late.octets());
    assert_eq!(m.codes(bo, &late.tid), [481]);
    let desk = m.net.client(0);
    let hello = Request::send(&[m.uri(Side::B)], BO_AGAIN).id("hello001").range("1-0/0");
    m.net.write(desk, hello.octets());
    assert_eq!(m.codes(desk, &hello.tid), [200]);
    let arrived = m.net.ends[desk].sends()[0].clone();
    assert_eq!(to_path(&arrived), BO_AGAIN);
    assert_eq!(m.codes(ana, &words), [200]);
    m.net.lose(bo);
    assert_eq!(m.news(), ["bound B"]);
    m.assert_nothing_left();
}

/// SDP-11: an end that names another session in its answer may go on with the connection that it has.
#[test]
fn an_answer_with_another_session_may_come_by_the_same_link() {
    let (mut m, ana, bo) = Meeting::joined();
    m.set(Side::B, terms(BO_AGAIN, Connect::Them)).expect("good terms");
    let send = Request::send(&[m.uri(Side::B)], BO_AGAIN).id("m0000001").body("same link");
    m.net.write(bo, send.octets());
    assert_eq!(m.codes(bo, &send.tid), [200]);
    m.say(ana, Side::A, "m0000002", "still");
    assert_eq!(m.net.ends[bo].sends().len(), 1);
    m.assert_nothing_left();
}

#[test]
fn a_new_uri_waits_for_the_answer_and_may_be_withdrawn() {
    let (mut m, ana, bo) = Meeting::joined();
    let before = m.uri(Side::B).to_owned();
    let after = m.renew(Side::B);
    let other = m.net.client(0);
    let hello = Request::send(&[&after], BO_AGAIN).id("hello001").range("1-0/0");
    m.net.write(other, hello.octets());
    assert!(m.codes(other, &hello.tid).is_empty());
    // SDP-73: the offer is refused.
    let (now, anchor) = (m.net.now, m.anchor);
    m.relay().withdraw_renewal(anchor, Side::B, now);
    m.net.run();
    assert_eq!(m.codes(other, &hello.tid), [481]);
    m.uris[1] = before;
    let tid = m.say(bo, Side::B, "m0000001", "as before");
    assert_eq!(m.codes(bo, &tid), [200]);
    let tid = m.say(ana, Side::A, "m0000002", "as before");
    assert_eq!((m.codes(ana, &tid), to_path(m.net.ends[bo].sends()[0])), (vec![200], BO.to_owned()));
    m.assert_nothing_left();
}

/// SDP-67
#[test]
fn sdp_67_88_terms_as_before_disturb_nothing() {
    let (mut m, ana, bo) = Meeting::joined();
    let file = pattern(60_000);
    let send = m.send(Side::A).id("file0001").range("1-*/60000");
    m.net.write(ana, [send.clone().body("").head(), file[..30_000].to_vec()].concat());
    m.net.millis(20);
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    m.net.write(ana, [file[30_000..].to_vec(), send.clone().body("").end()].concat());
    assert_eq!(m.codes(ana, &send.tid), [200]);
    assert!(m.net.ends[bo].content("file0001") == file);
    m.assert_nothing_left();
}

/// SDP-51, CORE-110
#[test]
fn ten_quiet_minutes_close_nothing() {
    let (mut m, ana, bo) = Meeting::joined();
    // Hold and its end: the legs hear the terms that they have.
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.net.seconds(600);
    let report = Request::new("REPORT", &[m.uri(Side::B)], BO).id("m0000000").range("1-4/4").line("Status: 000 200 OK");
    m.net.write(bo, report.octets());
    assert_eq!(m.net.ends[ana].reported(), [200], "what is no content passes");
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    for (from, side, to) in [(ana, Side::A, bo), (bo, Side::B, ana)] {
        let tid = m.say(from, side, "m0000001", "back again");
        assert_eq!(m.codes(from, &tid), [200]);
        assert_eq!(m.net.ends[to].sends().last().map(|f| f.body.clone()), Some(b"back again".to_vec()));
    }
    assert!(m.news().is_empty() && m.net.closed.is_empty());
    m.assert_nothing_left();
}

#[test]
fn a_message_under_way_keeps_its_order_when_the_path_changes() {
    let (mut m, ana, bo) = Meeting::joined();
    let file = pattern(200_000);
    m.net.window = 4000;
    m.net.read(bo, false);
    let chunk = |m: &Meeting, from: usize, flag: char| {
        let range = format!("{}-*/200000", from + 1);
        m.send(Side::A).id("file0001").range(&range).body(&file[from..from + 100_000]).flag(flag)
    };
    let first = chunk(&m, 0, '+');
    m.net.write(ana, first.octets());
    m.set(Side::B, terms(&format!("msrps://edge.east.example:1/x;tcp {BO}"), Connect::Them)).expect("good terms");
    let second = chunk(&m, 100_000, '$');
    m.net.write(ana, second.octets());
    m.net.window = 64 << 10;
    m.net.read(bo, true);
    m.net.seconds(1);
    assert_eq!((m.codes(ana, &first.tid), m.codes(ana, &second.tid)), (vec![200], vec![200]));
    assert!(m.net.ends[bo].content("file0001") == file, "in order");
    let paths: Vec<_> = m.net.ends[bo].sends().iter().map(|f| f.head.to_path().map_or(0, |p| p.len())).collect();
    assert!(paths.is_sorted() && paths.first() == Some(&1) && paths.last() == Some(&2), "{paths:?}");
    m.assert_nothing_left();
}

#[test]
fn another_first_hop_is_connected_to_anew() {
    let mut m = Meeting::reserved();
    listen(&mut m.net, Side::B);
    m.net.listen("bo.away.example", 7300, crate::relay::tests::end::Answer::Ok);
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(BO, Connect::Us)).expect("good terms");
    let ana = m.come(Side::A);
    // Another path behind the same first hop: the link stays.
    m.set(Side::B, terms(BO_AGAIN, Connect::Us)).expect("good terms");
    assert_eq!(m.net.dialled.len(), 1);
    m.say(ana, Side::A, "m0000001", "moin");
    let bo = m.net.accepted("bo.east.example", 7200)[0];
    assert_eq!(to_path(m.net.ends[bo].sends().last().expect("it came")), BO_AGAIN);
    // Another first hop, with a new URI of ours.
    let after = m.renew(Side::B);
    m.set(Side::B, terms(BO_AWAY, Connect::Us)).expect("good terms");
    let away = m.net.accepted("bo.away.example", 7300)[0];
    assert_eq!(from_path(m.net.ends[away].sends()[0]), after);
    m.say(ana, Side::A, "m0000002", "over there");
    assert_eq!(to_path(m.net.ends[away].sends().last().expect("it came")), BO_AWAY);
    // And once more without one.
    m.set(Side::B, terms(BO, Connect::Us)).expect("good terms");
    m.say(ana, Side::A, "m0000003", "and back");
    let back = *m.net.accepted("bo.east.example", 7200).last().expect("a link");
    assert_eq!(m.net.ends[back].sends().last().map(|f| f.message()), Some("m0000003".into()));
    m.assert_nothing_left();
}

#[test]
fn many_new_uris_leave_a_bounded_number_behind() {
    let (mut m, ana, _) = Meeting::joined();
    for i in 0..40 {
        m.renew(Side::B);
        m.set(Side::B, terms(&format!("msrps://bo.east.example:7200/again{i};tcp"), Connect::Them)).expect("good");
        m.net.millis(10);
    }
    assert!(m.relay().session_count() <= 12, "{}", m.relay().session_count());
    let tid = m.say(ana, Side::A, "m0000001", "moin");
    m.net.seconds(11);
    assert_eq!(m.codes(ana, &tid).len(), 1);
    m.assert_nothing_left();
}

#[test]
fn an_anchor_that_is_over_takes_no_commands() {
    let (mut m, ..) = Meeting::joined();
    m.release(SessionEnd::Bye);
    let (now, anchor) = (m.net.now, m.anchor);
    assert_eq!(m.set(Side::A, terms(ANA, Connect::Them)), Err(AnchorError::Unknown));
    assert_eq!(m.relay().renew_leg(anchor, Side::A, now), Err(AnchorError::Unknown));
    assert!(!m.relay().release_anchor(anchor, SessionEnd::Bye, now));
    m.assert_dead();
}
