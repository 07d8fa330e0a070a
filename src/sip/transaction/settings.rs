//! How long transactions wait, how many there may be, and what they call us.

use std::time::Duration;

use crate::sip::listeners::Listeners;

/// Settings of the transaction layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// An estimate of the round trip: 500 ms (RFC 3261 section 17.1.1.1).
    pub t1: Duration,
    /// The longest interval between two copies of a request that is not INVITE, or of a response to INVITE: 4 s (RFC 3261
    /// section 17.1.2.2).
    pub t2: Duration,
    /// How long a message stays in the network: 5 s (RFC 3261 section 17.1.2.2).
    pub t4: Duration,
    /// How long an INVITE may ring without news: over 3 min (RFC 3261 section 16.6).
    pub timer_c: Duration,
    /// Transactions at which new work is refused; what belongs to work begun may be twice as many.
    pub most: usize,
    /// As whom we speak.
    pub listeners: Listeners,
}

impl Settings {
    /// The values of RFC 3261, and 65 536 transactions.
    pub fn new(listeners: Listeners) -> Settings {
        Settings {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            timer_c: Duration::from_secs(185),
            most: 65_536,
            listeners,
        }
    }

    /// 64*T1: timers B, D, F, H, J, L and M.
    pub(super) fn lifetime(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// How long the user of the layer may take before 100 is sent for it: 200 ms (RFC 3261 section 17.2.1).
    pub(super) fn patience(&self) -> Duration {
        self.t1.saturating_mul(2) / 5
    }
}
