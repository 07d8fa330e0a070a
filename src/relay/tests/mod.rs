//! Tests of the core: clients, relays and far ends in one process and virtual time.

mod admission;
mod chaos;
mod chunk;
mod end;
mod failure;
mod flow_control;
mod forwarding;
mod interruption;
mod invariants;
mod network;
mod parts;
mod scene;
