//! Connections: two ends, two pipes that hold no more than sockets do, with delay, rate and stalls of their own.

use std::collections::VecDeque;

use chappe::relay::LinkId;

/// One end of a wire, named for good: a link keeps it when it moves to another shard.
pub type EndRef = usize;

/// Who is at an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Plug {
    /// A link of a relay.
    Link { node: usize, shard: u16, id: LinkId },
    /// A link on its way to another shard of this relay.
    Moving { node: usize },
    /// A connection of a person.
    Conn(usize),
    /// Nobody any more.
    Gone,
}

impl Plug {
    /// The relay that it belongs to.
    pub fn node(self) -> Option<usize> {
        match self {
            Plug::Link { node, .. } | Plug::Moving { node } => Some(node),
            Plug::Conn(_) | Plug::Gone => None,
        }
    }
}

/// One end.
pub struct End {
    pub plug: Plug,
    /// What a relay has handed out and this end's socket has not taken.
    pub batch: VecDeque<u8>,
    /// The relay wants input.
    pub reading: bool,
    /// Since when it does not.
    pub unread_since: Option<u64>,
    /// It has been told that no more comes.
    pub finished: bool,
}

/// One direction: what has been written and not been read.
pub struct Pipe {
    /// Nanoseconds on the way.
    pub latency: u64,
    /// Octets in a second.
    pub rate: Option<u64>,
    /// Octets that both sockets together hold.
    pub room: usize,
    /// With the time of arrival.
    pub flight: VecDeque<(u64, Vec<u8>)>,
    /// With the time when it came.
    pub arrived: VecDeque<(u64, Vec<u8>)>,
    within: usize,
    /// It was full and has not been read to its half: as TCP does, it takes nothing rather than an octet at a time (RFC 9293
    /// section 3.8.6.2).
    full: bool,
    last: u64,
    /// Nothing arrives before this.
    pub stalled_until: u64,
    /// The writer has finished.
    pub fin: bool,
}

impl Pipe {
    pub fn new(latency: u64, rate: Option<u64>, room: usize) -> Pipe {
        Pipe {
            latency,
            rate,
            room,
            flight: VecDeque::new(),
            arrived: VecDeque::new(),
            within: 0,
            full: false,
            last: 0,
            stalled_until: 0,
            fin: false,
        }
    }

    /// Octets that it takes now.
    pub fn free(&self) -> usize {
        if self.full { 0 } else { self.room.saturating_sub(self.within) }
    }

    pub fn is_empty(&self) -> bool {
        self.within == 0
    }

    /// Takes octets; when they will be there.
    pub fn push(&mut self, octets: Vec<u8>, now: u64) -> u64 {
        let busy = self.rate.map_or(0, |rate| octets.len() as u64 * 1_000_000_000 / rate.max(1));
        let at = (now + self.latency).max(self.last).max(self.stalled_until) + busy;
        self.last = at;
        self.within += octets.len();
        self.full |= self.within >= self.room;
        self.flight.push_back((at, octets));
        at
    }

    /// What is due has arrived. When the next will, if a stall has come between.
    pub fn arrive(&mut self, now: u64) -> Option<u64> {
        if now < self.stalled_until && !self.flight.is_empty() {
            return Some(self.stalled_until);
        }
        while let Some((_, octets)) = self.flight.pop_front_if(|(at, _)| *at <= now) {
            self.arrived.push_back((now, octets));
        }
        None
    }

    /// Up to so many octets of what has arrived.
    pub fn read(&mut self, most: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while out.len() < most {
            let Some((_, front)) = self.arrived.front_mut() else { break };
            let n = front.len().min(most - out.len());
            out.extend(front.drain(..n));
            if front.is_empty() {
                self.arrived.pop_front();
            }
        }
        self.within -= out.len();
        self.full &= self.within > self.room / 2;
        out
    }

    /// Everything is lost.
    pub fn clear(&mut self) {
        self.flight.clear();
        self.arrived.clear();
        (self.within, self.full) = (0, false);
    }
}

/// A connection.
pub struct Wire {
    pub ends: [End; 2],
    /// Toward each end.
    pub pipes: [Pipe; 2],
    /// Octets that a relay reads at once at most.
    pub piece: usize,
}

impl Wire {
    pub fn new(plugs: [Plug; 2], pipes: [Pipe; 2], piece: usize) -> Wire {
        let end = |plug| End { plug, batch: VecDeque::new(), reading: true, unread_since: None, finished: false };
        Wire { ends: plugs.map(end), pipes, piece }
    }

    /// It joins two relays.
    pub fn between_relays(&self) -> bool {
        self.ends.iter().all(|e| e.plug.node().is_some())
    }
}
