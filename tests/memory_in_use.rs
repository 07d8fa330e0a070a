//! What was freed is not in use, though the allocator keeps it at hand for the thread that freed it; and not even that when
//! the thread's busy time is over.

use std::hint::black_box;
use std::thread;

use chappe::heap::{Heap, give_back};
use tikv_jemalloc_ctl::{Access, AsName, epoch};

/// The program's allocator: `src/main.rs`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Less than the largest that a thread keeps (32 KiB), and few enough for it to keep them all.
const BLOCKS: [usize; 8] = [28 << 10; 8];
const ALL: usize = 8 * BLOCKS[0];

/// What else goes on in the process, at most.
const LITTLE: usize = 16 << 10;

fn allocate() -> Vec<Vec<u8>> {
    black_box(BLOCKS.iter().map(|&octets| vec![1; octets]).collect())
}

fn in_use() -> usize {
    Heap::now().expect("the allocator counts").allocated
}

/// Freed octets that threads keep.
fn kept() -> usize {
    epoch::advance().expect("the allocator counts");
    b"stats.arenas.4096.tcache_bytes\0".name().read().expect("octets")
}

/// Alone in its file: it looks at the whole process.
#[test]
fn what_was_freed_is_not_in_use() {
    let busy = || {
        let (before, none) = (in_use(), kept());
        let blocks = allocate();
        let during = in_use();
        drop(blocks);
        let (after, some) = (in_use(), kept());
        assert!((before + ALL).abs_diff(during) < LITTLE, "{before} octets, then {during}");
        assert!(before.abs_diff(after) < LITTLE, "{before} octets, then {after}");
        assert!(some > none + ALL / 2, "{none} octets kept, then {some}");
        give_back();
        assert!(kept() < none + LITTLE, "{none} octets kept, then {}", kept());
    };
    // The second time shows that the thread keeps again.
    thread::spawn(move || {
        busy();
        busy();
    })
    .join()
    .expect("the thread");
}
