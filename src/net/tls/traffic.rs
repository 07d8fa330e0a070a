//! A connection after its handshake: what records hold, and what must be said about it.
//!
//! Application data goes to the caller. Alerts, tickets, changes of keys and attempts to renegotiate are dealt with here
//! (RFC 8446 sections 4.6 and 6, RFC 5246 section 7.2). Nothing is held between two records but what has not wholly come.

use super::keys::Keys;
use super::records::{self, FRAGMENT, HEADER, Record, content};
use super::schedule::{Schedule, message};
use super::{Opened, TlsError};
use bytes::BytesMut;
use rustls::AlertDescription;
use std::io::IoSlice;
use std::mem::take;

/// Records without content that may follow each other.
pub(super) const EMPTY_RECORDS: u8 = 32;

/// Alerts that end nothing and are ignored.
pub(super) const WARNINGS: u8 = 4;

/// KeyUpdates that may follow each other with no application data between them.
pub(super) const KEY_UPDATES: u8 = 32;

/// Octets of a handshake message after the handshake: a ticket may hold a certificate chain.
pub(super) const MESSAGE_LIMIT: usize = 32 * 1024;

/// Levels of alerts (RFC 8446 section 6).
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// Both directions of a connection and what has been counted against its peer.
pub(super) struct Traffic {
    rx: Keys,
    tx: Keys,
    schedule: Schedule,
    /// Records that one set of keys may seal; the last one is ours, to change them or to close.
    limit: u64,
    /// The beginning of a record.
    partial: Vec<u8>,
    /// The beginning of a handshake message.
    message: Vec<u8>,
    empty_records: u8,
    warnings: u8,
    key_updates: u8,
    /// We have changed our keys for the peer, and sealed no application data since.
    answered: bool,
    renegotiations: u8,
    /// We have sent close_notify or a fatal alert.
    closed: bool,
    /// The peer has sent close_notify.
    peer_closed: bool,
    failed: Option<Box<TlsError>>,
}

impl Traffic {
    pub(super) fn new(rx: Keys, tx: Keys, schedule: Schedule, limit: u64) -> Self {
        Self {
            rx,
            tx,
            schedule,
            limit,
            partial: Vec::new(),
            message: Vec::new(),
            empty_records: 0,
            warnings: 0,
            key_updates: 0,
            answered: false,
            renegotiations: 0,
            closed: false,
            peer_closed: false,
            failed: None,
        }
    }

    /// Takes all of `octets`; their application data is appended to `plain`, what the protocol answers to `pending`.
    pub(super) fn open(
        &mut self,
        octets: &[u8],
        plain: &mut BytesMut,
        pending: &mut Vec<u8>,
        opened: &mut Opened,
    ) -> Result<(), TlsError> {
        if let Some(error) = &self.failed {
            return Err(TlsError::clone(error));
        }
        let verdict = self.open_records(octets, plain, pending);
        if let Err(error) = &verdict {
            self.fail(error.clone(), pending);
        }
        opened.close_notify |= self.peer_closed;
        verdict
    }

    fn open_records(&mut self, mut octets: &[u8], plain: &mut BytesMut, pending: &mut Vec<u8>) -> Result<(), TlsError> {
        let tls13 = self.schedule.tls13();
        // RFC 8446 section 6.1: whatever follows a close_notify is to be ignored.
        while !self.peer_closed && !self.partial.is_empty() {
            let missing = records::missing(&self.partial, tls13)?;
            let Some((more, rest)) = octets.split_at_checked(missing) else {
                self.partial.extend_from_slice(octets);
                return Ok(());
            };
            octets = rest;
            if self.partial.len() < HEADER {
                self.partial.extend_from_slice(more);
                self.partial.reserve_exact(records::missing(&self.partial, tls13)?);
                continue;
            }
            self.partial.extend_from_slice(more);
            let whole = take(&mut self.partial);
            if let Some((record, _)) = records::split(&whole, tls13)? {
                self.record(record, plain, pending)?;
            }
        }
        while !self.peer_closed && !octets.is_empty() {
            let Some((record, rest)) = records::split(octets, tls13)? else {
                self.partial.reserve_exact(octets.len() + records::missing(octets, tls13)?);
                self.partial.extend_from_slice(octets);
                break;
            };
            self.record(record, plain, pending)?;
            octets = rest;
        }
        Ok(())
    }

