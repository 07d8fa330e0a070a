//! What is found, and that nothing else changes.

use rstest::rstest;
use sha2::{Digest, Sha256};

use super::*;

#[rstest]
#[case("application/sdp")]
#[case("Application/SDP;charset=UTF-8")]
#[case("application / sdp ; x=\"a;b\"")]
fn s7_4_a_body_that_is_a_description(#[case] kind: &str) {
    assert_eq!(found(kind, SDP).unwrap().as_deref(), Some(SDP));
}

#[test]
fn s7_4_no_body_no_description() {
    assert_eq!(search(&Headers::default(), ""), Ok(None));
    assert_eq!(search(&typed("application/sdp"), ""), Ok(None));
    assert_eq!(search(&typed("application/isup"), ""), Ok(None));
}

#[rstest]
#[case::quoted("multipart/mixed;boundary=\"b 1\"", "b 1")]
#[case::token("multipart/mixed; Boundary=b1; x", "b1")]
#[case::escaped("multipart/mixed;boundary=\"b\\1\"", "b1")]
#[case::with_a_semicolon_beside("multipart/mixed;x=\"a;boundary=c\";boundary=b1", "b1")]
#[case::equals("multipart/alternative;boundary=----=_Part_1", "----=_Part_1")]
#[case::hyphen("multipart/alternative;boundary=-", "-")]
#[case::longest(
    "multipart/mixed;boundary=aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg",
    "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg"
)]
#[case::unknown_subtype("multipart/parallel;boundary=b1", "b1")]
fn rfc2046_5_1_1_boundaries(#[case] kind: &str, #[case] boundary: &str) {
    let body = multipart(boundary, &[&part("Content-Type: image/jpeg", "x"), &sdp_part()]);
    assert_eq!(found(kind, &body).unwrap().as_deref(), Some(SDP));
}

#[rstest]
#[case::bare_lf("--b\nContent-Type: application/sdp\n\nv=0\n\n--b--", "v=0\n")]
#[case::preamble_and_epilogue(
    "text --b\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n--b\r\nx",
    "v=0"
)]
#[case::padding("--b \t\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b-- \t\r\nx", "v=0")]
#[case::folded("--b\r\nX-Odd: a\r\n b\r\ncontent-TYPE:\r\n\tapplication/sdp;\r\n x=1\r\n\r\nv=0\r\n--b--", "v=0")]
#[case::no_head_before("--b\r\n\r\ntext\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--", "v=0")]
#[case::head_alone("--b\r\nContent-Type: image/png\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--", "v=0")]
#[case::empty("--b\r\nContent-Type: application/sdp\r\n\r\n--b--", "")]
#[case::nothing_at_all("--b\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b--", "v=0")]
#[case::hyphens_in_it("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--c\r\n --b\r\n--b--", "v=0\r\n--c\r\n --b")]
fn rfc2046_5_1_1_delimiter_lines(#[case] body: &str, #[case] expected: &str) {
    assert_eq!(found("multipart/mixed;boundary=b", body).unwrap().as_deref(), Some(expected));
}

#[test]
fn rfc5621_4_1_nested_parts() {
    let inner = multipart("i", &[&part("Content-Type: application/sdpng", "<x/>"), &sdp_part()]);
    let middle = multipart("m", &[&part("Content-Type: multipart/alternative;boundary=i", &inner)]);
    let body = multipart("o", &[&part("", "pidf"), &part("Content-Type: multipart/mixed;boundary=\"m\"", &middle)]);
    assert_eq!(found("multipart/mixed;boundary=o", &body).unwrap().as_deref(), Some(SDP));
}

#[rstest]
#[case::optional(&[("Content-Type", "application/isup"), ("Content-Disposition", "session ;handling=Optional")])]
#[case::signal(&[("Content-Type", "application/isup"), ("Content-Disposition", "signal;handling=required")])]
#[case::early(&[("Content-Type", "application/sdp"), ("Content-Disposition", "early-session")])]
fn rfc5621_8_what_is_left_alone(#[case] lines: &[(&str, &str)]) {
    assert_eq!(search(&headers(lines), "x"), Ok(None));
}

#[test]
fn rfc5621_8_a_disposition_tells_two_descriptions_apart() {
    let early = part("Content-Type: application/sdp\r\nContent-Disposition: early-session", "v=1");
    let ours = part("Content-Type: application/sdp\r\nContent-Disposition: Session;handling=required", SDP);
    assert_eq!(found("multipart/mixed;boundary=b", &multipart("b", &[&early, &ours])).unwrap().as_deref(), Some(SDP));
    assert_eq!(found("multipart/mixed;boundary=b", &multipart("b", &[&early])), Ok(None));
    // That of the multipart says nothing.
    let lines = [("Content-Type", "multipart/mixed;boundary=b"), ("Content-Disposition", "render;handling=optional")];
    assert!(search(&headers(&lines), &multipart("b", &[&ours])).unwrap().is_some());
}

