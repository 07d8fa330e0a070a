//! What is allowed and yet worth a line in the log at start.

use std::net::IpAddr;

use thiserror::Error;

use super::{Algorithm, CertSource, Config, Credential, Sip, Transport, Untrusted};

/// A setting that works but is seldom meant.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Warning {
    /// IOP-17.
    #[error("relay.hostname is an IP address: clients can verify it only if the certificate names that address")]
    HostnameIsAddress,
    /// The lab switch.
    #[error(
        "listen[{0}] serves AUTH without TLS: passwords can be guessed from what is overheard, and sessions taken over"
    )]
    AuthWithoutTls(usize),
    /// Development certificate.
    #[error("the TLS certificate is made in memory at each start: clients cannot verify it")]
    CertificateInMemory,
    /// Key log.
    #[error("tls.sslkeylog is on: whoever reads the file named by SSLKEYLOGFILE reads all traffic")]
    KeyLog,
    /// Nobody can log in.
    #[error("no user may log in: neither [[auth.user]] nor auth.htdigest")]
    NoUsers,
    /// A user with an HA1 for some of the algorithms.
    #[error("user {0:?} has no HA1 for each algorithm of auth.algorithms: a client that picks another one is refused")]
    HalfHa1(String),
    /// A network of all addresses.
    #[error("sip.trusted[{0}] holds every address: anybody may call through this relay")]
    EverybodyTrusted(usize),
    /// Nobody is trusted, and nobody is asked for a password.
    #[error("sip.trusted and sip.trusted_certificates are empty and untrusted is \"reject\": every call gets 403")]
    NobodyMayCall,
    /// The outbound proxy takes everything.
    #[error("sip.route[{0}].to has no effect: all calls go to sip.outbound_proxy")]
    RouteWithoutEffect(usize),
    /// The laboratory switch of descriptions.
    #[error("sip.media.accept_loopback with a listener outside loopback: callers can make the relay connect to itself")]
    LoopbackAccepted,
}

impl Config {
    /// Everything worth a warning, in no order of weight.
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.relay.hostname.parse::<IpAddr>().is_ok() {
            warnings.push(Warning::HostnameIsAddress);
        }
        let open =
            self.listen.iter().enumerate().filter(|(_, listen)| listen.auth && listen.transport == Transport::Tcp);
        warnings.extend(open.map(|(index, _)| Warning::AuthWithoutTls(index)));
        if let Some(tls) = &self.tls {
            if tls.certificate == CertSource::InMemory {
                warnings.push(Warning::CertificateInMemory);
            }
            if tls.sslkeylog {
                warnings.push(Warning::KeyLog);
            }
        }
        let nobody = self.auth.users.is_empty() && self.auth.htdigest.is_none();
        // Who only anchors calls of those he trusts needs no users.
        let asked = self.listen.iter().any(|listen| listen.auth)
            || self.sip.as_ref().is_none_or(|sip| sip.untrusted == Untrusted::Digest);
        if nobody && asked {
            warnings.push(Warning::NoUsers);
        }
        for user in &self.auth.users {
            let Credential::Ha1 { md5, sha256 } = &user.credential else { continue };
            let lacks = |algorithm| match algorithm {
                Algorithm::Md5 => md5.is_none(),
                Algorithm::Sha256 => sha256.is_none(),
            };
            if self.auth.algorithms.iter().any(|algorithm| lacks(*algorithm)) {
                warnings.push(Warning::HalfHa1(user.name.clone()));
            }
        }
        warnings.extend(self.sip.iter().flat_map(Sip::warnings));
        warnings
    }
}

impl Sip {
    fn warnings(&self) -> Vec<Warning> {
        let all = self.trusted.iter().enumerate().filter(|(_, network)| network.is_everything());
        let mut warnings: Vec<Warning> = all.map(|(index, _)| Warning::EverybodyTrusted(index)).collect();
        if self.untrusted == Untrusted::Reject && self.trusted.is_empty() && self.trusted_certificates.is_empty() {
            warnings.push(Warning::NobodyMayCall);
        }
        if self.outbound_proxy.is_some() {
            let idle = self.routes.iter().enumerate().filter(|(_, route)| !route.to.is_empty());
            warnings.extend(idle.map(|(index, _)| Warning::RouteWithoutEffect(index)));
        }
        if self.media.accept_loopback && self.listen.iter().any(|listen| !listen.address.ip().is_loopback()) {
            warnings.push(Warning::LoopbackAccepted);
        }
        warnings
    }
}
