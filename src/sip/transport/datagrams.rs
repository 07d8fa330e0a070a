//! The loop of one UDP socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc::error::TrySendError;

use super::flow::{Out, Way};
use super::server::{Shared, Task};
use super::{Arrival, Event, Flow, FlowId, Loss, Protocol};
use crate::sip::framing::{Broken, datagram};
use crate::sip::gate;

/// Octets of the longest datagram there is.
const LONGEST: usize = 65_535;

impl Shared {
    /// Reads datagrams until the transport stops.
    pub(super) async fn read_datagrams(self: Arc<Self>, socket: Arc<UdpSocket>, local: SocketAddr, _task: Task) {
        let mut buffer = vec![0; LONGEST];
        let mut stop = self.stop.subscribe();
        loop {
            let read = tokio::select! {
                _ = stop.wait_for(|stopping| *stopping) => return,
                read = socket.recv_from(&mut buffer) => read,
            };
            match read {
                Ok((length, source)) => self.datagram(&buffer[..length], source, &socket, local),
                // An ICMP message about an earlier datagram, or the system is out of memory: neither ends the socket.
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    pub(super) fn datagram(&self, octets: &[u8], source: SocketAddr, socket: &Arc<UdpSocket>, local: SocketAddr) {
        let rules = self.rules.load();
        let trust = rules.trusted.address(source.ip());
        if trust.is_none() && self.rates.take(source.ip(), rules.pace, self.clock.now()).is_err() {
            return self.counts.lose(Loss::Rate);
        }
        let Some(read) = datagram(octets, source, &self.settings.limits) else { return };
        let way = Way {
            id: FlowId { protocol: Protocol::Udp, local, remote: source, number: 0 },
            trust,
            out: Out::Datagrams(socket.clone()),
            counts: self.counts.clone(),
        };
        let flow = Flow::new(way);
        let message = match read {
            Ok(message) => message,
            Err(broken) => return self.refuse(&flow, &broken),
        };
        if let Err(fault) = gate::check(&message) {
            return self.refuse(&flow, &Broken { fault, echo: message.echo });
        }
        self.counts.receive();
        match self.inbox.try_send(Event::Message(Arrival { message: Box::new(message), flow })) {
            Ok(()) => {}
            // Whoever sent it will send it again.
            Err(TrySendError::Full(_)) => self.counts.lose(Loss::InboxFull),
            Err(TrySendError::Closed(_)) => self.counts.lose(Loss::Stopped),
        }
    }

    /// Counts a fault and answers it where it may be answered.
    pub(super) fn refuse(&self, flow: &Flow, broken: &Broken) {
        self.counts.fault(broken.fault);
        let Some(echo) = &broken.echo else { return self.counts.lose(Loss::Unanswered) };
        let Some(answer) = self.answers.refuse(echo, broken.fault) else { return self.counts.lose(Loss::Unanswered) };
        let to = match (&echo.via, flow.protocol()) {
            (Some(via), Protocol::Udp) => via.reply_to(flow.remote()),
            _ => flow.remote(),
        };
        if flow.send_to(answer, to).is_ok() {
            self.counts.answer();
        }
    }
}
