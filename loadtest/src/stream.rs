//! A TCP connection, with or without TLS, as plaintext in and out.

use std::{
    io::{self, BufRead, Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::{AsFd, BorrowedFd},
};

use rustls::Connection;

use crate::{result::Tls, wire::Malformed};

/// Why a link cannot be used on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The system says so.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS says so.
    #[error("{0}")]
    Tls(#[from] rustls::Error),
    /// What came is not MSRP.
    #[error("{0}")]
    Malformed(#[from] Malformed),
}

/// A connection.
pub struct Stream {
    socket: TcpStream,
    tls: Option<Box<Connection>>,
}

/// What a read has shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// This many octets from the network.
    Octets(usize),
    /// The other side has closed.
    End,
}

/// Plaintext is sealed in steps of this size, so that little of it waits twice.
const STEP: usize = 64 * 1024;

impl Stream {
    /// A connection that is made or being made.
    pub fn new(socket: TcpStream, tls: Option<Connection>) -> Stream {
        let tls = tls.map(|mut tls| {
            tls.set_buffer_limit(None);
            Box::new(tls)
        });
        Stream { socket, tls }
    }

    /// The error that connecting has ended with, if any.
    pub fn connect_error(&self) -> Option<io::Error> {
        match self.socket.take_error() {
            Ok(error) => error,
            Err(error) => Some(error),
        }
    }

    /// Our own address.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Whether TLS has been agreed on, if there is to be any.
    pub fn is_open(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.is_handshaking())
    }

    /// What TLS was agreed on.
    pub fn agreed(&self) -> Option<Tls> {
        let tls = self.tls.as_ref()?;
        Some(Tls {
            version: format!("{:?}", tls.protocol_version()?),
            cipher: format!("{:?}", tls.negotiated_cipher_suite()?.suite()),
            key_exchange: format!("{:?}", tls.negotiated_key_exchange_group()?.name()),
        })
    }

    /// Reads once, as much as `room` holds, and gives the plaintext in it to `each`.
    pub fn receive(
        &mut self,
        room: &mut [u8],
        mut each: impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<Received, StreamError> {
        let length = match self.socket.read(room) {
            Ok(0) => return Ok(Received::End),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Received::Octets(0)),
            Err(error) => return Err(error.into()),
        };
        let mut rest = &room[..length];
        let Some(tls) = &mut self.tls else {
            each(rest)?;
            return Ok(Received::Octets(length));
        };
        while !rest.is_empty() {
            tls.read_tls(&mut rest)?;
            let state = match tls.process_new_packets() {
                Ok(state) => state,
                Err(error) => {
                    // The alert tells the other side why.
                    let _ = tls.write_tls(&mut self.socket);
                    return Err(error.into());
                }
            };
            let mut plain = state.plaintext_bytes_to_read();
            while plain > 0 {
                let mut reader = tls.reader();
                let octets = reader.fill_buf()?;
                each(octets)?;
                let used = octets.len();
                reader.consume(used);
                plain -= used;
            }
            if state.peer_has_closed() {
                return Ok(Received::End);
            }
        }
        Ok(Received::Octets(length))
    }

    /// Writes what it can of `out` from `*at` on, and says whether nothing is left to write. `out` is empty then.
    pub fn send(&mut self, out: &mut Vec<u8>, at: &mut usize) -> Result<bool, StreamError> {
        loop {
            let done = match &mut self.tls {
                None if *at == out.len() => true,
                None => match self.socket.write(&out[*at..]) {
                    Ok(length) => {
                        *at += length;
                        continue;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error.into()),
                },
                Some(tls) if tls.wants_write() => match tls.write_tls(&mut Sealed(&self.socket)) {
                    Ok(_) => continue,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                    Err(error) => return Err(error.into()),
                },
                // What is written before the handshake's end waits here, not in there.
                Some(tls) if *at < out.len() && !tls.is_handshaking() => {
                    *at += tls.writer().write(&out[*at..out.len().min(*at + STEP)])?;
                    continue;
                }
                Some(_) => true,
            };
            if *at == out.len() {
                out.clear();
                *at = 0;
                if out.capacity() > 4 * STEP {
                    *out = Vec::new();
                }
            }
            return Ok(done);
        }
    }

    /// Says goodbye, as far as the socket takes it at once.
    pub fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            let _ = tls.write_tls(&mut self.socket);
        }
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}

/// Where sealed records go. Mostly there is one of them, and for one `send` is cheaper than `writev`.
struct Sealed<'a>(&'a TcpStream);

impl Write for Sealed<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [one] => self.0.write(one),
            several => self.0.write_vectored(several),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
