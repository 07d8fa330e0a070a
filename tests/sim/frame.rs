//! MSRP frames (RFC 4975 section 7), read and written anew: what the relay and its judge had in common, neither would see.
//! Plain and strict: what a relay sends must be by the book.

use std::sync::Arc;

/// The line between frames, without transact-id, flag and CRLF.
const HYPHENS: &[u8] = b"-------";
/// A head longer than this is none.
const LONGEST_HEAD: usize = 64 << 10;

/// First line of a frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    Request(String),
    Response(u16),
}

/// A frame up to its body.
#[derive(Clone, Debug)]
pub struct Head {
    pub kind: Kind,
    pub tid: String,
    pub to: Vec<String>,
    pub from: Vec<String>,
    /// Whatever follows the paths, in order.
    pub lines: Vec<(String, String)>,
    /// An empty line follows: there is a body, perhaps of no octets.
    pub body: bool,
}

/// A Byte-Range: first octet, last one, octets in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    pub start: u64,
    pub end: Option<u64>,
    pub total: Option<u64>,
}

/// What a stream consists of.
#[derive(Clone, Debug)]
pub enum Event {
    Head(Arc<Head>),
    Body(Vec<u8>),
    /// The end-line's flag: `$`, `+` or `#`.
    End(char),
}

/// Why a stream is no MSRP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    StartLine,
    Paths,
    Line,
    TooLong,
}

/// Reads a stream that comes in pieces.
#[derive(Default)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Within a frame behind its head: CRLF, hyphens and transact-id, which end it.
    close: Option<Vec<u8>>,
    /// Octets of this body have been read.
    begun: bool,
    broken: Option<Broken>,
}

impl Head {
    pub fn line(&self, name: &str) -> Option<&str> {
        self.lines.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    pub fn is(&self, method: &str) -> bool {
        matches!(&self.kind, Kind::Request(m) if m == method)
    }

    pub fn message(&self) -> &str {
        self.line("Message-ID").unwrap_or_default()
    }

    /// Absent, it is `1-*/*`.
    pub fn range(&self) -> Option<Range> {
        let Some(text) = self.line("Byte-Range") else { return Some(Range { start: 1, end: None, total: None }) };
        let (start, rest) = text.split_once('-')?;
        let (end, total) = rest.split_once('/')?;
        let number = |t: &str| if t == "*" { Some(None) } else { t.parse().ok().map(Some) };
        Some(Range { start: start.parse().ok()?, end: number(end)?, total: number(total)? })
    }

    /// `yes`, `no` or `partial`.
    pub fn failure_report(&self) -> Wish {
        match self.line("Failure-Report") {
            Some("no") => Wish::No,
            Some("partial") => Wish::Partial,
            _ => Wish::Yes,
        }
    }

    /// The code of a REPORT.
    pub fn status(&self) -> Option<u16> {
        self.line("Status")?.split(' ').nth(1)?.parse().ok()
    }
}

/// What a Failure-Report header asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    Yes,
    Partial,
    No,
}

impl Reader {
    /// Reads on. What is broken stays so.
    pub fn feed(&mut self, octets: &[u8], out: &mut Vec<Event>) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        self.buffer.extend_from_slice(octets);
        loop {
            match self.next() {
                Ok(Some(event)) => out.push(event),
                Ok(None) => return Ok(()),
                Err(broken) => {
                    self.broken = Some(broken);
                    return Err(broken);
                }
            }
        }
    }

    /// In the middle of a frame.
    pub fn inside(&self) -> bool {
        self.close.is_some() || !self.buffer.is_empty()
    }

    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    fn next(&mut self) -> Result<Option<Event>, Broken> {
        if let Some(close) = self.close.take() {
            let event = self.next_of_body(&close);
            if !matches!(event, Some(Event::End(_))) {
                self.close = Some(close);
            }
            return Ok(event);
        }
        self.next_head()
    }

    fn next_head(&mut self) -> Result<Option<Event>, Broken> {
        if !self.buffer.starts_with(&b"MSRP "[..self.buffer.len().min(5)]) {
            return Err(Broken::StartLine);
        }
        let mut lines = Vec::new();
        let mut at = 0;
        while let Some(len) = find(&self.buffer[at..], b"\r\n") {
            let line = &self.buffer[at..at + len];
            if line.is_empty() || line.starts_with(HYPHENS) {
                let head = parse(&lines, line.is_empty())?;
                // Without a body the end-line follows the last header line, whose CRLF stands before it here.
                let read = if line.is_empty() { at + 2 } else { at - 2 };
                self.close = Some([b"\r\n-------", head.tid.as_bytes()].concat());
                self.begun = false;
                self.buffer.drain(..read);
                return Ok(Some(Event::Head(Arc::new(head))));
            }
            lines.push(String::from_utf8_lossy(line).into_owned());
            at += len + 2;
        }
        if self.buffer.len() > LONGEST_HEAD { Err(Broken::TooLong) } else { Ok(None) }
    }

    fn next_of_body(&mut self, close: &[u8]) -> Option<Event> {
        let whole = close.len() + 3;
        // The end-line may stand right behind the empty line.
        let short = &close[2..];
        if !self.begun {
            let there = &self.buffer[..self.buffer.len().min(short.len())];
            if short.starts_with(there) && self.buffer.len() < short.len() + 3 {
                return None;
            }
            if there == short
                && let Some(flag) = self.flag_at(short.len())
            {
                self.buffer.drain(..short.len() + 3);
                return Some(Event::End(flag));
            }
        }
        let mut from = 0;
        while let Some(at) = find(&self.buffer[from..], close).map(|at| at + from) {
            match self.flag_at(at + close.len()) {
                Some(flag) if at == 0 => {
                    self.buffer.drain(..whole);
                    return Some(Event::End(flag));
                }
                Some(_) => return self.body_up_to(at),
                None if self.buffer.len() < at + whole => return self.body_up_to(at),
                None => from = at + 1,
            }
        }
        let tail = self.buffer.len().saturating_sub(close.len()).max(from);
        let held = (tail..self.buffer.len()).find(|at| close.starts_with(&self.buffer[*at..]));
        self.body_up_to(held.unwrap_or(self.buffer.len()))
    }

    fn body_up_to(&mut self, at: usize) -> Option<Event> {
        self.begun |= at > 0;
        (at > 0).then(|| Event::Body(self.buffer.drain(..at).collect()))
    }

    fn flag_at(&self, at: usize) -> Option<char> {
        let rest = self.buffer.get(at..at + 3)?;
        (matches!(rest[0], b'$' | b'+' | b'#') && &rest[1..] == b"\r\n").then(|| char::from(rest[0]))
    }
}

