//! Verifies a server by the fingerprints that came by signalling, whatever its chain and name (RFC 8122 section 6.2).

use super::offered::Offered;
use crate::sdp::Fingerprint;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::Arc;

/// Accepts a leaf that has one of the expected digests and whose key signed this handshake.
#[derive(Debug)]
pub(super) struct Pinned {
    pub(super) expected: Arc<[Fingerprint]>,
    pub(super) offered: Offered,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.offered.verify_client_cert(leaf, intermediates, now)?;
        if Fingerprint::matches(&self.expected, &Fingerprint::of(leaf)) {
            return Ok(ServerCertVerified::assertion());
        }
        // The one that is told as `bad_certificate`.
        Err(CertificateError::NotValidForName.into())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.offered.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.offered.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.offered.supported_verify_schemes()
    }
}
