//! What is refused, and with which status.

use rstest::rstest;

use super::*;

#[rstest]
#[case::type_missing(&[], BodyFault::TypeMissing)]
#[case::no_subtype(&[("Content-Type", "sdp")], BodyFault::TypeUnreadable)]
#[case::two_types(&[("Content-Type", "application/sdp, text/plain")], BodyFault::TypeUnreadable)]
#[case::type_twice(&[("Content-Type", "application/sdp"), ("Content-Type", "application/sdp")], BodyFault::HeaderTwice)]
#[case::other_type(&[("Content-Type", "application/isup")], BodyFault::Type)]
#[case::required(&[("Content-Type", "text/plain"), ("Content-Disposition", "session;handling=required")], BodyFault::Type)]
#[case::signed(&[("Content-Type", "multipart/signed;boundary=b")], BodyFault::Type)]
#[case::encrypted(&[("Content-Type", "application/pkcs7-mime")], BodyFault::Type)]
#[case::gzip(&[("Content-Type", "application/sdp"), ("Content-Encoding", "identity, gzip")], BodyFault::Encoding)]
#[case::gzip_of_parts(&[("Content-Type", "multipart/mixed;boundary=b"), ("Content-Encoding", "gzip")], BodyFault::Encoding)]
#[case::base64(&[("Content-Type", "application/sdp"), ("Content-Transfer-Encoding", "base64")], BodyFault::Encoding)]
fn s7_4_bodies_not_taken(#[case] lines: &[(&str, &str)], #[case] fault: BodyFault) {
    assert_eq!(search(&headers(lines), "v=0\r\n"), Err(fault));
    let expected = if matches!(fault, BodyFault::Type | BodyFault::Encoding) { 415 } else { 400 };
    assert_eq!(fault.status().0, expected);
}

#[rstest]
#[case::missing("multipart/mixed")]
#[case::empty("multipart/mixed;boundary=\"\"")]
#[case::no_value("multipart/mixed;boundary")]
#[case::twice("multipart/mixed;boundary=a;Boundary=b")]
#[case::characters("multipart/mixed;boundary=\"a*b\"")]
#[case::last_space("multipart/mixed;boundary=\"a \"")]
#[case::seventy_one("multipart/mixed;boundary=1aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg")]
fn rfc2046_5_1_1_bad_boundaries(#[case] kind: &str) {
    assert_eq!(found(kind, "--b\r\n\r\n--b--"), Err(BodyFault::Boundary));
}

#[rstest]
#[case::nothing("text", BodyFault::Open)]
#[case::no_last("--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n", BodyFault::Open)]
#[case::last_not_at_a_line("--b\r\nContent-Type: application/sdp\r\n\r\nv=0--b--", BodyFault::Open)]
#[case::no_part("--b--", BodyFault::NoPart)]
#[case::boundary_goes_on("--b\r\n\r\n--bc\r\n--b--", BodyFault::Delimiter)]
#[case::behind_the_last("--b\r\n\r\n--b--x", BodyFault::Delimiter)]
#[case::no_colon("--b\r\nv=0\r\n--b--", BodyFault::PartHeader)]
#[case::no_name("--b\r\n: x\r\n\r\n--b--", BodyFault::PartHeader)]
#[case::fold_of_nothing("--b\r\n x: y\r\n\r\n--b--", BodyFault::PartHeader)]
#[case::bad_type("--b\r\nContent-Type: sdp\r\n\r\n--b--", BodyFault::TypeUnreadable)]
#[case::type_twice("--b\r\nContent-Type: a/b\r\ncontent-type: a/b\r\n\r\n--b--", BodyFault::HeaderTwice)]
#[case::length_twice("--b\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx\r\n--b--", BodyFault::HeaderTwice)]
#[case::base64(
    "--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--",
    BodyFault::Encoding
)]
#[case::quoted(
    "--b\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nx\r\n--b--",
    BodyFault::Encoding
)]
#[case::gzip("--b\r\nContent-Type: application/sdp\r\nContent-Encoding: gzip\r\n\r\nx\r\n--b--", BodyFault::Encoding)]
#[case::encoded_parts(
    "--b\r\nContent-Type: multipart/mixed;boundary=c\r\nContent-Transfer-Encoding: base64\r\n\r\nx\r\n--b--",
    BodyFault::Encoding
)]
fn rfc2046_5_1_parts_not_taken(#[case] body: &str, #[case] fault: BodyFault) {
    assert_eq!(found("multipart/mixed;boundary=b", body), Err(fault));
}

