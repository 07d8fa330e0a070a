//! Our o= line: one session-id for the life of a dialog, a version that counts our own changes (RFC 3264 section 8).

use super::address::Address;

/// A description of ours that still lacks its o= line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    octets: Vec<u8>,
    /// Where the o= line belongs.
    origin: usize,
    ending: &'static [u8],
}

impl Draft {
    pub(super) fn new(octets: Vec<u8>, origin: usize, ending: &'static [u8]) -> Draft {
        Draft { octets, origin, ending }
    }

    fn with_origin(&self, line: &str) -> Vec<u8> {
        let (before, after) = self.octets.split_at_checked(self.origin).unwrap_or_default();
        [before, line.as_bytes(), self.ending, after].concat()
    }
}

/// The origin of what we send in one dialog. It lives as long as the dialog; a leg that is replaced has a new one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    session_id: u64,
    address: Address,
    version: u64,
    /// What was sent last.
    last: Option<Draft>,
}

impl Origin {
    /// An origin that has sent nothing. The address does not follow later changes of the media's.
    pub fn new(session_id: u64, address: Address) -> Origin {
        Origin { session_id, address, version: 0, last: None }
    }

    /// The description to send. The version is one higher than the last one if anything changed since, whether that was
    /// accepted or not; else the o= line, and with it the whole text, is the same (SDP-12, SDP-46). What version the
    /// peer's origin has plays no part (ADV-S20).
    pub fn issue(&mut self, draft: Draft) -> Vec<u8> {
        if self.last.as_ref() != Some(&draft) {
            self.version += 1;
        }
        let text = draft.with_origin(&self.line());
        self.last = Some(draft);
        text
    }

    /// What was sent last, for a refresh; none before the first description.
    pub fn repeat(&self) -> Option<Vec<u8>> {
        self.last.as_ref().map(|draft| draft.with_origin(&self.line()))
    }

    fn line(&self) -> String {
        format!("o=- {} {} {}", self.session_id, self.version, self.address)
    }
}
