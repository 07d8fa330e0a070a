//! `[sip]`: the control plane. It is off unless there is a `[[sip.listen]]`.

use std::collections::HashMap;
use std::time::Duration;

use super::auth::whole_seconds;
use super::document::{Found, Section};
use super::listen::Listen;
use super::operation::Admin;
use super::problem::Fault;
use super::relay::host;
use super::value::choice;

mod listen;
mod media;
mod route;

pub use self::listen::{SipListen, SipName};
pub use self::media::Media;
pub use crate::sip::routing::{Domain, DomainError, Hop, HopError, Route};
pub use crate::sip::transport::{Network, NetworkError};
pub use crate::sip::way::Protocol;

use crate::relay::policy::{Rule, Target};

/// The shortest session interval (RFC 4028 section 4).
const LEAST_SESSION: Duration = Duration::from_secs(90);

/// `[sip]`, `[[sip.listen]]`, `[[sip.route]]` and `[sip.media]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Sip {
    /// Where SIP comes in; at least one.
    pub listen: Vec<SipListen>,
    /// Where all requests of ours go that start a dialog.
    pub outbound_proxy: Option<Hop>,
    /// Ask the DNS (RFC 3263) for what no route names; otherwise such requests get 404.
    pub resolve: bool,
    /// `[[sip.route]]`, in the order of the file; no domain twice.
    pub routes: Vec<Route>,
    /// Networks whose requests are served without more.
    pub trusted: Vec<Network>,
    /// Names in client certificates whose requests are served without more; lower case. Verified with `tls.client_ca`.
    pub trusted_certificates: Vec<String>,
    /// What becomes of the requests of all others.
    pub untrusted: Untrusted,
    /// Where requests may go that no rule of the operator leads, although they would be refused.
    pub allow_targets: Vec<Rule>,
    /// Where they may not go, although they might.
    pub deny_targets: Vec<Rule>,
    /// Session-Expires that we ask for (RFC 4028), in whole seconds.
    pub session_expires: Duration,
    /// Min-SE (RFC 4028 section 5), in whole seconds; at least 90 s.
    pub min_session_expires: Duration,
    /// How long an INVITE may go without a final answer or a provisional one other than 100 (Timer C, RFC 3261 section 16.6). An
    /// anchor waits 10 s longer for its answer, from the offer on.
    pub setup_timeout: Duration,
    /// Pairs of dialogs; beyond it 503.
    pub max_calls: u32,
    /// Connections of one caller's media that may fail in a minute; then its calls get 503.
    pub failed_connects: u32,
    /// Transactions of both kinds; beyond it 503.
    pub max_transactions: u32,
    /// Messages of one untrusted address in a second.
    pub messages_per_second: u32,
    /// How many of them may come at once.
    pub burst: u32,
    /// Connections of one address.
    pub connections_per_address: u32,
    /// What the caller sees of an INVITE that was forked.
    pub forks: Forks,
    /// Logs and records have a hash of the Call-ID, which often tells the caller's address.
    pub hash_call_id: bool,
    /// Rules of session descriptions.
    pub media: Media,
}

/// What becomes of requests from those who are not trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Untrusted {
    /// 403.
    #[default]
    Reject,
    /// Digest with the realm and the users of `[auth]` (RFC 3261 section 22).
    Digest,
}

/// What the caller sees of an INVITE that was forked behind us (RFC 3261 section 13.2.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Forks {
    /// One early dialog, that of the first branch; for callers that cannot do several.
    First,
    /// An early dialog for each branch.
    #[default]
    Each,
}

choice!(Untrusted, "a way with strangers", "\"reject\" or \"digest\"", "reject" => Untrusted::Reject, "digest" => Untrusted::Digest);
choice!(Forks, "a way with forks", "\"first\" or \"each\"", "first" => Forks::First, "each" => Forks::Each);

/// What else of the file matters here.
pub(super) struct Around<'a> {
    /// There is a `[tls]`.
    pub(super) tls: bool,
    /// There is a `tls.client_ca`.
    pub(super) verifiable: bool,
    /// Addresses that are taken.
    pub(super) listen: &'a [Listen],
    /// One more.
    pub(super) admin: Option<&'a Admin>,
}

impl Default for Sip {
    /// Without listeners.
    fn default() -> Sip {
        Sip {
            listen: Vec::new(),
            outbound_proxy: None,
            resolve: true,
            routes: Vec::new(),
            trusted: Vec::new(),
            trusted_certificates: Vec::new(),
            untrusted: Untrusted::default(),
            allow_targets: Vec::new(),
            deny_targets: Vec::new(),
            session_expires: Duration::from_secs(1800),
            min_session_expires: Duration::from_secs(300),
            setup_timeout: Duration::from_secs(190),
            max_calls: 10_000,
            failed_connects: 30,
            max_transactions: 200_000,
            messages_per_second: 50,
            burst: 100,
            connections_per_address: 64,
            forks: Forks::default(),
            hash_call_id: true,
            media: Media::default(),
        }
    }
}

