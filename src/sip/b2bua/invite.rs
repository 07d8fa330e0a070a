//! An INVITE across, and its responses back (RFC 3261 sections 13 and 14).

use super::call::{Asked, Call, Carried, Fork, Inviting, Owner, Served, Waiting2xx};
use super::copied;
use super::dialog::Dialog;
use super::event::{CallEvent, Cause};
use super::phrase::phrase;
use super::session_timer;
use super::settings::Forks;
use super::{B2bua, CallKey, Output, admission, body};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sip::message::{Headers, NameAddr, Request, Response, cseq, list};
use crate::sip::transaction::{ClientId, Failure, ServerId};
use crate::sip::way::{FlowId, Way};

/// Forks of one INVITE that are followed.
const FORKS: usize = 16;

impl B2bua {
    /// The INVITE that began a call goes on, once its description is ready.
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

    /// Sends the INVITE, with this description if it has one.
    pub(super) fn send_invite(&mut self, key: CallKey, description: Option<&[u8]>, now: Moment) {
        let (tag, token) = (self.token(), self.token());
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        let to = inviting.from.other();
        let mut request = if inviting.initial {
            let target = inviting.targets.pop_front();
            let Some(target) = target else { return };
            let leg = &mut call.legs[to as usize];
            leg.contact = self.settings.contacts.value(target.protocol, target.address.is_ipv6());
            leg.way = Way::Target(target);
            let mut dialog = match inviting.asking.take() {
                Some(dialog) => dialog,
                None => {
                    let call_id = format!("{token}@{}", self.settings.host);
                    let from = untagged(&inviting.request.headers, "From");
                    call.asked = Some((call_id.clone(), tag.clone()));
                    self.asked.insert((call_id.clone(), tag.clone()));
                    Dialog::asking(from, &tag, untagged(&inviting.request.headers, "To"), &call_id, &leg.contact, 1)
                }
            };
            dialog.aim(&inviting.request_uri);
            let mut request = dialog.request("INVITE");
            for route in &inviting.route {
                request.headers.push("Route", route.clone());
            }
            inviting.asking = Some(dialog);
            request
        } else {
            let Some(dialog) = call.legs[to as usize].dialog.as_mut() else { return };
            dialog.request("INVITE")
        };
        let leg = &call.legs[to as usize];
        complete(&mut request, &inviting.request, &leg.contact, inviting.realm.as_deref());
        session_timer::propose(&self.settings.timers, leg.timer.as_ref(), &mut request.headers);
        set_body(&mut request.body, &inviting.request, description);
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

    /// A re-INVITE of a side (RFC 3261 section 14.2).
    pub(super) fn invited_again(&mut self, key: CallKey, side: Side, server: ServerId, request: Request, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let glare = match &call.inviting {
            Some(inviting) if inviting.from == side => Some(500),
            Some(_) => Some(491),
            None if call.open.as_ref().is_some_and(|open| open.from() == Some(side)) => Some(500),
            None if call.open.is_some() || call.leg(side).refreshing.is_some() => Some(491),
            None if call.leg(side.other()).unacknowledged.is_some() => Some(491),
            None => None,
        };
        if let Some(status) = glare {
            let wait = self.random_below(11).to_string();
            let headers: &[(&str, &str)] = if status == 500 { &[("Retry-After", &wait)] } else { &[] };
            return self.answer(server, &request, status, headers, now);
        }
        let mut scratch = Headers::default();
        if let Err(small) = session_timer::accept(&self.settings.timers, &request.headers, &mut scratch) {
            let minimum = small.minimum.as_secs().to_string();
            return self.answer(server, &request, 422, &[("Min-SE", &minimum)], now);
        }
        let found = match body::find(&request.headers, &request.body, &admission::BODY) {
            Ok(found) => found,
            Err(fault) => return self.answer(server, &request, fault.status().0, &[], now),
        };
        self.refresh_target(key, side, &request.headers);
        let Some(call) = self.calls.get_mut(&key) else { return };
        call.inviting = Some(Inviting {
            from: side,
            server,
            offerless: found.is_none(),
            request,
            initial: false,
            client: None,
            sent: None,
            asking: None,
            targets: Default::default(),
            request_uri: String::new(),
            route: Vec::new(),
            forks: Vec::new(),
            negotiated: false,
            to_acknowledge: None,
            taken: None,
            realm: None,
        });
        self.servers.insert(server, Served::Invite { call: key, side });
        self.carry_invite(key, now);
    }

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
        let Some(inviting) = call.inviting.as_mut().filter(|i| i.client == Some(client)) else {
            return self.late_2xx(client, &response, now);
        };
        if response.status >= 300 {
            return self.invite_refused(key, response, now);
        }
        if inviting.taken.is_some() {
            // One is under way back: another fork is too late.
            let (asking, to) = (inviting.asking.clone(), inviting.from.other());
            let way = call.leg(to).way.clone();
            if let Some(asking) = asking.filter(|_| response.is_success()) {
                self.turn_down(client, &asking, way, &response, now);
            }
            return;
        }
        let fork = if inviting.initial {
            match self.fork(key, &response, flow) {
                Some(fork) => fork,
                None => return,
            }
        } else {
            0
        };
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        if response.is_success() {
            let to = response.headers.first("To").and_then(NameAddr::read);
            inviting.taken = Some(to.and_then(|to| to.tag()).unwrap_or_default().to_owned());
        }
        let reliable = response.is_success() || list::contains(&response.headers, "Require", "100rel");
        let place = body::find(&response.headers, &response.body, &admission::BODY).ok().flatten();
        let carried = |response| Carried::InviteResponse { response, fork, client };
        let from = inviting.from;
        match place {
            // A description that binds nothing: shown, and forgotten (RFC 3261 section 13.2.1).
            Some(place) if !reliable => {
                let text = body::octets(&response.body, &place).to_vec();
                let shown = self.preview(key, &text);
                self.forward(key, carried(response), Some(shown.unwrap_or_default()), now);
            }
            Some(_) if inviting.negotiated => {
                let said = call.media.repeat(from);
                self.forward(key, carried(response), said, now);
            }
            Some(place) => {
                let text = body::octets(&response.body, &place).to_vec();
                self.carry(key, from.other(), text, carried(response), now);
            }
            None if response.is_success() && !inviting.negotiated => self.unanswered(key, carried(response), now),
            None => self.forward(key, carried(response), None, now),
        }
    }

