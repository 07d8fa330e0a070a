//! From one configuration to the next without a restart, as a list of changes.

use std::fmt;

use thiserror::Error;

use super::{Admin, CertSource, Config, Records, SipListen};

/// A part that changes while the relay runs and no link is dropped. What it changes to stands in the new configuration.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// Certificate, key, CAs or the oldest TLS version. Always there when files are named: their contents may be new.
    Tls,
    /// The list of peer relays or their settings; a peer no longer listed loses that rank at its next request.
    PeerRelays,
    /// Users or the htdigest file. Always there when that file is named.
    Users,
    /// Algorithms, Expires, nonce life and the switches of `[auth]`.
    Auth,
    /// Next hops that clients may name; links already open stay.
    Policy,
    /// Limits; what is already above a lower limit stays.
    Limits,
    /// How requests are forwarded and how long a drain takes: the keys of `[relay]` that do not need a restart.
    Relay,
    /// All of `[sip]` but its listeners; calls that are there keep their route, and follow the rest from their next offer, answer
    /// or refresh on.
    Sip,
    /// The log level.
    LogLevel,
    /// Where session records go. Always there when they go to a file: it may have been rotated.
    Records,
    /// The admin interface's bearer token.
    AdminToken,
}

/// A key that is fixed when the process starts.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fixed {
    /// `relay.hostname`: it stands in every URI handed out.
    Hostname,
    /// `relay.realm`: every HA1 depends on it.
    Realm,
    /// `relay.shards`.
    Shards,
    /// `relay.engine`.
    Engine,
    /// `relay.node`.
    Node,
    /// `relay.pin`.
    Pin,
    /// `relay.handover`.
    Handover,
    /// `[[listen]]`.
    Listeners,
    /// `[[sip.listen]]`, and with it whether there is a control plane.
    SipListeners,
    /// `admin.address` and `admin.enabled`.
    AdminAddress,
    /// `log.format`.
    LogFormat,
}

/// The new configuration asks for something that only a restart can do; nothing of it is applied.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub struct NeedsRestart(
    /// At least one key, in the order of `config/chappe.toml`.
    pub Vec<Fixed>,
);

impl fmt::Display for NeedsRestart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.0.iter().map(|fixed| fixed.key()).collect();
        write!(f, "nothing was changed: a restart is needed for {}", keys.join(", "))
    }
}

impl Fixed {
    /// The key's path in the file.
    pub fn key(self) -> &'static str {
        match self {
            Fixed::Hostname => "relay.hostname",
            Fixed::Realm => "relay.realm",
            Fixed::Shards => "relay.shards",
            Fixed::Engine => "relay.engine",
            Fixed::Node => "relay.node",
            Fixed::Pin => "relay.pin",
            Fixed::Handover => "relay.handover",
            Fixed::Listeners => "listen",
            Fixed::SipListeners => "sip.listen",
            Fixed::AdminAddress => "admin.address",
            Fixed::LogFormat => "log.format",
        }
    }
}

/// What has to be done to get from `old` to `new`, in an order in which it can be done. All or nothing: half a file applied
/// would leave a state that stands in no file.
pub fn diff(old: &Config, new: &Config) -> Result<Vec<Change>, NeedsRestart> {
    let fixed = fixed(old, new);
    if fixed.is_empty() { Ok(changes(old, new)) } else { Err(NeedsRestart(fixed)) }
}

fn fixed(old: &Config, new: &Config) -> Vec<Fixed> {
    let address = |config: &Config| config.admin.as_ref().map(|admin| admin.address);
    let differences = [
        (Fixed::Hostname, old.relay.hostname != new.relay.hostname),
        (Fixed::Realm, old.relay.realm != new.relay.realm),
        (Fixed::Shards, old.relay.shards != new.relay.shards),
        (Fixed::Engine, old.relay.engine != new.relay.engine),
        (Fixed::Node, old.relay.node != new.relay.node),
        (Fixed::Pin, old.relay.pin != new.relay.pin),
        (Fixed::Handover, old.relay.handover != new.relay.handover),
        (Fixed::Listeners, old.listen != new.listen),
        (Fixed::SipListeners, sip_listeners(old) != sip_listeners(new)),
        (Fixed::AdminAddress, address(old) != address(new)),
        (Fixed::LogFormat, old.log.format != new.log.format),
    ];
    differences.into_iter().filter(|(_, differs)| *differs).map(|(fixed, _)| fixed).collect()
}

fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let token = |config: &Config| config.admin.clone().and_then(|Admin { token, .. }| token);
    let differences = [
        (Change::Tls, old.tls != new.tls || names_tls_files(new)),
        (Change::PeerRelays, old.peer_relay != new.peer_relay),
        (Change::Users, users_differ(old, new)),
        (Change::Auth, terms_differ(old, new)),
        (Change::Policy, old.policy != new.policy),
        (Change::Limits, old.limits != new.limits),
        // The fixed keys of the section are equal by now.
        (Change::Relay, old.relay != new.relay),
        (Change::Sip, old.sip != new.sip),
        (Change::LogLevel, old.log.level != new.log.level),
        (Change::Records, old.records != new.records || matches!(new.records, Some(Records::File(_)))),
        (Change::AdminToken, token(old) != token(new)),
    ];
    differences.into_iter().filter(|(_, differs)| *differs).map(|(change, _)| change).collect()
}

fn sip_listeners(config: &Config) -> &[SipListen] {
    config.sip.as_ref().map_or(&[], |sip| &sip.listen)
}

fn names_tls_files(config: &Config) -> bool {
    config
        .tls
        .as_ref()
        .is_some_and(|tls| tls.certificate != CertSource::InMemory || tls.client_ca.is_some() || tls.trust.is_some())
}

fn users_differ(old: &Config, new: &Config) -> bool {
    let (old, new) = (&old.auth, &new.auth);
    old.users != new.users || old.htdigest != new.htdigest || new.htdigest.is_some()
}

/// Everything in `[auth]` but the users.
fn terms_differ(old: &Config, new: &Config) -> bool {
    let mut old = old.auth.clone();
    old.users.clone_from(&new.auth.users);
    old.htdigest.clone_from(&new.auth.htdigest);
    old != new.auth
}
