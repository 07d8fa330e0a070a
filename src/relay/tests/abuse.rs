//! Storms and guesses: what a peer gains by them, and what they cost the others.

use rstest::rstest;

use super::chunk::{Request, pattern};
use super::end::Answer;
use super::network::Network;
use super::scene::{GATE, INES, Scene, TOMAS};
use crate::relay::{CloseReason, RefusalKind};

/// Octets of the URI in front of its session-id, the session-id, and what is behind it.
fn cut(token: &str) -> (&str, &str, &str) {
    let (head, id) = token.rsplit_once('/').expect("a session-id");
    (head, id.strip_suffix(";tcp").expect("a transport"), ";tcp")
}

/// The session-id with another character at this place, so that it still has the form of ours.
fn altered(token: &str, place: usize) -> String {
    let (head, id, tail) = cut(token);
    let mut id = id.as_bytes().to_vec();
    id[place] = if id[place] == b'A' { b'B' } else { b'A' };
    format!("{head}/{}{tail}", String::from_utf8(id).expect("letters"))
}

#[test]
fn adv_r09_a_storm_of_reports_costs_its_receiver_one_queue_and_is_never_answered() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.read(s.ines, false);
    let token = s.token.clone();
    let report = |i: usize| {
        let r = Request::new("REPORT", &[&token, INES], TOMAS).id(&format!("m{i}")).range("1-1/1");
        r.line("Status: 000 200 OK").body(pattern(10_000)).octets()
    };
    for batch in 0..20 {
        let storm: Vec<u8> = (0..50).flat_map(|i| report(batch * 50 + i)).collect();
        s.net.write(tomas, storm);
        // The queue of responses, one frame beyond it, and the batch under way, which was such a queue.
        assert!(s.relay().buffered() <= (2 << 20) + 12_000, "{}", s.relay().buffered());
    }
    assert!(s.net.ends[tomas].frames.is_empty(), "nothing is ever said about a REPORT");
    let passed = s.net.ends[s.ines].reports().len();
    assert_eq!(passed, 0, "she reads nothing yet");
    s.net.read(s.ines, true);
    let (passed, dropped) = (s.net.ends[s.ines].reports().len() as u64, s.relay().counts().reports_dropped);
    assert_eq!(passed + dropped, 1000);
    assert!(passed >= 100 && dropped > 0, "{passed} passed");
    assert_eq!(s.relay().buffered(), 0);
    let send = s.back().id("after").body("still here");
    s.net.write(tomas, send.octets());
    assert_eq!(s.net.last(s.ines).body, b"still here");
}

#[rstest]
#[case::answered(Answer::Ok)]
#[case::never_answered(Answer::Nothing)]
fn adv_r16_a_storm_of_one_octet_chunks_is_bounded_and_arrives_in_order(#[case] answer: Answer) {
    const CHUNKS: usize = 10_000;
    let mut s = Scene::new().tomas_answers(answer);
    let body = pattern(CHUNKS);
    let chunk = |i: usize| {
        let flag = if i + 1 == CHUNKS { '$' } else { '+' };
        s.send().id("m1").range(&format!("{}-{}/{CHUNKS}", i + 1, i + 1)).body(&body[i..=i]).flag(flag).octets()
    };
    let all: Vec<Vec<u8>> = (0..CHUNKS).map(chunk).collect();
    for batch in all.chunks(500) {
        s.net.write(s.ines, batch.concat());
        assert!(s.relay().pending_count() <= 4096, "{}", s.relay().pending_count());
        assert!(s.relay().buffered() <= 256 << 10, "{}", s.relay().buffered());
    }
    let arrived = s.net.ends[s.tomas()].content("m1");
    if answer == Answer::Ok {
        assert_eq!(arrived, body);
    } else {
        assert_eq!(arrived, body[..4096], "what was accepted, and not an octet behind what was refused");
        assert_eq!(s.relay().counts().refusals[RefusalKind::TooMany as usize], CHUNKS as u64 - 4096);
    }
    s.net.seconds(40);
    assert_eq!((s.relay().pending_count(), s.relay().buffered()), (0, 0));
    assert!(!s.net.ends[s.ines].closed);
}

