//! Descriptors are exhausted: new connections wait or are shed, dials fail, sessions go on; and with descriptors it all comes
//! back.

use std::collections::HashSet;
use std::fs;
use std::net::TcpStream;
use std::time::Duration;

use chappe::client::{EndpointOptions, Listener};
use chappe::msrp::Status;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use tokio::time::timeout;

use crate::scene::{Bystanders, labelled, owner, reported, send};
use crate::support::{Authority, PATIENCE, Relay, Wish, next_message};

/// Sets the soft limit of a running relay; gives what it was.
pub(crate) fn limit(relay: &Relay, descriptors: u64) -> Rlimit {
    let pid = Pid::from_raw(relay.pid.try_into().expect("a process id"));
    // The hard limit is as the relay has inherited it from us.
    let wanted = Rlimit { current: Some(descriptors), ..getrlimit(Resource::Nofile) };
    prlimit(pid, Resource::Nofile, wanted).expect("a limit")
}

/// Leaves it so many descriptors more; gives what the limit was. A limit is on their numbers, and there may be gaps.
pub(crate) fn leave(relay: &Relay, more: usize) -> Rlimit {
    let names = fs::read_dir(format!("/proc/{}/fd", relay.pid)).expect("Linux");
    let numbers: HashSet<u64> = names.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    let mut free = (0..).filter(|number| !numbers.contains(number));
    limit(relay, free.nth(more).expect("no end"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_go_on_and_strangers_wait() {
    let authority = Authority::new();
    // A link may move between shards meanwhile, which must not need a descriptor that is not there.
    let mut relay = Relay::start(&authority, &Wish { shards: 2, ..Wish::default() });
    let mut bystanders = Bystanders::at(&relay, &authority).await;
    let (alice, grant) = owner(&relay, &authority, "alice").await;
    let far = Listener::bind_tcp(([127, 0, 0, 1], 0).into()).await.expect("a listener");
    let to = grant.to_path(far.uri());
    bystanders.go_on(5).await;
    // It answers the admin interface before, since that takes a descriptor, too.
    assert_eq!(labelled(&relay, "chappe_connections_refused_total", "shortage"), 0.0);
    let before = leave(&relay, 8);
    // Idle connections of strangers take the rest, and more wait in the listening socket.
    let strangers: Vec<TcpStream> =
        (0..64).map(|_| TcpStream::connect(relay.tcp).expect("the kernel takes it")).collect();
    let line = relay.expect_log("out of descriptors");
    assert!(line.contains("WARN") && line.contains("idle links were closed"), "{line}");
    // A next hop that would have to be dialled is not reached, or is if strangers have just been shed; but it is told.
    let mut sending = send(&alice, &to, "hello").await;
    let there = timeout(PATIENCE, async {
        tokio::select! {
            accepted = far.accept(EndpointOptions::default()) => Some(accepted.expect("a link")),
            after = reported(&mut sending, Status::TIMEOUT, PATIENCE) => {
                println!("a dial without a descriptor was told after {after:?}");
                None
            }
        }
    });
    let there = there.await.expect("one or the other");
    bystanders.go_on(20).await;
    // Descriptors again, and strangers gone: everything is as before.
    drop(strangers);
    limit(&relay, before.current.expect("a limit"));
    let (bob, _) = owner(&relay, &authority, "bob").await;
    assert!(labelled(&relay, "chappe_connections_refused_total", "shortage") > 0.0);
    let there = match there {
        Some(there) => there,
        None => {
            let (_sending, there) = tokio::join!(send(&alice, &to, "hello"), far.accept(EndpointOptions::default()));
            there.expect("a link")
        }
    };
    assert_eq!(next_message(&there).await.body.as_deref(), Some(&b"hello"[..]));
    // The lines on it are few, however long it lasts.
    let log = relay.read_log();
    let lines = log.matches("out of descriptors").count();
    assert!(lines <= 10, "{lines} log lines in a few seconds");
    drop(bob);
    bystanders.finish("no descriptors").await;
}

/// Connections without a handshake hold descriptors until its deadline; those with a session are safe from being shed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_handshakes_give_their_descriptors_back() {
    let authority = Authority::new();
    let wish = Wish { shards: 1, limits: "handshake_timeout = \"2s\"", ..Wish::default() };
    let mut relay = Relay::start(&authority, &wish);
    let mut bystanders = Bystanders::at(&relay, &authority).await;
    bystanders.go_on(5).await;
    leave(&relay, 8);
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(relay.tls).expect("the kernel takes it")).collect();
    relay.expect_log("out of descriptors");
    // Each time its deadline has passed the next few come in; whoever is honest waits its turn behind them. Its own patience
    // with TLS is 10 s, so it may have to come again.
    let deadline = tokio::time::Instant::now() + 2 * PATIENCE;
    let honest = loop {
        match chappe::client::Endpoint::connect_tls(relay.tls, &relay.name, &authority.pem, None).await {
            Ok(endpoint) => break endpoint,
            Err(error) => assert!(tokio::time::Instant::now() < deadline, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    honest.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    drop(silent);
    bystanders.go_on(20).await;
    bystanders.finish("slow handshakes without descriptors").await;
}
