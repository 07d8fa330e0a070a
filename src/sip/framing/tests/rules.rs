//! One test for each rule of the framing.

use super::*;
use rstest::rstest;

fn faults(octets: &str) -> Vec<Fault> {
    let found = frames([octets.as_bytes()], Limits::default()).into_iter();
    found.filter_map(|f| if let Framed::Broken(b) | Framed::Lost(b) = f { Some(b.fault) } else { None }).collect()
}

#[test]
fn s18_3_datagram_without_a_length_has_the_rest_as_body() {
    let message = one(options("Content-Type: text/plain\r\n", "hello").as_bytes()).unwrap();
    assert!(text(&message).ends_with("Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"));
}

#[test]
fn s18_3_what_lies_behind_the_length_is_dropped() {
    let message = one(options("l: 2\r\n", "hello").as_bytes()).unwrap();
    assert!(text(&message).ends_with("Max-Forwards: 70\r\nContent-Length: 2\r\n\r\nhe"));
}

#[rstest]
#[case("Content-Length: 6\r\n", Fault::LengthBeyond)]
#[case("Content-Length: 99999999999999999999999\r\n", Fault::Length)]
#[case("Content-Length: 18446744073709551615\r\n", Fault::BodyTooLong)]
#[case("Content-Length: -1\r\n", Fault::Length)]
#[case("Content-Length: 5 5\r\n", Fault::Length)]
#[case("Content-Length:\r\n", Fault::Length)]
#[case("Content-Length: 5\r\nl: 4\r\n", Fault::LengthTwice)]
#[case("Content-Length: 70000\r\n", Fault::BodyTooLong)]
fn s20_14_bad_lengths_of_a_datagram_are_answered(#[case] line: &str, #[case] fault: Fault) {
    let broken = datagram(options(line, "hello").as_bytes(), source(), &Limits::default()).unwrap().unwrap_err();
    assert_eq!(broken.fault, fault);
    assert_eq!(broken.echo.unwrap().cseq, "7 OPTIONS");
}

#[test]
fn s20_14_the_same_length_twice_is_one() {
    assert!(one(options("Content-Length: 5\r\nl: 05\r\n", "hello").as_bytes()).is_ok());
}

#[rstest]
#[case("", Fault::LengthMissing)]
#[case("Content-Length: x\r\n", Fault::Length)]
#[case("Content-Length: 1\r\nContent-Length: 2\r\n", Fault::LengthTwice)]
#[case("Content-Length: 65537\r\n", Fault::BodyTooLong)]
fn s18_3_a_stream_without_a_usable_length_is_lost(#[case] line: &str, #[case] fault: Fault) {
    let all = options(line, "") + &options("Content-Length: 0\r\n", "");
    let found = frames([all.as_bytes()], Limits::default());
    let [Framed::Lost(broken)] = &*found else { panic!("{found:?}") };
    assert_eq!(broken.fault, fault);
    assert!(broken.echo.is_some(), "a response is possible");
}

#[test]
fn a_bad_header_costs_a_stream_one_message_only() {
    let bad = options("Content-Length: 0\r\n", "").replace("7 OPTIONS", "7 INVITE");
    let all = bad + &options("Content-Length: 3\r\n", "abc");
    let found = frames([all.as_bytes()], Limits::default());
    assert!(matches!(&*found, [Framed::Broken(b), Framed::Message(_)] if b.fault == Fault::CSeqMethod), "{found:?}");
}

#[rstest]
#[case("\r\n\r\n", 1)]
#[case("\r\n", 0)]
#[case("\r\n\r\n\r\n", 1)]
#[case("\r\n\r\n\r\n\r\n", 2)]
#[case("\n\n", 1)]
fn rfc5626_4_4_1_double_crlf_is_a_ping(#[case] gap: &str, #[case] pings: usize) {
    let all = options("Content-Length: 0\r\n", "") + gap + &options("Content-Length: 0\r\n", "");
    let found = frames([all.as_bytes()], Limits::default());
    assert_eq!(found.iter().filter(|f| **f == Framed::Ping).count(), pings);
    assert_eq!(found.iter().filter(|f| matches!(f, Framed::Message(_))).count(), 2);
}

#[test]
fn rfc5626_a_datagram_of_line_ends_is_nothing() {
    for blank in ["\r\n\r\n", "\r\n", "\n", ""] {
        assert!(datagram(blank.as_bytes(), source(), &Limits::default()).is_none());
    }
    let led = format!("\r\n\r\n{}", options("", ""));
    assert!(one(led.as_bytes()).is_ok(), "RFC 3261 section 7.5");
}