    fn record(&mut self, record: Record<'_>, plain: &mut BytesMut, pending: &mut Vec<u8>) -> Result<(), TlsError> {
        let start = plain.len();
        let kind = self.rx.open(record, plain)?;
        if kind == content::APPLICATION_DATA && self.message.is_empty() {
            return self.data(plain.len() > start);
        }
        // All else is short and rare, and its octets are not for the caller.
        let inside = plain.get(start..).unwrap_or_default().to_vec();
        plain.truncate(start);
        if inside.is_empty() && matches!(kind, content::ALERT | content::HANDSHAKE) {
            return Err(TlsError::EmptyRecord);
        }
        match kind {
            content::HANDSHAKE => self.handshake(&inside, pending),
            _ if !self.message.is_empty() => Err(TlsError::Interleaved),
            content::ALERT => self.alert(&inside),
            kind => Err(TlsError::UnexpectedRecord(kind)),
        }
    }

    fn data(&mut self, any: bool) -> Result<(), TlsError> {
        if any {
            (self.empty_records, self.key_updates) = (0, 0);
            return Ok(());
        }
        count(&mut self.empty_records, EMPTY_RECORDS, TlsError::TooManyEmptyRecords)
    }

    /// RFC 8446 section 6, RFC 5246 section 7.2.
    fn alert(&mut self, inside: &[u8]) -> Result<(), TlsError> {
        let &[level, description] = inside else { return Err(TlsError::BadAlert) };
        let description = AlertDescription::from(description);
        if !matches!(level, WARNING | FATAL) {
            return Err(TlsError::AlertLevel(level));
        }
        let harmless = match self.schedule.tls13() {
            // The level says nothing in TLS 1.3: all other alerts end the connection.
            true => description == AlertDescription::UserCanceled,
            false => level == WARNING,
        };
        match description {
            AlertDescription::CloseNotify => {
                self.peer_closed = true;
                Ok(())
            }
            _ if harmless => count(&mut self.warnings, WARNINGS, TlsError::TooManyWarnings),
            description => Err(TlsError::Alert(description)),
        }
    }

    fn handshake(&mut self, inside: &[u8], pending: &mut Vec<u8>) -> Result<(), TlsError> {
        let mut held = take(&mut self.message);
        let mut rest = if held.is_empty() {
            inside
        } else {
            held.extend_from_slice(inside);
            &held[..]
        };
        while let Some((&[kind, high, middle, low], after)) = rest.split_first_chunk() {
            if !self.schedule.expects(kind) {
                return Err(TlsError::UnexpectedMessage(kind));
            }
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            if length > MESSAGE_LIMIT {
                return Err(TlsError::MessageTooLong);
            }
            let Some((body, after)) = after.split_at_checked(length) else { break };
            rest = after;
            match kind {
                message::KEY_UPDATE if !rest.is_empty() => return Err(TlsError::KeyUpdateNotLast),
                message::KEY_UPDATE => self.key_update(body, pending)?,
                message::NEW_SESSION_TICKET => self.schedule.ticket(body)?,
                _ => self.renegotiation(pending)?,
            }
        }
        self.message = rest.to_vec();
        Ok(())
    }

    /// The peer seals with new keys from now on (RFC 8446 section 4.6.3).
    fn key_update(&mut self, body: &[u8], pending: &mut Vec<u8>) -> Result<(), TlsError> {
        let &[request] = body else { return Err(TlsError::MalformedKeyUpdate) };
        if request > message::UPDATE_REQUESTED {
            return Err(TlsError::BadKeyUpdate(request));
        }
        count(&mut self.key_updates, KEY_UPDATES, TlsError::TooManyKeyUpdates)?;
        self.rx = self.schedule.next_rx()?;
        // One answer is enough for all requests that come before we speak: a peer that reads nothing could have us pile them up.
        if request == message::UPDATE_REQUESTED && !self.closed && !self.answered {
            self.change_keys(pending)?;
            self.answered = true;
        }
        Ok(())
    }

    /// TLS 1.2 only: no is the answer, once (RFC 5246 section 7.2.2).
    fn renegotiation(&mut self, pending: &mut Vec<u8>) -> Result<(), TlsError> {
        count(&mut self.renegotiations, 1, TlsError::Renegotiation)?;
        if self.closed { Ok(()) } else { self.say(WARNING, AlertDescription::NoRenegotiation, pending) }
    }

