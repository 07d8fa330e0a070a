//! Sockets by completion: io_uring, through tokio-uring.
//!
//! What is known to go wrong with it, and what is done about that here:
//!
//! * A read whose future is dropped takes octets along. So the operation belongs to the [`Socket`], not to a task that may
//!   be aborted or time out, and ends when the socket is shut down.
//! * A socket that moves to another shard may leave a read behind that this thread's ring has begun. The socket moves as a
//!   duplicate of its descriptor; what the old read brings is sent after it ([`Late`]), and the new shard reads nothing before.
//!   Until the other end writes, such a link has two descriptors.
//! * A read keeps its buffer for as long as a link is silent. So it is a small one; when it comes back full, a plain read
//!   fetches what else is there into the shard's big buffer.
//! * Without COOP_TASKRUN the kernel interrupts the thread for each completion.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use rustix::net::RecvFlags;
use tokio::sync::oneshot;
use tokio_uring::buf::{BoundedBuf, Slice};
use tokio_uring::net::TcpStream as Stream;
use tokio_uring::{InFlightOneshot, WriteData, WriteTransform};

use super::{Calls, Dismantled, Late, buffer, give_back};

/// Operations that can be begun between two system calls; more make one in between.
pub const ENTRIES: u32 = 1024;
/// Octets that a read waits with: a short message with its head, or a few responses.
const FIRST: usize = 1 << 10;

thread_local! {
    static HERE: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has a ring.
pub fn is_here() -> bool {
    HERE.get()
}

/// This thread's ring and the tokio runtime above it.
pub struct Runtime(tokio_uring::Runtime);

impl Runtime {
    /// Makes a ring for so many operations; fails where the system permits none.
    pub fn new(entries: u32) -> io::Result<Runtime> {
        let mut builder = tokio_uring::builder();
        builder.entries(entries).uring_builder(tokio_uring::uring_builder().setup_coop_taskrun());
        tokio_uring::Runtime::new(&builder).map(Runtime)
    }

    /// Runs a future on this thread to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        HERE.set(true);
        let output = self.0.block_on(future);
        HERE.set(false);
        output
    }
}

type Read = Pin<Box<dyn Future<Output = (io::Result<usize>, Vec<u8>)>>>;
type Write = InFlightOneshot<WriteData<Slice<Vec<u8>>>, WriteTransform<Slice<Vec<u8>>>>;

enum Reading {
    /// Nothing is under way; the buffer for the next read.
    Resting(Vec<u8>),
    UnderWay(Read),
}

enum Writing {
    Resting,
    UnderWay(Write),
    /// It is over; nobody has asked how it went.
    Done(io::Result<usize>, Vec<u8>),
}

/// What is written, beside the operation that has its octets.
#[derive(Default)]
struct Unwritten {
    /// Octets of the operation's buffer that earlier ones have written.
    at: usize,
    /// Octets to write behind that buffer.
    behind: Vec<u8>,
}

/// A socket whose operations belong to this thread's ring.
pub struct Socket {
    stream: Rc<Stream>,
    reading: RefCell<Reading>,
    writing: RefCell<Writing>,
    unwritten: RefCell<Unwritten>,
    /// What the plain read behind a full one met with.
    broken: Cell<Option<io::ErrorKind>>,
    /// Its other descriptor lives on another shard.
    moved: bool,
}

impl Socket {
    /// Takes a socket over. It has to block: where it may not, the ring would report that there is nothing, instead of waiting.
    pub fn new(stream: TcpStream) -> io::Result<Socket> {
        stream.set_nonblocking(false)?;
        Ok(Socket {
            stream: Rc::new(Stream::from_std(stream)),
            reading: RefCell::new(Reading::Resting(Vec::new())),
            writing: RefCell::new(Writing::Resting),
            unwritten: RefCell::default(),
            broken: Cell::new(None),
            moved: false,
        })
    }

