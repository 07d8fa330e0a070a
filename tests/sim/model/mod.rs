//! The judge. It sees what passes on the wires of each relay, and knows nothing of how the relay works: from what came in
//! and what went out it decides whether each SEND had its outcome, each octet its place, each token its owner.
//!
//! A relay is judged by itself: what it has accepted is its own responsibility until the next hop has said 200, whatever
//! others do (RFC 4976 section 6.4.1; msrp-relay 5.4). So a verdict never depends on who else failed.

mod arrivals;
mod book;
mod departures;
mod fairness;
mod memory;
mod signal;
mod tokens;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::frame::{Range, Reader, Wish};
use crate::plan::Shape;
use crate::stats::Stats;
use crate::trace::Trace;
use crate::wire::EndRef;

pub use book::{Book, Message};
use tokens::{Legs, Token};

/// What can be broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// Exactly one outcome for each accepted SEND.
    Signal,
    /// Octets delivered are octets sent.
    Octets,
    /// Order within a message.
    Order,
    /// No token serves the wrong link.
    Token,
    /// Paths and headers change as they must and no further.
    Headers,
    /// Transact-ids are unpredictable.
    TransactId,
    /// What leaves a relay is MSRP.
    Framing,
    /// Nobody with room to write waits for long.
    Fairness,
    /// Buffers are bounded.
    Memory,
    /// The relay's own books.
    Books,
    /// Nothing is left.
    Leak,
    /// What the dialogs of anchors are told.
    News,
    /// Time goes on.
    Standstill,
    /// It does not panic.
    Panic,
}

/// The first thing that was wrong.
#[derive(Clone, Debug)]
pub struct Broken {
    pub rule: Rule,
    pub what: String,
}

/// Who is at the other end of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkKind {
    Person(usize),
    Peer { node: usize, bulk: bool },
}

/// A SEND as it came in.
pub(crate) struct Chunk {
    link: EndRef,
    to: Vec<String>,
    from: Vec<String>,
    start: u64,
    len: u64,
    total: Option<u64>,
    wish: Wish,
    lines: Vec<(String, String)>,
    body: bool,
    flag: Option<char>,
    came: u64,
    ended: u64,
    /// Its link went before it ended.
    cut: bool,
    answer: Option<u16>,
    refused: Option<u64>,
    reports: Vec<(u64, u64, u16)>,
    /// Octets of it that have begun to leave.
    out: u64,
    out_done: bool,
    parts: Vec<usize>,
    /// What had left on the way's link when it was its turn.
    turn: Option<(EndRef, u64)>,
    /// When something of it last came or left.
    moved: u64,
}

/// A SEND as it left.
pub(crate) struct Part {
    link: EndRef,
    chunk: usize,
    start: u64,
    len: u64,
    range: Range,
    from: String,
    flag: Option<char>,
    /// When its last octet left, by the relay's clock.
    sent: u64,
    answer: Option<(u16, u64)>,
}

/// A message on its way through one relay.
#[derive(Default)]
pub(crate) struct Passage {
    chunks: Vec<Chunk>,
    parts: Vec<Part>,
    /// Chunks before this one will not leave any more.
    cursor: usize,
}

/// A request that came in and may be answered.
struct Request {
    method: String,
    to: Vec<String>,
    from: Vec<String>,
    chunk: Option<(String, usize)>,
    expires_named: bool,
    came: u64,
}

/// A request that passes whole, seen coming in.
struct Passing {
    link: EndRef,
    method: String,
    to: Vec<String>,
    from: Vec<String>,
    came: u64,
    /// For a REPORT: message, range and status line.
    about: String,
}

/// A link, as far as it can be seen from outside.
struct Link {
    kind: LinkKind,
    dialled: bool,
    open: bool,
    finished: bool,
    opened: u64,
    closed: u64,
    incoming: Reader,
    outgoing: Reader,
    /// The frame that arrives: a chunk, or something else.
    arriving: Option<(String, usize)>,
    arriving_whole: Option<Passing>,
    leaving: Option<(String, usize)>,
    requests: HashMap<String, Vec<Request>>,
    parts: HashMap<String, (String, usize)>,
    written: u64,
    /// It has had room for more since then.
    room_since: Option<u64>,
    pauses: Vec<(u64, u64)>,
    paused: Option<u64>,
}

/// One relay.
#[derive(Default)]
struct NodeModel {
    host: String,
    up: bool,
    shutting_down: bool,
    links: BTreeMap<EndRef, Link>,
    passages: BTreeMap<String, Passage>,
    passing: Vec<Passing>,
    tokens: HashMap<String, Token>,
    legs: HashMap<usize, [Legs; 2]>,
    /// Beginnings and ends of transact-ids.
    tids: [HashSet<String>; 2],
    /// Where the chunks of a sender and To-Path leave.
    ways: HashMap<(EndRef, String), EndRef>,
    /// Chunks of a way that are complete and have not left, in order.
    queues: HashMap<(EndRef, String), VecDeque<(String, usize)>>,
    /// Messages of which something has not left.
    live: std::collections::BTreeSet<String>,
    disturbed: u64,
}

/// The judge.
pub struct Model {
    pub broken: Option<Broken>,
    pub book: Book,
    pub stats: Stats,
    suspects: Vec<signal::Suspect>,
    nodes: Vec<NodeModel>,
    expire_live: bool,
    bulk: bool,
    largest_part: u64,
}

