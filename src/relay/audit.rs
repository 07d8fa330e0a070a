//! The books of a shard against its contents, for whoever runs it in a simulation, a fuzzer or a test: it looks at
//! everything, so nobody should ask for it while there is work to do.

use std::collections::HashMap;

use super::Relay;
use super::session::Owner;
use crate::msrp::FailureReport;

/// Links that may wait for one anchor.
const WAITING: usize = 16;

/// What does not agree. The text names keys, never tokens.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Discrepancy {
    /// A flow is charged with something else than what it holds.
    #[error("flow {flow} is charged {charged} for {held}")]
    FlowCharge {
        /// Key of the flow.
        flow: String,
        /// What it is charged with, in octets.
        charged: usize,
        /// What its slices and chunks cost.
        held: usize,
    },
    /// The octets in a flow's slices are not those of its chunks.
    #[error("flow {flow} has {slices} octets in slices and {queued} in chunks")]
    FlowOctets {
        /// Key of the flow.
        flow: String,
        /// Octets in slices.
        slices: u64,
        /// Octets that its chunks count.
        queued: u64,
    },
    /// More than one chunk of a flow is still arriving.
    #[error("flow {0} has {1} chunks that still arrive")]
    Unended(String, usize),
    /// A flow and its link do not know of each other, or not alike.
    #[error("flow {0}: {1}")]
    FlowPlace(String, &'static str),
    /// The shard's sum of octets in flows is wrong.
    #[error("the shard counts {counted} octets and holds {held}")]
    ShardOctets {
        /// What it counts.
        counted: usize,
        /// What its flows are charged with.
        held: usize,
    },
    /// A link names something that is gone.
    #[error("link {0} names a {1} that is gone")]
    Dangling(String, &'static str),
    /// A link is stopped for something else than its full flows and mailboxes.
    #[error("link {link} has {stops} stops for {full} full flows")]
    Stops {
        /// Key of the link.
        link: String,
        /// Reasons that it counts.
        stops: usize,
        /// Reasons that there are.
        full: usize,
    },
    /// An accepted SEND counts other parts than those on the wire.
    #[error("{0} counts {1} open parts of {2}")]
    OpenParts(String, u32, u32),
    /// An accepted SEND is neither in its queue nor on the wire, or in the queue though all of it is out.
    #[error("{0}: nothing will ever settle it")]
    Unsettleable(String),
    /// A flow counts other SENDs that await an answer than there are.
    #[error("flow {0} counts {1} unsettled SENDs of {2}")]
    Unsettled(String, usize, usize),
    /// A session has a way without a source.
    #[error("{0} has a way without its source")]
    Way(String),
    /// An anchor and its tokens do not lead to each other.
    #[error("{0}: {1}")]
    Anchor(String, &'static str),
}

impl Relay {
    /// Checks the books of this shard against its contents; the first thing that is wrong. To be called when the shard is
    /// settled.
    pub fn audit(&self) -> Result<(), Discrepancy> {
        self.audit_flows()?;
        self.audit_links()?;
        self.audit_pendings()?;
        self.audit_anchors()?;
        for (token, session) in &self.sessions {
            let lost = |way: &&super::session::Way| way.from.shard == self.shard && !self.sources.contains(way.source);
            if session.ways.iter().any(|way| lost(&way)) {
                return Err(Discrepancy::Way(format!("{token:?}")));
            }
        }
        Ok(())
    }

    /// What is left of links, sessions and messages, by kind, with deadlines: nothing, when all have gone and the longest
    /// clock has run out.
    pub fn remains(&self) -> Vec<(&'static str, usize)> {
        let kinds = [
            ("links", self.links.len()),
            ("sessions", self.sessions.len()),
            ("anchors", self.anchors.len()),
            ("sources", self.sources.len()),
            ("retired sources", self.retired.len()),
            ("flows", self.flows.len()),
            ("pendings", self.pendings.len()),
            ("redirects", self.redirects.len()),
            ("ways abroad", self.abroad.len()),
            ("lost chunks", self.lost.len()),
            ("next hops", self.next_hops.len()),
            ("peer relays", self.relays.len()),
            ("look-ups given up", self.abandoned.len()),
            ("held flows", self.held.len() + self.dirty.len()),
            ("links to resume", self.resumable.len()),
            ("octets", self.buffered()),
            ("deadlines", self.timers.len()),
        ];
        kinds.into_iter().filter(|(_, n)| *n > 0).collect()
    }

    fn audit_flows(&self) -> Result<(), Discrepancy> {
        let mut held = 0;
        for (id, flow) in self.flows.iter() {
            let name = || format!("{id:?}");
            let slices: usize = flow.slices.iter().map(|s| s.charge).sum();
            let costs = slices + flow.queue.iter().map(|c| c.cost()).sum::<usize>();
            if flow.charged != costs {
                return Err(Discrepancy::FlowCharge { flow: name(), charged: flow.charged, held: costs });
            }
            held += flow.charged;
            let slices: u64 = flow.slices.iter().map(|s| s.octets.len() as u64).sum();
            let queued: u64 = flow.queue.iter().map(|c| c.buffered).sum();
            if slices != queued {
                return Err(Discrepancy::FlowOctets { flow: name(), slices, queued });
            }
            let unended = flow.queue.iter().filter(|c| c.end.is_none()).count();
            if unended > 1 {
                return Err(Discrepancy::Unended(name(), unended));
            }
            let Some(link) = self.links.get(flow.link) else {
                return Err(Discrepancy::FlowPlace(name(), "its link is gone"));
            };
            let in_ring = link.egress.ring.iter().filter(|f| **f == id).count();
            let places = [
                (link.flows.contains(&id), "its link does not know it"),
                (in_ring == usize::from(flow.in_ring), "wrong entries in the ring"),
                (flow.open.is_some() == (link.egress.open_flow() == Some(id)), "whose part is open is disputed"),
                (flow.held == self.held.contains(&id), "whether it is held is disputed"),
                (link.egress.holding.iter().filter(|f| **f == id).count() <= 1, "held more than once"),
            ];
            if let Some((_, what)) = places.iter().find(|(right, _)| !right) {
                return Err(Discrepancy::FlowPlace(name(), what));
            }
        }
        if held != self.buffered {
            return Err(Discrepancy::ShardOctets { counted: self.buffered, held });
        }
        Ok(())
    }

    fn audit_links(&self) -> Result<(), Discrepancy> {
        for (id, link) in self.links.iter() {
            let name = || format!("{id:?}");
            let mut flows = link.flows.iter().chain(&link.egress.ring).chain(&link.egress.holding);
            if flows.any(|f| !self.flows.contains(*f)) {
                return Err(Discrepancy::Dangling(name(), "flow"));
            }
            if link.sources.iter().any(|s| !self.sources.contains(*s)) {
                return Err(Discrepancy::Dangling(name(), "source"));
            }
            let full = self.sources.iter().filter(|(_, s)| s.link == id && s.full).count();
            let full = if link.shared() { 0 } else { full };
            let mailboxes = self.mailboxes.iter().filter(|m| m.stops(id)).count();
            let stops = link.full_flows as usize;
            if stops != full + mailboxes {
                return Err(Discrepancy::Stops { link: name(), stops, full: full + mailboxes });
            }
        }
        Ok(())
    }

    fn audit_pendings(&self) -> Result<(), Discrepancy> {
        let mut open = HashMap::new();
        for (_, link) in self.links.iter() {
            for t in link.transactions.live() {
                *open.entry(t.pending).or_insert(0) += 1;
            }
        }
        // The rest of a failed chunk that comes from another shard counts as a part.
        for pending in self.lost.values().filter_map(|lost| lost.failing()) {
            *open.entry(pending).or_insert(0) += 1;
        }
        let mut unsettled = HashMap::new();
        for (id, p) in self.pendings.iter() {
            let name = || format!("{id:?}");
            let parts = open.get(&id).copied().unwrap_or(0);
            if p.open_parts != parts {
                return Err(Discrepancy::OpenParts(name(), p.open_parts, parts));
            }
            let queued = self.flows.get(p.flow).is_some_and(|f| f.queue.iter().any(|c| c.pending == Some(id)));
            if p.all_out == queued || (p.all_out && p.open_parts == 0) {
                return Err(Discrepancy::Unsettleable(name()));
            }
            if p.failure_report == FailureReport::Yes {
                *unsettled.entry(p.flow).or_insert(0) += 1;
            }
        }
        for (id, flow) in self.flows.iter() {
            let right = unsettled.get(&id).copied().unwrap_or(0);
            if flow.unsettled != right {
                return Err(Discrepancy::Unsettled(format!("{id:?}"), flow.unsettled, right));
            }
        }
        Ok(())
    }

    fn audit_anchors(&self) -> Result<(), Discrepancy> {
        for (token, session) in &self.sessions {
            let Owner::Leg(id, side) = session.owner else { continue };
            let wrong = match self.anchors.get(id) {
                None => "a leg without its anchor",
                Some(anchor) if anchor.is_ending() => "a token of an anchor that is over",
                Some(anchor) if !anchor.knows(side, *token) => "unknown to its leg",
                _ if session.far.len() > 1 => "more than one end",
                _ => continue,
            };
            return Err(Discrepancy::Anchor(format!("{token:?}"), wrong));
        }
        for (id, anchor) in self.anchors.iter() {
            let wrong = if anchor.kept_tokens().any(|t| !self.sessions.contains_key(&t)) {
                "keeps a token that has ended"
            } else if anchor.links().any(|l| l.shard == self.shard && !self.links.contains(l.link)) {
                "keeps a link that is gone"
            } else if anchor.waiting() > WAITING {
                "too many links wait"
            } else {
                continue;
            };
            return Err(Discrepancy::Anchor(format!("{id:?}"), wrong));
        }
        Ok(())
    }
}
