//! How links begin and end, and with them what they mean to others.

use std::sync::Arc;
use std::time::Duration;

use super::link::{CloseReason, DialFailure, Frame, LinkId, Meta, Phase, Probation, RelayIdentity};
use super::session::{SessionEnd, TokenId};
use super::source::Target;
use super::timer::Owner;
use super::{Event, Link, Output, Relay};
use crate::moment::Moment;
use crate::msrp::{Status, Uri};
use crate::planted::{Bug, on};
use crate::sdp::Fingerprint;
use crate::slack::Slack;

/// Last frames of a link that is to close have this long to leave.
const FLUSH: Duration = Duration::from_secs(5);
/// Deadlines that nobody counts on any more are not looked for among so few.
const FEW_TIMERS: usize = 256;

impl Relay {
    /// A connection was accepted (and its TLS handshake is done).
    pub fn handle_accepted(&mut self, meta: Meta, now: Moment) -> LinkId {
        let probation = meta.relay.is_none().then(|| self.settings.limits.probation);
        let mut link = Link::new(meta, Phase::Open, None, self.settings.wire, now);
        link.probation = probation.map(|time| Probation { until: now + time, failures: 0 });
        let id = self.links.insert(link);
        self.counts.links_opened[0] += 1;
        self.register_relay(id);
        let idle = now + self.settings.limits.idle_foreign;
        self.arm(id, probation.map_or(idle, |time| now + time));
        id
    }

    /// A link without a socket, whose other end lives in this process: a chat room, a gateway, a test.
    pub fn handle_local_endpoint(&mut self, now: Moment) -> LinkId {
        let local = self.settings.authorities.first().cloned().map(Arc::new);
        let local = local.unwrap_or_else(|| {
            Arc::new(super::Authority {
                scheme: crate::msrp::Scheme::Msrps,
                host: self.settings.hostname.clone(),
                port: 2855,
            })
        });
        let secure = local.scheme == crate::msrp::Scheme::Msrps;
        let meta = Meta {
            peer: None,
            secure,
            auth: true,
            local,
            relay: None,
            own_kind: true,
            bulk: false,
            fingerprints: None,
        };
        self.links.insert(Link::new(meta, Phase::Open, None, self.settings.wire, now))
    }

    /// Gives a local endpoint a token, so that far sides reach it. Returns the URI.
    pub fn bind_local(&mut self, link: LinkId, user: &str, now: Moment) -> Option<Arc<[u8]>> {
        let life = Duration::from_secs(u32::MAX.into());
        self.mint(link, user.into(), now + life, true, None, now).map(|(_, uri)| uri)
    }

    /// How much a local endpoint may send with `token`, a URI of [`bind_local`](Relay::bind_local), to what it writes behind it
    /// in To-Path: octets that the buffer on the way there has room for. Nobody stops an endpoint for one slow receiver; it
    /// keeps what there is no room for, and is touched when there is room again. What it sends all the same is refused with
    /// 413 in the end (RLY-88).
    pub fn endpoint_room(&self, link: LinkId, token: &[u8], next: &[u8]) -> usize {
        let limit = self.settings.limits.session_buffer;
        let here = self.here(link);
        let token = Uri::parse(token).ok().and_then(|uri| uri.session_id().and_then(TokenId::parse));
        let Some(session) = token.and_then(|t| self.sessions.get(&t)) else { return 0 };
        let way = session.ways.iter().find(|w| w.from == here && *w.next == *next);
        let Some(source) = way.and_then(|w| self.sources.get(w.source)) else { return limit };
        let used = match source.target {
            Target::Here(flow) => self.flows.get(flow).map_or(0, |f| f.charged),
            Target::There { .. } => source.in_flight,
            Target::Asked => 0,
        };
        if source.full { 0 } else { limit.saturating_sub(used) }
    }

