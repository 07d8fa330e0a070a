//! Persons: they connect, get tokens, talk and answer, each by temperament. Nothing of the relay's code is used.

mod auth;
mod lies;
mod listening;
mod speaking;

use std::collections::{HashMap, VecDeque};

use crate::dice::Dice;
use crate::frame::{Event, Head, Reader};
use crate::plan::{PersonPlan, SessionPlan, Temper, Way};
use crate::wire::{EndRef, Plug};
use crate::world::{Task, What, World};

use auth::{Asking, Job};

const MILLI: u64 = 1_000_000;
/// A slow connection does something so often.
const TICK: u64 = 10 * MILLI;
/// Octets that wait to be written; who has more says nothing more.
const OUTBOX: usize = 1 << 20;

/// Somebody.
pub struct Person {
    pub host: String,
    pub temper: Temper,
    pub home: usize,
    pub listens: bool,
    pub online: bool,
    /// The connection that he has made.
    pub conn: Option<usize>,
    pub dice: Dice,
}

impl Person {
    pub fn new(index: usize, plan: &PersonPlan) -> Person {
        let PersonPlan { temper, home, listens } = *plan;
        let host = format!("c{index}.example");
        Person { host, temper, home, listens, online: false, conn: None, dice: Dice::new(index as u64) }
    }
}

/// A session as its two persons know it.
pub struct Talk {
    pub persons: [usize; 2],
    pub ways: [Way; 2],
    pub uris: [String; 2],
    /// Tokens of each side, in the order of use.
    pub tokens: [Vec<String>; 2],
    /// Where those who are called were last heard.
    pub conns: [Option<usize>; 2],
}

impl Talk {
    pub fn new(index: usize, plan: &SessionPlan) -> Talk {
        let uri = |side: usize| format!("msrps://c{}.example:5000/s{index}x{side};tcp", plan.persons[side]);
        Talk {
            persons: plan.persons,
            ways: plan.ways,
            uris: [uri(0), uri(1)],
            tokens: Default::default(),
            conns: [None; 2],
        }
    }

    /// To-Path of what this side sends.
    pub fn path(&self, side: usize) -> Option<Vec<String>> {
        let other = 1 - side;
        let needs = |side: usize| matches!(self.ways[side], Way::Home | Way::Outer(_) | Way::Leg(..));
        if (needs(side) && self.tokens[side].is_empty()) || (needs(other) && self.tokens[other].is_empty()) {
            return None;
        }
        if let Way::Leg(..) = self.ways[side] {
            return Some(self.tokens[side].clone());
        }
        let there = self.tokens[other].iter().rev();
        Some(self.tokens[side].iter().chain(there).chain([&self.uris[other]]).cloned().collect())
    }

    /// A relay has lost its memory, and its clients know.
    pub fn forget_tokens_of(&mut self, host: &str) {
        for tokens in &mut self.tokens {
            if tokens.iter().any(|t| t.contains(host)) {
                tokens.clear();
            }
        }
    }
}

/// What is to be written, in order.
enum Out {
    Octets(Vec<u8>, usize),
    Pause(u64),
    /// Nothing before the spy has told the transact-id of this message.
    Spy(String),
}

/// A frame that is coming in.
struct Incoming {
    head: std::sync::Arc<Head>,
    body: Vec<u8>,
}

/// What an answer is awaited for.
enum Awaited {
    Auth,
    Chunk(String),
    Other,
}

/// One connection of a person.
pub struct Conn {
    pub person: usize,
    pub end: EndRef,
    pub reading: bool,
    pub closed: bool,
    /// Nothing is written any more.
    pub finished: bool,
    reader: Reader,
    incoming: Option<Incoming>,
    outbox: VecDeque<Out>,
    outbox_len: usize,
    paused_until: u64,
    /// Octets in a tick, if it is slow.
    rate: Option<usize>,
    ticking: bool,
    may: [usize; 2],
    awaited: HashMap<String, Awaited>,
    jobs: VecDeque<Job>,
    asking: Option<Asking>,
    /// A nonce that may be used without being asked for it.
    nonce: Option<String>,
    /// Transact-ids of requests that came in here lately.
    seen: Vec<String>,
}

