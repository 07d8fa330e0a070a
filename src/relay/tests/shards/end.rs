//! The other end of a link: a client or a far side that speaks MSRP by hand.

use bytes::Bytes;

use crate::auth::{Algorithm, Ha1, response as digest};
use crate::moment::Moment;
use crate::msrp::{ByteRange, Decoder, Event, FailureReport, Flag, Head, Kind, Limits, Method, Status, Uri};

/// A frame that has arrived.
pub(crate) struct Frame {
    pub(crate) head: Head,
    pub(crate) body: Vec<u8>,
    pub(crate) flag: Flag,
    pub(crate) at: Moment,
}

impl Frame {
    pub(crate) fn is(&self, method: Method) -> bool {
        self.head.kind() == Kind::Request(method)
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self.head.kind() {
            Kind::Response(status) => Some(status.code()),
            Kind::Request(_) => None,
        }
    }

    pub(crate) fn message(&self) -> String {
        String::from_utf8_lossy(self.head.message_id().unwrap_or_default()).into_owned()
    }
}

/// One end.
pub(crate) struct End {
    pub(crate) uri: String,
    decoder: Decoder,
    partial: Option<(Head, Vec<u8>)>,
    pub(crate) frames: Vec<Frame>,
    /// Octets that it has not sent yet.
    pub(crate) outbox: Vec<u8>,
    /// It takes this many octets per millisecond; `None` takes all.
    pub(crate) rate: Option<usize>,
    pub(crate) budget: usize,
    /// How it answers SENDs; `None` says nothing.
    pub(crate) answer: Option<Status>,
    pub(crate) closed: bool,
    next_tid: u32,
}

impl End {
    pub(crate) fn new(name: &str) -> End {
        End {
            uri: format!("msrps://{name}:7000/{name};tcp"),
            decoder: Decoder::new(Limits::default()),
            partial: None,
            frames: Vec::new(),
            outbox: Vec::new(),
            rate: None,
            budget: 0,
            answer: Some(Status::OK),
            closed: false,
            next_tid: 0,
        }
    }

    pub(crate) fn take(&mut self, octets: &[u8], now: Moment) {
        self.decoder.feed(Bytes::copy_from_slice(octets));
        while let Some(event) = self.decoder.next().expect("a relay writes well-formed frames") {
            match event {
                Event::Head(head) => self.partial = Some((head, Vec::new())),
                Event::Body(octets) => self.partial.as_mut().expect("in a frame").1.extend_from_slice(&octets),
                Event::End(flag) => {
                    let (head, body) = self.partial.take().expect("in a frame");
                    self.answer(&head);
                    self.frames.push(Frame { head, body, flag, at: now });
                }
            }
        }
    }

    fn answer(&mut self, head: &Head) {
        let Some(status) = self.answer.filter(|_| head.kind() == Kind::Request(Method::Send)) else { return };
        let wanted = match head.failure_report() {
            FailureReport::Yes => true,
            FailureReport::Partial => !status.is_success(),
            FailureReport::No => false,
        };
        if wanted {
            self.respond(head, status);
        }
    }

    /// A response to a SEND goes one hop back, to anything else all the way.
    pub(crate) fn respond(&mut self, head: &Head, status: Status) {
        let from = head.from_path().expect("checked by the relay");
        let send = head.kind() == Kind::Request(Method::Send);
        let back = if send { from.first().expect("not empty") } else { from.after(0) };
        let own = head.to_path().and_then(|p| p.first()).expect("not empty").to_vec();
        crate::msrp::response(&mut self.outbox, head.transact_id(), status, back, &own, &[]);
    }

    pub(crate) fn tid(&mut self) -> String {
        self.next_tid += 1;
        format!("t{:07}x", self.next_tid)
    }

    /// Puts a SEND of one chunk into the outbox and returns its transact-id.
    pub(crate) fn send(&mut self, to: &str, message: &str, body: &[u8]) -> String {
        self.send_with(to, message, body, "", &format!("1-{0}/{0}", body.len()), '$')
    }

