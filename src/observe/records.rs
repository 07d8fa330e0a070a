//! Session records: one JSON line for each session that ended, to a file or to standard output.

#![expect(clippy::disallowed_methods, reason = "a record carries the date, and complaints are rare")]

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwap;
use serde::Serialize;

use super::rfc3339::rfc3339;
use super::spool::{Losses, Sink, Spool};
use crate::config::Records;
use crate::relay::SessionRecord;

/// Records that may wait for the disk; each has a few hundred octets.
const DEPTH: usize = 4096;
/// Complaints about a file that takes nothing come no more often than this.
const COMPLAINT: Duration = Duration::from_secs(60);
/// A stop waits so long for the last records.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes session records without ever making a shard wait.
pub struct RecordWriter {
    spool: Spool,
    target: Arc<ArcSwap<Target>>,
}

enum Target {
    Nowhere,
    StandardOutput,
    File(File),
}

impl RecordWriter {
    /// Opens what the configuration names (appending to a file) and starts the writing thread.
    pub fn start(records: Option<&Records>) -> io::Result<RecordWriter> {
        let target = Arc::new(ArcSwap::from_pointee(Target::open(records)?));
        let sink = Output { target: target.clone(), torn: false, complained: None };
        Ok(RecordWriter { spool: Spool::start("records", DEPTH, sink)?, target })
    }

    /// Whether what the configuration names can be opened; a file that is not there is made. Blocks as long as its disk.
    pub fn try_open(records: Option<&Records>) -> io::Result<()> {
        Target::open(records).map(drop)
    }

    /// Opens anew, for a reload: the same file after its rotation, or another target. On an error the old one stays.
    pub fn redirect(&self, records: Option<&Records>) -> io::Result<()> {
        self.target.store(Arc::new(Target::open(records)?));
        Ok(())
    }

    /// Leaves the record of a session that ended just now to the writing thread.
    pub fn write(&self, record: &SessionRecord, call: Option<&CallOfSession>) {
        if matches!(**self.target.load(), Target::Nowhere) {
            return;
        }
        self.spool.put(&line(record, call, SystemTime::now()));
    }

    /// Waits for the records written so far, for up to 5 seconds; before the process ends.
    pub fn flush(&self) {
        self.spool.flush(PATIENCE);
    }

    /// Records that were lost.
    pub fn losses(&self) -> Losses {
        self.spool.losses()
    }
}

impl Target {
    fn open(records: Option<&Records>) -> io::Result<Target> {
        Ok(match records {
            None => Target::Nowhere,
            Some(Records::StandardOutput) => Target::StandardOutput,
            // Who talked with whom is not for everybody on this machine.
            Some(Records::File(path)) => {
                Target::File(OpenOptions::new().append(true).create(true).mode(0o640).open(path)?)
            }
        })
    }
}

#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    user: &'a str,
    owner: Option<IpAddr>,
    relay: Option<&'a str>,
    far_host: Option<&'a str>,
    messages_from_owner: u64,
    messages_to_owner: u64,
    octets_from_owner: u64,
    octets_to_owner: u64,
    reason: &'a str,
    started: String,
    ended: String,
    duration_ms: u64,
    #[serde(flatten)]
    call: Option<&'a CallOfSession>,
}

/// What the record of an anchored session says of its call.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CallOfSession {
    /// Call-ID of the caller's leg: its hash, unless the configuration says otherwise.
    pub call_id: String,
    /// Who ended the call: `caller`, `callee` or `relay`; none while it goes on without this session.
    pub ended_by: Option<&'static str>,
    /// How it ended.
    pub call_end: Option<&'static str>,
    /// From its answer to its end, in milliseconds.
    pub call_ms: Option<u64>,
}

fn line(record: &SessionRecord, call: Option<&CallOfSession>, ended: SystemTime) -> Vec<u8> {
    let line = Line {
        id: &record.id,
        user: &record.user,
        owner: record.owner.map(|peer| peer.ip()),
        relay: record.relay.as_deref(),
        far_host: record.far_host.as_deref(),
        messages_from_owner: record.tally.messages_from_owner,
        messages_to_owner: record.tally.messages_to_owner,
        octets_from_owner: record.tally.octets_from_owner,
        octets_to_owner: record.tally.octets_to_owner,
        reason: record.end.word(),
        started: rfc3339(ended.checked_sub(record.duration).unwrap_or(ended)),
        ended: rfc3339(ended),
        duration_ms: u64::try_from(record.duration.as_millis()).unwrap_or(u64::MAX),
        call,
    };
    // Texts and numbers always serialize.
    let mut line = serde_json::to_vec(&line).unwrap_or_default();
    line.push(b'\n');
    line
}

/// The thread's side.
struct Output {
    target: Arc<ArcSwap<Target>>,
    /// The last line broke off in its middle (a full disk): the next one must not continue it.
    torn: bool,
    complained: Option<Instant>,
}

