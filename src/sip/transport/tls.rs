//! TLS of the control plane: rustls with the provider of the data plane, by way of tokio-rustls.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig};

use crate::net::tls::{CredentialError, Identity, Offered, provider, roots};

/// What a listener needs. A client certificate is asked for, never required and not judged in the handshake: who shows a
/// good one may be trusted, who shows none is anybody.
pub fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, CredentialError> {
    let provider = provider();
    let algorithms = provider.signature_verification_algorithms;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(Offered { algorithms }))
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())?;
    Ok(Arc::new(config))
}

/// What a caller needs: the authorities it believes (PEM texts) and the certificate it shows when asked.
pub fn client_config(
    authorities: &[impl AsRef<[u8]>],
    own: Option<&Identity>,
) -> Result<Arc<ClientConfig>, CredentialError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(authorities)?);
    let config = match own {
        Some(own) => builder.with_client_auth_cert(own.chain.clone(), own.key.clone_key())?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}
