//! The messages of RFC 4475, each with what becomes of it here. Headers that nothing here looks at are left out.

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

/// A message in a form that is easy to read: its lines are trimmed, but for `|`, which keeps the spaces behind it.
fn wire(lines: &str) -> String {
    let (head, body) = lines.split_once("\n\n").unwrap_or((lines, ""));
    let mut out = String::new();
    for line in head.lines().map(str::trim_start).filter(|l| !l.is_empty()) {
        out += line.strip_prefix('|').unwrap_or(line);
        out += "\r\n";
    }
    out + "\r\n" + body
}

const REST: &str = "Via: SIP/2.0/UDP host1.example.com;branch=z9hG4bK.0q\nFrom: <sip:a@example.com>;tag=1918181833n\n\
                    To: <sip:user@example.com>\nCall-ID: t.asdf@example.com\nMax-Forwards: 8";

/// A start line, the usual headers, and others.
fn usual(start: &str, more: &str) -> String {
    let method = start.split(' ').find(|w| !w.is_empty()).unwrap();
    let cseq = if more.contains("CSeq:") { String::new() } else { format!("CSeq: 8 {method}\n") };
    wire(&format!("{start}\n{REST}\n{cseq}{more}"))
}

/// 3.1.1.1
const WSINV: &str = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0
    TO :
    | sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n
    from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>
    |  ;
    |  tag = 98asjd8
    MaX-fOrWaRdS: 0068
    Call-ID: wsinv.ndaksdj@192.0.2.1
    Content-Length   : 150
    cseq: 0009
    |  INVITE
    Via  : SIP  /   2.0
    | /UDP
    |    192.0.2.2;branch=390skdjuw
    s :
    NewFangledHeader:   newfangled value
    | continued newfangled value
    UnknownHeaderWithUnusualValue: ;;,,;;,;
    Content-Type: application/sdp
    Route:
    | <sip:services.example.com;lr;unknownwith=value;unknown-no-value>
    v:  SIP  / 2.0  / TCP     spindle.example.com   ;
    |  branch  =   z9hG4bK9ikj8  ,
    | SIP  /    2.0   / UDP  192.168.255.111   ; branch=
    | z9hG4bK30239
    m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =
    |      newvalue ;
    |  secondparam ; q = 0.33\n\n";

#[test]
fn s3_1_1_1_a_short_tortuous_invite() {
    let text = wire(WSINV) + &"v".repeat(150);
    let message = one(text.as_bytes()).unwrap();
    assert_eq!(fate(text.as_bytes()), Up);
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
    let method = "!interesting-Method0123456789_*+`.%indeed'~";
    let uri =
        "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com";
    let mut text = usual(&format!("{method} {uri} SIP/2.0"), "");
    text = text.replace("To: ", "To: \"BEL:\\\x07 NUL:\\\0 DEL:\\\x7f\" ");
    assert_eq!(one(text.as_bytes()).unwrap().head.method(), Some(method));
    assert_eq!(fate(text.as_bytes()), Answered(405));
}

