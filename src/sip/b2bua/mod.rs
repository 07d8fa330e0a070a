//! The back-to-back user agent: two dialogs for each call, and between them the relay (RFC 3261, RFC 3264).
//!
//! ```text
//!   A ── INVITE, offer ──> [B2bua] ── Admit, Route, Reserve ──> who runs it
//!                             │  <─── admitted, routed, reserved
//!                             ├── INVITE, offer with our URI ──> B
//!                             │  <── 200, answer ── B
//!                             ├── Set (both legs) ──> the shard
//!   A <── 200, our answer ────┘
//! ```
//!
//! It is a state machine without a clock or a socket: what it wants done comes out of [`B2bua::poll`] as an [`Output`], what was
//! done goes in by name. After each input take the outputs to the end, then wait for the next input or
//! [`next_timeout`](B2bua::next_timeout).
//!
//! * `admission` looks at requests that begin something. `invite` takes an INVITE across, `responses` what comes back, `forks`
//!   those who answer beside the first, `acks` the end of it; `passing` does all that for other requests in a dialog.
//! * `carry` is the one place where descriptions are looked at: whatever message has one. [`media`](self) plans what becomes of
//!   each m-line, `exchange` is an offer without its answer, `wants` what it asks of the relay.
//! * `ending` is BYE, CANCEL and refusals, `failing` all that ends a call by itself; `refreshing` the session timers of either
//!   leg.
//! * `connections` knows which legs lose their way with a connection, `strays` finds anchors whose news were lost.
//! * [`dialog`], [`body`] and [`session_timer`] are the parts: values without a call.

mod acks;
mod admission;
pub mod body;
mod budget;
mod call;
mod carry;
mod connections;
mod copied;
pub mod dialog;
mod ended;
mod ending;
mod event;
mod exchange;
mod failing;
mod forks;
mod invite;
mod media;
mod passing;
mod phrase;
mod refreshing;
mod responses;
pub mod session_timer;
mod settings;
mod strays;
#[cfg(test)]
mod tests;
mod wants;
mod written;

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

pub use event::{CallEvent, CallRecord, Cause, EndedBy};
pub use media::{AnchorRef, MediaSettings, MsrpListener};
pub use settings::{Admission, Forks, Refusal, Routed, Settings};

use self::budget::Budget;
use self::call::{Asked, Call, Owner, Served};
use self::connections::Connections;
use self::dialog::DialogKey;
use self::ended::Ended;
use self::strays::Strays;
use crate::moment::Moment;
use crate::relay::{AnchorError, AnchorNews, AnchorWish, LegTerms, Reserved, SessionEnd, Side};
use crate::sip::message::{Message, Request};
use crate::sip::transaction::{self, ClientId, ServerId, Transactions, Unsent};
use crate::sip::way::{FlowId, Target, Way};
use crate::slack::Slack;

/// A call of ours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallKey(u64);

/// What a command about an anchor is for: comes back with its result.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ticket {
    call: CallKey,
    /// Which exchange of the call.
    exchange: u64,
    line: usize,
    side: Side,
}

/// What the machine wants done.
#[derive(Debug)]
pub enum Output {
    /// Send this; if it cannot be sent, tell [`B2bua::unsent`] whose it was.
    Transmit {
        /// The message.
        octets: Bytes,
        /// How.
        way: Way,
        /// Which transaction of ours.
        of: Option<ClientId>,
    },
    /// Whether this request may begin something: answer by [`B2bua::admitted`].
    Admit {
        /// The transaction.
        server: ServerId,
        /// INVITE or OPTIONS.
        request: Box<Request>,
        /// Where it came from.
        flow: FlowId,
    },
    /// Where a call goes: answer by [`B2bua::routed`].
    Route {
        /// The call.
        call: CallKey,
        /// The Request-URI.
        uri: String,
        /// The values of Route, those that name us among them; none of a stranger's.
        routes: Vec<String>,
        /// Whether its caller had to show who it is: then only what the operator's policy allows may be reached.
        stranger: bool,
    },
    /// This target did not take a call: others try it last for a while (RFC 3263 section 4.3).
    Rest {
        /// Which one.
        target: Target,
    },
    /// Where in-dialog requests go: answer by [`B2bua::located`].
    Locate {
        /// The call.
        call: CallKey,
        /// Which leg.
        side: Side,
        /// The next hop.
        uri: String,
    },
    /// Which of these URIs of ours have a living session: answer by [`B2bua::looked_up`].
    LookUp {
        /// What for.
        ticket: Ticket,
        /// The URIs.
        uris: Vec<Arc<[u8]>>,
    },
    /// Reserve an anchor on whatever shard: answer by [`B2bua::reserved`].
    Reserve {
        /// What for.
        ticket: Ticket,
        /// For whom, and where its ends reach us.
        wish: AnchorWish,
    },
    /// Make another URI for a leg: answer by [`B2bua::renewed`].
    Renew {
        /// What for.
        ticket: Ticket,
        /// The anchor.
        at: AnchorRef,
        /// Which leg.
        side: Side,
    },
    /// That URI is not needed.
    Withdraw {
        /// The anchor.
        at: AnchorRef,
        /// Which leg.
        side: Side,
    },
    /// Tell a leg its terms: answer by [`B2bua::set`].
    Set {
        /// What for.
        ticket: Ticket,
        /// The anchor.
        at: AnchorRef,
        /// Which leg.
        side: Side,
        /// The terms.
        terms: LegTerms,
        /// The URI of ours with which their path begins: of a session, on whatever shard, that must live.
        through: Option<Arc<[u8]>>,
    },
    /// End an anchor.
    Release {
        /// The anchor.
        at: AnchorRef,
        /// Why.
        end: SessionEnd,
    },
    /// Which of these anchors are not there: answer by [`B2bua::not_found`], or not at all.
    Find {
        /// All that have not told their end.
        anchors: Vec<AnchorRef>,
    },
    /// For metrics and records.
    Event(CallEvent),
}

