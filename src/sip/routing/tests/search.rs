//! RFC 3263 sections 4.1 to 4.3, one table for each.

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::dns::{Pointer, Service};
use crate::sip::way::Target;

const ALL: Means = Means { udp4: true, udp6: true, tcp: true, tls: true };

/// Questions as `N name`, `S name`, `A name`, each with its records as text; other names have none, `!` is a failure.
type Zone<'z> = &'z [(&'z str, &'z [&'z str])];

/// What an RFC 3263 domain has; section 4.1 has the NAPTR and SRV records.
const EXAMPLE: Zone<'_> = &[
    (
        "N example.com",
        &[
            "100 50 s SIP+D2U _sip._udp.example.com.",
            "90 50 s SIP+D2T _sip._tcp.example.com.",
            "50 50 s SIPS+D2T _sips._tcp.example.com.",
            "10 10 s SIPS+D2S _sips._sctp.example.com.",
            "10 10 u E2U+sip !^.*$!sip:x@example.com!",
        ],
    ),
    ("S _sips._tcp.example.com.", &["0 1 5061 server1.example.com.", "1 1 5071 server2.example.com."]),
    ("S _sip._tcp.example.com.", &["0 1 5060 server1.example.com.", "0 2 5060 server2.example.com."]),
    ("S _sip._udp.example.com.", &["0 1 5060 server1.example.com."]),
    ("A server1.example.com.", &["192.0.2.1", "2001:db8::1"]),
    ("A server2.example.com.", &["192.0.2.2"]),
    ("A example.com", &["192.0.2.80"]),
];

/// A domain that maintains SRV records only, and one that has nothing but an address.
const SRV_ONLY: Zone<'_> = &[
    ("S _sip._tcp.example.com", &["0 0 5080 server1.example.com."]),
    ("S _sips._tcp.example.com", &["0 0 5081 server1.example.com."]),
    ("A server1.example.com.", &["192.0.2.1"]),
    ("A example.com", &["192.0.2.80"]),
];
const ADDRESS_ONLY: Zone<'_> = &[("A example.com", &["192.0.2.80", "2001:db8::80"])];

struct Outcome {
    targets: Result<Vec<String>, Unresolved>,
    asked: Vec<String>,
}

fn search(uri: &str, means: Means, long: bool, zone: Zone<'_>) -> Outcome {
    let mut search = Search::new(Place::parse(uri).expect("a place"), means, long);
    let mut asked = Vec::new();
    while let Some(question) = search.question() {
        let key = match &question {
            Question::Pointers(name) => format!("N {name}"),
            Question::Services(name) => format!("S {name}"),
            Question::Addresses(name) => format!("A {name}"),
        };
        let records = zone.iter().find(|(name, _)| *name == key).map_or(&[][..], |(_, records)| records);
        search.answer(answer(&question, records), |_| 0);
        asked.push(key);
        assert!(asked.len() <= 1 + MOST_SERVICES + MOST_HOSTS, "{asked:?}");
    }
    Outcome { targets: search.finish().map(|targets| targets.iter().map(shown).collect()), asked }
}

fn answer(question: &Question, records: &[&str]) -> Answer {
    if records == ["!"] {
        return Answer::Failed;
    }
    let number = |text: &str| text.parse::<u16>().expect("a number");
    let fields = |record: &&str| record.split(' ').map(str::to_owned).collect::<Vec<String>>();
    let pointer = |record: &&str| {
        let [order, preference, flags, service, last] =
            <[String; 5]>::try_from(fields(record)).expect("a NAPTR record");
        let has_regexp = last.starts_with('!');
        let replacement = if has_regexp { ".".to_owned() } else { last };
        let (order, preference) = (number(&order), number(&preference));
        Pointer { order, preference, flags, service, has_regexp, replacement }
    };
    let service = |record: &&str| {
        let [priority, weight, port, target] = <[String; 4]>::try_from(fields(record)).expect("an SRV record");
        Service { priority: number(&priority), weight: number(&weight), port: number(&port), target }
    };
    match question {
        Question::Pointers(_) => Answer::Pointers(records.iter().map(pointer).collect()),
        Question::Services(_) => Answer::Services(records.iter().map(service).collect()),
        Question::Addresses(_) => Answer::Addresses(records.iter().map(|it| it.parse().expect("an address")).collect()),
    }
}

fn shown(target: &Target) -> String {
    let name = target.name.as_deref().map(|name| format!(" as {name}")).unwrap_or_default();
    format!("{} {}{name}", target.protocol, target.address)
}

#[rstest]
// A transport parameter is obeyed.
#[case("sip:192.0.2.9;transport=tcp", &["TCP 192.0.2.9:5060"])]
#[case("sip:192.0.2.9;transport=tls", &["TLS 192.0.2.9:5061"])]
#[case("sips:192.0.2.9;transport=tcp", &["TLS 192.0.2.9:5061"])]
// A numeric host: UDP for sip, TCP (with TLS) for sips.
#[case("sip:192.0.2.9", &["UDP 192.0.2.9:5060"])]
#[case("sip:[2001:db8::9]:5070", &["UDP [2001:db8::9]:5070"])]
#[case("sips:192.0.2.9", &["TLS 192.0.2.9:5061"])]
#[case("sips:192.0.2.9:5090", &["TLS 192.0.2.9:5090"])]
#[case("sip:[::ffff:192.0.2.9]", &["UDP 192.0.2.9:5060"])]
#[case("sip:example.com;maddr=192.0.2.9", &["UDP 192.0.2.9:5060"])]
// Ourselves.
#[case("sip:localhost", &["UDP [::1]:5060", "UDP 127.0.0.1:5060"])]
#[case("sip:localhost:5070;transport=tcp", &["TCP [::1]:5070", "TCP 127.0.0.1:5070"])]
fn rfc3263_s4_1_s4_2_nobody_is_asked(#[case] uri: &str, #[case] expected: &[&str]) {
    let outcome = search(uri, ALL, false, &[]);
    assert_eq!(outcome.targets.expect("targets"), expected);
    assert_eq!(outcome.asked, Vec::<String>::new());
}

#[rstest]
// A name with a port: UDP for sip, TLS for sips, and A or AAAA records.
#[case("sip:example.com:5060", &["UDP [2001:db8::80]:5060", "UDP 192.0.2.80:5060"])]
#[case("sip:example.com:5070;transport=tcp", &["TCP [2001:db8::80]:5070", "TCP 192.0.2.80:5070"])]
#[case("sips:example.com:5070", &["TLS [2001:db8::80]:5070 as example.com", "TLS 192.0.2.80:5070 as example.com"])]
fn rfc3263_s4_2_a_port_leaves_only_addresses(#[case] uri: &str, #[case] expected: &[&str]) {
    let outcome = search(uri, ALL, false, ADDRESS_ONLY);
    assert_eq!(outcome.targets.expect("targets"), expected);
    assert_eq!(outcome.asked, ["A example.com"]);
}

const NO_TLS: Means = Means { tls: false, ..ALL };
const ONLY_UDP: Means = Means { tcp: false, tls: false, ..ALL };

#[rstest]
#[case::sips_is_preferred_by_the_domain(
    "sip:example.com", ALL,
    &["TLS [2001:db8::1]:5061 as example.com", "TLS 192.0.2.1:5061 as example.com", "TLS 192.0.2.2:5071 as example.com"],
    "N example.com, S _sips._tcp.example.com., A server1.example.com., A server2.example.com."
)]
#[case::without_tls_the_next_one(
    "sip:bob@example.com", NO_TLS,
    &["TCP [2001:db8::1]:5060", "TCP 192.0.2.1:5060", "TCP 192.0.2.2:5060"],
    "N example.com, S _sip._tcp.example.com., A server1.example.com., A server2.example.com."
)]
#[case::datagrams_only(
    "sip:example.com", ONLY_UDP, &["UDP [2001:db8::1]:5060", "UDP 192.0.2.1:5060"],
    "N example.com, S _sip._udp.example.com., A server1.example.com."
)]
#[case::sips_takes_nothing_else(
    "sips:example.com", ALL,
    &["TLS [2001:db8::1]:5061 as example.com", "TLS 192.0.2.1:5061 as example.com", "TLS 192.0.2.2:5071 as example.com"],
    "N example.com, S _sips._tcp.example.com., A server1.example.com., A server2.example.com."
)]
#[case::one_family_only(
    "sip:example.com", Means { udp4: true, ..Means::default() }, &["UDP 192.0.2.1:5060"],
    "N example.com, S _sip._udp.example.com., A server1.example.com."
)]
fn rfc3263_s4_1_naptr(#[case] uri: &str, #[case] means: Means, #[case] expected: &[&str], #[case] asked: &str) {
    let outcome = search(uri, means, false, EXAMPLE);
    assert_eq!(outcome.targets.expect("targets"), expected);
    assert_eq!(outcome.asked.join(", "), asked);
}

