//! Calls between Ana and Bo in virtual time: their user agents are played by the test, the relay behind us is a real shard.

mod calls;
mod calm;
mod cancels;
mod connections;
mod early;
mod early_ways;
mod ending;
mod forks;
mod glare;
mod listeners;
mod media_ends;
mod offers;
mod passing;
mod property;
mod scene;
mod secure;
mod setup;
mod strangers;
mod talk;
mod texts;
mod timers;
mod torture;
mod updates;
