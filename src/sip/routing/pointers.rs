//! Which services a domain offers, in which order to ask for them (RFC 3263 section 4.1).

use super::Means;
use crate::dns::{Pointer, without_asking};
use crate::sip::way::Protocol;

/// The name of SRV records, and the protocol that is spoken with what they name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ServiceName {
    pub(super) protocol: Protocol,
    pub(super) name: String,
}

impl ServiceName {
    /// What a domain calls its service without NAPTR records.
    pub(super) fn plain(protocol: Protocol, domain: &str) -> ServiceName {
        let prefix = match protocol {
            Protocol::Udp => "_sip._udp",
            Protocol::Tcp => "_sip._tcp",
            Protocol::Tls => "_sips._tcp",
        };
        ServiceName { protocol, name: format!("{prefix}.{domain}") }
    }
}

/// The services that NAPTR records name and we can speak, the preferred one first; for `sips` those with TLS only. With a
/// long request datagrams come last (RFC 3261 section 18.1.1).
pub(super) fn selected(mut records: Vec<Pointer>, means: &Means, secure: bool, long: bool) -> Vec<ServiceName> {
    records.sort_by_key(|record| (record.order, record.preference));
    let offered = |record: &Pointer| {
        let protocol = protocol(record).filter(|it| means.speaks(*it) && (!secure || *it == Protocol::Tls))?;
        Some(ServiceName { protocol, name: record.replacement.clone() })
    };
    let mut names: Vec<ServiceName> = records.iter().filter_map(offered).collect();
    if long {
        names.sort_by_key(|service| service.protocol == Protocol::Udp);
    }
    names
}

/// The services that a domain without NAPTR records may have: one for each protocol.
pub(super) fn plain_names(domain: &str, means: &Means, secure: bool, long: bool) -> Vec<ServiceName> {
    means.preferred(secure, long).map(|protocol| ServiceName::plain(protocol, domain)).collect()
}

/// The protocol of a record that leads to SRV records; none of any other record.
fn protocol(record: &Pointer) -> Option<Protocol> {
    let leads = !matches!(&*record.replacement, "" | ".") && without_asking(&record.replacement).is_none();
    if !record.flags.eq_ignore_ascii_case("s") || record.has_regexp || !leads {
        return None;
    }
    [("SIP+D2U", Protocol::Udp), ("SIP+D2T", Protocol::Tcp), ("SIPS+D2T", Protocol::Tls)]
        .into_iter()
        .find_map(|(service, protocol)| record.service.eq_ignore_ascii_case(service).then_some(protocol))
}
