//! From a seed to everything that shall happen: who is there, who talks to whom, what is said when, what goes wrong.
//!
//! A plan is a list of actions with a time each. A smaller plan is the same list with some of them left out, so a failure
//! can be shrunk and replayed by naming the seed and those that were kept.

use std::time::Duration;

use chappe::relay::Settings;

use crate::dice::Dice;
use crate::frame::Wish;

const MILLI: u64 = 1_000_000;
/// The plan's length in milliseconds.
pub const LENGTH: u64 = 60_000;

/// Sizes and limits of a network.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Shards of each relay.
    pub shards: Vec<u16>,
    pub multiplex: bool,
    pub bulk: bool,
    pub peer_chunk: Option<u64>,
    max_chunk: u64,
    pub session_buffer: usize,
    mailbox: usize,
    reports_per_second: u32,
    transactions: usize,
    pub expire_live: bool,
    /// Longest time in a mailbox, in microseconds.
    pub mail_delay: u64,
    /// Octets that a relay reads at once at most.
    pub piece: usize,
}

impl Shape {
    fn new(dice: &mut Dice) -> Shape {
        let nodes = if dice.one_in(4) { 3 } else { 2 };
        Shape {
            shards: (0..nodes).map(|_| 2 + dice.below(2) as u16).collect(),
            multiplex: !dice.one_in(6),
            bulk: !dice.one_in(3),
            peer_chunk: dice.pick(&[None, None, Some(10_000), Some(4_000)]),
            max_chunk: dice.pick(&[10_000, 10_000, 4_096]),
            session_buffer: dice.pick(&[24_000, 64 << 10, 256 << 10]),
            mailbox: dice.pick(&[4, 32, 4096]),
            reports_per_second: dice.pick(&[50, 50, 3]),
            transactions: dice.pick(&[4096, 4096, 12]),
            expire_live: dice.one_in(2),
            mail_delay: dice.pick(&[50, 1000, 20_000]),
            piece: dice.pick(&[16 << 10, 16 << 10, 3000, 300]),
        }
    }

    /// Puts the limits into a relay's settings.
    pub fn limit(&self, settings: &mut Settings) {
        settings.max_chunk = self.max_chunk;
        settings.auth.expire_live_sessions = self.expire_live;
        settings.auth.min_expires = 20;
        let limits = &mut settings.limits;
        limits.session_buffer = self.session_buffer;
        limits.link_buffer = self.session_buffer * 4;
        limits.response_queue = 64 << 10;
        limits.mailbox = self.mailbox;
        limits.reports_per_second = self.reports_per_second;
        limits.transactions_per_session = self.transactions;
        limits.anchor_reserve = Duration::from_secs(40);
        limits.anchor_media = Duration::from_secs(20);
    }

    /// Largest part toward a person.
    pub fn largest_part(&self) -> u64 {
        self.max_chunk.max(10_000)
    }
}

/// How somebody behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Temper {
    Fast,
    /// Reads or writes a few octets at a time.
    Trickling,
    /// Stops reading for long.
    Stalled,
    /// Ends chunks with `#`.
    Aborting,
    /// Answers wrongly, late, twice or never, claims what is not so.
    Lying,
    /// Comes and goes.
    Disconnecting,
    /// Gets new tokens all the time.
    Reauthenticating,
}

/// Somebody with a connection of his own.
#[derive(Clone, Debug)]
pub struct PersonPlan {
    pub temper: Temper,
    /// The relay that he is a client of, or calls.
    pub home: usize,
    /// Waits for connections.
    pub listens: bool,
}

/// Where one side of a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// A token of his own relay.
    Home,
    /// Tokens of his own relay and one behind it.
    Outer(usize),
    /// No relay: he is called.
    Called,
    /// No relay: he calls the other side's.
    Calls,
    /// A leg of this anchor; true if the relay connects to him.
    Leg(usize, bool),
}

/// Two who talk.
#[derive(Clone, Debug)]
pub struct SessionPlan {
    pub persons: [usize; 2],
    pub ways: [Way; 2],
}

