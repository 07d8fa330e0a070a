//! The relay of the demonstration: this very program, as a process of its own.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::sleep;

use super::{
    RelayAccess,
    error::DemoError,
    workspace::{Workspace, random_hex},
};
use crate::{
    client::{ClientError, Endpoint},
    net::tls::development,
};

/// Between two looks at a process.
const POLL: Duration = Duration::from_millis(5);

/// How long a relay may take to become ready, and to end.
const READY: Duration = Duration::from_secs(20);
const ENDED: Duration = Duration::from_secs(10);

/// Somebody else may take a port between our look and the relay's bind.
const ATTEMPTS: usize = 5;

const HOST: &str = "localhost";
const LOG: &str = "relay.log";

/// A relay that runs. It ends when dropped; [`RunningRelay::end`] also says whether it did so in order.
pub struct RunningRelay {
    child: Option<Child>,
    access: RelayAccess,
    workspace: Workspace,
}

/// What becomes of one start.
enum Start {
    Ready(Child),
    Ended(Child),
    /// Somebody else answers at the port.
    Foreign(Child),
    Silent(Child),
}

/// Starts `program`, by default the running one, as a relay on a free port of loopback, with a certificate, users and a
/// configuration made for it, and waits until it accepts TLS.
pub async fn spawn_relay(program: Option<&Path>) -> Result<RunningRelay, DemoError> {
    let program = match program {
        Some(program) => program.to_owned(),
        None => std::env::current_exe().map_err(|error| DemoError::Start(error.kind()))?,
    };
    let workspace = Workspace::new()?;
    let ca_pem = certify(&workspace)?;
    let users = [("alice".to_owned(), random_hex()?), ("bob".to_owned(), random_hex()?)];
    let mut last = DemoError::NotReady(String::new());
    for _ in 0..ATTEMPTS {
        let address = free_address()?;
        workspace.write("chappe.toml", &configuration(address, &users))?;
        match start(&program, &workspace, address, &ca_pem).await? {
            Start::Ready(child) => {
                let access = RelayAccess {
                    address,
                    server_name: HOST.to_owned(),
                    uri: format!("msrps://{HOST}:{};tcp", address.port()),
                    ca_pem,
                    users,
                    memory_pid: child.id(),
                };
                return Ok(RunningRelay { child: Some(child), access, workspace });
            }
            Start::Ended(mut child) => {
                end(&mut child);
                last = DemoError::Ended(workspace.tail(LOG));
            }
            Start::Foreign(mut child) => {
                end(&mut child);
                last = DemoError::NotReady(workspace.tail(LOG));
            }
            Start::Silent(mut child) => {
                end(&mut child);
                return Err(DemoError::NotReady(workspace.tail(LOG)));
            }
        }
    }
    Err(last)
}

impl RunningRelay {
    /// How clients reach it.
    pub fn access(&self) -> &RelayAccess {
        &self.access
    }

    /// What it has logged last.
    pub fn log(&self) -> String {
        self.workspace.tail(LOG)
    }

    /// Ends it: SIGTERM, then waiting for a bounded time. It has to end with success.
    pub fn end(mut self) -> Result<(), DemoError> {
        let status = self.child.take().as_mut().and_then(end);
        status.filter(ExitStatus::success).map(|_| ()).ok_or(DemoError::NotEnded)
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            end(child);
        }
    }
}

async fn start(
    program: &PathBuf,
    workspace: &Workspace,
    address: SocketAddr,
    ca_pem: &str,
) -> Result<Start, DemoError> {
    let (out, err) = workspace.log(LOG)?;
    let child = Command::new(program)
        .arg("run")
        .arg("--config")
        .arg(workspace.path("chappe.toml"))
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .map_err(|error| DemoError::Start(error.kind()))?;
    let mut guard = Reaper(Some(child));
    let deadline = Instant::now() + READY;
    while Instant::now() < deadline {
        let exited = guard.0.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
        if exited {
            return Ok(guard.verdict(Start::Ended));
        }
        // Its authority is not a minute old: whoever completes the handshake is our relay.
        match Endpoint::connect_tls(address, HOST, ca_pem, None).await {
            Ok(_) => return Ok(guard.verdict(Start::Ready)),
            Err(ClientError::Tls(_)) => return Ok(guard.verdict(Start::Foreign)),
            Err(_) => sleep(POLL).await,
        }
    }
    Ok(guard.verdict(Start::Silent))
}

