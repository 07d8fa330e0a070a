//! What a received section must be, and what is tolerated (section 9 of the rules; ADV-S rows).

use rstest::rstest;

use super::*;
use crate::msrp::{PathError, UriError};

/// `PLAIN` with one line replaced; without the line where `line` is empty.
fn with(start: &str, line: &str) -> String {
    let replaced = PLAIN.lines().filter_map(|old| match old.starts_with(start) {
        true if line.is_empty() => None,
        true => Some(line),
        false => Some(old),
    });
    replaced.map(|line| format!("{line}\n")).collect()
}

/// SDP-3, SDP-6, SDP-13, ADV-S01, ADV-S02, ADV-S03, ADV-S05
#[rstest]
#[case::sdp_6_no_path("a=path", "", SectionFault::PathMissing)]
#[case::sdp_13_no_accept_types("a=accept-types", "", SectionFault::AcceptTypesMissing)]
#[case::sdp_13_empty_accept_types("a=accept-types", "a=accept-types: ", SectionFault::AcceptTypesMissing)]
#[case::adv_s01_empty("a=path", "a=path:", SectionFault::Path(PathError::Empty))]
#[case::adv_s05_port_70000("m=", "m=message 70000 TCP/MSRP *", SectionFault::Port)]
#[case::adv_s05_port_negative("m=", "m=message -1 TCP/MSRP *", SectionFault::Port)]
#[case::adv_s05_port_range("m=", "m=message 2855/2 TCP/MSRP *", SectionFault::Port)]
#[case::adv_s05_no_format("m=", "m=message 2855 TCP/MSRP", SectionFault::Format)]
#[case::adv_s05_other_format("m=", "m=message 2855 TCP/MSRP text/plain", SectionFault::Format)]
#[case::sdp_6_name_without_port("a=path", "a=path:msrp://a.example/x;tcp", SectionFault::PortImplicit)]
#[case::numeric_without_port("a=path", "a=path:msrp://192.0.2.1/x;tcp",
    SectionFault::Path(PathError::Uri { index: 0, error: UriError::PortMissing }))]
#[case::adv_s12_percent_crlf("a=path", "a=path:msrp://a%0D%0Ab:1/x y;tcp",
    SectionFault::Path(PathError::Uri { index: 0, error: UriError::TransportMissing }))]
#[case::scheme_of_the_other_protocol("a=path", "a=path:msrps://a.example:1/x;tcp", SectionFault::Scheme)]
#[case::sdp_64_path_at_session_level_is_none("s=", "s=-\na=path:msrp://a.example:1/x;tcp", SectionFault::PathTwice)]
#[case::adv_s03_loopback("a=path", "a=path:msrp://127.0.0.1:22/x;tcp", SectionFault::Host)]
#[case::adv_s03_mapped_loopback("a=path", "a=path:msrp://[::ffff:127.0.0.1]:22/x;tcp", SectionFault::Host)]
#[case::adv_s03_unspecified("a=path", "a=path:msrp://[::]:22/x;tcp", SectionFault::Host)]
#[case::adv_s03_multicast("a=path", "a=path:msrp://224.0.0.1:2200/x;tcp", SectionFault::Host)]
#[case::adv_s02_two_paths("a=setup", "a=path:msrp://a.example:1/x;tcp", SectionFault::PathTwice)]
#[case::adv_s02_in_other_case("a=setup", "a=Path:msrp://a.example:1/x;tcp", SectionFault::PathTwice)]
fn sdp_3_not_acceptable(#[case] start: &str, #[case] line: &str, #[case] fault: SectionFault) {
    let mut text = with(start, line);
    if start == "s=" {
        text = text.replace("a=path:msrp://10.8.0.4:9/Lq7ZtB2mXv9Ks4Rd;tcp\n", "");
        assert_eq!(refused(&text, &Rules::default()), Some(SectionFault::PathMissing));
        return;
    }
    assert_eq!(refused(&text, &Rules::default()), Some(fault));
    // Alone: 488 with a warning. Beside another m-line: port 0 there, and the slot is kept.
    let refusal = assess(&text, &Rules::default()).refusal(&parse(&text)).unwrap();
    assert!(refusal.status == 488 && matches!(refusal.warning, Some((304 | 399, _))), "{refusal:?}");
    let text = format!("{text}m=audio 40000 RTP/AVP 0\n");
    assert_eq!(assess(&text, &Rules::default()).refusal(&parse(&text)), None);
    let sent = Anchor::default().offer(&text);
    assert!(sent.contains("\nm=message 0 TCP/MSRP *\n") && sent.ends_with("m=audio 40000 RTP/AVP 0\n"), "{sent}");
    assert!(!sent.contains("a=path"), "{sent}");
}

