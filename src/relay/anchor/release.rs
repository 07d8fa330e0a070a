//! How an anchor ends: its URIs die at once; at a BYE what was accepted before has two seconds to leave, then everything
//! that is under way fails and is told, and the links that served nothing else are closed (RFC 3261 section 15; SDP-77).

use std::sync::Arc;
use std::time::Duration;

use super::{AnchorId, AnchorNews};
use crate::moment::Moment;
use crate::planted::{Bug, on};
use crate::relay::link::LinkId;
use crate::relay::session::{FarLink, TokenId};
use crate::relay::{Relay, SessionEnd};

/// While an anchor drains it is looked at so often.
const LOOK: Duration = Duration::from_millis(100);
/// What other shards have to tell of an anchor's end gets here within this.
const ABROAD: Duration = Duration::from_secs(1);

/// An anchor on its way out.
pub(super) struct Ending {
    end: SessionEnd,
    tokens: Arc<[TokenId]>,
    links: Vec<FarLink>,
    stage: Stage,
}

#[derive(Clone, Copy)]
enum Stage {
    /// What was accepted leaves, until then at most.
    Draining { until: Moment, look_at: Moment },
    /// Everything has been cut; shards elsewhere have until then to tell of it.
    Cut { until: Moment },
}

impl Ending {
    pub(super) fn next(&self) -> Moment {
        match self.stage {
            Stage::Draining { until, look_at } => until.min(look_at),
            Stage::Cut { until } => until,
        }
    }
}

impl Relay {
    /// Ends an anchor: after a BYE ([`SessionEnd::Bye`]) what was accepted still leaves, for anything else all ends at once.
    /// New requests get 481 from now on. [`AnchorNews::Ended`] tells when all is done. False when there is none.
    pub fn release_anchor(&mut self, id: AnchorId, end: SessionEnd, now: Moment) -> bool {
        let Some(anchor) = self.anchors.get_mut(id) else { return false };
        let drain = end == SessionEnd::Bye;
        if let Some(ending) = &mut anchor.ending {
            if !drain && let Stage::Draining { .. } = ending.stage {
                ending.end = end;
                self.cut_anchor(id, now);
            }
            return true;
        }
        let tokens: Arc<[TokenId]> = anchor.tokens().into();
        let mut links: Vec<FarLink> =
            anchor.legs.iter().flat_map(|l| l.link.into_iter().chain(l.former.iter().copied())).collect();
        for token in tokens.iter() {
            links.extend(self.sessions.get(token).into_iter().flat_map(|s| s.far.iter().map(|f| f.link)));
        }
        links.sort_unstable_by_key(|l| (l.shard, l.link));
        links.dedup();
        let until = now + self.settings.limits.anchor_drain;
        let Some(anchor) = self.anchors.get_mut(id) else { return false };
        let stage = Stage::Draining { until, look_at: now + LOOK };
        anchor.ending = Some(Ending { end, tokens: tokens.clone(), links, stage });
        // Whoever is lost from now on is not told to its leg: that has no token any more.
        anchor.legs.iter_mut().for_each(|leg| leg.link = None);
        for token in tokens.iter().skip(usize::from(on(Bug::AnchorLegLeft))) {
            self.end_session(token, end, now);
        }
        self.wake_waiting(id);
        if drain {
            self.go_on_ending(id, now);
            self.arm_anchor(id);
        } else {
            self.cut_anchor(id, now);
        }
        true
    }

    /// All anchors, when the relay stops.
    pub(in crate::relay) fn end_anchors(&mut self, now: Moment) {
        let anchors: Vec<AnchorId> = self.anchors.iter().map(|(id, _)| id).collect();
        for id in anchors {
            self.release_anchor(id, SessionEnd::Drained, now);
            // Nobody comes back to it.
            self.finish_anchor(id, now);
        }
    }

    /// Ends an anchor by its public name or that of one of its tokens (an operator's wish).
    pub(in crate::relay) fn end_anchor_by_name(&mut self, name: &str, now: Moment) -> bool {
        let named = |a: &super::Anchor| a.name == name || a.tokens().iter().any(|t| t.public() == name);
        let found = self.anchors.iter().find(|(_, a)| a.ending.is_none() && named(a)).map(|(id, _)| id);
        found.is_some_and(|id| self.release_anchor(id, SessionEnd::Operator, now))
    }

    /// The next step of an anchor that is ending, if it is due or nothing is left to wait for.
    pub(super) fn go_on_ending(&mut self, id: AnchorId, now: Moment) {
        let Some(ending) = self.anchors.get(id).and_then(|a| a.ending.as_ref()) else { return };
        match ending.stage {
            Stage::Draining { until, .. } => {
                // What is under way elsewhere is not known here.
                let busy = |l: &FarLink| l.shard != self.shard || self.busy_for(l.link, &ending.tokens);
                if until <= now || !ending.links.iter().any(busy) {
                    self.cut_anchor(id, now);
                } else if let Some(ending) = self.anchors.get_mut(id).and_then(|a| a.ending.as_mut()) {
                    ending.stage = Stage::Draining { until, look_at: now + LOOK };
                }
            }
            Stage::Cut { until } if until <= now => self.finish_anchor(id, now),
            Stage::Cut { .. } => {}
        }
    }

    /// What has not left by now fails, and is told while every sender still has its link.
    fn cut_anchor(&mut self, id: AnchorId, now: Moment) {
        let Some(ending) = self.anchors.get_mut(id).and_then(|a| a.ending.as_mut()) else { return };
        ending.stage = Stage::Cut { until: now + ABROAD };
        let (tokens, links) = (ending.tokens.clone(), ending.links.clone());
        let mut abroad = false;
        // Both, and then both again: what the one link awaits was sent by the other.
        for link in &links {
            if link.shard == self.shard {
                self.cut_link(link.link, &tokens, now);
            } else {
                abroad = true;
                self.post_cut(*link, tokens.clone());
            }
        }
        if abroad { self.arm_anchor(id) } else { self.finish_anchor(id, now) }
    }

    fn finish_anchor(&mut self, id: AnchorId, now: Moment) {
        let Some(ending) = self.anchors.get_mut(id).and_then(|a| a.ending.take()) else { return };
        let record = self.anchor_record(id, ending.end, now);
        self.anchors.remove(id);
        for link in ending.links {
            if link.shard == self.shard { self.close_unused(link.link, now) } else { self.post_close_unused(link) }
        }
        if let Some(record) = record {
            self.tell(id, AnchorNews::Ended(Box::new(record)));
        }
    }

    /// Something of these tokens is under way on a link.
    fn busy_for(&self, id: LinkId, tokens: &[TokenId]) -> bool {
        let Some(link) = self.links.get(id) else { return false };
        let queued = |f| self.flows.get(f).is_some_and(|f| tokens.contains(&f.token) && !f.queue.is_empty());
        let arriving = |s| self.sources.get(s).is_some_and(|f| tokens.contains(&f.token)) && link.carries(s);
        link.flows.iter().copied().any(queued)
            || link.sources.iter().copied().any(arriving)
            || link.transactions.any(|t| self.concerns(t.pending, tokens))
    }
}
