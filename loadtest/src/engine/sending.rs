//! Callers write messages, chunk by chunk.

use super::{
    Engine,
    session::{Message, Ranges, Session, Stage, Unanswered},
};
use crate::{
    names::{Role, Transaction},
    pattern::mix,
    scenario::{FailureReport, Message as MessageKind, Shape, UNINTERRUPTIBLE},
    wire::{Flag, SendHead},
};

/// A link with so many octets to write takes no further chunk.
const FULL: usize = 256 * 1024;

/// Lines that stand in each SEND of a kind of message.
pub(super) fn headers(kind: &MessageKind) -> Vec<u8> {
    let mut lines = String::new();
    if kind.success_report {
        lines += "Success-Report: yes\r\n";
    }
    match kind.failure_report {
        FailureReport::Yes => {}
        FailureReport::Partial => lines += "Failure-Report: partial\r\n",
        FailureReport::No => lines += "Failure-Report: no\r\n",
    }
    // Content-Type is the last header of a SEND with a body (RFC 4975 section 9).
    lines += &format!("Content-Type: {}\r\n", kind.content_type);
    lines.into_bytes()
}

/// Lets a session send when its turn comes.
pub(super) fn queue(sessions: &mut [Session], ready: &mut Vec<u32>, number: u32) {
    let session = &mut sessions[number as usize];
    if !session.queued {
        session.queued = true;
        ready.push(number);
    }
}

/// The seed of a message's body.
pub(super) fn body_of(session: u32, message: u32) -> u64 {
    mix(u64::from(session) << 32 | u64::from(message))
}

impl Engine<'_> {
    /// Writes as much as a session has to send and its link takes.
    pub(super) fn send(&mut self, number: u32) {
        let session = &mut self.sessions[number as usize];
        session.queued = false;
        if session.stage != Stage::Ready {
            return;
        }
        let Some(id) = session.caller else { return };
        let mut begun = false;
        loop {
            if self.sessions[number as usize].outbox.cursor.is_none() && !self.begin(number) {
                break;
            }
            let Some(link) = self.links.find(id) else { return };
            if link.end.out.len() >= FULL {
                link.end.stalled.push(number);
                break;
            }
            let outbox = &self.sessions[number as usize].outbox;
            if outbox.awaited >= self.scenario.load.unanswered as usize {
                break;
            }
            self.write_chunk(number, id);
            begun = true;
        }
        if begun {
            self.touched.push(id);
        }
    }

    /// Begins the session's next message, if there is one and it may.
    fn begin(&mut self, number: u32) -> bool {
        let load = &self.scenario.load;
        let outbox = &self.sessions[number as usize].outbox;
        let free = outbox.messages.len() < load.window as usize;
        let (due, kind) = match load.shape {
            Shape::Closed if free && self.pace.is_sending(self.now) => (self.now, self.choose_kind()),
            Shape::Churn | Shape::Idle if free && outbox.begun < load.messages => (self.now, self.choose_kind()),
            Shape::Open | Shape::Ramp => match self.sessions[number as usize].outbox.due.pop_front() {
                Some(next) => next,
                None => return false,
            },
            _ => return false,
        };
        let description = &self.scenario.messages[usize::from(kind)];
        let size = description.size.as_u64();
        let aborts = description.abort > 0.0 && self.random.f64() < description.abort;
        let abort_at = aborts.then(|| self.random.u64(1..size));
        let refuse = description.refuse > 0.0 && self.random.f64() < description.refuse;
        let outbox = &mut self.sessions[number as usize].outbox;
        outbox.messages.push_back(Message {
            kind,
            size,
            abort_at,
            refuse,
            due,
            written: false,
            unanswered: 0,
            received: Ranges::default(),
            flagged: false,
            arrived: false,
            spoilt: false,
            reported: false,
            refusal_told: false,
            failed: false,
        });
        outbox.cursor = Some((outbox.next, 0));
        outbox.next = outbox.next.wrapping_add(1);
        outbox.begun += 1;
        self.under_way += 1;
        true
    }

    /// A kind of message, by weight.
    pub(super) fn choose_kind(&mut self) -> u16 {
        let kinds = &self.scenario.messages;
        if kinds.len() == 1 {
            return 0;
        }
        let mut left = self.random.u32(..kinds.iter().map(|kind| kind.weight).sum::<u32>());
        kinds
            .iter()
            .position(|kind| {
                let chosen = left < kind.weight;
                left = left.saturating_sub(kind.weight);
                chosen
            })
            .unwrap_or(0) as u16
    }

    fn write_chunk(&mut self, number: u32, id: super::LinkId) {
        let session = &mut self.sessions[number as usize];
        let Some((message_number, offset)) = session.outbox.cursor else { return };
        let Some(link) = self.links.find(id) else { return };
        let Some(message) = session.outbox.message(message_number) else {
            session.outbox.cursor = None;
            return;
        };
        let kind = &self.scenario.messages[usize::from(message.kind)];
        let size = message.size;
        let stop = message.abort_at.unwrap_or(size);
        let end = (offset + kind.chunk_octets()).min(stop);
        let last = end == stop;
        let flag = match (last, message.abort_at) {
            (false, _) => Flag::Continued,
            (true, None) => Flag::Complete,
            (true, Some(_)) => Flag::Aborted,
        };
        let required = kind.failure_report == FailureReport::Yes;
        message.written = last;
        message.unanswered += u32::from(required);
        // A SEND that is given up had a longer range in mind, and one that may be interrupted has an open one.
        let range_end = if flag == Flag::Aborted || end - offset > UNINTERRUPTIBLE { None } else { Some(end) };
        let transaction_number = session.next_transaction;
        session.next_transaction = transaction_number.wrapping_add(1);
        let transaction =
            self.names.transaction(Transaction { role: Role::Send, session: number, number: transaction_number });
        let out = &mut link.end.out;
        let message_id = self.names.message(number, message_number);
        let headers = &self.headers[usize::from(message.kind)];
        let alphabet = kind.alphabet();
        session.head.write(out, &transaction, &message_id, (offset + 1, range_end, size), headers);
        self.pattern.write(out, alphabet, body_of(number, message_number), offset, (end - offset) as usize);
        SendHead::end(out, &transaction, flag);
        session.outbox.awaited += usize::from(required);
        if kind.failure_report != FailureReport::No {
            session.outbox.unanswered.push_back(Unanswered {
                transaction: transaction_number,
                message: message_number,
                last,
                required,
            });
        }
        session.outbox.cursor = if last { None } else { Some((message_number, end)) };
    }
}
