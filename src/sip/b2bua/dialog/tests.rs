//! Each rule of RFC 3261 section 12 by its number.

use rstest::rstest;

use super::*;

const OURS: &str = "<sip:relay@192.0.2.9:5060>";

/// An INVITE to us, with these lines more.
fn invite(more: &[(&str, &str)]) -> Request {
    let mut request = Request::new("INVITE", "sip:bob@relay.example");
    request.headers = [
        ("Via", "SIP/2.0/TCP a.example;branch=z9hG4bK1"),
        ("From", "\"Ada, L\" <sip:ada@a.example>;tag=a1;x=y"),
        ("To", "sip:bob@relay.example"),
        ("Call-ID", "c1@a.example"),
        ("CSeq", "41 INVITE"),
    ]
    .into_iter()
    .chain(more.iter().copied())
    .collect();
    request
}

fn with_contact(more: &[(&str, &str)]) -> Request {
    invite(&[more, &[("Contact", "\"x\" <sip:ada@192.0.2.1:5070;transport=tcp>;q=1")]].concat())
}

fn answering(request: &Request) -> Dialog {
    Dialog::answering(request, "u1", OURS).unwrap()
}

fn asking() -> Dialog {
    let from = "\"Ada\" <sip:ada@a.example>;tag=a1".to_owned();
    Dialog::asking(from, "u2", "<sip:bob@b.example>;tag=old".to_owned(), "c2@relay", OURS, 7)
}

fn response(status: u16, tag: &str, more: &[(&str, &str)]) -> Response {
    let to = if tag.is_empty() { "<sip:bob@b.example>".to_owned() } else { format!("<sip:bob@b.example>;tag={tag}") };
    let mut response = Response::to(&asking().request("INVITE"), status, "x");
    response.headers.set("To", to);
    for (name, value) in more {
        response.headers.push(name, *value);
    }
    response
}

fn in_dialog(method: &str, number: u32) -> Request {
    let mut request = Request::new(method, "sip:relay@192.0.2.9");
    request.headers =
        [("From", "<sip:ada@a.example>;tag=a1"), ("To", "<sip:bob@relay.example>;tag=u1"), ("Call-ID", "c1@a.example")]
            .into_iter()
            .collect();
    request.headers.push("CSeq", format!("{number} {method}"));
    request
}

fn lines(request: &Request) -> Vec<(&str, &str)> {
    request.headers.iter().collect()
}

#[test]
fn s12_1_1_state_of_the_side_that_answers() {
    let mut dialog =
        answering(&with_contact(&[("Record-Route", "<sip:p1;lr>, <sip:p2;lr>;x=\",\""), ("Record-Route", "<sip:p3>")]));
    assert_eq!(
        dialog.key(),
        DialogKey { call_id: "c1@a.example".into(), local_tag: "u1".into(), remote_tag: Some("a1".into()) }
    );
    assert!(!dialog.is_confirmed() && !dialog.owns_call_id());
    dialog.confirm();
    assert!(dialog.is_confirmed());
    assert_eq!((dialog.next_hop(), dialog.remote_target()), ("sip:p1;lr", "sip:ada@192.0.2.1:5070;transport=tcp"));
    let bye = dialog.request("BYE");
    assert_eq!((&*bye.method, &*bye.uri), ("BYE", "sip:ada@192.0.2.1:5070;transport=tcp"));
    assert_eq!(
        lines(&bye),
        [
            ("Route", "<sip:p1;lr>, <sip:p2;lr>;x=\",\", <sip:p3>"),
            ("Max-Forwards", "70"),
            ("From", "<sip:bob@relay.example>;tag=u1"),
            ("To", "\"Ada, L\" <sip:ada@a.example>;tag=a1;x=y"),
            ("Call-ID", "c1@a.example"),
            ("CSeq", "1 BYE"),
        ]
    );
}

#[test]
fn s12_1_1_the_response_shows_the_way() {
    let request = with_contact(&[("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"), ("Record-Route", "<sip:p3>;y")]);
    let dialog = answering(&request);
    let ringing = dialog.response(&request, 180, "Ringing");
    assert_eq!(ringing.headers.first("To"), Some("<sip:bob@relay.example>;tag=u1"));
    assert_eq!(ringing.headers.all("Record-Route").collect::<Vec<_>>(), ["<sip:p1;lr>, <sip:p2;lr>", "<sip:p3>;y"]);
    assert_eq!(ringing.headers.first("Contact"), Some(OURS));
    assert_eq!(key_of_response(&ringing).unwrap().remote_tag.as_deref(), Some("u1"));
    let busy = dialog.response(&request, 486, "Busy Here");
    assert_eq!(busy.headers.first("To"), Some("<sip:bob@relay.example>;tag=u1"));
    assert!(!busy.headers.has("Record-Route") && !busy.headers.has("Contact"));
    let trying = dialog.response(&request, 100, "Trying");
    assert_eq!(trying.headers.first("To"), Some("sip:bob@relay.example"));
    assert!(!trying.headers.has("Contact"));
    // A To with a tag is repeated as it came, and a BYE refreshes nothing.
    let ok = dialog.response(&in_dialog("BYE", 42), 200, "OK");
    assert_eq!(ok.headers.first("To"), Some("<sip:bob@relay.example>;tag=u1"));
    assert!(!ok.headers.has("Contact"));
}

