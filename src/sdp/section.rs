//! The typed view of an m=message section (RFC 4975 section 8).

use super::{
    address::Address,
    attribute::Attribute,
    description::{Description, Line, values},
    direction::Direction,
    fault::SectionFault,
    file::{self, File},
    fingerprint::Fingerprints,
    formats::Formats,
    limits::Limits,
    media_line::Protocol,
    roles::Setup,
};
use crate::msrp::{Path, Uri};

/// What a side says about one MSRP session. Nothing of it is policy: that is in [`Rules`](super::Rules).
#[derive(Clone, Debug)]
pub struct MessageSection<'a> {
    /// The port of the m-line. It is not where one connects to, and need not be the path's (SDP-5, AMB-67).
    pub port: u16,
    /// The protocol of the m-line.
    pub protocol: Protocol,
    /// The section's c= line, or the session's; none if it is absent or cannot be read. Only CEMA connects to it.
    pub address: Option<Address>,
    /// Every URI of the path, each of which parses and has a port.
    pub path: Path<'a>,
    /// The leftmost URI: where one connects to.
    pub first: Uri<'a>,
    /// The rightmost URI: the session (RFC 4975 section 8.2).
    pub last: Uri<'a>,
    /// Types for the outermost body; at least one.
    pub accept_types: Formats<'a>,
    /// Types for bodies inside of containers.
    pub accept_wrapped_types: Formats<'a>,
    /// Longest message in octets, a hint (AMB-74); a number beyond 64 bits counts as the largest one (ADV-S22).
    pub max_size: Option<u64>,
    /// The role; none if absent, `holdconn` or no role.
    pub setup: Option<Setup>,
    /// Fingerprints; empty for plain TCP, where they mean nothing.
    pub fingerprints: Fingerprints,
    /// Whether the side has CEMA (RFC 6714 section 5).
    pub cema: bool,
    /// Which way ordinary messages go.
    pub direction: Direction,
    /// The file, if the section is about one (RFC 5547).
    pub file: File<'a>,
}

impl<'a> MessageSection<'a> {
    /// Reads the section with this index, which must propose MSRP with a port other than zero. Setup, fingerprint and
    /// direction may stand at session level, path and accept-types may not (AMB-71).
    pub fn parse(
        description: &Description<'a>,
        index: usize,
        limits: &Limits,
    ) -> Result<MessageSection<'a>, SectionFault> {
        let lines = description.section(index);
        let media = description.media_lines().get(index).ok_or(SectionFault::Format)?;
        let protocol = media.message_protocol().ok_or(SectionFault::Format)?;
        let port = media.port().ok_or(SectionFault::Port)?;
        if media.formats != b"*" {
            return Err(SectionFault::Format);
        }
        let path = path(lines, limits)?;
        let (first, last) = ends(path)?;
        if first.scheme() != protocol.scheme() {
            return Err(SectionFault::Scheme);
        }
        let accept_types = Formats::new(values(lines, Attribute::AcceptTypes));
        if accept_types.is_empty() {
            return Err(SectionFault::AcceptTypesMissing);
        }
        let fingerprints = match protocol {
            Protocol::Tcp => Fingerprints::default(),
            Protocol::Tls => {
                Fingerprints::parse(description.inherited(index, Attribute::Fingerprint), limits.fingerprints)?
            }
        };
        let selector = values(lines, Attribute::FileSelector).next();
        Ok(MessageSection {
            port,
            protocol,
            address: address(lines).or_else(|| address(description.session())),
            path,
            first,
            last,
            accept_types,
            accept_wrapped_types: Formats::new(values(lines, Attribute::AcceptWrappedTypes)),
            max_size: values(lines, Attribute::MaxSize).filter_map(|value| file::number(value.trim_ascii())).min(),
            setup: setup(description, index),
            fingerprints,
            cema: values(lines, Attribute::Cema).next().is_some(),
            direction: direction(description, index),
            file: File::new(selector, values(lines, Attribute::FileTransferId).next()),
        })
    }

    /// The path as a To-Path value: one space between URIs, whatever stood there (SDP-8).
    pub fn target_path(&self) -> Vec<u8> {
        let texts: Vec<&[u8]> = self.path.texts().collect();
        texts.join(&b' ')
    }

    /// Whether the side is reached by way of relays (RFC 4975 section 8.3).
    pub fn is_behind_relays(&self) -> bool {
        self.path.after(1) != b""
    }
}

/// The role that applies to a section.
pub(super) fn setup(description: &Description<'_>, index: usize) -> Option<Setup> {
    description.inherited(index, Attribute::Setup).next().and_then(Setup::parse)
}

/// The direction that applies to a section.
pub(super) fn direction(description: &Description<'_>, index: usize) -> Direction {
    let find = |lines: &[Line<'_>]| {
        lines.iter().find_map(|line| match line.attribute() {
            Some((Attribute::Direction(direction), _)) => Some(direction),
            _ => None,
        })
    };
    find(description.section(index)).or_else(|| find(description.session())).unwrap_or_default()
}

fn path<'a>(lines: &[Line<'a>], limits: &Limits) -> Result<Path<'a>, SectionFault> {
    let mut paths = values(lines, Attribute::Path);
    let path = Path::new(paths.next().ok_or(SectionFault::PathMissing)?);
    if paths.next().is_some() {
        return Err(SectionFault::PathTwice);
    }
    path.check(&limits.path).map_err(SectionFault::Path)?;
    let has_port = |text| Uri::parse(text).is_ok_and(|uri| uri.port().is_some());
    if path.texts().all(has_port) { Ok(path) } else { Err(SectionFault::PortImplicit) }
}

fn ends(path: Path<'_>) -> Result<(Uri<'_>, Uri<'_>), SectionFault> {
    let parse = |text: Option<_>| text.and_then(|text| Uri::parse(text).ok()).ok_or(SectionFault::PathMissing);
    Ok((parse(path.first())?, parse(path.last())?))
}

fn address(lines: &[Line<'_>]) -> Option<Address> {
    lines.iter().find(|line| line.kind() == b'c').and_then(|line| Address::parse(line.value()))
}
