//! Nobody with room to write waits for long (msrp-relay 6).

use super::{LinkKind, Model, Rule};
use crate::frame::Wish;
use crate::wire::EndRef;

const SECOND: u64 = 1_000_000_000;
/// Longest wait on a link that takes octets: mailboxes and holds are far below.
const WAIT: u64 = 8 * SECOND;
/// Octets of a turn.
const QUANTUM: u64 = 16 << 10;
/// Octets of responses and REPORTs, which go first, that may come between.
const WHOLE: u64 = 64 << 10;

impl Model {
    /// A link has written all and its socket takes more; `empty` if the relay has nothing for it.
    pub fn has_room(&mut self, node: usize, end: EndRef, now: u64, empty: bool) {
        if let Some(link) = self.nodes[node].links.get_mut(&end) {
            link.room_since = if empty { link.room_since.or(Some(now)) } else { None };
        }
    }

    /// A second has passed.
    pub fn second(&mut self, now: u64, skews: &[u64]) {
        for (node, skew) in skews.iter().enumerate() {
            let now = now + skew;
            self.look_at_suspects(node, now);
            if !self.nodes[node].up || self.nodes[node].disturbed + WAIT > now {
                continue;
            }
            let live: Vec<String> = self.nodes[node].live.iter().cloned().collect();
            for id in live {
                match self.waits(node, &id, now) {
                    None => drop(self.nodes[node].live.remove(&id)),
                    Some(Some(what)) => return self.fail(Rule::Fairness, format!("relay {node}: {id} {what}")),
                    Some(None) => {}
                }
            }
        }
    }

    /// None if nothing of this message waits any more; else what is wrong with that.
    fn waits(&self, node: usize, id: &str, now: u64) -> Option<Option<String>> {
        let n = &self.nodes[node];
        let passage = n.passages.get(id)?;
        let open = |l: EndRef| n.links.get(&l).is_some_and(|l| l.open);
        let mut live = false;
        for c in passage.chunks[passage.cursor.min(passage.chunks.len())..].iter() {
            let over = c.out_done || !c.reports.is_empty() || c.answer.is_some_and(|a| a >= 300) || c.cut;
            let greets = !c.body && self.is_leg(node, &c.to[0]);
            if over || greets || c.wish == Wish::No || !open(c.link) {
                continue;
            }
            live = true;
            let Some(way) = n.ways.get(&(c.link, c.to.join(" "))).and_then(|w| n.links.get(w)) else { continue };
            // Between relays a message may wait for another link, and for answers before it goes over.
            let relays = self.bulk && (is_peer(&way.kind) || n.links.get(&c.link).is_some_and(|l| is_peer(&l.kind)));
            let something = c.out < c.len || c.flag.is_some();
            let Some(room) = way.room_since.filter(|_| way.open && something && !relays && c.answer.is_some()) else {
                continue;
            };
            let since = room.max(c.moved).max(way.opened).max(n.disturbed);
            if now > since + WAIT {
                return Some(Some(format!(
                    "from octet {} waits {} s for a link that has room",
                    c.start + c.out,
                    (now - since) / SECOND
                )));
            }
        }
        live.then_some(None)
    }

    // ---- turns

    /// A chunk is complete. If nothing of its session waits before it, its turn comes next: what leaves from now on is what
    /// others send meanwhile.
    pub(super) fn takes_its_turn(&mut self, node: usize, id: &str, chunk: usize) {
        let n = &mut self.nodes[node];
        let Some(c) = n.passages.get_mut(id).and_then(|p| p.chunks.get_mut(chunk)) else { return };
        let way = (c.link, c.to.join(" "));
        let queue = n.queues.entry(way.clone()).or_default();
        queue.push_back((id.to_owned(), chunk));
        if queue.len() == 1 {
            c.turn = n.ways.get(&way).and_then(|end| Some((*end, n.links.get(end)?.written)));
        }
    }

    /// Its first octets leave: others have had their turns in between, and no more than that.
    pub(super) fn had_its_turn(&mut self, node: usize, id: &str, chunk: usize, end: EndRef) {
        let relays = matches!(self.kind(node, end), Some(LinkKind::Peer { .. }));
        let n = &mut self.nodes[node];
        let Some(c) = n.passages.get_mut(id).and_then(|p| p.chunks.get_mut(chunk)) else { return };
        let (turn, way, from, came) = (c.turn.take(), (c.link, c.to.join(" ")), c.link, c.came);
        // Whatever was before it has left or will not.
        let queue = n.queues.entry(way).or_default();
        if let Some(at) = queue.iter().position(|(message, c)| message == id && *c == chunk) {
            queue.drain(..at);
        }
        // What was read with something for a receiver that is stopped waits with it.
        let stopped = |l: &super::Link| l.paused.is_some() || l.pauses.iter().any(|(_, to)| *to >= came);
        let held = n.links.get(&from).is_none_or(stopped);
        let Some((at, written)) = turn.filter(|(at, _)| *at == end && !relays && !held) else { return };
        let Some(link) = n.links.get(&at) else { return };
        let sessions = n.ways.values().filter(|w| **w == at).count() as u64;
        // A turn and the part with which it ends; who wrote more than his turn waits for as many more.
        let turn = QUANTUM + self.largest_part;
        let rounds = 2 + self.largest_part.div_ceil(QUANTUM);
        let most = sessions * rounds * turn + WHOLE;
        let passed = link.written - written;
        if passed > most {
            let what =
                format!("relay {node}: {passed} octets left before {id}, {most} were fair for {sessions} sessions");
            self.fail(Rule::Fairness, what);
        }
    }

    /// All of it has left: the next one of its session is the first.
    pub(super) fn front_of_way(&mut self, node: usize, id: &str, chunk: usize) {
        let n = &mut self.nodes[node];
        let Some(c) = n.passages.get(id).and_then(|p| p.chunks.get(chunk)) else { return };
        let way = (c.link, c.to.join(" "));
        let Some(queue) = n.queues.get_mut(&way) else { return };
        if let Some(at) = queue.iter().position(|(message, c)| message == id && *c == chunk) {
            queue.drain(..=at);
        }
        let Some((next, chunk)) = queue.front() else { return };
        let turn = n.ways.get(&way).and_then(|end| Some((*end, n.links.get(end)?.written)));
        if let Some(c) = n.passages.get_mut(next).and_then(|p| p.chunks.get_mut(*chunk)).filter(|c| c.out == 0) {
            c.turn = turn;
        }
    }
}

fn is_peer(kind: &LinkKind) -> bool {
    matches!(kind, LinkKind::Peer { .. })
}
