//! A reload in rehearsal: all that a configuration names is read once on a thread of its own. A file on a disk that does not
//! answer holds that thread, and not the task that hears signals and orders.

use std::path::PathBuf;
use std::time::Duration;

use chappe::admin::Refused;
use chappe::config::Config;
use chappe::net::server::examine;
use chappe::observe::RecordWriter;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;

/// All files together have to be read within this.
const READING: Duration = Duration::from_secs(5);

type Remarks = Result<Vec<String>, Refused>;

/// At most one thread that still reads.
#[derive(Default)]
pub(crate) struct Rehearsal {
    /// It had to be left alone: it waits for a file.
    stuck: Option<JoinHandle<Remarks>>,
}

impl Rehearsal {
    /// Reads `file` and what it names: remarks, or why a reload would fail. Takes 5 s at most.
    pub(crate) async fn read(&mut self, file: PathBuf) -> Remarks {
        if self.stuck.as_ref().is_some_and(|stuck| !stuck.is_finished()) {
            return failed("an earlier reload still waits for a file that does not come");
        }
        let mut reading = spawn_blocking(move || read(&file));
        match timeout(READING, &mut reading).await {
            Ok(read) => read.unwrap_or_else(failed),
            Err(_) => {
                self.stuck = Some(reading);
                let seconds = READING.as_secs();
                failed(format!(
                    "a file that the configuration names did not come within {seconds} s; is its disk there?"
                ))
            }
        }
    }
}

fn read(file: &std::path::Path) -> Remarks {
    let config = Config::load(file)?;
    let remarks = examine(&config).or_else(failed)?;
    RecordWriter::try_open(config.records.as_ref()).or_else(|error| failed(format!("records.path: {error}")))?;
    Ok(remarks)
}

fn failed<T>(why: impl ToString) -> Result<T, Refused> {
    Err(Refused::Failed(why.to_string()))
}
