//! Ways: admission looks up once where a sender's chunks go, and what it found is kept for the chunks that follow.
//!
//! A way has two halves: the [`Source`] belongs to the link that chunks arrive on, the [`Flow`] to the link they leave
//! on, which may still have to be connected.

use std::sync::Arc;

use super::bulk::Origin;
use super::flow::{Flow, FlowId};
use super::link::{LinkId, Phase};
use super::refusal::Refusal;
use super::route::{Asker, Binding, Place};
use super::session::{TokenId, Way};
use super::source::{Source, SourceId, SourceRef, Target};
use super::{Output, Relay};
use crate::moment::Moment;
use crate::msrp::{Head, Path};

/// Ways that one session may have at a time: senders times what they write behind the token.
const WAYS: usize = 64;

/// Where a SEND goes.
pub(super) enum Found {
    Way(SourceId),
    /// To us: the token is the last URI.
    Here,
    /// Another shard decides; the request waits or moves with its link.
    Asked,
}

impl Relay {
    /// The way of this SEND: known from an earlier chunk, or admitted now.
    pub(super) fn find_way(&mut self, id: LinkId, head: &Head, has_body: bool, now: Moment) -> Result<Found, Refusal> {
        let to = head.to_path().ok_or(Refusal::Bad)?;
        let from = head.from_path().ok_or(Refusal::Bad)?;
        let from_first = from.first().ok_or(Refusal::Bad)?;
        self.check_identity(id, from_first)?;
        if let Some(source) = self.known_way(id, to, now) {
            self.refresh(source, head);
            return Ok(Found::Way(source));
        }
        let link = self.links.get(id).ok_or(Refusal::NoSession)?;
        let asker = Asker::of(self.shard, id, link);
        let place = match self.admit(&asker, to, from_first, 0, now) {
            // It has made its link known, which is what the first SEND of an active side is for (RFC 6135 section 4.2.1).
            Err(Refusal::Unconnected) if !has_body => return Ok(Found::Here),
            other => other?,
        };
        let next = to.after(1);
        match place.to {
            Binding::Here => Ok(Found::Here),
            Binding::Link(target) => {
                self.make_room_for_way(&place.token)?;
                Ok(Found::Way(self.lay_way(id, head, &place, target, next, now)))
            }
            Binding::Dial(ref dial) => {
                // The far side of a token is known by the URI its owner writes; towards an owner there is nothing to bind.
                let far = if place.from_owner && place.inner.is_none() { to.texts().nth(place.hops) } else { None };
                self.make_room_for_way(&place.token)?;
                let target = self.dial_link(dial.clone(), place.token, far, now)?;
                Ok(Found::Way(self.lay_way(id, head, &place, target, next, now)))
            }
            Binding::Abroad(_) | Binding::Home(..) => {
                self.ask_abroad(id, head, has_body, &asker, &place, now);
                Ok(Found::Asked)
            }
        }
    }

    fn known_way(&mut self, id: LinkId, to: Path<'_>, now: Moment) -> Option<SourceId> {
        let own = to.first()?;
        let token = TokenId::of_uri(own)?;
        let next = to.after(1);
        let here = self.here(id);
        let ways = match self.sessions.get(&token) {
            Some(session) if self.lives(&token, session, now) => &session.ways,
            Some(_) => return None,
            None => self.abroad.get(&(id, token))?,
        };
        // A way was admitted for one spelling of the token URI; another spelling is admitted anew.
        let same = |s: &SourceId| self.sources.get(*s).is_some_and(|s| *s.token_uri == *own);
        let way = ways.iter().find(|w| w.from == here && *w.next == *next && same(&w.source))?;
        if way.inner.is_some_and(|t| !self.sessions.get(&t).is_some_and(|s| self.lives(&t, s, now))) {
            return None;
        }
        let source = way.source;
        if let Some(session) = self.sessions.get_mut(&token) {
            session.last_used = now;
        }
        Some(source)
    }

    /// Keeps the source's idea of the sender's From-Path true without allocating while it does not change.
    fn refresh(&mut self, source: SourceId, head: &Head) {
        let Some(from) = head.from_path() else { return };
        if let Some(s) = self.sources.get_mut(source)
            && *s.from_path != *from.after(0)
        {
            s.from_path = from.after(0).into();
        }
    }

    /// A session has a bounded number of ways: one without traffic makes room for the next.
    fn make_room_for_way(&mut self, token: &TokenId) -> Result<(), Refusal> {
        let Some(session) = self.sessions.get(token).filter(|s| s.ways.len() >= WAYS) else { return Ok(()) };
        let resting = |way: &&Way| self.sources.get(way.source).is_none_or(|s| self.rests(s));
        let source = session.ways.iter().find(resting).map(|way| way.source).ok_or(Refusal::TooMany)?;
        self.end_source(source);
        Ok(())
    }

