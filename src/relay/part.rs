//! How a chunk leaves in parts: each is a SEND of ours with a transact-id of its own, and ends when its chunk does, when others
//! have to leave, or before our own end-line in its body (RFC 4975 section 7.1.1; RLY-84).

use super::Relay;
use super::bulk::Lane;
use super::egress::Marker;
use super::event::LATENCY_BOUNDS_US;
use super::flow::{Flow, FlowId, OpenPart, Queued, Ready, SMALL};
use super::link::LinkId;
use super::transmit::Transmit;
use crate::moment::Moment;
use crate::msrp::{ByteRange, EndLineGuard, FailureReport, Flag, RangeOut, Tid, end_line, forward_request};
use crate::planted::{Bug, on};

impl Relay {
    /// Writes one part of the flow's front chunk, or begins one that stays open.
    pub(super) fn send_part(&mut self, id: LinkId, flow_id: FlowId, now: Moment, out: &mut Transmit) -> bool {
        let Some(flow) = self.flows.get_mut(flow_id) else { return false };
        let Some(ready) = flow.ready(now) else { return false };
        let Some(chunk) = flow.queue.front_mut() else { return false };
        let (octets, last, whole) = match ready {
            Ready::Part { octets, last } => (octets, last, true),
            Ready::Open => (0, false, false),
        };
        let start = chunk.start + chunk.written;
        let counted = || Tid::parse(format!("{:016}", self.counts.frames_out[0].iter().sum::<u64>()).as_bytes());
        let tid = on(Bug::PredictableTid).then(counted).flatten().unwrap_or_else(|| Tid::random(&mut self.rng));
        chunk.parts += 1;
        if chunk.parts > 1 {
            self.counts.parts_cut += 1;
        }
        let from = out.heads.len();
        let range = range_of(chunk, start, octets, last, whole);
        let deficit = &mut flow.deficit;
        forward_request(
            &mut out.heads,
            &chunk.head,
            tid.as_bytes(),
            chunk.turn.paths(),
            RangeOut::Set(range),
            chunk.has_body,
        );
        out.head(from);
        *deficit -= (out.heads.len() - from) as i64;
        let (pending, report) = (chunk.pending, chunk.failure_report);
        let transport = usize::from(self.links.get(id).is_some_and(|l| l.meta.secure));
        self.counts.frames_out[0][transport] += 1;
        self.counts.frame_octets_out[0][transport] += (out.heads.len() - from) as u64;
        if let Some(pending) = pending {
            if let Some(p) = self.pendings.get_mut(pending) {
                p.open_parts += 1;
                p.link = id;
            }
            if let Some(link) = self.links.get_mut(id) {
                link.transactions.begin(tid, pending, start, report);
            }
        }
        let Some(flow) = self.flows.get_mut(flow_id) else { return false };
        if pending.is_some() && report == FailureReport::Yes {
            flow.awaited += 1;
        }
        flow.open =
            Some(OpenPart { tid, guard: EndLineGuard::new(tid), start, written: 0, opened: now, refused: false });
        if !whole {
            if let Some(link) = self.links.get_mut(id) {
                link.egress.open = Some(flow_id);
            }
            return self.go_on(id, flow_id, now, out);
        }
        let admitted = self.write_body(flow_id, octets, now, out);
        if admitted < octets {
            // The body holds our own end-line: the part ends before it, the rest goes on under another id (RLY-84).
            self.counts.end_lines_in_bodies += 1;
            self.end_part(id, flow_id, Flag::More, now, out);
        } else if last {
            self.end_chunk(id, flow_id, now, out);
        } else {
            self.end_part(id, flow_id, Flag::More, now, out);
        }
        true
    }

