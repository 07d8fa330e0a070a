//! The one place where the data plane reads the clock.

#![expect(clippy::disallowed_methods, reason = "the clock of the data plane is read here")]

use std::time::Instant;

use crate::moment::Moment;

/// Turns the monotonic clock into [`Moment`]s; the same start for all shards, so that their moments compare.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        Clock { start: Instant::now() }
    }

    /// Now.
    pub fn now(&self) -> Moment {
        // Never zero, so that a time stamp of zero stays "long ago".
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX / 2);
        Moment::from_nanos(nanos + (1 << 40))
    }

    /// When a moment will be, for tokio's timers.
    pub fn instant(&self, at: Moment) -> tokio::time::Instant {
        let nanos = at.as_nanos().saturating_sub(1 << 40).min(u64::MAX >> 4);
        tokio::time::Instant::from_std(self.start + std::time::Duration::from_nanos(nanos))
    }
}