    /// The same with more headers (each with its CRLF), another Byte-Range and another flag.
    pub(crate) fn send_with(
        &mut self,
        to: &str,
        message: &str,
        body: &[u8],
        headers: &str,
        range: &str,
        flag: char,
    ) -> String {
        let tid = self.tid();
        let from = self.uri.clone();
        let head = format!(
            "MSRP {tid} SEND\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\nMessage-ID: {message}\r\nByte-Range: {range}\r\n\
             {headers}Content-Type: text/plain\r\n\r\n"
        );
        self.outbox.extend_from_slice(head.as_bytes());
        self.outbox.extend_from_slice(body);
        self.outbox.extend_from_slice(format!("\r\n-------{tid}{flag}\r\n").as_bytes());
        tid
    }

    /// A request without a body.
    pub(crate) fn request(&mut self, method: &str, to: &str, headers: &str) -> String {
        let tid = self.tid();
        let from = self.uri.clone();
        let frame = format!("MSRP {tid} {method}\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n{headers}-------{tid}$\r\n");
        self.outbox.extend_from_slice(frame.as_bytes());
        tid
    }

    /// The AUTH that answers the challenge of this frame.
    pub(crate) fn credentials(&mut self, challenge: &Frame, target: &str, user: &str) -> String {
        let value =
            String::from_utf8_lossy(challenge.head.header("WWW-Authenticate").expect("a challenge")).into_owned();
        let part = |name: &str| {
            let from = value.find(&format!("{name}=\"")).expect("a parameter") + name.len() + 2;
            value[from..].split('"').next().expect("a value").to_owned()
        };
        let (realm, nonce, opaque) = (part("realm"), part("nonce"), part("opaque"));
        let ha1 = Ha1::from_password(user, &realm, "secret");
        let ha1 = ha1.hex(Algorithm::Md5).expect("MD5");
        let answer = digest(Algorithm::Md5, ha1, &nonce, "00000001", "c0ffee", "AUTH", target.as_bytes());
        let header = format!(
            "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", qop=auth, nc=00000001, \
             cnonce=\"c0ffee\", response=\"{answer}\", opaque=\"{opaque}\"\r\n"
        );
        self.request("AUTH", target, &header)
    }

    /// Status of the response to this request, once.
    pub(crate) fn status_of(&self, tid: &str) -> Option<u16> {
        let mut found = self.frames.iter().filter(|f| f.status().is_some() && f.head.transact_id() == tid.as_bytes());
        let status = found.next()?.status();
        assert!(found.next().is_none(), "two responses to {tid}");
        status
    }

    /// Codes and ranges of the REPORTs on a message.
    pub(crate) fn reports(&self, message: &str) -> Vec<(u16, Option<ByteRange>)> {
        let of = |f: &&Frame| f.is(Method::Report) && f.message() == message;
        let code = |f: &Frame| f.head.status_header().and_then(Result::ok).map_or(0, |(_, s)| s.code());
        self.frames.iter().filter(of).map(|f| (code(f), f.head.byte_range())).collect()
    }

    /// The octets of a message, put together by Byte-Range in order of arrival; `None` while it is not complete.
    pub(crate) fn message(&self, id: &str) -> Option<Vec<u8>> {
        let (mut body, mut done) = (Vec::new(), false);
        for f in self.frames.iter().filter(|f| f.is(Method::Send) && f.message() == id) {
            let start = f.head.byte_range().map_or(1, |r| r.start) as usize - 1;
            assert_eq!(start, body.len(), "chunks of {id} arrive in order and without gaps");
            body.extend_from_slice(&f.body);
            done |= f.flag == Flag::Complete;
        }
        done.then_some(body)
    }

    /// Flags of the chunks of a message.
    pub(crate) fn flags(&self, id: &str) -> Vec<Flag> {
        self.frames.iter().filter(|f| f.is(Method::Send) && f.message() == id).map(|f| f.flag).collect()
    }

    pub(crate) fn count(&self, method: Method) -> usize {
        self.frames.iter().filter(|f| f.is(method)).count()
    }

    /// The outermost token in the Use-Path of the last 200.
    pub(crate) fn use_path(&self) -> Option<String> {
        let path = self.frames.iter().rev().find_map(|f| f.head.header("Use-Path"))?;
        let path = String::from_utf8_lossy(path).rsplit(' ').next()?.to_owned();
        Uri::parse(path.as_bytes()).is_ok().then_some(path)
    }
}
