//! What the machine is told when it starts, and the answers it gets.

use std::sync::Arc;

use super::media::MediaSettings;
use super::session_timer::Wishes;
use crate::relay::policy::EgressPolicy;
use crate::sip::listeners::Listeners;
use crate::sip::way::Target;

/// Rules and bounds of all calls.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our name in Warning headers and Call-IDs.
    pub host: String,
    /// As whom we speak.
    pub listeners: Listeners,
    /// Where requests may go that nobody but those who call leads there.
    pub egress: EgressPolicy,
    /// Descriptions and where they lead.
    pub media: MediaSettings,
    /// Session timers.
    pub timers: Wishes,
    /// Calls at once; more get 503.
    pub calls: usize,
    /// Connections of one caller's media that may fail in a minute; then its calls get 503 (ADV-S10).
    pub failed_connects: u32,
    /// What the caller sees of a call that forks behind us.
    pub forks: Forks,
    /// Media types in the description that answers OPTIONS.
    pub capability: String,
}

/// What the caller sees of a call that forks behind us (RFC 3261 section 13.2.2.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Forks {
    /// An early dialog for each of theirs.
    #[default]
    Each,
    /// One dialog, and what the first of them says.
    First,
}

/// Who may begin something.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// The user whom digest has shown, if it was asked.
    pub user: Option<Arc<str>>,
    /// Realm of ours whose credentials are not passed on.
    pub realm: Option<Arc<str>>,
}

/// A refusal of the one who runs the machine: a status and headers.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// Headers: challenges, Retry-After.
    pub headers: Vec<(String, String)>,
}

/// Where a call goes.
#[derive(Clone, Debug)]
pub struct Routed {
    /// In the order in which they are tried; at least one.
    pub targets: Vec<Target>,
    /// Whether its media are anchored.
    pub anchor: bool,
    /// What MSRP speaks there; none for what the caller speaks.
    pub protocol: Option<crate::sdp::Protocol>,
    /// The Request-URI.
    pub request_uri: String,
    /// The values of Route.
    pub route: Vec<String>,
}
