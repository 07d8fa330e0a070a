//! What the control plane says of a leg: the terms of its SDP, at the first answer and at each that follows (RFC 3264
//! section 8).

use std::sync::Arc;
use std::time::Duration;

use super::{AnchorId, Expects, Side};
use crate::moment::Moment;
use crate::msrp::{Host, Path, Uri};
use crate::relay::link::{Dial, LinkId, Phase};
use crate::relay::refusal::Refusal;
use crate::relay::session::{FarLink, Owner, TokenId};
use crate::relay::tokens::token_uri;
use crate::relay::turn::LegPaths;
use crate::relay::{Relay, SessionEnd, timer};

/// URIs of a leg that were replaced and are still good: new offers do not come faster.
const OLDER: usize = 8;

/// Who makes the connection of a leg (RFC 6135 section 4.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connect {
    /// We do, to the first URI of its path: we are active.
    Us,
    /// Its end does: we are passive.
    Them,
}

/// What is agreed for a leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LegTerms {
    /// The path of its SDP, as in To-Path: URIs with a space between them.
    pub target: Arc<[u8]>,
    /// Who connects.
    pub connect: Connect,
    /// What the certificate of its end must be.
    pub expects: Expects,
    /// Time for its link; 60 s unless said otherwise.
    pub within: Option<Duration>,
    /// Octets of the longest message that its end takes; one that is longer by more than a tenth gets 413 (SDP-17).
    pub max_size: Option<u64>,
    /// Whether it is for one file (RFC 5547): if that is stopped, new terms or the end follow.
    pub file: bool,
}

impl LegTerms {
    pub(super) fn first(&self) -> Option<Uri<'_>> {
        Path::new(&self.target).first().and_then(|u| Uri::parse(u).ok())
    }

    /// The end itself: the last URI.
    fn end(&self) -> Option<Uri<'_>> {
        Path::new(&self.target).last().and_then(|u| Uri::parse(u).ok())
    }

    /// Host of the end itself.
    pub(super) fn end_host(&self) -> Option<String> {
        self.end().map(|u| u.host_string())
    }

    /// Both lead to one first hop by one transport.
    fn same_first_hop(&self, other: &LegTerms) -> bool {
        self.first().zip(other.first()).is_some_and(|(a, b)| a.scheme() == b.scheme() && a.same_authority(&b))
    }

    /// Both lead to one session of one end, by whatever way.
    fn same_end(&self, other: &LegTerms) -> bool {
        self.end().zip(other.end()).is_some_and(|(a, b)| a.equivalent(&b))
    }

    /// Whether a From-Path that begins so is that of this end.
    pub(super) fn is_from(&self, first: &[u8]) -> bool {
        self.first().zip(Uri::parse(first).ok()).is_some_and(|(ours, theirs)| ours.equivalent(&theirs))
    }
}

/// Why a command about an anchor is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnchorError {
    /// There is none, or it is ending.
    #[error("no such anchor")]
    Unknown,
    /// The shard has as many as it may, or memory is short.
    #[error("too many anchors")]
    Full,
    /// No new sessions are taken.
    #[error("the relay is draining")]
    Draining,
    /// No listener goes by that name.
    #[error("not a name of this relay")]
    UnknownAuthority,
    /// The path is none, or leads back to us by anything but a session of its end (RFC 4975 section 8.1).
    #[error("unusable path")]
    Target,
    /// The egress policy forbids its first hop.
    #[error("target forbidden by policy")]
    Policy,
    /// The path begins with a session of ours that does not live.
    #[error("the session that the path leads through is over")]
    Gone,
    /// The leg has lost its link and needs a new URI first (RFC 4975 section 5.4).
    #[error("the leg's URI is dead")]
    NeedsRenewal,
}

impl Relay {
    /// Makes a new URI for a leg, to be put into our next SDP toward it. It is good from the next
    /// [`set_leg`](Relay::set_leg) on, and the one before for 30 seconds more; what comes to it earlier waits. Asked
    /// again before that, it is the same one.
    pub fn renew_leg(&mut self, id: AnchorId, side: Side, now: Moment) -> Result<Arc<[u8]>, AnchorError> {
        let anchor = self.anchors.get(id).filter(|a| a.ending.is_none()).ok_or(AnchorError::Unknown)?;
        let leg = anchor.leg(side);
        if let Some((_, uri)) = &leg.renewal {
            return Ok(uri.clone());
        }
        let at = leg.at.clone();
        let token = self.new_token();
        let uri = token_uri(&at, &token);
        if let Some(anchor) = self.anchors.get_mut(id) {
            anchor.leg_mut(side).renewal = Some((token, uri.clone()));
        }
        self.add_leg_token(id, side, token, uri.clone(), at.scheme, now);
        Ok(uri)
    }

    /// The new URI of a leg is not needed: its offer was refused, and everything stays as it was (RFC 3261 section 14.1).
    pub fn withdraw_renewal(&mut self, id: AnchorId, side: Side, now: Moment) {
        let leg = self.anchors.get_mut(id).map(|a| a.leg_mut(side));
        if let Some((token, _)) = leg.and_then(|l| l.renewal.take()) {
            self.end_session(&token, SessionEnd::Cancelled, now);
            self.wake_waiting(id);
        }
    }

