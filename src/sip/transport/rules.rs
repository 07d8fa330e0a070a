//! What of the settings may change while a transport serves.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use super::rate::Pace;
use super::{Settings, Trusted};
use crate::net::address::Bounds;

/// The rules for messages and connections that come from now on; those that are there keep what they were made with.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) connections: Bounds,
    pub(super) pace: Pace,
    pub(super) server: Option<Arc<ServerConfig>>,
    pub(super) client: Option<Arc<ClientConfig>>,
    pub(super) trusted: Trusted,
}

impl Rules {
    pub(super) fn of(settings: &Settings) -> Rules {
        Rules {
            connections: settings.connections,
            pace: Pace::new(settings.messages_per_second, settings.burst),
            server: settings.server.clone(),
            client: settings.client.clone(),
            trusted: settings.trusted.clone(),
        }
    }
}
