//! TLS of the control plane: rustls with the provider of the data plane, by way of tokio-rustls.

use std::sync::Arc;

use rustls::{ClientConfig, DEFAULT_VERSIONS, KeyLogFile, RootCertStore, ServerConfig};

use crate::net::tls::{CredentialError, Identity, Offered, ServerOptions, provider, roots};

/// What a listener needs. A client certificate is asked for, never required and not judged in the handshake: who shows a
/// good one may be trusted, who shows none is anybody.
pub fn server_config(identity: &Identity, options: ServerOptions) -> Result<Arc<ServerConfig>, CredentialError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let versions = if options.only_tls13 { &[&rustls::version::TLS13][..] } else { DEFAULT_VERSIONS };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(Arc::new(Offered { algorithms }))
        .with_cert_resolver(identity.certified()?);
    if options.key_log {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(Arc::new(config))
}

/// What a caller needs: the authorities it believes (PEM texts; without any, those of the public web) and the certificate it
/// shows when asked. `key_log` writes secrets to the file that SSLKEYLOGFILE names.
pub fn client_config(
    authorities: &[impl AsRef<[u8]>],
    own: Option<&Identity>,
    key_log: bool,
) -> Result<Arc<ClientConfig>, CredentialError> {
    let believed = match authorities {
        [] => RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        texts => roots(texts)?,
    };
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(believed);
    let mut config = match own {
        Some(own) => builder.with_client_cert_resolver(own.certified()?),
        None => builder.with_no_client_auth(),
    };
    if key_log {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(Arc::new(config))
}
