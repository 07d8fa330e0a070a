//! Log lines on standard error, as text or JSON, with a filter that changes while the relay runs.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::spool::{Losses, Sink, Spool};
use crate::config::{Log, LogFormat, is_filter};

/// Lines that may wait for a slow terminal or pipe.
const DEPTH: usize = 4096;
/// The end of the process waits so long for the last lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the log is not as it was asked for.
#[derive(Debug, Error)]
pub enum LogError {
    /// Neither a level nor directives.
    #[error("{0:?} is no log level; write \"info\" or directives such as \"info,chappe::net=debug\"")]
    Filter(String),
    /// The process has a log already.
    #[error("the log was started twice")]
    Twice,
    /// The thread that writes could not be started.
    #[error("the log cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// Changes the filter of a running log.
#[derive(Clone)]
pub struct LogHandle {
    filter: reload::Handle<EnvFilter, Registry>,
    lines: Spool,
}

/// Writes the last lines when it is dropped: hold it until the process ends.
#[must_use = "the last lines of the log are written when this is dropped"]
pub struct Flush(Spool);

/// Starts the log of this process.
pub fn start(config: &Log) -> Result<(LogHandle, Flush), LogError> {
    let colours = config.format == LogFormat::Text && io::stderr().is_terminal();
    let lines = Spool::start("log", DEPTH, StandardError)?;
    let (subscriber, handle) = subscriber(config, lines.clone(), colours)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    Ok((handle, Flush(lines)))
}

impl LogHandle {
    /// Logs by this level or these directives from now on.
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        // A log that is gone needs no filter.
        let _ = self.filter.reload(parse(filter)?);
        Ok(())
    }

    /// The filter as it is now.
    pub fn current(&self) -> String {
        self.filter.with_current(EnvFilter::to_string).unwrap_or_default()
    }

    /// Lines that were lost.
    pub fn losses(&self) -> Losses {
        self.lines.losses()
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        self.0.flush(PATIENCE);
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let refused = || LogError::Filter(filter.to_owned());
    if !is_filter(filter) { Err(refused()) } else { EnvFilter::try_new(filter).map_err(|_| refused()) }
}

fn subscriber(
    config: &Log,
    lines: Spool,
    colours: bool,
) -> Result<(Box<dyn Subscriber + Send + Sync>, LogHandle), LogError> {
    let (filter, handle) = reload::Layer::new(parse(&config.level)?);
    let handle = LogHandle { filter: handle, lines: lines.clone() };
    let form = fmt::layer().with_writer(Lines(lines)).with_ansi(colours);
    let form = match config.format {
        LogFormat::Text => form.boxed(),
        LogFormat::Json => form.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
    };
    Ok((Box::new(tracing_subscriber::registry().with(filter).with(form)), handle))
}

/// A log that goes nowhere, for tests: the handle lives as long as the subscriber.
#[cfg(test)]
pub(crate) fn silent(level: &str) -> (Box<dyn Subscriber + Send + Sync>, LogHandle) {
    struct Nothing;
    impl Sink for Nothing {
        fn write_line(&mut self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }
    }
    let lines = Spool::start("log", 1, Nothing).expect("thread");
    subscriber(&Log { level: level.to_owned(), format: LogFormat::Text }, lines, false).expect("filter")
}

struct StandardError;

impl Sink for StandardError {
    fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
        io::stderr().lock().write_all(line)
    }
}

struct Lines(Spool);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(&self.0)
    }
}

/// The formatter hands over each line at once.
struct Line<'a>(&'a Spool);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.put(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    struct Kept(SyncSender<String>);

    impl Sink for Kept {
        fn write_line(&mut self, line: &[u8]) -> io::Result<()> {
            self.0.send(String::from_utf8_lossy(line).into_owned()).map_err(io::Error::other)
        }
    }

    /// What `log` writes with this level and format.
    pub(crate) fn logged(level: &str, format: LogFormat, log: impl FnOnce(&LogHandle)) -> Vec<String> {
        let (kept, lines): (_, Receiver<String>) = sync_channel(64);
        let spool = Spool::start("log", 64, Kept(kept)).expect("thread");
        let config = Log { level: level.to_owned(), format };
        let (subscriber, handle) = subscriber(&config, spool.clone(), false).expect("filter");
        tracing::subscriber::with_default(subscriber, || log(&handle));
        drop(Flush(spool));
        lines.try_iter().collect()
    }

    #[test]
    fn the_filter_changes_while_the_log_runs() {
        let lines = logged("warn", LogFormat::Text, |handle| {
            tracing::info!("before");
            handle.set("info").expect("level");
            tracing::info!("after");
            assert_eq!(handle.current(), "info");
            assert!(matches!(handle.set("loud"), Err(LogError::Filter(_))));
            assert_eq!(handle.current(), "info");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("INFO") && lines[0].ends_with("after\n"), "{lines:?}");
    }

    #[test]
    fn a_json_line_is_flat() {
        let lines = logged("info", LogFormat::Json, |_| tracing::info!(peer = "192.0.2.1", "hello"));
        let json: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
        assert_eq!((&json["peer"], &json["message"]), (&"192.0.2.1".into(), &"hello".into()));
    }
}
