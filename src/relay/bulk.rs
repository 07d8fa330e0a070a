//! Bulk links: a big message between relays of our kind leaves the link that all sessions share, so that its slow receiver
//! can be waited for and nobody else waits (msrp-relay.md 6).
//!
//! A flow toward a peer relay asks for a link of its own when a message in it is large or when it has filled half its
//! buffer. It goes on sending meanwhile, for one buffer more. When the link is there, the flow rests until all its parts have their answers, so
//! that the peer has them in order, and goes over with the next part. Between two messages nobody has to answer. The link is
//! used for all that follows in the session, and closed when it was idle.
//!
//! At the receiving relay a session then has two flows to its owner, from two links: the later one waits for the earlier.

use std::sync::Arc;
use std::time::Duration;

use super::flow::{Flow, FlowId, SMALL};
use super::link::{Dial, Link, LinkId, Phase};
use super::session::TokenId;
use super::{CloseReason, Relay};
use crate::moment::Moment;
use crate::msrp::{FailureReport, Flag, Uri};
use crate::planted::{Bug, on};

/// A bulk link without traffic is closed after this.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// Where the octets of a flow come from: two flows of one origin carry one session.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) token: TokenId,
    /// The previous hop is this relay.
    pub(super) relay: Option<Arc<str>>,
    /// They come by a bulk link.
    pub(super) bulk: bool,
    /// They go to a leg of an anchor, whose path may change between two flows.
    pub(super) leg: bool,
}

/// How far a flow is on its way to a bulk link.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Lane {
    /// On the link that sessions share.
    #[default]
    Shared,
    /// This link is being made for it, or waits until the flow may go over.
    Wanted(LinkId),
    /// On a bulk link.
    Bulk,
    /// There is none for it.
    Declined,
}

impl Flow {
    /// No part may be begun now: it is about to leave its link, or an earlier flow of its session is not empty.
    pub(super) fn waits(&self) -> bool {
        self.parked || self.after.is_some()
    }

    /// Who follows may go on: this flow has nothing, and nothing that was to come before is under way to it.
    pub(super) fn lets_follow(&self) -> bool {
        self.followed && self.queue.is_empty() && !self.trailing
    }

    /// The part on the wire ends where it can, so that the flow may leave its link.
    pub(super) fn gives_up_part(&self) -> bool {
        let (Some(part), Some(chunk)) = (&self.open, self.queue.front()) else { return false };
        let more = chunk.end.is_none() || chunk.buffered > 0;
        self.parked && more && part.written > 0 && (part.written >= SMALL || chunk.buffered == 0)
    }

    /// What leaves before the bulk link is there is for the shared link, on which nobody is stopped: no more than a buffer.
    pub(super) fn count_ahead(&mut self, octets: u64, buffer: usize) {
        if let Lane::Wanted(_) = self.lane {
            self.ahead += octets;
            self.parked |= self.ahead >= buffer as u64 && self.may_change_lanes();
        }
    }

    /// Whether the next part may go another way than those before it without overtaking them: those await their answers, or
    /// they belong to another message.
    fn may_change_lanes(&self) -> bool {
        match (self.queue.front(), self.last) {
            (Some(chunk), _) if chunk.failure_report == FailureReport::Yes => true,
            (Some(chunk), _) => chunk.start == 1 && chunk.written == 0,
            (None, Some((Flag::More, report))) => report == FailureReport::Yes,
            (None, _) => true,
        }
    }
}

impl Relay {
    // ---- the sending relay

    /// A chunk has joined the flow, or more of it: it may be too much for a shared link.
    pub(super) fn consider_bulk(&mut self, id: FlowId, now: Moment) {
        let buffer = self.settings.limits.session_buffer;
        let Some(flow) = self.flows.get(id).filter(|f| f.lane == Lane::Shared) else { return };
        let Some(chunk) = flow.queue.back() else { return };
        let reaches = (chunk.start - 1).saturating_add(chunk.written + chunk.buffered);
        let large = chunk.total.unwrap_or(0).max(reaches) > buffer as u64;
        if !large && flow.charged <= buffer / 2 {
            return;
        }
        let Some(link) = self.links.get(flow.link).filter(|l| l.phase == Phase::Open) else { return };
        let dial = self.bulk_dial(link, flow);
        let user = self.sessions.get(&flow.token).map(|s| s.user.clone());
        let user = user.or_else(|| link.relay_name().cloned());
        self.lanes += 1;
        let lane = self.lanes;
        let bulk = dial.zip(user).and_then(|(dial, user)| self.dial_for(Dial { lane, ..dial }, Some(user), now).ok());
        if let Some(link) = bulk.and_then(|b| self.links.get_mut(b)) {
            link.bulk_for = Some(id);
        }
        if let Some(flow) = self.flows.get_mut(id) {
            flow.lane = bulk.map_or(Lane::Declined, Lane::Wanted);
        }
    }

    /// Where a bulk link to the relay behind this link leads, if it takes any.
    fn bulk_dial(&self, link: &Link, flow: &Flow) -> Option<Dial> {
        let name = link.relay_name().filter(|_| link.meta.secure && link.meta.own_kind && !link.meta.bulk)?;
        self.settings.peers.get(&**name).filter(|p| p.bulk && p.multiplex)?;
        let port = link.dial.as_ref().and_then(|d| d.port).or_else(|| next_port(flow, name))?;
        let host = name.to_string();
        Some(Dial { secure: true, host, port: Some(port), bulk: true, lane: 0, peer: true, fingerprints: None })
    }

