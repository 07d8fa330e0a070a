//! What carries octets between sockets and memory: epoll under tokio, or io_uring.
//!
//! Both work with *completed* operations: a read has happened when it is told, and octets that are being written belong to
//! the engine until they are out. Readiness and completion disagree on who owns a buffer, and this is the side on which both
//! can stand. [`super::connection`] knows no more of an engine than [`Socket`].

pub mod epoll;
#[cfg(feature = "io-uring")]
pub mod ring;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::config::Engine;

/// System calls on the sockets of a shard. Operations of a ring are none of their own.
#[derive(Default)]
pub struct Calls {
    /// Reads.
    pub reads: Cell<u64>,
    /// Writes.
    pub writes: Cell<u64>,
}

impl Calls {
    fn read(&self) {
        self.reads.set(self.reads.get() + 1);
    }

    fn write(&self) {
        self.writes.set(self.writes.get() + 1);
    }
}

/// What a socket's former shard tells after it has moved: operations that its ring had begun cannot come along.
#[derive(Default)]
pub struct Late {
    /// The octets that a read brought; none are the end of the stream. Nothing is read here before.
    pub read: Option<oneshot::Receiver<io::Result<Vec<u8>>>>,
    /// What was being written is out. Nothing is written here before.
    pub written: Option<oneshot::Receiver<io::Result<()>>>,
}

/// Work that is left behind on a shard when a socket moves away.
pub type Rest = Pin<Box<dyn Future<Output = ()>>>;

/// A connection's socket, driven by this thread's engine.
pub enum Socket {
    /// By readiness.
    Epoll(epoll::Socket),
    /// By completion.
    #[cfg(feature = "io-uring")]
    Ring(ring::Socket),
}

/// The same for each engine.
macro_rules! either {
    ($socket:expr, $each:ident => $act:expr) => {
        match $socket {
            Socket::Epoll($each) => $act,
            #[cfg(feature = "io-uring")]
            Socket::Ring($each) => $act,
        }
    };
}

impl Socket {
    /// Puts a socket under this thread's engine.
    pub fn new(stream: TcpStream) -> io::Result<Socket> {
        #[cfg(feature = "io-uring")]
        if has_ring() {
            return ring::Socket::new(stream).map(Socket::Ring);
        }
        epoll::Socket::new(stream).map(Socket::Epoll)
    }

    /// Has read so many octets into `buffer` when it is ready; zero is the end of the stream. `buffer` is the shard's, and
    /// holds nothing between two calls.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8], calls: &Calls) -> Poll<io::Result<usize>> {
        either!(self, socket => socket.poll_read(cx, buffer, calls))
    }

    /// Writes, and tells how many octets are out at once. The engine keeps the rest: see [`Socket::unwritten`]. Nothing may
    /// be unwritten already.
    pub fn write(&self, octets: Vec<u8>, calls: &Calls) -> io::Result<usize> {
        debug_assert!(!self.unwritten(), "one write at a time");
        if octets.is_empty() {
            return Ok(0);
        }
        either!(self, socket => socket.write(octets, calls))
    }

    /// Writes what several slices hold, like [`Socket::write`].
    pub fn write_slices(&self, slices: &[IoSlice<'_>], calls: &Calls) -> io::Result<usize> {
        debug_assert!(!self.unwritten(), "one write at a time");
        either!(self, socket => socket.write_slices(slices, calls))
    }

    /// Octets to be written behind those that are unwritten.
    pub fn append(&self, octets: Vec<u8>) {
        either!(self, socket => socket.append(octets));
    }

    /// Something that was given to be written is not known to be out.
    pub fn unwritten(&self) -> bool {
        either!(self, socket => socket.unwritten())
    }

    /// Something can be done about what is unwritten: [`Socket::resume`].
    pub fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, socket => socket.poll_write(cx))
    }

    /// Goes on with what is unwritten, and tells how many octets are out since the last time.
    pub fn resume(&self, calls: &Calls) -> io::Result<usize> {
        either!(self, socket => socket.resume(calls))
    }

    /// Waits until nothing is unwritten.
    async fn finish(&self) -> io::Result<()> {
        while self.unwritten() {
            poll_fn(|cx| self.poll_write(cx)).await?;
            self.resume(&Calls::default())?;
        }
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        either!(self, socket => socket.shutdown(how))
    }

    /// Whether last words are worth a try while something is unwritten: with a ring that is so of every write for a moment,
    /// an epoll socket may stay full for ever.
    pub fn may_append_last_words(&self) -> bool {
        either!(self, socket => socket.may_append_last_words())
    }

    /// Takes the socket from this thread, for another one.
    pub fn dismantle(self) -> io::Result<Dismantled> {
        either!(self, socket => socket.dismantle())
    }
}

