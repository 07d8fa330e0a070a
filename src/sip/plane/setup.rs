//! What the configuration means to the control plane.

use std::net::SocketAddr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::config::{Config, Forks as ConfigForks, Sip};
use crate::net::server::Server;
use crate::observe::CallOfSession;
use crate::relay::Authority;
use crate::sdp::Fingerprint;
use crate::sip::b2bua::session_timer::Wishes;
use crate::sip::b2bua::{CallRecord, Forks, MediaSettings, MsrpListener, Settings};
use crate::sip::digest::Terms;
use crate::sip::listeners::{Listener, Listeners};
use crate::sip::routing::{Means, Routes};
use crate::sip::setup;
use crate::sip::transaction;
use crate::sip::way::Protocol;

/// Octets of the hash of a Call-ID that are told.
const HASH: usize = 12;

/// All that the thread is told, at its start and at each reload.
pub struct Setup {
    pub(super) b2bua: Settings,
    pub(super) transactions: transaction::Settings,
    pub(super) routes: Routes,
    pub(super) means: Means,
    /// How strangers show who they are; without it they may do nothing.
    pub(super) digest: Option<Terms>,
    hash_call_id: bool,
}

impl Setup {
    /// From the configuration, for listeners bound to `bound`.
    pub(super) fn of(config: &Config, sip: &Sip, server: &Server, bound: &[(Protocol, SocketAddr)]) -> Setup {
        let names = setup::names(sip, bound);
        let listeners = listeners(&names, bound);
        let core = server.shared.settings.load();
        let own: Vec<SocketAddr> = bound.iter().map(|(_, address)| *address).collect();
        let host = names.first().map_or_else(|| config.relay.hostname.clone(), |(_, host, _)| host.clone());
        Setup {
            b2bua: Settings {
                host,
                listeners: listeners.clone(),
                egress: setup::egress(sip, &[own, core.policy.own.clone()].concat()),
                media: MediaSettings {
                    rules: setup::rules(&sip.media),
                    secure_fingerprints: sip.media.fingerprints_need_secure_sip,
                    listeners: media(&core.authorities, &server.listening),
                    fingerprints: server.certificate(config).map_or(Arc::new([]), |leaf| Fingerprint::of(&leaf)),
                    within: sip.media.media_timeout,
                },
                timers: Wishes { interval: sip.session_expires, minimum: sip.min_session_expires },
                calls: sip.max_calls as usize,
                failed_connects: sip.failed_connects,
                forks: match sip.forks {
                    ConfigForks::Each => Forks::Each,
                    ConfigForks::First => Forks::First,
                },
                capability: "message/cpim text/plain *".to_owned(),
            },
            transactions: transactions(sip, listeners),
            routes: setup::routes(sip, bound),
            means: setup::means(bound),
            digest: setup::digest(config, sip),
            hash_call_id: sip.hash_call_id,
        }
    }

    /// A Call-ID as logs and records have it.
    pub(super) fn redacted(&self, call_id: &str) -> String {
        if !self.hash_call_id {
            return call_id.to_owned();
        }
        Sha256::digest(call_id).iter().take(HASH).map(|octet| format!("{octet:02x}")).collect()
    }

    /// What a record says of a call.
    pub(super) fn told(&self, call_id: &str, ended: Option<&CallRecord>) -> CallOfSession {
        CallOfSession {
            call_id: self.redacted(call_id),
            ended_by: ended.map(|call| call.by.word()),
            call_end: ended.map(|call| call.cause.word()),
            call_ms: ended.and_then(|call| call.duration).map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// The data plane's listeners, both in the order of the file.
fn media(names: &[Authority], bound: &[SocketAddr]) -> Vec<MsrpListener> {
    names.iter().zip(bound).map(|(name, bound)| MsrpListener { name: name.clone(), bound: *bound }).collect()
}

fn transactions(sip: &Sip, listeners: Listeners) -> transaction::Settings {
    let mut settings = transaction::Settings::new(listeners);
    settings.most = sip.max_transactions as usize;
    settings.timer_c = sip.setup_timeout;
    settings
}

fn listeners(names: &[(Protocol, String, u16)], bound: &[(Protocol, SocketAddr)]) -> Listeners {
    let one = |((protocol, host, port), (_, bound)): (&(Protocol, String, u16), &(Protocol, SocketAddr))| Listener {
        protocol: *protocol,
        bound: *bound,
        host: host.clone(),
        port: *port,
    };
    names.iter().zip(bound).map(one).collect()
}
