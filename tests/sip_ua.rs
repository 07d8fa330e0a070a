//! The bench's user agent against itself, and what it must not let pass: nothing here needs a program from elsewhere.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;

use std::time::Duration;

use rstest::rstest;
use sip::Transport::{self, Tcp, Udp};
use sip::ua::{Agent, Draft, Message, msrp_sdp, sdp_version};

const A: &str = "msrp://127.0.0.1:7001/alice1;tcp";
const B: &str = "msrp://127.0.0.1:7002/bob1;tcp";

async fn both(transport: Transport) -> (Agent, Agent) {
    (Agent::new("alice", transport).await, Agent::new("bob", transport).await)
}

/// A call that has been taken: what is a handle to it at either side.
async fn call(a: &mut Agent, b: &mut Agent) -> (Message, Message) {
    let invite = a.invite(&b.uri(), &msrp_sdp(A, "actpass")).await;
    let got = b.expect("INVITE").await;
    assert_eq!(got.path(), A);
    b.reply(&got, 180).await;
    a.response(&invite, 180).await;
    b.answer(&got, &msrp_sdp(B, "passive")).await;
    let ok = a.response(&invite, 200).await;
    assert_eq!(ok.path(), B);
    a.ack(&ok).await;
    b.expect("ACK").await;
    (ok, got)
}

#[rstest]
#[tokio::test]
async fn a_call_and_its_end_from_either_side(#[values(Udp, Tcp)] transport: Transport) {
    let (mut a, mut b) = both(transport).await;
    for callee_ends in [false, true] {
        let (ok, got) = call(&mut a, &mut b).await;
        let (from, handle, to) = if callee_ends { (&mut b, &got, &mut a) } else { (&mut a, &ok, &mut b) };
        let bye = from.within(handle, "BYE", Draft::new()).await;
        let heard = to.expect("BYE").await;
        to.reply(&heard, 200).await;
        from.response(&bye, 200).await;
    }
    a.quiet();
    b.quiet();
}

#[rstest]
#[tokio::test]
async fn an_offer_in_the_200_is_answered_in_the_ack(#[values(Udp, Tcp)] transport: Transport) {
    let (mut a, mut b) = both(transport).await;
    let invite = a.request("INVITE", &b.uri(), Draft::new()).await;
    let got = b.expect("INVITE").await;
    assert!(!got.has_sdp());
    b.answer(&got, &msrp_sdp(B, "actpass")).await;
    let ok = a.response(&invite, 200).await;
    a.ack_with(&ok, Draft::sdp(&msrp_sdp(A, "active"))).await;
    assert_eq!(b.expect("ACK").await.path(), A);
}

#[rstest]
#[tokio::test]
async fn cancel_and_refusals_are_acknowledged_hop_by_hop(#[values(Udp, Tcp)] transport: Transport) {
    let (mut a, mut b) = both(transport).await;
    let invite = a.invite(&b.uri(), &msrp_sdp(A, "actpass")).await;
    let got = b.expect("INVITE").await;
    b.reply(&got, 180).await;
    a.response(&invite, 180).await;
    let cancel = a.cancel(&invite, Draft::new().header("Reason", "SIP;cause=200")).await;
    let heard = b.expect("CANCEL").await;
    assert_eq!((heard.branch(), heard.cseq().0), (got.branch(), got.cseq().0));
    b.reply(&heard, 200).await;
    b.reply(&got, 487).await;
    a.response(&cancel, 200).await;
    let refused = a.response(&invite, 487).await;
    a.ack(&refused).await;
    let ack = b.expect("ACK").await;
    assert_eq!((ack.branch(), ack.tag("To")), (got.branch(), refused.tag("To")));
    let invite = a.invite(&b.uri(), &msrp_sdp(A, "actpass")).await;
    let got = b.expect("INVITE").await;
    b.reply_with(&got, 302, Draft::new().header("Contact", "<sip:carol@127.0.0.1:9>")).await;
    assert_eq!(a.final_response(&invite).await.contact(), "sip:carol@127.0.0.1:9");
}

#[tokio::test]
async fn requests_within_a_call_in_both_directions() {
    let (mut a, mut b) = both(Udp).await;
    let (ok, got) = call(&mut a, &mut b).await;
    let info = a.within(&ok, "INFO", Draft::new().body("text/x-test", "one")).await;
    let heard = b.expect_in(&got, "INFO").await;
    assert_eq!(heard.body, b"one");
    b.reply(&heard, 200).await;
    a.response(&info, 200).await;
    let second = "msrp://127.0.0.1:7003/bob2;tcp";
    let again = b.reinvite(&got, &sdp_version(second, "actpass", 2, "a=sendonly\r\n")).await;
    let heard = a.expect("INVITE").await;
    assert_eq!((heard.path().as_str(), heard.attributes("sendonly").len()), (second, 1));
    a.answer(&heard, &sdp_version(A, "active", 2, "a=recvonly\r\n")).await;
    let accepted = b.response(&again, 200).await;
    b.ack(&accepted).await;
    assert_eq!(a.expect("ACK").await.cseq().0, again.cseq().0);
    let update = a.within(&ok, "UPDATE", Draft::new().header("Session-Expires", "90;refresher=uac")).await;
    let heard = b.expect("UPDATE").await;
    b.reply(&heard, 200).await;
    a.response(&update, 200).await;
}

