//! CANCEL: answered here, whatever it finds (RFC 3261 section 9.2).

use super::Phase;
use super::receive::{Arrival, way_back};
use crate::moment::Moment;
use crate::sip::gate::METHODS;
use crate::sip::transaction::{Output, Owner, ServerId, Transactions};

impl Transactions {
    /// A CANCEL that is not a repetition.
    pub(super) fn cancelled(&mut self, arrival: &Arrival, now: Moment) {
        let meant = self.meant_by(arrival);
        let server = meant.and_then(|id| self.servers.get_mut(&id));
        let (response, news) = match server {
            Some(server) => {
                let tells = server.is_invite && server.phase == Phase::Proceeding && !server.is_cancelled;
                server.is_cancelled |= tells;
                let tag = server.to_tag.clone();
                (self.response(&arrival.request, 200, "OK", tag.as_deref()), meant.filter(|_| tells))
            }
            None => (self.response(&arrival.request, 481, "Call/Transaction Does Not Exist", None), None),
        };
        if self.has_room(false) {
            let id = self.begin_server(arrival, None, now);
            self.respond(id, response, now);
        } else {
            self.outside.transmit(&response.octets(), &way_back(arrival), None);
        }
        if let Some(id) = news {
            let reasons = arrival.request.headers.all("Reason").map(str::to_owned).collect();
            self.outside.tell(Output::Cancelled { id, reasons });
        }
    }

    /// The transaction that it would belong to if it had another method. Only an INVITE minds.
    fn meant_by(&self, arrival: &Arrival) -> Option<ServerId> {
        let others = METHODS.iter().filter(|method| !matches!(**method, "ACK" | "CANCEL"));
        let mut keys = others.map(|method| self.outside.keys.server(&arrival.request, &arrival.via, method));
        keys.find_map(|key| match self.outside.names.get(&key) {
            Some(Owner::Server(id)) => Some(*id),
            _ => None,
        })
    }
}
