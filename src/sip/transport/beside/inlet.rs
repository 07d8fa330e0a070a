//! The new process: it hears what the old one passes on, and reads the sockets when that one has ended.

#![expect(
    clippy::disallowed_methods,
    reason = "a task for the stream between the processes, and one for each passed connection"
)]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::QUEUE;
use super::frame::Frame;
use crate::net::address::Bounds;
use crate::sip::transport::connection::Ends;
use crate::sip::transport::server::{Shared, Task};
use crate::sip::transport::{Loss, Protocol, Trust};

/// Octets of a passed connection that wait for a reader.
const PIPE: usize = 64 << 10;

impl Shared {
    /// Serves what the old process passes on until that ends.
    pub(in crate::sip::transport) async fn follow(self: Arc<Self>, before: UnixStream, _task: Task) {
        let mut stop = self.stop.subscribe();
        let (mut read, mut write) = before.into_split();
        let (queue, mut waiting) = mpsc::channel::<Bytes>(QUEUE);
        let writer = tokio::spawn(async move {
            while let Some(frame) = waiting.recv().await {
                if write.write_all(&frame).await.is_err() {
                    return;
                }
            }
        });
        let mut passed: HashMap<u64, WriteHalf<DuplexStream>> = HashMap::new();
        let ended = async {
            while let Some(frame) = Frame::next(&mut read).await {
                self.passed_on(frame, &mut passed, &queue).await;
            }
        };
        tokio::select! {
            () = ended => {
                tracing::info!("the process before has ended; datagrams are read here from now on");
                self.read_all_datagrams();
            }
            _ = stop.wait_for(|stopping| *stopping) => {}
        }
        self.follows.store(false, Ordering::Relaxed);
        for (_, mut connection) in passed {
            let _ = connection.shutdown().await;
        }
        writer.abort();
    }

    async fn passed_on(
        self: &Arc<Self>,
        frame: Frame,
        passed: &mut HashMap<u64, WriteHalf<DuplexStream>>,
        queue: &mpsc::Sender<Bytes>,
    ) {
        match frame {
            Frame::Datagram { local, source, octets } => {
                let Some((socket, local)) = self.udp.iter().find(|(_, own)| *own == local) else {
                    return self.counts.lose(Loss::Closed);
                };
                self.datagram(&octets, source, socket, *local);
            }
            Frame::Opened { number, protocol, local, remote, trust } => {
                let rules = self.rules.load();
                // By today's list, here as everywhere.
                let trust = match trust {
                    Some(Trust::Certificate(name)) if rules.trusted.names.contains(&*name) => {
                        Some(Trust::Certificate(name))
                    }
                    _ => rules.trusted.address(remote.ip()),
                };
                // The old process has counted it already.
                let bounds = Bounds { open: u32::MAX, new: u32::MAX, ..rules.connections };
                let Ok(permit) = self.addresses.connect(remote.ip(), &bounds, self.clock.now()) else {
                    return self.counts.lose(Loss::Total);
                };
                debug_assert!(protocol != Protocol::Udp);
                let (near, far) = tokio::io::duplex(PIPE);
                self.serve(far, Ends { protocol, local, remote, trust, permit });
                let (read, write) = tokio::io::split(near);
                passed.insert(number, write);
                tokio::spawn(answer(number, read, queue.clone()));
            }
            Frame::Octets { number, octets } => {
                let gone = match passed.get_mut(&number) {
                    Some(connection) => connection.write_all(&octets).await.is_err(),
                    None => return,
                };
                if gone {
                    passed.remove(&number);
                }
            }
            Frame::Closed { number } => {
                if let Some(mut connection) = passed.remove(&number) {
                    let _ = connection.shutdown().await;
                }
            }
        }
    }
}

/// What is written on a passed connection goes back to whoever has it.
async fn answer(number: u64, mut read: ReadHalf<DuplexStream>, queue: mpsc::Sender<Bytes>) {
    let mut buffer = vec![0; PIPE];
    while let Ok(length @ 1..) = read.read(&mut buffer).await {
        let octets = Bytes::copy_from_slice(&buffer[..length]);
        if queue.send(Frame::Octets { number, octets }.write()).await.is_err() {
            return;
        }
    }
    let _ = queue.send(Frame::Closed { number }.write()).await;
}
