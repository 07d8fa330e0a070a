//! Octets of a link, in any pieces, to frames.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{
    Head,
    head::{After, Start},
};

/// What comes before the transaction identifier of an end-line.
const DASHES: &[u8] = b"\r\n-------";
static END_LINE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DASHES));

/// No head of a relay under test is longer than this.
const MAX_HEAD: usize = 64 * 1024;

/// How a frame ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    /// `$`: the last chunk of its message.
    Complete,
    /// `+`: more to come.
    Continued,
    /// `#`: its sender gave up.
    Aborted,
}

impl Flag {
    /// The octet on the wire.
    pub fn octet(self) -> u8 {
        match self {
            Flag::Complete => b'$',
            Flag::Continued => b'+',
            Flag::Aborted => b'#',
        }
    }
}

/// A step of a frame. Each begins with `Head`, has any number of `Body`, and ends with `End`.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Start line and headers.
    Head(&'a Head<'a>),
    /// Octets of the body.
    Body(&'a [u8]),
    /// The end-line.
    End(Flag),
}

/// Why octets are not MSRP. A link on which this happens cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// RFC 4975 section 9, `req-start` and `resp-start`.
    #[error("the start line is neither that of a request nor of a response")]
    StartLine,
    /// RFC 4975 section 9: lines end with CRLF.
    #[error("a line ends without CR")]
    LineEnd,
    /// RFC 4975 section 9, `header`.
    #[error("a header has no name")]
    Header,
    /// RFC 4975 section 9, `byte-range`.
    #[error("a Byte-Range is not start-end/total")]
    ByteRange,
    /// RFC 4975 section 7.1: headers that MSRP defines stand once.
    #[error("a header stands there twice")]
    Twice,
    /// RFC 4975 section 7.1: To-Path and From-Path are in every frame.
    #[error("To-Path or From-Path is missing")]
    NoPath,
    /// A head of over 64 KiB.
    #[error("the head does not end")]
    TooLong,
    /// RFC 4975 section 7.1: the end-line carries the frame's transaction identifier and one of `$`, `+`, `#`.
    #[error("the end-line is not that of its frame")]
    EndLine,
}

/// The reader of one link.
#[derive(Debug, Default)]
pub struct Scanner {
    /// What was read and could not be used yet.
    carry: Vec<u8>,
    /// The transaction identifier of the frame whose end-line comes.
    frame: Option<Frame>,
}

#[derive(Clone, Copy, Debug)]
struct Frame {
    transaction: [u8; 32],
    length: u8,
    has_body: bool,
}

impl Frame {
    fn transaction(&self) -> &[u8] {
        &self.transaction[..usize::from(self.length)]
    }
}

