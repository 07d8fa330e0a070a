//! Frames as they are written.

use super::Flag;

/// The part of a SEND's head that stays the same for a session.
#[derive(Clone, Debug, Default)]
pub struct SendHead {
    paths: Vec<u8>,
}

impl SendHead {
    /// For these paths.
    pub fn new(to_path: &[u8], from_path: &[u8]) -> SendHead {
        let mut paths = b" SEND\r\nTo-Path: ".to_vec();
        paths.extend_from_slice(to_path);
        paths.extend_from_slice(b"\r\nFrom-Path: ");
        paths.extend_from_slice(from_path);
        paths.extend_from_slice(b"\r\nMessage-ID: ");
        SendHead { paths }
    }

    /// Writes the head of a SEND that carries octets `start..=end` of `total`, up to where its body begins. `headers` are
    /// whole lines. An `end` of `None` is written as `*`.
    pub fn write(
        &self,
        out: &mut Vec<u8>,
        transaction: &[u8],
        message_id: &[u8],
        (start, end, total): (u64, Option<u64>, u64),
        headers: &[u8],
    ) {
        out.extend_from_slice(b"MSRP ");
        out.extend_from_slice(transaction);
        out.extend_from_slice(&self.paths);
        out.extend_from_slice(message_id);
        out.extend_from_slice(b"\r\nByte-Range: ");
        decimal(out, start);
        out.push(b'-');
        match end {
            Some(end) => decimal(out, end),
            None => out.push(b'*'),
        }
        out.push(b'/');
        decimal(out, total);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(headers);
        out.extend_from_slice(b"\r\n");
    }

    /// Writes the end of a SEND.
    pub fn end(out: &mut Vec<u8>, transaction: &[u8], flag: Flag) {
        out.extend_from_slice(b"\r\n-------");
        out.extend_from_slice(transaction);
        out.push(flag.octet());
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes a response (RFC 4975 section 7.2).
pub fn response(out: &mut Vec<u8>, transaction: &[u8], status: &[u8], to: &[u8], from: &[u8]) {
    frame(out, transaction, status, to, from, &[]);
}

/// What a REPORT says (RFC 4975 section 7.1.2).
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// The message's Message-ID.
    pub message_id: &'a [u8],
    /// Its size in octets.
    pub total: u64,
}

/// Writes a success REPORT over a whole message.
pub fn report(out: &mut Vec<u8>, transaction: &[u8], to: &[u8], from: &[u8], report: Report<'_>) {
    let mut headers = Vec::with_capacity(96);
    headers.extend_from_slice(b"Message-ID: ");
    headers.extend_from_slice(report.message_id);
    headers.extend_from_slice(b"\r\nByte-Range: 1-");
    decimal(&mut headers, report.total);
    headers.push(b'/');
    decimal(&mut headers, report.total);
    headers.extend_from_slice(b"\r\nStatus: 000 200 OK\r\n");
    frame(out, transaction, b"REPORT", to, from, &headers);
}

/// Writes an AUTH (RFC 4976 section 5.1), with an Authorization if there is one yet.
pub fn auth(out: &mut Vec<u8>, transaction: &[u8], to: &[u8], from: &[u8], authorization: Option<&str>) {
    let headers = authorization.map(|value| format!("Authorization: {value}\r\n")).unwrap_or_default();
    frame(out, transaction, b"AUTH", to, from, headers.as_bytes());
}

fn frame(out: &mut Vec<u8>, transaction: &[u8], start: &[u8], to: &[u8], from: &[u8], headers: &[u8]) {
    for part in [
        b"MSRP ",
        transaction,
        b" ",
        start,
        b"\r\nTo-Path: ",
        to,
        b"\r\nFrom-Path: ",
        from,
        b"\r\n",
        headers,
        b"-------",
        transaction,
        b"$\r\n",
    ] {
        out.extend_from_slice(part);
    }
}

fn decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Event, Scanner, Start};

    #[test]
    fn what_is_written_can_be_read() {
        let mut out = Vec::new();
        let head = SendHead::new(b"msrp://r:1/t;tcp msrp://b:1/b;tcp", b"msrp://a:1/a;tcp");
        head.write(&mut out, b"abcd1", b"mess", (1, None, 18_446_744_073), b"Content-Type: a/b\r\n");
        out.extend_from_slice(b"body");
        SendHead::end(&mut out, b"abcd1", Flag::Continued);
        report(&mut out, b"abcd2", b"msrp://a:1/a;tcp", b"msrp://b:1/b;tcp", Report { message_id: b"mess", total: 0 });
        auth(&mut out, b"abcd3", b"msrp://r:1;tcp", b"msrp://b:1/b;tcp", Some("Digest x"));
        response(&mut out, b"abcd4", b"200 OK", b"msrp://r:1;tcp", b"msrp://b:1/b;tcp");
        let mut told = Vec::new();
        Scanner::default()
            .feed(&out, |event| match event {
                Event::Head(head) => {
                    let start = match head.start {
                        Start::Request(method) => String::from_utf8_lossy(method).into_owned(),
                        Start::Response(status) => status.to_string(),
                    };
                    let range = head.byte_range.map(|range| (range.start, range.end, range.total));
                    told.push(format!("{start} {range:?} {}", head.all("authorization").count()));
                }
                Event::Body(body) => told.push(String::from_utf8_lossy(body).into_owned()),
                Event::End(flag) => told.push(char::from(flag.octet()).to_string()),
            })
            .unwrap();
        let expected = [
            "SEND Some((1, None, Some(18446744073))) 0",
            "body",
            "+",
            "REPORT Some((1, Some(0), Some(0))) 0",
            "$",
            "AUTH None 1",
            "$",
            "200 None 0",
            "$",
        ];
        assert_eq!(told, expected);
    }
}
