//! What must be true when it is over: nobody is stopped for good, what was accepted has arrived, nothing is left.

use crate::model::Rule;
use crate::wire::Plug;
use crate::world::World;

impl World {
    /// All have been read to the end, and everything has been written.
    pub fn check_stops(&mut self) {
        for wire in 0..self.wires.len() {
            for side in 0..2 {
                let (end, pipe) = (&self.wires[wire].ends[side], &self.wires[wire].pipes[side]);
                let Plug::Link { node, .. } = end.plug else { continue };
                let gone = self.wires[wire].ends[1 - side].plug == Plug::Gone;
                let what = match () {
                    () if !pipe.is_empty() => "is not read any more",
                    () if !end.batch.is_empty() && !gone => "has octets that it does not write",
                    () => continue,
                };
                let what = format!("relay {node}: link {} {what}", wire * 2 + side);
                return self.model.fail(Rule::Fairness, what);
            }
        }
    }

    /// Between persons: what was accepted and of which nothing was told is there, unless a relay lost its memory, a link
    /// between relays broke, or the token ended by which the sender would have been told.
    pub fn check_ends(&mut self) {
        use crate::stats::Count;
        let harmless = [Count::Restart, Count::ShutDown, Count::PeerReset].iter().all(|c| self.stats.of(*c) == 0);
        if harmless && let Some((id, what)) = self.model.book.conclude(|id| self.model.way_back_lasted(id)) {
            self.model.fail(Rule::Signal, format!("{id}: {what}"));
        }
    }

    /// Sessions, links, transactions, deadlines, leases: none.
    pub fn check_leaks(&mut self) {
        for node in 0..self.nodes.len() {
            let n = &self.nodes[node];
            for (shard, relay) in n.shards.iter().enumerate() {
                let left = relay.remains();
                if !left.is_empty() {
                    let what = format!("relay {node} shard {shard} keeps {left:?}");
                    return self.model.fail(Rule::Leak, what);
                }
            }
            if n.up && n.leases != 0 {
                let what = format!("relay {node}: {} leases of tokens are not returned", n.leases);
                return self.model.fail(Rule::Leak, what);
            }
        }
    }
}
