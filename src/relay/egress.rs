//! What leaves on a link, in which order and in which pieces (RFC 4975 section 7.1.1).
//!
//! Responses, REPORTs and other whole frames go first. Sessions that share the link take turns, measured in octets. A
//! chunk whose octets are all there leaves in one [part](super::part); one that is still arriving is begun after its hold and
//! gives way, ended with `+`, to whatever else has to leave.

use std::collections::VecDeque;

use super::flow::{Flow, FlowId};
use super::link::{LinkId, Phase};
use super::pending::PendingId;
use super::transmit::Transmit;
use super::{Output, Relay};
use crate::moment::Moment;
use crate::msrp::Tid;
use crate::planted::{Bug, on};

/// Octets of SEND data that a session may write before another one gets its turn.
const QUANTUM: i64 = 16 << 10;
/// A session that wrote more than its turn allows makes up for it, but for no more than this.
const DEBT: i64 = 16 * QUANTUM;

/// The end of a part in the stream of octets handed out.
pub(super) struct Marker {
    pub(super) at: u64,
    pub(super) tid: Tid,
}

/// The outgoing side of a link.
#[derive(Default)]
pub(super) struct Egress {
    /// Whole frames that go first.
    pub(super) urgent: Vec<u8>,
    /// Flows with something to send, in turn.
    pub(super) ring: VecDeque<FlowId>,
    /// The flow whose part is on the wire unfinished.
    pub(super) open: Option<FlowId>,
    /// Flows whose front chunk waits for its end.
    pub(super) holding: Vec<FlowId>,
    pub(super) handed_out: u64,
    written: u64,
    pub(super) markers: VecDeque<Marker>,
    pub(super) last_progress: Moment,
}

impl Egress {
    /// Gives back the room that a busy time has needed.
    pub(super) fn rest(&mut self) {
        self.urgent.shrink_to_fit();
        self.ring.shrink_to_fit();
        self.holding.shrink_to_fit();
        self.markers.shrink_to_fit();
    }

    /// Octets of whole frames that wait.
    pub(super) fn queued_urgent(&self) -> usize {
        self.urgent.len()
    }

    /// Octets handed out and not yet taken by the socket.
    pub(super) fn outstanding(&self) -> u64 {
        self.handed_out - self.written
    }

    /// Nothing waits, and all that was handed out has been written.
    pub(super) fn at_rest(&self) -> bool {
        self.urgent.is_empty()
            && self.ring.is_empty()
            && self.open.is_none()
            && self.outstanding() == 0
            && self.markers.is_empty()
    }

    pub(super) fn open_flow(&self) -> Option<FlowId> {
        self.open
    }

    pub(super) fn forget(&mut self, flow: FlowId) {
        self.ring.retain(|f| *f != flow);
        self.holding.retain(|f| *f != flow);
        if self.open == Some(flow) {
            self.open = None;
        }
    }
}

impl Relay {
    /// A whole frame to be sent on this link before any SEND data, charged until it leaves.
    pub(super) fn push_urgent(&mut self, id: LinkId, kind: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let Some(link) = self.links.get_mut(id) else { return };
        let before = link.egress.urgent.len();
        write(&mut link.egress.urgent);
        let (octets, transport) = (link.egress.urgent.len() - before, usize::from(link.meta.secure));
        self.urgent += octets;
        self.counts.frames_out[kind][transport] += 1;
        self.counts.frame_octets_out[kind][transport] += octets as u64;
    }

    /// Fills `out` with about `room` octets that are to be written on this link next; empty when there is nothing. Call it
    /// again only when `handle_written` has acknowledged all of the batch before.
    pub fn poll_transmit(&mut self, id: LinkId, room: usize, now: Moment, out: &mut Transmit) {
        out.clear();
        let Some(link) = self.links.get_mut(id) else { return };
        if link.phase == Phase::Dialling || link.egress.outstanding() > 0 {
            return;
        }
        while out.octets < room && self.transmit_next(id, now, out) {}
        let Some(link) = self.links.get_mut(id) else { return };
        if out.octets > 0 {
            if link.egress.outstanding() == 0 {
                link.egress.last_progress = now;
            }
            link.egress.handed_out += out.octets as u64;
            self.handed_out += out.octets;
            self.counts.octets_out[usize::from(link.meta.secure)] += out.octets as u64;
            let at = now + self.settings.limits.write_stall;
            self.arm(id, at);
        } else {
            self.finish_flush(id, now);
        }
    }

