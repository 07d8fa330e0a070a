//! The task that writes: responses and REPORTs first, then chunks of the messages in turn (RFC 4975 section 7.1.1).

use std::{
    collections::VecDeque,
    future::{pending, poll_fn},
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{body::Source, error::ClientError, error::Failure, ledger::Ledger, ledger::Watched, options::SendOptions};
use crate::msrp::{self, ByteRange, EndLineGuard, FailureReport, Flag, Tid};

/// Octets of body per write, so that a response waits for no more than these.
const PIECE: u64 = 65_536;

/// The longest chunk that is not interruptible, and so has a numeric end (RFC 4975 section 7.1.1).
const UNINTERRUPTIBLE: u64 = 2048;

/// A complete frame, or any octets, to be written as they are.
pub(super) struct Frame {
    pub(super) octets: Vec<u8>,
    /// The request whose time begins when it is written.
    pub(super) request: Option<Tid>,
}

/// A message to be sent.
pub(super) struct Outgoing {
    pub(super) message_id: String,
    pub(super) to_path: String,
    pub(super) from_path: String,
    pub(super) content_type: Option<String>,
    pub(super) source: Source,
    pub(super) options: SendOptions,
    pub(super) progress: Watched,
    pub(super) abandon: watch::Receiver<bool>,
}

pub(super) struct Writer<W> {
    pub(super) io: W,
    pub(super) ledger: Arc<Ledger>,
    pub(super) control: mpsc::Receiver<Frame>,
    pub(super) fresh: mpsc::Receiver<Outgoing>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) messages: VecDeque<Outgoing>,
    pub(super) buffer: Vec<u8>,
}

/// What is to be done next.
#[expect(clippy::large_enum_variant, reason = "one value at a time, on the stack")]
enum Turn {
    Control(Frame),
    Fresh(Outgoing),
    Chunk(usize),
    Gone(usize),
    Again,
    Stop,
}

/// How a chunk has ended for its message.
#[derive(PartialEq)]
enum Chunk {
    Last,
    More,
}

impl<W: AsyncWrite + Unpin> Writer<W> {
    /// Writes until it is told to stop or the connection fails; what was handed over as control is written in any case.
    pub(super) async fn run(mut self) -> Result<(), ClientError> {
        loop {
            match self.turn().await {
                Turn::Control(frame) => self.control(frame).await?,
                Turn::Fresh(message) => self.messages.push_back(message),
                Turn::Gone(index) => drop(self.messages.remove(index)),
                Turn::Again => {}
                Turn::Chunk(index) => {
                    let Some(mut message) = self.messages.remove(index) else { continue };
                    if self.chunk(&mut message).await? == Chunk::More {
                        self.messages.push_back(message);
                    }
                }
                Turn::Stop => break,
            }
        }
        while let Ok(frame) = self.control.try_recv() {
            self.control(frame).await?;
        }
        self.io.shutdown().await.map_err(lost)
    }

