//! SENDs on their way through one relay: answers, paths, headers, ranges.

use super::chunk::{Request, pattern};
use super::scene::{INES, Scene, TOMAS};

/// CORE-8, CORE-10, CORE-12, CORE-38, CORE-50, CORE-65, RLY-46, RLY-48, RLY-49
#[test]
fn rly_49_send_is_answered_at_once_and_forwarded() {
    let mut s = Scene::new();
    let send = s.send().id("Jd83kQz0vBn1LmXe").range("1-36/36").line("Success-Report: yes");
    let send = send.body("Are we still on for the 14:30 ferry?");
    s.net.hold_dials = true;
    let tid = s.ines_writes(&send);
    assert_eq!(s.codes(&tid), [200], "before the next hop is even connected");
    s.net.answer_dials();
    s.net.run();
    let tomas = &s.net.ends[s.tomas()];
    let out = tomas.sends()[0];
    let expected = format!(
        "MSRP {tid} SEND\r\nTo-Path: {TOMAS}\r\nFrom-Path: {} {INES}\r\nMessage-ID: Jd83kQz0vBn1LmXe\r\n\
         Byte-Range: 1-36/36\r\nSuccess-Report: yes\r\nContent-Type: text/plain\r\n\r\n\
         Are we still on for the 14:30 ferry?\r\n-------{tid}$\r\n",
        s.token,
        tid = out.tid(),
    );
    assert_eq!(String::from_utf8_lossy(&tomas.raw), expected);
    assert_ne!(out.tid(), tid, "RLY-48");
    let answer = s.net.ends[s.ines].frames.last().expect("the 200");
    assert_eq!((answer.header("To-Path"), answer.header("From-Path")), (INES.to_owned(), s.token.clone()));
}

/// RLY-46
#[test]
fn rly_46_to_owner_direction() {
    let mut s = Scene::new().introduced();
    let tomas = s.tomas();
    let back = s.back().id("b1").body("yes");
    s.net.write(tomas, back.octets());
    assert_eq!(s.net.ends[tomas].codes(&back.tid), [200]);
    let got = s.net.last(s.ines);
    assert_eq!((got.header("To-Path"), got.header("From-Path")), (INES.to_owned(), format!("{} {TOMAS}", s.token)));
    assert_eq!(got.body, b"yes");
}

/// CORE-40, CORE-41, CORE-42, CORE-45, CORE-99, RLY-57, RLY-59, RLY-79
#[test]
fn core_41_large_chunk_is_cut_in_equal_parts() {
    let mut s = Scene::new();
    let body = pattern(25_000);
    let send = s.send().id("m1").range("1-25000/25000").body(&body);
    s.ines_writes(&send);
    assert_eq!(s.ranges(), ["1-*/25000 +", "8335-*/25000 +", "16668-*/25000 $"]);
    assert_eq!(s.net.ends[s.tomas()].content("m1"), body);
}

/// CORE-42, RLY-60
#[test]
fn rly_60_many_small_messages_keep_their_order() {
    let mut s = Scene::new();
    let all: Vec<u8> = (0..100).flat_map(|i| s.send().id(&format!("id{i:04}")).body("x").octets()).collect();
    s.net.write(s.ines, all);
    let ids: Vec<_> = s.net.ends[s.tomas()].sends().iter().map(|f| f.message()).collect();
    assert_eq!(ids, (0..100).map(|i| format!("id{i:04}")).collect::<Vec<_>>());
    assert_eq!(s.relay().pending_count(), 0);
    assert_eq!(s.relay().buffered(), 0);
}

/// CORE-9, CORE-21, CORE-34, CORE-36, RLY-47, RLY-62
#[test]
fn rly_62_headers_pass_octet_for_octet_on_every_part() {
    let mut s = Scene::new();
    let odd = "MSRPS://Bob@Third.EXAMPLE:2855/a/b=+;TCP;x=1";
    let send = Request::send(&[&s.token, TOMAS, odd], INES).id("a@b_c:d").range("1-*/20001");
    let send = send.line("X-Note: \u{b4}\u{fc}").failure_report("partial").line("X-A:b").line("Success-Report: yes");
    let send = send.body(pattern(20_001));
    s.ines_writes(&send);
    let tomas = &s.net.ends[s.tomas()];
    assert_eq!(tomas.sends().len(), 3);
    for part in tomas.sends() {
        assert_eq!(part.header("To-Path"), format!("{TOMAS} {odd}"));
        assert_eq!(part.header("Message-ID"), "a@b_c:d");
        assert_eq!((part.header("Failure-Report"), part.header("Success-Report")), ("partial".into(), "yes".into()));
        assert_eq!(part.header("X-Note"), "\u{b4}\u{fc}");
        let text = String::from_utf8_lossy(part.head.bytes()).into_owned();
        assert!(text.contains("\r\nX-A:b\r\n") && text.ends_with("Content-Type: text/plain\r\n"), "{text}");
    }
}

/// CORE-15, RLY-61
#[test]
fn unknown_headers_are_no_reason_to_refuse() {
    let mut s = Scene::new();
    let tid = s.ines_writes(&s.send().id("m").line("X-Foo: bar").line("Message-Expires: yesterday").body("x"));
    assert_eq!(s.codes(&tid), [200]);
    assert_eq!(s.net.last(s.tomas()).header("X-Foo"), "bar");
}

/// CORE-3, CORE-4, RLY-48
#[test]
fn core_4_transact_ids_cannot_be_foretold() {
    let mut s = Scene::new();
    for i in 0..20 {
        let one = |n| s.send().id(&format!("m{i}.{n}")).body("x").octets();
        let octets: Vec<u8> = (0..100).flat_map(one).collect();
        s.net.write(s.ines, octets);
    }
    let mut tids: Vec<String> = s.net.ends[s.tomas()].sends().iter().map(|f| f.tid()).collect();
    assert!(tids.iter().all(|tid| tid.len() == 16 && tid.bytes().all(|c| c.is_ascii_alphanumeric())));
    tids.sort();
    let alike = |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    assert_eq!(tids.len(), 2000);
    assert!(tids.windows(2).all(|w| alike(&w[0], &w[1]) <= 4), "neither counted nor derived");
}
