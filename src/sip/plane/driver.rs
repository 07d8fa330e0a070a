//! The loop: whatever comes in goes to the machine, and what it wants is done before the next.

#![expect(clippy::disallowed_methods, reason = "the control plane's own thread and its tasks")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::admission::{Claim, Door};
use super::metrics::Metrics;
use super::{Order, Setup, Shared};
use crate::control::Shards;
use crate::observe::Observer;
use crate::relay::{AnchorError, AnchorNews, Reserved, Side};
use crate::sip::b2bua::{AnchorRef, B2bua, CallKey, CallRecord, Refusal, Routed, Ticket};
use crate::sip::message::Message;
use crate::sip::resolve::Resolver;
use crate::sip::routing::Resting;
use crate::sip::transaction::{ClientId, Unsent};
use crate::sip::transport::{Dialer, Event, Flow, Outlet, Transport};
use crate::sip::way::{FlowId, Target};
use crate::slack::Slack;

/// Results of tasks that wait for the loop.
const DONE: usize = 4096;
/// Inputs that are taken in one turn before the outputs are looked at again by others.
const BATCH: usize = 64;
/// How often gauges and counters are copied.
const TICK: Duration = Duration::from_secs(1);
/// How often room is given back that a busy time has needed.
const REST: Duration = Duration::from_secs(10);
/// Time for BYEs at the end.
const GOODBYE: Duration = Duration::from_secs(2);

/// All that a plane is made of.
pub(super) struct Parts {
    pub(super) setup: Setup,
    pub(super) seeds: [[u8; 32]; 2],
    pub(super) transport: Transport,
    pub(super) events: mpsc::Receiver<Event>,
    pub(super) news: mpsc::Receiver<(AnchorRef, AnchorNews)>,
    pub(super) orders: mpsc::Receiver<Order>,
    pub(super) shards: Shards,
    pub(super) shared: Shared,
    pub(super) observer: Observer,
    /// The process that served before.
    pub(super) before: Option<UnixStream>,
}

/// What a task has done.
pub(super) enum Done {
    Unsent(ClientId, Unsent),
    Claimed(Claim),
    Routed(CallKey, Result<Routed, Refusal>),
    Located(CallKey, Side, String, Option<Target>),
    LookedUp(Ticket, Vec<std::sync::Arc<[u8]>>),
    Reserved(Ticket, Result<(u16, Reserved), AnchorError>),
    Renewed(Ticket, AnchorRef, Result<std::sync::Arc<[u8]>, AnchorError>),
    Set(Ticket, Result<(), AnchorError>),
    NotFound(Vec<AnchorRef>),
}

/// The machine and all that it needs.
pub(super) struct Driver {
    pub(super) b2bua: B2bua,
    pub(super) setup: Rc<Setup>,
    pub(super) dialer: Dialer,
    /// Connections by name.
    pub(super) streams: HashMap<FlowId, Flow>,
    pub(super) shards: Shards,
    pub(super) shared: Shared,
    pub(super) resolver: Option<Rc<Resolver>>,
    /// Targets that are tried last.
    pub(super) resting: Rc<RefCell<Resting>>,
    pub(super) done: mpsc::Sender<Done>,
    pub(super) door: Door,
    pub(super) observer: Observer,
    pub(super) metrics: Metrics,
    /// Calls that are over and whose anchors have not told their end.
    pub(super) ended: HashMap<AnchorRef, std::sync::Arc<CallRecord>>,
    transport: Transport,
    /// The process that serves now, if it is not this one.
    next: Option<Outlet>,
}

