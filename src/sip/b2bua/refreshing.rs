//! Session timers of either leg, and where its requests go (RFC 4028, RFC 3261 section 12.2.1.2).

use super::admission::{is_secure, numeric};
use super::call::{Asked, Call, Leg, Refresh};
use super::dialog::{Dialog, DialogKey};
use super::event::{Cause, EndedBy};
use super::session_timer::{self, SessionTimer, Wishes};
use super::{B2bua, CallKey, Output};
use crate::moment::Moment;
use crate::relay::Side;
use crate::sip::message::{Headers, Response, cseq};
use crate::sip::transaction::ClientId;
use crate::sip::way::{Target, Way};
use rand_chacha::rand_core::RngCore;

/// How often one refresh is sent again since the other side wants a longer interval.
const RAISES: u8 = 3;

/// Where a dialog leads.
enum Leads {
    To(Target),
    /// Where its leg is reached already.
    AsItIs,
    /// To a URI with a name, which has to be looked up.
    Somewhere(String),
}

impl B2bua {
    /// A random number below `n`.
    pub(super) fn random_below(&mut self, n: u32) -> u32 {
        self.random.next_u32() % n.max(1)
    }

    /// A leg's session timer begins anew; without one nothing is due.
    pub(super) fn begin_timer(&mut self, key: CallKey, side: Side, timer: Option<SessionTimer>, now: Moment) {
        let Some(leg) = self.calls.get_mut(&key).map(|c| c.leg_mut(side)) else { return };
        let previous = leg.timer.take();
        // An early dialog has none: its INVITE agrees on it.
        leg.timer = timer.filter(|_| leg.dialog.is_some()).map(|timer| {
            let mut timer = timer.following(previous.as_ref());
            timer.begin(now);
            timer
        });
        leg.due = leg.timer.as_ref().map_or(Moment::FAR, SessionTimer::due);
        self.arm(key);
    }

    /// A leg's Contact may have changed, and with it where requests go.
    pub(super) fn refresh_target(&mut self, key: CallKey, side: Side, headers: &Headers) {
        let of = self.calls.get(&key).and_then(|call| call.leg(side).dialog.as_ref()).map(Dialog::key);
        if let Some(of) = of {
            self.refresh_target_of(key, side, &of, headers);
        }
    }

