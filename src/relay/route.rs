//! Who may send what where: admission of requests (RFC 4976 sections 6.2 to 6.4).
//!
//! From-owner traffic goes to any next hop that policy allows, to-owner traffic to the owner and nobody else.
//! Identity is the link or the peer relay's verified name, never what a header claims.

use std::net::SocketAddr;
use std::sync::Arc;

use super::link::{Dial, Link, LinkId, Phase, RelayIdentity};
use super::refusal::Refusal;
use super::session::{Far, FarLink, Owner, TokenId};
use super::turn::{LegPaths, Turn};
use super::{Relay, Settings};
use crate::moment::Moment;
use crate::msrp::{Path, Scheme, Uri};
use crate::planted::{Bug, on};
use crate::sdp::Fingerprint;

/// Who asks: a link of this or another shard, with what is verified about it.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) at: FarLink,
    pub(super) secure: bool,
    pub(super) dialled: bool,
    pub(super) relay: Option<Arc<RelayIdentity>>,
    /// Of its certificate.
    pub(super) fingerprints: Option<Arc<[Fingerprint]>>,
    pub(super) address: Option<SocketAddr>,
    /// Sessions of the link, to choose which of two links moves.
    pub(super) sessions: usize,
    /// A bulk link of a peer relay.
    pub(super) bulk: bool,
    /// It carries nothing that would be lost by moving.
    pub(super) at_rest: bool,
}

impl Asker {
    pub(super) fn of(shard: u16, id: LinkId, link: &Link) -> Asker {
        Asker {
            at: FarLink { shard, link: id },
            secure: link.meta.secure,
            dialled: link.dialled,
            relay: link.meta.relay.clone(),
            fingerprints: link.meta.fingerprints.clone(),
            address: link.meta.peer,
            sessions: link.owned.len() + link.far_of.len(),
            bulk: link.meta.bulk,
            at_rest: link.at_rest(),
        }
    }

    /// Whose chunks it sends with this token.
    pub(super) fn origin(&self, token: TokenId) -> super::bulk::Origin {
        let relay = self.relay.as_ref().map(|r| r.name.clone());
        super::bulk::Origin { token, relay, bulk: self.bulk, leg: false }
    }

    fn is(&self, owner: &Owner, shard: u16) -> bool {
        match owner {
            Owner::Link(link) => self.at == FarLink { shard, link: *link },
            Owner::Relay(name) => self.relay.as_ref().is_some_and(|r| r.name == *name),
            Owner::Leg(..) => false,
        }
    }
}

/// Where an admitted request goes.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Place {
    /// The token that admitted it.
    pub(super) token: TokenId,
    /// The second token of an internal hop.
    pub(super) inner: Option<TokenId>,
    pub(super) from_owner: bool,
    /// Leading To-Path URIs that are ours.
    pub(super) hops: usize,
    /// It goes to a leg of an anchor.
    pub(super) leg: Option<Arc<LegPaths>>,
    pub(super) to: Binding,
}

impl Place {
    /// What becomes of the paths of a request on this way.
    pub(super) fn turn(&self) -> Turn {
        self.leg.clone().map_or(Turn::Hops(self.hops), Turn::Leg)
    }

    /// The token that the flow on this way counts for: of those that lead to a leg, the one of the leg it came in on.
    pub(super) fn counted(&self) -> TokenId {
        self.inner.filter(|_| self.leg.is_some()).unwrap_or(self.token)
    }

    /// The second token of an internal hop, wherever that one is at home.
    pub(super) fn second(&self) -> Option<TokenId> {
        match self.to {
            Binding::Home(_, token) if self.from_owner => Some(token),
            _ => self.inner,
        }
    }

    /// The token of which the asker is the far side.
    pub(super) fn pinned(&self) -> Option<TokenId> {
        if self.from_owner { self.inner } else { Some(self.token) }
    }
}

/// What a route ends in.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Binding {
    /// A link of this shard.
    Link(LinkId),
    /// A link of another shard.
    Abroad(FarLink),
    /// A connection that has to be made.
    Dial(Dial),
    /// Another shard is the token's home and decides.
    Home(u16, TokenId),
    /// The token is the last URI: the request is for us.
    Here,
}

impl Settings {
    /// The URI names one of our listeners (RFC 4976 section 6.2).
    pub(super) fn is_ours(&self, uri: &Uri<'_>) -> bool {
        self.authorities.iter().any(|a| a.scheme == uri.scheme() && Some(a.port) == uri.port() && uri.host_is(&a.host))
    }

    /// Sessions share a link that leads there; otherwise each has its own (IOP-36).
    pub(super) fn shares(&self, dial: &Dial) -> bool {
        !dial.peer || self.peers.get(&dial.host).is_none_or(|p| p.multiplex)
    }

    /// The URI names this relay as the target of an AUTH: no session-id, and a port only if it is one of ours.
    pub(super) fn is_auth_target(&self, uri: &Uri<'_>) -> bool {
        uri.session_id().is_none()
            && (uri.host_is(&self.hostname) || self.authorities.iter().any(|a| uri.host_is(&a.host)))
            && uri.port().is_none_or(|port| self.authorities.iter().any(|a| a.port == port))
    }
}