    /// The terms of a leg, from its offer or answer. The first ones let it begin; later ones change it, with the URI of
    /// [`renew_leg`](Relay::renew_leg) if there is one. Terms as before change nothing. A connection stays where its first
    /// hop does and its certificate is still right; where we are active and it does not, another is made at once. A path that
    /// begins with a token of ours leads to its owner's link, wherever that is (RFC 4976 section 6.2).
    pub fn set_leg(&mut self, id: AnchorId, side: Side, mut terms: LegTerms, now: Moment) -> Result<(), AnchorError> {
        self.check_target(&terms)?;
        let through = terms.through(&self.settings);
        if through.is_some() {
            // Whose link it is was proven by AUTH, and a certificate in its SDP is shown to nobody but us.
            terms.expects = Expects::Nothing;
        }
        let anchor = self.anchors.get_mut(id).filter(|a| a.ending.is_none()).ok_or(AnchorError::Unknown)?;
        anchor.followed_by = None;
        let leg = anchor.leg(side);
        let renewed = leg.renewal.is_some();
        if !renewed && !self.sessions.contains_key(&leg.token) {
            return Err(AnchorError::NeedsRenewal);
        }
        if !renewed && leg.terms.as_ref() == Some(&terms) && (leg.link.is_some() || terms.connect == Connect::Them) {
            return Ok(());
        }
        let dial = self.leg_dial(&terms)?;
        let stays = self.link_stays(id, side, &terms, dial.as_ref(), renewed);
        if renewed {
            self.replace_uri(id, side, now);
        }
        let within = terms.within.unwrap_or(self.settings.limits.anchor_media);
        let Some(anchor) = self.anchors.get_mut(id) else { return Err(AnchorError::Unknown) };
        let leg = anchor.leg_mut(side);
        let most = terms.max_size.map(|size| size.saturating_add(size / 10));
        let paths = match through {
            Some(_) => leg.paths_through(&terms, most),
            None => LegPaths { to: terms.target.clone(), from: leg.uri.clone(), most },
        };
        let turned = leg.paths.as_deref() != Some(&paths);
        leg.paths = Some(Arc::new(paths));
        leg.terms = Some(terms);
        let (token, before) = (leg.token, leg.link);
        if !stays {
            leg.change_link(None);
        }
        leg.connect_by = if stays { None } else { Some((now + within, false)) };
        if anchor.legs.iter().all(|l| l.terms.is_some()) {
            anchor.reserved_until = None;
        }
        if !stays && !renewed && before.is_some() {
            self.unbind_leg(token);
            // What its former end sends is admitted anew, if at all.
            self.reroute(id, side.other());
        }
        match (dial, before.filter(|_| stays)) {
            (None, kept) if through.is_some() && (renewed || kept.is_none()) => self.attach_leg(id, side, now),
            (Some(_), Some(link)) if renewed => self.bind_leg(token, link),
            (Some(dial), None) => self.connect_leg(id, side, dial, now),
            _ => {}
        }
        if turned || before.is_some() != stays {
            self.reroute(id, side);
        }
        self.arm_anchor(id);
        self.wake_waiting(id);
        Ok(())
    }

    fn check_target(&self, terms: &LegTerms) -> Result<(), AnchorError> {
        let path = Path::new(&terms.target);
        let first = terms.first().ok_or(AnchorError::Target)?;
        let ports = path.texts().all(|u| Uri::parse(u).is_ok_and(|u| u.port().is_some()));
        // Headers are made of it octet for octet: nothing but URIs and spaces may be in it.
        let clean = !terms.target.iter().any(u8::is_ascii_control);
        let good = clean && ports && path.check(&self.settings.wire).is_ok();
        good.then_some(()).ok_or(AnchorError::Target)?;
        match self.settings.is_ours(&first) {
            true => self.check_through(path),
            false if self.is_ours_but_for_scheme(&first) => Err(AnchorError::Target),
            false => Ok(()),
        }
    }

    /// Where we connect to, if we do.
    fn leg_dial(&self, terms: &LegTerms) -> Result<Option<Dial>, AnchorError> {
        if terms.connect == Connect::Them || terms.through(&self.settings).is_some() {
            return Ok(None);
        }
        let first = terms.first().ok_or(AnchorError::Target)?;
        let invalid = match first.host() {
            Host::Name(name) => {
                let name = name.to_ascii_lowercase();
                name == b"invalid" || name.ends_with(b".invalid")
            }
            _ => false,
        };
        if !first.is_tcp() || invalid {
            return Err(AnchorError::Target);
        }
        self.judge(&first).map_err(|_: Refusal| AnchorError::Policy)?;
        Ok(Some(Dial { fingerprints: terms.expects.fingerprints(), ..self.dial(&first) }))
    }

