//! Requests that come before the answer, or before the other leg has a link (SDP-60, ADV-S15).

use super::scene::{ANA, BO, Meeting, listen, terms};
use crate::relay::tests::chunk::{Request, pattern};
use crate::relay::{CloseReason, Connect, Side};

/// SDP-60
#[test]
fn sdp_60_what_comes_before_the_answer_waits_for_it() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    let ana = m.come(Side::A);
    let bo = m.net.client(0);
    let tid = m.say(bo, Side::B, "m0000001", "early");
    m.net.seconds(5);
    assert!(m.codes(bo, &tid).is_empty() && m.net.ends[ana].sends().is_empty());
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    assert_eq!(m.codes(bo, &tid), [200]);
    assert_eq!(m.net.ends[ana].sends()[0].body, b"early");
    m.assert_nothing_left();
}

#[test]
fn a_bodiless_send_before_the_answer_waits_too_and_binds_after_it() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    let bo = m.net.client(0);
    let tid = m.hello(bo, Side::B);
    assert!(m.codes(bo, &tid).is_empty());
    assert!(m.news().is_empty());
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    assert_eq!((m.codes(bo, &tid), m.news()), (vec![200], vec!["bound B".to_owned()]));
    m.assert_nothing_left();
}

#[test]
fn a_request_of_another_method_waits_as_well() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    let ana = m.come(Side::A);
    let bo = m.net.client(0);
    let request = Request::new("NICKNAME", &[m.uri(Side::B)], BO).line("Use-Nickname: \"bo\"");
    m.net.write(bo, request.octets());
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    let arrived = m.net.ends[ana].frames.last().cloned().expect("it has come");
    assert_eq!(arrived.header("Use-Nickname"), "\"bo\"");
    m.assert_nothing_left();
}

/// ADV-S15
#[test]
fn adv_s15_no_more_than_a_read_is_taken_and_after_ten_seconds_it_is_refused() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    let bo = m.net.client(0);
    let flood = m.send(Side::B).id("file0001").range("1-*/1000000").body(pattern(1_000_000));
    m.net.write(bo, flood.octets());
    let (at, link) = m.net.link_of(bo).expect("connected");
    assert!(!m.net.shard(at).wants_input(link));
    let taken = m.relay().counts().octets_in[1];
    assert!(taken <= 64 << 10, "{taken}");
    m.net.seconds(11);
    assert_eq!(m.codes(bo, &flood.tid), [481]);
    assert!(m.net.ends[bo].closed);
    assert_eq!(m.net.closed, [CloseReason::Probation]);
    m.assert_nothing_left();
}

#[test]
fn what_one_side_sends_waits_until_the_other_has_connected() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    let ana = m.come(Side::A);
    let tid = m.say(ana, Side::A, "m0000001", "are you there");
    assert!(m.codes(ana, &tid).is_empty());
    m.net.seconds(3);
    let bo = m.come(Side::B);
    assert_eq!(m.codes(ana, &tid), [200]);
    assert_eq!(m.net.ends[bo].sends().last().map(|f| f.body.clone()), Some(b"are you there".to_vec()));
    m.assert_nothing_left();
}

#[test]
fn a_side_that_waits_in_vain_is_refused_and_keeps_its_link() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    let ana = m.come(Side::A);
    let tid = m.say(ana, Side::A, "m0000001", "are you there");
    m.net.seconds(11);
    assert_eq!(m.codes(ana, &tid), [481]);
    assert!(!m.net.ends[ana].closed);
    // What follows is not made to wait as well.
    let tid = m.say(ana, Side::A, "m0000002", "hello?");
    assert_eq!(m.codes(ana, &tid), [481]);
    let bo = m.come(Side::B);
    m.forget();
    let tid = m.say(ana, Side::A, "m0000003", "again");
    assert_eq!(m.codes(ana, &tid), [200]);
    assert_eq!(m.net.ends[bo].sends().len(), 1);
    m.assert_nothing_left();
}

#[test]
fn both_may_come_before_anything_is_agreed() {
    let mut m = Meeting::reserved();
    listen(&mut m.net, Side::A);
    let (ana, bo) = (m.net.client(0), m.net.client(0));
    let (ta, tb) = (m.say(ana, Side::A, "m0000001", "from ana"), m.say(bo, Side::B, "m0000002", "from bo"));
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    assert!(m.codes(ana, &ta).is_empty());
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    assert_eq!((m.codes(ana, &ta), m.codes(bo, &tb)), (vec![200], vec![200]));
    assert_eq!(m.net.ends[ana].sends()[0].body, b"from bo");
    assert_eq!(m.net.ends[bo].sends()[0].body, b"from ana");
    m.assert_nothing_left();
}

#[test]
fn a_held_request_dies_with_its_anchor() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    let bo = m.net.client(0);
    let tid = m.say(bo, Side::B, "m0000001", "early");
    m.release(crate::relay::SessionEnd::Cancelled);
    assert_eq!(m.codes(bo, &tid), [481]);
    m.assert_dead();
}

#[test]
fn links_that_give_up_waiting_make_room_for_others() {
    let mut m = Meeting::reserved();
    m.set(Side::A, terms(ANA, Connect::Them)).expect("good terms");
    for _ in 0..40 {
        let bo = m.net.client(0);
        m.say(bo, Side::B, "m0000001", "early");
        m.net.lose(bo);
    }
    let bo = m.net.client(0);
    let tid = m.say(bo, Side::B, "m0000001", "early");
    // So many that live and wait are more than an answer can bring.
    let crowd: Vec<_> = (0..20)
        .map(|_| {
            let end = m.net.client(0);
            (end, m.say(end, Side::B, "m0000002", "me too"))
        })
        .collect();
    assert!(crowd.iter().filter(|(end, tid)| m.codes(*end, tid) == [481]).count() >= 4);
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    m.come(Side::A);
    assert_eq!(m.codes(bo, &tid), [200]);
    assert!(crowd.iter().all(|(end, tid)| matches!(m.codes(*end, tid)[..], [481] | [506])));
    m.assert_nothing_left();
}