/// A SEND message.
#[derive(Clone, Copy, Debug)]
pub struct Say {
    pub session: usize,
    pub side: usize,
    pub len: usize,
    pub chunks: usize,
    pub wish: Wish,
    pub success: bool,
    pub manner: Manner,
}

/// How a message is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    Plain,
    /// The last chunk ends with `#`.
    Abort,
    /// The last chunk ends with `+`: nothing follows.
    Unfinished,
    /// It pauses for so many milliseconds within a chunk.
    Pause(u64),
    /// Its receiver tells the sender the transact-id that it sees, and the rest of the body forges its end-line.
    Spy,
    /// No body at all.
    Bodiless,
}

/// Something that happens.
#[derive(Clone, Debug)]
pub enum Act {
    Join(usize),
    Say(Say),
    /// New tokens for one side of a session.
    Reauth(usize, usize),
    Whole(usize, usize),
    Lie(usize, usize),
    /// Anchors: reserve, answer, offer anew, end.
    Reserve(usize),
    Set(usize, usize),
    Renew(usize, usize, bool),
    Release(usize, bool),
    Fault(Fault),
}

/// Something that goes wrong. Times are in milliseconds.
#[derive(Clone, Debug)]
pub enum Fault {
    Reset(usize),
    HalfClose(usize),
    StallReading(usize, u64),
    StallLink(usize, u64),
    ResetPeers(usize),
    Restart(usize, u64),
    ShutDown(usize),
    Leap(usize, u64),
    Freeze(usize, u64),
    StoreDown(usize, u64),
    StoreSlow(usize, u64),
    ResolverDown(usize, u64),
    ResolverSlow(usize, u64),
    StallMail(usize, u64),
    CutMoving(usize),
    Reload(usize),
    Rest(usize),
}

/// One entry of a plan.
#[derive(Clone, Debug)]
pub struct Action {
    /// Nanoseconds from the start.
    pub at: u64,
    /// Its own chance.
    pub dice: Dice,
    pub act: Act,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct Plan {
    pub shape: Shape,
    pub persons: Vec<PersonPlan>,
    pub sessions: Vec<SessionPlan>,
    /// Home relay and session of each anchor.
    pub anchors: Vec<(usize, usize)>,
    pub actions: Vec<Action>,
}

impl Plan {
    pub fn new(seed: u64) -> Plan {
        let mut dice = Dice::new(seed);
        let shape = Shape::new(&mut dice);
        let mut plan =
            Plan { shape, persons: Vec::new(), sessions: Vec::new(), anchors: Vec::new(), actions: Vec::new() };
        plan.invite(&mut dice);
        plan.talk(&mut dice);
        plan.harm(&mut dice);
        plan.actions.sort_by_key(|a| a.at);
        plan
    }

    /// The same with these actions alone.
    pub fn keep(&self, mut kept: impl FnMut(usize) -> bool) -> Plan {
        let actions = self.actions.iter().enumerate().filter(|(i, _)| kept(*i)).map(|(_, a)| a.clone()).collect();
        Plan { actions, ..self.clone() }
    }

    fn add(&mut self, dice: &mut Dice, at: u64, act: Act) {
        self.actions.push(Action { at: at * MILLI + dice.between(0, MILLI - 1), dice: dice.fork(), act });
    }

    fn person(&mut self, dice: &mut Dice, listens: bool) -> usize {
        use Temper::*;
        const TEMPERS: [Temper; 10] =
            [Fast, Fast, Fast, Trickling, Stalled, Aborting, Lying, Lying, Disconnecting, Reauthenticating];
        let home = dice.below(self.shape.shards.len());
        self.persons.push(PersonPlan { temper: dice.pick(&TEMPERS), home, listens });
        self.persons.len() - 1
    }