impl World {
    /// A connection of a person that is about to get its wire.
    pub fn new_conn(&mut self, person: usize) -> usize {
        let p = &mut self.people[person];
        let slow = p.temper == Temper::Trickling && !p.dice.one_in(3);
        let rate = if slow { Some(p.dice.pick(&[3, 40, 400])) } else { None };
        self.conns.push(Conn {
            person,
            end: usize::MAX,
            reading: true,
            closed: false,
            finished: false,
            reader: Reader::default(),
            incoming: None,
            outbox: VecDeque::new(),
            outbox_len: 0,
            paused_until: 0,
            rate,
            ticking: false,
            may: [0; 2],
            awaited: HashMap::new(),
            jobs: VecDeque::new(),
            asking: None,
            nonce: None,
            seen: Vec::new(),
        });
        self.conns.len() - 1
    }

    /// Somebody comes online, or connects anew.
    pub fn join_person(&mut self, person: usize) {
        if self.calm || self.people[person].conn.is_some_and(|c| !self.conns[c].closed) {
            return;
        }
        self.people[person].online = true;
        if self.people[person].listens {
            return;
        }
        let home = self.people[person].home;
        match self.call_relay(person, home) {
            Some(conn) => {
                self.people[person].conn = Some(conn);
                self.ask_for_tokens(conn);
                self.greet_anchors(person);
            }
            None => {
                let wait = self.people[person].dice.between(500, 2500);
                self.at(wait * MILLI, What::Rejoin(person));
            }
        }
    }

    /// A connection is gone. Most connect anew.
    pub fn conn_gone(&mut self, conn: usize) {
        let c = &mut self.conns[conn];
        if std::mem::replace(&mut c.closed, true) {
            return;
        }
        c.outbox.clear();
        let person = c.person;
        self.model.book.conn_gone(conn);
        if self.people[person].conn == Some(conn) {
            self.people[person].conn = None;
            let dice = &mut self.people[person].dice;
            let wait = dice.between(100, 4000) * MILLI;
            if !self.calm && !dice.one_in(12) {
                self.at(wait, What::Rejoin(person));
            }
        }
    }

    // ---- reading and writing, at the connection's speed

    pub fn read_on(&mut self, conn: usize) {
        self.conns[conn].reading = true;
        self.ready(Task::Read(self.conns[conn].end));
    }

    pub fn tick(&mut self, conn: usize) {
        let c = &mut self.conns[conn];
        c.ticking = false;
        let rate = c.rate.unwrap_or(0);
        c.may = [rate; 2];
        let end = c.end;
        if !c.closed {
            self.ready(Task::Read(end));
            self.ready(Task::Write(end));
        }
    }

    fn tick_at(&mut self, conn: usize, after: u64) {
        if !std::mem::replace(&mut self.conns[conn].ticking, true) {
            self.at(after, What::Tick(conn));
        }
    }

    pub fn read_conn(&mut self, conn: usize) {
        let c = &mut self.conns[conn];
        if !c.reading || c.closed {
            return;
        }
        let end = c.end;
        let most = if c.rate.is_some() { c.may[0] } else { usize::MAX };
        let (wire, side) = (end / 2, end % 2);
        let octets = self.wires[wire].pipes[side].read(most);
        if c.rate.is_some() {
            c.may[0] -= octets.len();
            if !self.wires[wire].pipes[side].is_empty() {
                self.tick_at(conn, TICK);
            }
        }
        if octets.is_empty() {
            let pipe = &self.wires[wire].pipes[side];
            if pipe.fin && pipe.is_empty() {
                self.end_mut(end).plug = Plug::Gone;
                self.conn_gone(conn);
            }
            return;
        }
        self.trace.note("person in", &[self.conns[conn].person as u64, conn as u64, octets.len() as u64]);
        self.ready(Task::Write(wire * 2 + 1 - side));
        let mut events = Vec::new();
        if let Err(broken) = self.conns[conn].reader.feed(&octets, &mut events) {
            self.model.fail(crate::model::Rule::Framing, format!("connection {conn} gets no MSRP: {broken:?}"));
        }
        for event in events {
            self.take(conn, event);
        }
        self.ready(Task::Read(end));
    }

