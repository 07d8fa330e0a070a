//! The octets between the two processes, each message with its one length.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;

use super::HandoverError;
use crate::net::inherited::Named;

/// Of what follows the greeting.
pub(super) const VERSION: u8 = 1;
/// The same from either side.
const GREETING: [u8; 8] = [b'C', b'H', b'A', b'P', b'P', b'E', b'>', VERSION];
/// Octets of a name; zeros behind it.
const NAME: usize = 32;

/// From the new process: it could serve.
pub(super) const READY: u8 = b'R';
/// From the running one: it shall.
pub(super) const GO: u8 = b'G';

/// Both ends belong to the same user, or this is an error.
pub(super) fn check_user(stream: &UnixStream) -> Result<(), HandoverError> {
    let theirs = stream.peer_cred().map_err(HandoverError::Gone)?.uid();
    let ours = rustix::process::geteuid().as_raw();
    if theirs == ours { Ok(()) } else { Err(HandoverError::User { theirs, ours }) }
}

pub(super) async fn greet(stream: &mut UnixStream) -> Result<(), HandoverError> {
    stream.write_all(&GREETING).await.map_err(HandoverError::Gone)
}

pub(super) async fn be_greeted(stream: &mut UnixStream) -> Result<(), HandoverError> {
    let mut greeting = [0; GREETING.len()];
    stream.read_exact(&mut greeting).await.map_err(HandoverError::Gone)?;
    if greeting == GREETING { Ok(()) } else { Err(HandoverError::Version) }
}

pub(super) async fn send_word(stream: &mut UnixStream, word: u8) -> Result<(), HandoverError> {
    stream.write_all(&[word]).await.map_err(HandoverError::Gone)
}

pub(super) async fn expect_word(stream: &mut UnixStream, word: u8) -> Result<(), HandoverError> {
    let mut octet = [0];
    stream.read_exact(&mut octet).await.map_err(HandoverError::Gone)?;
    if octet[0] == word { Ok(()) } else { Err(HandoverError::Version) }
}

pub(super) async fn send_sockets(stream: &mut UnixStream, sockets: &[Named]) -> Result<(), HandoverError> {
    let number = u16::try_from(sockets.len()).map_err(|_| HandoverError::TooMany(sockets.len()))?;
    stream.write_all(&number.to_be_bytes()).await.map_err(HandoverError::Gone)?;
    for (name, socket) in sockets {
        let mut octets = [0; NAME];
        let length = name.len().min(NAME);
        octets[..length].copy_from_slice(&name.as_bytes()[..length]);
        let sent = stream.async_io(Interest::WRITABLE, || send_one(&*stream, &octets, socket)).await;
        if sent.map_err(HandoverError::Gone)? != NAME {
            return Err(HandoverError::Gone(io::ErrorKind::WriteZero.into()));
        }
    }
    Ok(())
}

pub(super) async fn receive_sockets(stream: &mut UnixStream) -> Result<Vec<Named>, HandoverError> {
    let mut number = [0; 2];
    stream.read_exact(&mut number).await.map_err(HandoverError::Gone)?;
    let mut sockets = Vec::new();
    for _ in 0..u16::from_be_bytes(number) {
        let mut octets = [0; NAME];
        let received = stream.async_io(Interest::READABLE, || receive_one(&*stream, &mut octets)).await;
        let (length, socket) = received.map_err(HandoverError::Gone)?;
        if length == 0 {
            return Err(HandoverError::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        // A message with a descriptor is never read together with another.
        let name = octets.split(|octet| *octet == 0).next().and_then(|name| std::str::from_utf8(name).ok());
        let name = name.filter(|_| length == NAME).ok_or(HandoverError::Version)?;
        sockets.push((name.to_owned(), socket.ok_or(HandoverError::NoSocket)?));
    }
    Ok(sockets)
}

fn send_one(stream: impl AsFd, octets: &[u8; NAME], socket: &OwnedFd) -> io::Result<usize> {
    let sockets = [socket.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(stream, &[IoSlice::new(octets)], &mut beside, SendFlags::NOSIGNAL)?)
}

fn receive_one(stream: impl AsFd, octets: &mut [u8; NAME]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(stream, &mut [IoSliceMut::new(octets)], &mut beside, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = beside.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
        _ => None,
    });
    Ok((received.bytes, sockets.next()))
}
