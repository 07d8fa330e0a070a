//! A leg that loses its link: what is under way is told, and a new offer rebuilds it (RFC 4975 section 5.4; SDP-93, SDP-94).

use super::scene::{BO, Meeting, listen, terms};
use crate::relay::tests::chunk::pattern;
use crate::relay::tests::end::Answer;
use crate::relay::{AnchorError, Connect, SessionEnd, Side};

/// SDP-93, SDP-94
#[test]
fn sdp_93_a_lost_leg_is_rebuilt_with_a_new_uri() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.ends[bo].answer = Answer::Nothing;
    let lost = m.say(ana, Side::A, "m0000001", "will not arrive");
    m.net.lose(bo);
    assert_eq!(m.news(), ["lost B lost"]);
    assert_eq!((m.codes(ana, &lost), m.net.ends[ana].reported()), (vec![200], vec![408]));
    // SDP-94: the URI died with its link.
    let back = m.net.client(0);
    let tid = m.hello(back, Side::B);
    assert_eq!(m.codes(back, &tid), [481]);
    assert_eq!(m.set(Side::B, terms(BO, Connect::Them)), Err(AnchorError::NeedsRenewal));
    m.net.seconds(20);
    m.renew(Side::B);
    m.set(Side::B, terms(BO, Connect::Them)).expect("good terms");
    let bo = m.come(Side::B);
    m.forget();
    // The same Message-ID may come again.
    let tid = m.say(ana, Side::A, "m0000001", "once more");
    assert_eq!(m.codes(ana, &tid), [200]);
    assert_eq!(m.net.ends[bo].sends()[0].body, b"once more");
    m.net.seconds(40);
    assert!(m.news().is_empty());
    m.assert_nothing_left();
}

/// SDP-94: or the end of the first would be the end of a URI that the second has by then.
#[test]
fn sdp_94_nobody_takes_a_leg_over_from_a_link_that_is_closing() {
    let (mut m, ana, bo) = Meeting::joined();
    // Ana does not read: what Bo has sent before his end waits.
    m.net.window = 1000;
    m.net.read(ana, false);
    let file = m.send(Side::B).id("file0001").range("1-*/1000000").body(pattern(1_000_000));
    m.net.write(bo, file.octets());
    m.net.finish(bo);
    let back = m.net.client(0);
    let tid = m.hello(back, Side::B);
    assert_eq!(m.codes(back, &tid), [506]);
    m.net.lose(bo);
    assert_eq!(m.news(), ["lost B lost"]);
    m.net.read(ana, true);
    m.release(SessionEnd::Bye);
    m.assert_dead();
}

/// SDP-93
#[test]
fn a_leg_that_is_not_rebuilt_is_told_after_thirty_two_seconds() {
    let (mut m, _, bo) = Meeting::joined();
    m.net.finish(bo);
    assert_eq!(m.news(), ["lost B eof"]);
    m.net.seconds(31);
    assert!(m.news().is_empty());
    m.net.seconds(2);
    assert_eq!(m.news(), ["not_rebuilt B"]);
    m.release(SessionEnd::Bye);
    assert_eq!(m.news(), ["ended bye"]);
    m.assert_dead();
}

#[test]
fn what_is_sent_while_a_leg_is_lost_waits_for_it() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.lose(bo);
    let tid = m.say(ana, Side::A, "m0000001", "are you back");
    m.net.seconds(4);
    assert!(m.codes(ana, &tid).is_empty());
    listen(&mut m.net, Side::B);
    m.renew(Side::B);
    m.set(Side::B, terms(BO, Connect::Us)).expect("good terms");
    assert_eq!(m.codes(ana, &tid), [200]);
    let bo = m.net.accepted("bo.east.example", 7200)[0];
    assert_eq!(m.net.ends[bo].sends().last().map(|f| f.body.clone()), Some(b"are you back".to_vec()));
    m.assert_nothing_left();
}

#[test]
fn adv_64_a_sender_that_vanishes_inside_a_chunk_ends_it_for_the_other_side() {
    let (mut m, ana, bo) = Meeting::joined();
    let send = m.send(Side::A).id("file0001").range("1-*/60000").body("");
    m.net.write(ana, [send.head(), pattern(30_000)].concat());
    m.net.millis(20);
    m.net.lose(ana);
    let last = m.net.ends[bo].sends().last().copied().cloned().expect("a part");
    assert_eq!(last.flag, crate::msrp::Flag::Abort);
    assert_eq!(m.news(), ["lost A lost"]);
    m.assert_nothing_left();
}

#[test]
fn both_legs_may_be_lost_and_rebuilt() {
    let (mut m, ana, bo) = Meeting::joined();
    m.net.lose(ana);
    m.net.lose(bo);
    assert_eq!(m.news(), ["lost A lost", "lost B lost"]);
    for side in Side::BOTH {
        m.renew(side);
        m.set(side, terms(super::scene::peer(side), Connect::Them)).expect("good terms");
    }
    let (ana, bo) = (m.come(Side::A), m.come(Side::B));
    m.forget();
    let tid = m.say(bo, Side::B, "m0000001", "here again");
    assert_eq!((m.codes(bo, &tid), m.net.ends[ana].sends().len()), (vec![200], 1));
    m.assert_nothing_left();
}