/// SDP-53, ADV-S22, ADV-S30
#[rstest]
#[case::amb_67_port_differs("m=", "m=message 4711 TCP/MSRP *")]
#[case::no_role("a=setup", "")]
#[case::iop_34_two_connections("a=setup", "a=connection:new\na=connection:new")]
#[case::sdp_53_unknown_attribute("a=setup", "a=x-file-offset\na=x-foo: \u{e9}")]
#[case::amb_72_space_behind_the_colon("a=accept-types", "a=accept-types: text/plain")]
#[case::amb_72_space_before_the_path("a=path", "a=path: msrp://192.0.2.1:9/x;tcp")]
#[case::media_types_in_any_case("a=accept-types", "a=accept-types:Message/CPIM")]
#[case::name_in_the_address("c=", "c=IN IP4 lena.example")]
#[case::no_address("c=", "")]
#[case::address_of_a_held_call("c=", "c=IN IP4 0.0.0.0")]
#[case::ws_15_at_the_right_end("a=path", "a=path:msrp://r.example:2855/t;tcp msrp://x.invalid:2855/y;ws")]
#[case::websocket_where_we_are_connected_to("a=path", "a=path:msrp://x.invalid:2855/y;ws")]
#[case::adv_s30_trailing_dot("a=path", "a=path:msrp://XN--A.Example.:2855/y;tcp")]
#[case::adv_s22_nothing_accepted_by_size("a=setup", "a=max-size:0")]
#[case::adv_s22_forty_digits("a=setup", "a=max-size:9999999999999999999999999999999999999999")]
fn what_is_tolerated(#[case] start: &str, #[case] line: &str) {
    assert_eq!(refused(&with(start, line), &Rules::default()), None);
}

/// SDP-8, SDP-9, ADV-S01
#[test]
fn sdp_9_and_sdp_8_sixteen_uris_are_the_target_path() {
    let uris = |count: usize| (0..count).map(|n| format!("msrp://r{n}.example:1/x;tcp")).collect::<Vec<_>>();
    let text = with("a=path", &format!("a=path:{}", uris(16).join("  ")));
    let read = section(&text).unwrap();
    assert_eq!(read.target_path(), uris(16).join(" ").as_bytes());
    assert!(read.first.host_is("r0.example") && read.last.host_is("r15.example") && read.is_behind_relays());
    let text = with("a=path", &format!("a=path:{}", uris(10_000).join(" ")));
    let all = Limits { octets: 1 << 20, ..Limits::default() };
    let description = Description::parse(text.as_bytes(), &all).unwrap();
    let fault = MessageSection::parse(&description, 0, &all).unwrap_err();
    assert_eq!(fault, SectionFault::Path(PathError::TooMany));
}

/// ADV-S12
#[rstest]
#[case::in_the_host("msrp://a%0D%0Ab.example:1/x;tcp", Some("a%0d%0ab.example"))]
#[case::in_the_session("msrp://a.example:1/x%0d%0ay;tcp", Some("a.example"))]
#[case::in_a_parameter("msrp://a.example:1/x;tcp;y=%0D%0A", Some("a.example"))]
#[case::a_header_in_the_session("msrp://a.example:1/x%0d%0aX-Odd:%20y;tcp", None)]
#[case::tab("msrp://a.example:1/x\u{9}y;tcp", None)]
fn a_line_end_in_a_path_is_refused_or_stays_as_it_is_written(#[case] uri: &str, #[case] host: Option<&str>) {
    let text = with("a=path", &format!("a=path:{uri}"));
    let found = section(&text).ok();
    assert_eq!(found.as_ref().map(|section| section.first.host_string()).as_deref(), host);
    assert!(found.is_none_or(|section| section.target_path() == uri.as_bytes()));
}