/// Ends a process whose start is given up in the middle.
struct Reaper(Option<Child>);

impl Reaper {
    fn verdict(&mut self, verdict: impl Fn(Child) -> Start) -> Start {
        self.0.take().map(verdict).expect("a process is given out once")
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            end(child);
        }
    }
}

/// SIGTERM, a bounded wait, then SIGKILL. The status is that of an end by itself.
fn end(child: &mut Child) -> Option<ExitStatus> {
    if let Ok(Some(status)) = child.try_wait() {
        return Some(status);
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended by itself; then there is nobody to tell.
        let _ = kill_process(pid, Signal::TERM);
    }
    let deadline = Instant::now() + ENDED;
    while Instant::now() < deadline {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::sleep(POLL),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Writes certificate and key; the result is their authority.
fn certify(workspace: &Workspace) -> Result<String, DemoError> {
    let made = development::in_memory(HOST).map_err(|error| DemoError::Certificate(error.to_string()))?;
    let (authority, identity) = made;
    let chain: String = identity.chain.iter().map(|certificate| pem("CERTIFICATE", certificate)).collect();
    workspace.write("relay.crt", &chain)?;
    workspace.write("relay.key", &pem("PRIVATE KEY", identity.key.secret_der()))?;
    Ok(authority)
}

/// A PEM section in lines of 64 characters (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let lines: Vec<_> = der.chunks(48).map(|line| STANDARD.encode(line)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn free_address() -> Result<SocketAddr, DemoError> {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr();
    free().map_err(|error: std::io::Error| DemoError::Port(error.kind()))
}

fn configuration(address: SocketAddr, users: &[(String, String)]) -> String {
    let mut text = format!(
        r#"[relay]
hostname = "{HOST}"
drain_timeout = "1s"

[[listen]]
address = "{address}"
transport = "tls"

[tls]
certificate = "relay.crt"
key = "relay.key"

[admin]
enabled = false
"#
    );
    for (name, password) in users {
        text.push_str(&format!("\n[[auth.user]]\nname = \"{name}\"\npassword = \"{password}\"\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, net::tls::Identity};

    #[test]
    fn configuration_made_for_the_relay_is_good() {
        let workspace = Workspace::new().unwrap();
        certify(&workspace).unwrap();
        let users = [("alice".to_owned(), "0f".to_owned()), ("bob".to_owned(), "1e".to_owned())];
        workspace.write("chappe.toml", &configuration(free_address().unwrap(), &users)).unwrap();
        let config = Config::load(&workspace.path("chappe.toml")).unwrap();
        assert_eq!(config.auth.users.len(), 2);
    }

    #[test]
    fn certificate_and_key_are_readable_pem() {
        let workspace = Workspace::new().unwrap();
        let authority = certify(&workspace).unwrap();
        let read = |name| std::fs::read(workspace.path(name)).unwrap();
        assert_eq!(Identity::from_pem(&read("relay.crt"), &read("relay.key")).unwrap().chain.len(), 1);
        assert!(authority.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(read("relay.crt").split(|octet| *octet == b'\n').all(|line| line.len() <= 64));
    }

    #[tokio::test]
    async fn program_that_is_no_relay_is_an_error() {
        let ended = spawn_relay(Some(Path::new("/bin/false"))).await.err().unwrap();
        assert_eq!(ended, DemoError::Ended(String::new()));
        let absent = spawn_relay(Some(Path::new("/nowhere/chappe"))).await.err().unwrap();
        assert_eq!(absent, DemoError::Start(std::io::ErrorKind::NotFound));
    }
}
