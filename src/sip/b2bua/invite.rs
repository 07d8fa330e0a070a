//! An INVITE across, from whichever side (RFC 3261 sections 13 and 14).

use super::admission::is_secure;
use super::call::{Asked, Carried, Inviting, Served};
use super::dialog::Dialog;
use super::event::Cause;
use super::session_timer;
use super::written::{accepting, complete, set_body, untagged};
use super::{B2bua, CallKey, Output, admission, body};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sdp::Family;
use crate::sip::message::{Headers, NameAddr, Request};
use crate::sip::transaction::ServerId;
use crate::sip::way::{Protocol, Way};

impl B2bua {
    /// The INVITE goes on, once its description is ready.
    pub(super) fn carry_invite(&mut self, key: CallKey, now: Moment) {
        let Some(inviting) = self.calls.get(&key).and_then(|c| c.inviting.as_ref()) else { return };
        let found = body::find(&inviting.request.headers, &inviting.request.body, &admission::BODY);
        match found {
            Ok(Some(place)) => {
                let text = body::octets(&inviting.request.body, &place).to_vec();
                self.carry(key, inviting.from, text, Carried::Invite, now);
            }
            _ => self.forward(key, Carried::Invite, None, now),
        }
    }

    /// The callee's leg leads to the next of the targets; false if there is none, or no Contact of ours for it.
    pub(super) fn aim_at_next(&mut self, key: CallKey) -> bool {
        let Some(call) = self.calls.get_mut(&key) else { return false };
        let Some(inviting) = call.inviting.as_mut() else { return false };
        let Some(target) = inviting.targets.pop_front() else { return false };
        // RFC 3261 section 8.1.1.8.
        let route = inviting.route.first().and_then(|route| NameAddr::read(route)).map_or("", |route| route.uri);
        let secure = is_secure(&inviting.request_uri) || is_secure(route);
        let family = if target.address.is_ipv6() { Family::V6 } else { Family::V4 };
        call.media.signalled(Side::B, family, target.protocol == Protocol::Tls);
        let leg = call.leg_mut(Side::B);
        let way = Way::Target(self.settings.listeners.aim(target));
        let Some(contact) = self.settings.listeners.contact(&way, secure) else { return false };
        leg.contact = contact;
        self.connections.turn(leg, (key, Side::B), way);
        true
    }

    /// Sends the INVITE, with this description if it has one.
    pub(super) fn send_invite(&mut self, key: CallKey, description: Option<&[u8]>, now: Moment) {
        let Some(mut request) = self.invite_of(key) else { return };
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        let leg = &call.legs[inviting.from.other() as usize];
        complete(&mut request, &inviting.request, &leg.contact, call.stranger.as_deref());
        session_timer::propose(&inviting.wishes, leg.timer.as_ref(), &mut request.headers);
        set_body(&mut request.body, &mut request.headers, &inviting.request, description);
        inviting.sent = Some(request.clone());
        let way = leg.way.clone();
        match self.transactions.request(request, way, now) {
            Ok(client) => {
                inviting.client = Some(client);
                self.clients.insert(client, Asked::Invite { call: key });
            }
            Err(_) => self.give_up_invite(key, 503, &[("Retry-After".to_owned(), "10".to_owned())], now),
        }
    }

    /// Our INVITE without what it carries: the one that opens the other leg's dialogs, or one in its dialog.
    fn invite_of(&mut self, key: CallKey) -> Option<Request> {
        let (tag, token) = (self.token(), self.token());
        let call = self.calls.get_mut(&key)?;
        let inviting = call.inviting.as_mut()?;
        let to = inviting.from.other();
        if !inviting.initial {
            return Some(call.legs[to as usize].dialog.as_mut()?.request("INVITE"));
        }
        let named = || (format!("{token}@{}", self.settings.host), tag);
        let (call_id, tag) = call.asked.get_or_insert_with(named).clone();
        self.asked.insert((call_id.clone(), tag.clone()));
        let [from, callee] = ["From", "To"].map(|name| untagged(&inviting.request.headers, name));
        let contact = &call.legs[to as usize].contact;
        let mut dialog = Dialog::asking(from, &tag, callee, &call_id, contact, inviting.number);
        inviting.number += 1;
        dialog.aim(&inviting.request_uri);
        let mut request = dialog.request("INVITE");
        for route in &inviting.route {
            request.headers.push("Route", route.clone());
        }
        inviting.asking = Some(dialog);
        Some(request)
    }

