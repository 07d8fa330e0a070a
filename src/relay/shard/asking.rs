//! A link that sends to a token of another shard asks for it there, and waits for the answer.

use std::time::Duration;

use super::super::anchor::Held;
use super::super::flow::FlowId;
use super::super::link::{CloseReason, LinkId, Phase, Waiting};
use super::super::refusal::Refusal;
use super::super::route::{Asker, Binding, Place};
use super::super::session::{TokenId, Way};
use super::super::source::{SourceId, Target};
use super::super::turn::Turn;
use super::super::{Relay, link::Link};
use super::{Ask, Content, Wanted, wanted_link};
use crate::moment::Moment;
use crate::msrp::Head;

/// Answers of another shard are waited for this long; it answers at once or has died.
const PATIENCE: Duration = Duration::from_secs(5);

/// An answer that grants a way.
pub(super) struct Granted {
    pub(super) source: SourceId,
    /// The asking link, should the source be gone.
    pub(super) link: LinkId,
    pub(super) flow: FlowId,
    pub(super) turn: Turn,
    /// The asker is a far side of this token now.
    pub(super) pinned: Option<TokenId>,
}

impl Relay {
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
}
