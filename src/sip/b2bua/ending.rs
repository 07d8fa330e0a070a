//! How calls end: BYE, CANCEL, refusals, and all that ends them by itself (RFC 3261 sections 9 and 15).

use super::call::{Asked, Call, Served};
use super::event::{CallEvent, CallRecord, Cause, EndedBy};
use super::media::AnchorRef;
use super::phrase::phrase;
use super::written::complete;
use super::{B2bua, CallKey, Output};
use crate::moment::Moment;
use crate::relay::{SessionEnd, Side};
use crate::sip::message::{Headers, Request, Response};
use crate::sip::transaction::ServerId;

impl B2bua {
    /// BYE of a side: 200 at once, whatever becomes of the rest (RFC 3261 section 15.1.2). So headers of the other side's
    /// response to it have nobody to go to.
    pub(super) fn said_goodbye(&mut self, key: CallKey, side: Side, server: ServerId, request: &Request, now: Moment) {
        self.answer(server, request, 200, &[], now);
        let Some(call) = self.calls.get(&key) else { return };
        if call.answered.is_none() {
            // The caller gives up an early dialog (RFC 3261 section 15), or one of the forks does, which then fails by itself.
            if side == Side::A {
                let reasons: Vec<String> = request.headers.all("Reason").map(str::to_owned).collect();
                self.give_reasons(key, &reasons);
                self.refuse_call(key, 487, &[], Cause::Cancelled, now);
            }
            return;
        }
        self.say_goodbye(key, side.other(), Some(request), None, now);
        self.close(key, Cause::Bye, EndedBy::Side(side), now);
    }

    /// Why the side that sent the INVITE has given up (RFC 3326): nothing else of CANCEL is for the other side, for CANCEL is
    /// made anew at each hop (RFC 3261 section 9.1).
    fn give_reasons(&mut self, key: CallKey, reasons: &[String]) {
        if let Some(inviting) = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut()) {
            inviting.reasons = reasons.iter().map(|reason| ("Reason".to_owned(), reason.clone())).collect();
        }
    }

    /// CANCEL of the INVITE that this is.
    pub(super) fn cancelled(&mut self, server: ServerId, reasons: &[String], now: Moment) {
        match self.servers.remove(&server) {
            Some(Served::Admitting { request, .. }) => self.answer(server, &request, 487, &[], now),
            Some(Served::Invite { call: key, side }) => {
                self.servers.insert(server, Served::Invite { call: key, side });
                self.give_reasons(key, reasons);
                let inviting = self.calls.get(&key).and_then(|c| c.inviting.as_ref()).filter(|i| i.server == server);
                match inviting.map(|i| (i.initial, i.client)) {
                    Some((true, _)) => self.refuse_call(key, 487, &[], Cause::Cancelled, now),
                    // A re-INVITE: the other side says how it ends, or 487 if it does.
                    Some((false, Some(_))) => self.cancel_far(key, now),
                    Some((false, None)) => self.give_up_invite(key, 487, &[], now),
                    None => {}
                }
            }
            Some(other) => {
                self.servers.insert(server, other);
            }
            None => {}
        }
    }

    /// CANCEL of our INVITE, if it is under way.
    pub(super) fn cancel_far(&mut self, key: CallKey, now: Moment) {
        let Some(inviting) = self.calls.get(&key).and_then(|c| c.inviting.as_ref()) else { return };
        if let Some(client) = inviting.client {
            self.transactions.cancel(client, &inviting.reasons, now);
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
        let mut response = Response::to(&inviting.request, status, phrase(status));
        let tag = inviting.forks.first().map(|f| f.near.local().to_owned());
        if let Some(to) = tag {
            response.headers.set("To", to);
        }
        for (name, value) in headers {
            response.headers.push(name, value.clone());
        }
        let (client, taken) = (inviting.client.take(), inviting.taken.take());
        let reasons = std::mem::take(&mut inviting.reasons);
        let late = inviting.late(call.legs[Side::B as usize].way.clone(), None);
        self.tag(&mut response);
        self.servers.remove(&server);
        self.transactions.respond(server, response, now);
        if let Some(client) = client {
            match taken {
                // It was told once, and would never be acknowledged.
                Some(taken) => self.turn_down(client, &late, &taken, now),
                None => self.transactions.cancel(client, &reasons, now),
            }
            self.clients.insert(client, Asked::Late(Box::new(late)));
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
        self.acknowledge_taken(key, now);
        self.acknowledge_far(key, None, now);
        let Some(call) = self.calls.get_mut(&key) else { return };
        let stranger = call.stranger.clone();
        let leg = call.leg_mut(side);
        let Some(dialog) = leg.dialog.as_mut() else { return };
        let mut bye = dialog.request("BYE");
        match of {
            Some(of) => {
                complete(&mut bye, of, "", stranger.as_deref());
                bye.body = of.body.clone();
            }
            None => super::copied::introduce(&Headers::default(), &mut bye.headers),
        }
        if let Some((status, text)) = cause.and_then(Cause::reason) {
            bye.headers.push("Reason", format!("SIP;cause={status};text=\"{text}\""));
        }
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
        let dialogs = self.calls.get(&key).map(|call| call.keys()).unwrap_or_default();
        self.answer_pending(key, now);
        self.abandon_exchange(key);
        let Some(call) = self.calls.remove(&key) else { return };
        self.timers.remove(&(call.armed, key));
        for side in Side::BOTH {
            self.connections.leave(&call.leg(side).way, (key, side));
        }
        for dialog in dialogs {
            self.dialogs.remove(&dialog);
            self.ended.remember(dialog, now);
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
        if let Some(client) = inviting.client {
            self.clients.remove(&client);
            self.transactions.cancel(client, &[], now);
        }
        if !inviting.is_answered && self.servers.remove(&inviting.server).is_some() {
            self.answer(inviting.server, &inviting.request, 487, &[], now);
        }
    }
}

fn record(call: &Call, cause: Cause, by: EndedBy, anchors: Vec<AnchorRef>, now: Moment) -> CallRecord {
    CallRecord { call_id: call.call_id.clone(), cause, by, duration: call.answered.map(|at| now.since(at)), anchors }
}
