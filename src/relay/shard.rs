//! Shards: what one says to another, and links that move between them (DESIGN: mailboxes first, moving second).
//!
//! Any pair of links can be served over mailboxes: the asking shard keeps the [`Source`], the shard of the other link the
//! [`Flow`](super::flow::Flow), and parcels carry octets one way, credit and outcomes the other. Mailboxes are FIFO per
//! ordered pair of shards. Parcels that carry traffic count against a bound and a full mailbox stops the link that
//! posts; answers, credit and reports always pass, so that two full mailboxes cannot wait for each other.
//!
//! A link at rest moves instead: a far side to the home of the first token it names, and of two clients that both own
//! tokens the one with fewer sessions.

use bytes::Bytes;

use super::flow::FlowId;
use super::link::{Frame, Link, LinkId, Phase, Waiting};
use super::route::{Asker, Binding, Place, Refusal};
use super::session::{FarLink, Owner, Session, TokenId, Way};
use super::short::Short;
use super::source::{Failure, SourceId, SourceRef, Target};
use super::transit::Whole;
use super::{Output, Relay};
use crate::moment::Moment;
use crate::msrp::{FailureReport, Flag, Head, Kind, Method, Status, response};

/// Answers of another shard are waited for this long; it answers at once or has died.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

/// What one shard says to another.
pub struct Parcel(Content);

impl std::fmt::Debug for Parcel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.word())
    }
}

/// Where an asker wants to go.
enum Wanted {
    /// To the owner of this token, or outwards with it; so many leading URIs are dealt with.
    Token { skip: usize },
    /// To this link of yours, which is a far side here.
    Link(LinkId),
}

enum Content {
    Admit { asker: Asker, source: SourceId, wanted: Wanted, head: Head, may_move: bool },
    Admitted { source: SourceId, flow: FlowId, hops: usize },
    NotAdmitted { source: SourceId, refusal: Refusal },
    MoveHere { source: SourceId },
    AskAgain { source: SourceId },
    Start { flow: FlowId, start: super::forward::Start },
    Body { flow: FlowId, octets: Bytes },
    End { flow: FlowId, flag: Flag },
    Abort { flow: FlowId, message: Option<Short>, status: Status },
    SourceGone { flow: FlowId },
    Credit { source: SourceId, octets: u64 },
    Refused { source: SourceId, serial: u32, message: Option<Short>, status: Status },
    Failed { source: SourceId, failure: Failure },
    FlowClosed { source: SourceId },
    Whole { asker: Asker, wanted: Wanted, whole: Whole },
    Reply { link: LinkId, frame: Vec<u8>, auth_failed: bool },
    FarGone { token: TokenId, link: FarLink },
    TokenGone { token: TokenId },
    Received { parcels: usize },
}

impl Content {
    /// Counts against the mailbox's bound.
    fn traffic(&self) -> bool {
        matches!(
            self,
            Content::Admit { .. }
                | Content::Start { .. }
                | Content::Body { .. }
                | Content::End { .. }
                | Content::Whole { .. }
        )
    }

    fn word(&self) -> &'static str {
        match self {
            Content::Admit { .. } => "admit",
            Content::Admitted { .. } => "admitted",
            Content::NotAdmitted { .. } => "not admitted",
            Content::MoveHere { .. } => "move here",
            Content::AskAgain { .. } => "ask again",
            Content::Start { .. } => "start",
            Content::Body { .. } => "body",
            Content::End { .. } => "end",
            Content::Abort { .. } => "abort",
            Content::SourceGone { .. } => "source gone",
            Content::Credit { .. } => "credit",
            Content::Refused { .. } => "refused",
            Content::Failed { .. } => "failed",
            Content::FlowClosed { .. } => "flow closed",
            Content::Whole { .. } => "whole",
            Content::Reply { .. } => "reply",
            Content::FarGone { .. } => "far gone",
            Content::TokenGone { .. } => "token gone",
            Content::Received { .. } => "received",
        }
    }
}

