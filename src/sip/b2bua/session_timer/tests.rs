//! SDP-82 to SDP-87 and ADV-S19, each over all combinations of what the other side may say.

use rstest::rstest;

use super::*;

const START: Moment = Moment::from_nanos(7_000_000_000);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn wishes(interval: u64, minimum: u64) -> Wishes {
    Wishes { interval: secs(interval), minimum: secs(minimum) }
}

fn headers(lines: &[(&str, &str)]) -> Headers {
    lines.iter().filter(|(_, value)| !value.is_empty()).copied().collect()
}

/// What a request with these values is answered: the value of Session-Expires, and whether Require names the timer.
fn answered(wishes: &Wishes, lines: &[(&str, &str)]) -> Result<(Option<SessionTimer>, String, bool), TooSmall> {
    let mut response = Headers::default();
    let timer = accept(wishes, &headers(lines), &mut response)?;
    let required = list::contains(&response, "Require", "timer");
    Ok((timer, response.first("Session-Expires").unwrap_or_default().to_owned(), required))
}

const TIMER: &str = "100rel, TIMER";

/// SDP-83, ADV-S19
#[rstest]
#[case::copied(TIMER, "1200", "", "1200;refresher=uac")]
#[case::lowered(TIMER, "7200;refresher=uas", "", "1800;refresher=uas")]
#[case::not_below_min_se(TIMER, "7200", "3600", "3600;refresher=uac")]
#[case::smallest(TIMER, "300;Refresher = UAC", "300;x=y", "300;refresher=uac")]
#[case::asked_by_us(TIMER, "", "", "1800;refresher=uac")]
#[case::asked_by_us_not_below_min_se(TIMER, "", "2400", "2400;refresher=uac")]
#[case::unreadable(TIMER, "soon", "-1", "1800;refresher=uac")]
#[case::refresher_unknown(TIMER, "600;refresher=proxy", "", "600;refresher=uac")]
#[case::not_supported("", "600", "", "600;refresher=uas")]
#[case::not_supported_and_not_asked("100rel", "", "", "1800;refresher=uas")]
#[case::not_supported_choice("", "600;refresher=uac", "", "600;refresher=uas")]
#[case::not_supported_below_ours("", "120", "", "120;refresher=uas")]
#[case::adv_s19("", "1;refresher=uas", "", "90;refresher=uas")]
#[case::adv_s19_with_min_se("", "1;refresher=uas", "400", "400;refresher=uas")]
#[case::adv_s19_lowest_min_se("", "0", "1", "90;refresher=uas")]
#[case::huge("", "99999999999999999999", "", "1800;refresher=uas")]
fn sdp_83_s9_what_the_2xx_says(
    #[case] supported: &str,
    #[case] expires: &str,
    #[case] min_se: &str,
    #[case] expected: &str,
) {
    let lines = [("Supported", supported), ("Session-Expires", expires), ("Min-SE", min_se)];
    let (timer, written, required) = answered(&wishes(1800, 300), &lines).unwrap();
    let timer = timer.unwrap();
    assert_eq!(written, expected);
    assert_eq!(timer.refresher == Refresher::Them, expected.ends_with("uac"));
    assert_eq!(required, supported == TIMER);
    assert_eq!(seconds(timer.interval), expected.split(';').next().unwrap());
}

