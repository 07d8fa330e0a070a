//! What a response repeats of its request (RFC 3261 section 8.2.6.2), read leniently.

use super::lines::Lines;
use super::via::Via;

/// The headers that lead a response back to its transaction. Read from a request of which some other part may be bad.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Echo {
    /// The Via headers, the top one first; the top one is marked if it could be read.
    pub vias: Vec<String>,
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// CSeq.
    pub cseq: String,
    /// The top Via, if it can be read.
    pub via: Option<Via>,
}

impl Echo {
    /// What can be repeated of this head; none for a response, for an ACK (which is never answered), and where a header is
    /// missing without which nobody could match the response.
    pub(super) fn read(lines: &Lines<'_>, source: std::net::SocketAddr) -> Option<Box<Echo>> {
        let start = lines.start.trim_ascii_start();
        if start.get(..4).is_some_and(|s| s.eq_ignore_ascii_case(b"SIP/")) || start.starts_with(b"ACK ") {
            return None;
        }
        let mut vias: Vec<String> = lines.all("Via").map(text).collect::<Option<_>>()?;
        let top = vias.first_mut()?;
        let mut via = None;
        if let Ok((mut first, rest)) = Via::first(top) {
            first.mark(source);
            let (text, rest) = (first.to_string(), rest.to_owned());
            *top = text;
            if !rest.is_empty() {
                vias.insert(1, rest);
            }
            via = Some(first);
        }
        let first = |name| lines.all(name).next().and_then(text);
        let cseq = first("CSeq")?;
        // An ACK in disguise: its start line is what is bad.
        if cseq.ends_with(" ACK") {
            return None;
        }
        Some(Box::new(Echo { vias, from: first("From")?, to: first("To")?, call_id: first("Call-ID")?, cseq, via }))
    }
}

/// Text that can stand in a line of ours. A quoted pair may hold a control octet, a line end never.
fn text(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    (!text.bytes().any(|b| b == b'\r' || b == b'\n')).then(|| text.to_owned())
}