#[test]
fn s7_3_3_compact_names_folds_and_bare_line_feeds_come_out_in_one_form() {
    let odd = "OPTIONS sip:relay.example SIP/2.0\nv :SIP / 2.0 / TCP  c.example : 5061 ;\n branch = z9hG4bKa ,\r\n\tSIP/2.0/UDP \
               d.example;branch=z9hG4bKb\nf: <sip:ada@c.example>\n  ;tag=1\nt:<sip:relay.example>\ni : x@c.example\n\
               CSeq: 0007\r\n OPTIONS\nX-New:  a\n  b \nl: 3\n\nabc";
    let found = frames([odd.as_bytes()], Limits::default());
    let [Framed::Message(message)] = &*found else { panic!("{found:?}") };
    assert_eq!(
        text(message),
        "OPTIONS sip:relay.example SIP/2.0\r\nVia: SIP/2.0/TCP c.example:5061;branch=z9hG4bKa;received=192.0.2.77\r\n\
         Via: SIP/2.0/UDP d.example;branch=z9hG4bKb\r\nFrom: <sip:ada@c.example> ;tag=1\r\nTo: <sip:relay.example>\r\n\
         Call-ID: x@c.example\r\nCSeq: 0007 OPTIONS\r\nX-New: a b\r\nContent-Length: 3\r\n\r\nabc"
    );
    assert_eq!(message.head.cseq.number, 7);
    let echo = message.echo.as_ref().unwrap();
    assert_eq!(echo.vias.len(), 2, "a response repeats both, in their order");
    assert_eq!(echo.vias[1], "SIP/2.0/UDP d.example;branch=z9hG4bKb");
}

#[rstest]
#[case("SIP/2.0/UDP 192.0.2.77:5060;branch=z", "SIP/2.0/UDP 192.0.2.77:5060;branch=z", 5060)]
#[case("SIP/2.0/UDP 192.0.2.1;branch=z", "SIP/2.0/UDP 192.0.2.1;branch=z;received=192.0.2.77", 5060)]
#[case("SIP/2.0/UDP h:9;rport;branch=z", "SIP/2.0/UDP h:9;branch=z;received=192.0.2.77;rport=5099", 5099)]
#[case("SIP/2.0/UDP 192.0.2.77;rport", "SIP/2.0/UDP 192.0.2.77;received=192.0.2.77;rport=5099", 5099)]
#[case("SIP/2.0/UDP h;received=6.6.6.6;rport=6", "SIP/2.0/UDP h;received=192.0.2.77;rport=5099", 5099)]
#[case("SIP/2.0/TLS [2001:db8::1]", "SIP/2.0/TLS [2001:db8::1];received=192.0.2.77", 5061)]
fn rfc3581_via_is_marked_with_the_source(#[case] via: &str, #[case] marked: &str, #[case] port: u16) {
    let message =
        one(options("", "").replace("SIP/2.0/TCP c.example:5060;branch=z9hG4bKa;rport", via).as_bytes()).unwrap();
    assert_eq!(message.head.via.to_string(), marked);
    assert!(text(&message).contains(&format!("Via: {marked}\r\n")));
    assert_eq!(message.echo.unwrap().vias, [marked]);
    assert_eq!(message.head.via.reply_to(source()), SocketAddr::new(source().ip(), port));
}

#[test]
fn rfc3581_ipv6_sources_are_compared_as_addresses_and_written_bare() {
    let six = "[2001:db8::77]:5099".parse().unwrap();
    let with = |via| options("", "").replace("c.example:5060", via);
    let mark = |text: String| datagram(text.as_bytes(), six, &Limits::default()).unwrap().unwrap().head.via.to_string();
    assert!(mark(with("[2001:DB8:0::77]:5060")).ends_with(";received=2001:db8::77;rport=5099"));
    let no_rport = with("[2001:DB8:0::77]:5060").replace(";rport", "");
    assert!(!mark(no_rport).contains("received"));
}

#[rstest]
#[case("Subject: caf\u{e9}", b"caf\xe9", Fault::NotUtf8)]
#[case("Subject: a\rb", b"", Fault::Control)]
#[case("Subject: a\x01b", b"", Fault::Control)]
#[case("Subject: a\0b", b"", Fault::Nul)]
#[case("Sub ject: a", b"", Fault::HeaderLine)]
#[case("no colon", b"", Fault::HeaderLine)]
fn s7_3_1_headers_that_cannot_be_passed_on_are_refused(#[case] line: &str, #[case] raw: &[u8], #[case] fault: Fault) {
    let mut octets = options(&format!("{line}\r\nContent-Length: 0\r\n"), "").into_bytes();
    if !raw.is_empty() {
        let at = octets.windows(5).position(|w| w == "caf\u{e9}".as_bytes()).unwrap();
        octets.splice(at..at + 5, raw.iter().copied());
    }
    assert_eq!(one(&octets).unwrap_err(), fault);
    let found = frames([&*octets], Limits::default());
    assert!(matches!(&*found, [Framed::Broken(b)] if b.fault == fault), "{found:?}");
}

