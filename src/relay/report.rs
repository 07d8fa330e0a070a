//! Exactly one failure signal for each accepted SEND: parts settle, a failed chunk becomes one error
//! response while it still arrives, or one REPORT afterwards.

use std::sync::Arc;
use std::time::Duration;

use super::Relay;
use super::event::frame_kind;
use super::flow::FlowId;
use super::link::{Frame, LinkId};
use super::pending::PendingId;
use super::route::Refusal;
use super::short::Short;
use super::source::{Failure, Poisoned, SourceId, SourceRef, Target, poisons};
use super::timer::Owner;
use crate::moment::Moment;
use crate::msrp::{ByteRange, FailureReport, Flag, Kind, Method, Path, Scheme, Status, Tid, Uri, report};
use crate::planted::{Bug, on};

/// How long a count of what a link feeds is good.
const RECOUNT: Duration = Duration::from_millis(100);
/// REPORTs of a session that may wait for their second; more are lost.
const DEFERRED: usize = 4096;

impl Relay {
    /// One part of a chunk has its answer, or will never have one.
    pub(super) fn settle_part(
        &mut self,
        id: PendingId,
        first: u64,
        behind: u64,
        outcome: Result<(), Status>,
        now: Moment,
    ) {
        let grace = now + self.settings.limits.report_grace;
        let Some(p) = self.pendings.get_mut(id) else { return };
        p.open_parts = p.open_parts.saturating_sub(1);
        let (flow, awaited) = (p.flow, p.failure_report == FailureReport::Yes);
        if let Some(f) = self.flows.get_mut(flow).filter(|_| awaited) {
            f.awaited = f.awaited.saturating_sub(1);
        }
        self.change_lanes(flow, now);
        let Some(p) = self.pendings.get_mut(id) else { return };
        if let Err(status) = outcome {
            let fresh = p.fail(status, first, behind, grace);
            let (back, serial, flow) = (p.back, p.serial, p.flow);
            if fresh {
                let message = p.message.clone();
                self.timers.arm(grace, Owner::Failing(id));
                // 408 is never a response (AMB-43): a chunk that still arrives gets its 200, then the REPORT.
                if status != Status::TIMEOUT {
                    self.tell_refused(back, serial, message.clone(), status, now);
                }
                if poisons(status) {
                    self.abort_message(flow, message.as_ref().map(Short::as_bytes), status, now);
                }
            }
        }
        self.finish_pending(id, now);
    }

    /// No part of the chunk will follow.
    pub(super) fn all_parts_out(&mut self, id: PendingId, now: Moment) {
        if let Some(p) = self.pendings.get_mut(id) {
            p.all_out = true;
        }
        self.finish_pending(id, now);
    }

    /// Ends the record when all is known. A failure waits for the other parts, but only a little.
    fn finish_pending(&mut self, id: PendingId, now: Moment) {
        let Some(p) = self.pendings.get(id) else { return };
        let waited = p.failed.is_some_and(|f| f.tell_at <= now);
        if p.all_out && (p.open_parts == 0 || waited) {
            self.tell_failure(id, now);
        }
    }

    /// The other parts have had their time: what has failed is told.
    pub(super) fn failing_timeout(&mut self, id: PendingId, now: Moment) {
        let Some(p) = self.pendings.get(id) else { return };
        // While the chunk still arrives or waits to leave its range is not final.
        if p.all_out && p.failed.is_some_and(|f| f.tell_at <= now) {
            self.tell_failure(id, now);
        }
    }

    fn tell_failure(&mut self, id: PendingId, now: Moment) {
        let Some(p) = self.pendings.remove(id) else { return };
        if p.failure_report == FailureReport::Yes
            && let Some(flow) = self.flows.get_mut(p.flow)
        {
            flow.unsettled = flow.unsettled.saturating_sub(1);
            // Nobody waits for its other parts any more.
            flow.awaited = flow.awaited.saturating_sub(p.open_parts as usize);
        }
        let Some(mut failed) = p.failed else { return };
        if p.open_parts > 0
            && let Some(link) = self.links.get(p.link)
        {
            // What has no answer by now is told of too: nobody asks again.
            for t in link.transactions.live().filter(|t| t.pending == id) {
                failed.first = failed.first.min(t.first);
                failed.behind = failed.behind.max(t.behind);
            }
        }
        let failure = Failure {
            serial: p.serial,
            range: p.range(&failed),
            from_path: p.from_path,
            token_uri: p.token_uri,
            message: p.message,
            status: failed.status,
        };
        self.tell_failed(p.back, failure, now);
    }

    /// A record that is given up without a word: a `partial` whose time is over.
    pub(super) fn settle_silently(&mut self, id: PendingId, now: Moment) {
        if let Some(p) = self.pendings.get_mut(id) {
            p.open_parts = p.open_parts.saturating_sub(1);
        }
        self.finish_pending(id, now);
    }

