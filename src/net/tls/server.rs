//! What a listener knows about TLS, and how it is replaced while connections live.

use super::offered::Offered;
use super::{ALPN_BULK, ALPN_RELAY, CredentialError, Identity, provider};
use arc_swap::ArcSwap;
use rustls::server::{NoClientAuth, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions};
use rustls::{KeyLogFile, ServerConfig};
use std::sync::Arc;

/// Sessions of TLS 1.2 clients without tickets that can be resumed; all other clients carry their own state.
const STORED_SESSIONS: usize = 256;

/// Choices of one listener.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ServerOptions {
    /// Ask for a client certificate in every handshake (RLY-3). Off only where browsers would open a dialogue.
    pub ask_certificate: bool,
    /// Write the secrets of every connection to the file that SSLKEYLOGFILE names: for debugging only.
    pub key_log: bool,
    /// Refuse TLS 1.2.
    pub only_tls13: bool,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self { ask_certificate: true, key_log: false, only_tls13: false }
    }
}

/// The server side of TLS for one listener; shared by all shards.
pub struct ServerSide {
    current: ArcSwap<Configs>,
    // These outlive a certificate, so that a reload does not cost every client a full handshake.
    tickets: Arc<dyn ProducesTickets>,
    sessions: Arc<dyn StoresServerSessions>,
}

/// One configuration twice: rustls refuses a client none of whose ALPN names it knows, and we must not.
pub(super) struct Configs {
    relay: Arc<ServerConfig>,
    other: Arc<ServerConfig>,
}

impl Configs {
    /// The configuration for a client that offers these ALPN names.
    pub(super) fn offered<'a>(&self, alpn: Option<impl Iterator<Item = &'a [u8]>>) -> Arc<ServerConfig> {
        let ours = alpn.is_some_and(|mut names| names.any(|name| name == ALPN_RELAY || name == ALPN_BULK));
        Arc::clone(if ours { &self.relay } else { &self.other })
    }
}

impl ServerSide {
    /// Makes the side; fails when certificate and key do not belong together.
    pub fn new(identity: &Identity, options: ServerOptions) -> Result<Self, CredentialError> {
        let tickets = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        let sessions: Arc<dyn StoresServerSessions> = ServerSessionMemoryCache::new(STORED_SESSIONS);
        let current = ArcSwap::from_pointee(configs(identity, options, &tickets, &sessions)?);
        Ok(Self { current, tickets, sessions })
    }

    /// Puts another certificate and options in force for connections accepted from now on; an unusable one changes nothing.
    pub fn reload(&self, identity: &Identity, options: ServerOptions) -> Result<(), CredentialError> {
        let fresh = configs(identity, options, &self.tickets, &self.sessions)?;
        self.current.store(Arc::new(fresh));
        Ok(())
    }

    pub(super) fn configs(&self) -> Arc<Configs> {
        self.current.load_full()
    }
}

fn configs(
    identity: &Identity,
    options: ServerOptions,
    tickets: &Arc<dyn ProducesTickets>,
    sessions: &Arc<dyn StoresServerSessions>,
) -> Result<Configs, CredentialError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let versions: &[&rustls::SupportedProtocolVersion] =
        if options.only_tls13 { &[&rustls::version::TLS13] } else { rustls::DEFAULT_VERSIONS };
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions)?;
    let builder = if options.ask_certificate {
        builder.with_client_cert_verifier(Arc::new(Offered { algorithms }))
    } else {
        builder.with_client_cert_verifier(Arc::new(NoClientAuth))
    };
    let mut other = builder.with_cert_resolver(identity.certified()?);
    other.ticketer = Arc::clone(tickets);
    other.session_storage = Arc::clone(sessions);
    // One ticket a handshake: a phone reconnects alone, and gets the next one when it does.
    other.send_tls13_tickets = 1;
    // Our own record layer takes over after the handshake.
    other.enable_secret_extraction = true;
    // No 0-RTT: a SEND could be replayed.
    other.max_early_data_size = 0;
    if options.key_log {
        other.key_log = Arc::new(KeyLogFile::new());
    }
    let mut relay = other.clone();
    relay.alpn_protocols = vec![ALPN_RELAY.to_vec(), ALPN_BULK.to_vec()];
    Ok(Configs { relay: Arc::new(relay), other: Arc::new(other) })
}
