//! Memory of the process, as its allocator counts it and gives it back.

use tikv_jemalloc_ctl::{Access, AsName, epoch, stats};

/// What the threads keep at hand, of all arenas (jemalloc's `MALLCTL_ARENAS_ALL`). The allocator counts it as allocated.
const KEPT_BY_THREADS: &[u8] = b"stats.arenas.4096.tcache_bytes\0";

/// Whether this thread keeps at hand what it frees.
const THREAD_KEEPS: &[u8] = b"thread.tcache.enabled\0";

/// Octets of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heap {
    /// Allocated and not freed, without what was freed and is kept at hand for each thread.
    pub allocated: usize,
    /// In pages that the system has lent for it, with the allocator's own books.
    pub resident: usize,
}

impl Heap {
    /// As it is now; `None` if the allocator counts nothing.
    pub fn now() -> Option<Heap> {
        epoch::advance().ok()?;
        let kept: usize = KEPT_BY_THREADS.name().read().ok()?;
        let allocated = stats::allocated::read().ok()?.saturating_sub(kept);
        Some(Heap { allocated, resident: stats::resident::read().ok()? })
    }
}

/// Gives back what this thread keeps at hand: to be called now and then.
pub fn give_back() {
    // To stop keeping is the one way to give all back that needs no `unsafe`. What it takes to keep again is the room that
    // stopping has just freed.
    if let Ok(true) = THREAD_KEEPS.name().update(false) {
        let _ = THREAD_KEEPS.name().write(true);
    }
}
