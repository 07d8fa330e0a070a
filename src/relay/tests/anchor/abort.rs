//! A transfer that one side gives up is given up on the other one too (RFC 5547 section 8.4).

use super::scene::{BO, Meeting, terms};
use crate::msrp::Flag;
use crate::relay::tests::chunk::pattern;
use crate::relay::tests::end::Answer;
use crate::relay::{Connect, LegTerms, Side};

/// SDP-68
#[test]
fn a_sender_that_aborts_is_heard_on_the_other_leg() {
    for side in Side::BOTH {
        let (mut m, ana, bo) = Meeting::joined();
        let (from, to) = if side == Side::A { (ana, bo) } else { (bo, ana) };
        let send = m.send(side).id("file0001").range("1-*/60000").body("").flag('#');
        m.net.write(from, [send.head(), pattern(25_000)].concat());
        m.net.millis(20);
        m.net.write(from, [pattern(100), send.end()].concat());
        assert_eq!(m.codes(from, &send.tid), [200]);
        assert_eq!(m.net.ends[to].sends().last().map(|f| f.flag), Some(Flag::Abort));
        // The leg goes on.
        let tid = m.say(from, side, "m0000002", "never mind");
        assert_eq!(m.codes(from, &tid), [200]);
        assert_eq!(m.net.ends[to].sends().last().map(|f| f.body.clone()), Some(b"never mind".to_vec()));
        assert!(m.net.ends[from].reports().is_empty() && m.news().is_empty());
        m.assert_nothing_left();
    }
}

/// SDP-68
#[test]
fn a_receiver_that_says_413_ends_the_chunk_on_both_legs() {
    for side in Side::BOTH {
        let (mut m, ana, bo) = Meeting::joined();
        let (from, to) = if side == Side::A { (ana, bo) } else { (bo, ana) };
        m.net.ends[to].answer = Answer::Nothing;
        let send = m.send(side).id("file0001").range("1-*/100000").body("");
        m.net.write(from, [send.head(), pattern(30_000)].concat());
        m.net.millis(20);
        let first = m.net.ends[to].sends()[0].clone();
        m.net.ends[to].answer_to(&first, 413);
        m.net.run();
        assert_eq!(m.codes(from, &send.tid), [413], "while it is still arriving");
        m.net.write(from, [pattern(5000), send.end()].concat());
        m.net.seconds(60);
        assert_eq!(m.net.ends[to].sends().last().map(|f| f.flag), Some(Flag::Abort));
        assert!(m.net.ends[from].reports().is_empty());
        m.assert_nothing_left();
    }
}

/// SDP-68
#[test]
fn a_413_after_the_chunk_becomes_a_report() {
    for side in Side::BOTH {
        let (mut m, ana, bo) = Meeting::joined();
        let (from, to) = if side == Side::A { (ana, bo) } else { (bo, ana) };
        m.net.ends[to].answer = Answer::Code(413);
        let tid = m.say(from, side, "m0000001", "too much");
        assert_eq!((m.codes(from, &tid), m.net.ends[from].reported()), (vec![200], vec![413]));
        m.assert_nothing_left();
    }
}

/// SDP-68: signalling is to follow, at the latest after half a minute.
#[test]
fn a_file_that_was_stopped_is_over_unless_the_dialogs_follow() {
    for (by_sender, followed) in [(true, false), (true, true), (false, false), (false, true)] {
        let (mut m, ana, bo) = Meeting::joined();
        let file = LegTerms { file: true, ..terms(BO, Connect::Them) };
        m.set(Side::B, file.clone()).expect("good terms");
        let flag = if by_sender { '#' } else { '$' };
        if !by_sender {
            m.net.ends[bo].answer = Answer::Code(413);
        }
        let send = m.send(Side::A).id("file0001").range("1-*/60000").body(pattern(2000)).flag(flag);
        m.net.write(ana, send.octets());
        m.net.seconds(29);
        assert!(m.news().is_empty());
        if followed {
            m.set(Side::B, file).expect("the same terms");
        }
        m.net.seconds(60);
        let expected: &[&str] = if followed { &[] } else { &["stopped"] };
        assert_eq!(m.news(), expected, "by its sender: {by_sender}");
        m.assert_nothing_left();
    }
}
