//! SIP messages as values that can be edited: a start line, headers in their order, a body (RFC 3261 section 7).
//!
//! A message is read from the one form that [`framing`](super::framing) gives it, and header values are kept as their text:
//! what need not change leaves octet for octet. Typed values are read where a rule needs them: [`Uri`], [`NameAddr`],
//! [`list`] for values with commas, [`CSeq`](super::framing::CSeq).

mod headers;
pub mod list;
mod name_addr;
mod uri;

use std::fmt::Write;

use bytes::Bytes;

pub use headers::Headers;
pub use name_addr::{NameAddr, param, set_param, without_param};
pub use uri::{UnknownTransport, Uri};

use super::framing::{self, CSeq};

/// A request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    /// The method, as written.
    pub method: String,
    /// The Request-URI, as written.
    pub uri: String,
    /// The headers, without Content-Length.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// A response.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// 100 to 699.
    pub status: u16,
    /// The phrase.
    pub phrase: String,
    /// The headers, without Content-Length.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// Either.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Message {
    /// Reads a message that passed framing.
    pub fn read(message: &framing::Message) -> Message {
        let (headers, body) = Headers::read(&message.octets);
        match &message.head.start {
            framing::Start::Request { method, uri } => {
                Message::Request(Request { method: method.clone(), uri: uri.clone(), headers, body })
            }
            framing::Start::Response { status, phrase } => {
                Message::Response(Response { status: *status, phrase: phrase.clone(), headers, body })
            }
        }
    }
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &str, uri: &str) -> Request {
        Request { method: method.to_owned(), uri: uri.to_owned(), headers: Headers::default(), body: Bytes::new() }
    }

    /// The request as it goes out.
    pub fn octets(&self) -> Bytes {
        let mut start = String::with_capacity(self.method.len() + self.uri.len() + 12);
        let _ = write!(start, "{} {} SIP/2.0\r\n", self.method, self.uri);
        self.headers.octets(start, &self.body)
    }
}

impl Response {
    /// The response of a UAS to `request`, without To-tag or body (RFC 3261 section 8.2.6.2).
    pub fn to(request: &Request, status: u16, phrase: &str) -> Response {
        let mut headers = Headers::default();
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.headers.all(name) {
                headers.push(name, value);
            }
        }
        if status == 100
            && let Some(stamp) = request.headers.first("Timestamp")
        {
            headers.push("Timestamp", stamp);
        }
        Response { status, phrase: phrase.to_owned(), headers, body: Bytes::new() }
    }

    /// The response as it goes out.
    pub fn octets(&self) -> Bytes {
        let mut start = String::with_capacity(self.phrase.len() + 16);
        let _ = write!(start, "SIP/2.0 {} {}\r\n", self.status, self.phrase);
        self.headers.octets(start, &self.body)
    }

    /// Whether more responses of this transaction will follow.
    pub fn is_provisional(&self) -> bool {
        self.status < 200
    }

    /// 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// The CSeq of a message that passed framing, or was made by us.
pub fn cseq(headers: &Headers) -> Option<CSeq> {
    let (number, method) = headers.first("CSeq")?.split_once([' ', '\t'])?;
    Some(CSeq { number: number.parse().ok()?, method: method.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const SOURCE: ([u8; 4], u16) = ([192, 0, 2, 1], 5060);

    fn read(text: &str) -> Message {
        let source: SocketAddr = SOURCE.into();
        Message::read(&framing::datagram(text.as_bytes(), source, &framing::Limits::default()).unwrap().unwrap())
    }

    const INVITE: &str = "INVITE sip:b@example.com SIP/2.0\r\nv: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n\
        f: \"A, B\" <sip:a@example.com>;tag=1\r\nt: <sip:b@example.com>\r\ni: x\r\nCSeq: 7 INVITE\r\nX-Odd:  a ,b\r\n\
        x-odd: c\r\nl: 4\r\n\r\nbody";

    #[test]
    fn a_request_leaves_as_it_came() {
        let Message::Request(request) = read(INVITE) else { panic!("a request") };
        assert_eq!((&*request.method, &*request.uri, &*request.body), ("INVITE", "sip:b@example.com", &b"body"[..]));
        assert_eq!(request.headers.all("X-ODD").collect::<Vec<_>>(), ["a ,b", "c"]);
        assert_eq!(cseq(&request.headers).unwrap(), CSeq { number: 7, method: "INVITE".to_owned() });
        let text = String::from_utf8(request.octets().to_vec()).unwrap();
        assert_eq!(read(&text), Message::Request(request));
        assert!(text.ends_with("x-odd: c\r\nContent-Length: 4\r\n\r\nbody"), "{text}");
    }

    #[test]
    fn s8_2_6_2_a_response_repeats_what_leads_it_back() {
        let Message::Request(request) = read(INVITE) else { panic!("a request") };
        let response = Response::to(&request, 486, "Busy Here");
        let names: Vec<&str> = response.headers.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["Via", "From", "To", "Call-ID", "CSeq"]);
        assert!(
            response.octets().starts_with(b"SIP/2.0 486 Busy Here\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n")
        );
    }
}
