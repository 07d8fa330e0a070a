//! SENDs on their way through one relay: answers, paths, headers, ranges.

use super::chunk::{Request, pattern};
use super::scene::{INES, Scene, TOMAS};

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

#[test]
fn core_41_large_chunk_is_cut_in_equal_parts() {
    let mut s = Scene::new();
    let body = pattern(25_000);
    let send = s.send().id("m1").range("1-25000/25000").body(&body);
    s.ines_writes(&send);
    assert_eq!(s.ranges(), ["1-*/25000 +", "8335-*/25000 +", "16668-*/25000 $"]);
    assert_eq!(s.net.ends[s.tomas()].content("m1"), body);
}

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

#[test]
fn rly_62_headers_pass_octet_for_octet_on_every_part() {
    let mut s = Scene::new();
    let odd = "MSRPS://Bob@Third.EXAMPLE:2855/a/b=+;TCP;x=1";
    let send = Request::send(&[&s.token, TOMAS, odd], INES).id("a@b_c:d").range("1-*/20001");
    let send = send.line("X-Note: \u{b4}\u{fc}").failure_report("yes").line("X-A:b").body(pattern(20_001));
    s.ines_writes(&send);
    let tomas = &s.net.ends[s.tomas()];
    assert_eq!(tomas.sends().len(), 3);
    for part in tomas.sends() {
        assert_eq!(part.header("To-Path"), format!("{TOMAS} {odd}"));
        assert_eq!(part.header("Message-ID"), "a@b_c:d");
        assert_eq!(part.header("X-Note"), "\u{b4}\u{fc}");
        let text = String::from_utf8_lossy(part.head.bytes()).into_owned();
        assert!(text.contains("\r\nX-A:b\r\n") && text.ends_with("Content-Type: text/plain\r\n"), "{text}");
    }
}
