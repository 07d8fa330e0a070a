//! The sockets of a user agent.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::super::Transport;
use super::message::{Message, Read};

/// Messages that have arrived and are not yet asked for.
const QUEUE: usize = 4096;

/// What arrives: a message, or what is wrong with it.
pub type Arrived = Result<Message, String>;

type Links = Arc<Mutex<HashMap<SocketAddr, OwnedWriteHalf>>>;

/// A socket for datagrams, or for connections in both directions.
#[derive(Debug)]
pub struct Wire {
    local: SocketAddr,
    socket: Socket,
    arrived: mpsc::Receiver<Arrived>,
    // Ended with the agent.
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
enum Socket {
    Udp(Arc<UdpSocket>),
    Tcp(Links, mpsc::Sender<Arrived>),
}

impl Wire {
    /// Opens a socket at this address.
    pub async fn open(transport: Transport, here: SocketAddr) -> Wire {
        let (send, arrived) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        match transport {
            Transport::Udp => {
                let socket = Arc::new(UdpSocket::bind(here).await.expect("a socket"));
                let local = socket.local_addr().expect("address");
                tasks.spawn(datagrams(socket.clone(), send));
                Wire { local, socket: Socket::Udp(socket), arrived, _tasks: tasks }
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(here).await.expect("a listener");
                let local = listener.local_addr().expect("address");
                let links = Links::default();
                tasks.spawn(accept(listener, links.clone(), send.clone()));
                Wire { local, socket: Socket::Tcp(links, send), arrived, _tasks: tasks }
            }
        }
    }

    /// Where it listens.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Sends octets; over a connection that is there, or a new one.
    pub async fn send(&self, octets: &[u8], to: SocketAddr) {
        match &self.socket {
            Socket::Udp(socket) => {
                socket.send_to(octets, to).await.unwrap_or_else(|error| panic!("a datagram to {to}: {error}"));
            }
            Socket::Tcp(links, arrived) => {
                let mut open = links.lock().await;
                let link = match open.entry(to) {
                    Entry::Occupied(there) => there.into_mut(),
                    Entry::Vacant(place) => {
                        let stream = TcpStream::connect(to).await;
                        let stream = stream.unwrap_or_else(|error| panic!("a connection to {to}: {error}"));
                        let (read, write) = stream.into_split();
                        tokio::spawn(connection(read, to, links.clone(), arrived.clone()));
                        place.insert(write)
                    }
                };
                link.write_all(octets).await.unwrap_or_else(|error| panic!("octets to {to}: {error}"));
            }
        }
    }

    /// Closes our direction of all connections.
    pub async fn cut(&self) {
        if let Socket::Tcp(links, _) = &self.socket {
            links.lock().await.clear();
        }
    }

    /// What arrives next.
    pub async fn next(&mut self) -> Arrived {
        self.arrived.recv().await.expect("the socket is open")
    }

    /// What has already arrived.
    pub fn waiting(&mut self) -> Option<Arrived> {
        self.arrived.try_recv().ok()
    }
}

async fn datagrams(socket: Arc<UdpSocket>, arrived: mpsc::Sender<Arrived>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An error is the report that an earlier datagram was not taken, which is no concern of this side.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(message) = Message::datagram(&buffer[..length], peer).transpose()
            && arrived.send(message).await.is_err()
        {
            return;
        }
    }
}

async fn accept(listener: TcpListener, links: Links, arrived: mpsc::Sender<Arrived>) {
    let mut readers = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        let (read, write) = stream.into_split();
        links.lock().await.insert(peer, write);
        readers.spawn(connection(read, peer, links.clone(), arrived.clone()));
    }
}

async fn connection(mut stream: OwnedReadHalf, peer: SocketAddr, links: Links, arrived: mpsc::Sender<Arrived>) {
    let mut octets = Vec::new();
    loop {
        match Message::read(&octets, peer) {
            Ok(Read::Whole(message, length)) => {
                octets.drain(..length);
                if arrived.send(Ok(*message)).await.is_err() {
                    return;
                }
            }
            Ok(Read::Blank(length)) => drop(octets.drain(..length)),
            Ok(Read::Part) => {
                let read = tokio::select! {
                    read = stream.read_buf(&mut octets) => read,
                    // The agent is gone: what it has dialled ends with it.
                    () = arrived.closed() => return,
                };
                if !matches!(read, Ok(1..)) {
                    links.lock().await.remove(&peer);
                    return;
                }
            }
            Err(fault) => {
                let _ = arrived.send(Err(fault)).await;
                return;
            }
        }
    }
}