#[rstest]
#[case::s3_1_1_3_esc01("INVITE sip:sips%3Auser%40example.com@example.net SIP/2.0", "", Up)]
#[case::s3_1_1_4_escnull("REGISTER sip:example.com SIP/2.0", "Contact: <sip:%00@host5.example.com>", Answered(405))]
#[case::s3_1_1_5_esc02("RE%47IST%45R sip:registrar.example.com SIP/2.0", "", Answered(405))]
#[case::s3_1_1_6_lwsdisp("OPTIONS sip:user@example.com SIP/2.0", "Contact: caller<sip:caller@example.com>", Up)]
#[case::s3_1_1_9_semiuri("OPTIONS sip:user;par=u%40example.net@example.com SIP/2.0", "Accept: application/sdp", Up)]
#[case::s3_1_1_10_transports("OPTIONS sip:user@example.com SIP/2.0", "Via: SIP/2.0/UNKNOWN t4;branch=z9hG4bKu", Up)]
#[case::s3_1_1_11_mpart01("MESSAGE sip:kumiko@example.org SIP/2.0", "Content-Type: multipart/mixed", Up)]
#[case::s3_1_2_1_badinv01("INVITE sip:user@example.com SIP/2.0", "Contact: \"Joe\" <sip:joe@example.org>;;;;", Up)]
#[case::s3_1_2_3_ncl("INVITE sip:user@example.com SIP/2.0", "Content-Length: -999", Answered(400))]
#[case::s3_1_2_4_scalar02("REGISTER sip:example.com SIP/2.0", "CSeq: 36893488147419103232 REGISTER", Answered(400))]
#[case::s3_1_2_5_scalarlg("SIP/2.0 503 Unavailable", "CSeq: 9292394834772304023312 OPTIONS", Dropped(Fault::CSeq))]
#[case::s3_1_2_7_ltgtruri("INVITE <sip:user@example.com> SIP/2.0", "", Answered(400))]
#[case::s3_1_2_8_lwsruri("INVITE sip:user@example.com; lr SIP/2.0", "", Answered(400))]
#[case::s3_1_2_9_lwsstart("INVITE  sip:user@example.com  SIP/2.0", "", Answered(400))]
#[case::s3_1_2_10_trws("OPTIONS sip:remote-target@example.com SIP/2.0  ", "", Answered(400))]
#[case::s3_1_2_11_escruri("INVITE sip:user@example.com?Route=%3Csip:example.com%3E SIP/2.0", "", Up)]
#[case::s3_1_2_12_baddate("INVITE sip:user@example.com SIP/2.0", "Date: Fri, 01 Jan 2010 16:00:00 EST", Up)]
#[case::s3_1_2_13_regbadct("REGISTER sip:example.com SIP/2.0", "Contact: sip:user@example.com?Route=x", Answered(405))]
#[case::s3_1_2_16_badvers("OPTIONS sip:t.watson@example.org SIP/7.0", "", Answered(505))]
#[case::s3_1_2_17_mismatch01("OPTIONS sip:user@example.com SIP/2.0", "CSeq: 8 INVITE", Answered(400))]
#[case::s3_1_2_18_mismatch02("NEWMETHOD sip:user@example.com SIP/2.0", "CSeq: 8 INVITE", Answered(400))]
#[case::s3_1_2_19_bigcode("SIP/2.0 4294967301 better not break", "CSeq: 8 INVITE", Dropped(Fault::StatusCode))]
#[case::s3_3_2_unkscm("OPTIONS nobodyKnowsThisScheme:totallyopaquecontent SIP/2.0", "", Answered(416))]
#[case::s3_3_3_novelsc("OPTIONS soap.beep://192.0.2.103:3002 SIP/2.0", "", Answered(416))]
#[case::s3_3_4_unksm2("REGISTER sip:example.com SIP/2.0", "Contact: <name:John_Smith>", Answered(405))]
#[case::s3_3_5_bext01("OPTIONS sip:user@example.com SIP/2.0", "Require: nothingSupportsThis", Up)]
#[case::s3_3_6_invut("INVITE sip:user@example.com SIP/2.0", "Content-Type: application/unknownformat", Up)]
#[case::s3_3_7_regaut01("REGISTER sip:example.com SIP/2.0", "Authorization: NoOneKnowsThisScheme a=b", Answered(405))]
#[case::s3_3_8_multi01("INVITE sip:user@company.com SIP/2.0", "Call-ID: multi01.other@example.com", Answered(400))]
#[case::s3_3_8_multi01("INVITE sip:user@company.com SIP/2.0", "Max-Forwards: 5", Answered(400))]
#[case::s3_3_8_multi01("INVITE sip:user@company.com SIP/2.0", "To: <sip:other@example.com>", Answered(400))]
#[case::s3_3_9_mcl01("OPTIONS sip:user@example.com SIP/2.0", "Content-Length: 13\nContent-Length: 5", Answered(400))]
#[case::s3_3_10_bcast("SIP/2.0 200 OK", "CSeq: 8 INVITE\nVia: SIP/2.0/UDP 255.255.255.255;branch=z9", Up)]
#[case::s3_3_15_sdp01("INVITE sip:user@example.com SIP/2.0", "Accept: text/nobodyKnowsThis", Up)]
fn the_messages_of_rfc_4475(#[case] start: &str, #[case] more: &str, #[case] fate_of_it: Fate) {
    assert_eq!(fate(usual(start, more).as_bytes()), fate_of_it);
}

