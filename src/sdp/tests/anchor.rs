//! The anchored section line by line, in both directions.

use rstest::rstest;

use super::*;

const OFFER_BEYOND: &str = "v=0
o=- 90021 1 IN IP4 203.0.113.20
s=-
c=IN IP4 203.0.113.20
t=0 0
m=message 2855 TCP/MSRP *
c=IN IP4 203.0.113.20
a=setup:actpass
a=accept-types:message/cpim text/plain
a=accept-wrapped-types:*
a=max-size:52428800
a=path:msrp://203.0.113.20:2855/ourB0;tcp
";

const ANSWER_BACK: &str = "v=0
o=- 90020 1 IN IP4 203.0.113.20
s=-
c=IN IP4 203.0.113.20
t=0 0
m=message 2855 TCP/MSRP *
c=IN IP4 203.0.113.20
a=setup:passive
a=accept-types:text/plain
a=max-size:52428800
a=path:msrp://203.0.113.20:2855/ourA0;tcp
";

/// SDP-1, SDP-2, SDP-6
#[test]
fn sdp_1_and_sdp_2_the_plain_exchange() {
    let anchor = Anchor::limited(52_428_800);
    assert_eq!(anchor.offer(PLAIN), OFFER_BEYOND);
    assert_eq!(anchor.answer(ANSWER, PLAIN).unwrap(), ANSWER_BACK);
    assert_eq!(anchor.offer(&crlf(PLAIN)), crlf(OFFER_BEYOND));
    assert_eq!(anchor.answer(&crlf(ANSWER), PLAIN).unwrap(), crlf(ANSWER_BACK));
}

/// SDP-99
#[test]
fn sdp_99_nothing_of_the_path_goes_to_the_other_side() {
    let everywhere = PLAIN.replace("t=0 0\n", "t=0 0\na=path:msrp://10.8.0.4:9/session;tcp\n");
    let text = format!("{everywhere}a=candidate:1 1 TCP 1 10.8.0.4 9 typ host\n");
    let sent = Anchor::default().offer(&text);
    assert!(!sent.contains("10.8.0.4") && !sent.contains("Lq7Z") && !sent.contains("session;"), "{sent}");
}

/// What becomes of one line that stands before the path.
/// SDP-27, SDP-32, SDP-53, SDP-100
#[rstest]
#[case::row_times("b=AS:64", Some("b=AS:64"))]
#[case::sdp_27_connection("a=connection:new", None)]
#[case::sdp_32_cema("a=msrp-cema", None)]
#[case::tls_id("a=tls-id:abcdefghijklmnopqrst", None)]
#[case::ice_ufrag("a=ice-ufrag:x", None)]
#[case::candidate("a=candidate:1 1 TCP 1 10.8.0.4 9 typ host", None)]
#[case::remote_candidates("a=remote-candidates:1 10.8.0.4 9", None)]
#[case::end_of_candidates("a=end-of-candidates", None)]
#[case::fingerprint_means_nothing_without_tls("a=fingerprint:sha-256 00", None)]
#[case::sdp_18_sendonly("a=sendonly", Some("a=sendonly"))]
#[case::sdp_51_inactive("a=inactive", Some("a=inactive"))]
#[case::sdp_100_smime(
    "a=accept-wrapped-types:application/pkcs7-mime *",
    Some("a=accept-wrapped-types:application/pkcs7-mime *")
)]
#[case::sdp_65_file("a=file-date:creation:\"x\"  ", Some("a=file-date:creation:\"x\"  "))]
#[case::chatroom("a=chatroom:nickname private-messages", Some("a=chatroom:nickname private-messages"))]
#[case::label("a=label:1", Some("a=label:1"))]
#[case::content("a=content:main", Some("a=content:main"))]
#[case::language("a=lang:de", Some("a=lang:de"))]
#[case::sdp_53_unknown("a=x-foo:  bar ", Some("a=x-foo:  bar "))]
#[case::max_size("a=max-size:10", Some("a=max-size:10"))]
#[case::amb_72_space("a=accept-wrapped-types: *", Some("a=accept-wrapped-types:*"))]
fn sdp_53_lines_of_an_anchored_section(#[case] line: &str, #[case] expected: Option<&str>) {
    let text = PLAIN.replace("a=path", &format!("{line}\na=path"));
    let sent = Anchor::default().offer(&text);
    let before = Anchor::default().offer(PLAIN);
    let expected = match expected {
        Some(line) => before.replace("a=path", &format!("{line}\na=path")),
        None => before,
    };
    assert_eq!(sent, expected);
}

