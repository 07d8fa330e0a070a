//! Messages in a stream (RFC 3261 section 18.3), keep-alives between them (RFC 5626 section 4.4.1).

use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use memchr::{memchr, memrchr};

use super::head::is_sip;
use super::lines::Lines;
use super::{Broken, Echo, Fault, Limits, Message};
use crate::moment::Moment;

/// What was found in the stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Framed {
    /// A message.
    Message(Box<Message>),
    /// A message that breaks a rule; the next one can be found.
    Broken(Box<Broken>),
    /// Nobody can tell where the next message begins: answer if possible, then close. Nothing comes after it.
    Lost(Box<Broken>),
    /// A double CRLF between messages: one CRLF is the answer.
    Ping,
}

/// Where in a message the reader stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Between messages; whether the line ends so far make half a ping.
    Gap { half: bool },
    /// In the head.
    Head { scanned: usize, line: usize, lines: usize },
    /// Behind the head.
    Body { head: usize, body: usize, length: usize },
    /// For good.
    Lost,
}

/// Finds messages in the octets of one connection.
#[derive(Debug)]
pub struct Stream {
    limits: Limits,
    source: SocketAddr,
    buffer: BytesMut,
    state: State,
    begun: Option<Moment>,
}

impl Stream {
    /// A reader for a connection with `source`.
    pub fn new(source: SocketAddr, limits: Limits) -> Stream {
        Stream { limits, source, buffer: BytesMut::new(), state: State::Gap { half: false }, begun: None }
    }

    /// Takes octets. Ask [`Stream::next`] until it has no more before the next call: so no more than one message is held.
    pub fn push(&mut self, octets: &[u8], now: Moment) {
        if !matches!(self.state, State::Lost) {
            self.buffer.extend_from_slice(octets);
            self.begun = self.begun.or(Some(now));
        }
    }

    /// When the message that has begun must be complete.
    pub fn deadline(&self) -> Option<Moment> {
        self.begun.map(|begun| begun + self.limits.time)
    }

    /// Ends the stream at its deadline, or at its end inside a message; none between two messages.
    pub fn expire(&mut self) -> Option<Framed> {
        match self.state {
            State::Gap { .. } if self.buffer.is_empty() => None,
            State::Lost => None,
            State::Body { head, .. } => Some(self.lose(Fault::Slow, head)),
            _ => Some(self.lose(Fault::Slow, self.buffer.len())),
        }
    }

    /// What comes next, if it is complete. `now` is when the following message begins, if it is already there.
    pub fn next(&mut self, now: Moment) -> Option<Framed> {
        loop {
            match self.state {
                State::Lost => return None,
                State::Gap { half } => {
                    let Some(framed) = self.gap(half) else { continue };
                    return framed;
                }
                State::Head { scanned, line, lines } => {
                    if let Some(lost) = self.head(scanned, line, lines)? {
                        return Some(lost);
                    }
                }
                State::Body { head, body, length } => {
                    if self.buffer.len() < body + length {
                        return None;
                    }
                    let message = self.buffer.split_to(body + length);
                    let lines = Lines::split(&message[..head]);
                    let built = Message::build(&lines, &message[body..], self.source);
                    self.state = State::Gap { half: false };
                    self.begun = (!self.buffer.is_empty()).then_some(now);
                    return Some(match built {
                        Ok(message) => Framed::Message(Box::new(message)),
                        Err(broken) => Framed::Broken(Box::new(broken)),
                    });
                }
            }
        }
    }

    /// Between two messages. The outer none: look again, the state has changed.
    fn gap(&mut self, half: bool) -> Option<Option<Framed>> {
        let end = match self.buffer.as_ref() {
            [] => {
                self.begun = None;
                return Some(None);
            }
            [b'\r'] => return Some(None),
            [b'\r', b'\n', ..] => 2,
            [b'\n', ..] => 1,
            _ => {
                self.state = State::Head { scanned: 0, line: 0, lines: 0 };
                return None;
            }
        };
        self.buffer.advance(end);
        self.state = State::Gap { half: !half };
        if half { Some(Some(Framed::Ping)) } else { None }
    }

    /// Looks for the end of the head. None: more octets are needed. `Some(None)`: the state has changed.
    ///
    /// Each rule is checked at the octet that breaks it, so that no fault depends on how the stream was split.
    fn head(&mut self, mut scanned: usize, mut line: usize, mut lines: usize) -> Option<Option<Framed>> {
        while let Some(at) = memchr(b'\n', &self.buffer[scanned..]) {
            let (begin, end) = (line, scanned + at);
            (scanned, line) = (end + 1, end + 1);
            if lines == 0 {
                if let Some(fault) = self.first_line(end, true) {
                    return Some(Some(self.lose(fault, 0)));
                }
            } else if end >= self.limits.head {
                break;
            } else if matches!(&self.buffer[begin..end], b"" | b"\r") {
                return Some(self.headed(begin, end + 1));
            }
            lines += 1;
            if lines > self.limits.headers + 1 {
                return Some(Some(self.lose(Fault::TooManyHeaders, begin)));
            }
        }
        if lines == 0
            && let Some(fault) = self.first_line(self.buffer.len(), false)
        {
            return Some(Some(self.lose(fault, 0)));
        }
        if self.buffer.len() > self.limits.head {
            return Some(Some(self.lose(Fault::HeadTooLong, self.limits.head)));
        }
        self.state = State::Head { scanned: self.buffer.len(), line, lines };
        None
    }

    /// What is wrong with the first line, of which `end` octets are here.
    fn first_line(&self, end: usize, complete: bool) -> Option<Fault> {
        let limit = self.limits.start_line;
        if self.buffer[..end.min(limit + 1)].contains(&0) {
            Some(Fault::NotSip)
        } else if end > limit {
            Some(Fault::StartLineTooLong)
        } else {
            (complete && !is_sip(&self.buffer[..end])).then_some(Fault::NotSip)
        }
    }

    fn headed(&mut self, head: usize, body: usize) -> Option<Framed> {
        let fault = match Lines::split(&self.buffer[..head]).content_length() {
            Ok(Some(length)) if length <= self.limits.body => {
                self.state = State::Body { head, body, length };
                return None;
            }
            Ok(Some(_)) => Fault::BodyTooLong,
            Ok(None) => Fault::LengthMissing,
            Err(fault) => fault,
        };
        Some(self.lose(fault, head))
    }

    /// Ends the stream. What is answered is read from whole lines of the first `head` octets.
    fn lose(&mut self, fault: Fault, head: usize) -> Framed {
        let lines = memrchr(b'\n', &self.buffer[..head]).map_or(0, |at| at + 1);
        let echo = Echo::read(&Lines::split(&self.buffer[..lines]), self.source);
        self.state = State::Lost;
        self.buffer = BytesMut::new();
        self.begun = None;
        Framed::Lost(Box::new(Broken { fault, echo }))
    }
}
