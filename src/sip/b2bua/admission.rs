//! Requests as they come: those in a dialog find their call, those that begin something are looked at (RFC 3261 section 8.2).

use std::net::SocketAddr;
use std::sync::Arc;

use super::body;
use super::call::{Call, Inviting, Leg, Owner, Served};
use super::copied;
use super::dialog::{self, Dialog};
use super::event::{CallEvent, Cause};
use super::media::{Media, address};
use super::phrase::phrase;
use super::session_timer;
use super::settings::{Admission, Refusal, Routed};
use super::written::accepting;
use super::{B2bua, CallKey, Output, STEP};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sdp::{self, Family, Protocol as Msrp};
use crate::sip::gate;
use crate::sip::message::{Headers, NameAddr, Request, Response, Uri, list};
use crate::sip::transaction::ServerId;
use crate::sip::way::{FlowId, Protocol, Target, Way};
use rand_chacha::rand_core::RngCore;

/// A status and the headers that belong to it.
type Answer = (u16, Vec<(&'static str, String)>);

/// Not now.
fn busy() -> Answer {
    (503, vec![("Retry-After", "10".to_owned())])
}

/// No listener of ours could stand in a `sips` Contact (RFC 5630 section 5.3).
fn insecure(host: &str) -> Answer {
    (480, vec![("Warning", format!("380 {host} \"SIPS Not Allowed\""))])
}

/// How deep bodies are looked into (ADV-S13).
pub(super) const BODY: body::Limits = body::Limits { depth: 3, parts: 64 };

impl B2bua {
    /// A request that is new.
    pub(super) fn requested(&mut self, server: ServerId, request: Request, flow: FlowId, now: Moment) {
        if let Some(key) = dialog::key_of_request(&request) {
            if let Some(owner) = self.dialogs.get(&key).copied() {
                return self.in_dialog(owner, server, request, flow, now);
            }
            let ended = request.method == "BYE" && self.ended.knows(&key);
            return self.answer(server, &request, if ended { 200 } else { 481 }, &[], now);
        }
        if let Some(status) = self.not_for_us(&request) {
            return self.turn_away(server, &request, status, now);
        }
        let boxed = Box::new(request);
        self.servers.insert(server, Served::Admitting { request: boxed.clone(), flow });
        self.admitting.push_back((now + STEP, server));
        self.outputs.push_back(Output::Admit { server, request: boxed, flow });
    }

    /// Why a request outside of a dialog is refused, whoever sent it.
    fn not_for_us(&self, request: &Request) -> Option<Answer> {
        let bare = |status| Some((status, Vec::new()));
        match &*request.method {
            "INVITE" | "OPTIONS" => {}
            "UPDATE" | "PRACK" | "BYE" => return bare(481),
            _ => return Some((405, vec![("Allow", gate::allow())])),
        }
        if request.headers.first("Max-Forwards").is_some_and(|n| n.trim() == "0") {
            return bare(483);
        }
        if let Some(unknown) = copied::unsupported(&request.headers) {
            return Some((420, vec![("Unsupported", unknown)]));
        }
        if self.is_own(request) {
            return bare(482);
        }
        self.is_full().then(busy)
    }

    fn is_full(&self) -> bool {
        self.draining || self.calls.len() >= self.settings.calls
    }

    /// Whether it is an INVITE of ours that came back: its From has a tag that we gave (RFC 3261 section 16.3).
    pub(super) fn is_own(&self, request: &Request) -> bool {
        let (Some(call_id), Some(from)) = (request.headers.first("Call-ID"), request.headers.first("From")) else {
            return false;
        };
        let Some(tag) = NameAddr::read(from).and_then(|f| f.tag().map(str::to_owned)) else { return false };
        self.asked.contains(&(call_id.to_owned(), tag))
    }

    fn turn_away(&mut self, server: ServerId, request: &Request, (status, headers): Answer, now: Moment) {
        self.tell(CallEvent::Refused { status });
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, &**v)).collect();
        self.answer(server, request, status, &headers, now);
    }

    /// A final response of our own.
    pub(super) fn answer(
        &mut self,
        server: ServerId,
        request: &Request,
        status: u16,
        headers: &[(&str, &str)],
        now: Moment,
    ) {
        let mut response = Response::to(request, status, phrase(status));
        self.tag(&mut response);
        for (name, value) in headers {
            response.headers.push(name, *value);
        }
        self.transactions.respond(server, response, now);
    }

    /// Gives a response a To-tag if it has none.
    pub(super) fn tag(&mut self, response: &mut Response) {
        let to = response.headers.first("To").and_then(NameAddr::read);
        if let Some(to) = to.filter(|to| to.tag().is_none()) {
            let tag = self.token();
            let value = to.with_tag(Some(&tag));
            response.headers.set("To", value);
        }
    }

    /// The answer to [`Output::Admit`].
    pub fn admitted(&mut self, server: ServerId, result: Result<Admission, Refusal>, now: Moment) {
        let waits = matches!(self.servers.get(&server), Some(Served::Admitting { .. }));
        if let Some(Served::Admitting { request, flow }) = waits.then(|| self.servers.remove(&server)).flatten() {
            match result {
                // Said once, and forgotten: whoever has not shown who it is has nothing kept for it (RFC 3261 section 26.3.2.4).
                Err(refusal) => {
                    self.tell(CallEvent::Refused { status: refusal.status });
                    let mut response = Response::to(&request, refusal.status, phrase(refusal.status));
                    self.tag(&mut response);
                    for (name, value) in refusal.headers {
                        response.headers.push(&name, value);
                    }
                    self.transactions.dismiss(server, response, now);
                }
                Ok(_) if request.method == "OPTIONS" => self.describe(server, &request, flow, now),
                Ok(admission) => self.begin(server, *request, flow, admission, now),
            }
        }
        self.work(now);
    }

    /// Requests that nobody has admitted in time.
    pub(super) fn give_up_admitting(&mut self, now: Moment) {
        while let Some((_, server)) = self.admitting.pop_front_if(|(at, _)| *at <= now) {
            if let Some(Served::Admitting { request, .. }) =
                self.servers.get(&server).filter(|s| matches!(s, Served::Admitting { .. }))
            {
                let request = request.clone();
                self.servers.remove(&server);
                self.turn_away(server, &request, busy(), now);
            }
        }
    }

    /// What we can do (RFC 3261 section 11.2, SDP-52).
    fn describe(&mut self, server: ServerId, request: &Request, flow: FlowId, now: Moment) {
        let family = if flow.remote.is_ipv6() { Family::V6 } else { Family::V4 };
        let media = &self.settings.media;
        let protocols: Vec<Msrp> =
            [Msrp::Tls, Msrp::Tcp].into_iter().filter(|p| media.authority(*p, family).is_some()).collect();
        let our = address(&self.settings.host, family);
        let draft = sdp::capability(&our, &protocols, &self.settings.capability, media.rules.content.max_size);
        let body = sdp::Origin::new(self.random.next_u64() >> 1, our).issue(draft);
        let mut response = Response::to(request, 200, phrase(200));
        self.tag(&mut response);
        let contact = |secure| self.settings.listeners.contact(&Way::Flow(flow), secure);
        if let Some(contact) = contact(is_secure(&request.uri)).or_else(|| contact(false)) {
            response.headers.push("Contact", contact);
        }
        copied::introduce(&Headers::default(), &mut response.headers);
        response.headers.push("Accept", "application/sdp, multipart/related, multipart/mixed");
        response.headers.push("Content-Type", "application/sdp");
        response.body = body.into();
        self.transactions.respond(server, response, now);
    }

    /// An INVITE begins a call.
    fn begin(&mut self, server: ServerId, request: Request, flow: FlowId, admission: Admission, now: Moment) {
        if self.is_full() {
            return self.turn_away(server, &request, busy(), now);
        }
        let found = match body::find(&request.headers, &request.body, &BODY) {
            Ok(found) => found,
            Err(fault) => return self.turn_away(server, &request, (fault.status().0, accepting(fault)), now),
        };
        let mut scratch = Headers::default();
        if let Err(small) = session_timer::accept(&self.settings.timers, &request.headers, &mut scratch) {
            return self.turn_away(server, &request, (422, vec![("Min-SE", small.min_se())]), now);
        }
        let Some(contact) = self.settings.listeners.contact(&Way::Flow(flow), wants_secure(&request)) else {
            return self.turn_away(server, &request, insecure(&self.settings.host), now);
        };
        let tag = self.token();
        if Dialog::answering(&request, &tag, &contact).is_err() {
            return self.turn_away(server, &request, (400, Vec::new()), now);
        }
        let key = CallKey(self.next_call);
        self.next_call += 1;
        let numbers = [self.random.next_u64() >> 2, self.random.next_u64() >> 2];
        let mut media = Media::new(&self.settings.media, numbers);
        let family = if flow.remote.is_ipv6() { Family::V6 } else { Family::V4 };
        media.signalled(Side::A, family, flow.protocol == Protocol::Tls);
        let from = request.headers.first("From").and_then(NameAddr::read).map_or("", |from| from.uri);
        let user: Arc<str> = admission.user.unwrap_or_else(|| Arc::from(from));
        if let Some(wait) = self.budget.wait(&user, self.settings.failed_connects, now) {
            let wait = wait.as_secs().max(1).to_string();
            return self.turn_away(server, &request, (503, vec![("Retry-After", wait)]), now);
        }
        // Where a stranger's call goes is not the stranger's to say.
        let stranger = admission.realm.is_some();
        let routes = list::all(&request.headers, "Route").filter(|_| !stranger).map(str::to_owned).collect();
        let mut call = Call {
            legs: [Leg::new(back_to(flow), contact.clone()), Leg::new(back_to(flow), contact)],
            media,
            open: None,
            exchanges: 0,
            inviting: Some(Inviting {
                initial: true,
                request_uri: request.uri.clone(),
                routed_by: now + STEP,
                ..Inviting::new(Side::A, server, request.clone(), found.is_none(), self.settings.timers)
            }),
            anchor: true,
            stranger: admission.realm,
            user,
            call_id: request.headers.first("Call-ID").unwrap_or_default().to_owned(),
            began: now,
            answered: None,
            counted: false,
            asked: None,
            passing: Vec::new(),
            failing: None,
            armed: Moment::FAR,
        };
        self.connections.turn(call.leg_mut(Side::A), (key, Side::A), reply_way(flow));
        call.leg_mut(Side::A).heard = true;
        self.calls.insert(key, Box::new(call));
        self.servers.insert(server, Served::Invite { call: key, side: Side::A });
        self.tell(CallEvent::Began);
        self.outputs.push_back(Output::Route { call: key, uri: request.uri, routes, stranger });
        self.arm(key);
    }

    /// The answer to [`Output::Route`].
    pub fn routed(&mut self, key: CallKey, result: Result<Routed, Refusal>, now: Moment) {
        self.go_to(key, result, now);
        self.work(now);
    }

    fn go_to(&mut self, key: CallKey, result: Result<Routed, Refusal>, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut().filter(|i| i.routed_by != Moment::FAR) else { return };
        inviting.routed_by = Moment::FAR;
        let routed = match result {
            Ok(routed) if !routed.targets.is_empty() => routed,
            other => {
                let refusal = other.err().unwrap_or(Refusal { status: 404, headers: Vec::new() });
                return self.refuse_call(key, refusal.status, &refusal.headers, Cause::Refused(refusal.status), now);
            }
        };
        call.anchor = routed.anchor;
        inviting.targets = routed.targets.into();
        inviting.route = routed.route;
        inviting.request_uri = routed.request_uri;
        if let Some(target) = inviting.targets.front() {
            let family = if target.address.is_ipv6() { Family::V6 } else { Family::V4 };
            call.media.signalled(Side::B, family, target.protocol == Protocol::Tls);
        }
        if let Some(protocol) = routed.protocol {
            call.media.demand(Side::B, protocol);
        }
        if !self.aim_at_next(key) {
            let (status, headers) = insecure(&self.settings.host);
            let headers: Vec<_> = headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            return self.refuse_call(key, status, &headers, Cause::Refused(status), now);
        }
        self.arm(key);
        self.carry_invite(key, now);
    }

    /// A request in a dialog of ours.
    fn in_dialog(&mut self, owner: Owner, server: ServerId, request: Request, flow: FlowId, now: Moment) {
        let Owner { call: key, side } = owner;
        let Some(call) = self.calls.get_mut(&key) else {
            return self.answer(server, &request, 481, &[], now);
        };
        let Some(of) = dialog::key_of_request(&request) else { return };
        let Some(dialog) = call.dialog_mut(&of) else {
            return self.answer(server, &request, 481, &[], now);
        };
        if dialog.admit(&request).is_err() {
            return self.answer(server, &request, 500, &[("Retry-After", "1")], now);
        }
        if flow.protocol != Protocol::Udp {
            self.came_by(key, side, flow);
        }
        if request.headers.first("Max-Forwards").is_some_and(|n| n.trim() == "0") {
            return self.answer(server, &request, 483, &[], now);
        }
        if request.method != "BYE"
            && let Some(unknown) = copied::unsupported(&request.headers)
        {
            return self.answer(server, &request, 420, &[("Unsupported", &unknown)], now);
        }
        self.described_by(key, side, &request.body, flow);
        match &*request.method {
            "INVITE" => self.invited_again(key, side, server, request, now),
            "BYE" => self.said_goodbye(key, side, server, &request, now),
            _ => self.pass(key, side, server, request, now),
        }
    }
}

