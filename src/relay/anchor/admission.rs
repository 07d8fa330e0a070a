//! Who may send on a leg, and where that goes: the one point where an anchored session differs from any other (RFC 4975
//! section 8; RFC 8122 section 6.2).

use super::{AnchorId, AnchorNews, Side};
use crate::moment::Moment;
use crate::msrp::Path;
use crate::relay::Relay;
use crate::relay::refusal::Refusal;
use crate::relay::route::{Asker, Binding, Place};
use crate::relay::session::TokenId;

/// Links whose request may wait for one anchor.
const WAITING: usize = 16;

impl Relay {
    /// A request whose To-Path leads to our URI on a leg, behind `skip` URIs of ours that have been dealt with: none, or the
    /// one by which its end has us as its relay. Nothing may follow; the first link that satisfies what the SDP promised keeps
    /// the leg while it lives, and what it sends goes to the other leg.
    #[cold]
    #[allow(clippy::too_many_arguments)]
    pub(in crate::relay) fn admit_leg(
        &mut self,
        asker: &Asker,
        token: TokenId,
        (id, side): (AnchorId, Side),
        to: Path<'_>,
        from_first: &[u8],
        skip: usize,
        now: Moment,
    ) -> Result<Place, Refusal> {
        if skip > 1 || to.texts().nth(skip + 1).is_some() {
            return Err(Refusal::NoSession);
        }
        let leg = self.anchors.get(id).map(|a| a.leg(side)).ok_or(Refusal::NoSession)?;
        let renewal = leg.renewal.as_ref().is_some_and(|(t, _)| *t == token);
        let Some(terms) = leg.terms.as_ref().filter(|_| !renewal) else {
            // Whose certificate may use it is not known before the answer (SDP-60).
            return Err(self.wait_for_anchor(id, asker, Refusal::Unanswered));
        };
        let bound = self.sessions.get(&token).is_some_and(|s| s.far.iter().any(|f| f.link == asker.at));
        // A URI that was replaced stays good for whom it was given to.
        let replaced = bound && leg.token != token;
        let by = to.first().filter(|_| skip > 0).and_then(TokenId::of_uri);
        if !replaced && terms.through(&self.settings) != by {
            return Err(Refusal::NoSession);
        }
        if !bound {
            if leg.former.contains(&asker.at) && !terms.is_from(from_first) {
                // The fork that did not get the call.
                return Err(Refusal::NoSession);
            }
            let names = asker.relay.iter().flat_map(|r| r.dns_names.iter().map(String::as_str));
            if !terms.expects.met_by(asker.fingerprints.as_deref(), names) {
                self.tell(id, AnchorNews::Mismatch { side, peer: asker.address });
                return Err(Refusal::Certificate);
            }
            self.pin(asker, token, from_first)?;
            self.leg_bound(id, side, token, asker);
        }
        let other = self.anchors.get(id).map(|a| a.leg(side.other())).ok_or(Refusal::NoSession)?;
        let to = match other.link {
            Some(far) if far.shard != self.shard => Some(Binding::Abroad(far)),
            Some(far) if self.alive(far.link) => Some(Binding::Link(far.link)),
            _ => None,
        };
        let Some((to, paths)) = to.zip(other.paths.clone()) else {
            return Err(self.wait_for_anchor(id, asker, Refusal::Unconnected));
        };
        if let Some(session) = self.sessions.get_mut(&token) {
            session.last_used = now;
        }
        Ok(Place { token, inner: None, from_owner: false, hops: 1, leg: Some(paths), to })
    }

    /// The asker is told when it may try again.
    fn wait_for_anchor(&mut self, id: AnchorId, asker: &Asker, refusal: Refusal) -> Refusal {
        let Some(anchor) = self.anchors.get_mut(id) else { return Refusal::NoSession };
        if anchor.waiting.contains(&asker.at) {
            return refusal;
        }
        if anchor.waiting.len() >= WAITING {
            // Those that have gone make room.
            anchor.waiting.retain(|far| far.shard != self.shard || self.links.contains(far.link));
        }
        if anchor.waiting.len() >= WAITING {
            return Refusal::NoSession;
        }
        anchor.waiting.push(asker.at);
        refusal
    }

    /// A link has become the far side of a leg's token.
    fn leg_bound(&mut self, id: AnchorId, side: Side, token: TokenId, asker: &Asker) {
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) else { return };
        let before = leg.link;
        if leg.token == token || before.is_none() {
            leg.change_link(Some(asker.at));
            leg.peer = asker.address;
            leg.seen = asker.fingerprints.clone();
            leg.connect_by = None;
        }
        let moved = leg.link != before;
        self.post_bound(token, asker.at);
        if moved {
            self.reroute(id, side);
            self.tell(id, AnchorNews::Bound { side, peer: asker.address });
            self.wake_waiting(id);
        }
    }
}
