//! Nothing secret reaches a log, a metric, a record, an error text or the admin interface: a whole life of a relay at level `trace`,
//! and then everything that it has said is searched (RFC 4976 section 9.3).

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod sip;
mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use chappe::auth::{Algorithm, Ha1};
use chappe::client::{Answer, Endpoint, EndpointOptions, Listener, SendOptions};
use chappe::msrp::Status;
use sip::Transport::Udp;
use sip::ua::{Agent, Draft, msrp_sdp};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::time::timeout;

const PASSWORD: &str = "quarterdeck-lichen-58";
const WRONG: &str = "wr0ng-guess-of-a-pilot";
const ADMIN: &str = "gannet-thimble-19-of-the-admin";
const ADMIN_WRONG: &str = "n0t-the-token-of-the-admin";
const CHAT: &str = "confidential-words-of-a-chat";
const FILE: &str = "octets-in-the-midst-of-a-file";
const STRAY: &str = "octets-that-are-no-frame-at-all";
const REPORTED: &str = "body-of-a-report-from-afar";
const ASKED: &str = "body-of-a-sip-request-inside";
const CALLER: &str = "msrp://127.0.0.1:9/alice7tB2mXv9QqZ;tcp";

/// What must appear nowhere, by name.
#[derive(Default)]
struct Secrets(Vec<(String, String)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: &str) {
        assert!(secret.len() >= 8, "{name}: {secret:?} could stand anywhere by chance");
        self.0.push((name.to_owned(), secret.to_owned()));
    }

    /// The session-id of a URI; of one of ours without its label, which is no secret.
    fn add_session(&mut self, name: &str, uri: &str) {
        let id = uri.rsplit('/').next().and_then(|rest| rest.split(';').next()).expect("a session-id");
        self.add(name, id.split('.').next_back().expect("a part"));
    }

    /// In any form that a line could have it in: as it is, as a list of numbers, in hexadecimal digits.
    fn search(&self, place: &str, text: &str) {
        for (name, secret) in &self.0 {
            let numbers: Vec<String> = secret.bytes().map(|octet| octet.to_string()).collect();
            let digits: String = secret.bytes().map(|octet| format!("{octet:02x}")).collect();
            for form in [secret.clone(), numbers.join(", "), numbers.join(","), digits] {
                let line = text.lines().find(|line| line.contains(&form));
                assert!(line.is_none(), "{name} in {place}: {line:?}");
            }
        }
    }
}

fn rules(users: &str, more: &str) -> String {
    let engine = support::engine();
    format!(
        "[relay]\nhostname = \"localhost\"\nrealm = \"relay.test\"\nshards = 2\npin = false\nengine = \"{engine}\"\n\
         [[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tls\"\n[[listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n\
         [tls]\ncertificate = \"server.crt\"\nkey = \"server.key\"\nclient_ca = \"ca.crt\"\n\
         [auth]\nban_after = 2\nban_time = \"1s\"\nban_exempt = []\nalgorithms = [\"SHA-256\", \"MD5\"]\n{users}\
         [policy]\nallow_next_hops = [\"127.0.0.0/8\"]\n\
         [admin]\naddress = \"127.0.0.1:0\"\ntoken = \"{ADMIN}\"\n[log]\nlevel = \"trace\"\nformat = \"json\"\n\
         [records]\npath = \"records.jsonl\"\n{more}"
    )
}

fn user(name: &str) -> String {
    format!("[[auth.user]]\nname = \"{name}\"\npassword = \"{PASSWORD}\"\n")
}

/// All that the admin interface answers, to be searched.
struct Answers<'a>(&'a Relay, String);

impl Answers<'_> {
    fn ask(&mut self, method: &str, path: &str, token: &str, body: &str) -> u16 {
        let mut stream = TcpStream::connect(self.0.admin).expect("admin");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let head = format!("Host: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n", body.len());
        let request = format!("{method} {path} HTTP/1.1\r\n{head}Connection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("a status");
        self.1.push_str(&answer);
        status
    }

    fn reload(&mut self, text: &str) -> u16 {
        std::fs::write(self.0.path("chappe.toml"), text).expect("a file");
        self.ask("POST", "/reload", ADMIN, "")
    }
}

async fn connect(relay: &Relay, authority: &Authority, options: EndpointOptions) -> Endpoint {
    Endpoint::connect_tls_with(relay.tls, "localhost", &authority.pem, None, options).await.expect("a connection")
}

