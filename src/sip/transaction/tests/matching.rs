//! What belongs to which transaction, and what to none (RFC 3261 sections 8.1.3.3, 8.2.2.2, 17.1.3, 17.2.3, 18.1.2).

use super::*;

#[test]
fn s17_2_3_branch_sent_by_and_method_make_a_transaction() {
    let mut scene = Scene::new();
    let mut other_port = theirs("OPTIONS", "z9hG4bK1");
    other_port.headers.set("Via", "SIP/2.0/UDP 192.0.2.9:5062;branch=z9hG4bK1");
    other_port.headers.set("Call-ID", "other");
    let mut no_port = theirs("OPTIONS", "z9hG4bK1");
    no_port.headers.set("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK1");
    no_port.headers.set("Call-ID", "third");
    let all = [theirs("OPTIONS", "z9hG4bK1"), theirs("MESSAGE", "z9hG4bK1"), other_port, no_port];
    for request in all.iter().chain(&all) {
        scene.receive(request.clone(), flow(UDP));
    }
    let expected = ["0 OPTIONS begins", "0 MESSAGE begins", "0 OPTIONS begins", "0 OPTIONS begins"];
    assert_eq!(scene.take(), expected);
    // Tokens and host names are compared without case.
    let mut shouted = theirs("OPTIONS", "Z9HG4BK1");
    shouted.headers.set("Call-ID", "whatever");
    scene.receive(shouted, flow(UDP));
    assert_eq!((scene.take(), scene.layer.counts().absorbed), (vec![], 5));
}

#[test]
fn s17_2_3_without_the_cookie_rfc_2543_counts() {
    let with_via = |method: &str, params: &str| {
        let mut request = theirs(method, "");
        request.headers.set("Via", format!("SIP/2.0/UDP 192.0.2.9:5060{params}"));
        request
    };
    // The cookie alone is no better than nothing.
    for params in ["", ";branch=1", ";branch=z9hG4bK"] {
        let mut scene = Scene::new();
        scene.receive(with_via("INVITE", params), flow(UDP));
        scene.receive(with_via("INVITE", params), flow(UDP));
        let mut next = with_via("INVITE", params);
        next.headers.set("CSeq", "4 INVITE");
        scene.receive(next, flow(UDP));
        scene.receive(with_via("CANCEL", params), flow(UDP));
        scene.reply(0, 486);
        let mut ack = with_via("ACK", params);
        ack.headers.set("To", "<sip:a@us.example>;tag=us");
        scene.receive(ack, flow(UDP));
        scene.until(1000);
        let expected = [
            "0 INVITE begins",
            "0 > 100 INVITE",
            "0 INVITE begins",
            "0 > 200 CANCEL",
            "0 cancelled",
            "0 > 486 INVITE",
            "200 > 100 INVITE",
        ];
        assert_eq!(scene.take(), expected, "{params}");
    }
}

#[test]
fn s8_2_2_2_the_same_request_by_another_path_is_refused() {
    for protocol in [UDP, TCP] {
        let mut scene = Scene::new();
        scene.receive(theirs("INVITE", "z9hG4bK1"), flow(protocol));
        scene.receive(theirs("INVITE", "z9hG4bK2"), flow(protocol));
        assert_eq!(scene.take(), ["0 INVITE begins", "0 > 482 INVITE"]);
        scene.receive(theirs("ACK", "z9hG4bK2"), flow(protocol));
        // Others are none of it: another number, another caller, another method, a dialog.
        let mut number = theirs("INVITE", "z9hG4bK3");
        number.headers.set("CSeq", "4 INVITE");
        let mut caller = theirs("INVITE", "z9hG4bK4");
        caller.headers.set("From", "<sip:b@there.example>;tag=else");
        for request in [number, caller, theirs("OPTIONS", "z9hG4bK5"), in_dialog("INVITE", "z9hG4bK6", 3)] {
            scene.receive(request, flow(protocol));
        }
        let begun = scene.take();
        assert!(begun.len() == 4 && begun.iter().all(|line| line.ends_with("begins")), "{begun:?}");
        assert_eq!((scene.layer.counts().merged, scene.layer.counts().stray), (1, 0));
    }
}

