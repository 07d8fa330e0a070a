//! Heads that are odd or wrong: what is answered to whom, and that the connection stays (RFC 4975 sections 7.2 and 9).

use rstest::rstest;

use super::chunk::{Request, pattern};
use super::scene::{HUB, INES, Scene, TOMAS};

/// CORE-17, CORE-19, CORE-22, CORE-58, ADV-C09
#[rstest]
#[case::folded("X-A: b\r\n continued")]
#[case::two_message_ids("Message-ID: m2")]
#[case::two_to_paths("To-Path: msrp://r.example:1/t;tcp")]
#[case::two_from_paths("From-Path: msrp://r.example:1/t;tcp")]
#[case::control_octet("X-Note: a\u{1}")]
#[case::delete("X-Note: a\u{7f}")]
#[case::range_without_total("Byte-Range: 1-5")]
#[case::range_before_one("Byte-Range: -1-5/5")]
#[case::hexadecimal_range("Byte-Range: 0x1-5/5")]
fn faulty_lines_get_400_and_the_connection_stays(#[case] line: &str) {
    let mut s = Scene::new().introduced();
    let tid = s.ines_writes(&s.send().id("m1").line(line).body("x"));
    assert_eq!(s.codes(&tid), [400]);
    let tid = s.ines_writes(&s.send().id("m1").failure_report("no").line(line).body("x"));
    assert!(s.codes(&tid).is_empty());
    let tid = s.ines_writes(&s.send().id("m2").body("good"));
    assert_eq!(s.codes(&tid), [200]);
    assert_eq!(s.net.ends[s.tomas()].sends().iter().map(|f| f.message()).collect::<Vec<_>>(), ["m2"]);
}

/// CORE-88, RLY-78, ADV-C25
#[rstest]
#[case::numeric_host_without_port("msrps://9.9.9.9/x;tcp")]
#[case::bad_ipv6("msrp://[::::::1]:2855/x;tcp")]
#[case::port_beyond_65535("msrp://h:99999/x;tcp")]
#[case::no_port_behind_the_colon("msrp://h:/x;tcp")]
#[case::no_host("msrp:///x;tcp")]
#[case::empty_session_id("msrp://h:1/;tcp")]
#[case::no_transport("msrp://h:1/x")]
fn paths_that_do_not_parse_get_400_or_nothing(#[case] uri: &str) {
    let mut s = Scene::new();
    let tid = s.ines_writes(&Request::send(&[&s.token, uri], INES).id("m").body("x"));
    assert_eq!(s.codes(&tid), [400]);
    let tid = s.ines_writes(&Request::send(&[&s.token, TOMAS], uri).id("m").body("x"));
    assert!(s.codes(&tid).is_empty(), "nobody to answer to");
    assert!(s.net.dialled.is_empty() && !s.net.ends[s.ines].closed);
}

/// ADV-C06
#[test]
fn seventeen_uris_are_too_many() {
    let mut s = Scene::new();
    for (count, code) in [(15, 200), (16, 400)] {
        let mut path = vec![TOMAS; count];
        let token = s.token.clone();
        path.insert(0, &token);
        let tid = s.ines_writes(&Request::send(&path, INES).id("m").body("x"));
        assert_eq!(s.codes(&tid), [code], "{count} behind the token");
    }
}

/// CORE-101
#[test]
fn a_body_without_content_type_is_400_and_skipped() {
    let mut s = Scene::new().introduced();
    let head = format!("To-Path: {} {TOMAS}\r\nFrom-Path: {INES}\r\nMessage-ID: m\r\n", s.token);
    let bad = format!("MSRP abcd1234 SEND\r\n{head}\r\nbody\r\n-------abcd1234$\r\n");
    let good = s.send().id("m2").body("x");
    s.net.write(s.ines, [bad.into_bytes(), good.octets()].concat());
    assert_eq!((s.codes("abcd1234"), s.codes(&good.tid)), (vec![400], vec![200]));
    assert_eq!(s.net.ends[s.tomas()].sends().len(), 1);
}