fn find(within: &[u8], what: &[u8]) -> Option<usize> {
    memchr::memmem::find(within, what)
}

fn parse(lines: &[String], body: bool) -> Result<Head, Broken> {
    let mut words = lines.first().ok_or(Broken::StartLine)?.splitn(4, ' ');
    let (Some("MSRP"), Some(tid), Some(third)) = (words.next(), words.next(), words.next()) else {
        return Err(Broken::StartLine);
    };
    let kind = if third.starts_with(|c: char| c.is_ascii_digit()) {
        Kind::Response(third.parse().ok().filter(|_| third.len() == 3).ok_or(Broken::StartLine)?)
    } else if !third.is_empty() && third.bytes().all(|b| b.is_ascii_uppercase()) && words.next().is_none() {
        Kind::Request(third.to_owned())
    } else {
        return Err(Broken::StartLine);
    };
    let mut headers = Vec::new();
    for line in &lines[1..] {
        let (name, value) = line.split_once(": ").ok_or(Broken::Line)?;
        headers.push((name.to_owned(), value.to_owned()));
    }
    let path = |at: usize, name: &str| {
        let (_, value) = headers.get(at).filter(|(n, _)| n == name).ok_or(Broken::Paths)?;
        let uris: Vec<String> = value.split(' ').map(str::to_owned).collect();
        if uris.iter().all(|u| u.starts_with("msrp")) { Ok(uris) } else { Err(Broken::Paths) }
    };
    let (to, from) = (path(0, "To-Path")?, path(1, "From-Path")?);
    Ok(Head { kind, tid: tid.to_owned(), to, from, lines: headers.split_off(2), body })
}

// ---- writing

/// A head that can be followed by a body: start line, paths, lines, and the empty line if `body`.
pub fn head(tid: &str, start: &str, to: &str, from: &str, lines: &[String], body: bool) -> Vec<u8> {
    let mut out = format!("MSRP {tid} {start}\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n");
    for line in lines {
        out.push_str(line);
        out.push_str("\r\n");
    }
    if body {
        out.push_str("\r\n");
    }
    out.into_bytes()
}

/// The line that ends a frame.
pub fn end_line(tid: &str, flag: char, body: bool) -> Vec<u8> {
    format!("{}-------{tid}{flag}\r\n", if body { "\r\n" } else { "" }).into_bytes()
}

/// The answer to a request: one hop back for a SEND, the whole path for any other (RFC 4975 section 7.2).
pub fn answer(to: &Head, code: u16) -> Vec<u8> {
    let back = if to.is("SEND") { to.from[0].clone() } else { to.from.join(" ") };
    let mut out = head(&to.tid, &format!("{code} as it is"), &back, &to.to[0], &[], false);
    out.extend(end_line(&to.tid, '$', false));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pieces: &[&[u8]]) -> (Vec<u8>, Vec<char>) {
        let (mut reader, mut events) = (Reader::default(), Vec::new());
        for piece in pieces {
            reader.feed(piece, &mut events).expect("frames");
        }
        assert!(!reader.inside());
        let body = events.iter().flat_map(|e| if let Event::Body(b) = e { b.clone() } else { Vec::new() }).collect();
        let flags = events.iter().filter_map(|e| if let Event::End(f) = e { Some(*f) } else { None }).collect();
        (body, flags)
    }

    #[test]
    fn any_split_reads_alike() {
        let paths = "To-Path: msrps://a.example:1/x;tcp\r\nFrom-Path: msrps://b.example:1/y;tcp\r\n";
        let body = "\r\n-------abcd1233$\r\n\r\n-------abcd1234x\r\r\n";
        let text = format!(
            "MSRP abcd1234 SEND\r\n{paths}Content-Type: a/b\r\n\r\n{body}\r\n-------abcd1234+\r\n\
             MSRP zzzz 200 OK\r\n{paths}-------zzzz$\r\nMSRP yyyy SEND\r\n{paths}Content-Type: a/b\r\n\r\n\r\n-------yyyy$\r\n"
        );
        let octets = text.as_bytes();
        for at in 0..octets.len() {
            assert_eq!(read(&[&octets[..at], &octets[at..]]), (body.as_bytes().to_vec(), vec!['+', '$', '$']), "{at}");
        }
        let single: Vec<&[u8]> = octets.chunks(1).collect();
        assert_eq!(read(&single).0, body.as_bytes());
    }
}
