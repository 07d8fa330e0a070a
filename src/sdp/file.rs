//! The attributes of a file transfer (RFC 5547 section 6), as far as policy looks at them; they are never changed.

/// Room for what is wrapped around a file, as a CPIM head, where its size is compared with the longest message.
pub const WRAPPER_OVERHEAD: u64 = 1024;

/// What a section says about a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct File<'a> {
    /// The value of `file-transfer-id`.
    pub transfer_id: Option<&'a [u8]>,
    /// The size in the selector, in octets; a number beyond 64 bits counts as the largest one.
    pub size: Option<u64>,
}

impl<'a> File<'a> {
    /// The values of the two attributes; the first of each counts.
    pub(super) fn new(selector: Option<&'a [u8]>, transfer_id: Option<&'a [u8]>) -> File<'a> {
        File { transfer_id, size: selector.and_then(size) }
    }

    /// Whether the file cannot arrive within messages of this size (SDP-72).
    pub fn exceeds(&self, max_size: u64) -> bool {
        self.size.is_some_and(|size| size.saturating_add(WRAPPER_OVERHEAD) > max_size)
    }
}

/// The size in a selector. Names may hold anything in quotes; a selector whose quotes are not closed says nothing
/// (ADV-S21).
fn size(selector: &[u8]) -> Option<u64> {
    if selector.iter().filter(|octet| **octet == b'"').count() % 2 != 0 {
        return None;
    }
    let mut rest = selector.trim_ascii_start();
    while let Some((word, tail)) = rest.split_at_checked(end_of_word(rest)).filter(|(word, _)| !word.is_empty()) {
        if let Some((name, digits)) = word.split_at_checked(5)
            && name.eq_ignore_ascii_case(b"size:")
        {
            return number(digits);
        }
        rest = tail.trim_ascii_start();
    }
    None
}

/// Digits as a number that stays at its greatest value where it would overflow (ADV-S22).
pub(super) fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(digits.iter().fold(0, add))
}

/// Where the word at the start of `text` ends: at the first space outside of quotes.
pub(super) fn end_of_word(text: &[u8]) -> usize {
    let mut quoted = false;
    let end = text.iter().position(|octet| {
        quoted ^= *octet == b'"';
        !quoted && octet.is_ascii_whitespace()
    });
    end.unwrap_or(text.len())
}
