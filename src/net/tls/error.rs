//! Why a connection's TLS fails, and what the peer is told about it.

use rustls::{AlertDescription, CertificateError, Error, InvalidMessage};

/// Why a connection's TLS failed. Every one is fatal to the connection; [`Tls::seal_pending`] still yields the alert.
///
/// [`Tls::seal_pending`]: super::Tls::seal_pending
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TlsError {
    /// The peer's certificate does not satisfy us: chain, dates, name (RFC 4976 section 9.2) or signature.
    #[error("certificate refused: {0}")]
    Certificate(CertificateError),
    /// The peer's certificate chain is over [`CHAIN_LIMIT`](super::CHAIN_LIMIT) octets.
    #[error("certificate chain is too long")]
    ChainTooLong,
    /// The peer sent over [`HANDSHAKE_LIMIT`](super::HANDSHAKE_LIMIT) octets and had not finished its handshake.
    #[error("handshake is too long")]
    HandshakeTooLong,
    /// The peer ended the connection with this alert (RFC 8446 section 6.2).
    #[error("peer's alert: {0:?}")]
    Alert(AlertDescription),
    /// The peer broke the protocol in the handshake, or no parameters suit both.
    #[error("protocol: {0}")]
    Protocol(Error),
    /// A record, or what was sealed in it, exceeds what TLS permits (RFC 8446 sections 5.1 and 5.2, RFC 5246 section 6.2).
    #[error("record is too long")]
    RecordTooLong,
    /// A record is not what a holder of the keys has sealed (RFC 8446 section 5.2, RFC 5246 section 6.2.3.3).
    #[error("record fails authentication")]
    BadRecordMac,
    /// A record's version is none of TLS (RFC 8446 section 5.1, RFC 5246 section 6.2.1).
    #[error("record of no version of TLS")]
    RecordVersion,
    /// A record of this type has no place after the handshake (RFC 8446 section 5, RFC 5246 section 6).
    #[error("unexpected record of type {0}")]
    UnexpectedRecord(u8),
    /// A record holds padding and no content type (RFC 8446 section 5.4).
    #[error("record without content type")]
    NoContentType,
    /// A handshake or alert record holds nothing (RFC 8446 section 5.4).
    #[error("empty handshake or alert record")]
    EmptyRecord,
    /// More records without content than [`EMPTY_RECORDS`](super::traffic::EMPTY_RECORDS) came in sequence.
    #[error("too many empty records")]
    TooManyEmptyRecords,
    /// An alert record is not one alert (RFC 8446 section 5.1).
    #[error("malformed alert")]
    BadAlert,
    /// An alert's level is neither warning nor fatal (RFC 8446 section 6).
    #[error("alert of unknown level {0}")]
    AlertLevel(u8),
    /// More alerts than [`WARNINGS`](super::traffic::WARNINGS) that end nothing.
    #[error("too many warning alerts")]
    TooManyWarnings,
    /// A handshake message of this type has no place after the handshake (RFC 8446 section 4.6, RFC 5246 section 7.4).
    #[error("unexpected handshake message of type {0}")]
    UnexpectedMessage(u8),
    /// Another record came between the pieces of a handshake message (RFC 8446 section 5.1).
    #[error("record within a handshake message")]
    Interleaved,
    /// A handshake message is over [`MESSAGE_LIMIT`](super::traffic::MESSAGE_LIMIT) octets.
    #[error("handshake message is too long")]
    MessageTooLong,
    /// A KeyUpdate is not one octet long (RFC 8446 section 4.6.3).
    #[error("malformed KeyUpdate")]
    MalformedKeyUpdate,
    /// A KeyUpdate asks for something else than 0 or 1 (RFC 8446 section 4.6.3).
    #[error("KeyUpdate with request {0}")]
    BadKeyUpdate(u8),
    /// Octets follow a KeyUpdate in its record: they span a change of keys (RFC 8446 section 5.1).
    #[error("handshake message spans a change of keys")]
    KeyUpdateNotLast,
    /// More KeyUpdates than [`KEY_UPDATES`](super::traffic::KEY_UPDATES) with nothing between them.
    #[error("too many KeyUpdates")]
    TooManyKeyUpdates,
    /// The peer wants to renegotiate and was already told that we do not (RFC 5246 section 7.2.2).
    #[error("renegotiation refused twice")]
    Renegotiation,
    /// The keys of a TLS 1.2 connection have sealed as many records as they safely can.
    #[error("keys are worn out")]
    KeysExhausted,
    /// The handshake agreed on a cipher that the record layer does not know, or the cipher did not take its keys.
    #[error("cipher is unusable")]
    Cipher,
    /// Something was to be sealed before the handshake ended.
    #[error("handshake has not ended")]
    Handshaking,
    /// Something was to be sealed after our close_notify or a fatal alert.
    #[error("connection is closed")]
    Closed,
}

impl TlsError {
    /// The alert that tells the peer (RFC 8446 section 6.2); none where the peer has ended the connection itself.
    pub(super) fn alert(&self) -> Option<AlertDescription> {
        use AlertDescription as Alert;
        Some(match self {
            Self::Alert(_) | Self::KeysExhausted | Self::Handshaking | Self::Closed => return None,
            Self::Certificate(error) => error.clone().into(),
            Self::Protocol(Error::InvalidMessage(_)) => Alert::DecodeError,
            Self::Protocol(_) | Self::Cipher => Alert::InternalError,
            Self::RecordTooLong => Alert::RecordOverflow,
            Self::BadRecordMac => Alert::BadRecordMac,
            Self::ChainTooLong
            | Self::HandshakeTooLong
            | Self::BadAlert
            | Self::MessageTooLong
            | Self::MalformedKeyUpdate
            | Self::RecordVersion => Alert::DecodeError,
            Self::BadKeyUpdate(_) | Self::AlertLevel(_) => Alert::IllegalParameter,
            Self::UnexpectedRecord(_)
            | Self::NoContentType
            | Self::EmptyRecord
            | Self::TooManyEmptyRecords
            | Self::TooManyWarnings
            | Self::UnexpectedMessage(_)
            | Self::Interleaved
            | Self::KeyUpdateNotLast
            | Self::TooManyKeyUpdates => Alert::UnexpectedMessage,
            Self::Renegotiation => Alert::HandshakeFailure,
        })
    }
}

impl From<Error> for TlsError {
    fn from(error: Error) -> Self {
        match error {
            // Only `offered` gives this one, and only for that reason.
            Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => Self::ChainTooLong,
            Error::InvalidCertificate(error) => Self::Certificate(error),
            Error::AlertReceived(alert) => Self::Alert(alert),
            Error::PeerSentOversizedRecord | Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
                Self::RecordTooLong
            }
            Error::DecryptError => Self::BadRecordMac,
            error => Self::Protocol(error),
        }
    }
}
