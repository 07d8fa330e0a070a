//! A whole message in the one form that is handed on.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};

use super::lines::Lines;
use super::via::Via;
use super::{Echo, Fault, Head, Start};

/// A well-formed message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The message, written anew.
    pub octets: Bytes,
    /// What was read of it.
    pub head: Head,
    /// What a response would repeat; none for responses and ACKs.
    pub echo: Option<Box<Echo>>,
}

/// A message that breaks a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// Which rule.
    pub fault: Fault,
    /// What a response would repeat, where one is possible.
    pub echo: Option<Box<Echo>>,
}

impl Message {
    /// Checks a head whose body is known and writes both anew. In a request the top Via is marked with its source.
    pub(super) fn build(lines: &Lines<'_>, body: &[u8], source: SocketAddr) -> Result<Message, Broken> {
        let echo = Echo::read(lines, source);
        let mut head = match Head::read(lines) {
            Ok(head) => head,
            Err(fault) => return Err(Broken { fault, echo }),
        };
        if matches!(head.start, Start::Request { .. }) {
            head.via.mark(source);
        }
        let octets = write(lines, &head, body);
        Ok(Message { octets, head, echo })
    }
}

fn write(lines: &Lines<'_>, head: &Head, body: &[u8]) -> Bytes {
    let size: usize = lines.headers.iter().map(|l| l.value.len() + 32).sum();
    let mut out = BytesMut::with_capacity(size + lines.start.len() + body.len() + 64);
    match &head.start {
        Start::Request { method, uri } => put(&mut out, &[method, " ", uri, " SIP/2.0\r\n"]),
        Start::Response { status, phrase } => put(&mut out, &["SIP/2.0 ", &status.to_string(), " ", phrase, "\r\n"]),
    }
    let mut top = true;
    for line in &lines.headers {
        let Some(name) = &line.name else { continue };
        if name.eq_ignore_ascii_case("Content-Length") {
            continue;
        }
        if name.eq_ignore_ascii_case("Via") && top {
            top = false;
            put(&mut out, &["Via: ", &head.via.to_string(), "\r\n"]);
            // Other values of the same line get a line of their own: not every reader splits at commas.
            let rest =
                std::str::from_utf8(&line.value).ok().and_then(|v| Via::first(v).ok()).map_or("", |(_, rest)| rest);
            if !rest.is_empty() {
                put(&mut out, &["Via: ", rest, "\r\n"]);
            }
            continue;
        }
        put(&mut out, &[name, ": "]);
        out.put_slice(&line.value);
        out.put_slice(b"\r\n");
    }
    put(&mut out, &["Content-Length: ", &body.len().to_string(), "\r\n\r\n"]);
    out.put_slice(body);
    out.freeze()
}

fn put(out: &mut BytesMut, parts: &[&str]) {
    for part in parts {
        out.put_slice(part.as_bytes());
    }
}
