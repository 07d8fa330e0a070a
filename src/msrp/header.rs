//! Header names: which ones mean something to us, and what a name may consist of.

/// A header whose value is interpreted here or by the relay, and which may occur only once.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Known {
    ToPath,
    FromPath,
    MessageId,
    ByteRange,
    SuccessReport,
    FailureReport,
    Status,
    ContentType,
    UsePath,
    Expires,
    MinExpires,
    MaxExpires,
    Authorization,
    AuthenticationInfo,
    UseNickname,
}

impl Known {
    /// The header of this name, in any case.
    pub(super) fn from_name(name: &[u8]) -> Option<Known> {
        // The length singles out at most two candidates, so that a name costs one or two short comparisons.
        let candidates: &[(&[u8], Known)] = match name.len() {
            6 => &[(b"Status", Known::Status)],
            7 => &[(b"To-Path", Known::ToPath), (b"Expires", Known::Expires)],
            8 => &[(b"Use-Path", Known::UsePath)],
            9 => &[(b"From-Path", Known::FromPath)],
            10 => &[(b"Message-ID", Known::MessageId), (b"Byte-Range", Known::ByteRange)],
            11 => &[(b"Min-Expires", Known::MinExpires), (b"Max-Expires", Known::MaxExpires)],
            12 => &[(b"Content-Type", Known::ContentType), (b"Use-Nickname", Known::UseNickname)],
            13 => &[(b"Authorization", Known::Authorization)],
            14 => &[(b"Failure-Report", Known::FailureReport), (b"Success-Report", Known::SuccessReport)],
            19 => &[(b"Authentication-Info", Known::AuthenticationInfo)],
            _ => &[],
        };
        // Nearly everybody writes names as the RFC does: that spelling is one comparison of a few words.
        let exact = candidates.iter().find(|(known, _)| name == *known);
        exact.or_else(|| candidates.iter().find(|(known, _)| name.eq_ignore_ascii_case(known))).map(|(_, known)| *known)
    }
}

/// Whether the header belongs to the body and is meaningless without one.
pub(super) fn is_mime(name: &[u8]) -> bool {
    matches!(name.first(), Some(b'C' | b'c'))
        && name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"Content-"))
}

/// Splits a line at its colon if what stands before is a name: a letter, then token characters, 64 at most.
pub(super) fn split_name(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = line.iter().take(65).position(|c| !TOKEN[usize::from(*c)])?;
    let name = &line[..length];
    (line[length] == b':' && name.first()?.is_ascii_alphabetic()).then(|| (name, &line[length + 1..]))
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = matches!(octet as u8,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'~');
        octet += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// CORE-13
    #[test]
    fn core_13_names_are_known_in_any_case() {
        assert_eq!(Known::from_name(b"TO-PATH"), Some(Known::ToPath));
        assert_eq!(Known::from_name(b"expires"), Some(Known::Expires));
        assert_eq!(Known::from_name(b"Message-Id"), Some(Known::MessageId));
        assert_eq!(Known::from_name(b"X-Foo"), None);
        assert!(is_mime(b"content-ID"));
        assert!(!is_mime(b"Content"));
    }

    #[test]
    fn amb_35_a_name_is_a_letter_and_token_characters() {
        assert_eq!(split_name(b"X-A:b:c"), Some((&b"X-A"[..], &b"b:c"[..])));
        assert_eq!(split_name(b"a:"), Some((&b"a"[..], &b""[..])));
        assert_eq!(split_name(b"1A: b"), None);
        assert_eq!(split_name(b"X A: b"), None);
        assert_eq!(split_name(b"X-A : b"), None);
        assert_eq!(split_name(b": b"), None);
        assert_eq!(split_name(b"no colon"), None);
        assert!(split_name(&[&[b'x'; 64][..], b":"].concat()).is_some());
        assert!(split_name(&[&[b'x'; 65][..], b":"].concat()).is_none());
    }
}