/// Those that change one of the usual headers.
#[rstest]
#[case::s3_1_2_1_badinv01("UDP host1.example.com;", "UDP 192.0.2.15;;,;,,;", Answered(400))]
#[case::s3_1_2_4_scalar02("Max-Forwards: 8", "Max-Forwards: 300", Answered(400))]
#[case::s3_1_2_6_quotbal("To: <sip:user", "To: \"Mr. J. User <sip:j.user", Answered(400))]
#[case::s3_1_2_14_badaspec("To: <sip:user@example.com>", "To: \"Watson, Thomas\" < sip:t.watson@example.org >", Up)]
#[case::s3_1_2_15_baddn("From: <sip:a", "From: Bell, Alexander <sip:a", Up)]
#[case::s3_2_1_badbranch(".0q", "", Up)]
#[case::s3_3_1_insuf("Call-ID: t.asdf@example.com\r\n", "", Dropped(Fault::HeaderMissing))]
#[case::s3_3_1_insuf("CSeq: 8 OPTIONS\r\n", "", Dropped(Fault::HeaderMissing))]
#[case::s3_3_11_zeromf("Max-Forwards: 8", "Max-Forwards: 0", Up)]
#[case::s3_4_1_inv2543(";tag=1918181833n", "", Answered(400))]
#[case::s3_4_1_inv2543(";branch=z9hG4bK.0q", "", Up)]
fn the_messages_of_rfc_4475_with_odd_usual_headers(#[case] this: &str, #[case] that: &str, #[case] fate_of_it: Fate) {
    let text = usual("OPTIONS sip:user@example.com SIP/2.0", "");
    assert!(text.contains(this));
    assert_eq!(fate(text.replace(this, that).as_bytes()), fate_of_it);
}

#[test]
fn s3_1_1_7_long_values_in_header_fields() {
    let more = format!(
        "{}: x\nContact: <sip:{}@example.com>\n{}",
        "unknown-".repeat(30) + "Header",
        "amazinglylongcallername".repeat(20),
        "Via: SIP/2.0/TCP sip33.example.com\n".repeat(34)
    );
    let uri = format!("sip:user@example.com;{}=v", "longparam".repeat(40));
    assert_eq!(fate(usual(&format!("INVITE {uri} SIP/2.0"), &more).as_bytes()), Up);
}

#[test]
fn s3_1_1_8_octets_behind_the_message_are_dropped() {
    let first = usual("OPTIONS sip:example.com SIP/2.0", "Content-Length: 0");
    let both = first.clone() + &usual("INVITE sip:joe@example.com SIP/2.0", "Content-Length: 0");
    assert_eq!(one(both.as_bytes()), one(first.as_bytes()));
}

#[test]
fn s3_1_1_12_and_13_odd_and_missing_reason_phrases() {
    let odd = "= 2**3 * 5**2 \u{43d}\u{43e} \u{441}\u{442}\u{43e} \u{434}\u{435}\u{432}\u{44f}\u{43d}\u{43e}\u{441}\u{442}\u{43e}";
    for phrase in [odd, ""] {
        let text = usual(&format!("SIP/2.0 200 {phrase}"), "CSeq: 8 INVITE");
        assert!(super::text(&one(text.as_bytes()).unwrap()).starts_with(&format!("SIP/2.0 200 {phrase}\r\n")));
    }
    assert_eq!(fate(usual("SIP/2.0 200", "CSeq: 8 INVITE").as_bytes()), Up, "without its space, too");
}

#[test]
fn s3_1_2_2_a_length_beyond_the_datagram() {
    let text = usual("INVITE sip:user@example.com SIP/2.0", "Content-Length: 9999") + "v=0\r\n";
    assert_eq!(fate(text.as_bytes()), Answered(400));
}