/// All calls.
pub struct B2bua {
    settings: Settings,
    transactions: Transactions,
    random: ChaCha12Rng,
    /// Boxed, since each takes kilobytes and a table has empty places.
    calls: HashMap<CallKey, Box<Call>>,
    next_call: u64,
    dialogs: HashMap<DialogKey, Owner>,
    /// Call-ID and tag of our own INVITEs: one that comes back has gone in a circle.
    asked: HashSet<(String, String)>,
    ended: Ended,
    /// Requests that wait to be admitted, in the order of their deadlines.
    admitting: VecDeque<(Moment, ServerId)>,
    servers: HashMap<ServerId, Served>,
    clients: HashMap<ClientId, Asked>,
    /// Whose an anchor is, until it has told its end.
    anchors: HashMap<AnchorRef, CallKey>,
    connections: Connections,
    /// Connections that failed, by caller.
    budget: Budget,
    strays: Strays,
    timers: BTreeSet<(Moment, CallKey)>,
    outputs: VecDeque<Output>,
    draining: bool,
}

/// What others do for us is done by then, or counts as failed: admission, routing, commands about anchors.
const STEP: Duration = Duration::from_secs(10);

impl B2bua {
    /// Nothing is going on yet. Tags, Call-IDs and branches follow from the seed, which must be secret.
    pub fn new(settings: Settings, transactions: transaction::Settings, seed: [u8; 32]) -> B2bua {
        let mut random = ChaCha12Rng::from_seed(seed);
        let mut other = [0; 32];
        random.fill_bytes(&mut other);
        B2bua {
            settings,
            transactions: Transactions::new(transactions, other),
            random,
            calls: HashMap::new(),
            next_call: 0,
            dialogs: HashMap::new(),
            asked: HashSet::new(),
            ended: Ended::default(),
            admitting: VecDeque::new(),
            servers: HashMap::new(),
            clients: HashMap::new(),
            anchors: HashMap::new(),
            connections: Connections::default(),
            budget: Budget::default(),
            strays: Strays::default(),
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            draining: false,
        }
    }

    /// A message that passed framing and gate.
    pub fn receive(&mut self, message: Message, flow: FlowId, now: Moment) {
        self.transactions.receive(message, flow, now);
        self.work(now);
    }

    /// Whether a message belongs to a call or transaction of ours, be it over.
    pub fn knows(&self, message: &Message) -> bool {
        let of_dialog = |request| {
            let key = dialog::key_of_request(request);
            key.is_some_and(|key| self.dialogs.contains_key(&key) || self.ended.knows(&key))
        };
        self.transactions.knows(message)
            || matches!(message, Message::Request(request) if of_dialog(request) || self.is_own(request))
    }

    /// What a transaction of ours wanted to send could not be sent.
    pub fn unsent(&mut self, id: ClientId, why: Unsent, now: Moment) {
        self.transactions.unsent(id, why, now);
        self.work(now);
    }

    /// A connection is gone.
    pub fn closed(&mut self, flow: FlowId, now: Moment) {
        self.leave_connection(flow);
        self.transactions.closed(flow, now);
        self.work(now);
    }

