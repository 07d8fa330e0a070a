//! `[[sip.route]]`: where requests for a domain go, and on which terms.

use std::collections::HashMap;

use super::super::document::{Found, Section};
use super::super::problem::Fault;
use super::super::value::choice;
use super::{Domain, Hop, Route};
use crate::sdp;

/// Next hops of one route: each costs a search in the DNS.
const MOST_HOPS: usize = 8;

/// A value of `protocol`.
struct Speaks(Option<sdp::Protocol>);

choice!(
    Speaks, "a protocol", "\"same\", \"tls\" or \"tcp\"",
    "same" => Speaks(None), "tls" => Speaks(Some(sdp::Protocol::Tls)), "tcp" => Speaks(Some(sdp::Protocol::Tcp))
);

/// All routes.
pub(super) fn read(section: &mut Section<'_>) -> Vec<Route> {
    let mut first = HashMap::new();
    section.sections("route").into_iter().filter_map(|section| one(section, &mut first)).collect()
}

fn one(mut section: Section<'_>, first: &mut HashMap<Domain, String>) -> Option<Route> {
    let domain = section.require::<String>("domain", "domain = \"example.com\", \"*.example.com\" or \"*\"");
    let domain = domain.and_then(|found| unique(&section, found, first));
    let route = Route {
        to: hops(&mut section),
        anchor: section.or("anchor", true),
        protocol: section.or("protocol", Speaks(None)).0,
        domain: domain.clone().unwrap_or(Domain::Any),
    };
    section.close();
    domain.map(|_| route)
}

fn unique(section: &Section<'_>, found: Found<String>, first: &mut HashMap<Domain, String>) -> Option<Domain> {
    let Found { value, place } = found;
    let domain = match value.parse::<Domain>() {
        Ok(domain) => domain,
        Err(why) => {
            section.fault(place, Fault::Domain { found: format!("{value:?}"), why });
            return None;
        }
    };
    if let Some(first) = first.get(&domain) {
        let duplicate = Fault::Duplicate { found: domain.to_string(), first: first.clone() };
        section.fault(place, duplicate);
        return None;
    }
    first.insert(domain.clone(), place.key);
    Some(domain)
}

fn hops(section: &mut Section<'_>) -> Vec<Hop> {
    let written = section.one_or_more::<String>("to", "\"sip:proxy.example.com\", or remove the key");
    if let Some(found) = written.get(MOST_HOPS) {
        let range = Fault::Range { found: written.len().to_string(), low: "1".to_owned(), high: MOST_HOPS.to_string() };
        section.fault(found.place.clone(), range);
    }
    written.into_iter().take(MOST_HOPS).filter_map(|found| hop(section, found)).collect()
}

/// A next hop, unless it is none.
pub(super) fn hop(section: &Section<'_>, found: Found<String>) -> Option<Hop> {
    let Found { value, place } = found;
    match value.parse() {
        Ok(hop) => Some(hop),
        Err(why) => {
            section.fault(place, Fault::Hop { found: format!("{value:?}"), why });
            None
        }
    }
}
