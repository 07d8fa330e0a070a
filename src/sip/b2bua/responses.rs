//! What an INVITE meets on the other leg, and what of it goes back (RFC 3261 sections 13.2.2, 13.3.1).

use super::call::{Asked, Call, Carried, Open, Waiting2xx};
use super::event::{CallEvent, Cause, EndedBy};
use super::written::{drop_type, is_fragment, set_body};
use super::{B2bua, CallKey, admission, body, copied, session_timer};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sdp::Refusal;
use crate::sip::message::{Headers, Response, cseq, list};
use crate::sip::transaction::ClientId;
use crate::sip::way::{FlowId, Way};

/// How often one INVITE is sent again since its callee wants a longer session timer.
const RAISES: u8 = 3;

impl B2bua {
    /// A response to the INVITE that is under way.
    pub(super) fn invite_answered(
        &mut self,
        key: CallKey,
        client: ClientId,
        response: Response,
        flow: FlowId,
        now: Moment,
    ) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut().filter(|i| i.client == Some(client)) else { return };
        if response.status >= 300 {
            return self.invite_refused(key, response, now);
        }
        if inviting.taken.is_some() {
            // One is under way back: another fork is too late.
            if response.is_success() && inviting.initial {
                let late = inviting.late(call.legs[Side::B as usize].way.clone(), None);
                self.turn_down(client, &late, &response, now);
            }
            return;
        }
        let initial = inviting.initial;
        let fork = if initial { self.fork(key, &response, flow) } else { Some(0) };
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        if fork.is_none() && response.is_success() && inviting.is_crowded() {
            // One fork more than are followed.
            let late = inviting.late(call.legs[Side::B as usize].way.clone(), None);
            return self.turn_down(client, &late, &response, now);
        }
        if call.open.as_ref().is_some_and(Open::is_concluding) {
            // An answer is being told to the relay. A provisional response comes again; a final one waits.
            if response.is_success() {
                inviting.held = Some(Box::new((client, response, flow)));
            }
            return;
        }
        if response.is_success() {
            inviting.taken = Some(Box::new(response.clone()));
        }
        match fork {
            Some(fork) => self.take_answer(key, fork, client, response, now),
            // A 2xx that belongs to no dialog: nobody can be told that it failed but the caller.
            None if response.is_success() => self.give_up_invite(key, 502, &[], now),
            None => {}
        }
    }

    /// The description of a response decides how it goes on (RFC 3261 section 13.2.1, RFC 3262 section 5).
    fn take_answer(&mut self, key: CallKey, fork: usize, client: ClientId, response: Response, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_ref() else { return };
        let success = response.is_success();
        let reliable = success || list::contains(&response.headers, "Require", "100rel");
        let place = body::find(&response.headers, &response.body, &admission::BODY).ok().flatten();
        let text = place.map(|place| body::octets(&response.body, &place).to_vec());
        let (from, offerless, settled) = (inviting.from, inviting.offerless, inviting.negotiated);
        let earlier = inviting.forks.get(fork).and_then(|f| f.answer.clone());
        let next = Carried::InviteResponse { response, fork, client };
        match (text, settled) {
            // It binds nothing: shown, and forgotten.
            (Some(text), _) if !reliable => {
                let shown = self.preview(key, &text);
                self.forward(key, next, Some(shown.unwrap_or_default()), now);
            }
            (Some(_), Some(at)) if at == fork => {
                let said = call.media.repeat(from);
                self.forward(key, next, said, now);
            }
            (Some(text), Some(_)) if !offerless => self.settle_again(key, fork, &text, next, now),
            (Some(text), _) => self.carry(key, from.other(), text, next, now),
            (None, Some(at)) if success && at != fork => match earlier {
                Some(text) => self.settle_again(key, fork, &text, next, now),
                None => self.misfit(key, next, Refusal { status: 502, warning: None }, now),
            },
            (None, None) if success => self.misfit(key, next, Refusal { status: 502, warning: None }, now),
            (None, _) => self.forward(key, next, None, now),
        }
    }

    /// A response goes back to the side that sent the INVITE.
    pub(super) fn send_invite_response(
        &mut self,
        key: CallKey,
        (response, fork, client): (Response, usize, ClientId),
        description: Option<&[u8]>,
        now: Moment,
    ) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        let (from, server) = (inviting.from, inviting.server);
        let near = match inviting.initial {
            true => inviting.forks.get(fork).map(|f| &f.near),
            false => call.legs[from as usize].dialog.as_ref(),
        };
        let Some(near) = near else { return };
        let mut back = Response::to(&inviting.request, response.status, &response.phrase);
        back.headers.set("To", near.local());
        if inviting.initial {
            for route in inviting.request.headers.all("Record-Route") {
                back.headers.push("Record-Route", route);
            }
        }
        back.headers.push("Contact", copied::contact(&call.legs[from as usize].contact, &response.headers));
        copied::copy(&response.headers, &mut back.headers);
        copied::introduce(&response.headers, &mut back.headers);
        copied::require(&response.headers, &mut back.headers);
        set_body(&mut back.body, &mut back.headers, &response, description);
        if !response.is_success() {
            return self.transactions.respond(server, back, now);
        }
        let timer = session_timer::accept(&self.settings.timers, &inviting.request.headers, &mut back.headers);
        call.legs[from as usize].unacknowledged = Some(server);
        self.transactions.respond(server, back, now);
        self.confirm(key, fork, client, &response, now);
        self.begin_timer(key, from, timer.ok().flatten(), now);
    }

    /// Both dialogs of the INVITE are confirmed by its 2xx.
    fn confirm(&mut self, key: CallKey, fork: usize, client: ClientId, response: &Response, now: Moment) {
        let Some(inviting) = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut()) else { return };
        let (from, to) = (inviting.from, inviting.from.other());
        let (initial, late) = (inviting.initial, inviting.offerless);
        let sent = inviting.sent.as_ref().map(|r| r.headers.clone()).unwrap_or_default();
        inviting.to_acknowledge = Some(Waiting2xx { client, cseq: cseq(&sent).map_or(0, |c| c.number) });
        (inviting.client, inviting.is_answered) = (None, true);
        if initial {
            self.choose_fork(key, fork, client);
        } else {
            self.clients.remove(&client);
        }
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_ref() else { return };
        let update = |headers: &Headers| list::contains(headers, "Allow", "UPDATE");
        call.legs[to as usize].update = update(&response.headers);
        call.legs[from as usize].update = update(&inviting.request.headers);
        if initial {
            call.answered = Some(now);
            let setup = now.since(call.began);
            self.tell(CallEvent::Answered { setup });
            self.count_lines(key);
            self.refresh_way(key, from);
        }
        self.refresh_target(key, to, &response.headers);
        if !late {
            self.acknowledge_far(key, None, now);
        }
        self.begin_timer(key, to, session_timer::agreed(&sent, &response.headers), now);
    }

    /// A final response other than 2xx.
    fn invite_refused(&mut self, key: CallKey, response: Response, now: Moment) {
        let Some(inviting) = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut()) else { return };
        if let Some(client) = inviting.client.take() {
            self.clients.remove(&client);
        }
        let (initial, from, server) = (inviting.initial, inviting.from, inviting.server);
        if response.status == 422 && self.ask_for_more(key, &response, now) {
            return;
        }
        if response.status == 503 {
            self.rest(key);
            if self.try_next(key, now) {
                return;
            }
        }
        let Some(back) = self.refusal_back(key, &response) else { return };
        self.servers.remove(&server);
        self.transactions.respond(server, back, now);
        if initial {
            self.abandon_exchange(key);
            return self.close(key, Cause::Rejected(response.status), EndedBy::Side(Side::B), now);
        }
        self.abandon_offer_of_invite(key);
        if let Some(call) = self.calls.get_mut(&key) {
            call.inviting = None;
        }
        if matches!(response.status, 408 | 481) {
            self.end(key, Cause::DialogGone, EndedBy::Side(from.other()), now);
        }
    }

    /// What the side that sent the INVITE hears of a refusal: all but what is of the other leg (RFC 3261 section 21).
    fn refusal_back(&mut self, key: CallKey, response: &Response) -> Option<Response> {
        let call = self.calls.get(&key)?;
        let inviting = call.inviting.as_ref()?;
        let mut back = Response::to(&inviting.request, response.status, &response.phrase);
        if let Some(to) = final_to(call, inviting.initial, inviting.from) {
            back.headers.set("To", to);
        }
        copied::copy(&response.headers, &mut back.headers);
        if (300..400).contains(&response.status) || response.status == 485 {
            copied::copy_contacts(&response.headers, &mut back.headers);
        }
        for name in ["Unsupported", "Min-SE", "Allow"] {
            for value in response.headers.all(name) {
                back.headers.push(name, value);
            }
        }
        if response.headers.first("Content-Type").is_some_and(is_fragment) {
            back.body = response.body.clone();
        } else {
            drop_type(&mut back.headers);
        }
        self.tag(&mut back);
        Some(back)
    }

    /// The callee wants a longer session timer than we asked for: that is between it and us (RFC 4028 section 7.3).
    fn ask_for_more(&mut self, key: CallKey, response: &Response, now: Moment) -> bool {
        let Some(call) = self.calls.get_mut(&key) else { return false };
        let settled = call.open.as_ref().is_some_and(|open| !matches!(open.stage, super::call::Stage::Awaiting));
        let Some(inviting) = call.inviting.as_mut() else { return false };
        if settled || inviting.negotiated.is_some() || inviting.raised >= RAISES {
            return false;
        }
        let Some(wishes) = session_timer::raised(&inviting.wishes, &response.headers) else { return false };
        (inviting.wishes, inviting.raised) = (wishes, inviting.raised + 1);
        self.forget_forks(key);
        self.send_again(key, now);
        true
    }

    /// Nothing came of the INVITE.
    pub(super) fn invite_failed(&mut self, key: CallKey, client: ClientId, now: Moment) {
        let Some(inviting) = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut()) else { return };
        if inviting.client != Some(client) {
            return;
        }
        inviting.client = None;
        let (initial, from) = (inviting.initial, inviting.from);
        if inviting.taken.is_none() && inviting.forks.is_empty() {
            self.rest(key);
            if self.try_next(key, now) {
                return;
            }
        }
        self.give_up_invite(key, 408, &[], now);
        if !initial {
            self.end(key, Cause::DialogGone, EndedBy::Side(from.other()), now);
        }
    }

    /// A transaction of ours is over, with all that could come of it.
    pub(super) fn over(&mut self, client: ClientId, now: Moment) {
        if let Some(Asked::Invite { call }) = self.clients.remove(&client) {
            self.invite_failed(call, client, now);
        }
    }

    /// A 2xx with a description that cannot be: its author gets ACK and BYE, the other side a refusal (SDP-43).
    pub(super) fn reject_answer(
        &mut self,
        key: CallKey,
        (response, client): (&Response, ClientId),
        (status, headers): (u16, &[(String, String)]),
        now: Moment,
    ) {
        let Some(inviting) = self.calls.get(&key).and_then(|c| c.inviting.as_ref()) else { return };
        let initial = inviting.initial;
        if !initial && response.is_success() {
            self.acknowledge_taken(key, now);
            self.clients.remove(&client);
        } else if !initial {
            self.cancel_far(key, now);
            self.clients.remove(&client);
        }
        self.give_up_invite(key, status, headers, now);
        if !initial {
            self.end(key, Cause::Negotiation, EndedBy::Us, now);
        }
    }

    /// ACK for the 2xx of a re-INVITE that does not go back.
    pub(super) fn acknowledge_taken(&mut self, key: CallKey, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut().filter(|i| !i.initial && i.taken.is_some()) else { return };
        let Some(client) = inviting.client.take() else { return };
        let number = inviting.sent.as_ref().and_then(|r| cseq(&r.headers)).map_or(1, |c| c.number);
        let leg = &call.legs[inviting.from.other() as usize];
        if let Some(dialog) = &leg.dialog {
            let (ack, way): (_, Way) = (dialog.ack(number), leg.way.clone());
            self.clients.remove(&client);
            self.transactions.acknowledge(client, ack, way, now);
        }
    }
}

/// The To of a final response: of the dialog it belongs to, if there is one.
fn final_to(call: &Call, initial: bool, from: Side) -> Option<String> {
    match initial {
        true => call.inviting.as_ref()?.forks.first().map(|f| f.near.local().to_owned()),
        false => call.leg(from).dialog.as_ref().map(|d| d.local().to_owned()),
    }
}
