//! Descriptions on their way: whatever message carries one, it is an offer where nothing is open, and the answer where an
//! offer of the other side is (RFC 3264; RFC 3261 section 13.2.1; RFC 3311, RFC 3262 section 5).

use std::sync::Arc;

use super::call::{Call, Carried, Open, Served, Stage};
use super::event::{CallEvent, Cause, EndedBy};
use super::exchange::Exchange;
use super::media::Media;
use super::wants::{capacity, current, unusable};
use super::{B2bua, CallKey, Output, STEP, Ticket};
use crate::moment::Moment;
use crate::relay::{SessionEnd, Side};
use crate::sdp::Refusal;
use crate::sip::way::{FlowId, Protocol};

impl Open {
    /// Whether this side owes the answer now.
    pub(super) fn is_awaiting(&self, side: Side) -> bool {
        matches!(self.stage, Stage::Awaiting) && self.from() == Some(side.other())
    }

    /// Whether the relay is being told an answer.
    pub(super) fn is_concluding(&self) -> bool {
        matches!(self.stage, Stage::Concluding { .. })
    }

    /// Who offered.
    pub(super) fn from(&self) -> Option<Side> {
        match &self.stage {
            Stage::LookingUp { from, .. } => Some(*from),
            _ => self.exchange.as_ref().map(|e| e.from),
        }
    }
}

impl B2bua {
    /// A message of this side with a body came so: fingerprints in it count as its way does, and not as that of the call's
    /// first message (RFC 8122 section 7, SDP-104). While an earlier one is still looked at, they count as the worse of both.
    pub(super) fn described_by(&mut self, key: CallKey, side: Side, body: &[u8], flow: FlowId) {
        let Some(call) = self.calls.get_mut(&key).filter(|_| !body.is_empty()) else { return };
        let looked_at = call.open.as_ref().is_some_and(|open| !matches!(open.stage, Stage::Awaiting));
        let secure = call.media.is_secure(side);
        *secure = flow.protocol == Protocol::Tls && (*secure || !looked_at);
    }

    /// A description of `from`, in a message that goes on when we know what becomes of it.
    pub(super) fn carry(&mut self, key: CallKey, from: Side, text: Vec<u8>, next: Carried, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        match &call.open {
            None => self.offered(key, from, text, next, now),
            Some(open) if open.is_awaiting(from) => self.answered_with(key, &text, next, now),
            // Both want to speak (RFC 3311 section 5.2): who has the open offer is told to wait, the other one to give way. In
            // a response it is no offer at all.
            Some(open) => {
                let status = match &next {
                    Carried::Invite | Carried::Request { .. } if open.from() == Some(from) => 500,
                    Carried::Invite | Carried::Request { .. } => 491,
                    _ => 502,
                };
                self.misfit(key, next, Refusal { status, warning: None }, now);
            }
        }
    }

    fn offered(&mut self, key: CallKey, from: Side, offer: Vec<u8>, next: Carried, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.exchanges += 1;
        let number = call.exchanges;
        let uris = Media::own_uris(&self.settings.media, &offer);
        let look_up = !uris.is_empty();
        let of_invite = match &next {
            Carried::Invite => Some(0),
            Carried::InviteResponse { fork, .. } => Some(*fork),
            _ => None,
        };
        let stage = Stage::LookingUp { from, offer, next };
        call.open = Some(Open { number, exchange: None, stage, of_invite, until: now + STEP });
        self.arm(key);
        let ticket = Ticket { call: key, exchange: number, line: 0, side: from };
        if look_up {
            self.outputs.push_back(Output::LookUp { ticket, uris });
        } else {
            self.plan_with(ticket, Vec::new(), now);
        }
    }

    /// What becomes of an offer, now that the tokens in it are known.
    pub(super) fn plan_with(&mut self, ticket: Ticket, living: Vec<Arc<[u8]>>, now: Moment) {
        let Some(call) = current(&mut self.calls, ticket) else { return };
        let Some(open) = call.open.take_if(|open| matches!(open.stage, Stage::LookingUp { .. })) else { return };
        let Stage::LookingUp { from, offer, next } = open.stage else { return };
        let (key, number) = (ticket.call, open.number);
        let refreshes = match &next {
            Carried::Invite => true,
            Carried::Request { server } => {
                matches!(self.servers.get(server), Some(Served::Passed { request, .. }) if request.method == "UPDATE")
            }
            _ => false,
        };
        let answer = call.media.refresh(&self.settings.media, from, &offer).filter(|_| refreshes);
        if let Some(said) = answer {
            return self.repeat(key, next, said, now);
        }
        match call.media.plan(&self.settings.media, from, &offer, &living, call.anchor) {
            Err(refusal) => self.misfit(key, next, refusal, now),
            Ok(exchange) => {
                let wants = exchange.wants();
                let stage = Stage::Preparing { next, left: wants.len(), failed: None };
                call.open = Some(Open {
                    exchange: Some(exchange),
                    stage,
                    number,
                    of_invite: open.of_invite,
                    until: open.until,
                });
                for want in wants {
                    self.want(key, number, want);
                }
                self.go_on_preparing(key, now);
            }
        }
    }

