//! Later offers, compared with what was accepted before.

use rstest::rstest;

use super::*;

fn change(before: &str, now: &str, connected: bool) -> Change {
    let live = |text| section(text).ok().filter(|section| section.port != 0);
    Change::of(live(before).as_ref(), live(now).as_ref(), connected)
}

fn moved(path: &str) -> String {
    PLAIN.replace("msrp://10.8.0.4:9/Lq7ZtB2mXv9Ks4Rd;tcp", path)
}

/// ADV-S20
#[rstest]
#[case::sdp_12_nothing(PLAIN.to_owned(), Update::Refresh)]
#[case::adv_s20_version_alone(PLAIN.replace("61 1", "61 0"), Update::Refresh)]
#[case::adv_s20_text_under_the_same_version(format!("{PLAIN}a=inactive\n"), Update::Changed)]
#[case::other_media(format!("{PLAIN}m=audio 4 RTP/AVP 0\n"), Update::Changed)]
fn sdp_12_the_text_decides(#[case] now: String, #[case] expected: Update) {
    assert_eq!(update(&parse(PLAIN), &parse(&now)), Ok(expected));
}

/// SDP-47
#[test]
fn sdp_47_fewer_m_lines() {
    let fault = update(&parse(&format!("{PLAIN}m=audio 4 RTP/AVP 0\n")), &parse(PLAIN)).unwrap_err();
    assert_eq!((fault, Refusal::from(fault).status), (DescriptionFault::FewerSections, 488));
}

/// SDP-51
#[rstest]
#[case::sdp_51_hold(format!("{PLAIN}a=sendonly\n"))]
#[case::old_style_hold(PLAIN.replace("c=IN IP4 10.8.0.4", "c=IN IP4 0.0.0.0"))]
#[case::accept_types(PLAIN.replace("text/plain", "text/html"))]
#[case::max_size(format!("{PLAIN}a=max-size:5\n"))]
#[case::setup_is_irrelevant(PLAIN.replace("setup:active", "setup:passive"))]
fn sdp_51_only_attributes_changed(#[case] now: String) {
    assert_eq!(change(PLAIN, &now, true), Change::Stays);
    assert_eq!(update(&parse(PLAIN), &parse(&now)), Ok(Update::Changed));
    assert!(!Change::Stays.needs_uri());
}

#[rstest]
#[case::sdp_11_another_session(moved("msrp://10.8.0.4:9/other;tcp"), true, Change::Replaced)]
#[case::sdp_93_connection_is_down(format!("{PLAIN}a=x\n"), false, Change::Replaced)]
#[case::another_relay(moved("msrp://r.example:1/r;tcp msrp://10.8.0.4:9/Lq7ZtB2mXv9Ks4Rd;tcp"), true, Change::Rerouted { reconnect: true })]
#[case::the_same_in_another_spelling(moved("MSRP://10.8.0.4:9/Lq7ZtB2mXv9Ks4Rd;TCP"), true, Change::Rerouted { reconnect: false })]
#[case::protocol(PLAIN.replace("TCP/MSRP", "TCP/TLS/MSRP").replace("msrp://", "msrps://"), true, Change::BeginsAnew)]
#[case::sdp_48_port_zero(PLAIN.replace("message 9", "message 0"), true, Change::Ends)]
#[case::other_media(PLAIN.replace("m=message 9 TCP/MSRP *", "m=audio 9 RTP/AVP 0"), true, Change::Ends)]
fn sdp_11_and_sdp_10_what_became_of_a_session(#[case] now: String, #[case] connected: bool, #[case] expected: Change) {
    assert_eq!(change(PLAIN, &now, connected), expected);
    let needs_uri = matches!(expected, Change::Replaced | Change::BeginsAnew);
    assert_eq!(expected.needs_uri(), needs_uri);
}

#[test]
fn another_relay_behind_the_first_hop() {
    let before = moved("msrp://r.example:1/r;tcp msrp://s.example:1/s;tcp msrp://10.8.0.4:9/Lq7Z;tcp");
    let now = moved("msrp://r.example:1/r;tcp msrp://t.example:1/t;tcp msrp://10.8.0.4:9/Lq7Z;tcp");
    assert_eq!(change(&before, &now, true), Change::Rerouted { reconnect: false });
}

#[test]
fn sdp_50_a_slot_is_used_again() {
    let zero = PLAIN.replace("message 9", "message 0");
    assert_eq!(change(&zero, PLAIN, true), Change::Begins);
    assert_eq!(change(&zero, &zero, true), Change::None);
    assert_eq!(Change::of(None, section(PLAIN).ok().as_ref(), true), Change::Begins);
    assert!(Change::Begins.needs_uri() && !Change::Ends.needs_uri());
}

/// SDP-67, SDP-69
#[test]
fn sdp_67_and_sdp_69_files() {
    let file = |id: &str, port: u16| {
        PLAIN.replace("message 9", &format!("message {port}"))
            + &format!("a=file-selector:size:5\na=file-transfer-id:{id}\n")
    };
    let transfer = |before: &str, now: &str| Transfer::of(&section(before).unwrap(), &section(now).unwrap());
    assert_eq!(transfer(&file("a", 9), &file("a", 9)), Transfer::Same);
    assert_eq!(transfer(&file("a", 9), &file("b", 9)), Transfer::Other);
    assert_eq!(transfer(PLAIN, &file("a", 9)), Transfer::Other);
    assert_eq!(transfer(PLAIN, PLAIN), Transfer::None);
    // Another file in the same session keeps URI and connection; SDP-69: port 0 ends this one alone.
    assert_eq!(change(&file("a", 9), &file("b", 9), true), Change::Stays);
    assert_eq!(change(&file("a", 9), &file("a", 0), true), Change::Ends);
    assert_eq!(change(PLAIN, PLAIN, true), Change::Stays);
}

#[test]
fn sdp_73_a_refused_offer_leaves_nothing_behind() {
    let anchor = Anchor::default();
    let mut origin = Origin::new(1, anchor.address.clone());
    origin.issue(anchor.draft_offer(PLAIN));
    origin.issue(anchor.draft_offer(&format!("{PLAIN}a=inactive\n")));
    // Refused: the next offer is what was valid before, under a version that was never used.
    let again = String::from_utf8(origin.issue(anchor.draft_offer(PLAIN))).unwrap();
    assert!(again.contains("o=- 1 3 ") && again.contains("/ourB0;tcp"));
}