/// An order beats a preference; records that do not fit are as if they were not there.
#[rstest]
#[case::order_then_preference(&["20 1 s SIP+D2U _u.x.", "10 9 s SIP+D2T _t.x.", "10 3 S sips+d2t _s.x."], "S _s.x.")]
#[case::no_replacement(&["10 1 s SIP+D2T .", "20 1 s SIP+D2U _u.x."], "S _u.x.")]
#[case::regexp(&["10 1 s SIP+D2T !^.*$!x!", "20 1 s SIP+D2U _u.x."], "S _u.x.")]
#[case::other_flags(&["10 1 a SIP+D2T _t.x.", "20 1 s SIP+D2U _u.x."], "S _u.x.")]
#[case::nobody_is_asked_about_invalid(&["10 1 s SIP+D2T _t.x.invalid.", "20 1 s SIP+D2U _u.x."], "S _u.x.")]
#[case::nothing_that_fits(&["10 1 s SIP+D2S _sctp.x.", "10 2 s http+D2T _h.x."], "S _sip._udp.example.com")]
#[case::naptr_is_refused(&["!"], "S _sip._udp.example.com")]
fn rfc3263_s4_1_which_record(#[case] records: &[&str], #[case] second: &str) {
    let outcome = search("sip:example.com", ALL, false, &[("N example.com", records)]);
    assert_eq!(outcome.asked[1], second);
}

