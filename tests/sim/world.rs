//! The network and its time: what is to happen, in order, and what can happen now.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use chappe::relay::{Dial, LinkId};

use crate::client::{Conn, Person, Talk};
use crate::control::Call;
use crate::dice::Dice;
use crate::model::{LinkKind, Model, Rule};
use crate::node::Node;
use crate::plan::{Plan, Shape};
use crate::stats::Stats;
use crate::trace::Trace;
use crate::wire::{End, EndRef, Pipe, Plug, Wire};

const SECOND: u64 = 1_000_000_000;
/// Rounds at one instant after which time stands still.
const ROUNDS: usize = 2_000_000;
/// Rounds after which a run goes on for the sake of going on: ten times what any needs.
const STEPS: u64 = 10_000_000;

/// Something that can be done at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Task {
    Read(EndRef),
    Write(EndRef),
    Shard(usize, u16),
}

/// Something that happens at its time.
#[derive(Clone, Debug)]
pub enum What {
    Act(usize),
    Do(Task),
    Arrive(EndRef),
    Mail {
        node: usize,
        start: u32,
        queue: usize,
    },
    Account {
        node: usize,
        start: u32,
        shard: u16,
        link: LinkId,
        ticket: u64,
        user: String,
    },
    Dialled {
        node: usize,
        start: u32,
        shard: u16,
        link: LinkId,
        to: Dial,
    },
    /// A connection that is slow goes on.
    Tick(usize),
    /// A connection writes this later.
    Later(usize, Vec<u8>),
    /// A connection reads again.
    ReadOn(usize),
    /// Somebody connects anew.
    Rejoin(usize),
    /// Nobody has told the spy anything.
    SpyGivesUp(usize),
    /// A relay comes up again.
    Up(usize),
    /// Another process takes the place of one that has said goodbye.
    TakeOver(usize),
}

struct Entry {
    at: u64,
    order: u64,
    what: What,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Everything of one run.
pub struct World {
    pub now: u64,
    pub plan: Plan,
    pub shape: Shape,
    pub dice: Dice,
    pub nodes: Vec<Node>,
    pub wires: Vec<Wire>,
    pub people: Vec<Person>,
    pub conns: Vec<Conn>,
    pub talks: Vec<Talk>,
    pub calls: Vec<Call>,
    pub model: Model,
    pub trace: Trace,
    pub stats: Stats,
    pub ports: u16,
    /// Nothing goes wrong any more, nobody begins anything.
    pub calm: bool,
    agenda: BinaryHeap<Reverse<Entry>>,
    order: u64,
    steps: u64,
    tasks: Vec<Task>,
    waiting: HashSet<Task>,
}

impl World {
    pub fn new(seed: u64, plan: Plan, lines: bool) -> World {
        let shape = plan.shape.clone();
        let nodes: Vec<Node> = (0..shape.shards.len()).map(|i| Node::new(i, &shape)).collect();
        let people = plan.persons.iter().enumerate().map(|(i, p)| Person::new(i, p)).collect();
        let talks = plan.sessions.iter().enumerate().map(|(i, s)| Talk::new(i, s)).collect();
        let calls = plan.anchors.iter().map(|(home, session)| Call::new(*home, *session)).collect();
        let mut world = World {
            now: 1000 * SECOND,
            model: Model::new(nodes.len(), &shape),
            dice: Dice::new(seed ^ 0xabcd),
            nodes,
            wires: Vec::new(),
            people,
            conns: Vec::new(),
            talks,
            calls,
            trace: Trace::new(lines),
            stats: Stats::default(),
            ports: 1024,
            calm: false,
            agenda: BinaryHeap::new(),
            order: 0,
            steps: 0,
            tasks: Vec::new(),
            waiting: HashSet::new(),
            shape,
            plan,
        };
        (0..world.nodes.len()).for_each(|n| world.start_node(n));
        for i in 0..world.plan.actions.len() {
            let at = world.plan.actions[i].at;
            world.at(at, What::Act(i));
        }
        world
    }

    // ---- time

    /// Something happens in so many nanoseconds.
    pub fn at(&mut self, after: u64, what: What) {
        self.order += 1;
        self.agenda.push(Reverse(Entry { at: self.now + after, order: self.order, what }));
    }

