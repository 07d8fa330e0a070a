//! What happens when nothing happens.

use super::flow::FlowId;
use super::link::{CloseReason, LinkId, Phase, Waiting};
use super::session::SessionEnd;
use super::timer::Owner;
use super::{Relay, TokenId};
use crate::moment::Moment;
use crate::msrp::Status;

impl Relay {
    /// Deals with every deadline that has passed.
    pub fn handle_timeout(&mut self, now: Moment) {
        while let Some(owner) = self.timers.due(now) {
            match owner {
                Owner::Link(link) => self.link_timeout(link, now),
                Owner::Session(token) => self.session_timeout(token, now),
                Owner::Failing(pending) => self.failing_timeout(pending, now),
            }
        }
        self.end_retired(now);
        self.end_forwarding(now);
    }

    fn session_timeout(&mut self, token: TokenId, now: Moment) {
        let Some(session) = self.sessions.get(&token) else { return };
        if session.expires > now {
            return;
        }
        if self.outlives(session) {
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
        if let Some(reason) = self.overdue(id, now) {
            return self.close_now(id, reason, now);
        }
        self.lookup_timeout(id, now);
        self.admission_timeout(id, now);
        self.expire_transactions(id, now);
        self.release_held(id, now);
        self.check_queues(id, now);
        self.send_deferred(id, now);
        let reverse = self.expire_reverse(id, now);
        if self.links.contains(id) {
            // An open part may have to give way, a held one may leave.
            self.touch(id);
        }
        let next = self.next_deadline(id, now);
        if let Some(at) = [next, reverse].into_iter().flatten().min() {
            self.arm(id, at);
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
        if link.head_since.is_some_and(|at| at + limits.header_timeout <= now) {
            return Some(CloseReason::SlowHead);
        }
        let reading = link.wants_input(limits.response_queue);
        if link.decoder.in_frame() && reading && link.last_input + limits.chunk_stall <= now {
            return Some(CloseReason::StalledChunk);
        }
        if link.egress.outstanding() > 0 && link.egress.last_progress + limits.write_stall <= now {
            return Some(CloseReason::StalledWrite);
        }
        if link.meta.relay.is_some() && link.egress.queued_urgent() > limits.response_queue {
            return Some(CloseReason::ResponseQueue);
        }
        let last = link.last_input.max(link.egress.last_progress);
        (!link.in_session() && link.meta.peer.is_some() && last + self.idle_time(id) <= now)
            .then_some(CloseReason::Idle)
    }

    fn idle_time(&self, id: LinkId) -> std::time::Duration {
        let limits = &self.settings.limits;
        match self.links.get(id) {
            Some(link) if link.dialled && link.meta.relay.is_none() => limits.idle_foreign,
            _ => limits.idle,
        }
    }

    fn next_deadline(&mut self, id: LinkId, now: Moment) -> Option<Moment> {
        let limits = self.settings.limits.clone();
        let idle = self.idle_time(id);
        let flows: Vec<FlowId> = self.links.get(id).map(|l| l.egress.holding.clone()).unwrap_or_default();
        let held = flows.iter().filter_map(|f| self.flows.get(*f)).map(|f| f.hold_until).min();
        let queued = self.links.get(id).map(|l| l.flows.clone()).unwrap_or_default();
        let stalled = queued
            .iter()
            .filter_map(|f| self.flows.get(*f))
            .filter(|f| !f.queue.is_empty())
            .map(|f| f.last_progress + limits.queue_stall)
            .min();
        let deferred = self.links.get(id).map(|l| l.sources.clone()).unwrap_or_default();
        let deferred = deferred
            .iter()
            .filter_map(|s| self.sources.get(*s))
            .filter(|s| !s.deferred.is_empty())
            .map(|s| s.reports.1 + super::transit::SECOND)
            .min();
        let open = self.links.get(id).and_then(|l| l.egress.open_flow()).and_then(|f| self.flows.get(f));
        let give_way = open.map(|f| f.last_input + limits.stall_interrupt).filter(|at| *at > now);
        let link = self.links.get_mut(id)?;
        let reading = link.wants_input(limits.response_queue);
        let phase = match link.phase {
            Phase::Flushing { until, .. } => Some(until),
            _ => None,
        };
        let waiting = match &link.waiting {
            Some(Waiting::Account { until, .. } | Waiting::Admission { until, .. }) => Some(*until),
            None => None,
        };
        let last = link.last_input.max(link.egress.last_progress);
        [
            phase,
            waiting,
            link.probation.map(|p| p.until),
            link.head_since.map(|at| at + limits.header_timeout),
            (link.decoder.in_frame() && reading).then(|| link.last_input + limits.chunk_stall),
            (link.egress.outstanding() > 0).then(|| link.egress.last_progress + limits.write_stall),
            link.transactions.deadline(limits.transaction, now),
            held,
            stalled,
            deferred,
            give_way,
            (!link.in_session()).then(|| last + idle),
        ]
        .into_iter()
        .flatten()
        .map(|at| at.max(now + std::time::Duration::from_millis(1)))
        .min()
    }

    /// Next hops that stayed silent: 408 for `yes`, nothing for `partial` (msrp-relay.md 5.4).
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
        let Some(link) = self.links.get_mut(id) else { return };
        let holding = std::mem::take(&mut link.egress.holding);
        let mut still = Vec::new();
        for flow in holding {
            match self.flows.get(flow) {
                Some(f) if f.hold_until > now => still.push(flow),
                Some(_) => self.wake(flow),
                None => {}
            }
        }
        if let Some(link) = self.links.get_mut(id) {
            link.egress.holding.extend(still);
        }
    }

    /// A queue without progress fails what it holds: 408 (msrp-relay.md 6).
    fn check_queues(&mut self, id: LinkId, now: Moment) {
        let limit = self.settings.limits.queue_stall;
        let flows = self.links.get(id).map(|l| l.flows.clone()).unwrap_or_default();
        for flow in flows {
            let stalled = self.flows.get(flow).is_some_and(|f| {
                let complete = f.queue.front().is_some_and(|c| c.end.is_some());
                complete && f.last_progress + limit <= now
            });
            if stalled {
                self.fail_flow(flow, Status::TIMEOUT, now);
            }
        }
    }
}
