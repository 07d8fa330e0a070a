//! Sessions with messages both ways without a pause, and clients that come and go, all of which is counted.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use chappe::client::{ClientError, Endpoint, Event, Grant, SendOptions};
use chappe::msrp::Status;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{Authority, PATIENCE, Relay};

/// Between two messages of one sender.
const PACE: Duration = Duration::from_millis(5);
/// Between two attempts to connect.
const GAP: Duration = Duration::from_millis(10);

/// A client with a token.
pub(crate) async fn owner(relay: &Relay, authority: &Authority) -> (Endpoint, Grant) {
    let endpoint = client(relay, authority).await;
    let grant = endpoint.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    (endpoint, grant)
}

/// A client without one.
pub(crate) async fn client(relay: &Relay, authority: &Authority) -> Endpoint {
    Endpoint::connect_tls(relay.tls, &relay.name, &authority.pem, None).await.expect("a connection")
}

/// Sends one message and waits for its success REPORT; its status if it failed.
pub(crate) async fn tell(from: &Endpoint, to: &str, text: String) -> Result<(), String> {
    let options = SendOptions { success_report: true, ..SendOptions::default() };
    let sending = from.send_message(to, Some("text/plain"), text, options).await.map_err(|e| e.to_string())?;
    let outcome = timeout(PATIENCE, sending.outcome()).await.map_err(|_| "no outcome in time".to_owned())?;
    match outcome {
        Ok(progress) if progress.reported() => Ok(()),
        Ok(progress) => Err(format!("not reported: {progress:?}")),
        Err(failure) => Err(format!("{failure:?}")),
    }
}

/// Sessions with traffic.
pub(crate) struct Traffic {
    stop: watch::Sender<bool>,
    sent: Arc<AtomicU64>,
    ways: Vec<JoinHandle<(Arc<Endpoint>, u64)>>,
}

impl Traffic {
    /// So many sessions, each bound and with messages both ways from now on.
    pub(crate) async fn start(relay: &Relay, authority: &Authority, sessions: usize) -> Traffic {
        let (stop, stopped) = watch::channel(false);
        let sent = Arc::new(AtomicU64::new(0));
        let mut ways = Vec::new();
        for _ in 0..sessions {
            let (alice, grant) = owner(relay, authority).await;
            let far = client(relay, authority).await;
            let (to_alice, to_far) = (grant.own_path(alice.uri()), grant.to_path(far.uri()));
            tell(&far, &to_alice, "0".to_owned()).await.expect("the session is bound");
            assert_eq!(next(&alice).await, "0");
            let (alice, far) = (Arc::new(alice), Arc::new(far));
            for (from, to, path) in [(&alice, &far, to_far), (&far, &alice, to_alice)] {
                ways.push(tokio::spawn(way(from.clone(), to.clone(), path, stopped.clone(), sent.clone())));
            }
        }
        Traffic { stop, sent, ways }
    }

    /// Messages sent and reported so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits until so many more have been sent.
    pub(crate) async fn flow(&self, more: u64) {
        let (goal, deadline) = (self.sent() + more, Instant::now() + PATIENCE);
        while self.sent() < goal {
            assert!(Instant::now() < deadline, "{} of {goal} messages", self.sent());
            tokio::time::sleep(PACE).await;
        }
    }

    /// Ends it. Fails if a message was lost, doubled or out of order; how many there were.
    pub(crate) async fn end(self) -> u64 {
        self.stop.send_replace(true);
        let mut sum = 0;
        for way in self.ways {
            let (from, count) = timeout(2 * PATIENCE, way).await.expect("in time").expect("a way without loss");
            sum += count;
            if let Ok(from) = Arc::try_unwrap(from) {
                from.close().await;
            }
        }
        sum
    }
}

async fn next(at: &Endpoint) -> String {
    let message = crate::support::next_message(at).await;
    String::from_utf8(message.body.expect("a whole body").to_vec()).expect("text")
}