    /// A bulk link is connected.
    pub(super) fn bulk_dialled(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get(id).filter(|l| l.is_own_bulk()) else { return };
        let fit =
            link.meta.own_kind && link.relay_name().is_some_and(|n| link.dial.as_ref().is_some_and(|d| *d.host == **n));
        match link.bulk_for {
            Some(flow) if fit => self.change_lanes(flow, now),
            _ => self.close_now(id, CloseReason::Idle, now),
        }
    }

    /// Goes over to the bulk link if that is there and nothing is under way on this one; else rests until it is so.
    pub(super) fn change_lanes(&mut self, id: FlowId, _now: Moment) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        let Lane::Wanted(bulk) = flow.lane else { return };
        if !self.links.get(bulk).is_some_and(|l| l.phase == Phase::Open) {
            return;
        }
        flow.parked = flow.may_change_lanes();
        let old = flow.link;
        let awaited = flow.awaited > 0 && !on(Bug::LaneOvertakes);
        if !flow.parked || flow.open.is_some() || awaited {
            return self.touch(old);
        }
        (flow.link, flow.lane, flow.parked) = (bulk, Lane::Bulk, false);
        (flow.in_ring, flow.holding) = (false, false);
        if let Some(link) = self.links.get_mut(old) {
            link.flows.retain(|f| *f != id);
            link.egress.forget(id);
        }
        let max_part = self.max_part(bulk);
        if let Some(flow) = self.flows.get_mut(id) {
            flow.max_part = max_part;
        }
        if let Some(link) = self.links.get_mut(bulk) {
            link.flows.push(id);
        }
        self.counts.bulk_switches += 1;
        self.wake(id);
    }

    /// The bulk link that this flow wanted is gone before it was used.
    pub(super) fn bulk_lost(&mut self, link: LinkId, flow: Option<FlowId>) {
        if let Some(id) = flow
            && let Some(flow) = self.flows.get_mut(id)
            && flow.lane == Lane::Wanted(link)
        {
            (flow.lane, flow.parked) = (Lane::Declined, false);
            self.wake(id);
        }
    }

    /// Our bulk link serves nobody any more, or nobody has used it for long and no message is half sent.
    pub(super) fn bulk_is_idle(&self, id: LinkId, now: Moment) -> bool {
        let Some(link) = self.links.get(id).filter(|l| l.is_own_bulk()) else { return false };
        let wanted = link.bulk_for.and_then(|f| self.flows.get(f)).is_some_and(|f| f.lane == Lane::Wanted(id));
        if wanted || link.transactions.awaited() > 0 || link.egress.outstanding() > 0 {
            return false;
        }
        let last = link.last_input.max(link.egress.last_progress);
        let rests = |f: &Flow| f.queue.is_empty() && f.last.is_none_or(|(flag, _)| flag != Flag::More);
        let used = link.flows.iter().filter_map(|f| self.flows.get(*f));
        link.flows.is_empty() || (last + IDLE <= now && used.into_iter().all(rests))
    }

    // ---- the receiving relay

    /// A flow by which something that came earlier of this session from this relay still leaves: what comes by a bulk link
    /// leaves after it, as does what goes to a leg under other paths than before. Its octets may still be in a mailbox,
    /// answered as they are: `from`, whence the new flow comes, may be faster.
    pub(super) fn earlier_flow(&mut self, target: LinkId, origin: &Origin, from: u16) -> Option<FlowId> {
        let link = self.links.get(target).filter(|_| origin.leg || (origin.bulk && origin.relay.is_some()))?;
        let here = self.shard;
        let trails = |f: &Flow| !f.orphan && f.back.shard != here && f.back.shard != from;
        let same = |f: &Flow| f.token == origin.token && f.relay == origin.relay && (!f.queue.is_empty() || trails(f));
        let known = |id: &FlowId| self.flows.get(*id).is_some_and(same);
        let all: Vec<FlowId> = link.flows.iter().copied().filter(known).collect();
        for id in &all {
            let Some(flow) = self.flows.get_mut(*id) else { continue };
            flow.followed = true;
            if trails(flow) && !std::mem::replace(&mut flow.trailing, true) {
                let shard = flow.back.shard;
                self.post_barrier(shard, *id);
            }
        }
        all.last().copied()
    }

    /// All that was posted for this flow before somebody followed it is there.
    pub(super) fn take_passed(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(id) else { return };
        flow.trailing = false;
        let (link, done) = (flow.link, flow.lets_follow());
        if done {
            self.let_follow(id, link);
        }
    }

    /// This flow is empty or gone: whoever waits for it goes on, or waits for another one that came before it.
    pub(super) fn let_follow(&mut self, id: FlowId, link: LinkId) {
        let flows = self.links.get(link).map(|l| l.flows.clone()).unwrap_or_default();
        for (at, follower) in flows.iter().enumerate() {
            let Some(flow) = self.flows.get(*follower).filter(|f| f.after == Some(id)) else { continue };
            let before = |f: &Flow| f.token == flow.token && f.relay == flow.relay && f.followed && !f.lets_follow();
            let next = flows[..at].iter().rfind(|f| **f != id && self.flows.get(**f).is_some_and(before)).copied();
            if let Some(flow) = self.flows.get_mut(*follower) {
                flow.after = next;
            }
            if next.is_none() {
                self.wake(*follower);
            }
        }
    }
}

impl Link {
    /// A bulk link that we have made.
    pub(super) fn is_own_bulk(&self) -> bool {
        self.dialled && self.meta.bulk
    }
}

/// The address that a chunk names for the relay it goes to next.
fn next_port(flow: &Flow, name: &str) -> Option<u16> {
    let chunk = flow.queue.front()?;
    let uri = Uri::parse(chunk.turn.next(chunk.head.to_path()?)?).ok()?;
    uri.host_is(name).then_some(uri.port()).flatten()
}