    /// Goes on with the part that is on the wire unfinished. False when it has to wait for its sender.
    pub(super) fn go_on(&mut self, id: LinkId, flow_id: FlowId, now: Moment, out: &mut Transmit) -> bool {
        let stall = self.settings.limits.stall_interrupt;
        let Some(link) = self.links.get_mut(id) else { return false };
        let waiting = !link.egress.urgent.is_empty() || !link.egress.ring.is_empty();
        let urgent = !link.egress.urgent.is_empty();
        let Some(flow) = self.flows.get_mut(flow_id) else {
            link.egress.open = None;
            return true;
        };
        let (Some(part), Some(chunk)) = (&flow.open, flow.queue.front()) else {
            link.egress.open = None;
            return true;
        };
        if flow.gives_up_part() {
            self.end_part(id, flow_id, Flag::More, now, out);
            self.change_lanes(flow_id, now);
            return true;
        }
        let there = flow.next_of_open();
        let full = part.written >= flow.max_part;
        // What is nearly done is done before anything else, rather than leave a crumb for another part.
        let nearly_done = chunk.end.is_some() && chunk.buffered == there && there < SMALL;
        if urgent && part.written >= SMALL && !nearly_done {
            self.counts.interruptions += 1;
            self.end_part(id, flow_id, Flag::More, now, out);
            return true;
        }
        if there == 0 {
            let ended = chunk.end.is_some() && chunk.buffered == 0;
            let gives_way_at = flow.gives_way_at(stall).unwrap_or(now);
            let stalled = waiting && part.written > 0 && (part.written >= SMALL || now >= gives_way_at) && !ended;
            if ended {
                self.end_chunk(id, flow_id, now, out);
            } else if full || chunk.end.is_some() || stalled {
                self.counts.interruptions += u64::from(stalled);
                self.end_part(id, flow_id, Flag::More, now, out);
            } else {
                if waiting {
                    self.arm(id, gives_way_at);
                }
                return false;
            }
            return true;
        }
        let admitted = self.write_body(flow_id, there, now, out);
        if admitted < there {
            self.counts.end_lines_in_bodies += 1;
            self.end_part(id, flow_id, Flag::More, now, out);
        } else if waiting && self.flows.get(flow_id).is_some_and(|f| f.used_its_turn() && !f.front_is_done()) {
            self.counts.interruptions += 1;
            self.end_part(id, flow_id, Flag::More, now, out);
        }
        true
    }

    /// Moves up to `octets` of the front chunk into the batch, past the guard. Returns how many the guard let through.
    fn write_body(&mut self, flow_id: FlowId, octets: u64, now: Moment, out: &mut Transmit) -> u64 {
        let limit = self.settings.limits.session_buffer;
        let Some(flow) = self.flows.get_mut(flow_id) else { return octets };
        let Flow { slices, queue, open, charged, .. } = flow;
        let (Some(chunk), Some(part)) = (queue.front_mut(), open.as_mut()) else { return octets };
        let mut left = octets;
        while left > 0 {
            let Some(slice) = slices.front_mut() else { break };
            let want = slice.octets.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let admitted = if on(Bug::OwnEndLine) { want } else { part.guard.admit(&slice.octets[..want]) };
            let whole = admitted == slice.octets.len();
            let piece = if whole { std::mem::take(&mut slice.octets) } else { slice.octets.split_to(admitted) };
            if !piece.is_empty() {
                out.body(piece);
            }
            left -= admitted as u64;
            if whole {
                *charged -= slice.charge;
                self.buffered -= slice.charge;
                slices.pop_front();
            }
            if admitted < want {
                break;
            }
        }
        let moved = octets - left;
        let transport = usize::from(self.links.get(flow.link).is_some_and(|l| l.meta.secure));
        self.counts.frame_octets_out[0][transport] += moved;
        chunk.buffered -= moved;
        chunk.written += moved;
        part.written += moved;
        flow.deficit -= moved as i64;
        flow.count_ahead(moved, limit);
        flow.last_progress = now;
        let drained = flow.drained(limit);
        let back = flow.back;
        self.credit(back, moved, drained);
        moved
    }

    /// Ends the chunk's last part as its sender ended the chunk.
    fn end_chunk(&mut self, id: LinkId, flow_id: FlowId, now: Moment, out: &mut Transmit) {
        let flag = self.flows.get(flow_id).and_then(|f| f.queue.front()).and_then(|c| c.end).unwrap_or(Flag::Complete);
        self.end_part(id, flow_id, flag, now, out);
        self.finish_chunk(flow_id, now);
    }

    /// Ends the part on the wire with this flag.
    fn end_part(&mut self, id: LinkId, flow_id: FlowId, flag: Flag, now: Moment, out: &mut Transmit) {
        let hold = self.settings.limits.hold;
        let (Some(flow), Some(link)) = (self.flows.get_mut(flow_id), self.links.get_mut(id)) else { return };
        let Some(part) = flow.open.take() else { return };
        // What follows of the chunk is collected anew before it leaves.
        flow.hold_until = now + hold;
        let has_body = flow.queue.front().is_some_and(|c| c.has_body);
        let pending = flow.queue.front().and_then(|c| c.pending).filter(|_| part.refused);
        if let Some(failed) = pending.and_then(|p| self.pendings.get_mut(p)).and_then(|p| p.failed.as_mut()) {
            failed.behind = failed.behind.max(part.start + part.written);
        }
        let from = out.heads.len();
        end_line(&mut out.heads, part.tid.as_bytes(), flag, has_body);
        out.head(from);
        out.cut();
        link.egress.open = None;
        if !flow.in_ring {
            flow.in_ring = true;
            link.egress.ring.push_back(flow_id);
        }
        link.transactions.complete(&part.tid, part.start + part.written);
        let at = link.egress.handed_out + out.octets as u64;
        link.egress.markers.push_back(Marker { at, tid: part.tid });
    }

