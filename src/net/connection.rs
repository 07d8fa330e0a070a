//! One connection of a shard: a socket, perhaps TLS, and the batch that is being written. It knows no MSRP.
//!
//! Reading and writing are completed operations on owned buffers: [`Connection::poll_event`] has read when it returns,
//! and [`Connection::send`] keeps what the socket did not take. Nothing is read ahead, so a connection can be taken
//! apart between two events and put together on another shard.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::task::{Context, Poll, Waker};

use tokio::io::unix::AsyncFd;

use super::address::Permit;
use super::batch::{Cursor, records};
use super::tls::{Tls, TlsError};
use crate::relay::Transmit;

/// What happened on a connection.
#[derive(Debug)]
pub enum Event {
    /// So many octets are in the read buffer; zero is the end of the stream.
    Read(usize),
    /// The socket takes octets again.
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
    socket: RefCell<Option<AsyncFd<TcpStream>>>,
    tls: RefCell<Option<Tls>>,
    peer: SocketAddr,
    unsent: RefCell<Unsent>,
    reading: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    woken: Cell<bool>,
    permit: RefCell<Option<Permit>>,
    /// It has read, and has not been found at rest since.
    awake: Cell<bool>,
    /// It has read since somebody last looked whether it rests.
    busy: Cell<bool>,
}

/// Sealed octets that the socket did not take, and where records end in them.
#[derive(Default)]
struct Unsent {
    octets: Vec<u8>,
    at: usize,
    /// (end in `octets`, plaintext octets) of each record.
    records: VecDeque<(usize, usize)>,
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
}

/// Buffers that all connections of a shard use in turn.
#[derive(Default)]
pub struct Scratch {
    lengths: Vec<usize>,
    sealed: Vec<u8>,
}

