//! A SEND on its way through: answered at once toward the previous hop, streamed toward the next (RFC 4976 section
//! 6.4.1).

use bytes::Bytes;

use super::Relay;
use super::anchor::Held;
use super::feed::Start;
use super::flow::SLICE_OVERHEAD;
use super::link::{Frame, LinkId};
use super::refusal::Refusal;
use super::source::{SourceId, Target};
use super::way::Found;
use crate::moment::Moment;
use crate::msrp::{FailureReport, Flag, Head, Status};
use crate::planted::{Bug, on};

impl Relay {
    /// The head of a SEND is complete.
    pub(super) fn begin_send(&mut self, id: LinkId, head: Head, has_body: bool, now: Moment) {
        self.set_frame(id, Frame::Skip);
        match self.check_send(id, &head) {
            Ok(()) => {}
            Err(None) => return self.unanswerable(id, now),
            Err(Some(refusal)) => return self.refuse(id, &head, refusal, now),
        }
        if has_body && (head.message_id().is_none() || head.content_type().is_none()) {
            return self.refuse(id, &head, Refusal::Bad, now);
        }
        // ADV-C08: no position may wrap.
        if head.byte_range().is_some_and(|r| r.start > u64::MAX / 2) {
            return self.refuse(id, &head, Refusal::Bad, now);
        }
        match self.find_way(id, &head, has_body, now) {
            Ok(Found::Way(source)) => self.begin_chunk(id, source, head, has_body, now),
            Ok(Found::Asked) => {}
            Ok(Found::Here) if has_body => self.refuse(id, &head, Refusal::NoSession, now),
            Ok(Found::Here) => {
                // A bodiless SEND to the token alone asks whether the session lives (RLY-94).
                self.keep_alive(id, &head, now);
            }
            Err(refusal) => self.not_admitted(id, head, has_body, refusal, now),
        }
    }

    /// A SEND without a way is refused, or waits for one.
    #[cold]
    fn not_admitted(&mut self, id: LinkId, head: Head, has_body: bool, refusal: Refusal, now: Moment) {
        if refusal.may_pass() {
            self.hold(id, Held::Send { head, has_body }, refusal, now);
        } else {
            self.refuse(id, &head, refusal, now);
        }
    }

    /// A SEND that was for us alone.
    pub(super) fn keep_alive(&mut self, id: LinkId, head: &Head, now: Moment) {
        self.end_probation(id);
        self.counts.keep_alives += 1;
        if head.failure_report() == FailureReport::Yes {
            self.respond(id, head, Status::OK, &[], now);
        }
    }

    /// A chunk whose way is known begins.
    pub(super) fn begin_chunk(&mut self, id: LinkId, source_id: SourceId, head: Head, has_body: bool, now: Moment) {
        let Some(source) = self.sources.get_mut(source_id) else {
            return self.refuse(id, &head, Refusal::NoSession, now);
        };
        if let Some(status) = source.poison(head.message_id(), now) {
            return self.refuse(id, &head, Refusal::Poisoned(status), now);
        }
        let announced = head.byte_range().and_then(|r| r.total);
        let exceeds = |most: Option<u64>| most.is_some_and(|most| announced.is_some_and(|total| total > most));
        if exceeds(self.settings.limits.max_message) || exceeds(source.turn.most()) {
            return self.refuse(id, &head, Refusal::TooLarge, now);
        }
        if self.settings.require_signed && has_body && !is_signed(head.content_type()) {
            return self.refuse(id, &head, Refusal::Media, now);
        }
        if let Target::Here(flow) = source.target
            && self.overflows(id, flow, now)
        {
            self.poison(source_id, head.message_id(), Status::TOO_LARGE, now);
            return self.refuse(id, &head, Refusal::TooLarge, now);
        }
        let Some(source) = self.sources.get_mut(source_id) else { return };
        let serial = source.next_serial;
        source.next_serial = serial.wrapping_add(1);
        let start = Start {
            head: head.clone(),
            turn: source.turn.clone(),
            has_body,
            serial,
            from_path: source.from_path.clone(),
            token_uri: source.token_uri.clone(),
        };
        let result = match source.target {
            Target::Here(flow) => self.push_start(flow, start, now),
            Target::There { shard, flow } => {
                self.post_start(shard, flow, source_id, start);
                Ok(())
            }
            Target::Asked => Err(Refusal::NoSession),
        };
        if let Err(refusal) = result {
            return self.refuse(id, &head, refusal, now);
        }
        self.end_probation(id);
        if !has_body {
            self.counts.keep_alives += 1;
        } else if head.content_type().is_some_and(|t| t.eq_ignore_ascii_case(b"text/x-msrp-heartbeat")) {
            self.counts.heartbeats += 1;
        }
        if let Some(link) = self.links.get_mut(id) {
            link.fed.1 += head.bytes().len() + super::flow::CHUNK_OVERHEAD;
        }
        if on(Bug::OkBeforeEnd) && head.failure_report() == FailureReport::Yes {
            self.respond(id, &head, Status::OK, &[], now);
        }
        self.set_frame(id, Frame::Chunk { source: source_id, serial, head, received: 0 });
    }