    /// A dialled connection is there, its certificate verified.
    pub fn handle_dialled(
        &mut self,
        id: LinkId,
        peer: std::net::SocketAddr,
        relay: Option<RelayIdentity>,
        own_kind: bool,
        fingerprints: Option<Arc<[Fingerprint]>>,
        now: Moment,
    ) {
        let Some(link) = self.links.get_mut(id) else { return };
        if link.phase != Phase::Dialling {
            return;
        }
        link.meta.peer = Some(peer);
        link.meta.relay = relay.map(Arc::new);
        link.meta.own_kind = own_kind;
        link.meta.fingerprints = fingerprints;
        link.phase = Phase::Open;
        link.last_input = now;
        let flows = link.flows.clone();
        let max_part = self.max_part(id);
        for flow in flows {
            if let Some(f) = self.flows.get_mut(flow) {
                f.max_part = max_part;
            }
        }
        self.register_relay(id);
        let at = now + self.settings.limits.idle_foreign;
        self.arm(id, at);
        self.touch(id);
        self.bulk_dialled(id, now);
        self.legs_dialled(id, now);
    }

    /// A dial failed; what waited for it has failed too.
    pub fn handle_dial_failed(&mut self, id: LinkId, failure: DialFailure, now: Moment) {
        self.forget_link(id, CloseReason::DialFailed(failure), now);
    }

    /// The other end will send nothing more. What it sent is still dealt with, answers are flushed, then the link closes
    /// (AMB-93).
    pub fn handle_eof(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.eof = true;
        self.pump(id, now);
    }

    /// All input of a finished link is dealt with: its running chunk is cut short, its answers go out.
    pub(super) fn finish_eof(&mut self, id: LinkId, now: Moment) {
        let Some(link) = self.links.get(id) else { return };
        if !link.eof || link.waiting.is_some() || link.full_flows > 0 || link.phase != Phase::Open {
            return;
        }
        self.close_flushing(id, CloseReason::Eof, now);
    }

    /// Nothing has come in on a link for a while: the room that a busy time has needed is given back. Most links of a chat
    /// service rest most of the time.
    pub fn handle_rest(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(id) else { return };
        link.egress.rest();
        link.transactions.rest();
        link.reverse.shrink_to_fit();
        // The next SEND is checked once more.
        link.checked_paths = Vec::new();
        for flow in &link.flows {
            if let Some(flow) = self.flows.get_mut(*flow) {
                flow.queue.shrink_to_fit();
                flow.slices.shrink_to_fit();
            }
        }
    }

    /// Gives back what many links and sessions together have needed at their busiest: to be called now and then.
    pub fn shrink(&mut self) {
        self.pendings.shrink();
        self.sources.shrink();
        self.flows.shrink();
        self.links.shrink();
        self.anchors.shrink();
        self.shrink_timers();
        self.sessions.give_back();
        self.relays.give_back();
        self.redirects.give_back();
        self.forwarding.give_back();
        self.abroad.give_back();
        self.lost.give_back();
        self.outputs.give_back();
        self.touched.give_back();
        self.resumable.give_back();
        self.dirty.give_back();
        self.held.give_back();
        self.retiring.give_back();
        self.retired.give_back();
        self.abandoned.give_back();
    }

    fn shrink_timers(&mut self) {
        let (links, sessions, anchors, pendings) = (&self.links, &self.sessions, &self.anchors, &self.pendings);
        let owners = links.len() + sessions.len() + anchors.len() + pendings.len();
        self.timers.shrink(FEW_TIMERS + 2 * owners, |at, owner| match owner {
            Owner::Link(link) => links.get(link).is_some_and(|l| l.timer_at == at),
            Owner::Anchor(anchor) => anchors.get(anchor).is_some_and(|a| a.is_armed_for(at)),
            Owner::Session(token) => sessions.contains_key(&token),
            Owner::Failing(pending) => pendings.contains(pending),
        });
    }

    /// The connection is gone.
    pub fn handle_lost(&mut self, id: LinkId, now: Moment) {
        self.forget_link(id, CloseReason::Lost, now);
    }

    /// Asks for this link to be closed after its last frames have left.
    pub(super) fn close_flushing(&mut self, id: LinkId, reason: CloseReason, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        if matches!(link.phase, Phase::Flushing { .. }) {
            return;
        }
        link.phase = Phase::Flushing { reason, until: now + FLUSH };
        self.release_bindings(id, reason, now);
        self.arm(id, now + FLUSH);
        self.touch(id);
    }

