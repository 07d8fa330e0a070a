//! Sessions are kept apart by our own URIs, whatever the ends call themselves (RFC 4975 section 14.1).

use std::collections::HashSet;

use super::scene::{ANA, BO, Meeting, from_path, reserve, terms, to_path};
use crate::relay::tests::chunk::Request;
use crate::relay::{CloseReason, Connect, SessionEnd, Side};

/// SDP-7, CORE-93
#[test]
fn a_hundred_thousand_uris_are_all_different() {
    const ANCHORS: usize = 50_000;
    let mut m = Meeting::reserved();
    let mut secrets = HashSet::new();
    let mut add = |uris: &[String; 2]| {
        for uri in uris {
            let token = uri.rsplit_once('/').and_then(|(_, rest)| rest.strip_suffix(";tcp")).expect("a token");
            // What is said of its maker comes before the dot; 22 of 62 letters are 131 bits.
            let secret = token.split_once('.').expect("two parts").1;
            assert!(secret.len() >= 22 && secret.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{uri}");
            assert!(secrets.insert(secret.to_owned()), "{uri} stands twice");
        }
    };
    add(&m.uris);
    let now = m.net.now;
    for _ in 1..ANCHORS {
        let (anchor, uris) = reserve(&mut m.net).expect("room");
        add(&uris);
        m.relay().release_anchor(anchor, SessionEnd::Cancelled, now);
        while m.relay().poll_output().is_some() {}
    }
    assert_eq!(secrets.len(), 2 * ANCHORS);
    m.assert_nothing_left();
}

/// SDP-97
#[test]
fn two_calls_of_one_path_never_mix() {
    let (mut m, ana, bo) = Meeting::joined();
    let cy = "msrps://cy.south.example:7300/cyR4vLp0;tcp";
    let (second, uris) = reserve(&mut m.net).expect("room");
    let now = m.net.now;
    m.relay().set_leg(second, Side::A, terms(ANA, Connect::Them), now).expect("the path of another call is good");
    m.relay().set_leg(second, Side::B, terms(cy, Connect::Them), now).expect("good terms");
    let other = m.net.client(0);
    for (end, uri, from) in [(ana, &uris[0], ANA), (other, &uris[1], cy)] {
        let hello = Request::send(&[uri], from).id("hello002").range("1-0/0");
        m.net.write(end, hello.octets());
        assert_eq!(m.codes(end, &hello.tid), [200]);
    }
    m.forget();
    m.say(ana, Side::A, "m0000001", "to bo");
    let send = Request::send(&[&uris[0]], ANA).id("m0000002").body("to cy");
    m.net.write(ana, send.octets());
    for (end, path, body) in [(bo, BO, "to bo"), (other, cy, "to cy")] {
        let sends = m.net.ends[end].sends();
        assert_eq!((sends.len(), sends[0].body.as_slice(), to_path(sends[0])), (1, body.as_bytes(), path.to_owned()));
    }
    // Both reach Ana's one path, each in the name of its own leg.
    m.say(bo, Side::B, "m0000003", "from bo");
    let send = Request::send(&[&uris[1]], cy).id("m0000004").body("from cy");
    m.net.write(other, send.octets());
    let came: Vec<_> = m.net.ends[ana].sends().iter().map(|f| (f.message(), to_path(f), from_path(f))).collect();
    let expected = [("m0000003", m.uri(Side::A).to_owned()), ("m0000004", uris[0].clone())]
        .map(|(id, uri)| (id.into(), ANA.into(), uri));
    assert_eq!(came, expected);
    // One ends; the other goes on.
    m.release(SessionEnd::Bye);
    let send = Request::send(&[&uris[0]], ANA).id("m0000005").body("still here");
    m.net.write(ana, send.octets());
    assert_eq!(m.codes(ana, &send.tid), [200]);
    m.anchor = second;
    m.assert_nothing_left();
}

/// ADV-S16
#[test]
fn who_guesses_a_token_is_refused_and_closed_in_time() {
    let (mut m, ana, bo) = Meeting::joined();
    let stranger = m.net.client(0);
    let uri = m.uri(Side::B).to_owned();
    let at = uri.find(";tcp").expect("a transport") - 1;
    let guess = format!("{}{}{}", &uri[..at], if &uri[at..=at] == "x" { "y" } else { "x" }, &uri[at + 1..]);
    let send = Request::send(&[&guess], BO).id("m0000001").body("let me in");
    m.net.write(stranger, send.octets());
    assert_eq!(m.codes(stranger, &send.tid), [481]);
    m.net.seconds(31);
    assert!(m.net.ends[stranger].closed && m.net.closed.contains(&CloseReason::Probation), "{:?}", m.net.closed);
    assert!(m.net.ends[ana].frames.is_empty() && m.net.ends[bo].frames.is_empty() && m.news().is_empty());
    m.assert_nothing_left();
}
