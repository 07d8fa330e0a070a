//! What of a message goes on to the other leg: all of it but what belongs to one hop, one dialog or one negotiation.

use crate::sip::gate;
use crate::sip::message::{Headers, NameAddr, list, without_param};

/// Of one hop or one dialog (RFC 3261 section 20), or negotiated with each side by itself (RFC 4028).
const OWN: [&str; 21] = [
    "Via",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "Route",
    "Record-Route",
    "Contact",
    "Content-Length",
    "Allow",
    "Supported",
    "Require",
    "Proxy-Require",
    "Unsupported",
    "Session-Expires",
    "Min-SE",
    "RAck",
    "Timestamp",
    "Path",
    "Service-Route",
];

/// Extensions that work through us: reliable provisional responses pass as they are, session timers are ours on either leg.
const EXTENSIONS: [&str; 2] = ["100rel", "timer"];

/// Extensions that name a dialog, a contact or a hop that the other side never sees.
const LOCAL: [&str; 9] =
    ["precondition", "replaces", "outbound", "path", "gruu", "sec-agree", "tdialog", "join", "resource-priority"];

/// Copies all headers of `from` that go on.
pub(super) fn copy(from: &Headers, to: &mut Headers) {
    for (name, value) in from.iter() {
        if !OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            to.push(name, value);
        }
    }
}

/// The same for a redirection, whose contacts are what it says (RFC 3261 section 21.3).
pub(super) fn copy_contacts(from: &Headers, to: &mut Headers) {
    for value in from.all("Contact") {
        to.push("Contact", value);
    }
}

/// What we say of ourselves in a message that goes to a leg: our methods, and the extensions of the other side that work
/// through us.
pub(super) fn introduce(from: &Headers, to: &mut Headers) {
    to.push("Allow", gate::allow());
    let mut supported: Vec<&str> = list::all(from, "Supported").filter(|tag| is_passed(tag)).collect();
    if !supported.iter().any(|tag| tag.eq_ignore_ascii_case("timer")) {
        supported.push("timer");
    }
    to.push("Supported", supported.join(", "));
}

/// What a side demands of the other side through us.
pub(super) fn require(from: &Headers, to: &mut Headers) {
    let demanded: Vec<&str> = list::all(from, "Require").filter(|tag| !tag.eq_ignore_ascii_case("timer")).collect();
    if !demanded.is_empty() {
        to.push("Require", demanded.join(", "));
    }
}

/// Demands that nobody behind us could meet (RFC 3261 section 8.2.2.3).
pub(super) fn unsupported(headers: &Headers) -> Option<String> {
    let demanded = list::all(headers, "Require").chain(list::all(headers, "Proxy-Require"));
    let unknown: Vec<&str> =
        demanded.filter(|tag| !EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(tag))).collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

fn is_passed(tag: &str) -> bool {
    !LOCAL.iter().any(|local| local.eq_ignore_ascii_case(tag))
}

/// Our Contact with what the other side's says of its features (RFC 3840): where it is reached stays its own.
pub(super) fn contact(ours: &str, from: &Headers) -> String {
    let Some(theirs) = from.first("Contact").and_then(NameAddr::read) else { return ours.to_owned() };
    let mut params = theirs.params.to_owned();
    for own in ["expires", "q", "methods", "reg-id", "ob", "+sip.instance", "pub-gruu", "temp-gruu", "received"] {
        params = without_param(&params, own);
    }
    if params.is_empty() { ours.to_owned() } else { format!("{ours};{params}") }
}

/// What only those assert whom the next hop trusts (RFC 3325 section 5, RFC 7315, RFC 5806).
const ASSERTED: [&str; 6] = [
    "P-Asserted-Identity",
    "P-Charging-Vector",
    "P-Charging-Function-Addresses",
    "P-Access-Network-Info",
    "Remote-Party-ID",
    "Diversion",
];

/// Takes out of a stranger's request what was meant for us, credentials for our realm (RFC 3261 section 22.3), and what it is
/// not believed.
pub(super) fn distrust(headers: &mut Headers, realm: &str) {
    headers.retain(|name| !ASSERTED.iter().any(|asserted| asserted.eq_ignore_ascii_case(name)));
    let ours = |value: &str| {
        let rest = value.split_once([' ', '\t']).map_or("", |(_, rest)| rest);
        let named = list::values(rest).filter_map(|one| one.split_once('='));
        named
            .into_iter()
            .any(|(name, value)| name.trim().eq_ignore_ascii_case("realm") && value.trim().trim_matches('"') == realm)
    };
    headers.retain_lines(|name, value| {
        let credentials =
            name.eq_ignore_ascii_case("Authorization") || name.eq_ignore_ascii_case("Proxy-Authorization");
        !(credentials && ours(value))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&str, &str)]) -> Headers {
        lines.iter().copied().collect()
    }

    #[test]
    fn unknown_headers_go_on_in_their_order_and_spelling() {
        let from = headers(&[
            ("Via", "x"),
            ("X-b", "  odd;;value"),
            ("Route", "<sip:p;lr>"),
            ("x-A", "1, 2"),
            ("Subject", "s"),
            ("Contact", "<sip:a@b>"),
        ]);
        let mut to = Headers::default();
        copy(&from, &mut to);
        assert_eq!(to.iter().collect::<Vec<_>>(), [("X-b", "  odd;;value"), ("x-A", "1, 2"), ("Subject", "s")]);
    }

    #[test]
    fn extensions_that_work_through_us_go_on() {
        let mut to = Headers::default();
        introduce(&headers(&[("Supported", "100rel, replaces"), ("Supported", "norefersub, GRUU")]), &mut to);
        assert_eq!(to.first("Supported"), Some("100rel, norefersub, timer"));
        require(&headers(&[("Require", "timer, 100rel")]), &mut to);
        assert_eq!(to.first("Require"), Some("100rel"));
        assert_eq!(unsupported(&headers(&[("Require", "100rel, Foo"), ("Proxy-Require", "bar")])).unwrap(), "Foo, bar");
        assert_eq!(unsupported(&headers(&[("Require", "Timer")])), None);
    }

    #[test]
    fn credentials_for_our_realm_stay_here_and_assertions_of_strangers_too() {
        let mut all = headers(&[
            ("Proxy-Authorization", "Digest username=\"a\", realm=\"ours\", nonce=\"x,y\""),
            ("Proxy-Authorization", "Digest username=\"a\", realm=\"theirs\""),
            ("Authorization", "Digest realm=\"ours\""),
            ("p-asserted-identity", "<sip:boss@example.com>"),
        ]);
        distrust(&mut all, "ours");
        assert_eq!(
            all.iter().collect::<Vec<_>>(),
            [("Proxy-Authorization", "Digest username=\"a\", realm=\"theirs\"")]
        );
    }

    #[test]
    fn features_of_a_contact_go_on_and_its_place_does_not() {
        let from = headers(&[("Contact", "<sip:a@192.0.2.1>;+g.oma.sip-im;isfocus;expires=60;q=0.5")]);
        assert_eq!(contact("<sip:r.example>", &from), "<sip:r.example>;+g.oma.sip-im;isfocus");
        assert_eq!(contact("<sip:r.example>", &Headers::default()), "<sip:r.example>");
    }
}
