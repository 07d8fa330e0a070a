//! How calls end: BYE, CANCEL, refusals, and all that ends them by itself (RFC 3261 sections 9 and 15).

use std::time::Duration;

use super::call::{Asked, Call, Served};
use super::event::{CallEvent, CallRecord, Cause, EndedBy};
use super::invite::{complete, own_phrase};
use super::media::AnchorRef;
use super::settings::REMEMBERED;
use super::{B2bua, CallKey, Output};
use crate::moment::Moment;
use crate::relay::{AnchorNews, SessionEnd, Side};
use crate::sip::message::{Headers, Request, Response};
use crate::sip::transaction::{ClientId, Failure, ServerId};
use crate::sip::way::FlowId;

/// Calls whose media fail together do not all say BYE together (SDP-81).
const SPREAD_MS: u32 = 4000;

impl B2bua {
    /// BYE of a side: 200 at once, whatever becomes of the rest (RFC 3261 section 15.1.2).
    pub(super) fn said_goodbye(&mut self, key: CallKey, side: Side, server: ServerId, request: &Request, now: Moment) {
        self.answer(server, request, 200, &[], now);
        let Some(call) = self.calls.get(&key) else { return };
        if call.answered.is_none() {
            // The caller gives up an early dialog (RFC 3261 section 15), or one of the forks does, which then fails by itself.
            if side == Side::A {
                self.refuse_call(key, 487, &[], Cause::Cancelled, now);
            }
            return;
        }
        self.say_goodbye(key, side.other(), Some(request), None, now);
        self.close(key, Cause::Bye, EndedBy::Side(side), now);
    }

    /// CANCEL of the INVITE that this is.
    pub(super) fn cancelled(&mut self, server: ServerId, now: Moment) {
        match self.servers.remove(&server) {
            Some(Served::Admitting { request, .. }) => self.answer(server, &request, 487, &[], now),
            Some(Served::Invite { call: key, side }) => {
                self.servers.insert(server, Served::Invite { call: key, side });
                let initial = self.calls.get(&key).and_then(|c| c.inviting.as_ref()).map(|i| i.initial);
                match initial {
                    Some(true) => self.refuse_call(key, 487, &[], Cause::Cancelled, now),
                    // A re-INVITE: the other side says how it ends, or 487 if it does.
                    Some(false) => self.cancel_far(key, now),
                    None => {}
                }
            }
            Some(other) => {
                self.servers.insert(server, other);
            }
            None => {}
        }
    }

    fn cancel_far(&mut self, key: CallKey, now: Moment) {
        let client = self.calls.get(&key).and_then(|c| c.inviting.as_ref()).and_then(|i| i.client);
        if let Some(client) = client {
            self.transactions.cancel(client, &[], now);
        }
    }

