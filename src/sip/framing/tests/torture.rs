//! The messages of RFC 4475, octet for octet as its appendix A has them, each with what becomes of it here; and those defects of
//! theirs one by one that stand together in one message.

use super::*;
use crate::sip::gate;
use rstest::rstest;

/// What becomes of a datagram.
#[derive(Debug, PartialEq)]
enum Fate {
    /// Handed on.
    Up,
    /// Answered with this status.
    Answered(u16),
    /// Dropped and counted: a response, or noise.
    Dropped(Fault),
}
use Fate::{Answered, Dropped, Up};

fn fate(octets: &[u8]) -> Fate {
    let broken = match datagram(octets, source(), &Limits::default()).expect("not blank") {
        Ok(message) => match gate::check(&message) {
            Ok(()) => return Up,
            Err(fault) => super::super::Broken { fault, echo: message.echo },
        },
        Err(broken) => broken,
    };
    match (broken.echo, broken.fault.status()) {
        (Some(_), Some((status, _))) => Answered(status),
        _ => Dropped(broken.fault),
    }
}

/// A message of the archive.
macro_rules! message {
    ($name:literal) => {
        include_bytes!(concat!("torture/", $name, ".dat"))
    };
}

#[rstest]
#[case::s3_1_1_1(message!("wsinv"), Up)]
#[case::s3_1_1_2(message!("intmeth"), Answered(405))]
#[case::s3_1_1_3(message!("esc01"), Up)]
#[case::s3_1_1_4(message!("escnull"), Answered(405))]
#[case::s3_1_1_5(message!("esc02"), Answered(405))]
#[case::s3_1_1_6(message!("lwsdisp"), Up)]
#[case::s3_1_1_7(message!("longreq"), Up)]
#[case::s3_1_1_8(message!("dblreq"), Answered(405))]
#[case::s3_1_1_9(message!("semiuri"), Up)]
#[case::s3_1_1_10(message!("transports"), Up)]
#[case::s3_1_1_11(message!("mpart01"), Up)]
#[case::s3_1_1_12(message!("unreason"), Up)]
#[case::s3_1_1_13(message!("noreason"), Up)]
#[case::s3_1_2_1(message!("badinv01"), Answered(400))]
#[case::s3_1_2_2(message!("clerr"), Answered(400))]
#[case::s3_1_2_3(message!("ncl"), Answered(400))]
#[case::s3_1_2_4(message!("scalar02"), Answered(400))]
#[case::s3_1_2_5(message!("scalarlg"), Dropped(Fault::CSeq))]
#[case::s3_1_2_6(message!("quotbal"), Answered(400))]
#[case::s3_1_2_7(message!("ltgtruri"), Answered(400))]
#[case::s3_1_2_8(message!("lwsruri"), Answered(400))]
#[case::s3_1_2_9(message!("lwsstart"), Answered(400))]
#[case::s3_1_2_10(message!("trws"), Answered(400))]
#[case::s3_1_2_11(message!("escruri"), Up)]
#[case::s3_1_2_12(message!("baddate"), Up)]
#[case::s3_1_2_13(message!("regbadct"), Answered(405))]
#[case::s3_1_2_14(message!("badaspec"), Up)]
// In the archive it lacks the line that ends its head.
#[case::s3_1_2_15(message!("baddn"), Dropped(Fault::HeadOpen))]
#[case::s3_1_2_15_ended(&[message!("baddn"), &b"\r\n"[..]].concat(), Up)]
#[case::s3_1_2_16(message!("badvers"), Answered(505))]
#[case::s3_1_2_17(message!("mismatch01"), Answered(400))]
#[case::s3_1_2_18(message!("mismatch02"), Answered(400))]
#[case::s3_1_2_19(message!("bigcode"), Dropped(Fault::StatusCode))]
#[case::s3_2_1(message!("badbranch"), Up)]
#[case::s3_3_1(message!("insuf"), Dropped(Fault::HeaderMissing))]
#[case::s3_3_2(message!("unkscm"), Answered(416))]
#[case::s3_3_3(message!("novelsc"), Answered(416))]
#[case::s3_3_4(message!("unksm2"), Answered(405))]
#[case::s3_3_5(message!("bext01"), Up)]
#[case::s3_3_6(message!("invut"), Up)]
#[case::s3_3_7(message!("regaut01"), Answered(405))]
#[case::s3_3_8(message!("multi01"), Answered(400))]
#[case::s3_3_9(message!("mcl01"), Answered(400))]
#[case::s3_3_10(message!("bcast"), Up)]
#[case::s3_3_11(message!("zeromf"), Up)]
#[case::s3_3_12(message!("cparam01"), Answered(405))]
#[case::s3_3_13(message!("cparam02"), Answered(405))]
#[case::s3_3_14(message!("regescrt"), Answered(405))]
#[case::s3_3_15(message!("sdp01"), Up)]
// A dialog without a tag is what RFC 3261 leaves to those who want it.
#[case::s3_4_1(message!("inv2543"), Answered(400))]
fn the_messages_of_rfc_4475(#[case] octets: &[u8], #[case] fate_of_it: Fate) {
    assert_eq!(fate(octets), fate_of_it);
}