impl Relay {
    /// Admission: `skip` leading URIs have been dealt with by another shard, with `from_first` as the
    /// sender's own URI.
    pub(super) fn admit(
        &mut self,
        asker: &Asker,
        to: Path<'_>,
        from_first: &[u8],
        skip: usize,
        now: Moment,
    ) -> Result<Place, Refusal> {
        let own = to.texts().take_while(|u| Uri::parse(u).is_ok_and(|u| self.settings.is_ours(&u))).count();
        if own > self.settings.limits.internal_hops {
            return Err(Refusal::Bad);
        }
        let first = to.texts().nth(skip).ok_or(Refusal::Bad)?;
        let token = match self.token(first, skip > 0)? {
            Home::Here(token) => token,
            Home::There(shard, token) => {
                return Ok(Place {
                    token,
                    inner: None,
                    from_owner: false,
                    hops: skip,
                    leg: None,
                    to: Binding::Home(shard, token),
                });
            }
        };
        let session = self.sessions.get(&token).ok_or(Refusal::NoSession)?;
        if !self.lives(&token, session, now) {
            return Err(Refusal::NoSession);
        }
        // AMB-19: a token is good for the kind of connection that its scheme promises.
        if skip == 0 && session.secure != asker.secure && !asker.dialled {
            return Err(Refusal::NoSession);
        }
        if let Owner::Leg(anchor, side) = session.owner {
            return self.admit_leg(asker, token, (anchor, side), to, from_first, skip, now);
        }
        if to.texts().nth(skip + 1).is_none() {
            return Ok(Place { token, inner: None, from_owner: false, hops: skip + 1, leg: None, to: Binding::Here });
        }
        if skip > 0 || !asker.is(&session.owner, self.shard) {
            let far_uri = if skip > 0 { to.texts().nth(skip - 1).unwrap_or(from_first) } else { from_first };
            let to_binding = self.toward_owner(asker, token, far_uri, to, skip + 1)?;
            return Ok(Place { token, inner: None, from_owner: false, hops: skip + 1, leg: None, to: to_binding });
        }
        if asker.at.shard == self.shard
            && let Some(session) = self.sessions.get_mut(&token)
        {
            session.owner_link = asker.at.link;
        }
        let next_text = to.texts().nth(1).ok_or(Refusal::Bad)?;
        let next = Uri::parse(next_text).map_err(|_| Refusal::Bad)?;
        if self.settings.is_ours(&next) {
            let inner = match self.token(next_text, true)? {
                Home::Here(inner) => inner,
                Home::There(shard, inner) => {
                    let to = Binding::Home(shard, inner);
                    return Ok(Place { token, inner: None, from_owner: true, hops: 1, leg: None, to });
                }
            };
            let s = self.sessions.get(&inner).ok_or(Refusal::NoSession)?;
            if !self.lives(&inner, s, now) {
                return Err(Refusal::NoSession);
            }
            if let Owner::Leg(anchor, side) = s.owner {
                let place = self.admit_leg(asker, inner, (anchor, side), to, first, 1, now)?;
                return Ok(Place { token, inner: Some(inner), from_owner: true, hops: 2, ..place });
            }
            if to.texts().nth(2).is_none() {
                return Err(Refusal::NoSession);
            }
            let binding = self.toward_owner(asker, inner, first, to, 2)?;
            return Ok(Place { token, inner: Some(inner), from_owner: true, hops: 2, leg: None, to: binding });
        }
        let binding = self.outward(token, next_text, &next)?;
        Ok(Place { token, inner: None, from_owner: true, hops: 1, leg: None, to: binding })
    }

    /// Finds the token that a To-Path URI of ours names.
    pub(super) fn token(&self, text: &[u8], inner: bool) -> Result<Home, Refusal> {
        let uri = Uri::parse(text).map_err(|_| Refusal::Bad)?;
        let token = uri.session_id().and_then(TokenId::parse);
        if let Some(token) = token
            && let Some(session) = self.sessions.get(&token)
        {
            if *session.uri == *text || Uri::parse(&session.uri).is_ok_and(|own| own.equivalent(&uri)) {
                return Ok(Home::Here(token));
            }
        } else if let Some(token) = token
            && self.settings.is_ours(&uri)
        {
            if let Some(shard) = self.redirect(&token) {
                return Ok(Home::There(shard, token));
            }
            if let Some(label) = token.label().filter(|l| l.node == self.settings.node) {
                if label.generation != self.settings.generation {
                    return Err(Refusal::OldGeneration);
                }
                if label.shard != self.shard && label.shard < self.settings.shards {
                    return Ok(Home::There(label.shard, token));
                }
            }
        }
        Err(if inner || self.settings.is_ours(&uri) || self.is_ours_but_for_scheme(&uri) {
            Refusal::NoSession
        } else {
            Refusal::Misaddressed
        })
    }

    pub(super) fn is_ours_but_for_scheme(&self, uri: &Uri<'_>) -> bool {
        self.settings.authorities.iter().any(|a| Some(a.port) == uri.port() && uri.host_is(&a.host))
    }

