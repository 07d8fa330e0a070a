//! The next hop of a request that starts something: by its Route, by the operator's routes, or by the DNS.

use super::route_set::{in_request_line, lay, values};
use super::{Domain, Hop, Ownership, Place, PlaceError};
use crate::sdp;
use crate::sip::message::{Headers, NameAddr, Uri};
use crate::sip::way::Protocol;

/// One route of the operator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// For the hosts of Request-URIs that this holds; of several routes the most specific one counts.
    pub domain: Domain,
    /// Where to, tried in order; where none is named, the outbound proxy or the DNS say.
    pub to: Vec<Hop>,
    /// Whether MSRP of these calls is anchored here; otherwise it passes by.
    pub anchor: bool,
    /// What the MSRP offer says toward this route; none for what the other side offered (SDP-63).
    pub protocol: Option<sdp::Protocol>,
}

/// All that the operator says about where requests go.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Routes {
    /// Where all requests go that start a dialog.
    pub outbound_proxy: Option<Hop>,
    /// Routes by domain.
    pub routes: Vec<Route>,
    /// Whether the DNS may say where the rest goes.
    pub resolve: bool,
    /// What is ourselves.
    pub own: Ownership,
}

/// Where a request goes, what it says there, and on which terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NextHop {
    /// Where to search (RFC 3263), in order; at least one.
    pub places: Vec<Place>,
    /// The Request-URI.
    pub request_uri: String,
    /// The values of Route, in order.
    pub route: Vec<String>,
    /// Who said so.
    pub by: By,
    /// The place of the route in the table whose terms these are; none for those that nobody wrote.
    pub terms: Option<usize>,
    /// Whether MSRP is anchored here.
    pub anchor: bool,
    /// What the MSRP offer says there; none for what the other side offered.
    pub protocol: Option<sdp::Protocol>,
}

/// What named a next hop, the strongest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// The request's Route header (RFC 3261 section 16.12).
    Route,
    /// The outbound proxy (RFC 3261 section 8.1.2).
    OutboundProxy,
    /// A route of the operator.
    Domain,
    /// The Request-URI (RFC 3263).
    RequestUri,
}

/// Why a request goes nowhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoRoute {
    /// The Request-URI cannot be read.
    #[error("bad Request-URI: {0}")]
    RequestUri(PlaceError),
    /// The first Route that is not ours cannot be read.
    #[error("bad Route")]
    Route,
    /// No route holds it and the DNS may not be asked, or it is ourselves.
    #[error("no route")]
    NotFound,
    /// The operator's next hop is ourselves.
    #[error("the next hop is this server")]
    Loop,
    /// A `sips` URI, and no next hop that is reached by TLS (RFC 3261 section 26.2.2).
    #[error("the next hop is not secure")]
    NotSecure,
}

impl NoRoute {
    /// Status code and phrase for the caller (RFC 3261 section 21.4, RFC 5630 section 5.3).
    pub fn status(self) -> (u16, &'static str) {
        match self {
            NoRoute::RequestUri(PlaceError::NoHost | PlaceError::Transport) | NoRoute::NotFound => (404, "Not Found"),
            NoRoute::RequestUri(_) => (400, "Bad Request-URI"),
            NoRoute::Route => (400, "Bad Route"),
            NoRoute::Loop => (482, "Loop Detected"),
            NoRoute::NotSecure => (480, "SIPS Not Allowed"),
        }
    }
}

