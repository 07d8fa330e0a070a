//! Answers: how they must fit the offer, and what the offerer is told.

use rstest::rstest;

use super::*;

fn fault(answer: &str, offer: &str) -> AnswerFault {
    let fault = Anchor::default().answer(answer, offer).unwrap_err();
    assert_eq!(Refusal::from(fault), Refusal { status: 502, warning: None });
    fault
}

fn message(answer: &str) -> String {
    format!("m={}", answer.split_once("m=").unwrap().1)
}

/// SDP-43
#[rstest]
fn sdp_43_number_and_order_of_the_m_lines(#[values(1, 2, 8, 16)] count: usize) {
    let more = |text: &str| format!("{text}{}", message(text).repeat(count - 1));
    let told = Anchor::default().answer(&more(ANSWER), &more(PLAIN)).unwrap();
    assert_eq!(parse(&told).media_lines().len(), count);
    assert!(told.contains(&format!("/ourA{};tcp", count - 1)));
    // ADV-S07.
    assert_eq!(fault(&format!("{}m=audio 0 RTP/AVP 0\n", more(ANSWER)), &more(PLAIN)), AnswerFault::Count);
}

#[test]
fn adv_s07_and_adv_s08_answers_to_something_else() {
    assert_eq!(fault(&ANSWER.replace("m=message", "m=audio"), PLAIN), AnswerFault::Media(0));
    assert_eq!(fault(ANSWER, SECURE), AnswerFault::Protocol(0));
    assert_eq!(fault(&ANSWER.replace("TCP/MSRP", "TCP/TLS/MSRP"), PLAIN), AnswerFault::Protocol(0));
    let (none, removed) = ("v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nt=0 0\n", PLAIN.replace("message 9", "message 0"));
    assert_eq!(fault(none, PLAIN), AnswerFault::Count);
    assert_eq!(fault(ANSWER, &removed), AnswerFault::Revived(0));
    let index = 0;
    let no_path = ANSWER.replace("a=path", "a=x");
    assert_eq!(fault(&no_path, PLAIN), AnswerFault::Section { index, fault: SectionFault::PathMissing });
    let loopback = ANSWER.replace("msrp://198.51.100.9", "msrp://127.0.0.1");
    assert_eq!(fault(&loopback, PLAIN), AnswerFault::Section { index, fault: SectionFault::Host });
    let description = AnswerFault::from(DescriptionFault::Nul);
    assert_eq!(Refusal::from(description).status, 502);
}

/// SDP-8, SDP-9
#[test]
fn sdp_8_and_sdp_9_an_answer_by_way_of_relays() {
    let path = "msrp://relay.example:9000/r;tcp msrp://inner.example:1/i;tcp msrp://198.51.100.9:40118/Ov3n;tcp";
    let answer = ANSWER.replace("msrp://198.51.100.9:40118/Ov3nHs6YtE1wQa8U;tcp", path);
    let section = section(&answer).unwrap();
    assert_eq!(section.target_path(), path.as_bytes());
    assert!(section.first.host_is("relay.example") && section.last.host_is("198.51.100.9"));
    let told = Anchor::default().answer(&answer, PLAIN).unwrap();
    assert!(told.contains("\na=path:msrp://203.0.113.20:2855/ourA0;tcp\n") && !told.contains("relay.example"));
}

#[test]
fn a_far_side_that_has_us_as_its_relay() {
    let anchor = Anchor::default();
    let sent = anchor.offer(PLAIN);
    let judge = |ownership| {
        let answer = ANSWER.replace("198.51.100.9", "127.0.0.1");
        let lines = assess_answer(&parse(&sent), &[Mode::Anchored], &parse(&answer), &anchor.rules, |_| ownership);
        lines.map(|lines| matches!(lines[0], Answered::Accepted(_)))
    };
    assert_eq!(judge(Ownership::Ours), Ok(true));
    let fault = SectionFault::SessionUnknown;
    assert_eq!(judge(Ownership::OursUnknown), Err(AnswerFault::Section { index: 0, fault }));
}

