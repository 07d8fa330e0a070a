//! What becomes of the messages of RFC 4475 that are well formed: the machine's part of it.

use rstest::rstest;

use super::scene::{ANA, BO, Scene};
use crate::sip::message::Message;

macro_rules! message {
    ($name:literal) => {
        include_bytes!(concat!("../../framing/tests/torture/", $name, ".dat"))
    };
}

#[rstest]
#[case::s3_1_1_1_in_no_dialog(message!("wsinv"), 481)]
#[case::s3_1_1_6(message!("lwsdisp"), 200)]
#[case::s3_1_1_9(message!("semiuri"), 200)]
#[case::s3_1_1_10(message!("transports"), 200)]
#[case::s3_1_1_11_outside_a_dialog(message!("mpart01"), 405)]
#[case::s3_1_2_14(message!("badaspec"), 200)]
#[case::s3_1_2_15(&[message!("baddn"), &b"\r\n"[..]].concat(), 200)]
#[case::s3_2_1(message!("badbranch"), 200)]
#[case::s3_3_5(message!("bext01"), 420)]
#[case::s3_3_6(message!("invut"), 415)]
#[case::s3_3_11(message!("zeromf"), 483)]
fn answered_here(#[case] octets: &[u8], #[case] status: u16) {
    let mut scene = Scene::new();
    scene.hear_octets(ANA, octets);
    let Some(Message::Response(response)) = scene.sent.pop_front().map(|sent| sent.message) else {
        panic!("no response")
    };
    assert_eq!(response.status, status);
    if status == 420 {
        let named: Vec<&str> = response.headers.first("Unsupported").unwrap().split(", ").collect();
        assert!(named.contains(&"nothingSupportsThis") && named.contains(&"noProxiesSupportThis"), "{named:?}");
    }
    scene.silence();
    scene.nothing_left();
}

#[rstest]
#[case::s3_1_1_3(message!("esc01"))]
#[case::s3_1_1_7(message!("longreq"))]
#[case::s3_1_2_12(message!("baddate"))]
#[case::s3_3_15(message!("sdp01"))]
fn passed_on(#[case] octets: &[u8]) {
    let mut scene = Scene::new();
    scene.hear_octets(ANA, octets);
    let invite = scene.request(BO, "INVITE");
    assert!(invite.body.starts_with(b"v=0\r\n"));
    let text = String::from_utf8_lossy(octets);
    // What is not of the hop or the dialog is as it was.
    for name in ["Date", "Accept", "Unknown-LongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLongLong-Name"]
    {
        let line = format!("\r\n{name}: ");
        let before = text.split_once(&*line).and_then(|(_, rest)| rest.split("\r\n").next());
        assert_eq!(invite.headers.first(name), before, "{name}");
    }
    scene.forget();
}

/// Two that are discarded: an endpoint that did not ask hears no response.
#[rstest]
#[case::s3_1_1_12(message!("unreason"))]
#[case::s3_1_1_13(message!("noreason"))]
#[case::s3_3_10(message!("bcast"))]
fn discarded(#[case] octets: &[u8]) {
    let mut scene = Scene::new();
    scene.hear_octets(ANA, octets);
    scene.silence();
    let counts = scene.b2bua.transactions().counts();
    assert_eq!(counts.foreign + counts.stray, 1);
    scene.nothing_left();
}
