//! Memory of the process, as its allocator counts it.

use tikv_jemalloc_ctl::{epoch, stats};

/// Octets of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Heap {
    /// Allocated and not freed.
    pub(super) allocated: usize,
    /// In pages that the system has lent for it, with the allocator's own books.
    pub(super) resident: usize,
}

impl Heap {
    /// As it is now; `None` if the allocator counts nothing.
    pub(super) fn now() -> Option<Heap> {
        epoch::advance().ok()?;
        Some(Heap { allocated: stats::allocated::read().ok()?, resident: stats::resident::read().ok()? })
    }
}
