//! Transactions: one request and what answers it, each told once (RFC 3261 section 17, RFC 6026), without sockets or clock.
//!
//! ```text
//!   receive ──> key ──┬─> a server's: absorbed, answered again, or told ──> Request, Acknowledged, Cancelled
//!                     └─> a client's: told ──> Response, Failed, Ended
//!   request, acknowledge, cancel, respond ──> Transmit, now and at each timer
//! ```
//!
//! Contract: after each input drain [`Transactions::poll`] to its end, then wait for the next input or for
//! [`Transactions::next_timeout`]. Every input carries `now`; the same inputs and seed give the same outputs.
//!
//! What a user of the layer must know:
//!
//! * The ACK of a 2xx is the user's ([`Transactions::acknowledge`]), that of any other final response is made here. A 2xx that
//!   comes again is acknowledged again here. One 2xx of each fork is told.
//! * A 2xx that the user gives is sent again here until its ACK comes, over any transport.
//! * Provisional responses are passed as they come, repeated ones too: reliable ones (RFC 3262) are between the two ends.
//! * CANCEL is answered here, 481 and 482 and, when there are too many transactions, 503 too.
//!
//! `client` and `server` are the state machines. They change `Outside`, which is everything but themselves: outputs, timers,
//! names. After each event `settle` sets their next timer, one for each, or takes them out. Nothing looks through all of them.

mod branch;
mod client;
mod counts;
mod key;
mod known;
mod outgoing;
mod output;
mod outside;
mod places;
mod server;
mod settings;
mod timers;

#[cfg(test)]
mod tests;

use hashbrown::HashMap;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub use counts::Counts;
pub use output::{ClientId, Failure, Full, Output, ServerId, Unsent};
pub use settings::Settings;

use super::message::Message;
use super::way::FlowId;
use crate::moment::Moment;
use crate::slack::Slack;
use client::Client;
use outside::Outside;
use server::Server;

/// Whose something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Owner {
    Client(ClientId),
    Server(ServerId),
}

impl Owner {
    /// Before all others.
    const FIRST: Owner = Owner::Client(ClientId(0));
}

/// All transactions of one place.
pub struct Transactions {
    clients: HashMap<ClientId, Box<Client>, foldhash::fast::FixedState>,
    servers: HashMap<ServerId, Box<Server>, foldhash::fast::FixedState>,
    outside: Outside,
    last_id: u64,
}

impl Transactions {
    /// None yet. Branches and keys come from `seed`, which nobody else may know.
    pub fn new(settings: Settings, seed: [u8; 32]) -> Transactions {
        let mut random = ChaCha12Rng::from_seed(seed);
        let mut secret = [0; 32];
        random.fill_bytes(&mut secret);
        Transactions {
            clients: HashMap::default(),
            servers: HashMap::default(),
            outside: Outside::new(settings, secret, random),
            last_id: 0,
        }
    }

    /// Puts other bounds in force for what begins from now on; our names and the timers of RFC 3261 stay.
    pub fn reconfigure(&mut self, most: usize, timer_c: std::time::Duration) {
        self.outside.settings.most = most;
        self.outside.settings.timer_c = timer_c;
    }

    /// A message that passed [`framing`](super::framing) and [`gate`](super::gate).
    pub fn receive(&mut self, message: Message, flow: FlowId, now: Moment) {
        match message {
            Message::Request(request) => self.requested(request, flow, now),
            Message::Response(response) => self.responded(response, flow, now),
        }
    }

    /// A connection is gone. Our transactions on it fail (RFC 3261 section 18.4); those of others go on, and their responses
    /// go where Via says (RFC 3261 section 18.2.2).
    pub fn closed(&mut self, flow: FlowId, now: Moment) {
        while let Some(owner) = self.outside.places.take(flow) {
            match owner {
                Owner::Client(id) => self.lost(id, Unsent::Closed, now),
                Owner::Server(id) => {
                    if let Some(server) = self.servers.get_mut(&id) {
                        server.cut_off();
                    }
                }
            }
        }
    }

    /// What is to be done or known next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outside.outputs.pop_front()
    }

    /// Does what is due.
    pub fn timeout(&mut self, now: Moment) {
        while let Some(owner) = self.outside.timers.due(now) {
            match owner {
                Owner::Client(id) => {
                    if let Some(client) = self.clients.get_mut(&id) {
                        client.fire(id, now, &mut self.outside);
                    }
                    self.settle_client(id, now);
                }
                Owner::Server(id) => {
                    if let Some(server) = self.servers.get_mut(&id) {
                        server.fire(id, now, &mut self.outside);
                    }
                    self.settle_server(id);
                }
            }
        }
    }

    /// When [`Transactions::timeout`] is to be called; never if there is nothing to wait for.
    pub fn next_timeout(&self) -> Option<Moment> {
        self.outside.timers.next()
    }

    /// Transactions that we began, those that only absorb repetitions among them.
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    /// Transactions that others began, those that only absorb repetitions among them.
    pub fn servers(&self) -> usize {
        self.servers.len()
    }

    /// Gives back the room that a busy time has needed: to be called now and then.
    pub fn slim(&mut self) {
        self.clients.give_back();
        self.servers.give_back();
        self.outside.names.give_back();
        self.outside.outputs.give_back();
    }

    /// Entries that the tables have room for.
    #[cfg(test)]
    pub(in crate::sip) fn room(&self) -> usize {
        self.clients.capacity() + self.servers.capacity() + self.outside.names.capacity()
    }

    /// All transactions.
    pub fn len(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// Whether no request of ours waits for its final response.
    pub fn is_quiet(&self) -> bool {
        self.clients.values().all(|client| client.is_settled())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counters since the start.
    pub fn counts(&self) -> Counts {
        self.outside.counts
    }

    /// Whether there is room for another: for new work, or for what belongs to work begun.
    fn has_room(&self, new_work: bool) -> bool {
        let most = self.outside.settings.most;
        self.len() < if new_work { most } else { most.saturating_mul(2) }
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }
}
