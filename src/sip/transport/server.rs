//! Starting and stopping.

#![expect(clippy::disallowed_methods, reason = "one task per listener")]

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use dashmap::DashMap;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{OnceCell, mpsc, watch};

use super::beside;
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
    /// The process before is there, and reads our datagrams.
    pub(super) follows: AtomicBool,
    tasks: watch::Sender<usize>,
    pub(super) udp: Vec<(Arc<UdpSocket>, SocketAddr)>,
}

/// SIP's sockets, serving.
#[derive(Debug)]
pub struct Transport {
    pub(super) shared: Arc<Shared>,
    listening: Vec<(Protocol, SocketAddr)>,
    /// Until they are served.
    streams: RefCell<Vec<(TcpListener, bool)>>,
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

    /// Reads all UDP sockets.
    pub(super) fn read_all_datagrams(self: &Arc<Self>) {
        for (socket, local) in &self.udp {
            tokio::spawn(self.clone().read_datagrams(socket.clone(), *local, self.task()));
        }
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
        let (transport, events) = Transport::register(settings, bind(listen, &mut Inherited::default())?)?;
        transport.listen(None);
        Ok((transport, events))
    }

    /// Registers listeners that are bound with this runtime, and serves nothing yet.
    pub fn register(settings: Settings, bound: Vec<Bound>) -> Result<(Transport, mpsc::Receiver<Event>), StartError> {
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
            follows: AtomicBool::new(false),
            tasks: watch::Sender::new(0),
            udp,
            settings,
        });
        Ok((Transport { shared, listening, streams: RefCell::new(streams) }, events))
    }

    /// Serves, once. `before` leads to the process that served before: while it is there, it reads the datagrams and passes on
    /// what belongs to none of its calls.
    pub fn listen(&self, before: Option<UnixStream>) {
        let shared = &self.shared;
        for (listener, tls) in self.streams.take() {
            tokio::spawn(shared.clone().accept(listener, tls, shared.task()));
        }
        tokio::spawn(shared.clone().sweep());
        match before.map(beside::registered) {
            Some(Ok(before)) => {
                shared.follows.store(true, Ordering::Relaxed);
                tokio::spawn(shared.clone().follow(before, shared.task()));
            }
            Some(Err(error)) => {
                tracing::error!(%error, "the process before cannot be heard; its calls may suffer");
                shared.read_all_datagrams();
            }
            None => shared.read_all_datagrams(),
        }
    }

    /// Whether the process before is there.
    pub fn follows(&self) -> bool {
        self.shared.follows.load(Ordering::Relaxed)
    }

    /// The addresses of the listeners, in the order in which they were given.
    pub fn listening(&self) -> &[(Protocol, SocketAddr)] {
        &self.listening
    }

    /// Takes no more connections in: somebody else serves the listeners. Datagrams are still read.
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
        let Transport { shared, .. } = self;
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
        let of_family =
            || self.0.udp.iter().map(|(_, local)| *local).find(|it| it.is_ipv4() == target.address.is_ipv4());
        self.datagrams(target.from.or_else(of_family).ok_or(SendError::NoListener)?, target.address)
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
