//! Tests of the core: clients, relays and far ends in one process and virtual time.

mod shards;
