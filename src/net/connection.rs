//! One connection of a shard: a socket, perhaps TLS, and the batch that is being written. It knows no MSRP.
//!
//! Reading and writing are completed operations on owned buffers: [`Connection::poll_event`] has read when it returns,
//! and [`Connection::send`] keeps what is not out. Nothing is read ahead of the core, so a connection can be taken apart
//! between two events and put together on another shard.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::address::Permit;
use super::batch::{Cursor, records};
use super::engine::{Calls, Dismantled, Farewell, Late, Rest, Socket, buffer};
use super::tls::{Tls, TlsError};
use crate::relay::{CloseReason, Transmit};

/// What happened on a connection.
#[derive(Debug)]
pub enum Event {
    /// So many octets are in the read buffer; zero is the end of the stream.
    Read(usize),
    /// The socket takes octets again, or has taken them: [`Connection::resume`].
    Writable,
    /// Interest changed, look again.
    Woken,
    /// It was closed or taken away.
    Gone,
    /// The socket is broken.
    Broken(io::ErrorKind),
}

/// Socket, TLS and the rest of a batch.
pub struct Connection {
    socket: RefCell<Option<Socket>>,
    tls: RefCell<Option<Tls>>,
    peer: SocketAddr,
    batch: RefCell<Batch>,
    late: RefCell<Late>,
    /// Octets from the shard where it was before, to be written when that has ended its own write.
    unsent: RefCell<Vec<u8>>,
    reading: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    woken: Cell<bool>,
    permit: RefCell<Option<Permit>>,
    /// It has read, and has not been found at rest since.
    awake: Cell<bool>,
    /// It has read since somebody last looked whether it rests.
    busy: Cell<bool>,
}

/// A batch that is not wholly out.
#[derive(Default)]
struct Batch {
    /// Where each record that is not out ends, and how many plaintext octets it has.
    ends: VecDeque<(usize, usize)>,
    /// Sealed octets that are out.
    out: usize,
}

impl Batch {
    /// So many more sealed octets are out; returns the plaintext octets of the records that are wholly out thereby.
    fn acknowledge(&mut self, taken: usize) -> usize {
        self.out += taken;
        let mut acknowledged = 0;
        while let Some((_, octets)) = self.ends.pop_front_if(|(end, _)| *end <= self.out) {
            acknowledged += octets;
        }
        acknowledged
    }
}

/// What is needed to put a connection together elsewhere.
pub struct Parts {
    /// The socket, not registered with any runtime.
    pub socket: TcpStream,
    /// TLS state.
    pub tls: Option<Tls>,
    /// Address of the other end.
    pub peer: SocketAddr,
    /// Its place in the per-address limits.
    pub permit: Option<Permit>,
    /// Sealed octets that the socket has not taken.
    pub unsent: Vec<u8>,
    /// What its former shard has still to tell.
    pub late: Late,
}

impl Parts {
    /// Those of a connection that begins.
    pub fn fresh(socket: TcpStream, tls: Option<Tls>, peer: SocketAddr, permit: Option<Permit>) -> Parts {
        Parts { socket, tls, peer, permit, unsent: Vec::new(), late: Late::default() }
    }
}

/// Buffers that all connections of a shard use in turn.
#[derive(Default)]
pub struct Scratch {
    lengths: Vec<usize>,
    slices: Vec<IoSlice<'static>>,
}

/// The same room for slices of something else, so that a batch allocates none.
fn emptied<'a>(mut slices: Vec<IoSlice<'_>>) -> Vec<IoSlice<'a>> {
    slices.clear();
    // Nothing is copied: a vector that is collected from its own elements keeps its memory.
    slices.into_iter().map(|_| IoSlice::new(&[])).collect()
}

impl Connection {
    /// Puts a connection under this thread's engine.
    pub fn new(parts: Parts) -> io::Result<Connection> {
        let connection = Connection {
            socket: RefCell::new(Some(Socket::new(parts.socket)?)),
            tls: RefCell::new(parts.tls),
            peer: parts.peer,
            batch: RefCell::default(),
            unsent: RefCell::new(parts.unsent),
            late: RefCell::new(parts.late),
            reading: Cell::new(true),
            waker: RefCell::new(None),
            woken: Cell::new(false),
            permit: RefCell::new(parts.permit),
            awake: Cell::new(false),
            busy: Cell::new(false),
        };
        connection.write_unsent()?;
        Ok(connection)
    }

    /// Notes that it reads, and says whether it had rested until now.
    pub fn wakes(&self) -> bool {
        self.busy.set(true);
        !self.awake.replace(true)
    }

    /// Gives buffers back if nothing was read since the last call; says whether it rests now.
    pub fn rests(&self) -> bool {
        let rests = !self.busy.replace(false);
        if rests {
            self.awake.set(false);
            self.shrink();
        }
        rests
    }

    fn shrink(&self) {
        if let Some(tls) = self.tls.borrow_mut().as_mut() {
            tls.idle();
        }
        let mut batch = self.batch.borrow_mut();
        if batch.ends.is_empty() {
            batch.ends = VecDeque::new();
        }
    }

