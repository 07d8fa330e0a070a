//! A request whose token or far side is on another shard: that shard is asked once per way, and the link's input waits.

use super::super::anchor::Held;
use super::super::bulk::Origin;
use super::super::link::{CloseReason, LinkId, Phase, Waiting};
use super::super::route::{Asker, Binding, Place, Refusal};
use super::super::session::{FarLink, Guest, Owner, TokenId, Way};
use super::super::source::{SourceId, SourceRef, Target};
use super::super::transit::Whole;
use super::super::turn::Turn;
use super::super::{Relay, link::Link};
use super::{Ask, Content, Wanted};
use crate::moment::Moment;
use crate::msrp::{Head, Kind, Method, Path, response};

/// Answers of another shard are waited for this long; it answers at once or has died.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);
/// Guests of one session that are told of its end.
const GUESTS: usize = 4096;

/// An answer that grants a way.
pub(super) struct Granted {
    pub(super) source: SourceId,
    /// The asking link, should the source be gone.
    pub(super) link: LinkId,
    pub(super) flow: super::super::flow::FlowId,
    pub(super) turn: Turn,
    /// The asker is a far side of this token now.
    pub(super) pinned: Option<TokenId>,
}

impl Relay {
    // ---- the asking side

    /// The way leads to another shard: the link moves there, or the other shard is asked while this link's input waits.
    pub(in super::super) fn ask_abroad(
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
            Binding::Abroad(far) => (far.shard, wanted_link(far.link, place)),
            _ => return,
        };
        let free = asker.at_rest && asker.sessions == 0 && matches!(wanted, Wanted::Token { skip: 0 });
        if free {
            return self.move_link(id, shard, Some((head.clone(), has_body)), now);
        }
        let source = self.new_source(id, head, place);
        let mut detached = head.clone();
        detached.detach();
        // A relay's link takes no token along: it would come back for the one that it names first.
        let may_move = asker.at_rest && asker.relay.is_none();
        let ask = Ask { asker: asker.clone(), source, wanted, head: detached, may_move, passed: 0 };
        self.post(shard, Content::Admit(ask));
        let (until, home) = (now + PATIENCE, self.sessions.contains_key(&place.token));
        if let Some(link) = self.links.get_mut(id) {
            link.waiting = Some(Waiting::Admission { source, head: head.clone(), has_body, may_move, home, until });
        }
        self.arm(id, until);
    }

    /// The request that waits for this source's admission.
    fn take_waiting(&mut self, source: SourceId) -> Option<(LinkId, Head, bool)> {
        let (id, token) = self.sources.get(source).map(|s| (s.link, s.token))?;
        let link = self.links.get_mut(id)?;
        match link.waiting.take() {
            Some(Waiting::Admission { source: s, head, has_body, home, .. }) if s == source => {
                // A session that ends while another shard is asked has no way yet by which it could tell.
                let ended = home && !self.sessions.contains_key(&token);
                if let Some(source) = self.sources.get_mut(source) {
                    source.session_over |= ended;
                }
                Some((id, head, has_body))
            }
            other => {
                link.waiting = other;
                None
            }
        }
    }

    pub(super) fn take_admitted(&mut self, from: u16, granted: Granted, now: Moment) {
        let Granted { source, link, flow, turn, pinned } = granted;
        if let Some(token) = pinned {
            self.take_bound(from, link, token);
        }
        let Some((id, head, has_body)) = self.take_waiting(source) else {
            if from == self.shard {
                return self.orphan(flow);
            }
            return self.post(from, Content::SourceGone { flow });
        };
        let Some(s) = self.sources.get_mut(source) else { return };
        if s.session_over {
            // What it was granted by has changed meanwhile.
            s.target = Target::Asked;
            self.end_source(source);
            if from == self.shard {
                self.orphan(flow)
            } else {
                self.post(from, Content::SourceGone { flow })
            }
            self.begin_send(id, head, has_body, now);
            return self.pump(id, now);
        }
        s.target = if from == self.shard { Target::Here(flow) } else { Target::There { shard: from, flow } };
        s.turn = turn;
        let token = s.token;
        let next = head.to_path().map(|p| p.after(1)).unwrap_or_default().into();
        let way = Way { from: self.here(id), next, inner: None, source };
        match self.sessions.get_mut(&token) {
            Some(session) => session.ways.push(way),
            None => self.abroad.entry((id, token)).or_default().push(way),
        }
        self.begin_chunk(id, source, head, has_body, now);
        self.pump(id, now);
    }

    /// A link of this shard is a far side of a session elsewhere: its end will be told there.
    pub(super) fn take_bound(&mut self, from: u16, id: LinkId, token: TokenId) {
        match self.links.get_mut(id) {
            Some(link) if !matches!(link.phase, Phase::Flushing { .. }) => {
                link.probation = None;
                if !link.far_of.contains(&token) {
                    link.far_of.push(token);
                }
            }
            _ => {
                let link = self.here(id);
                self.post(from, Content::FarGone { token, link, reason: CloseReason::Lost });
            }
        }
    }

    pub(super) fn take_not_admitted(&mut self, source: SourceId, refusal: Refusal, now: Moment) {
        let Some((id, head, has_body)) = self.take_waiting(source) else { return };
        let changed = self.sources.get(source).is_some_and(|s| s.session_over);
        self.end_source(source);
        match refusal {
            _ if changed => self.begin_send(id, head, has_body, now),
            Refusal::Unconnected if !has_body => self.keep_alive(id, &head, now),
            _ if refusal.may_pass() => self.hold(id, Held::Send { head, has_body }, refusal, now),
            _ => self.refuse(id, &head, refusal, now),
        }
        self.pump(id, now);
    }

    pub(super) fn take_move_here(&mut self, from: u16, source: SourceId, now: Moment) {
        let Some((id, head, has_body)) = self.take_waiting(source) else { return };
        self.end_source(source);
        if self.links.get(id).is_some_and(Link::at_rest) {
            return self.move_link(id, from, Some((head, has_body)), now);
        }
        self.begin_send(id, head, has_body, now);
        self.pump(id, now);
    }

    /// The other link or its token has come here, or will be somewhere else in a moment.
    pub(super) fn take_ask_again(&mut self, source: SourceId, now: Moment) {
        let Some((id, head, has_body)) = self.take_waiting(source) else { return };
        self.end_source(source);
        self.begin_send(id, head, has_body, now);
        self.pump(id, now);
    }

    /// Another shard never answered: as if the session were gone.
    pub(in super::super) fn admission_timeout(&mut self, id: LinkId, now: Moment) {
        let due = match self.links.get(id).map(|l| &l.waiting) {
            Some(Some(Waiting::Admission { source, until, .. })) if *until <= now => *source,
            _ => return,
        };
        self.take_not_admitted(due, Refusal::NoSession, now);
    }

    // ---- the asked side

    pub(super) fn take_admit(&mut self, ask: Ask, now: Moment) {
        let (to, source) = (ask.asker.at.shard, ask.source);
        let answer = match self.admit_from(&ask, now) {
            Answer::Say(content) => *content,
            // It came here to be moved or sent on; where it is now the asker has it already or will be sent on again. But for
            // a second token, which the asker does not ask for by itself.
            Answer::Elsewhere(shard, Wanted::Token { skip }) if shard == to && !ask.wanted.precedes(skip) => {
                Content::AskAgain { source }
            }
            Answer::Elsewhere(shard, wanted) if ask.passed <= self.settings.shards => {
                let ask = Ask { wanted, passed: ask.passed + 1, ..ask };
                return self.post(shard, Content::Admit(ask));
            }
            Answer::Elsewhere(..) => Content::AskAgain { source },
        };
        match answer {
            // The home of an anchor found both of its links here.
            Content::Admitted(granted) if to == self.shard => self.take_admitted(to, granted, now),
            Content::NotAdmitted { source, refusal } if to == self.shard => {
                self.take_not_admitted(source, refusal, now)
            }
            answer => self.post(to, answer),
        }
    }

    fn admit_from(&mut self, ask: &Ask, now: Moment) -> Answer {
        let Ask { asker, head, .. } = ask;
        let source = ask.source;
        let refused = |refusal| Answer::Say(Box::new(Content::NotAdmitted { source, refusal }));
        let back = SourceRef { shard: asker.at.shard, source };
        let skip = match &ask.wanted {
            Wanted::Link(target) | Wanted::Leg { link: target, .. } => {
                if !self.alive(*target) {
                    return refused(Refusal::NoSession);
                }
                let turn = ask.wanted.turn();
                // A leg's own URI is the last one, behind that of the owner who has us as its relay.
                let uri = head.to_path().and_then(|p| if matches!(turn, Turn::Leg(_)) { p.last() } else { p.first() });
                let Some(token) = uri.and_then(super::session_token) else { return refused(Refusal::Bad) };
                let origin = Origin { leg: matches!(turn, Turn::Leg(_)), ..asker.origin(token) };
                let flow = self.new_flow(*target, back, origin, now);
                let granted = Granted { source, link: asker.at.link, flow, turn, pinned: None };
                return Answer::Say(Box::new(Content::Admitted(granted)));
            }
            Wanted::Token { skip } => *skip,
        };
        let (Some(to), Some(from_path)) = (head.to_path(), head.from_path()) else {
            return refused(Refusal::Bad);
        };
        if skip > 0
            && asker.at.shard != self.shard
            && let Some(answer) = self.meet(ask, to, skip, now)
        {
            return Answer::Say(Box::new(answer));
        }
        let place = match self.admit(asker, to, from_path.first().unwrap_or_default(), skip, now) {
            Ok(place) => place,
            Err(refusal) => return refused(refusal),
        };
        if let Binding::Home(shard, _) = place.to {
            if place.from_owner {
                self.welcome(place.token, back, None);
            }
            return Answer::Elsewhere(shard, Wanted::Token { skip: place.hops });
        }
        if let (Binding::Abroad(far), true) = (&place.to, place.leg.is_some()) {
            for token in [Some(place.token), place.inner].into_iter().flatten() {
                self.welcome(token, back, None);
            }
            return Answer::Elsewhere(far.shard, wanted_link(far.link, &place));
        }
        match self.target_of(&place, to, now) {
            Ok(target) => {
                let origin = Origin { leg: place.leg.is_some(), ..asker.origin(place.counted()) };
                let flow = self.new_flow(target, back, origin, now);
                for token in [Some(place.token), place.inner].into_iter().flatten() {
                    self.welcome(token, back, Some(flow));
                }
                let (link, turn, pinned) = (asker.at.link, place.turn(), self.bound(&place, asker));
                Answer::Say(Box::new(Content::Admitted(Granted { source, link, flow, turn, pinned })))
            }
            Err(refusal) => refused(refusal),
        }
    }

    /// The session knows whom to tell of its end.
    fn welcome(&mut self, token: TokenId, back: SourceRef, flow: Option<super::super::flow::FlowId>) {
        let Some(session) = self.sessions.get_mut(&token) else { return };
        session.guests.retain(|g| g.back != back && g.flow.is_none_or(|f| self.flows.contains(f)));
        if session.guests.len() >= GUESTS {
            session.guests.remove(0);
        }
        session.guests.push(Guest { back, flow });
    }

    /// Two clients of ours on two shards: the one with fewer sessions comes to the other, with equal counts the one on
    /// the higher shard, so that both sides judge alike and two who call each other at once do not change places.
    fn meet(&mut self, ask: &Ask, to: Path<'_>, skip: usize, now: Moment) -> Option<Content> {
        let Ask { asker, source, may_move, .. } = ask;
        let (source, may_move) = (*source, *may_move);
        let token = to.texts().nth(skip).and_then(super::session_token)?;
        let session = self.sessions.get(&token).filter(|s| self.lives(&token, s, now))?;
        let Owner::Link(theirs) = session.owner else { return None };
        let link = self.links.get(theirs)?;
        let order = |sessions: usize, shard: u16| (sessions, std::cmp::Reverse(shard));
        let here = order(link.owned.len(), self.shard);
        let there = order(asker.sessions, asker.at.shard);
        let fewer = here < there;
        if link.at_rest() && (fewer || (!may_move && here.0 <= there.0)) {
            self.move_link(theirs, asker.at.shard, None, now);
            return Some(Content::AskAgain { source });
        }
        if !may_move {
            return None;
        }
        // It is asking elsewhere, perhaps for the asker: where it goes is known in a moment.
        let deciding = matches!(link.waiting, Some(Waiting::Admission { may_move: true, .. }));
        Some(if fewer && deciding { Content::AskAgain { source } } else { Content::MoveHere { source } })
    }

    /// The token of which the asking link is a far side, and that will be told to it when it ends. A peer relay's link is none
    /// where another one of that relay is.
    fn bound(&self, place: &Place, asker: &Asker) -> Option<TokenId> {
        let known = |t: &TokenId| self.sessions.get(t).is_some_and(|s| s.far.iter().any(|f| f.link == asker.at));
        place.pinned().filter(known)
    }

    /// The link of this shard that a place means.
    fn target_of(&mut self, place: &Place, to: Path<'_>, now: Moment) -> Result<LinkId, Refusal> {
        match &place.to {
            Binding::Link(target) => Ok(*target),
            Binding::Dial(dial) => {
                let far = if place.from_owner && place.inner.is_none() { to.texts().nth(place.hops) } else { None };
                self.dial_link(dial.clone(), place.token, far, now)
            }
            // Only an owner behind a peer relay asks from elsewhere for a far side that is elsewhere too.
            Binding::Abroad(_) | Binding::Home(..) | Binding::Here => Err(Refusal::NoSession),
        }
    }

    // ---- whole requests

    pub(in super::super) fn post_whole(&mut self, id: LinkId, asker: &Asker, place: &Place, whole: &Whole) {
        let (shard, wanted) = match place.to {
            Binding::Home(shard, _) => (shard, Wanted::Token { skip: place.hops }),
            Binding::Abroad(far) => (far.shard, wanted_link(far.link, place)),
            _ => return,
        };
        let bound = match place.to {
            Binding::Home(_, token) => self.links.get(id).is_some_and(|l| l.far_of.contains(&token)),
            _ => true,
        };
        let mut head = whole.head.clone();
        head.detach();
        let whole = Whole { head, body: whole.body.clone(), has_body: whole.has_body };
        self.post_from(id, shard, Content::Whole { asker: asker.clone(), wanted, whole, bound, passed: 0 });
    }

    /// A whole request from a link of another shard.
    pub(super) fn take_posted_whole(
        &mut self,
        asker: Asker,
        wanted: Wanted,
        whole: Whole,
        bound: bool,
        passed: u16,
        now: Moment,
    ) {
        let placed = match self.place_whole(&asker, &wanted, &whole, now) {
            Ok(Placed::Elsewhere(shard, wanted)) if passed <= self.settings.shards => {
                return self.post(shard, Content::Whole { asker, wanted, whole, bound, passed: passed + 1 });
            }
            Ok(Placed::Elsewhere(..)) => Err(Refusal::NoSession),
            Ok(Placed::Here { target, turn, pinned }) => Ok((target, turn, pinned)),
            Err(refusal) => Err(refusal),
        };
        match placed {
            Ok((target, turn, pinned)) => {
                if let Some(token) = pinned.filter(|_| !bound) {
                    self.post(asker.at.shard, Content::Bound { link: asker.at.link, token });
                }
                self.send_whole(target, &whole, &turn, asker.at, now);
            }
            Err(refusal) => {
                self.counts.refusals[refusal.kind() as usize] += 1;
                if whole.head.kind() == Kind::Request(Method::Report) {
                    return;
                }
                let (to, own) = (whole.head.from_path(), whole.head.to_path().and_then(|p| p.first()));
                let mut frame = Vec::new();
                let back = to.map(|p| p.after(0)).unwrap_or_default();
                response(&mut frame, whole.head.transact_id(), refusal.status(), back, own.unwrap_or_default(), &[]);
                self.send_back(asker.at, frame, false, now);
            }
        }
    }

    fn place_whole(&mut self, asker: &Asker, wanted: &Wanted, whole: &Whole, now: Moment) -> Result<Placed, Refusal> {
        let skip = match wanted {
            Wanted::Link(link) | Wanted::Leg { link, .. } => {
                let target = self.alive(*link).then_some(*link).ok_or(Refusal::NoSession)?;
                return Ok(Placed::Here { target, turn: wanted.turn(), pinned: None });
            }
            Wanted::Token { skip } => *skip,
        };
        let to = whole.head.to_path().ok_or(Refusal::Bad)?;
        let first = whole.head.from_path().and_then(|p| p.first()).ok_or(Refusal::Bad)?;
        let place = self.admit(asker, to, first, skip, now)?;
        if let Binding::Home(shard, _) = place.to {
            return Ok(Placed::Elsewhere(shard, Wanted::Token { skip: place.hops }));
        }
        if let (Binding::Abroad(far), true) = (&place.to, place.leg.is_some()) {
            return Ok(Placed::Elsewhere(far.shard, wanted_link(far.link, &place)));
        }
        let target = self.target_of(&place, to, now)?;
        Ok(Placed::Here { target, turn: place.turn(), pinned: self.bound(&place, asker) })
    }

    // ---- ends

    /// A far side is gone whose session lives elsewhere.
    pub(in super::super) fn far_gone(&mut self, token: TokenId, link: LinkId, reason: CloseReason) {
        if let Some(shard) = self.whereabouts(&token) {
            let link = self.here(link);
            self.post(shard, Content::FarGone { token, link, reason });
        }
    }

    /// Takes the far side from its session, wherever that has gone.
    pub(in super::super) fn pass_far_gone(&mut self, token: TokenId, link: FarLink, reason: CloseReason, now: Moment) {
        if let Some(session) = self.sessions.get_mut(&token) {
            session.far.retain(|f| f.link != link);
            return self.leg_lost(token, link, reason, now);
        }
        if let Some(shard) = self.whereabouts(&token) {
            self.post(shard, Content::FarGone { token, link, reason });
        }
    }

    /// The other shards that serve this session learn that it is over.
    pub(in super::super) fn tell_guests(&mut self, token: TokenId, session: &super::super::session::Session) {
        let own = self.shard;
        for far in session.far.iter().filter(|f| f.link.shard != own) {
            self.post(far.link.shard, Content::TokenOver { token, link: far.link.link });
        }
        for guest in &session.guests {
            self.post(guest.back.shard, Content::SessionOver { source: guest.back.source });
        }
    }

    pub(super) fn take_token_over(&mut self, token: TokenId, id: LinkId) {
        if let Some(link) = self.links.get_mut(id) {
            link.far_of.retain(|t| *t != token);
            link.legs.retain(|(leg, _)| *leg != token);
        }
    }
}

enum Answer {
    Say(Box<Content>),
    /// Another shard has what the asker wants.
    Elsewhere(u16, Wanted),
}

enum Placed {
    Here { target: LinkId, turn: Turn, pinned: Option<TokenId> },
    Elsewhere(u16, Wanted),
}

impl Wanted {
    /// It asks for a token before this one.
    fn precedes(&self, other: usize) -> bool {
        matches!(self, Wanted::Token { skip } if *skip < other)
    }

    /// What becomes of the paths on a way to a link.
    fn turn(&self) -> Turn {
        match self {
            Wanted::Leg { paths, .. } => Turn::Leg(paths.clone()),
            Wanted::Token { .. } | Wanted::Link(_) => Turn::Hops(1),
        }
    }
}

/// A way to a link that is bound to a session elsewhere.
fn wanted_link(link: LinkId, place: &Place) -> Wanted {
    place.leg.clone().map_or(Wanted::Link(link), |paths| Wanted::Leg { link, paths })
}
