//! What flows are fed: heads, octets and ends of chunks, by a source of this shard or of another.

use std::sync::Arc;

use bytes::Bytes;

use super::Relay;
use super::event::DEPTH_BOUNDS;
use super::flow::{FlowId, Queued, SLICE_OVERHEAD, Slice};
use super::pending::Pending;
use super::refusal::Refusal;
use super::short::Short;
use super::turn::Turn;
use crate::moment::Moment;
use crate::msrp::{FailureReport, Flag, Head};
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
    pub(super) fn arm_hold(&mut self, id: FlowId) {
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
}
