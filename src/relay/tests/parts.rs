//! Chunks in parts: ranges, totals, flags, the hold rule (RFC 4975 section 7.1.1).

use rstest::rstest;

use super::chunk::pattern;
use super::end::Answer;
use super::scene::Scene;

/// Writes a chunk whose octets come in these pieces, 1 ms apart; the ranges at Tomas.
fn pieces(s: &mut Scene, range: &str, sizes: &[usize], flag: char) -> Vec<String> {
    let send = s.send().id("m1").range(range).body("").flag(flag);
    s.net.write(s.ines, send.head());
    let total: usize = sizes.iter().sum();
    let (all, mut at) = (pattern(total), 0);
    for n in sizes {
        s.net.write(s.ines, &all[at..at + n]);
        at += n;
        s.net.millis(1);
    }
    s.net.write(s.ines, send.end());
    assert_eq!(s.net.ends[s.tomas()].content("m1"), all);
    s.ranges()
}

/// CORE-12, CORE-30, CORE-40, CORE-41, CORE-45, CORE-67, CORE-114, RLY-59, RLY-79
#[rstest]
#[case("1-5/5", 5, '$', "1-5/5 $")]
#[case("1-*/*", 2048, '$', "1-2048/2048 $")]
#[case("1-*/*", 2049, '$', "1-*/2049 $")]
#[case("1-*/8000", 3000, '+', "1-*/8000 +")]
#[case("1-*/*", 100, '+', "1-100/* +")]
#[case("101-*/*", 100, '$', "101-200/200 $")]
#[case("1-100/100", 40, '+', "1-40/100 +")]
#[case("1-10/10", 40, '+', "1-40/* +")]
#[case("1-0/0", 3000, '$', "1-*/3000 $")]
#[case("1-*/9000", 40, '#', "1-40/9000 #")]
#[case("1-*/*", 0, '$', "1-0/0 $")]
fn core_41_45_67_ranges_tell_what_is_known(
    #[case] range: &str,
    #[case] len: usize,
    #[case] flag: char,
    #[case] out: &str,
) {
    let mut s = Scene::new();
    let send = s.send().id("m1").range(range).body(pattern(len)).flag(flag);
    let tid = s.ines_writes(&send);
    assert_eq!(s.codes(&tid), [200], "CORE-114");
    assert_eq!(s.ranges(), [out]);
    let got = s.net.last(s.tomas());
    assert!(got.has_body && got.body == pattern(len));
}

/// CORE-44
#[test]
fn iop_1_absent_range_is_written() {
    let mut s = Scene::new();
    let send = s.send().id("m1").body("abc");
    s.ines_writes(&send);
    assert_eq!(s.ranges(), ["1-3/3 $"]);
}

#[test]
fn iop_22_chunk_that_ends_while_held_leaves_as_one_frame() {
    let mut s = Scene::new();
    assert_eq!(pieces(&mut s, "1-*/6000", &[2000, 2000, 2000], '$'), ["1-*/6000 $"]);
}

#[test]
fn chunk_that_takes_longer_leaves_after_ten_milliseconds() {
    let mut s = Scene::new().introduced();
    let send = s.send().id("m1").range("1-*/6000").body("");
    s.net.write(s.ines, [send.head(), pattern(3000)].concat());
    s.net.millis(9);
    let tomas = s.tomas();
    assert!(s.net.ends[tomas].raw.is_empty());
    s.net.millis(2);
    assert!(s.net.ends[tomas].raw.len() > 3000, "begun");
    s.net.write(s.ines, pattern(100));
    assert!(s.net.ends[tomas].raw.len() > 3100, "and goes on at once");
    s.net.write(s.ines, send.end());
    assert_eq!(s.ranges(), ["1-*/6000 $"]);
}

/// CORE-48
#[test]
fn head_whose_body_comes_late_wakes_nobody_for_nothing() {
    let mut s = Scene::new().introduced();
    let send = s.send().id("m1").body("");
    s.net.write(s.ines, send.head());
    s.net.seconds(5);
    assert!(s.net.ends[s.tomas()].raw.is_empty(), "AMB-98, CORE-48: nothing to send");
    s.net.write(s.ines, "abc");
    s.net.write(s.ines, send.end());
    assert_eq!(s.net.ends[s.tomas()].content("m1"), b"abc");
}

