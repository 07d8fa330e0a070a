//! Legs whose end has us as its relay: its path begins with a token of ours, which it has by AUTH on a link that is there
//! already (RFC 4976 sections 5.1 and 6.2; SDP-95). Nobody connects for such a leg: it takes its owner's link.
//!
//! ```text
//! to the end      To-Path: what stands behind the token    From-Path: the token, our URI on the leg
//! from the end    To-Path: the token, our URI on the leg   (an internal hop, which `route` admits)
//! ```
//!
//! The token may be at home on another shard than the anchor: that one is asked for the link, and tells when it is gone.
//! It tells as well when the token dies before its link does.

use std::net::SocketAddr;
use std::sync::Arc;

use super::terms::LegTerms;
use super::{AnchorId, AnchorNews, Connect, Leg, Side};
use crate::moment::Moment;
use crate::msrp::Path;
use crate::relay::link::{CloseReason, DialFailure, LinkId, Phase};
use crate::relay::route::{Binding, Home};
use crate::relay::session::{FarLink, Owner, Session, TokenId};
use crate::relay::source::SourceId;
use crate::relay::turn::LegPaths;
use crate::relay::{AnchorError, Relay, Settings};

/// The home of a token is asked for the link of its owner.
pub(in crate::relay) struct Attach {
    /// The token that the end of the leg has.
    owner: TokenId,
    /// That of the leg.
    leg: TokenId,
    /// Shard of the anchor.
    home: u16,
    /// The path of the end, that token first.
    target: Arc<[u8]>,
    /// The end hears of us so, if we are to speak first.
    greeting: Option<Arc<LegPaths>>,
    /// Shards that knew of a better one to ask.
    passed: u16,
}

impl LegTerms {
    /// The token of ours by which its end is reached, if it has us as its relay.
    pub(in crate::relay) fn through(&self, settings: &Settings) -> Option<TokenId> {
        self.first().filter(|first| settings.is_ours(first))?.session_id().and_then(TokenId::parse)
    }
}

impl Leg {
    /// Paths toward an end that has us as its relay: as if our URI on the leg were that of another relay behind it.
    pub(super) fn paths_through(&self, terms: &LegTerms, most: Option<u64>) -> LegPaths {
        let target = Path::new(&terms.target);
        let from = [target.first().unwrap_or_default(), b" ", &self.uri].concat();
        LegPaths { to: target.after(1).into(), from: from.into(), most }
    }
}

impl Relay {
    // ---- at the anchor

    /// The first URI of a leg's path is ours: it must be a session that lives, of a client, which is not at its end.
    pub(super) fn check_through(&self, path: Path<'_>) -> Result<(), AnchorError> {
        let token = match self.token(path.first().unwrap_or_default(), true) {
            Ok(Home::Here(token)) => token,
            Ok(Home::There(..)) => return self.check_behind(path),
            Err(_) => return Err(AnchorError::Gone),
        };
        match self.sessions.get(&token) {
            Some(Session { owner: Owner::Leg(..), .. }) => Err(AnchorError::Target),
            Some(_) => self.check_behind(path),
            None => Err(AnchorError::Gone),
        }
    }

    /// Behind its token stands somebody, and not ourselves again.
    fn check_behind(&self, path: Path<'_>) -> Result<(), AnchorError> {
        let next = path.texts().nth(1).and_then(|u| crate::msrp::Uri::parse(u).ok());
        let good = next.is_some_and(|next| !self.settings.is_ours(&next));
        good.then_some(()).ok_or(AnchorError::Target)
    }

