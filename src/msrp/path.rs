//! The value of To-Path and From-Path: a row of URIs (RFC 4975 7.1).

use thiserror::Error;

use super::{
    limits::Limits,
    uri::{Uri, UriError},
};

/// One or more URIs separated by space; the text is borrowed, runs of SP and HTAB count as one separator.
#[derive(Clone, Copy, Debug)]
pub struct Path<'a>(&'a [u8]);

/// Why a path is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum PathError {
    /// No URI at all.
    #[error("empty path")]
    Empty,
    /// More URIs than the limit.
    #[error("too many URIs in the path")]
    TooMany,
    /// A URI longer than the limit.
    #[error("URI in the path is too long")]
    TooLong,
    /// A URI does not parse.
    #[error("URI {index} of the path: {error}")]
    Uri {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        error: UriError,
    },
}

impl<'a> Path<'a> {
    /// A path over a header value; nothing is checked.
    pub fn new(value: &'a [u8]) -> Path<'a> {
        Path(value)
    }

    /// The texts of the URIs in order.
    pub fn texts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = trim_start(self.0);
        std::iter::from_fn(move || {
            let (text, tail) = rest.split_at(end_of_text(rest));
            rest = trim_start(tail);
            Some(text).filter(|text| !text.is_empty())
        })
    }

    /// The leftmost URI.
    pub fn first(&self) -> Option<&'a [u8]> {
        self.texts().next()
    }

    /// The rightmost URI.
    pub fn last(&self) -> Option<&'a [u8]> {
        let value = trim(self.0);
        let start = value.iter().rposition(|c| is_space(*c)).map_or(0, |space| space + 1);
        Some(&value[start..]).filter(|text| !text.is_empty())
    }

    /// The text behind the first `n` URIs, trimmed; empty if there is none.
    pub fn after(&self, n: usize) -> &'a [u8] {
        let mut value = trim(self.0);
        for _ in 0..n {
            value = trim_start(&value[end_of_text(value)..]);
        }
        value
    }

    /// How many URIs there are.
    pub fn len(&self) -> usize {
        self.texts().count()
    }

    /// Whether there is no URI.
    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// Every URI parses, and count and lengths keep the limits.
    pub fn check(&self, limits: &Limits) -> Result<(), PathError> {
        let mut count = 0;
        for (index, text) in self.texts().enumerate() {
            if index == limits.path_uris {
                return Err(PathError::TooMany);
            }
            if text.len() > limits.uri {
                return Err(PathError::TooLong);
            }
            Uri::parse(text).map_err(|error| PathError::Uri { index, error })?;
            count = index + 1;
        }
        if count == 0 { Err(PathError::Empty) } else { Ok(()) }
    }
}

/// Where the first URI of `text` ends.
fn end_of_text(text: &[u8]) -> usize {
    memchr::memchr2(b' ', b'\t', text).unwrap_or(text.len())
}

fn is_space(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t')
}

/// `text` without SP and HTAB at both ends.
#[inline]
pub(super) fn trim(text: &[u8]) -> &[u8] {
    let text = trim_start(text);
    let end = text.iter().rposition(|c| !is_space(*c)).map_or(0, |last| last + 1);
    &text[..end]
}

/// `text` without SP and HTAB at its start.
#[inline]
pub(super) fn trim_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|c| !is_space(*c)).unwrap_or(text.len());
    &text[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &[u8] = b"msrp://a.example:1/a;tcp";
    const B: &[u8] = b"msrp://b.example:2/b;tcp";

    /// CORE-20
    #[test]
    fn core_20_runs_of_space_separate_like_one() {
        let value = [b" \t", A, b" \t  ", B, b" "].concat();
        let path = Path::new(&value);
        assert_eq!(path.texts().collect::<Vec<_>>(), [A, B]);
        assert_eq!((path.first(), path.last(), path.len()), (Some(A), Some(B), 2));
        assert_eq!(path.after(0), &value[2..value.len() - 1]);
        assert_eq!(path.after(1), B);
        assert_eq!(path.after(2), b"");
        assert_eq!(path.after(9), b"");
        assert_eq!(path.check(&Limits::default()), Ok(()));
    }

    /// ADV-C06
    #[test]
    fn adv_c06_spaces_only_and_too_many_uris_are_refused() {
        let limits = Limits::default();
        let blank = [b' '; 8000];
        assert_eq!(Path::new(&blank).check(&limits), Err(PathError::Empty));
        assert_eq!((Path::new(&blank).first(), Path::new(&blank).last()), (None, None));
        assert!(Path::new(&blank).is_empty());
        assert_eq!(Path::new(&[A, b" "].concat().repeat(17)).check(&limits), Err(PathError::TooMany));
        assert_eq!(Path::new(&[A, b" "].concat().repeat(16)).check(&limits), Ok(()));
    }

    #[test]
    fn a_path_names_the_uri_that_is_wrong() {
        let limits = Limits::default();
        let value = [A, b" msrp://h.example:1/x"].concat();
        assert_eq!(
            Path::new(&value).check(&limits),
            Err(PathError::Uri { index: 1, error: UriError::TransportMissing })
        );
        let long = [b"msrp://h.example:1/", "x".repeat(1024).as_bytes(), b";tcp"].concat();
        assert_eq!(Path::new(&long).check(&limits), Err(PathError::TooLong));
    }
}
