//! `[tls]` and `[[peer_relay]]`: certificates, who is trusted, and the relays we know by name.

use std::collections::HashMap;
use std::path::PathBuf;

use super::document::{Found, Section};
use super::problem::Fault;
use super::relay::host;
use super::value::choice;

/// `[tls]`. The files are only known to be readable: their contents are parsed where they are used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tls {
    /// Our own certificate chain and key.
    pub certificate: CertSource,
    /// CA that verifies peer relays' client certificates and is trusted for outgoing TLS.
    pub client_ca: Option<PathBuf>,
    /// Further roots for outgoing TLS. With neither this nor `client_ca` the public web roots are trusted.
    pub trust: Option<PathBuf>,
    /// Oldest version accepted.
    pub min_version: TlsVersion,
    /// Write session secrets to the file that the environment variable SSLKEYLOGFILE names.
    pub sslkeylog: bool,
}

/// Where the certificate comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CertSource {
    /// PEM files.
    Files {
        /// The chain, our own certificate first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Made at start and trusted by nobody: development on loopback only.
    InMemory,
}

/// Oldest TLS version accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TlsVersion {
    /// TLS 1.2 and 1.3.
    #[default]
    V1_2,
    /// TLS 1.3 only.
    V1_3,
}

/// One `[[peer_relay]]`: a relay that we know by the name in its certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PeerRelay {
    /// A dNSName of its certificate, in lower case.
    pub name: String,
    /// Longest SEND chunk toward it, in octets; none = what fits its kind (64 KiB and more to our own, else `relay.max_chunk`).
    pub max_chunk: Option<u64>,
    /// Several sessions share one connection; off for relays that want one each (IOP-36).
    pub multiplex: bool,
    /// Big messages move to a link of their own.
    pub bulk: bool,
}

choice!(TlsVersion, "a TLS version", "\"1.2\" or \"1.3\"", "1.2" => TlsVersion::V1_2, "1.3" => TlsVersion::V1_3);

impl Default for Tls {
    fn default() -> Tls {
        Tls {
            certificate: CertSource::InMemory,
            client_ca: None,
            trust: None,
            min_version: TlsVersion::default(),
            sslkeylog: false,
        }
    }
}

impl Tls {
    /// `loopback`: no TLS listener can be reached from elsewhere, so that a certificate made in memory will do.
    pub(super) fn read(mut section: Section<'_>, loopback: bool) -> Option<Tls> {
        let tls = Tls {
            certificate: certificate(&mut section, loopback),
            client_ca: section.file("client_ca"),
            trust: section.file("trust"),
            min_version: section.or("min_version", TlsVersion::default()),
            sslkeylog: section.or("sslkeylog", false),
        };
        let present = section.is_present();
        section.close();
        present.then_some(tls)
    }
}

fn certificate(section: &mut Section<'_>, loopback: bool) -> CertSource {
    let (has_certificate, has_key) = (section.has("certificate"), section.has("key"));
    let certificate = section.file("certificate");
    let key = section.file("key");
    match (has_certificate, has_key) {
        (true, false) => {
            section.fault(section.place("certificate"), Fault::Half { present: "certificate", absent: "key" });
        }
        (false, true) => section.fault(section.place("key"), Fault::Half { present: "key", absent: "certificate" }),
        (false, false) if section.is_present() && !loopback => {
            section.fault(section.place("certificate"), Fault::CertificateNeeded);
        }
        _ => {}
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => CertSource::Files { certificate, key },
        _ => CertSource::InMemory,
    }
}

/// All peer relays. `verifiable` tells whether `tls.client_ca` is there.
pub(super) fn peer_relays(root: &mut Section<'_>, verifiable: bool) -> Vec<PeerRelay> {
    let mut first = HashMap::new();
    root.sections("peer_relay")
        .into_iter()
        .filter_map(|section| {
            if !verifiable {
                section.fault(section.here(), Fault::PeerWithoutCa);
            }
            peer_relay(section, &mut first)
        })
        .collect()
}

fn peer_relay(mut section: Section<'_>, first: &mut HashMap<String, String>) -> Option<PeerRelay> {
    let name = section.require::<String>("name", "name = \"peer.example\", a dNSName in its certificate");
    let name = name.and_then(|name| peer_name(&section, name, first));
    let max_chunk = super::relay::max_chunk(&mut section);
    let multiplex = section.or("multiplex", true);
    let bulk = section.or("bulk", true);
    section.close();
    Some(PeerRelay { name: name?, max_chunk, multiplex, bulk })
}

fn peer_name(section: &Section<'_>, found: Found<String>, first: &mut HashMap<String, String>) -> Option<String> {
    let Found { value, place } = found;
    let name = host(&value).filter(|name| name.parse::<std::net::IpAddr>().is_err());
    let Some(name) = name else {
        let mend = "a dNSName of its certificate, as \"peer.example\"";
        section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a host name", mend });
        return None;
    };
    if let Some(first) = first.get(&name) {
        let duplicate = Fault::Duplicate { found: name, first: first.clone() };
        section.fault(place, duplicate);
        return None;
    }
    first.insert(name.clone(), place.key);
    Some(name)
}
