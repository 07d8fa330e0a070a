//! A relay process for end-to-end tests: its certificates, its configuration, its log, its end.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use chappe::client::{Endpoint, Event, Message};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::time::timeout;

pub const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate authority of one test.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("key");
        let certificate = params.self_signed(&key).expect("certificate");
        Authority { pem: certificate.pem(), issuer: Issuer::new(params, key) }
    }

    /// Chain and key in PEM for these names, for either side of TLS.
    pub fn issue(&self, names: &[&str]) -> (String, String) {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(names).expect("params");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().expect("key");
        let certificate = params.signed_by(&key, &self.issuer).expect("certificate");
        (certificate.pem(), key.serialize_pem())
    }
}

/// What a test wants of its relay; the rest is that of `Relay::start`.
pub struct Wish<'a> {
    pub name: &'a str,
    pub shards: usize,
    /// Further lines of TOML at the end of the file.
    pub extra: &'a str,
    /// Further lines in `[relay]`.
    pub relay: &'a str,
    /// Further lines of the TLS listener.
    pub listen: &'a str,
    pub log: &'a str,
    /// Write TLS keys for a capture to `keys.log` in the relay's directory.
    pub key_log: bool,
    /// Address of the listeners.
    pub address: &'a str,
    /// Run in this network namespace.
    pub namespace: Option<&'a str>,
}

impl Default for Wish<'_> {
    fn default() -> Self {
        Wish {
            name: "localhost",
            shards: 2,
            extra: "",
            relay: "",
            listen: "",
            log: "info",
            key_log: false,
            address: "127.0.0.1",
            namespace: None,
        }
    }
}

/// A running relay.
pub struct Relay {
    child: Child,
    lines: Receiver<String>,
    pub log: Vec<String>,
    pub tls: SocketAddr,
    pub tcp: SocketAddr,
    pub admin: SocketAddr,
    pub directory: tempfile::TempDir,
    pub name: String,
    pub pid: u32,
}

impl Relay {
    pub fn start(authority: &Authority, wish: &Wish<'_>) -> Relay {
        Relay::with_text(authority, wish, &configuration(wish))
    }

