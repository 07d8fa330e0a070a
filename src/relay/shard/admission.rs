//! The shard that has a token or a far side is asked by another one, once per way: it grants the way, asks for the link, or
//! sends the question on.

use super::super::Relay;
use super::super::bulk::Origin;
use super::super::link::{CloseReason, LinkId, Waiting};
use super::super::refusal::Refusal;
use super::super::route::{Asker, Binding, Place};
use super::super::session::{FarLink, Guest, Owner, TokenId};
use super::super::source::SourceRef;
use super::super::turn::Turn;
use super::asking::Granted;
use super::{Ask, Content, Wanted, wanted_link};
use crate::moment::Moment;
use crate::msrp::Path;

/// Guests of one session that are told of its end.
const GUESTS: usize = 4096;

impl Relay {
    pub(super) fn take_admit(&mut self, ask: Ask, now: Moment) {
        let (to, source) = (ask.asker.at.shard, ask.source);
        let answer = match self.admit_from(&ask, now) {
            Answer::Say(content) => *content,
            // It came here to be moved or sent on; where it is now the asker has it already or will be sent on again. But for
            // a second token, which the asker does not ask for by itself.
            Answer::Elsewhere(shard, Wanted::Token { skip }) if shard == to && !ask.wanted.precedes(skip) => {
                Content::AskAgain { source }
            }
            Answer::Elsewhere(shard, wanted) if ask.passed <= self.settings.shards => {
                let ask = Ask { wanted, passed: ask.passed + 1, ..ask };
                return self.post(shard, Content::Admit(ask));
            }
            Answer::Elsewhere(..) => Content::AskAgain { source },
        };
        match answer {
            // The home of an anchor found both of its links here.
            Content::Admitted(granted) if to == self.shard => self.take_admitted(to, granted, now),
            Content::NotAdmitted { source, refusal } if to == self.shard => {
                self.take_not_admitted(source, refusal, now)
            }
            answer => self.post(to, answer),
        }
    }

    fn admit_from(&mut self, ask: &Ask, now: Moment) -> Answer {
        let Ask { asker, head, .. } = ask;
        let source = ask.source;
        let refused = |refusal| Answer::Say(Box::new(Content::NotAdmitted { source, refusal }));
        let back = SourceRef { shard: asker.at.shard, source };
        let skip = match &ask.wanted {
            Wanted::Link(target) | Wanted::Leg { link: target, .. } => {
                if !self.alive(*target) {
                    return refused(Refusal::NoSession);
                }
                let turn = ask.wanted.turn();
                // A leg's own URI is the last one, behind that of the owner who has us as its relay.
                let uri = head.to_path().and_then(|p| if matches!(turn, Turn::Leg(_)) { p.last() } else { p.first() });
                let Some(token) = uri.and_then(super::session_token) else { return refused(Refusal::Bad) };
                let origin = Origin { leg: matches!(turn, Turn::Leg(_)), ..asker.origin(token) };
                let flow = self.new_flow(*target, back, origin, now);
                let granted = Granted { source, link: asker.at.link, flow, turn, pinned: None };
                return Answer::Say(Box::new(Content::Admitted(granted)));
            }
            Wanted::Token { skip } => *skip,
        };
        let (Some(to), Some(from_path)) = (head.to_path(), head.from_path()) else {
            return refused(Refusal::Bad);
        };
        if skip > 0
            && asker.at.shard != self.shard
            && let Some(answer) = self.meet(ask, to, skip, now)
        {
            return Answer::Say(Box::new(answer));
        }
        let place = match self.admit(asker, to, from_path.first().unwrap_or_default(), skip, now) {
            Ok(place) => place,
            Err(refusal) => return refused(refusal),
        };
        if let Binding::Home(shard, _) = place.to {
            if place.from_owner {
                self.welcome(place.token, back, None);
            }
            return Answer::Elsewhere(shard, Wanted::Token { skip: place.hops });
        }
        if let (Binding::Abroad(far), true) = (&place.to, place.leg.is_some()) {
            for token in [Some(place.token), place.inner].into_iter().flatten() {
                self.welcome(token, back, None);
            }
            return Answer::Elsewhere(far.shard, wanted_link(far.link, &place));
        }
        match self.target_of(&place, to, now) {
            Ok(target) => {
                let origin = Origin { leg: place.leg.is_some(), ..asker.origin(place.counted()) };
                let flow = self.new_flow(target, back, origin, now);
                for token in [Some(place.token), place.inner].into_iter().flatten() {
                    self.welcome(token, back, Some(flow));
                }
                let (link, turn, pinned) = (asker.at.link, place.turn(), self.bound(&place, asker));
                Answer::Say(Box::new(Content::Admitted(Granted { source, link, flow, turn, pinned })))
            }
            Err(refusal) => refused(refusal),
        }
    }

