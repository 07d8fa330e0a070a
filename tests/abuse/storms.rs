//! Many small frames: what a storm on one session costs the process, and a session beside it.

use std::fmt::Write;
use std::time::{Duration, Instant};

use chappe::client::{Answer, Endpoint};
use rstest::rstest;

use super::{Authority, PATIENCE, Rules, local, owner_from, talks};

/// What the attacker sends again and again; `n` counts.
type Frame = fn(out: &mut String, to: &str, from: &str, n: usize);

fn report(out: &mut String, to: &str, from: &str, n: usize) {
    let head = format!("To-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: m{n}\r\nByte-Range: 1-1/1\r\n");
    let _ = write!(out, "MSRP r{n:07} REPORT\r\n{head}Status: 000 200 OK\r\n-------r{n:07}$\r\n");
}

fn one_octet(out: &mut String, to: &str, from: &str, n: usize) {
    let at = n + 1;
    let head = format!("To-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: storm\r\nByte-Range: {at}-{at}/*\r\n");
    let _ = write!(out, "MSRP s{n:07} SEND\r\n{head}Content-Type: a/b\r\n\r\nx\r\n-------s{n:07}+\r\n");
}

fn new_message(out: &mut String, to: &str, from: &str, n: usize) {
    let head = format!("To-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: n{n}\r\nByte-Range: 1-1/9\r\n");
    let _ = write!(out, "MSRP t{n:07} SEND\r\n{head}Content-Type: a/b\r\n\r\nx\r\n-------t{n:07}+\r\n");
}

/// The victim answers nothing, or as clients do. Both sessions are on one shard, or it would be no test of fairness.
#[rstest]
#[case::reports(report, Answer::Accept)]
#[case::one_octet_chunks(one_octet, Answer::AcceptUnreported)]
#[case::one_octet_chunks_to_one_who_is_silent(one_octet, Answer::Silence)]
#[case::messages_that_never_end(new_message, Answer::Silence)]
#[tokio::test]
async fn a_storm_leaves_memory_flat_and_the_chat_beside_it_quick(#[case] frame: Frame, #[case] answer: Answer) {
    const FRAMES: usize = 30_000;
    let authority = Authority::new();
    let rules = Rules::default();
    let relay =
        super::Relay::with_text(&authority, &super::Wish::default(), &rules.text().replace("shards = 2", "shards = 1"));
    let (alice, a) = owner_from(local(2), &relay, &authority, "alice").await;
    let (bob, b) = owner_from(local(3), &relay, &authority, "bob").await;
    talks(&bob, &b, "before").await;
    alice.set_answer(answer);
    let before = relay.resident();
    let stranger = Endpoint::connect_tls(relay.tls, &relay.name, &authority.pem, None).await.expect("a connection");
    let (to, from) = (a.own_path(alice.uri()), stranger.uri().to_owned());
    let storm = async {
        for batch in 0..FRAMES / 500 {
            let mut octets = String::new();
            (0..500).for_each(|n| frame(&mut octets, &to, &from, batch * 500 + n));
            if stranger.write_raw(octets).await.is_err() {
                break;
            }
        }
    };
    let victim = async { while alice.event().await.is_some() {} };
    let bystander = async {
        let (mut slowest, mut rounds) = (Duration::ZERO, 0);
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            slowest = slowest.max(talks(&bob, &b, "beside it").await);
            rounds += 1;
        }
        (slowest, rounds)
    };
    // The victim has to be read all the while; it never comes to an end by itself.
    let (slowest, rounds) = tokio::select! {
        () = victim => panic!("her link was closed"),
        result = async { tokio::join!(storm, bystander).1 } => result,
    };
    let grown = relay.resident().saturating_sub(before);
    println!("slowest of {rounds} rounds: {slowest:?}; {} KiB more", grown >> 10);
    assert!(slowest < PATIENCE / 4, "{slowest:?}");
    assert!(grown < 64 << 20, "{} KiB more", grown >> 10);
    assert!(relay.metric("chappe_buffered_octets") < 4e6);
    assert!(relay.metric("chappe_pending_sends") <= 8192.0 + 2.0);
    // And she still has her session.
    alice.set_answer(Answer::Accept);
    assert_eq!(relay.metric("chappe_sessions"), 2.0);
}
