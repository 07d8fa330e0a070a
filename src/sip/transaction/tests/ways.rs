//! How messages leave, and what happens if they cannot (RFC 3261 sections 17.1.4, 18.1.1, 18.2.2, 18.4; RFC 3581).

use super::*;

fn long(method: &str) -> Request {
    let mut request = ours(method);
    request.body = vec![b'x'; 1300].into();
    request
}

fn via(scene: &Scene, place: usize) -> String {
    scene.sent_request(place).headers.first("Via").unwrap().to_owned()
}

#[test]
fn s18_1_1_a_long_request_goes_by_tcp_and_by_udp_if_nobody_listens_there() {
    for why in [Some(Unsent::Unreachable), None] {
        let mut scene = Scene::new();
        let id = scene.request(long("INVITE"), target(UDP));
        assert_eq!((&scene.sent[0].1, scene.sent[0].2), (&target(TCP), Some(id)));
        assert!(via(&scene, 0).starts_with("SIP/2.0/TCP us.example:5060;branch="), "{}", via(&scene, 0));
        scene.until(1000);
        match why {
            Some(why) => scene.unsent(id, why),
            None => scene.closed(flow(TCP)),
        }
        assert_eq!((&scene.sent[1].1, scene.sent[1].2), (&target(UDP), Some(id)));
        scene.until(1500);
        assert_eq!(scene.take(), ["0 > INVITE", "1000 > INVITE", "1500 > INVITE"]);
        let branch = |place: usize| via(&scene, place).split(";branch=").nth(1).unwrap()[..39].to_owned();
        assert_eq!(branch(0), branch(1));
        assert!(via(&scene, 1).starts_with("SIP/2.0/UDP us.example:5060;branch="));
        // The ACK names the transport that was used.
        scene.answer(1, 404, "t");
        let last = scene.sent.len() - 1;
        assert_eq!((via(&scene, last), &scene.sent[last].1), (via(&scene, 1), &target(UDP)));
        scene.until(1600);
        scene.unsent(id, Unsent::Unreachable);
        scene.until(60_000);
        assert_eq!(scene.take(), ["1500 > ACK", "1500 < 404", "33500 ended"]);
        scene.assert_empty();
    }
}

#[test]
fn s18_1_1_only_a_long_request_to_a_udp_target_changes_its_way() {
    let mut scene = Scene::new();
    let sized = |body: usize| Request { body: vec![b'x'; body].into(), ..ours("MESSAGE") };
    let on_flow = Way::Flow(flow(UDP));
    scene.request(sized(900), on_flow.clone());
    let just = 900 + 1300 - scene.lengths[0];
    for (body, way, protocol) in
        [(just, target(UDP), UDP), (just + 1, target(UDP), TCP), (just + 1, on_flow, UDP), (just + 1, target(TLS), TLS)]
    {
        scene.request(sized(body), way);
        let place = scene.sent.len() - 1;
        assert_eq!(scene.sent[place].1.protocol(), protocol);
        assert!(via(&scene, place).starts_with(&format!("SIP/2.0/{protocol} ")));
    }
    assert_eq!((scene.lengths[1], scene.lengths[3]), (1300, 1301));
}

#[test]
fn s18_1_1_a_long_ack_does_so_too() {
    let mut scene = Scene::new();
    let id = scene.request(ours("INVITE"), target(UDP));
    scene.answer(0, 200, "t");
    let mut ack = our_ack("t");
    ack.body = vec![b'x'; 1300].into();
    scene.acknowledge(id, ack, target(UDP));
    assert_eq!((&scene.sent[1].1, scene.sent[1].2), (&target(TCP), Some(id)));
    scene.unsent(id, Unsent::Unreachable);
    scene.unsent(id, Unsent::Unreachable);
    scene.answer(0, 200, "t");
    assert_eq!(scene.take(), ["0 > INVITE", "0 < 200", "0 > ACK", "0 > ACK", "0 > ACK"]);
    assert_eq!((&scene.sent[2].1, &scene.sent[3].1, scene.sent[3].2), (&target(UDP), &target(UDP), None));
    scene.until(60_000);
    scene.assert_empty();
}

#[test]
fn s17_1_4_what_cannot_be_sent_fails_once() {
    for why in [Unsent::Unreachable, Unsent::Closed, Unsent::Full] {
        for (method, protocol) in [("INVITE", UDP), ("INVITE", TCP), ("BYE", UDP), ("BYE", TLS)] {
            let mut scene = Scene::new();
            let id = scene.request(ours(method), target(protocol));
            scene.unsent(id, why);
            scene.unsent(id, why);
            assert_eq!(scene.take(), [format!("0 > {method}"), format!("0 failed: {why}"), "0 ended".to_owned()]);
            scene.assert_empty();
        }
    }
}

#[test]
fn s17_1_4_an_invite_that_rings_has_arrived() {
    let mut scene = Scene::new();
    let id = scene.request(ours("INVITE"), target(UDP));
    scene.answer(0, 180, "t");
    scene.unsent(id, Unsent::Full);
    scene.answer(0, 200, "t");
    scene.unsent(id, Unsent::Full);
    assert_eq!(scene.take(), ["0 > INVITE", "0 < 180", "0 < 200"]);
}

