//! One shard: a pinned thread, its runtime, its listeners, its core.
//!
//! The task that has read octets of a link opens them, lets the core deal with them and writes whatever became due on any
//! link, before it waits again: no other task and no other core is woken on the way of a message.

#![expect(clippy::disallowed_methods, reason = "a few tasks per shard and one per connection, none per message")]

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::sync::{Notify, mpsc};
use tokio::task::{AbortHandle, spawn_local};

use super::connection::{Connection, Parts, Scratch};
use super::dial::DialError;
use super::engine::{self, Calls};
use super::mailbox::{Message, Outbox};
use super::resolve::Resolver;
use super::shared::Shared;
use crate::control::{Command, IoCounts, Snapshot};
use crate::moment::Moment;
use crate::relay::{LinkId, MovedLink, Output, Relay, Transmit};

/// Octets handed to a socket in one batch.
const ROOM: usize = 64 << 10;

/// A link's connection and the task that serves it.
pub(super) struct Served {
    pub(super) connection: Rc<Connection>,
    pub(super) task: Option<AbortHandle>,
}

pub(super) struct State {
    pub(super) relay: Relay,
    pub(super) links: HashMap<LinkId, Served>,
    outboxes: Vec<Outbox>,
    transmit: Transmit,
    scratch: Scratch,
    pub(super) plain: BytesMut,
}

/// One shard of the data plane, on its own thread.
pub struct Shard {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u16,
    pub(super) state: RefCell<State>,
    timer: Cell<Moment>,
    timer_changed: Notify,
    /// Those that wait for the word to accept.
    listeners: RefCell<Vec<super::accept::Listener>>,
    released: Cell<bool>,
    release: Notify,
    pub(super) stopping: Cell<bool>,
    stopped: Notify,
    /// Mailboxes whose room a task waits for.
    waits: RefCell<Vec<usize>>,
    /// Sockets that are open for their last frames only.
    pub(super) lingering: Cell<usize>,
    pub(super) io: Io,
    /// Connections that have read, and have not been found at rest since.
    pub(super) awake: RefCell<Vec<(LinkId, std::rc::Weak<Connection>)>>,
    resolver: RefCell<Option<Rc<Resolver>>>,
}

/// Counters of the sockets.
#[derive(Default)]
pub(super) struct Io {
    pub(super) calls: Calls,
    pub(super) handshakes: [Cell<u64>; 2],
    pub(super) handshake_failures: Cell<u64>,
    pub(super) refused: [Cell<u64>; 4],
    pub(super) dials: [Cell<u64>; 2],
}

pub(super) fn bump(cell: &Cell<u64>) {
    cell.set(cell.get() + 1);
}

impl Shard {
    /// A shard that serves nothing yet.
    pub fn new(shared: Arc<Shared>, number: u16, outboxes: Vec<Outbox>, seed: [u8; 32]) -> Rc<Shard> {
        let relay = Relay::new(shared.settings.load_full(), number, seed);
        let state = State {
            relay,
            links: HashMap::new(),
            outboxes,
            transmit: Transmit::default(),
            scratch: Scratch::default(),
            plain: BytesMut::new(),
        };
        Rc::new(Shard {
            shared,
            number,
            state: RefCell::new(state),
            timer: Cell::new(Moment::FAR),
            timer_changed: Notify::new(),
            listeners: RefCell::default(),
            released: Cell::new(false),
            release: Notify::new(),
            stopping: Cell::new(false),
            stopped: Notify::new(),
            waits: RefCell::default(),
            lingering: Cell::new(0),
            io: Io::default(),
            awake: RefCell::default(),
            resolver: RefCell::default(),
        })
    }

    /// The shard's resolver, made when it is first needed and again after a reload.
    pub(super) fn resolver(&self) -> Result<Rc<Resolver>, DialError> {
        if let Some(resolver) = &*self.resolver.borrow() {
            return Ok(resolver.clone());
        }
        let resolver = Rc::new(Resolver::from_system()?);
        if resolver.is_lasting() {
            *self.resolver.borrow_mut() = Some(resolver.clone());
        }
        Ok(resolver)
    }

    /// Runs until it is told to stop and all links have had their goodbye. Accepts connections when it is told to.
    pub async fn run(
        self: Rc<Self>,
        listeners: Vec<super::accept::Listener>,
        mut mailbox: mpsc::Receiver<(u16, Message)>,
        mut commands: mpsc::Receiver<Command>,
    ) {
        self.listeners.replace(listeners);
        spawn_local(self.clone().keep_time());
        spawn_local(self.clone().shrink_resting());
        let shard = self.clone();
        spawn_local(async move {
            while let Some((from, message)) = mailbox.recv().await {
                shard.receive(from, message);
                // All that is there is dealt with before anything is written.
                while let Ok((from, message)) = mailbox.try_recv() {
                    shard.receive(from, message);
                }
                shard.turn();
            }
        });
        let shard = self.clone();
        spawn_local(async move {
            while let Some(command) = commands.recv().await {
                shard.obey(command);
            }
        });
        self.stopped.notified().await;
        let until = self.shared.clock.now() + super::serving::LINGER;
        loop {
            // A link that was on its way here says its goodbye, too.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            let done = self.lingering.get() == 0 && self.state.borrow().links.is_empty();
            if done || self.shared.clock.now() >= until {
                break;
            }
        }
    }

