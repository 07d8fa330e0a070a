//! Requests as clients write them.

use std::cell::Cell;

use crate::auth::{Algorithm, Ha1, response};

thread_local! {
    static NEXT: Cell<u32> = const { Cell::new(0) };
}

/// A transact-id that no other request of this test has.
pub(super) fn fresh() -> String {
    NEXT.with(|n| {
        n.set(n.get() + 1);
        format!("tid{:05}", n.get())
    })
}

/// A request under construction; a SEND unless told otherwise.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) tid: String,
    method: &'static str,
    to: String,
    from: String,
    lines: Vec<String>,
    media: Option<&'static str>,
    body: Option<Vec<u8>>,
    flag: char,
}

impl Request {
    pub(super) fn new(method: &'static str, to: &[&str], from: &str) -> Request {
        Request {
            tid: fresh(),
            method,
            to: to.join(" "),
            from: from.to_owned(),
            lines: Vec::new(),
            media: Some("text/plain"),
            body: None,
            flag: '$',
        }
    }

    pub(super) fn send(to: &[&str], from: &str) -> Request {
        Request::new("SEND", to, from)
    }

    pub(super) fn line(mut self, line: &str) -> Request {
        self.lines.push(line.to_owned());
        self
    }

    pub(super) fn id(self, id: &str) -> Request {
        self.line(&format!("Message-ID: {id}"))
    }

    pub(super) fn range(self, range: &str) -> Request {
        self.line(&format!("Byte-Range: {range}"))
    }

    pub(super) fn failure_report(self, value: &str) -> Request {
        self.line(&format!("Failure-Report: {value}"))
    }

    pub(super) fn body(mut self, body: impl AsRef<[u8]>) -> Request {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    pub(super) fn flag(mut self, flag: char) -> Request {
        self.flag = flag;
        self
    }

    /// Start line and headers, with the empty line if a body follows.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut out =
            format!("MSRP {} {}\r\nTo-Path: {}\r\nFrom-Path: {}\r\n", self.tid, self.method, self.to, self.from);
        for line in &self.lines {
            out.push_str(line);
            out.push_str("\r\n");
        }
        if let (Some(_), Some(media)) = (&self.body, self.media) {
            out.push_str(&format!("Content-Type: {media}\r\n\r\n"));
        }
        out.into_bytes()
    }

    /// The end-line, with the CRLF before it if there is a body.
    pub(super) fn end(&self) -> Vec<u8> {
        let crlf = if self.body.is_some() { "\r\n" } else { "" };
        format!("{crlf}-------{}{}\r\n", self.tid, self.flag).into_bytes()
    }

    pub(super) fn octets(&self) -> Vec<u8> {
        [self.head(), self.body.clone().unwrap_or_default(), self.end()].concat()
    }
}

/// An Authorization header line for a nonce.
pub(super) fn authorization(user: &str, realm: &str, password: &str, nonce: &str, nc: u32, uri: &str) -> String {
    let ha1 = Ha1::from_password(user, realm, password);
    let ha1 = ha1.hex(Algorithm::Md5).expect("MD5 is known");
    let nc = format!("{nc:08x}");
    let digest = response(Algorithm::Md5, ha1, nonce, &nc, "c0ffee42", "AUTH", uri.as_bytes());
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", qop=auth, nc={nc}, \
         cnonce=\"c0ffee42\", response=\"{}\"",
        digest.as_str()
    )
}

/// The quoted value of a parameter.
pub(super) fn parameter(header: &str, name: &str) -> String {
    let from = header.find(&format!("{name}=\"")).expect("the parameter is there") + name.len() + 2;
    header[from..].split('"').next().unwrap_or_default().to_owned()
}

/// Octets that differ from place to place.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| b"abcdefghijklmnopqrstuvwxyz0123456789."[(i * 7 + i / 61) % 37]).collect()
}
