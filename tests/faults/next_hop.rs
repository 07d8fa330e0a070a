//! The next hop dies, stops, resets or refuses: its messages fail with 408, in time and once; everything else goes on.

use std::time::Duration;

use chappe::client::{EndpointOptions, Failure, Listener, SendOptions};
use chappe::msrp::Status;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::proxy::reset;
use crate::scene::{Bystanders, PEER, Pair, failure, one_shard, owner, reported, reports_made, send, until};
use crate::support::{Authority, PATIENCE, Relay, Wish, next_message};

/// A next hop is given up after this, in place of 30 s.
const IMPATIENT: &str = "transaction_timeout = \"2s\"";
/// After it, failed parts of one message are put together for 2 s; the rest is for a busy machine.
const TOLD: Duration = Duration::from_secs(8);

fn peer(limits: &'static str) -> Wish<'static> {
    Wish { extra: PEER, ..one_shard(limits) }
}

/// Stops a relay, and waits until each of its threads stands still.
async fn stop(relay: &Relay) {
    relay.signal("STOP");
    let tasks = format!("/proc/{}/task", relay.pid);
    let state = |task: std::fs::DirEntry| {
        let text = std::fs::read_to_string(task.path().join("stat")).expect("stat");
        text.rsplit(") ").next().and_then(|fields| fields.chars().next())
    };
    until("all threads stopped", || {
        let mut tasks = std::fs::read_dir(&tasks).expect("Linux").filter_map(Result::ok);
        tasks.all(|task| state(task) == Some('T'))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed() {
    let authority = Authority::new();
    let (mut north, south) = (Relay::start(&authority, &peer(IMPATIENT)), Relay::start(&authority, &peer("")));
    let mut bystanders = Bystanders::at(&north, &authority).await;
    let pair = Pair::new(&north, &south, &authority).await;
    pair.talk("while it lives").await;
    // It has read the head of some, and may have answered: each has one outcome all the same.
    stop(&south).await;
    let mut under_way = Vec::new();
    for n in 0..20 {
        under_way.push(send(&pair.alice, &pair.to_bob, &format!("under way {n}")).await);
    }
    for sending in &mut under_way {
        timeout(PATIENCE, sending.until(|p| p.accepted)).await.expect("in time").expect("our relay has them all");
    }
    south.signal("KILL");
    for sending in &mut under_way {
        reported(sending, Status::TIMEOUT, TOLD).await;
    }
    // Who calls now hears at once that nobody is there: nothing was there to wait for.
    let mut late = send(&pair.alice, &pair.to_bob, "too late").await;
    let (why, after) = failure(&mut late, TOLD).await;
    assert!(matches!(why, Failure::Report { status: Status::TIMEOUT, .. }), "{why:?}");
    println!("a dead next hop was told after {after:?}");
    bystanders.go_on(20).await;
    assert_eq!(reports_made(&north), 21.0, "one REPORT for each message");
    north.metric_becomes("chappe_pending_sends", 0.0).await;
    // Who is on call reads that the link went, whose it was, and that the next request tries again.
    let line = north.expect_log("link closed in trouble");
    assert!(
        line.contains("\"relay\":\"localhost\"") && line.contains("WARN") && line.contains("dials again"),
        "{line}"
    );
    let line = north.expect_log("next hop not reached");
    assert!(line.contains("\"host\":\"localhost\"") && line.contains("reported as failed"), "{line}");
    assert!(line.contains("\"user\":\"alice\""), "{line}");
    bystanders.finish("next hop killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopped_and_continued() {
    let authority = Authority::new();
    let (north, south) = (Relay::start(&authority, &peer(IMPATIENT)), Relay::start(&authority, &peer("")));
    let mut bystanders = Bystanders::at(&north, &authority).await;
    let pair = Pair::new(&north, &south, &authority).await;
    pair.talk("before").await;
    stop(&south).await;
    let mut lines = Vec::new();
    for n in 0..5 {
        lines.push(send(&pair.alice, &pair.to_bob, &format!("unheard {n}")).await);
    }
    for line in &mut lines {
        reported(line, Status::TIMEOUT, TOLD).await;
    }
    bystanders.go_on(20).await;
    south.signal("CONT");
    // What came too late has its answers now; they mean nothing any more, and nobody is told twice.
    until("late answers", || north.metric("chappe_responses_unmatched_total") > 0.0).await;
    again(&pair).await;
    assert_eq!(reports_made(&north), 5.0, "one REPORT for each line");
    // More than any buffer on the way holds: its sender is stopped, and nobody else.
    stop(&south).await;
    let options = SendOptions { chunk: 10_000, window: 64, ..SendOptions::default() };
    let file = vec![b'x'; 12 << 20];
    let file = pair.alice.send_message(&pair.to_bob, Some("application/octet-stream"), file, options).await;
    let mut file = file.expect("sent");
    failure(&mut file, TOLD).await;
    assert!(file.progress().octets < 4 << 20, "the file's sender was not stopped: {:?}", file.progress());
    bystanders.go_on(20).await;
    south.signal("CONT");
    again(&pair).await;
    north.metric_becomes("chappe_pending_sends", 0.0).await;
    bystanders.finish("next hop stopped").await;
}

/// A line arrives and is reported, behind whatever was on the way.
async fn again(pair: &Pair) {
    let options = SendOptions { success_report: true, ..SendOptions::default() };
    let sending = pair.alice.send_message(&pair.to_bob, Some("text/plain"), "again", options).await.expect("sent");
    let arrival = async { while next_message(&pair.bob).await.body.as_deref() != Some(b"again") {} };
    let ((), outcome) = tokio::join!(arrival, timeout(PATIENCE, sending.outcome()));
    assert!(outcome.expect("in time").expect("delivered").reported());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_side_that_resets() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &one_shard(""));
    let bystanders = Bystanders::at(&relay, &authority).await;
    let (alice, grant) = owner(&relay, &authority, "alice").await;
    let far = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let to = grant.to_path(&format!("msrp://{}/far;tcp", far.local_addr().expect("an address")));
    for n in 0..3 {
        let mut sending = send(&alice, &to, &format!("line {n}")).await;
        let (mut link, _) = timeout(PATIENCE, far.accept()).await.expect("in time").expect("a connection");
        let mut heard = Vec::new();
        while !String::from_utf8_lossy(&heard).contains(&format!("line {n}")) {
            assert!(link.read_buf(&mut heard).await.expect("octets") > 0);
        }
        reset(link);
        // The answer will never come, and the reset says so: nobody waits 30 s for it.
        let after = reported(&mut sending, Status::TIMEOUT, TOLD).await;
        println!("a reset was told after {after:?}");
    }
    // The next one is dialled anew, and this time somebody is there.
    let sending = send(&alice, &to, "at last").await;
    let (mut link, _) = timeout(PATIENCE, far.accept()).await.expect("in time").expect("a connection");
    let mut heard = Vec::new();
    while !String::from_utf8_lossy(&heard).contains("at last") {
        assert!(link.read_buf(&mut heard).await.expect("octets") > 0);
    }
    let text = String::from_utf8_lossy(&heard).into_owned();
    let field = |name: &str| text.split(name).nth(1).and_then(|t| t.split("\r\n").next()).expect("a header").to_owned();
    let tid = text.split(' ').nth(1).expect("a transact-id");
    let first = |path: String| path.split(' ').next().expect("a URI").to_owned();
    let (to, from) = (first(field("From-Path: ")), first(field("To-Path: ")));
    let answer = format!("MSRP {tid} 200 OK\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n-------{tid}$\r\n");
    link.write_all(answer.as_bytes()).await.expect("written");
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("accepted");
    relay.metric_becomes("chappe_pending_sends", 0.0).await;
    assert_eq!(reports_made(&relay), 3.0);
    bystanders.finish("far side resets").await;
}

/// The session's owner is gone: whoever writes to it hears 481 at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owner_that_breaks_off() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &one_shard(""));
    let bystanders = Bystanders::at(&relay, &authority).await;
    let pair = Pair::new(&relay, &relay, &authority).await;
    pair.talk("before").await;
    drop(pair.bob);
    relay.metric_becomes("chappe_sessions", 3.0).await;
    let mut sending = send(&pair.alice, &pair.to_bob, "nobody there").await;
    let (why, after) = failure(&mut sending, Duration::from_secs(3)).await;
    assert!(matches!(why, Failure::Response(Status::NO_SESSION)), "{why:?} after {after:?}");
    bystanders.finish("owner gone").await;
}

/// A far side that takes octets, answers nothing, and never reads to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn far_side_that_is_silent() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &one_shard(IMPATIENT));
    let bystanders = Bystanders::at(&relay, &authority).await;
    let (alice, grant) = owner(&relay, &authority, "alice").await;
    let far = Listener::bind_tcp(([127, 0, 0, 1], 0).into()).await.expect("a listener");
    let to = grant.to_path(far.uri());
    let mut sending = send(&alice, &to, "hello?").await;
    let silent = timeout(PATIENCE, far.accept(EndpointOptions::default())).await.expect("in time").expect("a link");
    // The first one was answered by a client as it should be; from now on it is silent.
    timeout(PATIENCE, sending.accepted()).await.expect("in time").expect("accepted");
    next_message(&silent).await;
    silent.set_answer(chappe::client::Answer::Silence);
    let mut unheard = send(&alice, &to, "hello?").await;
    let after = reported(&mut unheard, Status::TIMEOUT, TOLD).await;
    assert!(after > Duration::from_millis(1900), "given up after {after:?}");
    bystanders.finish("silent far side").await;
}