/// A socket on its way to another shard.
pub struct Dismantled {
    /// The socket; no engine knows it.
    pub stream: TcpStream,
    /// Octets that it has not taken.
    pub unwritten: Vec<u8>,
    /// What the shard that it leaves will tell.
    pub late: Late,
    /// Work that it leaves behind there.
    pub rest: Option<Rest>,
}

/// A socket whose connection is closed, for its last octets. Dropped, it closes at once.
pub struct Farewell {
    pub(super) socket: Socket,
    /// What is to be out before them, and a read that still holds the connection elsewhere.
    pub(super) late: Late,
    /// Those that were kept until that is out.
    pub(super) unsent: Vec<u8>,
}

impl Farewell {
    /// Something is about to be written, or is to be ended.
    pub fn busy(&self) -> bool {
        let late = self.late.written.is_some() || self.late.read.is_some();
        late || (self.socket.may_append_last_words() && self.socket.unwritten())
    }

    /// Writes what is left, and with `drain` closes our direction and reads until the other end has closed too: with unread
    /// input in it a plain close would reset the connection, and the other end might never see why. Nothing here has a deadline.
    pub async fn part(self, drain: bool) {
        let calls = Calls::default();
        if let Some(written) = self.late.written
            && (!matches!(written.await, Ok(Ok(()))) || self.socket.write(self.unsent, &calls).is_err())
        {
            return;
        }
        if self.socket.may_append_last_words() && self.socket.finish().await.is_err() {
            return;
        }
        // A read that goes on elsewhere would keep the connection open.
        let drain = drain && self.late.read.is_none();
        let how = if drain { Shutdown::Write } else { Shutdown::Both };
        if self.socket.shutdown(how).is_err() || !drain {
            return;
        }
        let mut sink = [0; 4096];
        // At most 1 MiB of somebody who does not stop.
        for _ in 0..256 {
            match poll_fn(|cx| self.socket.poll_read(cx, &mut sink, &calls)).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
    }
}

/// Written buffers that are kept for the next write, and how big they may be.
const SPARES: usize = 16;
const SPARE_OCTETS: usize = 96 << 10;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer for a write.
pub fn buffer() -> Vec<u8> {
    SPARE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Lets go of the buffers that no write has at the moment.
pub fn shrink() {
    SPARE.set(Vec::new());
}

/// Takes a buffer back.
fn give_back(mut buffer: Vec<u8>) {
    buffer.clear();
    SPARE.with_borrow_mut(|spare| {
        if spare.len() < SPARES && buffer.capacity() <= SPARE_OCTETS {
            spare.push(buffer);
        }
    });
}

/// Whether this thread has a ring.
pub fn has_ring() -> bool {
    #[cfg(feature = "io-uring")]
    return ring::is_here();
    #[cfg(not(feature = "io-uring"))]
    false
}

/// What a shard's thread runs on.
pub enum Runtime {
    /// tokio with epoll.
    Epoll(tokio::runtime::Runtime),
    /// tokio with a ring beside it.
    #[cfg(feature = "io-uring")]
    Ring(ring::Runtime),
}

impl Runtime {
    /// The engine that was asked for, on this thread; tokio's where the system makes no ring.
    pub fn new(engine: Engine) -> io::Result<Runtime> {
        match engine {
            Engine::Tokio => Runtime::epoll(),
            #[cfg(feature = "io-uring")]
            Engine::IoUring => Runtime::ring(ring::ENTRIES),
            #[cfg(not(feature = "io-uring"))]
            Engine::IoUring => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn epoll() -> io::Result<Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().map(Runtime::Epoll)
    }

    #[cfg(feature = "io-uring")]
    fn ring(entries: u32) -> io::Result<Runtime> {
        match ring::Runtime::new(entries) {
            Ok(runtime) => Ok(Runtime::Ring(runtime)),
            Err(error) => {
                tracing::warn!(%error, "the system makes no ring for io_uring; this shard runs with tokio's epoll");
                Runtime::epoll()
            }
        }
    }

    /// Runs a shard's future to its end.
    pub fn block_on<F: Future>(&self, shard: F) -> F::Output {
        match self {
            Runtime::Epoll(runtime) => tokio::task::LocalSet::new().block_on(runtime, shard),
            #[cfg(feature = "io-uring")]
            Runtime::Ring(runtime) => runtime.block_on(shard),
        }
    }
}
