//! What a dialler knows about TLS: whom it trusts, and who it is (RLY-5, RLY-6).

use super::credentials::roots;
use super::offered::Offered;
use super::pinned::Pinned;
use super::{CredentialError, Identity, TlsError, provider};
use crate::sdp::Fingerprint;
use arc_swap::ArcSwap;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{ClientConfig, DEFAULT_VERSIONS, KeyLogFile, RootCertStore, SupportedProtocolVersion};
use rustls_pki_types::{CertificateDer, ServerName};
use std::sync::Arc;

/// The client side of TLS for connections that we open; shared by all shards.
pub struct ClientSide {
    current: ArcSwap<Outgoing>,
}

/// One state of a [`ClientSide`].
pub(super) struct Outgoing {
    pub(super) config: Arc<ClientConfig>,
    verifier: Arc<WebPkiServerVerifier>,
}

impl ClientSide {
    /// Makes the side. `ca` are PEM texts of the roots to trust; without any, the public web's roots are trusted.
    /// `identity` is shown to servers that ask. `key_log` writes secrets to the file that SSLKEYLOGFILE names.
    pub fn new(ca: &[impl AsRef<[u8]>], identity: Option<&Identity>, key_log: bool) -> Result<Self, CredentialError> {
        Ok(Self { current: ArcSwap::from_pointee(outgoing(ca, identity, key_log, DEFAULT_VERSIONS)?) })
    }

    /// Puts other roots and another certificate in force for connections opened from now on; an unusable one changes
    /// nothing.
    pub fn reload(
        &self,
        ca: &[impl AsRef<[u8]>],
        identity: Option<&Identity>,
        key_log: bool,
    ) -> Result<(), CredentialError> {
        self.current.store(Arc::new(outgoing(ca, identity, key_log, DEFAULT_VERSIONS)?));
        Ok(())
    }

    /// A peer that speaks one version only.
    #[cfg(test)]
    pub(super) fn of_version(
        ca: &[impl AsRef<[u8]>],
        identity: Option<&Identity>,
        version: &'static SupportedProtocolVersion,
    ) -> Self {
        let state = outgoing(ca, identity, false, &[version]).unwrap();
        Self { current: ArcSwap::from_pointee(state) }
    }

    /// A peer that does what no configuration of ours permits.
    #[cfg(test)]
    pub(super) fn twisted(self, twist: impl FnOnce(&mut ClientConfig)) -> Self {
        let mut config = ClientConfig::clone(&self.outgoing().config);
        twist(&mut config);
        let verifier = Arc::clone(&self.outgoing().verifier);
        self.current.store(Arc::new(Outgoing { config: Arc::new(config), verifier }));
        self
    }

    pub(super) fn outgoing(&self) -> Arc<Outgoing> {
        self.current.load_full()
    }
}

impl Outgoing {
    /// For one connection to a server that is known by its fingerprints: nothing of it is resumed elsewhere.
    pub(super) fn pinned(&self, expected: Arc<[Fingerprint]>) -> ClientConfig {
        let mut config = ClientConfig::clone(&self.config);
        let algorithms = config.crypto_provider().signature_verification_algorithms;
        let verifier = Pinned { expected, offered: Offered { algorithms } };
        config.dangerous().set_certificate_verifier(Arc::new(verifier));
        config.resumption = Resumption::disabled();
        config
    }

    /// Verifies a chain that was stored with a session and not shown again: its dates may have passed since.
    pub(super) fn verify_again(&self, chain: &[CertificateDer<'_>], name: &ServerName<'_>) -> Result<(), TlsError> {
        let now = self.config.time_provider.current_time().ok_or(rustls::Error::FailedToGetCurrentTime)?;
        let (leaf, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        self.verifier.verify_server_cert(leaf, intermediates, name, &[], now)?;
        Ok(())
    }
}

fn outgoing(
    ca: &[impl AsRef<[u8]>],
    identity: Option<&Identity>,
    key_log: bool,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<Outgoing, CredentialError> {
    let trusted = if ca.is_empty() {
        RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned())
    } else {
        roots(ca)?
    };
    let provider = provider();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(trusted), Arc::clone(&provider))
        .build()
        .map_err(|_| CredentialError::NoCertificate)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_webpki_verifier(Arc::clone(&verifier));
    let mut config = match identity {
        Some(identity) => builder.with_client_cert_resolver(identity.certified()?),
        None => builder.with_no_client_auth(),
    };
    // Our own record layer takes over after the handshake.
    config.enable_secret_extraction = true;
    if key_log {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(Outgoing { config: Arc::new(config), verifier })
}
