//! Descriptions that the RFCs print.

use rstest::rstest;

use super::*;

const RFC_4975_8_7_OFFER: &str = "v=0
o=usera 2890844526 2890844527 IN IP4 alice.example.com
s= -
c=IN IP4 alice.example.com
t=0 0
m=message 7394 TCP/MSRP *
a=accept-types:message/cpim text/plain text/html
a=path:msrp://alice.example.com:7394/2s93i93idj;tcp
";

const RFC_4975_8_7_ANSWER: &str = "v=0
o=userb 2890844530 2890844532 IN IP4 bob.example.com
s= -
c=IN IP4 bob.example.com
t=0 0
m=message 8493 TCP/MSRP *
a=accept-types:message/cpim text/plain
a=path:msrp://bob.example.com:8493/si438dsaodes;tcp
";

/// With the lines joined that the RFC breaks for print.
const RFC_5547_9_1_OFFER: &str = "v=0
o=alice 2890844526 2890844526 IN IP4 alicepc.example.com
s=
c=IN IP4 alicepc.example.com
t=0 0
m=message 7654 TCP/MSRP *
i=This is my latest picture
a=sendonly
a=accept-types:message/cpim
a=accept-wrapped-types:*
a=path:msrp://alicepc.example.com:7654/jshA7we;tcp
a=file-selector:name:\"My cool picture.jpg\" type:image/jpeg size:4092 hash:sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E
a=file-transfer-id:Q6LMoGymJdh0IKIgD6wD0jkcfgva4xvE
a=file-disposition:render
a=file-date:creation:\"Mon, 15 May 2006 15:01:31 +0300\"
a=file-icon:cid:id2@alicepc.example.com
";

const RFC_5547_9_1_ANSWER: &str = "v=0
o=bob 2890844656 2890844656 IN IP4 bobpc.example.com
s=
c=IN IP4 bobpc.example.com
t=0 0
m=message 8888 TCP/MSRP *
a=recvonly
a=accept-types:message/cpim
a=accept-wrapped-types:*
a=path:msrp://bobpc.example.com:8888/9di4ea;tcp
a=file-selector:name:\"My cool picture.jpg\" type:image/jpeg size:4092 hash:sha-1:72:24:5F:E8:65:3D:DA:F3:71:36:2F:86:D4:71:91:3E:E4:A2:CE:2E
a=file-transfer-id:Q6LMoGymJdh0IKIgD6wD0jkcfgva4xvE
";

const RFC_5547_9_4_CAPABILITY: &str = "v=0
o=bob 2890844656 2890855439 IN IP4 bobpc.example.com
s=-
c=IN IP4 bobpc.example.com
t=0 0
m=message 0 TCP/MSRP *
a=accept-types:message/cpim
a=accept-wrapped-types:*
a=max-size:20000
a=file-selector
";

/// The fragments of RFC 4976 section 11 and RFC 7977 section 8.2, with the session level that they leave out.
const HEAD: &str = "v=0\no=- 1 1 IN IP4 a.example.com\ns=-\nt=0 0\n";

const RFC_4976_11_OFFER: &str = "m=message 1234 TCP/MSRP *
c=IN IP4 a.example.com
a=accept-types: message/cpim text/plain text/html
a=path:msrp://a.example.com:1234/agic456;tcp
";

const RFC_4976_11_ANSWER: &str = "m=message 1234 TCP/TLS/MSRP *
c=IN IP4 bob.example.com
a=accept-types: message/cpim text/plain
a=path:msrps://relay.example.com:9000/hjdhfha;tcp  msrps://bob.example.com:1234/fuige;tcp
";

const RFC_7977_8_2_OFFER: &str = "m=message 1234 TCP/TLS/MSRP *
c=IN IP4 a.example.com
a=accept-types:message/cpim text/plain text/html
a=path:msrps://a.example.com:2855/jui787s2f;tcp msrps://df7jal23ls0d.invalid:2855/98cjs;ws
";

#[rstest]
#[case::rfc_4975(RFC_4975_8_7_OFFER, RFC_4975_8_7_ANSWER)]
#[case::rfc_5547(RFC_5547_9_1_OFFER, RFC_5547_9_1_ANSWER)]
fn the_exchanges_of_the_rfcs_pass(#[case] offer: &str, #[case] answer: &str) {
    let anchor = Anchor::default();
    let (sent, told) = (anchor.offer(offer), anchor.answer(answer, offer).unwrap());
    for (received, rewritten, leg) in [(offer, sent, "B"), (answer, told, "A")] {
        assert!(!rewritten.contains("msrp://alice") && !rewritten.contains("msrp://bob"), "{rewritten}");
        let ours = format!("a=path:msrp://203.0.113.20:2855/our{leg}0;tcp");
        for line in
            received.lines().filter(|line| !["o=", "c=", "m=", "a=path"].iter().any(|kind| line.starts_with(kind)))
        {
            assert!(rewritten.lines().any(|other| other == line), "{line}\n{rewritten}");
        }
        assert!(rewritten.lines().any(|line| line == ours), "{rewritten}");
    }
}

#[test]
fn rfc_5547_9_4_a_capability_passes_as_it_is() {
    assert_eq!(assess(RFC_5547_9_4_CAPABILITY, &Rules::default()).modes(), [Mode::Removed]);
    let sent = Anchor::default().offer(RFC_5547_9_4_CAPABILITY);
    let (_, before) = RFC_5547_9_4_CAPABILITY.split_once("s=-").unwrap();
    assert_eq!(sent.split_once("s=-").unwrap().1, before);
}

#[test]
fn amb_72_rfc_4976_11_spaces_and_two_uris() {
    let offer = format!("{HEAD}{RFC_4976_11_OFFER}");
    let sent = Anchor::default().offer(&offer);
    assert!(sent.contains("\na=accept-types:message/cpim text/plain text/html\n"), "{sent}");
    let answer = format!("{HEAD}{RFC_4976_11_ANSWER}");
    let section = section(&answer).unwrap();
    assert_eq!(
        section.target_path(),
        b"msrps://relay.example.com:9000/hjdhfha;tcp msrps://bob.example.com:1234/fuige;tcp"
    );
    // The example answers TLS to an offer of plain TCP, which RFC 3264 does not know.
    assert_eq!(Anchor::default().answer(&answer, &offer), Err(AnswerFault::Protocol(0)));
}

#[test]
fn sdp_95_rfc_7977_8_2_a_client_of_another_relay_is_anchored() {
    let offer = format!("{HEAD}{RFC_7977_8_2_OFFER}");
    assert_eq!(assess(&offer, &Rules::default()).modes(), [Mode::Anchored]);
    let description = parse(&offer);
    let ours = |uri: &crate::msrp::Uri<'_>| match uri.host_is("a.example.com") {
        true => Ownership::Ours,
        false => Ownership::Foreign,
    };
    assert_eq!(Offer::assess(&description, &Rules::default(), ours).modes(), [Mode::Relayed]);
}