    /// Its time is not over, or does not count.
    pub(super) fn lives(&self, token: &TokenId, session: &super::session::Session, now: Moment) -> bool {
        session.expires > now || self.outlives(token, session)
    }

    /// IOP-14: a session in use does not expire under a client that named no Expires, unless configured otherwise. In use by
    /// whoever sends to its owner, by an owner who sends to others and hears nothing, or by a leg that leads through it.
    pub(super) fn outlives(&self, token: &TokenId, session: &super::session::Session) -> bool {
        let abroad = || session.guests.iter().any(|g| g.flow.is_some_and(|f| self.flows.contains(f)));
        let used = !session.far.is_empty() || !session.ways.is_empty() || abroad();
        let lasts = !session.expires_named && !self.settings.auth.expire_live_sessions;
        lasts && (used || self.stands_for_legs(token, session))
    }

    /// To-owner: the far side is pinned (RLY-92), the next hop is the owner whatever the path says behind the token.
    fn toward_owner(
        &mut self,
        asker: &Asker,
        token: TokenId,
        far_uri: &[u8],
        to: Path<'_>,
        hops: usize,
    ) -> Result<Binding, Refusal> {
        // Only who gets through becomes the far side: nobody would be told of it after a refusal, nor of its end.
        let binding = self.owner_of(token, to, hops)?;
        self.pin(asker, token, far_uri)?;
        Ok(binding)
    }

    /// The way to a token's owner.
    pub(super) fn owner_of(&self, token: TokenId, to: Path<'_>, hops: usize) -> Result<Binding, Refusal> {
        let session = self.sessions.get(&token).ok_or(Refusal::NoSession)?;
        match &session.owner {
            // No owner of anything: who may send to a leg is admitted there.
            Owner::Leg(..) => Err(Refusal::NoSession),
            Owner::Link(link) => self.alive(*link).then_some(Binding::Link(*link)).ok_or(Refusal::NoSession),
            Owner::Relay(name) => {
                let last = Some(session.owner_link).filter(|l| self.alive(*l));
                if let Some(link) = last.or_else(|| self.relay_link(name)) {
                    return Ok(Binding::Link(link));
                }
                let next = to.texts().nth(hops).and_then(|u| Uri::parse(u).ok()).ok_or(Refusal::NoSession)?;
                if !next.host_is(name) || !next.is_tcp() || next.scheme() != Scheme::Msrps {
                    return Err(Refusal::NoSession);
                }
                Ok(Binding::Dial(self.dial(&next)))
            }
        }
    }

    /// The first far side that is accepted for a token keeps it while it lives.
    pub(super) fn pin(&mut self, asker: &Asker, token: TokenId, far_uri: &[u8]) -> Result<(), Refusal> {
        let relay = asker.relay.as_ref().map(|r| r.name.clone());
        let session = self.sessions.get(&token).ok_or(Refusal::NoSession)?;
        let same = |far: &Far| far.link == asker.at || (relay.is_some() && far.relay == relay);
        if session.far.iter().any(same) {
            return Ok(());
        }
        // The URI of a leg dies with its link (SDP-94): nobody takes it over from one that is about to close.
        let leg = matches!(session.owner, Owner::Leg(..));
        let living = session.far.iter().any(|far| leg || far.link.shard != self.shard || self.alive(far.link.link));
        if living && !on(Bug::TokenFromWrongLink) {
            return Err(Refusal::InUse);
        }
        self.bind_far(token, asker.at, relay, far_uri);
        Ok(())
    }

    /// Remembers a link as a far side of a token.
    pub(super) fn bind_far(&mut self, token: TokenId, link: FarLink, relay: Option<Arc<str>>, uri: &[u8]) {
        let Some(session) = self.sessions.get_mut(&token) else { return };
        if session.far.iter().any(|f| f.link == link && *f.uri == *uri) {
            return;
        }
        if session.far_host.is_none() {
            session.far_host = Uri::parse(uri).ok().map(|u| u.host_string().into());
        }
        session.far.push(Far { uri: uri.into(), link, relay });
        if link.shard == self.shard
            && let Some(l) = self.links.get_mut(link.link)
            && !l.far_of.contains(&token)
        {
            l.far_of.push(token);
        }
    }

    /// Whether a link can still take something.
    pub(super) fn alive(&self, link: LinkId) -> bool {
        self.links.get(link).is_some_and(|l| matches!(l.phase, Phase::Open | Phase::Dialling) && !l.eof)
    }

    /// AMB-59: a relay speaks in its own name only.
    pub(super) fn check_identity(&self, link: LinkId, from_first: &[u8]) -> Result<(), Refusal> {
        let Some(relay) = self.links.get(link).and_then(|l| l.meta.relay.as_ref()) else { return Ok(()) };
        let uri = Uri::parse(from_first).map_err(|_| Refusal::Bad)?;
        let known = relay.dns_names.iter().any(|name| uri.host_is(name)) || uri.host_is(&relay.name);
        known.then_some(()).ok_or(Refusal::Impostor)
    }
}

/// The shard that has a token, as far as is known here.
pub(super) enum Home {
    Here(TokenId),
    There(u16, TokenId),
}
