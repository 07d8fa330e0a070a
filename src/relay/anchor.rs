//! Anchored sessions: two legs that the control plane has negotiated by SDP and that meet here (RFC 4975 section 8).
//!
//! A leg is a token like any other, but nobody owns it: it was made by a command and not by AUTH, and who is on its far
//! side is the leg's own end. What comes in on one leg leaves on the other as the same chunks, with the *target path* of
//! that side's SDP as To-Path and our URI there as From-Path; neither end sees the other's path. Only admission differs:
//! sources, flows, egress, pendings and reports are those of every session.
//!
//! ```text
//! reserve_anchor ─> two URIs ─> set_leg (offer or answer known: path, who connects, certificate) ─> traffic
//!                               renew_leg, set_leg (new offer: another URI, the old one good for a while)
//!                               release_anchor (BYE: what was accepted leaves; else at once) ─> Ended
//! ```
//!
//! What happens meanwhile is told as [`AnchorNews`].

mod admission;
mod binding;
mod cut;
mod expects;
mod hold;
mod news;
mod release;
mod stopped;
mod terms;
mod through;

use std::net::SocketAddr;
use std::sync::Arc;

pub use expects::Expects;
pub(super) use hold::Held;
pub use news::AnchorNews;
pub use terms::{AnchorError, Connect, LegTerms};
pub(super) use through::Attach;

use super::arena::Key;
use super::session::{FarLink, Owner, Session, SessionEnd, Tally, TokenId};
use super::tokens::token_uri;
use super::turn::LegPaths;
use super::{Authority, Event, Output, Relay, SessionRecord, timer};
use crate::moment::Moment;
use crate::msrp::{Scheme, Tid};
use crate::sdp::Fingerprint;

/// Links of a leg that are remembered when others have taken their place.
const FORMER: usize = 8;

/// Key of an anchor on its shard.
pub type AnchorId = Key<Anchor>;

/// One of the two legs of an anchor: A is that of whoever sent the first offer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// The offerer's.
    A,
    /// The answerer's.
    B,
}

impl Side {
    /// Both.
    pub const BOTH: [Side; 2] = [Side::A, Side::B];

    /// The other leg.
    pub fn other(self) -> Side {
        match self {
            Side::A => Side::B,
            Side::B => Side::A,
        }
    }
}

/// What an anchor is reserved for.
#[derive(Clone, Debug)]
pub struct AnchorWish {
    /// The listeners by which the ends of A and B shall reach us; names of ours.
    pub at: [Authority; 2],
    /// For whom, in records and views.
    pub user: Arc<str>,
}

/// A reserved anchor.
#[derive(Clone, Debug)]
pub struct Reserved {
    /// Its key on this shard.
    pub anchor: AnchorId,
    /// Our URIs on the legs A and B, for the paths that go to those sides.
    pub uris: [Arc<[u8]>; 2],
}

/// Two legs that belong together.
pub struct Anchor {
    /// Public name, from the first token of A.
    name: String,
    user: Arc<str>,
    legs: [Leg; 2],
    created: Moment,
    /// Given up then, unless both legs have their terms.
    reserved_until: Option<Moment>,
    /// When it is over, unless new terms follow a stopped file.
    followed_by: Option<Moment>,
    /// Links whose request waits for something here.
    waiting: Vec<FarLink>,
    ending: Option<release::Ending>,
    /// When its timer fires next.
    timer_at: Moment,
}

/// One side of an anchor.
struct Leg {
    at: Authority,
    token: TokenId,
    uri: Arc<[u8]>,
    /// Made for an answer that is not given yet.
    renewal: Option<(TokenId, Arc<[u8]>)>,
    /// Replaced, good for what is under way.
    older: Vec<TokenId>,
    terms: Option<LegTerms>,
    /// Toward it, once its path is known.
    paths: Option<Arc<LegPaths>>,
    /// Where requests to it leave.
    link: Option<FarLink>,
    /// Where they left before, and may still be awaited.
    former: Vec<FarLink>,
    peer: Option<SocketAddr>,
    /// Of the certificate that its end showed.
    seen: Option<Arc<[Fingerprint]>>,
    /// When its link must be there, and whether it had been there before.
    connect_by: Option<(Moment, bool)>,
    /// The SEND by which we made ourselves known.
    greeting: Option<Tid>,
    /// Of tokens that have ended.
    tally: Tally,
}

impl Leg {
    fn new(at: Authority, token: TokenId, uri: Arc<[u8]>) -> Leg {
        Leg {
            at,
            token,
            uri,
            renewal: None,
            older: Vec::new(),
            terms: None,
            paths: None,
            link: None,
            former: Vec::new(),
            peer: None,
            seen: None,
            connect_by: None,
            greeting: None,
            tally: Tally::default(),
        }
    }

