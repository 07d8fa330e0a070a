//! What the two write, and how it is read.

use crate::sip::message::{Headers, NameAddr, Request};

/// A description with one plain MSRP line.
pub(super) fn sdp(who: &str, version: u32, setup: &str) -> String {
    let host = if who == "ana" { "192.0.2.1" } else { "198.51.100.2" };
    sdp_at(who, version, setup, host, &format!("{who}7tB2mXv9"))
}

/// The same with another session at another host.
pub(super) fn sdp_at(who: &str, version: u32, setup: &str, host: &str, session: &str) -> String {
    format!(
        "v=0\r\no={who} 1 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
         m=message 7100 TCP/MSRP *\r\na=setup:{setup}\r\na=accept-types:message/cpim text/plain\r\n\
         a=path:msrp://{host}:7100/{session};tcp\r\n"
    )
}

/// The CANCEL of this INVITE.
pub(super) fn cancel_of(invite: &Request) -> Request {
    let mut cancel = Request { method: "CANCEL".to_owned(), ..invite.clone() };
    cancel.headers.set("CSeq", "1 CANCEL");
    cancel.headers.remove("Content-Type");
    cancel
}

/// The URI of a header that names an address.
pub(super) fn uri_of<'a>(headers: &'a Headers, name: &str) -> &'a str {
    let value = headers.all(name).next().map(str::to_owned);
    let value = headers.iter().find(|(_, v)| Some(*v) == value.as_deref()).map(|(_, v)| v).expect("a value");
    NameAddr::read(value).expect("an address").uri
}

/// The path of a description.
pub(super) fn path(body: &[u8]) -> String {
    line(body, "a=path:")
}

/// What follows this in a description.
#[track_caller]
pub(super) fn line(body: &[u8], start: &str) -> String {
    let text = std::str::from_utf8(body).unwrap();
    let found = text.lines().find_map(|l| l.strip_prefix(start));
    found.unwrap_or_else(|| panic!("no {start} in {text}")).to_owned()
}
