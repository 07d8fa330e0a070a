//! Who says where a request goes, and on which terms.

use rstest::rstest;

use super::*;
use crate::sdp;
use crate::sip::message::Headers;
use crate::sip::way::Protocol;

fn hop(text: &str) -> Hop {
    text.parse().expect("a hop")
}

fn route(domain: &str, to: &[&str], anchor: bool, protocol: Option<sdp::Protocol>) -> Route {
    let to = to.iter().map(|text| hop(text)).collect();
    Route { domain: domain.parse().expect("a domain"), to, anchor, protocol }
}

/// We are `relay.example` on port 5060; two domains and their rests have routes.
fn routes() -> Routes {
    let bound = "127.0.0.1:5060".parse().expect("an address");
    Routes {
        outbound_proxy: None,
        routes: vec![
            route("*", &["sip:rest.example"], true, None),
            route(
                "example.com",
                &["sip:one.example;transport=tcp", "sip:two.example:5070"],
                false,
                Some(sdp::Protocol::Tls),
            ),
            route("*.example.com", &["sips:deep.example"], true, Some(sdp::Protocol::Tcp)),
            route("*.lab.example.com", &[], false, None),
            route("loop.example", &["sip:relay.example"], true, None),
        ],
        resolve: true,
        own: Ownership::new([("relay.example".to_owned(), 5060)], [(Protocol::Udp, bound)]),
    }
}

/// Without the route for everything.
fn sparse(resolve: bool) -> Routes {
    let mut routes = Routes { resolve, ..routes() };
    routes.routes.remove(0);
    routes
}

fn headers(route: &[&str]) -> Headers {
    route.iter().map(|value| ("Route", *value)).collect()
}

/// Who said so, the places, the Request-URI, and the Routes.
fn told(routes: &Routes, uri: &str, route: &[&str]) -> Result<String, NoRoute> {
    let hop = routes.next_hop(uri, &headers(route))?;
    let places: Vec<String> = hop.places.iter().map(ToString::to_string).collect();
    Ok(format!("{:?}: {} | {} | {}", hop.by, places.join(", "), hop.request_uri, hop.route.join(", ")))
}

#[rstest]
#[case::exact(
    "sip:bob@Example.com",
    Some(1),
    "sip:one.example;transport=tcp, sip:two.example:5070",
    false,
    Some(sdp::Protocol::Tls)
)]
#[case::below("sip:bob@a.example.com", Some(2), "sips:deep.example", true, Some(sdp::Protocol::Tcp))]
#[case::deeper_without_a_hop("sip:bob@a.lab.example.com", Some(3), "sip:a.lab.example.com", false, None)]
#[case::the_rest("sip:bob@other.example", Some(0), "sip:rest.example", true, None)]
#[case::number("tel:+1-201-555-0123", Some(0), "sip:rest.example", true, None)]
#[case::our_own_name_may_have_a_route("sip:bob@relay.example", Some(0), "sip:rest.example", true, None)]
fn the_most_specific_route_counts(
    #[case] uri: &str,
    #[case] terms: Option<usize>,
    #[case] places: &str,
    #[case] anchor: bool,
    #[case] protocol: Option<sdp::Protocol>,
) {
    let hop = routes().next_hop(uri, &Headers::default()).expect("a hop");
    assert_eq!(hop.places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), places);
    assert_eq!((hop.terms, hop.anchor, hop.protocol), (terms, anchor, protocol));
    assert_eq!((&*hop.request_uri, hop.route.len()), (uri, 0));
}

#[rstest]
#[case(
    "sip:bob@b.example;transport=tcp",
    true,
    Ok("RequestUri: sip:b.example;transport=tcp | sip:bob@b.example;transport=tcp | ")
)]
#[case("sip:bob@b.example", false, Err(NoRoute::NotFound))]
#[case("tel:112", true, Err(NoRoute::RequestUri(PlaceError::NoHost)))]
#[case("sip:bob@b.example;transport=sctp", true, Err(NoRoute::RequestUri(PlaceError::Transport)))]
#[case("sip:bob@", true, Err(NoRoute::RequestUri(PlaceError::Syntax)))]
fn without_a_route_the_dns_says_or_nobody(
    #[case] uri: &str,
    #[case] resolve: bool,
    #[case] expected: Result<&str, NoRoute>,
) {
    assert_eq!(told(&sparse(resolve), uri, &[]), expected.map(str::to_owned));
}

#[rstest]
#[case::dns("sip:bob@relay.example", NoRoute::NotFound)]
#[case::dns_by_address("sip:bob@127.0.0.1:5060", NoRoute::NotFound)]
#[case::operator("sip:bob@loop.example", NoRoute::Loop)]
fn we_are_no_next_hop(#[case] uri: &str, #[case] why: NoRoute) {
    assert_eq!(told(&sparse(true), uri, &[]), Err(why));
}

#[test]
fn of_several_hops_only_ourselves_is_left_out() {
    let mut routes = sparse(true);
    routes.routes = vec![route("*", &["sip:relay.example", "sip:two.example"], true, None)];
    assert_eq!(told(&routes, "sip:b@b.example", &[]).as_deref(), Ok("Domain: sip:two.example | sip:b@b.example | "));
}

