//! What goes wrong, when its time has come.

use crate::plan::Fault;
use crate::stats::Count;
use crate::wire::Plug;
use crate::world::{Task, What, World};

const MILLI: u64 = 1_000_000;

impl World {
    pub fn suffer(&mut self, fault: &Fault) {
        self.trace.say(|| format!("FAULT {fault:?}"));
        let done = match *fault {
            Fault::Reset(who) => self.on_conn(who, |w, conn| w.reset(w.conns[conn].end / 2), Count::Reset),
            Fault::HalfClose(who) => self.on_conn(who, World::half_close, Count::HalfClose),
            Fault::StallReading(who, time) => self.on_conn(who, |w, c| w.stall_reading(c, time * MILLI), Count::Stall),
            Fault::StallLink(who, time) => self.on_conn(who, |w, c| w.stall_link(c, time * MILLI), Count::Stall),
            Fault::ResetPeers(n) => {
                let between: Vec<usize> = (0..self.wires.len()).filter(|w| self.wires[*w].between_relays()).collect();
                if let Some(wire) = between.get(n % between.len().max(1)) {
                    self.reset(*wire);
                    self.stats.add(Count::PeerReset);
                }
                !between.is_empty()
            }
            Fault::Restart(node, time) => {
                self.crash(node);
                self.at(time * MILLI, What::Up(node));
                self.stats.add(Count::Restart);
                true
            }
            Fault::ShutDown(node) => self.shut_down(node),
            Fault::Leap(node, time) => {
                self.nodes[node].skew += time * MILLI;
                // What waited for a moment has waited for long by its clock.
                let n = &self.nodes[node];
                let until = self.now.max(n.frozen_until).max(n.mail_stalled) + n.skew;
                self.model.disturbed(node, until);
                self.stats.add(Count::Leap);
                true
            }
            Fault::Freeze(node, time) => {
                self.nodes[node].frozen_until = self.now + time * MILLI;
                self.model.disturbed(node, self.now + time * MILLI + self.nodes[node].skew);
                self.stats.add(Count::Freeze);
                true
            }
            Fault::StoreDown(node, time) => {
                self.nodes[node].store_down = self.now + time * MILLI;
                true
            }
            Fault::StoreSlow(node, time) => {
                self.nodes[node].store_slow = self.now + time * MILLI;
                self.stats.add(Count::StoreSlow);
                true
            }
            Fault::ResolverDown(node, time) => {
                self.nodes[node].resolver_down = self.now + time * MILLI;
                self.stats.add(Count::ResolverDown);
                true
            }
            Fault::ResolverSlow(node, time) => {
                self.nodes[node].resolver_slow = self.now + time * MILLI;
                true
            }
            Fault::StallMail(node, time) => {
                self.nodes[node].mail_stalled = self.now + time * MILLI;
                self.model.disturbed(node, self.now + time * MILLI + self.nodes[node].skew);
                self.stats.add(Count::MailStall);
                true
            }
            Fault::CutMoving(node) => {
                self.nodes[node].cut_moving = true;
                true
            }
            Fault::Reload(node) => {
                let chunk = [10_000, 4_096, 2_500][self.dice.below(3)];
                self.nodes[node].settings.max_chunk = chunk;
                self.reload_node(node);
                self.stats.add(Count::Reload);
                true
            }
            Fault::Rest(node) => {
                self.rest(node);
                true
            }
        };
        self.stats.add(if done { Count::Fault } else { Count::Spared });
    }

    fn on_conn(&mut self, who: usize, act: impl FnOnce(&mut World, usize), count: Count) -> bool {
        let Some(conn) = self.people[who].conn.filter(|c| !self.conns[*c].closed) else { return false };
        act(self, conn);
        self.stats.add(count);
        true
    }

    fn half_close(&mut self, conn: usize) {
        let end = self.conns[conn].end;
        self.conns[conn].finished = true;
        let (wire, side) = (end / 2, end % 2);
        self.wires[wire].pipes[1 - side].fin = true;
        self.ready(Task::Read(wire * 2 + 1 - side));
    }

    fn stall_reading(&mut self, conn: usize, time: u64) {
        self.conns[conn].reading = false;
        self.at(time, What::ReadOn(conn));
    }

    fn stall_link(&mut self, conn: usize, time: u64) {
        let until = self.now + time;
        for pipe in &mut self.wires[self.conns[conn].end / 2].pipes {
            pipe.stalled_until = until;
        }
    }

    /// All connections of a relay break and all that it knew is gone.
    fn crash(&mut self, node: usize) {
        let wires: Vec<usize> =
            (0..self.wires.len()).filter(|w| self.wires[*w].ends.iter().any(|e| e.plug.node() == Some(node))).collect();
        wires.into_iter().for_each(|w| self.reset(w));
        self.model.node_stopped(node);
        self.nodes[node].up = false;
        self.nodes[node].shards.clear();
        self.calls.iter_mut().filter(|c| c.home == node).for_each(|c| c.forget());
        for talk in &mut self.talks {
            talk.forget_tokens_of(&self.nodes[node].host);
        }
    }

    /// The process says goodbye before it goes.
    fn shut_down(&mut self, node: usize) -> bool {
        if !self.nodes[node].up {
            return false;
        }
        let now = self.node_now(node);
        for shard in 0..self.nodes[node].shards.len() {
            self.nodes[node].shards[shard].drain();
            self.nodes[node].shards[shard].shut_down(now);
            self.ready(Task::Shard(node, shard as u16));
        }
        self.model.shutting_down(node);
        self.calls.iter_mut().filter(|c| c.home == node).for_each(|c| c.shutting_down());
        self.stats.add(Count::ShutDown);
        self.at(6_000 * MILLI, What::TakeOver(node));
        true
    }

    /// The end of a shut-down: another process takes over.
    pub fn take_over(&mut self, node: usize) {
        if self.nodes[node].up {
            self.crash(node);
        }
        self.start_node(node);
    }

    /// Links that rest give back what they have needed.
    fn rest(&mut self, node: usize) {
        let mut ends: Vec<usize> = self.nodes[node].links.values().copied().collect();
        ends.sort_unstable();
        for end in ends {
            if let Plug::Link { shard, id, .. } = self.end(end).plug
                && let Some(relay) = self.relay(node, shard)
            {
                relay.handle_rest(id);
            }
        }
        self.nodes[node].shards.iter_mut().for_each(chappe::relay::Relay::shrink);
    }
}
