//! A SEND on its way through: answered at once toward the previous hop, streamed toward the next (RFC 4976 section
//! 6.4.1).

use std::sync::Arc;

use bytes::Bytes;

use super::Relay;
use super::anchor::Held;
use super::event::DEPTH_BOUNDS;
use super::flow::{FlowId, Queued, SLICE_OVERHEAD, Slice};
use super::link::{Frame, LinkId};
use super::pending::Pending;
use super::route::Refusal;
use super::short::Short;
use super::source::{SourceId, Target};
use super::turn::Turn;
use super::way::Found;
use crate::moment::Moment;
use crate::msrp::{FailureReport, Flag, Head, Status};
use crate::planted::{Bug, on};

/// A chunk as its source hands it to its flow.
pub(super) struct Start {
    pub(super) head: Head,
    pub(super) turn: Turn,
    pub(super) has_body: bool,
    pub(super) serial: u32,
    pub(super) from_path: Arc<[u8]>,
    pub(super) token_uri: Arc<[u8]>,
}

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

    /// A chunk joins its flow.
    pub(super) fn push_start(&mut self, id: FlowId, start: Start, now: Moment) -> Result<(), Refusal> {
        let cap = self.settings.limits.transactions_per_session;
        let relay_cap = self.settings.limits.transactions_per_relay_link;
        let Some(flow) = self.flows.get(id) else { return Err(Refusal::NoSession) };
        let Some(link) = self.links.get(flow.link) else { return Err(Refusal::NoSession) };
        let head = start.head;
        let report = head.failure_report();
        if report == FailureReport::Yes
            && (flow.unsettled >= flow.transaction_limit(cap, now) || link.transactions.awaited() >= relay_cap)
        {
            return Err(Refusal::TooMany);
        }
        self.counts.queue_depth.observe(&DEPTH_BOUNDS, flow.charged as u64);
        let range = head.byte_range();
        let total = range.and_then(|r| r.total);
        let back = flow.back;
        let pending = (report != FailureReport::No || on(Bug::ReportForNo)).then(|| {
            self.pendings.insert(Pending {
                flow: id,
                link: flow.link,
                back,
                serial: start.serial,
                message: head.message_id().map(Short::new),
                from_path: start.from_path,
                token_uri: start.token_uri,
                failure_report: report,
                total,
                open_parts: 0,
                all_out: false,
                failed: None,
            })
        });
        let Some(flow) = self.flows.get_mut(id) else { return Err(Refusal::NoSession) };
        if report == FailureReport::Yes {
            if flow.unsettled == 0 {
                flow.answers.0 = 0;
            }
            flow.unsettled += 1;
        }
        if flow.queue.is_empty() {
            flow.hold_until = if on(Bug::HoldNeverFires) { Moment::FAR } else { now + self.settings.limits.hold };
            flow.last_progress = now;
            if !flow.held {
                flow.held = true;
                self.held.push(id);
            }
        }
        flow.last_input = now;
        let chunk = Queued {
            head,
            turn: start.turn,
            failure_report: report,
            pending,
            has_body: start.has_body,
            start: range.map_or(1, |r| r.start),
            total,
            announced: range.and_then(|r| Some(r.end? - (r.start - 1))),
            buffered: 0,
            written: 0,
            end: None,
            parts: 0,
            arrived: now,
        };
        let cost = chunk.cost();
        flow.queue.push_back(chunk);
        flow.charged += cost;
        self.buffered += cost;
        self.dirty(id);
        self.stop_if_full(id, now);
        self.consider_bulk(id, now);
        Ok(())
    }

    /// A flow that holds as much as it may stops its source.
    pub(super) fn stop_if_full(&mut self, id: FlowId, now: Moment) {
        let limit = self.settings.limits.session_buffer;
        let Some(flow) = self.flows.get_mut(id).filter(|f| !f.full && f.over(limit)) else { return };
        flow.full = true;
        flow.full_since = now;
        let back = flow.back;
        self.stop_source(back, now);
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

    /// Body octets join their flow; a full flow stops its source.
    pub(super) fn push_body(&mut self, id: FlowId, octets: Bytes, now: Moment) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        let charge = octets.len() + SLICE_OVERHEAD;
        let len = octets.len() as u64;
        let single = flow.queue.len() == 1;
        let Some(back) = flow.queue.back_mut() else { return };
        if back.end.is_some() {
            return;
        }
        back.buffered += len;
        flow.last_input = now;
        flow.slices.push_back(Slice { octets, charge, settled: false });
        let pieces = flow.slices.len();
        if on(Bug::SlicesSwapped) && pieces > 1 && back.buffered > len {
            flow.slices.swap(pieces - 1, pieces - 2);
        }
        flow.charged += charge;
        self.buffered += charge;
        self.dirty(id);
        self.stop_if_full(id, now);
        self.consider_bulk(id, now);
        if single && self.flows.get(id).is_some_and(|f| f.open.is_some() || f.ready(now).is_some()) {
            self.wake(id);
        }
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

    /// A chunk from another shard has ended: the session at home here counts it.
    fn count_from_abroad(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get(id).filter(|f| f.back.shard != self.shard) else { return };
        let Some(chunk) = flow.queue.back() else { return };
        let (octets, message) = (chunk.written + chunk.buffered, chunk.end == Some(Flag::Complete) && chunk.has_body);
        let relay = self.links.get(flow.link).and_then(|l| l.relay_name());
        let Some(session) = self.sessions.get_mut(&flow.token) else { return };
        let to_owner = match &session.owner {
            super::session::Owner::Link(link) => *link == flow.link,
            super::session::Owner::Relay(name) => relay == Some(name),
            // What comes in on a leg is counted there as what goes to an owner.
            super::session::Owner::Leg(..) => true,
        };
        session.tally.add(!to_owner, octets, message);
    }

    pub(super) fn push_end(&mut self, id: FlowId, flag: Flag, now: Moment) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        let Some(back) = flow.queue.back_mut() else { return };
        let ends = back.end.is_none();
        if ends {
            back.end = Some(flag);
        }
        flow.last_input = now;
        if ends {
            self.count_from_abroad(id);
            self.end_without_part(id, flag, now);
        }
        self.wake(id);
    }

    /// Everything of a chunk that is to go on has left already, in parts that were ended with `+` themselves: nothing is to be
    /// said any more, and a part without an octet would be no progress (RFC 4975 section 7.1.1).
    fn end_without_part(&mut self, id: FlowId, flag: Flag, now: Moment) {
        let Some(flow) = self.flows.get(id) else { return };
        // What has begun to leave is at the front, and what has just ended at the back.
        let Some(chunk) = flow.queue.front().filter(|_| flow.queue.len() == 1 && flow.open.is_none()) else { return };
        if flag == Flag::More && chunk.buffered == 0 && chunk.written > 0 {
            self.finish_chunk(id, now);
        }
    }

    /// The flow may have something to send: it takes its turn on its link.
    pub(super) fn wake(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        let link_id = flow.link;
        if !flow.in_ring
            && let Some(link) = self.links.get_mut(link_id)
            && link.egress.open_flow() != Some(id)
        {
            flow.in_ring = true;
            link.egress.ring.push_back(id);
        }
        self.touch(link_id);
    }

    fn dirty(&mut self, id: FlowId) {
        if let Some(flow) = self.flows.get_mut(id)
            && !flow.dirty
        {
            flow.dirty = true;
            self.dirty.push(id);
        }
    }

    /// A chunk that has not ended with its batch leaves when its hold is over.
    pub(super) fn arm_hold(&mut self, id: FlowId, _now: Moment) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.held = false;
        let waits = flow.open.is_none() && flow.queue.front().is_some_and(|q| q.end.is_none());
        let (link, at) = (flow.link, flow.hold_until);
        if waits
            && !std::mem::replace(&mut flow.holding, true)
            && let Some(l) = self.links.get_mut(link)
        {
            l.egress.holding.push(id);
            self.arm_soon(link, at);
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

impl super::session::Tally {
    pub(super) fn add(&mut self, from_owner: bool, octets: u64, complete: bool) {
        let (o, m) = if from_owner {
            (&mut self.octets_from_owner, &mut self.messages_from_owner)
        } else {
            (&mut self.octets_to_owner, &mut self.messages_to_owner)
        };
        *o += octets;
        *m += u64::from(complete);
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
