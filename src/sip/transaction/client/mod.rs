//! Transactions that we begin (RFC 3261 section 17.1, RFC 6026 section 7.2).
//!
//! ```text
//!   Calling ── 1xx ──> Proceeding ── 3xx–6xx, or any final of a request that is not INVITE ──> Completed ── D, K ──> Over
//!      │                   │  └───── 2xx of an INVITE ──> Accepted ── M ──> Over
//!      └── B, F, transport ┴── C and 64*T1, F, connection ──> Over
//! ```
//!
//! Calling is the standard's Trying for requests that are not INVITE. [`invite`] and [`other`] are the two machines,
//! [`cancel`] and [`acknowledge`] make the requests that belong to an INVITE.

mod acknowledge;
mod cancel;
mod invite;
mod other;

use super::key::{self, Key};
use super::outgoing::Outgoing;
use super::outside::Outside;
use super::timers::Again;
use super::{ClientId, Failure, Full, Output, Owner, Transactions, Unsent};
use crate::moment::Moment;
use crate::sip::message::{Request, Response, cseq};
use crate::sip::way::{FlowId, Way};
use invite::Invite;

/// One transaction.
pub(super) struct Client {
    key: Key,
    /// What is sent again: the request, then the ACK of a refusal.
    sent: Outgoing,
    phase: Phase,
    again: Option<Again>,
    /// B, C, D, F, K or M, by phase.
    end: Moment,
    armed: Option<Moment>,
    kind: Kind,
}

impl Client {
    /// Whether its final response has come, or will not.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self.phase, Phase::Calling | Phase::Proceeding)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Over,
}

enum Kind {
    Invite(Box<Invite>),
    /// Our own, of which nobody is told.
    Cancel,
    Other,
}

impl Transactions {
    /// Sends a request that is not an ACK, with a Via of its own, and waits for what answers it.
    pub fn request(&mut self, mut request: Request, way: Way, now: Moment) -> Result<ClientId, Full> {
        // Up to twice as many: what was taken in is not refused half-way.
        if !self.has_room(false) {
            self.outside.counts.refused += 1;
            return Err(Full);
        }
        let branch = self.outside.branches.next();
        let key = self.outside.keys.client(&branch, &request.method);
        let sent = Outgoing::new(&mut request, way, &branch, &self.outside.settings.listeners);
        let kind = if request.method == "INVITE" {
            Kind::Invite(Box::new(Invite::new(request, now + self.outside.settings.timer_c)))
        } else {
            Kind::Other
        };
        Ok(self.begin_client(key, sent, kind, now))
    }

    /// The transport could not deliver what [`Output::Transmit`] has named so (RFC 3261 section 17.1.4).
    pub fn unsent(&mut self, id: ClientId, why: Unsent, now: Moment) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match (client.phase, &client.kind) {
            (Phase::Accepted, _) => client.acknowledge_by_datagram(&mut self.outside),
            // A provisional response says that a copy has arrived.
            (Phase::Proceeding, Kind::Invite(_)) => {}
            _ => self.lost(id, why, now),
        }
    }

    /// What was sent is lost: it goes by UDP after all, or the transaction fails.
    pub(super) fn lost(&mut self, id: ClientId, why: Unsent, now: Moment) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let open = matches!(client.phase, Phase::Calling | Phase::Proceeding);
        if open && !client.fall_back(id, now, &mut self.outside) {
            client.fail(id, why.into(), &mut self.outside);
        }
        self.settle_client(id, now);
    }

    /// A response: to the transaction with its branch and method (RFC 3261 section 17.1.3).
    pub(super) fn responded(&mut self, response: Response, flow: FlowId, now: Moment) {
        let counts = &mut self.outside.counts;
        // Ours must be the only one, since we pass no request on as it is (RFC 3261 section 8.1.3.3).
        let ours = key::top(&response.headers).filter(|via| self.outside.settings.listeners.owns(via));
        let Some(via) = ours.filter(|_| response.headers.all("Via").nth(1).is_none()) else {
            counts.foreign += 1;
            return;
        };
        let branch = via.param("branch").flatten().unwrap_or_default();
        let method = cseq(&response.headers).map(|cseq| cseq.method).unwrap_or_default();
        let owner = self.outside.names.get(&self.outside.keys.client(branch, &method)).copied();
        let Some(Owner::Client(id)) = owner else {
            counts.stray += 1;
            return;
        };
        if let Some(client) = self.clients.get_mut(&id) {
            match client.kind {
                Kind::Invite(_) => client.invite_answered(id, response, flow, now, &mut self.outside),
                Kind::Other | Kind::Cancel => client.other_answered(id, response, flow, now, &mut self.outside),
            }
        }
        self.settle_client(id, now);
    }

    fn begin_client(&mut self, key: Key, sent: Outgoing, kind: Kind, now: Moment) -> ClientId {
        let id = ClientId(self.next_id());
        let mut client =
            Box::new(Client { key, sent, phase: Phase::Calling, again: None, end: Moment::FAR, armed: None, kind });
        self.outside.names.insert(key, Owner::Client(id));
        client.call(id, now, &mut self.outside);
        self.clients.insert(id, client);
        self.settle_client(id, now);
        id
    }

    /// After each event: sends the CANCEL that has become possible, then sets the next timer, or forgets what is over.
    pub(super) fn settle_client(&mut self, id: ClientId, now: Moment) {
        self.send_cancel(id, now);
        let Some(client) = self.clients.get_mut(&id) else { return };
        let outside = &mut self.outside;
        if client.phase != Phase::Over {
            let next = client.again.map_or(client.end, |again| again.at.min(client.end));
            outside.timers.set(Owner::Client(id), &mut client.armed, Some(next));
            return;
        }
        outside.timers.set(Owner::Client(id), &mut client.armed, None);
        outside.places.remove(&client.sent.way, Owner::Client(id));
        outside.names.remove(&client.key);
        if !matches!(client.kind, Kind::Cancel) {
            outside.tell(Output::Ended { id });
        }
        self.clients.remove(&id);
    }
}