    /// A call that was not answered yet ends: its caller hears this, its callee CANCEL.
    pub(super) fn refuse_call(
        &mut self,
        key: CallKey,
        status: u16,
        headers: &[(String, String)],
        cause: Cause,
        now: Moment,
    ) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        let server = inviting.server;
        let mut response = Response::to(&inviting.request, status, own_phrase(status));
        let tag = inviting.forks.first().map(|f| f.near.local().to_owned());
        if let Some(to) = tag {
            response.headers.set("To", to);
        }
        for (name, value) in headers {
            response.headers.push(name, value.clone());
        }
        let client = inviting.client.take();
        let asking = inviting.asking.take();
        let way = call.leg(Side::B).way.clone();
        self.tag(&mut response);
        self.servers.remove(&server);
        self.transactions.respond(server, response, now);
        if let (Some(client), Some(asking)) = (client, asking) {
            self.clients.insert(client, Asked::Abandoned { asking: Box::new(asking), way });
            self.transactions.cancel(client, &[], now);
        }
        self.abandon_exchange(key);
        let by = if cause == Cause::Cancelled { EndedBy::Side(Side::A) } else { EndedBy::Us };
        self.close(key, cause, by, now);
    }

    /// Ends a call from the middle: BYE to both sides.
    pub(super) fn end(&mut self, key: CallKey, cause: Cause, by: EndedBy, now: Moment) {
        let Some(call) = self.calls.get(&key) else { return };
        if call.answered.is_none() && call.inviting.as_ref().is_some_and(|i| i.initial) {
            let status = cause.reason().map_or(500, |(status, _)| status);
            return self.refuse_call(key, status, &[], cause, now);
        }
        for side in Side::BOTH {
            self.say_goodbye(key, side, None, Some(cause), now);
        }
        self.close(key, cause, by, now);
    }

    /// BYE to a side. What has not acknowledged our 2xx gets it after its ACK, or in its place (RFC 3261 section 15).
    fn say_goodbye(&mut self, key: CallKey, side: Side, of: Option<&Request>, cause: Option<Cause>, now: Moment) {
        // A 2xx that waits for the answer to its offer is acknowledged first.
        self.acknowledge_far(key, None, now);
        let Some(call) = self.calls.get_mut(&key) else { return };
        let leg = call.leg_mut(side);
        let Some(dialog) = leg.dialog.as_mut() else { return };
        let mut bye = dialog.request("BYE");
        match of {
            Some(of) => {
                complete(&mut bye, of, "", None);
                bye.body = of.body.clone();
            }
            None => super::copied::introduce(&Headers::default(), &mut bye.headers),
        }
        if let Some((status, text)) = cause.and_then(Cause::reason) {
            bye.headers.push("Reason", format!("SIP;cause={status};text=\"{text}\""));
        }
        bye.headers.remove("Contact");
        let way = leg.way.clone();
        match leg.unacknowledged.take() {
            Some(server) => {
                self.servers.insert(server, Served::Bye { request: Box::new(bye), way });
            }
            None => {
                // Full or not: the other side finds out by its own timers.
                let _ = self.transactions.request(bye, way, now);
            }
        }
    }

    /// The call is over: everything that leads to it goes, and its anchors end.
    pub(super) fn close(&mut self, key: CallKey, cause: Cause, by: EndedBy, now: Moment) {
        let dialogs = self.calls.get(&key).map(Call::keys).unwrap_or_default();
        self.answer_pending(key, now);
        self.abandon_exchange(key);
        let Some(call) = self.calls.remove(&key) else { return };
        self.timers.remove(&(call.armed, key));
        for dialog in dialogs {
            self.dialogs.remove(&dialog);
            self.ended.push_back((now + REMEMBERED, dialog));
        }
        if let Some(asked) = &call.asked {
            self.asked.remove(asked);
        }
        let anchors: Vec<AnchorRef> = call.media.anchors().collect();
        for at in &anchors {
            let end = if matches!(cause, Cause::Bye) { SessionEnd::Bye } else { SessionEnd::Cancelled };
            self.outputs.push_back(Output::Release { at: *at, end });
        }
        let record = record(&call, cause, by, anchors, now);
        self.tell(CallEvent::Ended(record.into()));
    }

    /// Requests of either side that were passed on and have no answer get one from us.
    fn answer_pending(&mut self, key: CallKey, now: Moment) {
        let pending = self.calls.get_mut(&key).map(|c| std::mem::take(&mut c.passing));
        for server in pending.unwrap_or_default() {
            self.refuse_passed(server, 481, now);
        }
        let Some(call) = self.calls.get_mut(&key) else { return };
        for client in call.legs.iter_mut().filter_map(|leg| leg.refreshing.take()) {
            self.clients.remove(&client);
        }
        let Some(inviting) = call.inviting.take() else { return };
        if let Some(client) = inviting.client
            && inviting.taken.is_none()
        {
            self.clients.remove(&client);
            self.transactions.cancel(client, &[], now);
        }
        if let Some(Served::Invite { .. }) = self.servers.get(&inviting.server)
            && inviting.taken.is_none()
        {
            self.servers.remove(&inviting.server);
            self.answer(inviting.server, &inviting.request, 487, &[], now);
        }
    }

    /// A 2xx with a description that cannot be: its author gets ACK and BYE, the other side a refusal (SDP-43).
    pub(super) fn reject_answer(
        &mut self,
        key: CallKey,
        (response, fork, client): (Response, usize, ClientId),
        (status, headers): (u16, &[(String, String)]),
        now: Moment,
    ) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        if !response.is_success() {
            self.cancel_far(key, now);
            return self.give_up_invite(key, status, headers, now);
        }
        let to = inviting.from.other();
        let number = inviting.sent.as_ref().and_then(|r| crate::sip::message::cseq(&r.headers)).map_or(1, |c| c.number);
        let way = call.leg(to).way.clone();
        let initial = call.inviting.as_ref().is_some_and(|i| i.initial);
        let dialog = match initial {
            true => call.inviting.as_mut().and_then(|i| i.forks.get_mut(fork)).map(|f| &mut f.far),
            false => call.legs[to as usize].dialog.as_mut(),
        };
        if let Some(dialog) = dialog {
            let ack = dialog.ack(number);
            self.transactions.acknowledge(client, ack, way.clone(), now);
            if initial {
                let mut bye = dialog.request("BYE");
                bye.headers.remove("Contact");
                let _ = self.transactions.request(bye, way, now);
            }
        }
        if let Some(inviting) = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut()) {
            inviting.client = None;
            self.clients.remove(&client);
        }
        self.give_up_invite(key, status, headers, now);
        if !initial {
            self.end(key, Cause::Negotiation, EndedBy::Us, now);
        }
    }

    /// Our 2xx was never acknowledged (RFC 3261 section 13.3.1.4).
    pub(super) fn unacknowledged(&mut self, server: ServerId, now: Moment) {
        match self.servers.remove(&server) {
            Some(Served::Invite { call: key, side }) => {
                if let Some(leg) = self.calls.get_mut(&key).map(|c| c.leg_mut(side)) {
                    leg.unacknowledged = None;
                }
                self.end(key, Cause::NoAck, EndedBy::Us, now);
            }
            Some(Served::Bye { request, way }) => {
                let _ = self.transactions.request(*request, way, now);
            }
            _ => {}
        }
    }

    /// A response to something of ours.
    pub(super) fn responded(&mut self, client: ClientId, response: Response, flow: FlowId, now: Moment) {
        match self.clients.get(&client) {
            Some(Asked::Invite { call }) => {
                let call = *call;
                self.invite_answered(call, client, response, flow, now);
            }
            Some(Asked::Passed { .. }) => self.passed_answered(client, response, now),
            Some(Asked::Refresh { .. }) => self.refreshed(client, &response, now),
            Some(Asked::Abandoned { .. } | Asked::Won { .. }) => self.late_2xx(client, &response, now),
            // BYE: however it ended, it is over.
            None => {}
        }
    }

    /// Something of ours got no answer.
    pub(super) fn failed(&mut self, client: ClientId, why: Failure, now: Moment) {
        match self.clients.get(&client) {
            Some(Asked::Invite { call }) => {
                let call = *call;
                self.clients.remove(&client);
                self.invite_failed(call, client, why, now);
            }
            Some(Asked::Passed { .. }) => self.passed_failed(client, now),
            Some(Asked::Refresh { .. }) => self.refresh_failed(client, now),
            Some(Asked::Abandoned { .. } | Asked::Won { .. }) => {
                self.clients.remove(&client);
            }
            None => {}
        }
    }

    /// What an anchor tells (RFC 3261 section 15, SDP-92, SDP-93).
    pub(super) fn take_news(&mut self, at: AnchorRef, news: &AnchorNews, now: Moment) {
        let key = match news {
            AnchorNews::Ended(_) => self.anchors.remove(&at),
            _ => self.anchors.get(&at).copied(),
        };
        let Some((key, call)) = key.and_then(|key| Some((key, self.calls.get_mut(&key)?))) else { return };
        let cause = match news {
            AnchorNews::Bound { .. } => return,
            AnchorNews::Lost { side, .. } => return call.media.lose(at, *side),
            AnchorNews::Ended(_) => Cause::Operator,
            AnchorNews::Unreachable { .. } => Cause::Media("unreachable"),
            AnchorNews::Unconnected { .. } => Cause::Media("unconnected"),
            AnchorNews::NotRebuilt { .. } => Cause::Media("not_rebuilt"),
            AnchorNews::Mismatch { .. } => Cause::Media("mismatch"),
            AnchorNews::Refused { .. } => Cause::Media("refused"),
        };
        if !call.media.anchors().any(|a| a == at) {
            return;
        }
        if call.media.has_others() {
            // Its other media go on: only the chat is over.
            call.media.forget(at);
            if !matches!(news, AnchorNews::Ended(_)) {
                self.outputs.push_back(Output::Release { at, end: SessionEnd::Cancelled });
            }
            return;
        }
        if matches!(news, AnchorNews::Ended(_)) {
            call.media.forget(at);
        }
        if call.failing.is_none() {
            let wait = Duration::from_millis(u64::from(self.random_below(SPREAD_MS)));
            if let Some(call) = self.calls.get_mut(&key) {
                call.failing = Some((now + wait, cause));
            }
            self.arm(key);
        }
    }
}

fn record(call: &Call, cause: Cause, by: EndedBy, anchors: Vec<AnchorRef>, now: Moment) -> CallRecord {
    CallRecord { call_id: call.call_id.clone(), cause, by, duration: call.answered.map(|at| now.since(at)), anchors }
}
