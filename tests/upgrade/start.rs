//! A start that fails: one message that names the key and its mend, the right exit code, and no panic, wherever it fails.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rstest::rstest;

use crate::support::{Authority, PATIENCE};

/// What a process said on standard error, and its exit code; none if a signal ended it.
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

/// Runs the relay, which must end by itself.
pub(crate) fn run(config: &Path, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chappe"));
    command.envs(environment.iter().copied());
    end_of(command.args(["run", "--config"]).arg(config))
}

pub(crate) fn end_of(command: &mut Command) -> Output {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("runs");
    let mut stderr = child.stderr.take().expect("stderr");
    let reader = std::thread::spawn(move || {
        let mut octets = Vec::new();
        stderr.read_to_end(&mut octets).map(|_| String::from_utf8_lossy(&octets).into_owned())
    });
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break Some(status);
        }
        if Instant::now() > deadline {
            child.kill().expect("kill");
            child.wait().expect("wait");
            break None;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = reader.join().expect("no panic").expect("text");
    let status = status.unwrap_or_else(|| panic!("it runs on:\n{text}"));
    Output { code: status.code(), text }
}

/// A directory with certificates, and a configuration in which every part is good; `TCP` and `UDP` are ports that are taken.
struct Place {
    directory: tempfile::TempDir,
    _tcp: TcpListener,
    _udp: UdpSocket,
    addresses: [String; 2],
}

const GOOD: &str = r#"[relay]
hostname = "localhost"
shards = 2
pin = false
[[listen]]
address = "127.0.0.1:0"
[[listen]]
address = "127.0.0.1:0"
transport = "tcp"
[tls]
certificate = "server.crt"
key = "server.key"
client_ca = "ca.crt"
[auth]
htdigest = "users"
[[sip.listen]]
address = "127.0.0.1:0"
transport = "udp"
[[sip.listen]]
address = "127.0.0.1:0"
transport = "tls"
[admin]
address = "127.0.0.1:0"
[records]
path = "records.jsonl"
"#;

impl Place {
    fn new() -> Place {
        let directory = tempfile::tempdir().expect("a directory");
        let authority = Authority::new();
        let (chain, key) = authority.issue(&["localhost"]);
        for (name, text) in [
            ("server.crt", &*chain),
            ("server.key", &*key),
            ("ca.crt", &*authority.pem),
            ("garbage", "x"),
            ("users", ""),
        ] {
            fs::write(directory.path().join(name), text).expect("a file");
        }
        let (_, other) = Authority::new().issue(&["localhost"]);
        fs::write(directory.path().join("other.key"), other).expect("a file");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let addresses = [tcp.local_addr().expect("address"), udp.local_addr().expect("address")].map(|a| a.to_string());
        Place { directory, _tcp: tcp, _udp: udp, addresses }
    }

    /// `GOOD` where `old` is `new`.
    fn config(&self, old: &str, new: &str) -> std::path::PathBuf {
        assert!(GOOD.contains(old), "{old}");
        let [tcp, udp] = &self.addresses;
        let text = GOOD.replacen(old, new, 1).replace("TCP", tcp).replace("UDP", udp);
        let path = self.directory.path().join("chappe.toml");
        fs::write(&path, text).expect("a file");
        path
    }
}

/// One line, and what it says.
fn judge(output: &Output, code: i32, key: &str, mend: &str) {
    let Output { code: is, text } = output;
    assert_eq!(*is, Some(code), "{text}");
    let lines: Vec<&str> = text.lines().filter(|l| !l.contains(" INFO ") && !l.contains(" WARN ")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].contains(key) && lines[0].contains(mend), "{key:?} and {mend:?} in {text}");
    assert!(!text.contains("panic"), "{text}");
}