/// The rules of section 9, each by itself, for all that may be in a request.
/// SDP-83, SDP-84
#[test]
fn sdp_83_sdp_84_s9_all_combinations() {
    let mut refused = 0;
    for wishes in [wishes(1800, 90), wishes(1800, 300), wishes(60, 20), wishes(0, 90)] {
        for supported in ["", "timer"] {
            for expires in [None, Some(0u64), Some(30), Some(90), Some(299), Some(1800), Some(7200)] {
                for min_se in [None, Some(0u64), Some(90), Some(300), Some(2000)] {
                    for choice in ["", ";refresher=uac", ";refresher=uas", ";refresher=x"] {
                        let text = expires.map_or(String::new(), |n| format!("{n}{choice}"));
                        let least = min_se.map_or(String::new(), |n| n.to_string());
                        let lines = [("Supported", supported), ("Session-Expires", &text), ("Min-SE", &least)];
                        let what = format!("{wishes:?} {lines:?}");
                        let floor = min_se.unwrap_or(90).max(90);
                        let ours = wishes.minimum.as_secs().max(floor);
                        match answered(&wishes, &lines) {
                            Err(small) => {
                                refused += 1;
                                assert!(supported == "timer" && expires.unwrap() < ours, "{what}");
                                assert_eq!(small.min_se(), ours.to_string(), "{what}");
                            }
                            Ok((None, written, required)) => {
                                assert!(wishes.interval.is_zero() && expires.is_none(), "{what}");
                                assert!(written.is_empty() && !required, "{what}");
                            }
                            Ok((Some(timer), written, required)) => {
                                let interval = timer.interval.as_secs();
                                assert!(interval >= floor, "{what}");
                                let asked = expires.unwrap_or(u64::MAX);
                                assert!(interval <= asked.max(floor), "never raised: {what}");
                                assert!(supported.is_empty() || asked >= ours, "{what}");
                                let uac = supported == "timer" && (expires.is_none() || choice != ";refresher=uas");
                                let role = if uac { "uac" } else { "uas" };
                                assert_eq!(written, format!("{interval};refresher={role}"), "{what}");
                                assert_eq!(
                                    timer.refresher,
                                    if uac { Refresher::Them } else { Refresher::Us },
                                    "{what}"
                                );
                                assert_eq!(required, supported == "timer", "{what}");
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(refused > 100);
}

/// SDP-84
#[test]
fn sdp_84_s6_a_422_names_our_minimum() {
    let small = answered(&wishes(1800, 300), &[("Supported", "timer"), ("Session-Expires", "30")]).unwrap_err();
    assert_eq!((small.min_se(), TooSmall::STATUS.0), ("300".to_owned(), 422));
    let small = answered(&wishes(1800, 10), &[("Supported", "timer"), ("Session-Expires", "30")]).unwrap_err();
    assert_eq!(small.min_se(), "90");
}

#[test]
fn s9_require_is_not_doubled() {
    let mut response = headers(&[("Require", "100rel, timer")]);
    accept(&wishes(1800, 90), &headers(&[("Supported", "timer")]), &mut response).unwrap();
    assert_eq!(response.all("Require").collect::<Vec<_>>(), ["100rel, timer"]);
}

#[rstest]
#[case::usual(1800, 90, "1800", "90")]
#[case::small_wish(60, 10, "90", "90")]
#[case::minimum_above(1800, 3600, "3600", "3600")]
fn sdp_82_s7_1_the_first_request(
    #[case] interval: u64,
    #[case] minimum: u64,
    #[case] expires: &str,
    #[case] min_se: &str,
) {
    let mut request = Headers::default();
    propose(&wishes(interval, minimum), None, &mut request);
    assert_eq!(request.iter().collect::<Vec<_>>(), [("Session-Expires", expires), ("Min-SE", min_se)]);
}

#[test]
fn s7_1_no_wish_no_header() {
    let mut request = Headers::default();
    propose(&wishes(0, 90), None, &mut request);
    assert_eq!(request, Headers::default());
    // The other side's timer is kept.
    let asked = headers(&[("Supported", "timer"), ("Session-Expires", "600;refresher=uas")]);
    let timer = accept(&wishes(0, 90), &asked, &mut Headers::default()).unwrap().unwrap();
    propose(&wishes(0, 90), Some(&timer), &mut request);
    assert_eq!(request.first("Session-Expires"), Some("600;refresher=uac"));
}

#[test]
fn sdp_85_s7_4_a_refresh_keeps_interval_and_refresher() {
    for (choice, role) in [("uac", "uas"), ("uas", "uac")] {
        let asked =
            [("Supported", "timer"), ("Session-Expires", &*format!("600;refresher={choice}")), ("Min-SE", "400")];
        let timer = accept(&wishes(1800, 90), &headers(&asked), &mut Headers::default()).unwrap().unwrap();
        let mut request = headers(&[("Session-Expires", "1"), ("Min-SE", "1")]);
        propose(&wishes(1800, 90), Some(&timer), &mut request);
        let expected = format!("600;refresher={role}");
        assert_eq!(request.iter().collect::<Vec<_>>(), [("Session-Expires", &*expected), ("Min-SE", "400")]);
    }
}

#[test]
fn s7_4_the_largest_min_se_of_the_dialog_is_kept() {
    let accepted = |min_se: &str, previous: Option<&SessionTimer>| {
        let request = headers(&[("Supported", "timer"), ("Session-Expires", "1800"), ("Min-SE", min_se)]);
        accept(&wishes(1800, 90), &request, &mut Headers::default()).unwrap().unwrap().following(previous)
    };
    let first = accepted("400", None);
    let second = accepted("", Some(&accepted("200", Some(&first))));
    let mut request = Headers::default();
    propose(&wishes(1800, 90), Some(&second), &mut request);
    assert_eq!(request.first("Min-SE"), Some("400"));
    let third =
        agreed(&request, &headers(&[("Session-Expires", "100;refresher=uac")])).unwrap().following(Some(&second));
    propose(&wishes(1800, 90), Some(&third), &mut request);
    assert_eq!(request.first("Session-Expires"), Some("400;refresher=uac"), "the larger of both");
}

#[rstest]
#[case::ours("1800", "1800;refresher=uac", Some((1800, Refresher::Us)))]
#[case::theirs("1800", "900;refresher=UAS;x", Some((900, Refresher::Them)))]
#[case::not_asked("", "600;refresher=uas", Some((600, Refresher::Them)))]
#[case::nobody("", "", None)]
#[case::not_known_there("1800;refresher=uas", "", Some((1800, Refresher::Us)))]
#[case::no_refresher("1800", "600", Some((600, Refresher::Us)))]
#[case::too_small("1800", "1;refresher=uac", Some((90, Refresher::Us)))]
#[case::unreadable("1800", "x;refresher=uas", Some((1800, Refresher::Us)))]
fn s7_2_what_a_2xx_says(#[case] asked: &str, #[case] expires: &str, #[case] expected: Option<(u64, Refresher)>) {
    let timer = agreed(&headers(&[("Session-Expires", asked)]), &headers(&[("Session-Expires", expires)]));
    assert_eq!(timer.map(|timer| (timer.interval.as_secs(), timer.refresher)), expected);
}

#[test]
fn s7_3_a_422_raises_what_we_ask_for() {
    let ours = wishes(1800, 90);
    let more = raised(&ours, &headers(&[("Min-SE", "3600"), ("Min-SE", "2000")])).unwrap();
    let mut request = Headers::default();
    propose(&more, None, &mut request);
    assert_eq!(request.iter().collect::<Vec<_>>(), [("Session-Expires", "3600"), ("Min-SE", "3600")]);
    // In a dialog too, and the interval stays if it is large enough.
    let timer = agreed(&request, &headers(&[("Session-Expires", "4000;refresher=uac")])).unwrap();
    propose(&more, Some(&timer), &mut request);
    assert_eq!(request.iter().collect::<Vec<_>>(), [("Session-Expires", "4000;refresher=uac"), ("Min-SE", "3600")]);
    for useless in ["", "90", "0", "x", "86401", "99999999999"] {
        assert_eq!(raised(&ours, &headers(&[("Min-SE", useless)])), None, "{useless}");
    }
    assert_eq!(raised(&more, &headers(&[("Min-SE", "3600")])), None, "the same again");
    assert!(raised(&ours, &headers(&[("Min-SE", "86400")])).is_some());
}

#[rstest]
#[case(1800, Refresher::Us, 900, 1800)]
#[case(90, Refresher::Us, 45, 90)]
#[case(1800, Refresher::Them, 1768, 1768)]
#[case(96, Refresher::Them, 64, 64)]
#[case(90, Refresher::Them, 60, 60)]
fn sdp_85_sdp_86_s10_when_it_is_due(
    #[case] interval: u64,
    #[case] refresher: Refresher,
    #[case] due: u64,
    #[case] end: u64,
) {
    let mut timer = SessionTimer { interval: secs(interval), refresher, min_se: SHORTEST, begun: None };
    assert_eq!((timer.due(), timer.end()), (Moment::FAR, Moment::FAR));
    timer.begin(START);
    assert_eq!((timer.due(), timer.end()), (START + secs(due), START + secs(end)));
    assert_eq!(timer.kind(), if refresher == Refresher::Us { Due::Refresh } else { Due::End });
    // Each 2xx begins it anew.
    timer.begin(START + secs(10));
    assert_eq!(timer.due(), START + secs(due + 10));
}

#[test]
fn s10_no_interval_is_too_large() {
    let request = headers(&[("Session-Expires", "4294967296;refresher=uas")]);
    let timer = accept(&wishes(0, 90), &request, &mut Headers::default()).unwrap().unwrap();
    assert_eq!(timer.interval, secs(u32::MAX.into()));
    let mut late = timer;
    late.begin(Moment::FAR);
    assert_eq!((late.due(), late.end()), (Moment::FAR, Moment::FAR));
}

/// SDP-74
#[test]
fn s14_1_waits_after_491() {
    for random in (0..1000).chain([u32::MAX]) {
        for (ours, least, most) in [(true, 2100, 4000), (false, 0, 2000)] {
            let wait = wait_after_491(ours, random).as_millis();
            assert!((least..=most).contains(&wait) && wait.is_multiple_of(10), "{wait}");
        }
    }
    let all =
        |ours| (0..1000).map(|random| wait_after_491(ours, random)).collect::<std::collections::HashSet<_>>().len();
    assert_eq!((all(true), all(false)), (191, 201));
}
