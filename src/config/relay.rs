//! `[relay]`: who this relay is and how it treats what it forwards.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::document::{Found, Section};
use super::problem::Fault;
use super::value::choice;

/// Longest SEND chunk toward a next hop whose make we do not know (IOP-23): what every known receiver takes.
const MAX_CHUNK: u64 = 10_000;
/// Chunks that we make are not shorter (RFC 4975 section 7.1.1).
const MIN_CHUNK: u64 = 2048;
/// More shards than any machine has cores; a shard's label stays short.
const MAX_SHARDS: u32 = 1024;
/// Octets of the path of a Unix socket, with room for what stands behind it before it has its name.
const SOCKET_PATH: usize = 90;

/// `[relay]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Relay {
    /// Host of the URIs handed out; must be in the certificate. An IP address is allowed (IOP-17). IPv6 without brackets.
    pub hostname: String,
    /// Digest realm; the hostname unless configured.
    pub realm: String,
    /// Number of shards; none = one per core.
    pub shards: Option<usize>,
    /// What drives the sockets.
    pub engine: Engine,
    /// This process' number in a farm; the first part of every token's label.
    pub node: u16,
    /// Pin each shard's thread to its core.
    pub pin: bool,
    /// How long a drain waits for bound sessions to end.
    pub drain_timeout: Duration,
    /// The Unix socket by which a new process takes the listening sockets of this one; none where that is not wanted.
    pub handover: Option<PathBuf>,
    /// Longest SEND chunk in octets toward next hops of unknown make (IOP-23).
    pub max_chunk: u64,
    /// Forward requests whose method we do not know; otherwise they get 501 (RLY-66).
    pub forward_unknown_methods: bool,
    /// Methods that get 501 whatever `forward_unknown_methods` says (RLY-66), in upper case.
    pub blocked_methods: Vec<String>,
    /// Refuse with 415 every SEND whose top-level media type is not multipart/signed (RLY-101).
    pub require_signed: bool,
    /// How a chunk ends whose sender was lost in its midst (AMB-64).
    pub abort_flag: AbortFlag,
}

/// What drives the sockets of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// epoll under a current-thread tokio runtime.
    #[default]
    Tokio,
    /// io_uring; only where it was compiled in.
    IoUring,
}

/// The end of a chunk whose sender was lost (AMB-64).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AbortFlag {
    /// `#`: the receiver frees what it holds.
    #[default]
    Abort,
    /// `+`: the receiver waits for the rest, perhaps over another session.
    More,
}

choice!(Engine, "an engine", "\"tokio\" or \"io-uring\"", "tokio" => Engine::Tokio, "io-uring" => Engine::IoUring);
choice!(AbortFlag, "a continuation flag", "\"#\" or \"+\"", "#" => AbortFlag::Abort, "+" => AbortFlag::More);

impl Default for Relay {
    fn default() -> Relay {
        Relay {
            hostname: "localhost".to_owned(),
            realm: "localhost".to_owned(),
            shards: None,
            engine: Engine::default(),
            node: 0,
            pin: true,
            drain_timeout: Duration::from_secs(3600),
            handover: None,
            max_chunk: MAX_CHUNK,
            forward_unknown_methods: true,
            blocked_methods: Vec::new(),
            require_signed: false,
            abort_flag: AbortFlag::default(),
        }
    }
}

impl Relay {
    /// `loopback`: no listener can be reached from elsewhere, so that the default hostname will do.
    pub(super) fn read(mut section: Section<'_>, loopback: bool) -> Relay {
        let default = Relay::default();
        let hostname = hostname(&mut section, loopback).unwrap_or(default.hostname);
        let relay = Relay {
            realm: realm(&mut section).unwrap_or_else(|| hostname.clone()),
            hostname,
            shards: shards(&mut section),
            engine: engine(&mut section),
            node: section.or("node", default.node),
            pin: section.or("pin", default.pin),
            drain_timeout: section.or("drain_timeout", default.drain_timeout),
            handover: handover(&mut section),
            max_chunk: max_chunk(&mut section).unwrap_or(default.max_chunk),
            forward_unknown_methods: section.or("forward_unknown_methods", default.forward_unknown_methods),
            blocked_methods: blocked_methods(&mut section),
            require_signed: section.or("require_signed", default.require_signed),
            abort_flag: section.or("abort_flag", default.abort_flag),
        };
        section.close();
        relay
    }
}

