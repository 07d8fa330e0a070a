//! What must be true of anchors whenever their shard is at rest.

use crate::relay::Relay;
use crate::relay::session::Owner;

impl Relay {
    /// Checks that anchors and their tokens lead to each other.
    pub(in crate::relay) fn check_anchors(&self) {
        for (token, session) in &self.sessions {
            let Owner::Leg(id, side) = session.owner else { continue };
            let anchor = self.anchors.get(id).expect("a leg has its anchor");
            assert!(anchor.ending.is_none(), "{token:?}: a token of an anchor that is over");
            assert!(anchor.leg(side).tokens().any(|t| t == *token), "{token:?} is unknown to its leg");
            assert!(session.far.len() <= 1, "{token:?} has one end");
        }
        for (id, anchor) in self.anchors.iter() {
            for leg in &anchor.legs {
                let gone = leg
                    .older
                    .iter()
                    .chain(leg.renewal.as_ref().map(|(t, _)| t))
                    .find(|t| !self.sessions.contains_key(*t));
                assert!(gone.is_none(), "{id:?} keeps a token that has ended");
                let lost = leg.link.is_some_and(|l| l.shard == self.shard && !self.links.contains(l.link));
                assert!(!lost, "{id:?} keeps a link that is gone");
            }
            assert!(anchor.waiting.len() <= 16, "{id:?}: links that wait");
        }
    }
}