    /// A 2xx without the description that it owes.
    fn unanswered(&mut self, key: CallKey, carried: Carried, now: Moment) {
        let refusal = crate::sdp::Refusal { status: 502, warning: None };
        self.misfit(key, carried, refusal, now);
    }

    /// The early dialog of a response, made if it is new; none where it is not followed.
    fn fork(&mut self, key: CallKey, response: &Response, flow: FlowId) -> Option<usize> {
        let own = self.token();
        let call = self.calls.get_mut(&key)?;
        let inviting = call.inviting.as_mut()?;
        let tag = response.headers.first("To").and_then(NameAddr::read).and_then(|to| to.tag().map(str::to_owned));
        let asking = inviting.asking.as_ref()?;
        if let Some(at) = inviting.fork_of(tag.as_deref()) {
            if response.is_success() || response.headers.has("Contact") {
                inviting.forks[at].far = asking.answered(response).ok()?;
            }
            return Some(at);
        }
        let first_only = self.settings.forks == Forks::First;
        let other = !inviting.forks.is_empty();
        if inviting.forks.len() >= FORKS || (first_only && other && !response.is_success()) {
            return None;
        }
        let far = asking.answered(response).ok()?;
        let near = match inviting.forks.first() {
            Some(first) if first_only => first.near.clone(),
            _ => Dialog::answering(&inviting.request, &own, &call.legs[Side::A as usize].contact).ok()?,
        };
        self.dialogs.insert(far.key(), Owner { call: key, side: Side::B });
        self.dialogs.insert(near.key(), Owner { call: key, side: Side::A });
        inviting.forks.push(Fork { far, near });
        if matches!(call.legs[Side::B as usize].way, Way::Target(_)) && flow.protocol.is_reliable() {
            call.legs[Side::B as usize].way = Way::Flow(flow);
        }
        Some(inviting.forks.len() - 1)
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
        set_body(&mut back.body, &response, description);
        if back.body.is_empty() {
            drop_type(&mut back.headers);
        }
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
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        let (from, to) = (inviting.from, inviting.from.other());
        let sent = inviting.sent.as_ref().map(|r| r.headers.clone()).unwrap_or_default();
        let number = cseq(&sent).map_or(0, |c| c.number);
        if inviting.initial {
            let winner = inviting.forks.swap_remove(fork.min(inviting.forks.len().saturating_sub(1)));
            let losers: Vec<_> = inviting.forks.drain(..).flat_map(|f| [f.far.key(), f.near.key()]).collect();
            let (near, far) = (winner.near, winner.far);
            for key in losers.into_iter().filter(|k| *k != near.key() && *k != far.key()) {
                self.dialogs.remove(&key);
            }
            let asking = inviting.asking.clone();
            let tag = far.key().remote_tag;
            call.legs[from as usize].dialog = Some(near);
            call.legs[to as usize].dialog = Some(far);
            call.answered = Some(now);
            if let Some(asking) = asking {
                let won = Asked::Won { asking: Box::new(asking), way: call.legs[to as usize].way.clone(), tag };
                self.clients.insert(client, won);
            }
        } else {
            self.clients.remove(&client);
        }
        let update = |headers: &Headers| list::contains(headers, "Allow", "UPDATE");
        call.legs[to as usize].update = update(&response.headers);
        call.legs[from as usize].update = update(&inviting.request.headers);
        let initial = inviting.initial;
        let late = inviting.offerless;
        inviting.to_acknowledge = Some(Waiting2xx { client, cseq: number });
        let (setup, others) = (now.since(call.began), usize::from(call.media.has_others()));
        let anchored = call.media.anchors().count();
        if initial {
            self.tell(CallEvent::Answered { setup, anchored, passed: others });
            self.refresh_way(key, from);
        }
        self.refresh_target(key, to, &response.headers);
        if !late {
            self.acknowledge_far(key, None, now);
        }
        let agreed = session_timer::agreed(&self.settings.timers, &sent, &response.headers);
        self.begin_timer(key, to, agreed, now);
    }