    /// Something can be done now.
    pub fn ready(&mut self, task: Task) {
        if self.waiting.insert(task) {
            self.tasks.push(task);
        }
    }

    /// Everything that happens in this time. Stops at the first thing that the model does not allow.
    pub fn run(&mut self, time: u64) {
        let until = self.now + time;
        let (mut at, mut rounds) = (self.now, 0);
        while self.model.broken.is_none() {
            rounds = if self.now == at { rounds + 1 } else { 0 };
            at = self.now;
            self.steps += 1;
            if rounds > ROUNDS || self.steps > STEPS {
                return self.stuck(if rounds > ROUNDS {
                    "time stands still"
                } else {
                    "something goes round and round"
                });
            }
            if !self.tasks.is_empty() {
                // Any order of what can be done at once must be right.
                let task = self.tasks.swap_remove(self.dice.below(self.tasks.len()));
                self.waiting.remove(&task);
                self.perform(task);
                continue;
            }
            if self.agenda.peek().is_some_and(|Reverse(e)| e.at <= self.now) {
                if let Some(Reverse(entry)) = self.agenda.pop() {
                    self.happen(entry.what);
                }
                continue;
            }
            let mut acted = false;
            for node in 0..self.nodes.len() {
                acted |= self.keep_time(node);
            }
            if acted {
                continue;
            }
            let deadlines = self.nodes.iter().filter_map(Node::next_deadline);
            let next = deadlines.chain(self.agenda.peek().map(|Reverse(e)| e.at)).min().unwrap_or(u64::MAX);
            if next > until {
                break;
            }
            self.set_time(next.max(self.now));
        }
        if self.model.broken.is_none() {
            self.set_time(until);
        }
    }

    fn set_time(&mut self, to: u64) {
        let before = self.now;
        self.now = to;
        self.trace.set_time(to);
        if before / SECOND != to / SECOND {
            let skews: Vec<u64> = self.nodes.iter().map(|n| n.skew).collect();
            self.model.second(to, &skews);
        }
    }

    pub fn stuck(&mut self, what: &str) {
        self.model.fail(Rule::Standstill, what.to_owned());
    }

    fn frozen(&self, node: Option<usize>) -> Option<u64> {
        node.map(|n| self.nodes[n].frozen_until).filter(|at| *at > self.now)
    }

    fn perform(&mut self, task: Task) {
        let node = match task {
            Task::Read(end) | Task::Write(end) => self.end(end).plug.node(),
            Task::Shard(node, _) => Some(node),
        };
        if let Some(at) = self.frozen(node) {
            return self.at(at - self.now, What::Do(task));
        }
        match task {
            Task::Shard(node, shard) => self.pump(node, shard),
            Task::Read(end) => match self.end(end).plug {
                Plug::Link { .. } => self.read_link(end),
                Plug::Conn(conn) => self.read_conn(conn),
                Plug::Moving { .. } | Plug::Gone => {}
            },
            Task::Write(end) => match self.end(end).plug {
                Plug::Link { .. } => self.write_link(end),
                Plug::Conn(conn) => self.write_conn(conn),
                Plug::Moving { .. } | Plug::Gone => {}
            },
        }
    }

    fn happen(&mut self, what: What) {
        let of = |node: usize, start: u32, world: &World| world.nodes[node].up && world.nodes[node].start == start;
        let node = match &what {
            What::Mail { node, .. } | What::Account { node, .. } | What::Dialled { node, .. } => Some(*node),
            _ => None,
        };
        if let Some(at) = self.frozen(node) {
            return self.at(at - self.now, what);
        }
        match what {
            What::Act(i) => {
                if !self.calm {
                    self.act(i);
                }
            }
            What::Do(task) => self.ready(task),
            What::Arrive(end) => {
                let now = self.now;
                let again = self.wires[end / 2].pipes[end % 2].arrive(now);
                match again {
                    Some(at) => self.at(at - now, What::Arrive(end)),
                    None => self.ready(Task::Read(end)),
                }
            }
            What::Mail { node, start, queue } if of(node, start, self) => self.deliver_mail(node, queue),
            What::Account { node, start, shard, link, ticket, user } if of(node, start, self) => {
                self.answer_account(node, shard, link, ticket, &user);
            }
            What::Dialled { node, start, shard, link, to } if of(node, start, self) => {
                self.answer_dial(node, shard, link, &to);
            }
            What::Mail { .. } | What::Account { .. } | What::Dialled { .. } => {}
            What::Tick(conn) => self.tick(conn),
            What::Later(conn, octets) => self.say_octets(conn, octets),
            What::ReadOn(conn) => self.read_on(conn),
            What::Rejoin(person) => self.join_person(person),
            What::SpyGivesUp(conn) => self.spy_gives_up(conn),
            What::Up(node) if !self.nodes[node].up => self.start_node(node),
            What::Up(_) => {}
            What::TakeOver(node) => self.take_over(node),
        }
    }

