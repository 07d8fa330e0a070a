//! Certificates and keys as an operator gives them: PEM text.

use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// What is wrong with a certificate, a key or a list of roots.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CredentialError {
    /// The text holds no certificate.
    #[error("no certificate found")]
    NoCertificate,
    /// The text holds no private key of a known form (PKCS#8, PKCS#1, SEC1).
    #[error("no private key found")]
    NoKey,
    /// A PEM section cannot be decoded.
    #[error("PEM is malformed")]
    Pem,
    /// The root at this place of its text, counted from 1, is not a usable certificate.
    #[error("root certificate {0} is unusable")]
    Root(usize),
    /// Certificate and key do not belong together, or the key's kind is unknown.
    #[error("certificate or key is unusable: {0}")]
    Unusable(rustls::Error),
    /// A certificate could not be made in memory for this name.
    #[error("certificate cannot be made: {0}")]
    Generation(String),
}

impl From<rustls::Error> for CredentialError {
    fn from(error: rustls::Error) -> Self {
        Self::Unusable(error)
    }
}

/// A certificate chain, the leaf first, and the leaf's private key.
pub struct Identity {
    /// The leaf and its intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the leaf.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a chain and a key from PEM text; whether they belong together is checked where they are used.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CredentialError> {
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            rustls_pki_types::pem::Error::NoItemsFound => CredentialError::NoKey,
            _ => CredentialError::Pem,
        })?;
        Ok(Self { chain: certificates(chain)?, key })
    }
}

impl Clone for Identity {
    fn clone(&self) -> Self {
        Self { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({} certificates)", self.chain.len())
    }
}

/// All certificates of a PEM text, at least one.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CredentialError> {
    let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| CredentialError::Pem)?;
    if chain.is_empty() { Err(CredentialError::NoCertificate) } else { Ok(chain) }
}

/// The roots in these PEM texts; every text must hold at least one, and every one must be usable.
pub(crate) fn roots(texts: &[impl AsRef<[u8]>]) -> Result<RootCertStore, CredentialError> {
    let mut store = RootCertStore::empty();
    for text in texts {
        for (place, root) in certificates(text.as_ref())?.into_iter().enumerate() {
            store.add(root).map_err(|_| CredentialError::Root(place + 1))?;
        }
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_text_has_neither_certificate_nor_key() {
        assert_eq!(certificates(b"").unwrap_err(), CredentialError::NoCertificate);
        assert_eq!(Identity::from_pem(b"", b"").unwrap_err(), CredentialError::NoKey);
        assert_eq!(roots(&[""]).unwrap_err(), CredentialError::NoCertificate);
    }

    #[test]
    fn a_root_must_be_a_certificate() {
        let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert_eq!(roots(&[text]).unwrap_err(), CredentialError::Root(1));
    }

    #[test]
    fn a_key_never_reaches_debug_output() {
        let (_, identity) = super::super::development::in_memory("relay.example").unwrap();
        assert_eq!(format!("{identity:?}"), "Identity(1 certificates)");
    }
}
