//! How sources and flows end: with their link, their session or each other. What they still owe is told first.

use std::time::Duration;

use super::Relay;
use super::flow::FlowId;
use super::source::{Source, SourceId, Target};
use crate::moment::Moment;
use crate::msrp::Status;
use crate::planted::{Bug, on};

/// An ended source is kept for the reports on its last chunks: longer than an answer is waited for, with the longest pause.
const RETIREMENT: Duration = Duration::from_secs(100);

impl Relay {
    /// The sender is gone; so is everybody who could be told of its chunks, unless it was a relay.
    pub(super) fn lose_source(&mut self, id: SourceId) {
        self.end_source(id);
        if self.sources.get(id).is_some_and(|s| s.relay.is_none()) {
            self.remove_source(id);
        }
    }

    /// No chunk will follow: its flow sends what it has and ends. Of chunks under way it may still have to tell.
    pub(super) fn end_source(&mut self, id: SourceId) {
        let Some(source) = self.sources.get(id) else { return };
        let (target, used, closed) = (source.target, source.next_serial > 0, source.closed);
        self.detach_source(id);
        match target {
            Target::Here(flow) => self.orphan(flow),
            Target::There { shard, flow } if !closed => self.post_source_gone(shard, flow),
            Target::There { .. } => {}
            Target::Asked => {}
        }
        if used { self.retiring.push(id) } else { self.remove_source(id) }
    }

    /// Nothing leads to the source any more.
    fn detach_source(&mut self, id: SourceId) {
        let Some(source) = self.sources.get(id) else { return };
        let abroad = (source.link, source.token);
        if let Some(session) = self.sessions.get_mut(&source.token) {
            session.ways.retain(|w| w.source != id);
        }
        if let Some(ways) = self.abroad.get_mut(&abroad) {
            ways.retain(|w| w.source != id);
            if ways.is_empty() {
                self.abroad.remove(&abroad);
            }
        }
    }

    /// Nothing can be said of its chunks any more.
    fn remove_source(&mut self, id: SourceId) {
        self.detach_source(id);
        let Some(source) = self.sources.remove(id) else { return };
        if let Some(link) = self.links.get_mut(source.link) {
            link.sources.retain(|s| *s != id);
        }
        if source.full {
            self.release_stop(source.link);
        }
    }

    /// Ended sources are forgotten when everything that they sent must have its answer.
    pub(super) fn forget_sources(&mut self, now: Moment) {
        while let Some((at, id)) = self.retired.pop_front_if(|(at, _)| *at <= now) {
            let Some(source) = self.sources.get(id).filter(|s| s.retired == at) else { continue };
            let flows_on = match source.target {
                Target::Here(flow) => self.flows.contains(flow),
                Target::There { .. } => !source.closed,
                Target::Asked => false,
            };
            let arriving = self.links.get(source.link).is_some_and(|l| l.carries(id));
            if flows_on || arriving { self.retiring.push(id) } else { self.remove_source(id) }
        }
        self.retire_sources(now);
    }

    /// Sources that have ended since the last time begin their retirement.
    pub(super) fn retire_sources(&mut self, now: Moment) {
        for id in self.retiring.drain(..) {
            if let Some(source) = self.sources.get_mut(id) {
                // The last time it is told to go counts.
                source.retired = now + RETIREMENT;
                self.retired.push_back((source.retired, id));
            }
        }
    }

    /// Whether a way has no traffic.
    pub(super) fn rests(&self, source: &Source) -> bool {
        match source.target {
            Target::Here(flow) => self.flows.get(flow).is_none_or(|f| f.queue.is_empty() && f.unsettled == 0),
            Target::There { .. } => source.in_flight == 0,
            Target::Asked => true,
        }
    }

    /// Nobody feeds the flow any more: it ends when it is empty.
    pub(super) fn orphan(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.orphan = true;
        if flow.queue.is_empty() {
            self.end_flow(id);
        }
    }

    /// The flow is empty and nobody feeds it.
    pub(super) fn end_flow(&mut self, id: FlowId) {
        let Some(flow) = self.flows.remove(id) else { return };
        self.buffered -= flow.charged;
        if let Some(link) = self.links.get_mut(flow.link) {
            link.flows.retain(|f| *f != id);
            link.egress.forget(id);
            if link.is_own_bulk() && link.flows.is_empty() {
                self.arm(flow.link, Moment::ZERO);
            }
        }
        if flow.followed {
            self.let_follow(id, flow.link);
        }
        if flow.back.shard != self.shard {
            self.post_flow_closed(flow.back);
        } else if flow.orphan {
            // Its last parts have their time for an answer from now on.
            self.retiring.push(flow.back.source);
        }
    }

    /// What the flow leads to is gone: everything it holds fails, its source learns it.
    pub(super) fn fail_flow(&mut self, id: FlowId, status: Status, now: Moment) {
        self.abort_open_part(id);
        let Some(flow) = self.flows.get_mut(id) else { return };
        let queue = std::mem::take(&mut flow.queue);
        flow.slices.clear();
        let charged = std::mem::take(&mut flow.charged);
        let back = flow.back;
        if !on(Bug::SliceLeak) {
            self.buffered -= charged;
        }
        for chunk in queue {
            let Some(pending) = chunk.pending else { continue };
            let (first, behind) = (chunk.start + chunk.written, chunk.start + chunk.written + chunk.buffered);
            let tell_at = now + self.settings.limits.report_grace;
            let Some(p) = self.pendings.get_mut(pending) else { continue };
            p.fail(status, first, behind, tell_at);
            let (serial, message) = (p.serial, p.message.clone());
            // Though a part of it may have failed before: that was a silence, and told to nobody yet.
            if chunk.end.is_none() {
                // It still arrives: 408 is never a response (AMB-43), so the sender hears that the session is gone.
                let status = if status == Status::TIMEOUT { Status::NO_SESSION } else { status };
                self.tell_refused(back, serial, message, status, now);
            }
            // A part that is on the wire is settled with the link's transactions.
            if chunk.end.is_none() {
                self.await_rest(back, pending, behind, false);
            }
            self.all_parts_out(pending, now);
        }
        self.end_flow(id);
        if back.shard == self.shard {
            self.take_flow_closed(back.source);
        }
    }

    /// At the source: its flow is gone. The next chunk is admitted anew.
    pub(super) fn take_flow_closed(&mut self, id: SourceId) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let (link, full) = (source.link, std::mem::replace(&mut source.full, false));
        if let Target::Here(_) = source.target {
            source.target = Target::Asked;
        }
        source.closed = true;
        source.in_flight = 0;
        self.detach_source(id);
        if full {
            self.release_stop(link);
        }
        let arriving = self.links.get(link).is_some_and(|l| l.carries(id));
        if !arriving {
            self.retiring.push(id);
        }
    }

    /// The chunk that was arriving is over: its source may only have waited for that.
    pub(super) fn after_chunk(&mut self, id: SourceId) {
        if self.sources.get(id).is_some_and(|s| s.session_over || s.closed) {
            self.end_source(id);
        }
    }

    /// The session that admitted this source is over: what is arriving is completed, the next chunk is refused.
    pub(super) fn take_session_over(&mut self, id: SourceId) {
        self.detach_source(id);
        let Some(source) = self.sources.get_mut(id) else { return };
        let Some(link) = self.links.get(source.link) else { return self.end_source(id) };
        // A way that is being asked for elsewhere is asked for again when the answer is there.
        if link.carries(id) || link.asks_for(id) {
            source.session_over = true;
        } else {
            self.end_source(id);
        }
    }
}
