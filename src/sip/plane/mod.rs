//! The control plane as it runs: one thread with its own runtime, beside the shards (RFC 3261).
//!
//! ```text
//!   transport ─ events ─┐                         ┌─> transport: messages out
//!   shards ─── news ────┤                         ├─> shards: commands about anchors
//!   look-ups ─ done ────┼──> [B2bua] ── outputs ──┼─> DNS, credential stores
//!   process ── orders ──┤                         └─> observe: metrics, records
//!   clock ──────────────┘
//! ```
//!
//! The machine in the middle ([`b2bua`](super::b2bua)) decides; here is only the loop that feeds it and does what it says. If
//! this thread stalls, sessions that exist go on: the shards never wait for it.

mod admission;
mod deeds;
mod driver;
mod metrics;
mod setup;

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

use super::b2bua::AnchorRef;
use super::transport;
use super::way::Protocol;
use crate::config::Config;
use crate::net::inherited::{Inherited, Named};
use crate::net::server::{Server, StartError};
use crate::observe::Observer;
use crate::relay::AnchorNews;

pub use setup::Setup;

/// News of anchors that wait for this thread; more are lost, counted, and their calls end by their own timers.
const NEWS: usize = 65_536;
/// Orders of the process.
const ORDERS: usize = 16;

/// Name of the thread. What panics in it ends no session.
pub const THREAD: &str = "sip";

/// Where shards leave what anchors tell.
#[derive(Clone)]
pub struct Newsroom(mpsc::Sender<(AnchorRef, AnchorNews)>);

impl Newsroom {
    /// A room and its other end. Never waits.
    pub fn new() -> (Newsroom, News) {
        let (send, receive) = mpsc::channel(NEWS);
        (Newsroom(send), News(receive))
    }

    /// Leaves something there; whether there was room.
    pub fn leave(&self, at: AnchorRef, news: AnchorNews) -> bool {
        self.0.try_send((at, news)).is_ok()
    }
}

/// What anchors have told.
pub struct News(mpsc::Receiver<(AnchorRef, AnchorNews)>);

/// What the process wants.
enum Order {
    Reconfigure(Box<(Setup, transport::Settings)>),
    Drain,
    Release(UnixStream),
    Calls(oneshot::Sender<usize>),
    Stop,
}

/// Room for an order.
pub struct Room<'a>(mpsc::Permit<'a, Order>);

/// The running control plane.
pub struct Plane {
    orders: mpsc::Sender<Order>,
    go: SyncSender<Option<UnixStream>>,
    /// Closed when the thread has ended.
    alive: oneshot::Receiver<()>,
    /// The addresses of its listeners, in the order of the configuration.
    pub listening: Vec<(Protocol, SocketAddr)>,
    /// Twins of its listening sockets by the keys of their listeners, for the process that takes over.
    pub sockets: Vec<Named>,
}

