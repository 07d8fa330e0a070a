//! Transactions that others begin (RFC 3261 section 17.2, RFC 6026 section 7.1).
//!
//! ```text
//!   Proceeding ── 3xx–6xx to an INVITE ──> Completed ── ACK ──> Confirmed ── I ──> Over
//!      │  │                                    └── H ──> Over
//!      │  └── 2xx to an INVITE ──> Accepted ── L, with or without ACK ──> Over
//!      └── any final to another request ──> Completed ── J ──> Over
//! ```
//!
//! Proceeding is the standard's Trying too. [`respond`](Transactions::respond) leaves it; [`receive`] finds the transaction of
//! a request or begins one, [`acknowledged`] and [`cancelled`] are what ACK and CANCEL do to an INVITE.

mod acknowledged;
mod cancelled;
mod receive;

use bytes::Bytes;

use super::key::{self, Key};
use super::outside::Outside;
use super::timers::Again;
use super::{Output, Owner, ServerId, Transactions};
use crate::moment::Moment;
use crate::sip::message::Response;
use crate::sip::way::{Target, Way};

/// One transaction.
pub(super) struct Server {
    key: Key,
    /// The request by whatever way it comes.
    merged: Option<Key>,
    /// The ACK of the 2xx.
    success: Option<Key>,
    way: Way,
    /// The way when the connection is gone; none for datagrams.
    back: Option<Box<Target>>,
    phase: Phase,
    /// What answers a repetition, or is sent again: an INVITE's 100 at first. None when the ACK of the 2xx has come.
    last: Option<Bytes>,
    /// What the user calls itself in To.
    to_tag: Option<Box<str>>,
    again: Option<Again>,
    /// H, I, J or L, by phase; what the user has to answer a request that is not INVITE.
    end: Option<Moment>,
    armed: Option<Moment>,
    is_invite: bool,
    is_cancelled: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Over,
}

impl Transactions {
    /// Sends a response: any number of provisional ones, then a final one. What comes after that, or for a transaction that is
    /// over, is dropped.
    pub fn respond(&mut self, id: ServerId, response: Response, now: Moment) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.respond(id, &response, now, &mut self.outside);
        }
        self.settle_server(id);
    }

    /// Answers a request once and forgets it: a repetition is a new one. For those of whom nothing is known yet.
    pub fn dismiss(&mut self, id: ServerId, response: Response, now: Moment) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.respond(id, &response, now, &mut self.outside);
            server.phase = Phase::Over;
        }
        self.settle_server(id);
    }

    /// After each event: sets the next timer, or forgets what is over.
    pub(super) fn settle_server(&mut self, id: ServerId) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let (outside, owner) = (&mut self.outside, Owner::Server(id));
        if server.phase != Phase::Over {
            let next = [server.again.map(|again| again.at), server.end].into_iter().flatten().min();
            outside.timers.set(owner, &mut server.armed, next);
            return;
        }
        outside.timers.set(owner, &mut server.armed, None);
        outside.places.remove(&server.way, owner);
        for key in [Some(server.key), server.merged, server.success].into_iter().flatten() {
            // An equal INVITE in the same dialog may have taken the name of the 2xx.
            if outside.names.get(&key) == Some(&owner) {
                outside.names.remove(&key);
            }
        }
        self.servers.remove(&id);
    }
}

impl Server {
    /// The connection is gone.
    pub(super) fn cut_off(&mut self) {
        if let Some(back) = self.back.take() {
            self.way = Way::Target(*back);
        }
    }

    /// What is due.
    pub(super) fn fire(&mut self, id: ServerId, now: Moment, outside: &mut Outside) {
        self.armed = None;
        if self.end.is_some_and(|end| now >= end) {
            return self.expire(id, outside);
        }
        let (Some(again), Some(last)) = (self.again.take(), &self.last) else { return };
        if self.phase == Phase::Proceeding {
            outside.transmit(last, &self.way, None);
        } else {
            outside.transmit_again(last, &self.way, None);
            self.again = Some(again.doubled(outside.settings.t2, now));
        }
    }

    fn expire(&mut self, id: ServerId, outside: &mut Outside) {
        match self.phase {
            Phase::Accepted if self.last.is_some() => {
                outside.counts.timeouts += 1;
                outside.tell(Output::Unacknowledged { id });
            }
            // Timer H, or the user has not answered in time: whoever asked has given up (RFC 4320 section 4.2).
            Phase::Completed if self.is_invite => outside.counts.timeouts += 1,
            Phase::Proceeding => outside.counts.timeouts += 1,
            _ => {}
        }
        self.phase = Phase::Over;
    }

    fn respond(&mut self, id: ServerId, response: &Response, now: Moment, outside: &mut Outside) {
        if self.phase != Phase::Proceeding {
            return;
        }
        let octets = response.octets();
        outside.transmit(&octets, &self.way, None);
        self.last = Some(octets);
        self.again = None;
        let tag = key::tag(&response.headers, "To");
        if !tag.is_empty() {
            self.to_tag = Some(tag.into());
        }
        if response.is_provisional() {
            return;
        }
        let (t1, reliable) = (outside.settings.t1, self.way.protocol().is_reliable());
        self.end = Some(now + outside.settings.lifetime());
        self.phase = Phase::Completed;
        if self.is_invite && response.is_success() {
            let success = outside.keys.success(&response.headers);
            outside.names.insert(success, Owner::Server(id));
            self.success = Some(success);
            self.phase = Phase::Accepted;
            self.again = Some(Again::after(t1, now));
        } else if self.is_invite {
            self.again = (!reliable).then(|| Again::after(t1, now));
        } else if reliable {
            self.phase = Phase::Over;
        }
    }
}
