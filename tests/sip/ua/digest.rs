//! The answer to a challenge (RFC 3261 section 22, RFC 2617 with MD5 and qop=auth).

use md5::{Digest, Md5};

/// The value of Authorization for this challenge.
pub fn credentials(challenge: &str, user: &str, password: &str, method: &str, uri: &str) -> String {
    let (realm, nonce) = (value(challenge, "realm"), value(challenge, "nonce"));
    let a1 = hex(&format!("{user}:{realm}:{password}"));
    let a2 = hex(&format!("{method}:{uri}"));
    let response = hex(&format!("{a1}:{nonce}:00000001:c0ffee42:auth:{a2}"));
    format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", algorithm=MD5, qop=auth, \
         nc=00000001, cnonce=\"c0ffee42\", response=\"{response}\""
    )
}

/// Whether a challenge is one that can be answered here.
pub fn is_md5(challenge: &str) -> bool {
    let other = challenge.to_ascii_lowercase().contains("algorithm") && value(challenge, "algorithm") != "MD5";
    challenge.starts_with("Digest ") && !other
}

fn value(challenge: &str, name: &str) -> String {
    let fields = challenge.trim_start_matches("Digest").split(',');
    let found = fields.filter_map(|field| field.trim().split_once('=')).find(|(n, _)| n.eq_ignore_ascii_case(name));
    found.map(|(_, v)| v.trim_matches('"').to_owned()).unwrap_or_else(|| panic!("no {name} in {challenge}"))
}

fn hex(text: &str) -> String {
    Md5::digest(text.as_bytes()).iter().map(|octet| format!("{octet:02x}")).collect()
}