impl Model {
    pub fn new(nodes: usize, shape: &Shape) -> Model {
        Model {
            broken: None,
            book: Book::default(),
            stats: Stats::default(),
            suspects: Vec::new(),
            nodes: (0..nodes).map(|_| NodeModel::default()).collect(),
            expire_live: shape.expire_live,
            bulk: shape.bulk,
            largest_part: shape.largest_part(),
        }
    }

    /// Something is wrong; the first thing counts.
    pub fn fail(&mut self, rule: Rule, what: String) {
        self.broken.get_or_insert(Broken { rule, what });
    }

    pub fn books(&mut self, node: usize, shard: u16, what: &str) {
        self.fail(Rule::Books, format!("relay {node} shard {shard}: {what}"));
    }

    // ---- relays and links

    pub fn node_started(&mut self, node: usize, host: &str, now: u64) {
        let n = &mut self.nodes[node];
        let tids = std::mem::take(&mut n.tids);
        *n = NodeModel { host: host.to_owned(), up: true, tids, disturbed: now, ..NodeModel::default() };
    }

    /// It is gone, with everything that it was responsible for.
    pub fn node_stopped(&mut self, node: usize) {
        let n = &mut self.nodes[node];
        let (host, tids) = (std::mem::take(&mut n.host), std::mem::take(&mut n.tids));
        *n = NodeModel { host, tids, ..NodeModel::default() };
    }

    pub fn shutting_down(&mut self, node: usize) {
        self.nodes[node].shutting_down = true;
    }

    /// It cannot be held to its times before this.
    pub fn disturbed(&mut self, node: usize, until: u64) {
        let n = &mut self.nodes[node];
        n.disturbed = n.disturbed.max(until);
    }

    pub fn link_opened(&mut self, node: usize, end: EndRef, kind: LinkKind, dialled: bool, now: u64) {
        let link = Link {
            kind,
            closed: 0,
            dialled,
            open: true,
            finished: false,
            opened: now,
            incoming: Reader::default(),
            outgoing: Reader::default(),
            arriving: None,
            arriving_whole: None,
            leaving: None,
            requests: HashMap::new(),
            parts: HashMap::new(),
            written: 0,
            room_since: None,
            pauses: Vec::new(),
            paused: None,
        };
        self.nodes[node].links.insert(end, link);
    }

    pub fn link_closed(&mut self, node: usize, end: EndRef, now: u64) {
        let n = &mut self.nodes[node];
        let Some(link) = n.links.get_mut(&end) else { return };
        (link.open, link.closed) = (false, now);
        if let Some((message, chunk)) = link.arriving.take()
            && let Some(passage) = n.passages.get_mut(&message)
        {
            passage.chunks[chunk].cut = true;
        }
        self.tokens_of_link_die(node, end, now);
    }

    /// The other end will send nothing more.
    pub fn finished(&mut self, node: usize, end: EndRef) {
        let n = &mut self.nodes[node];
        let Some(link) = n.links.get_mut(&end) else { return };
        link.finished = true;
        if let Some((message, chunk)) = link.arriving.take()
            && let Some(passage) = n.passages.get_mut(&message)
        {
            passage.chunks[chunk].cut = true;
        }
    }

    /// The relay reads a link, or does not.
    pub fn reading(&mut self, node: usize, end: EndRef, reading: bool, now: u64) {
        let Some(link) = self.nodes[node].links.get_mut(&end) else { return };
        if !reading {
            link.paused = Some(now);
        } else if let Some(since) = link.paused.take() {
            link.pauses.push((since, now));
        }
    }

    /// A whole SEND has come to its receiver: it is what was sent. Whether the message is complete.
    pub fn deliver(
        &mut self,
        conn: usize,
        head: &crate::frame::Head,
        range: Option<Range>,
        body: &[u8],
        flag: char,
    ) -> bool {
        let Some(range) = range else {
            self.fail(Rule::Headers, format!("connection {conn} gets a Byte-Range that is none"));
            return false;
        };
        match self.book.deliver(conn, head.message(), range, body, flag) {
            Ok(whole) => whole,
            Err((rule, what)) => {
                self.fail(rule, format!("connection {conn}, message {}: {what}", head.message()));
                false
            }
        }
    }

    // ---- octets

    pub fn octets_in(&mut self, trace: &mut Trace, node: usize, end: EndRef, octets: &[u8], now: u64) {
        let Some(link) = self.nodes[node].links.get_mut(&end) else { return };
        let mut events = Vec::new();
        // Nonsense is for the relay to deal with: nothing of it may come out anywhere.
        let _ = link.incoming.feed(octets, &mut events);
        for event in events {
            self.arrive(trace, node, end, event, now);
        }
    }

    pub fn octets_out(&mut self, trace: &mut Trace, node: usize, end: EndRef, octets: &[u8], now: u64) {
        let Some(link) = self.nodes[node].links.get_mut(&end) else { return };
        link.written += octets.len() as u64;
        link.room_since = None;
        let mut events = Vec::new();
        let read = link.outgoing.feed(octets, &mut events);
        for event in events {
            self.depart(trace, node, end, event, now);
        }
        if let Err(broken) = read {
            self.fail(Rule::Framing, format!("relay {node} writes no MSRP on {end}: {broken:?}"));
        }
    }
}
