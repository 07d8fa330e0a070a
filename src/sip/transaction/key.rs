//! By what a message finds its transaction (RFC 3261 sections 8.2.2.2, 13.3.1.4, 17.1.3, 17.2.3).
//!
//! A key is the beginning of a hash under a secret: 128 bits, however long the headers are, and nobody outside can make two
//! that collide.

use sha2::{Digest, Sha256};

use super::branch;
use crate::sip::framing::Via;
use crate::sip::message::{Headers, NameAddr, Request, cseq};

/// What a transaction is found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Key([u8; 16]);

/// Makes keys.
pub(super) struct Keys {
    secret: [u8; 32],
}

impl Keys {
    pub(super) fn new(secret: [u8; 32]) -> Keys {
        Keys { secret }
    }

    /// A transaction of ours (RFC 3261 section 17.1.3).
    pub(super) fn client(&self, branch: &str, method: &str) -> Key {
        self.key("client", &[&branch.to_ascii_lowercase(), method])
    }

    /// A transaction of another's `request`, as if it had this method (RFC 3261 section 17.2.3). Without the cookie the
    /// To-tag is left out, so that an ACK finds its INVITE without a look at the response.
    pub(super) fn server(&self, request: &Request, via: &Via, method: &str) -> Key {
        let branch = via.param("branch").flatten().unwrap_or_default();
        let port = via.port.map(|port| port.to_string()).unwrap_or_default();
        let (branch, host) = (&*branch.to_ascii_lowercase(), &*via.host.to_ascii_lowercase());
        if branch::is_unique(branch) {
            return self.key("server", &[branch, host, &port, method]);
        }
        let headers = &request.headers;
        let call_id = headers.first("Call-ID").unwrap_or_default();
        let own = [branch, host, &port, method, &request.uri, call_id, tag(headers, "From"), &number(headers)];
        self.key("rfc2543", &own)
    }

    /// A request as it is whatever way it took; none inside of a dialog (RFC 3261 section 8.2.2.2).
    pub(super) fn merged(&self, request: &Request) -> Option<Key> {
        let headers = &request.headers;
        let call_id = headers.first("Call-ID").unwrap_or_default();
        let own = [call_id, tag(headers, "From"), &number(headers), &request.method];
        tag(headers, "To").is_empty().then(|| self.key("merged", &own))
    }

    /// A 2xx of an INVITE and its ACK, which has a branch of its own (RFC 3261 section 13.3.1.4).
    pub(super) fn success(&self, headers: &Headers) -> Key {
        let call_id = headers.first("Call-ID").unwrap_or_default();
        self.key("success", &[call_id, tag(headers, "From"), tag(headers, "To"), &number(headers)])
    }

    /// The To-tag of responses that we give by ourselves: the same for the same request (RFC 3261 section 8.2.7).
    pub(super) fn tag(&self, request: &Request) -> String {
        let headers = &request.headers;
        let [via, call_id] = ["Via", "Call-ID"].map(|name| headers.first(name).unwrap_or_default());
        let Key(octets) = self.key("tag", &[via, call_id, tag(headers, "From"), &number(headers)]);
        octets[..8].iter().map(|octet| format!("{octet:02x}")).collect()
    }

    fn key(&self, kind: &str, parts: &[&str]) -> Key {
        let mut hash = Sha256::new_with_prefix(self.secret);
        for part in std::iter::once(&kind).chain(parts) {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        let mut key = [0; 16];
        key.copy_from_slice(&hash.finalize()[..16]);
        Key(key)
    }
}

/// The tag of From or To; empty if there is none.
pub(super) fn tag<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers.first(name).and_then(NameAddr::read).and_then(|value| value.tag()).unwrap_or_default()
}

/// The top Via.
pub(super) fn top(headers: &Headers) -> Option<Via> {
    Via::first(headers.first("Via")?).ok().map(|(via, _)| via)
}

fn number(headers: &Headers) -> String {
    cseq(headers).map(|cseq| cseq.number.to_string()).unwrap_or_default()
}
