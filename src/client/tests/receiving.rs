use super::*;

const WHOLE: &str = "Message-ID: m1\r\nByte-Range: 1-2/2\r\n";

/// CORE-57, CORE-62
#[tokio::test]
async fn s7_2_message_is_answered_reported_and_handed_out() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    peer.send(endpoint.uri(), &format!("{WHOLE}Success-Report: yes\r\n"), "hi", '$').await;
    let answer = peer.frame().await.unwrap();
    assert_eq!(answer.start_line(), "MSRP s3nd1234 200 OK");
    assert_eq!(answer.header("To-Path"), "msrp://relay.invalid:1/r;tcp");
    assert_eq!(answer.header("From-Path"), endpoint.uri());
    let report = peer.frame().await.unwrap();
    assert!(report.start_line().ends_with(" REPORT"));
    assert_eq!(report.header("To-Path"), format!("msrp://relay.invalid:1/r;tcp {PEER}"));
    assert_eq!((report.header("Byte-Range"), report.header("Message-ID")), ("1-2/2".into(), "m1".into()));
    assert!(report.header("Status").starts_with("000 200"));
    let Some(Event::Message(message)) = endpoint.event().await else { panic!("no message") };
    assert_eq!((message.message_id.as_str(), message.body.as_deref()), ("m1", Some(&b"hi"[..])));
    assert_eq!(message.content_type.as_deref(), Some("text/plain"));
}

/// CORE-58, CORE-59, CORE-60, CORE-66
#[tokio::test]
async fn core_58_59_60_failure_report_decides_what_is_answered() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let elsewhere = "msrp://127.0.0.1:1/elsewhere;tcp";
    for report in ["no", "partial"] {
        peer.send(endpoint.uri(), &format!("{WHOLE}Failure-Report: {report}\r\n"), "hi", '$').await;
    }
    peer.send(elsewhere, &format!("{WHOLE}Failure-Report: no\r\n"), "hi", '$').await;
    peer.send(elsewhere, &format!("{WHOLE}Failure-Report: partial\r\n"), "hi", '$').await;
    assert_eq!(peer.frame().await.unwrap().start_line(), "MSRP s3nd1234 481 No Such Session");
    for _ in 0..2 {
        assert!(matches!(endpoint.event().await, Some(Event::Message(_))));
    }
}

