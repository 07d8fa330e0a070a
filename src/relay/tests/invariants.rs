//! What must be true of a shard whenever it is at rest.

use std::collections::HashMap;

use crate::msrp::FailureReport;
use crate::relay::Relay;

impl Relay {
    /// Checks the books of this shard against its contents.
    pub(super) fn check(&self) {
        self.check_flows();
        self.check_links();
        self.check_pendings();
        self.check_anchors();
        for (token, session) in &self.sessions {
            for way in &session.ways {
                let here = way.from.shard == self.shard;
                assert!(!here || self.sources.contains(way.source), "{token:?}: a way without its source");
            }
        }
    }

    fn check_flows(&self) {
        let mut charged = 0;
        for (id, flow) in self.flows.iter() {
            let slices: usize = flow.slices.iter().map(|s| s.charge).sum();
            assert_eq!(
                flow.charged,
                slices + flow.queue.iter().map(|c| c.cost()).sum::<usize>(),
                "charge of flow {id:?}"
            );
            charged += flow.charged;
            let octets: u64 = flow.slices.iter().map(|s| s.octets.len() as u64).sum();
            let queued: u64 = flow.queue.iter().map(|c| c.buffered).sum();
            assert_eq!(octets, queued, "octets of flow {id:?}");
            let unended = flow.queue.iter().filter(|c| c.end.is_none()).count();
            assert!(unended <= 1, "flow {id:?} has {unended} chunks that still arrive");
            let link = self.links.get(flow.link).expect("a flow has its link");
            assert!(link.flows.contains(&id), "flow {id:?} is known to its link");
            let in_ring = link.egress.ring.iter().filter(|f| **f == id).count();
            assert_eq!(in_ring, usize::from(flow.in_ring), "ring entries of flow {id:?}");
            assert_eq!(flow.open.is_some(), link.egress.open_flow() == Some(id), "open part of flow {id:?}");
            assert_eq!(flow.held, self.held.contains(&id), "hold of flow {id:?}");
            let holding = link.egress.holding.iter().filter(|f| **f == id).count();
            assert!(holding <= 1, "flow {id:?} is held {holding} times");
        }
        assert_eq!(charged, self.buffered, "octets of the shard");
    }

    fn check_links(&self) {
        for (id, link) in self.links.iter() {
            for flow in link.flows.iter().chain(&link.egress.ring).chain(&link.egress.holding) {
                assert!(self.flows.contains(*flow), "link {id:?} names a flow that is gone");
            }
            for source in &link.sources {
                assert!(self.sources.contains(*source), "link {id:?} names a source that is gone");
            }
            let full = self.sources.iter().filter(|(_, s)| s.link == id && s.full).count();
            let full = if link.shared() { 0 } else { full };
            // Full mailboxes count too.
            let right = if self.settings.shards == 1 { usize::eq } else { usize::ge };
            assert!(right(&(link.full_flows as usize), &full), "stops of link {id:?}");
        }
    }

    fn check_pendings(&self) {
        let mut open = HashMap::new();
        for (_, link) in self.links.iter() {
            for t in link.transactions.live() {
                *open.entry(t.pending).or_insert(0) += 1;
            }
        }
        let mut unsettled = HashMap::new();
        for (id, p) in self.pendings.iter() {
            assert_eq!(p.open_parts, open.get(&id).copied().unwrap_or(0), "parts of {id:?}");
            let queued = self.flows.get(p.flow).is_some_and(|f| f.queue.iter().any(|c| c.pending == Some(id)));
            assert_eq!(!p.all_out, queued, "{id:?} is in its queue until all is out");
            assert!(queued || p.open_parts > 0, "nothing will ever settle {id:?}");
            if p.failure_report == FailureReport::Yes {
                *unsettled.entry(p.flow).or_insert(0) += 1;
            }
        }
        for (id, flow) in self.flows.iter() {
            assert_eq!(flow.unsettled, unsettled.get(&id).copied().unwrap_or(0), "unsettled SENDs of flow {id:?}");
        }
    }

    /// Ways of all sessions.
    pub(super) fn way_count(&self) -> usize {
        self.sessions.values().map(|s| s.ways.len()).sum()
    }

    /// Nothing is left of links, sessions and messages.
    pub(super) fn assert_empty(&self) {
        let left = (self.links.len(), self.sessions.len(), self.flows.len(), self.pendings.len());
        assert_eq!(left, (0, 0, 0, 0), "links, sessions, flows, pendings");
        assert_eq!((self.sources.len(), self.buffered, self.retired.len()), (0, 0, 0), "sources, octets, retired");
        assert!(self.next_hops.is_empty() && self.abroad.is_empty() && self.redirects.is_empty());
        assert!(self.relays.is_empty() && self.anchors.is_empty());
        assert!(self.held.is_empty() && self.dirty.is_empty() && self.resumable.is_empty());
    }
}
