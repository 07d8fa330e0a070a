//! What is measured costs no more memory for being measured again, though nobody ever scrapes it.

use std::alloc::System;

use chappe::observe::{Exporter, SipSnapshot};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

#[test]
fn metrics_that_nobody_asks_for_take_no_more_room() {
    let (exporter, plane) = (Exporter::new(), SipSnapshot::default());
    exporter.update_sip(&plane);
    let region = Region::new(ALLOCATOR);
    // An hour of a process that is not scraped.
    (0..3600).for_each(|_| exporter.update_sip(&plane));
    let change = region.change();
    let kept = change.bytes_allocated as i64 - change.bytes_deallocated as i64;
    assert!(kept.abs() < 4096, "{kept} octets more");
}