/// Runs until it is told to stop.
pub(super) async fn run(parts: Parts) {
    let Parts {
        setup,
        seeds: [seed, door_seed],
        transport,
        mut events,
        mut news,
        mut orders,
        shards,
        shared,
        observer,
        before,
    } = parts;
    transport.listen(before);
    let (done, mut results) = mpsc::channel(DONE);
    let resolver = match Resolver::from_system() {
        Ok(resolver) => Some(Rc::new(resolver)),
        Err(error) => {
            tracing::warn!(%error, "no resolver: only addresses and localhost can be called");
            None
        }
    };
    let mut driver = Driver {
        b2bua: B2bua::new(setup.b2bua.clone(), setup.transactions.clone(), seed),
        dialer: transport.dialer(),
        streams: HashMap::new(),
        metrics: Metrics::new(transport.counts().clone()),
        door: Door::new(setup.digest.clone(), door_seed),
        setup: Rc::new(setup),
        shards,
        shared,
        resolver,
        resting: Rc::default(),
        done,
        observer,
        ended: HashMap::new(),
        transport,
        next: None,
    };
    let mut tick = tokio::time::interval(TICK);
    let mut idle = tokio::time::interval(REST);
    let stopped = loop {
        let next = driver.b2bua.next_timeout().map(|at| driver.shared.clock.instant(at));
        let far = tokio::time::Instant::now() + Duration::from_secs(3600);
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => {
                    driver.event(event);
                    driver.take_more(&mut events);
                }
                None => break false,
            },
            Some(result) = results.recv() => {
                driver.result(result);
                for _ in 0..BATCH {
                    let Ok(result) = results.try_recv() else { break };
                    driver.result(result);
                }
            }
            Some((at, what)) = news.recv() => driver.news(at, &what),
            order = orders.recv() => match order {
                Some(Order::Stop) | None => break true,
                Some(order) => driver.order(order),
            },
            () = sleep_until(next.unwrap_or(far)) => {
                let now = driver.now();
                driver.b2bua.timeout(now);
            }
            _ = tick.tick() => driver.metrics.copy(&driver.b2bua, &driver.observer),
            _ = idle.tick() => driver.slim(),
        }
        driver.perform();
    };
    if stopped {
        driver.b2bua.end_all(driver.now());
        driver.perform();
        // BYEs by new connections, and the last news of the anchors, whose records are written here.
        let over = tokio::time::Instant::now() + GOODBYE;
        while driver.b2bua.anchors() > 0 || !driver.b2bua.transactions().is_quiet() {
            tokio::select! {
                Some(event) = events.recv() => driver.event(event),
                Some(result) = results.recv() => driver.result(result),
                Some((at, what)) = news.recv() => driver.news(at, &what),
                () = sleep_until(over) => break,
            }
            driver.perform();
        }
    }
    driver.metrics.copy(&driver.b2bua, &driver.observer);
    driver.transport.stop(GOODBYE).await;
    if let Some(next) = driver.next {
        next.finish(GOODBYE).await;
    }
}

impl Driver {
    pub(super) fn now(&self) -> crate::moment::Moment {
        self.shared.clock.now()
    }

    fn slim(&mut self) {
        self.b2bua.slim();
        self.streams.give_back();
        self.ended.give_back();
        crate::heap::give_back();
    }

    fn take_more(&mut self, events: &mut mpsc::Receiver<Event>) {
        for _ in 0..BATCH {
            let Ok(event) = events.try_recv() else { break };
            self.event(event);
        }
    }

    fn event(&mut self, event: Event) {
        let now = self.now();
        match event {
            Event::Opened(flow) => {
                self.streams.insert(flow.id(), flow);
            }
            Event::Closed(flow) => {
                self.streams.remove(&flow.id());
                if let Some(next) = &mut self.next {
                    next.closed(&flow);
                }
                self.b2bua.closed(flow.id(), now);
            }
            Event::Message(arrival) => {
                let message = Message::read(&arrival.message);
                let passed = match &mut self.next {
                    Some(next) if !self.b2bua.knows(&message) => next.pass_on(&arrival),
                    _ => false,
                };
                if !passed {
                    self.b2bua.receive(message, arrival.flow.id(), now);
                }
            }
        }
        // Each message's outputs are done before the next comes: queues stay as short as they can.
        self.perform();
    }

    fn result(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Unsent(client, why) => self.b2bua.unsent(client, why, now),
            Done::Claimed(claim) => self.claimed(claim),
            Done::Routed(call, result) => self.b2bua.routed(call, result, now),
            Done::Located(call, side, uri, target) => self.b2bua.located(call, side, &uri, target),
            Done::LookedUp(ticket, living) => self.b2bua.looked_up(ticket, living, now),
            Done::Reserved(ticket, result) => self.b2bua.reserved(ticket, result, now),
            Done::Renewed(ticket, at, result) => self.b2bua.renewed(ticket, at, result, now),
            Done::Set(ticket, result) => self.b2bua.set(ticket, result, now),
            Done::NotFound(anchors) => self.b2bua.not_found(anchors, now),
        }
        self.perform();
    }

    fn news(&mut self, at: AnchorRef, news: &AnchorNews) {
        if let AnchorNews::Ended(record) = news {
            let of = self.ended.remove(&at);
            let call = of.as_deref().map(|call| self.setup.told(&call.call_id, Some(call)));
            let call = call.or_else(|| self.b2bua.call_id(at).map(|id| self.setup.told(id, None)));
            self.observer.anchor_ended(record, call.as_ref());
        }
        let now = self.now();
        self.b2bua.news(at, news, now);
    }

    fn order(&mut self, order: Order) {
        match order {
            Order::Reconfigure(new) => {
                let (setup, transport) = *new;
                self.dialer.reconfigure(&transport);
                self.b2bua.reconfigure(setup.b2bua.clone(), &setup.transactions);
                self.door.reconfigure(setup.digest.clone());
                self.setup = Rc::new(setup);
            }
            Order::Drain => self.b2bua.drain(),
            Order::Release(next) => {
                self.transport.release();
                self.next = self.transport.pass_on_to(next).inspect_err(|error| {
                    tracing::error!(%error, "SIP cannot be passed on: new calls are refused until this process ends");
                }).ok();
            }
            Order::Calls(reply) => {
                let _ = reply.send(self.b2bua.calls() + usize::from(self.transport.follows()));
            }
            Order::Stop => {}
        }
    }
}