impl Client {
    /// What is due.
    pub(super) fn fire(&mut self, id: ClientId, now: Moment, outside: &mut Outside) {
        self.armed = None;
        if now >= self.end {
            return self.expire(id, now, outside);
        }
        let Some(again) = self.again.take() else { return };
        outside.transmit_again(&self.sent.octets, &self.sent.way, Some(id));
        self.again = Some(match self.kind {
            Kind::Invite(_) => self.call_again(again, now),
            Kind::Other | Kind::Cancel => self.try_again(again, now, outside),
        });
    }

    fn expire(&mut self, id: ClientId, now: Moment, outside: &mut Outside) {
        if matches!(self.phase, Phase::Completed | Phase::Accepted) {
            self.phase = Phase::Over;
            return;
        }
        let mut why = Failure::Timeout;
        if let (Phase::Proceeding, Kind::Invite(invite)) = (self.phase, &mut self.kind) {
            if invite.rings_out() {
                self.end = now + outside.settings.lifetime();
                return;
            }
            if invite.is_overdue() {
                why = Failure::Unanswered;
            }
        }
        outside.counts.timeouts += 1;
        self.fail(id, why, outside);
    }

    /// Sends the request for the first time by this way, and starts A and B, or E and F.
    fn call(&mut self, id: ClientId, now: Moment, outside: &mut Outside) {
        outside.transmit(&self.sent.octets, &self.sent.way, Some(id));
        outside.places.add(&self.sent.way, Owner::Client(id));
        let reliable = self.sent.way.protocol().is_reliable();
        self.again = (!reliable).then(|| Again::after(outside.settings.t1, now));
        self.end = now + outside.settings.lifetime();
    }

    /// Begins again by UDP; false if nothing is left to try. A response has settled the way.
    fn fall_back(&mut self, id: ClientId, now: Moment, outside: &mut Outside) -> bool {
        outside.places.remove(&self.sent.way, Owner::Client(id));
        let falls = self.sent.fall_back();
        if falls {
            if let Kind::Invite(invite) = &mut self.kind {
                invite.rewrite_via(&self.sent.way, outside);
            }
            self.call(id, now, outside);
        }
        falls
    }

    /// Nothing hangs on the connection any more, and nothing is sent again by itself.
    fn rest(&mut self, id: ClientId, phase: Phase, end: Moment, outside: &mut Outside) {
        outside.places.remove(&self.sent.way, Owner::Client(id));
        self.phase = phase;
        self.again = None;
        self.end = end;
    }

    fn fail(&mut self, id: ClientId, why: Failure, outside: &mut Outside) {
        if !matches!(self.kind, Kind::Cancel) {
            outside.tell(Output::Failed { id, why });
        }
        self.phase = Phase::Over;
    }
}
