//! Where the requests of a dialog go: its route set and its remote target (RFC 3261 section 12.2.1.1).

use super::Fault;
use crate::sip::message::{Headers, NameAddr, Request, Uri, list, without_param};

/// Nobody could pass more hops than Max-Forwards allows (RFC 3261 section 8.1.1.6).
const MOST_ROUTES: usize = 70;

/// The way of requests, proxy by proxy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Path {
    /// Values of Route as they came, with their parameters.
    pub(super) routes: Vec<String>,
    /// A URI.
    pub(super) target: String,
}

impl Path {
    /// The URI that is to be resolved.
    pub(super) fn next_hop(&self) -> &str {
        self.first().unwrap_or(&self.target)
    }

    /// A request with its Request-URI, and with Route if the route set is not empty.
    pub(super) fn request(&self, method: &str) -> Request {
        let Some(first) = self.first() else { return Request::new(method, &self.target) };
        if Uri::parse(first).is_some_and(|uri| uri.is_loose()) {
            let mut request = Request::new(method, &self.target);
            request.headers.push("Route", self.routes.join(", "));
            return request;
        }
        // A strict router puts the next Route in the place of the Request-URI: the target has to wait at the end.
        let mut request = Request::new(method, &request_uri(first).unwrap_or_else(|| first.to_owned()));
        let target = format!("<{}>", self.target);
        let rest = self.routes.iter().skip(1).map(String::as_str).chain([&*target]);
        request.headers.push("Route", rest.collect::<Vec<_>>().join(", "));
        request
    }

    fn first(&self) -> Option<&str> {
        NameAddr::read(self.routes.first()?).map(|route| route.uri)
    }
}

/// The values of Record-Route in their order.
pub(super) fn record_route(headers: &Headers) -> Result<Vec<String>, Fault> {
    let mut routes = Vec::new();
    for value in list::all(headers, "Record-Route") {
        if routes.len() == MOST_ROUTES {
            return Err(Fault::TooManyRoutes);
        }
        // Without angle brackets nobody knows whose parameter `lr` is.
        NameAddr::read(value)
            .filter(|route| !value.starts_with(route.uri) && is_routable(route.uri))
            .ok_or(Fault::RecordRoute)?;
        routes.push(value.to_owned());
    }
    Ok(routes)
}

/// The URI of the one Contact, as it may stand in a Request-URI; none if there is no Contact.
pub(super) fn contact(headers: &Headers) -> Result<Option<String>, Fault> {
    let mut all = list::all(headers, "Contact");
    let Some(value) = all.next() else {
        return if headers.has("Contact") { Err(Fault::Contact) } else { Ok(None) };
    };
    if all.next().is_some() {
        return Err(Fault::Contact);
    }
    let uri = NameAddr::read(value).map(|contact| contact.uri).filter(|uri| is_routable(uri));
    uri.and_then(request_uri).map(Some).ok_or(Fault::Contact)
}

/// The URI without what may not stand in a Request-URI: headers and `method` (RFC 3261 section 19.1.1).
pub(super) fn request_uri(text: &str) -> Option<String> {
    let uri = Uri::parse(text)?;
    let text = match text.strip_suffix(uri.headers).and_then(|text| text.strip_suffix('?')) {
        Some(bare) => bare,
        None => text,
    };
    if uri.param("method").is_none() {
        return Some(text.to_owned());
    }
    let place = text.strip_suffix(uri.params)?.strip_suffix(';')?;
    let params = without_param(uri.params, "method");
    Some(if params.is_empty() { place.to_owned() } else { format!("{place};{params}") })
}

/// Whether a request can be sent there, and the URI be written into a start line: SIP or SIPS, and no octet that would end it.
fn is_routable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"".contains(&b))
        && Uri::parse(text).is_some_and(|uri| !uri.host.is_empty())
}