/// SDP-3
#[test]
fn sdp_3_and_sdp_48_port_zero_in_the_answer() {
    let declined = "v=0\no=omar 7 1 IN IP4 198.51.100.9\ns=-\nt=0 0\nm=message 0 TCP/MSRP *\na=path:msrp://x:1/y;tcp\n";
    let told = Anchor::default().answer(declined, PLAIN).unwrap();
    let expected = "v=0\no=- 90020 1 IN IP4 203.0.113.20\ns=-\nt=0 0\nm=message 0 TCP/MSRP *\nc=IN IP4 203.0.113.20\n";
    assert_eq!(told, expected);
}

/// SDP-47
#[test]
fn sdp_47_and_sdp_48_a_removed_line_keeps_its_slot() {
    let offer = "v=0\no=lena 61 2 IN IP4 10.8.0.4\ns=-\nc=IN IP4 10.8.0.4\nt=0 0\nm=audio 40000 RTP/AVP 0\nm=message 0 TCP/MSRP *\n";
    let sent = Anchor::default().offer(offer);
    assert!(sent.ends_with("m=audio 40000 RTP/AVP 0\nm=message 0 TCP/MSRP *\n"), "{sent}");
    let told = Anchor::default().answer(offer, offer).unwrap();
    assert!(told.ends_with("m=audio 40000 RTP/AVP 0\nm=message 0 TCP/MSRP *\n"), "{told}");
}

/// SDP-44
#[test]
fn sdp_44_the_time_of_the_offer() {
    let told = Anchor::default().answer(&ANSWER.replace("t=0 0", "t=0 1"), PLAIN).unwrap();
    assert!(told.contains("\nt=0 0\n") && !told.contains("t=0 1"), "{told}");
}

/// SDP-45
#[rstest]
#[case("sendonly", "recvonly", "recvonly")]
#[case("sendonly", "inactive", "inactive")]
#[case("sendonly", "sendrecv", "recvonly")]
#[case("sendonly", "sendonly", "inactive")]
#[case("sendonly", "", "recvonly")]
#[case("recvonly", "sendonly", "sendonly")]
#[case("recvonly", "", "sendonly")]
#[case("inactive", "sendrecv", "inactive")]
#[case("sendrecv", "sendonly", "sendonly")]
#[case("sendrecv", "", "")]
#[case("", "recvonly", "recvonly")]
fn sdp_45_and_sdp_18_directions(#[case] offered: &str, #[case] answered: &str, #[case] told: &str) {
    let with = |text: &str, word: &str| match word {
        "" => text.to_owned(),
        word => text.replace("a=accept-types", &format!("a={word}\na=accept-types")),
    };
    let answer = Anchor::default().answer(&with(ANSWER, answered), &with(PLAIN, offered)).unwrap();
    let words = ["sendrecv", "sendonly", "recvonly", "inactive"];
    let found: Vec<&str> =
        answer.lines().filter_map(|line| words.into_iter().find(|word| line == format!("a={word}"))).collect();
    assert_eq!(found.join(" "), told, "{answer}");
    // SDP-51: a hold changes neither URI nor port.
    assert!(answer.contains("m=message 2855 ") && answer.contains("/ourA0;tcp"));
}

/// SDP-63
#[test]
fn sdp_63_interworking_only_by_configuration() {
    let mut anchor = Anchor::default();
    assert!(anchor.offer(SECURE).contains("m=message 2855 TCP/TLS/MSRP *"));
    anchor.rules.interworking = Some(Protocol::Tcp);
    let sent = anchor.offer(SECURE);
    assert!(sent.contains("\nm=message 2855 TCP/MSRP *\n") && sent.contains("\na=path:msrp://"), "{sent}");
    assert!(!sent.contains("fingerprint"), "{sent}");
    let told = anchor.answer(ANSWER, SECURE).unwrap();
    assert!(told.contains("\nm=message 2855 TCP/TLS/MSRP *\n") && told.contains("\na=path:msrps://"), "{told}");
    assert!(told.contains("\na=fingerprint:SHA-256 AB:AB:"), "{told}");
    // Declined: the offer's protocol all the same.
    let told = anchor.answer(&ANSWER.replace("message 40118", "message 0"), SECURE).unwrap();
    assert!(told.contains("\nm=message 0 TCP/TLS/MSRP *\n"), "{told}");
}
