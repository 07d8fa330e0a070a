//! CEMA (RFC 6714): tunnels, and the duties of an endpoint.

use std::net::IpAddr;

use rstest::rstest;

use super::*;

fn tunnelling() -> Anchor {
    Anchor { rules: Rules { tunnels: Tunnels::Tls, ..Rules::default() }, ..Anchor::default() }
}

#[test]
fn sdp_33_and_sdp_34_only_address_and_port_change() {
    let expected = SECURE
        .replace("m=message 51200", "m=message 30412")
        .replace("c=IN IP4 192.0.2.33", "c=IN IP4 203.0.113.20")
        .replace("o=lena 61 1 IN IP4 192.0.2.33", "o=- 90021 1 IN IP4 203.0.113.20");
    assert_eq!(tunnelling().offer(SECURE), expected);
    // In the peer's own spelling.
    let lower = |text: &str| text.replace("TCP/TLS/MSRP", "tcp/tls/msrp");
    assert_eq!(tunnelling().offer(&lower(SECURE)), lower(&expected));
    let answer = SECURE
        .replace("m=message 51200", "m=message 9")
        .replace("c=IN IP4 192.0.2.33", "c=IN IP4 198.51.100.70")
        .replace("setup:actpass", "setup:active");
    let expected = answer
        .replace("c=IN IP4 198.51.100.70", "c=IN IP4 203.0.113.20")
        .replace("o=lena 61 1 IN IP4 192.0.2.33", "o=- 90020 1 IN IP4 203.0.113.20");
    // The answerer connects, so nobody connects to a port of ours: it stays 9.
    assert_eq!(tunnelling().answer(&answer, SECURE).unwrap(), expected);
}

/// SDP-32
#[test]
fn sdp_32_an_anchor_never_passes_cema_on() {
    let anchor = Anchor::default();
    assert!(!anchor.offer(SECURE).contains("cema"));
    let answer = SECURE.replace("setup:actpass", "setup:passive");
    assert!(!anchor.answer(&answer, SECURE).unwrap().contains("cema"));
}

#[rstest]
#[case::passive(true, "passive", false, true, Tunnel::Splice { accept: Side::Offerer, connect: Destination::ConnectionLine })]
#[case::absent(true, "x", false, true, Tunnel::Splice { accept: Side::Offerer, connect: Destination::ConnectionLine })]
#[case::active(true, "active", false, true, Tunnel::Splice { accept: Side::Answerer, connect: Destination::ConnectionLine })]
#[case::sdp_40_no_cema_one_uri(false, "passive", false, true, Tunnel::Splice { accept: Side::Offerer, connect: Destination::Path })]
#[case::sdp_38_no_cema_active(false, "active", false, true, Tunnel::AwaitOffer)]
#[case::sdp_38_no_cema_behind_relays(false, "passive", false, false, Tunnel::AwaitOffer)]
#[case::sdp_38_offerer_behind_relay_becomes_active(false, "passive", true, true, Tunnel::AwaitOffer)]
#[case::offerer_behind_relay_answerer_active(true, "active", true, true, Tunnel::Splice { accept: Side::Answerer, connect: Destination::ConnectionLine })]
fn sdp_38_and_sdp_40_what_an_answer_makes_of_a_tunnel(
    #[case] cema: bool,
    #[case] setup: &str,
    #[case] offerer_has_relay: bool,
    #[case] answerer_is_alone: bool,
    #[case] expected: Tunnel,
) {
    let relayed = SECURE.replace("a=path:", "a=path:msrps://relay.example:2855/r;tcp ");
    let offer = if offerer_has_relay { relayed.as_str() } else { SECURE };
    let mut answer = if answerer_is_alone { SECURE.to_owned() } else { relayed.clone() };
    answer = answer.replace("setup:actpass", &format!("setup:{setup}"));
    if !cema {
        answer = answer.replace("a=msrp-cema\n", "");
    }
    assert_eq!(Tunnel::of(&section(offer).unwrap(), &section(&answer).unwrap()), expected);
}

/// SDP-37
#[rstest]
#[case::equal("IN IP4 192.0.2.33", "192.0.2.33", &[], &[], true)]
#[case::sdp_36_another("IN IP4 192.0.2.34", "192.0.2.33", &[], &[], false)]
#[case::sdp_37_long_form("IN IP6 2001:0db8:0:0:0:0:0:1", "[2001:db8::1]", &[], &[], true)]
#[case::sdp_37_name_in_the_path("IN IP4 192.0.2.33", "h.example", &[], &["192.0.2.32", "192.0.2.33"], true)]
#[case::sdp_37_name_in_the_line("IN IP6 h.example", "[2001:db8::1]", &["2001:db8::2", "2001:db8::1"], &[], true)]
#[case::same_name_needs_no_address("IN IP4 H.example", "h.example", &[], &[], true)]
#[case::other_names("IN IP4 h.example", "g.example", &["192.0.2.1"], &["192.0.2.2"], false)]
fn sdp_36_and_sdp_37_address_and_path(
    #[case] line: &str,
    #[case] host: &str,
    #[case] of_line: &[&str],
    #[case] of_path: &[&str],
    #[case] expected: bool,
) {
    let text = SECURE
        .replace("IN IP4 192.0.2.33\na=", &format!("{line}\na="))
        .replace("msrps://192.0.2.33", &format!("msrps://{host}"));
    let addresses = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
    let section = section(&text).unwrap();
    assert_eq!(address_matches_path(&section, &addresses(of_line), &[addresses(of_path)]), expected);
    let other_port = MessageSection { port: 9, ..section };
    assert!(!address_matches_path(&other_port, &addresses(of_line), &[addresses(of_path)]));
    assert_eq!(Refusal::from(SectionFault::AddressDiffers).status, 488);
}
