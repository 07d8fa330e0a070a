//! Requests other than SEND: whole forwarding, ways back, late and odd responses.

use super::chunk::{Request, pattern};
use super::end::Answer;
use super::scene::{INES, Scene, TOMAS};
use crate::relay::DialFailure;

/// CORE-52, CORE-111, RLY-63
#[test]
fn rly_63_report_passes_with_its_path_moved_and_no_answer() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    let r = Request::new("REPORT", &[&s.token, INES], TOMAS).id("m1").range("1-36/36");
    let r = r.line("Status: 000 200 OK").body(pattern(200));
    s.net.write(tomas, r.octets());
    let got = s.net.last(s.ines);
    assert!(got.is_report() && got.body == pattern(200), "CORE-111");
    assert_eq!((got.header("To-Path"), got.header("From-Path")), (INES.to_owned(), format!("{} {TOMAS}", s.token)));
    assert_eq!((got.header("Status"), got.range()), ("000 200 OK".to_owned(), "1-36/36".to_owned()));
    assert_ne!(got.tid(), r.tid, "AMB-4");
    assert!(s.net.ends[tomas].frames.is_empty(), "CORE-52");
    let bare = Request::new("REPORT", &[&s.token, INES], TOMAS).line("Status: 000 413 413");
    s.net.write(tomas, bare.octets());
    assert_eq!(s.net.last(s.ines).reported(), Some(413), "IOP-28, IOP-29");
}

/// CORE-32, CORE-33, CORE-52, ADV-C22, ADV-R10
#[test]
fn malformed_reports_are_dropped_in_silence() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    let report = || Request::new("REPORT", &[&s.token, INES], TOMAS).id("m1");
    let bad = [
        report().line("Status: abc 200"),
        report().line("Status: 000 20"),
        report(),
        report().line("Status: 000 200 OK").flag('+'),
        report().line("Status: 000 200 OK").body(pattern(10_241)),
    ];
    for r in bad {
        s.net.write(tomas, r.octets());
    }
    assert!(s.net.ends[s.ines].frames.is_empty() && s.net.ends[tomas].frames.is_empty(), "ADV-C22, AMB-28, ADV-R10");
    let good = report().line("Status: 000 200 OK").body(pattern(10_240));
    s.net.write(tomas, good.octets());
    assert_eq!(s.net.ends[s.ines].reports().len(), 1, "CORE-32");
}

/// RLY-64, RLY-65, ADV-R13
#[test]
fn rly_65_end_to_end_response_gets_its_transact_id_back() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    for method in ["NICKNAME", "FILE_OFFSET", "FOOBAR"] {
        let r = Request::new(method, &[&s.token, TOMAS], INES).line("Use-Nickname: \"x\"");
        s.ines_writes(&r);
        let got = s.net.last(tomas);
        assert_eq!(got.header("Use-Nickname"), "\"x\"");
        s.net.ends[tomas].answer_whole(&got, 425, &[("X-Why", b"taken")]);
        s.net.run();
        let answer = s.net.last(s.ines);
        assert_eq!((answer.tid(), answer.code()), (r.tid, Some(425)));
        let from = format!("{} {TOMAS}", s.token);
        assert_eq!((answer.header("To-Path"), answer.header("From-Path")), (INES.to_owned(), from));
        assert_eq!(answer.header("X-Why"), "taken");
        s.net.ends[tomas].answer_whole(&got, 200, &[]);
        s.net.run();
        assert_eq!(s.codes(&answer.tid()), [425], "ADV-R13");
    }
}

