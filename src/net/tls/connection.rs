//! One side of one connection: its handshake, then its traffic.

use super::handshake::{Agreed, Ended, Handshake};
use super::traffic::Traffic;
use super::{ClientSide, ServerSide, TlsError};
use crate::sdp::Fingerprint;
use bytes::BytesMut;
use rustls_pki_types::{CertificateDer, ServerName};
use std::io::IoSlice;
use std::sync::Arc;

/// TLS of one connection: [`Tls::open`] what was read, [`Tls::seal`] what is to be written.
pub struct Tls {
    stage: Stage,
    /// Sealed octets that the protocol itself wants to send.
    pending: Vec<u8>,
}

enum Stage {
    Handshake(Box<Handshake>),
    Traffic(Box<(Traffic, Agreed)>),
    /// The handshake has failed.
    Failed(Box<TlsError>),
}

/// What came of a call to [`Tls::open`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Opened {
    /// The handshake ended in this call: the peer's certificates and the ALPN name are known now.
    pub handshake_finished: bool,
    /// The peer has sent close_notify: no plaintext will follow.
    pub close_notify: bool,
    /// [`Tls::seal_pending`] has octets to give.
    pub wants_write: bool,
}

impl Tls {
    /// The server side of a connection that was just accepted.
    pub fn accept(side: &ServerSide) -> Self {
        Self { stage: Stage::Handshake(Box::new(Handshake::server(side))), pending: Vec::new() }
    }

    /// The client side of a connection to the host that the URI calls `name` (not the target of an SRV record: AMB-60),
    /// offering these ALPN names. [`Tls::seal_pending`] has the ClientHello.
    pub fn connect(side: &ClientSide, name: ServerName<'static>, alpn: &[&[u8]]) -> Result<Self, TlsError> {
        let mut pending = Vec::new();
        let handshake = Handshake::client(side, name, alpn, &mut pending)?;
        Ok(Self { stage: Stage::Handshake(Box::new(handshake)), pending })
    }

    /// The same, but the server is whoever shows a certificate with one of these fingerprints (RFC 8122 section 6.2).
    pub fn connect_pinned(
        side: &ClientSide,
        name: ServerName<'static>,
        expected: Arc<[Fingerprint]>,
    ) -> Result<Self, TlsError> {
        let mut pending = Vec::new();
        let handshake = Handshake::pinned(side, name, expected, &mut pending)?;
        Ok(Self { stage: Stage::Handshake(Box::new(handshake)), pending })
    }

    /// Takes all of `ciphertext` and appends what it holds to `plain`, at most as many octets. After an error the alert
    /// is in [`Tls::seal_pending`], `plain` has what came before, and the connection is to be closed.
    pub fn open(&mut self, ciphertext: &[u8], plain: &mut BytesMut) -> Result<Opened, TlsError> {
        let mut opened = Opened::default();
        match &mut self.stage {
            Stage::Failed(error) => return Err(TlsError::clone(error)),
            Stage::Traffic(both) => both.0.open(ciphertext, plain, &mut self.pending, &mut opened)?,
            Stage::Handshake(handshake) => {
                let verdict = handshake.open(ciphertext, &mut self.pending);
                let verdict = verdict.and_then(|ended| if ended { self.end(plain, &mut opened) } else { Ok(()) });
                if let Err(error) = verdict {
                    if let Stage::Handshake(_) = self.stage {
                        self.stage = Stage::Failed(Box::new(error.clone()));
                    }
                    return Err(error);
                }
            }
        }
        opened.wants_write = self.wants_write();
        Ok(opened)
    }

    /// The handshake has ended: what came with its last octets is opened already.
    fn end(&mut self, plain: &mut BytesMut, opened: &mut Opened) -> Result<(), TlsError> {
        let failed = Stage::Failed(Box::new(TlsError::Handshaking));
        let Stage::Handshake(handshake) = std::mem::replace(&mut self.stage, failed) else { return Ok(()) };
        let Ended { mut traffic, agreed, rest, verdict } = handshake.end()?;
        // Not an octet of a peer that fails here may be seen.
        let verdict = match verdict {
            Err(error) => {
                traffic.fail(error.clone(), &mut self.pending);
                Err(error)
            }
            Ok(()) => traffic.open(&rest, plain, &mut self.pending, opened),
        };
        opened.handshake_finished = true;
        self.stage = Stage::Traffic(Box::new((traffic, agreed)));
        verdict
    }

