//! Tests of the core: clients, relays and far ends in one process and virtual time.

mod abuse;
mod admission;
mod anchor;
mod auth;
mod calm;
mod chaos;
mod chunk;
mod clocks;
mod end;
mod failure;
mod flow_control;
mod forwarding;
mod heads;
mod interruption;
mod invariants;
mod network;
mod parts;
mod relays;
mod scene;
mod shards;
mod whole;
