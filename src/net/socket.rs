//! Listeners and the options of sockets.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

/// Connections that wait to be accepted, each shard counting its own.
const BACKLOG: i32 = 4096;

/// Unsent octets that the kernel takes before it calls a socket full: enough to keep a path busy between two wake-ups,
/// little enough that a response need not queue behind megabytes of somebody's file.
const NOT_SENT_LOW_WATER: u32 = 16 * 1024;

/// A silent connection is probed after this, then at each interval, this many times.
const KEEPALIVE_TIME: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
const KEEPALIVE_PROBES: u32 = 4;

/// Octets that nobody acknowledges for this long end the connection.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// A listening socket that does not block. With `reuse_port` every shard makes its own for the same address, and the
/// kernel spreads connections over them: where the port is 0, the first shard's listener tells the others their port.
pub fn listen(addr: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = bind(addr, reuse_port)?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Another socket for an address where these listen already: one that is bound and listens as soon as [`open`] is called, for
/// what waits in a socket that is closed again is lost. Where the system makes none (these are somebody else's) it is a twin of one of these:
/// both take connections out of one queue.
pub fn join(these: &[TcpListener], which: usize, addr: SocketAddr) -> io::Result<TcpListener> {
    let shared = these.iter().all(|socket| SockRef::from(socket).set_reuse_port(true).is_ok());
    match (bind(addr, true), these.get(which % these.len().max(1))) {
        (Ok(socket), _) if shared => Ok(socket.into()),
        (_, Some(twin)) => twin.try_clone(),
        (Ok(_), None) => Err(io::ErrorKind::NotFound.into()),
        (Err(error), None) => Err(error),
    }
}

/// Lets a bound socket listen; one that does already only learns how many may wait.
pub fn open(socket: &TcpListener) -> io::Result<()> {
    SockRef::from(socket).listen(BACKLOG)
}

fn bind(addr: SocketAddr, reuse_port: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(reuse_port)?;
    if addr.is_ipv6() {
        // `[::]` takes IPv4 too, wherever the system's default is different.
        socket.set_only_v6(false)?;
    }
    socket.bind(&addr.into())?;
    Ok(socket)
}

/// Registers a socket with this thread's runtime.
#[expect(
    deprecated,
    reason = "the replacement is unsafe for descriptors that lie about themselves; std's sockets do not"
)]
pub(super) fn register<S: std::os::fd::AsRawFd + AsFd>(socket: S) -> io::Result<tokio::io::unix::AsyncFd<S>> {
    tokio::io::unix::AsyncFd::new(socket)
}

/// Sets what every MSRP connection needs, accepted or dialled: no delay, little unsent data in the kernel, and an end to
/// peers that have vanished.
pub fn tune(stream: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_notsent_lowat(NOT_SENT_LOW_WATER)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_TIME).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Raises this process's limit of open descriptors as far as it may go, and tells the limit in force.
pub fn raise_descriptor_limit() -> io::Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    // None is "no limit".
    Ok(limit.maximum.unwrap_or(u64::MAX))
}

/// Whether `host` is an address of this machine. Asks the routing table and sends nothing: the way to an own address
/// begins at that address.
pub fn is_own_address(host: IpAddr) -> bool {
    let any: IpAddr = if host.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
    let source = || {
        let probe = UdpSocket::bind((any, 0))?;
        probe.connect((host, 9))?;
        probe.local_addr()
    };
    host.is_loopback() || host.is_unspecified() || source().is_ok_and(|source| source.ip() == host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    const LOOPBACK: [SocketAddr; 2] = [
        SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0),
        SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 0),
    ];

    #[test]
    fn shards_listen_on_one_port() {
        let first = listen(LOOPBACK[0], true).unwrap();
        let addr = first.local_addr().unwrap();
        let second = listen(addr, true).unwrap();
        assert_eq!(second.local_addr().unwrap(), addr);
        assert_eq!(first.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(SockRef::from(&second).reuse_port().unwrap());
    }

    /// Whichever of them is asked, one of them has the connection.
    fn accept_any(sockets: &[&TcpListener], deadline: std::time::Duration) -> usize {
        let mut polled: Vec<_> =
            sockets.iter().map(|s| rustix::event::PollFd::new(s, rustix::event::PollFlags::IN)).collect();
        let timeout = rustix::event::Timespec::try_from(deadline).unwrap();
        assert!(rustix::event::poll(&mut polled, Some(&timeout)).unwrap() > 0, "nobody has it");
        let mut taken = sockets.iter().map(|s| s.accept().is_ok());
        taken.position(|taken| taken).expect("a connection")
    }

    #[test]
    fn a_socket_that_joins_takes_part_when_it_is_opened() {
        for shared in [false, true] {
            let these = [listen(LOOPBACK[0], shared).unwrap()];
            let addr = these[0].local_addr().unwrap();
            let joined = join(&these, 0, addr).unwrap();
            assert_eq!(joined.local_addr().unwrap(), addr);
            let all = [&these[0], &joined];
            for _ in 0..20 {
                let _client = TcpStream::connect(addr).unwrap();
                assert_eq!(accept_any(&all, Duration::from_secs(5)), 0, "the other one does not listen yet");
            }
            open(&joined).unwrap();
            let mut counts = [0; 2];
            for _ in 0..200 {
                let _client = TcpStream::connect(addr).unwrap();
                counts[accept_any(&all, Duration::from_secs(5))] += 1;
            }
            assert!(counts[0] > 20 && counts[1] > 20, "{counts:?}, shared: {shared}");
        }
    }

    #[test]
    fn where_no_socket_can_join_there_is_a_twin() {
        let these = [listen(LOOPBACK[0], false).unwrap()];
        let addr = these[0].local_addr().unwrap();
        // Nothing can be bound to an address that is not ours.
        let foreign = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)), addr.port());
        let twin = join(&these, 0, foreign).unwrap();
        let _client = TcpStream::connect(addr).unwrap();
        accept_any(&[&twin], Duration::from_secs(5));
    }

    #[test]
    fn a_port_that_is_not_shared_is_taken() {
        let first = listen(LOOPBACK[0], false).unwrap();
        let error = listen(first.local_addr().unwrap(), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn options_are_in_force() {
        let listener = listen(LOOPBACK[0], false).unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tune(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_notsent_lowat().unwrap(), 16 * 1024);
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(15));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_secs(30)));
    }

    #[test]
    fn descriptor_limit_is_the_hard_limit() {
        let limit = raise_descriptor_limit().unwrap();
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), limit);
    }

    #[test]
    fn own_addresses_are_known() {
        for own in ["127.0.0.1", "127.0.0.2", "::1", "0.0.0.0"] {
            assert!(is_own_address(own.parse().unwrap()), "{own}");
        }
        assert!(!is_own_address("192.0.2.1".parse().unwrap()));
    }
}