/// Parcels under way to one other shard.
#[derive(Default)]
pub(super) struct Mailbox {
    under_way: usize,
    /// Parcels received from there and not yet acknowledged.
    received: usize,
    /// Links that are stopped because it is full.
    waiting: Vec<LinkId>,
}

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

impl Link {
    /// Nothing of it is under way: it can move.
    pub(super) fn at_rest(&self) -> bool {
        self.phase == Phase::Open
            && !self.eof
            && self.sources.is_empty()
            && self.flows.is_empty()
            && self.far_of.is_empty()
            && self.reverse.is_empty()
            && self.reverse_from_here == 0
            && self.transactions.len() == 0
            && self.egress.at_rest()
            && self.meta.peer.is_some()
    }
}

impl Relay {
    // ---- the asking side

    /// The way leads to another shard: the link moves there, or the other shard is asked while this link's input waits.
    pub(super) fn ask_abroad(
        &mut self,
        id: LinkId,
        head: &Head,
        has_body: bool,
        asker: &Asker,
        place: &Place,
        now: Moment,
    ) {
        let (shard, wanted) = match place.to {
            Binding::Home(shard, _) => (shard, Wanted::Token { skip: place.hops }),
            Binding::Abroad(far) => (far.shard, Wanted::Link(far.link)),
            _ => return,
        };
        let free = asker.at_rest && asker.sessions == 0 && matches!(wanted, Wanted::Token { skip: 0 });
        if free {
            return self.move_link(id, shard, Some((head.clone(), has_body)));
        }
        let source = self.new_source(id, head, place.token, place.from_owner, place.hops);
        let mut detached = head.clone();
        detached.detach();
        let may_move = asker.at_rest;
        self.post(shard, Content::Admit { asker: asker.clone(), source, wanted, head: detached, may_move });
        self.wait_for_admission(id, source, head.clone(), has_body, now);
    }

    fn wait_for_admission(&mut self, id: LinkId, source: SourceId, head: Head, has_body: bool, now: Moment) {
        let until = now + PATIENCE;
        if let Some(link) = self.links.get_mut(id) {
            link.waiting = Some(Waiting::Admission { source, head, has_body, until });
        }
        self.arm(id, until);
    }

    /// The request that waits for this source's admission.
    fn take_waiting(&mut self, source: SourceId) -> Option<(LinkId, Head, bool)> {
        let id = self.sources.get(source)?.link;
        let link = self.links.get_mut(id)?;
        match link.waiting.take() {
            Some(Waiting::Admission { source: s, head, has_body, .. }) if s == source => Some((id, head, has_body)),
            other => {
                link.waiting = other;
                None
            }
        }
    }

    fn take_admitted(&mut self, from: u16, source: SourceId, flow: FlowId, hops: usize, now: Moment) {
        let Some((id, head, has_body)) = self.take_waiting(source) else {
            return self.post(from, Content::SourceGone { flow });
        };
        let Some(s) = self.sources.get_mut(source) else { return };
        s.target = Target::There { shard: from, flow };
        s.hops = hops;
        let token = s.token;
        let next = head.to_path().map(|p| p.after(1)).unwrap_or_default().into();
        let way = Way { from: self.here(id), next, inner: None, source };
        match self.sessions.get_mut(&token) {
            Some(session) => session.ways.push(way),
            None => {
                self.abroad.entry((id, token)).or_default().push(way);
                if let Some(link) = self.links.get_mut(id)
                    && !link.far_of.contains(&token)
                {
                    link.far_of.push(token);
                }
            }
        }
        self.begin_chunk(id, source, head, has_body, now);
        self.pump(id, now);
    }

    fn take_not_admitted(&mut self, source: SourceId, refusal: Refusal, now: Moment) {
        let Some((id, head, _)) = self.take_waiting(source) else { return };
        self.end_source(source);
        self.refuse(id, &head, refusal, now);
        self.pump(id, now);
    }

    fn take_move_here(&mut self, from: u16, source: SourceId, now: Moment) {
        let Some((id, head, has_body)) = self.take_waiting(source) else { return };
        self.end_source(source);
        if self.links.get(id).is_some_and(Link::at_rest) {
            return self.move_link(id, from, Some((head, has_body)));
        }
        self.begin_send(id, head, has_body, now);
        self.pump(id, now);
    }