/// ADV-S30
#[test]
fn a_host_keeps_its_spelling_in_the_path_and_loses_its_dot_where_it_is_asked_for() {
    let uri = "msrp://XN--A.Example.:2855/y;tcp";
    let text = with("a=path", &format!("a=path:{uri}"));
    let section = section(&text).unwrap();
    assert_eq!(section.target_path(), uri.as_bytes());
    assert!(section.first.host_is("xn--a.example") && !section.first.host_is("a.example"));
    assert_eq!(section.first.host_string(), "xn--a.example");
}

/// ADV-S01
#[test]
fn adv_s01_one_long_uri() {
    let text = with("a=path", &format!("a=path:msrp://h.example:1/{};tcp", "x".repeat(1 << 15)));
    assert_eq!(section(&text).unwrap_err(), SectionFault::Path(PathError::TooLong));
}

#[test]
fn ws_21_no_websocket_where_we_connect() {
    let offer = with("a=path", "a=path:msrp://x.invalid:2855/y;ws").replace("setup:active", "setup:passive");
    assert_eq!(refused(&offer, &Rules::default()), Some(SectionFault::Transport));
}

/// ADV-S01, ADV-S06, ADV-S11, ADV-S12, ADV-S21
#[rstest]
#[case::adv_s11_size(format!("{PLAIN}a=x:{}\n", "y".repeat(65_536)), DescriptionFault::TooLong, 413)]
#[case::many_lines(format!("{PLAIN}{}", "a=x\n".repeat(5000)), DescriptionFault::TooManyLines, 413)]
#[case::adv_s11_nul(format!("{PLAIN}a=x:\0\n"), DescriptionFault::Nul, 400)]
#[case::bare_cr(format!("{PLAIN}a=x:\ra=path:y\n"), DescriptionFault::BareCr, 400)]
#[case::half_an_end(format!("{PLAIN}a=x\r"), DescriptionFault::BareCr, 400)]
#[case::adv_s12_folded(format!("{PLAIN} folded\n"), DescriptionFault::Line, 400)]
#[case::no_equals_sign(format!("{PLAIN}ax\n"), DescriptionFault::Line, 400)]
#[case::empty_line_inside(PLAIN.replace("t=0 0\n", "t=0 0\n\n"), DescriptionFault::Line, 400)]
#[case::nothing(String::new(), DescriptionFault::Version, 400)]
#[case::other_version(PLAIN.replace("v=0", "v=1"), DescriptionFault::Version, 400)]
#[case::no_origin(PLAIN.replace("o=", "x="), DescriptionFault::Origin, 400)]
#[case::two_origins(PLAIN.replace("t=0 0", "o=- 1 1 IN IP4 192.0.2.1"), DescriptionFault::Origin, 400)]
#[case::two_fields(PLAIN.replace("m=message 9 TCP/MSRP *", "m=message 9"), DescriptionFault::MediaLine, 400)]
#[case::adv_s06_thousand_lines(format!("{PLAIN}{}", "m=a 1 b c\n".repeat(1000)), DescriptionFault::TooManySections, 488)]
#[case::seventeen(format!("{PLAIN}{}", "m=message 1 TCP/MSRP *\n".repeat(16)), DescriptionFault::TooManyMessageSections, 488)]
fn descriptions_that_cannot_be_worked_with(#[case] text: String, #[case] fault: DescriptionFault, #[case] status: u16) {
    assert_eq!(Description::parse(text.as_bytes(), &Limits::default()).unwrap_err(), fault);
    assert_eq!(Refusal::from(fault).status, status);
}

