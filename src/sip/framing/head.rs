//! What the transport reads of a head, and the rules it checks (RFC 3261 sections 7.1, 7.2, 8.1.1).

use super::Fault;
use super::lines::{Line, Lines, digits, is_token};
use super::via::Via;

/// The first line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// A request.
    Request {
        /// As written: methods are case-sensitive.
        method: String,
        /// The Request-URI.
        uri: String,
    },
    /// A response.
    Response {
        /// 100 to 699.
        status: u16,
        /// The phrase, perhaps empty.
        phrase: String,
    },
}

/// CSeq (RFC 3261 section 20.16).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The method.
    pub method: String,
}

/// The light view of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The first line.
    pub start: Start,
    /// The top Via; in a request it is marked with its source.
    pub via: Via,
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// Call-ID.
    pub call_id: String,
    /// CSeq.
    pub cseq: CSeq,
    /// Max-Forwards.
    pub max_forwards: Option<u8>,
}

impl Head {
    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        if let Start::Request { method, .. } = &self.start { Some(method) } else { None }
    }

    pub(super) fn read(lines: &Lines<'_>) -> Result<Head, Fault> {
        octets(lines.start)?;
        let start = read_start(lines.start)?;
        for line in &lines.headers {
            octets(&line.value)?;
            named(line)?;
        }
        let via = text(lines.all("Via").next().ok_or(Fault::HeaderMissing)?)?;
        let needed = |name| lines.once(name)?.filter(|v| !v.is_empty()).ok_or(Fault::HeaderMissing).and_then(text);
        let (from, to) = (needed("From")?, needed("To")?);
        if !balanced(from) || !balanced(to) {
            return Err(Fault::Quotes);
        }
        let call_id = needed("Call-ID")?.to_owned();
        let cseq = read_cseq(needed("CSeq")?).ok_or(Fault::CSeq)?;
        if matches!(&start, Start::Request { method, .. } if *method != cseq.method) {
            return Err(Fault::CSeqMethod);
        }
        let max_forwards = match lines.once("Max-Forwards")? {
            Some(value) => Some(digits(value).and_then(|n| u8::try_from(n).ok()).ok_or(Fault::MaxForwards)?),
            None => None,
        };
        let (via, _) = Via::first(via)?;
        Ok(Head { start, via, from: from.to_owned(), to: to.to_owned(), call_id, cseq, max_forwards })
    }
}

/// Whether a first line can belong to SIP at all.
pub(super) fn is_sip(line: &[u8]) -> bool {
    line.get(..4).is_some_and(|s| s.eq_ignore_ascii_case(b"SIP/"))
        || line.windows(5).any(|w| w.eq_ignore_ascii_case(b" SIP/"))
}

fn read_start(line: &[u8]) -> Result<Start, Fault> {
    let line = text(line)?;
    let version = |word: &str| {
        if word.eq_ignore_ascii_case("SIP/2.0") {
            Ok(())
        } else if word.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("SIP/")) {
            Err(Fault::Version)
        } else {
            Err(Fault::StartLine)
        }
    };
    if line.get(..4).is_some_and(|s| s.eq_ignore_ascii_case("SIP/")) {
        let (word, rest) = line.split_once(' ').ok_or(Fault::StartLine)?;
        version(word)?;
        // The space before an empty phrase is often forgotten.
        let (code, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
        let status = (code.len() == 3).then(|| digits(code.as_bytes())).flatten();
        let status = status.and_then(|s| u16::try_from(s).ok()).filter(|s| (100..700).contains(s));
        return Ok(Start::Response { status: status.ok_or(Fault::StatusCode)?, phrase: phrase.to_owned() });
    }
    let mut words = line.split(' ');
    let (Some(method), Some(uri), Some(word), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err(Fault::StartLine);
    };
    if !is_token(method.as_bytes()) || uri.is_empty() || uri.starts_with('<') || uri.contains('\t') {
        return Err(Fault::StartLine);
    }
    version(word)?;
    Ok(Start::Request { method: method.to_owned(), uri: uri.to_owned() })
}

fn read_cseq(value: &str) -> Option<CSeq> {
    let (number, method) = value.split_once([' ', '\t'])?;
    let number = digits(number.as_bytes()).and_then(|n| u32::try_from(n).ok()).filter(|n| *n < 1 << 31)?;
    let method = method.trim_ascii();
    is_token(method.as_bytes()).then(|| CSeq { number, method: method.to_owned() })
}

fn named(line: &Line<'_>) -> Result<(), Fault> {
    if line.name.is_none() { Err(Fault::HeaderLine) } else { Ok(()) }
}

/// Only HTAB of the control octets, and others as quoted pairs (RFC 3261 section 25.1). A line end is never one.
fn octets(value: &[u8]) -> Result<(), Fault> {
    let mut escaped = false;
    for &b in value {
        let control = (b < 0x20 && b != b'\t') || b == 0x7f;
        if control && (!escaped || b == b'\r' || b == b'\n') {
            return Err(if b == 0 { Fault::Nul } else { Fault::Control });
        }
        escaped = b == b'\\' && !escaped;
    }
    text(value).map(|_| ())
}

fn text(value: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(value).map_err(|_| Fault::NotUtf8)
}

fn balanced(value: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for b in value.bytes() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted
}
