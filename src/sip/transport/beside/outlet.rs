//! The old process: what belongs to none of its calls goes to the new one.

#![expect(clippy::disallowed_methods, reason = "two tasks for the stream between the processes")]

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::task::JoinHandle;

use super::frame::Frame;
use super::{QUEUE, registered};
use crate::sip::transport::server::Shared;
use crate::sip::transport::{Arrival, Flow, Loss, Protocol, Transport};

/// The way to the new process.
#[derive(Debug)]
pub struct Outlet {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Bytes>,
    writer: JoinHandle<()>,
    /// Connections that it knows; there are no more than this process has.
    told: HashSet<u64>,
}

impl Transport {
    /// Makes the process behind this stream the one that has what this one does not know.
    pub fn pass_on_to(&self, next: std::os::unix::net::UnixStream) -> io::Result<Outlet> {
        let (read, write) = registered(next)?.into_split();
        let (queue, waiting) = mpsc::channel(QUEUE);
        tokio::spawn(hear(self.shared.clone(), read));
        let writer = tokio::spawn(write_all(write, waiting));
        Ok(Outlet { shared: self.shared.clone(), queue, writer, told: HashSet::new() })
    }
}

impl Outlet {
    /// Passes a message on. False if nobody is there any more: then it is this process's after all.
    pub fn pass_on(&mut self, arrival: &Arrival) -> bool {
        let (flow, octets) = (&arrival.flow, arrival.message.octets.clone());
        let id = flow.id();
        let (local, number) = (id.local, id.number);
        if id.protocol == Protocol::Udp {
            return self.put(&Frame::Datagram { local, source: id.remote, octets });
        }
        if !self.told.contains(&number) {
            let trust = flow.trust().cloned();
            let opened = Frame::Opened { number, protocol: id.protocol, local, remote: id.remote, trust };
            if !self.put(&opened) {
                return false;
            }
            self.told.insert(number);
        }
        self.put(&Frame::Octets { number, octets })
    }

    /// A connection is gone.
    pub fn closed(&mut self, flow: &Flow) {
        if self.told.remove(&flow.id().number) {
            self.put(&Frame::Closed { number: flow.id().number });
        }
    }

    /// Lets the other process have what waits for it, and the sockets.
    pub async fn finish(self, grace: Duration) {
        drop(self.queue);
        let _ = tokio::time::timeout(grace, self.writer).await;
    }

    fn put(&self, frame: &Frame) -> bool {
        match self.queue.try_send(frame.write()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.shared.counts.lose(Loss::InboxFull);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

async fn write_all(mut write: OwnedWriteHalf, mut waiting: mpsc::Receiver<Bytes>) {
    while let Some(frame) = waiting.recv().await {
        if write.write_all(&frame).await.is_err() {
            tracing::warn!("the new process is gone: what is not of this one's calls is refused");
            return;
        }
    }
    let _ = write.shutdown().await;
}

/// What the other process answers on our connections.
async fn hear(shared: Arc<Shared>, mut read: OwnedReadHalf) {
    while let Some(frame) = Frame::next(&mut read).await {
        let (number, octets) = match frame {
            Frame::Octets { number, octets } => (number, Some(octets)),
            Frame::Closed { number } => (number, None),
            Frame::Datagram { .. } | Frame::Opened { .. } => return,
        };
        let Some(flow) = shared.flows.get(&number).map(|flow| flow.clone()) else { continue };
        match octets {
            Some(octets) => {
                // What it does not take is counted there.
                let _ = flow.send_long(octets);
            }
            None => flow.close(),
        }
    }
}