#[rstest]
#[case::a_service_for_each_protocol(
    "sip:example.com", SRV_ONLY, &["TCP 192.0.2.1:5080"],
    "N example.com, S _sip._udp.example.com, S _sip._tcp.example.com, A server1.example.com."
)]
#[case::sips(
    "sips:example.com", SRV_ONLY, &["TLS 192.0.2.1:5081 as example.com"],
    "N example.com, S _sips._tcp.example.com, A server1.example.com."
)]
#[case::explicit_protocol_asks_no_naptr(
    "sip:example.com;transport=tls", SRV_ONLY, &["TLS 192.0.2.1:5081 as example.com"],
    "S _sips._tcp.example.com, A server1.example.com."
)]
#[case::sips_with_transport(
    "sips:example.com;transport=tcp", SRV_ONLY, &["TLS 192.0.2.1:5081 as example.com"],
    "S _sips._tcp.example.com, A server1.example.com."
)]
#[case::no_service_of_that_protocol(
    "sip:example.com;transport=udp", SRV_ONLY, &["UDP 192.0.2.80:5060"], "S _sip._udp.example.com, A example.com"
)]
#[case::no_service_at_all(
    "sip:example.com", ADDRESS_ONLY, &["UDP [2001:db8::80]:5060", "UDP 192.0.2.80:5060"],
    "N example.com, S _sip._udp.example.com, S _sip._tcp.example.com, S _sips._tcp.example.com, A example.com"
)]
#[case::no_service_for_sips(
    "sips:example.com", ADDRESS_ONLY,
    &["TLS [2001:db8::80]:5061 as example.com", "TLS 192.0.2.80:5061 as example.com"],
    "N example.com, S _sips._tcp.example.com, A example.com"
)]
fn rfc3263_s4_2_services(#[case] uri: &str, #[case] zone: Zone<'_>, #[case] expected: &[&str], #[case] asked: &str) {
    let outcome = search(uri, ALL, false, zone);
    assert_eq!(outcome.targets.expect("targets"), expected);
    assert_eq!(outcome.asked.join(", "), asked);
}

