//! Whoever answers an INVITE beside the first: early dialogs, and 2xx that nobody waits for (RFC 3261 sections 12.1, 13.2.2.4).

use super::call::{Asked, Carried, Fork, Inviting, Late, Open, Owner, Stage};
use super::dialog::Dialog;
use super::settings::Forks;
use super::{B2bua, CallKey};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sdp::Refusal;
use crate::sip::message::{NameAddr, Response, cseq};
use crate::sip::transaction::ClientId;
use crate::sip::way::{FlowId, Way};

/// Forks of one INVITE that are followed.
const FORKS: usize = 16;

impl Inviting {
    /// Whether no more forks are followed.
    pub(super) fn is_crowded(&self) -> bool {
        self.forks.len() >= FORKS
    }
}

impl B2bua {
    /// The early dialog of a response, made if it is new; none where it is not followed.
    pub(super) fn fork(&mut self, key: CallKey, response: &Response, flow: FlowId) -> Option<usize> {
        let own = self.token();
        let call = self.calls.get_mut(&key)?;
        let inviting = call.inviting.as_mut()?;
        let tag = tag_of(response);
        let asking = inviting.asking.as_ref()?;
        if let Some(at) = inviting.fork_of(tag) {
            let fork = &mut inviting.forks[at];
            if response.is_success() || response.headers.has("Contact") {
                let answered = fork.far.answered(response).ok()?;
                let before = std::mem::replace(&mut fork.far, answered);
                // Where it leads after a 2xx is seen to when that is taken.
                if before.next_hop() != fork.far.next_hop() && !response.is_success() {
                    self.refresh_early(key, Side::B, &before.key());
                }
            }
            return Some(at);
        }
        let first_only = self.settings.forks == Forks::First;
        let other = !inviting.forks.is_empty();
        if inviting.is_crowded() || (first_only && other && !response.is_success()) {
            return None;
        }
        let far = asking.answered(response).ok()?;
        let near = match inviting.forks.first() {
            Some(first) if first_only => first.near.clone(),
            _ => Dialog::answering(&inviting.request, &own, &call.legs[Side::A as usize].contact).ok()?,
        };
        self.dialogs.insert(far.key(), Owner { call: key, side: Side::B });
        self.dialogs.insert(near.key(), Owner { call: key, side: Side::A });
        let (far_key, near_key) = (far.key(), near.key());
        inviting.forks.push(Fork { far, near, answer: None });
        let last = inviting.forks.len() - 1;
        if matches!(call.legs[Side::B as usize].way, Way::Target(_)) && flow.protocol.is_reliable() {
            self.connections.turn(&mut call.legs[Side::B as usize], (key, Side::B), Way::Flow(flow));
        }
        if !response.is_success() {
            self.refresh_early(key, Side::B, &far_key);
            self.refresh_early(key, Side::A, &near_key);
        }
        Some(last)
    }

    /// One fork is the callee from now on; the others' dialogs are gone.
    pub(super) fn choose_fork(&mut self, key: CallKey, fork: usize, client: ClientId) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(inviting) = call.inviting.as_mut().filter(|i| fork < i.forks.len()) else { return };
        let won = inviting.forks[fork].far.key().remote_tag;
        let late = inviting.late(call.legs[Side::B as usize].way.clone(), won);
        let Fork { mut near, mut far, .. } = inviting.forks.swap_remove(fork);
        let losers: Vec<_> = inviting.forks.drain(..).flat_map(|f| [f.far.key(), f.near.key()]).collect();
        for loser in losers.into_iter().filter(|k| *k != near.key() && *k != far.key()) {
            self.dialogs.remove(&loser);
        }
        for (side, dialog) in [(Side::A, &mut near), (Side::B, &mut far)] {
            if let Some(way) = dialog.way.take() {
                self.connections.turn(&mut call.legs[side as usize], (key, side), way);
            }
        }
        call.legs[Side::A as usize].dialog = Some(near);
        call.legs[Side::B as usize].dialog = Some(far);
        self.clients.insert(client, Asked::Late(Box::new(late)));
    }

    /// Early dialogs behind a target that has failed.
    pub(super) fn forget_forks(&mut self, key: CallKey) {
        let forks = self.calls.get_mut(&key).and_then(|c| c.inviting.as_mut()).map(|i| std::mem::take(&mut i.forks));
        for dialog in forks.into_iter().flatten().flat_map(|f| [f.far.key(), f.near.key()]) {
            self.dialogs.remove(&dialog);
        }
    }

    /// A fork answers an offer that another one has answered before: its answer takes that one's place (SDP-91).
    pub(super) fn settle_again(&mut self, key: CallKey, fork: usize, text: &[u8], next: Carried, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let again = match call.open {
            None => call.media.offer_again(&self.settings.media, Side::A, call.anchor),
            Some(_) => None,
        };
        let Some(exchange) = again else {
            return self.misfit(key, next, Refusal { status: 502, warning: None }, now);
        };
        call.exchanges += 1;
        call.open = Some(Open {
            number: call.exchanges,
            exchange: Some(exchange),
            stage: Stage::Awaiting,
            of_invite: Some(fork),
            until: Moment::FAR,
        });
        self.answered_with(key, text, next, now);
    }

    /// A response to an INVITE that is over. A 2xx that nobody wants: its dialog is ended at once.
    pub(super) fn late_response(&mut self, client: ClientId, response: &Response, now: Moment) {
        let Some(Asked::Late(late)) = self.clients.get(&client) else { return };
        let late = Late { dialogs: late.dialogs.clone(), way: late.way.clone(), won: late.won.clone() };
        if response.is_success() && (late.won.is_none() || late.won.as_deref() != tag_of(response)) {
            self.turn_down(client, &late, response, now);
        }
    }

    /// ACK and BYE for a 2xx that nobody wants.
    pub(super) fn turn_down(&mut self, client: ClientId, late: &Late, response: &Response, now: Moment) {
        let Some(mut dialog) = late.dialogs.iter().find_map(|dialog| dialog.answered(response).ok()) else { return };
        let number = cseq(&response.headers).map_or(1, |c| c.number);
        let way = dialog.way.clone().unwrap_or_else(|| late.way.clone());
        self.transactions.acknowledge(client, dialog.ack(number), way.clone(), now);
        let mut bye = dialog.request("BYE");
        super::copied::introduce(&Default::default(), &mut bye.headers);
        // Full or not: the other side finds out by its own timers.
        let _ = self.transactions.request(bye, way, now);
    }
}

/// The tag of whoever answered.
fn tag_of(response: &Response) -> Option<&str> {
    response.headers.first("To").and_then(NameAddr::read).and_then(|to| to.tag())
}
