//! A relay whose clients suffer, and bystanders at the same relay who must not.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chappe::client::{Endpoint, Failure, Grant, SendOptions, Sending};
use chappe::msrp::Status;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{Authority, PATIENCE, Relay, Wish, next_message};

/// Nine in ten lines of the bystanders' arrive within this: a debug build on a busy machine has pauses of its own.
const LATE: Duration = Duration::from_millis(250);
/// None takes longer. Whatever makes a shard wait, a look-up or a dial or a disk, takes longer than this.
const WORST: Duration = Duration::from_millis(2500);
/// Between two lines of a pair.
const PAUSE: Duration = Duration::from_millis(10);

/// One shard, so that those who suffer and those who must not share it; and further lines in `[limits]`.
pub(crate) fn one_shard(limits: &'static str) -> Wish<'static> {
    Wish { shards: 1, limits, ..Wish::default() }
}

/// Chain and peer of each other under the name that resolves to loopback; their ports tell them apart.
pub(crate) const PEER: &str = "[[peer_relay]]\nname = \"localhost\"\n";

/// A client with a token of this relay.
pub(crate) async fn owner(relay: &Relay, authority: &Authority, user: &str) -> (Endpoint, Grant) {
    let password = if user == "alice" { "secret" } else { "hunter2" };
    let endpoint = Endpoint::connect_tls(relay.tls, &relay.name, &authority.pem, None).await.expect("a connection");
    // A relay that is called by its address is looked up nowhere, so its port has to be told.
    let uri = match relay.name.parse::<std::net::IpAddr>() {
        Ok(address) => format!("msrps://{user}@{address}:{};tcp", relay.tls.port()),
        Err(_) => relay.auth_uri(user),
    };
    let grant = endpoint.authenticate(&uri, user, password, None).await.expect("a grant");
    (endpoint, grant)
}

/// Alice and Bob at one relay, or each at one of a chain, with the paths to each other.
pub(crate) struct Pair {
    pub(crate) alice: Endpoint,
    pub(crate) bob: Endpoint,
    pub(crate) to_bob: String,
    pub(crate) to_alice: String,
}

impl Pair {
    pub(crate) async fn new(alices: &Relay, bobs: &Relay, authority: &Authority) -> Pair {
        let (alice, a) = owner(alices, authority, "alice").await;
        let (bob, b) = owner(bobs, authority, "bob").await;
        let (to_bob, to_alice) = (a.to_path(&b.own_path(bob.uri())), b.to_path(&a.own_path(alice.uri())));
        Pair { alice, bob, to_bob, to_alice }
    }

    /// One line there and one back, each with its success REPORT.
    pub(crate) async fn talk(&self, line: &str) {
        tell(&self.alice, &self.to_bob, &self.bob, line).await;
        tell(&self.bob, &self.to_alice, &self.alice, line).await;
    }
}

async fn tell(from: &Endpoint, to: &str, receiver: &Endpoint, line: &str) {
    let options = SendOptions { success_report: true, ..SendOptions::default() };
    let mut sending = from.send_message(to, Some("text/plain"), line.to_owned(), options).await.expect("sent");
    let message = tokio::select! {
        message = next_message(receiver) => message,
        (why, _) = failure(&mut sending, 2 * PATIENCE) => panic!("{line:?} has failed: {why}"),
    };
    assert_eq!(message.body.as_deref(), Some(line.as_bytes()), "in order and whole");
    timeout(PATIENCE, sending.outcome()).await.expect("a REPORT in time").expect("delivered");
}

/// Two who chat at a relay for as long as a test takes, whatever happens to others there.
pub(crate) struct Bystanders {
    stop: Arc<AtomicBool>,
    lines: watch::Receiver<usize>,
    task: JoinHandle<Vec<Duration>>,
}

impl Bystanders {
    pub(crate) async fn at(relay: &Relay, authority: &Authority) -> Bystanders {
        let pair = Pair::new(relay, relay, authority).await;
        let stop = Arc::new(AtomicBool::new(false));
        let (said, lines) = watch::channel(0);
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut times = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let line = format!("line {}", times.len());
                let started = Instant::now();
                pair.talk(&line).await;
                times.push(started.elapsed() / 2);
                said.send_replace(times.len());
                tokio::time::sleep(PAUSE).await;
            }
            times
        });
        Bystanders { stop, lines, task }
    }

    /// Waits until they have said so much more to each other.
    pub(crate) async fn go_on(&mut self, more: usize) {
        let wanted = *self.lines.borrow() + more;
        let said = timeout(PATIENCE, self.lines.wait_for(|lines| *lines >= wanted)).await;
        assert!(said.expect("the bystanders go on").is_ok(), "the bystanders' chat has broken");
    }

    /// The verdict: nothing was lost, nothing was late.
    pub(crate) async fn finish(mut self, during: &str) {
        self.go_on(10).await;
        self.stop.store(true, Ordering::Relaxed);
        let mut times = timeout(PATIENCE, self.task).await.expect("an end in time").expect("nothing lost");
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        let (median, late, worst) = (at(50), at(90), at(100));
        println!("{during}: {} lines beside it, median {median:?}, p90 {late:?}, worst {worst:?}", 2 * times.len());
        assert!(times.len() >= 10, "only {} exchanges", times.len());
        assert!(late < LATE && worst < WORST, "{during}: median {median:?}, p90 {late:?}, worst {worst:?}");
    }
}

/// Sends a line that is expected to fail.
pub(crate) async fn send(from: &Endpoint, to: &str, line: &str) -> Sending {
    from.send_message(to, Some("text/plain"), line.to_owned(), SendOptions::default()).await.expect("sent")
}

/// The failure of a message and when it came; it must come within this time.
pub(crate) async fn failure(sending: &mut Sending, within: Duration) -> (Failure, Duration) {
    let started = Instant::now();
    let told = timeout(within, sending.until(|progress| progress.failure.is_some())).await;
    let progress = told.unwrap_or_else(|_| panic!("no failure within {within:?}: {:?}", sending.progress()));
    (progress.expect("a connection that lives").failure.expect("a failure"), started.elapsed())
}

/// The same, which must be a REPORT of this status over the whole message.
pub(crate) async fn reported(sending: &mut Sending, status: Status, within: Duration) -> Duration {
    let (why, after) = failure(sending, within).await;
    assert!(matches!(why, Failure::Report { status: s, start: 1, .. } if s == status), "{why:?} after {after:?}");
    after
}

/// The series of a metric by their labels as text, as `{origin="made",code="408"}`.
pub(crate) fn series(relay: &Relay, name: &str) -> HashMap<String, f64> {
    let (_, text) = relay.http("GET", "/metrics", "");
    let values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.strip_prefix(name)?.to_owned(), value.parse().ok()?))
    });
    values.filter(|(labels, _): &(String, f64)| labels.is_empty() || labels.starts_with('{')).collect()
}

/// The sum of the series of a metric that have this label.
pub(crate) fn labelled(relay: &Relay, name: &str, label: &str) -> f64 {
    series(relay, name).iter().filter(|(labels, _)| labels.contains(label)).map(|(_, value)| value).sum()
}

/// REPORTs that the relay has made itself.
pub(crate) fn reports_made(relay: &Relay) -> f64 {
    labelled(relay, "chappe_reports_total", "origin=\"made\"")
}

/// Waits until this holds; `what` says what for.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
