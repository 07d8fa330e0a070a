//! Which well-formed requests are not for us (RFC 3261 section 8.2): decided before any transaction is made.

use crate::sip::framing::{Fault, Message, Start};

/// The closed list of methods, as it stands in Allow. A session needs no others, and a message of any other method would
/// have to be understood before it could be passed on.
pub const METHODS: [&str; 9] = ["INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "UPDATE", "PRACK", "INFO", "MESSAGE"];

/// Transports that a Via may name; a response to anything else could not be routed by whoever gets it.
const TRANSPORTS: [&str; 7] = ["UDP", "TCP", "TLS", "SCTP", "TLS-SCTP", "WS", "WSS"];

/// The value of Allow.
pub fn allow() -> String {
    METHODS.join(", ")
}

/// Whether a message may go to its transaction. Responses always may.
pub fn check(message: &Message) -> Result<(), Fault> {
    let Start::Request { method, uri } = &message.head.start else { return Ok(()) };
    if !METHODS.contains(&method.as_str()) {
        return Err(Fault::Method);
    }
    let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
    if !["sip", "sips", "tel"].iter().any(|served| served.eq_ignore_ascii_case(scheme)) {
        return Err(Fault::Scheme);
    }
    if !TRANSPORTS.contains(&message.head.via.transport.as_str()) {
        return Err(Fault::Via);
    }
    if !has_tag(&message.head.from) {
        return Err(Fault::FromTag);
    }
    Ok(())
}

/// Whether a From or To has a tag: a parameter outside of quotes and angle brackets (RFC 3261 section 20.20).
pub fn has_tag(value: &str) -> bool {
    let (mut quoted, mut escaped, mut inside) = (false, false, false);
    for (i, b) in value.bytes().enumerate() {
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'<' => inside = true,
            b'>' => inside = false,
            b';' if !inside => {
                let param = value[i + 1..].split([';', '?']).next().unwrap_or("");
                let named = param
                    .split_once('=')
                    .is_some_and(|(name, value)| name.trim().eq_ignore_ascii_case("tag") && !value.trim().is_empty());
                if named {
                    return true;
                }
            }
            _ => {}
        }
    }
    false
}