impl Scanner {
    /// Takes in the next octets of the link and tells what they are.
    pub fn feed(&mut self, data: &[u8], mut tell: impl FnMut(Event<'_>)) -> Result<(), Malformed> {
        if self.carry.is_empty() {
            let used = self.scan(data, &mut tell)?;
            self.carry.extend_from_slice(&data[used..]);
        } else {
            let mut carry = std::mem::take(&mut self.carry);
            carry.extend_from_slice(data);
            let used = self.scan(&carry, &mut tell)?;
            carry.drain(..used);
            self.carry = carry;
        }
        if self.carry.capacity() > MAX_HEAD && self.carry.is_empty() {
            self.carry = Vec::new();
        }
        Ok(())
    }

    /// Whether the link stands between two frames.
    #[cfg(test)]
    fn is_idle(&self) -> bool {
        self.carry.is_empty() && self.frame.is_none()
    }

    /// Uses what it can of `data` and says how much that was.
    fn scan(&mut self, data: &[u8], tell: &mut impl FnMut(Event<'_>)) -> Result<usize, Malformed> {
        let mut at = 0;
        while at < data.len() {
            let rest = &data[at..];
            let used = match self.frame {
                None => self.head(rest, tell)?,
                Some(frame) if frame.has_body => self.body(frame, rest, tell)?,
                Some(frame) => self.end_line(frame, rest, tell)?,
            };
            match used {
                Some(used) => at += used,
                None => break,
            }
        }
        Ok(at)
    }

    fn head(&mut self, data: &[u8], tell: &mut impl FnMut(Event<'_>)) -> Result<Option<usize>, Malformed> {
        let Some((head, length, after)) = Head::read(data)? else {
            return if data.len() > MAX_HEAD { Err(Malformed::TooLong) } else { Ok(None) };
        };
        if matches!(head.start, Start::Response(_)) && after == After::Body {
            return Err(Malformed::EndLine);
        }
        let mut transaction = [0; 32];
        transaction[..head.transaction.len()].copy_from_slice(head.transaction);
        self.frame = Some(Frame { transaction, length: head.transaction.len() as u8, has_body: after == After::Body });
        tell(Event::Head(&head));
        Ok(Some(length))
    }

    /// The body ends where its own end-line begins, whatever Byte-Range says.
    fn body(
        &mut self,
        frame: Frame,
        data: &[u8],
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<usize>, Malformed> {
        let mut from = 0;
        while let Some(found) = END_LINE.find(&data[from..]) {
            let begin = from + found;
            let line = &data[begin + 2..];
            let needed = 7 + frame.transaction().len() + 3;
            let known = &line[7..line.len().min(needed - 3)];
            if known == frame.transaction() || frame.transaction().starts_with(known) {
                if begin > 0 {
                    tell(Event::Body(&data[..begin]));
                    return Ok(Some(begin));
                }
                if line.len() < needed {
                    return Ok(None);
                }
                // An end-line in all but its end belongs to the body.
                if matches!(&line[needed - 3..needed], [b'$' | b'+' | b'#', b'\r', b'\n']) {
                    self.frame = Some(Frame { has_body: false, ..frame });
                    return Ok(Some(2));
                }
            }
            from = begin + 2;
        }
        let sure = from.max(data.len() - possible_begin(data));
        if sure == 0 {
            return Ok(None);
        }
        tell(Event::Body(&data[..sure]));
        Ok(Some(sure))
    }

    fn end_line(
        &mut self,
        frame: Frame,
        data: &[u8],
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<Option<usize>, Malformed> {
        let length = 7 + frame.transaction().len() + 3;
        if data.len() < length {
            return Ok(None);
        }
        let (dashes, rest) = data[..length].split_at(7);
        let (transaction, end) = rest.split_at(rest.len() - 3);
        let flag = match end {
            b"$\r\n" => Flag::Complete,
            b"+\r\n" => Flag::Continued,
            b"#\r\n" => Flag::Aborted,
            _ => return Err(Malformed::EndLine),
        };
        if dashes != b"-------" || transaction != frame.transaction() {
            return Err(Malformed::EndLine);
        }
        self.frame = None;
        tell(Event::End(flag));
        Ok(Some(length))
    }
}

/// How many octets at the end of `data` may be the begin of an end-line.
fn possible_begin(data: &[u8]) -> usize {
    (1..DASHES.len().min(data.len() + 1)).rev().find(|&length| data.ends_with(&DASHES[..length])).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const PATHS: &str = "To-Path: msrp://b.example:1/b;tcp\r\nFrom-Path: msrp://a.example:1/a;tcp\r\n";

    /// What a scanner tells of these octets, given to it in pieces of `piece`; bodies as one.
    fn told(octets: &[u8], piece: usize) -> Result<Vec<String>, Malformed> {
        let mut scanner = Scanner::default();
        let mut told: Vec<String> = Vec::new();
        let mut body = Vec::new();
        for piece in octets.chunks(piece) {
            scanner.feed(piece, |event| match event {
                Event::Head(head) => told.push(format!("{:?} {:?}", head.start, head.byte_range)),
                Event::Body(octets) => body.extend_from_slice(octets),
                Event::End(flag) => told.push(format!(
                    "{} {}",
                    body.drain(..).map(char::from).collect::<String>(),
                    char::from(flag.octet())
                )),
            })?;
        }
        if !scanner.is_idle() {
            told.push("unfinished".to_owned());
        }
        Ok(told)
    }

    fn send(body: &str) -> String {
        format!(
            "MSRP tr4n54ct SEND\r\n{PATHS}Byte-Range: 1-*/99\r\nContent-Type: text/plain\r\n\r\n{body}\r\n-------tr4n54ct+\r\n"
        )
    }

    #[rstest]
    #[case::plain("hello")]
    #[case::empty("")]
    #[case::end_line_of_another("a\r\n-------tr4n54cu$\r\nb")]
    #[case::near_miss("a\r\n-------tr4n54ct\r\nb\r\n-------\r\n------")]
    #[case::wrong_flag("a\r\n-------tr4n54ct!\r\nb")]
    #[case::half_an_end_line("\r\n\r\n-------tr4n")]
    fn a_body_ends_at_its_own_end_line_however_it_is_split(#[case] body: &str) {
        let frames = format!("{}MSRP tr4n54ct 200 OK\r\n{PATHS}-------tr4n54ct$\r\n{}", send(body), send("z"));
        let expected = told(frames.as_bytes(), frames.len()).unwrap();
        assert_eq!(expected.len(), 6, "{expected:?}");
        assert_eq!(expected[1], format!("{body} +"));
        for piece in 1..40 {
            assert_eq!(told(frames.as_bytes(), piece).unwrap(), expected, "pieces of {piece}");
        }
    }

    #[rstest]
    #[case::no_msrp("HTTP/1.1 200 OK\r\n\r\n", Malformed::StartLine)]
    #[case::short_transaction("MSRP abc SEND\r\n", Malformed::StartLine)]
    #[case::bare_line_feed("MSRP abcd SEND\n", Malformed::LineEnd)]
    #[case::no_paths("MSRP abcd SEND\r\n-------abcd$\r\n", Malformed::NoPath)]
    #[case::bad_range("MSRP abcd SEND\r\nByte-Range: a\r\n", Malformed::ByteRange)]
    #[case::twice("MSRP abcd SEND\r\nTo-Path: a\r\nTo-Path: a\r\n", Malformed::Twice)]
    #[case::foreign_end_line("MSRP abcd SEND\r\nTo-Path: a\r\nFrom-Path: a\r\n-------abce$\r\n", Malformed::EndLine)]
    #[case::no_flag("MSRP abcd SEND\r\nTo-Path: a\r\nFrom-Path: a\r\n-------abcd!\r\n", Malformed::EndLine)]
    fn what_is_not_msrp_is_named(#[case] octets: &str, #[case] expected: Malformed) {
        assert_eq!(told(octets.as_bytes(), octets.len()), Err(expected));
    }

    #[test]
    fn a_head_without_end_is_refused() {
        assert_eq!(
            told(format!("MSRP abcd SEND\r\nX: {}", "a".repeat(MAX_HEAD)).as_bytes(), 999),
            Err(Malformed::TooLong)
        );
    }
}
