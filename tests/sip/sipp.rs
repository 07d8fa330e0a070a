//! SIPp: one scenario of `scenarios/`, as caller or as callee.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::ports::Port;
use super::process::Process;
use super::{PATIENCE, Transport};

/// A scenario and what is to be put into it.
#[derive(Debug)]
pub struct Script {
    scenario: String,
    transport: Transport,
    remote: Option<SocketAddr>,
    target: Option<String>,
    user: String,
    keys: Vec<(String, String)>,
    options: Vec<String>,
    calls: u32,
    hold: Duration,
    patience: Duration,
    trace: bool,
}

impl Script {
    /// The callee's side: `uas_…`.
    pub fn callee(scenario: &str, transport: Transport) -> Script {
        Script {
            scenario: scenario.to_owned(),
            transport,
            remote: None,
            target: None,
            user: "bob".to_owned(),
            keys: Vec::new(),
            options: Vec::new(),
            calls: 1,
            hold: Duration::ZERO,
            patience: PATIENCE,
            trace: true,
        }
    }

    /// The caller's side, `uac_…`, which sends to this address.
    pub fn caller(scenario: &str, transport: Transport, remote: SocketAddr) -> Script {
        Script { remote: Some(remote), ..Script::callee(scenario, transport) }
    }

    /// User part of the Request-URI; "bob" if nothing is said.
    pub fn user(mut self, user: &str) -> Script {
        self.user = user.to_owned();
        self
    }

    /// Host, and port if any, of the Request-URI; the address that is sent to if nothing is said.
    pub fn target(mut self, target: &str) -> Script {
        self.target = Some(target.to_owned());
        self
    }

