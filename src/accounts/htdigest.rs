//! A file of `user:realm:HA1` lines, as Apache's `htdigest` and `chappe passwd` write it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::PathBuf;

use arc_swap::ArcSwap;
use zeroize::Zeroizing;

use super::line::Line;
use super::{Account, LineError, LookUp, Store};
use crate::auth::Algorithm;

/// Why a file cannot be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum HtdigestError {
    /// The file cannot be read.
    #[error("{}: {kind}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// A line is wrong, whatever its realm.
    #[error("{}:{line}: {fault}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: LineError,
    },
}

/// A store of the users that a file lists for one realm. All of them may use the relay.
///
/// 32 hex digits are an HA1 of MD5, 64 one of SHA-256; a user may have a line for each. Lines that begin with `#` are
/// comments.
pub struct Htdigest {
    path: PathBuf,
    realm: String,
    accounts: ArcSwap<HashMap<String, Account>>,
}

impl Htdigest {
    /// Reads the file. Blocks.
    pub fn open(path: impl Into<PathBuf>, realm: impl Into<String>) -> Result<Htdigest, HtdigestError> {
        let file = Htdigest { path: path.into(), realm: realm.into(), accounts: ArcSwap::default() };
        file.reload()?;
        Ok(file)
    }

    /// Reads the file again. After an error the store goes on with what it had. Blocks.
    pub fn reload(&self) -> Result<(), HtdigestError> {
        let text = std::fs::read(&self.path)
            .map(Zeroizing::new)
            .map_err(|e| HtdigestError::Read { path: self.path.clone(), kind: e.kind() })?;
        let accounts = read(&text, &self.realm).map_err(|(line, fault)| HtdigestError::Line {
            path: self.path.clone(),
            line,
            fault,
        })?;
        self.accounts.store(accounts.into());
        Ok(())
    }

    /// The number of users of the realm.
    pub fn len(&self) -> usize {
        self.accounts.load().len()
    }

    /// No line is of the realm: the file is probably meant for another one.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Store for Htdigest {
    fn look_up<'a>(&'a self, user: &'a str) -> LookUp<'a> {
        Box::pin(std::future::ready(Ok(self.accounts.load().get(user).cloned())))
    }
}

/// The accounts of `realm`, or the number of the first wrong line and what is wrong with it.
fn read(text: &[u8], realm: &str) -> Result<HashMap<String, Account>, (usize, LineError)> {
    let mut accounts = HashMap::new();
    for (number, line) in (1..).zip(text.split(|b| *b == b'\n')) {
        match Line::parse(line).map_err(|fault| (number, fault))? {
            Some(line) if line.realm == realm => add(&mut accounts, line).map_err(|fault| (number, fault))?,
            _ => {}
        }
    }
    Ok(accounts)
}

fn add(accounts: &mut HashMap<String, Account>, line: Line<'_>) -> Result<(), LineError> {
    match accounts.entry(line.user.to_owned()) {
        Entry::Vacant(entry) => {
            entry.insert(Account { ha1: line.ha1, relay: true });
        }
        Entry::Occupied(mut entry) => {
            let known = &mut entry.get_mut().ha1;
            if Algorithm::STRONGEST_FIRST.iter().any(|a| known.hex(*a).is_some() && line.ha1.hex(*a).is_some()) {
                return Err(LineError::Duplicate);
            }
            known.merge(&line.ha1);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use tempfile::NamedTempFile;

    use super::*;
    use crate::accounts::htdigest_line;

    const BOB: &str = "bob:relay.test:99477e34459fa0b8573440794b798a90";

    fn file(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    async fn md5(store: &Htdigest, user: &str) -> Option<String> {
        let account = store.look_up(user).await.unwrap()?;
        account.ha1.hex(Algorithm::Md5).map(str::to_owned)
    }

    #[tokio::test]
    async fn only_lines_of_the_realm_are_used() {
        let file =
            file(&format!("# users\n\n{BOB}\r\neve:other.test:{}\nann:relay.test:{}", "1".repeat(32), "2".repeat(32)));
        let store = Htdigest::open(file.path(), "relay.test").unwrap();
        assert_eq!(store.len(), 2);
        assert_eq!(md5(&store, "bob").await.unwrap(), "99477e34459fa0b8573440794b798a90");
        assert_eq!(md5(&store, "ann").await.unwrap(), "2".repeat(32));
        assert!(store.look_up("eve").await.unwrap().is_none());
        assert!(Htdigest::open(file.path(), "third.test").unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_user_has_a_line_for_each_algorithm() {
        let line = |a| htdigest_line("bob", "relay.test", "secret", a).unwrap();
        let file = file(&format!("{}\n{}\n", line(Algorithm::Md5), line(Algorithm::Sha256)));
        let store = Htdigest::open(file.path(), "relay.test").unwrap();
        let account = store.look_up("bob").await.unwrap().unwrap();
        assert!(account.relay);
        for algorithm in Algorithm::STRONGEST_FIRST {
            assert_eq!(account.ha1.hex(algorithm).map(str::len), Some(algorithm.response_len()));
        }
    }

    #[test]
    fn wrong_lines_are_named_by_number() {
        for (text, line, fault) in [
            (format!("#\n{BOB}\nrubbish"), 3, LineError::Fields),
            (format!("{BOB}\n{BOB}"), 2, LineError::Duplicate),
            ("eve:other.test:1".into(), 1, LineError::Ha1(crate::auth::Ha1Error::Length)),
        ] {
            let file = file(&text);
            let path = file.path().to_owned();
            let error = Htdigest::open(&path, "relay.test").err().unwrap();
            assert_eq!(error, HtdigestError::Line { path, line, fault });
        }
    }

    #[test]
    fn error_shows_no_secret() {
        let file = file(&format!("{BOB}\n{BOB}\n"));
        let error = Htdigest::open(file.path(), "relay.test").err().unwrap();
        assert!(!format!("{error} {error:?}").contains("99477e34"));
        assert!(error.to_string().ends_with(":2: the user has an HA1 of this algorithm already"), "{error}");
    }

    #[test]
    fn missing_file_is_an_error() {
        let path = tempfile::tempdir().unwrap().path().join("none");
        let error = Htdigest::open(&path, "relay.test").err().unwrap();
        assert_eq!(error, HtdigestError::Read { path, kind: io::ErrorKind::NotFound });
    }

    #[tokio::test]
    async fn reload_takes_the_new_content_or_keeps_the_old() {
        let file = file(BOB);
        let store = Htdigest::open(file.path(), "relay.test").unwrap();
        std::fs::write(file.path(), "rubbish").unwrap();
        assert!(store.reload().is_err());
        assert!(md5(&store, "bob").await.is_some(), "kept");
        std::fs::write(file.path(), BOB.replace("bob", "ann")).unwrap();
        store.reload().unwrap();
        assert!(md5(&store, "bob").await.is_none());
        assert!(md5(&store, "ann").await.is_some());
    }
}
