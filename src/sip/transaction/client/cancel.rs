//! CANCEL (RFC 3261 section 9.1).

use super::{Kind, Phase};
use crate::moment::Moment;
use crate::sip::message::{Request, cseq};
use crate::sip::transaction::outgoing::Outgoing;
use crate::sip::transaction::{ClientId, Transactions, key};

/// How far the CANCEL of an INVITE is.
pub(super) enum Cancel {
    No,
    /// With these headers, as soon as a provisional response has come.
    Wanted(Vec<(String, String)>),
    Sent,
}

impl Transactions {
    /// Cancels an INVITE, once and as soon as a provisional response has come, with `more` headers such as Reason. The
    /// response to the INVITE still counts, but is waited for no longer than 64*T1 (RFC 3261 section 9.1).
    pub fn cancel(&mut self, id: ClientId, more: &[(String, String)], now: Moment) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if let (Phase::Calling | Phase::Proceeding, Kind::Invite(invite)) = (client.phase, &mut client.kind)
            && matches!(invite.cancel, Cancel::No)
        {
            invite.cancel = Cancel::Wanted(more.to_vec());
        }
        self.settle_client(id, now);
    }

    /// Sends the CANCEL that is wanted, if a provisional response has come.
    pub(super) fn send_cancel(&mut self, id: ClientId, now: Moment) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        let (Phase::Proceeding, Kind::Invite(invite)) = (client.phase, &mut client.kind) else { return };
        if !matches!(invite.cancel, Cancel::Wanted(_)) {
            return;
        }
        let Cancel::Wanted(more) = std::mem::replace(&mut invite.cancel, Cancel::Sent) else { return };
        client.end = now + self.outside.settings.lifetime();
        let Some(invited) = &invite.request else { return };
        let cancel = cancel(invited, &more);
        let via = key::top(&cancel.headers);
        let branch = via.as_ref().and_then(|via| via.param("branch").flatten()).unwrap_or_default();
        let key = self.outside.keys.client(branch, "CANCEL");
        let sent = Outgoing { octets: cancel.octets(), way: client.sent.way.clone(), datagram: None };
        // Beyond the limit too: it ends something, and an INVITE has no more than one.
        self.begin_client(key, sent, Kind::Cancel, now);
    }
}

fn cancel(invited: &Request, more: &[(String, String)]) -> Request {
    let mut cancel = Request::new("CANCEL", &invited.uri);
    cancel.headers = invited.headers.clone();
    let number = cseq(&invited.headers).map_or(0, |cseq| cseq.number);
    cancel.headers.set("CSeq", format!("{number} CANCEL"));
    cancel.headers.push("Max-Forwards", "70");
    for (name, value) in more {
        cancel.headers.push(name, &**value);
    }
    cancel
}
