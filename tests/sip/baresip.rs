//! baresip, a softphone, without a display or a sound card: a tone is its microphone.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::ports::Port;
use super::process::Process;
use super::{PATIENCE, Transport};

/// A telephone with one account.
#[derive(Debug)]
pub struct Baresip {
    name: String,
    transport: Transport,
    process: Process,
    control: TcpStream,
    octets: Vec<u8>,
    told: Vec<Value>,
    sip: Port,
    _others: [Port; 2],
}

impl Baresip {
    /// Starts it, and registers it there; returns when the registrar has agreed.
    pub async fn start(user: &str, transport: Transport, registrar: SocketAddr, password: &str) -> Baresip {
        let param = transport.param();
        let account = format!("<sip:{user}@{registrar};transport={param}>;regint=600;auth_pass={password}\n");
        let mut phone = Baresip::launch(user, transport, &account).await;
        let agreed = phone.process.line("output.txt", PATIENCE, |line| line.contains(" 200 OK").then_some(())).await;
        assert!(agreed.is_some(), "{user} does not register:\n{}", phone.process.read("output.txt"));
        phone
    }

    /// Starts it; its calls go to this address, whoever they are for, and it is called where it listens.
    pub async fn without_registrar(user: &str, transport: Transport, outbound: SocketAddr) -> Baresip {
        let param = transport.param();
        let account = format!(
            "<sip:{user}@{outbound};transport={param}>;regint=0;outbound=\"sip:{outbound};transport={param}\"\n"
        );
        Baresip::launch(user, transport, &account).await
    }

    async fn launch(user: &str, transport: Transport, account: &str) -> Baresip {
        let directory = tempfile::tempdir().expect("directory");
        let ((sip, tls), port) = (two_ports(), Port::claim());
        let file = |name: &str, text: &str| fs::write(directory.path().join(name), text).expect("file");
        file("config", &configuration(user, sip.address(), port.address()));
        file("accounts", account);
        file("contacts", "");
        let mut command = Command::new("baresip");
        command.args(["-4", "-s", "-f"]).arg(directory.path()).env("HOME", directory.path());
        // It would try to take its registration back, and wait for an answer.
        let mut process =
            Process::start(&format!("baresip {user}"), directory, "-KILL", command, "tests/sip/install.sh");
        process.listens(transport, sip.number()).await;
        process.listens(Transport::Tcp, port.number()).await;
        let control = TcpStream::connect(port.address()).await.expect("its control interface");
        let name = user.to_owned();
        Baresip { name, transport, process, control, octets: Vec::new(), told: Vec::new(), sip, _others: [tls, port] }
    }

    /// A SIP URI that leads to it.
    pub fn uri(&self) -> String {
        format!("sip:{}@{};transport={}", self.name, self.sip.address(), self.transport.param())
    }

    /// Calls this URI. It puts the transport of its account to it by itself.
    pub async fn dial(&mut self, uri: &str) {
        self.command("dial", uri.split(';').next().unwrap_or_default()).await;
    }

    /// Gives a command: "dial", "accept", "hold", "resume", "hangup" … with its parameters.
    pub async fn command(&mut self, command: &str, params: &str) {
        let text = serde_json::json!({ "command": command, "params": params, "token": command }).to_string();
        let text = format!("{}:{text},", text.len());
        self.control.write_all(text.as_bytes()).await.expect("its control interface");
        let answer = self.wait("an answer", |value| value["response"] == true && value["token"] == command).await;
        assert_eq!(answer["ok"], true, "{command} {params}: {answer}");
    }

    /// Waits for an event of this type, as "CALL_ESTABLISHED".
    pub async fn event(&mut self, kind: &str) -> Value {
        self.wait(kind, |value| value["event"] == true && value["type"] == kind).await
    }

    /// Waits until it has written this line.
    pub async fn writes(&mut self, line: &str) {
        let found = self.process.line("output.txt", PATIENCE, |one| (one == line).then_some(())).await;
        assert!(found.is_some(), "{} has not written {line}:\n{}", self.name, self.output());
    }

    /// What it has written, with all SIP messages.
    pub fn output(&self) -> String {
        self.process.read("output.txt")
    }

    async fn wait(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.told.iter().position(&wanted) {
                return self.told.remove(at);
            }
            let next = timeout_at(deadline, self.next()).await;
            let next = next.unwrap_or_else(|_| panic!("{} has not told {what}, but {:?}", self.name, self.told));
            self.told.push(next);
        }
    }

    /// The next netstring of its control interface.
    async fn next(&mut self) -> Value {
        loop {
            let text = String::from_utf8_lossy(&self.octets).into_owned();
            if let Some((length, rest)) = text.split_once(':')
                && let Ok(length) = length.parse::<usize>()
                && rest.len() > length
            {
                let value = serde_json::from_str(&rest[..length]).expect("JSON");
                let used = text.len() - rest.len() + length + 1;
                self.octets.drain(..used);
                return value;
            }
            let read = self.control.read_buf(&mut self.octets).await.expect("its control interface");
            assert!(read > 0, "{} has ended:\n{}", self.name, self.process.read("output.txt"));
        }
    }
}

/// A port for datagrams and connections, and the next one: there it takes TLS, asked or not.
fn two_ports() -> (Port, Port) {
    let mut first = Port::claim();
    loop {
        let next = Port::claim();
        if next.number() == first.number() + 1 {
            return (first, next);
        }
        first = next;
    }
}

fn configuration(user: &str, sip: SocketAddr, control: SocketAddr) -> String {
    // The tone is made at 48 kHz for two ears only.
    format!(
        "sip_listen {sip}\n\
         net_interface 127.0.0.1\n\
         call_local_timeout 60\n\
         call_max_calls 4\n\
         audio_source ausine,440\n\
         audio_player aubridge,{user}\n\
         audio_alert aubridge,{user}\n\
         ausrc_srate 48000\n\
         ausrc_channels 2\n\
         audio_buffer 20-160\n\
         module_path /usr/lib/baresip/modules\n\
         module g711.so\n\
         module ausine.so\n\
         module aubridge.so\n\
         module_tmp account.so\n\
         module_app menu.so\n\
         module_app ctrl_tcp.so\n\
         ctrl_tcp_listen {control}\n"
    )
}
