//! What a transaction acts on beyond itself.

use std::collections::VecDeque;

use bytes::Bytes;
use hashbrown::HashMap;
use rand_chacha::ChaCha12Rng;

use super::branch::Branches;
use super::key::{Key, Keys};
use super::places::Places;
use super::timers::Timers;
use super::{ClientId, Counts, Output, Owner, Settings};
use crate::sip::way::Way;

/// Everything but the transactions.
pub(super) struct Outside {
    pub(super) settings: Settings,
    pub(super) keys: Keys,
    pub(super) branches: Branches,
    pub(super) timers: Timers,
    pub(super) places: Places,
    /// Keys are hashes under a secret already.
    pub(super) names: HashMap<Key, Owner, foldhash::fast::FixedState>,
    /// Bounded by what one input can cause, for they are drained after each.
    pub(super) outputs: VecDeque<Output>,
    pub(super) counts: Counts,
}

impl Outside {
    pub(super) fn new(settings: Settings, secret: [u8; 32], random: ChaCha12Rng) -> Outside {
        Outside {
            settings,
            keys: Keys::new(secret),
            branches: Branches::new(random),
            timers: Timers::default(),
            places: Places::default(),
            names: HashMap::default(),
            outputs: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    pub(super) fn tell(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn transmit(&mut self, octets: &Bytes, way: &Way, of: Option<ClientId>) {
        self.tell(Output::Transmit { octets: octets.clone(), way: way.clone(), of });
    }

    /// Sends what was sent before.
    pub(super) fn transmit_again(&mut self, octets: &Bytes, way: &Way, of: Option<ClientId>) {
        self.counts.repeated += 1;
        self.transmit(octets, way, of);
    }
}
