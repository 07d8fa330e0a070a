//! RFC 3261 sections 9.1, 13.2.2.4, 16.8, 17.1.1; RFC 6026.

use super::*;

#[test]
fn s17_1_1_2_timer_a_doubles_until_timer_b() {
    let mut scene = Scene::new();
    scene.request(ours("INVITE"), target(UDP));
    scene.until(60_000);
    let expected = [
        "0 > INVITE",
        "500 > INVITE",
        "1500 > INVITE",
        "3500 > INVITE",
        "7500 > INVITE",
        "15500 > INVITE",
        "31500 > INVITE",
        "32000 failed: no response in time",
        "32000 ended",
    ];
    assert_eq!(scene.take(), expected);
    assert_eq!((scene.layer.counts().repeated, scene.layer.counts().timeouts), (6, 1));
    assert!(scene.sent.windows(2).all(|pair| pair[0].0 == pair[1].0));
    scene.assert_empty();
}

#[test]
fn s17_1_1_2_nothing_is_sent_twice_over_a_connection() {
    for protocol in [TCP, TLS] {
        let mut scene = Scene::new();
        scene.request(ours("INVITE"), target(protocol));
        scene.until(60_000);
        assert_eq!(scene.take(), ["0 > INVITE", "32000 failed: no response in time", "32000 ended"]);
        scene.assert_empty();
    }
}

#[test]
fn s17_1_1_2_a_provisional_response_stops_timers_a_and_b_and_100_is_not_told() {
    let mut scene = Scene::new();
    scene.request(ours("INVITE"), target(UDP));
    scene.until(600);
    scene.answer(0, 100, "");
    scene.answer(0, 180, "t");
    scene.answer(0, 180, "t");
    scene.until(100_000);
    assert_eq!(scene.take(), ["0 > INVITE", "500 > INVITE", "600 < 180", "600 < 180"]);
}

#[test]
fn s17_1_1_3_the_ack_of_a_refusal_is_made_here_and_made_again() {
    let mut scene = Scene::new();
    scene.request(ours("INVITE"), target(UDP));
    scene.answer(0, 180, "early");
    scene.until(1000);
    scene.answer(0, 486, "t");
    scene.until(2000);
    scene.answer(0, 486, "t");
    scene.answer(0, 180, "t");
    scene.until(33_000);
    let expected = ["0 > INVITE", "0 < 180", "1000 > ACK", "1000 < 486", "2000 > ACK", "33000 ended"];
    assert_eq!(scene.take(), expected);
    let (invite, ack) = (scene.sent_request(0), scene.sent_request(1));
    assert_eq!(ack, scene.sent_request(2));
    assert_eq!(ack.uri, invite.uri);
    let of = |request: &Request, name: &str| request.headers.all(name).map(str::to_owned).collect::<Vec<_>>();
    // Framing has marked both with the same source.
    for name in ["Via", "Route", "From", "Call-ID"] {
        assert_eq!(of(ack, name), of(invite, name), "{name}");
        assert!(!of(ack, name).is_empty());
    }
    assert_eq!(of(ack, "To"), ["\"B\" <sip:b@there.example>;tag=t"]);
    assert_eq!((of(ack, "CSeq"), of(ack, "Max-Forwards")), (vec!["7 ACK".to_owned()], vec!["70".to_owned()]));
    assert!(!ack.headers.has("X-More"));
    assert_eq!(scene.sent[1].1, scene.sent[0].1);
    scene.assert_empty();
}

#[test]
fn s17_1_1_2_timer_d_is_zero_over_a_connection() {
    let mut scene = Scene::new();
    scene.request(ours("INVITE"), target(TCP));
    scene.answer(0, 404, "t");
    assert_eq!(scene.take(), ["0 > INVITE", "0 > ACK", "0 < 404", "0 ended"]);
    scene.assert_empty();
    scene.answer(0, 404, "t");
    assert_eq!((scene.take(), scene.layer.counts().stray), (vec![], 1));
}

#[test]
fn s13_2_2_4_each_fork_is_told_once_and_each_repetition_acknowledged() {
    let mut scene = Scene::new();
    let id = scene.request(ours("INVITE"), target(UDP));
    scene.answer(0, 200, "one");
    scene.until(100);
    // Not acknowledged yet: a late offer wants its answer from the other leg.
    scene.answer(0, 200, "one");
    scene.answer(0, 200, "two");
    assert_eq!(scene.take(), ["0 > INVITE", "0 < 200", "100 < 200"]);
    let elsewhere = Way::Flow(flow(UDP));
    scene.acknowledge(id, our_ack("one"), elsewhere.clone());
    scene.acknowledge(id, our_ack("two"), target(TCP));
    scene.until(500);
    scene.answer(0, 200, "one");
    scene.answer(0, 200, "two");
    scene.answer(0, 180, "two");
    scene.answer(0, 486, "three");
    assert_eq!(scene.take(), ["100 > ACK", "100 > ACK", "500 > ACK", "500 > ACK"]);
    assert_eq!((scene.sent_request(1), scene.sent_request(2)), (scene.sent_request(3), scene.sent_request(4)));
    assert_eq!((&scene.sent[3].1, &scene.sent[4].1), (&elsewhere, &target(TCP)));
    let via = |place: usize| scene.sent_request(place).headers.first("Via").unwrap().to_owned();
    assert!(via(2).starts_with("SIP/2.0/TCP us.example:5060;branch=z9hG4bK"));
    assert!(via(0) != via(1) && via(1) != via(2));
    assert_eq!((scene.layer.counts().absorbed, scene.layer.counts().stray), (4, 1));
    scene.until(31_999);
    assert_eq!(scene.take(), Vec::<String>::new());
    scene.until(32_000);
    assert_eq!(scene.take(), ["32000 ended"]);
    scene.assert_empty();
    // Too late for everybody.
    scene.answer(0, 200, "one");
    assert_eq!(scene.layer.counts().stray, 2);
    scene.acknowledge(id, our_ack("one"), target(UDP));
    assert_eq!(scene.take(), ["32000 > ACK"]);
    scene.assert_empty();
}

