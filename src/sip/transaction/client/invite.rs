//! INVITE (RFC 3261 section 17.1.1, RFC 6026 section 7.2).

use std::time::Duration;

use bytes::Bytes;

use super::acknowledge::{Fork, refused};
use super::cancel::Cancel;
use super::{Client, Kind, Phase};
use crate::moment::Moment;
use crate::sip::message::{Request, Response};
use crate::sip::transaction::outside::Outside;
use crate::sip::transaction::timers::Again;
use crate::sip::transaction::{ClientId, Failure, Output, key};
use crate::sip::way::{FlowId, Way};

/// Forks of one INVITE whose 2xx are told.
const MOST_FORKS: usize = 16;

/// What an INVITE has beyond other requests.
pub(super) struct Invite {
    /// What CANCEL and the ACK of a refusal repeat; none after the final response.
    pub(super) request: Option<Request>,
    /// Timer C, for as long as only 100 has come.
    until: Moment,
    pub(super) cancel: Cancel,
    /// Timer C has passed.
    overdue: bool,
    /// Who has answered 2xx.
    pub(super) forks: Vec<Fork>,
}

impl Invite {
    pub(super) fn new(mut request: Request, until: Moment) -> Invite {
        const REPEATED: [&str; 6] = ["Via", "Route", "From", "To", "Call-ID", "CSeq"];
        request.headers.retain(|name| REPEATED.iter().any(|repeated| repeated.eq_ignore_ascii_case(name)));
        request.body = Bytes::new();
        Invite { request: Some(request), until, cancel: Cancel::No, overdue: false, forks: Vec::new() }
    }

    /// Timer C passes: once, and not after a CANCEL.
    pub(super) fn rings_out(&mut self) -> bool {
        let passes = matches!(self.cancel, Cancel::No);
        if passes {
            self.overdue = true;
            self.cancel = Cancel::Wanted(Vec::new());
        }
        passes
    }

    /// Whether timer C has passed.
    pub(super) fn is_overdue(&self) -> bool {
        self.overdue
    }

    /// The request has changed its way.
    pub(super) fn rewrite_via(&mut self, way: &Way, outside: &Outside) {
        let Some(request) = &mut self.request else { return };
        let via = key::top(&request.headers);
        if let Some(branch) = via.as_ref().and_then(|via| via.param("branch").flatten()) {
            request.headers.set("Via", outside.settings.listeners.via(way, branch));
        }
    }
}

impl Client {
    pub(super) fn invite_answered(
        &mut self,
        id: ClientId,
        response: Response,
        flow: FlowId,
        now: Moment,
        outside: &mut Outside,
    ) {
        match (self.phase, response.status) {
            (Phase::Calling | Phase::Proceeding, ..200) => self.ringing(id, response, flow, now, outside),
            (Phase::Calling | Phase::Proceeding, 200..300) => {
                self.rest(id, Phase::Accepted, now + outside.settings.lifetime(), outside);
                self.sent.octets = Bytes::new();
                self.accepted(id, response, flow, outside);
            }
            (Phase::Accepted, 200..300) => self.accepted(id, response, flow, outside),
            (Phase::Calling | Phase::Proceeding, _) => self.refused(id, response, flow, now, outside),
            (Phase::Completed, 300..) => {
                outside.counts.absorbed += 1;
                outside.transmit_again(&self.sent.octets, &self.sent.way, None);
            }
            (Phase::Completed | Phase::Accepted, ..200) => outside.counts.absorbed += 1,
            // Another fork, after all others were told that it is over.
            (Phase::Completed | Phase::Accepted | Phase::Over, _) => outside.counts.stray += 1,
        }
    }

    /// Timer A: doubled without an end.
    pub(super) fn call_again(&self, again: Again, now: Moment) -> Again {
        again.doubled(Duration::MAX, now)
    }

    fn ringing(&mut self, id: ClientId, response: Response, flow: FlowId, now: Moment, outside: &mut Outside) {
        let Kind::Invite(invite) = &mut self.kind else { return };
        self.again = None;
        self.sent.datagram = None;
        if response.status != 100 {
            invite.until = now + outside.settings.timer_c;
            outside.tell(Output::Response { id, response, flow });
        }
        self.phase = Phase::Proceeding;
        // After a CANCEL only its own time counts.
        if !matches!(invite.cancel, Cancel::Sent) {
            self.end = invite.until;
        }
    }

    /// A 2xx: of a new fork, or once more of one that is known.
    fn accepted(&mut self, id: ClientId, response: Response, flow: FlowId, outside: &mut Outside) {
        let Kind::Invite(invite) = &mut self.kind else { return };
        invite.request = None;
        let tag = key::tag(&response.headers, "To");
        match invite.forks.iter().find(|fork| fork.tag == tag) {
            Some(Fork { ack, .. }) => {
                outside.counts.absorbed += 1;
                if let Some(ack) = ack {
                    outside.transmit_again(&ack.octets, &ack.way, ack.datagram.as_ref().map(|_| id));
                }
            }
            None if invite.forks.len() < MOST_FORKS => {
                invite.forks.push(Fork { tag: tag.to_owned(), ack: None });
                outside.tell(Output::Response { id, response, flow });
            }
            None => outside.counts.stray += 1,
        }
    }

    /// A final response other than 2xx, which is acknowledged here (RFC 3261 section 17.1.1.3).
    fn refused(&mut self, id: ClientId, response: Response, flow: FlowId, now: Moment, outside: &mut Outside) {
        let Kind::Invite(invite) = &mut self.kind else { return };
        let overdue = invite.overdue;
        if let Some(request) = invite.request.take() {
            self.sent.octets = refused(&request, &response);
            self.sent.datagram = None;
            outside.transmit(&self.sent.octets, &self.sent.way, None);
        }
        let reliable = self.sent.way.protocol().is_reliable();
        let phase = if reliable { Phase::Over } else { Phase::Completed };
        self.rest(id, phase, now + outside.settings.lifetime(), outside);
        outside.tell(if overdue {
            Output::Failed { id, why: Failure::Unanswered }
        } else {
            Output::Response { id, response, flow }
        });
    }
}