impl Plane {
    /// Binds the listeners of the `[sip]` section that are not inherited; none without that section. Nothing is served before
    /// [`Plane::serve`].
    pub fn start(
        config: &Config,
        inherited: &mut Inherited,
        server: &Server,
        news: News,
        observer: Observer,
    ) -> Result<Option<Plane>, StartError> {
        let Some(sip) = &config.sip else { return Ok(None) };
        let settings = super::setup::transport(config, sip, server.in_memory())?;
        let bound = transport::bind(&super::setup::listeners(sip), inherited).map_err(sip_error)?;
        let sockets = transport::twins(&bound).map_err(StartError::SipThread)?;
        let listening: Vec<_> = bound.iter().map(|bound| (bound.protocol, bound.address)).collect();
        let setup = Setup::of(config, sip, server, &listening);
        let seeds = [crate::net::server::random::<32>()?, crate::net::server::random::<32>()?];
        let (orders, order) = mpsc::channel(ORDERS);
        let (go, gone) = sync_channel(1);
        let (ready, is_ready) = sync_channel(1);
        let (shards, shared) = (server.shards.clone(), server.shared.clone());
        // The runtime is made and dropped in its own thread: within another one that would be a panic.
        let (living, alive) = oneshot::channel();
        let body = move || {
            let _living = living;
            let opened = open(settings, bound);
            let (runtime, transport, events) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    let _ = ready.send(Err(error));
                    return;
                }
            };
            let _ = ready.send(Ok(()));
            let local = tokio::task::LocalSet::new();
            if let Ok(before) = gone.recv() {
                let parts = driver::Parts {
                    setup,
                    seeds,
                    transport,
                    events,
                    news: news.0,
                    orders: order,
                    shards,
                    shared,
                    observer,
                    before,
                };
                runtime.block_on(local.run_until(driver::run(parts)));
            }
            // What is still being looked up has nobody to tell.
            runtime.shutdown_timeout(Duration::from_millis(100));
        };
        std::thread::Builder::new().name(THREAD.to_owned()).spawn(body).map_err(StartError::SipThread)?;
        match is_ready.recv() {
            Ok(opened) => opened?,
            Err(_) => return Err(StartError::SipThread(std::io::ErrorKind::Other.into())),
        }
        Ok(Some(Plane { orders, go, alive, listening, sockets }))
    }

    /// Serves from now on. Where another process served before, datagrams come by way of it until it has ended, and so does what
    /// comes on its connections and belongs to none of its calls.
    pub fn serve(&self, before: Option<UnixStream>) {
        let _ = self.go.try_send(before);
    }

    /// Takes in nothing new: what is not of the calls that are there goes to the process behind `next`.
    pub async fn release(&self, next: UnixStream) {
        self.order(Order::Release(next)).await;
    }

    /// Makes what may change without a restart effective; calls that are there keep their route. Certificates and bounds too.
    pub fn reconfigure(&self, room: Room<'_>, config: &Config, server: &Server) -> Result<(), StartError> {
        if let Some(sip) = &config.sip {
            let transport = super::setup::transport(config, sip, server.in_memory())?;
            let setup = Setup::of(config, sip, server, &self.listening);
            room.0.send(Order::Reconfigure(Box::new((setup, transport))));
        }
        Ok(())
    }

    /// Room for a configuration, to be asked for before anything changes; none where the thread stands still and has too much to
    /// do already.
    pub async fn room(&self) -> Option<Room<'_>> {
        tokio::time::timeout(PATIENCE, self.orders.reserve()).await.ok()?.ok().map(Room)
    }

    /// No new calls from now on.
    pub async fn drain(&self) {
        self.order(Order::Drain).await;
    }

    /// Waits until the thread has ended by itself, which is a failure: sessions that are there go on, calls are not served.
    pub async fn failed(&mut self) {
        let _ = (&mut self.alive).await;
    }

    /// Whether the thread gets this; one that stands still does if there is room.
    async fn order(&self, order: Order) -> bool {
        self.room().await.map(|room| room.0.send(order)).is_some()
    }

    /// Calls now; those of the process before count as one, since their messages come by way of us. So does a thread that stands
    /// still for a second: it may have some.
    pub async fn calls(&self) -> usize {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            let _ = self.orders.send(Order::Calls(reply)).await;
            answer.await.unwrap_or(0)
        };
        tokio::time::timeout(PATIENCE, asked).await.unwrap_or(1)
    }

    /// Ends all calls with BYE, then the thread.
    pub async fn stop(self) {
        if self.order(Order::Stop).await {
            let _ = tokio::time::timeout(STOP, self.alive).await;
        }
    }
}

/// Time for a thread that stands still to take an order, or to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Time for the last messages.
const STOP: Duration = Duration::from_secs(5);

/// A runtime of this thread, and the sockets on it.
fn open(
    settings: transport::Settings,
    bound: Vec<transport::Bound>,
) -> Result<(Runtime, transport::Transport, mpsc::Receiver<transport::Event>), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::SipThread)?;
    let (transport, events) = {
        let _inside = runtime.enter();
        transport::Transport::register(settings, bound).map_err(sip_error)?
    };
    Ok((runtime, transport, events))
}

fn sip_error(error: transport::StartError) -> StartError {
    match error {
        transport::StartError::NoCertificate => StartError::SipCertificate,
        transport::StartError::Bind { number, protocol, address, error } => {
            StartError::SipBind { key: format!("sip.listen[{number}]"), protocol, address, error }
        }
        transport::StartError::Register(error) => StartError::SipThread(error),
    }
}

/// What this thread and the shards share: the clock, credential stores, limits.
type Shared = Arc<crate::net::shared::Shared>;
