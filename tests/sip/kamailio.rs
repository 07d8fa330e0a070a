//! Kamailio with the configuration that is shipped, on ports of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::Transport;
use super::ports::Port;
use super::process::Process;

/// What a test wants of its Kamailio.
#[derive(Debug, Default)]
pub struct Wish {
    /// Demand passwords.
    pub auth: bool,
    /// Send calls without an offer to Chappe, too.
    pub late_offers: bool,
    /// Send no calls to Chappe.
    pub without_chappe: bool,
}

/// Kamailio as proxy and registrar.
#[derive(Debug)]
pub struct Kamailio {
    process: Process,
    outer: Port,
    inner: Port,
    chappe: Port,
}

impl Kamailio {
    /// Starts it, and waits until it takes messages by both transports.
    pub async fn start(wish: &Wish) -> Kamailio {
        let directory = tempfile::tempdir().expect("directory");
        let (outer, inner, chappe) = (Port::claim(), Port::claim(), Port::claim());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kamailio/kamailio.cfg");
        let mut command = Command::new("kamailio");
        command.arg("-f").arg(file).args(["-DD", "-E", "-m", "32", "-M", "8"]);
        for option in ["-w", "-Y"] {
            command.arg(option).arg(directory.path());
        }
        let mut define = |text: &str| {
            command.args(["-A", text]);
        };
        define(&format!("SIP_PORT={}", outer.number()));
        define(&format!("INNER_PORT={}", inner.number()));
        define(&format!("INNER_SOCKET=\"tcp:{}\"", inner.address()));
        define(&format!("CHAPPE_URI=\"sip:{};transport=tcp\"", chappe.address()));
        // One process for each socket keeps messages in order.
        define("WORKERS=1");
        let wishes = [
            (wish.auth, "WITH_AUTH"),
            (wish.late_offers, "LATE_OFFERS_TO_CHAPPE"),
            (wish.without_chappe, "WITHOUT_CHAPPE"),
        ];
        for (_, name) in wishes.iter().filter(|(wanted, _)| *wanted) {
            define(name);
        }
        // SIGKILL would leave its children behind.
        let mut process = Process::start("kamailio", directory, "-TERM", command, "tests/sip/install.sh");
        for port in [&outer, &inner] {
            process.listens(Transport::Udp, port.number()).await;
            process.listens(Transport::Tcp, port.number()).await;
        }
        Kamailio { process, outer, inner, chappe }
    }

    /// Where clients send to.
    pub fn address(&self) -> SocketAddr {
        self.outer.address()
    }

    /// Where Chappe sends to.
    pub fn inner(&self) -> SocketAddr {
        self.inner.address()
    }

    /// Where it expects Chappe, by TCP.
    pub fn chappe(&self) -> SocketAddr {
        self.chappe.address()
    }

    /// The address of record of a user.
    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{}", self.address())
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.read("output.txt")
    }
}