/// CORE-37, CORE-56, CORE-112
#[tokio::test]
async fn reports_are_made_for_who_asks_and_for_nobody_else() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    peer.send(endpoint.uri(), WHOLE, "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().ends_with("200 OK"));
    let asked = "Message-ID: m2\r\nByte-Range: 1-2/2\r\nSuccess-Report: yes\r\nFailure-Report: no\r\n";
    peer.send(endpoint.uri(), asked, "hi", '$').await;
    let report = peer.frame().await.unwrap();
    assert!(report.start_line().ends_with(" REPORT"), "neither a REPORT on m1 nor a response to m2");
    assert_eq!(report.header("Message-ID"), "m2");
    peer.send(endpoint.uri(), "Message-ID: m3\r\nByte-Range: 1-2/2\r\n", "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().ends_with("200 OK"), "nor one behind it");
}

#[tokio::test]
async fn answers_are_as_configured() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    endpoint.set_answer(Answer::Refuse(Status::UNSUPPORTED_MEDIA));
    peer.send(endpoint.uri(), WHOLE, "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().contains(" 415 "));
    endpoint.set_answer(Answer::Silence);
    peer.send(endpoint.uri(), &format!("{WHOLE}Success-Report: yes\r\n"), "hi", '$').await;
    assert!(matches!(endpoint.event().await, Some(Event::Message(_))));
    endpoint.set_answer(Answer::AcceptUnreported);
    peer.send(endpoint.uri(), &format!("{WHOLE}Success-Report: yes\r\n"), "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().ends_with("200 OK"));
    endpoint.set_answer(Answer::Accept);
    peer.write(&format!(
        "MSRP nick1234 NICKNAME\r\nTo-Path: {}\r\nFrom-Path: {PEER}\r\n-------nick1234$\r\n",
        endpoint.uri()
    ))
    .await;
    assert!(peer.frame().await.unwrap().start_line().contains("nick1234 501 "), "no REPORT before it");
}

/// CORE-63
#[tokio::test]
async fn other_methods_can_be_answered_by_hand() {
    let options = EndpointOptions { refuse_methods: false, any_session: true, ..EndpointOptions::default() };
    let (endpoint, mut peer) = pair(options).await;
    peer.write(&format!(
        "MSRP auth1234 AUTH\r\nTo-Path: msrps://relay.invalid;tcp\r\nFrom-Path: {PEER} {PEER}\r\n-------auth1234$\r\n"
    ))
    .await;
    let Some(Event::Request(request)) = endpoint.event().await else { panic!("no request") };
    endpoint.respond(&request.head, Status::OK, &[("Expires", "60")]).await.unwrap();
    let answer = peer.frame().await.unwrap();
    assert_eq!((answer.header("To-Path"), answer.header("Expires")), (format!("{PEER} {PEER}"), "60".into()));
}

#[tokio::test]
async fn long_message_comes_as_octets_by_offset() {
    let (endpoint, mut peer) = pair(EndpointOptions { collect: 8, ..EndpointOptions::default() }).await;
    peer.send(endpoint.uri(), "Message-ID: m1\r\nByte-Range: 1-*/*\r\n", "0123456", '+').await;
    peer.send(endpoint.uri(), "Message-ID: m1\r\nByte-Range: 8-*/*\r\n", "789abcdef", '$').await;
    let mut body = [0; 16];
    let message = loop {
        match endpoint.event().await.unwrap() {
            Event::Octets { offset, octets, .. } => body[offset as usize..][..octets.len()].copy_from_slice(&octets),
            Event::Message(message) => break message,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((message.length, message.chunks, message.longest_chunk), (16, 2, 9));
    assert_eq!((message.body, &body), (None, b"0123456789abcdef"));
}

#[tokio::test]
async fn malformed_range_gets_400_and_the_connection_lives() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    peer.send(endpoint.uri(), "Message-ID: m1\r\nByte-Range: 5-3/10\r\n", "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().contains(" 400 "));
    peer.send(endpoint.uri(), "Message-ID: m1\r\nByte-Range: 18446744073709551615-*/*\r\n", "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().contains(" 400 "));
    peer.send(endpoint.uri(), WHOLE, "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().contains(" 200 "));
}

/// CORE-52, CORE-54, CORE-105
#[tokio::test]
async fn core_52_nothing_answers_a_report_or_a_stray_response() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    for status in ["abc", "000 20", "001 200"] {
        peer.report(endpoint.uri(), "m1", "1-2/2", status).await;
    }
    peer.report(endpoint.uri(), "nobody12", "1-2/2", "000 200 OK").await;
    peer.write(&format!("MSRP x7q9 200 OK\r\nTo-Path: {PEER}\r\nFrom-Path: {PEER}\r\n-------x7q9$\r\n")).await;
    peer.send(endpoint.uri(), WHOLE, "hi", '$').await;
    assert!(peer.frame().await.unwrap().start_line().contains("s3nd1234 200 "));
    assert!(matches!(endpoint.event().await, Some(Event::Report(_))), "on a message that we know nothing of");
    assert!(matches!(endpoint.event().await, Some(Event::Message(_))));
}

#[tokio::test]
async fn caller_who_takes_no_events_stops_the_sender() {
    let options = EndpointOptions { event_queue: 1, collect: 0, ..EndpointOptions::default() };
    let (endpoint, mut peer) = pair(options).await;
    let uri = endpoint.uri().to_owned();
    let length: u64 = 64 << 20;
    let writing = tokio::spawn(async move {
        let piece = "a".repeat(1 << 20);
        for at in 0..length >> 20 {
            let flag = if at + 1 == length >> 20 { '$' } else { '+' };
            peer.send(&uri, &format!("Message-ID: m1\r\nByte-Range: {}-*/*\r\n", (at << 20) + 1), &piece, flag).await;
        }
        peer
    });
    let Some(Event::Octets { octets, .. }) = endpoint.event().await else { panic!("no octets") };
    tokio::task::yield_now().await;
    assert!(!writing.is_finished(), "64 MiB do not fit into the buffers between");
    let mut taken = octets.len() as u64;
    while let Some(Event::Octets { octets, .. }) = endpoint.event().await {
        taken += octets.len() as u64;
    }
    assert_eq!(taken, length);
    drop(writing.await.unwrap());
}
