//! One line of an htdigest file: `user:realm:HA1`.

use crate::auth::{Ha1, Ha1Error};

/// The rule that a line of an htdigest file broke.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LineError {
    /// The line is not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// The line has fewer than two colons.
    #[error("not user:realm:HA1")]
    Fields,
    /// The user's name cannot be used.
    #[error("user: {0}")]
    User(NameError),
    /// The realm cannot be used.
    #[error("realm: {0}")]
    Realm(NameError),
    /// The third field is no HA1.
    #[error(transparent)]
    Ha1(#[from] Ha1Error),
    /// An earlier line has the same user, realm and algorithm.
    #[error("the user has an HA1 of this algorithm already")]
    Duplicate,
}

/// Why a name cannot stand in a store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NameError {
    /// There is nothing.
    #[error("empty")]
    Empty,
    /// H(A1) could not tell where the user's name ends (RFC 7616 section 3.4.4).
    #[error("has a colon")]
    Colon,
    /// A line break or another control character, which no Authorization can have either.
    #[error("has a control character")]
    Control,
    /// An htdigest file would take the line for a comment.
    #[error("begins with #")]
    Comment,
}

/// A line's fields.
pub(super) struct Line<'a> {
    pub(super) user: &'a str,
    pub(super) realm: &'a str,
    pub(super) ha1: Ha1,
}

impl<'a> Line<'a> {
    /// Reads a line without its line break; `None` for an empty line or a comment.
    pub(super) fn parse(line: &'a [u8]) -> Result<Option<Line<'a>>, LineError> {
        let line = std::str::from_utf8(line).map_err(|_| LineError::NotUtf8)?.trim_end();
        if line.is_empty() || is_comment(line) {
            return Ok(None);
        }
        let (user, rest) = line.split_once(':').ok_or(LineError::Fields)?;
        let (realm, ha1) = rest.rsplit_once(':').ok_or(LineError::Fields)?;
        check_user(user).map_err(LineError::User)?;
        check_realm(realm).map_err(LineError::Realm)?;
        Ok(Some(Line { user, realm, ha1: Ha1::from_hex(ha1)? }))
    }
}

/// Whether every store can hold this user's name.
pub(super) fn check_user(user: &str) -> Result<(), NameError> {
    match user {
        u if u.contains(':') => Err(NameError::Colon),
        u if is_comment(u) => Err(NameError::Comment),
        u => check_realm(u),
    }
}

/// Whether every store can hold this realm.
pub(super) fn check_realm(realm: &str) -> Result<(), NameError> {
    match realm {
        "" => Err(NameError::Empty),
        r if r.contains(char::is_control) => Err(NameError::Control),
        _ => Ok(()),
    }
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::auth::Algorithm;

    const MD5: &str = "99477e34459fa0b8573440794b798a90";

    #[rstest]
    #[case("bob:relay.test:", "\r")]
    #[case("bob:relay.test:", " \t")]
    #[case("bob:relay.test:", "")]
    fn fields_are_read(#[case] before: &str, #[case] after: &str) {
        let text = format!("{before}{MD5}{after}");
        let line = Line::parse(text.as_bytes()).unwrap().unwrap();
        assert_eq!((line.user, line.realm, line.ha1.hex(Algorithm::Md5)), ("bob", "relay.test", Some(MD5)));
    }

    #[test]
    fn realm_may_have_colons() {
        let text = format!("bob:a:b:{MD5}");
        assert_eq!(Line::parse(text.as_bytes()).unwrap().unwrap().realm, "a:b");
    }

    #[rstest]
    #[case("")]
    #[case("  \r")]
    #[case("# bob:relay.test:x")]
    #[case("  #")]
    fn comments_and_empty_lines_say_nothing(#[case] text: &str) {
        assert!(Line::parse(text.as_bytes()).unwrap().is_none());
    }

    #[rstest]
    #[case(b"bob", LineError::Fields)]
    #[case(b"bob:99477e34459fa0b8573440794b798a90", LineError::Fields)]
    #[case(b":relay.test:99477e34459fa0b8573440794b798a90", LineError::User(NameError::Empty))]
    #[case(b"bob::99477e34459fa0b8573440794b798a90", LineError::Realm(NameError::Empty))]
    #[case(b"b\x00b:relay.test:99477e34459fa0b8573440794b798a90", LineError::User(NameError::Control))]
    #[case(b"bob:relay.test:99477e34459fa0b8573440794b798a9", LineError::Ha1(Ha1Error::Length))]
    #[case(b"bob:relay.test:", LineError::Ha1(Ha1Error::Length))]
    #[case(b"bob:relay.test:99477e34459fa0b8573440794b798a9x", LineError::Ha1(Ha1Error::NotHex))]
    #[case(b"bob:relay.test:99477e34459fa0b8573440794b798a\xff\xff", LineError::NotUtf8)]
    fn wrong_lines_are_refused(#[case] text: &[u8], #[case] error: LineError) {
        assert_eq!(Line::parse(text).err(), Some(error));
    }
}