fn from(n: u8) -> EndpointOptions {
    EndpointOptions { from: Some([127, 0, 0, n].into()), ..EndpointOptions::default() }
}

/// Chat, a file, a refusal, failures of every kind, between two clients and with a stranger.
async fn sessions(relay: &Relay, authority: &Authority, secrets: &mut Secrets) {
    let alice = connect(relay, authority, EndpointOptions { collect: 4 << 20, ..from(1) }).await;
    let bob = connect(relay, authority, EndpointOptions { collect: 4 << 20, ..from(1) }).await;
    let a = alice.authenticate(&relay.auth_uri("alice"), "alice", PASSWORD, None).await.expect("a grant");
    let b = bob.authenticate(&relay.auth_uri("bob"), "bob", PASSWORD, Some(600)).await.expect("a grant");
    for (name, uri) in [("alice's token", &a.use_path[0]), ("bob's token", &b.use_path[0])] {
        secrets.add_session(name, uri);
    }
    secrets.add_session("alice's session-id", alice.uri());
    secrets.add_session("bob's session-id", bob.uri());
    let to = a.to_path(&b.own_path(bob.uri()));
    let options = || SendOptions { success_report: true, ..SendOptions::default() };
    let chat = alice.send_message(&to, Some("text/plain"), CHAT, options()).await.expect("sent");
    assert_eq!(next_message(&bob).await.body.as_deref(), Some(CHAT.as_bytes()));
    timeout(PATIENCE, chat.outcome()).await.expect("in time").expect("delivered");
    let file = FILE.repeat(40_000).into_bytes();
    let sending = alice.send_message(&to, Some("a/b"), file.clone(), options()).await.expect("sent");
    assert_eq!(next_message(&bob).await.body.map(|body| body.len()), Some(file.len()));
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered");
    // A refusal by the receiver, a token that does not exist, a port where nobody listens, a name that does not resolve.
    bob.set_answer(Answer::Refuse(Status::new(415)));
    let nobody = format!("{}x", a.use_path[0].replace(";tcp", ";tc"));
    let altered = b.use_path[0].replace("localhost", "LOCALHOST").replace(";tcp", "Z;tcp");
    secrets.add_session("a token that is none", &altered);
    let targets = [
        to,
        format!("{altered} {CALLER}"),
        a.to_path("msrp://127.0.0.1:1025/far5YvGm2Wq81;tcp"),
        a.to_path("msrps://nobody.invalid:2855/far5YvGm2Wq82;tcp"),
        a.to_path("msrp://10.0.0.1:2855/far5YvGm2Wq83;tcp"),
    ];
    secrets.add("a far side's session-id", "far5YvGm2Wq8");
    for target in &targets {
        let sending = alice.send_message(target, Some("text/plain"), CHAT, SendOptions::default()).await;
        let mut sending = sending.expect("sent");
        let failed = timeout(PATIENCE, sending.until(|p| p.failure.is_some())).await.expect("in time");
        assert!(failed.is_err() || sending.progress().failure.is_some(), "{target}");
    }
    // A far end that speaks, reports, and goes in the midst of a chunk.
    let far = Endpoint::connect_tcp(relay.tcp).await.expect("a connection");
    let plain = Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a listener");
    let (hello, end) = (a.to_path(plain.uri()), plain.accept(EndpointOptions::default()));
    let (sending, end) =
        tokio::join!(alice.send_message(&hello, Some("text/plain"), CHAT, SendOptions::default()), end);
    let end = end.expect("a connection");
    next_message(&end).await;
    timeout(PATIENCE, sending.expect("sent").outcome()).await.expect("in time").expect("answered");
    secrets.add_session("a far end's session-id", end.uri());
    let own = a.own_path(alice.uri());
    let head = |tid: &str, method: &str| {
        format!("MSRP {tid} {method}\r\nTo-Path: {own}\r\nFrom-Path: {}\r\nMessage-ID: m1\r\n", end.uri())
    };
    let report = head("reported1", "REPORT");
    let report = format!("{report}Status: 000 200 OK\r\nContent-Type: a/b\r\n\r\n{REPORTED}\r\n-------reported1$\r\n");
    let torn = format!("{}Content-Type: a/b\r\n\r\n{CHAT}", head("tornoff11", "SEND"));
    end.write_raw(report + &torn).await.expect("written");
    end.close().await;
    far.write_raw(format!("{STRAY}\r\n")).await.expect("written");
    timeout(PATIENCE, far.closed()).await.expect("closed");
    // Wrong credentials, malformed ones, and headers that are none.
    let guesser = connect(relay, authority, from(3)).await;
    assert!(guesser.authenticate(&relay.auth_uri("alice"), "alice", WRONG, None).await.is_err());
    assert!(guesser.authenticate(&relay.auth_uri("alice"), WRONG, PASSWORD, None).await.is_err());
    let auth = relay.auth_uri("alice");
    let own = guesser.uri();
    for (n, line) in
        [format!("Authorization: Digest username=\"{STRAY}"), format!("Expires: {STRAY}")].iter().enumerate()
    {
        let head = format!("MSRP badhead{n} AUTH\r\nTo-Path: {auth}\r\nFrom-Path: {own}\r\n");
        guesser.write_raw(format!("{head}{line}\r\n-------badhead{n}$\r\n")).await.expect("written");
    }
    guesser
        .write_raw(format!("MSRP badhead9 SEND\r\nTo-Path: {STRAY}\r\nFrom-Path: {nobody}\r\nX: {STRAY}\0\r\n"))
        .await
        .expect("written");
    timeout(PATIENCE, guesser.closed()).await.expect("closed");
    // Who has a session there is not shut out by the ban.
    alice.authenticate(&relay.auth_uri("alice"), "alice", PASSWORD, None).await.expect("another grant");
    alice.close().await;
    bob.close().await;
}