#[rstest]
// Where others listen: each listener there is.
#[case(
    "[[listen]]\naddress = \"127.0.0.1:0\"\n[[listen]]",
    "[[listen]]\naddress = \"TCP\"\n[[listen]]",
    "listen[0].address",
    "write an address"
)]
#[case(
    "address = \"127.0.0.1:0\"\ntransport = \"tcp\"",
    "address = \"TCP\"\ntransport = \"tcp\"",
    "listen[1].address",
    "write an address"
)]
#[case(
    "address = \"127.0.0.1:0\"\ntransport = \"udp\"",
    "address = \"UDP\"\ntransport = \"udp\"",
    "sip.listen[0].address",
    "write an address"
)]
#[case(
    "address = \"127.0.0.1:0\"\ntransport = \"tls\"",
    "address = \"TCP\"\ntransport = \"tls\"",
    "sip.listen[1].address",
    "write an address"
)]
#[case("[admin]\naddress = \"127.0.0.1:0\"", "[admin]\naddress = \"TCP\"", "admin.address", "write an address")]
// An address that is not ours.
#[case(
    "[admin]\naddress = \"127.0.0.1:0\"",
    "[admin]\naddress = \"192.0.2.1:9\"\ntoken = \"t\"",
    "admin.address",
    "of this machine"
)]
#[case(
    "address = \"127.0.0.1:0\"\ntransport = \"udp\"",
    "address = \"192.0.2.1:5060\"\ntransport = \"udp\"",
    "sip.listen[0].address",
    "of this machine"
)]
// What files contain.
#[case("certificate = \"server.crt\"", "certificate = \"garbage\"", "tls.certificate", "")]
#[case("key = \"server.key\"", "key = \"garbage\"", "tls.certificate", "")]
#[case("key = \"server.key\"", "key = \"other.key\"", "tls.certificate", "")]
#[case("client_ca = \"ca.crt\"", "client_ca = \"garbage\"", "tls.client_ca", "")]
#[case("client_ca = \"ca.crt\"", "client_ca = \"ca.crt\"\ntrust = \"garbage\"", "tls.client_ca or tls.trust", "")]
#[case("htdigest = \"users\"", "htdigest = \"garbage\"", "auth.htdigest", "")]
// Files that are not there, or cannot be.
#[case("certificate = \"server.crt\"", "certificate = \"missing\"", "tls.certificate", "write the path")]
#[case("htdigest = \"users\"", "htdigest = \"missing\"", "auth.htdigest", "write the path")]
#[case("path = \"records.jsonl\"", "path = \"/proc/records\"", "records.path", "write the path")]
#[case("shards = 2", "shards = 2\nhandover = \"missing/handover.sock\"", "relay.handover", "write the path")]
fn a_bad_configuration_is_told(#[case] old: &str, #[case] new: &str, #[case] key: &str, #[case] mend: &str) {
    let place = Place::new();
    judge(&run(&place.config(old, new), &[]), 78, key, mend);
}

#[test]
fn a_configuration_that_is_not_there_is_told() {
    judge(&run(Path::new("/nonexistent/chappe.toml"), &[]), 78, "/nonexistent/chappe.toml", "write the path");
}

/// With so few of something that it cannot start, which is not the configuration's fault: never a panic, wherever it hits.
fn scarce(place: &Place, limit: &str) -> Output {
    let config = place.config("shards = 2", "shards = 2");
    let mut command = Command::new("bash");
    let run = format!("{limit}; exec \"$0\" run --config \"$1\"");
    end_of(command.args(["-c", &run, env!("CARGO_BIN_EXE_chappe")]).arg(config))
}

#[test]
fn a_start_without_descriptors_fails_in_order() {
    let place = Place::new();
    let mut messages = std::collections::BTreeSet::new();
    for descriptors in (8..=60).step_by(2) {
        let config = place.config("shards = 2", "shards = 2");
        let mut command = Command::new("bash");
        let run =
            format!("ulimit -n {descriptors}; exec timeout --preserve-status -s TERM 3 \"$0\" run --config \"$1\"");
        let output = end_of(command.args(["-c", &run, env!("CARGO_BIN_EXE_chappe")]).arg(config));
        assert!(!output.text.contains("panic"), "{descriptors}: {}", output.text);
        if output.code == Some(0) {
            // There were enough: it served until it was told to end.
            break;
        }
        assert!(matches!(output.code, Some(1 | 78)), "{descriptors}: {:?} {}", output.code, output.text);
        let said = output.text.lines().last().unwrap_or_default().to_owned();
        assert!(!said.is_empty(), "{descriptors}: it says nothing");
        messages.insert(said);
    }
    assert!(messages.len() >= 3, "it has failed in several places: {messages:#?}");
}

/// Threads are counted by user: root has no limit, and so another user is needed.
#[test]
fn a_start_without_threads_fails_in_order() {
    let place = Place::new();
    if !rustix::process::geteuid().is_root() {
        judge(&scarce(&place, "ulimit -u 1"), 1, "cannot start", "");
        return;
    }
    let readable = Command::new("chmod").args(["-R", "a+rwX"]).arg(place.directory.path()).status().expect("chmod");
    assert!(readable.success());
    // The program has to be where that user may read it.
    let program = place.directory.path().join("chappe");
    fs::copy(env!("CARGO_BIN_EXE_chappe"), &program).expect("a copy");
    let config = place.config("shards = 2", "shards = 2");
    fs::set_permissions(place.directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).expect("readable");
    let mut messages = std::collections::BTreeSet::new();
    // A user that no process has.
    let user = 54_000 + std::process::id() % 10_000;
    for threads in 1..=12 {
        let limit = format!(
            "ulimit -u {threads}; exec setpriv --reuid {user} --regid {user} --clear-groups \
             timeout --foreground --preserve-status -s TERM 3 \"$0\" run --config \"$1\""
        );
        let output = end_of(Command::new("bash").args(["-c", &limit]).arg(&program).arg(&config));
        assert!(!output.text.contains("panic"), "{threads}: {}", output.text);
        if output.code == Some(0) {
            break;
        }
        messages.insert((output.code, output.text));
    }
    for part in ["cannot start: ", "cannot start a shard: ", "cannot start the control plane: "] {
        let told = messages.iter().any(|(code, text)| *code == Some(1) && text.contains(part));
        assert!(told, "{part:?} is not among {messages:#?}");
    }
}
