//! Opening a connection to a host that resolved to several addresses.

#![expect(
    clippy::disallowed_methods,
    reason = "a deadline for all addresses together; nothing of the core depends on it"
)]

use super::socket::{is_own_address, tune};
use super::tls::TlsError;
use crate::relay::policy::{EgressPolicy, Refused};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DialError {
    /// The name has no address, or its service says that it is not to be had (RFC 2782: target `.`).
    #[error("name does not resolve")]
    Unresolvable,
    /// Every address is one that we must not connect to.
    #[error("refused by policy: {0}")]
    Policy(#[from] Refused),
    /// The name servers could not say whether the name has addresses.
    #[error("the name servers failed")]
    NameServers,
    /// The name servers said nothing in time.
    #[error("the name servers did not answer in time")]
    NameServersSilent,
    /// No address took the connection; this is what the last one said.
    #[error("cannot connect: {0}")]
    Connect(io::ErrorKind),
    /// The last address did not answer in time.
    #[error("timed out")]
    Timeout,
    /// The handshake failed.
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    /// Who asked has too many connections being opened.
    #[error("too many dials")]
    Quota,
}

/// Connects to the first of `addrs` that takes it, in at most `limit`, and tunes the socket. `permits` is
/// asked about each address just before it is used, whatever was decided about the name (ADV-R27).
pub async fn connect(
    addrs: &[SocketAddr],
    limit: Duration,
    permits: impl Fn(SocketAddr) -> Result<(), Refused>,
) -> Result<TcpStream, DialError> {
    let deadline = Instant::now() + limit;
    let (mut refused, mut failed) = (None, None);
    for (place, addr) in addrs.iter().enumerate() {
        if let Err(why) = permits(*addr) {
            refused.get_or_insert(DialError::Policy(why));
            continue;
        }
        // A silent address may not use up the time of those behind it.
        let left = u32::try_from(addrs.len() - place).unwrap_or(u32::MAX);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        match timeout(share, attempt(*addr)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = Some(DialError::Connect(error.kind())),
            Err(_) => failed = Some(DialError::Timeout),
        }
    }
    Err(failed.or(refused).unwrap_or(DialError::Unresolvable))
}

async fn attempt(addr: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(addr).await?;
    // TCP lets a socket connect to itself when it dials the ephemeral port that it was given.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    tune(&stream)?;
    Ok(stream)
}

/// What `policy` says about `addr`, and also whether it is a listener of ours on an address that only this host knows of.
pub fn permitted(policy: &EgressPolicy, host_name: Option<&str>, addr: SocketAddr) -> Result<(), Refused> {
    policy.permits(host_name, addr)?;
    if policy.listens_everywhere_on(addr.port()) && is_own_address(addr.ip().to_canonical()) {
        return Err(Refused::OwnListener);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    const LIMIT: Duration = Duration::from_secs(10);

    fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        (listener, addr)
    }

    /// An address of loopback where nobody listens: bound, so nobody else takes it, but no listener.
    fn closed() -> (socket2::Socket, SocketAddr) {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        let addr = socket.local_addr().unwrap().as_socket().unwrap();
        (socket, addr)
    }

    /// CORE-92
    #[tokio::test]
    async fn next_address_is_used_when_one_refuses() {
        let ((_closed, closed), (_open, open)) = (closed(), listener());
        let stream = connect(&[closed, open], LIMIT, |_| Ok(())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open);
        assert!(stream.nodelay().unwrap());
        let refused = DialError::Connect(io::ErrorKind::ConnectionRefused);
        assert_eq!(connect(&[closed], LIMIT, |_| Ok(())).await.unwrap_err(), refused);
        assert_eq!(connect(&[], LIMIT, |_| Ok(())).await.unwrap_err(), DialError::Unresolvable);
    }

    /// ADV-S04, RLY-91, ADV-R27
    #[tokio::test]
    async fn adv_r27_policy_is_asked_about_every_address() {
        let ((_first, first), (_second, second)) = (listener(), listener());
        let only_second = |addr| if addr == second { Ok(()) } else { Err(Refused::Loopback) };
        let stream = connect(&[first, second], LIMIT, only_second).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), second);
        let policy = EgressPolicy::default();
        let verdict = connect(&[first, second], LIMIT, |addr| permitted(&policy, None, addr)).await;
        assert_eq!(verdict.unwrap_err(), DialError::Policy(Refused::Loopback));
    }

    /// ADV-R02
    #[test]
    fn own_listener_is_known_on_every_address_of_this_host() {
        let allow = vec!["127.0.0.0/8".parse().unwrap()];
        let own = vec![SocketAddr::from(([0, 0, 0, 0], 2855))];
        let policy = EgressPolicy { allow, own, ..EgressPolicy::default() };
        let verdict = |addr: &str| permitted(&policy, Some("other.example"), addr.parse().unwrap());
        assert_eq!(verdict("127.0.0.1:2855"), Err(Refused::OwnListener));
        assert_eq!(verdict("127.0.0.1:2856"), Ok(()));
        assert_eq!(verdict("9.9.9.9:2855"), Ok(()));
    }
}