#[test]
fn rfc2046_5_1_2_an_inner_multipart_ends_where_the_outer_part_does() {
    let nested = part("Content-Type: multipart/mixed;boundary=i", "--i\r\n\r\nx");
    let body = format!("{}--i--\r\n", multipart("o", &[&nested, &sdp_part()]));
    assert_eq!(found("multipart/mixed;boundary=o", &body), Err(BodyFault::Open));
}

#[test]
fn rfc2387_3_2_a_description_beside_the_root() {
    let icon = part("Content-Type: image/jpeg\r\nContent-ID: <icon@a>", "x");
    let sdp = part("Content-ID: <sdp@a>\r\nContent-Type: application/sdp", SDP);
    let deep = part("Content-Type: multipart/mixed;boundary=i", &multipart("i", &[&sdp]));
    let kind = "multipart/related;boundary=b";
    assert_eq!(found(kind, &multipart("b", &[&icon, &sdp])), Err(BodyFault::Beside));
    assert_eq!(found(kind, &multipart("b", &[&sdp, &sdp])), Err(BodyFault::Beside));
    assert_eq!(found(kind, &multipart("b", &[&icon, &deep])), Err(BodyFault::Beside));
    assert_eq!(found(&format!("{kind};start=<icon@a>"), &multipart("b", &[&sdp, &icon])), Err(BodyFault::Beside));
    assert_eq!(found(&format!("{kind};start=<other@a>"), &multipart("b", &[&sdp, &icon])), Err(BodyFault::RootMissing));
    assert_eq!(found(&format!("{kind};start=a;start=b"), &multipart("b", &[&sdp])), Err(BodyFault::RootMissing));
}

/// ADV-S13
#[test]
fn adv_s13_two_descriptions() {
    let nested = part("Content-Type: multipart/alternative;boundary=i", &multipart("i", &[&sdp_part()]));
    for parts in [[&sdp_part(), &sdp_part()], [&sdp_part(), &nested], [&nested, &sdp_part()]] {
        let body = multipart("b", &parts.map(String::as_str));
        assert_eq!(found("multipart/mixed;boundary=b", &body), Err(BodyFault::Twice));
    }
}

/// ADV-S13
#[test]
fn adv_s13_levels_have_a_bound() {
    let nest = |levels: usize| {
        (1..levels).fold(multipart("b0", &[&sdp_part()]), |inner, level| {
            let head = format!("Content-Type: multipart/mixed;boundary=x{}", level - 1).replace("x0", "b0");
            multipart(&format!("x{level}"), &[&part(&head, &inner)])
        })
    };
    assert_eq!(found("multipart/mixed;boundary=x2", &nest(3)).unwrap().as_deref(), Some(SDP));
    assert_eq!(found("multipart/mixed;boundary=x3", &nest(4)), Err(BodyFault::TooDeep));
    let bomb: String = (0..1000)
        .map(|n| format!("--n{n:04}\r\nContent-Type: multipart/mixed;boundary=n{:04}\r\n\r\n", n + 1))
        .collect();
    assert_eq!(found("multipart/mixed;boundary=n0000", &bomb), Err(BodyFault::Open));
    let ends: String = (0..1000).rev().map(|n| format!("\r\n--n{n:04}--")).collect();
    assert_eq!(found("multipart/mixed;boundary=n0000", &format!("{bomb}{ends}")), Err(BodyFault::TooDeep));
}

/// ADV-S13
#[test]
fn adv_s13_parts_have_a_bound() {
    let small = part("", "x");
    let sdp = sdp_part();
    let mut parts = vec![&*small; 63];
    parts.push(&sdp);
    assert_eq!(found("multipart/mixed;boundary=b", &multipart("b", &parts)).unwrap().as_deref(), Some(SDP));
    parts.push(&small);
    assert_eq!(found("multipart/mixed;boundary=b", &multipart("b", &parts)), Err(BodyFault::TooManyParts));
    // All levels count together.
    let inner = part("Content-Type: multipart/mixed;boundary=i", &multipart("i", &parts[..32]));
    assert_eq!(found("multipart/mixed;boundary=b", &multipart("b", &[&inner, &inner])), Err(BodyFault::TooManyParts));
}

/// ADV-S13
#[test]
fn a_bomb_is_a_bad_request() {
    let faults = [
        BodyFault::TooDeep,
        BodyFault::TooManyParts,
        BodyFault::Twice,
        BodyFault::Open,
        BodyFault::NoPart,
        BodyFault::Delimiter,
    ];
    assert!(faults.iter().all(|fault| fault.status().0 == 400));
}