#[test]
fn s8_2_2_2_what_is_over_is_not_merged() {
    let mut scene = Scene::new();
    scene.receive(theirs("OPTIONS", "z9hG4bK1"), flow(TCP));
    scene.reply(0, 200);
    scene.receive(theirs("OPTIONS", "z9hG4bK2"), flow(TCP));
    assert_eq!(scene.take(), ["0 OPTIONS begins", "0 > 200 OPTIONS", "0 OPTIONS begins"]);
}

#[test]
fn s18_1_2_a_response_whose_via_is_not_ours_is_dropped() {
    let mut scene = Scene::new();
    scene.request(ours("OPTIONS"), target(UDP));
    let request = scene.sent_request(0).clone();
    let via = request.headers.first("Via").unwrap().to_owned();
    let mut elsewhere = answer(&request, 200, "t");
    elsewhere.headers.set("Via", via.replace("us.example", "them.example"));
    let mut through = answer(&request, 200, "t");
    through.headers.push("Via", "SIP/2.0/UDP them.example;branch=z9hG4bK1");
    for response in [elsewhere, through] {
        scene.receive(response, flow(UDP));
    }
    assert_eq!((scene.take(), scene.layer.counts().foreign), (vec!["0 > OPTIONS".to_owned()], 2));
}

#[test]
fn s17_1_3_a_response_without_a_transaction_is_dropped() {
    let mut scene = Scene::new();
    scene.request(ours("OPTIONS"), target(UDP));
    let request = scene.sent_request(0).clone();
    let via = request.headers.first("Via").unwrap().to_owned();
    let mut guessed = answer(&request, 200, "t");
    guessed.headers.set("Via", via.replace("z9hG4bK", "z9hG4bK0"));
    let mut method = answer(&request, 200, "t");
    method.headers.set("CSeq", "7 INVITE");
    let mut nameless = answer(&request, 200, "t");
    nameless.headers.set("Via", "SIP/2.0/UDP us.example");
    for response in [guessed, method, nameless] {
        scene.receive(response, flow(UDP));
    }
    assert_eq!((scene.take(), scene.layer.counts().stray), (vec!["0 > OPTIONS".to_owned()], 3));
}

#[test]
fn a_response_never_reaches_a_transaction_of_another() {
    let mut scene = Scene::new();
    let mut request = theirs("OPTIONS", "z9hG4bK1");
    request.headers.set("Via", "SIP/2.0/UDP us.example:5060;branch=z9hG4bK1");
    scene.receive(request.clone(), flow(UDP));
    scene.receive(answer(&request, 200, "t"), flow(UDP));
    assert_eq!((scene.take(), scene.layer.counts().stray), (vec!["0 OPTIONS begins".to_owned()], 1));
}

#[test]
fn what_begins_something_is_refused_when_there_is_no_room() {
    let mut scene = Scene::with(|settings| settings.most = 2);
    for branch in ["z9hG4bKa", "z9hG4bKb"] {
        scene.receive(in_dialog("UPDATE", branch, 1), flow(TCP));
    }
    scene.take();
    for method in ["INVITE", "OPTIONS", "UPDATE", "MESSAGE", "INFO"] {
        scene.receive(theirs(method, "z9hG4bK1"), flow(UDP));
        assert_eq!(scene.take(), [format!("0 > 503 {method}")]);
        assert_eq!(scene.last_response().headers.first("Retry-After"), Some("10"));
    }
    let tag = scene.last_response().headers.first("To").unwrap().to_owned();
    scene.receive(theirs("INFO", "z9hG4bK1"), flow(UDP));
    assert_eq!(scene.last_response().headers.first("To").unwrap(), tag, "RFC 3261 section 8.2.7");
    assert_eq!((scene.layer.len(), scene.layer.counts().refused), (2, 6));
    scene.take();
    // What ends something is taken, up to twice as many.
    scene.receive(in_dialog("BYE", "z9hG4bK1", 2), flow(TCP));
    scene.receive(in_dialog("PRACK", "z9hG4bK1", 2), flow(TCP));
    scene.receive(in_dialog("BYE", "z9hG4bK2", 2), flow(TCP));
    assert_eq!(scene.take(), ["0 > 503 INFO", "0 BYE begins", "0 PRACK begins", "0 > 503 BYE"][1..]);
    assert_eq!(scene.layer.request(ours("BYE"), target(UDP), scene.now), Err(Full));
    assert_eq!((scene.layer.len(), scene.layer.counts().refused), (4, 8));
}