    /// Makes the two halves of a way.
    fn lay_way(
        &mut self,
        id: LinkId,
        head: &Head,
        place: &Place,
        target: LinkId,
        next: &[u8],
        now: Moment,
    ) -> SourceId {
        let source = self.new_source(id, head, place);
        let back = SourceRef { shard: self.shard, source };
        let relay = self.sources.get(source).and_then(|s| s.relay.clone());
        let bulk = self.links.get(id).is_some_and(|l| l.meta.bulk);
        let flow =
            self.new_flow(target, back, Origin { token: place.counted(), relay, bulk, leg: place.leg.is_some() }, now);
        if let Some(s) = self.sources.get_mut(source) {
            s.target = Target::Here(flow);
        }
        let way = Way { from: self.here(id), next: next.into(), inner: place.inner, source };
        if let Some(session) = self.sessions.get_mut(&place.token) {
            session.ways.push(way);
        }
        source
    }

    pub(super) fn new_source(&mut self, id: LinkId, head: &Head, place: &Place) -> SourceId {
        let token = place.token;
        let text = |p: Option<Path<'_>>| p.map_or(&b""[..], |p| p.after(0)).to_vec();
        let relay = self.links.get(id).and_then(|l| l.relay_name().cloned());
        // What was refused before stays refused, though its way has changed.
        let before = self.links.get(id).map_or(&[][..], |l| &l.sources);
        let before = before.iter().filter_map(|s| self.sources.get(*s));
        let poisoned = before.filter(|s| s.token == token).map(|s| &s.poisoned).max_by_key(|p| p.len());
        let poisoned = poisoned.cloned().unwrap_or_default();
        let source = self.sources.insert(Source {
            link: id,
            relay,
            token,
            inner: place.second(),
            from_owner: place.from_owner,
            token_uri: head.to_path().and_then(|p| p.first()).unwrap_or_default().into(),
            from_path: text(head.from_path()).into(),
            turn: place.turn(),
            target: Target::Asked,
            next_serial: 0,
            poisoned,
            answered: Vec::new(),
            reports: (0, Moment::ZERO),
            deferred: Vec::new(),
            full: false,
            session_over: false,
            in_flight: 0,
            full_since: Moment::ZERO,
            progress: Moment::ZERO,
            closed: false,
            retired: Moment::FAR,
        });
        if let Some(link) = self.links.get_mut(id) {
            link.sources.push(source);
        }
        source
    }

    pub(super) fn new_flow(&mut self, target: LinkId, back: SourceRef, origin: Origin, now: Moment) -> FlowId {
        let max_part = self.max_part(target);
        let after = self.earlier_flow(target, &origin, back.shard);
        let flow = self.flows.insert(Flow { after, ..Flow::new(target, back, origin, max_part, now) });
        if let Some(link) = self.links.get_mut(target) {
            link.flows.push(flow);
        }
        flow
    }

    /// Largest part toward a link (IOP-23): 10 000 octets unless it is of our kind or configured otherwise.
    pub(super) fn max_part(&self, target: LinkId) -> u64 {
        let Some(link) = self.links.get(target) else { return self.settings.max_chunk };
        let name = link.relay_name().map(|n| n.to_string()).or_else(|| link.dial.as_ref().map(|d| d.host.clone()));
        let configured = name.and_then(|n| self.settings.peers.get(&n).and_then(|p| p.max_chunk));
        configured.unwrap_or(if link.meta.own_kind {
            self.settings.max_chunk_own_kind
        } else {
            self.settings.max_chunk
        })
    }

    /// A link that will be connected; what is queued on it waits.
    pub(super) fn dial_link(
        &mut self,
        dial: super::Dial,
        token: TokenId,
        far_uri: Option<&[u8]>,
        now: Moment,
    ) -> Result<LinkId, Refusal> {
        let session = self.sessions.get(&token).ok_or(Refusal::NoSession)?;
        let user = session.user.clone();
        let relay = dial.relay();
        let id = self.dial_for(dial, Some(user), now)?;
        if let Some(uri) = far_uri {
            self.bind_far(token, self.here(id), relay, uri);
        }
        Ok(id)
    }

    /// A link that will be connected, in this user's name if there is one.
    pub(super) fn dial_for(
        &mut self,
        dial: super::Dial,
        user: Option<Arc<str>>,
        now: Moment,
    ) -> Result<LinkId, Refusal> {
        let local = self.settings.authorities.first().cloned().map(Arc::new).ok_or(Refusal::Policy)?;
        let meta = super::Meta {
            peer: None,
            secure: dial.secure,
            auth: false,
            local,
            relay: None,
            own_kind: false,
            bulk: dial.bulk,
            fingerprints: None,
        };
        let link = super::Link::new(meta, Phase::Dialling, Some(dial.clone()), self.settings.wire, now);
        let id = self.links.insert(link);
        self.counts.links_opened[1] += 1;
        if self.settings.shares(&dial) && !dial.bulk {
            self.next_hops.insert(dial.clone(), id);
        }
        // What waits for a connection that never comes must fail some day.
        self.arm(id, now + self.settings.limits.queue_stall);
        self.outputs.push_back(Output::Dial { link: id, to: dial, user });
        Ok(id)
    }
}