#[rstest]
#[case::contact_missing(&[], Fault::ContactMissing)]
#[case::contact_empty(&[("Contact", "")], Fault::Contact)]
#[case::contact_of_register(&[("Contact", "*")], Fault::Contact)]
#[case::contact_twice(&[("Contact", "<sip:a@h>"), ("Contact", "<sip:b@h>")], Fault::Contact)]
#[case::contact_scheme(&[("Contact", "<tel:+1>")], Fault::Contact)]
#[case::contact_would_end_the_uri(&[("Contact", "<sip:a b@h>")], Fault::Contact)]
#[case::route_without_brackets(&[("Contact", "sip:a@h"), ("Record-Route", "sip:p;lr")], Fault::RecordRoute)]
#[case::route_scheme(&[("Contact", "sip:a@h"), ("Record-Route", "<http://p>")], Fault::RecordRoute)]
#[case::route_open(&[("Contact", "sip:a@h"), ("Record-Route", "<sip:p;lr>, <sip:q")], Fault::RecordRoute)]
fn s12_1_1_what_opens_no_dialog(#[case] more: &[(&str, &str)], #[case] fault: Fault) {
    assert_eq!(Dialog::answering(&invite(more), "u1", OURS), Err(fault));
    assert_eq!(fault.status().0, 400);
}

#[test]
fn s12_1_1_headers_that_must_be_there() {
    for (name, fault) in [("From", Fault::From), ("To", Fault::To), ("Call-ID", Fault::CallId), ("CSeq", Fault::CSeq)] {
        let mut request = with_contact(&[]);
        request.headers.remove(name);
        assert_eq!(Dialog::answering(&request, "u1", OURS), Err(fault));
    }
    let mut request = with_contact(&[]);
    request.headers.set("From", "<sip:ada@a.example>");
    assert_eq!(Dialog::answering(&request, "u1", OURS), Err(Fault::TagMissing));
}

#[test]
fn s8_1_1_6_routes_have_a_bound() {
    let routes = vec!["<sip:p;lr>"; 70].join(",");
    assert_eq!(answering(&with_contact(&[("Record-Route", &routes)])).path.routes.len(), 70);
    let request = with_contact(&[("Record-Route", &routes), ("Record-Route", "<sip:q;lr>")]);
    assert_eq!(Dialog::answering(&request, "u1", OURS), Err(Fault::TooManyRoutes));
}

#[test]
fn s8_1_1_the_first_request() {
    let mut dialog = asking();
    assert_eq!(dialog.key().remote_tag, None);
    assert!(dialog.owns_call_id());
    let invite = dialog.request("INVITE");
    assert_eq!(invite.uri, "sip:bob@b.example");
    assert_eq!(
        lines(&invite),
        [
            ("Max-Forwards", "70"),
            ("From", "\"Ada\" <sip:ada@a.example>;tag=u2"),
            ("To", "<sip:bob@b.example>"),
            ("Call-ID", "c2@relay"),
            ("CSeq", "7 INVITE"),
            ("Contact", OURS),
        ]
    );
    // Once more with credentials: a new number (section 8.1.3.5), and where routing sends it.
    dialog.aim("sips:bob@192.0.2.3");
    let again = dialog.request("INVITE");
    assert_eq!((&*again.uri, again.headers.first("CSeq")), ("sips:bob@192.0.2.3", Some("8 INVITE")));
}

#[test]
fn s12_1_2_the_route_set_is_reversed() {
    let more = [
        ("Record-Route", "<sip:p3;lr>, <sip:p2;lr>"),
        ("Record-Route", "<sip:p1;lr>;z"),
        ("Contact", "<sip:bob@192.0.2.2>"),
    ];
    let mut dialog = asking();
    dialog.request("INVITE");
    let mut early = dialog.answered(&response(183, "b1", &more)).unwrap();
    assert!(!early.is_confirmed());
    assert_eq!(early.next_hop(), "sip:p1;lr");
    let prack = early.request("PRACK");
    assert_eq!(prack.uri, "sip:bob@192.0.2.2");
    assert_eq!(prack.headers.first("Route"), Some("<sip:p1;lr>;z, <sip:p2;lr>, <sip:p3;lr>"));
    assert_eq!(prack.headers.first("To"), Some("<sip:bob@b.example>;tag=b1"));
    assert_eq!(prack.headers.first("CSeq"), Some("8 PRACK"));
    assert!(!prack.headers.has("Contact"));
}