    /// Whether the link of a leg serves under its new terms too.
    fn link_stays(&self, id: AnchorId, side: Side, terms: &LegTerms, dial: Option<&Dial>, renewed: bool) -> bool {
        let Some(leg) = self.anchors.get(id).map(|a| a.leg(side)) else { return false };
        let (Some(before), Some(link)) = (&leg.terms, leg.link) else { return false };
        let local = (link.shard == self.shard).then(|| self.links.get(link.link)).flatten();
        if link.shard == self.shard && !self.alive(link.link) {
            return false;
        }
        let through = terms.through(&self.settings);
        if through.is_some() || before.through(&self.settings).is_some() {
            return before.through(&self.settings) == through;
        }
        let names = local.into_iter().flat_map(super::binding::names);
        let same = before.expects == terms.expects || terms.expects.met_by(leg.seen.as_deref(), names);
        same && match dial {
            Some(_) => before.same_first_hop(terms),
            // The end of a passive leg connects anew by itself, should it want to. An answer that names another session at the
            // URI of ours that was offered is that of another fork, or of an end that makes another connection.
            None => renewed || before.same_end(terms),
        }
    }

    /// The renewed URI takes the place of the one before, which stays good for what is under way.
    fn replace_uri(&mut self, id: AnchorId, side: Side, now: Moment) {
        let until = now + self.settings.limits.anchor_overlap;
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) else { return };
        let Some((token, uri)) = leg.renewal.take() else { return };
        let old = std::mem::replace(&mut leg.token, token);
        leg.uri = uri;
        if let Some(session) = self.sessions.get_mut(&old) {
            session.expires = until;
            session.expires_named = true;
            leg.older.push(old);
            let many = (leg.older.len() > OLDER).then(|| leg.older[0]);
            self.timers.arm(until, timer::Owner::Session(old));
            if let Some(oldest) = many {
                self.end_session(&oldest, SessionEnd::Expired, now);
            }
        }
    }

    /// What goes to this leg finds its way anew: the chunks that are arriving go on as they began.
    pub(super) fn reroute(&mut self, id: AnchorId, side: Side) {
        let Some(anchor) = self.anchors.get(id) else { return };
        let from = anchor.leg(side.other());
        let tokens: Vec<TokenId> = from.tokens().collect();
        if let Some(owner) = from.terms.as_ref().and_then(|t| t.through(&self.settings)) {
            self.end_inner_ways(owner, &tokens);
        }
        for token in tokens {
            let Some(session) = self.sessions.get_mut(&token) else { continue };
            let (ways, guests) = (std::mem::take(&mut session.ways), std::mem::take(&mut session.guests));
            for way in ways {
                self.take_session_over(way.source);
            }
            for guest in guests {
                self.post_session_over(guest.back);
            }
        }
    }

    /// The leg's token has no far side any more.
    pub(super) fn unbind_leg(&mut self, token: TokenId) {
        let Some(session) = self.sessions.get_mut(&token) else { return };
        for far in std::mem::take(&mut session.far) {
            self.release_far(token, far.link);
        }
    }

    /// A token leads to the link that its leg has.
    pub(super) fn bind_leg(&mut self, token: TokenId, link: FarLink) {
        let Some(session) = self.sessions.get(&token) else { return };
        let Owner::Leg(id, side) = session.owner else { return };
        let first = self.anchors.get(id).and_then(|a| a.leg(side).terms.as_ref());
        let uri = first.and_then(|t| Path::new(&t.target).first()).unwrap_or_default().to_vec();
        let relay = self.relay_of(link);
        self.bind_far(token, link, relay, &uri);
        self.post_bound(token, link);
    }

    pub(super) fn relay_of(&self, link: FarLink) -> Option<Arc<str>> {
        let local = (link.shard == self.shard).then(|| self.links.get(link.link)).flatten()?;
        local.relay_name().cloned().or_else(|| local.dial.as_ref().and_then(Dial::relay))
    }

    /// Connects to the first hop of a leg, or takes a link that leads there.
    fn connect_leg(&mut self, id: AnchorId, side: Side, dial: Dial, now: Moment) {
        let shared = self.link_toward(&dial);
        let link = match shared {
            Some(link) => link,
            None => match self.dial_for(dial, None, now) {
                Ok(link) => link,
                Err(_) => return,
            },
        };
        let here = self.here(link);
        let Some(leg) = self.anchors.get_mut(id).map(|a| a.leg_mut(side)) else { return };
        leg.change_link(Some(here));
        let token = leg.token;
        self.bind_leg(token, here);
        if self.links.get(link).is_some_and(|l| l.phase == Phase::Open) {
            self.leg_up(id, side, link, now);
        }
    }

    /// RFC 4976 section 6.5: a link that leads there and was verified in the same way.
    fn link_toward(&self, dial: &Dial) -> Option<LinkId> {
        let peer = dial.relay().filter(|_| dial.fingerprints.is_none() && self.settings.shares(dial));
        let relay = peer.and_then(|name| self.relay_link(&name));
        relay.or_else(|| self.next_hops.get(dial).copied().filter(|l| self.alive(*l)))
    }
}
