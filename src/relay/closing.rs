//! Closing on purpose: for want of memory or descriptors, for a relay that is none any more, at a drain and at the end.

use std::time::Duration;

use super::link::{CloseReason, Frame, LinkId, Phase};
use super::session::{Owner, SessionEnd};
use super::{Link, Relay};
use crate::moment::Moment;
use crate::msrp::Status;

impl Relay {
    /// Closes up to `most` links that no session uses, the longest idle first (RFC 4976 section 6.5). Returns how many.
    pub fn shed(&mut self, most: usize, now: Moment) -> usize {
        let mut idle: Vec<(Moment, LinkId)> = self
            .links
            .iter()
            .filter(|(_, l)| !l.in_session() && l.phase == Phase::Open && l.meta.peer.is_some())
            .map(|(id, l)| (l.last_input, id))
            .collect();
        idle.sort_unstable();
        idle.truncate(most);
        for (_, id) in &idle {
            self.close_now(*id, CloseReason::Shortage, now);
        }
        idle.len()
    }

    /// Closes the link that holds most buffers, of those whose receiver takes nothing if there are any. False when none holds
    /// any.
    pub(super) fn close_largest(&mut self, now: Moment) -> bool {
        let held = |l: &Link| l.flows.iter().filter_map(|f| self.flows.get(*f)).map(|f| f.charged).sum::<usize>();
        let stalled =
            |l: &Link| l.egress.outstanding() > 0 && now.since(l.egress.last_progress) > Duration::from_secs(1);
        let largest = self.links.iter().map(|(id, l)| (stalled(l), held(l), id)).filter(|(_, held, _)| *held > 0).max();
        let Some((.., id)) = largest else { return false };
        self.close_now(id, CloseReason::Shortage, now);
        true
    }

    /// Ends the links of peer relays that are not on the list any more, and the sessions they obtained for others.
    pub(super) fn demote_relays(&mut self, now: Moment) {
        let listed = |name: &str| self.settings.peers.contains_key(name);
        let links: Vec<_> =
            self.links.iter().filter(|(_, l)| l.relay_name().is_some_and(|n| !listed(n))).map(|(id, _)| id).collect();
        let foreign = |s: &super::session::Session| matches!(&s.owner, Owner::Relay(name) if !listed(name));
        let tokens: Vec<_> = self.sessions.iter().filter(|(_, s)| foreign(s)).map(|(t, _)| *t).collect();
        for token in tokens {
            self.end_session(&token, SessionEnd::Operator, now);
        }
        for link in links {
            self.close_flushing(link, CloseReason::Shutdown, now);
        }
    }

    /// Whether the link still exists.
    pub fn has_link(&self, id: LinkId) -> bool {
        self.links.contains(id)
    }

    /// No new sessions from now on; those that are bound go on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Closes all links that no session uses, after their last frames: who is there comes back to the process that has taken over.
    pub fn dismiss(&mut self, now: Moment) {
        let idle = |l: &Link| !l.in_session() && l.phase == Phase::Open && l.meta.peer.is_some();
        let links: Vec<_> = self.links.iter().filter(|(_, l)| idle(l)).map(|(id, _)| id).collect();
        for link in links {
            self.close_flushing(link, CloseReason::Shutdown, now);
        }
    }

    /// Whether no session with traffic is left.
    pub fn drained(&self) -> bool {
        self.sessions.values().all(|s| s.far.is_empty()) && self.pendings.is_empty()
    }

    /// Ends everything that is left of a drain: running chunks with `#`, their senders told, links closed after their last
    /// frames.
    pub fn shut_down(&mut self, now: Moment) {
        let links: Vec<_> = self.links.iter().map(|(id, _)| id).collect();
        for id in &links {
            if let Some(Frame::Chunk { source, serial, .. }) = self.links.get(*id).map(|l| &l.frame) {
                self.refuse_running(*id, *source, *serial, super::refusal::Refusal::NoSession, now);
            }
        }
        // While every sender still has its link: what is under way has failed, and is told.
        let flows: Vec<_> = self.flows.iter().map(|(id, _)| id).collect();
        for flow in flows {
            self.fail_flow(flow, Status::TIMEOUT, now);
        }
        for id in &links {
            let unanswered: Vec<_> = self.links.get_mut(*id).map(|l| l.transactions.drain()).unwrap_or_default();
            for t in unanswered {
                self.settle_part(t.pending, t.first, t.behind, Err(Status::TIMEOUT), now);
            }
        }
        self.end_anchors(now);
        let tokens: Vec<_> = self.sessions.keys().copied().collect();
        for token in tokens {
            self.end_session(&token, SessionEnd::Drained, now);
        }
        for id in links {
            self.close_flushing(id, CloseReason::Shutdown, now);
        }
    }
}