    /// The part on the wire has lost its flow: it ends with `#` before anything else leaves.
    pub(super) fn abort_open_part(&mut self, flow_id: FlowId) {
        let Some(flow) = self.flows.get_mut(flow_id) else { return };
        let Some(part) = flow.open.take() else { return };
        let has_body = flow.queue.front().is_some_and(|c| c.has_body);
        let Some(link) = self.links.get_mut(flow.link) else { return };
        link.egress.open = None;
        let mut line = Vec::new();
        if !on(Bug::OpenPartNotEnded) {
            end_line(&mut line, part.tid.as_bytes(), Flag::Abort, has_body);
        }
        let at = link.egress.handed_out + line.len() as u64;
        link.egress.urgent.splice(0..0, line);
        link.transactions.complete(&part.tid, part.start + part.written);
        link.egress.markers.push_back(Marker { at, tid: part.tid });
        self.counts.aborts += 1;
    }

    /// The front chunk has left completely; the next one may have been waiting behind it.
    pub(super) fn finish_chunk(&mut self, flow_id: FlowId, now: Moment) {
        let hold = self.settings.limits.hold;
        let Some(flow) = self.flows.get_mut(flow_id) else { return };
        let Some(chunk) = flow.queue.pop_front() else { return };
        let cost = chunk.cost();
        flow.charged -= cost;
        self.buffered -= cost;
        flow.last_progress = now;
        flow.last = chunk.end.map(|flag| (flag, chunk.failure_report));
        let (wanted, done) = (matches!(flow.lane, Lane::Wanted(_)), flow.lets_follow());
        if flow.drained(self.settings.limits.session_buffer) {
            let back = flow.back;
            self.credit(back, 0, true);
        }
        let Some(flow) = self.flows.get_mut(flow_id) else { return };
        if let Some(next) = flow.queue.front() {
            flow.hold_until = next.arrived + hold;
        } else if flow.slices.capacity() > 64 || flow.queue.capacity() > 64 {
            flow.slices.shrink_to(4);
            flow.queue.shrink_to(2);
        }
        self.counts
            .forward_latency
            .observe(&LATENCY_BOUNDS_US, u64::try_from(now.since(chunk.arrived).as_micros()).unwrap_or(u64::MAX));
        if let Some(pending) = chunk.pending {
            self.all_parts_out(pending, now);
        }
        if wanted {
            self.change_lanes(flow_id, now);
        }
        if done && let Some(link) = self.flows.get(flow_id).map(|f| f.link) {
            self.let_follow(flow_id, link);
        }
    }
}

impl Flow {
    /// The open part may give way to another session.
    fn used_its_turn(&self) -> bool {
        self.deficit <= 0 && self.open.as_ref().is_some_and(|part| part.written >= SMALL)
    }

    /// All of the front chunk is in the batch: only its end is missing.
    fn front_is_done(&self) -> bool {
        self.queue.front().is_some_and(|c| c.end.is_some() && c.buffered == 0)
    }

    /// Has become empty enough for its source to go on.
    pub(super) fn drained(&mut self, limit: usize) -> bool {
        let drained = self.full && self.charged <= limit / 2;
        self.full &= !drained;
        drained
    }
}

/// The Byte-Range of a part: true numbers where they are known (RFC 4975 section 7.1.1; AMB-24 to 27).
fn range_of(chunk: &Queued, start: u64, octets: u64, last: bool, whole: bool) -> ByteRange {
    let end = start + octets - 1;
    let final_part = whole && last && chunk.end == Some(Flag::Complete);
    let seen = chunk.start + chunk.written + chunk.buffered - 1;
    let total = match chunk.total {
        // `$` tells the truth about the total, whatever was announced.
        _ if final_part => Some(end),
        Some(total) if total >= seen => Some(total),
        _ => None,
    };
    let start = start + u64::from(chunk.parts > 1 && on(Bug::RangeOffByOne));
    ByteRange { start, end: (whole && octets <= SMALL).then_some(end), total }
}
