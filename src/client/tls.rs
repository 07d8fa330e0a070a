//! TLS for endpoints, from PEM text (RFC 4975 section 14.4, RFC 4976 section 9.2). It shares nothing with the relay's.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::error::ClientError;

/// A connector that trusts the roots in `ca_pem` alone; `identity` is a chain and its key, as PEM text.
pub(super) fn connector(ca_pem: &str, identity: Option<(&str, &str)>) -> Result<TlsConnector, ClientError> {
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots(ca_pem)?);
    let config = match identity {
        Some((chain, key)) => {
            config.with_client_auth_cert(certificates(chain)?, private_key(key)?).map_err(unusable)?
        }
        None => config.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// An acceptor with this chain and key. With `client_ca` it asks for a certificate of that authority and goes on without
/// one; without it, it does not ask.
pub(super) fn acceptor(chain: &str, key: &str, client_ca: Option<&str>) -> Result<TlsAcceptor, ClientError> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let verifier: Arc<dyn ClientCertVerifier> = match client_ca {
        Some(ca) => WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider)
            .allow_unauthenticated()
            .build()
            .map_err(|error| ClientError::Credentials(error.to_string()))?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let config = config
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(chain)?, private_key(key)?)
        .map_err(unusable)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn roots(pem: &str) -> Result<RootCertStore, ClientError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(pem)? {
        store.add(certificate).map_err(unusable)?;
    }
    Ok(store)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, ClientError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let found = found.map_err(|error| ClientError::Credentials(error.to_string()))?;
    if found.is_empty() { Err(ClientError::Credentials("no certificate found".into())) } else { Ok(found) }
}

fn private_key(pem: &str) -> Result<PrivateKeyDer<'static>, ClientError> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|error| ClientError::Credentials(error.to_string()))
}

fn unusable(error: rustls::Error) -> ClientError {
    ClientError::Credentials(error.to_string())
}