/// ADV-S11
#[test]
fn adv_s11_line_feeds_alone_and_text_that_is_no_utf_8() {
    let mut text = crlf(PLAIN).into_bytes();
    text.extend_from_slice(b"a=x:\xff\xfe\r\n\r\n");
    let description = Description::parse(&text, &Limits::default()).unwrap();
    let anchor = Anchor::default();
    let our = anchor.our("B", 0, Protocol::Tcp);
    let draft = rewrite_offer(&description, &[Slot::Anchor(&our)], &anchor.toward()).unwrap();
    let sent = Origin::new(1, anchor.address.clone()).issue(draft);
    assert!(sent.ends_with(b"\r\na=x:\xff\xfe\r\n\r\n"));
    assert!(!Anchor::default().offer(PLAIN).contains('\r'));
}

#[test]
fn adv_s11_a_line_of_ours_ends_like_the_one_it_replaces() {
    let mixed = PLAIN.replace("v=0\n", "v=0\r\n").replace("a=setup:active\n", "a=setup:active\r\n");
    let sent = Anchor::default().offer(&mixed);
    let ends = |start: &str| sent.split_inclusive('\n').find(|line| line.starts_with(start)).unwrap().ends_with("\r\n");
    assert!(ends("v=0") && ends("o=") && ends("a=setup") && !ends("m=") && !ends("a=path"), "{sent:?}");
}

#[test]
fn sdp_14_and_sdp_15_types_are_matched_as_senders_must() {
    let text = with("a=accept-types", "a=accept-types:Text/Plain;charset=\"a b\" image/* ;x");
    let types = section(&text).unwrap().accept_types;
    assert_eq!(types.entries().count(), 3);
    assert!(types.accepts(b"text/plain") && types.accepts(b"TEXT/PLAIN; charset=utf-8") && types.accepts(b"image/png"));
    assert!(!types.accepts(b"text/html") && !types.accepts(b"imagery/png") && !types.accepts(b"message/cpim"));
    // AMB-78: a wildcard includes CPIM.
    for wildcard in ["*", "message/*"] {
        let text = with("a=accept-types", &format!("a=accept-types:{wildcard}"));
        assert!(section(&text).unwrap().accept_types.accepts(b"message/cpim"));
    }
}

#[test]
fn sdp_5_the_connection_line_is_kept_apart_from_the_path() {
    let section_text = with("c=", "c=IN IP4 198.51.100.77");
    let section = section(&section_text).unwrap();
    assert_eq!(section.address, Some(Address::V4([198, 51, 100, 77].into())));
    assert!(section.first.host_is("10.8.0.4"));
}

/// SDP-4, SDP-97
#[test]
fn sdp_4_and_sdp_97_equal_ports_and_equal_uris_relate_nothing() {
    let one = PLAIN.split_once("m=").unwrap().1;
    let text = format!("{PLAIN}m={one}");
    assert_eq!(assess(&text, &Rules::default()).modes(), [Mode::Anchored, Mode::Anchored]);
    let sent = Anchor::default().offer(&text);
    // AMB-66: each has a URI of ours for itself.
    assert!(sent.contains("/ourB0;tcp") && sent.contains("/ourB1;tcp"), "{sent}");
}

#[rstest]
#[case::amb_71_tls_required(Rules { tls_required: true, ..Rules::default() }, PLAIN, SectionFault::TlsRequired)]
#[case::fingerprint_required(Rules { fingerprint_required: true, ..Rules::default() },
    &SECURE.replace("a=fingerprint", "a=x-fingerprint"), SectionFault::FingerprintMissing)]
#[case::sdp_104_signalling(Rules { fingerprints_trusted: false, ..Rules::default() }, SECURE,
    SectionFault::SignallingInsecure)]
#[case::nothing_accepted(Rules { content: Content { blocked: vec![Blocked::new("message/*").unwrap(),
    Blocked::new("TEXT/plain").unwrap()], max_size: None }, ..Rules::default() }, PLAIN, SectionFault::NothingAccepted)]
fn sdp_104_and_other_policies(#[case] rules: Rules, #[case] text: &str, #[case] fault: SectionFault) {
    assert_eq!(refused(text, &Rules::default()), None);
    assert_eq!(refused(text, &rules), Some(fault));
    let tolerant = Rules { accept_loopback: true, ..Rules::default() };
    assert_eq!(refused(&PLAIN.replace("10.8.0.4", "127.0.0.1"), &tolerant), None);
}
