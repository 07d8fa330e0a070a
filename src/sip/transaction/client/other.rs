//! Requests that are not INVITE, our CANCELs among them (RFC 3261 section 17.1.2).

use bytes::Bytes;

use super::{Client, Kind, Phase};
use crate::moment::Moment;
use crate::sip::message::Response;
use crate::sip::transaction::outside::Outside;
use crate::sip::transaction::timers::Again;
use crate::sip::transaction::{ClientId, Output};
use crate::sip::way::FlowId;

impl Client {
    pub(super) fn other_answered(
        &mut self,
        id: ClientId,
        response: Response,
        flow: FlowId,
        now: Moment,
        outside: &mut Outside,
    ) {
        if !matches!(self.phase, Phase::Calling | Phase::Proceeding) {
            outside.counts.absorbed += 1;
            return;
        }
        self.sent.datagram = None;
        if response.is_provisional() {
            self.phase = Phase::Proceeding;
        } else {
            let reliable = self.sent.way.protocol().is_reliable();
            let phase = if reliable { Phase::Over } else { Phase::Completed };
            self.rest(id, phase, now + outside.settings.t4, outside);
            self.sent.octets = Bytes::new();
        }
        if response.status != 100 && !matches!(self.kind, Kind::Cancel) {
            outside.tell(Output::Response { id, response, flow });
        }
    }

    /// Timer E: doubled up to T2, and T2 at once when a response has come.
    pub(super) fn try_again(&self, again: Again, now: Moment, outside: &Outside) -> Again {
        let t2 = outside.settings.t2;
        if self.phase == Phase::Proceeding { Again::after(t2, now) } else { again.doubled(t2, now) }
    }
}