impl Routes {
    /// Where a request goes that starts something. `headers` are those that it came with: Routes at their head that name us
    /// are done with (RFC 3261 section 16.4), what is left is followed.
    pub fn next_hop(&self, request_uri: &str, headers: &Headers) -> Result<NextHop, NoRoute> {
        let (request_uri, route) = self.without_us(request_uri, values(headers));
        let uri = Uri::parse(&request_uri).ok_or(NoRoute::RequestUri(PlaceError::Syntax))?;
        // Headers in it never become those of a request (RFC 4475 section 3.1.2.11).
        let request_uri = in_request_line(&request_uri, &uri);
        let uri = Uri::parse(&request_uri).ok_or(NoRoute::RequestUri(PlaceError::Syntax))?;
        let terms = self.terms(uri.host);
        let secure = uri.is_secure();
        let (by, places) = match route.is_empty() {
            true => self.unrouted(&uri, terms)?,
            false => (By::Route, vec![Place::parse(&lay(&request_uri, &route).next).map_err(|_| NoRoute::Route)?]),
        };
        let others: Vec<Place> = places.iter().filter(|place| !self.own.names(place)).cloned().collect();
        if others.is_empty() {
            return Err(if by == By::RequestUri { NoRoute::NotFound } else { NoRoute::Loop });
        }
        let places: Vec<Place> = others.into_iter().filter_map(|place| as_secure(place, secure)).collect();
        if places.is_empty() {
            return Err(NoRoute::NotSecure);
        }
        let preloaded = self.outbound_proxy.as_ref().filter(|hop| by == By::OutboundProxy && hop.is_loose());
        let route = preloaded.map_or(route, |hop| vec![format!("<{}>", hop.as_str())]);
        let laid = lay(&request_uri, &route);
        let own = terms.and_then(|index| self.routes.get(index));
        Ok(NextHop {
            places,
            request_uri: laid.request_uri,
            route: laid.route,
            by,
            terms,
            anchor: own.is_none_or(|route| route.anchor),
            protocol: own.and_then(|route| route.protocol),
        })
    }

    /// The request as it is behind us (RFC 3261 section 16.4): a strict router has put our URI into the Request-URI and the
    /// target behind the Routes; a loose one has left our URI as first Route.
    fn without_us(&self, request_uri: &str, mut route: Vec<String>) -> (String, Vec<String>) {
        let mut target = request_uri.to_owned();
        let is_us = |uri: &Uri<'_>| Place::of(uri).is_ok_and(|place| self.own.names(&place));
        let router = Uri::parse(request_uri).is_some_and(|uri| uri.user.is_none() && is_us(&uri));
        if router && let Some(last) = route.last().and_then(|last| NameAddr::read(last)) {
            target = last.uri.to_owned();
            route.pop();
        }
        let named = |value: &String| NameAddr::read(value).and_then(|it| it.parsed()).is_some_and(|uri| is_us(&uri));
        let ours = route.iter().take_while(|value| named(value)).count();
        route.drain(..ours);
        (target, route)
    }

    /// The most specific route for a host, the first one of equals.
    fn terms(&self, host: &str) -> Option<usize> {
        let holding = self.routes.iter().enumerate().filter(|(_, route)| route.domain.holds(host));
        holding.max_by_key(|(index, route)| (route.domain.weight(), std::cmp::Reverse(*index))).map(|(index, _)| index)
    }

    fn unrouted(&self, uri: &Uri<'_>, terms: Option<usize>) -> Result<(By, Vec<Place>), NoRoute> {
        if let Some(hop) = &self.outbound_proxy {
            return Ok((By::OutboundProxy, vec![hop.place().clone()]));
        }
        let to = terms.and_then(|index| self.routes.get(index)).map_or(&[][..], |route| &route.to);
        if !to.is_empty() {
            return Ok((By::Domain, to.iter().map(|hop| hop.place().clone()).collect()));
        }
        if !self.resolve {
            return Err(NoRoute::NotFound);
        }
        Ok((By::RequestUri, vec![Place::of(uri).map_err(NoRoute::RequestUri)?]))
    }
}

/// To a `sips` URI every hop goes by TLS, whatever the hop's own URI says (RFC 3261 section 8.1.2); none if that names
/// something else.
fn as_secure(place: Place, secure: bool) -> Option<Place> {
    match place.protocol {
        _ if !secure || place.secure => Some(place),
        None | Some(Protocol::Tls) => Some(Place { secure: true, ..place }),
        Some(Protocol::Udp | Protocol::Tcp) => None,
    }
}
