//! Many calls at once through Chappe, and what is left of them: nothing. Debian's packages: `tests/sip/install.sh`.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;
mod support;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use chappe::client::{Endpoint, EndpointOptions, Listener, SendOptions};
use rstest::rstest;
use sip::Transport::{self, Tcp, Udp};
use sip::storm::Storm;
use sip::ua::{Agent, Draft, msrp_sdp};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// Each of these tests wants the machine for itself.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Transactions absorb repetitions for 64*T1 = 32 s; the rest is for a loaded machine.
const SETTLED: Duration = Duration::from_secs(64);

/// Room is given back every 10 s, tokens of a minute ago are forgotten, and the allocator takes 10 s more to return pages.
const CALMED: Duration = Duration::from_secs(120);

/// Longer than between two looks of the relay at what it can give back.
const LOOKED: Duration = Duration::from_secs(12);

/// A measure of the relay's memory.
#[derive(Clone, Copy, Debug)]
enum Octets {
    /// Allocated and not freed.
    Allocated,
    Resident,
}

/// Chappe under load, and where it takes SIP.
struct Scene {
    relay: Relay,
    udp: SocketAddr,
    tcp: SocketAddr,
}

impl Scene {
    fn new() -> Scene {
        Scene::with("")
    }

    /// With these lines in `[sip.media]`.
    fn with(media: &str) -> Scene {
        let extra = format!(
            "[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n\
             [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n\
             [sip.media]\naccept_loopback = true\n{media}"
        );
        let wish = Wish { extra: &extra, log: "warn,chappe::run=info", ..Wish::default() };
        let mut relay = Relay::start(&Authority::new(), &wish);
        let (udp, tcp) = (relay.sip("UDP"), relay.sip("TCP"));
        Scene { relay, udp, tcp }
    }

    fn address(&self, transport: Transport) -> SocketAddr {
        if transport == Udp { self.udp } else { self.tcp }
    }

    /// All of these calls must go as the scenario says: how many there were in a second.
    async fn storm(&self, transport: Transport, storm: Storm) -> f64 {
        let began = (Instant::now(), self.cpu());
        let mut callee = storm.callee(transport).await;
        let target = format!("{};transport={}", callee.address(), transport.param());
        let reports = storm.run(transport, self.address(transport), &target, &mut callee).await;
        let (lasted, cpu) = (began.0.elapsed().as_secs_f64(), self.cpu() - began.1);
        println!("caller: {}\ncallee: {}", reports[0], reports[1]);
        println!(
            "{:.1} s of CPU in {lasted:.1} s, {:.2} ms a call; resident {:.1} MiB",
            cpu.as_secs_f64(),
            cpu.as_secs_f64() * 1000.0 / f64::from(storm.calls),
            self.relay.resident() as f64 / f64::from(1 << 20),
        );
        for report in &reports {
            assert_eq!((report.successful, report.failed), (u64::from(storm.calls), 0), "{report}");
            assert_eq!(report.unexpected, 0, "{report}");
        }
        reports[0].rate
    }