    /// The offer goes on when nothing is missing any more.
    pub(super) fn go_on_preparing(&mut self, key: CallKey, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(mut open) = call.open.take_if(|o| matches!(o.stage, Stage::Preparing { left: 0, .. })) else { return };
        let Stage::Preparing { next, failed, .. } = std::mem::replace(&mut open.stage, Stage::Awaiting) else { return };
        let said = match (failed, &mut open.exchange) {
            (Some(error), _) => Err(capacity(error)),
            (None, Some(exchange)) => call.media.say(&self.settings.media, exchange),
            (None, None) => return,
        };
        open.until = Moment::FAR;
        call.open = Some(open);
        self.arm(key);
        match said {
            Ok(said) => self.forward(key, next, Some(said), now),
            Err(refusal) => {
                self.abandon_exchange(key);
                self.misfit(key, next, refusal, now);
            }
        }
    }

    /// The answer to the open offer.
    pub(super) fn answered_with(&mut self, key: CallKey, text: &[u8], next: Carried, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(open) = call.open.as_mut() else { return };
        let Some(exchange) = open.exchange.as_mut() else { return };
        let concluded = match call.media.answer(&self.settings.media, exchange, text) {
            Ok(concluded) => concluded,
            Err(refusal) => {
                self.abandon_exchange(key);
                return self.misfit(key, next, refusal, now);
            }
        };
        let (number, left) = (open.number, concluded.terms.len());
        open.stage = Stage::Concluding { next, answer: concluded.answer, left, failed: None };
        open.until = now + STEP;
        self.arm(key);
        for (line, (at, side, terms)) in concluded.terms.into_iter().enumerate() {
            let ticket = Ticket { call: key, exchange: number, line, side };
            let through = self.settings.media.own_first(&terms.target);
            self.outputs.push_back(Output::Set { ticket, at, side, terms, through });
        }
        self.go_on_concluding(key, now);
    }

