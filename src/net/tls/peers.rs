//! Is the other end one of our relays? Asked after the handshake, of the stored chain (RFC 4976 section 9.2).

use super::credentials::roots;
use super::{CredentialError, provider};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls_pki_types::{CertificateDer, UnixTime};
use std::collections::HashSet;
use std::sync::Arc;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// The authorities that vouch for peer relays.
#[derive(Clone, Debug)]
pub struct PeerTrust {
    verifier: Arc<dyn ClientCertVerifier>,
}

impl PeerTrust {
    /// Reads the authorities from PEM texts, at least one.
    pub fn from_pem(ca: &[impl AsRef<[u8]>]) -> Result<Self, CredentialError> {
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(ca)?), provider())
            .build()
            .map_err(|_| CredentialError::NoCertificate)?;
        Ok(Self { verifier })
    }
}

/// A peer relay, known by its verified certificate.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerRelay {
    /// The first name of the certificate that is on the list of peers.
    pub name: String,
    /// All names of the certificate, in its order: the nodes of a farm share some (AMB-61).
    pub dns_names: Vec<String>,
}

/// The peer relay that showed `chain`, if the chain is good as a client's against `ca` at `now` and one of its dNSNames
/// is in `peers` (lower case). Anybody else is a client or a stranger, which is no error.
pub fn classify(
    chain: &[CertificateDer<'_>],
    ca: &PeerTrust,
    peers: &HashSet<String>,
    now: UnixTime,
) -> Option<PeerRelay> {
    let (leaf, intermediates) = chain.split_first()?;
    ca.verifier.verify_client_cert(leaf, intermediates, now).ok()?;
    let dns_names = dns_names(leaf);
    let name = dns_names.iter().find(|name| peers.contains(*name))?.clone();
    Some(PeerRelay { name, dns_names })
}

/// The dNSNames of a certificate, in lower case and in its order; none when it cannot be read.
pub fn dns_names(leaf: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = X509Certificate::from_der(leaf) else { return Vec::new() };
    let Ok(Some(alternatives)) = parsed.subject_alternative_name() else { return Vec::new() };
    let names = alternatives.value.general_names.iter();
    names
        .filter_map(|name| if let GeneralName::DNSName(name) = name { Some(name.to_ascii_lowercase()) } else { None })
        .collect()
}
