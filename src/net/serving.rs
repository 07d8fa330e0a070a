//! The connections of a shard: how they join, are read and written, and leave.

#![expect(clippy::disallowed_methods, reason = "one task per connection, none per message")]

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::task::spawn_local;

use super::connection::{Connection, Event as IoEvent};
use super::engine::Farewell;
use super::shard::{Served, Shard};
use crate::relay::{CloseReason, LinkId, Meta};
use crate::sdp::Fingerprint;

/// Octets of ciphertext read at once.
const READ: usize = 64 << 10;
/// A record that an earlier read has begun brings so many octets more.
const BEGUN: usize = 17 << 10;
/// The other end has this long to take our last octets.
pub(super) const LINGER: std::time::Duration = std::time::Duration::from_secs(2);

/// A connection that has read nothing for so long rests.
const REST: std::time::Duration = std::time::Duration::from_secs(10);

impl Shard {
    /// A connection whose handshake is done becomes a link; `early` is plaintext that came with the handshake's end.
    pub(super) fn add_accepted(self: &Rc<Self>, connection: Connection, meta: Meta, early: BytesMut) {
        if self.stopping.get() {
            return self.part(connection.close(), false);
        }
        let connection = Rc::new(connection);
        let now = self.shared.clock.now();
        let id = {
            let mut state = self.state.borrow_mut();
            let id = state.relay.handle_accepted(meta, now);
            state.links.insert(id, Served { connection: connection.clone(), task: None });
            id
        };
        self.start(id, connection);
        if !early.is_empty() {
            self.with(|relay, now| relay.handle_data(id, early.freeze(), now));
        } else {
            self.turn();
        }
    }

    /// A dialled connection is there. Gone when nobody waits for it any more.
    pub(super) fn add_dialled(
        self: &Rc<Self>,
        id: LinkId,
        connection: Connection,
        relay: Option<crate::relay::RelayIdentity>,
        own_kind: bool,
        fingerprints: Option<Arc<[Fingerprint]>>,
        early: BytesMut,
    ) {
        let connection = Rc::new(connection);
        let wanted = {
            let mut state = self.state.borrow_mut();
            let wanted = !self.stopping.get() && state.relay.has_link(id);
            if wanted {
                state.links.insert(id, Served { connection: connection.clone(), task: None });
            }
            wanted
        };
        if !wanted {
            self.part(connection.close(), false);
            return self.with(|relay, now| relay.handle_lost(id, now));
        }
        let peer = connection.peer();
        self.start(id, connection);
        self.with(|core, now| {
            core.handle_dialled(id, peer, relay, own_kind, fingerprints, now);
            if !early.is_empty() {
                core.handle_data(id, early.freeze(), now);
            }
        });
    }

    pub(super) fn start(self: &Rc<Self>, id: LinkId, connection: Rc<Connection>) {
        let task = spawn_local(self.clone().serve(id, connection));
        if let Some(served) = self.state.borrow_mut().links.get_mut(&id) {
            served.task = Some(task.abort_handle());
        }
    }

    /// Reads a link until it ends.
    async fn serve(self: Rc<Self>, id: LinkId, connection: Rc<Connection>) {
        let mut buffer = Vec::new();
        loop {
            // The buffer belongs to the shard while nobody waits in here: one is enough for all links.
            let event = poll_fn(|cx| {
                READ_BUFFER.with_borrow_mut(|shared| {
                    shared.resize(READ, 0);
                    let event = connection.poll_event(cx, shared, &self.io.calls);
                    if matches!(event, std::task::Poll::Ready(IoEvent::Read(1..))) {
                        std::mem::swap(&mut buffer, shared);
                    }
                    event
                })
            })
            .await;
            match event {
                IoEvent::Read(0) => {
                    connection.set_reading(false);
                    self.with(|relay, now| relay.handle_eof(id, now));
                }
                IoEvent::Read(n) => {
                    if connection.wakes() {
                        self.awake.borrow_mut().push((id, Rc::downgrade(&connection)));
                    }
                    self.received(id, &connection, &buffer[..n]);
                    READ_BUFFER.with_borrow_mut(|shared| *shared = std::mem::take(&mut buffer));
                    if n == READ {
                        // Somebody who sends without end takes turns with everybody else.
                        tokio::task::yield_now().await;
                    }
                }
                IoEvent::Writable => self.writable(id, &connection),
                IoEvent::Woken => {}
                IoEvent::Gone => return,
                IoEvent::Broken(error) => {
                    tracing::debug!(%error, peer = %connection.peer(), "link lost");
                    return self.lose(id, &connection);
                }
            }
        }
    }

