//! A scripted client or far end: it writes what a test tells it, decodes what comes, and may answer by itself.

use bytes::Bytes;

use crate::msrp::{Decoder, Event, FailureReport, Flag, Head, Kind, Limits, Method, Status, response};

/// A frame that an end has received.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) head: Head,
    pub(super) body: Vec<u8>,
    pub(super) has_body: bool,
    pub(super) flag: Flag,
}

impl Frame {
    pub(super) fn is_send(&self) -> bool {
        self.head.kind() == Kind::Request(Method::Send)
    }

    pub(super) fn is_report(&self) -> bool {
        self.head.kind() == Kind::Request(Method::Report)
    }

    /// The code of a response.
    pub(super) fn code(&self) -> Option<u16> {
        match self.head.kind() {
            Kind::Response(status) => Some(status.code()),
            Kind::Request(_) => None,
        }
    }

    /// The code in a REPORT's Status.
    pub(super) fn reported(&self) -> Option<u16> {
        self.is_report().then(|| self.head.status_header()?.ok().map(|(_, s)| s.code()))?
    }

    pub(super) fn tid(&self) -> String {
        text(self.head.transact_id())
    }

    pub(super) fn header(&self, name: &str) -> String {
        text(self.head.header(name).unwrap_or_default())
    }

    pub(super) fn message(&self) -> String {
        text(self.head.message_id().unwrap_or_default())
    }

    pub(super) fn range(&self) -> String {
        self.header("Byte-Range")
    }
}

pub(super) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

/// What an end does with SENDs by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// 200 where one is due.
    Ok,
    /// This code, unless Failure-Report is `no`.
    Code(u16),
    Nothing,
}

/// One end of a connection outside of all relays.
pub(super) struct End {
    pub(super) answer: Answer,
    /// Takes octets out of its socket.
    pub(super) reading: bool,
    pub(super) closed: bool,
    /// Octets for its connection that are not yet in the other side's socket.
    pub(super) output: Vec<u8>,
    pub(super) frames: Vec<Frame>,
    /// Every octet that came.
    pub(super) raw: Vec<u8>,
    decoder: Decoder,
    head: Option<(Head, bool)>,
    body: Vec<u8>,
}

impl End {
    pub(super) fn new(answer: Answer) -> End {
        End {
            answer,
            reading: true,
            closed: false,
            output: Vec::new(),
            frames: Vec::new(),
            raw: Vec::new(),
            decoder: Decoder::new(Limits::default()),
            head: None,
            body: Vec::new(),
        }
    }

    /// Octets from the network. What is no MSRP is a failure of the relay.
    pub(super) fn receive(&mut self, octets: &[u8]) {
        self.raw.extend_from_slice(octets);
        self.decoder.feed(Bytes::copy_from_slice(octets));
        while let Some(event) = self.decoder.next().expect("the relay writes MSRP") {
            match event {
                Event::Head(head) => {
                    self.head = Some((head, self.decoder.frame_has_body()));
                    self.body.clear();
                }
                Event::Body(octets) => self.body.extend_from_slice(&octets),
                Event::End(flag) => {
                    let (head, has_body) = self.head.take().expect("a head comes first");
                    let body = std::mem::take(&mut self.body);
                    let frame = Frame { head, body, has_body, flag };
                    self.respond(&frame);
                    self.frames.push(frame);
                }
            }
        }
    }

    fn respond(&mut self, frame: &Frame) {
        if !frame.is_send() {
            return;
        }
        let wish = frame.head.failure_report();
        match self.answer {
            Answer::Ok if wish == FailureReport::Yes => self.answer_to(frame, 200),
            Answer::Code(code) if wish != FailureReport::No => self.answer_to(frame, code),
            _ => {}
        }
    }

    /// Answers a SEND.
    pub(super) fn answer_to(&mut self, frame: &Frame, code: u16) {
        let to = frame.head.from_path().and_then(|p| p.first()).expect("a path");
        let from = frame.head.to_path().and_then(|p| p.first()).expect("a path");
        response(&mut self.output, frame.head.transact_id(), Status::new(code), to, from, &[]);
    }

    /// Answers anything else: the whole way back.
    pub(super) fn answer_whole(&mut self, frame: &Frame, code: u16, extra: &[(&str, &[u8])]) {
        let to = frame.head.from_path().expect("a path").after(0);
        let from = frame.head.to_path().and_then(|p| p.first()).expect("a path");
        response(&mut self.output, frame.head.transact_id(), Status::new(code), to, from, extra);
    }

    pub(super) fn sends(&self) -> Vec<&Frame> {
        self.frames.iter().filter(|f| f.is_send()).collect()
    }

    pub(super) fn reports(&self) -> Vec<&Frame> {
        self.frames.iter().filter(|f| f.is_report()).collect()
    }

    /// Codes of the responses to a request, in order.
    pub(super) fn codes(&self, tid: &str) -> Vec<u16> {
        self.frames.iter().filter(|f| f.tid() == tid).filter_map(Frame::code).collect()
    }

    /// Codes in all REPORTs, in order.
    pub(super) fn reported(&self) -> Vec<u16> {
        self.frames.iter().filter_map(Frame::reported).collect()
    }

    /// The bodies of all SENDs of a message in one piece, by their Byte-Ranges.
    pub(super) fn content(&self, message: &str) -> Vec<u8> {
        let mut all = Vec::new();
        for f in self.sends().into_iter().filter(|f| f.message() == message) {
            let start = f.head.byte_range().expect("a range").start as usize - 1;
            assert_eq!(start, all.len(), "parts are consecutive");
            all.extend_from_slice(&f.body);
        }
        all
    }
}
