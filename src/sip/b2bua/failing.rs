//! Calls that end by themselves: nobody answers, the media fail (RFC 3261 section 14.1, SDP-81, SDP-92, SDP-93).

use std::time::Duration;

use super::call::Asked;
use super::event::{Cause, EndedBy};
use super::media::AnchorRef;
use super::session_timer::Due;
use super::{B2bua, CallKey, Output};
use crate::moment::Moment;
use crate::relay::{AnchorNews, SessionEnd, Side};
use crate::sip::message::Response;
use crate::sip::transaction::ClientId;
use crate::sip::way::FlowId;

/// Calls whose media fail together do not all say BYE together (SDP-81).
const SPREAD_MS: u32 = 4000;

impl B2bua {
    /// A response to something of ours.
    pub(super) fn responded(&mut self, client: ClientId, response: Response, flow: FlowId, now: Moment) {
        match self.clients.get(&client) {
            Some(Asked::Invite { call }) => {
                let call = *call;
                if let Some(from) = self.calls.get(&call).and_then(|c| c.inviting.as_ref()).map(|i| i.from) {
                    self.described_by(call, from.other(), &response.body, flow);
                }
                self.invite_answered(call, client, response, flow, now);
            }
            Some(Asked::Passed { call, from, .. }) => {
                let (call, side) = (*call, from.other());
                self.described_by(call, side, &response.body, flow);
                self.passed_answered(client, response, now);
            }
            Some(Asked::Refresh { .. }) => self.refreshed(client, &response, now),
            Some(Asked::Late(_)) => self.late_response(client, &response, now),
            // BYE: however it ended, it is over.
            None => {}
        }
    }

    /// Something of ours got no answer.
    pub(super) fn failed(&mut self, client: ClientId, now: Moment) {
        match self.clients.get(&client) {
            Some(Asked::Invite { call }) => {
                let call = *call;
                self.clients.remove(&client);
                self.invite_failed(call, client, now);
            }
            Some(Asked::Passed { .. }) => self.passed_failed(client, now),
            Some(Asked::Refresh { .. }) => self.refresh_failed(client, now),
            Some(Asked::Late(_)) => {
                self.clients.remove(&client);
            }
            None => {}
        }
    }

    /// A deadline of a call has passed.
    pub(super) fn call_timeout(&mut self, key: CallKey, now: Moment) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if let Some((_, cause)) = call.failing.filter(|(at, _)| *at <= now) {
            return self.end(key, cause, EndedBy::Us, now);
        }
        if call.inviting.as_ref().is_some_and(|inviting| inviting.routed_by <= now) {
            let headers = [("Retry-After".to_owned(), "10".to_owned())];
            return self.refuse_call(key, 503, &headers, Cause::Refused(503), now);
        }
        self.give_up_exchange(key, now);
        for side in Side::BOTH {
            let Some(leg) = self.calls.get_mut(&key).map(|c| c.leg_mut(side)).filter(|leg| leg.due <= now) else {
                continue;
            };
            match leg.timer.as_ref().filter(|_| leg.dialog.is_some()).map(|timer| timer.kind()) {
                Some(Due::Refresh) => self.refresh(key, side, now),
                Some(Due::End) => return self.end(key, Cause::Expired, EndedBy::Us, now),
                None => leg.due = Moment::FAR,
            }
        }
        self.arm(key);
    }

    /// What an anchor tells (RFC 3261 section 15, SDP-92, SDP-93).
    pub(super) fn take_news(&mut self, at: AnchorRef, news: &AnchorNews, now: Moment) {
        let ended = matches!(news, AnchorNews::Ended(_));
        let key = if ended { self.anchors.remove(&at) } else { self.anchors.get(&at).copied() };
        let Some((key, call)) = key.and_then(|key| Some((key, self.calls.get_mut(&key)?))) else { return };
        let cause = match news {
            AnchorNews::Bound { .. } => return,
            AnchorNews::Lost { side, .. } => {
                call.media.lose(at, *side);
                if let Some(exchange) = call.open.as_mut().and_then(|open| open.exchange.as_mut()) {
                    exchange.lose(at, *side);
                }
                return;
            }
            AnchorNews::Ended(_) => Cause::Operator,
            AnchorNews::Unreachable { .. } => {
                self.budget.spend(&call.user, now);
                Cause::Media("unreachable")
            }
            AnchorNews::Unconnected { .. } => Cause::Media("unconnected"),
            AnchorNews::NotRebuilt { .. } => Cause::Media("not_rebuilt"),
            AnchorNews::Mismatch { .. } => Cause::Media("mismatch"),
            AnchorNews::Refused { .. } => Cause::Media("refused"),
            AnchorNews::Stopped => Cause::Media("stopped"),
        };
        self.anchor_failed(key, at, cause, ended, now);
    }

    /// An anchor is good for nothing, or over: so is its call, unless that has something else.
    pub(super) fn anchor_failed(&mut self, key: CallKey, at: AnchorRef, cause: Cause, ended: bool, now: Moment) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| call.media.anchors().any(|a| a == at)) else { return };
        if call.media.goes_on_without(at) {
            // Only this chat is over.
            call.media.forget(at);
            if !ended {
                self.outputs.push_back(Output::Release { at, end: SessionEnd::Cancelled });
            }
            return;
        }
        if ended {
            call.media.forget(at);
        }
        if call.failing.is_none() {
            let wait = Duration::from_millis(u64::from(self.random_below(SPREAD_MS)));
            if let Some(call) = self.calls.get_mut(&key) {
                call.failing = Some((now + wait, cause));
            }
            self.arm(key);
        }
    }
}
