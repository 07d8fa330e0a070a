//! Offers that cross or overlap (RFC 3261 section 14, RFC 3311 section 5.2, RFC 3264 section 4).

use rstest::rstest;

use super::scene::path;
use super::talk::{Talk, at, known};
use crate::relay::Side;

fn changed(side: Side, n: u32) -> String {
    format!("{}a=x-n:{n}\r\n", known(side))
}

/// SDP-49, SDP-74, SDP-75: while an offer of one side is open, another of its own gets 500 and one of the other side 491.
#[rstest]
fn one_offer_at_a_time(
    #[values(Side::A, Side::B)] first: Side,
    #[values(Side::A, Side::B)] second: Side,
    #[values("INVITE", "UPDATE")] open: &str,
    #[values("INVITE", "UPDATE")] method: &str,
) {
    let mut talk = Talk::begin();
    let asked = talk.say(first, open, &changed(first, 1));
    let passed = talk.scene.request(at(first.other()), open);
    let status = if first == second { 500 } else { 491 };
    let refusal = talk.refused_here(second, method, &changed(second, 2), status);
    let wait = refusal.headers.first("Retry-After").map(|n| n.parse::<u32>().unwrap());
    assert_eq!((wait.is_some(), wait.unwrap_or(0) <= 10), (status == 500, true));
    // The first one is not disturbed.
    talk.scene.reply(at(first.other()), &passed, 200, &changed(first.other(), 3));
    let back = talk.scene.response(at(first), 200);
    assert!(path(&back.body).starts_with("msrp://203.0.113.20"));
    talk.finish(first, &asked);
    talk.scene.forget();
    talk.exchange(second, method, &changed(second, 4), &changed(second.other(), 5));
    talk.scene.forget();
    talk.hang_up();
}

/// Between the 2xx and its ACK nobody begins another INVITE (RFC 3261 section 14.1).
#[rstest]
#[case(Side::A, 500)]
#[case(Side::B, 491)]
fn an_invite_waits_for_the_ack_before_it(#[case] second: Side, #[case] status: u16) {
    let mut talk = Talk::begin();
    let asked = talk.say(Side::A, "INVITE", &changed(Side::A, 1));
    let passed = talk.scene.request(at(Side::B), "INVITE");
    talk.scene.reply(at(Side::B), &passed, 200, &changed(Side::B, 1));
    talk.scene.response(at(Side::A), 200);
    talk.scene.request(at(Side::B), "ACK");
    talk.refused_here(second, "INVITE", &changed(second, 2), status);
    talk.acknowledge(Side::A, &asked, "");
    talk.scene.forget();
    talk.exchange(second, "INVITE", &changed(second, 3), &changed(second.other(), 4));
    talk.scene.forget();
    talk.hang_up();
}

/// The same after a refresh that we have answered.
#[rstest]
#[case(Side::A, 500)]
#[case(Side::B, 491)]
fn an_invite_waits_for_the_ack_of_a_refresh(#[case] second: Side, #[case] status: u16) {
    let mut talk = Talk::begin();
    let asked = talk.say(Side::A, "INVITE", &known(Side::A));
    talk.scene.response(at(Side::A), 200);
    talk.refused_here(second, "INVITE", &changed(second, 2), status);
    talk.acknowledge(Side::A, &asked, "");
    talk.scene.forget();
    talk.exchange(second, "INVITE", &changed(second, 3), &changed(second.other(), 4));
    talk.scene.forget();
    talk.hang_up();
}

/// SDP-74: both INVITEs are on their way when they meet; each is told 491, ours by Bo and his by us.
#[test]
fn invites_that_cross_are_both_refused() {
    let mut talk = Talk::begin();
    talk.say(Side::A, "INVITE", &changed(Side::A, 1));
    let passed = talk.scene.request(at(Side::B), "INVITE");
    talk.refused_here(Side::B, "INVITE", &changed(Side::B, 1), 491);
    talk.scene.reply(at(Side::B), &passed, 491, "");
    talk.scene.response(at(Side::A), 491);
    talk.scene.forget();
    talk.exchange(Side::B, "UPDATE", &changed(Side::B, 2), &changed(Side::A, 2));
    talk.scene.forget();
    talk.hang_up();
}

/// SDP-76: a refresh without a description is no offer, whatever is open.
#[test]
fn an_update_without_an_offer_is_answered_at_once() {
    let mut talk = Talk::begin();
    talk.say(Side::A, "INVITE", &changed(Side::A, 1));
    let passed = talk.scene.request(at(Side::B), "INVITE");
    for side in Side::BOTH {
        let back = talk.answered_here(side, "UPDATE", "");
        assert!(back.body.is_empty() && back.headers.has("Session-Expires"));
    }
    talk.scene.reply(at(Side::B), &passed, 488, "");
    talk.scene.forget();
    talk.hang_up();
}

/// An offer waits for the relay: crossing it is a crossing too.
#[rstest]
#[case(Side::A, 500)]
#[case(Side::B, 491)]
fn offers_cross_while_the_relay_works(#[case] second: Side, #[case] status: u16) {
    let mut talk = Talk::begin();
    talk.scene.hold_core = true;
    let more = "m=message 7102 TCP/MSRP *\r\na=accept-types:*\r\na=path:msrp://192.0.2.1:7102/more;tcp\r\n";
    talk.say(Side::A, "INVITE", &(known(Side::A) + more));
    talk.scene.silence();
    talk.refused_here(second, "UPDATE", &changed(second, 1), status);
    talk.scene.release_core();
    talk.scene.request(at(Side::B), "INVITE");
    talk.scene.forget();
    talk.say(Side::A, "BYE", "");
    let bye = talk.scene.request(at(Side::B), "BYE");
    talk.scene.reply(at(Side::B), &bye, 200, "");
    talk.scene.forget();
    talk.over();
}

/// ADV-S14: a storm of re-INVITEs costs one exchange and no tokens.
#[test]
fn a_storm_of_offers_costs_no_more_than_one() {
    let mut talk = Talk::begin();
    for n in 0..100 {
        let moved = known(Side::A).replace("/ana7tB2mXv9", &format!("/storm{n:04}session"));
        talk.say(Side::A, "INVITE", &moved);
    }
    talk.scene.request(at(Side::B), "INVITE");
    for _ in 1..100 {
        talk.scene.response(at(Side::A), 500);
    }
    talk.scene.silence();
    assert_eq!((talk.scene.reserved.len(), talk.scene.b2bua.servers.len()), (1, 1));
    talk.say(Side::A, "BYE", "");
    talk.scene.request(at(Side::B), "BYE");
    talk.scene.response(at(Side::A), 200);
    talk.scene.response(at(Side::A), 487);
    talk.over();
}
