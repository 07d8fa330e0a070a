mod property;
mod rules;
mod torture;

use std::net::SocketAddr;

use super::{Fault, Framed, Limits, Message, Stream, datagram};
use crate::moment::Moment;

const NOW: Moment = Moment::from_nanos(1);

fn source() -> SocketAddr {
    "192.0.2.77:5099".parse().unwrap()
}

fn one(octets: &[u8]) -> Result<Message, Fault> {
    datagram(octets, source(), &Limits::default()).expect("not blank").map_err(|b| b.fault)
}

/// All that a stream holds, given in pieces.
fn frames<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, limits: Limits) -> Vec<Framed> {
    let mut stream = Stream::new(source(), limits);
    let mut found = Vec::new();
    for piece in pieces {
        stream.push(piece, NOW);
        while let Some(framed) = stream.next(NOW) {
            found.push(framed);
        }
    }
    found
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(&message.octets).into_owned()
}

/// An OPTIONS with these lines more.
fn options(more: &str, body: &str) -> String {
    format!(
        "OPTIONS sip:relay.example SIP/2.0\r\nVia: SIP/2.0/TCP c.example:5060;branch=z9hG4bKa;rport\r\n\
         From: <sip:ada@c.example>;tag=1\r\nTo: <sip:relay.example>\r\nCall-ID: x@c.example\r\nCSeq: 7 OPTIONS\r\n\
         Max-Forwards: 70\r\n{more}\r\n{body}"
    )
}