    /// The leg takes the link of the client that its path begins with, or asks for it where that client is.
    pub(super) fn attach_leg(&mut self, id: AnchorId, side: Side, now: Moment) {
        let Some(leg) = self.anchors.get(id).map(|a| a.leg(side)) else { return };
        let Some(terms) = &leg.terms else { return };
        let Some(owner) = terms.through(&self.settings) else { return };
        let greeting = leg.paths.clone().filter(|_| terms.connect == Connect::Us);
        let (target, leg) = (terms.target.clone(), leg.token);
        let attach = Attach { owner, leg, home: self.shard, target, greeting, passed: 0 };
        if !self.sessions.contains_key(&owner) {
            match self.whereabouts(&owner) {
                Some(shard) => self.post_attach(shard, attach),
                None => self.take_not_attached(leg),
            }
            return;
        }
        let Some(link) = self.link_of_owner(&attach, now) else { return self.take_not_attached(leg) };
        let here = self.here(link);
        if let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) {
            leg.change_link(Some(here));
        }
        self.bind_leg(leg, here);
        if self.links.get(link).is_some_and(|l| l.phase == Phase::Open) {
            self.leg_up(id, side, link, now);
        }
    }

    /// The link of a leg's end is known. Meanwhile the leg may have gone elsewhere.
    pub(in crate::relay) fn take_attached(
        &mut self,
        token: TokenId,
        link: FarLink,
        relay: Option<Arc<str>>,
        peer: Option<SocketAddr>,
    ) {
        let Some((id, side)) = self.leg_of(&token) else { return self.release_far(token, link) };
        let settings = &*self.settings;
        let awaits = |l: &&mut Leg| l.token == token && l.terms.as_ref().is_some_and(|t| t.through(settings).is_some());
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)).filter(awaits) else {
            return self.release_far(token, link);
        };
        let before = leg.link;
        leg.change_link(Some(link));
        (leg.peer, leg.connect_by) = (peer, None);
        let uri = leg.terms.as_ref().and_then(|t| Path::new(&t.target).first()).unwrap_or_default().to_vec();
        // Something of it may have been here before this news.
        let bound = self.sessions.get(&token).is_some_and(|s| s.far.iter().any(|f| f.link == link));
        if !bound {
            self.bind_far(token, link, relay, &uri);
        }
        if before != Some(link) {
            self.reroute(id, side);
            self.tell(id, AnchorNews::Bound { side, peer });
        }
        self.wake_waiting(id);
    }

    /// The client that the path of a leg begins with is not there any more.
    pub(in crate::relay) fn take_not_attached(&mut self, token: TokenId) {
        let Some((id, side)) = self.leg_of(&token) else { return };
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)).filter(|l| l.token == token) else { return };
        leg.connect_by = None;
        self.tell(id, AnchorNews::Unreachable { side, failure: DialFailure::Connect });
    }

    /// What came by this client's token to one of these of a leg finds its way anew, or none: chunks that are arriving go on
    /// as they began. Those of clients elsewhere are told as guests of the leg's token.
    pub(super) fn end_inner_ways(&mut self, owner: TokenId, legs: &[TokenId]) {
        let Some(session) = self.sessions.get(&owner) else { return };
        let leads = |s: &SourceId| self.sources.get(*s).and_then(|s| s.inner).is_some_and(|t| legs.contains(&t));
        let sources: Vec<SourceId> = session.ways.iter().map(|w| w.source).filter(leads).collect();
        for source in sources {
            self.take_session_over(source);
        }
    }

    // ---- at the client's token

    pub(in crate::relay) fn take_attach(&mut self, attach: Attach, now: Moment) {
        let Attach { owner, leg, home, passed, .. } = attach;
        if self.sessions.contains_key(&owner)
            && let Some(link) = self.link_of_owner(&attach, now)
        {
            let at = self.here(link);
            let peer = self.links.get(link).and_then(|l| l.meta.peer);
            let relay = self.relay_of(at);
            if home == self.shard {
                self.take_attached(leg, at, relay, peer);
            } else {
                self.post_attached(home, leg, at, relay, peer);
            }
            if let Some(paths) = &attach.greeting {
                // The end hears from us first (RFC 6135 section 4.2.1). Its answer would be told to nobody here.
                self.send_greeting(link, paths, &[("Failure-Report", b"no")]);
            }
            return;
        }
        match self.whereabouts(&owner).filter(|_| passed <= self.settings.shards) {
            Some(shard) if !self.sessions.contains_key(&owner) => {
                self.post_attach(shard, Attach { passed: passed + 1, ..attach });
            }
            _ if home == self.shard => self.take_not_attached(leg),
            _ => self.post_not_attached(home, leg),
        }
    }

    /// The link by which the owner of a token of this shard is reached, which serves the leg from now on.
    fn link_of_owner(&mut self, attach: &Attach, now: Moment) -> Option<LinkId> {
        let link = match self.owner_of(attach.owner, Path::new(&attach.target), 1).ok()? {
            Binding::Link(link) => link,
            Binding::Dial(dial) => self.dial_for(dial, None, now).ok()?,
            _ => return None,
        };
        let Attach { owner, leg, .. } = *attach;
        let l = self.links.get_mut(link)?;
        if !l.far_of.contains(&leg) {
            l.far_of.push(leg);
        }
        if !l.legs.contains(&(leg, owner)) {
            l.legs.push((leg, owner));
        }
        Some(link)
    }

    /// Legs are reached by this token: it is in use.
    pub(in crate::relay) fn stands_for_legs(&self, token: &TokenId, session: &Session) -> bool {
        let serves =
            |link: &LinkId| self.links.get(*link).is_some_and(|l| l.legs.iter().any(|(_, owner)| owner == token));
        match &session.owner {
            Owner::Link(link) => serves(link),
            Owner::Relay(name) => self.relays.get(name).is_some_and(|links| links.iter().any(serves)),
            Owner::Leg(..) => false,
        }
    }

    /// A token has died, perhaps before its owner's link: the legs that it stood for have lost theirs.
    pub(in crate::relay) fn end_legs_by(&mut self, token: &TokenId, owner: &Owner, now: Moment) {
        let links: Vec<LinkId> = match owner {
            Owner::Link(link) => vec![*link],
            Owner::Relay(name) => self.relays.get(name).cloned().unwrap_or_default(),
            Owner::Leg(..) => return,
        };
        for id in links {
            let Some(link) = self.links.get_mut(id).filter(|l| !l.legs.is_empty()) else { continue };
            let over: Vec<TokenId> = link.legs.iter().filter(|(_, o)| o == token).map(|(leg, _)| *leg).collect();
            link.legs.retain(|(_, owner)| owner != token);
            link.far_of.retain(|t| !over.contains(t));
            let here = self.here(id);
            for leg in over {
                self.pass_far_gone(leg, here, CloseReason::Released, now);
            }
        }
    }
}
