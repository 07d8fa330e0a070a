//! `accept-types` and `accept-wrapped-types` (RFC 4975 section 8.6), and what the operator blocks of them.

use super::file::end_of_word;

/// The entries of all lines of one attribute.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Formats<'a>(Vec<&'a [u8]>);

impl<'a> Formats<'a> {
    pub(super) fn new(values: impl Iterator<Item = &'a [u8]>) -> Formats<'a> {
        Formats(values.collect())
    }

    /// The entries in order, with their parameters.
    pub fn entries(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.0.iter().flat_map(|value| words(value))
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries().next().is_none()
    }

    /// Whether an entry names this media type or has a wildcard for it; parameters and case do not count (AMB-78).
    pub fn accepts(&self, media_type: &[u8]) -> bool {
        let media_type = essence(media_type);
        self.entries()
            .map(essence)
            .any(|entry| entry == b"*" || entry.eq_ignore_ascii_case(media_type) || is_subtype(media_type, entry))
    }
}

/// A media type that the operator does not let through: `type/subtype` or `type/*`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Blocked(String);

impl Blocked {
    /// A pattern; none if it is not `type/subtype` or `type/*`.
    pub fn new(pattern: &str) -> Option<Blocked> {
        let (kind, subtype) = pattern.split_once('/')?;
        let is_token =
            |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_graphic() && !b"/;,\"".contains(&c));
        (is_token(kind) && kind != "*" && is_token(subtype)).then(|| Blocked(pattern.to_owned()))
    }

    /// Whether it takes an entry out of a list. A wildcard wider than the pattern stays: SDP cannot say "all but".
    pub fn covers(&self, entry: &[u8]) -> bool {
        let (entry, pattern) = (essence(entry), self.0.as_bytes());
        entry.eq_ignore_ascii_case(pattern) || is_subtype(entry, pattern)
    }
}

/// What an operator wants of the content of a session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// Types that are taken out of the lists.
    pub blocked: Vec<Blocked>,
    /// The longest message, in octets.
    pub max_size: Option<u64>,
}

impl Content {
    /// The value of a list without what is blocked; none if nothing is left.
    pub(super) fn permitted(&self, value: &[u8]) -> Option<Vec<u8>> {
        let blocked = |entry: &&[u8]| self.blocked.iter().any(|pattern| pattern.covers(entry));
        if !words(value).any(|entry| blocked(&entry)) {
            return Some(value.trim_ascii_start().to_vec()).filter(|value| !value.is_empty());
        }
        let kept: Vec<&[u8]> = words(value).filter(|entry| !blocked(entry)).collect();
        (!kept.is_empty()).then(|| kept.join(&b' '))
    }
}

/// Words between spaces; a quoted string may hold spaces.
fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = value.trim_ascii_start();
    std::iter::from_fn(move || {
        let (word, tail) = rest.split_at_checked(end_of_word(rest))?;
        rest = tail.trim_ascii_start();
        Some(word).filter(|word| !word.is_empty())
    })
}

/// A media type without its parameters.
fn essence(entry: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', entry).unwrap_or(entry.len());
    entry.get(..end).unwrap_or_default().trim_ascii()
}

/// Whether `pattern` is `type/*` and `media_type` of that type.
fn is_subtype(media_type: &[u8], pattern: &[u8]) -> bool {
    let Some(kind) = pattern.strip_suffix(b"*").filter(|kind| kind.ends_with(b"/")) else { return false };
    media_type.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
}
