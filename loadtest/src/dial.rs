//! Connections out of several source addresses, each with a range of ports of its own.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpStream},
    ops::RangeInclusive,
    str::FromStr,
};

use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use socket2::{Domain, Protocol, Socket, Type};

/// A source address, as `--source` gives it: `127.0.0.2` or `127.0.0.2:20000-29999`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    address: IpAddr,
    ports: Option<RangeInclusive<u16>>,
}

/// A `--source` that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write ADDRESS or ADDRESS:FIRST-LAST, as in 127.0.0.2:20000-29999 or [::1]:20000-29999")]
pub struct SourceError;

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Source { address, ports: None });
        }
        let (address, ports) = text.rsplit_once(':').ok_or(SourceError)?;
        let address = address.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| SourceError)?;
        let (first, last) = ports.split_once('-').ok_or(SourceError)?;
        let port = |text: &str| text.parse::<u16>().ok().filter(|&port| port > 0).ok_or(SourceError);
        let ports = port(first)?..=port(last)?;
        if ports.is_empty() { Err(SourceError) } else { Ok(Source { address, ports: Some(ports) }) }
    }
}

/// Takes source addresses in turn.
#[derive(Debug, Default)]
pub struct Dialler {
    sources: Vec<(Source, u16)>,
    turn: usize,
}

impl Dialler {
    /// From these addresses, or from wherever the system likes if there are none.
    pub fn new(sources: &[Source]) -> Dialler {
        let first = |source: &Source| source.ports.as_ref().map_or(0, |ports| *ports.start());
        Dialler { sources: sources.iter().map(|source| (source.clone(), first(source))).collect(), turn: 0 }
    }

    /// Begins to connect; the socket becomes writable when that has ended.
    pub fn connect(&mut self, to: SocketAddr) -> io::Result<TcpStream> {
        if self.sources.is_empty() {
            return begin(to, None);
        }
        self.turn = (self.turn + 1) % self.sources.len();
        let (source, next) = &mut self.sources[self.turn];
        let Some(ports) = source.ports.clone() else { return begin(to, Some((source.address, 0))) };
        for _ in ports.clone() {
            let port = *next;
            *next = if port == *ports.end() { *ports.start() } else { port + 1 };
            match begin(to, Some((source.address, port))) {
                Err(error) if is_taken(&error) => {}
                other => return other,
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "every port of this source is in use; give more with --source"))
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::AddrNotAvailable)
}

fn begin(to: SocketAddr, from: Option<(IpAddr, u16)>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    if let Some((address, port)) = from {
        if port == 0 {
            // The system then chooses the port by the whole four-tuple, when it connects.
            setsockopt(&socket, IpBindAddressNoPort, &true)?;
        } else {
            socket.set_reuse_address(true)?;
        }
        socket.bind(&SocketAddr::new(address, port).into())?;
    }
    match socket.connect(&to.into()) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        other => other?,
    }
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn sources_are_read() {
        let plain: Source = "127.0.0.2".parse().unwrap();
        assert_eq!(plain.ports, None);
        let range: Source = "127.0.0.2:20000-20009".parse().unwrap();
        assert_eq!(range.ports, Some(20000..=20009));
        assert_eq!("[::1]:5-6".parse::<Source>().unwrap().address, "::1".parse::<IpAddr>().unwrap());
        for wrong in ["127.0.0.2:5", "127.0.0.2:9-5", "127.0.0.2:0-5", "here", ""] {
            assert_eq!(wrong.parse::<Source>(), Err(SourceError), "{wrong}");
        }
    }

    #[test]
    fn connections_come_from_their_sources_and_ports_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let free = || TcpListener::bind("127.0.0.3:0").unwrap().local_addr().unwrap().port();
        let first = (0..100)
            .map(|_| free())
            .find(|&port| port < u16::MAX && TcpListener::bind(("127.0.0.3", port + 1)).is_ok());
        let first = first.expect("two free ports side by side");
        let sources = ["127.0.0.2".parse().unwrap(), format!("127.0.0.3:{first}-{}", first + 1).parse().unwrap()];
        let mut dialler = Dialler::new(&sources);
        let streams: Vec<TcpStream> =
            (0..4).map(|_| dialler.connect(listener.local_addr().unwrap()).unwrap()).collect();
        let from: Vec<SocketAddr> = streams.iter().map(|_| listener.accept().unwrap().1).collect();
        let expected: [IpAddr; 4] = ["127.0.0.3", "127.0.0.2", "127.0.0.3", "127.0.0.2"].map(|ip| ip.parse().unwrap());
        assert_eq!(from.iter().map(SocketAddr::ip).collect::<Vec<_>>(), expected);
        assert_eq!((from[0].port(), from[2].port()), (first, first + 1));
        assert_eq!(dialler.connect(listener.local_addr().unwrap()).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
