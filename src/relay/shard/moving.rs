//! Links that go to another shard, with all their tokens. What moved is found by redirects: each shard that a token has
//! left knows where it went next, and the chain ends where the token is.

use super::super::link::{Link, LinkId, Phase};
use super::super::session::{Owner, Session, TokenId};
use super::super::{Output, Relay};
use super::Content;
use crate::moment::Moment;
use crate::msrp::Head;

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
    /// Moves of the token up to that one, so that a later stay is not taken for an earlier one.
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
    pub(super) fn move_link(&mut self, id: LinkId, to: u16, replay: Option<(Head, bool)>) {
        let Some(mut link) = self.links.remove(id) else { return };
        link.touched = false;
        link.timer_at = Moment::FAR;
        if let Some(links) = link.relay_name().and_then(|n| self.relays.get_mut(n)) {
            links.retain(|l| *l != id);
        }
        if let Some(dial) = &link.dial
            && self.next_hops.get(dial) == Some(&id)
        {
            self.next_hops.remove(dial);
        }
        let mut sessions: Vec<_> = link.owned.iter().filter_map(|t| self.sessions.remove(t).map(|s| (*t, s))).collect();
        for (token, session) in &mut sessions {
            session.moves = session.moves.saturating_add(1);
            self.redirects.insert(*token, Redirect { to, moves: session.moves });
        }
        self.counts.links_moved += 1;
        self.outputs.push_back(Output::Move { link: id, to, state: Box::new(MovedLink { link, sessions, replay }) });
    }

    /// A link arrives from another shard. Its new key is returned; whatever it sent and nobody has looked at yet goes on
    /// here, and it may move on at once.
    pub fn handle_adopt(&mut self, moved: Box<MovedLink>, now: Moment) -> LinkId {
        let MovedLink { link, sessions, replay } = *moved;
        let id = self.links.insert(link);
        self.register_relay(id);
        for (token, mut session) in sessions {
            session.owner = match session.owner {
                Owner::Link(_) => Owner::Link(id),
                relay => relay,
            };
            // At rest: all that was laid has ended.
            session.ways.clear();
            session.guests.clear();
            self.timers.arm(session.expires.max(now), super::super::timer::Owner::Session(token));
            let moves = session.moves;
            self.sessions.insert(token, session);
            self.drop_redirects(token, moves);
        }
        if let Some((head, has_body)) = replay {
            self.begin_send(id, head, has_body, now);
        }
        // Its clocks are looked at once and armed anew here.
        self.arm(id, now + std::time::Duration::from_millis(1));
        self.pump(id, now);
        self.touch(id);
        id
    }

    /// Where to ask for a token that is not here: where it went, or where it was made.
    pub(super) fn whereabouts(&self, token: &TokenId) -> Option<u16> {
        let label = || token.label().filter(|l| l.node == self.settings.node).map(|l| l.shard);
        let shard = self.redirects.get(token).map(|r| r.to).or_else(label)?;
        (shard != self.shard && shard < self.settings.shards).then_some(shard)
    }

    /// Where a token went that was here.
    pub(in super::super) fn redirect(&self, token: &TokenId) -> Option<u16> {
        self.redirects.get(token).map(|r| r.to)
    }

    /// A token has died: the redirects that lead here, from where it was made on, are not needed any more.
    pub(in super::super) fn token_gone(&mut self, token: TokenId) {
        if let Some(label) = token.label().filter(|l| l.shard != self.shard && l.shard < self.settings.shards) {
            self.post(label.shard, Content::TokenGone { token, below: u32::MAX });
        }
    }

    /// Ends the chain of redirects of earlier moves, here and on; parcels before this one have been sent along already.
    pub(super) fn drop_redirects(&mut self, token: TokenId, below: u32) {
        if self.redirects.get(&token).is_some_and(|r| r.moves < below)
            && let Some(redirect) = self.redirects.remove(&token)
        {
            self.post(redirect.to, Content::TokenGone { token, below });
        }
    }

    /// Moves a link at rest for no reason, for tests. False when it is not at rest.
    #[cfg(test)]
    pub(in super::super) fn force_move(&mut self, id: LinkId, to: u16) -> bool {
        let may = self.links.get(id).is_some_and(Link::at_rest);
        if may {
            self.move_link(id, to, None);
        }
        may
    }
}