#[test]
fn s18_4_a_lost_connection_fails_what_waits_on_it() {
    let mut scene = Scene::new();
    let other = FlowId { number: 8, remote: ([192, 0, 2, 10], 5060).into(), ..flow(TCP) };
    scene.request(ours("INVITE"), Way::Flow(flow(TCP)));
    scene.answer(0, 180, "t");
    scene.request(ours("OPTIONS"), target(TCP));
    scene.request(ours("OPTIONS"), target(TLS));
    scene.request(ours("OPTIONS"), Way::Flow(other));
    scene.request(ours("INVITE"), Way::Flow(flow(TCP)));
    scene.answer(4, 200, "t");
    scene.take();
    scene.closed(flow(TCP));
    scene.closed(flow(TCP));
    let gone = "0 failed: the connection is closed";
    assert_eq!(scene.take(), [gone, "0 ended", gone, "0 ended"]);
    // The two elsewhere, and the one that has its answer.
    assert_eq!(scene.layer.clients(), 3);
}

#[test]
fn s9_1_a_cancel_that_cannot_be_sent_is_nobodys_news() {
    let mut scene = Scene::new();
    let id = scene.request(ours("INVITE"), target(TCP));
    scene.answer(0, 180, "t");
    scene.cancel(id, &[]);
    let of_cancel = scene.sent[1].2.unwrap();
    assert!(of_cancel != id);
    scene.unsent(of_cancel, Unsent::Full);
    scene.until(60_000);
    let expected = ["0 > INVITE", "0 < 180", "0 > CANCEL", "32000 failed: no response in time", "32000 ended"];
    assert_eq!(scene.take(), expected);
    scene.assert_empty();
}

#[test]
fn s18_2_2_responses_take_the_connection_and_when_it_is_gone_the_address_in_via() {
    for (protocol, via, port, name) in [
        (TCP, "SIP/2.0/TCP 192.0.2.9:5070", 5070, None),
        (TCP, "SIP/2.0/TCP there.example;rport", 5060, None),
        (TLS, "SIP/2.0/TLS there.example", 5061, Some("there.example")),
        (TLS, "SIP/2.0/TLS 192.0.2.9", 5061, None),
    ] {
        let mut scene = Scene::new();
        let came = FlowId { remote: ([192, 0, 2, 9], 40_000).into(), ..flow(protocol) };
        let mut invite = theirs("INVITE", "");
        invite.headers.set("Via", format!("{via};branch=z9hG4bK1"));
        scene.receive(invite, came);
        scene.reply(0, 180);
        assert_eq!(scene.sent[0].1, Way::Flow(came));
        scene.closed(came);
        scene.reply(0, 200);
        let from = Some(flow(protocol).local);
        let back = Target { protocol, address: ([192, 0, 2, 9], port).into(), name: name.map(Into::into), from };
        assert_eq!(scene.sent[1].1, Way::Target(back), "{via}");
        scene.until(60_000);
        scene.assert_empty();
    }
}

#[test]
fn s18_2_2_who_asks_again_by_another_connection_is_answered_there() {
    let mut scene = Scene::new();
    let next = FlowId { number: 9, remote: ([192, 0, 2, 9], 40_001).into(), ..flow(TCP) };
    scene.receive(theirs("INVITE", "z9hG4bK1"), flow(TCP));
    scene.reply(0, 180);
    // While the first is there it stays.
    scene.receive(theirs("INVITE", "z9hG4bK1"), next);
    scene.closed(flow(TCP));
    scene.receive(theirs("INVITE", "z9hG4bK1"), next);
    scene.closed(next);
    scene.reply(0, 486);
    let ways: Vec<&Way> = scene.sent.iter().map(|(_, way, _)| way).collect();
    let Way::Target(back) = target(TCP) else { unreachable!() };
    let back = Way::Target(Target { from: Some(next.local), ..back });
    assert_eq!(ways, [&Way::Flow(flow(TCP)), &Way::Flow(flow(TCP)), &Way::Flow(next), &back]);
    scene.until(60_000);
    scene.assert_empty();
}

#[test]
fn s18_2_2_datagrams_go_back_to_the_port_of_via_or_to_where_they_came_from() {
    for (params, port) in [("", 5060), (";rport", 40_000)] {
        let mut scene = Scene::new();
        let came = FlowId { remote: ([192, 0, 2, 9], 40_000).into(), ..flow(UDP) };
        let mut options = theirs("OPTIONS", "");
        options.headers.set("Via", format!("SIP/2.0/UDP there.example;branch=z9hG4bK1{params}"));
        scene.receive(options, came);
        scene.reply(0, 200);
        let back = FlowId { remote: ([192, 0, 2, 9], port).into(), ..came };
        assert_eq!(scene.sent[0].1, Way::Flow(back));
        assert!(scene.last_response().headers.first("Via").unwrap().contains(";received=192.0.2.9"));
    }
}

#[test]
fn s3_rfc_3581_only_datagrams_ask_for_rport() {
    let mut scene = Scene::new();
    for (place, protocol) in [UDP, TCP, TLS].into_iter().enumerate() {
        let mut request = ours("OPTIONS");
        request.headers.push("Via", "SIP/2.0/UDP left.over;branch=z9hG4bK1");
        scene.request(request, target(protocol));
        assert_eq!(via(&scene, place).contains("rport"), protocol == UDP);
        assert_eq!(scene.sent_request(place).headers.all("Via").count(), 1);
    }
}