/// SDP-16, ADV-S22
#[rstest]
#[case::sdp_16_lowered("1000000000000", "500")]
#[case::sdp_16_never_raised("400", "400")]
#[case::sdp_16_equal("0500", "0500")]
#[case::adv_s22_zero("0", "0")]
#[case::adv_s22_forty_digits("9999999999999999999999999999999999999999", "500")]
#[case::nonsense("many", "500")]
fn sdp_16_max_size(#[case] received: &str, #[case] sent: &str) {
    let text = PLAIN.replace("a=path", &format!("a=max-size:{received}\na=path"));
    let rewritten = Anchor::limited(500).offer(&text);
    assert!(rewritten.contains(&format!("\na=max-size:{sent}\n")), "{rewritten}");
    assert_eq!(rewritten.matches("max-size").count(), 1);
    // AMB-74: without a limit of ours it is the peer's business.
    assert!(Anchor::default().offer(&text).contains(&format!("\na=max-size:{received}\n")));
    assert!(Anchor::limited(500).offer(PLAIN).contains("\na=max-size:500\n"));
}

#[test]
fn sdp_15_blocked_types_leave_the_lists() {
    let mut anchor = Anchor::default();
    anchor.rules.content.blocked = vec![Blocked::new("image/*").unwrap(), Blocked::new("text/html").unwrap()];
    let lists =
        "a=accept-types:Text/HTML;x=\"a b\"  * image/png text/plain\na=accept-wrapped-types:image/* text/html\n";
    let text = PLAIN.replace("a=accept-types:message/cpim text/plain\na=accept-wrapped-types:*\n", lists);
    let sent = anchor.offer(&text);
    assert!(sent.contains("\na=accept-types:* text/plain\n") && !sent.contains("wrapped"), "{sent}");
    // Nothing left: port 0, though the caller should have seen that before.
    let text = PLAIN.replace("message/cpim text/plain", "text/html");
    let our = anchor.our("B", 0, Protocol::Tcp);
    let draft = rewrite_offer(&parse(&text), &[Slot::Anchor(&our)], &anchor.toward()).unwrap();
    let sent = String::from_utf8(Origin::new(1, anchor.address.clone()).issue(draft)).unwrap();
    assert!(sent.contains("\nm=message 0 TCP/MSRP *\n") && !sent.contains("path"), "{sent}");
    assert!(Blocked::new("*/*").is_none() && Blocked::new("image").is_none() && Blocked::new("a/b c").is_none());
}

/// SDP-54
#[test]
fn sdp_54_the_session_address_stays_where_others_need_it() {
    let audio = "m=audio 40000 RTP/AVP 0\n";
    let sent = Anchor::default().offer(&format!("{PLAIN}{audio}"));
    assert!(
        sent.contains("s=-\nc=IN IP4 10.8.0.4\nt=0 0\nm=message 2855 TCP/MSRP *\nc=IN IP4 203.0.113.20\n"),
        "{sent}"
    );
    let sent = Anchor::default().offer(&format!("{PLAIN}{audio}c=IN IP4 10.8.0.5\n"));
    assert!(sent.contains("s=-\nc=IN IP4 203.0.113.20\nt=0 0\n"), "{sent}");
    assert!(sent.ends_with("m=audio 40000 RTP/AVP 0\nc=IN IP4 10.8.0.5\n"), "{sent}");
}

#[test]
fn sdp_64_session_level_attributes_stay_only_for_others() {
    let session = "a=setup:actpass\na=fingerprint:SHA-256 00\na=tls-id:x\na=ice-ufrag:y\na=msrp-cema\na=sendonly\n";
    let text = PLAIN.replace("t=0 0\n", &format!("t=0 0\n{session}"));
    let sent = Anchor::default().offer(&text);
    assert!(sent.contains("t=0 0\na=sendonly\nm="), "{sent}");
    let sent = Anchor::default().offer(&format!("{text}m=audio 4 RTP/AVP 0\na=fingerprint:SHA-1 11\n"));
    assert!(sent.contains("t=0 0\na=setup:actpass\na=tls-id:x\na=ice-ufrag:y\na=sendonly\nm="), "{sent}");
}

/// SDP-2, SDP-98
#[rstest]
#[case::v4(Address::V4([203, 0, 113, 20].into()), "IN IP4 203.0.113.20", "203.0.113.20")]
#[case::v6(Address::V6("2001:db8::20".parse().unwrap()), "IN IP6 2001:db8::20", "[2001:db8::20]")]
#[case::name(Address::Name("gate.north.example".into(), Family::V6), "IN IP6 gate.north.example", "gate.north.example")]
fn sdp_98_and_sdp_2_address_and_path_agree(#[case] address: Address, #[case] line: &str, #[case] host: &str) {
    let anchor = Anchor { address, ..Anchor::default() };
    let v6 = PLAIN.replace("IP4 10.8.0.4", "IP6 2001:db8::4").replace("10.8.0.4", "[2001:db8::4]");
    for text in [PLAIN, &v6] {
        let sent = anchor.offer(text);
        assert_eq!(sent.matches(&format!("\nc={line}\n")).count(), 2, "{sent}");
        assert!(sent.contains(&format!("\na=path:msrp://{host}:2855/ourB0;tcp\n")), "{sent}");
        let section = section(&sent).unwrap();
        assert!(address_matches_path(&section, &[], &[]) && section.first.port() == Some(section.port));
    }
}