    /// The session knows whom to tell of its end.
    fn welcome(&mut self, token: TokenId, back: SourceRef, flow: Option<super::super::flow::FlowId>) {
        let Some(session) = self.sessions.get_mut(&token) else { return };
        session.guests.retain(|g| g.back != back && g.flow.is_none_or(|f| self.flows.contains(f)));
        if session.guests.len() >= GUESTS {
            session.guests.remove(0);
        }
        session.guests.push(Guest { back, flow });
    }

    /// Two clients of ours on two shards: the one with fewer sessions comes to the other, with equal counts the one on
    /// the higher shard, so that both sides judge alike and two who call each other at once do not change places.
    fn meet(&mut self, ask: &Ask, to: Path<'_>, skip: usize, now: Moment) -> Option<Content> {
        let Ask { asker, source, may_move, .. } = ask;
        let (source, may_move) = (*source, *may_move);
        let token = to.texts().nth(skip).and_then(super::session_token)?;
        let session = self.sessions.get(&token).filter(|s| self.lives(&token, s, now))?;
        let Owner::Link(theirs) = session.owner else { return None };
        let link = self.links.get(theirs)?;
        let order = |sessions: usize, shard: u16| (sessions, std::cmp::Reverse(shard));
        let here = order(link.owned.len(), self.shard);
        let there = order(asker.sessions, asker.at.shard);
        let fewer = here < there;
        if link.at_rest() && (fewer || (!may_move && here.0 <= there.0)) {
            self.move_link(theirs, asker.at.shard, None, now);
            return Some(Content::AskAgain { source });
        }
        if !may_move {
            return None;
        }
        // It is asking elsewhere, perhaps for the asker: where it goes is known in a moment.
        let deciding = matches!(link.waiting, Some(Waiting::Admission { may_move: true, .. }));
        Some(if fewer && deciding { Content::AskAgain { source } } else { Content::MoveHere { source } })
    }

    /// The token of which the asking link is a far side, and that will be told to it when it ends. A peer relay's link is none
    /// where another one of that relay is.
    pub(super) fn bound(&self, place: &Place, asker: &Asker) -> Option<TokenId> {
        let known = |t: &TokenId| self.sessions.get(t).is_some_and(|s| s.far.iter().any(|f| f.link == asker.at));
        place.pinned().filter(known)
    }

    /// The link of this shard that a place means.
    pub(super) fn target_of(&mut self, place: &Place, to: Path<'_>, now: Moment) -> Result<LinkId, Refusal> {
        match &place.to {
            Binding::Link(target) => Ok(*target),
            Binding::Dial(dial) => {
                let far = if place.from_owner && place.inner.is_none() { to.texts().nth(place.hops) } else { None };
                self.dial_link(dial.clone(), place.token, far, now)
            }
            // Only an owner behind a peer relay asks from elsewhere for a far side that is elsewhere too.
            Binding::Abroad(_) | Binding::Home(..) | Binding::Here => Err(Refusal::NoSession),
        }
    }

    // ---- whole requests

    // ---- ends

    /// A far side is gone whose session lives elsewhere.
    pub(in super::super) fn far_gone(&mut self, token: TokenId, link: LinkId, reason: CloseReason) {
        if let Some(shard) = self.whereabouts(&token) {
            let link = self.here(link);
            self.post(shard, Content::FarGone { token, link, reason });
        }
    }

    /// Takes the far side from its session, wherever that has gone.
    pub(in super::super) fn pass_far_gone(&mut self, token: TokenId, link: FarLink, reason: CloseReason, now: Moment) {
        if let Some(session) = self.sessions.get_mut(&token) {
            session.far.retain(|f| f.link != link);
            return self.leg_lost(token, link, reason, now);
        }
        if let Some(shard) = self.whereabouts(&token) {
            self.post(shard, Content::FarGone { token, link, reason });
        }
    }

    /// The other shards that serve this session learn that it is over.
    pub(in super::super) fn tell_guests(&mut self, token: TokenId, session: &super::super::session::Session) {
        let own = self.shard;
        for far in session.far.iter().filter(|f| f.link.shard != own) {
            self.post(far.link.shard, Content::TokenOver { token, link: far.link.link });
        }
        for guest in &session.guests {
            self.post(guest.back.shard, Content::SessionOver { source: guest.back.source });
        }
    }

    pub(super) fn take_token_over(&mut self, token: TokenId, id: LinkId) {
        if let Some(link) = self.links.get_mut(id) {
            link.far_of.retain(|t| *t != token);
            link.legs.retain(|(leg, _)| *leg != token);
        }
    }
}

enum Answer {
    Say(Box<Content>),
    /// Another shard has what the asker wants.
    Elsewhere(u16, Wanted),
}
