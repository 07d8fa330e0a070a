//! The sockets of the listeners: inherited, or bound here.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use super::{Listen, Protocol, StartError};
use crate::net::inherited::{Inherited, Named};
use crate::net::socket;

/// Octets of datagrams that may wait in the system while this thread does something else.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A listener that is bound.
#[derive(Debug)]
pub struct Bound {
    /// Its protocol.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// At least one socket.
    pub sockets: Sockets,
}

/// Sockets of a listener.
#[derive(Debug)]
pub enum Sockets {
    /// Of UDP.
    Datagrams(Vec<UdpSocket>),
    /// Of TCP and TLS.
    Streams(Vec<TcpListener>),
}

/// Binds those listeners, in the order of the file, that are not inherited.
pub fn bind(listen: &[Listen], inherited: &mut Inherited) -> Result<Vec<Bound>, StartError> {
    let one = |(number, &Listen { protocol, address }): (usize, &Listen)| {
        one(&name(number), protocol, address, inherited)
            .map(|(address, sockets)| Bound { protocol, address, sockets })
            .map_err(|error| StartError::Bind { number, protocol, address, error })
    };
    listen.iter().enumerate().map(one).collect()
}

/// Twins of all sockets by the keys of their listeners, for the process that takes over.
pub fn twins(bound: &[Bound]) -> io::Result<Vec<Named>> {
    let mut twins = Vec::new();
    for (number, bound) in bound.iter().enumerate() {
        let sockets: Vec<io::Result<OwnedFd>> = match &bound.sockets {
            Sockets::Datagrams(sockets) => sockets.iter().map(|s| s.try_clone().map(OwnedFd::from)).collect(),
            Sockets::Streams(listeners) => listeners.iter().map(|l| l.try_clone().map(OwnedFd::from)).collect(),
        };
        for socket in sockets {
            twins.push((name(number), socket?));
        }
    }
    Ok(twins)
}

/// A listener's key.
fn name(number: usize) -> String {
    format!("sip.listen[{number}]")
}

fn one(
    name: &str,
    protocol: Protocol,
    address: SocketAddr,
    inherited: &mut Inherited,
) -> io::Result<(SocketAddr, Sockets)> {
    if protocol == Protocol::Udp {
        let mut sockets = inherited.datagrams(name, address);
        if sockets.is_empty() {
            let socket = UdpSocket::bind(address)?;
            socket.set_nonblocking(true)?;
            sockets.push(socket);
        }
        for socket in &sockets {
            // What the system allows of it; the usual buffer holds 30 ms of 500 calls a second.
            socket2::SockRef::from(socket).set_recv_buffer_size(RECEIVE_BUFFER)?;
        }
        let address = sockets.first().map_or(Ok(address), UdpSocket::local_addr)?;
        return Ok((address, Sockets::Datagrams(sockets)));
    }
    let mut listeners = inherited.streams(name, address);
    if listeners.is_empty() {
        listeners.push(socket::listen(address, false)?);
    }
    let address = listeners.first().map_or(Ok(address), TcpListener::local_addr)?;
    Ok((address, Sockets::Streams(listeners)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    #[test]
    fn datagrams_have_all_the_room_that_the_system_gives() {
        let (_, sockets) = one("sip.listen[0]", Protocol::Udp, HERE, &mut Inherited::default()).unwrap();
        let Sockets::Datagrams(sockets) = sockets else { panic!("datagrams") };
        let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
        let most: usize = most.trim().parse().unwrap();
        // Linux doubles what it is asked for.
        assert_eq!(socket2::SockRef::from(&sockets[0]).recv_buffer_size().unwrap(), 2 * RECEIVE_BUFFER.min(most));
    }

    #[test]
    fn what_was_bound_is_inherited_by_its_twins() {
        let listen = [Protocol::Udp, Protocol::Tcp].map(|protocol| Listen { protocol, address: HERE });
        let first = bind(&listen, &mut Inherited::default()).unwrap();
        let mut inherited = Inherited::default();
        for twin in twins(&first).unwrap() {
            inherited.add(twin).unwrap();
        }
        let second = bind(&listen, &mut inherited).unwrap();
        assert_eq!(inherited.unclaimed(), []);
        let places = |bound: &[Bound]| bound.iter().map(|b| (b.protocol, b.address)).collect::<Vec<_>>();
        assert_eq!(places(&first), places(&second));
    }
}
