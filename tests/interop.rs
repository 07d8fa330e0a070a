//! Kamailio as the second relay of a chain, in each role, and tshark as a reader of our frames. Both come from Debian's
//! packages: `tests/interop/install.sh`. What Kamailio cannot do is shown by its answer on the wire.

#![expect(clippy::disallowed_methods, reason = "a test is no part of the relay")]

mod support;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use chappe::auth::{Algorithm, Ha1, response};
use chappe::client::{Answer, ClientError, Endpoint, EndpointOptions, Failure, Listener, SendOptions};
use chappe::msrp::{FailureReport, Kind, Status};
use support::{Authority, PATIENCE, Relay, Wish, next_message};
use tokio::time::timeout;

/// Kamailio in the foreground, ended with the test.
struct Kamailio {
    child: Child,
    address: SocketAddr,
    _directory: tempfile::TempDir,
}

impl Kamailio {
    fn start(authority: &Authority) -> Kamailio {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/kamailio/run.sh");
        for _ in 0..5 {
            let directory = tempfile::tempdir().expect("directory");
            let (chain, key) = authority.issue(&["localhost", "kamailio.example"]);
            let file = |name: &str, text: &str| {
                let path = directory.path().join(name);
                std::fs::write(&path, text).expect("file");
                path
            };
            let files = [file("k.crt", &chain), file("k.key", &key), file("ca.crt", &authority.pem)];
            let run = directory.path().join("run");
            // Kamailio cannot take port 0: a free one is looked for, and another one if somebody was faster.
            let probe = TcpListener::bind("127.0.0.1:0").expect("a free port");
            let address = probe.local_addr().expect("address");
            drop(probe);
            let child = Command::new(&script)
                .arg(&run)
                .arg(address.port().to_string())
                .args(&files)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("Kamailio starts; tests/interop/install.sh installs it");
            let mut kamailio = Kamailio { child, address, _directory: directory };
            if kamailio.ready() {
                return kamailio;
            }
        }
        panic!("Kamailio does not start; is it installed (tests/interop/install.sh)?");
    }