#[tokio::test]
async fn crossing_offers_are_refused_and_acknowledged() {
    let (mut a, mut b) = both(Tcp).await;
    let (ok, got) = call(&mut a, &mut b).await;
    let ours = a.reinvite(&ok, &sdp_version(A, "actpass", 2, "")).await;
    let theirs = b.reinvite(&got, &sdp_version(B, "actpass", 2, "")).await;
    let (at_a, at_b) = (a.expect("INVITE").await, b.expect("INVITE").await);
    a.reply(&at_a, 491).await;
    b.reply(&at_b, 491).await;
    let (no_a, no_b) = (a.response(&ours, 491).await, b.response(&theirs, 491).await);
    a.ack(&no_a).await;
    b.ack(&no_b).await;
    assert_eq!(a.expect("ACK").await.branch(), theirs.branch());
    assert_eq!(b.expect("ACK").await.branch(), ours.branch());
}

#[tokio::test]
async fn a_reliable_183_and_its_prack() {
    let (mut a, mut b) = both(Udp).await;
    let invite = a.request("INVITE", &b.uri(), Draft::sdp(&msrp_sdp(A, "actpass")).header("Supported", "100rel")).await;
    let got = b.expect("INVITE").await;
    let draft = Draft::sdp(&msrp_sdp(B, "passive")).header("Require", "100rel").header("RSeq", "71");
    b.reply_with(&got, 183, draft).await;
    let early = a.response(&invite, 183).await;
    let prack = a.prack(&early, Draft::new()).await;
    let heard = b.expect("PRACK").await;
    assert_eq!(heard.header("RAck"), Some("71 1 INVITE"));
    b.reply(&heard, 200).await;
    a.response(&prack, 200).await;
    b.reply(&got, 200).await;
    let ok = a.response(&invite, 200).await;
    a.ack(&ok).await;
    b.expect("ACK").await;
}

#[tokio::test]
async fn two_devices_make_two_dialogs() {
    let (mut a, mut b) = both(Udp).await;
    let invite = a.invite(&b.uri(), &msrp_sdp(A, "actpass")).await;
    let got = b.expect("INVITE").await;
    b.reply_as(&got, "one", 180, Draft::new()).await;
    b.reply_as(&got, "two", 183, Draft::new()).await;
    let first = a.response(&invite, 180).await;
    b.reply_as(&got, "two", 200, Draft::sdp(&msrp_sdp(B, "passive"))).await;
    b.reply_as(&got, "one", 200, Draft::sdp(&msrp_sdp(B, "passive"))).await;
    let (winner, other) = (a.response(&invite, 200).await, a.response(&invite, 200).await);
    assert_eq!((winner.tag("To").as_deref(), other.tag("To")), (Some("two"), first.tag("To")));
    for ok in [&winner, &other] {
        a.ack(ok).await;
        assert_eq!(b.expect("ACK").await.tag("To"), ok.tag("To"));
    }
    let bye = a.within(&other, "BYE", Draft::new()).await;
    let heard = b.expect("BYE").await;
    assert_eq!(heard.tag("To").as_deref(), Some("one"));
    b.reply(&heard, 200).await;
    a.response(&bye, 200).await;
}

#[tokio::test]
async fn repetitions_are_counted_and_not_told() {
    let (mut a, mut b) = both(Udp).await;
    let invite = a.invite(&b.uri(), &msrp_sdp(A, "actpass")).await;
    let got = b.expect("INVITE").await;
    a.again(&invite).await;
    a.again(&invite).await;
    b.heard_times(&got, 3).await;
    let sent = b.answer(&got, &msrp_sdp(B, "passive")).await;
    let ok = a.response(&invite, 200).await;
    b.again(&sent).await;
    a.heard_times(&ok, 2).await;
    let ack = a.ack(&ok).await;
    a.again(&ack).await;
    let heard = b.expect("ACK").await;
    b.heard_times(&heard, 2).await;
    a.quiet_for(Duration::from_millis(20)).await;
    b.quiet();
}

#[tokio::test]
async fn headers_and_multipart_bodies_arrive_as_they_were_sent() {
    let (mut a, mut b) = both(Tcp).await;
    let odd = "aB;q=\"\u{e9}\\\"x\" ,,  two  spaces";
    let body = format!(
        "--frontier\r\nContent-Type: application/sdp\r\n\r\n{}\r\n--frontier\r\nContent-Type: image/png\r\n\r\nicon\r\n\
         --frontier--\r\n",
        msrp_sdp(A, "actpass")
    );
    let draft = Draft::new()
        .header("X-Chappe-Test", odd)
        .header("X-Empty", "")
        .instead("Max-Forwards", "3")
        .without("Allow")
        .body("multipart/related; type=\"application/sdp\"; boundary=frontier", &body);
    a.request("INVITE", &b.uri(), draft).await;
    let got = b.expect("INVITE").await;
    assert_eq!(got.header("X-Chappe-Test"), Some(odd));
    assert_eq!((got.header("X-Empty"), got.header("Max-Forwards"), got.header("Allow")), (Some(""), Some("3"), None));
    assert_eq!((got.path().as_str(), got.body.as_slice()), (A, body.as_bytes()));
}

