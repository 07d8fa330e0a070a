//! Exactly one failure signal for each accepted SEND.

use rstest::rstest;

use super::chunk::{Request, pattern};
use super::end::Answer;
use super::scene::{INES, Scene, TOMAS};
use crate::relay::DialFailure;

/// CORE-51, CORE-59, RLY-52, RLY-55, ADV-R29
#[rstest]
#[case::yes("yes", &[200], &[415])]
#[case::absent("maybe", &[200], &[415])]
#[case::partial("partial", &[], &[415])]
fn rly_52_refusal_of_the_next_hop_becomes_a_report(#[case] wish: &str, #[case] codes: &[u16], #[case] reports: &[u16]) {
    let mut s = Scene::new().tomas_answers(Answer::Code(415));
    let send = s.send().id("m1").range("1-18/18").failure_report(wish).body("No, the 15:10 one.");
    let tid = s.ines_writes(&send);
    assert_eq!(s.codes(&tid), codes);
    let got = s.net.ends[s.ines].reports();
    assert_eq!(got.iter().filter_map(|r| r.reported()).collect::<Vec<_>>(), reports);
    let report = got[0];
    assert_eq!((report.header("To-Path"), report.header("From-Path")), (INES.to_owned(), s.token.clone()));
    assert_eq!((report.message(), report.range()), ("m1".to_owned(), "1-18/18".to_owned()));
    assert!(report.header("Failure-Report").is_empty() && !report.has_body, "CORE-51");
    s.net.seconds(60);
    assert_eq!(s.reports().len(), 1);
    assert_eq!(s.relay().pending_count(), 0);
}

/// CORE-58, RLY-53
#[test]
fn rly_53_failure_report_no_hears_nothing() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let send = s.send().id("m1").failure_report("no").body("x");
    let tid = s.ines_writes(&send);
    let tomas = s.tomas();
    let frame = s.net.last(tomas);
    s.net.ends[tomas].answer_to(&frame, 481);
    s.net.seconds(60);
    assert!(s.codes(&tid).is_empty() && s.reports().is_empty());
    assert_eq!(s.relay().pending_count(), 0);
}

/// CORE-39, CORE-61, RLY-50, RLY-56, RLY-72
#[test]
fn s6_4_1_silent_next_hop_yields_408_report() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let send = s.send().id("m1").body(pattern(700));
    s.ines_writes(&send);
    s.net.millis(29_900);
    assert!(s.reports().is_empty());
    s.net.millis(200);
    assert_eq!(s.reports(), [(408, "1-700/*".to_owned())], "RLY-50, RLY-56");
    let tomas = s.tomas();
    let frame = s.net.last(tomas);
    s.net.ends[tomas].answer_to(&frame, 481);
    s.net.seconds(60);
    assert_eq!(s.reports().len(), 1, "RLY-72: the late answer counts for nothing");
}

/// RLY-51
#[rstest]
#[case("partial")]
#[case("no")]
fn rly_51_no_408_unless_asked_for(#[case] wish: &str) {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let send = s.send().id("m1").failure_report(wish).body("x");
    s.ines_writes(&send);
    s.net.seconds(40);
    assert!(s.net.ends[s.ines].frames.iter().all(|f| f.code() == Some(200) || f.code() == Some(401)));
    assert_eq!(s.relay().pending_count(), 0);
}

/// RLY-71
#[test]
fn rly_71_answer_in_time_stops_the_clock() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let send = s.send().id("m1").body("x");
    s.ines_writes(&send);
    s.net.seconds(29);
    let tomas = s.tomas();
    let frame = s.net.last(tomas);
    s.net.ends[tomas].answer_to(&frame, 200);
    s.net.seconds(60);
    assert!(s.reports().is_empty());
}

/// CORE-108
#[test]
fn core_108_unknown_codes_go_by_their_class() {
    for (code, expected) in [(299, vec![]), (699, vec![699])] {
        let mut s = Scene::new().tomas_answers(Answer::Code(code));
        let send = s.send().id("m1").body("x");
        s.ines_writes(&send);
        assert_eq!(s.net.ends[s.ines].reported(), expected);
    }
}