    /// Seals `parts` as one group: records of at most 16 KiB in sequence, so a group up to that size is one record.
    /// Appends the sealed octets to `out`, behind anything that was pending. Fails before the handshake has ended.
    pub fn seal(&mut self, parts: &[IoSlice<'_>], out: &mut Vec<u8>) -> Result<(), TlsError> {
        match &mut self.stage {
            Stage::Handshake(_) => Err(TlsError::Handshaking),
            Stage::Failed(_) => Err(TlsError::Closed),
            Stage::Traffic(both) => both.0.seal(parts, &mut self.pending, out),
        }
    }

    /// Appends to `out` what the protocol itself has to say: handshake messages, tickets, alerts.
    pub fn seal_pending(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.pending);
    }

    /// Announces that nothing will follow; [`Tls::seal_pending`] has the octets. A handshake is left without a word.
    pub fn close_notify(&mut self) {
        match &mut self.stage {
            Stage::Traffic(both) => both.0.close_notify(&mut self.pending),
            Stage::Handshake(_) => self.stage = Stage::Failed(Box::new(TlsError::Closed)),
            Stage::Failed(_) => {}
        }
    }

    /// Announces that nothing will follow, since the peer's certificate is not the one that was promised (RFC 8122 section
    /// 6.2); [`Tls::seal_pending`] has the octets.
    pub fn reject_certificate(&mut self) {
        if let Stage::Traffic(both) = &mut self.stage {
            both.0.reject_certificate(&mut self.pending);
        }
    }

    /// Whether the handshake has not ended yet.
    pub fn handshaking(&self) -> bool {
        !matches!(self.stage, Stage::Traffic(_))
    }

    /// Whether the peer has sent close_notify.
    pub fn peer_closed(&self) -> bool {
        matches!(&self.stage, Stage::Traffic(both) if both.0.peer_closed())
    }

    /// Whether [`Tls::seal_pending`] has octets to give.
    pub fn wants_write(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The chain the peer showed, the leaf first, in this handshake or in the one that this session resumes.
    pub fn peer_certificates(&self) -> Option<&[CertificateDer<'static>]> {
        match &self.stage {
            Stage::Handshake(handshake) => handshake.certificates(),
            Stage::Traffic(both) => both.1.certificates.as_deref(),
            Stage::Failed(_) => None,
        }
    }

    /// The ALPN name that both sides agreed on.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.stage {
            Stage::Handshake(handshake) => handshake.alpn(),
            Stage::Traffic(both) => both.1.alpn.as_deref(),
            Stage::Failed(_) => None,
        }
    }

    /// Whether this session resumes an earlier one; none before the handshake has gone that far.
    pub fn resumed(&self) -> Option<bool> {
        match &self.stage {
            Stage::Handshake(handshake) => handshake.resumed(),
            Stage::Traffic(both) => Some(both.1.resumed),
            Stage::Failed(_) => None,
        }
    }

    /// Gives back all that an idle connection does not need. Worth a call when the link rests.
    pub fn idle(&mut self) {
        self.pending.shrink_to_fit();
        if let Stage::Traffic(both) = &mut self.stage {
            both.0.rest();
        }
    }

    /// Octets that a connection at rest holds, but for certificates and what rustls' own state points to.
    #[cfg(test)]
    pub(super) fn resting(&mut self) -> usize {
        let here = size_of::<Self>() + size_of::<(Traffic, Agreed)>() + self.pending.capacity();
        here + self.traffic().held() + self.traffic().kept()
    }

    /// As if the keys could seal only so many records.
    #[cfg(test)]
    pub(in crate::net) fn wear_out_after(&mut self, records: u64) {
        self.traffic().wear_out_after(records);
    }

    /// The record layer of a connection whose handshake has ended.
    #[cfg(test)]
    pub(super) fn traffic(&mut self) -> &mut Traffic {
        match &mut self.stage {
            Stage::Traffic(both) => &mut both.0,
            _ => panic!("still in its handshake"),
        }
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stage = match &self.stage {
            Stage::Handshake(handshake) if handshake.is_client() => "client handshake",
            Stage::Handshake(_) => "server handshake",
            Stage::Traffic(_) => "traffic",
            Stage::Failed(_) => "failed",
        };
        write!(f, "Tls({stage})")
    }
}