#[test]
fn rfc3263_s4_2_a_pointer_without_its_service_leads_to_the_next_and_at_last_to_the_domain() {
    let pointers: &[&str] = &["10 1 s SIP+D2T _t.x.", "20 1 s SIP+D2U _u.x."];
    let zone: Zone<'_> = &[("N example.com", pointers), ("A example.com", &["192.0.2.80"])];
    let outcome = search("sip:example.com", ALL, false, zone);
    assert_eq!(outcome.asked, ["N example.com", "S _t.x.", "S _u.x.", "A example.com"]);
    assert_eq!(outcome.targets.expect("targets"), ["TCP 192.0.2.80:5060"], "by the protocol that was preferred");
}

/// A service whose hosts lead nowhere is passed over as one without records is; what the domain has said of its protocol
/// stays said.
#[rstest]
#[case::no_addresses(&["0 0 1 a.", "1 0 2 b."], &[], "S _t., A a., A b., S _u., A c.", &["UDP 192.0.2.3:7"])]
#[case::failed_addresses(&["0 0 1 a."], &["!"], "S _t., A a., S _u., A c.", &["UDP 192.0.2.3:7"])]
#[case::failed_service(&["!"], &[], "S _t., S _u., A c.", &["UDP 192.0.2.3:7"])]
#[case::decidedly_none(&["0 0 0 ."], &[], "S _t., S _u., A c.", &["UDP 192.0.2.3:7"])]
#[case::nowhere(&["0 0 1 a.invalid."], &[], "S _t., S _u., A c.", &["UDP 192.0.2.3:7"])]
#[case::one_is_enough(&["0 0 1 a.", "1 0 2 b.", "2 0 2 c."], &["!"], "S _t., A a., A b., A c.", &["TCP 192.0.2.3:2"])]
fn rfc3263_s4_1_a_service_that_leads_nowhere_gives_way_to_the_next(
    #[case] services: &[&str],
    #[case] of_a: &[&str],
    #[case] asked: &str,
    #[case] expected: &[&str],
) {
    // Their order in the answer says nothing.
    let pointers: &[&str] = &["20 1 s SIP+D2U _u.", "10 1 s SIP+D2T _t."];
    let zone: Zone<'_> = &[
        ("N example.com", pointers),
        ("S _t.", services),
        ("S _u.", &["0 0 7 c."]),
        ("A a.", of_a),
        ("A c.", &["192.0.2.3"]),
        ("A example.com", &["192.0.2.80"]),
    ];
    let outcome = search("sip:example.com", ALL, false, zone);
    assert_eq!(outcome.asked.join(", "), format!("N example.com, {asked}"));
    assert_eq!(outcome.targets.expect("targets"), expected);
}

/// The last one too: then the domain itself is asked by a protocol of which nothing was said, or the search is in vain.
#[test]
fn rfc3263_s4_2_services_that_all_lead_nowhere() {
    let pointers: &[&str] = &["10 1 s SIP+D2T _t.", "20 1 s SIP+D2U _u."];
    let mut zone = vec![("N example.com", pointers), ("A example.com", &["192.0.2.80"]), ("S _u.", &["0 0 1 a."])];
    let outcome = search("sip:example.com", ALL, false, &zone);
    assert_eq!(outcome.asked.join(", "), "N example.com, S _t., S _u., A a., A example.com");
    assert_eq!(outcome.targets.expect("targets"), ["TCP 192.0.2.80:5060"]);
    zone.push(("S _t.", &["0 0 1 b."]));
    let outcome = search("sip:example.com", ALL, false, &zone);
    assert_eq!(outcome.asked.join(", "), "N example.com, S _t., A b., S _u., A a.");
    assert_eq!(outcome.targets, Err(Unresolved::Nothing));
    // The same where no NAPTR record says which.
    let zone: Zone<'_> = &[
        ("S _sip._udp.example.com", &["0 0 1 a."]),
        ("S _sip._tcp.example.com", &["0 0 2 b."]),
        ("A b.", &["192.0.2.2"]),
    ];
    assert_eq!(search("sip:example.com", ALL, false, zone).targets.expect("targets"), ["TCP 192.0.2.2:2"]);
}

