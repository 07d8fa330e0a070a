//! The interface over real sockets, in front of shards that are tasks of the test.

#![expect(clippy::disallowed_methods, reason = "a test plays the process and its shards")]

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::config::reload::Fixed;
use crate::config::{Config, Secret};
use crate::control::{Command, Snapshot};
use crate::observe::log;
use crate::relay::{SessionView, Tally};

const ID: &str = "00112233445566ff";

/// A running interface and the ends that the process would hold.
struct Bench {
    address: SocketAddr,
    admin: Arc<Admin>,
    orders: mpsc::Receiver<Order>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<io::Result<()>>,
    /// The log handle works as long as its subscriber lives.
    _log: Box<dyn tracing::Subscriber + Send + Sync>,
}

/// A shard with one session.
async fn shard(number: u16, mut commands: mpsc::Receiver<Command>) {
    while let Some(command) = commands.recv().await {
        match command {
            Command::Snapshot(reply) => {
                let _ = reply.send(Snapshot { shard: number, sessions: 1, ..Snapshot::default() });
            }
            Command::Sessions(most, reply) => {
                let _ = reply.send(vec![view(); most.min(1)]);
            }
            Command::End(id, reply) => {
                let _ = reply.send(number == 1 && id == ID);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn view() -> SessionView {
    SessionView {
        id: ID.to_owned(),
        user: "alice".to_owned(),
        owner: Some("192.0.2.7:40000".parse().expect("address")),
        relay: None,
        far_sides: 1,
        age: Duration::from_secs(60),
        expires_in: Some(Duration::from_secs(540)),
        tally: Tally { octets_from_owner: 10, ..Tally::default() },
        anchor: None,
    }
}

/// An interface to two shards, of which so many answer.
async fn bench(token: Option<&str>, answering: usize) -> Bench {
    let (shards, ends) = Shards::new(2);
    for (number, commands) in ends.into_iter().enumerate().take(answering) {
        tokio::spawn(shard(number as u16, commands));
    }
    let (subscriber, log) = log::silent("info");
    let (order, orders) = mpsc::channel(1);
    let records = Arc::new(RecordWriter::start(None).expect("thread"));
    let token = token.map(Secret::from);
    let exporter = Arc::new(Exporter::new());
    let admin = Admin::new(Parts { shards, exporter, records, log, token, orders: order });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("listener");
    let address = listener.local_addr().expect("address");
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, admin.clone(), async {
        let _ = stopped.await;
    }));
    Bench { address, admin, orders, stop, served, _log: subscriber }
}

impl Bench {
    /// Status line's code, head and body of an answer.
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.expect("connection");
        let host = self.address;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.expect("request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("head");
        (head[9..12].parse().expect("code"), head.to_ascii_lowercase(), body.to_owned())
    }

    async fn json(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let (code, _, body) = self.ask(method, path, "", body).await;
        (code, serde_json::from_str(&body).expect("JSON"))
    }
}

#[tokio::test]
async fn health_names_the_shard_that_is_stuck() {
    assert_eq!(bench(None, 2).await.json("GET", "/healthz", "").await.0, 200);
    let (code, body) = bench(None, 1).await.json("GET", "/healthz", "").await;
    assert_eq!((code, body), (503, json!({ "error": "shard 1 does not answer" })));
}

#[tokio::test]
async fn readiness_follows_the_phase() {
    let bench = bench(None, 2).await;
    assert_eq!(bench.json("GET", "/readyz", "").await, (503, json!({ "error": "starting" })));
    bench.admin.enter(Phase::Serving);
    assert_eq!(bench.json("GET", "/readyz", "").await.0, 200);
    bench.admin.enter(Phase::Draining);
    assert_eq!(bench.json("GET", "/readyz", "").await, (503, json!({ "error": "draining" })));
}

#[tokio::test]
async fn metrics_are_text_and_outlive_a_stuck_shard() {
    let (code, head, body) = bench(None, 2).await.ask("GET", "/metrics", "", "").await;
    assert_eq!(code, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
    for line in ["chappe_sessions{shard=\"1\"} 1", "chappe_shards_answering 1"] {
        assert!(body.lines().any(|found| found == line), "{line} in {body}");
    }
    let (code, _, body) = bench(None, 1).await.ask("GET", "/metrics", "", "").await;
    assert!(code == 200 && body.contains("\nchappe_shards_answering 0\n"), "{body}");
}

#[tokio::test]
async fn sessions_are_listed_up_to_the_limit() {
    let bench = bench(None, 2).await;
    let (code, list) = bench.json("GET", "/sessions", "").await;
    assert_eq!((code, list.as_array().map(Vec::len)), (200, Some(2)));
    let expected = json!({
        "id": ID, "user": "alice", "owner": "192.0.2.7:40000", "relay": null, "far_sides": 1, "age_seconds": 60,
        "expires_in_seconds": 540, "messages_from_owner": 0, "messages_to_owner": 0, "octets_from_owner": 10,
        "octets_to_owner": 0,
    });
    assert_eq!(list[0], expected);
    assert_eq!(bench.json("GET", "/sessions?limit=1", "").await.1.as_array().map(Vec::len), Some(1));
    assert_eq!(bench.json("GET", "/sessions?limit=-1", "").await.0, 400);
}

#[tokio::test]
async fn a_session_is_ended_by_its_public_name() {
    let bench = bench(None, 2).await;
    let (code, _, body) = bench.ask("DELETE", &format!("/sessions/{ID}"), "", "").await;
    assert_eq!((code, body.as_str()), (204, ""));
    for id in ["ffffffffffffffff", "%ff", "a%2Fb", &"a".repeat(65)] {
        let (code, body) = bench.json("DELETE", &format!("/sessions/{id}"), "").await;
        assert_eq!((code, body), (404, json!({ "error": "no such session" })));
    }
}

#[tokio::test]
async fn a_drain_is_ordered_once_and_told_when_the_process_is_busy() {
    let mut bench = bench(None, 2).await;
    assert_eq!(bench.json("POST", "/drain", "").await.0, 202);
    assert_eq!(bench.json("POST", "/drain", "").await.0, 503);
    assert!(matches!(bench.orders.recv().await, Some(Order::Drain)));
    assert_eq!(bench.json("POST", "/drain", "").await.0, 202);
}

#[tokio::test]
async fn a_reload_tells_what_changed_or_why_nothing_did() {
    let mut bench = bench(None, 2).await;
    let bad = Config::from_str("[relay]\nhostnam = \"x\"\n", std::path::Path::new("")).expect_err("no listener");
    let problems = bad.list.len();
    let orders = std::mem::replace(&mut bench.orders, mpsc::channel(1).1);
    let process = tokio::spawn(async move {
        let mut orders = orders;
        let answers = [
            Ok(vec![Change::Users, Change::AdminToken]),
            Err(Refused::Problems(bad)),
            Err(Refused::NeedsRestart(NeedsRestart(vec![Fixed::Shards]))),
            Err(Refused::NoFile),
            Err(Refused::Failed("server.crt: no certificate".to_owned())),
        ];
        for answer in answers {
            let Some(Order::Reload(reply)) = orders.recv().await else { panic!("no reload") };
            let _ = reply.send(answer);
        }
    });
    assert_eq!(bench.json("POST", "/reload", "").await, (200, json!({ "applied": ["users", "admin.token"] })));
    let (code, body) = bench.json("POST", "/reload", "").await;
    assert_eq!((code, body["problems"].as_array().map(Vec::len)), (422, Some(problems)));
    assert!(body["problems"].as_array().expect("list").iter().any(|p| p["key"] == "relay.hostnam" && p["line"] == 2));
    let (code, body) = bench.json("POST", "/reload", "").await;
    assert_eq!((code, &body["restart"]), (409, &json!(["relay.shards"])));
    assert_eq!(bench.json("POST", "/reload", "").await.0, 409);
    assert_eq!(bench.json("POST", "/reload", "").await, (422, json!({ "error": "server.crt: no certificate" })));
    process.await.expect("process");
    assert_eq!(bench.json("POST", "/reload", "").await, (503, json!({ "error": "the process is ending" })));
}

#[tokio::test]
async fn the_log_level_is_read_and_written() {
    let bench = bench(None, 2).await;
    assert_eq!(bench.json("GET", "/log-level", "").await, (200, json!({ "level": "info" })));
    let (code, body) = bench.json("PUT", "/log-level", "{\"level\": \"debug\"}").await;
    assert_eq!((code, body), (200, json!({ "level": "debug" })));
    assert_eq!(bench.json("PUT", "/log-level", "{\"level\": \"loud\"}").await.0, 400);
    assert_eq!(bench.json("PUT", "/log-level", "debug").await.0, 400);
    assert_eq!(bench.json("GET", "/log-level", "").await, (200, json!({ "level": "debug" })));
}

#[tokio::test]
async fn a_body_over_4_kib_is_refused() {
    let bench = bench(None, 2).await;
    assert_eq!(bench.json("POST", "/drain", &" ".repeat(4097)).await.0, 413);
    // Without an announced length the octets themselves are counted.
    let chunk = format!("1001\r\n{}\r\n0\r\n\r\n", " ".repeat(4097));
    let mut stream = TcpStream::connect(bench.address).await.expect("connection");
    let head = "PUT /log-level HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    stream.write_all(format!("{head}{chunk}").as_bytes()).await.expect("request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answer");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_token_is_demanded_and_can_be_replaced() {
    let bench = bench(Some("hunter2"), 2).await;
    let (code, head, body) = bench.ask("GET", "/sessions", "", "").await;
    assert_eq!(code, 401);
    assert!(head.contains("www-authenticate: bearer") && body.contains("\"error\""), "{head} {body}");
    assert_eq!(bench.ask("GET", "/healthz", "", "").await.0, 200);
    assert_eq!(bench.ask("GET", "/sessions", "Authorization: Bearer hunter2\r\n", "").await.0, 200);
    bench.admin.replace_token(Some(Secret::from("correct horse")));
    assert_eq!(bench.ask("GET", "/sessions", "Authorization: Bearer hunter2\r\n", "").await.0, 401);
    assert_eq!(bench.ask("GET", "/sessions", "Authorization: Bearer correct horse\r\n", "").await.0, 200);
    bench.admin.replace_token(None);
    assert_eq!(bench.ask("GET", "/sessions", "", "").await.0, 200);
}

#[tokio::test]
async fn another_name_in_host_is_refused() {
    let (code, _, body) = bench(None, 2).await.ask("GET", "/sessions", "Host: evil.example\r\n", "").await;
    assert_eq!(code, 421, "{body}");
}

#[tokio::test]
async fn what_is_not_there_is_told_in_json() {
    let bench = bench(None, 2).await;
    assert_eq!(bench.json("GET", "/", "").await, (404, json!({ "error": "no such resource" })));
    let (code, head, _) = bench.ask("GET", "/drain", "", "").await;
    assert!(code == 405 && head.contains("allow: post"), "{head}");
}

#[tokio::test]
async fn a_shutdown_ends_idle_connections() {
    let bench = bench(None, 2).await;
    let mut idle = TcpStream::connect(bench.address).await.expect("connection");
    idle.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("request");
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.expect("answer");
    bench.stop.send(()).expect("serving");
    bench.served.await.expect("task").expect("served");
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).await.expect("closed in order");
    assert!(TcpStream::connect(bench.address).await.is_err());
}

#[tokio::test]
async fn a_seat_is_free_again_when_its_client_has_left() {
    let bench = bench(None, 2).await;
    let mut abandoned = Vec::new();
    for _ in 0..3 * listener::SEATS {
        abandoned.push(TcpStream::connect(bench.address).await.expect("connection"));
        if abandoned.len() == listener::SEATS {
            abandoned.clear();
        }
    }
    assert_eq!(bench.json("GET", "/readyz", "").await.0, 503);
}