#[rstest]
#[case("Content-Transfer-Encoding: binary")]
#[case("Content-Transfer-Encoding: 8BIT\r\nContent-Encoding: identity")]
#[case("Content-Transfer-Encoding: 7bit")]
fn rfc2045_6_encodings_that_change_nothing(#[case] head: &str) {
    let body = multipart("b", &[&part(&format!("{head}\r\nContent-Type: application/sdp"), SDP)]);
    assert_eq!(found("multipart/mixed;boundary=b", &body).unwrap().as_deref(), Some(SDP));
}

#[test]
fn rfc2387_3_2_the_root_is_named_or_first() {
    let icon = part("Content-Type: image/jpeg\r\nContent-ID: <icon@a>", "x");
    let sdp = part("Content-ID: <sdp@a>\r\nContent-Type: application/sdp", SDP);
    let first = multipart("b", &[&sdp, &icon]);
    let last = multipart("b", &[&icon, &sdp]);
    for (kind, body) in [
        ("multipart/related;boundary=b;type=\"application/sdp\"", &first),
        ("multipart/related;boundary=b;start=\"<sdp@a>\"", &first),
        ("multipart/related;boundary=b;start=\"<sdp@a>\"", &last),
        ("multipart/related;boundary=b;start=<sdp@a>;x", &last),
        ("multipart/related;boundary=b;start=sdp@a", &last),
    ] {
        assert_eq!(found(kind, body).unwrap().as_deref(), Some(SDP), "{kind}");
    }
    assert_eq!(found("multipart/related;boundary=b", &multipart("b", &[&icon, &icon])), Ok(None));
}

/// The offer of RFC 5547 section 9.1: a description and the icon that it names.
/// SDP-70
#[test]
fn sdp_70_the_icon_comes_through_octet_for_octet() {
    let icon: Vec<u8> = (0..=255u8).cycle().take(4000).collect();
    let mut body = b"preamble\r\n--boundary71\r\nContent-Type: application/sdp\r\nContent-Length: 66\r\n\r\n".to_vec();
    let start = body.len();
    body.extend_from_slice(SDP.as_bytes());
    let end = body.len();
    body.extend_from_slice(b"\r\n--boundary71\r\nContent-Type: image/jpeg\r\nContent-Transfer-Encoding: binary\r\n");
    body.extend_from_slice(
        b"Content-ID: <id2@alicepc.example.com>\r\nContent-Length: 4000\r\nContent-Disposition: icon\r\n\r\n",
    );
    body.extend_from_slice(&icon);
    body.extend_from_slice(b"\r\n--boundary71--\r\nepilogue");
    let body = Bytes::from(body);
    let headers = typed("multipart/related; type=\"application/sdp\"; boundary=\"boundary71\"");
    let place = find(&headers, &body, &Limits::default()).unwrap().unwrap();
    assert_eq!(octets(&body, &place), &body[start..end]);

    let new = b"v=0\r\nm=message 0 TCP/MSRP *\r\n";
    let sent = replace(&body, &place, new);
    let again = find(&headers, &sent, &Limits::default()).unwrap().unwrap();
    assert_eq!(octets(&sent, &again), new);
    let hash = |octets: &[u8]| Sha256::digest(octets);
    let tail = body.len() - end;
    assert_eq!(hash(&sent[sent.len() - tail..]), hash(&body[end..]));
    let head = String::from_utf8(body[..start].to_vec()).unwrap();
    let changed = head.replace("Content-Length: 66", &format!("Content-Length: {}", 66 + new.len() - SDP.len()));
    assert_eq!(&sent[..sent.len() - tail - new.len()], changed.as_bytes());
}

#[test]
fn lengths_around_the_description_follow_it_and_others_stay() {
    let sdp = part("Content-Type: application/sdp\r\nContent-Length:  004 ", "v=0\n");
    let inner = multipart("i", &[&part("Content-Length: 1", "x"), &sdp]);
    let nested = part("Content-Length: 107\r\nContent-Type: multipart/mixed;boundary=i", &inner);
    let body = Bytes::from(multipart("o", &[&nested, &part("Content-Length: 99", "y")]));
    let headers = typed("multipart/mixed;boundary=o");
    let place = find(&headers, &body, &Limits::default()).unwrap().unwrap();
    assert_eq!(replace(&body, &place, b"v=1\n"), Bytes::from(String::from_utf8_lossy(&body).replace("v=0\n", "v=1\n")));
    let longer = String::from_utf8(replace(&body, &place, b"v=0\ns=-\n").to_vec()).unwrap();
    let expected =
        String::from_utf8_lossy(&body).replace("v=0\n", "v=0\ns=-\n").replace(" 004 ", " 8 ").replace("107", "111");
    assert_eq!(longer, expected);
    // A length that is too small to count the description at all is left as it is.
    let text = String::from_utf8_lossy(&body).replace("107", "002");
    let wrong = Bytes::from(text);
    let place = find(&headers, &wrong, &Limits::default()).unwrap().unwrap();
    let shorter = String::from_utf8(replace(&wrong, &place, b"").to_vec()).unwrap();
    assert!(shorter.contains("Content-Length: 002\r\n") && shorter.contains("Content-Length:  0 \r\n"), "{shorter}");
}
