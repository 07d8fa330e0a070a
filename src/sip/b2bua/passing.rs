//! Requests of one dialog passed to the other: UPDATE, PRACK, INFO, MESSAGE, OPTIONS (RFC 3311, RFC 3262, RFC 6086, RFC 3428).

use super::call::{Asked, Carried, Served};
use super::copied;
use super::dialog::{self, Dialog};
use super::event::{Cause, EndedBy};
use super::phrase::phrase;
use super::session_timer;
use super::written::{accepting, complete, description_of, set_body};
use super::{B2bua, CallKey};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sdp::Refusal;
use crate::sip::message::{Headers, Request, Response, cseq};
use crate::sip::transaction::{ClientId, ServerId};

impl B2bua {
    /// A request other than INVITE and BYE, of this side.
    pub(super) fn pass(&mut self, key: CallKey, side: Side, server: ServerId, request: Request, now: Moment) {
        let update = request.method == "UPDATE";
        let mut scratch = Headers::default();
        if update && let Err(small) = session_timer::accept(&self.settings.timers, &request.headers, &mut scratch) {
            return self.answer(server, &request, 422, &[("Min-SE", &small.min_se())], now);
        }
        let description = match description_of(&request) {
            Ok(description) => description,
            // Bodies of other kinds are nobody's business here.
            Err(_) if !negotiates(&request.method) => None,
            Err(fault) => {
                let headers = accepting(fault);
                let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, &**v)).collect();
                return self.answer(server, &request, fault.status().0, &headers, now);
            }
        };
        if let Some(of) = dialog::key_of_request(&request).filter(|_| update) {
            self.refresh_target_of(key, side, &of, &request.headers);
        }
        if update && request.body.is_empty() {
            // A refresh of this leg alone (RFC 4028 section 7.4).
            return self.answer_with(key, side, server, &request, None, now);
        }
        let offers = description.is_some() && negotiates(&request.method);
        if let Some(status) = self.overlap(key, side, &request).filter(|_| offers) {
            let wait = self.random_below(11).to_string();
            let headers: &[(&str, &str)] = if status == 500 { &[("Retry-After", &wait)] } else { &[] };
            return self.answer(server, &request, status, headers, now);
        }
        let capabilities = description.is_some() && request.method == "OPTIONS";
        let passed = Served::Passed { call: key, from: side, request: Box::new(request), client: None };
        self.servers.insert(server, passed);
        if let Some(call) = self.calls.get_mut(&key) {
            call.passing.push(server);
        }
        let next = Carried::Request { server };
        match description {
            Some(text) if offers => self.carry(key, side, text, next, now),
            // What this end can do is not what is agreed here, and tells where it is (SDP-99).
            _ if capabilities => self.forward(key, next, Some(Vec::new()), now),
            _ => self.forward(key, next, None, now),
        }
    }

    /// Whether an offer comes while another is open, or before there can be one (RFC 3311 section 5.2). The answer to a
    /// reliable offer comes in a PRACK.
    fn overlap(&self, key: CallKey, side: Side, request: &Request) -> Option<u16> {
        let call = self.calls.get(&key)?;
        if call.open.as_ref().is_some_and(|open| request.method == "PRACK" && open.is_awaiting(side)) {
            return None;
        }
        let open = call.open.as_ref().and_then(|open| open.from());
        let invited = call.inviting.as_ref().filter(|i| i.negotiated.is_none() && !i.is_answered).map(|i| i.from);
        let refreshed = call.leg(side).refreshing.is_some() && !call.leg(side).update;
        let from = open.or(invited).or(refreshed.then_some(side.other()))?;
        Some(if from == side { 500 } else { 491 })
    }

    /// Sends a request on.
    pub(super) fn send_passed(&mut self, key: CallKey, server: ServerId, description: Option<&[u8]>, now: Moment) {
        let Some(Served::Passed { from, request, client, .. }) = self.servers.get_mut(&server) else { return };
        let from = *from;
        let Some(call) = self.calls.get_mut(&key) else { return };
        let beyond = call.leg(from.other());
        let (contact, way, timer) = (beyond.contact.clone(), beyond.way.clone(), beyond.timer);
        let stranger = call.stranger.clone();
        let invite_cseq = call.inviting.as_ref().and_then(|i| i.sent.as_ref()).and_then(|r| cseq(&r.headers));
        let Some(dialog) = dialog_beyond(call, from, request) else { return self.refuse_passed(server, 481, now) };
        let way = dialog.way.clone().unwrap_or(way);
        let mut out = dialog.request(&request.method);
        complete(&mut out, request, &contact, stranger.as_deref());
        if request.method == "UPDATE" {
            session_timer::propose(&self.settings.timers, timer.as_ref(), &mut out.headers);
        }
        if request.method == "PRACK"
            && let Some(rack) = request.headers.first("RAck")
        {
            out.headers.push("RAck", across(rack, invite_cseq.map(|c| c.number)));
        }
        set_body(&mut out.body, &mut out.headers, &**request, description);
        match self.transactions.request(out, way, now) {
            Ok(sent) => {
                *client = Some(sent);
                self.clients.insert(sent, Asked::Passed { call: key, from, server });
            }
            Err(_) => self.refuse_passed_with(server, 503, &[("Retry-After".to_owned(), "10".to_owned())], now),
        }
    }

    /// An offer in a request that was refused comes to nothing.
    fn abandon_own(&mut self, key: CallKey, from: Side, request: &Request) {
        let offers = negotiates(&request.method) && matches!(description_of(request), Ok(Some(_)));
        let open = self.calls.get(&key).and_then(|c| c.open.as_ref());
        if offers && open.is_some_and(|o| o.of_invite.is_none() && o.from() == Some(from)) {
            self.abandon_exchange(key);
        }
    }

    /// A response to a request that was passed on.
    pub(super) fn passed_answered(&mut self, client: ClientId, response: Response, now: Moment) {
        let Some(Asked::Passed { call: key, from, server }) = self.clients.get(&client) else { return };
        let (key, from, server) = (*key, *from, *server);
        if !response.is_provisional() {
            self.clients.remove(&client);
        }
        let Some(Served::Passed { request, .. }) = self.servers.get(&server) else { return };
        let negotiates = negotiates(&request.method) && response.is_success();
        let offers = negotiates && matches!(description_of(&**request), Ok(Some(_)));
        let (update, options) = (request.method == "UPDATE", request.method == "OPTIONS");
        if response.is_success() && update {
            let beyond = self.calls.get_mut(&key).and_then(|call| dialog_beyond(call, from, request)).map(|d| d.key());
            if let Some(of) = beyond {
                self.refresh_target_of(key, from.other(), &of, &response.headers);
            }
        }
        let open = self.calls.get(&key).and_then(|c| c.open.as_ref());
        let awaited = offers && open.is_some_and(|o| o.of_invite.is_none() && o.is_awaiting(from.other()));
        let description = description_of(&response).ok().flatten();
        let next = Carried::Response { server, response };
        match description {
            Some(text) if awaited => self.carry(key, from.other(), text, next, now),
            // An offer without an answer would stay open for ever.
            None if awaited => self.misfit(key, next, Refusal { status: 502, warning: None }, now),
            Some(_) if negotiates || options => self.forward(key, next, Some(Vec::new()), now),
            _ => self.forward(key, next, None, now),
        }
    }

    /// A response goes back.
    pub(super) fn send_passed_response(
        &mut self,
        key: CallKey,
        server: ServerId,
        response: &Response,
        description: Option<&[u8]>,
        now: Moment,
    ) {
        let Some(Served::Passed { from, request, .. }) = self.servers.get(&server) else { return };
        let (from, request) = (*from, request.clone());
        let mut back = Response::to(&request, response.status, &response.phrase);
        let Some(call) = self.calls.get_mut(&key) else { return };
        if request.method == "UPDATE" && response.is_success() {
            let contact = copied::contact(&call.leg(from).contact, &response.headers);
            back.headers.push("Contact", contact);
        }
        copied::copy(&response.headers, &mut back.headers);
        copied::introduce(&response.headers, &mut back.headers);
        copied::require(&response.headers, &mut back.headers);
        for name in ["Unsupported", "Min-SE"] {
            for value in response.headers.all(name) {
                back.headers.push(name, value);
            }
        }
        set_body(&mut back.body, &mut back.headers, response, description);
        let timed = request.method == "UPDATE" && response.is_success();
        let timer = match timed {
            true => session_timer::accept(&self.settings.timers, &request.headers, &mut back.headers).ok().flatten(),
            false => None,
        };
        let last = !response.is_provisional();
        self.transactions.respond(server, back, now);
        if timed {
            self.begin_timer(key, from, timer, now);
        }
        if last {
            self.forget_passed(key, server);
            if !response.is_success() {
                self.abandon_own(key, from, &request);
            }
            if matches!(response.status, 408 | 481) {
                self.end(key, Cause::DialogGone, EndedBy::Side(from.other()), now);
            }
        }
    }

    fn forget_passed(&mut self, key: CallKey, server: ServerId) {
        self.servers.remove(&server);
        if let Some(call) = self.calls.get_mut(&key) {
            call.passing.retain(|s| *s != server);
        }
    }

    /// The request that was passed on is answered by us.
    pub(super) fn refuse_passed(&mut self, server: ServerId, status: u16, now: Moment) {
        self.refuse_passed_with(server, status, &[], now);
    }

    /// The same, with headers.
    pub(super) fn refuse_passed_with(
        &mut self,
        server: ServerId,
        status: u16,
        headers: &[(String, String)],
        now: Moment,
    ) {
        let Some(Served::Passed { call, from, request, client }) = self.servers.remove(&server) else { return };
        if let Some(client) = client {
            self.clients.remove(&client);
        }
        self.forget_passed(call, server);
        self.abandon_own(call, from, &request);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        self.answer(server, &request, status, &headers, now);
    }

    /// Nothing came of a request that was passed on (RFC 3261 section 12.2.1.2): its dialog is gone.
    pub(super) fn passed_failed(&mut self, client: ClientId, now: Moment) {
        let Some(Asked::Passed { call: key, from, server }) = self.clients.remove(&client) else { return };
        self.refuse_passed(server, 408, now);
        self.end(key, Cause::DialogGone, EndedBy::Side(from.other()), now);
    }

    /// An UPDATE with the offer that we know.
    pub(super) fn answer_update(&mut self, key: CallKey, server: ServerId, said: Vec<u8>, now: Moment) {
        let Some(Served::Passed { from, request, .. }) = self.servers.remove(&server) else { return };
        self.forget_passed(key, server);
        self.answer_with(key, from, server, &request, Some(said), now);
    }

    /// A 2xx of our own to a request that refreshes its leg.
    pub(super) fn answer_with(
        &mut self,
        key: CallKey,
        side: Side,
        server: ServerId,
        request: &Request,
        said: Option<Vec<u8>>,
        now: Moment,
    ) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let mut response = Response::to(request, 200, phrase(200));
        response.headers.push("Contact", call.leg(side).contact.clone());
        copied::introduce(&Headers::default(), &mut response.headers);
        let timer = session_timer::accept(&self.settings.timers, &request.headers, &mut response.headers);
        if let Some(said) = said {
            response.headers.push("Content-Type", "application/sdp");
            response.body = said.into();
        }
        if request.method == "INVITE" {
            call.leg_mut(side).unacknowledged = Some(server);
        }
        self.transactions.respond(server, response, now);
        self.begin_timer(key, side, timer.ok().flatten(), now);
    }
}

