//! A peer as a process: its directory, its output, its end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{PATIENCE, Transport};

/// How often files and states are looked at that nobody announces.
const LOOK: Duration = Duration::from_millis(5);

/// A running program in a directory of its own, ended when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    directory: tempfile::TempDir,
    signal: &'static str,
}

impl Process {
    /// Starts a program, its output in `output.txt`. `signal` is what ends it together with its children.
    pub fn start(
        name: &str,
        directory: tempfile::TempDir,
        signal: &'static str,
        mut command: Command,
        installer: &str,
    ) -> Process {
        let output = File::create(directory.path().join("output.txt")).expect("file");
        let child = command
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("file"))
            .stderr(output)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start ({error}); {installer} installs it"));
        Process { name: name.to_owned(), child, directory, signal }
    }

    /// A file of its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The text of a file of its directory; empty while there is none.
    pub fn read(&self, name: &str) -> String {
        fs::read(self.path(name)).map(|octets| String::from_utf8_lossy(&octets).into_owned()).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("wait")
    }

    /// Waits for its end.
    pub async fn end(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(Instant::now() < deadline, "{} does not end:\n{}", self.name, self.read("output.txt"));
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until it listens on this port of loopback. The system is asked, not the program: a connection to try it would
    /// be a call for some of them.
    pub async fn listens(&mut self, transport: Transport, port: u16) {
        let deadline = Instant::now() + PATIENCE;
        while !listening(transport, port) {
            if let Some(status) = self.ended() {
                panic!("{} has ended ({status}):\n{}", self.name, self.read("output.txt"));
            }
            assert!(Instant::now() < deadline, "{} does not listen on {port}", self.name);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until a file has a line for which this gives something.
    pub async fn line<T>(&mut self, file: &str, patience: Duration, found: impl Fn(&str) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + patience;
        loop {
            // Asked before the file is read: what was written last is then not missed.
            let over = self.ended().is_some() || Instant::now() > deadline;
            let text = self.read(file);
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            if let Some(found) = whole.lines().find_map(&found) {
                return Some(found);
            }
            if over {
                return None;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = Command::new("kill").arg(self.signal).arg(self.child.id().to_string()).status();
            let deadline = Instant::now() + PATIENCE;
            while self.child.try_wait().is_ok_and(|s| s.is_none()) && Instant::now() < deadline {
                std::thread::sleep(LOOK);
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- {}:\n{}", self.name, self.read("output.txt"));
        }
    }
}

/// Whether somebody listens on this port of 127.0.0.1, or of all addresses.
fn listening(transport: Transport, port: u16) -> bool {
    let (table, state) = match transport {
        Transport::Udp => ("/proc/net/udp", "07"),
        Transport::Tcp => ("/proc/net/tcp", "0A"),
    };
    let table = fs::read_to_string(Path::new(table)).expect("Linux");
    let wanted = [format!("0100007F:{port:04X}"), format!("00000000:{port:04X}")];
    table.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let local = fields.next().unwrap_or_default();
        wanted.iter().any(|w| w == local) && fields.nth(1) == Some(state)
    })
}
