//! Several shards of a relay, several relays, clients and far ends: parcels and links between shards are carried in order
//! per pair of shards, at once or late, and only what the contract of [`Relay`] promises is relied on.

mod bulk;
mod credit;
mod end;
mod endpoint;
mod mailbox;
mod moves;
mod property;
pub(super) mod world;

pub(super) use end::End;
pub(super) use world::World;
