//! RFC 3261 sections 9.2, 13.3.1.4, 17.2.1; RFC 6026.

use super::*;

const BRANCH: &str = "z9hG4bK1";

fn invited(protocol: Protocol) -> Scene {
    let mut scene = Scene::new();
    scene.receive(theirs("INVITE", BRANCH), flow(protocol));
    scene
}

#[test]
fn s17_2_1_trying_comes_by_itself_after_200_ms() {
    let mut scene = invited(UDP);
    scene.until(300);
    scene.receive(theirs("INVITE", BRANCH), flow(UDP));
    scene.reply(0, 180);
    scene.receive(theirs("INVITE", BRANCH), flow(UDP));
    scene.until(100_000);
    let expected = ["0 INVITE begins", "200 > 100 INVITE", "300 > 100 INVITE", "300 > 180 INVITE", "300 > 180 INVITE"];
    assert_eq!(scene.take(), expected);
    assert_eq!((scene.layer.counts().repeated, scene.layer.counts().absorbed), (2, 2));
}

#[test]
fn s17_2_1_who_answers_in_time_needs_no_trying() {
    let mut scene = invited(TCP);
    scene.reply(0, 183);
    scene.until(1000);
    assert_eq!(scene.take(), ["0 INVITE begins", "0 > 183 INVITE"]);
}

#[test]
fn s17_2_1_a_repetition_is_told_at_once_that_it_has_come() {
    let mut scene = invited(UDP);
    scene.until(100);
    scene.receive(theirs("INVITE", BRANCH), flow(UDP));
    scene.until(1000);
    assert_eq!(scene.take(), ["0 INVITE begins", "100 > 100 INVITE"]);
    assert!(scene.last_response().headers.first("To").unwrap().ends_with("example>"), "100 makes no dialog");
}