/// CORE-33
#[test]
fn requests_other_than_send_come_in_one_piece() {
    let mut s = Scene::new().introduced();
    for flag in ['+', '#'] {
        let tid = s.ines_writes(&Request::new("NICKNAME", &[&s.token, TOMAS], INES).flag(flag));
        assert_eq!(s.codes(&tid), [400]);
    }
    assert!(s.net.ends[s.tomas()].frames.is_empty());
}

/// CORE-6, CORE-7, CORE-16, CORE-62, CORE-63, RLY-49
#[test]
fn a_send_is_answered_one_hop_back_and_all_else_to_its_origin() {
    let mut s = Scene::new();
    let hub = s.net.peer_relay(0, HUB);
    let (hop, from) =
        ("msrps://hub.south.example:2855/a;tcp", format!("msrps://hub.south.example:2855/a;tcp {TOMAS} {TOMAS}"));
    let send = Request::send(&[&s.token, INES], &from).id("m").body("x");
    let frob = Request::new("FROB", &[&s.token], &from);
    for (request, code, back) in [(&send, 200, hop), (&frob, 501, from.as_str())] {
        s.net.write(hub, request.octets());
        let answer = s.net.last(hub);
        assert_eq!((answer.tid(), answer.code()), (request.tid.clone(), Some(code)));
        assert_eq!((answer.header("To-Path"), answer.header("From-Path")), (back.to_owned(), s.token.clone()));
        assert!(!answer.has_body && answer.flag.octet() == b'$');
    }
}

/// CORE-5, RLY-48
#[test]
fn any_transact_id_of_the_alphabet_comes_back_as_it_was() {
    let mut s = Scene::new();
    let mut send = s.send().id("m").body("x");
    send.tid = "a.-+%=Z9+".to_owned();
    s.ines_writes(&send);
    assert_eq!(s.codes("a.-+%=Z9+"), [200]);
    assert_ne!(s.net.last(s.tomas()).tid(), "a.-+%=Z9+");
}

/// ADV-C20
#[test]
fn frames_in_one_segment_are_answered_each_by_itself() {
    let mut s = Scene::new();
    let nowhere = "msrps://gate.north.example:2855/000000.0abcdefghijklmnopqrstuv;tcp";
    let quiet = Request::send(&[nowhere, TOMAS], INES).id("m1").failure_report("no").body("x");
    let loud = s.send().id("m2").body("x");
    s.net.write(s.ines, [quiet.octets(), loud.octets()].concat());
    assert_eq!((s.codes(&quiet.tid), s.codes(&loud.tid)), (vec![], vec![200]));
}

/// ADV-C30
#[test]
fn a_transact_id_used_twice_is_answered_twice() {
    let mut s = Scene::new();
    let send = s.send().id("m").body("x");
    s.net.write(s.ines, send.octets().repeat(2));
    assert_eq!(s.codes(&send.tid), [200, 200]);
    let tids: Vec<_> = s.net.ends[s.tomas()].sends().iter().map(|f| f.tid()).collect();
    assert!(tids.len() == 2 && tids[0] != tids[1], "{tids:?}");
}

/// CORE-90, ADV-C26
#[test]
fn a_session_id_in_another_case_is_another_session() {
    let mut s = Scene::new();
    let (start, id) = s.token.strip_suffix(";tcp").and_then(|t| t.rsplit_once('.')).expect("a token");
    let flip = |c: char| if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
    let other = format!("{start}.{};tcp", id.chars().map(flip).collect::<String>());
    let tid = s.ines_writes(&Request::send(&[&other, TOMAS], INES).id("m").body("x"));
    assert_eq!(s.codes(&tid), [481]);
    assert!(s.net.dialled.is_empty());
}

/// ADV-C17
#[test]
fn nobody_is_connected_to_for_a_from_path() {
    let mut s = Scene::new();
    s.net.read(s.ines, false);
    let stranger = s.net.client(0);
    let victim = "msrp://victim.example:25/x;tcp";
    let send = Request::send(&[&s.token, INES], victim).id("m").body(pattern(200));
    s.net.write(stranger, send.octets());
    assert_eq!(s.net.ends[stranger].codes(&send.tid), [200]);
    // She never reads it: what is to be told goes the same way.
    s.net.lose(s.ines);
    assert_eq!(s.net.ends[stranger].reported(), [481]);
    assert!(s.net.dialled.is_empty());
}