/// Numbers, one behind the other, and each has to come before the next is sent.
async fn way(
    from: Arc<Endpoint>,
    to: Arc<Endpoint>,
    path: String,
    stopped: watch::Receiver<bool>,
    sent: Arc<AtomicU64>,
) -> (Arc<Endpoint>, u64) {
    let mut count = 0;
    while !*stopped.borrow() {
        count += 1;
        let (told, heard) = tokio::join!(tell(&from, &path, count.to_string()), next(&to));
        told.unwrap_or_else(|why| panic!("message {count} is lost: {why}"));
        assert_eq!(heard, count.to_string());
        sent.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(PACE).await;
    }
    // Nothing came twice.
    let more = timeout(Duration::ZERO, to.event()).await;
    assert!(!matches!(more, Ok(Some(Event::Message(_)))), "{more:?}");
    (from, count)
}

/// Clients that connect, are served, and go: a hundred in a second.
pub(crate) struct Attempts {
    stop: watch::Sender<bool>,
    served: Arc<AtomicU64>,
    task: JoinHandle<Vec<String>>,
}

impl Attempts {
    pub(crate) fn start(relay: &Relay, authority: &Authority) -> Attempts {
        let (stop, stopped) = watch::channel(false);
        let served = Arc::new(AtomicU64::new(0));
        let (tcp, tls, name, uri) = (relay.tcp, relay.tls, relay.name.clone(), relay.auth_uri("bob"));
        let (pem, counted) = (authority.pem.clone(), served.clone());
        let task = tokio::spawn(async move {
            let (mut tasks, mut number) = (tokio::task::JoinSet::new(), 0u64);
            let mut failures = Vec::new();
            let mut clock = tokio::time::interval(GAP);
            while !*stopped.borrow() {
                clock.tick().await;
                number += 1;
                let (name, uri, pem) = (name.clone(), uri.clone(), pem.clone());
                tasks.spawn(async move {
                    match number % 2 {
                        0 => by_tls(tls, &name, &uri, &pem).await,
                        _ => by_tcp(tcp, &uri).await,
                    }
                });
                while let Some(done) = tasks.try_join_next() {
                    note(done.expect("no panic"), &counted, &mut failures);
                }
            }
            while let Some(done) = tasks.join_next().await {
                note(done.expect("no panic"), &counted, &mut failures);
            }
            failures
        });
        Attempts { stop, served, task }
    }

    pub(crate) fn served(&self) -> u64 {
        self.served.load(Ordering::Relaxed)
    }

    /// Waits until so many more have been served.
    pub(crate) async fn serve(&self, more: u64) {
        let (goal, deadline) = (self.served() + more, Instant::now() + 2 * PATIENCE);
        while self.served() < goal {
            assert!(Instant::now() < deadline, "{} of {goal} clients", self.served());
            tokio::time::sleep(GAP).await;
        }
    }

    /// Ends them. How many were served, and what happened to the others.
    pub(crate) async fn end(self) -> (u64, Vec<String>) {
        self.stop.send_replace(true);
        let failures = timeout(2 * PATIENCE, self.task).await.expect("in time").expect("no panic");
        (self.served.load(Ordering::Relaxed), failures)
    }
}

fn note(outcome: Result<(), String>, served: &AtomicU64, failures: &mut Vec<String>) {
    match outcome {
        Ok(()) => drop(served.fetch_add(1, Ordering::Relaxed)),
        Err(why) => failures.push(why),
    }
}

/// Gets a token.
async fn by_tls(to: SocketAddr, name: &str, uri: &str, pem: &str) -> Result<(), String> {
    let whole = async {
        let endpoint = Endpoint::connect_tls(to, name, pem, None).await?;
        endpoint.authenticate(uri, "bob", "hunter2", None).await?;
        endpoint.close().await;
        Ok(())
    };
    let ended: Result<_, ClientError> = timeout(PATIENCE, whole).await.map_err(|_| "TLS: not in time".to_owned())?;
    ended.map_err(|e| format!("TLS: {e}"))
}

/// Is told that there are none here, which shows that somebody serves.
async fn by_tcp(to: SocketAddr, uri: &str) -> Result<(), String> {
    let whole = async {
        let endpoint = Endpoint::connect_tcp(to).await.map_err(|e| format!("TCP: {e}"))?;
        match endpoint.authenticate(uri, "bob", "hunter2", None).await {
            Err(ClientError::Refused(status)) if status == Status::new(403) => Ok(()),
            other => Err(format!("TCP: {other:?}")),
        }
    };
    timeout(PATIENCE, whole).await.map_err(|_| "TCP: not in time".to_owned())?
}
