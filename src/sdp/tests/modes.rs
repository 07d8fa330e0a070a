//! Which m-line becomes what.

use rstest::rstest;

use super::*;

fn mode(text: &str, rules: &Rules, ownership: Ownership) -> Mode {
    Offer::assess(&parse(text), rules, |_| ownership).lines[0].mode()
}

fn rules(tunnels: Tunnels) -> Rules {
    Rules { tunnels, ..Rules::default() }
}

fn cema(text: &str) -> String {
    text.replace("a=accept-types", "a=msrp-cema\na=accept-types")
}

/// SDP-31
#[rstest]
#[case::other_media("m=audio 9 RTP/AVP 0", Mode::Foreign)]
#[case::sdp_102_data_channel("m=message 9 UDP/DTLS/SCTP webrtc-datachannel", Mode::Foreign)]
#[case::other_protocol("m=message 9 TCP/BFCP *", Mode::Foreign)]
#[case::sdp_48_port_zero("m=message 0 TCP/MSRP *", Mode::Removed)]
#[case::sdp_31_no_cema("m=message 9 TCP/MSRP *", Mode::Anchored)]
#[case::case_does_not_hide_it("m=Message 9 tcp/msrp *", Mode::Anchored)]
fn by_the_m_line(#[case] line: &str, #[case] expected: Mode) {
    let text = PLAIN.replace("m=message 9 TCP/MSRP *", line);
    assert_eq!(mode(&text, &rules(Tunnels::All), Ownership::Foreign), expected);
}

/// SDP-102
#[test]
fn sdp_102_a_data_channel_is_passed_as_it_is() {
    let line = "m=message 9 UDP/DTLS/SCTP webrtc-datachannel\na=path:msrps://[::1]:54111/si4;dc\n";
    let text = format!("{PLAIN}{line}");
    assert!(Anchor::default().offer(&text).ends_with(line));
    let tolerated = PLAIN.replace("Rd;tcp", "Rd;dc");
    assert_eq!(mode(&tolerated, &Rules::default(), Ownership::Foreign), Mode::Anchored);
}

#[test]
fn anchoring_switched_off() {
    let off = Rules { anchoring: false, ..Rules::default() };
    assert_eq!(mode(&PLAIN.replace("a=path", "a=x"), &off, Ownership::OursUnknown), Mode::PassedThrough);
}

#[test]
fn sdp_95_our_own_client_is_not_anchored_again() {
    // Our own address may be one that is refused in others' paths.
    let text = PLAIN.replace("10.8.0.4", "127.0.0.1");
    assert_eq!(mode(&text, &Rules::default(), Ownership::Ours), Mode::Relayed);
    let kept = rewrite_offer(&parse(&text), &[Slot::Keep], &Anchor::default().toward()).unwrap();
    let sent = Origin::new(5, Address::V4([127, 0, 0, 1].into())).issue(kept);
    let expected = text.replace("o=lena 61 1 IN IP4 127.0.0.1", "o=- 5 1 IN IP4 127.0.0.1");
    assert_eq!(String::from_utf8(sent).unwrap(), expected);
}

#[test]
fn sdp_96_an_expired_session_of_ours() {
    let description = parse(PLAIN);
    let offer = Offer::assess(&description, &Rules::default(), |_| Ownership::OursUnknown);
    assert!(matches!(offer.lines[0], Offered::Refused(SectionFault::SessionUnknown)));
    assert_eq!(offer.refusal(&description).unwrap().status, 488);
}

/// SDP-31
#[rstest]
#[case::sdp_33_over_tls(SECURE, rules(Tunnels::Tls), Mode::Tunnelled)]
#[case::tunnels_off(SECURE, rules(Tunnels::Never), Mode::Anchored)]
#[case::amb_69_plain_is_anchored(&cema(PLAIN), rules(Tunnels::Tls), Mode::Anchored)]
#[case::plain_by_switch(&cema(PLAIN), rules(Tunnels::All), Mode::Tunnelled)]
#[case::sdp_31_offer_without_cema(PLAIN, rules(Tunnels::All), Mode::Anchored)]
#[case::interworking(SECURE, Rules { interworking: Some(Protocol::Tcp), ..rules(Tunnels::All) }, Mode::Anchored)]
#[case::interworking_that_changes_nothing(SECURE,
    Rules { interworking: Some(Protocol::Tls), ..rules(Tunnels::All) }, Mode::Tunnelled)]
#[case::size_control(SECURE,
    Rules { content: Content { max_size: Some(1), blocked: vec![] }, ..rules(Tunnels::All) }, Mode::Anchored)]
#[case::types_blocked(SECURE, Rules { content: Content { max_size: None,
    blocked: vec![Blocked::new("text/html").unwrap()] }, ..rules(Tunnels::All) }, Mode::Anchored)]
fn with_cema(#[case] text: &str, #[case] rules: Rules, #[case] expected: Mode) {
    assert_eq!(mode(text, &rules, Ownership::Foreign), expected);
}