    // ---- wires

    pub fn end(&self, end: EndRef) -> &End {
        &self.wires[end / 2].ends[end % 2]
    }

    pub fn end_mut(&mut self, end: EndRef) -> &mut End {
        &mut self.wires[end / 2].ends[end % 2]
    }

    /// A new wire between two plugs, with a character of its own.
    pub fn join(&mut self, a: Plug, b: Plug) -> usize {
        let between_relays = a.node().is_some() && b.node().is_some();
        let latency = self.dice.pick(&[0, 200, 3000, 40_000]) * 1000;
        let rate = if between_relays { None } else { self.dice.pick(&[None, None, None, Some(60_000), Some(400_000)]) };
        let room = self.dice.pick(&[8 << 10, 32 << 10, 64 << 10]);
        let piece = if self.dice.one_in(12) { 7 } else { self.shape.piece };
        let pipe = || Pipe::new(latency, rate, room);
        self.wires.push(Wire::new([a, b], [pipe(), pipe()], piece));
        self.wires.len() - 1
    }

    /// Octets are on their way to this side of a wire.
    pub fn send_on(&mut self, wire: usize, side: usize, octets: Vec<u8>) {
        let now = self.now;
        let at = self.wires[wire].pipes[side].push(octets, now);
        self.at(at - now, What::Arrive(wire * 2 + side));
    }

    /// A connection breaks: both sides lose it, with what is on its way.
    pub fn reset(&mut self, wire: usize) {
        self.trace.note("reset", &[wire as u64]);
        self.model.book.links_broke |= self.wires[wire].between_relays();
        for side in 0..2 {
            let end = wire * 2 + side;
            let plug = std::mem::replace(&mut self.end_mut(end).plug, Plug::Gone);
            self.end_mut(end).batch.clear();
            self.wires[wire].pipes[side].clear();
            match plug {
                Plug::Link { node, shard, id } => {
                    let now = self.node_now(node);
                    self.nodes[node].links.remove(&(shard, id.as_u64()));
                    self.model.link_closed(node, end, now.as_nanos());
                    if let Some(relay) = self.relay(node, shard) {
                        relay.handle_lost(id, now);
                    }
                    self.ready(Task::Shard(node, shard));
                }
                Plug::Moving { node } => {
                    let now = self.node_now(node).as_nanos();
                    self.model.link_closed(node, end, now);
                }
                Plug::Conn(conn) => self.conn_gone(conn),
                Plug::Gone => {}
            }
        }
    }

    /// A person connects to a relay; the connection.
    pub fn call_relay(&mut self, person: usize, node: usize) -> Option<usize> {
        if !self.nodes[node].up || self.nodes[node].frozen_until > self.now {
            return None;
        }
        let meta = self.meta(node);
        let shard = self.dice.below(self.nodes[node].shards.len()) as u16;
        let now = self.node_now(node);
        let id = self.nodes[node].shards[usize::from(shard)].handle_accepted(meta, now);
        let conn = self.new_conn(person);
        let wire = self.join(Plug::Link { node, shard, id }, Plug::Conn(conn));
        self.nodes[node].links.insert((shard, id.as_u64()), wire * 2);
        self.conns[conn].end = wire * 2 + 1;
        self.model.link_opened(node, wire * 2, LinkKind::Person(person), false, now.as_nanos());
        self.ready(Task::Shard(node, shard));
        Some(conn)
    }
}