/// Whether our Contact in the dialog that a request opens is a `sips` URI (RFC 3261 section 12.1.1).
fn wants_secure(request: &Request) -> bool {
    let route = list::all(&request.headers, "Record-Route").next();
    let further = route.or_else(|| list::all(&request.headers, "Contact").next());
    is_secure(&request.uri) || further.and_then(NameAddr::read).is_some_and(|it| is_secure(it.uri))
}

/// Whether it is a `sips` URI.
pub(super) fn is_secure(uri: &str) -> bool {
    Uri::parse(uri).is_some_and(|uri| uri.is_secure())
}

/// Back where a request came from.
pub(super) fn reply_way(flow: FlowId) -> Way {
    match flow.protocol {
        Protocol::Udp => back_to(flow),
        Protocol::Tcp | Protocol::Tls => Way::Flow(flow),
    }
}

/// Where the other end of a flow is, from the listener that it came to.
pub(super) fn back_to(FlowId { protocol, local, remote, .. }: FlowId) -> Way {
    Way::Target(Target { protocol, address: remote, name: None, from: Some(local) })
}

/// Where a URI leads, if no name has to be asked for.
pub(super) fn numeric(uri: &str, usual: Protocol, from: Option<SocketAddr>) -> Option<Target> {
    let uri = Uri::parse(uri)?;
    let protocol = uri.protocol().ok()?.unwrap_or(usual);
    let address = (uri.address()?, uri.port.unwrap_or(protocol.default_port())).into();
    Some(Target { protocol, address, name: None, from })
}
