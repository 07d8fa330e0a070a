//! Which transactions hang on a connection.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use super::Owner;
use crate::sip::way::{FlowId, Protocol, Way};

/// A connection; number 0 is whichever goes to that address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    protocol: Protocol,
    remote: SocketAddr,
    number: u64,
}

impl Place {
    /// None for datagrams, which have nothing that closes.
    fn of(way: &Way) -> Option<Place> {
        let number = if let Way::Flow(flow) = way { flow.number } else { 0 };
        let protocol = way.protocol();
        protocol.is_reliable().then(|| Place { protocol, remote: way.remote(), number })
    }
}

/// Transactions by connection.
#[derive(Default)]
pub(super) struct Places {
    entries: BTreeSet<(Place, Owner)>,
}

impl Places {
    pub(super) fn add(&mut self, way: &Way, owner: Owner) {
        if let Some(place) = Place::of(way) {
            self.entries.insert((place, owner));
        }
    }

    pub(super) fn remove(&mut self, way: &Way, owner: Owner) {
        if let Some(place) = Place::of(way) {
            self.entries.remove(&(place, owner));
        }
    }

    /// Takes out one that hangs on this flow, by its own name or by its address.
    pub(super) fn take(&mut self, flow: FlowId) -> Option<Owner> {
        [flow.number, 0].into_iter().find_map(|number| {
            let place = Place { protocol: flow.protocol, remote: flow.remote, number };
            let entry = *self.entries.range((place, Owner::FIRST)..).next()?;
            (entry.0 == place && self.entries.remove(&entry)).then_some(entry.1)
        })
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