/// A call with credentials, a message, a request with a body inside, and its end.
async fn a_call(relay: &mut Relay, secrets: &mut Secrets, route: SocketAddr, bob: &mut Agent) {
    assert_eq!(route, bob.address());
    let address = relay.sip("UDP");
    let mut alice = Agent::new("alice", Udp).await.through(address);
    let desk = Listener::bind_tcp(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a listener");
    let mut invite = alice.invite("sip:bob@east.example", &msrp_sdp(CALLER, "active")).await;
    for password in [WRONG, PASSWORD] {
        let asked = alice.response(&invite, 407).await;
        alice.ack(&asked).await;
        invite = alice.with_credentials(&invite, &asked, "alice", password).await;
    }
    let got = bob.expect("INVITE").await;
    bob.answer(&got, &msrp_sdp(desk.uri(), "passive")).await;
    let ok = alice.response(&invite, 200).await;
    alice.ack(&ok).await;
    bob.expect("ACK").await;
    secrets.add_session("the caller's leg", &ok.path());
    secrets.add_session("the callee's leg", &got.path());
    secrets.add_session("the caller's own session-id", CALLER);
    secrets.add_session("the callee's own session-id", desk.uri());
    secrets.add("the Call-ID", ok.call_id());
    let options = EndpointOptions { uri: Some(CALLER.to_owned()), ..EndpointOptions::default() };
    let end = Endpoint::connect_tcp_with(relay.tcp, options).await.expect("a connection");
    let there = timeout(PATIENCE, desk.accept(EndpointOptions::default())).await.expect("in time").expect("bob");
    let sending = end.send_message(&ok.path(), Some("text/plain"), CHAT, SendOptions::default()).await.expect("sent");
    while next_message(&there).await.body.is_none_or(|body| body.is_empty()) {}
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered");
    let info = alice.within(&ok, "INFO", Draft::new().body("text/x-test", ASKED)).await;
    let heard = bob.expect("INFO").await;
    bob.reply(&heard, 200).await;
    alice.response(&info, 200).await;
    let bye = alice.within(&ok, "BYE", Draft::new()).await;
    alice.response(&bye, 200).await;
    let heard = bob.expect("BYE").await;
    bob.reply(&heard, 200).await;
}

#[tokio::test]
async fn rly_99_a_whole_life_at_trace_tells_nothing_secret() {
    let authority = Authority::new();
    let mut secrets = Secrets::default();
    for (name, secret) in [
        ("password", PASSWORD),
        ("wrong password", WRONG),
        ("admin token", ADMIN),
        ("chat", CHAT),
        ("wrong admin token", ADMIN_WRONG),
        ("file", FILE),
        ("stray octets", STRAY),
        ("REPORT", REPORTED),
        ("INFO", ASKED),
    ] {
        secrets.add(name, secret);
    }
    for name in ["alice", "bob"] {
        let ha1 = Ha1::from_password(name, "relay.test", PASSWORD);
        for algorithm in Algorithm::STRONGEST_FIRST {
            secrets.add("H(A1)", ha1.hex(algorithm).expect("known"));
        }
    }
    // Whatever credentials and secrets of TLS look like.
    for word in
        ["response=", "cnonce=", "rspauth", "nonce=", "TRAFFIC_SECRET", "PRIVATE KEY", "a=path", "To-Path", "Use-Path"]
    {
        secrets.0.push((word.to_owned(), word.to_owned()));
    }
    let mut callee = Agent::new("bob", Udp).await;
    let sip = format!(
        "[sip]\noutbound_proxy = \"sip:{};lr\"\ntrusted = [\"192.0.2.0/24\"]\nuntrusted = \"digest\"\n\
         [[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"udp\"\n[sip.media]\naccept_loopback = true\n",
        callee.address()
    );
    let text = rules(&(user("alice") + &user("bob")), &sip);
    let mut relay = Relay::with_text(&authority, &Wish::default(), &text);
    let key = std::fs::read_to_string(relay.path("server.key")).expect("the key");
    secrets.add("the private key", key.lines().nth(2).expect("a line"));

    let route = callee.address();
    a_call(&mut relay, &mut secrets, route, &mut callee).await;
    sessions(&relay, &authority, &mut secrets).await;

    let mut answers = Answers(&relay, String::new());
    let shown = connect(&relay, &authority, from(1)).await;
    let grant = shown.authenticate(&relay.auth_uri("alice"), "alice", PASSWORD, None).await.expect("a grant");
    secrets.add_session("a token that is shown", &grant.use_path[0]);
    assert_eq!(answers.ask("GET", "/sessions", ADMIN, ""), 200);
    assert!(answers.1.contains("\"user\":\"alice\""), "{}", answers.1);
    assert_eq!(answers.ask("GET", "/sessions", ADMIN_WRONG, ""), 401);
    assert_eq!(answers.ask("DELETE", "/sessions/0123456789abcdef", ADMIN, ""), 404);
    assert_eq!(answers.ask("GET", "/metrics", ADMIN, ""), 200);
    assert_eq!(answers.ask("PUT", "/log-level", ADMIN, "{"), 400);
    assert_eq!(answers.ask("GET", "/healthz", ADMIN, ""), 200);
    // Reloads: good, and with a fault in each secret.
    assert_eq!(answers.reload(&text.replace("ban_time = \"1s\"", "ban_time = \"2s\"")), 200);
    for (good, bad) in [
        (format!("password = \"{PASSWORD}\""), format!("password = [\"{PASSWORD}\"]")),
        (format!("password = \"{PASSWORD}\""), format!("password = \"{PASSWORD}\"\nha1 = \"{PASSWORD}\"")),
        (format!("password = \"{PASSWORD}\""), format!("pasword = \"{PASSWORD}\"")),
        (format!("token = \"{ADMIN}\""), format!("token = {{ a = \"{ADMIN}\" }}")),
        (format!("token = \"{ADMIN}\""), format!("token = \"{ADMIN}")),
    ] {
        let broken = text.replacen(&good, &bad, 1);
        assert_ne!(broken, text);
        assert_eq!(answers.reload(&broken), 422, "{}", answers.1);
        let mut check = Command::new(env!("CARGO_BIN_EXE_chappe"));
        let output = check.args(["check", "--config"]).arg(relay.path("chappe.toml")).output().expect("runs");
        assert_eq!(output.status.code(), Some(78));
        secrets.search("what `chappe check` says", &String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(answers.reload(&text.replace(&user("bob"), "")), 200);
    assert_eq!(answers.ask("POST", "/drain", ADMIN, ""), 202);
    let answers = answers.1;
    shown.close().await;
    assert!(relay.wait().success());
    let log = relay.read_log();
    let records = std::fs::read_to_string(relay.path("records.jsonl")).expect("records");
    // What was to be searched is there.
    for line in [
        "authentication failed",
        "address banned",
        "next hop not reached",
        "configuration not reloaded",
        "DEBUG",
        "link closed",
    ] {
        assert!(log.contains(line), "no {line:?} in the log");
    }
    assert!(records.lines().count() >= 4 && answers.contains("chappe_bans_total 1"), "{records}");
    for (place, text) in [("the log", &log), ("the records", &records), ("the admin interface", &answers)] {
        secrets.search(place, text);
    }
}
