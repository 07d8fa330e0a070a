//! Legs that are reached by a connection, and where they are reached when it is gone (RFC 3261 section 18).

use std::collections::{HashMap, HashSet};

use super::call::Leg;
use super::{B2bua, CallKey, admission};
use crate::relay::Side;
use crate::sip::way::{FlowId, Way};

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

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl B2bua {
    /// The connection of these legs is gone: requests go where their dialogs say, by a new one (RFC 3261 section 12.2.1.1).
    pub(super) fn leave_connection(&mut self, flow: FlowId) {
        for (key, side) in self.connections.0.remove(&flow).unwrap_or_default() {
            let Some(leg) = self.calls.get_mut(&key).map(|call| call.leg_mut(side)) else { continue };
            leg.way = admission::back_to(flow);
            self.refresh_way(key, side);
        }
    }
}
