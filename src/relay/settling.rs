//! An accepted SEND whose failure counts ends exactly once: its parts settle one by one, and when all is known what has failed is
//! told to its source (RFC 4976 section 6.4; `report` says how the source tells it).

use super::Relay;
use super::flow::FlowId;
use super::pending::PendingId;
use super::short::Short;
use super::source::{Failure, poisons};
use super::timer::Owner;
use crate::moment::Moment;
use crate::msrp::{FailureReport, Flag, Status};

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
        self.credit(back, freed, drained);
        self.wake(id);
    }
}
