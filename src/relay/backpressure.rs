//! Who sends faster than the next hop reads is stopped, or if its link is shared refused (RLY-88).

use std::time::Duration;

use super::Relay;
use super::flow::FlowId;
use super::link::LinkId;
use super::source::{SourceId, SourceRef, Target};
use crate::moment::Moment;
use crate::planted::{Bug, on};

/// How long a count of what a link feeds is good.
const RECOUNT: Duration = Duration::from_millis(100);

impl Relay {
    /// A flow that holds as much as it may stops its source.
    pub(super) fn stop_if_full(&mut self, id: FlowId, now: Moment) {
        let limit = self.settings.limits.session_buffer;
        let Some(flow) = self.flows.get_mut(id).filter(|f| !f.full && f.over(limit)) else { return };
        flow.full = true;
        flow.full_since = now;
        let back = flow.back;
        self.stop_source(back, now);
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
    pub(super) fn credit(&mut self, to: SourceRef, octets: u64, drained: bool) {
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
