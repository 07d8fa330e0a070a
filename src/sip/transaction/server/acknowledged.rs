//! ACK: of a refusal in its transaction (RFC 3261 section 17.2.1), of a 2xx in its dialog (section 13.3.1.4).

use super::{Phase, Server};
use crate::moment::Moment;
use crate::sip::message::Request;
use crate::sip::transaction::outside::Outside;
use crate::sip::transaction::{Output, Owner, ServerId, Transactions};
use crate::sip::way::FlowId;

impl Transactions {
    /// An ACK with a branch of its own: by dialog and number it finds the INVITE, be it an earlier one.
    pub(super) fn acknowledged_elsewhere(&mut self, ack: Request, flow: FlowId, now: Moment) {
        let success = self.outside.keys.success(&ack.headers);
        match self.outside.names.get(&success) {
            Some(Owner::Server(id)) => self.acknowledged(*id, ack, flow, now),
            _ => self.outside.counts.stray += 1,
        }
    }

    /// An ACK of this INVITE. One of a 2xx with the INVITE's own branch is wrong, and common.
    pub(super) fn acknowledged(&mut self, id: ServerId, ack: Request, flow: FlowId, now: Moment) {
        if let Some(server) = self.servers.get_mut(&id) {
            server.acknowledged(id, (ack, flow), now, &mut self.outside);
        }
        self.settle_server(id);
    }
}

impl Server {
    fn acknowledged(&mut self, id: ServerId, (ack, flow): (Request, FlowId), now: Moment, outside: &mut Outside) {
        match self.phase {
            Phase::Completed => {
                let reliable = self.way.protocol().is_reliable();
                self.phase = if reliable { Phase::Over } else { Phase::Confirmed };
                self.end = Some(now + outside.settings.t4);
            }
            Phase::Accepted if self.last.is_some() => outside.tell(Output::Acknowledged { id, ack, flow }),
            Phase::Accepted | Phase::Confirmed | Phase::Over => {
                outside.counts.absorbed += 1;
                return;
            }
            Phase::Proceeding => {
                outside.counts.stray += 1;
                return;
            }
        }
        self.last = None;
        self.again = None;
    }
}