/// ADV-R26: however many services there are, so many hosts and targets and no more.
#[test]
fn adv_r26_services_that_lead_nowhere_are_bounded_together() {
    let names: Vec<String> = (0..9).map(|n| format!("{n} 1 s SIP+D2T _t{n}.")).collect();
    let pointers: Vec<&str> = names.iter().map(String::as_str).collect();
    let hosts: Vec<Vec<String>> =
        (0..4).map(|service| (0..5).map(|n| format!("{n} 0 5060 h{service}x{n}.")).collect()).collect();
    let hosts: Vec<Vec<&str>> = hosts.iter().map(|of| of.iter().map(String::as_str).collect()).collect();
    let services: Vec<String> = (0..4).map(|n| format!("S _t{n}.")).collect();
    let many: Vec<String> = (1..=20).map(|n| format!("192.0.2.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut zone: Vec<(&str, &[&str])> = vec![("N h", &pointers)];
    zone.extend(services.iter().zip(&hosts).map(|(name, hosts)| (name.as_str(), &hosts[..])));
    let outcome = search("sip:h", ALL, false, &zone);
    let questions = |kind: &str| outcome.asked.iter().filter(|asked| asked.starts_with(kind)).count();
    assert_eq!((questions("S "), questions("A ")), (MOST_SERVICES, MOST_HOSTS), "{:?}", outcome.asked);
    assert_eq!(outcome.targets, Err(Unresolved::Nothing));
    zone.push(("A h1x1.", &many));
    assert_eq!(search("sip:h", ALL, false, &zone).targets.expect("targets").len(), MOST_TARGETS);
}

#[test]
fn rfc3263_s4_3_rfc2782_priorities_then_weights() {
    let services: &[&str] = &["2 9 4 d.", "1 60 1 a.", "1 0 2 b.", "1 40 3 c.", "0 0 0 e."];
    let zone =
        [("A a.", &["192.0.2.1"][..]), ("A b.", &["192.0.2.2"]), ("A c.", &["192.0.2.3"]), ("A d.", &["192.0.2.4"])];
    let place = Place::parse("sip:example.com;transport=tcp").expect("a place");
    let mut ports = Vec::new();
    for draw in [0, 1, u32::MAX] {
        let mut search = Search::new(place.clone(), ALL, false);
        while let Some(question) = search.question() {
            let records = match &question {
                Question::Addresses(name) => zone.iter().find(|(key, _)| key[2..] == *name).map_or(&[][..], |it| it.1),
                _ => services,
            };
            search.answer(answer(&question, records), |most| most.min(draw));
        }
        ports.push(search.finish().expect("targets").iter().map(|it| it.address.port()).collect::<Vec<_>>());
    }
    assert_eq!(ports, [[2, 3, 1, 4], [3, 1, 2, 4], [1, 3, 2, 4]]);
}

#[rstest]
#[case::decidedly_none(
    "sip:example.com;transport=tcp",
    &[("S _sip._tcp.example.com", "0 0 0 ."), ("A example.com", "192.0.2.80")],
    Unresolved::Nothing
)]
#[case::decidedly_no_datagrams(
    "sip:example.com",
    &[("S _sip._udp.example.com", "0 0 0 ."), ("A example.com", "192.0.2.80")],
    Unresolved::Nothing
)]
#[case::port_0(
    "sip:example.com;transport=tcp",
    &[("S _sip._tcp.example.com", "0 0 0 a."), ("A example.com", "192.0.2.80")],
    Unresolved::Nothing
)]
#[case::target_is_invalid(
    "sip:example.com;transport=tcp",
    &[("S _sip._tcp.example.com", "0 0 1 a.invalid.")],
    Unresolved::Nothing
)]
#[case::target_without_address(
    "sip:example.com;transport=tcp",
    &[("S _sip._tcp.example.com", "0 0 1 a.")],
    Unresolved::Nothing
)]
#[case::nothing_at_all("sip:example.com", &[], Unresolved::Nothing)]
#[case::invalid("sip:example.invalid", &[], Unresolved::Nothing)]
#[case::service_failed(
    "sip:example.com;transport=tcp",
    &[("S _sip._tcp.example.com", "!"), ("A example.com", "192.0.2.80")],
    Unresolved::Failed
)]
#[case::one_service_failed(
    "sip:example.com",
    &[("S _sip._udp.example.com", "!"), ("A example.com", "192.0.2.80")],
    Unresolved::Failed
)]
#[case::addresses_failed("sip:example.com:5060", &[("A example.com", "!")], Unresolved::Failed)]
fn what_leads_nowhere(#[case] uri: &str, #[case] zone: &[(&str, &str)], #[case] why: Unresolved) {
    let records: Vec<(&str, [&str; 1])> = zone.iter().map(|(name, record)| (*name, [*record])).collect();
    let zone: Vec<(&str, &[&str])> = records.iter().map(|(name, record)| (*name, &record[..])).collect();
    assert_eq!(search(uri, ALL, false, &zone).targets, Err(why));
}

