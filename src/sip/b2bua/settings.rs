//! What the machine is told when it starts, and the answers it gets.

use std::sync::Arc;

use super::media::MediaSettings;
use super::session_timer::Wishes;
use crate::sip::way::{Protocol, Target};

/// Rules and bounds of all calls.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Our name in Warning headers and Call-IDs.
    pub host: String,
    /// What our Contact says on each way.
    pub contacts: Contacts,
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

/// What Contact and c= say, by protocol and address family.
#[derive(Clone, Debug, Default)]
pub struct Contacts(pub Vec<Contact>);

/// Where a listener is reached.
#[derive(Clone, Debug)]
pub struct Contact {
    /// Its protocol.
    pub protocol: Protocol,
    /// Whether its address is IPv6.
    pub is_ipv6: bool,
    /// Host, and port if it is not the default one; IPv6 in brackets.
    pub host: String,
}

impl Contacts {
    /// The value of Contact toward somebody who is reached in this way.
    pub(super) fn value(&self, protocol: Protocol, is_ipv6: bool) -> String {
        let of_protocol = || self.0.iter().filter(|c| c.protocol == protocol);
        let found = of_protocol().find(|c| c.is_ipv6 == is_ipv6).or_else(|| of_protocol().next());
        match found.or(self.0.first()) {
            Some(contact) if contact.protocol == Protocol::Udp => format!("<sip:{}>", contact.host),
            Some(contact) => format!("<sip:{};transport={}>", contact.host, contact.protocol.param()),
            None => "<sip:localhost>".to_owned(),
        }
    }
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
