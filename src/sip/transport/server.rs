//! Starting and stopping.

#![expect(clippy::disallowed_methods, reason = "one task per listener")]

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{OnceCell, mpsc, watch};

use super::bound::{Bound, Sockets, bind};
use super::flow::{Closing, Out, Way};
use super::rate::Rates;
use super::rules::Rules;
use super::{Counts, Event, Flow, FlowId, Listen, Protocol, SendError, Settings, Target, Trust};
use crate::net::address::Addresses;
use crate::net::clock::Clock;
use crate::net::inherited::Inherited;
use crate::sip::answer::Answers;
use crate::sip::framing::{Broken, Echo, Fault};

/// Between two looks at which addresses have become quiet.
const SWEEP: Duration = Duration::from_secs(5);

/// What all tasks of a transport share.
#[derive(Debug)]
pub(super) struct Shared {
    /// As at the start; what may change is in the rules.
    pub(super) settings: Settings,
    pub(super) rules: ArcSwap<Rules>,
    pub(super) clock: Clock,
    pub(super) counts: Arc<Counts>,
    pub(super) answers: Answers,
    pub(super) rates: Rates,
    pub(super) addresses: Arc<Addresses>,
    pub(super) inbox: mpsc::Sender<Event>,
    pub(super) dialled: DashMap<Target, Arc<OnceCell<Flow>>>,
    pub(super) stop: watch::Sender<bool>,
    /// Listeners take nothing any more; connections go on.
    pub(super) release: watch::Sender<bool>,
    /// Connections that are served.
    pub(super) flows: DashMap<u64, Flow>,
    pub(super) flow_numbers: AtomicU64,
    tasks: watch::Sender<usize>,
    udp: Vec<(Arc<UdpSocket>, SocketAddr)>,
}

/// SIP's sockets, serving.
#[derive(Debug)]
pub struct Transport {
    shared: Arc<Shared>,
    listening: Vec<(Protocol, SocketAddr)>,
}

/// A task that [`Transport::stop`] waits for, while this lives.
pub(super) struct Task(Arc<Shared>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.tasks.send_modify(|tasks| *tasks -= 1);
    }
}

/// Why a transport does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A TLS listener needs [`Settings::server`].
    #[error("a TLS listener without a certificate")]
    NoCertificate,
    /// A listener cannot be bound.
    #[error("listener {number} cannot bind {protocol} {address}: {error}")]
    Bind {
        /// Which one, from 0.
        number: usize,
        /// Its protocol.
        protocol: Protocol,
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// A socket cannot be served.
    #[error("a socket cannot be registered: {0}")]
    Register(io::Error),
}

impl Shared {
    /// Notes that a task has begun.
    pub(super) fn task(self: &Arc<Self>) -> Task {
        self.tasks.send_modify(|tasks| *tasks += 1);
        Task(self.clone())
    }

    /// Forgets now and then which addresses were busy.
    async fn sweep(self: Arc<Self>) {
        let _task = self.task();
        let mut stop = self.stop.subscribe();
        while tokio::time::timeout(SWEEP, stop.wait_for(|stopping| *stopping)).await.is_err() {
            self.rates.sweep(self.clock.now());
            self.addresses.sweep(self.clock.now());
        }
    }
}

impl Transport {
    /// Binds all listeners, then serves them on this runtime. What comes in is in the second half.
    pub fn start(settings: Settings, listen: &[Listen]) -> Result<(Transport, mpsc::Receiver<Event>), StartError> {
        Transport::serve(settings, bind(listen, &mut Inherited::default())?)
    }

    /// Serves listeners that are bound, on this runtime.
    pub fn serve(settings: Settings, bound: Vec<Bound>) -> Result<(Transport, mpsc::Receiver<Event>), StartError> {
        let (mut udp, mut streams, mut listening) = (Vec::new(), Vec::new(), Vec::new());
        for Bound { protocol, address, sockets } in bound {
            let tls = protocol == Protocol::Tls;
            if tls && settings.server.is_none() {
                return Err(StartError::NoCertificate);
            }
            match sockets {
                Sockets::Datagrams(sockets) => {
                    for socket in sockets {
                        let socket = UdpSocket::from_std(socket).map_err(StartError::Register)?;
                        udp.push((Arc::new(socket), address));
                    }
                }
                Sockets::Streams(listeners) => {
                    for listener in listeners {
                        streams.push((TcpListener::from_std(listener).map_err(StartError::Register)?, tls));
                    }
                }
            }
            listening.push((protocol, address));
        }
        let (inbox, events) = mpsc::channel(settings.inbox);
        let shared = Arc::new(Shared {
            clock: Clock::start(),
            counts: Arc::default(),
            answers: Answers::default(),
            rates: Rates::default(),
            rules: ArcSwap::from_pointee(Rules::of(&settings)),
            addresses: Arc::default(),
            inbox,
            dialled: DashMap::new(),
            stop: watch::Sender::new(false),
            release: watch::Sender::new(false),
            flows: DashMap::new(),
            flow_numbers: AtomicU64::new(1),
            tasks: watch::Sender::new(0),
            udp: udp.clone(),
            settings,
        });
        for (socket, local) in udp {
            tokio::spawn(shared.clone().read_datagrams(socket, local, shared.task()));
        }
        for (listener, tls) in streams {
            tokio::spawn(shared.clone().accept(listener, tls, shared.task()));
        }
        tokio::spawn(shared.clone().sweep());
        Ok((Transport { shared, listening }, events))
    }