#[test]
fn rfc3261_s8_1_2_the_outbound_proxy_takes_all_and_terms_are_still_the_domains() {
    let mut routes = Routes { outbound_proxy: Some(hop("sip:out.example;transport=tcp")), ..routes() };
    let expected = "OutboundProxy: sip:out.example;transport=tcp | sip:bob@example.com | ";
    assert_eq!(told(&routes, "sip:bob@example.com", &[]).as_deref(), Ok(expected));
    let terms = routes.next_hop("sip:bob@example.com", &Headers::default()).expect("a hop");
    assert_eq!((terms.terms, terms.anchor, terms.protocol), (Some(1), false, Some(sdp::Protocol::Tls)));
    // RFC 3261 section 8.1.1.1: a route set of one.
    routes.outbound_proxy = Some(hop("sip:out.example;lr"));
    let expected = "OutboundProxy: sip:out.example | tel:112 | <sip:out.example;lr>";
    assert_eq!(told(&routes, "tel:112", &[]).as_deref(), Ok(expected));
    routes.outbound_proxy = Some(hop("sip:relay.example"));
    assert_eq!(told(&routes, "sip:bob@example.com", &[]), Err(NoRoute::Loop));
}

#[rstest]
#[case::loose(
    "sip:bob@example.com", &["<sip:p1.example;lr>", "<sip:p2.example;lr>"],
    "Route: sip:p1.example | sip:bob@example.com | <sip:p1.example;lr>, <sip:p2.example;lr>"
)]
#[case::in_one_line(
    "sip:bob@example.com", &["<sip:p1.example;lr>,<sip:p2.example;lr>"],
    "Route: sip:p1.example | sip:bob@example.com | <sip:p1.example;lr>, <sip:p2.example;lr>"
)]
#[case::ours_is_done_with(
    "sip:bob@example.com", &["<sip:relay.example;lr>", "<sip:127.0.0.1:5060;lr>", "<sip:p1.example:5070;transport=tcp;lr>"],
    "Route: sip:p1.example:5070;transport=tcp | sip:bob@example.com | <sip:p1.example:5070;transport=tcp;lr>"
)]
#[case::only_ours(
    "sip:bob@other.example", &["<sip:relay.example;lr>"], "Domain: sip:rest.example | sip:bob@other.example | "
)]
#[case::ours_further_on_is_theirs_to_take_off(
    "sip:bob@example.com", &["<sip:p1.example;lr>", "<sip:relay.example;lr>"],
    "Route: sip:p1.example | sip:bob@example.com | <sip:p1.example;lr>, <sip:relay.example;lr>"
)]
#[case::strict_next(
    "sip:bob@example.com", &["<sip:p1.example>", "<sip:p2.example;lr>"],
    "Route: sip:p1.example | sip:p1.example | <sip:p2.example;lr>, <sip:bob@example.com>"
)]
#[case::strict_before_us(
    "sip:relay.example;lr", &["<sip:p1.example;lr>", "<sip:bob@example.com>"],
    "Route: sip:p1.example | sip:bob@example.com | <sip:p1.example;lr>"
)]
#[case::strict_before_us_and_no_other(
    "sip:relay.example", &["<sip:bob@other.example>"], "Domain: sip:rest.example | sip:bob@other.example | "
)]
fn rfc3261_s16_4_s16_12_route(#[case] uri: &str, #[case] route: &[&str], #[case] expected: &str) {
    assert_eq!(told(&routes(), uri, route).as_deref(), Ok(expected));
    // A Route is stronger than an outbound proxy; without one that is not ours, that takes it.
    let proxied = Routes { outbound_proxy: Some(hop("sip:out.example")), ..routes() };
    let by_route = told(&proxied, uri, route).is_ok_and(|told| told.starts_with("Route"));
    assert_eq!(by_route, expected.starts_with("Route"));
}

#[rstest]
#[case("<sip:p1.example;lr")]
#[case("<tel:112>")]
#[case("<sip:p1.example;transport=ws;lr>")]
fn a_route_that_cannot_be_followed(#[case] value: &str) {
    assert_eq!(told(&routes(), "sip:bob@example.com", &[value]), Err(NoRoute::Route));
}

#[rstest]
#[case::unnamed_becomes_tls("sip:p.example", Ok("Domain: sips:p.example | sips:bob@b.example | "))]
#[case::tls_stays(
    "sip:p.example:5071;transport=tls",
    Ok("Domain: sips:p.example:5071;transport=tcp | sips:bob@b.example | ")
)]
#[case::sips_stays("sips:p.example", Ok("Domain: sips:p.example | sips:bob@b.example | "))]
#[case::udp("sip:p.example;transport=udp", Err(NoRoute::NotSecure))]
fn rfc3261_s26_2_2_sips_goes_by_tls_only(#[case] to: &str, #[case] expected: Result<&str, NoRoute>) {
    let routes = Routes { routes: vec![route("*", &[to], true, None)], ..Routes::default() };
    assert_eq!(told(&routes, "sips:bob@b.example", &[]), expected.map(str::to_owned));
}

#[test]
fn each_fault_has_its_status() {
    let statuses = [
        (NoRoute::NotFound, 404),
        (NoRoute::Loop, 482),
        (NoRoute::Route, 400),
        (NoRoute::NotSecure, 480),
        (NoRoute::RequestUri(PlaceError::NoHost), 404),
        (NoRoute::RequestUri(PlaceError::Transport), 404),
        (NoRoute::RequestUri(PlaceError::Port), 400),
    ];
    for (fault, status) in statuses {
        assert_eq!(fault.status().0, status, "{fault}");
    }
}

#[test]
fn rfc4475_s3_1_2_11_headers_of_a_request_uri_are_not_sent_on() {
    let hop = routes().next_hop("sip:user@example.net;x=y?Route=%3Csip:example.com%3E", &headers(&[])).expect("a hop");
    assert_eq!((&*hop.request_uri, hop.route.len()), ("sip:user@example.net;x=y", 0));
}
