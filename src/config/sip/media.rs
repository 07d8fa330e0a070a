//! `[sip.media]`: what is demanded of session descriptions, whichever side they come from.

use std::time::Duration;

use super::super::document::{Found, Section};
use super::super::problem::Fault;
use crate::sdp::Blocked;

/// `[sip.media]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Media {
    /// Refuse MSRP without TLS.
    pub tls_required: bool,
    /// Refuse MSRP over TLS without a fingerprint.
    pub fingerprint_required: bool,
    /// Refuse fingerprints that did not come over TLS (SDP-104).
    pub fingerprints_need_secure_sip: bool,
    /// Accept SHA-1 fingerprints (AMB-73).
    pub accept_sha1: bool,
    /// Accept loopback addresses in paths.
    pub accept_loopback: bool,
    /// Media types that are taken out of descriptions.
    pub blocked_types: Vec<Blocked>,
    /// The longest message in octets that descriptions may promise; none for no bound of our own.
    pub max_size: Option<u64>,
    /// A call is ended when neither side of its MSRP session has come after this (SDP-92).
    pub media_timeout: Duration,
}

impl Default for Media {
    fn default() -> Media {
        Media {
            tls_required: false,
            fingerprint_required: false,
            fingerprints_need_secure_sip: false,
            accept_sha1: true,
            accept_loopback: false,
            blocked_types: Vec::new(),
            max_size: None,
            media_timeout: Duration::from_secs(60),
        }
    }
}

impl Media {
    pub(super) fn read(mut section: Section<'_>) -> Media {
        let default = Media::default();
        let media = Media {
            tls_required: section.or("tls_required", default.tls_required),
            fingerprint_required: section.or("fingerprint_required", default.fingerprint_required),
            fingerprints_need_secure_sip: section
                .or("fingerprints_need_secure_sip", default.fingerprints_need_secure_sip),
            accept_sha1: section.or("accept_sha1", default.accept_sha1),
            accept_loopback: section.or("accept_loopback", default.accept_loopback),
            blocked_types: blocked(&mut section),
            max_size: section.positive_if_any("max_size"),
            media_timeout: section.positive("media_timeout", default.media_timeout),
        };
        section.close();
        media
    }
}

fn blocked(section: &mut Section<'_>) -> Vec<Blocked> {
    let mut types = Vec::new();
    for Found { value, place } in section.list::<String>("blocked_types").unwrap_or_default() {
        match Blocked::new(&value) {
            Some(blocked) => types.push(blocked),
            None => {
                let mend = "one such as \"image/png\" or \"image/*\"";
                section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a media type", mend });
            }
        }
    }
    types
}
