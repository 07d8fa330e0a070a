//! A SIP message as it stands on the wire, read strictly: what this reader refuses, a test fails for.

use std::net::SocketAddr;

/// The first line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// Method and Request-URI.
    Request(String, String),
    /// Status code and phrase.
    Response(u16, String),
}

/// A message and where it came from, or went to.
#[derive(Clone, Debug)]
pub struct Message {
    /// The first line.
    pub start: Start,
    /// Names and values of the headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// All octets.
    pub raw: Vec<u8>,
    /// The other side's address.
    pub peer: SocketAddr,
}

/// What has been read of a stream.
#[derive(Debug)]
pub enum Read {
    /// A message, and how many octets it took.
    Whole(Box<Message>, usize),
    /// So many octets of line ends that keep a connection open.
    Blank(usize),
    /// More is needed.
    Part,
}

impl Message {
    /// Reads the first message of a stream. A broken one is an error that says what is wrong.
    pub fn read(octets: &[u8], peer: SocketAddr) -> Result<Read, String> {
        let blank = octets.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        if blank > 0 {
            return Ok(Read::Blank(blank));
        }
        let Some(head) = octets.windows(4).position(|w| w == b"\r\n\r\n") else { return Ok(Read::Part) };
        let (start, headers) = head_of(&octets[..head])?;
        let message = Message { start, headers, body: Vec::new(), raw: Vec::new(), peer };
        let length = message.header("Content-Length").ok_or("a message of a stream without Content-Length")?;
        let length: usize = length.parse().map_err(|_| format!("Content-Length {length:?}"))?;
        let end = head + 4 + length;
        if octets.len() < end {
            return Ok(Read::Part);
        }
        let whole = Message { body: octets[head + 4..end].to_vec(), raw: octets[..end].to_vec(), ..message };
        Ok(Read::Whole(Box::new(whole), end))
    }

    /// Reads a datagram; none if it holds nothing but line ends.
    pub fn datagram(octets: &[u8], peer: SocketAddr) -> Result<Option<Message>, String> {
        match Message::read(octets, peer)? {
            Read::Blank(all) if all == octets.len() => Ok(None),
            Read::Whole(message, all) if all == octets.len() => Ok(Some(*message)),
            other => Err(format!("a datagram that is no message: {other:?}")),
        }
    }

    /// The method, of a response that of its request.
    pub fn method(&self) -> String {
        match &self.start {
            Start::Request(method, _) => method.clone(),
            Start::Response(..) => self.cseq().1,
        }
    }

    /// Whether it is a request.
    pub fn is_request(&self) -> bool {
        matches!(self.start, Start::Request(..))
    }

    /// The status code; 0 of a request.
    pub fn status(&self) -> u16 {
        match self.start {
            Start::Request(..) => 0,
            Start::Response(status, _) => status,
        }
    }

    /// The Request-URI; empty of a response.
    pub fn uri(&self) -> &str {
        match &self.start {
            Start::Request(_, uri) => uri,
            Start::Response(..) => "",
        }
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| is_name(n, name)).map(|(_, value)| value.as_str())
    }

    /// The value of a header that must be there.
    pub fn need(&self, name: &str) -> &str {
        self.header(name).unwrap_or_else(|| panic!("no {name} in:\n{self}"))
    }

    /// The values of all headers of this name, as they stand in their lines.
    pub fn lines(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| is_name(n, name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The elements of all headers of this name, lists taken apart at their commas.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.lines(name).into_iter().flat_map(elements).collect()
    }

    /// Number and method of the CSeq.
    pub fn cseq(&self) -> (u32, String) {
        let value = self.need("CSeq");
        let (number, method) = value.split_once(' ').unwrap_or_else(|| panic!("CSeq {value:?}"));
        (number.parse().unwrap_or_else(|_| panic!("CSeq {value:?}")), method.trim().to_owned())
    }

    /// The Call-ID.
    pub fn call_id(&self) -> &str {
        self.need("Call-ID")
    }

    /// The tag of From or To.
    pub fn tag(&self, name: &str) -> Option<String> {
        parameter(self.need(name), "tag")
    }

    /// The branch of the top Via.
    pub fn branch(&self) -> String {
        let via = self.list("Via").into_iter().next().unwrap_or_default();
        parameter(&via, "branch").unwrap_or_else(|| panic!("no branch in:\n{self}"))
    }

    /// The URI of the Contact.
    pub fn contact(&self) -> String {
        uri_of(self.need("Contact")).to_owned()
    }

    /// The description of the session: the body, or its part of that type.
    pub fn sdp(&self) -> String {
        let body = String::from_utf8(self.body.clone()).expect("a body of text");
        let kind = self.header("Content-Type").unwrap_or_default();
        if !kind.starts_with("multipart/") {
            assert!(kind.starts_with("application/sdp"), "no description in:\n{self}");
            return body;
        }
        let boundary = parameter(kind, "boundary").expect("a boundary");
        let delimiter = format!("\r\n--{}", boundary.trim_matches('"'));
        let whole = format!("\r\n{body}");
        let mut parts = whole.split(&delimiter).filter_map(|part| part.split_once("\r\n\r\n"));
        parts.find(|(head, _)| head.contains("application/sdp")).expect("a description").1.to_owned()
    }

    /// Whether it has a description of a session.
    pub fn has_sdp(&self) -> bool {
        self.header("Content-Type").is_some_and(|kind| kind.contains("application/sdp")) && !self.body.is_empty()
    }

    /// The values of an attribute of the description, in order.
    pub fn attributes(&self, name: &str) -> Vec<String> {
        let prefix = format!("a={name}");
        let sdp = self.sdp();
        let values = sdp.lines().filter_map(|line| line.strip_prefix(&prefix));
        values.filter_map(|v| if v.is_empty() { Some(v) } else { v.strip_prefix(':') }).map(str::to_owned).collect()
    }

    /// The path of the first MSRP session in the description.
    pub fn path(&self) -> String {
        let found = self.attributes("path").into_iter().next();
        found.unwrap_or_else(|| panic!("no path in:\n{self}"))
    }
}

