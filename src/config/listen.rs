//! `[[listen]]`: where connections come in.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::document::{Found, Section};
use super::problem::Fault;
use super::relay::host;
use super::value::choice;

/// One `[[listen]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listen {
    /// Address to bind; port 0 lets the system choose.
    pub address: SocketAddr,
    /// TLS, or plain TCP for far sides and labs.
    pub transport: Transport,
    /// Whether AUTH is served here; otherwise it gets 403. On by default for TLS only (RFC 4976 5.1).
    pub auth: bool,
    /// What others reach this listener by, where that differs: NAT, container, load balancer.
    pub advertise: Option<Advertise>,
}

/// Transport of a listener.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Transport {
    /// TLS (`msrps`).
    #[default]
    Tls,
    /// Plain TCP (`msrp`).
    Tcp,
}

/// Host and port by which a listener is reached from outside; they stand in Use-Path and are our own name.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Advertise {
    /// Name or IP address, IPv6 without brackets.
    pub host: String,
    /// Port, never 0.
    pub port: u16,
}

choice!(Transport, "a transport", "\"tls\" or \"tcp\"", "tls" => Transport::Tls, "tcp" => Transport::Tcp);

impl Advertise {
    fn parse(text: &str) -> Option<Advertise> {
        let (name, port) = text.rsplit_once(':')?;
        let port = port.parse().ok().filter(|port| *port != 0)?;
        // An IPv6 address without brackets would end in what looks like a port.
        if name.contains(':') && !name.starts_with('[') {
            return None;
        }
        Some(Advertise { host: host(name)?, port })
    }
}

/// All listeners.
pub(super) fn read(root: &mut Section<'_>) -> Vec<Listen> {
    let tls = root.has("tls");
    let sections = root.sections("listen");
    // A list of the wrong kind has been reported by now.
    if sections.is_empty() && root.is_empty_list("listen") {
        root.fault(root.place("listen"), Fault::NoListener);
    }
    let mut first = HashMap::new();
    sections.into_iter().filter_map(|section| one(section, tls, &mut first)).collect()
}

fn one(mut section: Section<'_>, tls: bool, first: &mut HashMap<SocketAddr, String>) -> Option<Listen> {
    let address = section.require::<SocketAddr>("address", "address = \"127.0.0.1:2855\"");
    let transport_is_wrong = section.has("transport");
    let transport = section.take::<Transport>("transport");
    let place = section.place("transport");
    let transport = match transport {
        Some(found) => Some(found.value),
        None if transport_is_wrong => None,
        None => Some(Transport::default()),
    };
    if transport == Some(Transport::Tls) && !tls {
        section.fault(place, Fault::ListenerWithoutTls);
    }
    let auth = section.take::<bool>("auth").map(|found| found.value);
    let advertise = advertise(&mut section);
    let address = address.and_then(|address| unique(&section, address, first));
    section.close();
    let transport = transport?;
    Some(Listen { address: address?, transport, auth: auth.unwrap_or(transport == Transport::Tls), advertise })
}

fn unique(
    section: &Section<'_>,
    address: Found<SocketAddr>,
    first: &mut HashMap<SocketAddr, String>,
) -> Option<SocketAddr> {
    let Found { value, place } = address;
    if value.port() == 0 {
        return Some(value);
    }
    if let Some(first) = first.get(&value) {
        let duplicate = Fault::Duplicate { found: value.to_string(), first: first.clone() };
        section.fault(place, duplicate);
        return None;
    }
    first.insert(value, place.key);
    Some(value)
}

fn advertise(section: &mut Section<'_>) -> Option<Advertise> {
    let Found { value, place } = section.take::<String>("advertise")?;
    let advertise = Advertise::parse(&value);
    if advertise.is_none() {
        let mend = "one such as \"relay.example.com:2855\" or \"[2001:db8::1]:2855\"";
        section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a host with a port", mend });
    }
    advertise
}

#[cfg(test)]
mod tests {
    use super::Advertise;

    #[test]
    fn an_advertised_address_has_a_host_and_a_port() {
        let parse = |text| Advertise::parse(text).map(|it| (it.host, it.port));
        assert_eq!(parse("Relay.Example:2855"), Some(("relay.example".to_owned(), 2855)));
        assert_eq!(parse("[2001:db8::1]:443"), Some(("2001:db8::1".to_owned(), 443)));
        for wrong in ["relay.example", "relay.example:", "relay.example:0", "relay.example:70000", "2001:db8::1", ":1"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