#[test]
fn s3_1_1_1_a_short_tortuous_invite() {
    let message = one(message!("wsinv")).unwrap();
    assert_eq!(message.head.via.to_string(), "SIP/2.0/UDP 192.0.2.2;branch=390skdjuw;received=192.0.2.77");
    assert_eq!((message.head.cseq.number, message.head.max_forwards), (9, Some(68)));
    let written = super::text(&message);
    assert!(written.contains("\r\nSubject: \r\nNewFangledHeader: newfangled value continued newfangled value\r\n"));
    assert!(written.contains("\r\nVia: SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8  , SIP"));
    assert!(
        written.contains("\r\nContact: \"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam = newvalue ; ")
    );
}

#[test]
fn s3_1_1_2_a_wide_range_of_valid_characters() {
    let message = one(message!("intmeth")).unwrap();
    assert_eq!(message.head.method(), Some("!interesting-Method0123456789_*+`.%indeed'~"));
}

#[test]
fn s3_1_1_8_octets_behind_the_message_are_dropped() {
    let both = message!("dblreq");
    let second = both.windows(7).rposition(|octets| octets == b"INVITE ").unwrap();
    assert!(second > 0);
    assert_eq!(one(both), one(&both[..second]));
}

/// Phrases, odd or missing, are kept.
#[rstest]
#[case::s3_1_1_12(message!("unreason"))]
#[case::s3_1_1_13(message!("noreason"))]
fn phrases_are_kept(#[case] octets: &[u8]) {
    let line = |octets: &[u8]| octets.split(|octet| *octet == b'\r').next().map(<[u8]>::to_vec);
    assert_eq!(line(&one(octets).unwrap().octets), line(octets));
}

const REST: &str = "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bK.0q\r\nFrom: <sip:a@example.com>;tag=1918181833n\r\n\
                    To: <sip:user@example.com>\r\nCall-ID: t.asdf@example.com\r\nMax-Forwards: 8\r\nCSeq: 8 OPTIONS\r\n";

/// An OPTIONS with the usual headers.
fn usual() -> String {
    format!("OPTIONS sip:user@example.com SIP/2.0\r\n{REST}\r\n")
}

#[rstest]
#[case::s3_1_2_1("UDP host1.example.com;", "UDP 192.0.2.15;;,;,,;", Answered(400))]
#[case::s3_1_2_1("\r\n\r\n", "\r\nContact: \"Joe\" <sip:joe@example.org>;;;;\r\n\r\n", Up)]
#[case::s3_1_2_4("Max-Forwards: 8", "Max-Forwards: 300", Answered(400))]
#[case::s3_1_2_4("CSeq: 8 ", "CSeq: 36893488147419103232 ", Answered(400))]
#[case::s3_3_1("Call-ID: t.asdf@example.com\r\n", "", Dropped(Fault::HeaderMissing))]
#[case::s3_3_1("CSeq: 8 OPTIONS\r\n", "", Dropped(Fault::HeaderMissing))]
#[case::s3_3_8("Call-ID: ", "Call-ID: multi01.other@example.com\r\nCall-ID: ", Answered(400))]
#[case::s3_3_8("Max-Forwards: ", "Max-Forwards: 5\r\nMax-Forwards: ", Answered(400))]
#[case::s3_3_8("To: ", "To: <sip:other@example.com>\r\nTo: ", Answered(400))]
#[case::s3_3_8("From: ", "From: <sip:other@example.com>;tag=1\r\nFrom: ", Answered(400))]
#[case::s3_3_8("CSeq: ", "CSeq: 9 OPTIONS\r\nCSeq: ", Answered(400))]
#[case::s3_4_1(";tag=1918181833n", "", Answered(400))]
#[case::s3_4_1(";branch=z9hG4bK.0q", "", Up)]
fn one_defect_at_a_time(#[case] this: &str, #[case] that: &str, #[case] fate_of_it: Fate) {
    assert!(usual().contains(this));
    assert_eq!(fate(usual().replacen(this, that, 1).as_bytes()), fate_of_it);
}

#[test]
fn a_status_line_may_lack_its_last_space() {
    let text = usual().replace("OPTIONS sip:user@example.com SIP/2.0", "SIP/2.0 200").replace("8 OPTIONS", "8 INVITE");
    assert_eq!(fate(text.as_bytes()), Up);
}

/// What came by UDP whole comes so by a stream; what has no length there ends it.
#[test]
fn s3_1_2_3_and_s3_3_9_a_stream_does_not_go_on_after_a_bad_length() {
    for broken in [&message!("ncl")[..], message!("mcl01")] {
        let both = [broken, message!("semiuri")].concat();
        let found = frames([&*both], Limits::default());
        assert!(!found.iter().any(|framed| matches!(framed, Framed::Message(_))), "{found:?}");
    }
}