    /// Sends the ACK of the 2xx that waits for it, with this description if it has one.
    pub(super) fn acknowledge_far(&mut self, key: CallKey, answer: Option<(&Headers, Vec<u8>)>, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        let to = inviting.from.other();
        let Some(Waiting2xx { client, cseq }) = inviting.to_acknowledge.take() else { return };
        let leg = &call.legs[to as usize];
        let Some(dialog) = leg.dialog.as_ref() else { return };
        let mut ack = dialog.ack(cseq);
        if let Some((headers, description)) = answer {
            copied::copy(headers, &mut ack.headers);
            ack.headers.set("Content-Type", "application/sdp");
            ack.body = description.into();
        }
        self.transactions.acknowledge(client, ack, leg.way.clone(), now);
    }

    /// The ACK of a 2xx of ours; none if it never came.
    pub(super) fn acknowledged(&mut self, server: ServerId, ack: Option<&Request>, now: Moment) {
        match self.servers.remove(&server) {
            Some(Served::Invite { call: key, side }) => {
                if let Some(leg) = self.calls.get_mut(&key).map(|c| c.leg_mut(side)) {
                    leg.unacknowledged = None;
                }
                self.invite_done(key, ack, now);
            }
            Some(Served::Bye { request, way }) => {
                let _ = self.transactions.request(*request, way, now);
            }
            Some(other) => {
                self.servers.insert(server, other);
            }
            None => {}
        }
    }

