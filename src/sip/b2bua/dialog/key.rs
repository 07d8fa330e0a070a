//! By what messages find their dialog (RFC 3261 section 12).

use crate::sip::message::{Headers, NameAddr, Request, Response};

/// The dialog ID as one side sees it: Call-ID, its own tag, the tag of the other side.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DialogKey {
    /// The Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The tag of the other side; none before it answered.
    pub remote_tag: Option<String>,
}

/// The dialog that a request to us belongs to; none if its To has no tag (RFC 3261 section 12.2.2).
pub fn key_of_request(request: &Request) -> Option<DialogKey> {
    key(&request.headers, "To", "From")
}

/// The dialog that a response to a request of ours belongs to; none if its To has no tag (RFC 3261 section 12.1.2).
pub fn key_of_response(response: &Response) -> Option<DialogKey> {
    key(&response.headers, "From", "To")
}

fn key(headers: &Headers, local: &str, remote: &str) -> Option<DialogKey> {
    let tag = |name| Some(NameAddr::read(headers.first(name)?)?.tag()?.to_owned());
    Some(DialogKey {
        call_id: headers.first("Call-ID")?.to_owned(),
        local_tag: tag(local)?,
        remote_tag: Some(tag(remote)?),
    })
}