/// RLY-65
#[test]
fn rly_65_response_over_an_internal_hop() {
    let mut s = Scene::new();
    let tomas = s.net.client(0);
    let other = s.net.auth(tomas, TOMAS, &[]);
    let r = Request::new("NICKNAME", &[&s.token, &other, TOMAS], INES);
    s.ines_writes(&r);
    let got = s.net.last(tomas);
    s.net.ends[tomas].answer_whole(&got, 200, &[]);
    s.net.run();
    let answer = s.net.last(s.ines);
    assert_eq!((answer.tid(), answer.code(), answer.header("To-Path")), (r.tid, Some(200), INES.to_owned()));
    assert_eq!(answer.header("From-Path"), format!("{} {other} {TOMAS}", s.token));
}

/// RLY-64, RLY-66
#[test]
fn rly_66_methods_may_be_blocked() {
    let mut s = Scene::with(|s| s.forward_unknown_methods = false);
    let tid = s.ines_writes(&Request::new("FOOBAR", &[&s.token, TOMAS], INES));
    assert_eq!(s.codes(&tid), [501]);
    let mut s = Scene::with(|s| s.blocked_methods = vec!["NICKNAME".to_owned()]);
    let tid = s.ines_writes(&Request::new("NICKNAME", &[&s.token, TOMAS], INES));
    assert_eq!(s.codes(&tid), [501]);
    s.ines_writes(&Request::new("FOOBAR", &[&s.token, TOMAS], INES));
    assert_eq!(s.net.last(s.tomas()).head.method_name(), b"FOOBAR");
}

/// CORE-32, RLY-100
#[test]
fn rly_100_nothing_leaves_before_the_request_is_complete() {
    let mut s = Scene::new().introduced();
    let r = Request::new("NICKNAME", &[&s.token, TOMAS], INES).body(pattern(1000));
    let octets = r.octets();
    s.net.write(s.ines, &octets[..700]);
    s.net.seconds(1);
    assert!(s.net.ends[s.tomas()].raw.is_empty());
    s.net.write(s.ines, &octets[700..]);
    assert_eq!(s.net.last(s.tomas()).body, pattern(1000));
    let large = Request::new("NICKNAME", &[&s.token, TOMAS], INES).body(pattern(10_241));
    let tid = s.ines_writes(&large);
    assert_eq!(s.codes(&tid), [413]);
    assert_eq!(s.net.ends[s.tomas()].frames.len(), 1, "CORE-32");
}

#[test]
fn reverse_map_is_bounded_and_forgets_after_a_minute() {
    let mut s = Scene::new().introduced();
    let all: Vec<Request> = (0..17).map(|_| Request::new("FOOBAR", &[&s.token, TOMAS], INES)).collect();
    for r in &all {
        s.ines_writes(r);
    }
    assert!(s.codes(&all[15].tid).is_empty());
    assert_eq!(s.codes(&all[16].tid), [413]);
    let tomas = s.tomas();
    let got = s.net.ends[tomas].frames[0].clone();
    s.net.seconds(61);
    s.net.ends[tomas].answer_whole(&got, 200, &[]);
    s.net.run();
    assert!(s.codes(&all[0].tid).is_empty(), "ADV-E17");
    let tid = s.ines_writes(&Request::new("FOOBAR", &[&s.token, TOMAS], INES));
    assert!(s.codes(&tid).is_empty(), "there is room again");
}

/// RLY-70
#[test]
fn rly_70_response_for_somebody_gone_is_dropped_without_a_connection() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.ines_writes(&Request::new("FOOBAR", &[&s.token, TOMAS], INES));
    let got = s.net.last(tomas);
    s.net.lose(s.ines);
    let dials = s.net.dialled.len();
    s.net.ends[tomas].answer_whole(&got, 200, &[]);
    s.net.run();
    assert_eq!(s.net.dialled.len(), dials);
}

