//! Certificates and keys as an operator gives them: PEM text.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{Error, InconsistentKeys, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::{Zeroize, Zeroizing};

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

/// A certificate chain, the leaf first, and the leaf's private key, which is wiped when this is dropped.
pub struct Identity {
    /// The leaf and its intermediates.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key of the leaf.
    pub key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads a chain and a key from PEM text; whether they belong together is checked where they are used.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CredentialError> {
        let mut identity = Self { chain: Vec::new(), key: private_key(key)? };
        identity.chain = certificates(chain)?;
        Ok(identity)
    }

    /// Chain and key as rustls shows them, if they belong together. The key is lent: rustls, given it, would not wipe it.
    pub(crate) fn certified(&self) -> Result<Arc<SingleCertAndKey>, CredentialError> {
        let certified = CertifiedKey::new(self.chain.clone(), any_supported_type(&self.key)?);
        match certified.keys_match() {
            // A kind of key that does not tell.
            Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {
                Ok(Arc::new(SingleCertAndKey::from(certified)))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Drop for Identity {
    fn drop(&mut self) {
        self.key.zeroize();
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

/// The first private key of a PEM text. rustls' own reader would leave its text behind in memory that is free again.
fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, CredentialError> {
    let (mut label, mut text) = (None, Zeroizing::new(Vec::with_capacity(pem.len())));
    for line in pem.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii) {
        let begun = line.strip_prefix(b"-----BEGIN ").and_then(|line| line.strip_suffix(b"-----"));
        match (&label, begun) {
            (None, Some(kind)) => label = KEYS.iter().find(|(name, _)| name.as_bytes() == kind).map(|(_, form)| form),
            (Some(form), None) if line.starts_with(b"-----END ") => {
                let octets = STANDARD.decode(text.as_slice()).map_err(|_| CredentialError::Pem)?;
                return Ok(form(octets));
            }
            (Some(_), Some(_)) => return Err(CredentialError::Pem),
            (Some(_), None) => text.extend_from_slice(line),
            (None, None) => {}
        }
    }
    Err(if label.is_some() { CredentialError::Pem } else { CredentialError::NoKey })
}

type Form = fn(Vec<u8>) -> PrivateKeyDer<'static>;

/// Which labels name a key (RFC 7468 section 10, and what OpenSSL wrote before).
const KEYS: [(&str, Form); 3] = [
    ("PRIVATE KEY", |octets| PrivateKeyDer::Pkcs8(octets.into())),
    ("RSA PRIVATE KEY", |octets| PrivateKeyDer::Pkcs1(octets.into())),
    ("EC PRIVATE KEY", |octets| PrivateKeyDer::Sec1(octets.into())),
];

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
    fn keys_of_three_forms_are_read_and_nothing_else() {
        let pem = |label: &str, text: &str| format!("-----BEGIN {label}-----\r\n{text}-----END {label}-----\n");
        let key = |text: &str| private_key(text.as_bytes()).map(|key| (format!("{key:?}"), key.secret_der().to_vec()));
        let before = pem("EC PARAMETERS", "BggqhkjOPQMBBw==\n") + &pem("CERTIFICATE", "AAAA\n");
        for (label, form) in [("PRIVATE KEY", "Pkcs8"), ("RSA PRIVATE KEY", "Pkcs1"), ("EC PRIVATE KEY", "Sec1")] {
            let (shown, octets) = key(&(before.clone() + &pem(label, "AQID\n BAUG \r\nBw==\n"))).expect("a key");
            assert!(shown.starts_with(form), "{shown}");
            assert_eq!(octets, [1, 2, 3, 4, 5, 6, 7]);
        }
        assert_eq!(key(&before), Err(CredentialError::NoKey));
        assert_eq!(key(&pem("ENCRYPTED PRIVATE KEY", "AQID\n")), Err(CredentialError::NoKey));
        assert_eq!(key(&pem("PRIVATE KEY", "AQI*\n")), Err(CredentialError::Pem));
        assert_eq!(key("-----BEGIN PRIVATE KEY-----\nAQID\n"), Err(CredentialError::Pem), "it does not end");
        assert_eq!(key(&"-----BEGIN PRIVATE KEY-----\n".repeat(2)), Err(CredentialError::Pem));
    }

    #[test]
    fn key_and_certificate_belong_together() {
        let (one, other) = [(); 2].map(|()| super::super::development::in_memory("relay.example").unwrap().1).into();
        let mixed = Identity { chain: one.chain.clone(), key: other.key.clone_key() };
        assert!(one.certified().is_ok());
        assert!(matches!(mixed.certified(), Err(CredentialError::Unusable(Error::InconsistentKeys(_)))));
    }

    #[test]
    fn a_key_never_reaches_debug_output() {
        let (_, identity) = super::super::development::in_memory("relay.example").unwrap();
        assert_eq!(format!("{identity:?}"), "Identity(1 certificates)");
    }
}
