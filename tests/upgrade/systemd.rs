//! Socket activation and notifications, with this test in the place of systemd.

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::sync::Arc;

use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

use crate::start::end_of;
use crate::support::{Authority, PATIENCE, Relay, Wish, configuration};
use crate::traffic::{Attempts, Traffic};
use crate::with_engine;

/// The sockets of a socket unit.
struct Unit {
    tls: TcpListener,
    tcp: TcpListener,
    admin: TcpListener,
    sip: [UdpSocket; 1],
    sip_tcp: TcpListener,
}

impl Unit {
    fn new() -> Unit {
        let listener = || TcpListener::bind("127.0.0.1:0").expect("a port");
        let sip = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let unit = Unit { tls: listener(), tcp: listener(), admin: listener(), sip: [sip], sip_tcp: listener() };
        for socket in unit.sockets() {
            let flags = fcntl_getfd(socket).expect("flags");
            fcntl_setfd(socket, flags - FdFlags::CLOEXEC).expect("inheritable");
        }
        unit
    }

    fn sockets(&self) -> [BorrowedFd<'_>; 5] {
        [self.tls.as_fd(), self.tcp.as_fd(), self.admin.as_fd(), self.sip[0].as_fd(), self.sip_tcp.as_fd()]
    }

    /// The relay with all of them, as systemd would start it: the sockets from descriptor 3 on, and their names.
    fn command(&self, names: &str, sockets: &[BorrowedFd<'_>]) -> Command {
        let mut script = String::from("exec 0</dev/null");
        for (number, socket) in sockets.iter().enumerate() {
            // By way of numbers that no other one has.
            script += &format!(" {}<&{}", 200 + number, socket.as_raw_fd());
        }
        for number in 0..sockets.len() {
            script += &format!(" {}<&{} {}<&-", 3 + number, 200 + number, 200 + number);
        }
        script += "; export LISTEN_PID=$$; exec \"$0\" \"$@\"";
        let mut command = Command::new("bash");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_chappe")]);
        command.env("LISTEN_FDS", sockets.len().to_string()).env("LISTEN_FDNAMES", names);
        command
    }

    fn at(&self, address: fn(&Unit) -> std::io::Result<SocketAddr>) -> SocketAddr {
        address(self).expect("an address")
    }
}

/// By address for the first three, by name for SIP's.
fn with_addresses(unit: &Unit, wish: &Wish<'_>) -> String {
    let [tls, tcp, admin] =
        [unit.at(|u| u.tls.local_addr()), unit.at(|u| u.tcp.local_addr()), unit.at(|u| u.admin.local_addr())];
    let text = with_engine(&crate::support::engine(), wish);
    let sip =
        "\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\n[[sip.listen]]\naddress = \"127.0.0.1:0\"\ntransport = \"tcp\"\n";
    let text = text.replacen("127.0.0.1:0", &tls.to_string(), 1).replacen("127.0.0.1:0", &tcp.to_string(), 1).replacen(
        "127.0.0.1:0",
        &admin.to_string(),
        1,
    );
    text + sip
}

const NAMES: &str = "chappe.socket:chappe.socket:anything:sip.listen[0]:sip.listen[1]";

fn directory(authority: &Authority, text: &str) -> Arc<tempfile::TempDir> {
    let directory = tempfile::tempdir().expect("a directory");
    let (chain, key) = authority.issue(&["localhost"]);
    for (name, text) in
        [("server.crt", &*chain), ("server.key", &*key), ("ca.crt", &*authority.pem), ("chappe.toml", text)]
    {
        fs::write(directory.path().join(name), text).expect("a file");
    }
    Arc::new(directory)
}

/// A restart with the sockets in systemd's hands: who comes between two processes waits, and is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_with_activated_sockets_leaves_no_gap() {
    let (authority, unit) = (Authority::new(), Unit::new());
    let directory = directory(&authority, &with_addresses(&unit, &Wish::default()));
    let notify = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
    notify.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let heard = || {
        let mut room = [0; 256];
        let length = notify.recv(&mut room).expect("a notification");
        String::from_utf8_lossy(&room[..length]).into_owned()
    };
    let start = || {
        let mut command = unit.command(NAMES, &unit.sockets());
        command.env("NOTIFY_SOCKET", directory.path().join("notify"));
        Relay::launch(command, directory.clone(), "localhost")
    };
    let mut relay = start();
    assert_eq!(heard(), format!("READY=1\nMAINPID={}\nSTATUS=serving", relay.pid));
    assert_eq!((relay.tls, relay.tcp), (unit.at(|u| u.tls.local_addr()), unit.at(|u| u.tcp.local_addr())));
    assert_eq!(relay.sip("UDP"), unit.at(|u| u.sip[0].local_addr()));
    assert_eq!(relay.sip("TCP"), unit.at(|u| u.sip_tcp.local_addr()));
    relay.signal("HUP");
    assert!(heard().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(heard(), "READY=1\nSTATUS=serving");

    let attempts = Attempts::start(&relay, &authority);
    for _ in 0..3 {
        attempts.serve(30).await;
        relay.signal("TERM");
        assert_eq!(heard(), "STOPPING=1\nSTATUS=draining");
        assert!(relay.wait().success());
        relay = start();
        assert!(heard().starts_with("READY=1"));
    }
    attempts.serve(50).await;
    let (served, failures) = attempts.end().await;
    // Who was let in just before the end of a process is cut off or turned away with it. Nobody finds nobody there.
    let met = |why: &String| {
        ["403", "os error 104", "ConnectionReset", "reset", "eof", "losed"].iter().any(|how| why.contains(how))
    };
    let others: Vec<_> = failures.iter().filter(|why| !met(why)).collect();
    assert!(others.is_empty(), "{served} served, {others:?}");
    println!("{served} clients served over three restarts, {} met an end", failures.len());
}

/// An upgrade by handover of a process that systemd has started: the new one is the main one from then on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn activated_sockets_are_handed_on_without_a_refusal() {
    let (authority, unit) = (Authority::new(), Unit::new());
    let wish = Wish { relay: "handover = \"handover.sock\"", ..Wish::default() };
    let directory = directory(&authority, &with_addresses(&unit, &wish));
    let notify = UnixDatagram::bind(directory.path().join("notify")).expect("a socket");
    notify.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let heard = || {
        let mut room = [0; 256];
        let length = notify.recv(&mut room).expect("a notification");
        String::from_utf8_lossy(&room[..length]).into_owned()
    };
    let mut command = unit.command(NAMES, &unit.sockets());
    command.env("NOTIFY_SOCKET", directory.path().join("notify"));
    let mut old = Relay::launch(command, directory.clone(), "localhost");
    assert!(heard().contains(&format!("MAINPID={}\n", old.pid)));
    let traffic = Traffic::start(&old, &authority, 2).await;
    let attempts = Attempts::start(&old, &authority);
    attempts.serve(30).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_chappe"));
    command.env("NOTIFY_SOCKET", directory.path().join("notify"));
    let new = Relay::launch(command, directory.clone(), "localhost");
    assert_eq!(heard(), format!("READY=1\nMAINPID={}\nSTATUS=serving", new.pid));
    attempts.serve(100).await;
    traffic.flow(50).await;
    let (_, failures) = attempts.end().await;
    assert_eq!(failures, Vec::<String>::new());
    traffic.end().await;
    assert!(old.wait().success());
    // The service goes on: the old process has told nothing of its end.
    notify.set_nonblocking(true).expect("no waiting");
    assert!(notify.recv(&mut [0; 256]).is_err());
}

