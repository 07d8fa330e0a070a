//! What every message must have that reaches an agent. Whatever is not so fails the test at once.

use super::dialog::Dialog;
use super::message::{Message, Start, parameter};

/// Judges what each message must have (RFC 3261 section 8.1.1).
pub fn message(message: &Message) {
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        message.need(name);
    }
    for name in ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "RSeq", "RAck"] {
        assert!(message.lines(name).len() <= 1, "{name} more than once in:\n{message}");
    }
    assert!(message.tag("From").is_some(), "no tag in From of:\n{message}");
    let branch = message.branch();
    assert!(branch.starts_with("z9hG4bK"), "a branch of RFC 2543 in:\n{message}");
    if let Some(length) = message.header("Content-Length") {
        assert_eq!(length.parse().ok(), Some(message.body.len()), "Content-Length of:\n{message}");
    }
    assert!(message.body.is_empty() || message.header("Content-Type").is_some(), "no Content-Type in:\n{message}");
    match &message.start {
        Start::Request(method, _) => request(message, method),
        Start::Response(status, _) => response(message, *status),
    }
}

fn request(message: &Message, method: &str) {
    assert_eq!(message.cseq().1, method, "the CSeq of:\n{message}");
    let forwards = message.need("Max-Forwards");
    assert!(forwards.parse::<u8>().is_ok_and(|n| n > 0), "Max-Forwards of:\n{message}");
    if ["INVITE", "UPDATE", "SUBSCRIBE"].contains(&method) {
        assert_eq!(message.list("Contact").len(), 1, "one Contact (RFC 3261 section 8.1.1.8) in:\n{message}");
    }
    if ["ACK", "BYE", "PRACK"].contains(&method) {
        assert!(message.tag("To").is_some(), "no tag in To of:\n{message}");
    }
}

fn response(message: &Message, status: u16) {
    assert!((100..700).contains(&status), "the status of:\n{message}");
    assert_eq!(message.list("Via").len(), 1, "one Via, ours, in:\n{message}");
    if status > 100 {
        assert!(message.tag("To").is_some(), "no tag in To of:\n{message}");
    }
    if (200..300).contains(&status) && message.cseq().1 == "INVITE" {
        assert_eq!(message.list("Contact").len(), 1, "one Contact (RFC 3261 section 13.3.1.4) in:\n{message}");
    }
}

/// Judges a response to a request of ours (RFC 3261 section 8.2.6.2).
pub fn answer(response: &Message, request: &Message) {
    for name in ["From", "Call-ID", "CSeq"] {
        assert_eq!(response.need(name), request.need(name), "{name} of:\n{response}");
    }
    let (ours, theirs) = (request.need("To"), response.need("To"));
    match request.tag("To") {
        Some(_) => assert_eq!(ours, theirs, "To of:\n{response}"),
        None => assert!(theirs == ours || theirs.starts_with(&format!("{ours};tag=")), "To of:\n{response}"),
    }
    let via = response.list("Via").remove(0);
    let sent_by = |via: &str| via.split(';').next().map(str::to_owned);
    assert_eq!(sent_by(&via), sent_by(request.need("Via")), "Via of:\n{response}");
    let port = parameter(&via, "rport").filter(|port| !port.is_empty());
    assert!(port.is_none_or(|port| port.parse::<u16>().is_ok()), "rport of:\n{response}");
}

/// Judges a request within a dialog (RFC 3261 section 12.2), which must lead to our Contact.
pub fn within(request: &Message, dialog: &Dialog, contact: &str) {
    assert_eq!(request.uri(), contact, "the Request-URI of:\n{request}");
    assert_eq!(request.tag("From").as_ref(), Some(&dialog.remote_tag), "the tag in From of:\n{request}");
    assert_eq!(request.tag("To").as_ref(), Some(&dialog.local_tag), "the tag in To of:\n{request}");
    let (number, method) = request.cseq();
    if method != "ACK" && method != "CANCEL" {
        assert!(dialog.seen.is_none_or(|seen| number > seen), "the CSeq does not rise in:\n{request}");
    }
}