    /// Address of the other end.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// TLS state, if this is a TLS connection.
    pub fn tls(&self) -> std::cell::RefMut<'_, Option<Tls>> {
        self.tls.borrow_mut()
    }

    /// Whether the socket is to be read.
    pub fn set_reading(&self, reading: bool) {
        if self.reading.replace(reading) != reading {
            self.wake();
        }
    }

    /// Something is not out yet: one batch at a time.
    pub fn blocked(&self) -> bool {
        self.late.borrow().written.is_some() || self.socket.borrow().as_ref().is_some_and(Socket::unwritten)
    }

    fn wake(&self) {
        self.woken.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits for the next event; has read into `buffer` when it says so.
    pub fn poll_event(&self, cx: &mut Context<'_>, buffer: &mut [u8], calls: &Calls) -> Poll<Event> {
        if self.woken.take() && self.socket.borrow().is_some() {
            return Poll::Ready(Event::Woken);
        }
        let event = match self.poll_late(cx, buffer) {
            Poll::Pending => self.poll_socket(cx, buffer, calls),
            event => event,
        };
        if event.is_pending() {
            let mut waker = self.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
        }
        event
    }

    fn poll_socket(&self, cx: &mut Context<'_>, buffer: &mut [u8], calls: &Calls) -> Poll<Event> {
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else { return Poll::Ready(Event::Gone) };
        let broken = |e: io::Error| Event::Broken(e.kind());
        if socket.unwritten()
            && let Poll::Ready(ready) = socket.poll_write(cx)
        {
            return Poll::Ready(ready.map_or_else(broken, |()| Event::Writable));
        }
        if !self.reading.get() {
            return Poll::Pending;
        }
        // close_notify is the end of the stream as much as a FIN is, in whatever read and on whatever shard it came.
        if self.peer_closed() {
            return Poll::Ready(Event::Read(0));
        }
        if self.late.borrow().read.is_none()
            && let Poll::Ready(read) = socket.poll_read(cx, buffer, calls)
        {
            return Poll::Ready(read.map_or_else(broken, Event::Read));
        }
        Poll::Pending
    }

    /// What the shard where this connection was before had begun.
    fn poll_late(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<Event> {
        let mut late = self.late.borrow_mut();
        // That shard has stopped.
        let lost = io::ErrorKind::BrokenPipe;
        if let Some(told) = late.written.as_mut()
            && let Poll::Ready(told) = Pin::new(told).poll(cx)
        {
            late.written = None;
            drop(late);
            return Poll::Ready(match told.unwrap_or(Err(lost.into())).and_then(|()| self.write_unsent()) {
                Ok(()) => Event::Writable,
                Err(e) => Event::Broken(e.kind()),
            });
        }
        if self.reading.get()
            && let Some(told) = late.read.as_mut()
            && let Poll::Ready(told) = Pin::new(told).poll(cx)
        {
            late.read = None;
            return Poll::Ready(match told.unwrap_or(Err(lost.into())) {
                Ok(octets) => {
                    buffer[..octets.len()].copy_from_slice(&octets);
                    Event::Read(octets.len())
                }
                // This shard has made the socket one that does not block; nothing was read.
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => Event::Woken,
                Err(e) => Event::Broken(e.kind()),
            });
        }
        Poll::Pending
    }

    /// Seals and writes a batch. Returns how many plaintext octets are out; the rest is kept and [`Event::Writable`] comes
    /// when more is to be done about it.
    pub fn send(&self, batch: &Transmit, scratch: &mut Scratch, calls: &Calls) -> Result<usize, SendError> {
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else { return Err(SendError::Broken(io::ErrorKind::NotConnected)) };
        let out = match &mut *self.tls.borrow_mut() {
            Some(tls) => {
                let mut sealed = buffer();
                let mut under_way = self.batch.borrow_mut();
                under_way.ends.clear();
                under_way.out = 0;
                let whole = seal(tls, batch, scratch, &mut sealed, &mut under_way.ends);
                // Without what was sealed before a failure the other end could not read the alert that follows.
                let out = socket.write(sealed, calls)?;
                whole?;
                under_way.acknowledge(out)
            }
            None => {
                let mut slices = emptied(std::mem::take(&mut scratch.slices));
                Cursor::new(batch).take(batch.octets, &mut slices);
                let out = socket.write_slices(&slices, calls)?;
                scratch.slices = emptied(slices);
                out
            }
        };
        self.listen(socket);
        Ok(out)
    }

    /// Goes on with what is left of a batch. Returns plaintext octets that are completely out now.
    pub fn resume(&self, calls: &Calls) -> Result<usize, SendError> {
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else { return Err(SendError::Broken(io::ErrorKind::NotConnected)) };
        let taken = socket.resume(calls)?;
        let out = if self.tls.borrow().is_some() { self.batch.borrow_mut().acknowledge(taken) } else { taken };
        self.listen(socket);
        Ok(out)
    }

    /// If something is unwritten, the task that serves this connection is to hear when to go on. It is not woken for that.
    fn listen(&self, socket: &Socket) {
        if !socket.unwritten() {
            return;
        }
        let waker = self.waker.borrow();
        let now = waker.as_ref().is_none_or(|w| socket.poll_write(&mut Context::from_waker(w)).is_ready());
        drop(waker);
        if now {
            self.wake();
        }
    }

    /// Writes what came from another shard, unless that is not done with its own part.
    fn write_unsent(&self) -> io::Result<()> {
        if self.late.borrow().written.is_none() {
            let octets = self.unsent.take();
            let socket = self.socket.borrow();
            if let Some(socket) = socket.as_ref().filter(|_| !octets.is_empty()) {
                socket.write(octets, &Calls::default())?;
                self.listen(socket);
            }
        }
        Ok(())
    }

    /// Writes what TLS wants to say of its own accord (handshake, alerts, tickets); what the socket does not take at once is
    /// kept.
    pub fn send_tls_pending(&self, calls: &Calls) -> Result<(), SendError> {
        let mut sealed = Vec::new();
        if let Some(tls) = self.tls.borrow_mut().as_mut() {
            tls.seal_pending(&mut sealed);
        }
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref().filter(|_| !sealed.is_empty()) else { return Ok(()) };
        if self.late.borrow().written.is_some() {
            self.unsent.borrow_mut().append(&mut sealed);
        } else if socket.unwritten() {
            socket.append(sealed);
        } else {
            socket.write(sealed, calls)?;
            self.listen(socket);
        }
        Ok(())
    }

    /// [`close`](Connection::close), with the last words that the reason wants.
    pub fn close_for(&self, reason: CloseReason) -> Option<Farewell> {
        if reason == CloseReason::Certificate
            && let Some(tls) = self.tls.borrow_mut().as_mut()
        {
            tls.reject_certificate();
        }
        self.close()
    }

    /// Says goodbye as far as that can be done now, and hands out the socket for its last octets; dropped, it closes at once.
    pub fn close(&self) -> Option<Farewell> {
        if self.socket.borrow().as_ref()?.may_append_last_words() {
            if let Some(tls) = self.tls.borrow_mut().as_mut() {
                tls.close_notify();
            }
            let _ = self.send_tls_pending(&Calls::default());
        }
        let socket = self.socket.take()?;
        self.permit.take();
        self.wake();
        Some(Farewell { socket, late: self.late.take(), unsent: self.unsent.take() })
    }

    /// The other end has said over TLS that it sends nothing more.
    fn peer_closed(&self) -> bool {
        self.tls.borrow().as_ref().is_some_and(Tls::peer_closed)
    }

    /// Takes the connection apart, for another shard, and tells what work is left here. `None` if it is closed; an error if
    /// the socket cannot leave.
    pub fn dismantle(&self) -> Option<(io::Result<Parts>, Option<Rest>)> {
        let socket = self.socket.take()?;
        self.wake();
        // The other shard does not know how much it has grown here.
        self.shrink();
        let (tls, permit) = (self.tls.take(), self.permit.take());
        let late = self.late.take();
        match socket.dismantle() {
            Ok(Dismantled { stream, mut unwritten, late: own, rest }) => {
                // While the shard before this one is at it, nothing was begun here.
                unwritten.append(&mut self.unsent.borrow_mut());
                let late = Late { read: late.read.or(own.read), written: late.written.or(own.written) };
                Some((Ok(Parts { socket: stream, tls, peer: self.peer, permit, unsent: unwritten, late }), rest))
            }
            Err(error) => Some((Err(error), None)),
        }
    }
}

/// Seals a batch into records, and notes where each ends and how much it holds.
fn seal(
    tls: &mut Tls,
    batch: &Transmit,
    scratch: &mut Scratch,
    sealed: &mut Vec<u8>,
    ends: &mut VecDeque<(usize, usize)>,
) -> Result<(), SendError> {
    records(batch, &mut scratch.lengths);
    let mut cursor = Cursor::new(batch);
    let mut slices = emptied(std::mem::take(&mut scratch.slices));
    for length in &scratch.lengths {
        slices.clear();
        cursor.take(*length, &mut slices);
        tls.seal(&slices, sealed).map_err(SendError::Tls)?;
        ends.push_back((sealed.len(), *length));
    }
    scratch.slices = emptied(slices);
    Ok(())
}

/// Why nothing can be sent any more.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The socket is broken.
    #[error("socket: {0}")]
    Broken(io::ErrorKind),
    /// TLS is.
    #[error("TLS: {0}")]
    Tls(TlsError),
}

impl From<io::Error> for SendError {
    fn from(error: io::Error) -> Self {
        SendError::Broken(error.kind())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_for_slices_is_used_again() {
        let octets = *b"octets";
        let mut slices = vec![IoSlice::new(&octets); 40];
        let (place, room) = (slices.as_ptr() as usize, slices.capacity());
        for _ in 0..3 {
            slices = emptied(slices);
            assert_eq!((slices.as_ptr() as usize, slices.capacity(), slices.len()), (place, room, 0));
            slices.push(IoSlice::new(&octets));
        }
    }
}