    /// The other link has come here.
    fn take_ask_again(&mut self, source: SourceId, now: Moment) {
        let Some((id, head, has_body)) = self.take_waiting(source) else { return };
        self.end_source(source);
        self.begin_send(id, head, has_body, now);
        self.pump(id, now);
    }

    /// Another shard never answered: as if the session were gone.
    pub(super) fn admission_timeout(&mut self, id: LinkId, now: Moment) {
        let due = match self.links.get(id).map(|l| &l.waiting) {
            Some(Some(Waiting::Admission { source, until, .. })) if *until <= now => *source,
            _ => return,
        };
        self.take_not_admitted(due, Refusal::NoSession, now);
    }

    // ---- the asked side

    fn take_admit(
        &mut self,
        from: u16,
        asker: &Asker,
        source: SourceId,
        wanted: &Wanted,
        head: &Head,
        may_move: bool,
        now: Moment,
    ) {
        let answer = self.admit_from(from, asker, source, wanted, head, may_move, now);
        self.post(from, answer);
    }

    #[allow(clippy::too_many_arguments)]
    fn admit_from(
        &mut self,
        from: u16,
        asker: &Asker,
        source: SourceId,
        wanted: &Wanted,
        head: &Head,
        may_move: bool,
        now: Moment,
    ) -> Content {
        let back = SourceRef { shard: from, source };
        let skip = match wanted {
            Wanted::Link(link) => {
                if !self.alive(*link) {
                    return Content::NotAdmitted { source, refusal: Refusal::NoSession };
                }
                let flow = self.new_flow(*link, back, now);
                return Content::Admitted { source, flow, hops: 1 };
            }
            Wanted::Token { skip } => *skip,
        };
        let (Some(to), Some(from_path)) = (head.to_path(), head.from_path()) else {
            return Content::NotAdmitted { source, refusal: Refusal::Bad };
        };
        if skip > 0 && may_move {
            // Two clients of ours on two shards: the one with fewer sessions comes to the other.
            let token = to.texts().nth(skip).and_then(session_token);
            let owner = token.and_then(|t| self.sessions.get(&t)).map(|s| s.owner.clone());
            if let Some(Owner::Link(theirs)) = owner
                && let Some(link) = self.links.get(theirs)
                && let Some(token) = token
            {
                if link.at_rest() && link.owned.len() < asker.sessions {
                    let _ = token;
                    self.move_link(theirs, from, None);
                    return Content::AskAgain { source };
                }
                return Content::MoveHere { source };
            }
        }
        let place = match self.admit(asker, to, from_path.first().unwrap_or_default(), skip, now) {
            Ok(place) => place,
            Err(refusal) => return Content::NotAdmitted { source, refusal },
        };
        match self.target_of(&place, to, now) {
            Ok(target) => {
                let flow = self.new_flow(target, back, now);
                Content::Admitted { source, flow, hops: place.hops }
            }
            Err(refusal) => Content::NotAdmitted { source, refusal },
        }
    }

    /// The link of this shard that a place means.
    fn target_of(&mut self, place: &Place, to: crate::msrp::Path<'_>, now: Moment) -> Result<LinkId, Refusal> {
        match &place.to {
            Binding::Link(target) => Ok(*target),
            Binding::Dial(dial) => {
                let far = if place.from_owner && place.inner.is_none() { to.texts().nth(place.hops) } else { None };
                self.dial_link(dial.clone(), place.token, far, now)
            }
            // A third shard: the asker is not sent on and on.
            Binding::Abroad(_) | Binding::Home(..) | Binding::Here => Err(Refusal::NoSession),
        }
    }

