//! How the paths of a request change on its way through.

use std::sync::Arc;

use crate::msrp::{Path, PathsOut};

/// Paths toward one leg of an anchor: the list of its SDP, and our URI there (RFC 4975 section 8).
#[derive(PartialEq, Eq, Debug)]
pub(super) struct LegPaths {
    pub(super) to: Arc<[u8]>,
    pub(super) from: Arc<[u8]>,
    /// Octets of the longest message that may go there.
    pub(super) most: Option<u64>,
}

/// What becomes of the paths of a request that is passed on.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Turn {
    /// So many leading URIs of To-Path are ours (RFC 4976 section 6.4.1).
    Hops(usize),
    /// It goes to a leg of an anchor, which sees nothing of the other side's path (SDP-99).
    Leg(Arc<LegPaths>),
}

impl Turn {
    /// The same for the encoder.
    pub(super) fn paths(&self) -> PathsOut<'_> {
        match self {
            Turn::Hops(hops) => PathsOut::Turn(*hops),
            Turn::Leg(paths) => PathsOut::Set { to: &paths.to, from: &paths.from },
        }
    }

    /// Octets of the longest message that whoever is there takes, if it has said so (RFC 4975 section 8.6).
    pub(super) fn most(&self) -> Option<u64> {
        match self {
            Turn::Hops(_) => None,
            Turn::Leg(paths) => paths.most,
        }
    }

    /// The URI that a request with this To-Path goes to next.
    pub(super) fn next<'a>(&'a self, to: Path<'a>) -> Option<&'a [u8]> {
        match self {
            Turn::Hops(hops) => to.texts().nth(*hops),
            Turn::Leg(paths) => Path::new(&paths.to).first(),
        }
    }
}