    /// Time has come.
    pub fn timeout(&mut self, now: Moment) {
        self.transactions.timeout(now);
        self.work(now);
        while let Some((at, key)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, key));
            if let Some(call) = self.calls.get_mut(&key) {
                call.armed = Moment::FAR;
            }
            self.call_timeout(key, now);
            self.work(now);
        }
        self.give_up_admitting(now);
        self.ended.expire(now);
        self.look_for_strays(now);
        self.work(now);
    }

    /// When [`timeout`](B2bua::timeout) is due.
    pub fn next_timeout(&self) -> Option<Moment> {
        let calls = self.timers.first().map(|(at, _)| *at);
        let admitting = self.admitting.front().map(|(at, _)| *at);
        [self.transactions.next_timeout(), calls, admitting, self.ended.next(), self.strays.next()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Other rules, for whatever happens from now on; calls keep their route.
    pub fn reconfigure(&mut self, settings: Settings, transactions: &transaction::Settings) {
        self.settings = settings;
        self.transactions.reconfigure(transactions.most, transactions.timer_c);
    }

    /// Gives back the room that a busy time has needed: to be called now and then.
    pub fn slim(&mut self) {
        self.transactions.slim();
        self.calls.give_back();
        self.dialogs.give_back();
        self.asked.give_back();
        self.ended.slim();
        self.admitting.give_back();
        self.servers.give_back();
        self.clients.give_back();
        self.anchors.give_back();
        self.connections.slim();
        self.budget.slim();
        self.outputs.give_back();
    }

    /// No new calls: 503 from now on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Ends all calls, for the end of the process.
    pub fn end_all(&mut self, now: Moment) {
        self.draining = true;
        let keys: Vec<CallKey> = self.calls.keys().copied().collect();
        for key in keys {
            self.end(key, Cause::Operator, EndedBy::Us, now);
        }
        self.work(now);
    }

    /// Call-ID of the call that an anchor belongs to, as its caller gave it.
    pub fn call_id(&self, at: AnchorRef) -> Option<&str> {
        let call = self.calls.get(self.anchors.get(&at)?)?;
        Some(&call.call_id)
    }

    /// Calls now; each has up to two dialogs.
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// Dialogs now, early ones and those of either leg among them.
    pub fn dialogs(&self) -> usize {
        self.dialogs.len()
    }

    /// Whether an anchor is to tell its end.
    pub fn awaits(&self, at: AnchorRef) -> bool {
        self.anchors.contains_key(&at)
    }

    /// Anchors that have not told their end.
    pub fn anchors(&self) -> usize {
        self.anchors.len()
    }

    /// Timers of calls; those of transactions are the transactions'.
    pub fn timers(&self) -> usize {
        self.timers.len()
    }

    /// The transactions, for their counters.
    pub fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    fn work(&mut self, now: Moment) {
        while let Some(output) = self.transactions.poll() {
            match output {
                transaction::Output::Transmit { octets, way, of } => {
                    self.outputs.push_back(Output::Transmit { octets, way, of });
                }
                transaction::Output::Request { id, request, flow } => self.requested(id, request, flow, now),
                transaction::Output::Acknowledged { id, ack, flow } => self.acknowledged(id, &ack, flow, now),
                transaction::Output::Unacknowledged { id } => self.unacknowledged(id, now),
                transaction::Output::Cancelled { id, reasons } => self.cancelled(id, &reasons, now),
                transaction::Output::Response { id, response, flow } => self.responded(id, response, flow, now),
                transaction::Output::Failed { id, .. } => self.failed(id, now),
                transaction::Output::Ended { id } => self.over(id, now),
            }
        }
    }

    /// A random token: tags and Call-IDs.
    fn token(&mut self) -> String {
        let mut octets = [0; 12];
        self.random.fill_bytes(&mut octets);
        octets.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn tell(&mut self, event: CallEvent) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Wakes a call at the first of its deadlines.
    fn arm(&mut self, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let next = call.deadline();
        if next != call.armed {
            self.timers.remove(&(call.armed, key));
            call.armed = next;
            if next != Moment::FAR {
                self.timers.insert((next, key));
            }
        }
    }
}

/// A result that came too late for its call.
type Late<T> = Result<T, AnchorError>;

impl B2bua {
    /// The answer to [`Output::LookUp`].
    pub fn looked_up(&mut self, ticket: Ticket, living: Vec<Arc<[u8]>>, now: Moment) {
        self.plan_with(ticket, living, now);
        self.work(now);
    }

    /// The answer to [`Output::Reserve`].
    pub fn reserved(&mut self, ticket: Ticket, result: Result<(u16, Reserved), AnchorError>, now: Moment) {
        self.take_reserved(ticket, result, now);
        self.work(now);
    }

    /// The answer to [`Output::Renew`].
    pub fn renewed(&mut self, ticket: Ticket, at: AnchorRef, result: Late<Arc<[u8]>>, now: Moment) {
        self.take_renewed(ticket, at, result, now);
        self.work(now);
    }

    /// The answer to [`Output::Set`].
    pub fn set(&mut self, ticket: Ticket, result: Late<()>, now: Moment) {
        self.take_set(ticket, result, now);
        self.work(now);
    }

    /// What an anchor tells.
    pub fn news(&mut self, at: AnchorRef, news: &AnchorNews, now: Moment) {
        self.take_news(at, news, now);
        self.work(now);
    }
}
