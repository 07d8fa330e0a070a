//! The Byte-Range header (RFC 4975 7.1.1): where the octets of a chunk lie in their message.

use thiserror::Error;

/// A Byte-Range value; `None` stands for `*`. Positions start at 1 and are inclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ByteRange {
    /// Position of the chunk's first octet.
    pub start: u64,
    /// Position of its last octet; one less than `start` when there is none.
    pub end: Option<u64>,
    /// Length of the whole message.
    pub total: Option<u64>,
}

/// Why a Byte-Range value is refused (CORE-100).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ByteRangeError {
    /// Not of the form `start-end/total`.
    #[error("Byte-Range is not start-end/total")]
    Syntax,
    /// A number does not fit into 64 bits.
    #[error("Byte-Range number is too large")]
    Overflow,
    /// Positions count from 1.
    #[error("Byte-Range starts at 0")]
    StartZero,
    /// The end lies before the octet that precedes the start.
    #[error("Byte-Range ends before it starts")]
    EndBeforeStart,
    /// The end lies behind the message.
    #[error("Byte-Range ends behind the total")]
    EndBeyondTotal,
}

impl ByteRange {
    /// `1-*/*`, which is also how an absent header is read.
    pub const UNKNOWN: ByteRange = ByteRange { start: 1, end: None, total: None };

    /// Reads a header value; surrounding space must be gone.
    pub fn parse(value: &[u8]) -> Result<ByteRange, ByteRangeError> {
        let (start, rest) = number(value)?;
        let rest = rest.strip_prefix(b"-").ok_or(ByteRangeError::Syntax)?;
        let (end, rest) = number_or_star(rest)?;
        let rest = rest.strip_prefix(b"/").ok_or(ByteRangeError::Syntax)?;
        let (total, rest) = number_or_star(rest)?;
        if !rest.is_empty() {
            return Err(ByteRangeError::Syntax);
        }
        if start == 0 {
            return Err(ByteRangeError::StartZero);
        }
        if let Some(end) = end {
            if end < start - 1 {
                return Err(ByteRangeError::EndBeforeStart);
            }
            if total.is_some_and(|total| end > total) {
                return Err(ByteRangeError::EndBeyondTotal);
            }
        }
        Ok(ByteRange { start, end, total })
    }

    /// Writes `start-end/total`.
    pub fn write(&self, out: &mut Vec<u8>) {
        decimal(out, self.start);
        out.push(b'-');
        decimal_or_star(out, self.end);
        out.push(b'/');
        decimal_or_star(out, self.total);
    }

    /// This range with the end that `octets` octets of payload really give it; `None` when the positions overflow.
    pub fn covering(self, octets: u64) -> Option<ByteRange> {
        let end = self.start.saturating_sub(1).checked_add(octets)?;
        Some(ByteRange { end: Some(end), ..self })
    }

    /// The open range that goes on behind `octets` octets of payload; `None` when the positions overflow.
    pub fn continued(self, octets: u64) -> Option<ByteRange> {
        Some(ByteRange { start: self.start.checked_add(octets)?, end: None, ..self })
    }
}

fn number_or_star(text: &[u8]) -> Result<(Option<u64>, &[u8]), ByteRangeError> {
    match text.strip_prefix(b"*") {
        Some(rest) => Ok((None, rest)),
        None => number(text).map(|(value, rest)| (Some(value), rest)),
    }
}

fn number(text: &[u8]) -> Result<(u64, &[u8]), ByteRangeError> {
    let mut value = 0u64;
    let mut length = 0;
    for digit in text.iter().take_while(|c| c.is_ascii_digit()) {
        value = value
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit - b'0')))
            .ok_or(ByteRangeError::Overflow)?;
        length += 1;
    }
    if length == 0 {
        return Err(ByteRangeError::Syntax);
    }
    Ok((value, &text[length..]))
}

fn decimal_or_star(out: &mut Vec<u8>, value: Option<u64>) {
    match value {
        Some(value) => decimal(out, value),
        None => out.push(b'*'),
    }
}

fn decimal(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1-25/25", 1, Some(25), Some(25))]
    #[case("1-*/8000", 1, None, Some(8000))]
    #[case("2049-*/*", 2049, None, None)]
    #[case("1-0/0", 1, Some(0), Some(0))]
    #[case("18446744073709551615-*/*", u64::MAX, None, None)]
    fn forms(#[case] text: &str, #[case] start: u64, #[case] end: Option<u64>, #[case] total: Option<u64>) {
        let range = ByteRange { start, end, total };
        assert_eq!(ByteRange::parse(text.as_bytes()), Ok(range));
        let mut out = Vec::new();
        range.write(&mut out);
        assert_eq!(out, text.as_bytes());
    }

    /// CORE-100, ADV-C07, ADV-C09
    #[rstest]
    #[case::core_100("5-3/10", ByteRangeError::EndBeforeStart)]
    #[case::core_100("0-3/3", ByteRangeError::StartZero)]
    #[case::core_100("1-9/8", ByteRangeError::EndBeyondTotal)]
    #[case::adv_c07("1-*/99999999999999999999999999", ByteRangeError::Overflow)]
    #[case::adv_c09("-1-5/5", ByteRangeError::Syntax)]
    #[case::adv_c09("1--5/5", ByteRangeError::Syntax)]
    #[case::adv_c09("1-5", ByteRangeError::Syntax)]
    #[case::adv_c09("1-5/", ByteRangeError::Syntax)]
    #[case::adv_c09("*-5/5", ByteRangeError::Syntax)]
    #[case::adv_c09("0x1-5/5", ByteRangeError::Syntax)]
    #[case::blank("", ByteRangeError::Syntax)]
    #[case::trailing("1-5/5 ", ByteRangeError::Syntax)]
    #[case::overflow_by_one("18446744073709551616-*/*", ByteRangeError::Overflow)]
    fn refused(#[case] text: &str, #[case] error: ByteRangeError) {
        assert_eq!(ByteRange::parse(text.as_bytes()), Err(error));
    }

    /// ADV-C08
    #[test]
    fn adv_c08_positions_do_not_wrap() {
        let last = ByteRange { start: u64::MAX, end: None, total: None };
        assert_eq!(last.covering(1), Some(ByteRange { end: Some(u64::MAX), ..last }));
        assert_eq!(last.covering(2), None);
        assert_eq!(last.continued(10), None);
    }

    proptest! {
        #[test]
        fn write_then_parse_is_identity(start in 1u64.., length in any::<u64>(), more in any::<u64>(), open: bool, endless: bool) {
            let end = (start - 1).saturating_add(length);
            let range = ByteRange {
                start,
                end: (!open).then_some(end),
                total: (!endless).then_some(end.saturating_add(more)),
            };
            let mut out = Vec::new();
            range.write(&mut out);
            prop_assert_eq!(ByteRange::parse(&out), Ok(range));
        }

        #[test]
        fn parts_cover_the_whole_without_gap(start in 1u64..1 << 60, first in 0u64..1 << 60, second in 0u64..1 << 60) {
            let whole = ByteRange { start, end: None, total: None };
            let head = whole.covering(first).unwrap();
            let tail = whole.continued(first).unwrap().covering(second).unwrap();
            prop_assert_eq!(head.end.unwrap() + 1, tail.start);
            prop_assert_eq!(tail.end, whole.covering(first + second).unwrap().end);
        }
    }
}