    /// The next hop refused a message: its running part ends with `#`, what waits of it is dropped and shares its fate.
    pub(super) fn abort_message(&mut self, id: FlowId, message: Option<&[u8]>, status: Status, now: Moment) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        if message.is_none() || !flow.queue.iter().any(|c| c.head.message_id() == message) {
            return;
        }
        let mut dropped: Vec<(PendingId, u64, u64, bool)> = Vec::new();
        let mut arriving = None;
        let mut running = false;
        let mut at = 0;
        let mut skip_slices = 0u64;
        let mut kept_slices = std::collections::VecDeque::new();
        let mut drop_ranges: Vec<(u64, u64)> = Vec::new();
        while at < flow.queue.len() {
            let chunk = &mut flow.queue[at];
            let same = chunk.head.message_id() == message;
            let octets = chunk.buffered;
            if !same {
                skip_slices += octets;
                at += 1;
                continue;
            }
            drop_ranges.push((skip_slices, octets));
            skip_slices += octets;
            let first = chunk.start + chunk.written;
            let behind = first + octets;
            let on_wire = at == 0 && flow.open.is_some();
            if let Some(p) = chunk.pending {
                dropped.push((p, first, behind, on_wire));
                if chunk.end.is_none() {
                    arriving = Some((p, behind, chunk.written > 0));
                }
            }
            chunk.buffered = 0;
            if on_wire {
                chunk.end = Some(Flag::Abort);
                running = true;
                at += 1;
            } else {
                let cost = flow.queue.remove(at).map_or(0, |c| c.cost());
                flow.charged -= cost;
                self.buffered -= cost;
            }
        }
        // What is left of the slices belongs to other messages.
        let mut position = 0u64;
        for mut slice in flow.slices.drain(..) {
            let len = slice.octets.len() as u64;
            let (from, to) = (position, position + len);
            position = to;
            let cut = drop_ranges.iter().any(|(s, n)| from < s + n && *s < to);
            if !cut {
                kept_slices.push_back(slice);
                continue;
            }
            flow.charged -= slice.charge;
            self.buffered -= slice.charge;
            let mut pieces = vec![(from, to)];
            for (s, n) in &drop_ranges {
                pieces = pieces
                    .into_iter()
                    .flat_map(|(a, b)| [(a, b.min(*s)), (a.max(s + n), b)])
                    .filter(|(a, b)| a < b)
                    .collect();
            }
            for (a, b) in pieces {
                let octets = slice.octets.slice((a - from) as usize..(b - from) as usize);
                let charge = octets.len() + super::flow::SLICE_OVERHEAD;
                flow.charged += charge;
                self.buffered += charge;
                kept_slices.push_back(super::flow::Slice { octets, charge, settled: slice.settled });
            }
            slice.octets.clear();
        }
        flow.slices = kept_slices;
        let drained = flow.drained(self.settings.limits.session_buffer);
        let back = flow.back;
        if running {
            self.counts.aborts += 1;
        }
        if let Some((pending, behind, begun)) = arriving {
            self.await_rest(back, pending, behind, begun);
        }
        for (pending, first, behind, on_wire) in dropped {
            let tell_at = now + self.settings.limits.report_grace;
            let Some(p) = self.pendings.get_mut(pending) else { continue };
            let fresh = (behind > first || p.failed.is_none()) && p.fail(status, first, behind, tell_at);
            if fresh {
                // For the answers to parts of it that have left it waits only a little.
                self.timers.arm(tell_at, Owner::Failing(pending));
            }
            if !on_wire {
                self.all_parts_out(pending, now);
            }
        }
        let freed = drop_ranges.iter().map(|(_, n)| n).sum();
        self.credit(back, freed, drained, now);
        self.wake(id);
    }

    // ---- at the source

    /// The previous hop's message is refused from now on; a chunk of it that still arrives gets its response at once.
    pub(super) fn take_refused(
        &mut self,
        id: SourceId,
        serial: u32,
        message: Option<Short>,
        status: Status,
        now: Moment,
    ) {
        let Some(source) = self.sources.get(id) else { return };
        let link_id = source.link;
        if poisons(status) {
            self.poison(id, message.as_ref().map(Short::as_bytes), status, now);
        }
        let Some(link) = self.links.get_mut(link_id) else { return };
        let Frame::Chunk { source, serial: arriving, head, .. } = &link.frame else { return };
        if *source != id {
            return;
        }
        let same_message = head.message_id().is_some() && head.message_id() == message.as_ref().map(Short::as_bytes);
        if *arriving == serial || (poisons(status) && same_message) {
            let serial = *arriving;
            self.refuse_running(link_id, id, serial, Refusal::Poisoned(status), now);
        }
    }

    /// No more of this message is accepted for a while.
    pub(super) fn poison(&mut self, id: SourceId, message: Option<&[u8]>, status: Status, now: Moment) {
        let (most, time) = (self.settings.limits.poisoned_per_session, self.settings.limits.poison);
        let (Some(source), Some(message)) = (self.sources.get_mut(id), message) else { return };
        if source.poison(Some(message), now).is_some() || !poisons(status) || on(Bug::PoisonForgotten) {
            return;
        }
        if source.poisoned.len() >= most {
            source.poisoned.pop_front();
        }
        source.poisoned.push_back(Poisoned { message: Short::new(message), status, until: now + time });
    }

    /// A chunk failed after it was accepted: one REPORT, unless it has had its error response.
    pub(super) fn take_failed(&mut self, id: SourceId, failure: Failure, now: Moment) {
        let most = self.settings.limits.reports_per_second;
        let Some(source) = self.sources.get_mut(id) else {
            self.counts.reports_dropped += 1;
            return;
        };
        if let Some(at) = source.answered.iter().position(|s| *s == failure.serial) {
            source.answered.swap_remove(at);
            return;
        }
        let (count, since) = &mut source.reports;
        if now.since(*since) >= Duration::from_secs(1) {
            (*count, *since) = (0, now);
        }
        *count += 1;
        let (many, at) = (*count > most, *since + Duration::from_secs(1));
        // Deferred REPORTs wait with their link; without it there is no time to lose.
        if many && self.links.contains(source.link) {
            return self.defer(id, failure, at);
        }
        self.send_report(id, failure, now);
    }

    /// Too many REPORTs this second: those on the same message are put together.
    fn defer(&mut self, id: SourceId, failure: Failure, at: Moment) {
        let Some(source) = self.sources.get_mut(id) else { return };
        let link = source.link;
        let message = failure.message.as_ref().map(Short::as_bytes);
        // Of the octets between two that failed nothing is known yet, or something else was told.
        let behind = |range: &ByteRange| range.end.map_or(range.start, |end| end + 1);
        let (start, end) = (failure.range.start, behind(&failure.range));
        let touches = |d: &Failure| d.range.start <= end && start <= behind(&d.range);
        let alike = |d: &Failure| d.status == failure.status && d.message.as_ref().map(Short::as_bytes) == message;
        let same = |d: &&mut Failure| alike(d) && touches(d);
        // Chunks of a message fail one after the other.
        let room = source.deferred.len() < DEFERRED;
        match source.deferred.iter_mut().rev().take(8).find(same) {
            Some(d) => {
                d.range.start = d.range.start.min(failure.range.start);
                d.range.end = d.range.end.max(failure.range.end);
                d.range.total = d.range.total.or(failure.range.total);
            }
            None if room => source.deferred.push(failure),
            None => self.counts.reports_dropped += 1,
        }
        self.arm(link, at);
    }

    /// REPORTs that waited for a new second.
    pub(super) fn send_deferred(&mut self, link: LinkId, now: Moment) {
        let mut at = 0;
        while let Some(id) = self.links.get(link).and_then(|l| l.sources.get(at)).copied() {
            at += 1;
            let Some(source) = self.sources.get_mut(id) else { continue };
            if source.deferred.is_empty() || now.since(source.reports.1) < Duration::from_secs(1) {
                continue;
            }
            source.reports = (0, now);
            for failure in std::mem::take(&mut source.deferred) {
                self.take_failed(id, failure, now);
            }
        }
    }

    /// REPORTs that wait leave at once: their link is about to close.
    pub(super) fn flush_deferred(&mut self, link: LinkId, now: Moment) {
        for id in self.links.get(link).map(|l| l.sources.clone()).unwrap_or_default() {
            let deferred = self.sources.get_mut(id).map(|s| std::mem::take(&mut s.deferred)).unwrap_or_default();
            for failure in deferred {
                self.send_report(id, failure, now);
            }
        }
    }

    fn send_report(&mut self, id: SourceId, failure: Failure, now: Moment) {
        let Some(source) = self.sources.get(id) else { return };
        let link = match source.relay.clone() {
            _ if self.links.contains(source.link) => Some(source.link),
            Some(name) => self.relay_link(&name).or_else(|| self.dial_back(&name, &failure.from_path, now)),
            None => None,
        };
        let Some(link) = link else {
            self.counts.reports_dropped += 1;
            return;
        };
        if on(Bug::LostReport) {
            return;
        }
        let message = failure.message.as_ref().map(Short::as_bytes);
        for _ in 0..1 + u32::from(on(Bug::DoubleReport)) {
            let tid = Tid::random(&mut self.rng);
            self.push_urgent(link, frame_kind(Kind::Request(Method::Report)), |out| {
                let Failure { from_path, token_uri, range, status, .. } = &failure;
                report(out, tid.as_bytes(), from_path, token_uri, message, *range, *status);
            });
        }
        self.counts.reports_made.add(failure.status);
        self.watch_responses(link, now);
        self.touch(link);
    }

    /// A connection to a peer relay that has none to us at the moment, at the address it goes by in From-Path.
    fn dial_back(&mut self, name: &Arc<str>, from_path: &[u8], now: Moment) -> Option<LinkId> {
        let uri = Uri::parse(Path::new(from_path).first()?).ok()?;
        if !uri.host_is(name) || !uri.is_tcp() || uri.scheme() != Scheme::Msrps {
            return None;
        }
        let dial = self.dial(&uri);
        match self.next_hops.get(&dial) {
            Some(link) if self.alive(*link) => Some(*link),
            _ if dial.peer => self.dial_for(dial, Some(name.clone()), now).ok(),
            _ => None,
        }
    }

    // ---- from flow to source, here or there

    pub(super) fn tell_refused(
        &mut self,
        to: SourceRef,
        serial: u32,
        message: Option<Short>,
        status: Status,
        now: Moment,
    ) {
        if to.shard == self.shard {
            self.take_refused(to.source, serial, message, status, now);
        } else {
            self.post_refused(to, serial, message, status);
        }
    }

    pub(super) fn tell_failed(&mut self, to: SourceRef, failure: Failure, now: Moment) {
        if to.shard == self.shard {
            self.take_failed(to.source, failure, now);
        } else {
            self.post_failed(to, failure);
        }
    }

    /// The flow is full: whoever feeds it is stopped.
    pub(super) fn stop_source(&mut self, to: SourceRef, now: Moment) {
        if to.shard != self.shard {
            return;
        }
        let Some(source) = self.sources.get_mut(to.source) else { return };
        let (link, was) = (source.link, source.full);
        if !was {
            source.full = true;
            source.full_since = now;
        }
        let Some(l) = self.links.get_mut(link) else { return };
        // A link of many sessions is not stopped for one of them.
        if was || l.shared() {
            return;
        }
        l.full_flows += 1;
        self.watch_input(link, now);
    }

    /// Octets have left a flow.
    pub(super) fn credit(&mut self, to: SourceRef, octets: u64, drained: bool, now: Moment) {
        if to.shard != self.shard {
            return self.post_credit(to, octets);
        }
        if !drained {
            return;
        }
        let Some(source) = self.sources.get_mut(to.source) else { return };
        let link = source.link;
        if std::mem::replace(&mut source.full, false) {
            self.release_stop(link);
        }
        let _ = now;
    }

    /// One reason less to stop this link, if it was stopped; a local endpoint looks again for room.
    pub(super) fn release_stop(&mut self, link: LinkId) {
        let Some(l) = self.links.get_mut(link) else { return };
        if on(Bug::StopKept) {
            return;
        }
        if l.is_local() {
            self.touch(link);
        } else if !l.shared() {
            l.full_flows = l.full_flows.saturating_sub(1);
            self.resumable.push(link);
        }
    }

    /// A link from a peer relay is not stopped for one session. A message whose flow is full gets 413 once its receiver makes
    /// no progress, or the link's own buffer is used up (RLY-88).
    pub(super) fn overflows(&mut self, id: LinkId, flow: FlowId, now: Moment) -> bool {
        let limits = &self.settings.limits;
        let (patience, link_buffer) = (limits.overflow_patience, limits.link_buffer);
        if !self.links.get(id).is_some_and(|l| l.shared()) {
            return false;
        }
        let Some(f) = self.flows.get(flow).filter(|f| f.full) else { return false };
        now.since(f.last_progress.max(f.full_since)) >= patience || self.buffered_for(id, now) > link_buffer
    }

    /// Octets that wait in flows fed by this link. Counting looks at all of them, so it is not done for each chunk: in
    /// between, what came since counts too.
    pub(super) fn buffered_for(&mut self, id: LinkId, now: Moment) -> usize {
        let Some(link) = self.links.get(id) else { return 0 };
        let (at, octets) = link.fed;
        if octets <= self.settings.limits.link_buffer && now.since(at) < RECOUNT {
            return octets;
        }
        let charged = |s: &SourceId| match self.sources.get(*s).map(|s| (s.target, s.in_flight)) {
            Some((Target::Here(flow), _)) => self.flows.get(flow).map_or(0, |f| f.charged),
            Some((_, in_flight)) => in_flight,
            None => 0,
        };
        let octets = link.sources.iter().map(charged).sum();
        if let Some(link) = self.links.get_mut(id) {
            link.fed = (now, octets);
        }
        octets
    }
}
