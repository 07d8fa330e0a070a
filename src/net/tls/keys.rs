//! One direction's keys: a record is sealed and opened here, and nowhere else.
//!
//! TLS 1.3 (RFC 8446 sections 5.2 to 5.4) and TLS 1.2 with an AEAD (RFC 5246 section 6.2.3.3, RFC 5288, RFC 7905) differ in
//! the nonce, in what is authenticated beside the content, and in where the content's type stands.

use super::TlsError;
use super::records::{FRAGMENT, HEADER, Record, content};
use aws_lc_rs::aead::{self, Aad, Algorithm, LessSafeKey, UnboundKey};
use bytes::BytesMut;
use rustls::ConnectionTrafficSecrets as Secrets;
use rustls::crypto::cipher::{AeadKey, Iv, NONCE_LEN, Nonce};

/// Octets of the tag of every AEAD that TLS uses here.
const TAG: usize = 16;

/// Octets of the nonce that a TLS 1.2 record with AES-GCM carries (RFC 5288 section 3).
const EXPLICIT: usize = 8;

/// How a version of TLS uses an AEAD.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Tls13,
    /// AES-GCM: half of the nonce travels with the record.
    Tls12Gcm,
    /// ChaCha20-Poly1305: the nonce is made as in TLS 1.3.
    Tls12ChaCha,
}

/// The keys of one direction and the number of the next record.
pub(super) struct Keys {
    algorithm: &'static Algorithm,
    key: AeadKey,
    iv: Iv,
    /// Made from the key when it is needed: it is ten times as large, and most links rest.
    cipher: Option<LessSafeKey>,
    sequence: u64,
    form: Form,
}

impl Keys {
    pub(super) fn new((sequence, secrets): (u64, Secrets), tls13: bool) -> Result<Self, TlsError> {
        let (algorithm, key, iv) = match secrets {
            Secrets::Aes128Gcm { key, iv } => (&aead::AES_128_GCM, key, iv),
            Secrets::Aes256Gcm { key, iv } => (&aead::AES_256_GCM, key, iv),
            Secrets::Chacha20Poly1305 { key, iv } => (&aead::CHACHA20_POLY1305, key, iv),
            _ => return Err(TlsError::Cipher),
        };
        let form = match tls13 {
            true => Form::Tls13,
            false if *algorithm == aead::CHACHA20_POLY1305 => Form::Tls12ChaCha,
            false => Form::Tls12Gcm,
        };
        Ok(Self { algorithm, key, iv, cipher: None, sequence, form })
    }

    /// How many records these keys have sealed or opened.
    pub(super) fn used(&self) -> u64 {
        self.sequence
    }

    /// Gives back what can be made again.
    pub(super) fn rest(&mut self) {
        self.cipher = None;
    }

