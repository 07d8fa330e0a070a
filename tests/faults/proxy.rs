//! A bad network between two relays: a proxy that delays, loses as TCP shows it, holds back, and resets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OnceCell, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// Octets of a segment, so that frames are split wherever it hurts.
const SEGMENT: usize = 1448;
/// A lost segment comes again after so long (Linux's shortest), and what is behind it waits.
const RETRANSMISSION: Duration = Duration::from_millis(200);
/// Segments under way in one direction: a window of 180 kB.
const WINDOW: usize = 128;

/// What happens to octets on their way.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Weather {
    /// One way.
    pub(crate) delay: Duration,
    /// One segment in so many is lost and comes again; 0 loses none.
    pub(crate) loss: u64,
}

/// What the operator of the network does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Road {
    Open,
    /// Nothing passes, and nobody is told.
    Blocked,
    /// Every connection has been reset; new ones are refused likewise.
    Cut,
}

/// A listening proxy; connections end with it.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    target: Arc<OnceCell<SocketAddr>>,
    road: watch::Sender<Road>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Listens. Where it leads is told by [`Proxy::lead_to`]: the relay behind it has to know its port first.
    pub(crate) async fn new(weather: Weather) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let target = Arc::new(OnceCell::new());
        let (road, state) = watch::channel(Road::Open);
        let to = target.clone();
        let task = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far: &SocketAddr = to.get().expect("a target");
                match TcpStream::connect(far).await {
                    Ok(far) => drop(tokio::spawn(carry(near, far, weather, state.clone()))),
                    Err(_) => reset(near),
                }
            }
        });
        Proxy { address, target, road, task }
    }

    pub(crate) fn lead_to(&self, target: SocketAddr) {
        self.target.set(target).expect("led to one place only");
    }

    pub(crate) fn set(&self, road: Road) {
        self.road.send_replace(road);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.road.send_replace(Road::Cut);
    }
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    let _ = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
}

/// One connection, until either side or the operator ends it.
async fn carry(mut near: TcpStream, mut far: TcpStream, weather: Weather, mut road: watch::Receiver<Road>) {
    for stream in [&near, &far] {
        let _ = stream.set_nodelay(true);
    }
    let seed = u64::from(near.peer_addr().map_or(1, |address| address.port()));
    let ended = {
        // Halves that only borrow send no FIN when they are dropped.
        let ((from_near, to_near), (from_far, to_far)) = (near.split(), far.split());
        let outward = one_way(from_near, to_far, weather, seed, road.clone());
        let inward = one_way(from_far, to_near, weather, seed ^ 0x9e37, road.clone());
        tokio::select! {
            _ = async { tokio::join!(outward, inward) } => true,
            _ = road.wait_for(|road| *road == Road::Cut) => false,
        }
    };
    if !ended {
        reset(near);
        reset(far);
    }
}

async fn one_way(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    weather: Weather,
    seed: u64,
    mut road: watch::Receiver<Road>,
) -> io::Result<()> {
    let (segments, mut arriving) = mpsc::channel::<(Instant, Vec<u8>)>(WINDOW);
    let mut random = seed | 1;
    let read = async move {
        let mut not_before = Instant::now();
        loop {
            let mut segment = vec![0; SEGMENT];
            let n = from.read(&mut segment).await?;
            segment.truncate(n);
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let lost = weather.loss > 0 && random.is_multiple_of(weather.loss);
            let late = if lost { RETRANSMISSION } else { Duration::ZERO };
            not_before = not_before.max(Instant::now() + weather.delay + late);
            if segments.send((not_before, segment)).await.is_err() || n == 0 {
                return Ok(());
            }
        }
    };
    // Its receiver goes when writing has failed, and then nobody reads for it any more.
    let write = async move {
        while let Some((at, segment)) = arriving.recv().await {
            sleep_until(at).await;
            if road.wait_for(|road| *road != Road::Blocked).await.is_ok_and(|road| *road == Road::Cut) {
                return Ok(());
            }
            if segment.is_empty() {
                return to.shutdown().await;
            }
            to.write_all(&segment).await?;
        }
        Ok(())
    };
    let (read, written) = tokio::join!(read, write);
    read.and(written)
}