    fn take(&mut self, conn: usize, event: Event) {
        match event {
            Event::Head(head) => {
                self.hear_head(conn, &head);
                self.conns[conn].incoming = Some(Incoming { head, body: Vec::new() });
            }
            Event::Body(octets) => {
                if let Some(incoming) = &mut self.conns[conn].incoming {
                    incoming.body.extend(octets);
                }
            }
            Event::End(flag) => {
                if let Some(Incoming { head, body }) = self.conns[conn].incoming.take() {
                    self.hear(conn, &head, &body, flag);
                }
            }
        }
    }

    pub fn write_conn(&mut self, conn: usize) {
        loop {
            let now = self.now;
            let c = &mut self.conns[conn];
            if c.closed || c.finished || c.end == usize::MAX {
                return;
            }
            let (wire, side) = (c.end / 2, c.end % 2);
            if c.paused_until > now {
                let wait = c.paused_until - now;
                return self.tick_at(conn, wait);
            }
            let free = self.wires[wire].pipes[1 - side].free();
            let most = if c.rate.is_some() { free.min(c.may[1]) } else { free };
            match c.outbox.front_mut() {
                None | Some(Out::Spy(_)) => return,
                Some(Out::Pause(time)) => {
                    c.paused_until = now + *time;
                    c.outbox.pop_front();
                }
                Some(Out::Octets(octets, at)) => {
                    let n = most.min(octets.len() - *at);
                    if n == 0 {
                        if c.rate.is_some() && free > 0 {
                            self.tick_at(conn, TICK);
                        }
                        return;
                    }
                    let piece = octets[*at..*at + n].to_vec();
                    *at += n;
                    if *at == octets.len() {
                        c.outbox.pop_front();
                    }
                    c.outbox_len -= n;
                    if c.rate.is_some() {
                        c.may[1] -= n;
                    }
                    self.trace.note("person out", &[conn as u64, n as u64]);
                    self.send_on(wire, 1 - side, piece);
                }
            }
        }
    }

    /// Octets join what is to be written.
    pub fn say_octets(&mut self, conn: usize, octets: Vec<u8>) {
        let c = &mut self.conns[conn];
        if c.closed || c.finished {
            return;
        }
        c.outbox_len += octets.len();
        c.outbox.push_back(Out::Octets(octets, 0));
        let end = c.end;
        self.ready(Task::Write(end));
    }

    fn say_later(&mut self, conn: usize, octets: Vec<u8>, after: u64) {
        self.at(after, What::Later(conn, octets));
    }

    /// Everything is finished that somebody has begun, everybody reads, nobody is slow.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.wires.iter_mut().for_each(|w| w.piece = 16 << 10);
        for conn in 0..self.conns.len() {
            let c = &mut self.conns[conn];
            (c.reading, c.rate, c.paused_until) = (true, None, 0);
            c.outbox.retain(|o| !matches!(o, Out::Pause(_)));
            if c.closed || c.end == usize::MAX {
                continue;
            }
            let end = c.end;
            self.spy_gives_up(conn);
            for pipe in &mut self.wires[end / 2].pipes {
                pipe.stalled_until = 0;
            }
            self.ready(Task::Read(end));
            self.ready(Task::Write(end));
        }
    }

    /// All hang up.
    pub fn leave(&mut self) {
        for wire in 0..self.wires.len() {
            if self.wires[wire].ends.iter().any(|e| matches!(e.plug, Plug::Conn(_))) {
                self.reset(wire);
            }
        }
    }
}
