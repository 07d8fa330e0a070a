//! Callees compare what arrives with what was sent, octet by octet, and answer.

use super::{
    Engine,
    links::{LinkEnd, Side},
    sending::body_of,
    session::{Asked, Placed},
};
use crate::{
    faults::Kind,
    names::{Role, Transaction},
    pattern::Alphabet,
    scenario::FailureReport,
    wire::{self, Event, Flag, Head, Report, Start},
};

/// A SEND that is being read.
#[derive(Debug)]
pub(super) struct Incoming {
    asked: Asked,
    session: u32,
    /// Nothing if no such message was sent.
    message: Option<u32>,
    /// Its first octet and the one it has come to, counted from 0.
    begin: u64,
    at: u64,
    /// What Byte-Range says of its end.
    claimed_end: Option<u64>,
    alphabet: Alphabet,
    /// Octets are not compared: they were found to be wrong, or nobody knows what they should be.
    unchecked: bool,
    answer: Answer,
}

/// How a SEND is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Nothing,
    Success,
    Refusal,
}

impl Engine<'_> {
    /// A step of a frame on a link.
    pub(super) fn on_event(&mut self, end: &mut LinkEnd, event: Event<'_>) {
        match event {
            Event::Head(head) => match head.start {
                Start::Response(status) => self.on_response(end, head, status),
                Start::Request(b"SEND") if end.side == Side::Callee => self.on_send(end, head),
                Start::Request(b"REPORT") if end.side == Side::Caller => self.on_report(end.id, head),
                Start::Request(method) => self.book.fault(self.now, Kind::Unknown, || {
                    format!("a request {} on the link of a {:?}", String::from_utf8_lossy(method), end.side)
                }),
            },
            Event::Body(octets) => self.on_body(end, octets),
            Event::End(flag) => {
                if let Some(incoming) = end.incoming.take() {
                    self.on_send_end(end, incoming, flag);
                } else if flag != Flag::Complete {
                    self.book.fault(self.now, Kind::WrongFlag, || "of a frame that is no SEND".to_owned());
                }
            }
        }
    }

    fn on_send(&mut self, end: &mut LinkEnd, head: &Head<'_>) {
        let now = self.now;
        let number = self.names.read_session(wire::last(head.to_path));
        let session = number.and_then(|number| Some((number, self.sessions.get_mut(number as usize)?)));
        let Some((number, session)) = session else {
            return self.book.fault(now, Kind::Unknown, || {
                format!("a SEND to {}, no session of ours", String::from_utf8_lossy(head.to_path))
            });
        };
        if head.to_path != session.callee_uri {
            self.book.fault(now, Kind::WrongPath, || {
                let expected = String::from_utf8_lossy(&session.callee_uri);
                format!("To-Path is {} and should be {expected}", String::from_utf8_lossy(head.to_path))
            });
        }
        match session.callee {
            None => {
                session.callee = Some(end.id);
                end.sessions.push(number);
            }
            Some(link) if link != end.id => {
                self.book.fault(now, Kind::WrongPath, || format!("a SEND of session {number} on the link of another"));
            }
            Some(_) => {}
        }
        if session.from_path != head.from_path {
            self.book.fault(now, Kind::WrongPath, || {
                let expected = String::from_utf8_lossy(&session.from_path);
                format!("From-Path is {} and should be {expected}", String::from_utf8_lossy(head.from_path))
            });
        }
        let mut incoming = Incoming {
            asked: Asked::new(head.transaction),
            session: number,
            message: None,
            begin: 0,
            at: 0,
            claimed_end: None,
            alphabet: Alphabet::Text,
            unchecked: true,
            answer: Answer::Success,
        };
        let message_id = head.message_id.unwrap_or_default();
        let message_number = self.names.read_message(message_id, number);
        let begun = message_number.is_some_and(|message| session.outbox.was_begun(message));
        let arriving = session.arriving;
        let message = message_number.and_then(|number| Some((number, session.outbox.message(number)?)));
        let Some((message_number, message)) = message else {
            let kind = if begun { Kind::Duplicate } else { Kind::Unknown };
            self.book
                .fault(now, kind, || format!("message {} again, or never sent", String::from_utf8_lossy(message_id)));
            end.incoming = Some(incoming);
            return;
        };
        let kind = &self.scenario.messages[usize::from(message.kind)];
        incoming.message = Some(message_number);
        incoming.alphabet = kind.alphabet();
        incoming.answer = match kind.failure_report {
            FailureReport::No => Answer::Nothing,
            _ if message.refuse => Answer::Refusal,
            FailureReport::Partial => Answer::Nothing,
            FailureReport::Yes => Answer::Success,
        };
        if message.arrived {
            self.book.fault(now, Kind::Duplicate, || format!("message {message_number} of session {number} again"));
            end.incoming = Some(incoming);
            return;
        }
        let in_order = !kind.may_be_overtaken();
        if in_order && message_number.wrapping_add(1) < arriving && message.received.is_empty() {
            message.spoilt = true;
            self.book.fault(now, Kind::Reordered, || {
                format!("message {message_number} of session {number} began after {}", arriving - 1)
            });
        }
        incoming.unchecked = false;
        match head.byte_range {
            Some(range) => {
                incoming.begin = range.start - 1;
                incoming.at = range.start - 1;
                incoming.claimed_end = range.end;
                if range.total != Some(message.size) {
                    message.spoilt = true;
                    let size = message.size;
                    self.book.fault(now, Kind::WrongRange, || format!("{range:?} of a message of {size} octets"));
                }
            }
            None => {
                message.spoilt = true;
                self.book.fault(now, Kind::WrongRange, || "no Byte-Range".to_owned());
            }
        }
        let yes = |header: Option<&[u8]>| header.is_some_and(|value| value.eq_ignore_ascii_case(b"yes"));
        let failure_report = match head.failure_report {
            None => FailureReport::Yes,
            Some(value) if value.eq_ignore_ascii_case(b"partial") => FailureReport::Partial,
            Some(value) if value.eq_ignore_ascii_case(b"no") => FailureReport::No,
            Some(_) => FailureReport::Yes,
        };
        let same = yes(head.success_report) == kind.success_report && failure_report == kind.failure_report;
        if !same || head.content_type.is_none_or(|found| found != kind.content_type.as_bytes()) {
            message.spoilt = true;
            self.book.fault(now, Kind::WrongHeader, || {
                let text = |value: Option<&[u8]>| value.map(|value| String::from_utf8_lossy(value).into_owned());
                format!(
                    "Content-Type {:?}, Success-Report {:?}, Failure-Report {:?}",
                    text(head.content_type),
                    text(head.success_report),
                    text(head.failure_report)
                )
            });
        }
        if in_order {
            session.arriving = arriving.max(message_number.wrapping_add(1));
        }
        end.incoming = Some(incoming);
    }

    fn on_body(&mut self, end: &mut LinkEnd, octets: &[u8]) {
        let Some(incoming) = &mut end.incoming else {
            return self.book.fault(self.now, Kind::Unknown, || "a body in a frame that is no SEND of ours".to_owned());
        };
        let offset = incoming.at;
        incoming.at += octets.len() as u64;
        if incoming.unchecked {
            return;
        }
        let (number, Some(message)) = (incoming.session, incoming.message) else { return };
        let session = &mut self.sessions[number as usize];
        let size = session.outbox.message(message).map_or(0, |message| message.size);
        let checked = self.pattern.check(incoming.alphabet, body_of(number, message), offset, octets);
        let wrong = match checked {
            Ok(()) if incoming.at > size => Some((Kind::WrongRange, size)),
            Ok(()) => None,
            Err(at) => Some((Kind::BodyMismatch, at)),
        };
        if let Some((kind, at)) = wrong {
            incoming.unchecked = true;
            if let Some(message) = session.outbox.message(message) {
                message.spoilt = true;
            }
            self.book
                .fault(self.now, kind, || format!("octet {at} of message {message} of session {number}, {size} long"));
        } else {
            self.book.octets(self.now, octets.len() as u64);
        }
    }

    fn on_send_end(&mut self, end: &mut LinkEnd, incoming: Incoming, flag: Flag) {
        let now = self.now;
        self.book.count(now, |counts| counts.chunks += 1);
        let number = incoming.session;
        let session = &mut self.sessions[number as usize];
        let to = wire::first(&session.from_path);
        match incoming.answer {
            Answer::Nothing => {}
            Answer::Success => {
                wire::response(&mut end.out, incoming.asked.transaction(), b"200 OK", to, &session.callee_uri);
            }
            Answer::Refusal => {
                wire::response(&mut end.out, incoming.asked.transaction(), b"413 Stop", to, &session.callee_uri);
            }
        }
        let Some(message_number) = incoming.message else { return };
        let Some(message) = session.outbox.message(message_number).filter(|message| !message.arrived) else { return };
        if incoming.unchecked && !message.spoilt {
            return;
        }
        let mut fault = |kind, what: String| {
            message.spoilt = true;
            self.book.fault(now, kind, || format!("message {message_number} of session {number}: {what}"));
        };
        // A chunk that was interrupted may have had more in mind.
        let length_fits = incoming.claimed_end.is_none_or(|claimed| {
            claimed == incoming.at || (flag != Flag::Complete && claimed > incoming.at && claimed <= message.size)
        });
        if !length_fits {
            fault(Kind::WrongRange, format!("{:?} said, octet {} reached", incoming.claimed_end, incoming.at));
        }
        match message.received.insert(incoming.begin, incoming.at) {
            Placed::Next => {}
            Placed::OutOfOrder => fault(Kind::Reordered, format!("octets from {} are out of order", incoming.begin)),
            Placed::Again if incoming.begin == incoming.at => {}
            Placed::Again => fault(Kind::Duplicate, format!("octets from {} again", incoming.begin)),
        }
        let due_flag = match (message.abort_at, incoming.at == message.size) {
            (Some(stop), _) if flag == Flag::Aborted => incoming.at == stop,
            (_, true) => flag != Flag::Aborted,
            (_, false) => flag == Flag::Continued,
        };
        if !due_flag {
            fault(Kind::WrongFlag, format!("{} at octet {}", char::from(flag.octet()), incoming.at));
        }
        message.flagged |= flag != Flag::Continued;
        let whole = message.received.is_whole(message.abort_at.unwrap_or(message.size));
        if !message.flagged || !whole {
            return;
        }
        message.arrived = true;
        let kind = &self.scenario.messages[usize::from(message.kind)];
        let (due, size) = (message.due, message.size);
        if !message.spoilt && !message.refuse && message.abort_at.is_none() {
            self.book.delivered(now, due);
        }
        if kind.success_report && !message.refuse && message.abort_at.is_none() {
            let transaction = Transaction { role: Role::Report, session: number, number: session.next_transaction };
            session.next_transaction = session.next_transaction.wrapping_add(1);
            let transaction = self.names.transaction(transaction);
            let message_id = self.names.message(number, message_number);
            let said = Report { message_id: &message_id, total: size };
            wire::report(&mut end.out, &transaction, &session.from_path, &session.callee_uri, said);
        }
        self.settle(number);
    }
}