    /// A whole request from a link of another shard.
    fn take_posted_whole(&mut self, from: u16, asker: &Asker, wanted: &Wanted, whole: Whole, now: Moment) {
        let placed = match wanted {
            Wanted::Link(link) => self.alive(*link).then_some((*link, 1)).ok_or(Refusal::NoSession),
            Wanted::Token { skip } => {
                let to = whole.head.to_path();
                let from_first = whole.head.from_path().and_then(|p| p.first());
                match (to, from_first) {
                    (Some(to), Some(first)) => self
                        .admit(asker, to, first, *skip, now)
                        .and_then(|place| self.target_of(&place, to, now).map(|t| (t, place.hops))),
                    _ => Err(Refusal::Bad),
                }
            }
        };
        match placed {
            Ok((target, hops)) => self.send_whole(target, &whole, hops, asker.at, now),
            Err(refusal) => {
                self.counts.refusals[refusal.kind() as usize] += 1;
                if whole.head.kind() == Kind::Request(Method::Report) {
                    return;
                }
                let (to, own) = (whole.head.from_path(), whole.head.to_path().and_then(|p| p.first()));
                let mut frame = Vec::new();
                let back = to.map(|p| p.after(0)).unwrap_or_default();
                response(&mut frame, whole.head.transact_id(), refusal.status(), back, own.unwrap_or_default(), &[]);
                self.post(from, Content::Reply { link: asker.at.link, frame, auth_failed: false });
            }
        }
    }

    // ---- moving

    fn move_link(&mut self, id: LinkId, to: u16, replay: Option<(Head, bool)>) {
        let Some(mut link) = self.links.remove(id) else { return };
        link.waiting = None;
        link.touched = false;
        link.timer_at = Moment::FAR;
        link.frame = Frame::None;
        if let Some(links) = link.relay_name().and_then(|n| self.relays.get_mut(n)) {
            links.retain(|l| *l != id);
        }
        if let Some(dial) = &link.dial
            && self.next_hops.get(dial) == Some(&id)
        {
            self.next_hops.remove(dial);
        }
        let sessions: Vec<_> = link.owned.iter().filter_map(|t| self.sessions.remove(t).map(|s| (*t, s))).collect();
        for (token, session) in &sessions {
            self.redirects.insert(*token, to);
            // Senders of this shard ask again and find the redirect.
            for way in &session.ways {
                self.end_source(way.source);
            }
        }
        self.counts.links_moved += 1;
        self.outputs.push_back(Output::Move { link: id, to, state: Box::new(MovedLink { link, sessions, replay }) });
    }

