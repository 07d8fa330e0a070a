//! What the load runs against, and how it is reached.

use std::{net::SocketAddr, sync::Arc};

use crate::{
    dial::Source,
    digest::{Algorithm, Credentials},
    scenario::{Callers, Scenario},
};

/// The route through something that is no relay, in words.
pub const BYTE_PROXY: &str = "byte proxy";

/// A relay, as seen from outside.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Where it listens.
    pub address: SocketAddr,
    /// The host in its URI and in its certificate.
    pub name: String,
}

/// Everything outside of the scenario that a run needs.
#[derive(Clone, Debug)]
pub struct Target {
    /// The relay of the callees; a byte proxy's front if `listen` is set.
    pub relay: Hop,
    /// The relay of the callers, if it is another one.
    pub caller_relay: Option<Hop>,
    /// Where callees listen instead of authenticating: for byte proxies, and for no relay at all.
    pub listen: Option<SocketAddr>,
    /// TLS of the links that we open; plain TCP if there is none.
    pub client_tls: Option<Arc<rustls::ClientConfig>>,
    /// TLS of the links that we accept.
    pub server_tls: Option<Arc<rustls::ServerConfig>>,
    /// Who authenticates, in turn.
    pub users: Vec<Credentials>,
    /// The digest algorithm to take, the strongest one offered if there is none.
    pub digest: Option<Algorithm>,
    /// Where connections come from.
    pub sources: Vec<Source>,
}

impl Hop {
    /// Its URI.
    pub fn uri(&self, tls: bool) -> String {
        let host = if self.name.contains(':') { format!("[{}]", self.name) } else { self.name.clone() };
        format!("{}://{host}:{};tcp", scheme(tls), self.address.port())
    }
}

/// `msrps` or `msrp`.
pub fn scheme(tls: bool) -> &'static str {
    if tls { "msrps" } else { "msrp" }
}

impl Target {
    /// Where callers connect.
    pub fn callers_hop(&self) -> &Hop {
        self.caller_relay.as_ref().unwrap_or(&self.relay)
    }

    /// Who is connected to whom, in words.
    pub fn route(&self, scenario: &Scenario) -> String {
        match (self.listen, &self.caller_relay, scenario.sessions.callers) {
            (Some(listen), ..) if listen.port() == self.relay.address.port() => "no relay",
            (Some(_), ..) => BYTE_PROXY,
            (None, Some(_), Callers::Authenticated) => "two relays, both authenticated",
            (None, _, Callers::Authenticated) => "both authenticated",
            (None, _, Callers::Direct) => "caller direct",
        }
        .to_owned()
    }
}