    /// Seals `parts` in records of at most 16 KiB.
    pub(super) fn seal(
        &mut self,
        parts: &[IoSlice<'_>],
        pending: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        if self.closed || self.failed.is_some() {
            return Err(TlsError::Closed);
        }
        let mut left: usize = parts.iter().map(|part| part.len()).sum();
        let most = self.limit - 1;
        // Before anything is sealed: half of a group is of no use.
        if !self.schedule.tls13() && self.tx.used().saturating_add(left.div_ceil(FRAGMENT) as u64) > most {
            self.close_notify(pending);
            return Err(TlsError::KeysExhausted);
        }
        out.append(pending);
        let mut slices = parts.iter().map(|part| &part[..]).filter(|part| !part.is_empty());
        let mut slice: &[u8] = &[];
        while left > 0 {
            if self.tx.used() >= most {
                self.change_keys(pending)?;
                out.append(pending);
            }
            let length = left.min(FRAGMENT);
            left -= length;
            let mut wanted = length;
            let pieces = std::iter::from_fn(|| {
                if slice.is_empty() && wanted > 0 {
                    slice = slices.next()?;
                }
                let (piece, rest) = slice.split_at(slice.len().min(wanted));
                (slice, wanted) = (rest, wanted - piece.len());
                (!piece.is_empty()).then_some(piece)
            });
            self.tx.seal(content::APPLICATION_DATA, pieces, length, out)?;
            self.answered = false;
        }
        Ok(())
    }

    /// The peer has sent close_notify.
    pub(super) fn peer_closed(&self) -> bool {
        self.peer_closed
    }

    /// Announces new keys and takes them into use; the peer's stay what they are.
    fn change_keys(&mut self, pending: &mut Vec<u8>) -> Result<(), TlsError> {
        self.seal_short(content::HANDSHAKE, &message::KEY_UPDATE_NOT_REQUESTED, pending)?;
        self.tx = self.schedule.next_tx()?;
        Ok(())
    }

    pub(super) fn close_notify(&mut self, pending: &mut Vec<u8>) {
        if !self.closed {
            self.closed = true;
            // A cipher that fails leaves nothing to say.
            let _ = self.say(WARNING, AlertDescription::CloseNotify, pending);
        }
    }

    /// Ends with the alert for a certificate that is good in itself and not the one that was promised (RFC 8122 section 6.2).
    pub(super) fn reject_certificate(&mut self, pending: &mut Vec<u8>) {
        if !self.closed {
            self.closed = true;
            let _ = self.say(FATAL, AlertDescription::BadCertificate, pending);
        }
    }

    /// Tells the peer why, and remembers it.
    pub(super) fn fail(&mut self, error: TlsError, pending: &mut Vec<u8>) {
        if let Some(alert) = error.alert()
            && !self.closed
        {
            let _ = self.say(FATAL, alert, pending);
        }
        self.closed = true;
        (self.partial, self.message) = (Vec::new(), Vec::new());
        self.failed = Some(Box::new(error));
    }

    fn say(&mut self, level: u8, alert: AlertDescription, pending: &mut Vec<u8>) -> Result<(), TlsError> {
        self.seal_short(content::ALERT, &[level, alert.into()], pending)
    }

    fn seal_short(&mut self, kind: u8, octets: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
        self.tx.seal(kind, std::iter::once(octets), octets.len(), out)
    }

    /// Gives back what can be made again; incomplete records stay.
    pub(super) fn rest(&mut self) {
        self.rx.rest();
        self.tx.rest();
    }

    /// Octets of incomplete records and messages.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.partial.capacity() + self.message.capacity()
    }

    /// Octets of keys that can be made again and of what rustls keeps.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.rx.kept() + self.tx.kept() + self.schedule.kept()
    }

    /// Seals what no honest end would send.
    #[cfg(test)]
    pub(super) fn seal_as(&mut self, kind: u8, octets: &[u8], out: &mut Vec<u8>) {
        self.seal_short(kind, octets, out).unwrap();
    }

    /// As if every set of keys could seal only so many records.
    #[cfg(test)]
    pub(super) fn wear_out_after(&mut self, records: u64) {
        self.limit = records;
    }
}

/// One more of something that a peer may do `most` times.
fn count(counter: &mut u8, most: u8, error: TlsError) -> Result<(), TlsError> {
    if *counter >= most {
        return Err(error);
    }
    *counter += 1;
    Ok(())
}