    /// Octets came in on a link.
    fn received(self: &Rc<Self>, id: LinkId, connection: &Connection, octets: &[u8]) {
        let now = self.shared.clock.now();
        {
            let mut guard = self.state.borrow_mut();
            let state = &mut *guard;
            debug_assert!(state.plain.is_empty(), "plaintext of another link");
            if state.plain.capacity() < octets.len() + BEGUN {
                state.plain.reserve(READ + BEGUN);
            }
            let opened = connection.tls().as_mut().map(|tls| tls.open(octets, &mut state.plain));
            match opened {
                None => state.plain.extend_from_slice(octets),
                Some(Ok(opened)) if opened.wants_write => {
                    // A key update or the like; a socket that does not take it will tell by itself.
                    let _ = connection.send_tls_pending(&self.io.calls);
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    // The buffer is the shard's: what came before the fault must reach no other link.
                    state.plain.clear();
                    tracing::debug!(%error, peer = %connection.peer(), "TLS failed; the link is closed");
                    let _ = connection.send_tls_pending(&self.io.calls);
                    drop(guard);
                    return self.lose(id, connection);
                }
            }
            if !state.plain.is_empty() {
                let plain = state.plain.split().freeze();
                state.relay.handle_data(id, plain, now);
            }
        }
        self.turn();
    }

    /// Takes back what connections that rest have no use for: of tens of thousands of them most do.
    pub(super) async fn shrink_resting(self: Rc<Self>) {
        loop {
            tokio::time::sleep(REST).await;
            let relay = &mut self.state.borrow_mut().relay;
            let before = self.awake.borrow().len();
            self.awake.borrow_mut().retain(|(id, connection)| {
                let Some(connection) = connection.upgrade() else { return false };
                let rests = connection.rests();
                if rests {
                    relay.handle_rest(*id);
                }
                !rests
            });
            relay.shrink();
            if self.awake.borrow().len() < before {
                self.awake.borrow_mut().shrink_to_fit();
                super::engine::shrink();
            }
            crate::heap::give_back();
        }
    }

    fn writable(self: &Rc<Self>, id: LinkId, connection: &Connection) {
        match connection.resume(&self.io.calls) {
            Ok(octets) => {
                let now = self.shared.clock.now();
                {
                    let mut guard = self.state.borrow_mut();
                    let state = &mut *guard;
                    if octets > 0 {
                        state.relay.handle_written(id, octets, now);
                    }
                    if !connection.blocked() {
                        // It may have been TLS alone that blocked; nobody else would look at the link again.
                        self.transmit(state, id, now);
                    }
                }
                self.turn();
            }
            Err(_) => self.lose(id, connection),
        }
    }

    fn lose(self: &Rc<Self>, id: LinkId, connection: &Connection) {
        // If it is TLS that failed, the other end is to hear why.
        self.part(connection.close(), false);
        self.state.borrow_mut().links.remove(&id);
        self.with(|relay, now| relay.handle_lost(id, now));
        let state = self.state.borrow();
        self.check_stopped(&state);
    }

    /// A link is over; what it still has to say, and whether the other end may need time to see why, depends on the reason.
    pub(super) fn linger(self: &Rc<Self>, farewell: Option<Farewell>, reason: CloseReason) {
        let drain = !matches!(reason, CloseReason::Lost | CloseReason::Framing | CloseReason::Shortage);
        self.part(farewell, drain);
    }

    /// Keeps a socket for its last octets, for a moment; with `drain` until the other end has closed too.
    pub(super) fn part(self: &Rc<Self>, farewell: Option<Farewell>, drain: bool) {
        let Some(farewell) = farewell.filter(|farewell| drain || farewell.busy()) else { return };
        self.lingering.set(self.lingering.get() + 1);
        let shard = self.clone();
        spawn_local(async move {
            let _ = tokio::time::timeout(LINGER, farewell.part(drain)).await;
            shard.lingering.set(shard.lingering.get() - 1);
        });
    }
}

thread_local! {
    /// Ciphertext of whichever link is being read.
    static READ_BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}