#[rstest]
#[case::no_port(0, "token")]
#[case::empty(2855, "")]
#[case::injected(2855, "x;tcp\r\na=path:y")]
#[case::parameter(2855, "x;tls")]
#[case::slash_only_is_no_session(2855, "?")]
fn sdp_7_our_uri_is_one_or_none(#[case] port: u16, #[case] session_id: &str) {
    let address = Address::V4([192, 0, 2, 1].into());
    assert!(OurUri::new(address, Protocol::Tls, port, session_id).is_err());
    let odd = Address::Name("h/x".into(), Family::V4);
    assert!(OurUri::new(odd, Protocol::Tcp, 1, "x").is_err());
    let fine = Anchor::default().our("B", 7, Protocol::Tls);
    assert_eq!(fine.text(), "msrps://203.0.113.20:2855/ourB7;tcp");
    assert!(!format!("{fine:?}").contains("ourB7"), "a token in a log");
}

/// SDP-12, SDP-46, ADV-S20
#[test]
fn sdp_46_and_sdp_12_the_version_counts_our_own_changes() {
    let anchor = Anchor::default();
    let mut origin = Origin::new(42, anchor.address.clone());
    assert_eq!(origin.repeat(), None);
    let first = origin.issue(anchor.draft_offer(PLAIN));
    assert_eq!(origin.issue(anchor.draft_offer(PLAIN)), first);
    // ADV-S20: whatever the peer's version does.
    let backwards = PLAIN.replace("o=lena 61 1", "o=lena 61 9223372036854775808999");
    assert_eq!(origin.issue(anchor.draft_offer(&backwards)), first);
    assert_eq!(origin.repeat().as_ref(), Some(&first));
    let held = format!("{PLAIN}a=inactive\n");
    for (text, version) in [(held.as_str(), 2), (PLAIN, 3), (PLAIN, 3), (held.as_str(), 4)] {
        let sent = String::from_utf8(origin.issue(anchor.draft_offer(text))).unwrap();
        assert!(sent.starts_with(&format!("v=0\no=- 42 {version} IN IP4 203.0.113.20\ns=-\n")), "{sent}");
    }
}

/// SDP-1
#[test]
fn where_our_lines_go_that_had_no_place() {
    let text = "v=0\no=- 1 1 IN IP4 192.0.2.9\ns=\nt=0 0\nm=message 9 TCP/TLS/MSRP *\ni=title\nb=AS:1\n\
                a=path:msrps://192.0.2.9:9/x;tcp\na=accept-types:*";
    let sent = Anchor::limited(7).offer(text);
    let digest = |hex: &str, length: usize| vec![hex; length].join(":");
    let expected = format!(
        "m=message 2855 TCP/TLS/MSRP *\ni=title\nc=IN IP4 203.0.113.20\nb=AS:1\na=setup:actpass\n\
         a=fingerprint:SHA-256 {}\na=fingerprint:SHA-384 {}\na=max-size:7\n\
         a=path:msrps://203.0.113.20:2855/ourB0;tcp\na=accept-types:*",
        digest("AB", 32),
        digest("CD", 48)
    );
    assert!(sent.ends_with(&expected), "{sent}");
}

/// SDP-63
#[test]
fn a_plan_that_does_not_fit_is_the_callers_mistake() {
    let anchor = Anchor::default();
    let (tcp, tls) = (anchor.our("B", 0, Protocol::Tcp), anchor.our("B", 0, Protocol::Tls));
    let (plain, secure) = (parse(PLAIN), parse(SECURE));
    let toward = anchor.toward();
    let error =
        |description: &Description<'_>, slots: &[Slot<'_>]| rewrite_offer(description, slots, &toward).unwrap_err();
    assert_eq!(error(&plain, &[]), RewriteError::Slots);
    // SDP-63: nothing but the configuration changes the protocol.
    assert_eq!(error(&secure, &[Slot::Anchor(&tcp)]), RewriteError::Protocol(0));
    assert_eq!(error(&plain, &[Slot::Anchor(&tls)]), RewriteError::Protocol(0));
    let audio = PLAIN.replace("m=message", "m=audio");
    assert_eq!(error(&parse(&audio), &[Slot::Anchor(&tcp)]), RewriteError::NotMessage(0));
    assert_eq!(error(&parse(&audio), &[Slot::Tunnel(None)]), RewriteError::NotMessage(0));
    let no_path = PLAIN.replace("a=path", "a=x");
    assert_eq!(error(&parse(&no_path), &[Slot::Anchor(&tcp)]), RewriteError::NotMessage(0));
    assert_eq!(
        rewrite_answer(&plain, &parse(&format!("{PLAIN}m=a 1 b c\n")), &[Slot::Keep], &toward),
        Err(RewriteError::Slots)
    );
    assert_eq!(rewrite_answer(&plain, &secure, &[Slot::Anchor(&tcp)], &toward), Err(RewriteError::Protocol(0)));
}