    /// The answer goes on when both legs have their terms.
    pub(super) fn go_on_concluding(&mut self, key: CallKey, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let done = |o: &mut Open| matches!(o.stage, Stage::Concluding { left: 0, .. });
        let Some(open) = call.open.take_if(done) else { return };
        let (Stage::Concluding { next, answer, failed, .. }, Some(exchange)) = (open.stage, open.exchange) else {
            return;
        };
        if let Some((side, error)) = failed {
            let offerer = exchange.from == side;
            self.undo(&exchange);
            self.arm(key);
            return self.misfit(key, next, unusable(error, offerer), now);
        }
        call.settled(open.of_invite, &next, exchange.answered.clone());
        let ended = call.media.commit(*exchange);
        self.arm(key);
        for at in ended {
            self.outputs.push_back(Output::Release { at, end: SessionEnd::Bye });
        }
        self.count_lines(key);
        self.forward(key, next, Some(answer), now);
        let inviting = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut());
        if let Some(held) = inviting.and_then(|i| i.held.take()) {
            let (client, response, flow) = *held;
            self.invite_answered(key, client, response, flow, now);
        }
    }

    /// Tells the lines of a call once, when it is answered and has agreed on them.
    pub(super) fn count_lines(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if call.counted || call.answered.is_none() || call.open.is_some() {
            return;
        }
        call.counted = true;
        let (anchored, passed) = (call.media.anchors().count(), call.media.others());
        self.tell(CallEvent::Negotiated { anchored, passed });
    }

    /// What an unreliable response shows of an answer (RFC 3261 section 13.2.1): rewritten, and bound to nothing.
    pub(super) fn preview(&mut self, key: CallKey, text: &[u8]) -> Option<Vec<u8>> {
        let call = self.calls.get_mut(&key)?;
        let open = call.open.as_mut().filter(|o| matches!(o.stage, Stage::Awaiting))?;
        let exchange = open.exchange.as_mut()?;
        let shown = call.media.answer(&self.settings.media, exchange, text).ok()?;
        Some(shown.answer)
    }

    /// An offer that changed nothing is answered by us (SDP-12).
    fn repeat(&mut self, key: CallKey, next: Carried, said: Vec<u8>, now: Moment) {
        match next {
            Carried::Invite => self.answer_refresh(key, said, now),
            Carried::Request { server } => self.answer_update(key, server, said, now),
            // Late offers are new descriptions to those who get them; they go on as they are.
            other => self.forward(key, other, Some(said), now),
        }
    }

    /// Sends a message on, with this description in the place of its own.
    pub(super) fn forward(&mut self, key: CallKey, next: Carried, description: Option<Vec<u8>>, now: Moment) {
        let description = description.as_deref();
        match next {
            Carried::Invite => self.send_invite(key, description, now),
            Carried::InviteResponse { response, fork, client } => {
                self.send_invite_response(key, (response, fork, client), description, now);
            }
            Carried::Ack { headers } => {
                self.acknowledge_far(key, description.map(|d| (&headers, d.to_vec())), now);
                if let Some(call) = self.calls.get_mut(&key) {
                    call.inviting = None;
                }
            }
            Carried::Request { server } => self.send_passed(key, server, description, now),
            Carried::Response { server, response } => {
                self.send_passed_response(key, server, &response, description, now)
            }
        }
    }

    /// A description that cannot go on. An offer is refused to its author; after a bad answer the call is over, for its
    /// author believes in it.
    pub(super) fn misfit(&mut self, key: CallKey, next: Carried, refusal: Refusal, now: Moment) {
        let host = &self.settings.host;
        let headers: Vec<(String, String)> = refusal
            .warning
            .iter()
            .map(|(code, text)| ("Warning".to_owned(), format!("{code} {host} \"{}\"", text.replace(['"', '\\'], "'"))))
            .chain((refusal.status == 503).then(|| ("Retry-After".to_owned(), "10".to_owned())))
            .collect();
        match next {
            Carried::Invite => self.give_up_invite(key, refusal.status, &headers, now),
            Carried::InviteResponse { response, client, .. } => {
                let status = refusal.status;
                self.reject_answer(key, (&response, client), (status, &headers), now);
            }
            Carried::Ack { .. } => self.end(key, Cause::Negotiation, EndedBy::Us, now),
            Carried::Request { server } => self.refuse_passed_with(server, refusal.status, &headers, now),
            Carried::Response { server, .. } => {
                self.refuse_passed(server, refusal.status, now);
                self.end(key, Cause::Negotiation, EndedBy::Us, now);
            }
        }
    }

    /// An exchange comes to nothing: what it made is given back, all else stays as it was.
    pub(super) fn abandon_exchange(&mut self, key: CallKey) {
        let Some(open) = self.calls.get_mut(&key).and_then(|c| c.open.take()) else { return };
        if let Some(exchange) = open.exchange {
            self.undo(&exchange);
        }
        self.arm(key);
    }

    /// The same, if the INVITE that is under way or a response to it made the offer.
    pub(super) fn abandon_offer_of_invite(&mut self, key: CallKey) {
        if self.calls.get(&key).and_then(|c| c.open.as_ref()).is_some_and(|open| open.of_invite.is_some()) {
            self.abandon_exchange(key);
        }
    }

    fn undo(&mut self, exchange: &Exchange) {
        let (release, withdraw) = exchange.undo();
        for at in release {
            self.outputs.push_back(Output::Release { at, end: SessionEnd::Cancelled });
        }
        for (at, side) in withdraw {
            self.outputs.push_back(Output::Withdraw { at, side });
        }
    }

    /// What an exchange waits for did not come in time.
    pub(super) fn give_up_exchange(&mut self, key: CallKey, now: Moment) {
        let overdue = |open: &mut Open| open.until <= now;
        let Some(open) = self.calls.get_mut(&key).and_then(|c| c.open.take_if(overdue)) else { return };
        if let Some(exchange) = &open.exchange {
            self.undo(exchange);
        }
        self.arm(key);
        match open.stage {
            Stage::LookingUp { next, .. } | Stage::Preparing { next, .. } | Stage::Concluding { next, .. } => {
                self.misfit(key, next, Refusal { status: 500, warning: None }, now);
            }
            Stage::Awaiting => {}
        }
    }
}

impl Call {
    /// An offer has its answer; if it was in the INVITE that is under way, or in a response to it, with this fork.
    fn settled(&mut self, of_invite: Option<usize>, next: &Carried, answer: Option<Vec<u8>>) {
        let (Some(fork), Some(inviting)) = (of_invite, self.inviting.as_mut()) else { return };
        let fork = match next {
            Carried::InviteResponse { fork, .. } => *fork,
            _ => fork,
        };
        inviting.negotiated = Some(fork);
        if let Some(fork) = inviting.forks.get_mut(fork) {
            fork.answer = answer;
        }
    }
}
