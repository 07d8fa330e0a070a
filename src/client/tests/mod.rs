//! An endpoint against a peer that does exactly what a test says.

mod authentication;
mod connection;
mod receiving;
mod sending;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::msrp::{Decoder, Event as Wire, Flag, Head, Limits, Status};

const PEER: &str = "msrp://peer.invalid:9/peer;tcp";

/// The other end of a connection, by hand.
struct Peer {
    stream: TcpStream,
    decoder: Decoder,
}

/// A frame as the peer has read it.
struct Got {
    head: Head,
    body: Vec<u8>,
    flag: Flag,
}

impl Got {
    fn header(&self, name: &str) -> String {
        String::from_utf8(self.head.header(name).unwrap_or_default().to_vec()).unwrap()
    }

    fn start_line(&self) -> String {
        let line = self.head.bytes().split(|octet| *octet == b'\r').next().unwrap();
        String::from_utf8(line.to_vec()).unwrap()
    }
}

/// An endpoint and the peer it is connected to.
async fn pair(options: EndpointOptions) -> (Endpoint, Peer) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (endpoint, accepted) = tokio::join!(Endpoint::connect_tcp_with(address, options), listener.accept());
    (endpoint.unwrap(), Peer { stream: accepted.unwrap().0, decoder: Decoder::new(Limits::default()) })
}

impl Peer {
    /// The next frame, or `None` at the end of the connection.
    async fn frame(&mut self) -> Option<Got> {
        let (mut head, mut body) = (None, Vec::new());
        loop {
            match self.decoder.next().unwrap() {
                Some(Wire::Head(got)) => head = Some(got),
                Some(Wire::Body(octets)) => body.extend_from_slice(&octets),
                Some(Wire::End(flag)) => return Some(Got { head: head.unwrap(), body, flag }),
                None => {
                    let mut input = BytesMut::with_capacity(65_536);
                    if self.stream.read_buf(&mut input).await.unwrap_or(0) == 0 {
                        return None;
                    }
                    self.decoder.feed(input.freeze());
                }
            }
        }
    }

    async fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Answers `got`, with more header lines if there are some.
    async fn answer(&mut self, got: &Got, status: u16, headers: &str) {
        let (tid, to, from) = (
            String::from_utf8(got.head.transact_id().to_vec()).unwrap(),
            got.header("From-Path"),
            got.header("To-Path"),
        );
        self.write(&format!(
            "MSRP {tid} {status} Whatever\r\nTo-Path: {to}\r\nFrom-Path: {from}\r\n{headers}-------{tid}$\r\n"
        ))
        .await;
    }

    /// Sends a REPORT about `message_id` to `to`.
    async fn report(&mut self, to: &str, message_id: &str, range: &str, status: &str) {
        self.write(&format!(
            "MSRP rep0rt12 REPORT\r\nTo-Path: {to}\r\nFrom-Path: {PEER}\r\nMessage-ID: {message_id}\r\n\
             Byte-Range: {range}\r\nStatus: {status}\r\n-------rep0rt12$\r\n"
        ))
        .await;
    }

    /// Sends a SEND to `to`; `headers` are whole lines.
    async fn send(&mut self, to: &str, headers: &str, body: &str, flag: char) {
        self.write(&format!(
            "MSRP s3nd1234 SEND\r\nTo-Path: {to}\r\nFrom-Path: msrp://relay.invalid:1/r;tcp {PEER}\r\n\
             {headers}Content-Type: text/plain\r\n\r\n{body}\r\n-------s3nd1234{flag}\r\n"
        ))
        .await;
    }
}