/// CORE-105, RLY-69
#[test]
fn iop_4_6_8_odd_responses_change_nothing() {
    let mut s = Scene::new().tomas_answers(Answer::Nothing).introduced();
    let tomas = s.tomas();
    let send = s.send().id("m1").body("x");
    s.ines_writes(&send);
    let tid = s.net.last(tomas).tid();
    let unmatched =
        format!("MSRP nosuch12 200 OK\r\nTo-Path: {}\r\nFrom-Path: {TOMAS}\r\n-------nosuch12$\r\n", s.token);
    s.net.write(tomas, unmatched);
    s.net.write(tomas, format!("MSRP {tid} 200\r\nFrom-Path: {TOMAS}\r\n-------{tid}$\r\n"));
    let full = format!(
        "MSRP {tid} 200\r\nTo-Path: {} {INES}\r\nFrom-Path: {TOMAS}\r\nMessage-ID: m1\r\nByte-Range: 1-1/x\r\n-------{tid}#\r\n",
        s.token
    );
    s.net.write(tomas, full);
    assert!(!s.net.ends[tomas].closed);
    s.net.seconds(31);
    assert_eq!(s.reports().len(), 1, "RLY-69, AMB-1, ADV-E01: m1 is settled, only hello0 is not");
}

#[test]
fn iop_30_reports_go_before_data() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.window = 1000;
    s.net.read(s.ines, false);
    for i in 0..4 {
        let r = s.back().id(&format!("m{i}")).body(pattern(9000));
        s.net.write(tomas, r.octets());
    }
    let r = Request::new("REPORT", &[&s.token, INES], TOMAS).id("x").line("Status: 000 200 OK");
    s.net.write(tomas, r.octets());
    s.net.read(s.ines, true);
    let at = s.net.ends[s.ines].frames.iter().position(|f| f.is_report());
    assert!(at.is_some_and(|at| at <= 3), "{at:?}");
}

/// CORE-32
#[test]
fn core_32_the_third_over_long_request_closes_the_link() {
    let mut s = Scene::new().introduced();
    for n in 0..3 {
        assert!(!s.net.ends[s.ines].closed, "after {n}");
        let r = Request::new("NICKNAME", &[&s.token, TOMAS], INES).body(pattern(10_241));
        let tid = s.ines_writes(&r);
        assert_eq!(s.codes(&tid), [413]);
    }
    assert!(s.net.ends[s.ines].closed);
}

#[test]
fn a_session_counts_messages_and_octets_each_way() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    for n in 0..3 {
        s.ines_writes(&s.send().id(&format!("m{n}")).body("hello"));
    }
    let back = s.back().id("b").body("hi");
    s.net.write(tomas, back.octets());
    let (now, view) = (s.net.now, |v: Vec<crate::relay::SessionView>| v[0].tally);
    let tally = view(s.relay().sessions(1, now));
    // `introduced` has carried one message before.
    assert!(tally.messages_from_owner >= 3 && tally.octets_from_owner >= 15, "{tally:?}");
    assert_eq!((tally.messages_to_owner, tally.octets_to_owner), (1, 2));
}

/// CORE-53
#[test]
fn a_report_that_cannot_be_delivered_is_lost_in_silence() {
    let mut s = Scene::new().introduced();
    s.net.hold_dials = true;
    let far = "msrps://nobody.example:7000/x;tcp";
    s.ines_writes(&Request::new("REPORT", &[&s.token, far], INES).id("m1").line("Status: 000 200 OK"));
    let (at, link, _) = s.net.dials.remove(0);
    s.net.fail_dial(at, link, DialFailure::Connect);
    s.net.run();
    s.net.seconds(60);
    assert!(s.net.ends[s.ines].frames.is_empty());
}

/// ADV-R09
#[test]
fn a_flood_of_reports_is_bounded_by_the_queue_of_its_receiver() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    s.net.read(s.ines, false);
    let one = Request::new("REPORT", &[&s.token, INES], TOMAS).id("x").line("Status: 000 200 OK").octets();
    for _ in 0..100 {
        s.net.write(tomas, one.repeat(100));
    }
    assert!(s.relay().buffered() < 2 << 20, "{}", s.relay().buffered());
    assert!(s.relay().counts().reports_dropped > 0 && s.net.ends[tomas].frames.is_empty());
}