impl Sink for Output {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        let target = self.target.load_full();
        let written = match &*target {
            Target::Nowhere => Ok(()),
            Target::StandardOutput => whole(&mut io::stdout().lock(), line, &mut self.torn),
            Target::File(file) => whole(&mut &*file, line, &mut self.torn),
        };
        written.inspect_err(|error| self.complain(error))
    }
}

impl Output {
    fn complain(&mut self, error: &io::Error) {
        let now = Instant::now();
        if self.complained.is_none_or(|last| now.duration_since(last) >= COMPLAINT) {
            self.complained = Some(now);
            tracing::error!(%error, "session records are lost: they cannot be written; free the disk, or change records.path and reload");
        }
    }
}

fn whole(sink: &mut impl Write, line: &[u8], torn: &mut bool) -> io::Result<()> {
    if *torn {
        sink.write_all(b"\n")?;
        *torn = false;
    }
    let mut rest = line;
    while !rest.is_empty() {
        match sink.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(n) => rest = &rest[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        *torn = !rest.is_empty();
    }
    sink.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relay::{SessionEnd, Tally};
    use std::fs;
    use std::path::Path;
    use std::time::UNIX_EPOCH;

    fn record(user: &str) -> SessionRecord {
        SessionRecord {
            id: "00112233445566ff".to_owned(),
            user: user.into(),
            owner: Some("192.0.2.7:40000".parse().expect("address")),
            relay: None,
            far_host: Some("relay.example".to_owned()),
            tally: Tally { octets_from_owner: 10, octets_to_owner: 20, messages_from_owner: 1, messages_to_owner: 2 },
            duration: Duration::from_millis(61_500),
            end: SessionEnd::OwnerGone,
        }
    }

    fn users(path: &Path) -> Vec<String> {
        let text = fs::read_to_string(path).expect("file");
        let user = |line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["user"].to_string();
        text.lines().map(user).collect()
    }

    #[test]
    fn a_record_is_one_json_line_with_utc_times() {
        let text = line(&record("alice\n\"x\""), None, UNIX_EPOCH + Duration::from_secs(120));
        assert_eq!(text.iter().filter(|octet| **octet == b'\n').count(), 1);
        let json: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let expected = serde_json::json!({
            "id": "00112233445566ff", "user": "alice\n\"x\"", "owner": "192.0.2.7", "relay": null, "far_host": "relay.example",
            "messages_from_owner": 1, "messages_to_owner": 2, "octets_from_owner": 10, "octets_to_owner": 20,
            "reason": "owner_gone", "started": "1970-01-01T00:00:58.500Z", "ended": "1970-01-01T00:02:00.000Z",
            "duration_ms": 61_500,
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn records_are_appended_and_a_rotated_file_is_opened_again() {
        let directory = tempfile::tempdir().expect("directory");
        let (path, rotated) = (directory.path().join("sessions.jsonl"), directory.path().join("sessions.jsonl.1"));
        let records = Records::File(path.clone());
        let writer = RecordWriter::start(Some(&records)).expect("writer");
        writer.write(&record("alice"), None);
        writer.flush();
        fs::rename(&path, &rotated).expect("rotation");
        writer.redirect(Some(&records)).expect("reload");
        writer.write(&record("bob"), None);
        writer.flush();
        assert_eq!((users(&rotated), users(&path)), (vec!["\"alice\"".to_owned()], vec!["\"bob\"".to_owned()]));
        assert!(writer.redirect(Some(&Records::File(directory.path().join("none/x")))).is_err());
        writer.write(&record("carol"), None);
        writer.redirect(None).expect("reload");
        writer.write(&record("dave"), None);
        writer.flush();
        assert!(!users(&path).contains(&"\"dave\"".to_owned()));
        assert_eq!(writer.losses(), Losses::default());
    }

    #[test]
    fn a_full_disk_costs_records_and_nothing_else() {
        let writer = RecordWriter::start(Some(&Records::File("/dev/full".into()))).expect("writer");
        writer.write(&record("alice"), None);
        writer.write(&record("bob"), None);
        writer.flush();
        assert_eq!(writer.losses(), Losses { full: 0, failed: 2 });
    }

    #[test]
    fn a_line_after_a_torn_one_stands_alone() {
        struct Tearing(Vec<u8>, usize);
        impl Write for Tearing {
            fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
                let n = octets.len().min(self.1);
                self.1 -= n;
                self.0.extend_from_slice(&octets[..n]);
                if n == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(n) }
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut sink, mut torn) = (Tearing(Vec::new(), 5), false);
        assert!(whole(&mut sink, b"first\n", &mut torn).is_err());
        assert!(whole(&mut sink, b"second\n", &mut torn).is_err());
        sink.1 = 100;
        whole(&mut sink, b"third\n", &mut torn).expect("room");
        assert_eq!(String::from_utf8(sink.0).expect("text"), "first\nthird\n");
    }
}
