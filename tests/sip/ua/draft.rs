//! What a test wants of a message beyond what a correct one has in any case.

/// Further headers and a body; headers left out or replaced, for what a well-behaved peer would not send.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub(super) added: Vec<(String, String)>,
    pub(super) replaced: Vec<(String, Option<String>)>,
    pub(super) body: Option<(String, Vec<u8>)>,
    pub(super) phrase: Option<String>,
}

impl Draft {
    /// Nothing beyond.
    pub fn new() -> Draft {
        Draft::default()
    }

    /// With this description of a session.
    pub fn sdp(text: &str) -> Draft {
        Draft::new().body("application/sdp", text)
    }

    /// One more header.
    pub fn header(mut self, name: &str, value: &str) -> Draft {
        self.added.push((name.to_owned(), value.to_owned()));
        self
    }

    /// This value in place of the usual one.
    pub fn instead(mut self, name: &str, value: &str) -> Draft {
        self.replaced.push((name.to_owned(), Some(value.to_owned())));
        self
    }

    /// Without this header.
    pub fn without(mut self, name: &str) -> Draft {
        self.replaced.push((name.to_owned(), None));
        self
    }

    /// This body.
    pub fn body(mut self, kind: &str, octets: impl AsRef<[u8]>) -> Draft {
        self.body = Some((kind.to_owned(), octets.as_ref().to_vec()));
        self
    }

    /// This phrase in a response.
    pub fn phrase(mut self, phrase: &str) -> Draft {
        self.phrase = Some(phrase.to_owned());
        self
    }

    /// The octets of a message with this first line and these headers.
    pub(super) fn write(&self, start: &str, headers: Vec<(&str, String)>) -> Vec<u8> {
        let mut lines: Vec<(String, String)> = headers.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        lines.extend(self.added.iter().cloned());
        if let Some((kind, _)) = &self.body {
            lines.push(("Content-Type".to_owned(), kind.clone()));
        }
        let body = self.body.as_ref().map_or(&[][..], |(_, octets)| octets);
        lines.push(("Content-Length".to_owned(), body.len().to_string()));
        for (name, value) in &self.replaced {
            let first = lines.iter().position(|(n, _)| n.eq_ignore_ascii_case(name));
            lines.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
            if let Some(value) = value {
                let at = first.unwrap_or(lines.len()).min(lines.len());
                lines.insert(at, (name.clone(), value.clone()));
            }
        }
        let mut out = format!("{start}\r\n");
        for (name, value) in lines {
            out += &format!("{name}: {value}\r\n");
        }
        let mut octets = (out + "\r\n").into_bytes();
        octets.extend_from_slice(body);
        octets
    }
}

/// A description with one MSRP session, whose URI gives its address.
pub fn msrp_sdp(path: &str, setup: &str) -> String {
    sdp_version(path, setup, 1, "")
}

/// The same with this version of its origin and further lines at its end, each with its line end.
pub fn sdp_version(path: &str, setup: &str, version: u32, more: &str) -> String {
    let own = path.rsplit(' ').next().unwrap_or_default();
    let (scheme, rest) = own.split_once("://").expect("an MSRP URI");
    let (host, port) = rest.split('/').next().and_then(|place| place.rsplit_once(':')).expect("host and port");
    let protocol = if scheme == "msrps" { "TCP/TLS/MSRP" } else { "TCP/MSRP" };
    let family = if host.starts_with('[') { "IP6" } else { "IP4" };
    let host = host.trim_matches(['[', ']']);
    format!(
        "v=0\r\no=ua 7 {version} IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n\
         m=message {port} {protocol} *\r\na=accept-types:message/cpim text/plain\r\na=accept-wrapped-types:*\r\n\
         a=setup:{setup}\r\na=path:{path}\r\n{more}"
    )
}