    /// Octets of the cipher's state (584 in aws-lc, whatever the cipher).
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.cipher.as_ref().map_or(0, |_| 584)
    }

    /// Appends one record to `out` that holds the `length` octets of `parts`, at most [`FRAGMENT`].
    pub(super) fn seal<'a>(
        &mut self,
        kind: u8,
        parts: impl Iterator<Item = &'a [u8]>,
        length: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        // What can fail fails before there is plaintext in `out`.
        self.cipher()?;
        let nonce = self.nonce();
        let (outer, before, after) = match self.form {
            Form::Tls13 => (content::APPLICATION_DATA, 0, 1),
            Form::Tls12Gcm => (kind, EXPLICIT, 0),
            Form::Tls12ChaCha => (kind, 0, 0),
        };
        let [high, low] = length_octets(before + length + after + TAG)?;
        let header = [outer, 3, 3, high, low];
        out.reserve(HEADER + before + length + after + TAG);
        out.extend_from_slice(&header);
        out.extend_from_slice(&nonce[NONCE_LEN - before..]);
        let start = out.len();
        parts.for_each(|part| out.extend_from_slice(part));
        debug_assert_eq!(out.len() - start, length, "the header is written");
        if self.form == Form::Tls13 {
            out.push(kind);
        }
        let (beside, covered) = self.beside(&header, length)?;
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let content = out.get_mut(start..).unwrap_or_default();
        let sealed = self.cipher()?.seal_in_place_separate_tag(nonce, Aad::from(&beside[..covered]), content);
        let Ok(tag) = sealed else {
            // Plaintext must not leave by mistake.
            out.truncate(start - before - HEADER);
            return Err(TlsError::Cipher);
        };
        out.extend_from_slice(tag.as_ref());
        self.sequence += 1;
        Ok(())
    }

    /// Opens a record behind `plain` and tells the type of its content. `plain` is as it was if that fails.
    pub(super) fn open(&mut self, record: Record<'_>, plain: &mut BytesMut) -> Result<u8, TlsError> {
        let start = plain.len();
        let kind = self.open_behind(record, plain);
        if kind.is_err() {
            plain.truncate(start);
        }
        kind
    }

    fn open_behind(&mut self, Record { header, payload }: Record<'_>, plain: &mut BytesMut) -> Result<u8, TlsError> {
        let start = plain.len();
        let mut nonce = self.nonce();
        let mut sealed = payload;
        if self.form == Form::Tls12Gcm {
            let (explicit, rest) = payload.split_first_chunk::<EXPLICIT>().ok_or(TlsError::BadRecordMac)?;
            nonce[NONCE_LEN - EXPLICIT..].copy_from_slice(explicit);
            sealed = rest;
        }
        let (content, tag) = sealed.split_last_chunk::<TAG>().ok_or(TlsError::BadRecordMac)?;
        let (beside, covered) = self.beside(&header, content.len())?;
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        plain.resize(start + content.len(), 0);
        let out = plain.get_mut(start..).unwrap_or_default();
        self.cipher()?
            .open_separate_gather(nonce, Aad::from(&beside[..covered]), content, tag, out)
            .map_err(|_| TlsError::BadRecordMac)?;
        // 2^64 records take longer than anybody lives.
        self.sequence = self.sequence.wrapping_add(1);
        if self.form != Form::Tls13 {
            return if content.len() > FRAGMENT { Err(TlsError::RecordTooLong) } else { Ok(header[0]) };
        }
        // Content, its type, padding of zeros (RFC 8446 section 5.4).
        if content.len() > FRAGMENT + 1 {
            return Err(TlsError::RecordTooLong);
        }
        let opened = plain.get(start..).unwrap_or_default();
        let at = opened.iter().rposition(|octet| *octet != 0).ok_or(TlsError::NoContentType)?;
        let kind = opened[at];
        plain.truncate(start + at);
        Ok(kind)
    }

    /// What is authenticated beside the content: the header (RFC 8446 section 5.2), or number, type, version and the
    /// length of the plaintext (RFC 5246 section 6.2.3.3).
    fn beside(&self, header: &[u8; HEADER], length: usize) -> Result<([u8; 13], usize), TlsError> {
        let mut beside = [0; 13];
        if self.form == Form::Tls13 {
            beside[..HEADER].copy_from_slice(header);
            return Ok((beside, HEADER));
        }
        beside[..8].copy_from_slice(&self.sequence.to_be_bytes());
        beside[8..11].copy_from_slice(&header[..3]);
        beside[11..].copy_from_slice(&length_octets(length)?);
        Ok((beside, 13))
    }

    /// The record's number and the secret part of the nonce (RFC 8446 section 5.3). What RFC 5288 leaves to the sender of
    /// an explicit nonce is made in the same way.
    fn nonce(&self) -> [u8; NONCE_LEN] {
        Nonce::new(&self.iv, self.sequence).0
    }

    fn cipher(&mut self) -> Result<&LessSafeKey, TlsError> {
        if self.cipher.is_none() {
            let key = UnboundKey::new(self.algorithm, self.key.as_ref()).map_err(|_| TlsError::Cipher)?;
            self.cipher = Some(LessSafeKey::new(key));
        }
        self.cipher.as_ref().ok_or(TlsError::Cipher)
    }
}

fn length_octets(length: usize) -> Result<[u8; 2], TlsError> {
    u16::try_from(length).map(u16::to_be_bytes).map_err(|_| TlsError::RecordTooLong)
}