/// ADV-R21
#[test]
fn headers_of_auth_mean_nothing_in_a_send() {
    let mut s = Scene::new();
    let before = s.relay().session_count();
    let send = s.send().id("m").line("Use-Path: msrps://evil.example:1/x;tcp").line("WWW-Authenticate: Digest realm=x");
    let tid = s.ines_writes(&send.line("Expires: 1").body("x"));
    assert_eq!((s.codes(&tid), s.relay().session_count()), (vec![200], before));
    let got = s.net.last(s.tomas());
    assert_eq!(got.header("Use-Path"), "msrps://evil.example:1/x;tcp");
    s.net.seconds(100);
    let tid = s.ines_writes(&s.send().id("m").body("x"));
    assert_eq!(s.codes(&tid), [200], "the token lives on");
}

/// CORE-106, ADV-R23
#[test]
fn hops_of_other_transports_pass_where_we_do_not_connect() {
    let mut s = Scene::new();
    let (ws, dc) = ("msrps://df7jal23ls0d.invalid:443/a;ws", "msrp://gw.example:9/b;dc");
    let tid = s.ines_writes(&Request::send(&[&s.token, TOMAS, ws, dc], INES).id("m").body("x"));
    assert_eq!(s.codes(&tid), [200]);
    assert_eq!(s.net.last(s.tomas()).header("To-Path"), format!("{TOMAS} {ws} {dc}"));
    // A client that calls itself so is bound to its connection like any other.
    let token = s.net.auth(s.ines, ws, &[]);
    let tid = s.ines_writes(&Request::send(&[&token, TOMAS], ws).id("m").body("x"));
    assert_eq!(s.codes(&tid), [200]);
}

/// RLY-101
#[test]
fn unsigned_content_is_refused_where_policy_says_so() {
    let mut s = Scene::with(|s| s.require_signed = true);
    let tid = s.ines_writes(&s.send().id("m").body("x"));
    assert_eq!(s.codes(&tid), [415]);
    assert!(s.net.ends[s.tomas()].frames.is_empty());
    let head = format!("To-Path: {} {TOMAS}\r\nFrom-Path: {INES}\r\nMessage-ID: m2\r\n", s.token);
    let signed = "Content-Type: multipart/signed; boundary=b\r\n\r\nx";
    s.net.write(s.ines, format!("MSRP abcd1234 SEND\r\n{head}{signed}\r\n-------abcd1234$\r\n"));
    assert_eq!(s.codes("abcd1234"), [200]);
}

/// CORE-49, CORE-96
#[test]
fn positions_beyond_32_bits_pass_and_cost_nothing() {
    let mut s = Scene::new();
    let send = s.send().id("m1").range("1-*/18446744073709551615").body(pattern(100)).flag('+');
    let tid = s.ines_writes(&send);
    assert_eq!(s.codes(&tid), [200]);
    let send = s.send().id("m2").range("4294967297-*/8589934592").body(pattern(20_000)).flag('+');
    let tid = s.ines_writes(&send);
    assert_eq!(s.codes(&tid), [200]);
    assert_eq!(s.ranges(), ["1-100/18446744073709551615 +", "4294967297-*/8589934592 +", "4294977297-*/8589934592 +"]);
    assert_eq!(s.relay().buffered(), 0);
}

/// CORE-86
#[test]
fn a_message_that_comes_twice_is_answered_and_passed_on_twice() {
    let mut s = Scene::new();
    for _ in 0..2 {
        let tid = s.ines_writes(&s.send().id("m").range("1-3/3").body("abc"));
        assert_eq!(s.codes(&tid), [200]);
    }
    assert_eq!(s.net.ends[s.tomas()].sends().len(), 2);
}

/// ADV-R17
#[test]
fn messages_that_never_end_leave_nothing_behind() {
    let mut s = Scene::new();
    for i in 0..50 {
        let open = |n| s.send().id(&format!("m{i}.{n}")).range("1-*/*").body("x").flag('+').octets();
        let octets: Vec<u8> = (0..100).flat_map(open).collect();
        s.net.write(s.ines, octets);
    }
    assert_eq!(s.net.ends[s.tomas()].sends().len(), 5000);
    assert_eq!((s.relay().pending_count(), s.relay().buffered(), s.relay().way_count()), (0, 0, 1));
}