fn hostname(section: &mut Section<'_>, loopback: bool) -> Option<String> {
    const MEND: &str = "a host name that is in the certificate, as \"relay.example.com\"";
    if !loopback && !section.has("hostname") {
        section.fault(section.place("hostname"), Fault::Missing { mend: MEND });
    }
    let Found { value, place } = section.take::<String>("hostname")?;
    if value.is_empty() {
        section.fault(place, Fault::Empty { mend: MEND });
        return None;
    }
    let host = host(&value);
    if host.is_none() {
        section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a host name", mend: MEND });
    }
    host
}

fn realm(section: &mut Section<'_>) -> Option<String> {
    const MEND: &str = "text without quotes, backslashes and control characters";
    let Found { value, place } = section.take::<String>("realm")?;
    if value.is_empty() {
        section.fault(place, Fault::Empty { mend: MEND });
        return None;
    }
    // It stands between quotes in a header, and each client repeats it: nothing that would need escaping.
    if value.contains(['"', '\\']) || value.chars().any(char::is_control) {
        section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a realm", mend: MEND });
        return None;
    }
    Some(value)
}

fn shards(section: &mut Section<'_>) -> Option<usize> {
    let Found { value, place } = section.take::<u32>("shards")?;
    if value > MAX_SHARDS {
        let range = Fault::Range { found: value.to_string(), low: "0".to_owned(), high: MAX_SHARDS.to_string() };
        section.fault(place, range);
    }
    (value > 0).then_some(value as usize)
}

fn engine(section: &mut Section<'_>) -> Engine {
    let Some(found) = section.take::<Engine>("engine") else { return Engine::default() };
    if found.value == Engine::IoUring && !IO_URING {
        section.fault(found.place, Fault::EngineNotBuilt);
    }
    found.value
}

/// Its directory may not be there yet: the service manager makes it when the process starts.
fn handover(section: &mut Section<'_>) -> Option<PathBuf> {
    let written = section.take::<String>("handover")?;
    let path = section.resolve(&written)?;
    if path.as_os_str().len() > SOCKET_PATH || path.is_dir() {
        let path = path.display().to_string();
        section.fault(written.place, Fault::NoSocket { path, most: SOCKET_PATH });
        return None;
    }
    Some(path)
}

/// Whether the io_uring engine is part of this program.
const IO_URING: bool = cfg!(feature = "io-uring");

/// `max_chunk`, of the relay and of a peer.
pub(super) fn max_chunk(section: &mut Section<'_>) -> Option<u64> {
    let octets = section.positive_if_any::<u64>("max_chunk")?;
    if octets < MIN_CHUNK {
        let high = u64::MAX.to_string();
        let range = Fault::Range { found: octets.to_string(), low: MIN_CHUNK.to_string(), high };
        section.fault(section.place("max_chunk"), range);
    }
    Some(octets)
}

fn blocked_methods(section: &mut Section<'_>) -> Vec<String> {
    let mut methods = Vec::new();
    for Found { value, place } in section.list::<String>("blocked_methods").unwrap_or_default() {
        if matches!(value.as_str(), "SEND" | "REPORT" | "AUTH") {
            section.fault(place, Fault::MethodNeeded(value));
        } else if value.is_empty() || !value.bytes().all(|octet| octet.is_ascii_uppercase() || octet == b'_') {
            let mend = "it in capital letters, as \"NICKNAME\"";
            section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a method", mend });
        } else {
            methods.push(value);
        }
    }
    methods
}

/// A host name in lower case, or an IP address without brackets.
pub(super) fn host(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Ok(address) = bare.unwrap_or(text).parse::<IpAddr>() {
        // Brackets belong to IPv6 only.
        return (bare.is_none() || address.is_ipv6()).then(|| address.to_string());
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'))
    };
    // RFC 1123 2.1: a last label of digits only is an address gone wrong.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|octet| octet.is_ascii_digit()));
    (name.len() <= 253 && !numeric && name.split('.').all(label)).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn a_host_is_a_name_or_an_address() {
        assert_eq!(host("Relay.Example.").as_deref(), Some("relay.example"));
        assert_eq!(host("[2001:DB8::1]").as_deref(), Some("2001:db8::1"));
        assert_eq!(host("192.0.2.1").as_deref(), Some("192.0.2.1"));
        for wrong in ["", ".", "a..b", "-a", "a b", "300.0.0.1", "[192.0.2.1]", "a/b", "é.example", "a:1"] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
    }
}
