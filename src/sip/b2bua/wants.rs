//! What an exchange asks of the relay, and what it hears from there: late, or never, or that it cannot be.

use std::collections::HashMap;
use std::sync::Arc;

use super::call::{Call, Open, Stage};
use super::exchange::Want;
use super::media::AnchorRef;
use super::{B2bua, CallKey, Output, Ticket};
use crate::moment::Moment;
use crate::relay::{AnchorError, AnchorWish, Reserved, SessionEnd, Side};
use crate::sdp::Refusal;

impl B2bua {
    /// Asks for what an offer needs.
    pub(super) fn want(&mut self, key: CallKey, number: u64, want: Want) {
        let Some(call) = self.calls.get(&key) else { return };
        match want {
            Want::Reserve { line, protocols } => {
                let at = Side::BOTH.map(|side| {
                    let of = self.settings.media.authority(protocols[side as usize], call.media.family(side));
                    of.cloned()
                });
                let ticket = Ticket { call: key, exchange: number, line, side: Side::A };
                match at {
                    [Some(a), Some(b)] => {
                        let wish = AnchorWish { at: [a, b], user: call.user.clone() };
                        self.outputs.push_back(Output::Reserve { ticket, wish });
                    }
                    // No listener speaks it.
                    _ => self.count_down(ticket, Some(AnchorError::UnknownAuthority)),
                }
            }
            Want::Renew { line, at, side } => {
                let ticket = Ticket { call: key, exchange: number, line, side };
                self.outputs.push_back(Output::Renew { ticket, at, side });
            }
        }
    }

    /// One of the things that an offer waits for is there, or will not be.
    fn count_down(&mut self, ticket: Ticket, error: Option<AnchorError>) {
        let Some(call) = current(&mut self.calls, ticket) else { return };
        if let Some(Open { stage: Stage::Preparing { left, failed, .. }, .. }) = &mut call.open {
            *left = left.saturating_sub(1);
            *failed = failed.or(error);
        }
    }

    /// An anchor is there, or will not be.
    pub(super) fn take_reserved(&mut self, ticket: Ticket, result: Result<(u16, Reserved), AnchorError>, now: Moment) {
        let made = result.as_ref().ok().map(|(shard, r)| AnchorRef { shard: *shard, anchor: r.anchor });
        let Some(call) = current(&mut self.calls, ticket) else {
            if let Some(at) = made {
                self.outputs.push_back(Output::Release { at, end: SessionEnd::Cancelled });
            }
            return;
        };
        let families = Side::BOTH.map(|side| call.media.family(side));
        let error = match result {
            Err(error) => Some(error),
            Ok((shard, reserved)) => {
                let exchange = call.open.as_mut().and_then(|o| o.exchange.as_mut());
                let taken = exchange.is_some_and(|e| e.reserved(ticket.line, shard, &reserved, families));
                (!taken).then_some(AnchorError::Unknown)
            }
        };
        if let Some(at) = made {
            if error.is_none() {
                self.anchors.insert(at, ticket.call);
                self.await_news(now);
            } else {
                self.outputs.push_back(Output::Release { at, end: SessionEnd::Cancelled });
            }
        }
        self.count_down(ticket, error);
        self.go_on_preparing(ticket.call, now);
    }

    /// Another URI is there, or will not be.
    pub(super) fn take_renewed(
        &mut self,
        ticket: Ticket,
        at: AnchorRef,
        result: Result<Arc<[u8]>, AnchorError>,
        now: Moment,
    ) {
        let Some(call) = current(&mut self.calls, ticket) else {
            if result.is_ok() {
                self.outputs.push_back(Output::Withdraw { at, side: ticket.side });
            }
            return;
        };
        let family = call.media.family(ticket.side);
        let error = match result {
            Err(error) => Some(error),
            Ok(uri) => {
                let exchange = call.open.as_mut().and_then(|o| o.exchange.as_mut());
                let taken = exchange.is_some_and(|e| e.renewed(ticket.line, ticket.side, &uri, family));
                (!taken).then_some(AnchorError::Unknown)
            }
        };
        self.count_down(ticket, error);
        self.go_on_preparing(ticket.call, now);
    }

    /// A leg has its terms, or cannot have them.
    pub(super) fn take_set(&mut self, ticket: Ticket, result: Result<(), AnchorError>, now: Moment) {
        let Some(call) = current(&mut self.calls, ticket) else { return };
        if let Some(Open { stage: Stage::Concluding { left, failed, .. }, .. }) = &mut call.open {
            *left = left.saturating_sub(1);
            *failed = failed.or(result.err().map(|error| (ticket.side, error)));
        }
        self.go_on_concluding(ticket.call, now);
    }
}

/// The call of a ticket, if it still has that exchange open.
pub(super) fn current(calls: &mut HashMap<CallKey, Box<Call>>, ticket: Ticket) -> Option<&mut Call> {
    let call = calls.get_mut(&ticket.call)?;
    let open = call.open.as_ref().is_some_and(|o| o.number == ticket.exchange);
    open.then_some(&mut **call)
}

/// No room for another session.
pub(super) fn capacity(error: AnchorError) -> Refusal {
    let status = match error {
        AnchorError::Full | AnchorError::Draining => 503,
        AnchorError::UnknownAuthority => 488,
        _ => 500,
    };
    Refusal { status, warning: (status == 488).then(|| (399, "no listener for this protocol".to_owned())) }
}

/// A path that we cannot or must not connect to.
pub(super) fn unusable(error: AnchorError, offerer: bool) -> Refusal {
    if !offerer {
        return Refusal { status: 502, warning: None };
    }
    match error {
        AnchorError::Target | AnchorError::Gone | AnchorError::Policy => {
            Refusal { status: 488, warning: Some((399, error.to_string())) }
        }
        other => capacity(other),
    }
}
