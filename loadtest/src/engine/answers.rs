//! What comes back to callers: responses and REPORTs, until nothing more is to come.

use super::{
    Engine,
    links::{LinkEnd, LinkId, Side},
    sending,
    session::{Message, Stage},
};
use crate::{
    book::Time,
    faults::Kind,
    names::{Role, Transaction},
    scenario::{Message as MessageKind, Shape},
    wire::{self, Head},
};

/// What callees refuse messages with.
const REFUSAL: u16 = 413;

impl Engine<'_> {
    /// A response on any link.
    pub(super) fn on_response(&mut self, end: &mut LinkEnd, head: &Head<'_>, status: u16) {
        let unexpected = || format!("{status} to {}", String::from_utf8_lossy(head.transaction));
        let Some(asked) = self.names.read_transaction(head.transaction) else {
            return self.book.fault(self.now, Kind::UnexpectedResponse, unexpected);
        };
        match (asked.role, end.side) {
            (Role::CallerAuth, Side::Caller) | (Role::CalleeAuth, Side::Callee) => self.on_auth(end, head, asked),
            (Role::Send, Side::Caller) => self.on_send_response(end.id, head, status, asked),
            // A relay answers no REPORT (RFC 4975 section 7.1.2), and nothing on another's link.
            _ => self.book.fault(self.now, Kind::UnexpectedResponse, unexpected),
        }
    }

    fn on_send_response(&mut self, link: LinkId, head: &Head<'_>, status: u16, asked: Transaction) {
        let now = self.now;
        let Transaction { session: number, number: transaction, .. } = asked;
        let Some(session) = self.sessions.get_mut(number as usize) else { return };
        let found = session.outbox.unanswered.iter().position(|sent| sent.transaction == transaction);
        let Some(sent) = found.and_then(|found| session.outbox.unanswered.remove(found)) else {
            return self
                .book
                .fault(now, Kind::UnexpectedResponse, || format!("{status} to a SEND of session {number}"));
        };
        let paths = head.to_path == session.caller_uri && wire::first(head.from_path) == session.first_hop;
        if !paths || session.caller != Some(link) {
            self.book.fault(now, Kind::WrongPath, || {
                let text = |path| String::from_utf8_lossy(path).into_owned();
                let elsewhere = if session.caller == Some(link) { "" } else { " on the link of another" };
                format!("a response from {} to {}{elsewhere}", text(head.from_path), text(head.to_path))
            });
        }
        session.outbox.awaited -= usize::from(sent.required);
        let Some(message) = session.outbox.message(sent.message) else { return };
        message.unanswered -= u32::from(sent.required);
        match status {
            200 if !sent.required => {
                self.book.fault(now, Kind::UnexpectedResponse, || "200 though Failure-Report is partial".to_owned());
            }
            200 => {
                if sent.last && self.book.is_in(message.due) {
                    self.book.latencies.response.record(now - message.due);
                }
            }
            // Some relays pass the receiver's answer back instead of making a REPORT of it.
            REFUSAL if message.refuse && message.arrived && !message.refusal_told => message.refusal_told = true,
            _ => {
                self.book.fault(now, Kind::Refused(status), || {
                    format!("to a SEND of session {number}, message of {} octets", message.size)
                });
                self.give_up(number, sent.message);
            }
        }
        self.settle(number);
    }

    /// A REPORT at a caller.
    pub(super) fn on_report(&mut self, link: LinkId, head: &Head<'_>) {
        let now = self.now;
        let number = self.names.read_session(wire::last(head.to_path));
        let session = number.and_then(|number| Some((number, self.sessions.get_mut(number as usize)?)));
        let Some((number, session)) = session.filter(|(_, session)| session.caller_uri == head.to_path) else {
            return self.book.fault(now, Kind::WrongPath, || {
                format!("a REPORT to {}, no caller of ours", String::from_utf8_lossy(head.to_path))
            });
        };
        let message_id = head.message_id.unwrap_or_default();
        let message_number = self.names.read_message(message_id, number);
        let status = head.status.and_then(status);
        // A failure comes from a relay on the way, or from the callee; a success from nobody but the callee.
        let from_callee = status != Some(200) || wire::last(head.from_path) == session.callee_uri;
        if !from_callee || wire::first(head.from_path) != session.first_hop || session.caller != Some(link) {
            self.book.fault(now, Kind::WrongPath, || {
                format!("a REPORT from {}, or on the link of another", String::from_utf8_lossy(head.from_path))
            });
        }
        let message = message_number.and_then(|number| session.outbox.message(number));
        let Some((message_number, message)) = message_number.zip(message) else {
            return self.book.fault(now, Kind::UnexpectedReport, || {
                format!(
                    "{status:?} for message {}, which is settled or was never sent",
                    String::from_utf8_lossy(message_id)
                )
            });
        };
        let kind = &self.scenario.messages[usize::from(message.kind)];
        let range = head.byte_range.map(|range| (range.start, range.end, range.total));
        let whole = Some((1, Some(message.size), Some(message.size)));
        match status {
            Some(200) if message.arrived && awaits_report(message, kind) => {
                message.reported = true;
                if range != whole {
                    self.book.fault(now, Kind::WrongReport, || format!("Byte-Range {range:?}, not {whole:?}"));
                }
                self.book.count(now, |counts| counts.success_reports += 1);
                if self.book.is_in(message.due) {
                    self.book.latencies.report.record(now - message.due);
                }
            }
            Some(REFUSAL) if message.refuse && message.arrived && !message.refusal_told => {
                message.refusal_told = true;
                if range != whole {
                    self.book.fault(now, Kind::WrongReport, || format!("Byte-Range {range:?}, not {whole:?}"));
                }
                self.book.count(now, |counts| counts.failure_reports += 1);
            }
            Some(200) => {
                self.book.fault(now, Kind::UnexpectedReport, || format!("success of message {message_number}"));
            }
            Some(status) => {
                self.book.fault(now, Kind::Failed(status), || format!("message {message_number} of session {number}"));
                self.give_up(number, message_number);
            }
            None => self.book.fault(now, Kind::WrongReport, || "no Status that can be read".to_owned()),
        }
        self.settle(number);
    }

    /// The rest of a message is not sent, since it was refused.
    fn give_up(&mut self, number: u32, message_number: u32) {
        let outbox = &mut self.sessions[number as usize].outbox;
        if let Some(message) = outbox.message(message_number) {
            message.failed = true;
            message.written = true;
        }
        if outbox.cursor.is_some_and(|(message, _)| message == message_number) {
            outbox.cursor = None;
        }
    }

    /// Messages of which nothing more is to come are counted and forgotten, in their order; others take their place.
    pub(super) fn settle(&mut self, number: u32) {
        let session = &mut self.sessions[number as usize];
        while let Some(message) = session.outbox.messages.front() {
            if !is_settled(message, &self.scenario.messages[usize::from(message.kind)]) {
                break;
            }
            let good = !message.spoilt && !message.failed;
            let (refused, aborted) = (message.refuse, message.abort_at.is_some());
            self.book.count(self.now, |counts| match (good, refused, aborted) {
                (true, true, _) => counts.refused += 1,
                (true, _, true) => counts.aborted += 1,
                (true, ..) => counts.messages += 1,
                (false, ..) => {}
            });
            forget_oldest(&mut session.outbox);
            self.under_way -= 1;
        }
        if self.has_done_all(number) {
            self.take_down(number);
        } else {
            sending::queue(&mut self.sessions, &mut self.ready, number);
        }
    }

    /// Whether a session that was made for some messages has carried them.
    fn has_done_all(&self, number: u32) -> bool {
        let session = &self.sessions[number as usize];
        self.scenario.load.shape == Shape::Churn
            && session.stage == Stage::Ready
            && session.outbox.messages.is_empty()
            && session.outbox.begun >= self.scenario.load.messages
    }

    /// Messages and set-ups that have taken too long are given up.
    pub(super) fn sweep(&mut self) {
        self.swept = self.now;
        let patience = self.scenario.load.patience.as_nanos() as Time;
        for number in 0..self.sessions.len() as u32 {
            let session = &self.sessions[number as usize];
            if session.stage.is_setting_up() && session.began + patience < self.now {
                let stage = session.stage;
                self.fail(number, Kind::SetUp, || format!("not done in {} s, now {stage:?}", patience / 1_000_000_000));
            }
            self.sweep_session(number, patience);
        }
    }

    /// All is over: what is still under way, or was never begun, is lost.
    pub(super) fn write_off(&mut self) {
        for number in 0..self.sessions.len() as u32 {
            self.sweep_session(number, 0);
            for _ in 0..std::mem::take(&mut self.sessions[number as usize].outbox.due).len() {
                self.book.fault(self.now, Kind::Lost, || format!("a message of session {number} could never be begun"));
            }
        }
    }

    fn sweep_session(&mut self, number: u32, patience: Time) {
        let mut late = false;
        while let Some(message) = self.sessions[number as usize].outbox.messages.front() {
            if message.due + patience >= self.now {
                break;
            }
            late = true;
            let kind = &self.scenario.messages[usize::from(message.kind)];
            let oldest = self.sessions[number as usize].outbox.oldest();
            let which = || {
                format!(
                    "message {oldest} of session {number}, {} octets, after {} s",
                    message.size,
                    patience / 1_000_000_000
                )
            };
            let missing = [
                (!message.arrived && !message.failed, Kind::Lost),
                (message.unanswered > 0, Kind::NoResponse),
                (message.arrived && awaits_report(message, kind), Kind::MissingReport),
                (message.arrived && message.refuse && !message.refusal_told, Kind::MissingFailure),
            ];
            for (_, kind) in missing.into_iter().filter(|(missing, _)| *missing) {
                self.book.fault(self.now, kind, which);
            }
            self.give_up(number, oldest);
            forget_oldest(&mut self.sessions[number as usize].outbox);
            self.under_way -= 1;
        }
        if late {
            self.settle(number);
        }
    }
}