    /// Requests leave by this link from now on.
    fn change_link(&mut self, link: Option<FarLink>) {
        let before = std::mem::replace(&mut self.link, link);
        if before != self.link
            && let Some(before) = before
            && !self.former.contains(&before)
        {
            self.former.truncate(FORMER - 1);
            self.former.insert(0, before);
        }
    }

    /// All that lead here.
    fn tokens(&self) -> impl Iterator<Item = TokenId> + '_ {
        let renewal = self.renewal.as_ref().map(|(token, _)| *token);
        [self.token].into_iter().chain(renewal).chain(self.older.iter().copied())
    }
}

impl Anchor {
    fn leg(&self, side: Side) -> &Leg {
        &self.legs[side as usize]
    }

    fn leg_mut(&mut self, side: Side) -> &mut Leg {
        &mut self.legs[side as usize]
    }

    /// Whether it counts on being called then.
    pub(super) fn is_armed_for(&self, at: Moment) -> bool {
        self.timer_at == at
    }

    fn tokens(&self) -> Vec<TokenId> {
        self.legs.iter().flat_map(Leg::tokens).collect()
    }

    // ---- for an audit

    pub(super) fn is_ending(&self) -> bool {
        self.ending.is_some()
    }

    pub(super) fn knows(&self, side: Side, token: TokenId) -> bool {
        self.leg(side).tokens().any(|t| t == token)
    }

    /// Tokens beside the current ones.
    pub(super) fn kept_tokens(&self) -> impl Iterator<Item = TokenId> + '_ {
        let renewals = self.legs.iter().filter_map(|l| l.renewal.as_ref().map(|(token, _)| *token));
        self.legs.iter().flat_map(|l| l.older.iter().copied()).chain(renewals)
    }

    pub(super) fn links(&self) -> impl Iterator<Item = FarLink> + '_ {
        self.legs.iter().filter_map(|l| l.link)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

impl Relay {
    /// Reserves two legs. They have 180 seconds to get their terms ([`set_leg`](Relay::set_leg)); requests that come
    /// before that wait.
    pub fn reserve_anchor(&mut self, wish: AnchorWish, now: Moment) -> Result<Reserved, AnchorError> {
        let AnchorWish { at, user } = wish;
        if self.draining {
            return Err(AnchorError::Draining);
        }
        if self.anchors.len() >= self.settings.limits.anchors || self.short_of_memory(80) {
            return Err(AnchorError::Full);
        }
        if at.iter().any(|a| !self.settings.authorities.contains(a)) {
            return Err(AnchorError::UnknownAuthority);
        }
        let legs = at.map(|at| {
            let token = self.new_token();
            let uri = token_uri(&at, &token);
            Leg::new(at, token, uri)
        });
        let uris = [legs[0].uri.clone(), legs[1].uri.clone()];
        let until = now + self.settings.limits.anchor_reserve;
        let id = self.anchors.insert(Anchor {
            name: legs[0].token.public(),
            user,
            legs,
            created: now,
            reserved_until: Some(until),
            followed_by: None,
            waiting: Vec::new(),
            ending: None,
            timer_at: Moment::FAR,
        });
        for side in Side::BOTH {
            let of = self.anchors.get(id).map(|a| (a.leg(side).token, a.leg(side).uri.clone(), a.leg(side).at.scheme));
            if let Some((token, uri, scheme)) = of {
                self.add_leg_token(id, side, token, uri, scheme, now);
            }
        }
        self.counts.anchors_reserved += 1;
        self.arm_anchor(id);
        Ok(Reserved { anchor: id, uris })
    }

    /// A token leads to a leg from now on.
    fn add_leg_token(&mut self, id: AnchorId, side: Side, token: TokenId, uri: Arc<[u8]>, scheme: Scheme, now: Moment) {
        let Some(anchor) = self.anchors.get(id) else { return };
        let (secure, owner) = (scheme == Scheme::Msrps, Owner::Leg(id, side));
        self.sessions.insert(token, Session::new(uri, secure, owner, anchor.user.clone(), now));
    }