impl Connection {
    /// Registers a connection with this thread's runtime.
    pub fn new(parts: Parts) -> io::Result<Connection> {
        parts.socket.set_nonblocking(true)?;
        Ok(Connection {
            socket: RefCell::new(Some(super::socket::register(parts.socket)?)),
            tls: RefCell::new(parts.tls),
            peer: parts.peer,
            unsent: RefCell::new(Unsent { octets: parts.unsent, ..Unsent::default() }),
            reading: Cell::new(true),
            waker: RefCell::new(None),
            woken: Cell::new(false),
            permit: RefCell::new(parts.permit),
            awake: Cell::new(false),
            busy: Cell::new(false),
        })
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

    /// Something is left that the socket did not take.
    pub fn blocked(&self) -> bool {
        let unsent = self.unsent.borrow();
        unsent.at < unsent.octets.len()
    }

    fn wake(&self) {
        self.woken.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Waits for the next event; has read into `buffer` when it says so. One read per readiness: a short one has emptied the
    /// socket, so no second call is made to hear that.
    pub fn poll_event(&self, cx: &mut Context<'_>, buffer: &mut [u8], reads: &Cell<u64>) -> Poll<Event> {
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else { return Poll::Ready(Event::Gone) };
        if self.woken.take() {
            return Poll::Ready(Event::Woken);
        }
        if self.blocked()
            && let Poll::Ready(ready) = socket.poll_write_ready(cx)
        {
            return Poll::Ready(ready.map_or_else(|e| Event::Broken(e.kind()), |_| Event::Writable));
        }
        while self.reading.get() {
            let mut guard = match socket.poll_read_ready(cx) {
                Poll::Ready(Ok(guard)) => guard,
                Poll::Ready(Err(e)) => return Poll::Ready(Event::Broken(e.kind())),
                Poll::Pending => break,
            };
            reads.set(reads.get() + 1);
            match socket.get_ref().read(buffer) {
                Ok(n) => {
                    if n > 0 && n < buffer.len() {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Event::Read(n));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Event::Broken(e.kind())),
            }
        }
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|w| w.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Seals and writes a batch. Returns how many plaintext octets the socket took; the rest is kept and
    /// [`Event::Writable`] comes when it takes more.
    pub fn send(&self, batch: &Transmit, scratch: &mut Scratch, writes: &Cell<u64>) -> Result<usize, SendError> {
        debug_assert!(!self.blocked(), "one batch at a time");
        let mut tls = self.tls.borrow_mut();
        let Some(tls) = tls.as_mut() else { return self.send_plain(batch, writes) };
        records(batch, &mut scratch.lengths);
        scratch.sealed.clear();
        let mut unsent = self.unsent.borrow_mut();
        let mut cursor = Cursor::new(batch);
        let mut parts = Vec::new();
        for length in &scratch.lengths {
            parts.clear();
            cursor.take(*length, &mut parts);
            tls.seal(&parts, &mut scratch.sealed).map_err(SendError::Tls)?;
            unsent.records.push_back((scratch.sealed.len(), *length));
        }
        let taken = self.write_some(&scratch.sealed, writes)?;
        if taken == scratch.sealed.len() {
            unsent.records.clear();
            return Ok(batch.octets);
        }
        unsent.octets.clear();
        unsent.octets.extend_from_slice(&scratch.sealed[taken..]);
        unsent.at = 0;
        let mut acknowledged = 0;
        unsent.records.retain_mut(|(end, length)| {
            let done = *end <= taken;
            acknowledged += if done { *length } else { 0 };
            *end = end.saturating_sub(taken);
            !done
        });
        Ok(acknowledged)
    }

    fn send_plain(&self, batch: &Transmit, writes: &Cell<u64>) -> Result<usize, SendError> {
        let mut slices = Vec::with_capacity(batch.spans.len());
        Cursor::new(batch).take(batch.octets, &mut slices);
        let taken = self.writev(&slices, writes)?;
        if taken < batch.octets {
            let mut unsent = self.unsent.borrow_mut();
            unsent.octets.clear();
            unsent.at = 0;
            let mut skip = taken;
            for slice in &slices {
                let n = skip.min(slice.len());
                skip -= n;
                unsent.octets.extend_from_slice(&slice[n..]);
            }
            let (end, left) = (unsent.octets.len(), batch.octets - taken);
            unsent.records.push_back((end, left));
        }
        Ok(taken)
    }

    /// Writes what is left of a batch. Returns plaintext octets that are completely out now.
    pub fn resume(&self, writes: &Cell<u64>) -> Result<usize, SendError> {
        let mut unsent = self.unsent.borrow_mut();
        let taken = self.write_some(&unsent.octets[unsent.at..], writes)?;
        let plain = self.tls.borrow().is_none();
        unsent.at += taken;
        let at = unsent.at;
        let mut acknowledged = 0;
        if plain {
            acknowledged = taken;
        } else {
            while unsent.records.front().is_some_and(|(end, _)| *end <= at) {
                acknowledged += unsent.records.pop_front().map_or(0, |(_, n)| n);
            }
        }
        if at == unsent.octets.len() {
            unsent.octets = Vec::new();
            unsent.at = 0;
            unsent.records.clear();
        }
        Ok(acknowledged)
    }

    fn write_some(&self, octets: &[u8], writes: &Cell<u64>) -> Result<usize, SendError> {
        self.writev(&[IoSlice::new(octets)], writes)
    }

    /// One write, and one more only while the socket takes everything.
    fn writev(&self, slices: &[IoSlice<'_>], writes: &Cell<u64>) -> Result<usize, SendError> {
        let socket = self.socket.borrow();
        let Some(socket) = socket.as_ref() else { return Err(SendError::Broken(io::ErrorKind::NotConnected)) };
        let mut stream = socket.get_ref();
        let mut taken = 0;
        // The kernel takes at most 1024 slices a call.
        for group in slices.chunks(1024) {
            writes.set(writes.get() + 1);
            let want: usize = group.iter().map(|s| s.len()).sum();
            let n = loop {
                match stream.write_vectored(group) {
                    Ok(n) => break n,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break 0,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(SendError::Broken(e.kind())),
                }
            };
            taken += n;
            if n < want {
                self.forget_write_readiness(socket);
                break;
            }
        }
        Ok(taken)
    }

    /// The socket's buffer is full: readiness seen earlier says nothing any more.
    fn forget_write_readiness(&self, socket: &AsyncFd<TcpStream>) {
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(Ok(mut guard)) = socket.poll_write_ready(&mut cx) {
            guard.clear_ready();
        }
        self.wake();
    }

    /// Writes what TLS wants to say of its own accord (handshake, alerts, tickets); what the socket does not take at once is
    /// kept.
    pub fn send_tls_pending(&self, writes: &Cell<u64>) -> Result<(), SendError> {
        let mut sealed = Vec::new();
        if let Some(tls) = self.tls.borrow_mut().as_mut() {
            tls.seal_pending(&mut sealed);
        }
        if sealed.is_empty() {
            return Ok(());
        }
        if self.blocked() {
            let mut unsent = self.unsent.borrow_mut();
            unsent.octets.extend_from_slice(&sealed);
            return Ok(());
        }
        let taken = self.write_some(&sealed, writes)?;
        if taken < sealed.len() {
            let mut unsent = self.unsent.borrow_mut();
            unsent.octets = sealed.split_off(taken);
            unsent.at = 0;
        }
        Ok(())
    }

    /// Says goodbye as far as the socket takes it, and hands out the socket for a lingering close.
    pub fn close(&self) -> Option<TcpStream> {
        let blocked = self.blocked();
        if let Some(tls) = self.tls.borrow_mut().as_mut()
            && !blocked
        {
            tls.close_notify();
        }
        if !blocked {
            let _ = self.send_tls_pending(&Cell::new(0));
        }
        let socket = self.socket.borrow_mut().take()?.into_inner();
        self.permit.borrow_mut().take();
        self.wake();
        let _ = socket.shutdown(Shutdown::Write);
        Some(socket)
    }

    /// Takes the connection apart, for another shard. `None` if it is closed.
    pub fn dismantle(&self) -> Option<Parts> {
        let socket = self.socket.borrow_mut().take()?.into_inner();
        self.wake();
        // The other shard does not know how much it has grown here.
        self.shrink();
        let tls = self.tls.borrow_mut().take();
        let mut unsent = self.unsent.take();
        let unsent = unsent.octets.split_off(unsent.at);
        Some(Parts { socket, tls, peer: self.peer, permit: self.permit.borrow_mut().take(), unsent })
    }
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