    #[expect(unsafe_code, reason = "tokio-uring's stream tells its descriptor as a number only")]
    fn descriptor(&self) -> BorrowedFd<'_> {
        // SAFETY: the descriptor is open for as long as `self.stream` lives, and the borrow ends before that.
        unsafe { BorrowedFd::borrow_raw(self.stream.as_raw_fd()) }
    }

    /// Has read so many octets into `buffer` when it is ready. The operation goes on if nobody asks again.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8], calls: &Calls) -> Poll<io::Result<usize>> {
        let mut reading = self.reading.borrow_mut();
        loop {
            match &mut *reading {
                Reading::Resting(own) => {
                    if let Some(kind) = self.broken.take() {
                        return Poll::Ready(Err(kind.into()));
                    }
                    let (stream, mut own) = (self.stream.clone(), std::mem::take(own));
                    own.clear();
                    own.reserve_exact(FIRST);
                    *reading = Reading::UnderWay(Box::pin(async move { stream.read(own).await }));
                }
                Reading::UnderWay(read) => {
                    let (result, own) = std::task::ready!(read.as_mut().poll(cx));
                    let outcome = match result {
                        Ok(n) => {
                            buffer[..n].copy_from_slice(&own[..n]);
                            let full = n == own.capacity();
                            Some(Ok(n + if full { self.read_on(&mut buffer[n..], calls) } else { 0 }))
                        }
                        Err(e) if matches!(e.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => None,
                        Err(e) => Some(Err(e)),
                    };
                    *reading = Reading::Resting(own);
                    if let Some(outcome) = outcome {
                        return Poll::Ready(outcome);
                    }
                }
            }
        }
    }

    /// What is there besides, without waiting.
    fn read_on(&self, buffer: &mut [u8], calls: &Calls) -> usize {
        calls.read();
        match rustix::net::recv(self.descriptor(), buffer, RecvFlags::DONTWAIT) {
            Ok((n, _)) => n,
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => 0,
            Err(e) => {
                self.broken.set(Some(io::Error::from(e).kind()));
                0
            }
        }
    }

    /// Begins to write. A buffer that is mostly empty space is not left to the ring, which may keep it for long.
    pub fn write(&self, octets: Vec<u8>, _: &Calls) -> io::Result<usize> {
        let octets = if octets.len() < octets.capacity() / 2 {
            let own = octets.as_slice().into();
            give_back(octets);
            own
        } else {
            octets
        };
        self.begin(octets, 0);
        Ok(0)
    }

    /// Begins to write a copy of the slices.
    pub fn write_slices(&self, slices: &[IoSlice<'_>], calls: &Calls) -> io::Result<usize> {
        let mut octets = buffer();
        slices.iter().for_each(|slice| octets.extend_from_slice(slice));
        self.write(octets, calls)
    }

    fn begin(&self, octets: Vec<u8>, at: usize) {
        self.unwritten.borrow_mut().at = at;
        *self.writing.borrow_mut() = Writing::UnderWay(self.stream.write(octets.slice(at..)).submit());
    }

    /// Keeps octets behind those being written.
    pub fn append(&self, mut octets: Vec<u8>) {
        self.unwritten.borrow_mut().behind.append(&mut octets);
    }

    /// Something is being written, or was, and [`Socket::resume`] has not been called.
    pub fn unwritten(&self) -> bool {
        !matches!(*self.writing.borrow(), Writing::Resting)
    }

    /// The write is over.
    pub fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut writing = self.writing.borrow_mut();
        if let Writing::UnderWay(write) = &mut *writing {
            let (result, octets) = std::task::ready!(Pin::new(write).poll(cx));
            *writing = Writing::Done(result, octets.into_inner());
        }
        Poll::Ready(Ok(()))
    }

    /// How much the write that is over has written; begins the next one if there is more.
    pub fn resume(&self, _: &Calls) -> io::Result<usize> {
        let writing = self.writing.replace(Writing::Resting);
        let Writing::Done(result, octets) = writing else {
            self.writing.replace(writing);
            return Ok(0);
        };
        let taken = result?;
        let at = self.unwritten.borrow().at + taken;
        if at < octets.len() {
            self.begin(octets, at);
        } else {
            give_back(octets);
            let behind = std::mem::take(&mut self.unwritten.borrow_mut().behind);
            if !behind.is_empty() {
                self.begin(behind, 0);
            }
        }
        Ok(taken)
    }

    /// Every write takes its moment.
    pub fn may_append_last_words(&self) -> bool {
        true
    }

    /// Closes one direction or both.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// A second descriptor for another shard. What is under way goes on here, and is told there.
    pub fn dismantle(mut self) -> io::Result<Dismantled> {
        let stream = self.descriptor().try_clone_to_owned()?.into();
        self.moved = true;
        let mut late = Late::default();
        let read = match self.reading.replace(Reading::Resting(Vec::new())) {
            Reading::Resting(_) => {
                late.read = self.broken.take().map(|kind| told(Err(kind.into())));
                None
            }
            Reading::UnderWay(mut read) => match read.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(done) => {
                    late.read = Some(told(whole(done)));
                    None
                }
                Poll::Pending => Some(read),
            },
        };
        let unwritten = Vec::new();
        if read.is_none() && !self.unwritten() {
            return Ok(Dismantled { stream, unwritten, late, rest: None });
        }
        let read = read.map(|read| {
            let (tell, told) = oneshot::channel();
            late.read = Some(told);
            (read, tell)
        });
        let written = self.unwritten().then(|| {
            let (tell, told) = oneshot::channel();
            late.written = Some(told);
            tell
        });
        let socket = super::Socket::Ring(self);
        let rest = async move {
            let write = async {
                if let Some(tell) = written {
                    let _ = tell.send(socket.finish().await);
                }
            };
            let read = async {
                if let Some((read, tell)) = read {
                    let _ = tell.send(whole(read.await));
                }
            };
            tokio::join!(write, read);
        };
        Ok(Dismantled { stream, unwritten, late, rest: Some(Box::pin(rest)) })
    }
}

/// Something that is told already.
fn told(octets: io::Result<Vec<u8>>) -> oneshot::Receiver<io::Result<Vec<u8>>> {
    let (tell, told) = oneshot::channel();
    let _ = tell.send(octets);
    told
}

fn whole((result, mut octets): (io::Result<usize>, Vec<u8>)) -> io::Result<Vec<u8>> {
    octets.truncate(result?);
    Ok(octets)
}

impl Drop for Socket {
    /// Ends the read that is under way: until then the descriptor stays open.
    fn drop(&mut self) {
        if !self.moved {
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }
}
