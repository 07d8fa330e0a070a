//! What `chappe passwd` prints: a password's H(A1), for the configuration or for an htdigest file.

use super::LineError;
use super::line::{check_realm, check_user};
use crate::auth::{Algorithm, Ha1};

/// The line for an htdigest file, without a line break. Fails if no file can hold the name or the realm.
pub fn htdigest_line(user: &str, realm: &str, password: &str, algorithm: Algorithm) -> Result<String, LineError> {
    Ok(format!("{user}:{realm}:{}", ha1_text(user, realm, password, algorithm)?))
}

/// H(A1) in hex, for a user of the configuration. Fails if no store can hold the name or the realm.
pub fn ha1_text(user: &str, realm: &str, password: &str, algorithm: Algorithm) -> Result<String, LineError> {
    check_user(user).map_err(LineError::User)?;
    check_realm(realm).map_err(LineError::Realm)?;
    let ha1 = Ha1::from_password(user, realm, password);
    Ok(ha1.hex(algorithm).expect("a password has an HA1 of every algorithm").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::NameError;

    #[test]
    fn line_is_that_of_apache_htdigest() {
        assert_eq!(
            htdigest_line("bob", "relay.test", "secret", Algorithm::Md5).unwrap(),
            "bob:relay.test:99477e34459fa0b8573440794b798a90"
        );
    }

    #[test]
    fn algorithm_tells_the_length() {
        for algorithm in Algorithm::STRONGEST_FIRST {
            let text = ha1_text("bob", "relay.test", "secret", algorithm).unwrap();
            assert_eq!(text.len(), algorithm.response_len());
        }
    }

    #[test]
    fn what_a_file_cannot_hold_is_refused() {
        for (user, realm, error) in [
            ("a:b", "r", LineError::User(NameError::Colon)),
            ("", "r", LineError::User(NameError::Empty)),
            ("#a", "r", LineError::User(NameError::Comment)),
            ("a\neve", "r", LineError::User(NameError::Control)),
            ("a", "r\n", LineError::Realm(NameError::Control)),
            ("a", "", LineError::Realm(NameError::Empty)),
        ] {
            assert_eq!(htdigest_line(user, realm, "secret", Algorithm::Md5), Err(error));
        }
    }
}