    // ---- the core's turn

    /// Lets the core deal with something, then does all that it wants done.
    pub(super) fn with<T>(self: &Rc<Self>, act: impl FnOnce(&mut Relay, Moment) -> T) -> T {
        let now = self.shared.clock.now();
        let result = act(&mut self.state.borrow_mut().relay, now);
        self.turn();
        result
    }

    /// Outputs, then writes, until there is nothing more; then the timer.
    pub(super) fn turn(self: &Rc<Self>) {
        let now = self.shared.clock.now();
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        let mut settled = false;
        loop {
            // Looking for touched links lets stopped ones go on, and settling may close some: both want something done.
            let mut acted = false;
            while let Some(output) = state.relay.poll_output() {
                self.act(state, output);
                acted = true;
            }
            if let Some(link) = state.relay.poll_touched(now) {
                self.transmit(state, link, now);
                settled = false;
            } else if !settled || acted {
                state.relay.settle(now);
                settled = true;
            } else {
                break;
            }
        }
        self.check_stopped(state);
        let next = state.relay.poll_timeout().unwrap_or(Moment::FAR);
        for (to, outbox) in state.outboxes.iter_mut().enumerate() {
            if !outbox.flush(self.number) {
                self.wait_for_room(to, outbox);
            }
        }
        drop(guard);
        if next < self.timer.get() {
            self.timer.set(next);
            self.timer_changed.notify_one();
        }
    }

    /// One task at a time waits for a full mailbox.
    fn wait_for_room(self: &Rc<Self>, to: usize, outbox: &Outbox) {
        if self.waits.borrow().contains(&to) {
            return;
        }
        self.waits.borrow_mut().push(to);
        let (shard, queue) = (self.clone(), outbox.queue());
        spawn_local(async move {
            let room = queue.reserve().await.is_ok();
            shard.waits.borrow_mut().retain(|t| *t != to);
            if room {
                shard.turn();
            }
        });
    }

    fn act(self: &Rc<Self>, state: &mut State, output: Output) {
        match output {
            Output::Dial { link, to, user } => {
                spawn_local(self.clone().dial(link, to, user));
            }
            Output::LookUp { link, ticket, user, peer, in_session } => {
                let shard = self.clone();
                let shared = self.shared.clone();
                let look_up = self.shared.control.spawn(async move { shared.look_up(&user, peer, in_session).await });
                spawn_local(async move {
                    let answer = look_up.await.unwrap_or(Err(crate::relay::LookUpFailure::Unavailable));
                    shard.with(|relay, now| relay.handle_account(link, ticket, answer, now));
                });
            }
            Output::Release { user } => self.shared.leases.release_token(&user),
            Output::Close { link, reason } => {
                if let Some(served) = state.links.remove(&link) {
                    self.linger(served.connection.close_for(reason), reason);
                }
                self.check_stopped(state);
            }
            Output::Move { link, to, state: moved } => self.move_away(state, link, to, moved),
            Output::Post { to, parcel } => {
                if let Some(outbox) = state.outboxes.get_mut(usize::from(to)) {
                    outbox.post(self.number, Message::Parcel(parcel));
                }
            }
            Output::Event(event) => self.shared.tell(event),
        }
    }

    /// Writes what is due on a link, as long as its socket takes it.
    pub(super) fn transmit(self: &Rc<Self>, state: &mut State, id: LinkId, now: Moment) {
        let Some(served) = state.links.get(&id) else {
            // Without a connection only the core's own bookkeeping is due.
            state.relay.poll_transmit(id, ROOM, now, &mut state.transmit);
            return;
        };
        let connection = served.connection.clone();
        connection.set_reading(state.relay.wants_input(id));
        if connection.blocked() {
            return;
        }
        state.relay.poll_transmit(id, ROOM, now, &mut state.transmit);
        if state.transmit.octets == 0 {
            return;
        }
        match connection.send(&state.transmit, &mut state.scratch, &self.io.calls) {
            Ok(0) => {}
            Ok(octets) => state.relay.handle_written(id, octets, now),
            Err(error) => {
                tracing::debug!(%error, peer = %connection.peer(), "link lost while writing");
                state.relay.handle_lost(id, now);
                state.links.remove(&id);
                self.part(connection.close(), false);
            }
        }
        state.transmit.clear();
    }

    // ---- other shards

    fn move_away(self: &Rc<Self>, state: &mut State, id: LinkId, to: u16, moved: Box<MovedLink>) {
        let Some(served) = state.links.remove(&id) else { return };
        if let Some(task) = served.task {
            task.abort();
        }
        let Some((parts, rest)) = served.connection.dismantle() else { return };
        if let Some(rest) = rest {
            self.lingering.set(self.lingering.get() + 1);
            let shard = self.clone();
            spawn_local(async move {
                rest.await;
                shard.lingering.set(shard.lingering.get() - 1);
            });
        }
        if let Some(outbox) = state.outboxes.get_mut(usize::from(to)) {
            outbox.post(self.number, Message::Link(moved, Box::new(parts)));
        }
    }

