//! How much of a session description is read before it is refused.

use crate::msrp;

/// Upper bounds for one session description (ADV-S01, ADV-S06, ADV-S09, ADV-S11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Longest description, in octets.
    pub octets: usize,
    /// Most lines.
    pub lines: usize,
    /// Most m-lines of any kind.
    pub sections: usize,
    /// Most m-lines that propose MSRP.
    pub message_sections: usize,
    /// Most fingerprints that apply to one m-line.
    pub fingerprints: usize,
    /// Count and length of the URIs in a path.
    pub path: msrp::Limits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            octets: 65_536,
            lines: 4096,
            sections: 64,
            message_sections: 16,
            fingerprints: 16,
            path: msrp::Limits::default(),
        }
    }
}
