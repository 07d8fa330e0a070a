//! What must be true of a shard whenever it is at rest.

use crate::relay::Relay;

impl Relay {
    /// Checks the books of this shard against its contents.
    pub(super) fn check(&self) {
        if let Err(wrong) = self.audit() {
            panic!("{wrong}");
        }
    }

    /// Ways of all sessions.
    pub(super) fn way_count(&self) -> usize {
        self.sessions.values().map(|s| s.ways.len()).sum()
    }

    /// Nothing is left of links, sessions and messages; deadlines that were overtaken may still be.
    pub(super) fn assert_empty(&self) {
        let left: Vec<_> = self.remains().into_iter().filter(|(kind, _)| *kind != "deadlines").collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
