//! Headers in their order, each with its text (RFC 3261 section 7.3).

use std::fmt::Write;

use bytes::{BufMut, Bytes, BytesMut};

/// The headers of a message. Names are compared without case; Content-Length is not among them, it is written from the body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads the head of a message in the form that framing writes, and gives the body beside it.
    pub(super) fn read(octets: &Bytes) -> (Headers, Bytes) {
        let mut found = Vec::with_capacity(16);
        let mut at = next_line(octets, 0);
        loop {
            let end = next_line(octets, at);
            let line = octets.get(at..end).unwrap_or_default().trim_ascii_end();
            at = end;
            if line.is_empty() {
                return (Headers(found), octets.slice(at..));
            }
            let line = std::str::from_utf8(line).unwrap_or_default();
            if let Some((name, value)) = line.split_once(':')
                && !name.eq_ignore_ascii_case("Content-Length")
            {
                found.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }

    /// The first value of a header.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a header, line by line.
    pub fn all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether the header is there.
    pub fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// Names and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (&**name, &**value))
    }

    /// Adds a line at the end.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.to_owned(), value.into()));
    }

    /// Adds a line before all others: a Via belongs there.
    pub fn push_front(&mut self, name: &str, value: impl Into<String>) {
        self.0.insert(0, (name.to_owned(), value.into()));
    }

    /// Gives a header one value, in the place of the first that it had, else at the end.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.0.iter().position(|(n, _)| n.eq_ignore_ascii_case(name)) {
            Some(at) => {
                self.0[at].1 = value;
                let mut index = 0;
                self.0.retain(|(n, _)| {
                    index += 1;
                    index <= at + 1 || !n.eq_ignore_ascii_case(name)
                });
            }
            None => self.push(name, value),
        }
    }

    /// Takes all lines of a header out.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    }

    /// Keeps the lines whose name passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.retain_lines(|name, _| keep(name));
    }

    /// Keeps the lines whose name and value pass.
    pub fn retain_lines(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// The whole message behind a start line.
    pub(super) fn octets(&self, start: String, body: &[u8]) -> Bytes {
        let size: usize = self.0.iter().map(|(n, v)| n.len() + v.len() + 4).sum();
        let mut out = BytesMut::with_capacity(start.len() + size + body.len() + 32);
        out.put_slice(start.as_bytes());
        for (name, value) in &self.0 {
            for part in [name, ": ", value, "\r\n"] {
                out.put_slice(part.as_bytes());
            }
        }
        let mut end = String::with_capacity(32);
        let _ = write!(end, "Content-Length: {}\r\n\r\n", body.len());
        out.put_slice(end.as_bytes());
        out.put_slice(body);
        out.freeze()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(lines: I) -> Headers {
        Headers(lines.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
    }
}

fn next_line(octets: &[u8], from: usize) -> usize {
    let rest = octets.get(from..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(octets.len(), |at| from + at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_leaves_one_line_in_the_first_place() {
        let mut headers: Headers = [("A", "1"), ("b", "2"), ("B", "3"), ("C", "4")].into_iter().collect();
        headers.set("B", "5");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("A", "1"), ("b", "5"), ("C", "4")]);
        headers.set("D", "6");
        assert_eq!(headers.first("d"), Some("6"));
        headers.push_front("Via", "v");
        headers.remove("a");
        assert_eq!(headers.iter().map(|(n, _)| n).collect::<Vec<_>>(), ["Via", "b", "C", "D"]);
    }
}
