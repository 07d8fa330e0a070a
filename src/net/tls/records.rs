//! Where records begin and end (RFC 8446 section 5.1, RFC 5246 section 6.2.1), whatever protects them.

use super::TlsError;

/// Octets before a record's payload: type, version, length.
pub(super) const HEADER: usize = 5;

/// Octets of plaintext that a record holds at most.
pub(super) const FRAGMENT: usize = 1 << 14;

/// What a protected record may be longer than its plaintext (RFC 5246 section 6.2.3; TLS 1.3 is stricter).
const EXPANSION: usize = 2048;

/// What a TLS 1.3 record may be longer than its plaintext (RFC 8446 section 5.2).
const EXPANSION_13: usize = 256;

/// Types of records, and of what TLS 1.3 seals in them (RFC 8446 section 5.1).
pub(super) mod content {
    pub(in super::super) const ALERT: u8 = 21;
    pub(in super::super) const HANDSHAKE: u8 = 22;
    pub(in super::super) const APPLICATION_DATA: u8 = 23;
}

/// A record as it travels.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    /// Its first octets, which its protection covers.
    pub(super) header: [u8; HEADER],
    /// Its protected octets.
    pub(super) payload: &'a [u8],
}

/// The length of the record whose header this is, header included. Refuses what no record after a handshake may look
/// like before its payload has come.
pub(super) fn length([kind, major, _, high, low]: [u8; HEADER], tls13: bool) -> Result<usize, TlsError> {
    // TLS 1.3 seals the real type; nothing else is sent in the clear any more (RFC 8446 section 5.2).
    let known = kind == content::APPLICATION_DATA || !tls13 && matches!(kind, content::ALERT | content::HANDSHAKE);
    if !known {
        return Err(TlsError::UnexpectedRecord(kind));
    }
    if major != 3 {
        return Err(TlsError::RecordVersion);
    }
    let payload = usize::from(u16::from_be_bytes([high, low]));
    if payload > FRAGMENT + if tls13 { EXPANSION_13 } else { EXPANSION } {
        return Err(TlsError::RecordTooLong);
    }
    Ok(HEADER + payload)
}

/// The length of the record of a handshake whose header this is, header included; none when rustls refuses it unseen.
pub(super) fn handshake_length([kind, major, _, high, low]: [u8; HEADER]) -> Option<usize> {
    let payload = usize::from(u16::from_be_bytes([high, low]));
    (matches!(kind, 20..=23) && major == 3 && payload < FRAGMENT + EXPANSION).then_some(HEADER + payload)
}

/// The first record of `octets` and what follows it; none while it has not wholly come.
pub(super) fn split(octets: &[u8], tls13: bool) -> Result<Option<(Record<'_>, &[u8])>, TlsError> {
    let Some((&header, rest)) = octets.split_first_chunk() else { return Ok(None) };
    let length = length(header, tls13)? - HEADER;
    Ok(rest.split_at_checked(length).map(|(payload, rest)| (Record { header, payload }, rest)))
}

/// How many octets `partial`, the beginning of a record, lacks: to its header's end first, then to its own.
pub(super) fn missing(partial: &[u8], tls13: bool) -> Result<usize, TlsError> {
    let whole = match partial.first_chunk() {
        None => HEADER,
        Some(&header) => length(header, tls13)?,
    };
    Ok(whole.saturating_sub(partial.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::tls13([23, 3, 3, 0x41, 0], true, Ok(5 + (1 << 14) + 256))]
    #[case::tls13_over_long([23, 3, 3, 0x41, 1], true, Err(TlsError::RecordTooLong))]
    #[case::tls12([22, 3, 3, 0x48, 0], false, Ok(5 + (1 << 14) + 2048))]
    #[case::tls12_over_long([23, 3, 3, 0x48, 1], false, Err(TlsError::RecordTooLong))]
    #[case::older_minor_version([23, 3, 1, 0, 9], true, Ok(14))]
    #[case::no_version([23, 4, 3, 0, 9], true, Err(TlsError::RecordVersion))]
    #[case::in_the_clear([22, 3, 3, 0, 9], true, Err(TlsError::UnexpectedRecord(22)))]
    #[case::change_cipher_spec([20, 3, 3, 0, 1], true, Err(TlsError::UnexpectedRecord(20)))]
    #[case::change_cipher_spec_again([20, 3, 3, 0, 1], false, Err(TlsError::UnexpectedRecord(20)))]
    #[case::heartbeat([24, 3, 3, 0, 9], false, Err(TlsError::UnexpectedRecord(24)))]
    fn header_is_judged_before_the_payload_comes(
        #[case] header: [u8; HEADER],
        #[case] tls13: bool,
        #[case] verdict: Result<usize, TlsError>,
    ) {
        assert_eq!(length(header, tls13), verdict);
        assert_eq!(missing(&header, tls13), verdict.clone().map(|whole| whole - HEADER));
        assert_eq!(split(&header, tls13).map(|found| found.is_some()), verdict.map(|_| false));
    }

    #[test]
    fn records_are_cut_where_they_end() {
        let wire = [23, 3, 3, 0, 2, 7, 8, 23, 3];
        assert_eq!(missing(&[], true), Ok(5));
        assert_eq!(missing(&wire[..4], true), Ok(1));
        assert_eq!(missing(&wire[..6], true), Ok(1));
        assert!(split(&wire[..6], true).unwrap().is_none());
        let (record, rest) = split(&wire, true).unwrap().unwrap();
        assert_eq!((record.payload, rest), (&[7, 8][..], &[23, 3][..]));
    }
}
