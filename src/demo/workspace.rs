//! A private directory for the relay's configuration, certificate and log.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::error::DemoError;

/// How much of a log is shown.
const TAIL: u64 = 4096;

/// A directory that only its owner can enter, and that is removed when dropped.
pub(super) struct Workspace {
    path: PathBuf,
}

impl Workspace {
    pub(super) fn new() -> Result<Workspace, DemoError> {
        let path = std::env::temp_dir().join(format!("chappe-demo-{}", random_hex()?));
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| DemoError::Workspace(error.kind()))?;
        Ok(Workspace { path })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a file that only its owner can read, in place of an earlier one.
    pub(super) fn write(&self, name: &str, content: &str) -> Result<(), DemoError> {
        let write = || -> io::Result<()> { self.create(name)?.write_all(content.as_bytes()) };
        write().map_err(|error| DemoError::Workspace(error.kind()))
    }

    /// Two handles on an empty file, for the two outputs of a process.
    pub(super) fn log(&self, name: &str) -> Result<(File, File), DemoError> {
        let open = || -> io::Result<(File, File)> {
            let file = self.create(name)?;
            Ok((file.try_clone()?, file))
        };
        open().map_err(|error| DemoError::Workspace(error.kind()))
    }

    /// The end of a file, as far as it can be read.
    pub(super) fn tail(&self, name: &str) -> String {
        tail(&self.path(name)).unwrap_or_default()
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(self.path(name))
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // What cannot be removed stays private.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut text = Vec::new();
    file.take(TAIL).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).trim().to_owned())
}

/// 32 random hex digits.
pub(super) fn random_hex() -> Result<String, DemoError> {
    let mut octets = [0; 16];
    getrandom::fill(&mut octets).map_err(|_| DemoError::Entropy)?;
    Ok(format!("{:032x}", u128::from_le_bytes(octets)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn secrets_are_private_and_do_not_outlive_the_demonstration() {
        let workspace = Workspace::new().unwrap();
        workspace.write("secret", "first").unwrap();
        workspace.write("secret", "second").unwrap();
        let path = workspace.path("secret");
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(workspace.tail("secret"), "second");
        assert_eq!(workspace.tail("absent"), "");
        drop(workspace);
        assert!(!path.exists() && !path.parent().unwrap().exists());
    }

    #[test]
    fn only_the_end_of_a_log_is_shown() {
        let workspace = Workspace::new().unwrap();
        let (mut log, _) = workspace.log("log").unwrap();
        log.write_all(&[b'a'; 9000]).unwrap();
        log.write_all(b"the end\n").unwrap();
        let tail = workspace.tail("log");
        assert!(tail.len() < 5000 && tail.ends_with("the end"));
    }
}