    fn ready(&mut self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.child.try_wait().expect("wait").is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    fn uri(&self, user: &str) -> String {
        format!("msrps://{user}@localhost:{};tcp", self.address.port())
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        // SIGKILL would leave its children behind.
        let _ = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().is_ok_and(|s| s.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

const OURS: &str = "[[peer_relay]]\nname = \"localhost\"\nbulk = false\n";

/// Kamailio and our relay, which trust each other.
fn both_relays() -> (Authority, Kamailio, Relay) {
    let authority = Authority::new();
    let kamailio = Kamailio::start(&authority);
    let relay = Relay::start(&authority, &Wish { extra: OURS, ..Wish::default() });
    (authority, kamailio, relay)
}

async fn connect(address: SocketAddr, authority: &Authority) -> Endpoint {
    Endpoint::connect_tls(address, "localhost", &authority.pem, None).await.expect("a connection")
}

fn parameter(challenge: &str, name: &str) -> String {
    let at = challenge.find(&format!("{name}=\"")).expect("parameter") + name.len() + 2;
    challenge[at..].split('"').next().unwrap_or_default().to_owned()
}

/// AUTH at Kamailio, which gives no proof that it knows the password: by hand.
async fn auth_at_kamailio(client: &Endpoint, path: &str, user: &str, password: &str) -> Result<Vec<String>, Status> {
    let challenge = client.request("AUTH", path, &[], None).await.expect("an answer");
    assert_eq!(challenge.kind(), Kind::Response(Status::new(401)));
    let challenge = String::from_utf8_lossy(challenge.header("WWW-Authenticate").expect("a challenge")).into_owned();
    let (realm, nonce) = (parameter(&challenge, "realm"), parameter(&challenge, "nonce"));
    let uri = path.split(' ').next_back().expect("a URI");
    let ha1 = Ha1::from_password(user, &realm, password);
    let ha1 = ha1.hex(Algorithm::Md5).expect("MD5");
    let digest = response(Algorithm::Md5, ha1, &nonce, "00000001", "c0ffee42", "AUTH", uri.as_bytes());
    let digest = digest.as_str();
    let value = format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", qop=auth, nc=00000001, \
         cnonce=\"c0ffee42\", response=\"{digest}\""
    );
    let granted = client.request("AUTH", path, &[("Authorization", &value)], None).await.expect("an answer");
    let Kind::Response(status) = granted.kind() else { panic!("no response") };
    if !status.is_success() {
        return Err(status);
    }
    let use_path = String::from_utf8_lossy(granted.header("Use-Path").expect("Use-Path")).into_owned();
    Ok(use_path.split(' ').map(str::to_owned).collect())
}

/// Everything that a session has to carry, in one direction.
async fn carries(from: &Endpoint, to: &Endpoint, path: &str, ours_reports: bool) {
    let text = Some("text/plain");
    for n in 0..1000 {
        // One in ten asks for a success REPORT of the far end, which comes back over both relays.
        let options = SendOptions { success_report: n % 10 == 0, ..SendOptions::default() };
        let sending = from.send_message(path, text, format!("message {n}"), options).await.expect("sent");
        let got = next_message(to).await;
        assert_eq!(got.body.as_deref(), Some(format!("message {n}").as_bytes()));
        let done = timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered");
        assert_eq!(done.reported(), n % 10 == 0);
    }
    let file: Vec<u8> = (0..1u32 << 20).map(|i| (i * 13 + i / 257) as u8).collect();
    let options = SendOptions { chunk: 10_000, window: 8, success_report: true, ..SendOptions::default() };
    let sending = from.send_message(path, Some("application/octet-stream"), file.clone(), options).await.expect("sent");
    let got = next_message(to).await;
    assert!(got.body.as_deref() == Some(&file[..]), "the file arrived whole");
    assert!(got.longest_chunk <= 10_000, "no chunk over 10 000 octets: {}", got.longest_chunk);
    assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered").reported());
    // A refusal of the far end: where the relay before it is ours it becomes a REPORT, Kamailio swallows it.
    to.set_answer(Answer::Refuse(Status::new(415)));
    let sending = from.send_message(path, text, "refused", SendOptions::default()).await.expect("sent");
    let told = timeout(Duration::from_secs(3), async {
        let mut sending = sending;
        sending.until(|p| p.failure.is_some()).await
    })
    .await;
    if ours_reports {
        let failure = match told.expect("told in time") {
            Err(failure) => failure,
            Ok(progress) => progress.failure.expect("a failure"),
        };
        assert!(matches!(failure, Failure::Report { status, .. } if status == Status::new(415)), "{failure:?}");
    } else {
        assert!(told.is_err(), "this version of Kamailio passes failures on: {told:?}");
    }
    to.set_answer(Answer::Accept);
    let options = SendOptions { failure_report: FailureReport::No, ..SendOptions::default() };
    from.send_message(path, text, "no report wanted", options).await.expect("sent");
    assert_eq!(next_message(to).await.body.as_deref(), Some(&b"no report wanted"[..]));
}

#[tokio::test]
#[ignore = "needs Kamailio and tshark: tests/interop/install.sh"]
async fn our_relay_for_one_client_and_kamailio_for_the_other() {
    let (authority, kamailio, relay) = both_relays();
    let alice = connect(relay.tls, &authority).await;
    let a = alice.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    let bob = connect(kamailio.address, &authority).await;
    let b = auth_at_kamailio(&bob, &kamailio.uri("bob"), "bob", "secret").await.expect("a grant of Kamailio");
    let to_bob = a.to_path(&format!("{} {}", b[0], bob.uri()));
    let to_alice = format!("{} {}", b[0], a.own_path(alice.uri()));
    carries(&alice, &bob, &to_bob, false).await;
    carries(&bob, &alice, &to_alice, true).await;
    // Kamailio's limit of a frame: its 501 becomes our REPORT (max_chunk keeps us below it, so the body is of headers).
    let long = ("X-Long".to_owned(), "x".repeat(7000));
    let headers = vec![long.clone(), ("X-Longer".to_owned(), long.1.clone())];
    let options = SendOptions { headers, ..SendOptions::default() };
    let big = alice.send_message(&to_bob, Some("text/plain"), "x", options).await.expect("sent");
    let mut big = big;
    let failed = timeout(PATIENCE, big.until(|p| p.failure.is_some())).await.expect("in time");
    let failure = failed.err().or_else(|| big.progress().failure).expect("a failure");
    assert!(matches!(failure, Failure::Report { status, .. } if status == Status::new(501)), "{failure:?}");
    // Its owner has gone: 481 from Kamailio, a REPORT from us.
    bob.close().await;
    let mut gone = alice.send_message(&to_bob, Some("text/plain"), "x", SendOptions::default()).await.expect("sent");
    let failed = timeout(PATIENCE, gone.until(|p| p.failure.is_some())).await.expect("in time");
    let failure = failed.err().or_else(|| gone.progress().failure).expect("a failure");
    assert!(matches!(failure, Failure::Report { status, .. } if status == Status::new(481)), "{failure:?}");
}

#[tokio::test]
#[ignore = "needs Kamailio and tshark: tests/interop/install.sh"]
async fn the_client_of_kamailio_writes_first() {
    let (authority, kamailio, relay) = both_relays();
    let alice = connect(relay.tls, &authority).await;
    let a = alice.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    let bob = connect(kamailio.address, &authority).await;
    let b = auth_at_kamailio(&bob, &kamailio.uri("bob"), "bob", "secret").await.expect("a grant of Kamailio");
    let to_alice = format!("{} {}", b[0], a.own_path(alice.uri()));
    carries(&bob, &alice, &to_alice, true).await;
    let wrong = auth_at_kamailio(&bob, &kamailio.uri("bob"), "bob", "wrong").await;
    assert_eq!(wrong.err(), Some(Status::new(401)));
}

#[tokio::test]
#[ignore = "needs Kamailio and tshark: tests/interop/install.sh"]
async fn auth_at_kamailio_through_our_relay() {
    let (authority, kamailio, relay) = both_relays();
    let alice = connect(relay.tls, &authority).await;
    let a = alice.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    let path = format!("{} {}", a.use_path[0], kamailio.uri("alice"));
    let both = auth_at_kamailio(&alice, &path, "alice", "secret").await.expect("a grant through our relay");
    assert_eq!((both.len(), &both[0]), (2, &a.use_path[0]), "inner relay first");
    let bob = connect(kamailio.address, &authority).await;
    let to_alice = format!("{} {} {}", both[1], both[0], alice.uri());
    let sending =
        bob.send_message(&to_alice, Some("text/plain"), "inwards", SendOptions::default()).await.expect("sent");
    assert_eq!(next_message(&alice).await.body.as_deref(), Some(&b"inwards"[..]));
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("answered");
    let to_bob = format!("{} {} {}", both[0], both[1], bob.uri());
    let sending =
        alice.send_message(&to_bob, Some("text/plain"), "outwards", SendOptions::default()).await.expect("sent");
    assert_eq!(next_message(&bob).await.body.as_deref(), Some(&b"outwards"[..]));
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("answered");
}

#[tokio::test]
#[ignore = "needs Kamailio and tshark: tests/interop/install.sh"]
async fn auth_at_our_relay_through_kamailio() {
    let (authority, kamailio, relay) = both_relays();
    let alice = connect(kamailio.address, &authority).await;
    let k = auth_at_kamailio(&alice, &kamailio.uri("alice"), "alice", "secret").await.expect("a grant of Kamailio");
    let path = format!("{} msrps://localhost:{};tcp", k[0], relay.tls.port());
    let both = alice.authenticate(&path, "alice", "secret", None).await.expect("a grant of ours through Kamailio");
    assert_eq!((both.use_path.len(), &both.use_path[0]), (2, &k[0]), "inner relay first");
    let far = connect(relay.tls, &authority).await;
    let to = both.own_path(alice.uri());
    let sending = far.send_message(&to, Some("text/plain"), "inwards", SendOptions::default()).await.expect("sent");
    assert_eq!(next_message(&alice).await.body.as_deref(), Some(&b"inwards"[..]));
    timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("answered");
    // Nobody may bring somebody else's client over a link without a relay's certificate.
    let stranger = connect(relay.tls, &authority).await;
    let refused = stranger.authenticate(&path, "alice", "secret", None).await;
    assert!(matches!(refused, Err(ClientError::Refused(_))), "{refused:?}");
}

/// A capture of one TCP port on loopback.
struct Capture {
    child: Child,
    file: PathBuf,
}

impl Capture {
    fn start(directory: &Path, port: u16) -> Capture {
        let file = directory.join(format!("{port}.pcap"));
        let mut child = Command::new("dumpcap")
            .args(["-q", "-i", "lo", "-a", "duration:120", "-f", &format!("tcp port {port}"), "-w"])
            .arg(&file)
            .stderr(Stdio::piped())
            .spawn()
            .expect("dumpcap starts; tests/interop/install.sh installs it");
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stderr.take().expect("stderr")));
        let ready = lines.by_ref().map_while(Result::ok).any(|l| l.starts_with("File:"));
        assert!(ready, "dumpcap captures nothing (it needs root)");
        std::thread::spawn(move || lines.for_each(drop));
        Capture { child, file }
    }

    /// What tshark reads, once it has read this many frames.
    fn read(&self, keys: &str, port: u16, mode: &str, wanted: u64) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/tshark.sh");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = Command::new(&script)
                .arg(&self.file)
                .args([keys, &port.to_string(), mode])
                .output()
                .expect("tshark.sh runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            let sends = text.lines().find_map(|l| l.strip_prefix("SEND ")).and_then(|n| n.trim().parse().ok());
            if output.status.success() && sends.is_some_and(|n: u64| n >= wanted) {
                return text;
            }
            assert!(!text.contains("alformed"), "{text}");
            assert!(Instant::now() < deadline, "tshark has not read {wanted} SENDs: {text}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-INT").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

#[tokio::test]
#[ignore = "needs Kamailio and tshark: tests/interop/install.sh"]
async fn tshark_reads_our_frames_plain_and_tls() {
    let authority = Authority::new();
    let relay = Relay::start(&authority, &Wish { key_log: true, ..Wish::default() });
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let far = Listener::bind_tcp(here).await.expect("listener");
    let directory = tempfile::tempdir().expect("directory");
    let tls = Capture::start(directory.path(), relay.tls.port());
    let plain = Capture::start(directory.path(), far.local_addr().port());
    let alice = connect(relay.tls, &authority).await;
    let a = alice.authenticate(&relay.auth_uri("alice"), "alice", "secret", None).await.expect("a grant");
    let to = a.to_path(far.uri());
    let (first, end) = tokio::join!(
        alice.send_message(&to, Some("text/plain"), "hello", SendOptions::default()),
        timeout(PATIENCE, far.accept(EndpointOptions::default()))
    );
    let end = end.expect("in time").expect("a connection");
    next_message(&end).await;
    timeout(PATIENCE, first.expect("sent").outcome()).await.expect("in time").expect("answered");
    // Text, hyphens and binary, small and in several chunks, with REPORTs.
    let bodies = [b"short".to_vec(), vec![b'-'; 300], (0..30_000u32).map(|i| (i * i) as u8).collect()];
    for body in bodies {
        let options = SendOptions { success_report: true, chunk: 4000, ..SendOptions::default() };
        let sending =
            alice.send_message(&to, Some("application/octet-stream"), body.clone(), options).await.expect("sent");
        assert!(next_message(&end).await.body.as_deref() == Some(&body[..]));
        assert!(timeout(PATIENCE, sending.outcome()).await.expect("in time").expect("delivered").reported());
    }
    let keys = relay.path("keys.log");
    let read = plain.read("-", far.local_addr().port(), "plain", 4);
    assert!(read.contains("SEND") && read.contains("REPORT"), "{read}");
    let read = tls.read(&keys.to_string_lossy(), relay.tls.port(), "tls", 4);
    assert!(read.contains("AUTH") && read.contains("SEND"), "{read}");
}
