//! Any sequence of core operations on a relay of one or two shards: nothing panics, memory stays within its bounds, a SEND has at most
//! one answer, and nothing is left when all links are gone and their time is over.
//!
//! The data is a script: each operation is an octet and its operands ([`Script`]). [`World`] carries it out and keeps the core's
//! contract meanwhile; what it hears on its ends of the links ([`Plug`]) is used again by later operations: tokens,
//! transact-ids to be answered, challenges.
#![no_main]

mod act;
mod plug;
mod script;
mod world;

use libfuzzer_sys::fuzz_target;

use script::Script;
use world::World;

/// Operations of one run at most: what more would find, fewer do too.
const OPERATIONS: usize = 400;

fuzz_target!(|data: &[u8]| {
    let mut script = Script::new(data);
    let mut world = World::new(&mut script);
    for _ in 0..OPERATIONS {
        let Some(operation) = script.next() else { break };
        world.act(operation, &mut script);
        world.serve();
        world.check();
    }
    world.finish();
});