    /// Closes a link without another octet.
    pub(super) fn close_now(&mut self, id: LinkId, reason: CloseReason, now: Moment) {
        self.forget_link(id, reason, now);
        self.outputs.push_back(Output::Close { link: id, reason });
    }

    /// Ends what the link meant to others and removes it.
    pub(super) fn forget_link(&mut self, id: LinkId, reason: CloseReason, now: Moment) {
        self.release_bindings(id, reason, now);
        let Some(link) = self.links.remove(id) else { return };
        self.handed_out -= link.egress.outstanding() as usize;
        if !on(Bug::UrgentLeak) {
            self.urgent -= link.egress.queued_urgent().min(self.urgent);
        }
        self.counts.links_closed += 1;
        let relay = link.relay_name().cloned();
        self.outputs.push_back(Output::Event(Event::LinkClosed { peer: link.meta.peer, reason, relay }));
    }

    /// The link is no owner, no far side, no source and no target any more. Its own last frames stay.
    pub(super) fn release_bindings(&mut self, id: LinkId, reason: CloseReason, now: Moment) {
        let Some(link) = self.links.get_mut(id) else { return };
        let waiting = link.waiting.take();
        let owned = std::mem::take(&mut link.owned);
        let far_of = std::mem::take(&mut link.far_of);
        link.legs.clear();
        let sources = std::mem::take(&mut link.sources);
        let flows = std::mem::take(&mut link.flows);
        let was_owner = !owned.is_empty();
        let dialled = link.dialled;
        let frame = std::mem::replace(&mut link.frame, Frame::None);
        let bulk_for = link.bulk_for.take();
        let (name, dial) = (link.relay_name().cloned(), link.dial.clone());
        self.bulk_lost(id, bulk_for);
        self.unregister(id, name.as_ref(), dial.as_ref());
        self.abandon(waiting);
        if let Frame::Chunk { source, .. } = frame {
            self.cut_short(source, now);
        }
        let here = self.here(id);
        for token in &far_of {
            if let Some(session) = self.sessions.get_mut(token) {
                session.far.retain(|f| f.link != here);
            } else {
                self.far_gone(*token, id, reason);
            }
        }
        for source in sources {
            self.lose_source(source);
        }
        let status = match reason {
            CloseReason::DialFailed(DialFailure::Policy | DialFailure::Quota) => Status::FORBIDDEN,
            _ if was_owner && !dialled => Status::NO_SESSION,
            _ => Status::TIMEOUT,
        };
        for flow in flows {
            self.fail_flow(flow, status, now);
        }
        if let Some(link) = self.links.get_mut(id) {
            let unanswered = link.transactions.drain();
            let reverse = std::mem::take(&mut link.reverse);
            for back in reverse.into_values().map(|r| r.back) {
                self.send_back(back, Vec::new(), false, now);
            }
            let outcome = if on(Bug::NextHopLossSilent) { Ok(()) } else { Err(status) };
            for t in unanswered {
                self.settle_part(t.pending, t.first, t.behind, outcome, now);
            }
        }
        for token in owned.into_iter().filter(|_| !on(Bug::StaleSession) || reason != CloseReason::Lost) {
            self.end_session(&token, SessionEnd::OwnerGone, now);
        }
        for token in far_of {
            self.leg_lost(token, here, reason, now);
        }
        let abroad: Vec<_> = self.abroad.keys().filter(|(link, _)| *link == id).copied().collect();
        for key in abroad {
            self.abroad.remove(&key);
        }
    }

    /// The link is no way to a relay or next hop any more.
    pub(super) fn unregister(&mut self, id: LinkId, name: Option<&Arc<str>>, dial: Option<&super::Dial>) {
        if let Some(dial) = dial
            && self.next_hops.get(dial) == Some(&id)
        {
            self.next_hops.remove(dial);
        }
        if let Some(name) = name
            && let Some(links) = self.relays.get_mut(name)
        {
            links.retain(|l| *l != id);
            if links.is_empty() {
                self.relays.remove(name);
            }
        }
    }

    pub(super) fn register_relay(&mut self, id: LinkId) {
        let Some(name) = self.links.get(id).and_then(|l| l.relay_name().cloned()) else { return };
        self.relays.entry(name).or_default().push(id);
    }
}