    /// A re-INVITE of a side (RFC 3261 section 14.2).
    pub(super) fn invited_again(&mut self, key: CallKey, side: Side, server: ServerId, request: Request, now: Moment) {
        if let Some(status) = self.invites_cross(key, side) {
            let wait = self.random_below(11).to_string();
            let headers: &[(&str, &str)] = if status == 500 { &[("Retry-After", &wait)] } else { &[] };
            return self.answer(server, &request, status, headers, now);
        }
        let mut scratch = Headers::default();
        if let Err(small) = session_timer::accept(&self.settings.timers, &request.headers, &mut scratch) {
            return self.answer(server, &request, 422, &[("Min-SE", &small.min_se())], now);
        }
        let found = match body::find(&request.headers, &request.body, &admission::BODY) {
            Ok(found) => found,
            Err(fault) => {
                let headers = accepting(fault);
                let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, &**v)).collect();
                return self.answer(server, &request, fault.status().0, &headers, now);
            }
        };
        self.refresh_target(key, side, &request.headers);
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.inviting = Some(Inviting::new(side, server, request, found.is_none(), self.settings.timers));
        self.servers.insert(server, Served::Invite { call: key, side });
        self.carry_invite(key, now);
    }

    /// Which status a re-INVITE of this side gets, since another or an offer is under way (RFC 3261 section 14.2, RFC 3311
    /// section 5.2): 500 after one of its own, 491 where ours crosses it.
    fn invites_cross(&self, key: CallKey, side: Side) -> Option<u16> {
        let call = self.calls.get(&key)?;
        let own = match &call.inviting {
            Some(inviting) => inviting.from == side,
            None if call.leg(side).unacknowledged.is_some() => true,
            None if call.leg(side).refreshing.is_some() => false,
            None if call.leg(side.other()).unacknowledged.is_some() => false,
            None => call.open.as_ref()?.from() == Some(side),
        };
        Some(if own { 500 } else { 491 })
    }

    /// The target that the call was sent to is not tried first by others (RFC 3263 section 4.3).
    pub(super) fn rest(&mut self, key: CallKey) {
        let Some(call) = self.calls.get(&key).filter(|c| c.inviting.as_ref().is_some_and(|i| i.initial)) else {
            return;
        };
        if let Way::Target(target) = &call.leg(Side::B).way {
            self.outputs.push_back(Output::Rest { target: target.clone() });
        }
    }

    /// The INVITE goes to its next target (RFC 3263 section 4.3), as long as nothing was agreed with the one before; false if
    /// there is none.
    pub(super) fn try_next(&mut self, key: CallKey, now: Moment) -> bool {
        let fits = self.calls.get(&key).is_some_and(|call| {
            let unanswered = call.open.as_ref().is_none_or(|open| open.is_awaiting(Side::B));
            let invited = call.inviting.as_ref().is_some_and(|i| i.initial && i.negotiated.is_none());
            unanswered && invited
        });
        if !fits || !self.aim_at_next(key) {
            return false;
        }
        self.forget_forks(key);
        self.send_again(key, now);
        true
    }

    /// The INVITE once more, as it was said.
    pub(super) fn send_again(&mut self, key: CallKey, now: Moment) {
        let Some(call) = self.calls.get(&key) else { return };
        let said = call.open.as_ref().and_then(|o| o.exchange.as_ref()).and_then(|e| e.said.clone());
        self.send_invite(key, said.as_deref(), now);
    }

    /// The side that sent the INVITE hears this, and nothing else changes but a call that had only begun.
    pub(super) fn give_up_invite(&mut self, key: CallKey, status: u16, headers: &[(String, String)], now: Moment) {
        let Some(inviting) = self.calls.get(&key).and_then(|c| c.inviting.as_ref()) else { return };
        let cause = match status {
            408 => Cause::Timeout,
            502 => Cause::Negotiation,
            _ => Cause::Refused(status),
        };
        if inviting.initial {
            return self.refuse_call(key, status, headers, cause, now);
        }
        let (server, request) = (inviting.server, inviting.request.clone());
        self.servers.remove(&server);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        self.answer(server, &request, status, &headers, now);
        self.abandon_offer_of_invite(key);
        if let Some(call) = self.calls.get_mut(&key) {
            call.inviting = None;
        }
    }
}
