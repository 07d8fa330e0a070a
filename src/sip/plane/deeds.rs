//! What the machine wants done: messages sent, shards told, names and credentials looked up.

#![expect(clippy::disallowed_methods, reason = "one task for each thing that has to be waited for")]

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::driver::{Done, Driver};
use crate::control::Shards;
use crate::relay::{AnchorError, SessionEnd, Side};
use crate::sip::b2bua::{AnchorRef, CallEvent, CallKey, Output, Refusal, Routed};
use crate::sip::message::Headers;
use crate::sip::routing::{By, Place};
use crate::sip::transaction::{ClientId, Unsent};
use crate::sip::transport::SendError;
use crate::sip::way::{FlowId, Protocol, Target, Way};

/// A shard that is too busy to hear of an end is told again.
const AGAIN: Duration = Duration::from_secs(1);
/// So often.
const TIMES: usize = 120;

impl Driver {
    /// Does all that is wanted.
    pub(super) fn perform(&mut self) {
        while let Some(output) = self.b2bua.poll() {
            match output {
                Output::Transmit { octets, way, of } => self.transmit(octets, way, of),
                Output::Admit { server, request, flow } => self.admit(server, request, flow),
                Output::Route { call, uri, routes, stranger } => self.route(call, uri, routes, stranger),
                Output::Locate { call, side, uri } => self.locate(call, side, uri),
                Output::Rest { target } => self.resting.borrow_mut().failed(&target, self.now()),
                Output::Event(event) => self.observe(&event),
                other => self.command(other),
            }
        }
    }

    fn observe(&mut self, event: &CallEvent) {
        match event {
            CallEvent::Ended(record) => {
                for at in record.anchors.iter().filter(|at| self.b2bua.awaits(**at)) {
                    self.ended.insert(*at, record.clone());
                }
                tracing::debug!(
                    call = %self.setup.redacted(&record.call_id), cause = record.cause.word(), by = record.by.word(),
                    "call ended"
                );
            }
            CallEvent::Stray(at) => {
                self.ended.remove(at);
                tracing::warn!(
                    shard = at.shard,
                    anchor = at.anchor.as_u64(),
                    "the end of a session was not heard of; it has no record"
                );
            }
            _ => {}
        }
        self.metrics.event(event);
    }

    fn transmit(&mut self, octets: Bytes, way: Way, of: Option<ClientId>) {
        let sent = match &way {
            Way::Flow(id) if id.protocol == Protocol::Udp => self.datagram(id.local, id.remote, octets.clone()),
            Way::Flow(id) => self.on_stream(id, octets.clone()),
            Way::Target(target) if target.protocol == Protocol::Udp => {
                match self.setup.b2bua.listeners.aim(target.clone()).from {
                    Some(local) => self.datagram(local, target.address, octets.clone()),
                    None => Err(SendError::NoListener),
                }
            }
            Way::Target(target) => return self.dial(octets, target.clone(), of),
        };
        if let (Err(error), Some(client)) = (sent, of) {
            let now = self.now();
            self.b2bua.unsent(client, unsent(error), now);
        }
    }

    /// Where a call goes (RFC 3263): asked for, if a name has to be.
    fn route(&mut self, call: CallKey, uri: String, routes: Vec<String>, stranger: bool) {
        let headers: Headers = routes.into_iter().map(|route| ("Route", route)).collect();
        let now = self.now();
        let hop = match self.setup.routes.next_hop(&uri, &headers) {
            Ok(hop) => hop,
            Err(why) => return self.b2bua.routed(call, Err(refusal(why.status().0)), now),
        };
        let Some(resolver) = self.resolver.clone() else {
            return self.b2bua.routed(call, Err(refusal(500)), now);
        };
        let (setup, done, resting, clock) =
            (self.setup.clone(), self.done.clone(), self.resting.clone(), self.shared.clone());
        tokio::task::spawn_local(async move {
            let found = resolver.targets(&hop.places, setup.means, false).await;
            let others = found.map(|targets| setup.routes.own.others(targets));
            let found = others.map(|targets| {
                // Where the operator leads anybody may go; what a stranger has dialled leads no further than its media.
                let led = matches!(hop.by, By::OutboundProxy | By::Domain);
                let core = clock.settings.load();
                let policy = if stranger { &core.policy } else { &setup.b2bua.egress };
                let may = |target: &Target| led || policy.permits(None, target.address).is_ok();
                (targets.is_empty(), targets.into_iter().filter(may).collect::<Vec<_>>())
            });
            let result = match found {
                Ok((true, _)) => Err(refusal(482)),
                Ok((_, targets)) if targets.is_empty() => Err(refusal(403)),
                Ok((_, targets)) => Ok(Routed {
                    targets: resting.borrow().reorder(targets, clock.clock.now()),
                    request_uri: hop.request_uri,
                    route: hop.route,
                    anchor: hop.anchor,
                    protocol: hop.protocol,
                }),
                Err(why) => Err(refusal(why.status().0)),
            };
            let _ = done.send(Done::Routed(call, result)).await;
        });
    }

