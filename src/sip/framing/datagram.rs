//! One datagram, one message (RFC 3261 section 18.3).

use std::net::SocketAddr;

use memchr::memchr_iter;

use super::head::is_sip;
use super::lines::Lines;
use super::{Broken, Echo, Fault, Limits, Message};

/// Reads a datagram from `source`. None: it holds nothing but line ends, which keep a NAT open (RFC 5626 section 3.5.1).
///
/// Without Content-Length the rest of the datagram is the body; what lies behind a shorter one is dropped.
pub fn datagram(octets: &[u8], source: SocketAddr, limits: &Limits) -> Option<Result<Message, Broken>> {
    let blank = octets.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let octets = &octets[blank..];
    (!octets.is_empty()).then(|| read(octets, source, limits))
}

fn read(octets: &[u8], source: SocketAddr, limits: &Limits) -> Result<Message, Broken> {
    let mut ends = memchr_iter(b'\n', octets);
    let first = ends.next().unwrap_or(octets.len());
    let silent = |fault| Broken { fault, echo: None };
    if !is_sip(&octets[..first]) {
        return Err(silent(Fault::NotSip));
    }
    let (mut line, mut count, mut end) = (first + 1, 0, None);
    for at in ends {
        if matches!(&octets[line..at], b"" | b"\r") {
            end = Some((line, at + 1));
            break;
        }
        (line, count) = (at + 1, count + 1);
    }
    let (head, body) = end.ok_or(silent(Fault::HeadOpen))?;
    let lines = Lines::split(&octets[..head]);
    let broken = |fault| Broken { fault, echo: Echo::read(&lines, source) };
    if first > limits.start_line {
        return Err(broken(Fault::StartLineTooLong));
    }
    if head > limits.head {
        return Err(broken(Fault::HeadTooLong));
    }
    if count > limits.headers {
        return Err(broken(Fault::TooManyHeaders));
    }
    let rest = &octets[body..];
    let length = lines.content_length().map_err(broken)?.unwrap_or(rest.len());
    if length > limits.body {
        return Err(broken(Fault::BodyTooLong));
    }
    let body = rest.get(..length).ok_or_else(|| broken(Fault::LengthBeyond))?;
    Message::build(&lines, body, source)
}
