//! What systemd is told (sd_notify(3)): one datagram to the socket that `NOTIFY_SOCKET` names.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The service manager's ear; nobody's without `NOTIFY_SOCKET`.
pub(super) struct Manager(Option<OsString>);

impl Manager {
    pub(super) fn from_environment() -> Manager {
        Manager(std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()))
    }

    /// This process serves, and is the one to watch from now on.
    pub(super) fn ready(&self) {
        self.tell(&format!("READY=1\nMAINPID={}\nSTATUS=serving", std::process::id()));
    }

    /// The configuration is read again; `reloaded` ends it.
    pub(super) fn reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let micros = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The configuration is in force, or the old one still is.
    pub(super) fn reloaded(&self, applied: bool) {
        let status = if applied { "serving" } else { "serving; the last reload was refused, see the log" };
        self.tell(&format!("READY=1\nSTATUS={status}"));
    }

    /// The service ends. Not for a process that has handed its sockets on: the service goes on.
    pub(super) fn stopping(&self) {
        self.tell("STOPPING=1\nSTATUS=draining");
    }

    /// Nobody waits for it, so that an error concerns nobody but who reads the log.
    fn tell(&self, what: &str) {
        let Some(name) = &self.0 else { return };
        if let Err(error) = send(name, what) {
            tracing::warn!(%error, "the service manager does not hear; is NOTIFY_SOCKET right?");
        }
    }
}

fn send(name: &OsString, what: &str) -> io::Result<()> {
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(what.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut room = [0; 256];
        let length = socket.recv(&mut room).expect("a message");
        String::from_utf8_lossy(&room[..length]).into_owned()
    }

    #[test]
    fn a_manager_with_a_path_or_an_abstract_name_is_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).expect("a socket");
        let name = format!("chappe-notify-{}", std::process::id());
        let abstract_address = SocketAddr::from_abstract_name(&name).expect("a name");
        let by_name = UnixDatagram::bind_addr(&abstract_address).expect("a socket");
        for (manager, socket) in [(path.into_os_string(), by_path), (format!("@{name}").into(), by_name)] {
            let manager = Manager(Some(manager));
            manager.ready();
            assert_eq!(heard(&socket), format!("READY=1\nMAINPID={}\nSTATUS=serving", std::process::id()));
            manager.reloading();
            assert!(heard(&socket).starts_with("RELOADING=1\nMONOTONIC_USEC="));
            manager.reloaded(true);
            assert_eq!(heard(&socket), "READY=1\nSTATUS=serving");
            manager.stopping();
            assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=draining");
        }
        Manager(None).ready();
        Manager(Some("/nonexistent/notify".into())).ready();
    }
}