/// CORE-61, RLY-56
#[test]
fn core_61_report_covers_what_was_really_received() {
    let mut s = Scene::new().tomas_answers(Answer::Code(400));
    let send = s.send().id("m1").range("101-*/9000").body(pattern(3000)).flag('+');
    s.ines_writes(&send);
    assert_eq!(s.reports(), [(400, "101-3100/9000".to_owned())]);
}

#[test]
fn one_report_for_a_split_chunk_over_the_failed_parts_only() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let send = s.send().id("m1").range("1-25000/25000").body(pattern(25_000));
    s.ines_writes(&send);
    let tomas = s.tomas();
    let parts: Vec<_> = s.net.ends[tomas].sends().into_iter().cloned().collect();
    assert_eq!(parts.len(), 3);
    for (part, code) in parts.iter().zip([200, 400, 499]) {
        s.net.ends[tomas].answer_to(part, code);
    }
    s.net.run();
    let second = parts[1].head.byte_range().expect("a range").start;
    assert_eq!(s.reports(), [(400, format!("{second}-25000/25000"))]);
}

#[test]
fn failed_part_waits_for_the_others_but_not_long() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let send = s.send().id("m1").range("1-20000/20000").body(pattern(20_000));
    s.ines_writes(&send);
    let tomas = s.tomas();
    let first = s.net.ends[tomas].sends()[0].clone();
    s.net.ends[tomas].answer_to(&first, 400);
    s.net.millis(1900);
    assert!(s.reports().is_empty());
    s.net.millis(200);
    // Nobody asks for the other one any more: what it has not confirmed is told of now, or never.
    assert_eq!(s.reports(), [(400, "1-20000/20000".to_owned())]);
    s.net.seconds(60);
    assert_eq!(s.reports().len(), 1);
}

/// CORE-73, RLY-89
#[rstest]
#[case(413)]
#[case(481)]
#[case(403)]
fn rly_89_refused_message_stays_refused(#[case] code: u16) {
    let mut s = Scene::new().tomas_answers(Answer::Code(code));
    let send = s.send().id("m1").range("1-5/20").body("12345").flag('+');
    s.ines_writes(&send);
    assert_eq!(s.reports(), [(code, "1-5/20".to_owned())]);
    let next = s.send().id("m1").range("6-10/20").body("12345").flag('+');
    let tid = s.ines_writes(&next);
    assert_eq!(s.codes(&tid), [code]);
    let tomas = s.tomas();
    assert_eq!(s.net.ends[tomas].sends().len(), 1);
    s.net.ends[tomas].answer = Answer::Ok;
    let other = s.send().id("m2").body("other");
    let tid = s.ines_writes(&other);
    assert_eq!(s.codes(&tid), [200], "AMB-94: other messages pass");
    s.net.seconds(61);
    let again = s.send().id("m1").range("11-15/20").body("12345").flag('+');
    let tid = s.ines_writes(&again);
    assert_eq!(s.codes(&tid), [200], "after a minute it is forgotten");
}

/// CORE-72, RLY-54
#[test]
fn core_72_refusal_inside_a_chunk_answers_it_and_ends_it_with_abort() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.ends[tomas].answer = Answer::Nothing;
    let send = s.send().id("m1").range("1-*/100000").body("");
    s.net.write(s.ines, [send.head(), pattern(30_000)].concat());
    s.net.millis(20);
    let first = s.net.ends[tomas].sends()[0].clone();
    s.net.ends[tomas].answer_to(&first, 413);
    s.net.run();
    assert_eq!(s.codes(&send.tid), [413], "while it is still arriving");
    let before = s.net.ends[tomas].raw.len();
    s.net.write(s.ines, [pattern(5000), send.end()].concat());
    s.net.seconds(60);
    assert!(s.net.ends[tomas].raw.len() <= before, "nothing more is forwarded");
    assert_eq!(s.net.ends[tomas].sends().last().expect("a part").flag.octet(), b'#');
    assert!(s.reports().is_empty(), "RLY-54: the response was the signal");
    assert_eq!(s.relay().pending_count(), 0);
}

