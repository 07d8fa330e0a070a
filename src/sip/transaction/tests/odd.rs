//! Messages that framing lets pass, with whatever else in them.

use proptest::prelude::*;

use super::*;
use crate::sip::gate::METHODS;

fn odd() -> impl Strategy<Value = String> {
    let from = prop::sample::select(vec![
        "<sip:a@b>;tag=us",
        "sip:a@b;tag=us",
        ";tag",
        "<",
        "\"\\\"\" <sip:a@b>;tag=\"us\"",
        "ü;tag=us",
        ">;tag=us",
    ]);
    let via = prop::sample::select(vec![
        "SIP/2.0/UDP us.example:5060;branch=z9hG4bK1",
        "SIP/2.0/UDP us.example:5060;branch=z9hG4bK",
        "SIP/2.0/TLS [::1];branch=\"z9hG4bü\"",
        "SIP/2.0/TCP x;branch",
        "SIP/2.0/UDP x:0;rport;branch=z9hG4bK1, SIP/2.0/UDP y",
    ]);
    let start = prop_oneof![
        prop::sample::select(METHODS.to_vec()).prop_map(|method| (format!("{method} sip:x SIP/2.0"), method)),
        (100..700u16, prop::sample::select(METHODS.to_vec()))
            .prop_map(|(status, method)| (format!("SIP/2.0 {status} "), method)),
    ];
    let number = prop::sample::select(vec![0, 1, (1u32 << 31) - 1]);
    (start, via, from.clone(), from, number).prop_map(|((start, method), via, from, to, number)| {
        format!("{start}\r\nVia: {via}\r\nFrom: {from}\r\nTo: {to}\r\nCall-ID: i\r\nCSeq: {number} {method}\r\n\r\n")
    })
}

proptest! {
    #[test]
    fn nothing_that_comes_in_breaks_anything(texts in prop::collection::vec((odd(), 0..3usize, 0..20_000u64), 0..60)) {
        let mut scene = Scene::new();
        let mut ms = 0;
        for (text, which, wait) in texts {
            ms += wait;
            scene.until(ms);
            let flow = flow([UDP, TCP, TLS][which]);
            let Some(Ok(message)) = framing::datagram(text.as_bytes(), flow.remote, &framing::Limits::default()) else {
                continue;
            };
            scene.layer.receive(Message::read(&message), flow, scene.now);
            scene.drain();
            if which == 1 {
                scene.closed(flow);
            }
        }
        for place in 0..scene.requests.len() {
            scene.reply(place, if place % 2 == 0 { 200 } else { 404 });
        }
        scene.until(ms + 100_000);
        scene.assert_empty();
    }
}
