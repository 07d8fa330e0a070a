//! What two processes say to each other, each piece with its length before it.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::sip::way::{Protocol, Trust};

/// Octets of the longest frame: more than any message has.
const LONGEST: usize = 256 << 10;

/// One piece. Connections have the numbers that the old process gave them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Frame {
    /// A message that came in a datagram.
    Datagram { local: SocketAddr, source: SocketAddr, octets: Bytes },
    /// A connection on which something follows.
    Opened { number: u64, protocol: Protocol, local: SocketAddr, remote: SocketAddr, trust: Option<Trust> },
    /// Octets of a connection.
    Octets { number: u64, octets: Bytes },
    /// It is closed, or is to be.
    Closed { number: u64 },
}

impl Frame {
    /// With its length.
    pub(super) fn write(&self) -> Bytes {
        let (kind, number, line, octets) = match self {
            Frame::Datagram { local, source, octets } => (b'D', 0, format!("{local} {source}\n"), &**octets),
            Frame::Opened { number, protocol, local, remote, trust } => {
                let trust = match trust {
                    None => String::new(),
                    Some(Trust::Address) => "address".to_owned(),
                    Some(Trust::Certificate(name)) => format!("={name}"),
                };
                (b'O', *number, format!("{protocol} {local} {remote} {trust}\n"), &[][..])
            }
            Frame::Octets { number, octets } => (b'S', *number, String::new(), &**octets),
            Frame::Closed { number } => (b'C', *number, String::new(), &[][..]),
        };
        let length = 1 + 8 + line.len() + octets.len();
        let mut out = Vec::with_capacity(4 + length);
        // What is longer is not read on the other side, where it ends the stream.
        out.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        out.push(kind);
        out.extend_from_slice(&number.to_be_bytes());
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(octets);
        out.into()
    }

    /// The next one; none when the stream has ended, or is none of ours.
    pub(super) async fn next(stream: &mut (impl AsyncRead + Unpin)) -> Option<Frame> {
        let length = usize::try_from(stream.read_u32().await.ok()?).ok().filter(|length| *length <= LONGEST)?;
        let mut octets = vec![0; length];
        stream.read_exact(&mut octets).await.ok()?;
        Frame::read(octets.into())
    }

    fn read(octets: Bytes) -> Option<Frame> {
        let (head, _) = octets.split_first_chunk::<9>()?;
        let [kind, number @ ..] = *head;
        let (number, rest) = (u64::from_be_bytes(number), octets.slice(9..));
        Some(match kind {
            b'S' => Frame::Octets { number, octets: rest },
            b'C' => Frame::Closed { number },
            b'D' | b'O' => {
                let end = memchr::memchr(b'\n', &rest)?;
                let line = std::str::from_utf8(&rest[..end]).ok()?;
                let mut words = line.split(' ');
                if kind == b'D' {
                    let (local, source) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                    return Some(Frame::Datagram { local, source, octets: rest.slice(end + 1..) });
                }
                let protocol = match words.next()? {
                    "TCP" => Protocol::Tcp,
                    "TLS" => Protocol::Tls,
                    _ => return None,
                };
                let (local, remote) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                let trust = match words.next()? {
                    "" => None,
                    "address" => Some(Trust::Address),
                    name => Some(Trust::Certificate(name.strip_prefix('=')?.into())),
                };
                Frame::Opened { number, protocol, local, remote, trust }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frames() -> Vec<Frame> {
        let (local, remote): (SocketAddr, SocketAddr) =
            ("192.0.2.1:5060".parse().unwrap(), "[2001:db8::1]:5061".parse().unwrap());
        let octets = Bytes::from_static(b"OPTIONS sip:a SIP/2.0\r\n\r\n\0\n");
        let opened = |protocol, trust| Frame::Opened { number: 7, protocol, local, remote, trust };
        vec![
            Frame::Datagram { local, source: remote, octets: octets.clone() },
            opened(Protocol::Tcp, None),
            opened(Protocol::Tcp, Some(Trust::Address)),
            opened(Protocol::Tls, Some(Trust::Certificate("proxy.example".into()))),
            Frame::Octets { number: u64::MAX, octets },
            Frame::Closed { number: 1 },
        ]
    }

    #[tokio::test]
    async fn frames_are_read_as_they_were_written() {
        let stream: Vec<u8> = frames().iter().flat_map(|frame| frame.write().to_vec()).collect();
        let mut stream = &stream[..];
        for frame in frames() {
            assert_eq!(Frame::next(&mut stream).await, Some(frame));
        }
        assert_eq!(Frame::next(&mut stream).await, None);
        let mut long = &[0xff; 64][..];
        assert_eq!(Frame::next(&mut long).await, None);
    }

    proptest! {
        #[test]
        fn nothing_panics(octets in proptest::collection::vec(any::<u8>(), 0..200), kind in "[DOSC]") {
            let _ = Frame::read(octets.clone().into());
            let _ = Frame::read([kind.as_bytes(), &octets].concat().into());
        }
    }
}
