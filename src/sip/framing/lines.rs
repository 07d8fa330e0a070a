//! The head as lines: split, unfolded and named in full (RFC 3261 sections 7.3.1, 7.3.3).

use std::borrow::Cow;

use memchr::memchr;

use super::Fault;

/// One logical header line.
#[derive(Debug)]
pub(super) struct Line<'a> {
    /// The full name; none where there is no colon or no token before it.
    pub(super) name: Option<Cow<'a, str>>,
    /// What stands behind the colon, without white space at its ends; a fold is one space.
    pub(super) value: Cow<'a, [u8]>,
}

/// A head: its start line and its header lines.
#[derive(Debug)]
pub(super) struct Lines<'a> {
    pub(super) start: &'a [u8],
    pub(super) headers: Vec<Line<'a>>,
}

impl<'a> Lines<'a> {
    /// Splits a head; a line ends with CRLF or LF, whatever stands behind the last one is a line too.
    pub(super) fn split(head: &'a [u8]) -> Lines<'a> {
        let mut rest = head;
        let start = next(&mut rest);
        let mut headers: Vec<Line<'a>> = Vec::new();
        while !rest.is_empty() {
            let line = next(&mut rest);
            match (line.first(), headers.last_mut()) {
                (None, _) => {}
                (Some(b' ' | b'\t'), Some(last)) => fold(&mut last.value, line.trim_ascii()),
                _ => headers.push(Line::read(line)),
            }
        }
        Lines { start, headers }
    }

    /// All values of a header, by its full name.
    pub(super) fn all(&self, name: &'static str) -> impl Iterator<Item = &[u8]> {
        let named = self.headers.iter().filter(move |l| l.name.as_ref().is_some_and(|n| n.eq_ignore_ascii_case(name)));
        named.map(|l| &*l.value)
    }

    /// The value of a header that may be absent, but not be there twice.
    pub(super) fn once(&self, name: &'static str) -> Result<Option<&[u8]>, Fault> {
        let mut all = self.all(name);
        let first = all.next();
        if all.next().is_some() { Err(Fault::HeaderTwice) } else { Ok(first) }
    }

    /// Content-Length, which tells where the message ends (RFC 3261 section 20.14). The same value twice is one.
    pub(super) fn content_length(&self) -> Result<Option<usize>, Fault> {
        let mut found = None;
        for value in self.all("Content-Length") {
            let length = digits(value).ok_or(Fault::Length)?;
            if found.is_some_and(|other| other != length) {
                return Err(Fault::LengthTwice);
            }
            found = Some(length);
        }
        found.map(|length| usize::try_from(length).map_err(|_| Fault::Length)).transpose()
    }
}

/// A number in decimal digits alone; nothing over 64 bits.
pub(super) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |sum, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        sum.checked_mul(10)?.checked_add(digit)
    })
}

/// RFC 3261 section 25.1.
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b))
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Line<'a> {
        let colon = memchr(b':', line);
        let named = colon.map(|at| (line[..at].trim_ascii_end(), line[at + 1..].trim_ascii()));
        match named {
            Some((name, value)) if is_token(name) => {
                let name = full_name(name).map(Cow::Borrowed).unwrap_or_else(|| String::from_utf8_lossy(name));
                Line { name: Some(name), value: Cow::Borrowed(value) }
            }
            _ => Line { name: None, value: Cow::Borrowed(line) },
        }
    }
}

fn next<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let end = memchr(b'\n', rest);
    let (line, behind) = match end {
        Some(at) => (&rest[..at], &rest[at + 1..]),
        None => (*rest, &rest[rest.len()..]),
    };
    *rest = behind;
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn fold(value: &mut Cow<'_, [u8]>, more: &[u8]) {
    if more.is_empty() {
        return;
    }
    let value = value.to_mut();
    if !value.is_empty() {
        value.push(b' ');
    }
    value.extend_from_slice(more);
}

/// The full name of a compact one.
fn full_name(name: &[u8]) -> Option<&'static str> {
    let [letter] = name else { return None };
    Some(match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => return None,
    })
}