#[test]
fn s17_2_1_timer_g_doubles_to_t2_until_timer_h() {
    let mut scene = invited(UDP);
    scene.reply(0, 486);
    scene.until(9000);
    scene.receive(theirs("INVITE", BRANCH), flow(UDP));
    // A final response is the last one.
    scene.reply(0, 200);
    scene.until(60_000);
    let times = [0, 500, 1500, 3500, 7500, 9000, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
    let mut expected = vec!["0 INVITE begins".to_owned()];
    expected.extend(times.iter().map(|ms| format!("{ms} > 486 INVITE")));
    assert_eq!(scene.take(), expected);
    assert_eq!(scene.layer.counts().timeouts, 1);
    scene.assert_empty();
}

#[test]
fn s17_2_1_the_ack_of_a_refusal_ends_timer_g_and_is_not_told() {
    let mut scene = invited(UDP);
    scene.reply(0, 486);
    scene.until(600);
    for _ in 0..2 {
        scene.receive(theirs("ACK", BRANCH), flow(UDP));
        scene.receive(theirs("INVITE", BRANCH), flow(UDP));
    }
    scene.until(5599);
    assert_eq!(scene.layer.servers(), 1);
    scene.until(5600);
    assert_eq!(scene.take(), ["0 INVITE begins", "0 > 486 INVITE", "500 > 486 INVITE"]);
    scene.assert_empty();
}

#[test]
fn s17_2_1_a_refusal_goes_once_over_a_connection_and_its_ack_ends_it() {
    let mut scene = invited(TCP);
    scene.reply(0, 486);
    scene.until(10_000);
    scene.receive(theirs("ACK", BRANCH), flow(TCP));
    assert_eq!(scene.take(), ["0 INVITE begins", "0 > 486 INVITE"]);
    scene.assert_empty();
}

#[test]
fn s13_3_1_4_a_2xx_is_sent_again_over_any_transport_and_reported_without_ack() {
    for protocol in [UDP, TCP, TLS] {
        let mut scene = invited(protocol);
        scene.reply(0, 200);
        scene.until(60_000);
        let times = [0, 500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500];
        let mut expected = vec!["0 INVITE begins".to_owned()];
        expected.extend(times.iter().map(|ms| format!("{ms} > 200 INVITE")));
        expected.push("32000 unacknowledged".to_owned());
        assert_eq!(scene.take(), expected);
        scene.assert_empty();
    }
}

#[test]
fn s13_3_1_4_the_ack_has_a_branch_of_its_own_and_is_told_once() {
    let mut scene = invited(UDP);
    scene.reply(0, 200);
    scene.until(700);
    scene.receive(in_dialog("ACK", "z9hG4bKack", 3), flow(UDP));
    scene.until(800);
    // RFC 6026 section 7.1: absorbed without an answer.
    scene.receive(theirs("INVITE", BRANCH), flow(UDP));
    scene.receive(in_dialog("ACK", "z9hG4bKack", 3), flow(UDP));
    scene.until(31_999);
    assert_eq!(scene.layer.servers(), 1);
    scene.until(32_000);
    assert_eq!(scene.take(), ["0 INVITE begins", "0 > 200 INVITE", "500 > 200 INVITE", "700 acknowledged"]);
    assert_eq!((scene.layer.counts().absorbed, scene.layer.counts().timeouts), (2, 0));
    scene.assert_empty();
    scene.receive(in_dialog("ACK", "z9hG4bKack", 3), flow(UDP));
    assert_eq!((scene.take(), scene.layer.counts().stray), (vec![], 1));
}

#[test]
fn s13_3_1_4_an_ack_with_the_branch_of_the_invite_counts_too() {
    let mut scene = invited(UDP);
    scene.reply(0, 200);
    scene.receive(in_dialog("ACK", BRANCH, 3), flow(UDP));
    scene.until(60_000);
    assert_eq!(scene.take(), ["0 INVITE begins", "0 > 200 INVITE", "0 acknowledged"]);
    scene.assert_empty();
}

#[test]
fn s13_3_1_4_a_late_ack_reaches_its_own_invite() {
    let mut scene = invited(UDP);
    scene.reply(0, 200);
    scene.receive(in_dialog("INVITE", "z9hG4bK2", 4), flow(UDP));
    scene.reply(1, 200);
    for (number, tag) in [(3, "us"), (9, "us"), (4, "other"), (4, "us")] {
        let mut ack = in_dialog("ACK", &format!("z9hG4bKack{number}"), number);
        ack.headers.set("To", format!("<sip:a@us.example>;tag={tag}"));
        scene.receive(ack, flow(UDP));
    }
    let numbers: Vec<_> = scene.acks.iter().map(|ack| ack.headers.first("CSeq").unwrap()).collect();
    assert_eq!(numbers, ["3 ACK", "4 ACK"]);
    assert_eq!(scene.layer.counts().stray, 2);
    scene.until(60_000);
    scene.assert_empty();
}

#[test]
fn s17_2_1_an_ack_before_any_final_response_is_dropped() {
    let mut scene = invited(UDP);
    scene.receive(theirs("ACK", BRANCH), flow(UDP));
    scene.receive(theirs("ACK", "z9hG4bKnone"), flow(UDP));
    assert_eq!((scene.take(), scene.layer.counts().stray), (vec!["0 INVITE begins".to_owned()], 2));
}

#[test]
fn s9_2_cancel_is_answered_here_and_told_once() {
    let mut scene = invited(UDP);
    scene.reply(0, 180);
    scene.receive(theirs("CANCEL", BRANCH), flow(UDP));
    assert!(scene.last_response().headers.first("To").unwrap().ends_with(";tag=us"), "the tag of the early dialog");
    scene.receive(theirs("CANCEL", BRANCH), flow(UDP));
    scene.reply(0, 487);
    scene.receive(theirs("ACK", BRANCH), flow(UDP));
    scene.receive(theirs("CANCEL", BRANCH), flow(UDP));
    scene.until(60_000);
    let expected = [
        "0 INVITE begins",
        "0 > 180 INVITE",
        "0 > 200 CANCEL",
        "0 cancelled",
        "0 > 200 CANCEL",
        "0 > 487 INVITE",
        "0 > 200 CANCEL",
    ];
    assert_eq!(scene.take(), expected);
    scene.assert_empty();
}

#[test]
fn s9_2_cancel_after_the_final_response_changes_nothing() {
    for (status, protocol) in [(486, UDP), (200, TCP)] {
        let mut scene = invited(protocol);
        scene.reply(0, status);
        scene.receive(theirs("CANCEL", BRANCH), flow(protocol));
        let expected = ["0 INVITE begins".to_owned(), format!("0 > {status} INVITE"), "0 > 200 CANCEL".to_owned()];
        assert_eq!(scene.take(), expected);
    }
}

#[test]
fn s9_2_cancel_of_nothing_is_answered_481() {
    let mut scene = invited(UDP);
    scene.receive(theirs("CANCEL", "z9hG4bKnone"), flow(UDP));
    let mut other_host = theirs("CANCEL", BRANCH);
    other_host.headers.set("Via", format!("SIP/2.0/UDP 192.0.2.9:5062;branch={BRANCH}"));
    scene.receive(other_host, flow(UDP));
    assert_eq!(scene.take(), ["0 INVITE begins", "0 > 481 CANCEL", "0 > 481 CANCEL"]);
    assert!(scene.last_response().headers.first("To").unwrap().contains(";tag="));
}

#[test]
fn s9_2_cancel_of_another_method_is_answered_200_and_not_told() {
    let mut scene = Scene::new();
    scene.receive(theirs("OPTIONS", BRANCH), flow(UDP));
    scene.receive(theirs("CANCEL", BRANCH), flow(UDP));
    assert_eq!(scene.take(), ["0 OPTIONS begins", "0 > 200 CANCEL"]);
}
