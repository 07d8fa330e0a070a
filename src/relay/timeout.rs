//! What happens when nothing happens.

use super::flow::{Flow, FlowId};
use super::link::{CloseReason, LinkId, Phase, Waiting};
use super::session::SessionEnd;
use super::timer::Owner;
use super::{Relay, TokenId};
use crate::moment::Moment;
use crate::msrp::Status;

/// Deadlines that lie in the past or nearly so are looked at after this.
const LEAST: std::time::Duration = std::time::Duration::from_millis(1);

impl Relay {
    /// Deals with every deadline that has passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some(owner) = self.timers.due(now) {
            match owner {
                Owner::Link(link) => self.link_timeout(link, now),
                Owner::Session(token) => self.session_timeout(token, now),
                Owner::Failing(pending) => self.failing_timeout(pending, now),
                Owner::Anchor(anchor) => self.anchor_timeout(anchor, now),
            }
        }
        self.forget_sources(now);
        self.end_forwarding(now);
    }

    fn session_timeout(&mut self, token: TokenId, now: Moment) {
        let Some(session) = self.sessions.get(&token) else { return };
        if session.expires > now {
            return;
        }
        if self.outlives(&token, session) {
            // In use by a client that never says how long (IOP-14): look again later.
            let life = std::time::Duration::from_secs(self.settings.auth.default_expires);
            if let Some(session) = self.sessions.get_mut(&token) {
                session.expires = now + life;
            }
            self.timers.arm(now + life, Owner::Session(token));
            return;
        }
        self.end_session(&token, SessionEnd::Expired, now);
    }

    /// A link waits for many things and has one deadline: look at all, act on what is over, arm for the next.
    fn link_timeout(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.timer_at = Moment::FAR;
        self.release_held(id, now);
        // A part on the wire may have to give way, a held chunk may leave.
        self.touch(id);
        if self.links.get(id).is_some_and(|l| l.look_at > now) {
            return self.arm_next(id, now);
        }
        if let Some(link) = self.links.get_mut(id) {
            link.look_at = Moment::FAR;
        }
        if let Some(reason) = self.overdue(id, now) {
            return self.close_now(id, reason, now);
        }
        self.lookup_timeout(id, now);
        self.admission_timeout(id, now);
        self.hold_timeout(id, now);
        self.expire_transactions(id, now);
        self.check_queues(id, now);
        self.send_deferred(id, now);
        let reverse = self.expire_reverse(id, now);
        let next = self.next_deadline(id, now);
        if let Some(at) = [next, reverse].into_iter().flatten().min() {
            self.arm(id, at.max(now + LEAST));
        }
        self.arm_next(id, now);
    }

    /// Arms for what comes first of the quick clocks and the next look at everything.
    fn arm_next(&mut self, id: LinkId, now: Moment) {
        let stall = self.settings.limits.stall_interrupt;
        let Some(link) = self.links.get(id) else { return };
        let flow = |f: &FlowId| self.flows.get(*f);
        let held = link.egress.holding.iter().filter_map(flow).map(|f| f.hold_until).min();
        let open = link.egress.open_flow().and_then(|f| self.flows.get(f));
        let give_way = open.and_then(|f| f.gives_way_at(stall)).filter(|at| *at > now);
        let at = [held, give_way].into_iter().flatten().fold(link.look_at, Moment::min);
        if at < Moment::FAR {
            self.arm_soon(id, at.max(now + LEAST));
        }
    }

    /// Whether a clock of the link says that it must end.
    fn overdue(&self, id: LinkId, now: Moment) -> Option<CloseReason> {
        let limits = &self.settings.limits;
        let link = self.links.get(id)?;
        if let Phase::Flushing { until, reason } = link.phase {
            return (until <= now).then_some(reason);
        }
        if link.phase == Phase::Dialling {
            return None;
        }
        if link.probation.is_some_and(|p| p.until <= now) {
            return Some(CloseReason::Probation);
        }
        let reading = link.wants_input(limits.response_queue);
        if reading && link.head_since.is_some_and(|at| at + limits.header_timeout <= now) {
            return Some(CloseReason::SlowHead);
        }
        if link.decoder.in_frame() && reading && link.last_input + limits.chunk_stall <= now {
            return Some(CloseReason::StalledChunk);
        }
        if link.egress.outstanding() > 0 && link.egress.last_progress + limits.write_stall <= now {
            return Some(CloseReason::StalledWrite);
        }
        if link.meta.relay.is_some() && link.egress.queued_urgent() > limits.response_queue {
            return Some(CloseReason::ResponseQueue);
        }
        if self.bulk_is_idle(id, now) {
            return Some(CloseReason::Idle);
        }
        let last = link.last_input.max(link.egress.last_progress);
        (!link.in_session() && link.meta.peer.is_some() && last + self.idle_time(id) <= now)
            .then_some(CloseReason::Idle)
    }

    fn idle_time(&self, id: LinkId) -> std::time::Duration {
        let limits = &self.settings.limits;
        match self.links.get(id) {
            Some(link) if link.is_own_bulk() => super::bulk::IDLE,
            Some(link) if link.client || link.meta.relay.is_some() => limits.idle,
            _ => limits.idle_foreign,
        }
    }

    fn next_deadline(&mut self, id: LinkId, now: Moment) -> Option<Moment> {
        let idle = self.idle_time(id);
        let limits = &self.settings.limits;
        let link = self.links.get_mut(id)?;
        let flows = link.flows.iter().filter_map(|f| self.flows.get(*f));
        let stalled = flows.filter(|f| f.waits_to_leave()).map(|f| f.last_progress + limits.queue_stall).min();
        let sources = link.sources.iter().filter_map(|s| self.sources.get(*s));
        let deferred = sources.filter(|s| !s.deferred.is_empty()).map(|s| s.reports.1 + super::transit::SECOND).min();
        let reading = link.wants_input(limits.response_queue);
        let phase = match link.phase {
            Phase::Flushing { until, .. } => Some(until),
            _ => None,
        };
        let waiting = match &link.waiting {
            Some(Waiting::Account { until, .. } | Waiting::Admission { until, .. } | Waiting::Anchor { until, .. }) => {
                Some(*until)
            }
            None => None,
        };
        let last = link.last_input.max(link.egress.last_progress);
        let head_since = link.head_since.filter(|_| reading);
        [
            phase,
            waiting,
            link.probation.map(|p| p.until),
            head_since.map(|at| at + limits.header_timeout),
            (link.decoder.in_frame() && reading).then(|| link.last_input + limits.chunk_stall),
            (link.egress.outstanding() > 0).then(|| link.egress.last_progress + limits.write_stall),
            link.transactions.deadline(limits.transaction, now),
            stalled,
            deferred,
            // Nobody tells when the last session goes, so it is looked for now and then. Without a peer nobody is idle.
            link.meta.peer.map(|_| if link.in_session() { now + idle / 4 } else { last + idle }),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Next hops that stayed silent: 408 for `yes`, nothing for `partial`.
    fn expire_transactions(&mut self, id: LinkId, now: Moment) {
        let wait = self.settings.limits.transaction;
        while let Some((t, failure)) = self.links.get_mut(id).and_then(|l| l.transactions.expired(wait, now)) {
            if failure {
                self.settle_part(t.pending, t.first, t.behind, Err(Status::TIMEOUT), now);
            } else {
                self.settle_silently(t.pending, now);
            }
        }
    }

    /// Chunks that waited for their end long enough begin to leave.
    fn release_held(&mut self, id: LinkId, now: Moment) {
        let mut at = 0;
        while let Some(flow_id) = self.links.get(id).and_then(|l| l.egress.holding.get(at)).copied() {
            if self.flows.get(flow_id).is_some_and(|f| f.hold_until > now) {
                at += 1;
                continue;
            }
            if let Some(link) = self.links.get_mut(id) {
                link.egress.holding.swap_remove(at);
            }
            if let Some(flow) = self.flows.get_mut(flow_id) {
                flow.holding = false;
                self.wake(flow_id);
            }
        }
    }

    /// A queue without progress fails what it holds: 408.
    fn check_queues(&mut self, id: LinkId, now: Moment) {
        let limit = self.settings.limits.queue_stall;
        let Some(link) = self.links.get(id) else { return };
        let stalled =
            |f: &&FlowId| self.flows.get(**f).is_some_and(|f| f.waits_to_leave() && f.last_progress + limit <= now);
        let stalled: Vec<FlowId> = link.flows.iter().filter(stalled).copied().collect();
        for flow in stalled {
            self.fail_flow(flow, Status::TIMEOUT, now);
        }
    }
}

impl Flow {
    /// Its front chunk is complete and has not left.
    fn waits_to_leave(&self) -> bool {
        self.queue.front().is_some_and(|c| c.end.is_some())
    }
}