    /// A link arrives from another shard. Its new key is returned; whatever it sent and nobody has looked at yet goes on here.
    pub fn handle_adopt(&mut self, moved: Box<MovedLink>, now: Moment) -> LinkId {
        let MovedLink { link, sessions, replay } = *moved;
        let id = self.links.insert(link);
        if let Some(name) = self.links.get(id).and_then(|l| l.relay_name().cloned()) {
            self.relays.entry(name).or_default().push(id);
        }
        for (token, mut session) in sessions {
            session.owner = match session.owner {
                Owner::Link(_) => Owner::Link(id),
                relay => relay,
            };
            session.ways.clear();
            self.timers.arm(session.expires.max(now), super::timer::Owner::Session(token));
            self.redirects.remove(&token);
            self.sessions.insert(token, session);
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

    // ---- posting

    fn post(&mut self, to: u16, content: Content) {
        if content.traffic()
            && let Some(mailbox) = self.mailboxes.get_mut(usize::from(to))
        {
            mailbox.under_way += 1;
        }
        self.counts.parcels += 1;
        self.outputs.push_back(Output::Post { to, parcel: Box::new(Parcel(content)) });
    }

    /// Posts traffic of a link; a full mailbox stops the link.
    fn post_from(&mut self, id: LinkId, to: u16, content: Content) {
        self.post(to, content);
        let most = self.settings.limits.mailbox;
        let Some(mailbox) = self.mailboxes.get_mut(usize::from(to)) else { return };
        if mailbox.under_way >= most
            && !mailbox.waiting.contains(&id)
            && let Some(link) = self.links.get_mut(id)
        {
            mailbox.waiting.push(id);
            link.full_flows += 1;
        }
    }

    pub(super) fn post_start(&mut self, shard: u16, flow: FlowId, source: SourceId, mut start: super::forward::Start) {
        start.head.detach();
        let Some(link) = self.sources.get(source).map(|s| s.link) else { return };
        self.post_from(link, shard, Content::Start { flow, start });
    }

    pub(super) fn post_body(
        &mut self,
        id: LinkId,
        shard: u16,
        flow: FlowId,
        source: SourceId,
        octets: Bytes,
        now: Moment,
    ) {
        let limit = self.settings.limits.session_buffer;
        let Some(s) = self.sources.get_mut(source) else { return };
        s.in_flight += octets.len();
        let filled = s.in_flight >= limit;
        // Slices of this shard's buffers stay here.
        let octets = Bytes::copy_from_slice(&octets);
        self.post_from(id, shard, Content::Body { flow, octets });
        if filled {
            self.stop_source(SourceRef { shard: self.shard, source }, now);
        }
    }

    pub(super) fn post_end(&mut self, shard: u16, flow: FlowId, flag: Flag) {
        self.post(shard, Content::End { flow, flag });
    }

    pub(super) fn post_abort(&mut self, shard: u16, flow: FlowId, message: Option<&[u8]>, status: Status) {
        self.post(shard, Content::Abort { flow, message: message.map(Short::new), status });
    }

    pub(super) fn post_source_gone(&mut self, shard: u16, flow: FlowId) {
        self.post(shard, Content::SourceGone { flow });
    }

    pub(super) fn post_credit(&mut self, to: SourceRef, octets: u64) {
        if octets > 0 {
            self.post(to.shard, Content::Credit { source: to.source, octets });
        }
    }

    pub(super) fn post_refused(&mut self, to: SourceRef, serial: u32, message: Option<Short>, status: Status) {
        self.post(to.shard, Content::Refused { source: to.source, serial, message, status });
    }

    pub(super) fn post_failed(&mut self, to: SourceRef, failure: Failure) {
        self.post(to.shard, Content::Failed { source: to.source, failure });
    }

    pub(super) fn flow_closed(&mut self, to: SourceRef, now: Moment) {
        if to.shard == self.shard {
            self.take_flow_closed(to.source, now);
        } else {
            self.post(to.shard, Content::FlowClosed { source: to.source });
        }
    }

    pub(super) fn post_reply(&mut self, to: FarLink, frame: Vec<u8>, auth_failed: bool) {
        self.post(to.shard, Content::Reply { link: to.link, frame, auth_failed });
    }

    pub(super) fn post_whole(&mut self, id: LinkId, asker: &Asker, place: &Place, whole: &Whole) {
        let (shard, wanted) = match place.to {
            Binding::Home(shard, _) => (shard, Wanted::Token { skip: place.hops }),
            Binding::Abroad(far) => (far.shard, Wanted::Link(far.link)),
            _ => return,
        };
        let mut head = whole.head.clone();
        head.detach();
        let whole = Whole { head, body: whole.body.clone(), has_body: whole.has_body };
        self.post_from(id, shard, Content::Whole { asker: asker.clone(), wanted, whole });
    }

    /// A far side is gone whose session lives elsewhere.
    pub(super) fn far_gone(&mut self, token: TokenId, link: LinkId) {
        let home = self.redirects.get(&token).copied().or_else(|| token.label().map(|l| l.shard));
        if let Some(home) = home.filter(|h| *h != self.shard && *h < self.settings.shards) {
            let link = self.here(link);
            self.post(home, Content::FarGone { token, link });
        }
    }

    /// A token has died away from where it was made: the redirect there is not needed any more.
    pub(super) fn token_gone(&mut self, token: TokenId) {
        if let Some(label) = token.label().filter(|l| l.shard != self.shard && l.shard < self.settings.shards) {
            self.post(label.shard, Content::TokenGone { token });
        }
    }

    // ---- receiving

    /// A parcel of another shard.
    pub fn handle_parcel(&mut self, from: u16, parcel: Parcel, now: Moment) {
        if parcel.0.traffic()
            && let Some(mailbox) = self.mailboxes.get_mut(usize::from(from))
        {
            mailbox.received += 1;
            if mailbox.received * 8 >= self.settings.limits.mailbox {
                let parcels = std::mem::take(&mut mailbox.received);
                self.post(from, Content::Received { parcels });
            }
        }
        match parcel.0 {
            Content::Admit { asker, source, wanted, head, may_move } => {
                self.take_admit(from, &asker, source, &wanted, &head, may_move, now);
            }
            Content::Admitted { source, flow, hops } => self.take_admitted(from, source, flow, hops, now),
            Content::NotAdmitted { source, refusal } => self.take_not_admitted(source, refusal, now),
            Content::MoveHere { source } => self.take_move_here(from, source, now),
            Content::AskAgain { source } => self.take_ask_again(source, now),
            Content::Start { flow, start } => self.take_start(flow, start, now),
            Content::Body { flow, octets } => self.push_body(flow, octets, now),
            Content::End { flow, flag } => self.push_end(flow, flag, now),
            Content::Abort { flow, message, status } => {
                self.abort_message(flow, message.as_ref().map(Short::as_bytes), status, now);
            }
            Content::SourceGone { flow } => {
                if let Some(f) = self.flows.get_mut(flow) {
                    f.orphan = true;
                    if f.queue.is_empty() {
                        self.end_flow(flow);
                    }
                }
            }
            Content::Credit { source, octets } => self.take_credit(source, octets, now),
            Content::Refused { source, serial, message, status } => {
                self.take_refused(source, serial, message, status, now)
            }
            Content::Failed { source, failure } => self.take_failed(source, failure, now),
            Content::FlowClosed { source } => self.take_flow_closed(source, now),
            Content::Whole { asker, wanted, whole } => self.take_posted_whole(from, &asker, &wanted, whole, now),
            Content::Reply { link, frame, auth_failed } => self.take_reply(link, &frame, auth_failed, now),
            Content::FarGone { token, link } => {
                if let Some(session) = self.sessions.get_mut(&token) {
                    session.far.retain(|f| f.link != link);
                }
            }
            Content::TokenGone { token } => {
                self.redirects.remove(&token);
            }
            Content::Received { parcels } => self.take_received(from, parcels),
        }
    }

    fn take_start(&mut self, flow: FlowId, start: super::forward::Start, now: Moment) {
        let (serial, head) = (start.serial, start.head.clone());
        let (from_path, token_uri) = (start.from_path.clone(), start.token_uri.clone());
        let Err(refusal) = self.push_start(flow, start, now) else { return };
        let Some(back) = self.flows.get(flow).map(|f| f.back) else { return };
        if head.failure_report() == FailureReport::No {
            return;
        }
        // The chunk may have ended by the time its source hears this: then it becomes a REPORT.
        let message = head.message_id().map(Short::new);
        let range = head.byte_range().unwrap_or(crate::msrp::ByteRange::UNKNOWN);
        self.tell_refused(back, serial, message.clone(), refusal.status(), now);
        let status = refusal.status();
        self.tell_failed(back, Failure { serial, from_path, token_uri, message, range, status }, now);
    }

    fn take_credit(&mut self, id: SourceId, octets: u64, now: Moment) {
        let limit = self.settings.limits.session_buffer;
        let Some(source) = self.sources.get_mut(id) else { return };
        source.in_flight = source.in_flight.saturating_sub(usize::try_from(octets).unwrap_or(usize::MAX));
        if source.full && source.in_flight < limit / 2 {
            self.credit(SourceRef { shard: self.shard, source: id }, 0, true, now);
        }
    }

    fn take_received(&mut self, from: u16, parcels: usize) {
        let most = self.settings.limits.mailbox;
        let Some(mailbox) = self.mailboxes.get_mut(usize::from(from)) else { return };
        mailbox.under_way = mailbox.under_way.saturating_sub(parcels);
        if mailbox.under_way >= most / 2 {
            return;
        }
        for id in std::mem::take(&mut mailbox.waiting) {
            if let Some(link) = self.links.get_mut(id) {
                link.full_flows = link.full_flows.saturating_sub(1);
                self.resumable.push(id);
            }
        }
    }
}

fn session_token(text: &[u8]) -> Option<TokenId> {
    crate::msrp::Uri::parse(text).ok()?.session_id().and_then(TokenId::parse)
}
