//! What we can do, in answer to OPTIONS (RFC 3264 section 9, RFC 5547 section 8.5).

use super::{address::Address, media_line::Protocol, origin::Draft};

/// A description without a session: port 0, the types, the longest message, and the empty selector that says "file
/// transfer" (SDP-52, SDP-71). The types are the operator's, `message/cpim` and so on.
pub fn capability(address: &Address, protocols: &[Protocol], accept_types: &str, max_size: Option<u64>) -> Draft {
    let before = "v=0\r\n";
    let mut text = format!("{before}s=-\r\nc={address}\r\nt=0 0\r\n");
    for protocol in protocols {
        text.push_str(&format!("m=message 0 {} *\r\na=accept-types:{accept_types}\r\n", protocol.as_str()));
        if let Some(limit) = max_size {
            text.push_str(&format!("a=max-size:{limit}\r\n"));
        }
        text.push_str("a=file-selector\r\n");
    }
    Draft::new(text.into_bytes(), before.len(), b"\r\n")
}
