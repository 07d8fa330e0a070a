//! What is under way of an anchor that ends, on each of its links: SENDs that arrive are refused, what waits is dropped
//! with `#` where it had begun, and every accepted SEND without an answer gets its REPORT (RFC 4976 section 6.4).

use std::sync::Arc;

use crate::moment::Moment;
use crate::msrp::{ByteRange, Flag, RangeOut, Status, Tid, end_line, forward_request};
use crate::relay::Relay;
use crate::relay::flow::{FlowId, Queued};
use crate::relay::link::{CloseReason, Frame, LinkId, Phase};
use crate::relay::pending::PendingId;
use crate::relay::refusal::Refusal;
use crate::relay::session::TokenId;
use crate::relay::source::{Source, SourceId, Target};
use crate::relay::turn::Turn;

impl Relay {
    /// Ends what these tokens have under way on a link.
    pub(in crate::relay) fn cut_link(&mut self, id: LinkId, tokens: &[TokenId], now: Moment) {
        let Some(link) = self.links.get(id) else { return };
        let of_leg = |s: &Source| tokens.contains(&s.token) || s.inner.is_some_and(|t| tokens.contains(&t));
        let ours = |s: &SourceId| self.sources.get(*s).is_some_and(of_leg);
        let sources: Vec<SourceId> = link.sources.iter().copied().filter(ours).collect();
        // What leaves here may come from a link that is not cut: that of an end which has us as its relay.
        let arrives = |f: &FlowId| self.flows.get(*f).is_some_and(|f| tokens.contains(&f.token));
        let mut flows: Vec<FlowId> = link.flows.iter().copied().filter(arrives).collect();
        for flow in &flows {
            self.cut_flow(*flow, now);
        }
        let mut leads_to = Vec::new();
        for source in &sources {
            match self.sources.get(*source).map(|s| (s.target, s.closed)) {
                Some((Target::Here(flow), _)) => {
                    leads_to.extend(self.flows.get(flow).map(|f| f.link));
                    flows.push(flow);
                    self.cut_flow(flow, now);
                }
                Some((Target::There { shard, flow }, false)) => self.post_cut_flow(shard, flow),
                _ => {}
            }
        }
        // What has failed so has been refused already, but for what nobody is told of.
        let arriving = match self.links.get(id).map(|l| &l.frame) {
            Some(Frame::Chunk { source, serial, .. }) if sources.contains(source) => Some((*source, *serial)),
            _ => None,
        };
        if let Some((source, serial)) = arriving {
            self.refuse_running(id, source, serial, Refusal::NoSession, now);
        }
        // What has left and has no answer: on this link, and where this one's chunks went.
        self.settle_tokens(id, tokens, &flows, now);
        for link in leads_to {
            self.settle_tokens(link, tokens, &flows, now);
        }
    }

    /// The same for one flow, whose source is elsewhere: what has left by it may have come in by another token than a leg's.
    pub(in crate::relay) fn take_cut_flow(&mut self, id: FlowId, now: Moment) {
        let Some(link) = self.flows.get(id).map(|f| f.link) else { return };
        self.cut_flow(id, now);
        self.settle_tokens(link, &[], &[id], now);
    }

    /// Everything that waits in a flow fails. Of a message that has begun to leave the receiver learns that no more comes.
    fn cut_flow(&mut self, id: FlowId, now: Moment) {
        let Some(flow) = self.flows.get(id) else { return };
        let begun = |c: &&Queued| flow.open.is_none() && c.has_body && c.start + c.written > 1;
        if let Some(chunk) = flow.queue.front().filter(begun) {
            let (head, turn, link) = (chunk.head.clone(), chunk.turn.clone(), flow.link);
            let range = ByteRange { start: chunk.start + chunk.written, end: None, total: chunk.total };
            let tid = Tid::random(&mut self.rng);
            self.counts.aborts += 1;
            self.push_urgent(link, 0, |out| {
                forward_request(out, &head, tid.as_bytes(), turn.paths(), RangeOut::Set(range), true);
                end_line(out, tid.as_bytes(), Flag::Abort, true);
            });
            self.touch(link);
        }
        self.fail_flow(id, Status::TIMEOUT, now);
    }

    /// SENDs of these tokens, or by these flows, that await an answer on a link will not have one.
    fn settle_tokens(&mut self, id: LinkId, tokens: &[TokenId], flows: &[FlowId], now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        let pendings = &self.pendings;
        let ours = |p: PendingId| pendings.get(p).is_some_and(|p| of(&p.token_uri, tokens) || flows.contains(&p.flow));
        let unanswered = link.transactions.take_where(|t| ours(t.pending));
        for t in unanswered {
            self.settle_part(t.pending, t.first, t.behind, Err(Status::TIMEOUT), now);
        }
    }

    /// A SEND came in by one of these tokens.
    pub(super) fn concerns(&self, pending: PendingId, tokens: &[TokenId]) -> bool {
        let counted = |f: FlowId| self.flows.get(f).is_some_and(|f| tokens.contains(&f.token));
        self.pendings.get(pending).is_some_and(|p| of(&p.token_uri, tokens) || counted(p.flow))
    }

    /// Closes a link whose anchors are over, unless it serves anything else.
    pub(in crate::relay) fn close_unused(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get(id) else { return };
        let used = !link.owned.is_empty() || !link.far_of.is_empty() || link.client;
        if used || link.meta.relay.is_some() || link.is_local() {
            return;
        }
        let dialling = link.phase == Phase::Dialling;
        self.flush_deferred(id, now);
        if dialling {
            self.close_now(id, CloseReason::Released, now);
        } else {
            self.close_flushing(id, CloseReason::Released, now);
        }
    }

    /// A chunk has come in whose token lives elsewhere. If it leaves elsewhere too, its home would not hear of it.
    pub(in crate::relay) fn tally_abroad(&mut self, id: SourceId, octets: u64, message: bool) {
        let Some(source) = self.sources.get(id).filter(|s| matches!(s.turn, Turn::Leg(_))) else { return };
        let token = source.inner.unwrap_or(source.token);
        let target = match source.target {
            Target::There { shard, .. } => shard,
            _ => self.shard,
        };
        self.post_tally(token, target, octets, message);
    }
}

fn of(token_uri: &Arc<[u8]>, tokens: &[TokenId]) -> bool {
    TokenId::of_uri(token_uri).is_some_and(|t| tokens.contains(&t))
}