    /// Waits until nothing is left: what it takes, at most.
    async fn settled(&self) {
        let names =
            ["sip_calls", "sip_dialogs", "sip_anchors", "sip_timers", "anchors", "sessions", "sip_transactions"];
        let began = Instant::now();
        loop {
            let left: Vec<f64> = names.iter().map(|name| self.relay.metric(&format!("chappe_{name}"))).collect();
            if left.iter().all(|n| *n == 0.0) {
                println!("nothing left after {:.1} s", began.elapsed().as_secs_f64());
                return;
            }
            assert!(began.elapsed() < SETTLED, "{names:?} are {left:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// So many seconds of 500 calls a second, every tenth with a message each way.
    async fn mixed(&self, transport: Transport, seconds: u32) {
        let storm = Storm { rate: 450, calls: 450 * seconds, hold: Duration::from_millis(100) };
        // The agents repeat nothing: by datagrams one that is lost would be the end.
        let mut pairs = JoinSet::new();
        for _ in 0..5 {
            pairs.spawn(Pair::new(self, Tcp).await.calls(10 * seconds));
        }
        let (rate, ()) = tokio::join!(self.storm(transport, storm), async {
            while let Some(pair) = pairs.join_next().await {
                pair.expect("a pair");
            }
        });
        assert!(rate > 400.0, "{rate} calls a second");
    }

    /// What is measured, in octets, once for so long no less was seen.
    async fn lowest(&self, octets: Octets, long: Duration) -> f64 {
        let (mut lowest, mut since) = (f64::INFINITY, Instant::now());
        while since.elapsed() < long {
            let now = self.octets(octets);
            if now < lowest {
                (lowest, since) = (now, Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        lowest
    }

    /// Waits until what is measured is no more than a twentieth above what it was.
    async fn given_back(&self, octets: Octets, before: f64) {
        let began = Instant::now();
        loop {
            let now = self.octets(octets);
            if now <= before * 1.05 {
                return println!(
                    "{octets:?}: {now} octets after {:.0} s, {before} before",
                    began.elapsed().as_secs_f64()
                );
            }
            assert!(began.elapsed() < CALMED, "{octets:?}: {now} octets stay, {before} were before");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    fn octets(&self, octets: Octets) -> f64 {
        match octets {
            Octets::Allocated => self.relay.metric("chappe_allocated_octets"),
            Octets::Resident => self.relay.resident() as f64,
        }
    }

    /// Processor time that the relay has used.
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.relay.pid)).expect("stat");
        let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
        // Hundredths of a second: fields 14 and 15 of all, two of which are before the bracket.
        let ticks: u64 = fields.skip(11).take(2).map(|n| n.parse::<u64>().expect("ticks")).sum();
        Duration::from_millis(ticks * 10)
    }
}

/// Two users who call each other again and again.
struct Pair {
    alice: Agent,
    bob: Agent,
    desk: Listener,
    relay: SocketAddr,
}

/// A call of theirs.
struct Call {
    handle: sip::ua::Message,
    alice: Endpoint,
    bob: Endpoint,
    to_alice: String,
    to_bob: String,
}

impl Pair {
    async fn new(scene: &Scene, transport: Transport) -> Pair {
        let alice = Agent::new("alice", transport).await.through(scene.address(transport));
        let desk = Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a listener");
        Pair { alice, bob: Agent::new("bob", transport).await, desk, relay: scene.relay.tcp }
    }

    async fn call(&mut self, n: u32) -> Call {
        let own = format!("msrp://127.0.0.1:9/alice{n};tcp");
        let invite = self.alice.invite(&self.bob.uri(), &msrp_sdp(&own, "active")).await;
        let got = self.bob.expect("INVITE").await;
        self.bob.answer(&got, &msrp_sdp(self.desk.uri(), "passive")).await;
        let handle = self.alice.response(&invite, 200).await;
        self.alice.ack(&handle).await;
        self.bob.expect("ACK").await;
        let options = EndpointOptions { uri: Some(own), ..EndpointOptions::default() };
        let alice = Endpoint::connect_tcp_with(self.relay, options).await.expect("a connection");
        let bob = timeout(PATIENCE, self.desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
        Call { to_alice: handle.path(), to_bob: got.path(), handle, alice, bob }
    }

    async fn hang_up(&mut self, call: &Call) {
        let bye = self.alice.within(&call.handle, "BYE", Draft::new()).await;
        self.alice.response(&bye, 200).await;
        let heard = self.bob.expect("BYE").await;
        self.bob.reply(&heard, 200).await;
    }

    /// So many calls, ten in a second, with a message in each direction in each of them.
    async fn calls(mut self, calls: u32) {
        let mut pace = interval(Duration::from_millis(100));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for n in 0..calls {
            pace.tick().await;
            let call = self.call(n).await;
            call.message(n).await;
            self.hang_up(&call).await;
        }
    }
}

impl Call {
    async fn message(&self, n: u32) {
        for (from, path, to) in [(&self.alice, &self.to_alice, &self.bob), (&self.bob, &self.to_bob, &self.alice)] {
            let text = format!("message {n}");
            let sending = from.send_message(path, Some("text/plain"), text.clone(), SendOptions::default()).await;
            loop {
                match next_message(to).await.body.expect("a whole body") {
                    said if said.is_empty() => continue,
                    said => break assert_eq!(said, text.as_bytes()),
                }
            }
            timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("delivered");
        }
    }
}

/// Ten seconds of 500 calls a second, every tenth of them with MSRP, and the same again: it leaves no memory in use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs SIPp, Kamailio and baresip: tests/sip/install.sh"]
async fn a_storm_of_calls() {
    let _alone = ALONE.lock().await;
    let scene = Scene::new();
    scene.mixed(Udp, 10).await;
    scene.settled().await;
    let allocated = scene.lowest(Octets::Allocated, LOOKED).await;
    scene.mixed(Udp, 10).await;
    scene.settled().await;
    scene.given_back(Octets::Allocated, allocated).await;
}

/// What takes minutes: `tests/long.sh`.
mod long {
    use super::*;

    /// A minute of 500 calls a second, every tenth of them with MSRP, three times over. After each the memory in use and the
    /// resident memory are within a twentieth of what they were before.
    #[rstest]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "takes ten minutes: tests/long.sh"]
    async fn storms_leave_nothing_behind(#[values(Udp, Tcp)] transport: Transport) {
        let _alone = ALONE.lock().await;
        let scene = Scene::new();
        let storm = async |seconds| {
            scene.mixed(transport, seconds).await;
            scene.settled().await;
        };
        // Before and after, the same light load was last: what it needed once is there.
        storm(10).await;
        let resident = scene.lowest(Octets::Resident, CALMED / 4).await;
        let allocated = scene.lowest(Octets::Allocated, LOOKED).await;
        for _ in 0..3 {
            storm(60).await;
            storm(10).await;
            scene.given_back(Octets::Allocated, allocated).await;
            scene.given_back(Octets::Resident, resident).await;
        }
    }

    /// 10 000 dialogs that stand, and two who go on chatting beside them.
    #[rstest]
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    #[ignore = "takes two minutes: tests/long.sh"]
    async fn ten_thousand_dialogs_stand(#[values(Udp, Tcp)] transport: Transport) {
        let _alone = ALONE.lock().await;
        let scene = Scene::with("media_timeout = \"10min\"");
        let mut pair = Pair::new(&scene, Tcp).await;
        let call = pair.call(0).await;
        let storm = Storm { rate: 500, calls: 5_000, hold: Duration::from_secs(30) };
        let stand = async {
            let began = Instant::now();
            while scene.relay.metric("chappe_sip_dialogs") < 10_002.0 {
                assert!(began.elapsed() < storm.hold, "{} dialogs", scene.relay.metric("chappe_sip_dialogs"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let (began, cpu) = (Instant::now(), scene.cpu());
            let mut slowest = Duration::ZERO;
            for n in 0..100 {
                let one = Instant::now();
                call.message(n).await;
                slowest = slowest.max(one.elapsed());
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let resident = scene.relay.resident() as f64 / f64::from(1 << 20);
            println!("10 000 dialogs: resident {resident:.1} MiB, a message there and back in {slowest:?} at most");
            println!("{:?} of CPU in {:.1} s", scene.cpu() - cpu, began.elapsed().as_secs_f64());
            assert!(slowest < Duration::from_secs(1), "{slowest:?}");
        };
        tokio::join!(scene.storm(transport, storm), stand);
        call.message(100).await;
        pair.hang_up(&call).await;
        scene.settled().await;
    }
}
