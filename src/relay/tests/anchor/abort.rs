//! A transfer that one side gives up is given up on the other one too (RFC 5547 section 8.4).

use super::scene::Meeting;
use crate::msrp::Flag;
use crate::relay::Side;
use crate::relay::tests::chunk::pattern;
use crate::relay::tests::end::Answer;

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