impl Sip {
    /// None without a listener; what stands in the section is checked all the same.
    pub(super) fn read(mut section: Section<'_>, around: &Around<'_>) -> Option<Sip> {
        let default = Sip::default();
        let off = section.is_empty_list("listen");
        let listen = listen::read(&mut section, around);
        for key in ["outbound_proxy", "route"].into_iter().filter(|key| off && section.has(key)) {
            section.fault(section.place(key), Fault::NoSipListener);
        }
        let loopback = listen.iter().all(|listen| listen.address.ip().is_loopback());
        let sip = Sip {
            outbound_proxy: section.take::<String>("outbound_proxy").and_then(|found| route::hop(&section, found)),
            resolve: section.or("resolve", default.resolve),
            routes: route::read(&mut section),
            trusted: networks(&mut section, "trusted")
                .unwrap_or_else(|| if loopback { loopback_networks() } else { Vec::new() }),
            trusted_certificates: certificates(&mut section, around.verifiable),
            untrusted: section.or("untrusted", default.untrusted),
            allow_targets: targets(&mut section, "allow_targets"),
            deny_targets: targets(&mut section, "deny_targets"),
            session_expires: whole_seconds(&mut section, "session_expires", default.session_expires),
            min_session_expires: whole_seconds(&mut section, "min_session_expires", default.min_session_expires),
            setup_timeout: section.positive("setup_timeout", default.setup_timeout),
            max_calls: section.positive("max_calls", default.max_calls),
            failed_connects: section.positive("failed_connects_per_user_per_minute", default.failed_connects),
            max_transactions: section.positive("max_transactions", default.max_transactions),
            messages_per_second: section.positive("messages_per_second", default.messages_per_second),
            burst: section.positive("burst", default.burst),
            connections_per_address: section.positive("connections_per_address", default.connections_per_address),
            forks: section.or("forks", default.forks),
            hash_call_id: section.or("hash_call_id", default.hash_call_id),
            media: Media::read(section.section("media")),
            listen,
        };
        sip.check(&section);
        section.close();
        (!sip.listen.is_empty()).then_some(sip)
    }

    fn check(&self, section: &Section<'_>) {
        if self.min_session_expires < LEAST_SESSION {
            let found = format!("{}s", self.min_session_expires.as_secs());
            let low = format!("{}s", LEAST_SESSION.as_secs());
            let range = Fault::Range { found, low, high: "365days".to_owned() };
            section.fault(section.place("min_session_expires"), range);
        }
        let order = |smaller, larger| {
            let key = if section.has(smaller) { smaller } else { larger };
            section.fault(section.place(key), Fault::Order { smaller, larger });
        };
        if self.min_session_expires > self.session_expires {
            order("min_session_expires", "session_expires");
        }
        if self.messages_per_second > self.burst {
            order("messages_per_second", "burst");
        }
    }
}

/// Everything on this machine.
pub(super) fn loopback_networks() -> Vec<Network> {
    ["127.0.0.0/8", "::1/128"].iter().flat_map(|text| text.parse()).collect()
}

/// Networks and addresses: a target's name is not known any more when it is judged.
fn targets(section: &mut Section<'_>, key: &'static str) -> Vec<Rule> {
    let mut rules = Vec::new();
    for Found { value, place } in section.list::<String>(key).unwrap_or_default() {
        let found = || format!("{value:?}");
        match value.parse::<Rule>() {
            Ok(rule @ Rule { target: Target::Net { .. }, .. }) => rules.push(rule),
            Ok(_) => section.fault(place, Fault::Network { found: found(), why: NetworkError::Address }),
            Err(why) => section.fault(place, Fault::Rule { found: found(), why }),
        }
    }
    rules
}

/// A list of networks, if the key is there.
pub(super) fn networks(section: &mut Section<'_>, key: &'static str) -> Option<Vec<Network>> {
    let mut networks = Vec::new();
    for Found { value, place } in section.list::<String>(key)? {
        match value.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(why) => section.fault(place, Fault::Network { found: format!("{value:?}"), why }),
        }
    }
    Some(networks)
}

fn certificates(section: &mut Section<'_>, verifiable: bool) -> Vec<String> {
    let written = section.list::<String>("trusted_certificates").unwrap_or_default();
    if !verifiable && !written.is_empty() {
        section.fault(section.place("trusted_certificates"), Fault::CertificateWithoutCa);
    }
    let mut first = HashMap::new();
    let mut names = Vec::new();
    for Found { value, place } in written {
        let Some(name) = host(&value).filter(|name| name.parse::<std::net::IpAddr>().is_err()) else {
            let mend = "a dNSName of the certificate, as \"proxy.example.com\"";
            section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a host name", mend });
            continue;
        };
        match first.get(&name) {
            Some(first) => {
                let duplicate = Fault::Duplicate { found: name, first: String::clone(first) };
                section.fault(place, duplicate);
            }
            None => {
                first.insert(name.clone(), place.key);
                names.push(name);
            }
        }
    }
    names
}
