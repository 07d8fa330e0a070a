//! What a message of ours takes from the one that it carries on: its body with another description, and its headers.

use bytes::Bytes;

use super::{admission, body, copied};
use crate::sip::message::{Headers, NameAddr, Request, Response};

/// Something that has a body and headers that describe it.
pub(super) trait Bodied {
    fn headers(&self) -> &Headers;
    fn body(&self) -> &Bytes;
}

impl Bodied for Request {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn body(&self) -> &Bytes {
        &self.body
    }
}

impl Bodied for Response {
    fn headers(&self) -> &Headers {
        &self.headers
    }
    fn body(&self) -> &Bytes {
        &self.body
    }
}

/// The description of a message, if it has one that can be found.
pub(super) fn description_of(of: &impl Bodied) -> Result<Option<Vec<u8>>, body::BodyFault> {
    let place = body::find(of.headers(), of.body(), &admission::BODY)?;
    Ok(place.map(|place| body::octets(of.body(), &place).to_vec()))
}

/// What a request of ours takes over from the one that it passes on.
/// Of a stranger who had to show who it is in this realm, not everything is believed.
pub(super) fn complete(request: &mut Request, of: &Request, contact: &str, stranger: Option<&str>) {
    let hops = of.headers.first("Max-Forwards").and_then(|n| n.trim().parse::<u8>().ok()).unwrap_or(70);
    request.headers.set("Max-Forwards", hops.saturating_sub(1).to_string());
    if request.headers.has("Contact") {
        request.headers.set("Contact", copied::contact(contact, &of.headers));
    }
    copied::copy(&of.headers, &mut request.headers);
    copied::introduce(&of.headers, &mut request.headers);
    copied::require(&of.headers, &mut request.headers);
    if let Some(realm) = stranger {
        copied::distrust(&mut request.headers, realm);
    }
}

/// The body as it goes on: with this description in the place of the one it had; none at all if that must not be seen.
pub(super) fn set_body(out: &mut Bytes, headers: &mut Headers, of: &impl Bodied, description: Option<&[u8]>) {
    let place = body::find(of.headers(), of.body(), &admission::BODY).ok().flatten();
    *out = match (place, description) {
        (Some(_), Some(b"")) => Bytes::new(),
        (Some(place), Some(description)) => body::replace(of.body(), &place, description),
        _ => of.body().clone(),
    };
    if out.is_empty() {
        drop_type(headers);
    }
}

/// Nothing describes a body that is not there.
pub(super) fn drop_type(headers: &mut Headers) {
    headers.retain(|name| !name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("Content-")));
}

/// Whether a body says what a refusal was about (RFC 3420).
pub(super) fn is_fragment(content_type: &str) -> bool {
    content_type.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("message/sipfrag"))
}

/// A value of From or To without its tag.
pub(super) fn untagged(headers: &Headers, name: &str) -> String {
    let value = headers.first(name).unwrap_or_default();
    NameAddr::read(value).map_or_else(|| value.to_owned(), |address| address.anew(None))
}

/// The headers that must come with a status of ours about a body (RFC 3261 sections 21.4.13, 8.2.3).
pub(super) fn accepting(fault: body::BodyFault) -> Vec<(&'static str, String)> {
    match fault {
        body::BodyFault::Type => vec![("Accept", body::ACCEPT.to_owned())],
        body::BodyFault::Encoding => vec![("Accept-Encoding", "identity".to_owned())],
        _ => Vec::new(),
    }
}
