//! The end of an INVITE that was taken: ACK on either side (RFC 3261 sections 13.2.2.4, 13.3.1.4).

use super::call::{Carried, Served, Waiting2xx};
use super::event::{Cause, EndedBy};
use super::{B2bua, CallKey, admission, body, copied};
use crate::moment::Moment;
use crate::sip::message::{Headers, Request};
use crate::sip::transaction::ServerId;
use crate::sip::way::FlowId;

impl B2bua {
    /// Sends the ACK of the 2xx that waits for it: with this description if it has one, and then with the other headers of the
    /// ACK that gave it. Without one it leaves before the other side's has come, whose headers go nowhere.
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
            if let Some(realm) = &call.stranger {
                copied::distrust(&mut ack.headers, realm);
            }
            ack.headers.set("Content-Type", "application/sdp");
            ack.body = description.into();
        }
        self.transactions.acknowledge(client, ack, leg.way.clone(), now);
    }

    /// The ACK of a 2xx of ours.
    pub(super) fn acknowledged(&mut self, server: ServerId, ack: &Request, flow: FlowId, now: Moment) {
        match self.servers.remove(&server) {
            Some(Served::Invite { call: key, side }) => {
                self.no_longer_unacknowledged(key, side, server);
                self.described_by(key, side, &ack.body, flow);
                self.invite_done(key, server, ack, now);
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

    /// Our 2xx was never acknowledged (RFC 3261 section 13.3.1.4).
    pub(super) fn unacknowledged(&mut self, server: ServerId, now: Moment) {
        match self.servers.remove(&server) {
            Some(Served::Invite { call: key, side }) => {
                self.no_longer_unacknowledged(key, side, server);
                self.end(key, Cause::NoAck, EndedBy::Us, now);
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

    fn no_longer_unacknowledged(&mut self, key: CallKey, side: crate::relay::Side, server: ServerId) {
        if let Some(leg) = self.calls.get_mut(&key).map(|c| c.leg_mut(side)) {
            leg.unacknowledged.take_if(|waiting| *waiting == server);
        }
    }

    /// The INVITE of this transaction is over, but for the answer to a late offer: that is in this ACK or nowhere.
    fn invite_done(&mut self, key: CallKey, server: ServerId, ack: &Request, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_ref().filter(|i| i.server == server) else { return };
        let from = inviting.from;
        if inviting.to_acknowledge.is_none() {
            call.inviting = None;
            return;
        }
        let awaits = call.open.as_ref().is_some_and(|open| open.is_awaiting(from));
        let found = body::find(&ack.headers, &ack.body, &admission::BODY);
        match found {
            Ok(Some(place)) if awaits => {
                let text = body::octets(&ack.body, &place).to_vec();
                self.carry(key, from, text, Carried::Ack { headers: ack.headers.clone() }, now);
            }
            Ok(None) if !awaits => {
                self.acknowledge_far(key, None, now);
                if let Some(call) = self.calls.get_mut(&key) {
                    call.inviting = None;
                }
            }
            _ => self.end(key, Cause::Negotiation, EndedBy::Us, now),
        }
    }
}