    /// With this configuration in place of the one that says what is wished. It has an admin interface and logs in JSON.
    pub fn with_text(authority: &Authority, wish: &Wish<'_>, text: &str) -> Relay {
        let directory = tempfile::tempdir().expect("directory");
        let (chain, key) = authority.issue(&[wish.name]);
        write(&directory, "server.crt", &chain);
        write(&directory, "server.key", &key);
        write(&directory, "ca.crt", &authority.pem);
        write(&directory, "chappe.toml", text);
        let path = directory.path().join("chappe.toml");
        let mut command = match wish.namespace {
            Some(namespace) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, env!("CARGO_BIN_EXE_chappe")]);
                command
            }
            None => Command::new(env!("CARGO_BIN_EXE_chappe")),
        };
        let mut child = command
            .args(["run", "--config"])
            .arg(&path)
            .env("SSLKEYLOGFILE", directory.path().join("keys.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let stderr = child.stderr.take().expect("stderr");
        let (send, lines) = sync_channel(1 << 20);
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let pid = child.id();
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let name = wish.name.to_owned();
        let mut relay =
            Relay { child, lines, log: Vec::new(), tls: nowhere, tcp: nowhere, admin: nowhere, directory, name, pid };
        relay.admin = relay.address("admin is listening");
        relay.tcp = relay.address("\"transport\":\"Tcp\"");
        if text.lines().any(|line| line == "transport = \"tls\"") {
            relay.tls = relay.address("\"transport\":\"Tls\"");
        }
        relay
    }

    /// The address in the first log line that says this.
    fn address(&mut self, what: &str) -> SocketAddr {
        let line = self.expect_log(what);
        let value: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
        let address = value["fields"]["address"].as_str().or(value["address"].as_str()).expect("an address");
        address.parse().expect("a socket address")
    }

    /// Where it listens for SIP by this protocol, `UDP`, `TCP` or `TLS`.
    pub fn sip(&mut self, protocol: &str) -> SocketAddr {
        let line = self.expect_log(&format!("\"protocol\":\"{protocol}\""));
        let value: serde_json::Value = serde_json::from_str(&line).expect("a JSON line");
        let address = value["fields"]["address"].as_str().or(value["address"].as_str()).expect("an address");
        address.parse().expect("a socket address")
    }

    /// Waits for a log line that contains this.
    pub fn expect_log(&mut self, what: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = 0;
        loop {
            if let Some(line) = self.log[seen..].iter().find(|l| l.contains(what)) {
                return line.clone();
            }
            seen = self.log.len();
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.log.push(line),
                Err(_) => panic!("no log line with {what:?} among:\n{}", self.log.join("\n")),
            }
        }
    }

    /// All log lines so far.
    pub fn read_log(&mut self) -> String {
        self.log.extend(self.lines.try_iter());
        self.log.join("\n")
    }

    pub fn auth_uri(&self, user: &str) -> String {
        format!("msrps://{user}@{};tcp", self.name)
    }

    /// One HTTP exchange with the admin listener: status and body.
    pub fn http(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.admin).expect("admin");
        stream.set_read_timeout(Some(PATIENCE)).expect("timeout");
        let host = self.admin;
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        stream.write_all(text.as_bytes()).expect("request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answer");
        let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).expect("status");
        let body = answer.split_once("\r\n\r\n").map(|(_, b)| b.to_owned()).unwrap_or_default();
        (status, body)
    }

    /// The sum over labels of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        let (_, text) = self.http("GET", "/metrics", "");
        let of = |l: &str| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        text.lines().filter(|l| of(l)).filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Waits until a metric has this value.
    pub async fn metric_becomes(&self, name: &str, wanted: f64) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.metric(name);
            if now == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{name} is {now}, not {wanted}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Resident memory in octets.
    pub fn resident(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid)).expect("status");
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("kB");
        kib * 1024
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces the configuration file; a reload makes it effective.
    pub fn rewrite(&self, wish: &Wish<'_>) {
        write(&self.directory, "chappe.toml", &configuration(wish));
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").arg(format!("-{signal}")).arg(self.pid.to_string()).status().expect("kill");
        assert!(status.success());
    }

    /// Waits for the process to end by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("wait") {
                return status;
            }
            assert!(Instant::now() < deadline, "the relay does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.read_log();
            eprintln!("--- log of {}:\n{log}", self.name);
        }
    }
}

fn write(directory: &tempfile::TempDir, name: &str, text: &str) {
    fs::write(directory.path().join(name), text).expect("file");
}

/// The engine under test: `CHAPPE_ENGINE`, else "tokio".
pub fn engine() -> String {
    std::env::var("CHAPPE_ENGINE").unwrap_or_else(|_| "tokio".to_owned())
}

/// What [`Relay::start`] puts into the file.
pub fn configuration(wish: &Wish<'_>) -> String {
    let Wish { name, shards, extra, relay, listen, log, key_log, address, namespace: _ } = wish;
    let engine = engine();
    format!(
        r#"[relay]
hostname = "{name}"
realm = "relay.test"
shards = {shards}
pin = false
engine = "{engine}"
{relay}
[[listen]]
address = "{address}:0"
transport = "tls"
{listen}
[[listen]]
address = "{address}:0"
transport = "tcp"
[tls]
certificate = "server.crt"
key = "server.key"
client_ca = "ca.crt"
sslkeylog = {key_log}
[[auth.user]]
name = "alice"
password = "secret"
[[auth.user]]
name = "bob"
password = "hunter2"
[limits]
tokens_per_user = 5000
dials_per_user_per_minute = 5000
connections_per_address = 5000
new_connections_per_address_per_minute = 50000
auths_per_address_per_minute = 50000
[policy]
allow_next_hops = ["127.0.0.0/8", "::1/128"]
[admin]
address = "127.0.0.1:0"
[log]
level = "{log}"
format = "json"
{extra}
"#
    )
}

/// The next whole message that comes to this client.
pub async fn next_message(endpoint: &Endpoint) -> Message {
    let wait = async {
        loop {
            match endpoint.event().await {
                Some(Event::Message(message)) => return message,
                Some(_) => {}
                None => panic!("connection ended: {:?}", endpoint.closed().await),
            }
        }
    };
    timeout(PATIENCE, wait).await.expect("a message in time")
}