#[test]
fn s25_1_a_quoted_pair_may_hold_a_control_octet_but_no_line_end() {
    let with = |name: &str| options("", "").replace("<sip:ada", &format!("\"{name}\" <sip:ada"));
    assert!(one(with("\\\x07").as_bytes()).is_ok());
    assert_eq!(one(with("\\\r").as_bytes()).unwrap_err(), Fault::Control);
}

#[test]
fn limits_of_a_stream() {
    let limits = Limits { start_line: 40, headers: 8, head: 400, body: 4, ..Limits::default() };
    let lost = |octets: String| match &*frames([octets.as_bytes()], limits) {
        [Framed::Lost(broken)] => (broken.fault, broken.echo.is_some()),
        other => panic!("{other:?}"),
    };
    assert_eq!(lost("OPTIONS ".to_owned() + &"x".repeat(33)), (Fault::StartLineTooLong, false));
    assert_eq!(lost(options(&"A: b\r\n".repeat(3), "")), (Fault::TooManyHeaders, true));
    assert_eq!(lost(options(&format!("A: {}\r\n", "b".repeat(400)), "")), (Fault::HeadTooLong, true));
    assert_eq!(lost(options("l: 5\r\n", "")), (Fault::BodyTooLong, true));
    assert_eq!(lost("GET / HTTP/1.1\r\n".into()), (Fault::NotSip, false));
    assert_eq!(lost("\x16\x03\x01\x00".into()), (Fault::NotSip, false));
}

#[test]
fn limits_of_a_datagram() {
    let limits = Limits { start_line: 40, headers: 8, head: 400, body: 4, ..Limits::default() };
    let fault = |octets: String| datagram(octets.as_bytes(), source(), &limits).unwrap().unwrap_err();
    let long = fault(options("", "").replace("relay.example SIP", &format!("{} SIP", "r".repeat(30))));
    assert_eq!((long.fault, long.echo.is_some()), (Fault::StartLineTooLong, true));
    assert_eq!(fault(options(&"A: b\r\n".repeat(3), "")).fault, Fault::TooManyHeaders);
    assert_eq!(fault(options(&format!("A: {}\r\n", "b".repeat(400)), "")).fault, Fault::HeadTooLong);
    assert_eq!(fault(options("", "hello")).fault, Fault::BodyTooLong);
    assert_eq!(fault("OPTIONS sip:x SIP/2.0\r\nVia: a\r\n".into()).fault, Fault::HeadOpen);
    assert_eq!(fault("\0\0\0\0".into()), super::super::Broken { fault: Fault::NotSip, echo: None });
}

#[test]
fn a_slow_message_has_a_deadline_and_an_answer_if_its_head_is_there() {
    let mut stream = Stream::new(source(), Limits::default());
    assert_eq!(stream.deadline(), None);
    assert_eq!(stream.expire(), None);
    stream.push(b"\r\n\r\n", NOW);
    assert_eq!(stream.next(NOW), Some(Framed::Ping));
    assert_eq!((stream.next(NOW), stream.deadline()), (None, None), "nothing has begun");
    stream.push(options("Content-Length: 9\r\n", "abc").as_bytes(), NOW);
    assert_eq!(stream.next(NOW), None);
    assert_eq!(stream.deadline(), Some(NOW + Limits::default().time));
    let Some(Framed::Lost(broken)) = stream.expire() else { panic!() };
    assert_eq!(broken.fault, Fault::Slow);
    assert!(broken.echo.is_some());
    stream.push(b"xyz", NOW);
    assert_eq!((stream.next(NOW), stream.expire()), (None, None), "lost for good");
}

#[test]
fn responses_and_acks_are_never_answered() {
    for start in ["SIP/2.0 200 OK", "ACK sip:x SIP/2.0"] {
        let octets = options("Content-Length: 0\r\n", "").replace("OPTIONS sip:relay.example SIP/2.0", start);
        let found = frames([octets.replace("Max-Forwards: 70", "Max-Forwards: x").as_bytes()], Limits::default());
        let [Framed::Broken(broken)] = &*found else { panic!("{found:?}") };
        assert_eq!(broken.echo, None);
    }
    assert_eq!(faults(&options("Content-Length: 0\r\n", "").replace("SIP/2.0\r", "SIP/3.0\r")), [Fault::Version]);
}

#[test]
fn every_fault_has_its_place() {
    for (place, fault) in Fault::ALL.into_iter().enumerate() {
        assert_eq!(fault as usize, place);
    }
    assert_eq!(Fault::Method as usize + 1, Fault::ALL.len());
}