#[test]
fn a_socket_that_is_nobodys_is_told() {
    let (authority, unit) = (Authority::new(), Unit::new());
    let directory = directory(&authority, &configuration(&Wish::default()));
    let config = directory.path().join("chappe.toml");
    let fails = |names: &str, sockets: &[BorrowedFd<'_>]| {
        let output = end_of(unit.command(names, sockets).args(["run", "--config"]).arg(&config));
        assert_eq!(output.code, Some(78), "{}", output.text);
        assert!(!output.text.contains("panic"), "{}", output.text);
        output.text
    };
    let text = fails("web", &[unit.tls.as_fd()]);
    let place = unit.at(|u| u.tls.local_addr());
    assert!(text.contains(&format!("web (TCP {place})")) && text.contains("write its address"), "{text}");
    // Its name is that of a listener of another protocol.
    let text = fails("listen[0]", &[unit.sip[0].as_fd()]);
    assert!(text.contains("listen[0] (UDP"), "{text}");
    // No socket at all.
    let file = fs::File::open(&config).expect("a file");
    fcntl_setfd(&file, FdFlags::empty()).expect("inheritable");
    let text = fails("", &[file.as_fd()]);
    assert!(text.contains("descriptor 3"), "{text}");
    // More than there can be.
    let mut command = unit.command("", &[]);
    command.env("LISTEN_FDS", "4000000000").args(["run", "--config"]).arg(&config);
    let output = end_of(&mut command);
    assert!(output.code == Some(78) && output.text.contains("LISTEN_FDS"), "{:?} {}", output.code, output.text);
}

#[test]
fn sockets_of_another_process_are_left_alone() {
    let authority = Authority::new();
    let directory = directory(&authority, &configuration(&Wish::default()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_chappe"));
    command.env("LISTEN_FDS", "1").env("LISTEN_PID", "1");
    let relay = Relay::launch(command, directory, "localhost");
    assert_eq!(relay.http("GET", "/readyz", "").0, 200);
}