/// Whether descriptions in it are offers and answers (RFC 3311, RFC 3262 section 5): in others they are something that two ends
/// tell each other.
fn negotiates(method: &str) -> bool {
    matches!(method, "UPDATE" | "PRACK")
}

/// The dialog on the other side of a request of `from`.
fn dialog_beyond<'a>(call: &'a mut super::call::Call, from: Side, request: &Request) -> Option<&'a mut Dialog> {
    let of = dialog::key_of_request(request)?;
    if call.leg(from).dialog.as_ref().is_some_and(|d| d.key() == of) {
        return call.leg_mut(from.other()).dialog.as_mut();
    }
    let inviting = call.inviting.as_mut()?;
    let fork = inviting.forks.iter_mut().find(|f| f.near.key() == of || f.far.key() == of)?;
    Some(if fork.near.key() == of { &mut fork.far } else { &mut fork.near })
}

/// RAck names the INVITE by its CSeq, which is another one here (RFC 3262 section 7.2).
fn across(rack: &str, number: Option<u32>) -> String {
    let mut words = rack.split_ascii_whitespace();
    match (words.next(), words.next(), words.next(), number) {
        (Some(response), Some(_), Some(method), Some(number)) => format!("{response} {number} {method}"),
        _ => rack.to_owned(),
    }
}