/// CORE-48
#[rstest]
#[case(&[10_001], '$')]
#[case(&[10_001], '+')]
#[case(&[9_000, 9_000, 9_000], '+')]
#[case(&[9_999, 1, 1, 9_999, 1], '+')]
#[case(&[12_047, 12_049, 3], '+')]
#[case(&[25_000, 75_000], '+')]
fn core_48_no_part_is_under_2048_octets(#[case] sizes: &[usize], #[case] flag: char) {
    for slow in [false, true] {
        let mut s = Scene::new();
        let send = s.send().id("m1").body("").flag(flag);
        s.net.write(s.ines, send.head());
        let mut all = Vec::new();
        for n in sizes {
            let piece = pattern(*n);
            s.net.write(s.ines, &piece);
            all.extend(piece);
            s.net.millis(if slow { 30 } else { 1 });
        }
        s.net.write(s.ines, send.end());
        let tomas = &s.net.ends[s.tomas()];
        assert_eq!(tomas.content("m1"), all);
        let sizes: Vec<_> = tomas.sends().iter().map(|f| f.body.len()).collect();
        assert!(sizes.iter().all(|n| (2048..=10_000).contains(n)), "{sizes:?}");
    }
}

/// CORE-48
#[test]
fn core_48_parts_of_an_announced_chunk_are_of_equal_size() {
    let mut s = Scene::new();
    let sizes = vec![1500; 20];
    pieces(&mut s, "1-30000/30000", &sizes, '$');
    let sizes: Vec<_> = s.net.ends[s.tomas()].sends().iter().map(|f| f.body.len()).collect();
    assert_eq!(sizes, [10_000; 3]);
}

/// RLY-58
#[test]
fn rly_58_messages_of_one_session_are_never_mixed() {
    let mut s = Scene::new();
    for i in 0..6 {
        let id = ["a", "b"][i % 2];
        let start = i / 2 * 3000 + 1;
        let send = s.send().id(id).range(&format!("{start}-*/9000")).body(pattern(3000));
        s.ines_writes(&send.flag(if i > 3 { '$' } else { '+' }));
    }
    let tomas = &s.net.ends[s.tomas()];
    let order: Vec<_> = tomas.sends().iter().map(|f| f.message()).collect();
    assert_eq!(order, ["a", "b", "a", "b", "a", "b"]);
    assert_eq!(tomas.content("a").len(), 9000);
}

/// CORE-23
#[test]
fn core_23_any_cut_of_the_input_gives_the_same_frames() {
    let mut whole = Scene::new();
    let send = whole.send().id("m1").range("1-600/600").body(pattern(600));
    whole.ines_writes(&send);
    for step in [1, 7, 100] {
        let mut s = Scene::new();
        let send = s.send().id("m1").range("1-600/600").body(pattern(600));
        for piece in send.octets().chunks(step) {
            s.net.write(s.ines, piece);
        }
        assert_eq!(s.ranges(), whole.ranges());
        assert_eq!(s.net.last(s.tomas()).body, pattern(600));
        assert_eq!(s.codes(&send.tid), [200]);
    }
}

/// CORE-24, CORE-29
#[rstest]
#[case(b"a\r")]
#[case(b"a\n")]
#[case(b"\r\n")]
#[case(b"a-------")]
#[case(b"\r\n-------zzzz9999$\r\nMSRP evil SEND\r\n")]
fn core_24_29_bodies_that_look_like_an_end_are_bodies(#[case] body: &[u8]) {
    let mut s = Scene::new();
    let send = s.send().id("m1").body(body);
    s.ines_writes(&send);
    assert_eq!(s.net.last(s.tomas()).body, body);
}

#[test]
fn max_message_counts_from_the_beginning_of_the_message() {
    let mut s = Scene::with(|s| s.limits.max_message = Some(10_000)).tomas_answers(Answer::Ok);
    let tid = s.send().id("m1").range("1-*/20000").body("x");
    assert_eq!(s.ines_writes(&tid), tid.tid);
    assert_eq!(s.codes(&tid.tid), [413], "announced");
    let first = s.send().id("m2").range("1-*/*").body(pattern(6000)).flag('+');
    let tid = s.ines_writes(&first);
    assert_eq!(s.codes(&tid), [200]);
    let second = s.send().id("m2").range("6001-*/*").body(pattern(6000)).flag('+');
    let tid = s.ines_writes(&second);
    assert_eq!(s.codes(&tid), [413], "ADV-E10");
    let third = s.send().id("m2").range("12001-*/*").body("x");
    let tid = s.ines_writes(&third);
    assert_eq!(s.codes(&tid), [413]);
    assert_eq!(s.relay().buffered(), 0);
}