    /// What stands for `[name]` in the scenario.
    pub fn key(mut self, name: &str, value: &str) -> Script {
        self.keys.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The MSRP session of this side, by its URI: path, host and port of its description.
    pub fn session(self, uri: &str) -> Script {
        let (host, port) = place(uri);
        self.key("msrp_path", uri).key("msrp_host", &host).key("msrp_port", &port)
    }

    /// The session that it changes to within the call.
    pub fn second_session(self, uri: &str) -> Script {
        let (_, port) = place(uri);
        self.key("msrp_path2", uri).key("msrp_port2", &port)
    }

    /// How long the pauses of the scenario last.
    pub fn hold(mut self, hold: Duration) -> Script {
        self.hold = hold;
        self
    }

    /// How long it waits for a message before the call fails, and half of how long it may run in all.
    pub fn patience(mut self, patience: Duration) -> Script {
        self.patience = patience;
        self
    }

    /// Calls until it ends; one if nothing is said.
    pub fn calls(mut self, calls: u32) -> Script {
        self.calls = calls;
        self
    }

    /// Further options on its command line.
    pub fn options(mut self, options: &[&str]) -> Script {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    /// Does without the trace of all messages, which takes most of the time of many calls.
    pub fn untraced(mut self) -> Script {
        self.trace = false;
        self
    }

    /// Starts it; a callee listens when this is done.
    pub async fn start(self) -> Sipp {
        let directory = tempfile::tempdir().expect("directory");
        let (port, control) = (Port::claim(), Port::claim());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/sip/scenarios/{}.xml", self.scenario));
        assert!(file.exists(), "there is no scenario {}", self.scenario);
        let mut command = Command::new("sipp");
        command.args(self.remote.map(|remote| remote.to_string()));
        command.arg("-sf").arg(file);
        let mode = if self.transport == Transport::Udp { "u1" } else { "t1" };
        command.args(["-t", mode, "-i", "127.0.0.1", "-bind_local", "-nostdin", "-trace_err", "-trace_logs"]);
        command.args(["-p", &port.number().to_string()]);
        command.args(["-ci", "127.0.0.1", "-cp", &control.number().to_string()]);
        command.args(["-error_file", "errors.txt", "-log_file", "log.txt"]);
        if self.trace {
            command.args(["-trace_msg", "-message_file", "messages.txt"]);
        }
        let patience = self.patience.as_millis();
        command.args(["-m", &self.calls.to_string(), "-s", &self.user, "-d", &self.hold.as_millis().to_string()]);
        command.args(["-recv_timeout", &patience.to_string()]);
        command.args(["-timeout", &format!("{}ms", 2 * patience), "-timeout_error"]);
        let target = self.target.or(self.remote.map(|remote| remote.to_string()));
        let defaults = [
            ("target", target.as_deref().unwrap_or("127.0.0.1")),
            ("msrp_path", "msrp://127.0.0.1:9/nowhere;tcp"),
            ("msrp_host", "127.0.0.1"),
            ("msrp_port", "9"),
            ("direction", "sendrecv"),
        ];
        for (name, value) in defaults {
            if self.keys.iter().all(|(key, _)| key != name) {
                command.args(["-key", name, value]);
            }
        }
        for (name, value) in &self.keys {
            command.args(["-key", name, value]);
        }
        command.args(&self.options);
        let name = format!("sipp {}", self.scenario);
        let mut process = Process::start(&name, directory, "-KILL", command, "tests/sip/install.sh");
        if self.remote.is_none() {
            process.listens(self.transport, port.number()).await;
        }
        Sipp { name, process, port, _control: control, transport: self.transport, patience: 2 * self.patience }
    }
}

/// A running scenario.
#[derive(Debug)]
pub struct Sipp {
    name: String,
    process: Process,
    port: Port,
    _control: Port,
    transport: Transport,
    patience: Duration,
}

impl Sipp {
    /// Where it listens, or sends from.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// A SIP URI that leads to it.
    pub fn uri(&self, user: &str) -> String {
        format!("sip:{user}@{};transport={}", self.address(), self.transport.param())
    }

    /// Waits for what the scenario logs under this name: the rest of the first such line.
    pub async fn logged(&mut self, name: &str) -> String {
        let patience = self.patience;
        let value = |line: &str| after(line, name);
        let found = self.process.line("log.txt", patience, value).await;
        found.unwrap_or_else(|| panic!("{} has not logged {name:?}:\n{}", self.name, self.trouble()))
    }

    /// All that has been logged under this name so far, in order.
    pub fn all_logged(&self, name: &str) -> Vec<String> {
        self.process.read("log.txt").lines().filter_map(|line| after(line, name)).collect()
    }

    /// All messages so far, as SIPp writes them down.
    pub fn messages(&self) -> String {
        self.process.read("messages.txt")
    }

    /// A file that it writes.
    pub fn file(&self, name: &str) -> String {
        self.process.read(name)
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.process.ended().is_none()
    }

    /// Waits for its end and judges it: every call must have gone as the scenario says. What it has written can be read
    /// afterwards.
    pub async fn end(&mut self) {
        let status = self.process.end(self.patience + PATIENCE).await;
        assert!(status.success(), "{} has failed ({status}):\n{}", self.name, self.trouble());
    }

    /// Waits for its end, whatever it is: the exit code.
    pub async fn end_anyhow(&mut self) -> Option<i32> {
        self.process.end(self.patience + PATIENCE).await.code()
    }

    fn trouble(&self) -> String {
        format!("{}\n--- messages:\n{}", self.process.read("errors.txt"), self.messages())
    }
}

/// The rest of a line that begins with this name.
fn after(line: &str, name: &str) -> Option<String> {
    let rest = line.strip_prefix(name)?;
    match rest.strip_prefix(' ') {
        // SIPp keeps the space between a header's colon and its value.
        Some(value) => Some(value.trim_start().to_owned()),
        None => rest.is_empty().then(String::new),
    }
}

/// Host and port of an MSRP URI.
fn place(uri: &str) -> (String, String) {
    let authority = uri.split("://").nth(1).and_then(|rest| rest.split('/').next()).expect("an MSRP URI");
    let (host, port) = authority.rsplit_once(':').expect("a port");
    (host.to_owned(), port.to_owned())
}
