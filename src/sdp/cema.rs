//! Connection Establishment for Media Anchoring (RFC 6714): where a tunnel leads, and when an endpoint may not join in.

use std::net::IpAddr;

use super::{
    address::Address,
    roles::{Side, active_side},
    section::MessageSection,
};
use crate::msrp::Host;

/// Where we connect to for a tunnel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Destination {
    /// The address and port of c= and m=, as a CEMA peer means them.
    ConnectionLine,
    /// The first URI of the path, for a peer without CEMA.
    Path,
}

/// What is done about an offer with `msrp-cema` after its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tunnel {
    /// One side connects to our port for it, and we to the other side.
    Splice {
        /// Who connects to us.
        accept: Side,
        /// Where the other side is.
        connect: Destination,
    },
    /// The offerer cannot work with this answer: wait 10 s for its offer without `msrp-cema`, then anchor (SDP-38).
    AwaitOffer,
}

impl Tunnel {
    /// Decides by both descriptions, as they were received.
    pub fn of(offer: &MessageSection<'_>, answer: &MessageSection<'_>) -> Tunnel {
        let active = active_side(offer.setup, answer.setup);
        match (active, answer.cema) {
            // An offerer without CEMA in its answer connects by the path, or waits for one that does: both miss us.
            (Side::Answerer, false) => Tunnel::AwaitOffer,
            (Side::Offerer, false) if answer.is_behind_relays() || offer.is_behind_relays() => Tunnel::AwaitOffer,
            (Side::Offerer, false) => Tunnel::Splice { accept: Side::Offerer, connect: Destination::Path },
            (active, true) => Tunnel::Splice { accept: active, connect: Destination::ConnectionLine },
        }
    }
}

/// Whether c= and m= name the same place as a URI of the path (RFC 6714 section 4.4, SDP-37). Any address of one name
/// may be any address of the other; the caller resolves names, and gives what it found for the c= line and for the
/// URIs of the path in order. A literal needs no resolution.
pub fn address_matches_path(
    section: &MessageSection<'_>,
    of_connection_line: &[IpAddr],
    of_path: &[Vec<IpAddr>],
) -> bool {
    let Some(address) = &section.address else { return false };
    let here: Vec<IpAddr> = match address {
        Address::V4(address) => vec![IpAddr::V4(*address)],
        Address::V6(address) => vec![IpAddr::V6(*address)],
        Address::Name(..) => of_connection_line.to_vec(),
    };
    section.path.texts().enumerate().any(|(index, text)| {
        let Ok(uri) = crate::msrp::Uri::parse(text) else { return false };
        let there = match uri.host() {
            Host::V4(address) => vec![IpAddr::V4(address)],
            Host::V6(address) => vec![IpAddr::V6(address)],
            Host::Name(_) => of_path.get(index).cloned().unwrap_or_default(),
        };
        let same_name = matches!(address, Address::Name(name, _) if uri.host_is(name));
        uri.port() == Some(section.port) && (same_name || here.iter().any(|address| there.contains(address)))
    })
}
