//! ACK: made here for a refusal (RFC 3261 section 17.1.1.3), given by the user for a 2xx (section 13.2.2.4).

use bytes::Bytes;

use super::{Client, Kind, Phase};
use crate::moment::Moment;
use crate::sip::message::{Request, Response, cseq};
use crate::sip::transaction::outgoing::Outgoing;
use crate::sip::transaction::outside::Outside;
use crate::sip::transaction::{ClientId, Transactions, key};
use crate::sip::way::Way;

/// One that has answered an INVITE with 2xx.
pub(super) struct Fork {
    pub(super) tag: String,
    /// None until the user has given it.
    pub(super) ack: Option<Outgoing>,
}

impl Transactions {
    /// Sends the ACK of the 2xx with its To-tag, and again each time that this 2xx comes again, for 64*T1 after the first 2xx
    /// (RFC 6026 section 8.4). An ACK for a transaction that is over is sent once.
    pub fn acknowledge(&mut self, id: ClientId, mut ack: Request, way: Way, _now: Moment) {
        let branch = self.outside.branches.next();
        let sent = Outgoing::new(&mut ack, way, &branch, &self.outside.settings.listeners);
        let fork = self.clients.get_mut(&id).and_then(|client| {
            let tag = key::tag(&ack.headers, "To");
            match (client.phase, &mut client.kind) {
                (Phase::Accepted, Kind::Invite(invite)) => invite.forks.iter_mut().find(|fork| fork.tag == tag),
                _ => None,
            }
        });
        let of = sent.datagram.as_ref().and(fork.is_some().then_some(id));
        self.outside.transmit(&sent.octets, &sent.way, of);
        if let Some(fork) = fork {
            fork.ack = Some(sent);
        }
    }
}

impl Client {
    /// Nobody listens where the long ACKs went: they go by UDP after all.
    pub(super) fn acknowledge_by_datagram(&mut self, outside: &mut Outside) {
        let Kind::Invite(invite) = &mut self.kind else { return };
        for ack in invite.forks.iter_mut().filter_map(|fork| fork.ack.as_mut()) {
            if ack.fall_back() {
                outside.transmit(&ack.octets, &ack.way, None);
            }
        }
    }
}

/// The ACK of a refusal: part of the transaction, so it has the same Via.
pub(super) fn refused(invited: &Request, response: &Response) -> Bytes {
    let mut ack = Request::new("ACK", &invited.uri);
    ack.headers = invited.headers.clone();
    if let Some(to) = response.headers.first("To") {
        ack.headers.set("To", to);
    }
    let number = cseq(&invited.headers).map_or(0, |cseq| cseq.number);
    ack.headers.set("CSeq", format!("{number} ACK"));
    ack.headers.push("Max-Forwards", "70");
    ack.octets()
}
