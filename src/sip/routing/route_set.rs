//! Request-URI and Route toward a target by a set of routers, the strict ones of RFC 2543 among them (RFC 3261 sections
//! 12.2.1.1, 16.12).

use crate::sip::message::{Headers, NameAddr, Uri, list, without_param};

/// What a request says of where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Laid {
    /// The Request-URI.
    pub request_uri: String,
    /// The values of Route, in order; empty without a route set.
    pub route: Vec<String>,
    /// The URI whose place the request is sent to (RFC 3261 section 8.1.2): the first router's, else the Request-URI.
    pub next: String,
}

/// The request toward `target` by the route set `set` (values of a Route header): a strict router gets its own URI as
/// Request-URI, and the target as last Route (RFC 3261 section 12.2.1.1). A first router that cannot be read counts as a loose
/// one: [`Place::parse`](super::Place::parse) of `next` says what is wrong with it.
pub fn lay(target: &str, set: &[String]) -> Laid {
    let Some((first, rest)) = set.split_first() else {
        return Laid { request_uri: target.to_owned(), route: Vec::new(), next: target.to_owned() };
    };
    let next = NameAddr::read(first).map_or(&**first, |value| value.uri);
    match Uri::parse(next).filter(|uri| !uri.is_loose()) {
        Some(uri) => Laid {
            request_uri: in_request_line(next, &uri),
            route: rest.iter().cloned().chain([format!("<{target}>")]).collect(),
            next: next.to_owned(),
        },
        None => Laid { request_uri: target.to_owned(), route: set.to_vec(), next: next.to_owned() },
    }
}

/// The values of all Route lines of a request, in order.
pub(super) fn values(headers: &Headers) -> Vec<String> {
    list::all(headers, "Route").map(str::to_owned).collect()
}

/// A Request-URI has neither headers nor `method` (RFC 3261 section 19.1.1, table 1).
pub(super) fn in_request_line(text: &str, uri: &Uri<'_>) -> String {
    let bare = text.strip_suffix(uri.headers).and_then(|text| text.strip_suffix('?')).unwrap_or(text);
    match uri.param("method") {
        None => bare.to_owned(),
        Some(_) => {
            let place = bare.strip_suffix(uri.params).and_then(|text| text.strip_suffix(';')).unwrap_or(bare);
            let params = without_param(uri.params, "method");
            if params.is_empty() { place.to_owned() } else { format!("{place};{params}") }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::no_set(&[], "sip:bob@b.example", &[], "sip:bob@b.example")]
    #[case::loose(
        &["<sip:p1.example;lr>", "<sip:p2.example;lr>;x=y"], "sip:bob@b.example",
        &["<sip:p1.example;lr>", "<sip:p2.example;lr>;x=y"], "sip:p1.example;lr"
    )]
    #[case::strict(
        &["<sip:p1.example>", "<sip:p2.example;lr>"], "sip:p1.example",
        &["<sip:p2.example;lr>", "<sip:bob@b.example>"], "sip:p1.example"
    )]
    #[case::strict_alone(
        &["Proxy <sip:p1.example:5070;transport=tcp>"], "sip:p1.example:5070;transport=tcp",
        &["<sip:bob@b.example>"], "sip:p1.example:5070;transport=tcp"
    )]
    #[case::loose_behind_strict_target(
        &["<sip:p1.example>", "<sip:p2.example>"], "sip:p1.example",
        &["<sip:p2.example>", "<sip:bob@b.example>"], "sip:p1.example"
    )]
    #[case::what_a_request_uri_cannot_have(
        &["<sip:p1.example;method=INVITE;ttl=3?Subject=x>"], "sip:p1.example;ttl=3",
        &["<sip:bob@b.example>"], "sip:p1.example;method=INVITE;ttl=3?Subject=x"
    )]
    #[case::method_alone(
        &["<sip:p1.example;method=INVITE>"], "sip:p1.example",
        &["<sip:bob@b.example>"], "sip:p1.example;method=INVITE"
    )]
    #[case::headers_alone(
        &["<sip:p1.example?Subject=x>"], "sip:p1.example", &["<sip:bob@b.example>"], "sip:p1.example?Subject=x"
    )]
    #[case::no_uri(&["Proxy"], "sip:bob@b.example", &["Proxy"], "Proxy")]
    fn s12_2_1_1_request_uri_and_route(
        #[case] set: &[&str],
        #[case] request_uri: &str,
        #[case] route: &[&str],
        #[case] next: &str,
    ) {
        let set: Vec<String> = set.iter().map(|value| (*value).to_owned()).collect();
        let laid = lay("sip:bob@b.example", &set);
        assert_eq!((&*laid.request_uri, &*laid.next), (request_uri, next));
        assert_eq!(laid.route, route);
    }
}
