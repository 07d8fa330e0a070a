//! Links of legs: made by us, and lost (RFC 4975 section 5.4; RFC 6135 section 4.2.1).

use super::{AnchorId, AnchorNews, Connect, Side};
use crate::moment::Moment;
use crate::msrp::{Flag, Status, Tid, end_line, request_head};
use crate::relay::link::{CloseReason, Link, LinkId};
use crate::relay::session::{FarLink, Owner, TokenId};
use crate::relay::turn::LegPaths;
use crate::relay::{Relay, SessionEnd, flow::FlowId};

/// Names that are verified of the other end of a link.
pub(super) fn names(link: &Link) -> impl Iterator<Item = &str> {
    let relay = link.meta.relay.iter().flat_map(|r| r.dns_names.iter().map(String::as_str));
    let dialled = link.dial.iter().filter(|d| d.secure && d.fingerprints.is_none()).map(|d| d.host.as_str());
    relay.chain(dialled)
}

impl Relay {
    pub(super) fn leg_of(&self, token: &TokenId) -> Option<(AnchorId, Side)> {
        match self.sessions.get(token)?.owner {
            Owner::Leg(id, side) => Some((id, side)),
            _ => None,
        }
    }

    /// A connection of ours is there: for all legs that have waited for it.
    pub(in crate::relay) fn legs_dialled(&mut self, link: LinkId, now: Moment) {
        let tokens = self.links.get(link).map(|l| l.far_of.clone()).unwrap_or_default();
        for token in tokens {
            if let Some((id, side)) = self.leg_of(&token) {
                self.leg_up(id, side, link, now);
            }
        }
    }