#[test]
fn s12_1_2_each_fork_is_a_dialog() {
    let mut dialog = asking();
    dialog.request("INVITE");
    let mut first = dialog.answered(&response(180, "b1", &[("Contact", "<sip:b1@h>")])).unwrap();
    let second = dialog.answered(&response(200, "b2", &[("Contact", "<sip:b2@h>")])).unwrap();
    assert_ne!(first.key(), second.key());
    assert_eq!(Some(second.key()), key_of_response(&response(200, "b2", &[])));
    assert!(second.is_confirmed() && !first.is_confirmed() && !dialog.is_confirmed());
    assert_eq!(dialog.key().remote_tag, None);
    assert_eq!(
        (first.request("BYE").uri, first.request("BYE").headers.first("CSeq")),
        ("sip:b1@h".into(), Some("9 BYE"))
    );
    assert_eq!(second.ack(7).headers.first("CSeq"), Some("7 ACK"));
    assert_eq!(first.answered(&response(200, "b2", &[])), Err(Fault::OtherDialog));
}

#[test]
fn s12_1_what_is_no_answer() {
    for (status, tag, fault) in [
        (100, "b1", Fault::Status),
        (302, "b1", Fault::Status),
        (486, "b1", Fault::Status),
        (180, "", Fault::TagMissing),
    ] {
        assert_eq!(asking().answered(&response(status, tag, &[])), Err(fault));
    }
    assert_eq!(asking().answered(&response(200, "b1", &[("Contact", "*")])), Err(Fault::Contact));
    assert_eq!(asking().answered(&response(200, "b1", &[("Record-Route", "x")])), Err(Fault::RecordRoute));
}

#[test]
fn s12_1_2_without_contact_the_request_uri_stays() {
    let ringing = asking().answered(&response(180, "b1", &[])).unwrap();
    assert_eq!(ringing.remote_target(), "sip:bob@b.example");
    let known = ringing.answered(&response(200, "b1", &[("Contact", "<sip:bob@h>")])).unwrap();
    assert_eq!(known.ack(7).uri, "sip:bob@h");
    assert_eq!(known.answered(&response(200, "b1", &[])).unwrap().remote_target(), "sip:bob@h");
}

#[test]
fn s13_2_2_4_a_2xx_makes_the_route_set_anew_and_nothing_else() {
    let mut early = asking().answered(&response(180, "b1", &[("Contact", "<sip:bob@h>")])).unwrap();
    early.admit(&in_dialog("UPDATE", 5)).unwrap();
    early.request("PRACK");
    let more = [("Record-Route", "<sip:p2;lr>,<sip:p1;lr>"), ("Contact", "<sip:bob@h2>")];
    let mut confirmed = early.answered(&response(200, "b1", &more)).unwrap();
    assert!(confirmed.is_confirmed());
    let ack = confirmed.ack(7);
    assert_eq!((&*ack.uri, ack.headers.first("Route")), ("sip:bob@h2", Some("<sip:p1;lr>, <sip:p2;lr>")));
    assert_eq!(confirmed.admit(&in_dialog("UPDATE", 5)), Err(Fault::OutOfOrder));
    assert_eq!(confirmed.request("BYE").headers.first("CSeq"), Some("8 BYE"));
    // The 2xx of a re-INVITE moves the target, not the way (section 12.2).
    let more = [("Record-Route", "<sip:evil;lr>"), ("Contact", "<sip:bob@h3>")];
    let later = confirmed.answered(&response(200, "b1", &more)).unwrap();
    assert_eq!((later.next_hop(), later.remote_target()), ("sip:p1;lr", "sip:bob@h3"));
}

#[test]
fn s12_1_2_a_second_1xx_moves_nothing() {
    let early = asking().answered(&response(180, "b1", &[("Contact", "<sip:bob@h>")])).unwrap();
    let more = [("Record-Route", "<sip:p;lr>"), ("Contact", "<sip:bob@h2>")];
    let again = early.answered(&response(183, "b1", &more)).unwrap();
    assert_eq!(again, early);
}

#[test]
fn s12_2_1_1_a_strict_router_gets_the_request_uri() {
    // The example of the section, as Record-Route of a request.
    let more = [("Record-Route", "<sip:proxy1;method=INVITE;x=1?h=1>,<sip:proxy2>,<sip:proxy3;lr>,<sip:proxy4>")];
    let mut dialog = answering(&invite(&[&more[..], &[("Contact", "sip:user@remoteua")]].concat()));
    let info = dialog.request("INFO");
    assert_eq!(info.uri, "sip:proxy1;x=1");
    assert_eq!(info.headers.first("Route"), Some("<sip:proxy2>, <sip:proxy3;lr>, <sip:proxy4>, <sip:user@remoteua>"));
    assert_eq!(dialog.next_hop(), "sip:proxy1;method=INVITE;x=1?h=1");
    let alone = answering(&invite(&[("Record-Route", "<sip:p>"), ("Contact", "sip:user@remoteua")])).request("BYE");
    assert_eq!((&*alone.uri, alone.headers.first("Route")), ("sip:p", Some("<sip:user@remoteua>")));
}

