//! What the admin interface shows, in the form of its JSON.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::config::reload::Change;
use crate::relay::SessionView;

/// One session of `GET /sessions`.
#[derive(Serialize)]
pub(super) struct Session {
    id: String,
    user: String,
    owner: Option<SocketAddr>,
    relay: Option<String>,
    far_sides: usize,
    age_seconds: u64,
    expires_in_seconds: Option<u64>,
    messages_from_owner: u64,
    messages_to_owner: u64,
    octets_from_owner: u64,
    octets_to_owner: u64,
    /// Of which anchor it is a leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    anchor: Option<String>,
}

impl From<SessionView> for Session {
    fn from(view: SessionView) -> Session {
        let SessionView { id, user, owner, relay, far_sides, age, expires_in, tally, anchor } = view;
        Session {
            id,
            user,
            owner,
            relay,
            far_sides,
            age_seconds: age.as_secs(),
            expires_in_seconds: expires_in.map(|left| left.as_secs()),
            messages_from_owner: tally.messages_from_owner,
            messages_to_owner: tally.messages_to_owner,
            octets_from_owner: tally.octets_from_owner,
            octets_to_owner: tally.octets_to_owner,
            anchor,
        }
    }
}

/// Body of `/log-level`, both ways.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogLevel {
    pub(super) level: String,
}

/// Parameters of `GET /sessions`.
#[derive(Deserialize)]
pub(super) struct Page {
    pub(super) limit: Option<usize>,
}

/// Word for a change that a reload applied.
pub(super) fn word(change: Change) -> &'static str {
    match change {
        Change::Tls => "tls",
        Change::PeerRelays => "peer_relay",
        Change::Users => "users",
        Change::Auth => "auth",
        Change::Policy => "policy",
        Change::Limits => "limits",
        Change::Relay => "relay",
        Change::Sip => "sip",
        Change::LogLevel => "log.level",
        Change::Records => "records",
        Change::AdminToken => "admin.token",
    }
}
