use std::time::Duration;

use bytes::Bytes;
use rstest::rstest;
use tokio::sync::mpsc;

use super::*;
use crate::msrp::FailureReport;

fn chunks_of(chunk: u64) -> SendOptions {
    SendOptions { chunk, ..SendOptions::default() }
}

#[tokio::test]
async fn s7_1_1_message_in_one_chunk_is_accepted_with_its_200() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let mut sending = endpoint.send_message(PEER, Some("text/plain"), "hello", SendOptions::default()).await.unwrap();
    let got = peer.frame().await.unwrap();
    assert!(got.start_line().ends_with(" SEND"));
    assert_eq!((got.header("To-Path").as_str(), got.header("From-Path").as_str()), (PEER, endpoint.uri()));
    assert_eq!((got.header("Byte-Range").as_str(), got.header("Message-ID")), ("1-5/5", sending.message_id().into()));
    assert_eq!((got.header("Failure-Report"), got.header("Success-Report")), (String::new(), String::new()));
    assert_eq!((got.body.as_slice(), got.flag), (&b"hello"[..], Flag::Complete));
    assert!(!sending.progress().accepted);
    peer.answer(&got, 200, "").await;
    let progress = sending.accepted().await.unwrap();
    assert_eq!((progress.octets, progress.chunks, progress.answered), (5, 1, 1));
    endpoint.close().await;
    assert!(peer.frame().await.is_none());
}

/// CORE-40, CORE-41, CORE-42, CORE-43, CORE-45
#[rstest]
#[case(4096, 2048, &["1-2048/4096", "2049-4096/4096"])]
#[case(4097, 2049, &["1-*/4097", "2050-4097/4097"])]
#[case(5000, 2000, &["1-2000/5000", "2001-4000/5000", "4001-5000/5000"])]
#[case(5000, 10_000, &["1-*/5000"])]
#[case(0, 10, &["1-0/0"])]
#[tokio::test]
async fn core_41_end_is_open_above_2048_octets(#[case] length: usize, #[case] chunk: u64, #[case] ranges: &[&str]) {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let body: Vec<u8> = (0..length).map(|position| position as u8).collect();
    let sending = endpoint.send_message(PEER, Some("x/y"), body.clone(), chunks_of(chunk)).await.unwrap();
    let mut received = Vec::new();
    for (place, range) in ranges.iter().enumerate() {
        let got = peer.frame().await.unwrap();
        assert_eq!(got.header("Byte-Range"), *range);
        let last = place + 1 == ranges.len();
        assert_eq!(got.flag, if last { Flag::Complete } else { Flag::More });
        received.extend_from_slice(&got.body);
        peer.answer(&got, 200, "").await;
    }
    assert_eq!(received, body);
    assert_eq!(sending.outcome().await.unwrap().octets, length as u64);
}

/// CORE-43, CORE-107
#[tokio::test]
async fn core_107_message_without_media_type_is_bodiless() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let _sending = endpoint.send_message(PEER, None, "ignored", SendOptions::default()).await.unwrap();
    let got = peer.frame().await.unwrap();
    assert_eq!((got.header("Byte-Range").as_str(), got.head.content_type()), ("1-0/0", None));
    assert!(!peer.decoder.frame_has_body());
}

/// CORE-35
#[tokio::test]
async fn message_ids_of_ours_do_not_repeat() {
    let (endpoint, _peer) = pair(EndpointOptions::default()).await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..200 {
        let sending = endpoint.send_message(PEER, None, "", SendOptions::default()).await.unwrap();
        let id = sending.message_id().to_owned();
        assert!(id.len() == 20 && id.bytes().all(|c| c.is_ascii_alphanumeric()), "{id}");
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn window_bounds_unanswered_chunks() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let options = SendOptions { window: 3, ..chunks_of(10) };
    let mut sending = endpoint.send_message(PEER, Some("x/y"), vec![b'a'; 100], options).await.unwrap();
    let mut waiting = std::collections::VecDeque::new();
    for _ in 0..3 {
        waiting.push_back(peer.frame().await.unwrap());
    }
    sending.until(|progress| progress.chunks == 3).await.unwrap();
    // A whole exchange on the same connection shows that no fourth chunk was written before it.
    let (answer, got) = tokio::join!(endpoint.request("NICKNAME", PEER, &[], None), async {
        let got = peer.frame().await.unwrap();
        peer.answer(&got, 425, "").await;
        got
    });
    assert!(answer.is_ok() && got.start_line().ends_with("NICKNAME"));
    for chunk in 4..=10u64 {
        let first = waiting.pop_front().unwrap();
        peer.answer(&first, 200, "").await;
        waiting.push_back(peer.frame().await.unwrap());
        let progress = sending.until(|progress| progress.chunks == chunk).await.unwrap();
        assert!(progress.unanswered <= 3);
    }
    for got in waiting {
        peer.answer(&got, 200, "").await;
    }
    assert_eq!(sending.outcome().await.unwrap().answered, 10);
}

/// CORE-73
#[tokio::test]
async fn core_73_no_chunk_follows_an_error_response() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let options = SendOptions { window: 1, ..chunks_of(10) };
    let sending = endpoint.send_message(PEER, Some("x/y"), vec![b'a'; 100], options).await.unwrap();
    let got = peer.frame().await.unwrap();
    peer.answer(&got, 413, "").await;
    assert_eq!(sending.outcome().await, Err(Failure::Response(Status::TOO_LARGE)));
    endpoint.close().await;
    assert!(peer.frame().await.is_none());
}

