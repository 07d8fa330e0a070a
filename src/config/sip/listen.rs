//! `[[sip.listen]]`: where SIP comes in, and what we are called there.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::super::document::{Found, Section};
use super::super::problem::Fault;
use super::super::relay::host;
use super::super::value::choice;
use super::{Around, Protocol};

/// One `[[sip.listen]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SipListen {
    /// Address to bind; port 0 lets the system choose.
    pub address: SocketAddr,
    /// UDP, TCP, or TLS over TCP.
    pub protocol: Protocol,
    /// What Via and Contact say of it; there if the address is a wildcard.
    pub advertise: Option<SipName>,
}

/// A name by which a listener is reached.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SipName {
    /// Name or IP address, IPv6 without brackets.
    pub host: String,
    /// Port, never 0; the listener's if none is named.
    pub port: Option<u16>,
}

choice!(
    Protocol, "a transport", "\"udp\", \"tcp\" or \"tls\"",
    "udp" => Protocol::Udp, "tcp" => Protocol::Tcp, "tls" => Protocol::Tls
);

impl SipListen {
    /// Host (IPv6 without brackets) and port for Via and Contact, when the listener is bound to `bound`.
    pub fn name(&self, bound: SocketAddr) -> (String, u16) {
        match &self.advertise {
            Some(name) => (name.host.clone(), name.port.unwrap_or(bound.port())),
            None => (bound.ip().to_string(), bound.port()),
        }
    }
}

impl SipName {
    fn parse(text: &str) -> Option<SipName> {
        // What ends in a bracket, or has two colons and none, is an IPv6 address without a port.
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !text.ends_with(']') && (name.starts_with('[') || !name.contains(':')) => {
                (name, Some(port.parse().ok().filter(|port| *port != 0)?))
            }
            _ => (text, None),
        };
        Some(SipName { host: host(name)?, port })
    }
}

/// Who has an address already, by whether it is for datagrams.
type Taken = HashMap<(bool, SocketAddr), String>;

/// All listeners.
pub(super) fn read(section: &mut Section<'_>, around: &Around<'_>) -> Vec<SipListen> {
    let streams = around.listen.iter().enumerate().map(|(n, it)| (it.address, format!("listen[{n}].address")));
    let admin = around.admin.map(|admin| (admin.address, "admin.address".to_owned()));
    let mut taken: Taken = streams.chain(admin).map(|(address, key)| ((false, address), key)).collect();
    section.sections("listen").into_iter().filter_map(|section| one(section, around.tls, &mut taken)).collect()
}

fn one(mut section: Section<'_>, tls: bool, taken: &mut Taken) -> Option<SipListen> {
    let address = section.require::<SocketAddr>("address", "address = \"127.0.0.1:5060\"");
    let transport = section.has("transport");
    let protocol = section.take::<Protocol>("transport").map(|found| found.value);
    let protocol = if transport { protocol } else { Some(Protocol::Udp) };
    if protocol == Some(Protocol::Tls) && !tls {
        section.fault(section.place("transport"), Fault::ListenerWithoutTls);
    }
    let has_advertise = section.has("advertise");
    let advertise = advertise(&mut section);
    if !has_advertise && address.as_ref().is_some_and(|found| found.value.ip().is_unspecified()) {
        section.fault(section.place("advertise"), Fault::AdvertiseNeeded);
    }
    let address = address.zip(protocol).and_then(|(found, protocol)| unique(&section, found, protocol, taken));
    section.close();
    Some(SipListen { address: address?, protocol: protocol?, advertise })
}

fn unique(
    section: &Section<'_>,
    found: Found<SocketAddr>,
    protocol: Protocol,
    taken: &mut Taken,
) -> Option<SocketAddr> {
    let Found { value, place } = found;
    let slot = (protocol == Protocol::Udp, value);
    if let Some(first) = taken.get(&slot).filter(|_| value.port() != 0) {
        let duplicate = Fault::Duplicate { found: value.to_string(), first: first.clone() };
        section.fault(place, duplicate);
        return None;
    }
    taken.insert(slot, place.key);
    Some(value)
}

fn advertise(section: &mut Section<'_>) -> Option<SipName> {
    let Found { value, place } = section.take::<String>("advertise")?;
    let name = SipName::parse(&value);
    if name.is_none() {
        let mend = "one such as \"sip.example.com\", \"sip.example.com:5070\" or \"[2001:db8::1]:5070\"";
        section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a host", mend });
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertised_name_may_have_a_port() {
        let parse = |text| SipName::parse(text).map(|it| (it.host, it.port));
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(parse("Sip.Example"), is("sip.example", None));
        assert_eq!(parse("sip.example:5070"), is("sip.example", Some(5070)));
        assert_eq!(parse("[2001:db8::1]:5070"), is("2001:db8::1", Some(5070)));
        assert_eq!(parse("[2001:db8::1]"), is("2001:db8::1", None));
        assert_eq!(parse("2001:db8::1"), is("2001:db8::1", None));
        assert_eq!(parse("192.0.2.1"), is("192.0.2.1", None));
        for wrong in ["", ":5060", "sip.example:", "sip.example:0", "sip.example:70000", "[192.0.2.1]:1", "a b"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_listener_is_called_what_it_advertises_else_by_its_address() {
        let bound: SocketAddr = ([192, 0, 2, 1], 5070).into();
        let listen = |advertise| SipListen { address: bound, protocol: Protocol::Tcp, advertise };
        let name = |port| Some(SipName { host: "sip.example".to_owned(), port });
        assert_eq!(listen(None).name(bound), ("192.0.2.1".to_owned(), 5070));
        assert_eq!(listen(name(None)).name(bound), ("sip.example".to_owned(), 5070));
        assert_eq!(listen(name(Some(5060))).name(bound), ("sip.example".to_owned(), 5060));
    }
}