/// RLY-6
#[rstest]
#[case(DialFailure::Connect, 408)]
#[case(DialFailure::Tls, 408)]
#[case(DialFailure::Policy, 403)]
fn dial_failure_is_reported(#[case] failure: DialFailure, #[case] code: u16) {
    let mut s = Scene::new();
    s.net.hold_dials = true;
    for (id, wish) in [("m1", "yes"), ("m2", "partial"), ("m3", "no")] {
        let send = s.send().id(id).range("1-3/3").failure_report(wish).body("abc");
        s.ines_writes(&send);
    }
    let (at, link, _) = s.net.dials.remove(0);
    s.net.fail_dial(at, link, failure);
    s.net.run();
    assert_eq!(s.reports(), [(code, "1-3/3".to_owned()), (code, "1-3/3".to_owned())]);
    assert_eq!((s.relay().pending_count(), s.relay().buffered()), (0, 0));
}

/// ADV-R25
#[test]
fn adv_r25_owner_gone_fails_what_waits_for_it_with_481() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.read(s.ines, false);
    for i in 0..20 {
        let send = s.back().id(&format!("m{i}")).body(pattern(9000));
        s.net.write(tomas, send.octets());
    }
    s.net.lose(s.ines);
    let reported = s.net.ends[tomas].reported();
    assert_eq!(reported, vec![481; 20], "sent and unanswered ones too");
    assert_eq!((s.relay().pending_count(), s.relay().buffered()), (0, 0));
    assert_eq!(s.relay().session_count(), 0);
}

#[test]
fn far_link_lost_is_408_and_the_running_chunk_gets_481() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing).introduced();
    let done = s.send().id("m1").range("1-3/3").body("abc");
    s.ines_writes(&done);
    let running = s.send().id("m2").body("");
    s.net.write(s.ines, [running.head(), pattern(500)].concat());
    s.net.lose(s.tomas());
    assert_eq!(s.codes(&running.tid), [481], "AMB-43: never 408 as a response");
    let reports = s.reports();
    assert_eq!(reports, [(408, "1-2/*".to_owned()), (408, "1-3/3".to_owned())], "hello0 and m1");
    s.net.write(s.ines, running.end());
    s.net.seconds(60);
    assert_eq!(s.codes(&running.tid), [481]);
    assert_eq!(s.reports().len(), 2);
}

/// RLY-108, ADV-R16
#[test]
fn rly_108_cap_of_unanswered_sends_is_413_and_reading_goes_on() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let all: Vec<Request> = (0..4200).map(|i| s.send().id(&format!("m{i}")).body("x")).collect();
    let octets: Vec<u8> = all.iter().flat_map(Request::octets).collect();
    s.net.write(s.ines, octets);
    let code = |i: usize| s.codes(&all[i].tid);
    assert_eq!((code(4095), code(4096), code(4199)), (vec![200], vec![413], vec![413]));
    let tomas = s.tomas();
    let first = s.net.ends[tomas].sends()[0].clone();
    s.net.ends[tomas].answer_to(&first, 200);
    s.net.run();
    let next = s.send().id("next").body("x");
    assert_eq!(s.ines_writes(&next), next.tid);
    assert_eq!(s.codes(&next.tid), [200]);
}

/// RLY-108
#[test]
fn rly_108_a_receiver_that_is_behind_but_answers_has_as_many_again() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let many = |s: &Scene, from: usize, to: usize| -> Vec<Request> {
        (from..to).map(|i| s.send().id(&format!("m{i}")).body("x")).collect()
    };
    let octets = |all: &[Request]| all.iter().flat_map(Request::octets).collect::<Vec<u8>>();
    let first = many(&s, 0, 4096);
    s.net.write(s.ines, octets(&first));
    let tomas = s.tomas();
    let answered = s.net.ends[tomas].sends()[0].clone();
    s.net.ends[tomas].answer_to(&answered, 200);
    s.net.run();
    let more = many(&s, 4096, 8300);
    s.net.write(s.ines, octets(&more));
    let code = |i: usize| s.codes(&more[i].tid);
    assert_eq!((code(0), code(4096), code(4097)), (vec![200], vec![200], vec![413]));
    // One that has stopped answering is back at the limit.
    let late = s.send().id("late").body("x");
    s.net.seconds(2);
    assert_eq!(s.ines_writes(&late), late.tid);
    assert_eq!(s.codes(&late.tid), [413]);
}

#[test]
fn partial_never_causes_413() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let all: Vec<u8> =
        (0..5000).flat_map(|i| s.send().id(&format!("m{i}")).failure_report("partial").body("x").octets()).collect();
    s.net.write(s.ines, all);
    assert_eq!(s.net.ends[s.tomas()].sends().len(), 5000);
    assert!(s.relay().pending_count() <= 4096);
    s.net.seconds(31);
    assert_eq!(s.relay().pending_count(), 0);
}

