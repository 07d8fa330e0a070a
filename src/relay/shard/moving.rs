//! Links that go to another shard, with all their tokens. The shard that made a token, whose label it bears, always knows
//! where it is or was a moment ago; any other that it has left remembers for a while where it went.

use std::time::Duration;

use super::super::link::{Link, LinkId, Phase};
use super::super::session::{Owner, Session, TokenId};
use super::super::{Output, Relay};
use super::Content;
use crate::moment::Moment;
use crate::msrp::Head;
use crate::planted::{Bug, on};

/// Parcels that were sent after a token are sent on for so long.
const FORWARDING: Duration = Duration::from_secs(60);

/// A link on its way to another shard, with its tokens and the request that made it move.
pub struct MovedLink {
    link: Link,
    sessions: Vec<(TokenId, Session)>,
    replay: Option<(Head, bool)>,
}

impl std::fmt::Debug for MovedLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "link with {} sessions", self.sessions.len())
    }
}

/// Where a token went.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Redirect {
    to: u16,
    /// Moves of the token up to that one, so that old news are known as such.
    moves: u32,
}

impl Link {
    /// Nothing of it is under way, nothing is owed for it and nobody on its shard counts on it: it can move. A frame may be
    /// arriving; it goes on arriving elsewhere.
    pub(in super::super) fn at_rest(&self) -> bool {
        let stays = self.meta.peer.is_none() || (self.meta.relay.is_some() && (!self.meta.bulk || self.dialled));
        !stays
            && self.phase == Phase::Open
            && !self.eof
            && self.waiting.is_none()
            && self.full_flows == 0
            && self.sources.is_empty()
            && self.flows.is_empty()
            && self.far_of.is_empty()
            && self.reverse.is_empty()
            && self.reverse_from_here == 0
            && self.transactions.len() == 0
            && self.egress.at_rest()
    }
}

impl Relay {
    pub(super) fn move_link(&mut self, id: LinkId, to: u16, replay: Option<(Head, bool)>, now: Moment) {
        let Some(mut link) = self.links.remove(id) else { return };
        link.touched = false;
        (link.timer_at, link.look_at) = (Moment::FAR, Moment::FAR);
        self.unregister(id, link.relay_name(), link.dial.as_ref());
        let mut sessions: Vec<_> = link.owned.iter().filter_map(|t| self.sessions.remove(t).map(|s| (*t, s))).collect();
        for (token, session) in &mut sessions {
            session.moves = session.moves.saturating_add(1);
            if on(Bug::MoveWithoutRedirect) {
                continue;
            }
            self.redirects.insert(*token, Redirect { to, moves: session.moves });
            if token.label().is_none_or(|l| l.shard != self.shard) {
                self.forwarding.push_back((now + FORWARDING, *token, session.moves));
            }
        }
        self.counts.links_moved += 1;
        self.outputs.push_back(Output::Move { link: id, to, state: Box::new(MovedLink { link, sessions, replay }) });
    }

    /// A link arrives from another shard. Its new key is returned; whatever it sent and nobody has looked at yet goes on
    /// here, and it may move on at once.
    pub fn handle_adopt(&mut self, moved: Box<MovedLink>, now: Moment) -> LinkId {
        let MovedLink { mut link, sessions, mut replay } = *moved;
        if on(Bug::AdoptionDropsRequest) {
            replay = None;
        }
        if on(Bug::AdoptionDropsInput) {
            link.decoder = crate::msrp::Decoder::new(self.settings.wire);
        }
        let id = self.links.insert(link);
        self.register_relay(id);
        for (token, mut session) in sessions {
            session.owner = match session.owner {
                Owner::Link(_) => Owner::Link(id),
                relay => relay,
            };
            session.owner_link = id;
            // At rest: all that was laid has ended.
            session.ways.clear();
            session.guests.clear();
            self.timers.arm(session.expires.max(now), super::super::timer::Owner::Session(token));
            let moves = session.moves;
            self.redirects.remove(&token);
            self.sessions.insert(token, session);
            if let Some(label) = self.label_elsewhere(&token) {
                self.post(label, Content::Rehomed { token, to: self.shard, moves });
            }
        }
        if let Some((head, has_body)) = replay {
            self.begin_send(id, head, has_body, now);
        }
        // Its clocks are looked at once and armed anew here.
        self.arm(id, now + Duration::from_millis(1));
        self.pump(id, now);
        self.touch(id);
        id
    }

    /// Where to ask for a token that is not here: where it went, or where it was made.
    pub(in super::super) fn whereabouts(&self, token: &TokenId) -> Option<u16> {
        let label = || token.label().filter(|l| l.node == self.settings.node).map(|l| l.shard);
        let shard = self.redirects.get(token).map(|r| r.to).or_else(label)?;
        (shard != self.shard && shard < self.settings.shards).then_some(shard)
    }

    /// Where a token went that was here.
    pub(in super::super) fn redirect(&self, token: &TokenId) -> Option<u16> {
        self.redirects.get(token).map(|r| r.to)
    }

    /// A token that was made here has a new home. One that is not known any more has died meanwhile.
    pub(super) fn take_rehomed(&mut self, token: &TokenId, to: u16, moves: u32) {
        if let Some(redirect) = self.redirects.get_mut(token)
            && redirect.moves < moves
        {
            *redirect = Redirect { to, moves };
        }
    }

    /// A token has died away from where it was made: the redirect there is not needed any more.
    pub(in super::super) fn token_gone(&mut self, token: TokenId) {
        if let Some(label) = self.label_elsewhere(&token) {
            self.post(label, Content::TokenGone { token });
        }
    }

    pub(super) fn take_token_gone(&mut self, token: &TokenId) {
        self.redirects.remove(token);
    }

    /// Nobody sends after these tokens any more.
    pub(in super::super) fn end_forwarding(&mut self, now: Moment) {
        while let Some((_, token, moves)) = self.forwarding.front().copied().filter(|(at, ..)| *at <= now) {
            self.forwarding.pop_front();
            if self.redirects.get(&token).is_some_and(|r| r.moves == moves) {
                self.redirects.remove(&token);
            }
        }
    }

    fn label_elsewhere(&self, token: &TokenId) -> Option<u16> {
        token.label().map(|l| l.shard).filter(|shard| *shard != self.shard && *shard < self.settings.shards)
    }

    /// Moves a link at rest for no reason, for tests. False when it is not at rest.
    #[cfg(test)]
    pub(in super::super) fn force_move(&mut self, id: LinkId, to: u16, now: Moment) -> bool {
        let may = self.links.get(id).is_some_and(Link::at_rest);
        if may {
            self.move_link(id, to, None, now);
        }
        may
    }
}
