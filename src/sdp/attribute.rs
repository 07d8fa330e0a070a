//! The names of attributes that the anchor knows.

/// An attribute by what has to be done about it. Names are compared without case: a peer that does the same would read
/// an `a=Path` that we had passed on as unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Attribute {
    /// `path` (RFC 4975 section 8.2).
    Path,
    /// `accept-types` (RFC 4975 section 8.6).
    AcceptTypes,
    /// `accept-wrapped-types` (RFC 4975 section 8.6).
    AcceptWrappedTypes,
    /// `max-size` (RFC 4975 section 8.6).
    MaxSize,
    /// `setup` (RFC 4145 section 4, RFC 6135 section 4.2).
    Setup,
    /// `connection` (RFC 4145 section 5); MSRP has none (RFC 6135 section 4.4).
    Connection,
    /// `msrp-cema` (RFC 6714 section 5).
    Cema,
    /// `fingerprint` (RFC 8122 section 5).
    Fingerprint,
    /// `tls-id` (RFC 8842 section 4).
    TlsId,
    /// `ice-…`, `candidate`, `remote-candidates`, `end-of-candidates` (RFC 8839 section 5).
    Ice,
    /// `sendrecv`, `sendonly`, `recvonly`, `inactive` (RFC 8866 section 6.7).
    Direction(super::Direction),
    /// `file-selector` (RFC 5547 section 6).
    FileSelector,
    /// `file-transfer-id` (RFC 5547 section 6).
    FileTransferId,
    /// Any other.
    Other,
}

impl Attribute {
    /// The attribute of a name.
    pub(super) fn of(name: &[u8]) -> Attribute {
        const NAMES: [(&[u8], Attribute); 14] = [
            (b"path", Attribute::Path),
            (b"accept-types", Attribute::AcceptTypes),
            (b"accept-wrapped-types", Attribute::AcceptWrappedTypes),
            (b"max-size", Attribute::MaxSize),
            (b"setup", Attribute::Setup),
            (b"connection", Attribute::Connection),
            (b"msrp-cema", Attribute::Cema),
            (b"fingerprint", Attribute::Fingerprint),
            (b"tls-id", Attribute::TlsId),
            (b"candidate", Attribute::Ice),
            (b"remote-candidates", Attribute::Ice),
            (b"end-of-candidates", Attribute::Ice),
            (b"file-selector", Attribute::FileSelector),
            (b"file-transfer-id", Attribute::FileTransferId),
        ];
        // Space before the colon is in no grammar, but a lenient reader would not see it.
        let name = name.trim_ascii();
        if let Some((_, attribute)) = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known)) {
            return *attribute;
        }
        if name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"ice-")) {
            return Attribute::Ice;
        }
        super::Direction::of(name).map_or(Attribute::Other, Attribute::Direction)
    }

    /// Whether it says how a connection is made, and so must not go beyond the leg it came from.
    pub(super) fn is_of_the_leg(self) -> bool {
        matches!(
            self,
            Attribute::Path
                | Attribute::Setup
                | Attribute::Connection
                | Attribute::Cema
                | Attribute::Fingerprint
                | Attribute::TlsId
                | Attribute::Ice
        )
    }
}
