//! The client certificate as an offer: asked for, never required, never judged in the handshake (RLY-3, RLY-4, AMB-58).
//!
//! Only two things are checked. The peer must hold the private key, or the stored chain would prove nothing; and the
//! chain must be short (ADV-R28). Whether anybody vouches for the certificate is asked later, by `classify`.

use super::CHAIN_LIMIT;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use x509_parser::asn1_rs::{Any, FromDer};
use x509_parser::prelude::X509Certificate;

/// Accepts every chain of at most [`CHAIN_LIMIT`] octets whose leaf's key signed this handshake.
#[derive(Debug)]
pub(crate) struct Offered {
    /// The signatures we can check, and so ask for.
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
}

impl ClientCertVerifier for Offered {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    // No hints: a client that finds its issuer missing from a list would send nothing.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let octets = intermediates.iter().fold(leaf.len(), |sum, one| sum + one.len());
        if octets > CHAIN_LIMIT {
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls12_signature(message, leaf, signed, &self.algorithms) {
            Err(error) if unreadable(&error) => self.verify_tls12_bare_key(message, leaf, signed),
            verdict => verdict,
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match verify_tls13_signature(message, leaf, signed, &self.algorithms) {
            Err(error) if unreadable(&error) => {
                let key = SubjectPublicKeyInfoDer::from(public_key(leaf)?.0);
                rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, signed, &self.algorithms)
            }
            verdict => verdict,
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl Offered {
    fn verify_tls12_bare_key(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let (info, key) = public_key(leaf)?;
        // SubjectPublicKeyInfo ::= SEQUENCE { algorithm SEQUENCE { … }, … }: the inside of the inner one names the kind.
        let malformed = || Error::from(CertificateError::BadEncoding);
        let (_, outer) = Any::from_der(info).map_err(|_| malformed())?;
        let (_, algorithm) = Any::from_der(outer.data).map_err(|_| malformed())?;
        let (_, candidates) = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        candidates
            .iter()
            .filter(|candidate| candidate.public_key_alg_id().as_ref() == algorithm.data)
            .find(|candidate| candidate.verify_signature(key, message, signed.signature()).is_ok())
            .map(|_| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }
}

/// Whether the certificate, not the signature, is what the strict parser of X.509 version 3 dislikes. Self-signed
/// certificates of version 1 are still being made by old tools, and their key serves as well as any.
fn unreadable(error: &Error) -> bool {
    use CertificateError::{BadSignature, UnsupportedSignatureAlgorithmContext};
    match error {
        Error::InvalidCertificate(BadSignature | UnsupportedSignatureAlgorithmContext { .. }) => false,
        Error::InvalidCertificate(_) => true,
        _ => false,
    }
}

/// The SubjectPublicKeyInfo of a certificate of any version, whole and its key bits alone.
fn public_key<'a>(leaf: &'a CertificateDer<'_>) -> Result<(&'a [u8], &'a [u8]), Error> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| Error::from(CertificateError::BadEncoding))?;
    let info = parsed.tbs_certificate.subject_pki;
    let key = key_bits(info.raw).ok_or(CertificateError::BadEncoding)?;
    Ok((info.raw, key))
}

/// The contents of the BIT STRING that ends a SubjectPublicKeyInfo.
fn key_bits(info: &[u8]) -> Option<&[u8]> {
    let (_, outer) = Any::from_der(info).ok()?;
    let (rest, _algorithm) = Any::from_der(outer.data).ok()?;
    let (_, bits) = Any::from_der(rest).ok()?;
    bits.data.strip_prefix(&[0])
}
