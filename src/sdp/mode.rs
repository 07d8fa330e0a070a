//! What becomes of an m-line: terminated, tunnelled, left alone or refused.

use super::{
    fault::SectionFault,
    media_line::Protocol,
    roles::Connects,
    rules::{Ownership, Rules, Tunnels},
    section::MessageSection,
};

/// The treatment of one m-line, from its offer on for as long as it lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Terminated: both sides meet at the relay, by a URI of ours on each leg.
    Anchored,
    /// Carried without being read (RFC 6714): only c= and the m-line's port are ours.
    Tunnelled,
    /// The peer has us as its relay already (RFC 4976): the section goes on as it is (SDP-95).
    Relayed,
    /// MSRP that this route does not anchor.
    PassedThrough,
    /// Offered with port 0: removed, and it stays so.
    Removed,
    /// Not MSRP over TCP: other media, or `UDP/DTLS/SCTP` (SDP-102).
    Foreign,
    /// Not acceptable to us.
    Refused,
}

/// The mode of an offered section that parses, when this route is anchored.
pub(super) fn choose(section: &MessageSection<'_>, rules: &Rules, ownership: Ownership) -> Result<Mode, SectionFault> {
    match ownership {
        Ownership::Ours => return Ok(Mode::Relayed),
        Ownership::OursUnknown => return Err(SectionFault::SessionUnknown),
        Ownership::Foreign => {}
    }
    rules.check(section, Connects::on_offer(section.setup))?;
    Ok(if section.cema && tunnels(section.protocol, rules) { Mode::Tunnelled } else { Mode::Anchored })
}

/// What must be read, counted or translated cannot pass as a tunnel.
fn tunnels(protocol: Protocol, rules: &Rules) -> bool {
    let allowed = match rules.tunnels {
        Tunnels::Never => false,
        Tunnels::Tls => protocol == Protocol::Tls,
        Tunnels::All => true,
    };
    let reads = rules.content.max_size.is_some() || !rules.content.blocked.is_empty();
    allowed && !reads && rules.protocol_beyond(protocol) == protocol
}
