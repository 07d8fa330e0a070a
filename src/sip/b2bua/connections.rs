//! Legs that are reached by a connection, and where they are reached when it is gone (RFC 3261 section 18).

use std::collections::{HashMap, HashSet};

use super::call::Leg;
use super::dialog::Dialog;
use super::{B2bua, CallKey, admission};
use crate::relay::Side;
use crate::sip::way::{FlowId, Protocol, Target, Way};
use crate::slack::Slack;

/// Which legs hang on which connection: each on one at most.
#[derive(Debug, Default)]
pub(super) struct Connections(HashMap<FlowId, HashSet<(CallKey, Side)>>);

impl Connections {
    /// A leg is reached by this way from now on.
    pub(super) fn turn(&mut self, leg: &mut Leg, at: (CallKey, Side), way: Way) {
        self.leave(&leg.way, at);
        if let Way::Flow(flow) = &way {
            self.0.entry(*flow).or_default().insert(at);
        }
        leg.way = way;
        leg.heard = false;
    }

    /// A leg hangs on nothing any more.
    pub(super) fn leave(&mut self, way: &Way, at: (CallKey, Side)) {
        if let Way::Flow(flow) = way
            && let Some(legs) = self.0.get_mut(flow)
        {
            legs.remove(&at);
            if legs.is_empty() {
                self.0.remove(flow);
            }
        }
    }

    /// Gives back the room that a busy time has needed.
    pub(super) fn slim(&mut self) {
        self.0.give_back();
        self.0.values_mut().for_each(Slack::give_back);
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Leg {
    /// Whether it stays reached as it is, though this dialog of it leads to this target. A connection stays that leads there, and
    /// one of the other side's own that comes from there. Whoever stands behind an address translator is reached where it
    /// came from, since its Contact names a place that is nowhere (RFC 3581, RFC 5923).
    pub(super) fn stays(&self, dialog: &Dialog, side: Side, target: &Target) -> bool {
        let elsewhere = target.address.ip() != self.way.remote().ip();
        let nowhere = side == Side::A && dialog.is_direct();
        match &self.way {
            Way::Flow(flow) => {
                let leads_there = (flow.protocol, flow.remote) == (target.protocol, target.address);
                // A `sips` URI may be reached by TLS alone (RFC 3261 section 26.2.2).
                let is_safe = flow.protocol == Protocol::Tls || !admission::is_secure(dialog.next_hop());
                leads_there || (self.heard && is_safe && (!elsewhere || nowhere))
            }
            Way::Target(before) => {
                let datagrams = before.protocol == Protocol::Udp && target.protocol == Protocol::Udp;
                datagrams && nowhere && elsewhere
            }
        }
    }
}

impl B2bua {
    /// A request of this leg has come by a connection, which may be a better way than the one before.
    pub(super) fn came_by(&mut self, key: CallKey, side: Side, flow: FlowId) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if side == Side::B && call.inviting.as_ref().is_some_and(|inviting| inviting.forks.len() > 1) {
            // One of several callees, who are all of this leg: the others are not reached by it.
            return;
        }
        let leg = call.leg_mut(side);
        let is_new = leg.way != Way::Flow(flow);
        if is_new {
            self.connections.turn(leg, (key, side), Way::Flow(flow));
        }
        leg.heard = true;
        if is_new {
            self.refresh_way(key, side);
        }
    }

    /// The connection of these legs is gone: requests go where their dialogs say, by a new one (RFC 3261 section 12.2.1.1).
    pub(super) fn leave_connection(&mut self, flow: FlowId) {
        for (key, side) in self.connections.0.remove(&flow).unwrap_or_default() {
            let Some(leg) = self.calls.get_mut(&key).map(|call| call.leg_mut(side)) else { continue };
            (leg.way, leg.heard) = (admission::back_to(flow), false);
            self.refresh_way(key, side);
        }
    }
}