impl std::fmt::Display for Message {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.raw))
    }
}

type Head = (Start, Vec<(String, String)>);

fn head_of(octets: &[u8]) -> Result<Head, String> {
    let text = std::str::from_utf8(octets).map_err(|_| "a head that is not UTF-8".to_owned())?;
    let mut lines = text.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let start = match first.strip_prefix("SIP/2.0 ") {
        Some(rest) => {
            let (status, phrase) = rest.split_once(' ').ok_or_else(|| format!("start line {first:?}"))?;
            Start::Response(status.parse().map_err(|_| format!("start line {first:?}"))?, phrase.to_owned())
        }
        None => {
            let mut fields = first.split(' ');
            match (fields.next(), fields.next(), fields.next(), fields.next()) {
                (Some(method), Some(uri), Some("SIP/2.0"), None) => Start::Request(method.to_owned(), uri.to_owned()),
                _ => return Err(format!("start line {first:?}")),
            }
        }
    };
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("header line {line:?}"))?;
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c.is_control()) || line.contains('\r') {
            return Err(format!("header line {line:?}"));
        }
        Ok((name.to_owned(), value.trim().to_owned()))
    });
    Ok((start, headers.collect::<Result<_, String>>()?))
}

/// Whether a header has this name, in full or compact (RFC 3261 section 7.3.3).
fn is_name(found: &str, wanted: &str) -> bool {
    const COMPACT: [(&str, &str); 11] = [
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("e", "Content-Encoding"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("f", "From"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("t", "To"),
        ("v", "Via"),
        ("x", "Session-Expires"),
    ];
    found.eq_ignore_ascii_case(wanted)
        || COMPACT.iter().any(|(c, full)| found.eq_ignore_ascii_case(c) && wanted.eq_ignore_ascii_case(full))
}

/// The elements of a list, whose commas do not count within quotes and angle brackets.
fn elements(value: &str) -> Vec<String> {
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    let mut out = vec![String::new()];
    for c in value.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => inside = true,
            '>' if !quoted => inside = false,
            ',' if !quoted && !inside => {
                out.push(String::new());
                continue;
            }
            _ => {}
        }
        out.last_mut().expect("one").push(c);
    }
    out.iter().map(|element| element.trim().to_owned()).filter(|element| !element.is_empty()).collect()
}

/// The URI of a name-addr, or of an addr-spec, whose parameters are not its own.
pub fn uri_of(value: &str) -> &str {
    match value.find('<') {
        Some(open) => value[open + 1..].split('>').next().unwrap_or_default(),
        None => value.split(';').next().unwrap_or_default().trim(),
    }
}

/// A parameter behind an address or a value; empty if it has no value itself.
pub fn parameter(value: &str, name: &str) -> Option<String> {
    let behind = value.rfind('>').map_or(value, |close| &value[close + 1..]);
    behind.split(';').skip(1).find_map(|parameter| {
        let (n, v) = parameter.split_once('=').unwrap_or((parameter, ""));
        n.trim().eq_ignore_ascii_case(name).then(|| v.trim().to_owned())
    })
}

/// The address in a URI whose host is a number, or this machine.
pub fn place_of(uri: &str) -> SocketAddr {
    let rest = uri.split_once(':').expect("a scheme").1;
    let rest = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    let host = rest.split([';', '?']).next().unwrap_or_default().replace("localhost", "127.0.0.1");
    let place = host.parse().or_else(|_| format!("{host}:5060").parse());
    place.unwrap_or_else(|_| panic!("{uri} names no address"))
}
