//! Tests of the core: clients, relays and far ends in one process and virtual time.

mod chaos;
mod chunk;
mod end;
mod forwarding;
mod invariants;
mod network;
mod scene;
