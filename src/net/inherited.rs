//! Listening sockets that were opened before us: by systemd, or by the process that we take over from.
//!
//! A listener of the configuration takes those that are bound to its address. One whose port is 0 has no address to be found
//! by, and takes those that carry its name: its key in the file, as `listen[0]`, `sip.listen[1]` or `admin`.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use socket2::{Socket, Type};

/// Descriptors that are taken from the environment; a greater number in it is nonsense.
const MOST: usize = 4096;

/// A name and a socket, as they are handed on.
pub type Named = (String, OwnedFd);

/// Why a descriptor that was handed to us is of no use.
#[derive(Debug, thiserror::Error)]
pub enum InheritError {
    /// `LISTEN_FDS` is no number, or too great a one.
    #[error("LISTEN_FDS is not a number up to {MOST}; let the service manager set it")]
    Count,
    /// It cannot be used at all.
    #[error("descriptor {name}: {error}; hand over listening TCP sockets and bound UDP sockets only")]
    Socket {
        /// Its name or number.
        name: String,
        /// What the system says of it.
        error: io::Error,
    },
    /// A socket of another kind.
    #[error("descriptor {name} neither listens for TCP nor is bound for UDP; hand over no other sockets")]
    Kind {
        /// Its name or number.
        name: String,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Stream,
    Datagram,
}

#[derive(Debug)]
struct Held {
    name: String,
    kind: Kind,
    address: SocketAddr,
    socket: Socket,
}

/// Sockets that wait for the listener they are meant for.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Held>);

/// A socket that belongs to no listener.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unclaimed {
    name: String,
    kind: Kind,
    address: SocketAddr,
}

impl fmt::Display for Unclaimed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = if self.kind == Kind::Stream { "TCP" } else { "UDP" };
        write!(f, "{} ({protocol} {})", self.name, self.address)
    }
}

impl Inherited {
    /// What systemd hands over: `LISTEN_FDS`, `LISTEN_PID` and `LISTEN_FDNAMES`. Nothing where they speak of another process.
    /// Changes the environment: to be called before there are threads.
    pub fn from_environment() -> Result<Inherited, InheritError> {
        let is_ours = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
        let Some(count) = std::env::var_os("LISTEN_FDS").filter(|_| is_ours) else { return Ok(Inherited::default()) };
        let count = count.to_str().and_then(|count| count.parse::<usize>().ok());
        count.filter(|count| *count <= MOST).ok_or(InheritError::Count)?;
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':').map(str::to_owned);
        let mut passed = ListenFd::from_env();
        let mut inherited = Inherited::default();
        for index in 0..passed.len() {
            let unnamed = || format!("{}", index + 3);
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or_else(unnamed);
            // Each refuses what the other takes.
            let socket = match passed.take_tcp_listener(index) {
                Ok(listener) => listener.map(OwnedFd::from),
                Err(_) => match passed.take_udp_socket(index) {
                    Ok(socket) => socket.map(OwnedFd::from),
                    Err(error) => return Err(InheritError::Socket { name, error }),
                },
            };
            if let Some(socket) = socket {
                inherited.add((name, socket))?;
            }
        }
        Ok(inherited)
    }

    /// Takes a socket in.
    pub fn add(&mut self, (name, socket): Named) -> Result<(), InheritError> {
        let socket = Socket::from(socket);
        let look = || -> io::Result<(Type, bool, Option<SocketAddr>)> {
            socket.set_nonblocking(true)?;
            let kind = socket.r#type()?;
            let listens = kind == Type::STREAM && socket.is_listener()?;
            Ok((kind, listens, socket.local_addr()?.as_socket()))
        };
        let (kind, address) = match look() {
            Ok((Type::STREAM, true, Some(address))) => (Kind::Stream, address),
            Ok((Type::DGRAM, _, Some(address))) if address.port() != 0 => (Kind::Datagram, address),
            Ok(_) => return Err(InheritError::Kind { name }),
            Err(error) => return Err(InheritError::Socket { name, error }),
        };
        self.0.push(Held { name, kind, address, socket });
        Ok(())
    }

    /// The listening TCP sockets of the listener that has this name and this address; none if there are none.
    pub fn streams(&mut self, name: &str, address: SocketAddr) -> Vec<TcpListener> {
        self.take(Kind::Stream, name, address).into_iter().map(TcpListener::from).collect()
    }

    /// The UDP sockets of such a listener.
    pub fn datagrams(&mut self, name: &str, address: SocketAddr) -> Vec<UdpSocket> {
        self.take(Kind::Datagram, name, address).into_iter().map(UdpSocket::from).collect()
    }

    fn take(&mut self, kind: Kind, name: &str, address: SocketAddr) -> Vec<Socket> {
        let meant = |held: &mut Held| {
            let by_name = address.port() == 0 && held.name == name && held.address.ip() == address.ip();
            held.kind == kind && (by_name || held.address == address)
        };
        self.0.extract_if(.., meant).map(|held| held.socket).collect()
    }

    /// What no listener has taken.
    pub fn unclaimed(&self) -> Vec<Unclaimed> {
        let told = |held: &Held| Unclaimed { name: held.name.clone(), kind: held.kind, address: held.address };
        self.0.iter().map(told).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        (listener, address)
    }

    fn any(ip: [u8; 4]) -> SocketAddr {
        (ip, 0).into()
    }

    #[test]
    fn a_listener_takes_what_has_its_address_whatever_its_name() {
        let ((a, at), (b, _)) = (listener(), listener());
        let mut inherited = Inherited::default();
        let twin = a.try_clone().expect("a twin");
        for (name, socket) in [("x", a), ("listen[0]", b), ("listen[0]", twin)] {
            inherited.add((name.to_owned(), socket.into())).expect("a listener");
        }
        assert_eq!(inherited.streams("listen[0]", at).len(), 2);
        assert_eq!(inherited.unclaimed().len(), 1);
    }

    #[test]
    fn one_without_a_port_takes_what_has_its_name_and_its_host() {
        let ((a, at), udp) = (listener(), UdpSocket::bind("127.0.0.1:0").expect("a port"));
        let mut inherited = Inherited::default();
        inherited.add(("listen[1]".to_owned(), a.into())).expect("a listener");
        inherited.add(("listen[1]".to_owned(), udp.into())).expect("a socket");
        assert!(inherited.streams("listen[0]", any([127, 0, 0, 1])).is_empty());
        assert!(inherited.streams("listen[1]", any([0, 0, 0, 0])).is_empty());
        let found = inherited.streams("listen[1]", any([127, 0, 0, 1]));
        assert_eq!(found.iter().filter_map(|l| l.local_addr().ok()).collect::<Vec<_>>(), [at]);
        assert!(inherited.unclaimed()[0].to_string().starts_with("listen[1] (UDP 127.0.0.1:"));
        assert_eq!(inherited.datagrams("listen[1]", any([127, 0, 0, 1])).len(), 1);
        assert_eq!(inherited.unclaimed(), []);
    }

    #[test]
    fn what_does_not_listen_is_refused() {
        let (listener, at) = listener();
        let stream = std::net::TcpStream::connect(at).expect("a connection");
        let (unix, _other) = UnixStream::pair().expect("a pair");
        let unbound = Socket::new(socket2::Domain::IPV4, Type::DGRAM, None).expect("a socket");
        let mut inherited = Inherited::default();
        for (name, socket) in [("tcp", stream.into()), ("unix", unix.into()), ("udp", unbound.into())] {
            let refused = inherited.add((name.to_owned(), socket));
            assert!(matches!(refused, Err(InheritError::Kind { name: n }) if n == name), "{name}");
        }
        drop(listener);
    }
}