/// Whether nothing more is to come of a message.
fn is_settled(message: &Message, kind: &MessageKind) -> bool {
    let done = message.failed || message.arrived && !awaits_report(message, kind);
    let told = !message.refuse || message.refusal_told || message.failed;
    message.written && message.unanswered == 0 && done && told
}

fn awaits_report(message: &Message, kind: &MessageKind) -> bool {
    kind.success_report && !message.reported && !message.refuse && message.abort_at.is_none()
}

/// Forgets the oldest message, with the SENDs of it that nobody had to answer.
fn forget_oldest(outbox: &mut super::session::Outbox) {
    let oldest = outbox.oldest();
    outbox.messages.pop_front();
    outbox.unanswered.retain(|sent| {
        let stays = sent.message != oldest;
        outbox.awaited -= usize::from(!stays && sent.required);
        stays
    });
}

/// The code in a REPORT's Status: `000 200 OK`.
fn status(value: &[u8]) -> Option<u16> {
    let mut words = std::str::from_utf8(value).ok()?.split(' ').filter(|word| !word.is_empty());
    words.next().filter(|&namespace| namespace == "000")?;
    words.next().filter(|code| code.len() == 3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_namespace_and_code() {
        assert_eq!(status(b"000 200 OK"), Some(200));
        assert_eq!(status(b"000 413"), Some(413));
        assert_eq!(status(b"200 OK"), None);
        assert_eq!(status(b"000 20"), None);
    }
}
