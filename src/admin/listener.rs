//! Connections of the admin interface: few at a time, and none that does nothing.

#![expect(clippy::disallowed_methods, reason = "a deadline for a request; nothing of the core depends on it")]

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep};

/// Connections at a time; others wait in the listening socket. Less than the commands that may wait for a shard.
pub(super) const SEATS: usize = 32;
/// Longest time without an octet of an answer, from the accepted connection or the last octet on. Bounds slow headers,
/// slow bodies, idle connections and clients that do not read, all in one.
const PATIENCE: Duration = Duration::from_secs(30);
/// The same for who has not shown that it is an operator: whoever can only connect must not keep operators out. More than a
/// probe may have to wait for its answer.
const SHORT_PATIENCE: Duration = Duration::from_secs(10);

/// A listener that lets in [`SEATS`] connections.
pub(super) struct Capped {
    listener: TcpListener,
    seats: Arc<Semaphore>,
}

/// The client of a connection.
#[derive(Clone)]
pub(super) struct Peer {
    /// Its address.
    pub(super) address: SocketAddr,
    /// It has made a request that not everybody may make.
    admitted: Arc<AtomicBool>,
}

impl Peer {
    /// The client is an operator: it is given more time.
    pub(super) fn admit(&self) {
        self.admitted.store(true, Ordering::Relaxed);
    }
}

/// A connection that fails when it has sent nothing for too long, whatever arrives.
pub(super) struct Impatient<S> {
    stream: S,
    /// Before the client is admitted, and after it.
    patience: [Duration; 2],
    admitted: Arc<AtomicBool>,
    since: Instant,
    timer: Pin<Box<Sleep>>,
    _seat: Option<OwnedSemaphorePermit>,
}

impl Capped {
    pub(super) fn new(listener: TcpListener) -> Capped {
        Capped { listener, seats: Arc::new(Semaphore::new(SEATS)) }
    }
}

impl Listener for Capped {
    type Io = Impatient<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Impatient<TcpStream>, SocketAddr) {
        // The semaphore is never closed.
        let seat = self.seats.clone().acquire_owned().await.ok();
        // This one logs errors and waits when descriptors are short.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        (Impatient::new(stream, [SHORT_PATIENCE, PATIENCE], seat), peer)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Capped>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Capped>) -> Peer {
        Peer { address: *stream.remote_addr(), admitted: stream.io().admitted.clone() }
    }
}

impl<S> Impatient<S> {
    fn new(stream: S, patience: [Duration; 2], seat: Option<OwnedSemaphorePermit>) -> Impatient<S> {
        let timer = Box::pin(sleep(patience[0]));
        Impatient { stream, patience, admitted: Arc::default(), since: Instant::now(), timer, _seat: seat }
    }

    /// The end of its time as it stands now.
    fn until(&self) -> Instant {
        self.since + self.patience[usize::from(self.admitted.load(Ordering::Relaxed))]
    }

    fn check(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let until = self.until();
            if until <= Instant::now() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // It was admitted since the timer was set.
            self.timer.as_mut().reset(until);
        }
        Ok(())
    }

    fn progress(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if matches!(written, Poll::Ready(Ok(1..))) {
            self.since = Instant::now();
            let until = self.until();
            self.timer.as_mut().reset(until);
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Impatient<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Impatient<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.progress(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(cx)?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.progress(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_client_that_trickles_is_cut_off() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut stream = Impatient::new(near, [SHORT; 2], None);
        // It always has another octet ready, so that only the clock can end this.
        let trickle = async { while far.write_all(b"X").await.is_ok() {} };
        let read = async {
            let mut octet = [0];
            loop {
                if let Err(error) = stream.read_exact(&mut octet).await {
                    return error.kind();
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            kind = read => assert_eq!(kind, io::ErrorKind::TimedOut),
            () = trickle => panic!("the stream is still held"),
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off() {
        let (near, _far) = tokio::io::duplex(8);
        let mut stream = Impatient::new(near, [SHORT; 2], None);
        let error = stream.write_all(&[0; 64]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_was_admitted_has_more_time() {
        let long = 8 * SHORT;
        for (admitted, least, most) in [(false, SHORT, long), (true, long, Duration::MAX)] {
            let (near, _far) = tokio::io::duplex(8);
            let mut stream = Impatient::new(near, [SHORT, long], None);
            stream.admitted.store(admitted, Ordering::Relaxed);
            let began = Instant::now();
            let error = stream.read_u8().await.expect_err("nothing comes");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let after = began.elapsed();
            assert!(least <= after && after < most, "admitted: {admitted}, after {after:?}");
        }
    }
}
