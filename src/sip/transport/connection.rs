//! One connection: a task that reads, a task that writes, and how both end.

#![expect(clippy::disallowed_methods, reason = "two tasks per connection")]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::flow::{Closing, Out, Way};
use super::server::Shared;
use super::{Arrival, Event, Flow, FlowId, Loss, Protocol, Trust};
use crate::net::address::Permit;
use crate::sip::framing::{Broken, Framed, Stream};
use crate::sip::gate;

/// What is known of a connection before its first octet.
pub(super) struct Ends {
    pub(super) protocol: Protocol,
    pub(super) local: std::net::SocketAddr,
    pub(super) remote: std::net::SocketAddr,
    pub(super) trust: Option<Trust>,
    pub(super) permit: Permit,
}

impl Shared {
    /// Begins to read and write a connection.
    pub(super) fn serve<S>(self: &Arc<Self>, stream: S, ends: Ends) -> Flow
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (queue, waiting) = mpsc::channel(self.settings.outbox);
        let (closing, closes) = watch::channel(Closing::Open);
        let number = self.flow_numbers.fetch_add(1, Ordering::Relaxed);
        let flow = Flow::new(Way {
            id: FlowId { protocol: ends.protocol, local: ends.local, remote: ends.remote, number },
            trust: ends.trust,
            out: Out::Stream { queue, closing, owed: watch::Sender::new(0) },
            counts: self.counts.clone(),
        });
        self.counts.open();
        let (read, write) = tokio::io::split(stream);
        let writer = tokio::spawn(self.clone().write(write, waiting, closes.clone(), flow.clone()));
        self.flows.insert(number, flow.clone());
        if *self.stop.borrow() {
            // Too late for `stop` to find it.
            flow.end(Closing::Drain);
        }
        let (shared, served, permit, task) = (self.clone(), flow.clone(), ends.permit, self.task());
        tokio::spawn(async move {
            let (mut read, mut closes) = (read, closes);
            if shared.tell(&mut closes, Event::Opened(served.clone())).await {
                shared.read(&mut read, &served, &mut closes).await;
            }
            served.end(Closing::Drain);
            let drained = async {
                let _ = writer.await;
                discard(&mut read, shared.settings.linger).await;
            };
            tokio::select! {
                () = drained => {}
                _ = closes.wait_for(|c| *c == Closing::Abort) => {}
            }
            served.end(Closing::Abort);
            drop((read, permit));
            shared.forget(&served);
            shared.flows.remove(&number);
            // The last word about this connection may wait for room, but not for ever.
            let _ = timeout(shared.settings.write, shared.inbox.send(Event::Closed(served))).await;
            drop(task);
        });
        flow
    }

    /// Reads until the connection is to be closed.
    async fn read<S: AsyncRead>(&self, read: &mut ReadHalf<S>, flow: &Flow, closes: &mut watch::Receiver<Closing>) {
        let mut stream = Stream::new(flow.remote(), self.settings.limits);
        let mut buffer = vec![0; 4096];
        let mut heard = self.clock.now();
        loop {
            let idle = heard + self.settings.idle;
            let until = stream.deadline().map_or(idle, |d| d.min(idle));
            let octets = tokio::select! {
                biased;
                _ = closes.wait_for(|c| *c != Closing::Open) => return,
                octets = read.read(&mut buffer) => octets,
                () = tokio::time::sleep_until(self.clock.instant(until)) => {
                    if let Some(Framed::Lost(broken)) = stream.expire() {
                        self.refuse(flow, &broken);
                    } else {
                        self.counts.lose(Loss::Idle);
                    }
                    return;
                }
            };
            let length = match octets {
                Err(_) => return flow.end(Closing::Abort),
                Ok(0) => {
                    // A message that its sender cut short is none.
                    if let Some(Framed::Lost(broken)) = stream.expire() {
                        self.refuse(flow, &broken);
                    }
                    return self.half_closed(flow, closes).await;
                }
                Ok(length) => length,
            };
            heard = self.clock.now();
            stream.push(&buffer[..length], heard);
            while let Some(framed) = stream.next(self.clock.now()) {
                if !self.framed(framed, flow, closes).await {
                    return;
                }
            }
        }
    }

    /// Deals with one thing found in the stream; false when the connection is to be closed.
    async fn framed(&self, framed: Framed, flow: &Flow, closes: &mut watch::Receiver<Closing>) -> bool {
        if flow.trust().is_none() && !self.pace(flow, closes).await {
            return false;
        }
        match framed {
            Framed::Ping => flow.send_long(Bytes::from_static(b"\r\n")).is_ok(),
            Framed::Broken(broken) => {
                self.refuse(flow, &broken);
                true
            }
            Framed::Lost(broken) => {
                self.refuse(flow, &broken);
                false
            }
            Framed::Message(message) => {
                if let Err(fault) = gate::check(&message) {
                    self.refuse(flow, &Broken { fault, echo: message.echo });
                    return true;
                }
                self.counts.receive();
                if message.echo.is_some() {
                    flow.owe();
                }
                self.tell(closes, Event::Message(Arrival { message, flow: flow.clone() })).await
            }
        }
    }

    /// Waits for a token: who sends too fast is read slowly, and nothing of it is lost.
    async fn pace(&self, flow: &Flow, closes: &mut watch::Receiver<Closing>) -> bool {
        loop {
            let pace = self.rules.load().pace;
            let Err(wait) = self.rates.take(flow.remote().ip(), pace, self.clock.now()) else { return true };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                _ = closes.wait_for(|c| *c != Closing::Open) => return false,
            }
        }
    }

    /// Puts an event into the queue; while that is full, this connection is not read. False when it closes meanwhile.
    async fn tell(&self, closes: &mut watch::Receiver<Closing>, event: Event) -> bool {
        let message = matches!(event, Event::Message(_));
        tokio::select! {
            biased;
            sent = self.inbox.send(event) => sent.is_ok(),
            _ = closes.wait_for(|c| *c != Closing::Open) => {
                if message {
                    self.counts.lose(Loss::Stopped);
                }
                false
            }
        }
    }

    /// The other side says no more, or has gone. If it waits for responses it gets them.
    async fn half_closed(&self, flow: &Flow, closes: &mut watch::Receiver<Closing>) {
        self.forget(flow);
        let over = async {
            tokio::select! {
                () = flow.settled() => {}
                _ = closes.wait_for(|c| *c != Closing::Open) => {}
            }
        };
        let _ = timeout(self.settings.half_closed, over).await;
    }

    async fn write<S: AsyncWrite>(
        self: Arc<Self>,
        mut write: WriteHalf<S>,
        mut waiting: mpsc::Receiver<Bytes>,
        mut closes: watch::Receiver<Closing>,
        flow: Flow,
    ) {
        let lost = self.write_all(&mut write, &mut waiting, &mut closes).await;
        if let Err(why) = lost {
            flow.end(Closing::Abort);
            self.counts.lose(why);
            waiting.close();
            while waiting.recv().await.is_some() {
                self.counts.lose(why);
            }
        }
        let _ = timeout(self.settings.linger, write.shutdown()).await;
    }

    /// Writes what comes until the connection closes and nothing waits; or tells why the message in hand is lost.
    async fn write_all<S: AsyncWrite>(
        &self,
        write: &mut WriteHalf<S>,
        waiting: &mut mpsc::Receiver<Bytes>,
        closes: &mut watch::Receiver<Closing>,
    ) -> Result<(), Loss> {
        loop {
            let octets = tokio::select! {
                biased;
                octets = waiting.recv() => octets,
                _ = closes.wait_for(|c| *c != Closing::Open), if !waiting.is_closed() => {
                    waiting.close();
                    continue;
                }
            };
            let Some(octets) = octets else { return Ok(()) };
            let written = async {
                write.write_all(&octets).await?;
                write.flush().await
            };
            let written = tokio::select! {
                written = timeout(self.settings.write, written) => written,
                _ = closes.wait_for(|c| *c == Closing::Abort) => return Err(Loss::Stopped),
            };
            match written {
                Ok(Ok(())) => self.counts.send(),
                Ok(Err(_)) => return Err(Loss::Closed),
                Err(_) => return Err(Loss::Stalled),
            }
        }
    }
}

/// Reads to the end, and for a while at most: a socket that is closed over unread octets takes our last answer back.
async fn discard<S: AsyncRead>(read: &mut ReadHalf<S>, linger: Duration) {
    let mut buffer = [0; 1024];
    let _ = timeout(linger, async { while matches!(read.read(&mut buffer).await, Ok(1..)) {} }).await;
}