    /// Octets of the chunk that is arriving.
    pub(super) fn continue_send(&mut self, id: LinkId, octets: Bytes, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        let Frame::Chunk { source, serial, head, received } = &mut link.frame else { return };
        let further = *received > 0;
        *received += octets.len() as u64;
        link.fed.1 += octets.len() + SLICE_OVERHEAD;
        let (source_id, serial) = (*source, *serial);
        let reaches = head.byte_range().map_or(0, |r| r.start - 1) + *received;
        let Some(source) = self.sources.get_mut(source_id) else {
            return self.abandon_chunk(id, Refusal::NoSession, now);
        };
        let passed = |most: Option<u64>| most.is_some_and(|most| reaches > most);
        if passed(self.settings.limits.max_message) || passed(source.turn.most()) {
            return self.refuse_running(id, source_id, serial, Refusal::TooLarge, now);
        }
        match source.target {
            Target::Here(flow) => {
                if on(Bug::BodyOctetTwice) && further {
                    self.push_body(flow, octets.slice(..1), now);
                }
                self.push_body(flow, octets, now);
                if self.overflows(id, flow, now) {
                    self.refuse_running(id, source_id, serial, Refusal::TooLarge, now);
                }
            }
            Target::There { shard, flow } => self.post_body(id, shard, flow, source_id, serial, octets, now),
            Target::Asked => {}
        }
    }

    /// The incoming chunk lost its way: it is answered now and its rest is dropped.
    fn abandon_chunk(&mut self, id: LinkId, refusal: Refusal, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        if let Frame::Chunk { head, .. } = std::mem::replace(&mut link.frame, Frame::Skip) {
            self.refuse(id, &head, refusal, now);
        }
    }

    /// Refuses a chunk that is partly forwarded: the sender gets the response, the receiver `#`, and of the message nothing
    /// more passes.
    pub(super) fn refuse_running(
        &mut self,
        id: LinkId,
        source_id: SourceId,
        serial: u32,
        refusal: Refusal,
        now: Moment,
    ) {
        let Some(link) = self.links.get_mut(id) else { return };
        let Frame::Chunk { head, .. } = std::mem::replace(&mut link.frame, Frame::Skip) else { return };
        self.poison(source_id, head.message_id(), refusal.status(), now);
        if let Some(source) = self.sources.get_mut(source_id) {
            if head.failure_report() != FailureReport::No {
                source.answered.push(serial);
            }
            match source.target {
                Target::Here(flow) => self.abort_message(flow, head.message_id(), refusal.status(), now),
                Target::There { shard, flow } => {
                    self.post_abort(shard, flow, source_id, head.message_id(), refusal.status())
                }
                Target::Asked => {}
            }
        }
        self.after_chunk(source_id);
        self.refuse(id, &head, refusal, now);
    }

    /// The chunk that is arriving has ended.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn end_send(
        &mut self,
        id: LinkId,
        source_id: SourceId,
        _serial: u32,
        head: &Head,
        received: u64,
        flag: Flag,
        now: Moment,
    ) {
        let Some(source) = self.sources.get(source_id) else {
            return self.refuse(id, head, Refusal::NoSession, now);
        };
        let (token, from_owner) = (source.token, source.from_owner);
        match source.target {
            Target::Here(flow) => self.push_end(flow, flag, now),
            Target::There { shard, flow } => self.post_end(shard, flow, source_id, flag),
            Target::Asked => {
                // What it led to is gone and nobody had to be told (Failure-Report `no`).
                self.end_source(source_id);
                return self.refuse(id, head, Refusal::NoSession, now);
            }
        }
        self.after_chunk(source_id);
        if flag == Flag::Abort {
            self.transfer_stops(token, now);
        }
        let wanted = match head.failure_report() {
            FailureReport::Yes => !on(Bug::OkBeforeEnd),
            FailureReport::Partial => on(Bug::OkForPartial),
            FailureReport::No => false,
        };
        if wanted {
            self.respond(id, head, Status::OK, &[], now);
        }
        let message = flag == Flag::Complete && head.content_type().is_some();
        let Some(session) = self.sessions.get_mut(&token) else {
            return self.tally_abroad(source_id, received, message);
        };
        session.tally.add(from_owner, received, message);
        // On an internal hop the other client's session, or the leg's, counts it too.
        let Some(inner) = self.sources.get(source_id).and_then(|s| s.inner) else { return };
        match self.sessions.get_mut(&inner) {
            Some(session) => session.tally.add(false, received, message),
            None => self.tally_abroad(source_id, received, message),
        }
    }

    /// The sender vanished or gave up inside a chunk: the receiver is told with `#` (AMB-64).
    pub(super) fn cut_short(&mut self, source_id: SourceId, now: Moment) {
        let flag = if self.settings.abort_lost { Flag::Abort } else { Flag::More };
        let flag = if on(Bug::AbortFlagLost) { Flag::Complete } else { flag };
        self.counts.aborts += 1;
        match self.sources.get(source_id).map(|s| s.target) {
            Some(Target::Here(flow)) => self.push_end(flow, flag, now),
            Some(Target::There { shard, flow }) => self.post_end(shard, flow, source_id, flag),
            _ => {}
        }
    }
}

fn is_signed(content_type: Option<&[u8]>) -> bool {
    const SIGNED: &[u8] = b"multipart/signed";
    content_type.is_some_and(|t| {
        t.len() >= SIGNED.len()
            && t[..SIGNED.len()].eq_ignore_ascii_case(SIGNED)
            && t.get(SIGNED.len()).is_none_or(|c| matches!(c, b';' | b' ' | b'\t'))
    })
}