    async fn turn(&mut self) -> Turn {
        let Writer { ledger, control, fresh, stop, messages, .. } = self;
        let deadline = ledger.deadline();
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => Turn::Stop,
            () = until(deadline) => {
                ledger.expire();
                Turn::Again
            }
            Some(frame) = control.recv() => Turn::Control(frame),
            Some(message) = fresh.recv(), if messages.len() < 1024 => Turn::Fresh(message),
            turn = poll_fn(|cx| poll_messages(messages, cx)) => turn,
            () = ledger.changed.notified() => Turn::Again,
        }
    }

    /// Writes a control frame and those that wait behind it.
    async fn control(&mut self, frame: Frame) -> Result<(), ClientError> {
        let mut requests = Vec::new();
        let mut next = Some(frame);
        while let Some(frame) = next {
            self.buffer.extend_from_slice(&frame.octets);
            requests.extend(frame.request);
            next = if self.buffer.len() < PIECE as usize { self.control.try_recv().ok() } else { None };
        }
        self.flush().await?;
        requests.into_iter().for_each(|tid| self.ledger.written(tid));
        Ok(())
    }

    /// Writes one chunk. Whatever makes it shorter than planned makes it end with `+`, and the message go on later.
    async fn chunk(&mut self, message: &mut Outgoing) -> Result<Chunk, ClientError> {
        let abandoned = *message.abandon.borrow();
        if abandoned && message.source.position() == 0 {
            message.progress.send_modify(|progress| progress.fail(Failure::Abandoned));
            return Ok(Chunk::Last);
        }
        let (planned, last) = if abandoned { (0, false) } else { message.source.plan(message.options.chunk.max(1)) };
        let mut left = planned;
        let mut piece = message.source.take_up_to(left.min(PIECE));
        let (tid, mut guard) = self.identify(&piece, planned);
        let awaited = message.options.failure_report == FailureReport::Yes;
        if message.options.failure_report != FailureReport::No {
            self.ledger.open_chunk(tid, &message.progress, awaited);
        }
        let start = message.source.position() - piece.len() as u64 + 1;
        self.head(message, tid, start, planned);
        let flag = loop {
            let admitted = guard.admit(&piece);
            self.buffer.extend_from_slice(&piece[..admitted]);
            message.source.put_back(piece.slice(admitted..));
            left -= admitted as u64;
            let given_up = *message.abandon.borrow() || message.progress.borrow().failure.is_some();
            let wanted = !self.control.is_empty() || *self.stop.borrow();
            let flag = match left {
                0 if last => Some(Flag::Complete),
                _ if given_up => Some(Flag::Abort),
                0 => Some(Flag::More),
                _ if admitted < piece.len() || wanted => Some(Flag::More),
                _ => None,
            };
            if let Some(flag) = flag {
                msrp::end_line(&mut self.buffer, tid.as_bytes(), flag, message.content_type.is_some());
                self.flush().await?;
                break flag;
            }
            self.flush().await?;
            piece = message.source.take_up_to(left.min(PIECE));
        };
        self.ledger.written(tid);
        let complete = flag == Flag::Complete;
        message.progress.send_modify(|progress| {
            progress.chunk_written(planned - left, complete);
            if flag == Flag::Abort {
                progress.fail(Failure::Abandoned);
            }
        });
        Ok(if flag == Flag::More { Chunk::More } else { Chunk::Last })
    }

    /// A transact-id for a chunk. One that cannot be interrupted gets one that its body does not contain.
    fn identify(&self, piece: &[u8], planned: u64) -> (Tid, EndLineGuard) {
        loop {
            let tid = self.ledger.fresh_tid();
            let guard = EndLineGuard::new(tid);
            if planned > UNINTERRUPTIBLE || guard.clone().admit(piece) == piece.len() {
                return (tid, guard);
            }
        }
    }

    fn head(&mut self, message: &Outgoing, tid: Tid, start: u64, planned: u64) {
        let options = &message.options;
        let end = (planned <= UNINTERRUPTIBLE).then(|| start - 1 + planned);
        let mut range = Vec::with_capacity(32);
        ByteRange { start, end, total: message.total(planned) }.write(&mut range);
        let mut headers: Vec<(&str, &[u8])> =
            vec![("Message-ID", message.message_id.as_bytes()), ("Byte-Range", &range)];
        if options.success_report {
            headers.push(("Success-Report", b"yes"));
        }
        match options.failure_report {
            FailureReport::Yes => {}
            FailureReport::Partial => headers.push(("Failure-Report", b"partial")),
            FailureReport::No => headers.push(("Failure-Report", b"no")),
        }
        headers.extend(options.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
        let (to, from) = (message.to_path.as_bytes(), message.from_path.as_bytes());
        let content_type = message.content_type.as_deref().map(str::as_bytes);
        msrp::request_head(&mut self.buffer, tid.as_bytes(), "SEND", to, from, &headers, content_type);
    }

    /// Writes the buffer out. Time limits are kept meanwhile: the peer may have stopped reading.
    async fn flush(&mut self) -> Result<(), ClientError> {
        let Writer { io, buffer, ledger, .. } = self;
        let mut write = pin!(async {
            io.write_all(buffer).await?;
            io.flush().await
        });
        loop {
            let deadline = ledger.deadline();
            tokio::select! {
                result = &mut write => {
                    result.map_err(lost)?;
                    break;
                }
                () = until(deadline) => ledger.expire(),
            }
        }
        self.buffer.clear();
        Ok(())
    }
}

impl Outgoing {
    /// The total in Byte-Range, as far as it is known.
    fn total(&self, planned: u64) -> Option<u64> {
        self.source.length().or_else(|| (planned == 0 && self.source.position() == 0).then_some(0))
    }

    fn window_open(&self) -> bool {
        self.options.failure_report != FailureReport::Yes
            || self.progress.borrow().unanswered < self.options.window.max(1) as u64
    }
}

/// The first message that has failed, or can and may send a chunk.
fn poll_messages(messages: &mut VecDeque<Outgoing>, cx: &mut Context<'_>) -> Poll<Turn> {
    for (index, message) in messages.iter_mut().enumerate() {
        if message.progress.borrow().over() {
            return Poll::Ready(Turn::Gone(index));
        }
        let abandoned = *message.abandon.borrow();
        if abandoned || (message.window_open() && message.source.poll_ready(cx).is_ready()) {
            return Poll::Ready(Turn::Chunk(index));
        }
    }
    Poll::Pending
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

fn lost(error: io::Error) -> ClientError {
    ClientError::Lost(error.kind())
}
