//! Header values that are lists: split at commas and semicolons outside of quotes and angle brackets (RFC 3261 section 7.3.1).

/// The values of a list, each without white space at its ends; empty ones are left out.
pub fn values(text: &str) -> impl Iterator<Item = &str> {
    split(text, b',').filter(|value| !value.is_empty())
}

/// All values of all lines of a header.
pub fn all<'a>(headers: &'a super::Headers, name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.all(name).flat_map(values)
}

/// Whether one of the values of a header is this token, whatever its case: Supported, Require, Allow.
pub fn contains(headers: &super::Headers, name: &str, token: &str) -> bool {
    all(headers, name).any(|value| value.eq_ignore_ascii_case(token))
}

/// Splits at each `at` outside of quotes and angle brackets.
pub(in crate::sip) fn split(text: &str, at: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (first, behind) = match position(text, at) {
            Some(i) => (&text[..i], Some(&text[i + 1..])),
            None => (text, None),
        };
        rest = behind;
        Some(first.trim())
    })
}

/// The first `at` outside of quotes and angle brackets.
pub(super) fn position(text: &str, at: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    for (i, b) in text.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            _ if b == at && !inside => return Some(i),
            b'<' => inside = true,
            b'>' => inside = false,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_split_nothing() {
        let text = "\"a, \\\"b\" <sip:x@y;p=1,2>;q=1 , <sip:z>,, sip:w";
        let found: Vec<&str> = values(text).collect();
        assert_eq!(found, ["\"a, \\\"b\" <sip:x@y;p=1,2>;q=1", "<sip:z>", "sip:w"]);
    }
}
