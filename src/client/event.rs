//! What a connection brings, for whoever holds the endpoint.

use bytes::Bytes;

use crate::msrp::{ByteRange, Head, Path, Status};

/// Something that has come in.
#[derive(Clone, Debug)]
pub enum Event {
    /// A message is complete.
    Message(Message),
    /// Octets of a message that is too long to be kept, in order of arrival. A [`Event::Message`] without body follows
    /// when it is complete.
    Octets {
        /// Its Message-ID.
        message_id: String,
        /// Where they belong, counted from 0.
        offset: u64,
        /// The octets.
        octets: Bytes,
    },
    /// The sender has given the message up (`#`).
    Aborted {
        /// Its Message-ID.
        message_id: String,
    },
    /// A REPORT on a message that no [`super::Sending`] waits for.
    Report(Report),
    /// A request other than SEND and REPORT, to be answered with [`super::Endpoint::respond`].
    Request(Request),
}

/// A complete message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its Message-ID; empty if it had none.
    pub message_id: String,
    /// Its media type; `None` for a message without body.
    pub content_type: Option<String>,
    /// From-Path of its first chunk: the To-Path of answers to it.
    pub from_path: String,
    /// Length in octets.
    pub length: u64,
    /// The whole body, unless it has come as [`Event::Octets`].
    pub body: Option<Bytes>,
    /// Chunks it came in.
    pub chunks: u64,
    /// Octets of the longest one.
    pub longest_chunk: u64,
    /// Head of the first chunk that arrived.
    pub head: Head,
}

/// A REPORT (RFC 4975 section 7.1.2).
#[derive(Clone, Debug)]
pub struct Report {
    /// The Message-ID it is about.
    pub message_id: String,
    /// Code of its Status header.
    pub status: Status,
    /// What it is about; all that is known where it does not say.
    pub range: ByteRange,
    /// Its head.
    pub head: Head,
}

/// A request other than SEND and REPORT.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its head.
    pub head: Head,
    /// Its body, at most 10 240 octets.
    pub body: Bytes,
}

/// A path as text; octets outside UTF-8 are replaced.
pub(super) fn path_text(path: Option<Path<'_>>) -> String {
    path.map(|path| text(path.after(0))).unwrap_or_default()
}

pub(super) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}