    /// A token of a leg has ended: what it carried counts on.
    pub(super) fn leave_leg(&mut self, id: AnchorId, side: Side, token: &TokenId, tally: &Tally) {
        let Some(anchor) = self.anchors.get_mut(id) else { return };
        let leg = anchor.leg_mut(side);
        leg.older.retain(|t| t != token);
        leg.renewal.take_if(|(t, _)| t == token);
        leg.tally.octets_to_owner += tally.octets_to_owner;
        leg.tally.messages_to_owner += tally.messages_to_owner;
        let through = leg.terms.as_ref().and_then(|t| t.through(&self.settings));
        // Who has gone on with the link that it had comes by no other now.
        let (current, link, over) = (leg.token, leg.link, anchor.ending.is_some());
        if let Some(owner) = through {
            self.end_inner_ways(owner, &[*token]);
        }
        let unbound = self.sessions.get(&current).is_some_and(|s| s.far.is_empty());
        if let Some(link) = link.filter(|_| unbound && !over) {
            self.bind_leg(current, link);
        }
    }

    /// A chunk that came in on a leg elsewhere and left elsewhere.
    pub(super) fn take_tally(&mut self, token: &TokenId, octets: u64, message: bool) {
        if let Some(session) = self.sessions.get_mut(token) {
            session.tally.add(false, octets, message);
        }
    }

    /// Octets and messages that have come in on a leg.
    fn came_in(&self, anchor: &Anchor, side: Side) -> (u64, u64) {
        let leg = anchor.leg(side);
        let living = leg.tokens().filter_map(|t| self.sessions.get(&t)).map(|s| &s.tally);
        living.chain([&leg.tally]).fold((0, 0), |sum, t| (sum.0 + t.octets_to_owner, sum.1 + t.messages_to_owner))
    }

    /// Name of the anchor, and what its other end has sent and got by this leg.
    pub(super) fn leg_view(&self, id: AnchorId, side: Side) -> Option<(String, Tally)> {
        let anchor = self.anchors.get(id)?;
        let (from, to) = (self.came_in(anchor, side), self.came_in(anchor, side.other()));
        let tally = Tally {
            octets_from_owner: from.0,
            octets_to_owner: to.0,
            messages_from_owner: from.1,
            messages_to_owner: to.1,
        };
        Some((anchor.name.clone(), tally))
    }

    /// Address of a leg's end.
    pub(super) fn leg_peer(&self, id: AnchorId, side: Side) -> Option<SocketAddr> {
        self.anchors.get(id)?.leg(side).peer
    }

    fn tell(&mut self, id: AnchorId, news: AnchorNews) {
        self.outputs.push_back(Output::Event(Event::Anchor { shard: self.shard, anchor: id, news }));
    }

    /// The record of an anchor that is over.
    fn anchor_record(&self, id: AnchorId, end: SessionEnd, now: Moment) -> Option<SessionRecord> {
        let anchor = self.anchors.get(id)?;
        let (_, tally) = self.leg_view(id, Side::A)?;
        let target = anchor.leg(Side::B).terms.as_ref().and_then(LegTerms::end_host);
        Some(SessionRecord {
            id: anchor.name.clone(),
            user: anchor.user.clone(),
            owner: anchor.leg(Side::A).peer,
            relay: None,
            far_host: target,
            tally,
            duration: now.since(anchor.created),
            end,
        })
    }

    // ---- time

    /// Arms for the first of an anchor's deadlines.
    fn arm_anchor(&mut self, id: AnchorId) {
        let Some(anchor) = self.anchors.get_mut(id) else { return };
        let legs = anchor.legs.iter().filter_map(|l| l.connect_by).map(|(at, _)| at);
        let ending = anchor.ending.as_ref().map(release::Ending::next);
        let next = match ending {
            Some(at) => Some(at),
            None => legs.chain(anchor.reserved_until).chain(anchor.followed_by).min(),
        };
        if let Some(at) = next.filter(|at| *at < anchor.timer_at) {
            anchor.timer_at = at;
            self.timers.arm(at, timer::Owner::Anchor(id));
        }
    }

    /// A deadline of an anchor has passed, perhaps one that does not count any more.
    pub(super) fn anchor_timeout(&mut self, id: AnchorId, now: Moment) {
        let Some(anchor) = self.anchors.get_mut(id) else { return };
        anchor.timer_at = Moment::FAR;
        if anchor.ending.is_some() {
            self.go_on_ending(id, now);
            return self.arm_anchor(id);
        }
        if anchor.reserved_until.is_some_and(|at| at <= now) {
            self.release_anchor(id, SessionEnd::Expired, now);
            return;
        }
        self.transfer_is_over(id, now);
        for side in Side::BOTH {
            let leg = self.anchors.get_mut(id).map(|a| a.leg_mut(side));
            if let Some((_, again)) = leg.and_then(|l| l.connect_by.take_if(|(at, _)| *at <= now)) {
                self.tell(id, if again { AnchorNews::NotRebuilt { side } } else { AnchorNews::Unconnected { side } });
            }
        }
        self.arm_anchor(id);
    }
}