/// RLY-54
#[test]
fn rly_54_more_than_fifty_reports_a_second_are_put_together() {
    let mut s = Scene::new().tomas_answers(Answer::Code(400));
    let chunk = |i: u64| {
        let send = s.send().id("m1").range(&format!("{}-{}/1000", i * 10 + 1, i * 10 + 10));
        send.body(pattern(10)).flag('+').octets()
    };
    let all: Vec<u8> = (0..80).flat_map(chunk).collect();
    s.net.write(s.ines, all);
    assert_eq!(s.reports().len(), 50);
    s.net.seconds(2);
    assert_eq!(s.reports().len(), 51);
    assert_eq!(s.reports()[50], (400, "501-800/1000".to_owned()));
}

/// RLY-54: what lies between two that failed may be confirmed yet.
#[test]
fn rly_54_reports_that_do_not_touch_are_not_put_together() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let chunk = |i: u64| {
        let send = s.send().id("m1").range(&format!("{}-{}/1000", i * 10 + 1, i * 10 + 10));
        send.body(pattern(10)).flag('+').octets()
    };
    let all: Vec<u8> = (0..60).flat_map(chunk).collect();
    s.net.write(s.ines, all);
    let tomas = s.tomas();
    let frames = s.net.ends[tomas].sends().into_iter().filter(|f| f.message() == "m1").cloned().collect::<Vec<_>>();
    for (i, frame) in frames.iter().enumerate() {
        let code = if i == 54 { 200 } else { 400 };
        s.net.ends[tomas].answer_to(frame, code);
    }
    s.net.seconds(3);
    let reports = s.reports();
    assert_eq!(reports.len(), 52);
    assert_eq!(reports[50..], [(400, "501-540/1000".to_owned()), (400, "551-600/1000".to_owned())]);
}

/// RLY-89: another chunk of it has left in part, and nobody answers that.
#[test]
fn what_a_refused_message_had_still_to_send_is_told_soon() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    s.ines_writes(&s.send().id("m1").range("1-10/200010").body(pattern(10)).flag('+'));
    let tomas = s.tomas();
    let first = s.net.last(tomas);
    s.net.window = 1000;
    s.net.read(tomas, false);
    s.ines_writes(&s.send().id("m1").range("11-200010/200010").body(pattern(200_000)));
    s.net.ends[tomas].answer_to(&first, 413);
    s.net.seconds(1);
    s.net.window = 1 << 20;
    s.net.read(tomas, true);
    s.net.seconds(5);
    let reports: Vec<u16> = s.reports().iter().map(|(code, _)| *code).collect();
    assert_eq!(reports, [413, 413], "{:?}", s.reports());
}

/// CORE-105, RLY-68, RLY-73, ADV-R11, ADV-R13
#[test]
fn rly_73_response_on_another_connection_changes_nothing() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    let send = s.send().id("m1").body("x");
    s.ines_writes(&send);
    let tid = s.net.last(s.tomas()).tid();
    let stranger = s.net.client(0);
    let forged = format!("MSRP {tid} 481 gone\r\nTo-Path: {}\r\nFrom-Path: {TOMAS}\r\n-------{tid}$\r\n", s.token);
    s.net.write(stranger, &forged);
    assert!(s.reports().is_empty());
    // RLY-68: nor does one that is not addressed to us.
    let astray = forged.replace(&s.token, "msrps://other.example:1/x;tcp");
    s.net.write(s.tomas(), astray);
    assert!(s.reports().is_empty());
    s.net.write(s.tomas(), &forged);
    assert_eq!(s.reports(), [(481, "1-1/*".to_owned())]);
    s.net.write(s.tomas(), forged);
    assert_eq!(s.reports().len(), 1, "ADV-R13");
}

/// CORE-113
#[test]
fn nothing_is_reported_to_a_sender_who_is_gone() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing);
    s.ines_writes(&s.send().id("m1").body("x"));
    let dials = s.net.dialled.len();
    s.net.lose(s.ines);
    s.net.seconds(60);
    assert_eq!((s.net.dialled.len(), s.relay().pending_count()), (dials, 0));
    assert!(s.net.ends[s.tomas()].reports().is_empty());
}
