//! Tables of roles: who connects.

use rstest::rstest;

use super::*;

const ACTIVE: Option<Setup> = Some(Setup::Active);
const PASSIVE: Option<Setup> = Some(Setup::Passive);
const ACTPASS: Option<Setup> = Some(Setup::Actpass);

/// SDP-29
#[rstest]
#[case::absent_absent(None, None, Side::Offerer)]
#[case::absent_passive(None, PASSIVE, Side::Offerer)]
#[case::active_is_no_answer_to_absent(None, ACTIVE, Side::Offerer)]
#[case::active_passive(ACTIVE, PASSIVE, Side::Offerer)]
#[case::active_absent(ACTIVE, None, Side::Offerer)]
#[case::active_active(ACTIVE, ACTIVE, Side::Offerer)]
#[case::actpass_passive(ACTPASS, PASSIVE, Side::Offerer)]
#[case::actpass_absent(ACTPASS, None, Side::Offerer)]
#[case::actpass_active(ACTPASS, ACTIVE, Side::Answerer)]
#[case::passive_active(PASSIVE, ACTIVE, Side::Answerer)]
#[case::iop_34_actpass_in_the_answer(ACTPASS, ACTPASS, Side::Offerer)]
fn sdp_29_endpoints(#[case] offer: Option<Setup>, #[case] answer: Option<Setup>, #[case] active: Side) {
    assert_eq!(active_side(offer, answer), active);
}

/// SDP-20, SDP-26, SDP-29, SDP-101
#[rstest]
#[case::absent(None, Setup::Passive, Connects::Peer)]
#[case::active(ACTIVE, Setup::Passive, Connects::Peer)]
#[case::actpass(ACTPASS, Setup::Passive, Connects::Peer)]
#[case::iop_34_passive_in_the_offer(PASSIVE, Setup::Active, Connects::We)]
fn sdp_26_a_leg_that_offers(#[case] offer: Option<Setup>, #[case] ours: Setup, #[case] connects: Connects) {
    assert_eq!(Setup::in_answer_to(offer), ours);
    assert_eq!(Connects::on_offer(offer), connects);
}

/// SDP-29, SDP-101
#[rstest]
#[case::passive(PASSIVE, Connects::We)]
#[case::absent(None, Connects::We)]
#[case::amb_70_nonsense(ACTPASS, Connects::We)]
#[case::sdp_101_active_makes_us_the_server(ACTIVE, Connects::Peer)]
fn sdp_29_a_leg_that_answers(#[case] answer: Option<Setup>, #[case] connects: Connects) {
    assert_eq!(Connects::on_answer(answer), connects);
}

/// SDP-20, SDP-21
#[rstest]
#[case("active", ACTIVE)]
#[case("passive", PASSIVE)]
#[case(" ActPass ", ACTPASS)]
#[case::sdp_21_holdconn_is_no_role("holdconn", None)]
#[case::nonsense("sideways", None)]
fn sdp_20_values(#[case] value: &str, #[case] setup: Option<Setup>) {
    let text = PLAIN.replace("setup:active", &format!("setup:{value}"));
    assert_eq!(section(&text).unwrap().setup, setup);
}

/// SDP-19, SDP-21, SDP-22, SDP-26
#[rstest]
#[case("active", "passive")]
#[case("actpass", "passive")]
#[case("holdconn", "passive")]
#[case("passive", "active")]
fn sdp_19_every_offer_and_answer_has_one_explicit_role(#[case] offered: &str, #[case] answered: &str) {
    let anchor = Anchor::default();
    let offer = PLAIN.replace("a=setup:active", &format!("a=setup:{offered}"));
    for offer in [offer.clone(), offer.replace(&format!("a=setup:{offered}\n"), "")] {
        let sent = anchor.offer(&offer);
        assert_eq!(sent.matches("a=setup:").count(), 1);
        // SDP-22: never passive in an offer; SDP-21: holdconn never sent.
        assert!(sent.contains("\na=setup:actpass\n"), "{sent}");
    }
    let told = anchor.answer(ANSWER, &offer).unwrap();
    assert!(told.contains(&format!("\na=setup:{answered}\n")) && told.matches("a=setup:").count() == 1, "{told}");
}

#[test]
fn sdp_23_what_is_offered_actpass_is_our_own_place() {
    let sent = Anchor::default().offer(PLAIN);
    let section = section(&sent).unwrap();
    assert_eq!((section.setup, section.port), (ACTPASS, 2855));
    assert!(section.first.host_is("203.0.113.20") && section.first.port() == Some(2855));
}

/// SDP-22, SDP-64
#[test]
fn sdp_22_a_session_level_role_does_not_hide_behind_ours() {
    let offer = PLAIN.replace("a=setup:active\n", "").replace("t=0 0\n", "t=0 0\na=setup:passive\n");
    assert_eq!(section(&offer).unwrap().setup, PASSIVE);
    let sent = Anchor::default().offer(&offer);
    assert!(!sent.contains("passive") && sent.contains("a=setup:actpass"), "{sent}");
}

/// SDP-24
#[test]
fn sdp_24_port_9_is_fine_for_who_connects() {
    assert_eq!(refused(PLAIN, &Rules::default()), None);
    let section = section(PLAIN).unwrap();
    assert_eq!((section.port, Connects::on_offer(section.setup)), (9, Connects::Peer));
}

/// SDP-27
#[test]
fn sdp_27_connection_is_neither_sent_nor_obeyed() {
    let offer = PLAIN.replace("a=setup:active\n", "a=setup:active\na=connection:new\na=connection:existing\n");
    assert!(!Anchor::default().offer(&offer).contains("a=connection"));
    let (before, now) = (section(PLAIN).unwrap(), section(&offer).unwrap());
    assert_eq!(Change::of(Some(&before), Some(&now), true), Change::Stays);
}