/// CORE-72
#[tokio::test]
async fn core_72_running_chunk_ends_with_abort_after_an_error_response() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let fill = Box::new(|_, octets: &mut [u8]| octets.fill(b'a'));
    let body = Body::Generated { length: 1 << 40, fill };
    let sending = endpoint.send_message(PEER, Some("x/y"), body, chunks_of(u64::MAX)).await.unwrap();
    let mut input = BytesMut::with_capacity(65_536);
    let head = loop {
        peer.stream.read_buf(&mut input).await.unwrap();
        peer.decoder.feed(input.split().freeze());
        if let Some(Wire::Head(head)) = peer.decoder.next().unwrap() {
            break head;
        }
    };
    peer.answer(&Got { head, body: Vec::new(), flag: Flag::More }, 413, "").await;
    assert_eq!(sending.outcome().await, Err(Failure::Response(Status::TOO_LARGE)));
    let flag = loop {
        match peer.decoder.next().unwrap() {
            Some(Wire::End(flag)) => break flag,
            Some(_) => {}
            None => {
                input.reserve(65_536);
                assert_ne!(peer.stream.read_buf(&mut input).await.unwrap(), 0);
                peer.decoder.feed(input.split().freeze());
            }
        }
    };
    assert_eq!(flag, Flag::Abort);
}

/// CORE-46
#[tokio::test]
async fn core_46_waiting_response_interrupts_a_long_chunk() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let length = 64 << 20;
    let body = Body::Generated { length, fill: Box::new(|_, octets: &mut [u8]| octets.fill(b'a')) };
    let sending = endpoint.send_message(PEER, Some("x/y"), body, chunks_of(u64::MAX)).await.unwrap();
    peer.send(endpoint.uri(), "Message-ID: m1\r\nByte-Range: 1-2/2\r\n", "hi", '$').await;
    let (mut octets, mut sends, mut answered) = (0, 0, false);
    loop {
        let got = peer.frame().await.unwrap();
        if got.start_line().ends_with("200 OK") {
            answered = true;
            continue;
        }
        assert_eq!(got.header("Byte-Range"), format!("{}-*/{length}", octets + 1));
        octets += got.body.len() as u64;
        sends += 1;
        peer.answer(&got, 200, "").await;
        if got.flag == Flag::Complete {
            break;
        }
    }
    assert!(answered && sends >= 2, "{sends} chunks");
    assert_eq!((octets, sending.outcome().await.unwrap().chunks), (length, sends));
}

#[tokio::test]
async fn messages_share_the_connection_in_turn() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let options = || SendOptions { window: 1, ..chunks_of(10) };
    let one = endpoint.send_message(PEER, Some("x/y"), vec![b'1'; 30], options()).await.unwrap();
    let first = peer.frame().await.unwrap();
    let two = endpoint.send_message(PEER, Some("x/y"), vec![b'2'; 30], options()).await.unwrap();
    let second = peer.frame().await.unwrap();
    assert_eq!((first.body[0], second.body[0]), (b'1', b'2'));
    for got in [first, second] {
        peer.answer(&got, 200, "").await;
    }
    for _ in 0..4 {
        let got = peer.frame().await.unwrap();
        peer.answer(&got, 200, "").await;
    }
    assert!(one.outcome().await.is_ok() && two.outcome().await.is_ok());
}

#[tokio::test]
async fn s7_1_3_outcome_waits_until_reports_cover_all() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let options = SendOptions { success_report: true, ..chunks_of(5) };
    let mut sending = endpoint.send_message(PEER, Some("x/y"), "0123456789", options).await.unwrap();
    for _ in 0..2 {
        let got = peer.frame().await.unwrap();
        assert_eq!(got.header("Success-Report"), "yes");
        peer.answer(&got, 200, "").await;
    }
    let id = sending.message_id().to_owned();
    assert!(!sending.accepted().await.unwrap().reported());
    peer.report(endpoint.uri(), &id, "6-10/10", "000 200 OK").await;
    assert!(!sending.until(|progress| progress.reports == 1).await.unwrap().reported());
    peer.report(endpoint.uri(), &id, "1-5/10", "000 200").await;
    let progress = sending.outcome().await.unwrap();
    assert_eq!((progress.reports, progress.covered.stretches()), (2, &[(1, 10)][..]));
}

