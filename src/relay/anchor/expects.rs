//! What a certificate must be for a leg: fingerprints that came by SDP, or a name (RFC 8122 sections 5 and 6.2).

use std::sync::Arc;

use crate::sdp::Fingerprint;

/// What the certificate of a leg's end must be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Expects {
    /// Who has our URI is who is meant.
    #[default]
    Nothing,
    /// Valid, with this name.
    Name(Arc<str>),
    /// Any that has one of these.
    Fingerprints(Arc<[Fingerprint]>),
}

impl Expects {
    /// Whether a link with these fingerprints and these verified names satisfies.
    pub(super) fn met_by<'a>(&self, seen: Option<&[Fingerprint]>, mut names: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Expects::Nothing => true,
            Expects::Name(name) => names.any(|n| n.eq_ignore_ascii_case(name)),
            Expects::Fingerprints(expected) => seen.is_some_and(|seen| Fingerprint::matches(expected, seen)),
        }
    }

    /// The fingerprints that a connection of ours is verified by, in place of its name.
    pub(super) fn fingerprints(&self) -> Option<Arc<[Fingerprint]>> {
        match self {
            Expects::Fingerprints(expected) => Some(expected.clone()),
            Expects::Nothing | Expects::Name(_) => None,
        }
    }
}
