//! A Chappe relay as a process, for tests against something real.

#![allow(unreachable_pub, reason = "shared by test programs")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The generator's program.
pub const LOAD: &str = env!("CARGO_BIN_EXE_chappe-load");

/// The relay's program, which lies beside the generator's. Cargo builds no other package's programs for a test.
fn relay_program() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let directory = Path::new(LOAD).parent().expect("a directory");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "chappe", "--bin", "chappe"]);
        build.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")]);
        build.arg("--target-dir").arg(directory.parent().expect("the target directory"));
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        assert!(build.status().expect("cargo").success(), "the relay cannot be built");
        directory.join("chappe")
    })
}

pub struct Relay {
    child: Child,
    pub tls: u16,
    pub tcp: u16,
    directory: tempfile::TempDir,
}

impl Relay {
    /// A relay called `localhost` with the users alice and bob, whose password is `secret`.
    pub fn start(algorithms: &str) -> Relay {
        let directory = tempfile::tempdir().expect("directory");
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let authority = params.self_signed(&key).expect("certificate").pem();
        Relay::under(&Issuer::new(params, key), &authority, directory, algorithms)
    }

    /// Two relays that know each other.
    pub fn pair() -> (Relay, Relay) {
        let mut params = CertificateParams::new(Vec::new()).expect("params");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("key");
        let authority = params.self_signed(&key).expect("certificate").pem();
        let issuer = Issuer::new(params, key);
        let start =
            || Relay::under(&issuer, &authority, tempfile::tempdir().expect("directory"), "\"SHA-256\", \"MD5\"");
        (start(), start())
    }

    fn under(issuer: &Issuer<'_, KeyPair>, authority: &str, directory: tempfile::TempDir, algorithms: &str) -> Relay {
        let key = KeyPair::generate().expect("key");
        let params = CertificateParams::new(["localhost".to_owned()]).expect("params");
        let certificate = params.signed_by(&key, issuer).expect("certificate");
        let write = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("file");
        write("ca.crt", authority);
        write("server.crt", &certificate.pem());
        write("server.key", &key.serialize_pem());
        write("chappe.toml", &CONFIGURATION.replace("@ALGORITHMS@", algorithms));
        let mut child = Command::new(relay_program())
            .args(["run", "--config"])
            .arg(directory.path().join("chappe.toml"))
            .stderr(Stdio::piped())
            .spawn()
            .expect("the relay starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines().map_while(Result::ok);
        let mut port = |transport: &str| -> u16 {
            let line = lines.find(|line| line.contains(&format!("transport={transport}"))).expect("a log line");
            let address = line.split("address=127.0.0.1:").nth(1).expect("an address");
            address.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
        };
        let (tls, tcp) = (port("Tls"), port("Tcp"));
        // The log is read on, or the relay would wait for room to write it.
        std::thread::spawn(move || lines.for_each(drop));
        Relay { child, tls, tcp, directory }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
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
shards = 2
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