    /// The same for this dialog of it, be it early (RFC 3311 section 5.2).
    pub(super) fn refresh_target_of(&mut self, key: CallKey, side: Side, of: &DialogKey, headers: &Headers) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if let Some(dialog) = call.dialog_mut(of) {
            dialog.refresh_target(headers);
        }
        if call.leg(side).dialog.is_some() {
            self.refresh_way(key, side);
        } else {
            self.refresh_early(key, side, of);
        }
    }

    /// How requests reach a leg: where its route set or its Contact lead (RFC 3261 section 12.2.1.1), unless it stays reached
    /// as it is. A name has to be looked up, but for one that only names whom a connection comes from.
    pub(super) fn refresh_way(&mut self, key: CallKey, side: Side) {
        let Some(call) = self.calls.get(&key) else { return };
        let Some(dialog) = call.leg(side).dialog.as_ref() else { return };
        match self.leads(call, side, dialog) {
            Leads::To(target) => self.lead(key, side, target),
            Leads::AsItIs => {}
            Leads::Somewhere(uri) => self.outputs.push_back(Output::Locate { call: key, side, uri }),
        }
    }

    /// The same for an early dialog, which has a route set and a target of its own beside those of the other forks (RFC 3261
    /// section 12.1.2). Its leg stays where the INVITE went: that is where CANCEL goes (RFC 3261 section 9.1).
    pub(super) fn refresh_early(&mut self, key: CallKey, side: Side, of: &DialogKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        // Where nobody has said more, a dialog leads where its INVITE did.
        let invited = call.inviting.as_ref().map(|inviting| inviting.request_uri.clone());
        let Some(dialog) = call.dialog_mut(of).map(|dialog| dialog.clone()) else { return };
        if dialog.way.is_some() || (side == Side::B && invited.as_deref() == Some(dialog.next_hop())) {
            return;
        }
        let Some(call) = self.calls.get(&key) else { return };
        match self.leads(call, side, &dialog) {
            Leads::To(target) => self.lead_early(key, side, &dialog, target),
            Leads::AsItIs => {}
            Leads::Somewhere(uri) => self.outputs.push_back(Output::Locate { call: key, side, uri }),
        }
    }

    fn leads(&self, call: &Call, side: Side, dialog: &Dialog) -> Leads {
        let leg = call.leg(side);
        // A stranger is spoken to where it is, not where it points.
        if side == Side::A && call.stranger.is_some() {
            return Leads::AsItIs;
        }
        let secure = is_secure(dialog.next_hop());
        match numeric(dialog.next_hop(), leg.way.protocol(), leg.way.local()) {
            Some(target) => Leads::To(target),
            None if leg.heard && side == Side::A && dialog.is_direct() && !secure => Leads::AsItIs,
            None => Leads::Somewhere(dialog.next_hop().to_owned()),
        }
    }

    /// The target as it is spoken to, if it may be and a dialog of this leg is not better reached as its leg is.
    fn led(&self, leg: &Leg, side: Side, dialog: &Dialog, target: Target) -> Option<Target> {
        let target = self.settings.listeners.aim(target);
        let known = target.address == leg.way.remote();
        let may = known || self.settings.egress.permits(None, target.address).is_ok();
        (may && !leg.stays(dialog, side, &target)).then_some(target)
    }

    /// A leg's dialog leads to this target. Where it may not lead, it stays reached as it is.
    fn lead(&mut self, key: CallKey, side: Side, target: Target) {
        let Some(leg) = self.calls.get(&key).map(|call| call.leg(side)) else { return };
        let led = leg.dialog.as_ref().and_then(|dialog| self.led(leg, side, dialog, target));
        if let (Some(target), Some(call)) = (led, self.calls.get_mut(&key)) {
            self.connections.turn(call.leg_mut(side), (key, side), Way::Target(target));
        }
    }

    fn lead_early(&mut self, key: CallKey, side: Side, dialog: &Dialog, target: Target) {
        let Some(leg) = self.calls.get(&key).map(|call| call.leg(side)) else { return };
        let led = self.led(leg, side, dialog, target).map(Way::Target);
        if let Some(dialog) = self.calls.get_mut(&key).and_then(|call| call.dialog_mut(&dialog.key())) {
            dialog.way = led;
        }
    }

    /// The answer to [`Output::Locate`]; none where nobody knows, and then it stays as it is.
    pub fn located(&mut self, key: CallKey, side: Side, uri: &str, target: Option<Target>) {
        let (Some(call), Some(target)) = (self.calls.get(&key), target) else { return };
        let leg = call.leg(side);
        let target = Target { from: leg.way.local(), ..target };
        match &leg.dialog {
            Some(dialog) if dialog.next_hop() == uri => self.lead(key, side, target),
            Some(_) => {}
            None => {
                let early = call.inviting.iter().flat_map(|i| &i.forks).map(|f| f.of(side)).cloned();
                for dialog in early.filter(|dialog| dialog.next_hop() == uri).collect::<Vec<_>>() {
                    self.lead_early(key, side, &dialog, target.clone());
                }
            }
        }
    }

    /// Says on a leg that the session lives: UPDATE where it is taken, else an INVITE with our unchanged description
    /// (SDP-85).
    pub(super) fn refresh(&mut self, key: CallKey, side: Side, now: Moment) {
        self.refresh_with(key, side, self.settings.timers, 0, now);
    }

    fn refresh_with(&mut self, key: CallKey, side: Side, wishes: Wishes, raised: u8, now: Moment) {
        let wait = session_timer::wait_after_491(true, self.random.next_u32());
        let Some(call) = self.calls.get_mut(&key) else { return };
        if call.inviting.is_some() || call.open.is_some() || call.legs.iter().any(|l| l.unacknowledged.is_some()) {
            // Whatever is under way refreshes too, or the next try does.
            call.leg_mut(side).due = now + wait;
            return self.arm(key);
        }
        let said = call.media.repeat(side);
        let leg = call.leg_mut(side);
        leg.due = Moment::FAR;
        let Some(dialog) = leg.dialog.as_mut() else { return };
        let mut request = dialog.request(if leg.update { "UPDATE" } else { "INVITE" });
        super::copied::introduce(&Headers::default(), &mut request.headers);
        session_timer::propose(&wishes, leg.timer.as_ref(), &mut request.headers);
        if let Some(said) = said.filter(|_| !leg.update) {
            request.headers.push("Content-Type", "application/sdp");
            request.body = said.into();
        }
        match self.transactions.request(request.clone(), leg.way.clone(), now) {
            Ok(client) => {
                leg.refreshing = Some(client);
                let refresh = Box::new(Refresh { request, wishes, raised });
                self.clients.insert(client, Asked::Refresh { call: key, side, refresh });
            }
            Err(_) => leg.due = now + wait,
        }
        self.arm(key);
    }

    /// The answer to a refresh of ours.
    pub(super) fn refreshed(&mut self, client: ClientId, response: &Response, now: Moment) {
        if response.is_provisional() {
            return;
        }
        let Some(Asked::Refresh { call: key, side, refresh }) = self.clients.remove(&client) else { return };
        let random = self.random.next_u32();
        let Some(leg) = self.calls.get_mut(&key).map(|c| c.leg_mut(side)) else { return };
        leg.refreshing = None;
        let Some(dialog) = leg.dialog.as_ref() else { return };
        let update = refresh.request.method == "UPDATE";
        match response.status {
            200..300 => {
                if !update {
                    let number = cseq(&refresh.request.headers).map_or(0, |c| c.number);
                    self.transactions.acknowledge(client, dialog.ack(number), leg.way.clone(), now);
                }
                self.refresh_target(key, side, &response.headers);
                let agreed = session_timer::agreed(&refresh.request.headers, &response.headers);
                self.begin_timer(key, side, agreed, now);
            }
            422 => match session_timer::raised(&refresh.wishes, &response.headers) {
                Some(wishes) if refresh.raised < RAISES => {
                    self.refresh_with(key, side, wishes, refresh.raised + 1, now);
                }
                _ => self.end(key, Cause::Expired, EndedBy::Us, now),
            },
            491 => {
                leg.due = now + session_timer::wait_after_491(dialog.owns_call_id(), random);
                self.arm(key);
            }
            405 | 501 if update => {
                // It said that it takes UPDATE, and does not.
                leg.update = false;
                self.refresh(key, side, now);
            }
            408 | 481 => self.end(key, Cause::Expired, EndedBy::Us, now),
            _ => {
                // It is there, and does not like this: the next refresh is due in its time.
                let timer = leg.timer;
                self.begin_timer(key, side, timer, now);
            }
        }
    }

    /// A refresh of ours was never answered.
    pub(super) fn refresh_failed(&mut self, client: ClientId, now: Moment) {
        if let Some(Asked::Refresh { call: key, .. }) = self.clients.remove(&client) {
            self.end(key, Cause::Expired, EndedBy::Us, now);
        }
    }

    /// A re-INVITE that changed nothing is answered by us.
    pub(super) fn answer_refresh(&mut self, key: CallKey, said: Vec<u8>, now: Moment) {
        let Some(inviting) = self.calls.get_mut(&key).and_then(|c| c.inviting.take()) else { return };
        self.answer_with(key, inviting.from, inviting.server, &inviting.request, Some(said), now);
    }
}