#[test]
fn what_is_not_spoken_is_not_asked_for() {
    for (uri, means) in
        [("sips:example.com", NO_TLS), ("sip:192.0.2.1;transport=tcp", ONLY_UDP), ("sip:a.example", Means::default())]
    {
        let outcome = search(uri, means, false, EXAMPLE);
        assert_eq!(outcome.targets, Err(Unresolved::Protocol), "{uri}");
        assert_eq!(outcome.asked, Vec::<String>::new());
    }
}

#[test]
fn a_service_that_failed_hides_no_other() {
    let zone: Zone<'_> =
        &[("S _sip._udp.example.com", &["!"]), ("S _sip._tcp.example.com", &["0 0 5060 a."]), ("A a.", &["192.0.2.1"])];
    assert_eq!(search("sip:example.com", ALL, false, zone).targets.expect("targets"), ["TCP 192.0.2.1:5060"]);
    let zone: Zone<'_> =
        &[("S _sip._tcp.example.com", &["0 0 1 a.", "1 0 2 b."]), ("A a.", &["!"]), ("A b.", &["192.0.2.2"])];
    assert_eq!(
        search("sip:example.com;transport=tcp", ALL, false, zone).targets.expect("targets"),
        ["TCP 192.0.2.2:2"]
    );
}

#[rstest]
#[case::a_datagram_comes_second("sip:192.0.2.9", &["TCP 192.0.2.9:5060", "UDP 192.0.2.9:5060"])]
#[case::even_where_it_was_asked_for("sip:192.0.2.9:5070;transport=udp", &["TCP 192.0.2.9:5070", "UDP 192.0.2.9:5070"])]
#[case::streams_first("sip:b.example", &["TCP 192.0.2.1:5080"])]
#[case::nothing_changes("sips:192.0.2.9", &["TLS 192.0.2.9:5061"])]
fn rfc3261_s18_1_1_a_long_request_goes_by_a_stream(#[case] uri: &str, #[case] expected: &[&str]) {
    let zone: Zone<'_> = &[
        ("S _sip._udp.b.example", &["0 0 5060 a."]),
        ("S _sip._tcp.b.example", &["0 0 5080 a."]),
        ("A a.", &["192.0.2.1"]),
    ];
    assert_eq!(search(uri, ALL, true, zone).targets.expect("targets"), expected);
    let pointers: &[&str] = &["10 1 s SIP+D2U _u.", "20 1 s SIP+D2T _t."];
    assert_eq!(search("sip:example.com", ALL, true, &[("N example.com", pointers)]).asked[1], "S _t.");
    let only_udp = search("sip:192.0.2.9", ONLY_UDP, true, &[]);
    assert_eq!(only_udp.targets.expect("targets"), ["UDP 192.0.2.9:5060"]);
}

