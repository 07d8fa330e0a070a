//! What the operator demands of one side's descriptions, and the checks that depend on it.

use std::net::IpAddr;

use super::{
    fault::SectionFault, fingerprint::FingerprintFault, formats::Content, limits::Limits, media_line::Protocol,
    roles::Connects, section::MessageSection,
};
use crate::msrp::{Host, Uri};

/// Whose URI stands first in a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ownership {
    /// Not ours.
    Foreign,
    /// A living session of ours: the peer has us as its relay (RFC 4976).
    Ours,
    /// Our host and port, but no session that lives (SDP-96).
    OursUnknown,
}

/// Which offers with `msrp-cema` pass as a tunnel (RFC 6714); everything else is terminated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tunnels {
    /// None: content must be seen, sizes enforced, ports shared, or the other side uses WebSocket.
    #[default]
    Never,
    /// Those over TLS.
    Tls,
    /// Those over plain TCP as well, where the first message is looked at (AMB-69).
    All,
}

/// The policy for one leg.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Whether descriptions of this route are anchored at all.
    pub anchoring: bool,
    /// Refuses plain TCP.
    pub tls_required: bool,
    /// Refuses TLS without fingerprint.
    pub fingerprint_required: bool,
    /// Whether fingerprints came by signalling that may be trusted (SDP-104).
    pub fingerprints_trusted: bool,
    /// Accepts SHA-1 fingerprints (AMB-73).
    pub accept_sha1: bool,
    /// Accepts loopback addresses in a path, for labs.
    pub accept_loopback: bool,
    /// Which offers become tunnels.
    pub tunnels: Tunnels,
    /// The protocol of the other leg; none for the same. Only this changes it: TLS is never given up otherwise
    /// (SDP-63).
    pub interworking: Option<Protocol>,
    /// Blocked types and the longest message.
    pub content: Content,
    /// Bounds.
    pub limits: Limits,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            anchoring: true,
            tls_required: false,
            fingerprint_required: false,
            fingerprints_trusted: true,
            accept_sha1: true,
            accept_loopback: false,
            tunnels: Tunnels::Never,
            interworking: None,
            content: Content::default(),
            limits: Limits::default(),
        }
    }
}

impl Rules {
    /// What a leg must offer when the other one offered `received`.
    pub fn protocol_beyond(&self, received: Protocol) -> Protocol {
        self.interworking.unwrap_or(received)
    }

    /// Whether a section that parses may be anchored. Names are not resolved here: the address that is really connected
    /// to is judged by the egress policy (ADV-S04).
    pub(super) fn check(&self, section: &MessageSection<'_>, connects: Connects) -> Result<(), SectionFault> {
        if connects == Connects::We && !section.first.is_tcp() {
            return Err(SectionFault::Transport);
        }
        if self.is_unreachable(&section.first) {
            return Err(SectionFault::Host);
        }
        match section.protocol {
            Protocol::Tcp if self.tls_required => return Err(SectionFault::TlsRequired),
            Protocol::Tcp => {}
            Protocol::Tls => self.check_fingerprints(section)?,
        }
        if section.accept_types.entries().all(|entry| self.content.blocked.iter().any(|blocked| blocked.covers(entry)))
        {
            return Err(SectionFault::NothingAccepted);
        }
        if self.content.max_size.is_some_and(|max_size| section.file.exceeds(max_size)) {
            return Err(SectionFault::FileTooLarge);
        }
        Ok(())
    }

    fn check_fingerprints(&self, section: &MessageSection<'_>) -> Result<(), SectionFault> {
        if section.fingerprints.is_empty() {
            return if self.fingerprint_required { Err(SectionFault::FingerprintMissing) } else { Ok(()) };
        }
        if section.fingerprints.preferred(self.accept_sha1).is_none() {
            return Err(FingerprintFault::NoneUsable.into());
        }
        if self.fingerprints_trusted { Ok(()) } else { Err(SectionFault::SignallingInsecure) }
    }

    fn is_unreachable(&self, uri: &Uri<'_>) -> bool {
        let address = match uri.host() {
            Host::Name(_) => return false,
            Host::V4(address) => IpAddr::V4(address),
            Host::V6(address) => IpAddr::V6(address).to_canonical(),
        };
        address.is_unspecified() || address.is_multicast() || (address.is_loopback() && !self.accept_loopback)
    }
}