/// CORE-77
#[tokio::test]
async fn s7_1_2_failure_report_fails_the_message() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let mut sending = endpoint.send_message(PEER, Some("x/y"), "abc", SendOptions::default()).await.unwrap();
    let got = peer.frame().await.unwrap();
    peer.answer(&got, 200, "").await;
    assert!(sending.accepted().await.is_ok());
    peer.report(endpoint.uri(), sending.message_id(), "1-3/3", "000 408 Timeout").await;
    let failure = Failure::Report { status: Status::TIMEOUT, start: 1, end: Some(3) };
    assert_eq!(sending.concluded().await, Err(failure));
}

#[tokio::test]
async fn report_on_a_message_nobody_waits_for_is_an_event() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let sending = endpoint.send_message(PEER, Some("x/y"), "abc", SendOptions::default()).await.unwrap();
    let id = sending.message_id().to_owned();
    drop(sending);
    peer.frame().await.unwrap();
    peer.report(endpoint.uri(), &id, "1-3/3", "000 481").await;
    let Some(Event::Report(report)) = endpoint.event().await else { panic!("no report") };
    assert_eq!((report.message_id, report.status), (id, Status::NO_SESSION));
}

/// CORE-39
#[tokio::test]
async fn core_39_silent_peer_is_a_timeout_but_for_partial_and_no() {
    let options = EndpointOptions { transaction_timeout: Duration::from_millis(30), ..EndpointOptions::default() };
    let (endpoint, _peer) = pair(options).await;
    let with = |failure_report| SendOptions { failure_report, ..SendOptions::default() };
    let mut partial = endpoint.send_message(PEER, Some("x/y"), "abc", with(FailureReport::Partial)).await.unwrap();
    let mut no = endpoint.send_message(PEER, Some("x/y"), "abc", with(FailureReport::No)).await.unwrap();
    let yes = endpoint.send_message(PEER, Some("x/y"), "abc", with(FailureReport::Yes)).await.unwrap();
    assert_eq!(yes.outcome().await, Err(Failure::Timeout));
    assert!(partial.accepted().await.is_ok() && no.accepted().await.is_ok());
    assert_eq!((partial.progress().failure, no.progress().failure), (None, None));
    assert_eq!(endpoint.request("NICKNAME", PEER, &[], None).await.unwrap_err(), ClientError::Timeout);
}

/// CORE-60
#[tokio::test]
async fn core_60_partial_maps_an_error_response() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let options = SendOptions { failure_report: FailureReport::Partial, ..SendOptions::default() };
    let mut sending = endpoint.send_message(PEER, Some("x/y"), "abc", options).await.unwrap();
    let got = peer.frame().await.unwrap();
    assert_eq!(got.header("Failure-Report"), "partial");
    peer.answer(&got, 481, "").await;
    assert_eq!(sending.concluded().await, Err(Failure::Response(Status::NO_SESSION)));
}

#[tokio::test]
async fn streamed_body_has_no_total_and_ends_with_its_last_piece() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let (pieces, body) = mpsc::channel(1);
    let sending = endpoint.send_message(PEER, Some("x/y"), Body::Streamed(body), chunks_of(4)).await.unwrap();
    for piece in ["abcdef", "gh"] {
        pieces.send(Bytes::from_static(piece.as_bytes())).await.unwrap();
    }
    drop(pieces);
    let expected = [("1-4/*", "abcd", Flag::More), ("5-6/*", "ef", Flag::More), ("7-8/*", "gh", Flag::Complete)];
    for (range, body, flag) in expected {
        let got = peer.frame().await.unwrap();
        assert_eq!((got.header("Byte-Range").as_str(), got.body.as_slice(), got.flag), (range, body.as_bytes(), flag));
        peer.answer(&got, 200, "").await;
    }
    assert!(sending.outcome().await.is_ok());
}

#[tokio::test]
async fn abandoned_message_ends_with_an_abort() {
    let (endpoint, mut peer) = pair(EndpointOptions::default()).await;
    let options = SendOptions { window: 1, ..chunks_of(4) };
    let sending = endpoint.send_message(PEER, Some("x/y"), "abcdefgh", options).await.unwrap();
    assert_eq!(peer.frame().await.unwrap().flag, Flag::More);
    sending.abandon();
    let got = peer.frame().await.unwrap();
    assert_eq!((got.header("Byte-Range").as_str(), got.flag, got.body.len()), ("5-4/8", Flag::Abort, 0));
    assert_eq!(sending.outcome().await, Err(Failure::Abandoned));
}

#[tokio::test]
async fn header_injection_is_refused() {
    let (endpoint, _peer) = pair(EndpointOptions::default()).await;
    let bad = endpoint.send_message(PEER, Some("x/y\r\nX: y"), "", SendOptions::default()).await;
    assert_eq!(bad.unwrap_err(), ClientError::Header);
    let bad = endpoint.send_message("msrp://nowhere", Some("x/y"), "", SendOptions::default()).await;
    assert!(matches!(bad.unwrap_err(), ClientError::Path(_)));
    assert_eq!(endpoint.request("X", PEER, &[("A", "b\n")], None).await.unwrap_err(), ClientError::Header);
}
