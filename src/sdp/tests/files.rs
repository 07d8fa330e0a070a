//! File transfer by way of the anchor (RFC 5547).

use rstest::rstest;

use super::*;

const FILE: &str = "a=sendonly
a=file-selector:name:\"tides \u{fc} 2031.pdf\" type:application/pdf size:482113 hash:sha-1:9F:02:6B:C4:11:E0:8A:37:5D:D8:43:2C:7E:B1:60:F5:99:0A:CE:24
a=file-transfer-id:p7Hq2LmVz9TnYc4XsK1dWb6RfG8eJu3A
a=file-disposition:attachment
a=file-date:creation:\"Fri, 03 Jan 2031 08:15:00 +0100\"
a=file-icon:cid:id2@example
a=file-range: 1-*
";

/// SDP-65
#[test]
fn sdp_65_every_file_attribute_octet_for_octet() {
    let sent = Anchor::limited(1_000_000).offer(&format!("{PLAIN}{FILE}"));
    assert!(sent.ends_with(FILE), "{sent}");
    // AMB-75: any hash.
    let other = FILE.replace("hash:sha-1", "hash:sha-256:00 hash:odd");
    assert!(Anchor::default().offer(&format!("{PLAIN}{other}")).ends_with(&other));
}

/// SDP-3, SDP-66, SDP-72
#[test]
fn sdp_66_a_file_that_we_refuse_is_named_in_the_answer() {
    let audio = "m=audio 40000 RTP/AVP 0\n";
    let offer = format!("{PLAIN}{FILE}{audio}");
    let anchor = Anchor::limited(1000);
    assert_eq!(assess(&offer, &anchor.rules).modes(), [Mode::Refused, Mode::Foreign]);
    let sent = anchor.offer(&offer);
    assert!(sent.contains("m=message 0 TCP/MSRP *") && !sent.contains("a=path"), "{sent}");
    // The far side need not mirror anything for a line that it was never offered.
    let answer =
        format!("v=0\no=o 7 1 IN IP4 198.51.100.9\ns=-\nt=0 0\nm=message 0 TCP/MSRP *\n{audio}c=IN IP4 198.51.100.9\n");
    let told = anchor.answer(&answer, &offer).unwrap();
    let mirrored: String = FILE.lines().skip(1).take(2).map(|line| format!("{line}\n")).collect();
    let expected = format!("m=message 0 TCP/MSRP *\nc=IN IP4 203.0.113.20\n{mirrored}m=audio");
    assert!(told.contains(&expected), "{told}");
    // What the far side mirrors by itself stands there once.
    let answer = answer.replace("TCP/MSRP *\n", "TCP/MSRP *\na=file-selector\na=file-transfer-id:x\n");
    assert_eq!(anchor.answer(&answer, &offer).unwrap().matches("a=file-").count(), 2);
}

/// SDP-72, ADV-S21
#[rstest]
#[case::fits("size:98975", None)]
#[case::sdp_72_wrapper_counts("size:98977", Some(SectionFault::FileTooLarge))]
#[case::sdp_72_huge("type:a/b SIZE:1000000000000000", Some(SectionFault::FileTooLarge))]
#[case::adv_s21_overflow("size:99999999999999999999", Some(SectionFault::FileTooLarge))]
#[case::adv_s21_traversal("name:\"../../etc/passwd\" size:5", None)]
#[case::adv_s21_size_in_a_name("name:\"a size:999999999\" size:5", None)]
#[case::adv_s21_unbalanced("name:\"a size:999999999", None)]
#[case::no_size("name:\"a\"", None)]
#[case::no_number("size:big", None)]
#[case::empty("", None)]
fn sdp_72_sizes(#[case] selector: &str, #[case] fault: Option<SectionFault>) {
    let rules = Anchor::limited(100_000).rules;
    let text = format!("{PLAIN}a=file-selector:{selector}\n");
    assert_eq!(refused(&text, &rules), fault);
    assert_eq!(refused(&text, &Rules::default()), None);
    if fault.is_none() {
        assert!(Anchor::limited(100_000).offer(&text).ends_with(&format!("a=file-selector:{selector}\n")));
    }
}

#[test]
fn sdp_52_and_sdp_71_capabilities() {
    let address = Address::Name("gate.example".into(), Family::V4);
    let draft = capability(&address, &[Protocol::Tls, Protocol::Tcp], "message/cpim", Some(20_000));
    let text = String::from_utf8(Origin::new(3, address).issue(draft)).unwrap();
    let description = parse(&text);
    assert!(description.media_lines().iter().all(MediaLine::is_zero));
    let expected = "v=0\no=- 3 1 IN IP4 gate.example\ns=-\nc=IN IP4 gate.example\nt=0 0\nm=message 0 TCP/TLS/MSRP *\n\
                    a=accept-types:message/cpim\na=max-size:20000\na=file-selector\nm=message 0 TCP/MSRP *\n\
                    a=accept-types:message/cpim\na=max-size:20000\na=file-selector\n";
    assert_eq!(text, crlf(expected));
}
