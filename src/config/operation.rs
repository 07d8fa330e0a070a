//! `[admin]`, `[log]` and `[records]`: how the relay is watched and steered.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::document::{Found, Section};
use super::listen::Listen;
use super::problem::Fault;
use super::secret::Secret;
use super::value::choice;

/// `[admin]`: the HTTP interface for health, metrics and commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Admin {
    /// Address to bind.
    pub address: SocketAddr,
    /// Bearer token; there is always one outside loopback.
    pub token: Option<Secret>,
}

/// `[log]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Log {
    /// A level, or directives such as `info,chappe::net=debug`.
    pub level: String,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// `[records]`: where session records (one JSON line each) go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Records {
    /// Written as `"-"`.
    StandardOutput,
    /// Appended to this file.
    File(PathBuf),
}

choice!(LogFormat, "a log format", "\"text\" or \"json\"", "text" => LogFormat::Text, "json" => LogFormat::Json);

impl Default for Admin {
    fn default() -> Admin {
        Admin { address: SocketAddr::from((Ipv4Addr::LOCALHOST, 9855)), token: None }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log { level: "info".to_owned(), format: LogFormat::default() }
    }
}

impl Admin {
    /// None when it is switched off.
    pub(super) fn read(mut section: Section<'_>, listen: &[Listen]) -> Option<Admin> {
        let enabled = section.or("enabled", true);
        let address = section.or("address", Admin::default().address);
        let place = section.place("address");
        let token = section.take::<Secret>("token");
        if let Some(found) = token.as_ref().filter(|found| found.value.expose().is_empty()) {
            section.fault(found.place.clone(), Fault::Empty { mend: "a long random text" });
        }
        if enabled && !address.ip().is_loopback() && token.is_none() {
            section.fault(place.clone(), Fault::AdminWithoutToken);
        }
        let same = listen.iter().position(|listen| listen.address == address && address.port() != 0);
        if let Some(index) = same.filter(|_| enabled) {
            let duplicate = Fault::Duplicate { found: address.to_string(), first: format!("listen[{index}].address") };
            section.fault(place, duplicate);
        }
        section.close();
        enabled.then(|| Admin { address, token: token.map(|found| found.value) })
    }
}

impl Log {
    pub(super) fn read(mut section: Section<'_>) -> Log {
        let level = level(&mut section).unwrap_or_else(|| Log::default().level);
        let log = Log { level, format: section.or("format", LogFormat::default()) };
        section.close();
        log
    }
}

fn level(section: &mut Section<'_>) -> Option<String> {
    let Found { value, place } = section.take::<String>("level")?;
    if !is_filter(&value) {
        let mend =
            "\"error\", \"warn\", \"info\", \"debug\", \"trace\" or directives such as \"info,chappe::net=debug\"";
        section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a log level", mend });
        return None;
    }
    Some(value)
}

/// Levels and `target=level` directives between commas. Stricter than the logging library, which takes a misspelt level
/// for a target.
pub fn is_filter(text: &str) -> bool {
    text.split(',').map(str::trim).all(|directive| match directive.split_once('=') {
        Some((target, level)) => is_target(target) && is_level(level),
        None => is_level(directive),
    })
}

fn is_target(target: &str) -> bool {
    !target.is_empty()
        && target.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b':' | b'-'))
}

fn is_level(level: &str) -> bool {
    ["off", "error", "warn", "info", "debug", "trace"].iter().any(|known| level.eq_ignore_ascii_case(known))
}

impl Records {
    /// None when no path is written.
    pub(super) fn read(mut section: Section<'_>) -> Option<Records> {
        let records = section.take::<String>("path").and_then(|path| records(&section, path));
        section.close();
        records
    }
}

fn records(section: &Section<'_>, written: Found<String>) -> Option<Records> {
    if written.value == "-" {
        return Some(Records::StandardOutput);
    }
    let path = section.resolve(&written)?;
    // A bare file name has the empty path as its parent.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.is_dir() || !directory.is_dir() {
        section.fault(written.place, Fault::NoDirectory { path: path.display().to_string() });
        return None;
    }
    Some(Records::File(path))
}