    /// The link by which we reach a leg is open. Its certificate must be right, and its end hears from us at once.
    pub(super) fn leg_up(&mut self, id: AnchorId, side: Side, link: LinkId, now: Moment) {
        let Some(leg) = self.anchors.get(id).map(|a| a.leg(side)) else { return };
        let (Some(terms), Some(l)) = (&leg.terms, self.links.get(link)) else { return };
        let (peer, seen, token) = (l.meta.peer, l.meta.fingerprints.clone(), leg.token);
        let active = terms.connect == Connect::Us;
        if !terms.expects.met_by(seen.as_deref(), names(l)) {
            return self.leg_mismatch(id, side, link, now);
        }
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) else { return };
        (leg.peer, leg.seen, leg.connect_by) = (peer, seen, None);
        self.tell(id, AnchorNews::Bound { side, peer });
        self.wake_waiting(id);
        if active && !self.carries_for(link, token) {
            self.greet(id, side, link);
        }
    }

    /// We have connected to somebody who is not the one that the SDP promised.
    fn leg_mismatch(&mut self, id: AnchorId, side: Side, link: LinkId, now: Moment) {
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) else { return };
        (leg.link, leg.connect_by) = (None, None);
        let token = leg.token;
        let peer = self.links.get(link).and_then(|l| l.meta.peer);
        self.unbind_leg(token);
        self.reroute(id, side);
        self.tell(id, AnchorNews::Mismatch { side, peer });
        // Not one octet of what waits there may leave; what others have on the link was verified by what they expect.
        if self.links.get(link).is_some_and(|l| l.owned.is_empty() && l.far_of.is_empty()) {
            self.close_now(link, CloseReason::Certificate, now);
        }
    }

    /// Something waits on this link for the end of this token's leg.
    fn carries_for(&self, link: LinkId, token: TokenId) -> bool {
        let Some((id, side)) = self.leg_of(&token) else { return false };
        let from: Vec<TokenId> =
            self.anchors.get(id).map(|a| a.leg(side.other()).tokens().collect()).unwrap_or_default();
        let waits = |f: &FlowId| self.flows.get(*f).is_some_and(|f| from.contains(&f.token) && !f.queue.is_empty());
        self.links.get(link).is_some_and(|l| l.flows.iter().any(waits))
    }

    /// The active side sends something at once, so that the other can bind the connection (RFC 4975 section 5.4; SDP-25).
    fn greet(&mut self, id: AnchorId, side: Side, link: LinkId) {
        let Some(paths) = self.anchors.get(id).and_then(|a| a.leg(side).paths.clone()) else { return };
        let tid = self.send_greeting(link, &paths, &[]);
        if let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) {
            leg.greeting = Some(tid);
        }
    }

    /// A SEND of ours without a body, with these headers more; its transact-id.
    pub(super) fn send_greeting(&mut self, link: LinkId, paths: &LegPaths, more: &[(&str, &[u8])]) -> Tid {
        let (tid, message) = (Tid::random(&mut self.rng), Tid::random(&mut self.rng));
        let own: [(&str, &[u8]); 2] = [("Message-ID", message.as_bytes()), ("Byte-Range", b"1-0/0")];
        self.push_urgent(link, 0, |out| {
            let headers = [&own, more].concat();
            request_head(out, tid.as_bytes(), "SEND", &paths.to, &paths.from, &headers, None);
            end_line(out, tid.as_bytes(), Flag::Complete, false);
        });
        self.touch(link);
        tid
    }

    /// Whether this is the answer to a SEND by which we made ourselves known.
    #[cold]
    pub(in crate::relay) fn greeted(&mut self, link: LinkId, tid: &Tid, status: Status) -> bool {
        let Some(l) = self.links.get(link) else { return false };
        let legs = l.far_of.iter().filter_map(|t| self.leg_of(t));
        let ours = |(id, side): &(AnchorId, Side)| {
            self.anchors.get(*id).is_some_and(|a| a.leg(*side).greeting.as_ref() == Some(tid))
        };
        let Some((id, side)) = legs.into_iter().find(ours) else { return false };
        if let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) {
            leg.greeting = None;
        }
        self.tell_refusal(id, side, status);
        true
    }

    /// The next hop of a leg has refused what came from the other one.
    #[cold]
    pub(in crate::relay) fn leg_refuses(&mut self, link: LinkId, flow: Option<FlowId>, status: Status, now: Moment) {
        let Some(flow) = flow.and_then(|f| self.flows.get(f)).filter(|f| f.link == link) else { return };
        let token = flow.token;
        if status == Status::TOO_LARGE {
            return self.transfer_stops(token, now);
        }
        if let Some((id, side)) = self.leg_of(&token) {
            self.tell_refusal(id, side.other(), status);
        }
    }

    fn tell_refusal(&mut self, id: AnchorId, side: Side, status: Status) {
        if status == Status::NO_SESSION || status == Status::IN_USE {
            self.tell(id, AnchorNews::Refused { side, status });
        }
    }

    /// A link that was bound to a leg's token is gone. Its URI dies with it: a session is rebuilt by a new offer only (SDP-93,
    /// SDP-94).
    pub(in crate::relay) fn leg_lost(&mut self, token: TokenId, far: FarLink, reason: CloseReason, now: Moment) {
        let Some((id, side)) = self.leg_of(&token) else { return };
        let rebuild = now + self.settings.limits.anchor_rebuild;
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) else { return };
        let current = leg.token == token;
        let bound = leg.link == Some(far);
        if bound {
            leg.link = None;
            leg.connect_by = None;
        }
        if let CloseReason::DialFailed(failure) = reason {
            if bound {
                self.tell(id, AnchorNews::Unreachable { side, failure });
            }
        } else {
            if bound {
                leg.connect_by = Some((rebuild, true));
                self.tell(id, AnchorNews::Lost { side, reason });
            }
            if current || self.anchors.get(id).is_some_and(|a| a.leg(side).older.contains(&token)) {
                self.end_session(&token, SessionEnd::OwnerGone, now);
            }
        }
        if bound {
            self.reroute(id, side);
            self.arm_anchor(id);
        }
    }
}