    /// Persons and sessions between them.
    fn invite(&mut self, dice: &mut Dice) {
        let members: Vec<usize> = (0..14 + dice.below(4)).map(|_| self.person(dice, false)).collect();
        let called: Vec<usize> = (0..2).map(|_| self.person(dice, true)).collect();
        for _ in 0..members.len() * 3 / 2 {
            let (a, b) = (dice.pick(&members), dice.pick(&members));
            if a != b {
                self.sessions.push(SessionPlan { persons: [a, b], ways: [Way::Home, Way::Home] });
            }
        }
        for _ in 0..5 {
            let (a, b) = (dice.pick(&members), dice.pick(&called));
            self.sessions.push(SessionPlan { persons: [a, b], ways: [Way::Home, Way::Called] });
        }
        for _ in 0..2 {
            let b = self.person(dice, false);
            let a = dice.pick(&members);
            self.persons[b].home = self.persons[a].home;
            self.sessions.push(SessionPlan { persons: [a, b], ways: [Way::Home, Way::Calls] });
        }
        for _ in 0..2 {
            // A path never comes back to a relay that it has left.
            let a = dice.pick(&members);
            let outer = (self.persons[a].home + 1) % self.shape.shards.len();
            let near: Vec<usize> = members.iter().copied().filter(|m| self.persons[*m].home == outer).collect();
            let (b, way) = if near.is_empty() || dice.one_in(2) {
                (dice.pick(&called), Way::Called)
            } else {
                (dice.pick(&near), Way::Home)
            };
            self.sessions.push(SessionPlan { persons: [a, b], ways: [Way::Outer(outer), way] });
        }
        for _ in 0..3 {
            let home = dice.below(self.shape.shards.len());
            let anchor = self.anchors.len();
            let dialled = dice.one_in(3);
            let (a, b) = (self.person(dice, false), self.person(dice, dialled));
            (self.persons[a].home, self.persons[b].home) = (home, home);
            self.anchors.push((home, self.sessions.len()));
            let ways = [Way::Leg(anchor, false), Way::Leg(anchor, dialled)];
            self.sessions.push(SessionPlan { persons: [a, b], ways });
        }
    }

    /// What is said.
    fn talk(&mut self, dice: &mut Dice) {
        for person in 0..self.persons.len() {
            let at = dice.between(0, 800);
            self.add(dice, at, Act::Join(person));
            if self.persons[person].temper == Temper::Lying {
                for _ in 0..6 {
                    let (at, kind) = (dice.between(2000, LENGTH), dice.below(LIES));
                    self.add(dice, at, Act::Lie(person, kind));
                }
            }
        }
        for anchor in 0..self.anchors.len() {
            let at = dice.between(500, 5000);
            self.add(dice, at, Act::Reserve(anchor));
            for side in 0..2 {
                let at = at + dice.between(100, 4000);
                self.add(dice, at, Act::Set(anchor, side));
            }
            if dice.one_in(2) {
                let (at, side, keep) = (dice.between(15_000, 40_000), dice.below(2), !dice.one_in(3));
                self.add(dice, at, Act::Renew(anchor, side, keep));
            }
            if !dice.one_in(3) {
                let (at, bye) = (dice.between(30_000, LENGTH), !dice.one_in(3));
                self.add(dice, at, Act::Release(anchor, bye));
            }
        }
        let big = dice.below(self.sessions.len());
        for n in 0..1150 {
            // Sessions are not equally busy.
            let session = dice.below(self.sessions.len()).min(dice.below(self.sessions.len()));
            let session = if n < 4 { big } else { session };
            let side = dice.below(2);
            let at = dice.between(1500, LENGTH);
            let say = self.say(dice, session, side, n < 3);
            self.add(dice, at, Act::Say(say));
            // Often some at once, which share a link.
            if dice.one_in(8) {
                for _ in 0..dice.below(8) {
                    let session = if dice.one_in(2) { session } else { dice.below(self.sessions.len()) };
                    let say = self.say(dice, session, side, false);
                    self.add(dice, at, Act::Say(say));
                }
            }
        }
        for session in 0..self.sessions.len() {
            for side in 0..2 {
                let often = self.persons[self.sessions[session].persons[side]].temper == Temper::Reauthenticating;
                for _ in 0..if often { 4 } else { usize::from(dice.one_in(4)) } {
                    let at = dice.between(5000, LENGTH);
                    self.add(dice, at, Act::Reauth(session, side));
                }
            }
            if dice.one_in(2) {
                let (at, side) = (dice.between(3000, LENGTH), dice.below(2));
                self.add(dice, at, Act::Whole(session, side));
            }
        }
    }