    /// Adds the next piece of work to the batch; false when there is none that may leave now.
    fn transmit_next(&mut self, id: LinkId, now: Moment, out: &mut Transmit) -> bool {
        let Some(link) = self.links.get_mut(id) else { return false };
        if let Some(flow) = link.egress.open {
            return self.go_on(id, flow, now, out);
        }
        if !link.egress.urgent.is_empty() {
            let from = out.heads.len();
            self.urgent -= link.egress.urgent.len().min(self.urgent);
            out.heads.append(&mut link.egress.urgent);
            out.head(from);
            out.cut();
            if link.egress.urgent.capacity() > 64 << 10 {
                link.egress.urgent = Vec::new();
            }
            if link.paused {
                self.resumable.push(id);
            }
            return true;
        }
        while let Some(flow_id) = self.links.get_mut(id).and_then(|l| l.egress.ring.pop_front()) {
            let Some(flow) = self.flows.get_mut(flow_id) else { continue };
            flow.deficit = flow.deficit.clamp(-DEBT, 0) + QUANTUM;
            if on(Bug::TurnNeverEnds) {
                flow.deficit = i64::MAX;
            }
            let mut sent = false;
            // Between two chunks it may have gone over to a bulk link: what follows must not leave here.
            while flow_may_send(self.flows.get(flow_id).filter(|f| f.link == id), now) {
                sent |= self.send_part(id, flow_id, now, out);
                if self.links.get(id).is_some_and(|l| l.egress.open.is_some()) {
                    break;
                }
            }
            self.leave_turn(id, flow_id, now);
            if sent {
                return true;
            }
        }
        false
    }

    /// The flow's turn is over: it queues again if it has more, and ends if nobody feeds it any more.
    fn leave_turn(&mut self, id: LinkId, flow_id: FlowId, now: Moment) {
        let Some(flow) = self.flows.get_mut(flow_id).filter(|f| f.link == id) else { return };
        flow.in_ring = false;
        if flow.queue.is_empty() && flow.orphan {
            self.end_flow(flow_id);
        } else if flow.waits() {
            // It is woken when it may go on.
        } else if flow.open.is_none() && flow.ready(now).is_some() {
            flow.in_ring = true;
            if let Some(link) = self.links.get_mut(id) {
                link.egress.ring.push_back(flow_id);
                if on(Bug::TurnNeverEnds) {
                    link.egress.ring.rotate_right(1);
                }
            }
        } else if flow.open.is_none() && !flow.queue.is_empty() && !flow.held && now < flow.hold_until {
            flow.held = true;
            self.held.push(flow_id);
        }
    }

    /// The socket has taken `octets` of the batch.
    pub fn handle_written(&mut self, id: LinkId, octets: usize, now: Moment) {
        let wait = self.settings.limits.transaction;
        let Some(link) = self.links.get_mut(id) else { return };
        let egress = &mut link.egress;
        let before = egress.written;
        egress.written = (egress.written + octets as u64).min(egress.handed_out);
        self.handed_out -= (egress.written - before) as usize;
        egress.last_progress = now;
        let mut sent = false;
        let mut forgotten: Vec<PendingId> = Vec::new();
        while egress.markers.front().is_some_and(|m| m.at <= egress.written) {
            if let Some(marker) = egress.markers.pop_front() {
                sent = true;
                forgotten.extend(link.transactions.sent(marker.tid, now).map(|t| t.pending));
            }
        }
        let more = octets > 0 && egress.outstanding() == 0;
        for pending in forgotten {
            self.settle_silently(pending, now);
        }
        if sent {
            self.arm(id, now + wait);
        }
        if more {
            self.touch(id);
        }
    }

    /// A link that only had to get rid of its last frames closes when they are written.
    pub(super) fn finish_flush(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get(id) else { return };
        if let Phase::Flushing { reason, .. } = link.phase
            && link.egress.outstanding() == 0
            && link.egress.urgent.is_empty()
        {
            self.forget_link(id, reason, now);
            self.outputs.push_back(Output::Close { link: id, reason });
        }
    }
}

fn flow_may_send(flow: Option<&Flow>, now: Moment) -> bool {
    flow.is_some_and(|f| f.deficit > 0 && f.open.is_none() && !f.waits() && f.ready(now).is_some())
}