#[rstest]
#[case("sip:a@h;transport=tcp", "sip:a@h;transport=tcp")]
#[case("sip:a@h?subject=x", "sip:a@h")]
#[case("sip:a@h;method=BYE?x=1", "sip:a@h")]
#[case("sip:a@h:1;Method=BYE;lr;x?", "sip:a@h:1;lr;x")]
#[case("sip:a?b;method=x@h", "sip:a?b;method=x@h")]
#[case("sips:[2001:db8::1]:5061;method=x;lr", "sips:[2001:db8::1]:5061;lr")]
#[case("tel:+1;phone-context=x", "tel:+1;phone-context=x")]
fn s19_1_1_what_may_stand_in_a_request_uri(#[case] uri: &str, #[case] expected: &str) {
    assert_eq!(path::request_uri(uri).as_deref(), Some(expected));
}

#[test]
fn s12_2_2_requests_in_order() {
    let mut dialog = answering(&with_contact(&[]));
    assert_eq!(dialog.admit(&in_dialog("INFO", 40)), Err(Fault::OutOfOrder));
    assert_eq!(dialog.admit(&in_dialog("INFO", 41)), Err(Fault::OutOfOrder));
    assert_eq!(Fault::OutOfOrder.status().0, 500);
    assert_eq!(dialog.admit(&in_dialog("INFO", 50)), Ok(()), "a gap is no error");
    assert_eq!(dialog.admit(&in_dialog("ACK", 41)), Ok(()), "the number of its INVITE");
    assert_eq!(dialog.admit(&in_dialog("CANCEL", 41)), Ok(()));
    assert_eq!(dialog.admit(&in_dialog("BYE", 50)), Err(Fault::OutOfOrder));
    assert_eq!(dialog.admit(&in_dialog("BYE", 51)), Ok(()));
    let mut none = in_dialog("BYE", 52);
    none.headers.remove("CSeq");
    assert_eq!(dialog.admit(&none), Err(Fault::CSeq));
}

#[test]
fn s12_2_2_the_first_request_of_the_other_side_has_any_number() {
    let mut dialog = asking().answered(&response(200, "b1", &[])).unwrap();
    assert_eq!(dialog.admit(&in_dialog("BYE", 0)), Ok(()));
    assert_eq!(dialog.admit(&in_dialog("BYE", 0)), Err(Fault::OutOfOrder));
}

#[test]
fn s12_2_2_a_target_is_refreshed_once_it_is_accepted() {
    let mut dialog = answering(&with_contact(&[]));
    let mut update = in_dialog("UPDATE", 42);
    update.headers.push("Contact", "<sip:ada@new;method=BYE>");
    dialog.admit(&update).unwrap();
    assert_eq!(dialog.remote_target(), "sip:ada@192.0.2.1:5070;transport=tcp");
    dialog.refresh_target(&update.headers);
    assert_eq!(dialog.remote_target(), "sip:ada@new");
    for bad in ["*", "<http://x>", "<sip:a@h>, <sip:b@h>"] {
        update.headers.set("Contact", bad);
        dialog.refresh_target(&update.headers);
        assert_eq!(dialog.remote_target(), "sip:ada@new", "{bad}");
    }
    update.headers.set("CSeq", "43 UPDATE");
    assert_eq!(dialog.admit(&update), Err(Fault::Contact));
    dialog.refresh_target(&Headers::default());
    assert_eq!(dialog.remote_target(), "sip:ada@new");
}

#[test]
fn s12_messages_find_their_dialog() {
    let dialog = answering(&with_contact(&[]));
    assert_eq!(key_of_request(&with_contact(&[])), None);
    assert_eq!(key_of_request(&in_dialog("BYE", 42)), Some(dialog.key()));
    let mut other = in_dialog("BYE", 42);
    other.headers.set("Call-ID", "C1@a.example");
    assert_ne!(key_of_request(&other), Some(dialog.key()));
    assert_eq!(key_of_response(&response(180, "", &[])), None);
}

#[test]
fn s12_2_1_1_numbers_do_not_run_over() {
    let mut dialog = asking();
    dialog.next_cseq = (1 << 31) - 1;
    assert_eq!(dialog.request("INFO").headers.first("CSeq"), Some("2147483647 INFO"));
    assert_eq!(dialog.request("INFO").headers.first("CSeq"), Some("2147483647 INFO"));
}