#[test]
fn s13_2_2_4_forks_have_a_bound() {
    let mut scene = Scene::new();
    scene.request(ours("INVITE"), target(UDP));
    for fork in 0..40 {
        scene.answer(0, 200, &format!("t{fork}"));
    }
    assert_eq!((scene.told.len(), scene.layer.counts().stray), (16, 24));
}

#[test]
fn s9_1_cancel_waits_for_a_provisional_response() {
    let mut scene = Scene::new();
    let id = scene.request(ours("INVITE"), target(UDP));
    scene.cancel(id, &[("Reason", "SIP;cause=200")]);
    scene.cancel(id, &[("Reason", "another")]);
    scene.until(400);
    assert_eq!(scene.take(), ["0 > INVITE"]);
    scene.answer(0, 100, "");
    scene.cancel(id, &[]);
    assert_eq!(scene.take(), ["400 > CANCEL"]);
    let (invite, cancel) = (scene.sent_request(0).clone(), scene.sent_request(1).clone());
    assert_eq!((&cancel.uri, &scene.sent[1].1), (&invite.uri, &scene.sent[0].1));
    for name in ["Via", "Route", "From", "To", "Call-ID"] {
        assert_eq!(
            cancel.headers.all(name).collect::<Vec<_>>(),
            invite.headers.all(name).collect::<Vec<_>>(),
            "{name}"
        );
    }
    assert_eq!(cancel.headers.first("CSeq"), Some("7 CANCEL"));
    assert_eq!(cancel.headers.all("Reason").collect::<Vec<_>>(), ["SIP;cause=200"]);
    scene.until(900);
    scene.answer(1, 200, "t");
    scene.answer(0, 487, "t");
    scene.until(60_000);
    assert_eq!(scene.take(), ["900 > CANCEL", "900 > ACK", "900 < 487", "32900 ended"]);
    scene.assert_empty();
}

#[test]
fn s9_1_a_cancelled_invite_fails_64_t1_after_the_cancel() {
    let mut scene = Scene::new();
    let id = scene.request(ours("INVITE"), target(TCP));
    scene.answer(0, 180, "t");
    scene.until(5000);
    scene.cancel(id, &[]);
    scene.answer(1, 200, "t");
    scene.until(20_000);
    // News do not make it wait longer.
    scene.answer(0, 180, "t");
    scene.until(60_000);
    let expected =
        ["0 > INVITE", "0 < 180", "5000 > CANCEL", "20000 < 180", "37000 failed: no response in time", "37000 ended"];
    assert_eq!(scene.take(), expected);
    scene.assert_empty();
}

#[test]
fn s9_1_an_answer_may_cross_the_cancel() {
    let mut scene = Scene::new();
    let id = scene.request(ours("INVITE"), target(UDP));
    scene.answer(0, 180, "t");
    scene.cancel(id, &[]);
    scene.answer(0, 200, "t");
    scene.cancel(id, &[]);
    assert_eq!(scene.take(), ["0 > INVITE", "0 < 180", "0 > CANCEL", "0 < 200"]);
    scene.until(60_000);
    scene.assert_empty();
}

#[test]
fn s9_1_only_a_pending_invite_is_cancelled() {
    let mut scene = Scene::new();
    let id = scene.request(ours("OPTIONS"), target(TCP));
    scene.answer(0, 180, "t");
    scene.cancel(id, &[]);
    scene.answer(0, 200, "t");
    scene.cancel(id, &[]);
    assert_eq!(scene.take(), ["0 > OPTIONS", "0 < 180", "0 < 200", "0 ended"]);
}

#[test]
fn s16_8_timer_c_cancels_and_fails() {
    let c = |settings: &mut Settings| settings.timer_c = Duration::from_secs(200);
    for (answered, expected) in [
        (Some(487), &["210000 > ACK", "210000 failed: no final response within timer C", "242000 ended"][..]),
        // It was picked up at the last moment.
        (Some(200), &["210000 < 200", "242000 ended"]),
        (None, &["232000 failed: no final response within timer C", "232000 ended"]),
    ] {
        let mut scene = Scene::with(c);
        scene.request(ours("INVITE"), target(UDP));
        scene.answer(0, 180, "t");
        scene.until(200_000);
        assert_eq!(scene.take(), ["0 > INVITE", "0 < 180", "200000 > CANCEL"]);
        scene.answer(1, 200, "t");
        scene.until(210_000);
        if let Some(status) = answered {
            scene.answer(0, status, "t");
        }
        scene.until(300_000);
        assert_eq!(scene.take(), expected);
        scene.assert_empty();
    }
}

#[test]
fn s16_7_news_but_100_start_timer_c_again() {
    let mut scene = Scene::with(|settings| settings.timer_c = Duration::from_secs(200));
    scene.request(ours("INVITE"), target(TCP));
    scene.answer(0, 180, "t");
    scene.until(150_000);
    scene.answer(0, 183, "t");
    scene.until(300_000);
    scene.answer(0, 100, "");
    scene.until(349_999);
    assert_eq!(scene.take(), ["0 > INVITE", "0 < 180", "150000 < 183"]);
    scene.until(350_000);
    assert_eq!(scene.take(), ["350000 > CANCEL"]);
}