    fn say(&mut self, dice: &mut Dice, session: usize, side: usize, big: bool) -> Say {
        let temper = self.persons[self.sessions[session].persons[side]].temper;
        let len = match dice.below(20) {
            _ if big => 150_000 + dice.below(450_000),
            0 => 0,
            1..=10 => 1 + dice.below(200),
            11..=14 => 1 + dice.below(2048),
            15..=17 => 2000 + dice.below(9000),
            18 => 9_990 + dice.below(15_000),
            _ => 20_000 + dice.below(60_000),
        };
        let manner = match dice.below(24) {
            0 | 1 if temper == Temper::Aborting => Manner::Abort,
            2 | 4 if temper == Temper::Aborting => Manner::Unfinished,
            0..2 if temper == Temper::Lying => Manner::Spy,
            3 => Manner::Pause(dice.pick(&[20, 200, 3000, 14_000])),
            4 => Manner::Abort,
            5 => Manner::Spy,
            6 => Manner::Bodiless,
            _ => Manner::Plain,
        };
        let len = if manner == Manner::Spy { len.max(5000) } else { len };
        let len = if manner == Manner::Bodiless { 0 } else { len };
        let chunks = if len > 10 && manner != Manner::Spy { 1 + dice.below(3) * dice.below(3) } else { 1 };
        let wish = dice.pick(&[Wish::Yes, Wish::Yes, Wish::Yes, Wish::Partial, Wish::No]);
        Say { session, side, len, chunks, wish, success: dice.one_in(6), manner }
    }

    /// What goes wrong.
    fn harm(&mut self, dice: &mut Dice) {
        let nodes = self.shape.shards.len();
        let people = self.persons.len();
        for _ in 0..10 + dice.below(10) {
            let (node, who) = (dice.below(nodes), dice.below(people));
            let time = dice.pick(&[300, 2000, 9000, 35_000]);
            let fault = match dice.below(32) {
                0..=4 => Fault::Reset(who),
                5 | 6 => Fault::HalfClose(who),
                7..=9 => Fault::StallReading(who, time),
                10..=12 => Fault::StallLink(who, time),
                13 | 14 => Fault::ResetPeers(dice.below(8)),
                15 => Fault::Restart(node, time.min(4000)),
                16 if dice.one_in(2) => Fault::ShutDown(node),
                16 | 17 => Fault::Leap(node, dice.pick(&[900, 12_000, 40_000])),
                18 | 19 => Fault::Freeze(node, time.min(6000)),
                20 | 21 => Fault::StoreDown(node, time),
                22 => Fault::StoreSlow(node, time),
                23 | 24 => Fault::ResolverDown(node, time),
                25 => Fault::ResolverSlow(node, time),
                26 | 27 => Fault::StallMail(node, time.min(4000)),
                28 | 29 => Fault::CutMoving(node),
                30 => Fault::Reload(node),
                _ => Fault::Rest(node),
            };
            let early = matches!(fault, Fault::CutMoving(_) | Fault::StoreDown(..) | Fault::StoreSlow(..));
            let at = if early && dice.one_in(2) { dice.between(100, 3000) } else { dice.between(2000, LENGTH) };
            self.add(dice, at, Act::Fault(fault));
        }
        for person in 0..people {
            let disconnecting = self.persons[person].temper == Temper::Disconnecting;
            let stalled = self.persons[person].temper == Temper::Stalled;
            if disconnecting {
                for _ in 0..2 {
                    let at = dice.between(4000, LENGTH);
                    let fault = if dice.one_in(3) { Fault::HalfClose(person) } else { Fault::Reset(person) };
                    self.add(dice, at, Act::Fault(fault));
                }
            }
            if stalled {
                let (at, time) = (dice.between(3000, LENGTH), dice.pick(&[5000, 25_000, 45_000, 130_000]));
                self.add(dice, at, Act::Fault(Fault::StallReading(person, time)));
            }
        }
    }
}

/// Kinds of lies (`client::lies`).
pub const LIES: usize = 14;