#[tokio::test]
async fn a_challenge_is_answered() {
    // RFC 2617 section 3.2.2; the expected value was worked out apart from this code.
    let (mut a, mut b) = both(Udp).await;
    let first = a.invite(&b.uri(), &msrp_sdp(A, "actpass")).await;
    let got = b.expect("INVITE").await;
    let challenge = "Digest realm=\"here\", nonce=\"abc\", qop=\"auth\", algorithm=MD5";
    b.reply_with(&got, 407, Draft::new().header("Proxy-Authenticate", challenge)).await;
    let asked = a.response(&first, 407).await;
    a.ack(&asked).await;
    b.expect("ACK").await;
    let second = a.with_credentials(&first, &asked, "alice", "secret").await;
    let got = b.expect("INVITE").await;
    assert_eq!((got.cseq().0, got.call_id()), (2, first.call_id()));
    assert_ne!(got.branch(), first.branch());
    let given = got.need("Proxy-Authorization");
    assert!(given.contains("username=\"alice\"") && given.contains("nc=00000001"), "{given}");
    b.reply(&got, 200).await;
    a.response(&second, 200).await;
}

/// Sends this to a caller that awaits a response.
async fn hears(change: impl Fn(String) -> String) {
    let (mut a, mut b) = both(Udp).await;
    a.patience = Duration::from_secs(1);
    let invite = a.invite(&b.uri(), &msrp_sdp(A, "actpass")).await;
    let got = b.expect("INVITE").await;
    let sent = b.answer(&got, &msrp_sdp(B, "passive")).await;
    a.response(&invite, 200).await;
    let text = String::from_utf8(sent.raw.clone()).expect("text");
    let changed = change(text.clone());
    assert_ne!(text, changed, "nothing was changed");
    b.raw(changed.as_bytes(), a.address()).await;
    a.response(&invite, 200).await;
}

#[rstest]
#[case::via("Via: ", "Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKelse\r\nVia: ", "one Via, ours")]
#[case::branch("branch=z9hG4bK", "branch=z9hG4bKnot", "has asked nothing that this answers")]
#[case::from("From: <sip:alice", "From: <sip:mallory", "From of")]
#[case::contact("Contact: <", "X-Contact: <", "one Contact")]
#[case::length("Content-Length: ", "Content-Length: 1", "no message")]
#[case::header("Call-ID: ", "Call ID: ", "no message")]
#[tokio::test]
async fn the_judge_lets_no_broken_response_pass(#[case] old: &str, #[case] new: &str, #[case] why: &str) {
    let (old, new) = (old.to_owned(), new.to_owned());
    let heard = tokio::spawn(async move { hears(|text| text.replacen(&old, &new, 1)).await }).await;
    let panic = heard.expect_err("it was let pass").into_panic();
    let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains(why), "{said}");
}

/// Sends an INVITE or BYE that is not as it should be.
async fn hears_request(method: &'static str, draft: Draft) {
    let (mut a, mut b) = both(Udp).await;
    b.patience = Duration::from_secs(1);
    if method == "BYE" {
        let (ok, _) = call(&mut a, &mut b).await;
        a.within(&ok, method, draft).await;
    } else {
        a.request(method, &b.uri(), draft).await;
    }
    b.expect(method).await;
}

#[rstest]
#[case::forwards("INVITE", Draft::new().without("Max-Forwards"), "no Max-Forwards")]
#[case::tag("INVITE", Draft::new().instead("From", "<sip:alice@127.0.0.1>"), "no tag in From")]
#[case::method("INVITE", Draft::new().instead("CSeq", "1 BYE"), "the CSeq of")]
#[case::contact("INVITE", Draft::new().without("Contact"), "one Contact")]
#[case::cseq("BYE", Draft::new().instead("CSeq", "1 BYE"), "does not rise")]
#[case::twice("INVITE", Draft::new().header("Call-ID", "again"), "more than once")]
#[tokio::test]
async fn the_judge_lets_no_broken_request_pass(#[case] method: &'static str, #[case] draft: Draft, #[case] why: &str) {
    let heard = tokio::spawn(hears_request(method, draft)).await;
    let panic = heard.expect_err("it was let pass").into_panic();
    let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
    assert!(said.contains(why), "{said}");
}

#[tokio::test]
#[should_panic(expected = "has also heard")]
async fn what_is_left_over_is_no_silence() {
    let (mut a, mut b) = both(Tcp).await;
    a.request("OPTIONS", &b.uri(), Draft::new()).await;
    b.quiet_for(Duration::from_millis(200)).await;
}