    /// The addresses of the listeners, in the order in which they were given.
    pub fn listening(&self) -> &[(Protocol, SocketAddr)] {
        &self.listening
    }

    /// Takes no more connections and datagrams in: somebody else serves the listeners. What is there goes on, and datagrams can
    /// still be sent.
    pub fn release(&self) {
        self.shared.release.send_replace(true);
    }

    /// What was carried and dropped.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.shared.counts
    }

    /// A handle that connects, for tasks that do not own the transport.
    pub fn dialer(&self) -> Dialer {
        Dialer(self.shared.clone())
    }

    /// The flow to a target; waits for a connection, within the deadline of the settings.
    pub async fn connect(&self, target: &Target) -> Result<Flow, SendError> {
        self.dialer().connect(target).await
    }

    /// Stops listening, lets each connection write what waits for it, and closes all within `grace`.
    pub async fn stop(self, grace: Duration) {
        let Transport { shared, listening: _ } = self;
        let end = |how| {
            for flow in &shared.flows {
                flow.end(how);
            }
        };
        let mut tasks = shared.tasks.subscribe();
        shared.stop.send_replace(true);
        end(Closing::Drain);
        if tokio::time::timeout(grace, tasks.wait_for(|tasks| *tasks == 0)).await.is_err() {
            end(Closing::Abort);
            // Nothing waits for a peer any more; only the last events may wait for room.
            let _ = tokio::time::timeout(grace, tasks.wait_for(|tasks| *tasks == 0)).await;
        }
    }
}

/// Makes flows.
#[derive(Clone, Debug)]
pub struct Dialer(Arc<Shared>);

impl Dialer {
    /// See [`Transport::connect`].
    pub async fn connect(&self, target: &Target) -> Result<Flow, SendError> {
        if target.protocol != Protocol::Udp {
            return self.0.reach(target).await;
        }
        let local = self.udp_local(target.address).ok_or(SendError::NoListener)?;
        self.datagrams(local, target.address)
    }

    /// The UDP listener by which an address is reached.
    pub fn udp_local(&self, remote: SocketAddr) -> Option<SocketAddr> {
        self.0.udp.iter().map(|(_, local)| *local).find(|local| local.is_ipv4() == remote.is_ipv4())
    }

    /// The flow from the UDP listener at `local`.
    pub fn datagrams(&self, local: SocketAddr, remote: SocketAddr) -> Result<Flow, SendError> {
        let (socket, local) = self.0.udp.iter().find(|(_, own)| *own == local).ok_or(SendError::NoListener)?;
        Ok(Flow::new(Way {
            id: FlowId { protocol: Protocol::Udp, local: *local, remote, number: 0 },
            trust: self.trusted(remote.ip()),
            out: Out::Datagrams(socket.clone()),
            counts: self.0.counts.clone(),
        }))
    }

    /// Puts other bounds, certificates and trust in force for what comes from now on; connections stay, with the trust that
    /// they have. Timeouts, limits of messages and queues stay as they were at the start.
    pub fn reconfigure(&self, settings: &Settings) {
        let mut rules = Rules::of(settings);
        if rules.server.is_none() {
            rules.server.clone_from(&self.0.rules.load().server);
        }
        self.0.rules.store(Arc::new(rules));
    }

    /// Whether an address is in a trusted network.
    pub fn trusted(&self, address: IpAddr) -> Option<Trust> {
        self.0.rules.load().trusted.address(address)
    }

    /// Counts a fault that was found later, and answers it where it may be answered.
    pub fn refuse(&self, flow: &Flow, fault: Fault, echo: Option<Box<Echo>>) {
        self.0.refuse(flow, &Broken { fault, echo });
    }
}
