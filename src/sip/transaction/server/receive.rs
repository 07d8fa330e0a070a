//! A request that comes in: a repetition, one that came by another path, one too many, or a new one (RFC 3261 sections
//! 8.2.2.2, 17.2.3).

use std::net::{IpAddr, SocketAddr};

use super::{Phase, Server};
use crate::moment::Moment;
use crate::sip::framing::Via;
use crate::sip::gate;
use crate::sip::message::{Request, Response};
use crate::sip::transaction::key::{self, Key};
use crate::sip::transaction::outside::Outside;
use crate::sip::transaction::timers::Again;
use crate::sip::transaction::{Output, Owner, ServerId, Transactions};
use crate::sip::way::{FlowId, Protocol, Target, Way};

/// A request with what was read of it.
pub(super) struct Arrival {
    pub(super) request: Request,
    pub(super) via: Via,
    pub(super) key: Key,
    pub(super) flow: FlowId,
}

impl Transactions {
    /// A request.
    pub(in crate::sip::transaction) fn requested(&mut self, request: Request, flow: FlowId, now: Moment) {
        // Framing has read it before.
        let Some(via) = key::top(&request.headers) else { return };
        let class = if request.method == "ACK" { "INVITE" } else { &request.method };
        let key = self.outside.keys.server(&request, &via, class);
        let known = self.outside.names.get(&key).copied();
        let arrival = Arrival { request, via, key, flow };
        match (&*arrival.request.method, known) {
            ("ACK", Some(Owner::Server(id))) => self.acknowledged(id, arrival.request, flow, now),
            ("ACK", _) => self.acknowledged_elsewhere(arrival.request, flow, now),
            (_, Some(Owner::Server(id))) => {
                if let Some(server) = self.servers.get_mut(&id) {
                    server.reach(id, &arrival, &mut self.outside);
                    server.repeated(&mut self.outside);
                }
                self.settle_server(id);
            }
            ("CANCEL", _) => self.cancelled(&arrival, now),
            _ => self.begun(arrival, now),
        }
    }

    /// A request without a transaction.
    fn begun(&mut self, arrival: Arrival, now: Moment) {
        let method = &*arrival.request.method;
        if !self.has_room(!matches!(method, "BYE" | "PRACK")) {
            self.outside.counts.refused += 1;
            let mut response = self.response(&arrival.request, 503, "Service Unavailable", None);
            response.headers.push("Retry-After", "10");
            self.outside.transmit(&response.octets(), &way_back(&arrival), None);
            return;
        }
        let merged = self.outside.keys.merged(&arrival.request);
        if merged.is_some_and(|merged| self.outside.names.contains_key(&merged)) {
            self.outside.counts.merged += 1;
            let response = self.response(&arrival.request, 482, "Loop Detected", None);
            let id = self.begin_server(&arrival, None, now);
            return self.respond(id, response, now);
        }
        let id = self.begin_server(&arrival, merged, now);
        self.settle_server(id);
        let Arrival { request, flow, .. } = arrival;
        self.outside.tell(Output::Request { id, request, flow });
    }

    /// Makes a transaction; its first response or `settle_server` follows.
    pub(super) fn begin_server(&mut self, arrival: &Arrival, merged: Option<Key>, now: Moment) -> ServerId {
        let id = ServerId(self.next_id());
        let Arrival { request, key, .. } = arrival;
        let is_invite = request.method == "INVITE";
        let server = Server {
            key: *key,
            merged,
            success: None,
            way: way_back(arrival),
            back: back(arrival),
            phase: Phase::Proceeding,
            last: is_invite.then(|| Response::to(request, 100, "Trying").octets()),
            to_tag: None,
            again: is_invite.then(|| Again::after(self.outside.settings.patience(), now)),
            end: (!is_invite).then(|| now + self.outside.settings.lifetime()),
            armed: None,
            is_invite,
            is_cancelled: false,
        };
        let owner = Owner::Server(id);
        for name in [Some(*key), merged].into_iter().flatten() {
            self.outside.names.insert(name, owner);
        }
        self.outside.places.add(&server.way, owner);
        self.servers.insert(id, Box::new(server));
        id
    }

    /// A response that the user does not give (RFC 3261 section 8.2.6.2).
    pub(super) fn response(&self, request: &Request, status: u16, phrase: &str, tag: Option<&str>) -> Response {
        let mut response = Response::to(request, status, phrase);
        let to = response.headers.first("To").unwrap_or_default();
        if !gate::has_tag(to) {
            let own = tag.map_or_else(|| self.outside.keys.tag(request), str::to_owned);
            let to = format!("{to};tag={own}");
            response.headers.set("To", to);
        }
        response
    }
}

impl Server {
    /// The request once more: if its connection is gone, the way by which it comes now is the better one.
    fn reach(&mut self, id: ServerId, arrival: &Arrival, outside: &mut Outside) {
        if let Way::Target(_) = self.way {
            self.way = way_back(arrival);
            self.back = back(arrival);
            outside.places.add(&self.way, Owner::Server(id));
        }
    }

    /// The request once more: the last response once more, but a 2xx, which has a timer of its own (RFC 6026 section 7.1).
    fn repeated(&mut self, outside: &mut Outside) {
        outside.counts.absorbed += 1;
        if let (Phase::Proceeding | Phase::Completed, Some(last)) = (self.phase, &self.last) {
            outside.transmit_again(last, &self.way, None);
        }
        if self.phase == Phase::Proceeding {
            // The 100 that would have come later.
            self.again = None;
        }
    }
}

/// Where responses go: to the connection, or to the port that Via names or asks to be told (RFC 3581 section 4).
pub(super) fn way_back(arrival: &Arrival) -> Way {
    let Arrival { via, flow, .. } = arrival;
    match flow.protocol {
        Protocol::Udp => Way::Flow(FlowId { remote: via.reply_to(flow.remote), ..*flow }),
        Protocol::Tcp | Protocol::Tls => Way::Flow(*flow),
    }
}

/// Where they go when the connection is gone: to the address it came from, at the port of sent-by (RFC 3261 section 18.2.2).
fn back(arrival: &Arrival) -> Option<Box<Target>> {
    let Arrival { via, flow, .. } = arrival;
    let protocol = flow.protocol;
    let address = SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(protocol.default_port()));
    let is_name = !via.host.starts_with('[') && via.host.parse::<IpAddr>().is_err();
    let name = (protocol == Protocol::Tls && is_name).then(|| via.host.as_str().into());
    protocol.is_reliable().then(|| Box::new(Target { protocol, address, name, from: Some(flow.local) }))
}
