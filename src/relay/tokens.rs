//! How tokens begin and end, and with them sessions.

use std::sync::Arc;

use super::link::LinkId;
use super::session::{Owner, SessionEnd, TokenId};
use super::{Event, Output, Relay, SessionRecord};
use crate::moment::Moment;

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
        let label = super::Label { node: self.settings.node, generation: self.settings.generation, shard: self.shard };
        let token = TokenId::random(label, &mut self.rng);
        let l = self.links.get_mut(link)?;
        let local = &l.meta.local;
        let scheme = if local.scheme == crate::msrp::Scheme::Msrps { "msrps" } else { "msrp" };
        let host = if local.host.contains(':') { format!("[{}]", local.host) } else { local.host.clone() };
        let mut uri = format!("{scheme}://{host}:{}/", local.port).into_bytes();
        uri.extend_from_slice(token.as_bytes());
        uri.extend_from_slice(b";tcp");
        let uri: Arc<[u8]> = uri.into();
        let owner = relay.map_or(Owner::Link(link), Owner::Relay);
        if owner == Owner::Link(link) {
            l.owned.push(token);
            l.client = true;
        }
        let secure = local.scheme == crate::msrp::Scheme::Msrps;
        let session = super::session::Session {
            uri: uri.clone(),
            secure,
            owner,
            owner_link: link,
            user,
            created: now,
            expires,
            expires_named,
            last_used: now,
            far: Vec::new(),
            far_host: None,
            ways: Vec::new(),
            guests: Vec::new(),
            moves: 0,
            tally: Default::default(),
        };
        self.sessions.insert(token, session);
        self.counts.sessions_started += 1;
        self.timers.arm(expires, super::timer::Owner::Session(token));
        Some((token, uri))
    }

    /// A token is good for nothing any more.
    pub(super) fn end_session(&mut self, token: &TokenId, end: SessionEnd, now: Moment) {
        let Some(session) = self.sessions.remove(token) else { return };
        self.outputs.push_back(Output::Release { user: session.user.clone() });
        self.token_gone(*token);
        self.tell_guests(*token, &session);
        let owner = match &session.owner {
            Owner::Link(link) => self.links.get_mut(*link).map(|l| {
                l.owned.retain(|t| t != token);
                l.meta.peer
            }),
            Owner::Relay(_) => None,
        };
        for far in &session.far {
            if far.link.shard == self.shard
                && let Some(l) = self.links.get_mut(far.link.link)
            {
                l.far_of.retain(|t| t != token);
            }
        }
        for way in session.ways {
            // A chunk that is arriving is completed; reports still find the source.
            self.take_session_over(way.source);
        }
        let relay = match &session.owner {
            Owner::Link(_) => None,
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
        let token = self.sessions.keys().find(|t| t.public() == name).copied();
        if let Some(token) = token {
            self.end_session(&token, SessionEnd::Operator, now);
        }
        token.is_some()
    }
}