    fn invite_done(&mut self, key: CallKey, ack: Option<&Request>, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_ref() else { return };
        let from = inviting.from;
        if inviting.to_acknowledge.is_none() {
            call.inviting = None;
            return;
        }
        // The answer to a late offer is in this ACK or nowhere.
        let found = ack.map(|ack| body::find(&ack.headers, &ack.body, &admission::BODY).map(|p| (ack, p)));
        match found {
            Some(Ok((ack, Some(place)))) if call.open.is_some() => {
                let text = body::octets(&ack.body, &place).to_vec();
                self.carry(key, from, text, Carried::Ack { headers: ack.headers.clone() }, now);
            }
            Some(Ok((_, None))) if inviting.negotiated => {
                self.acknowledge_far(key, None, now);
                if let Some(call) = self.calls.get_mut(&key) {
                    call.inviting = None;
                }
            }
            _ => self.end(key, Cause::Negotiation, super::EndedBy::Us, now),
        }
    }

    /// Another 2xx for an INVITE that has one, or that nobody waits for: its dialog is ended at once (RFC 3261 section
    /// 13.2.2.4).
    pub(super) fn late_2xx(&mut self, client: ClientId, response: &Response, now: Moment) {
        if !response.is_success() {
            if response.status >= 300 {
                self.clients.remove(&client);
            }
            return;
        }
        let (asking, way, won) = match self.clients.get(&client) {
            Some(Asked::Abandoned { asking, way }) => (asking, way, None),
            Some(Asked::Won { asking, way, tag }) => (asking, way, Some(tag.as_deref())),
            _ => return,
        };
        let tag = response.headers.first("To").and_then(NameAddr::read).and_then(|to| to.tag());
        if won.is_some_and(|won| won == tag) {
            return;
        }
        let (asking, way) = (asking.clone(), way.clone());
        self.turn_down(client, &asking, way, response, now);
    }

    /// ACK and BYE for a 2xx that nobody wants.
    fn turn_down(&mut self, client: ClientId, asking: &Dialog, way: Way, response: &Response, now: Moment) {
        let Ok(mut dialog) = asking.answered(response) else { return };
        let number = cseq(&response.headers).map_or(1, |c| c.number);
        let (ack, bye) = (dialog.ack(number), dialog.request("BYE"));
        self.transactions.acknowledge(client, ack, way.clone(), now);
        // Full or not: the other side finds out by its own timers.
        let _ = self.transactions.request(bye, way, now);
    }

    /// A final response other than 2xx.
    fn invite_refused(&mut self, key: CallKey, response: Response, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        if let Some(client) = inviting.client.take() {
            self.clients.remove(&client);
        }
        if response.status == 503 && inviting.initial {
            let next = !inviting.targets.is_empty();
            self.rest(key);
            if next {
                return self.try_next(key, now);
            }
        }
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut() else { return };
        let (from, server, initial) = (inviting.from, inviting.server, inviting.initial);
        let mut back = Response::to(&inviting.request, response.status, &response.phrase);
        if let Some(to) = final_to(call, initial, from) {
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
        let fragment = response.headers.first("Content-Type").is_some_and(is_fragment);
        if fragment {
            back.body = response.body.clone();
        } else {
            drop_type(&mut back.headers);
        }
        self.tag(&mut back);
        self.servers.remove(&server);
        self.transactions.respond(server, back, now);
        self.abandon_exchange(key);
        let gone = matches!(response.status, 408 | 481);
        if initial {
            self.close(key, Cause::Rejected(response.status), super::EndedBy::Side(Side::B), now);
        } else if let Some(call) = self.calls.get_mut(&key) {
            call.inviting = None;
            if gone {
                self.end(key, Cause::DialogGone, super::EndedBy::Side(from.other()), now);
            }
        }
    }

    /// Nothing came of the INVITE.
    pub(super) fn invite_failed(&mut self, key: CallKey, client: ClientId, why: Failure, now: Moment) {
        let Some(inviting) = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut()) else { return };
        if inviting.client != Some(client) {
            return;
        }
        inviting.client = None;
        let initial = inviting.initial;
        let untouched = initial && inviting.forks.is_empty() && why != Failure::Unanswered;
        let next = !inviting.targets.is_empty();
        if untouched {
            self.rest(key);
            if next {
                return self.try_next(key, now);
            }
        }
        self.give_up_invite(key, 408, &[], now);
        if !initial {
            self.end(key, Cause::DialogGone, super::EndedBy::Us, now);
        }
    }

