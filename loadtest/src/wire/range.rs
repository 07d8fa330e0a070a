//! Byte-Range (RFC 4975 section 7.1.1).

/// `start-end/total`; `*` is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteRange {
    /// Number of the first octet, counted from 1.
    pub start: u64,
    /// Number of the last octet.
    pub end: Option<u64>,
    /// Size of the whole message.
    pub total: Option<u64>,
}

impl ByteRange {
    /// Reads a header's value.
    pub fn parse(text: &[u8]) -> Option<ByteRange> {
        let dash = memchr::memchr(b'-', text)?;
        let slash = memchr::memchr(b'/', text).filter(|&slash| slash > dash)?;
        Some(ByteRange {
            start: number(&text[..dash]).filter(|&start| start > 0)?,
            end: number_or_star(&text[dash + 1..slash])?,
            total: number_or_star(&text[slash + 1..])?,
        })
    }
}

fn number_or_star(text: &[u8]) -> Option<Option<u64>> {
    if text == b"*" { Some(None) } else { number(text).map(Some) }
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 19 {
        return None;
    }
    text.iter().try_fold(0, |sum: u64, &octet| octet.is_ascii_digit().then(|| sum * 10 + u64::from(octet - b'0')))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1-25/25", Some((1, Some(25), Some(25))))]
    #[case("26-*/8000", Some((26, None, Some(8000))))]
    #[case("1-*/*", Some((1, None, None)))]
    #[case("0-1/1", None)]
    #[case("1-/1", None)]
    #[case("1/2-3", None)]
    #[case("1-2", None)]
    #[case("1-99999999999999999999/1", None)]
    #[case("-1-2/3", None)]
    fn ranges(#[case] text: &str, #[case] expected: Option<(u64, Option<u64>, Option<u64>)>) {
        let range = ByteRange::parse(text.as_bytes()).map(|range| (range.start, range.end, range.total));
        assert_eq!(range, expected);
    }
}
