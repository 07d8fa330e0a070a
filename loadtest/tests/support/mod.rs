//! A Chappe relay as a process, for tests against something real.

#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part of this")]

pub mod end;

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The engine of the relay: `CHAPPE_ENGINE`, else "tokio".
pub fn engine() -> String {
    std::env::var("CHAPPE_ENGINE").unwrap_or_else(|_| "tokio".to_owned())
}

/// The generator's program.
pub const LOAD: &str = env!("CARGO_BIN_EXE_chappe-load");

/// The relay's program, which lies beside the generator's. Cargo builds no other package's programs for a test.
fn relay_program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = Path::new(LOAD).parent().expect("a directory");
        let mut build = Command::new(env!("CARGO"));
        // All of them, since with fewer packages Cargo would choose other features and build their dependencies once more.
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        build.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")]);
        build.arg("--target-dir").arg(directory.parent().expect("the target directory"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        // Else it would put a program without the engine in the place of one that was built with it.
        if cfg!(feature = "io-uring") {
            build.args(["--features", "io-uring"]);
        }
        assert!(build.status().expect("cargo").success(), "the relay cannot be built");
        directory.join("chappe")
    })
}

pub struct Relay {
    child: Child,
    pub tls: u16,
    pub tcp: u16,
    admin: u16,
    directory: tempfile::TempDir,
}

impl Relay {
    /// A relay called `localhost` with two shards and the users alice and bob, whose password is `secret`.
    pub fn start(algorithms: &str) -> Relay {
        Relay::with(algorithms, 2)
    }

    /// The same with so many shards.
    pub fn with(algorithms: &str, shards: usize) -> Relay {
        let directory = tempfile::tempdir().expect("directory");
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let authority = params.self_signed(&key).expect("certificate").pem();
        Relay::under(&Issuer::new(params, key), &authority, directory, algorithms, shards)
    }

    /// Two relays that know each other.
    pub fn pair() -> (Relay, Relay) {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let authority = params.self_signed(&key).expect("certificate").pem();
        let issuer = Issuer::new(params, key);
        let directory = || tempfile::tempdir().expect("directory");
        let start = || Relay::under(&issuer, &authority, directory(), "\"SHA-256\", \"MD5\"", 2);
        (start(), start())
    }

    fn under(
        issuer: &Issuer<'_, KeyPair>,
        authority: &str,
        directory: tempfile::TempDir,
        algorithms: &str,
        shards: usize,
    ) -> Relay {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("params");
        let certificate = params.signed_by(&key, issuer).expect("certificate");
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("file");
        write("ca.crt", authority);
        write("server.crt", &certificate.pem());
        write("server.key", &key.serialize_pem());
        let shards = shards.to_string();
        write(
            "chappe.toml",
            &CONFIGURATION
                .replace("@ALGORITHMS@", algorithms)
                .replace("@SHARDS@", &shards)
                .replace("@ENGINE@", &engine()),
        );
        let mut child = Command::new(relay_program())
            .args(["run", "--config"])
            .arg(directory.path().join("chappe.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines().map_while(Result::ok);
        let mut port = |what: &str| -> u16 {
            let line = lines.find(|line| line.contains(what)).expect("a log line");
            let address = line.split("address=127.0.0.1:").nth(1).expect("an address");
            address.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
        };
        let (admin, tls, tcp) = (port("admin is listening"), port("transport=Tls"), port("transport=Tcp"));
        // The log is read on, or the relay would wait for room to write it.
        std::thread::spawn(move || lines.for_each(drop));
        Relay { child, tls, tcp, admin, directory }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Suspends or resumes the process: `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().expect("kill").success());
    }

    /// The sum over labels of a metric, for lines that contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let mut stream = TcpStream::connect(("127.0.0.1", self.admin)).expect("admin");
        stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n").expect("request");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("answer");
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    pub fn ca(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CONFIGURATION: &str = r#"
[relay]
hostname = "localhost"
realm = "relay.test"
shards = @SHARDS@
engine = "@ENGINE@"
pin = false
[[listen]]
address = "127.0.0.1:0"
transport = "tls"
[[listen]]
address = "127.0.0.1:0"
transport = "tcp"
auth = true
[tls]
certificate = "server.crt"
key = "server.key"
client_ca = "ca.crt"
[[peer_relay]]
name = "localhost"
[auth]
algorithms = [@ALGORITHMS@]
[[auth.user]]
name = "alice"
password = "secret"
[[auth.user]]
name = "bob"
password = "secret"
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
"#;
