mod faults;
mod property;
mod taken;

use super::*;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nm=message 9 TCP/MSRP *\r\n";

fn headers(lines: &[(&str, &str)]) -> Headers {
    lines.iter().copied().collect()
}

fn typed(kind: &str) -> Headers {
    headers(&[("Content-Type", kind)])
}

fn search(headers: &Headers, body: &str) -> Result<Option<Place>, BodyFault> {
    find(headers, &Bytes::from(body.to_owned()), &Limits::default())
}

/// What is found in a body of this type.
fn found(kind: &str, body: &str) -> Result<Option<String>, BodyFault> {
    let body = Bytes::from(body.to_owned());
    let place = find(&typed(kind), &body, &Limits::default())?;
    Ok(place.map(|place| String::from_utf8(octets(&body, &place).to_vec()).unwrap()))
}

/// A multipart with these parts, each with its head.
fn multipart(boundary: &str, parts: &[&str]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect();
    format!("{parts}--{boundary}--\r\n")
}

fn part(head: &str, content: &str) -> String {
    format!("{head}\r\n\r\n{content}")
}

fn sdp_part() -> String {
    part("Content-Type: application/sdp", SDP)
}