    /// Where requests in a dialog go.
    fn locate(&self, call: CallKey, side: Side, uri: String) {
        let (Some(resolver), Ok(place)) = (self.resolver.clone(), Place::parse(&uri)) else { return };
        let (means, done) = (self.setup.means, self.done.clone());
        tokio::task::spawn_local(async move {
            let found = resolver.targets(&[place], means, false).await;
            let target = found.ok().and_then(|targets| targets.into_iter().next());
            let _ = done.send(Done::Located(call, side, uri, target)).await;
        });
    }

    fn datagram(&self, local: SocketAddr, remote: SocketAddr, octets: Bytes) -> Result<(), SendError> {
        self.dialer.datagrams(local, remote)?.send_long(octets)
    }

    fn on_stream(&self, id: &FlowId, octets: Bytes) -> Result<(), SendError> {
        self.streams.get(id).ok_or(SendError::Closed)?.send_long(octets)
    }

    /// By a connection that may have to be made. Messages to one target leave in their order: tasks begin in it, and wait for
    /// the same connection.
    fn dial(&self, octets: Bytes, target: Target, of: Option<ClientId>) {
        let (dialer, done) = (self.dialer.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let sent = match dialer.connect(&target).await {
                Ok(flow) => flow.send_long(octets),
                Err(error) => Err(error),
            };
            if let (Err(error), Some(client)) = (sent, of) {
                let _ = done.send(Done::Unsent(client, unsent(error))).await;
            }
        });
    }

    /// Tells a shard. Tasks begin in their order, so commands about one anchor arrive in theirs.
    fn command(&self, output: Output) {
        let (shards, done) = (self.shards.clone(), self.done.clone());
        tokio::task::spawn_local(async move {
            let result = match output {
                Output::LookUp { ticket, uris } => {
                    let mut living = Vec::new();
                    for uri in uris {
                        if shards.knows(uri.clone()).await.unwrap_or(false) {
                            living.push(uri);
                        }
                    }
                    Done::LookedUp(ticket, living)
                }
                Output::Reserve { ticket, wish } => {
                    let shard = home(&wish.user, shards.len());
                    let reserved = shards.reserve_anchor(shard, wish).await.unwrap_or(Err(AnchorError::Full));
                    Done::Reserved(ticket, reserved.map(|r| (shard, r)))
                }
                Output::Renew { ticket, at, side } => {
                    let renewed = shards.renew_leg(at.shard, at.anchor, side).await.unwrap_or(Err(AnchorError::Full));
                    Done::Renewed(ticket, at, renewed)
                }
                Output::Set { ticket, at, side, terms, through } => {
                    // What a shard that is too busy does not say, the shard of the leg finds out.
                    if let Some(uri) = through
                        && shards.knows(uri).await == Ok(false)
                    {
                        Done::Set(ticket, Err(AnchorError::Gone))
                    } else {
                        let set = shards.set_leg(at.shard, at.anchor, side, terms).await;
                        Done::Set(ticket, set.unwrap_or(Err(AnchorError::Full)))
                    }
                }
                Output::Withdraw { at, side } => {
                    let _ = shards.withdraw_renewal(at.shard, at.anchor, side).await;
                    return;
                }
                Output::Release { at, end } => return release(&shards, at, end).await,
                Output::Find { anchors } => Done::NotFound(missing(&shards, &anchors).await),
                _ => return,
            };
            let _ = done.send(result).await;
        });
    }
}

/// Those that are not there. What a shard says that is too busy to answer counts as there.
async fn missing(shards: &Shards, anchors: &[AnchorRef]) -> Vec<AnchorRef> {
    let mut all = Vec::new();
    for shard in 0..u16::try_from(shards.len()).unwrap_or(u16::MAX) {
        let of_shard = anchors.iter().filter(|at| at.shard == shard).map(|at| at.anchor).collect();
        let lacks = shards.lacks(shard, of_shard).await.unwrap_or_default();
        all.extend(lacks.into_iter().map(|anchor| AnchorRef { shard, anchor }));
    }
    all
}

async fn release(shards: &Shards, at: AnchorRef, end: SessionEnd) {
    for _ in 0..TIMES {
        if shards.release_anchor(at.shard, at.anchor, end).await.is_ok() {
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
    tracing::error!(
        shard = at.shard,
        anchor = at.anchor.as_u64(),
        "a shard hears nothing; a session of an ended call stays"
    );
}

/// The shard where sessions of this user are made: the same each time, so that their links meet there.
fn home(user: &Arc<str>, shards: usize) -> u16 {
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(user);
    u16::try_from(hash % shards.max(1) as u64).unwrap_or(0)
}

fn unsent(error: SendError) -> Unsent {
    match error {
        SendError::Closed | SendError::Stopping => Unsent::Closed,
        SendError::Full => Unsent::Full,
        _ => Unsent::Unreachable,
    }
}

fn refusal(status: u16) -> Refusal {
    Refusal { status, headers: Vec::new() }
}
