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

#[cfg(test)]
mod tests {
    use super::super::fixture::{Authority, self_signed};
    use super::*;
    use std::time::Duration;

    /// A day in 2020, one in 2026, in seconds since 1970.
    const IN_2020: u64 = 1_590_000_000;
    const IN_2026: u64 = 1_790_000_000;

    fn verdict(chain: &[CertificateDer<'_>], ca: &Authority, seconds: u64) -> Option<PeerRelay> {
        let trust = PeerTrust::from_pem(&[ca.pem()]).unwrap();
        let peers = HashSet::from(["relay.example".to_owned(), "second.example".to_owned()]);
        classify(chain, &trust, &peers, UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }

    /// RLY-5
    #[test]
    fn peer_needs_an_authority_a_date_and_a_name_on_the_list() {
        let (ours, theirs) = (Authority::new(), Authority::new());
        let relay = ours.identity(&["node1.example", "Relay.Example", "second.example"]).chain.clone();
        assert_eq!(
            verdict(&relay, &ours, IN_2026),
            Some(PeerRelay {
                name: "relay.example".to_owned(),
                dns_names: ["node1.example", "relay.example", "second.example"].map(String::from).into(),
            })
        );
        assert_eq!(verdict(&relay, &theirs, IN_2026), None, "wrong authority");
        assert_eq!(verdict(&[], &ours, IN_2026), None, "no certificate");
        assert_eq!(verdict(&self_signed(&["relay.example"]).chain, &ours, IN_2026), None, "self-signed");
        assert_eq!(verdict(&ours.identity(&["client.example"]).chain, &ours, IN_2026), None, "not on the list");
        assert_eq!(verdict(&ours.identity(&["*.example"]).chain, &ours, IN_2026), None, "a wildcard names nobody");
        assert_eq!(verdict(&[CertificateDer::from(vec![0x30])], &ours, IN_2026), None, "no certificate at all");
    }

    /// RLY-5
    #[test]
    fn dates_are_those_of_today_not_of_the_handshake() {
        let ours = Authority::new();
        let relay = ours.expired(&["relay.example"]).chain.clone();
        assert!(verdict(&relay, &ours, IN_2020).is_some());
        assert_eq!(verdict(&relay, &ours, IN_2026), None);
    }
}
