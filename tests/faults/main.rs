//! Faults on real processes: whatever breaks beside, behind or below a relay, its clients hear of it in the way the RFCs say and
//! in time, and everybody else goes on.
//!
//! * [`scene`] is a relay with [`scene::Bystanders`], who chat from the first to the last moment of each test and judge it:
//!   nothing of theirs is lost, and nothing is late. [`proxy`] is a bad network between two relays, [`privileged`] what only
//!   root can have: network namespaces with drop rules, small disks, control groups.
//! * [`next_hop`], [`blackhole`] and [`network`]: relays and far sides that die, stop, reset, vanish, or are far away.
//! * [`disk`], [`descriptors`] and [`memory`]: what a process runs out of.
//! * [`certificates`], [`credentials`] and [`names`]: what it depends on.
//! * [`admin`]: who operates it, or says so.
//!
//! Tests in modules called `root` need root and what `tests/faults/install.sh` installs. They are ignored by a plain
//! `cargo test`, and `cargo test --test faults -- --include-ignored --skip long::` runs them; where something is missing they
//! fail. Tests in modules called `long` take minutes.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a test is no part of the relay")]

mod admin;
mod blackhole;
mod certificates;
mod credentials;
mod descriptors;
mod disk;
mod memory;
mod names;
mod network;
mod next_hop;
mod privileged;
mod proxy;
mod scene;
#[path = "../support/mod.rs"]
mod support;