    /// The target that the call was sent to is not tried first by others (RFC 3263 section 4.3).
    fn rest(&mut self, key: CallKey) {
        if let Some(Way::Target(target)) = self.calls.get(&key).map(|c| &c.leg(Side::B).way) {
            self.outputs.push_back(Output::Rest { target: target.clone() });
        }
    }

    /// The INVITE goes to its next target (RFC 3263 section 4.3).
    fn try_next(&mut self, key: CallKey, now: Moment) {
        let Some(call) = self.calls.get(&key) else { return };
        let said = call.open.as_ref().and_then(|o| o.exchange.as_ref()).and_then(|e| e.said.clone());
        self.send_invite(key, said.as_deref(), now);
    }

    /// The side that sent the INVITE hears this, and nothing else changes but a call that had only begun.
    pub(super) fn give_up_invite(&mut self, key: CallKey, status: u16, headers: &[(String, String)], now: Moment) {
        let Some(inviting) = self.calls.get(&key).and_then(|c| c.inviting.as_ref()) else { return };
        let cause = if status == 408 { Cause::Timeout } else { Cause::Refused(status) };
        if inviting.initial {
            return self.refuse_call(key, status, headers, cause, now);
        }
        let (server, request) = (inviting.server, inviting.request.clone());
        self.servers.remove(&server);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        self.answer(server, &request, status, &headers, now);
        self.abandon_exchange(key);
        if let Some(call) = self.calls.get_mut(&key) {
            call.inviting = None;
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

fn untagged(headers: &Headers, name: &str) -> String {
    let value = headers.first(name).unwrap_or_default();
    NameAddr::read(value).map_or_else(|| value.to_owned(), |address| address.with_tag(None))
}

/// What a request of ours takes over from the one that it passes on.
pub(super) fn complete(request: &mut Request, of: &Request, contact: &str, realm: Option<&str>) {
    let hops = of.headers.first("Max-Forwards").and_then(|n| n.trim().parse::<u8>().ok()).unwrap_or(70);
    request.headers.set("Max-Forwards", hops.saturating_sub(1).to_string());
    if request.headers.has("Contact") {
        request.headers.set("Contact", copied::contact(contact, &of.headers));
    }
    copied::copy(&of.headers, &mut request.headers);
    copied::introduce(&of.headers, &mut request.headers);
    copied::require(&of.headers, &mut request.headers);
    if let Some(realm) = realm {
        copied::drop_credentials(&mut request.headers, realm);
    }
}

/// Something that has a body and headers that describe it.
pub(super) trait Bodied {
    fn headers(&self) -> &Headers;
    fn body(&self) -> &bytes::Bytes;
}

impl Bodied for Request {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn body(&self) -> &bytes::Bytes {
        &self.body
    }
}

impl Bodied for Response {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn body(&self) -> &bytes::Bytes {
        &self.body
    }
}

/// The body as it goes on: with this description in the place of the one it had; without one that must not be seen.
pub(super) fn set_body(out: &mut bytes::Bytes, of: &impl Bodied, description: Option<&[u8]>) {
    let place = body::find(of.headers(), of.body(), &admission::BODY).ok().flatten();
    *out = match (place, description) {
        (Some(_), Some(b"")) => bytes::Bytes::new(),
        (Some(place), Some(description)) => body::replace(of.body(), &place, description),
        _ => of.body().clone(),
    };
}

/// Nothing describes a body that is not there.
pub(super) fn drop_type(headers: &mut Headers) {
    headers.retain(|name| !name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-")));
}

fn is_fragment(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("message/sipfrag"))
}

/// The phrase of a response of the far side that we change.
pub(super) fn own_phrase(status: u16) -> &'static str {
    phrase(status)
}