    fn receive(self: &Rc<Self>, from: u16, message: Message) {
        let now = self.shared.clock.now();
        match message {
            Message::Parcel(parcel) => self.state.borrow_mut().relay.handle_parcel(from, *parcel, now),
            Message::Link(moved, parts) => self.adopt(moved, *parts, now),
        }
    }

    fn adopt(self: &Rc<Self>, moved: Box<MovedLink>, parts: io::Result<Parts>, now: Moment) {
        let connection = parts.and_then(Connection::new);
        let id = self.state.borrow_mut().relay.handle_adopt(moved, now);
        match connection {
            Ok(connection) => {
                let connection = Rc::new(connection);
                let served = Served { connection: connection.clone(), task: None };
                self.state.borrow_mut().links.insert(id, served);
                self.start(id, connection);
            }
            Err(error) => {
                tracing::error!(%error, "a link that came from another shard could not be registered; it is lost");
                self.state.borrow_mut().relay.handle_lost(id, now);
            }
        }
        if self.stopping.get() {
            self.state.borrow_mut().relay.shut_down(now);
        }
    }

    // ---- time and commands

    async fn keep_time(self: Rc<Self>) {
        loop {
            let at = self.timer.get();
            if at == Moment::FAR {
                self.timer_changed.notified().await;
                continue;
            }
            let sleep = tokio::time::sleep_until(self.shared.clock.instant(at));
            tokio::select! {
                () = sleep => {
                    self.timer.set(Moment::FAR);
                    self.with(|relay, now| relay.handle_timeout(now));
                }
                () = self.timer_changed.notified() => {}
            }
        }
    }

    fn obey(self: &Rc<Self>, command: Command) {
        match command {
            Command::Snapshot(reply) => {
                let _ = reply.send(self.snapshot());
            }
            Command::Sessions(most, reply) => {
                let now = self.shared.clock.now();
                let _ = reply.send(self.state.borrow().relay.sessions(most, now));
            }
            Command::End(name, reply) => {
                let _ = reply.send(self.with(|relay, now| relay.end_by_name(&name, now)));
            }
            Command::Reconfigure(settings) => {
                // The system may have other name servers today.
                *self.resolver.borrow_mut() = None;
                self.with(|relay, now| relay.reconfigure(settings, now));
            }
            Command::EndUsers(users, reply) => {
                let gone = |user: &str| users.iter().any(|u| u == user);
                let _ = reply.send(self.with(|relay, now| relay.end_sessions_of(gone, now)));
            }
            Command::Anchor(command) => self.with(|relay, now| command.obey(relay, now)),
            Command::Accept => {
                for listener in self.listeners.take() {
                    spawn_local(self.clone().accept(listener));
                }
            }
            Command::Release => {
                self.listeners.take();
                self.released.set(true);
                self.release.notify_waiters();
            }
            Command::Drain => self.with(|relay, _| relay.drain()),
            Command::Dismiss => self.with(|relay, now| relay.dismiss(now)),
            Command::Drained(reply) => {
                let _ = reply.send(self.state.borrow().relay.drained());
            }
            Command::Stop => {
                self.stopping.set(true);
                self.with(|relay, now| relay.shut_down(now));
                let state = self.state.borrow();
                self.check_stopped(&state);
            }
        }
    }

    /// Waits until no more connections are to be accepted.
    pub(super) async fn released(&self) {
        let notified = self.release.notified();
        if !self.released.get() {
            notified.await;
        }
    }

    pub(super) fn check_stopped(&self, state: &State) {
        if self.stopping.get() && state.links.is_empty() {
            self.stopped.notify_one();
        }
    }

    fn snapshot(&self) -> Snapshot {
        let state = self.state.borrow();
        let io = &self.io;
        let parks = tokio::runtime::Handle::current().metrics().worker_park_count(0);
        Snapshot {
            shard: self.number,
            counts: *state.relay.counts(),
            io: IoCounts {
                handshakes: [io.handshakes[0].get(), io.handshakes[1].get()],
                handshake_failures: io.handshake_failures.get(),
                refused_connections: std::array::from_fn(|reason| io.refused[reason].get()),
                dials: [io.dials[0].get(), io.dials[1].get()],
                reads: io.calls.reads.get(),
                writes: io.calls.writes.get(),
                polls: parks,
                submits: if engine::has_ring() { parks } else { 0 },
                cpu_nanos: thread_cpu_nanos(),
            },
            links: state.relay.link_count(),
            sessions: state.relay.session_count(),
            anchors: state.relay.anchor_count(),
            deadlines: state.relay.deadline_count(),
            pending: state.relay.pending_count(),
            buffered: state.relay.buffered(),
        }
    }
}

fn thread_cpu_nanos() -> u64 {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(t.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(t.tv_nsec).unwrap_or(0)
}