#[test]
fn adv_r17_messages_that_never_end_leave_nothing_behind() {
    let mut s = Scene::new();
    for batch in 0..20 {
        let begun = |i: usize| s.send().id(&format!("m{}", batch * 500 + i)).range("1-3/9").body("abc").flag('+');
        let all: Vec<u8> = (0..500).flat_map(|i| begun(i).octets()).collect();
        s.net.write(s.ines, all);
        assert_eq!((s.relay().pending_count(), s.relay().buffered()), (0, 0));
    }
    assert_eq!(s.net.ends[s.tomas()].sends().len(), 10_000);
    assert_eq!(s.relay().way_count(), 1);
}

/// Wrong in the secret, in the label, of another start of the relay, of no form at all: whoever guesses learns nothing, and
/// has three tries for each connection.
#[test]
fn a_guessed_token_is_answered_like_any_other() {
    let s = Scene::new();
    let (head, ..) = cut(&s.token);
    let wrong = [altered(&s.token, 30), altered(&s.token, 9), altered(&s.token, 4), altered(&s.token, 7)];
    let mut net = s.net;
    let mut answers = Vec::new();
    for token in wrong.into_iter().chain([format!("{head}/guess;tcp"), format!("{head}/{};tcp", "A".repeat(31))]) {
        let stranger = net.client(0);
        for i in 1..=3 {
            let r = Request::send(&[&token, INES], TOMAS).id("m").body("let me in");
            net.write(stranger, r.octets());
            let answer = net.last(stranger);
            answers.push((answer.code(), answer.header("To-Path"), answer.header("From-Path") == token));
            assert_eq!(net.ends[stranger].closed, i == 3);
        }
    }
    assert_eq!(answers.len(), 18);
    assert!(answers.iter().all(|a| *a == (Some(481), TOMAS.to_owned(), true)), "{answers:?}");
    assert!(net.closed.iter().all(|reason| *reason == CloseReason::Probation), "{:?}", net.closed);
    assert!(net.ends[s.ines].frames.iter().all(|f| !f.is_send()), "she never hears of it");
}

/// One client's stray octets count against its own connection.
#[test]
fn guesses_do_not_touch_who_owns_the_token() {
    let mut s = Scene::new().introduced();
    let mut strangers = 0;
    for _ in 0..200 {
        let stranger = s.net.client(0);
        strangers += 1;
        for place in [9, 20, 30] {
            let r = Request::send(&[&altered(&s.token, place), INES], TOMAS).id("m").body("x");
            s.net.write(stranger, r.octets());
        }
        assert!(s.net.ends[stranger].closed);
    }
    assert_eq!(s.relay().counts().refusals[RefusalKind::NoSession as usize], 3 * strangers);
    let send = s.send().id("m2").body("hello");
    let tid = s.ines_writes(&send);
    assert_eq!(s.codes(&tid), [200]);
}

/// Without one fact about the account, every wrong AUTH looks the same; that it takes as long is shown beside the digest.
#[test]
fn an_unknown_user_and_a_wrong_password_get_the_same_words() {
    let mut net = Network::new();
    let relay = net.relay(Network::settings(GATE));
    net.account("ines", GATE, "another password");
    let us = format!("msrps://{GATE};tcp");
    let mut shapes = Vec::new();
    for user in ["ines", "nobody"] {
        let end = net.client(relay);
        let answer = net.try_auth(end, &[&us], INES, user, &[]);
        let challenge = answer.header("WWW-Authenticate");
        let nonce = super::chunk::parameter(&challenge, "nonce");
        shapes.push((answer.code(), challenge.replace(&nonce, "NONCE"), nonce.len()));
    }
    assert_eq!(shapes[0], shapes[1]);
    assert_eq!(shapes[0].0, Some(401));
}