#[test]
fn a_cancel_works_without_room() {
    let mut scene = Scene::with(|settings| settings.most = 1);
    scene.receive(theirs("INVITE", "z9hG4bK1"), flow(UDP));
    scene.receive(in_dialog("BYE", "z9hG4bK2", 9), flow(UDP));
    scene.take();
    scene.receive(theirs("CANCEL", "z9hG4bK1"), flow(UDP));
    scene.receive(theirs("CANCEL", "z9hG4bK1"), flow(UDP));
    assert_eq!(scene.take(), ["0 > 200 CANCEL", "0 cancelled", "0 > 200 CANCEL"]);
    assert_eq!(scene.layer.len(), 2);
}

#[test]
fn what_another_process_would_have_to_leave_to_us_is_known() {
    let mut scene = Scene::new();
    let knows = |scene: &Scene, message: Message| scene.layer.knows(&framed(&message, flow(UDP)));
    let other_path = || {
        let mut request = theirs("INVITE", "z9hG4bKother");
        request.headers.set("Via", "SIP/2.0/UDP 192.0.2.8:5060;branch=z9hG4bKother");
        request
    };
    let mut new = theirs("INVITE", "z9hG4bK2");
    new.headers.set("Call-ID", "another");
    // Nothing is, before anything came.
    for method in ["INVITE", "ACK", "CANCEL", "OPTIONS"] {
        assert!(!knows(&scene, theirs(method, "z9hG4bK1").into()), "{method}");
    }
    scene.receive(theirs("INVITE", "z9hG4bK1"), flow(UDP));
    for method in ["INVITE", "ACK", "CANCEL"] {
        assert!(knows(&scene, theirs(method, "z9hG4bK1").into()), "{method}");
    }
    assert!(knows(&scene, other_path().into()), "the same by another path");
    assert!(!knows(&scene, new.into()), "another call");
    assert!(!knows(&scene, theirs("OPTIONS", "z9hG4bK1").into()), "another method");
    // The ACK of a 2xx has a branch of its own.
    assert!(!knows(&scene, in_dialog("ACK", "z9hG4bK9", 3).into()));
    scene.reply(0, 200);
    assert!(knows(&scene, in_dialog("ACK", "z9hG4bK9", 3).into()));
    assert!(!knows(&scene, in_dialog("ACK", "z9hG4bK9", 4).into()));

    scene.request(ours("OPTIONS"), target(UDP));
    let sent = scene.sent_request(scene.sent.len() - 1).clone();
    assert!(knows(&scene, answer(&sent, 200, "them").into()));
    let mut foreign = answer(&sent, 200, "them");
    foreign.headers.set("Via", "SIP/2.0/UDP us.example:5060;branch=z9hG4bKsomebody");
    assert!(!knows(&scene, foreign.into()));
    // Until it is forgotten.
    scene.until(600_000);
    assert!(!knows(&scene, theirs("INVITE", "z9hG4bK1").into()));
    assert!(!knows(&scene, answer(&sent, 200, "them").into()));
}
