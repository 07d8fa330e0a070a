//! A later offer of the same side, compared with the description that was accepted before (RFC 4975 section 8.4).
//!
//! The state before an offer stays valid until the exchange is complete: nothing here changes anything, and who hears
//! that an offer was refused has nothing to take back but the tokens it minted (SDP-73).

use super::{description::Description, fault::DescriptionFault, section::MessageSection};

/// What a later offer is as a whole.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Update {
    /// Nothing changed: the answer is our last description, nothing else happens (SDP-12).
    Refresh,
    /// Something changed: see each m-line, and pass the offer on.
    Changed,
}

/// Compares two descriptions of one side. The text decides: an origin whose version runs backwards or stands still
/// while the text changes is a change, and one that counts on over the same text is none (ADV-S20).
pub fn update(before: &Description<'_>, now: &Description<'_>) -> Result<Update, DescriptionFault> {
    if now.media_lines().len() < before.media_lines().len() {
        return Err(DescriptionFault::FewerSections);
    }
    Ok(if before.same_but_origin(now) { Update::Refresh } else { Update::Changed })
}

/// What has to be done about one m-line of a later offer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Not ours before, not ours now: nothing.
    None,
    /// A session begins, in a new m-line or in one that was removed.
    Begins,
    /// The session ends: running messages are aborted, queued ones fail, the tokens go; the answer has port 0 (SDP-48).
    Ends,
    /// Another protocol: the session ends and a new one begins in its place.
    BeginsAnew,
    /// The same path: our URIs, tokens and connections stay, whatever else changed (SDP-51, SDP-67).
    Stays,
    /// The same session by other relays: the target path is replaced, our URI stays.
    Rerouted {
        /// Whether the first hop is another one, so that a new connection is needed where we connect.
        reconnect: bool,
    },
    /// Another session of the peer, or its connection is gone: a new target path, a new connection, and a new URI of
    /// ours on this leg alone. The old URI is good for another 30 s (SDP-11, SDP-93).
    Replaced,
}

impl Change {
    /// What became of a section; none where there is no MSRP section with a port. `connected` says whether the leg
    /// has a usable connection, or is still waiting for its first one.
    pub fn of(before: Option<&MessageSection<'_>>, now: Option<&MessageSection<'_>>, connected: bool) -> Change {
        let (before, now) = match (before, now) {
            (None, None) => return Change::None,
            (None, Some(_)) => return Change::Begins,
            (Some(_), None) => return Change::Ends,
            (Some(before), Some(now)) => (before, now),
        };
        if before.protocol != now.protocol {
            return Change::BeginsAnew;
        }
        if !connected || !before.last.equivalent(&now.last) {
            return Change::Replaced;
        }
        if before.path.texts().eq(now.path.texts()) {
            return Change::Stays;
        }
        Change::Rerouted { reconnect: !before.first.equivalent(&now.first) }
    }

    /// Whether the leg's answer needs a URI of ours that it did not have.
    pub fn needs_uri(self) -> bool {
        matches!(self, Change::Begins | Change::BeginsAnew | Change::Replaced)
    }
}

/// What became of the file that a section is about (RFC 5547 section 8.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// No file.
    None,
    /// The same file-transfer-id: nothing restarts, and none is made anew.
    Same,
    /// Another file: the endpoints abort the old one; the connection stays.
    Other,
}

impl Transfer {
    /// Compares the sections before and after.
    pub fn of(before: &MessageSection<'_>, now: &MessageSection<'_>) -> Transfer {
        match (before.file.transfer_id, now.file.transfer_id) {
            (None, None) => Transfer::None,
            (before, now) if before == now => Transfer::Same,
            _ => Transfer::Other,
        }
    }
}
