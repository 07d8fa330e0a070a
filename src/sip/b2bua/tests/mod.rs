//! Calls between Ana and Bo in virtual time: their user agents are played by the test, the relay behind us is a real shard.

mod calls;
mod property;
mod scene;
