//! How tokens begin and end, and with them sessions.

use std::sync::Arc;

use super::link::LinkId;
use super::session::{Owner, Session, SessionEnd, TokenId};
use super::{AnchorId, Authority, Event, Output, Relay, SessionRecord};
use crate::moment::Moment;
use crate::planted::{Bug, on};

impl Relay {
    /// Makes a token for the owner behind this link. `relay` is the peer relay that acts for the client, if any.
    pub(super) fn mint(
        &mut self,
        link: LinkId,
        user: Arc<str>,
        expires: Moment,
        expires_named: bool,
        relay: Option<Arc<str>>,
        now: Moment,
    ) -> Option<(TokenId, Arc<[u8]>)> {
        let token = self.new_token();
        let expires = if on(Bug::ExpiryIgnored) { Moment::FAR } else { expires };
        let l = self.links.get_mut(link)?;
        let local = &l.meta.local;
        let uri = token_uri(local, &token);
        let owner = relay.map_or(Owner::Link(link), Owner::Relay);
        if owner == Owner::Link(link) {
            l.owned.push(token);
            l.client = true;
        }
        let secure = local.scheme == crate::msrp::Scheme::Msrps;
        let session =
            Session { owner_link: link, expires, expires_named, ..Session::new(uri.clone(), secure, owner, user, now) };
        self.sessions.insert(token, session);
        self.counts.sessions_started += 1;
        self.timers.arm(expires, super::timer::Owner::Session(token));
        Some((token, uri))
    }

    /// Whether a URI of ours that was made on this shard has a session that lives.
    pub fn knows(&self, uri: &[u8]) -> bool {
        let token = crate::msrp::Uri::parse(uri).ok().and_then(|uri| uri.session_id().and_then(TokenId::parse));
        // A token that has moved is known where it was made until it dies.
        token.is_some_and(|token| self.sessions.contains_key(&token) || self.redirect(&token).is_some())
    }

    /// Which of these anchors are not on this shard, or not any more.
    pub fn lacks(&self, mut anchors: Vec<AnchorId>) -> Vec<AnchorId> {
        anchors.retain(|id| self.anchors.get(*id).is_none());
        anchors
    }

    /// A token of this shard.
    pub(super) fn new_token(&mut self) -> TokenId {
        let label = super::Label { node: self.settings.node, generation: self.settings.generation, shard: self.shard };
        TokenId::random(label, &mut self.rng)
    }

    /// A token is good for nothing any more.
    pub(super) fn end_session(&mut self, token: &TokenId, end: SessionEnd, now: Moment) {
        let Some(session) = self.sessions.remove(token) else { return };
        let leg = matches!(session.owner, Owner::Leg(..));
        if !leg && !on(Bug::LeaseKept) {
            self.outputs.push_back(Output::Release { user: session.user.clone() });
        }
        self.token_gone(*token);
        self.tell_guests(*token, &session);
        let owner = match &session.owner {
            Owner::Link(link) => self.links.get_mut(*link).map(|l| {
                l.owned.retain(|t| t != token);
                l.meta.peer
            }),
            Owner::Relay(_) | Owner::Leg(..) => None,
        };
        for far in &session.far {
            if far.link.shard == self.shard
                && let Some(l) = self.links.get_mut(far.link.link)
            {
                l.far_of.retain(|t| t != token);
                l.legs.retain(|(leg, _)| leg != token);
            }
        }
        self.end_legs_by(token, &session.owner, now);
        if let Owner::Leg(anchor, side) = session.owner {
            // The record is the anchor's.
            self.leave_leg(anchor, side, token, &session.tally);
        }
        for way in session.ways {
            // A chunk that is arriving is completed; reports still find the source.
            self.take_session_over(way.source);
        }
        if leg {
            return;
        }
        let relay = match &session.owner {
            Owner::Link(_) | Owner::Leg(..) => None,
            Owner::Relay(name) => Some(name.to_string()),
        };
        self.outputs.push_back(Output::Event(Event::SessionEnded(Box::new(SessionRecord {
            id: token.public(),
            user: session.user,
            owner: owner.flatten(),
            relay,
            far_host: session.far_host.map(String::from),
            tally: session.tally,
            duration: now.since(session.created),
            end,
        }))));
    }

    /// Ends a session by its public name (an operator's wish). False when there is none of that name.
    pub fn end_by_name(&mut self, name: &str, now: Moment) -> bool {
        if self.end_anchor_by_name(name, now) {
            return true;
        }
        let token = self.sessions.keys().find(|t| t.public() == name).copied();
        if let Some(token) = token {
            self.end_session(&token, SessionEnd::Operator, now);
        }
        token.is_some()
    }
}

/// The URI by which a listener's clients name this token.
pub(super) fn token_uri(at: &Authority, token: &TokenId) -> Arc<[u8]> {
    let scheme = if at.scheme == crate::msrp::Scheme::Msrps { "msrps" } else { "msrp" };
    let host = if at.host.contains(':') { format!("[{}]", at.host) } else { at.host.clone() };
    let mut uri = format!("{scheme}://{host}:{}/", at.port).into_bytes();
    uri.extend_from_slice(token.as_bytes());
    uri.extend_from_slice(b";tcp");
    uri.into()
}
