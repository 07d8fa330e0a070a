//! Sockets by readiness: tokio's epoll.

use std::cell::RefCell;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::task::{Context, Poll, Waker};

use tokio::io::unix::AsyncFd;

use super::{Calls, Dismantled, Late, give_back};

/// The kernel takes at most so many slices a call.
const SLICES: usize = 1024;

/// A socket that does not block, registered with this thread's runtime.
pub struct Socket {
    registered: AsyncFd<TcpStream>,
    left: RefCell<Left>,
}

/// Octets that the socket did not take.
#[derive(Default)]
struct Left {
    octets: Vec<u8>,
    at: usize,
}

impl Socket {
    /// Registers a socket.
    pub fn new(stream: TcpStream) -> io::Result<Socket> {
        stream.set_nonblocking(true)?;
        Ok(Socket { registered: super::super::socket::register(stream)?, left: RefCell::default() })
    }

    /// One read per readiness: a short one has emptied the socket, so no second call is made to hear that.
    pub fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut [u8], calls: &Calls) -> Poll<io::Result<usize>> {
        loop {
            let mut guard = std::task::ready!(self.registered.poll_read_ready(cx))?;
            calls.read();
            match self.registered.get_ref().read(buffer) {
                Ok(n) => {
                    if n > 0 && n < buffer.len() {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Poll::Ready(Err(e)),
            }
        }
    }

    /// Writes what the socket takes, and keeps a copy of the rest, which is seldom more than nothing.
    pub fn write(&self, octets: Vec<u8>, calls: &Calls) -> io::Result<usize> {
        let taken = self.try_write(&[IoSlice::new(&octets)], calls)?;
        if taken < octets.len() {
            *self.left.borrow_mut() = Left { octets: octets[taken..].to_vec(), at: 0 };
        }
        give_back(octets);
        Ok(taken)
    }

    /// Like `write`.
    pub fn write_slices(&self, slices: &[IoSlice<'_>], calls: &Calls) -> io::Result<usize> {
        let taken = self.try_write(slices, calls)?;
        let mut skip = taken;
        let mut left = self.left.borrow_mut();
        for slice in slices {
            let n = skip.min(slice.len());
            skip -= n;
            left.octets.extend_from_slice(&slice[n..]);
        }
        Ok(taken)
    }

    /// One call, and one more only while the socket takes everything.
    fn try_write(&self, slices: &[IoSlice<'_>], calls: &Calls) -> io::Result<usize> {
        let mut stream = self.registered.get_ref();
        let mut taken = 0;
        for group in slices.chunks(SLICES) {
            calls.write();
            let want: usize = group.iter().map(|s| s.len()).sum();
            let n = loop {
                match stream.write_vectored(group) {
                    Ok(n) => break n,
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => break 0,
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) => return Err(e),
                }
            };
            taken += n;
            if n < want {
                // The socket's buffer is full: readiness seen earlier says nothing any more.
                let mut cx = Context::from_waker(Waker::noop());
                if let Poll::Ready(Ok(mut guard)) = self.registered.poll_write_ready(&mut cx) {
                    guard.clear_ready();
                }
                break;
            }
        }
        Ok(taken)
    }

    /// Keeps octets behind those that are left.
    pub fn append(&self, mut octets: Vec<u8>) {
        self.left.borrow_mut().octets.append(&mut octets);
    }

    /// Something is left.
    pub fn unwritten(&self) -> bool {
        let left = self.left.borrow();
        left.at < left.octets.len()
    }

    /// The socket takes octets, as far as is known.
    pub fn poll_write(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.registered.poll_write_ready(cx).map_ok(drop)
    }

    /// Writes of what is left as much as the socket takes.
    pub fn resume(&self, calls: &Calls) -> io::Result<usize> {
        let mut left = self.left.borrow_mut();
        if left.at == left.octets.len() {
            return Ok(0);
        }
        let taken = self.try_write(&[IoSlice::new(&left.octets[left.at..])], calls)?;
        left.at += taken;
        if left.at == left.octets.len() {
            *left = Left::default();
        }
        Ok(taken)
    }

    /// A full socket may stay so.
    pub fn may_append_last_words(&self) -> bool {
        !self.unwritten()
    }

    /// The socket, no longer registered.
    pub fn dismantle(self) -> io::Result<Dismantled> {
        let Left { mut octets, at } = self.left.into_inner();
        let unwritten = octets.split_off(at);
        Ok(Dismantled { stream: self.registered.into_inner(), unwritten, late: Late::default(), rest: None })
    }

    /// Closes one direction or both.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.registered.get_ref().shutdown(how)
    }
}