#[test]
fn adv_r26_answers_are_bounded() {
    let many = |prefix: &str| (1..=200).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let (addresses, hosts) = (many("192.0.2."), many("0 0 5060 h"));
    let (pointers, services) = (many("1 1 s SIP+D2T _t"), many("S _t"));
    fn texts(list: &[String]) -> Vec<&str> {
        list.iter().map(String::as_str).collect()
    }
    let (addresses, pointers) = (&texts(&addresses)[..200], texts(&pointers));
    let one = search("sip:h:5060", ALL, false, &[("A h", addresses)]);
    assert_eq!(one.targets.expect("targets").len(), MOST_TARGETS);
    let long = search("sip:h:5060", ALL, true, &[("A h", addresses)]);
    assert_eq!(long.targets.expect("targets").len(), MOST_TARGETS);
    let no_host = search("sip:h;transport=tcp", ALL, false, &[("S _sip._tcp.h", &texts(&hosts))]);
    assert_eq!(no_host.asked.len(), 1 + MOST_HOSTS);
    let no_service = search("sip:h", ALL, false, &[("N h", &pointers)]);
    assert_eq!(no_service.asked.len(), 1 + MOST_SERVICES + 1);
    assert_eq!(no_service.asked[1], services[0]);
}

#[test]
fn a_search_that_ends_early_gives_what_it_has() {
    let mut search = Search::new(Place::parse("sip:example.com;transport=tcp").expect("a place"), ALL, false);
    assert_eq!(search.clone().finish(), Err(Unresolved::Time));
    let question = search.question().expect("a question");
    search.answer(answer(&question, &["0 0 1 a.", "1 0 2 b."]), |_| 0);
    assert_eq!(search.clone().finish(), Err(Unresolved::Time));
    let question = search.question().expect("a question");
    search.answer(answer(&question, &["192.0.2.1"]), |_| 0);
    assert!(search.question().is_some());
    assert_eq!(search.finish().map(|targets| targets.len()), Ok(1));
}

proptest! {
    /// Whatever the name servers say, even to another question: an end, no panic, and nothing that is not spoken.
    #[test]
    fn any_answers_end_the_search(
        uri in "(sip|sips):(example\\.com|192\\.0\\.2\\.1|localhost|x\\.invalid)(:5070)?(;transport=(udp|tcp|tls))?",
        means in (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        long in any::<bool>(),
        answers in proptest::collection::vec((0..4, proptest::collection::vec((0u16..3, 0u16..3, 0..6usize), 0..4)), 0..20),
    ) {
        let Ok(place) = Place::parse(&uri) else { return Ok(()) };
        let means = Means { udp4: means.0, udp6: means.1, tcp: means.2, tls: means.3 };
        let mut search = Search::new(place.clone(), means, long);
        let mut questions = 0;
        let mut answers = answers.into_iter().cycle();
        while search.question().is_some() {
            questions += 1;
            prop_assert!(questions <= 1 + MOST_SERVICES + MOST_HOSTS);
            let (kind, records) = answers.next().unwrap_or((3, Vec::new()));
            let names = ["a.", "localhost.", "b.invalid.", ".", "192.0.2.5", ""];
            let services = ["SIP+D2U", "SIP+D2T", "SIPS+D2T", "SIPS+D2U", "", "sip+d2t"];
            search.answer(match kind {
                0 => Answer::Pointers(records.iter().map(|(order, preference, n)| Pointer {
                    order: *order, preference: *preference, flags: "s".to_owned(), service: services[*n].to_owned(),
                    has_regexp: false, replacement: names[(*n + usize::from(*order)) % 6].to_owned(),
                }).collect()),
                1 => Answer::Services(records.iter().map(|(priority, port, n)| Service {
                    priority: *priority, weight: *port, port: *port, target: names[*n].to_owned(),
                }).collect()),
                2 => Answer::Addresses(records.iter().map(|(a, b, _)| [10, 0, *a as u8, *b as u8].into()).collect()),
                _ => Answer::Failed,
            }, |most| most / 2);
        }
        if let Ok(targets) = search.finish() {
            prop_assert!(!targets.is_empty() && targets.len() <= MOST_TARGETS);
            for target in targets {
                prop_assert!(means.reaches(target.protocol, target.address.ip()), "{target:?}");
                prop_assert!(!place.secure || target.protocol == crate::sip::way::Protocol::Tls);
            }
        }
    }
}
