//! `[auth]`: who may use the relay, and the terms of AUTH (RFC 4976 5.1).

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::document::{Found, Section};
use super::problem::Fault;
use super::secret::Secret;
use super::sip::{Network, loopback_networks, networks};
use super::value::{LONGEST, choice};

/// `[auth]`.
#[derive(Clone, PartialEq, Debug)]
pub struct Auth {
    /// Algorithms offered, SHA-256 before MD5 (IOP-12); at least one.
    pub algorithms: Vec<Algorithm>,
    /// `[[auth.user]]`, names unique.
    pub users: Vec<User>,
    /// An htdigest file (`user:realm:HA1` lines) beside the users above.
    pub htdigest: Option<PathBuf>,
    /// How long a look-up may take before the request gets 401.
    pub lookup_timeout: Duration,
    /// Also accept responses computed with the method `MSRP` instead of `AUTH` (IOP-13).
    pub compat_msrp_method: bool,
    /// Let a session in use expire under a client that named no Expires (IOP-14).
    pub expire_live_sessions: bool,
    /// Shortest Expires granted; below it 423 with Min-Expires.
    pub min_expires: Duration,
    /// Granted where the client names none.
    pub default_expires: Duration,
    /// Longest Expires granted; above it 423 with Max-Expires.
    pub max_expires: Duration,
    /// How long a nonce is good for a first use.
    pub nonce_lifetime: Duration,
    /// Wrong credentials from one address within `ban_window` that shut it out; zero shuts nobody out.
    pub ban_after: u32,
    /// How long wrong credentials count.
    pub ban_window: Duration,
    /// How long an address is shut out.
    pub ban_time: Duration,
    /// Networks that are never shut out.
    pub ban_exempt: Vec<Network>,
}

/// A Digest algorithm.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Algorithm {
    /// SHA-256 (RFC 7616). First, as it is offered first.
    Sha256,
    /// MD5 (RFC 2617): what most clients know.
    Md5,
}

/// One `[[auth.user]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Digest username.
    pub name: String,
    /// What proves it.
    pub credential: Credential,
    /// Whether this user may use the relay; if not, the right password gets 403.
    pub relay: bool,
}

/// What a user's response is checked against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Credential {
    /// The password; good for every algorithm.
    Password(Secret),
    /// H(user:realm:password) in lower-case hexadecimal digits; at least one of the two.
    Ha1 {
        /// By MD5, 32 digits.
        md5: Option<Secret>,
        /// By SHA-256, 64 digits.
        sha256: Option<Secret>,
    },
}

choice!(Algorithm, "a digest algorithm", "\"MD5\" or \"SHA-256\"", "MD5" => Algorithm::Md5, "SHA-256" => Algorithm::Sha256);

impl Algorithm {
    /// As it is written in headers and in the file.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Md5 => "MD5",
        }
    }
}

impl Default for Auth {
    fn default() -> Auth {
        Auth {
            algorithms: vec![Algorithm::Md5],
            users: Vec::new(),
            htdigest: None,
            lookup_timeout: Duration::from_secs(5),
            compat_msrp_method: false,
            expire_live_sessions: false,
            min_expires: Duration::from_secs(60),
            default_expires: Duration::from_secs(1800),
            max_expires: Duration::from_secs(7200),
            nonce_lifetime: Duration::from_secs(60),
            ban_after: 20,
            ban_window: Duration::from_secs(600),
            ban_time: Duration::from_secs(600),
            // Whoever forwards connections on this machine would be banned for all of its clients.
            ban_exempt: loopback_networks(),
        }
    }
}

impl Auth {
    pub(super) fn read(mut section: Section<'_>) -> Auth {
        let default = Auth::default();
        let algorithms = algorithms(&mut section).unwrap_or(default.algorithms);
        let auth = Auth {
            users: users(&mut section, &algorithms),
            algorithms,
            htdigest: section.file("htdigest"),
            lookup_timeout: section.positive("lookup_timeout", default.lookup_timeout),
            compat_msrp_method: section.or("compat_msrp_method", default.compat_msrp_method),
            expire_live_sessions: section.or("expire_live_sessions", default.expire_live_sessions),
            min_expires: whole_seconds(&mut section, "min_expires", default.min_expires),
            default_expires: whole_seconds(&mut section, "default_expires", default.default_expires),
            max_expires: whole_seconds(&mut section, "max_expires", default.max_expires),
            nonce_lifetime: section.positive("nonce_lifetime", default.nonce_lifetime),
            ban_after: section.or("ban_after", default.ban_after),
            ban_window: section.positive("ban_window", default.ban_window),
            ban_time: section.positive("ban_time", default.ban_time),
            ban_exempt: networks(&mut section, "ban_exempt").unwrap_or(default.ban_exempt),
        };
        let ordered = |smaller, low: Duration, larger, high: Duration| {
            if low > high {
                let key = if section.has(smaller) { smaller } else { larger };
                section.fault(section.place(key), Fault::Order { smaller, larger });
            }
        };
        ordered("min_expires", auth.min_expires, "default_expires", auth.default_expires);
        ordered("default_expires", auth.default_expires, "max_expires", auth.max_expires);
        section.close();
        auth
    }
}

/// A duration that is a number of whole seconds on the wire, as Expires and Session-Expires are.
pub(super) fn whole_seconds(section: &mut Section<'_>, key: &'static str, default: Duration) -> Duration {
    let value = section.positive(key, default);
    if value.subsec_nanos() != 0 {
        let high = format!("{} s, without a fraction", LONGEST.as_secs());
        let range = Fault::Range { found: format!("{value:?}"), low: "1 s".to_owned(), high };
        section.fault(section.place(key), range);
        return default;
    }
    value
}

fn algorithms(section: &mut Section<'_>) -> Option<Vec<Algorithm>> {
    let mut list = Vec::new();
    let written = section.nonempty_list::<Algorithm>("algorithms", "[\"MD5\"] or [\"SHA-256\", \"MD5\"]")?;
    let mut first = HashMap::new();
    for Found { value, place } in written {
        if let Some(first) = first.insert(value, place.key.clone()) {
            section.fault(place, Fault::Duplicate { found: value.name().to_owned(), first });
        } else {
            list.push(value);
        }
    }
    list.sort();
    (!list.is_empty()).then_some(list)
}

fn users(section: &mut Section<'_>, algorithms: &[Algorithm]) -> Vec<User> {
    let mut first = HashMap::new();
    section.sections("user").into_iter().filter_map(|section| user(section, algorithms, &mut first)).collect()
}

fn user(mut section: Section<'_>, algorithms: &[Algorithm], first: &mut HashMap<String, String>) -> Option<User> {
    let name = section.require::<String>("name", "name = \"alice\"").and_then(|name| user_name(&section, name, first));
    let credential = credential(&mut section, algorithms);
    let relay = section.or("relay", true);
    section.close();
    Some(User { name: name?, credential: credential?, relay })
}

fn user_name(section: &Section<'_>, found: Found<String>, first: &mut HashMap<String, String>) -> Option<String> {
    const MEND: &str = "text without colons, quotes, backslashes and control characters";
    let Found { value, place } = found;
    if value.is_empty() {
        section.fault(place, Fault::Empty { mend: MEND });
        return None;
    }
    // A colon would make `user:realm:password` ambiguous (RFC 7616 3.4).
    if value.contains([':', '"', '\\']) || value.chars().any(char::is_control) {
        section.fault(place, Fault::Value { found: format!("{value:?}"), what: "a user name", mend: MEND });
        return None;
    }
    if let Some(first) = first.get(&value) {
        let duplicate = Fault::Duplicate { found: format!("{value:?}"), first: first.clone() };
        section.fault(place, duplicate);
        return None;
    }
    first.insert(value.clone(), place.key);
    Some(value)
}

fn credential(section: &mut Section<'_>, algorithms: &[Algorithm]) -> Option<Credential> {
    let has_password = section.has("password");
    let has_ha1 = section.has("ha1") || section.has("ha1_sha256");
    let offered = |algorithm, key| section.has(key) && algorithms.contains(&algorithm);
    let usable = offered(Algorithm::Md5, "ha1") || offered(Algorithm::Sha256, "ha1_sha256");
    let password = section.take::<Secret>("password");
    let md5 = ha1(section, "ha1", 32);
    let sha256 = ha1(section, "ha1_sha256", 64);
    match (has_password, has_ha1) {
        (true, true) => section.fault(section.here(), Fault::TwoCredentials),
        (false, false) => section.fault(section.here(), Fault::NoCredential),
        (false, true) if !usable => {
            let mend = if algorithms.contains(&Algorithm::Md5) { "ha1" } else { "ha1_sha256" };
            section.fault(section.here(), Fault::NoUsableHa1 { mend });
        }
        (true, false) => {
            let Found { value, place } = password?;
            if value.expose().is_empty() {
                section.fault(place, Fault::Empty { mend: "a password" });
            }
            return Some(Credential::Password(value));
        }
        (false, true) => return (md5.is_some() || sha256.is_some()).then_some(Credential::Ha1 { md5, sha256 }),
    }
    None
}

fn ha1(section: &mut Section<'_>, key: &'static str, digits: usize) -> Option<Secret> {
    let Found { value, place } = section.take::<Secret>(key)?;
    let text = value.expose();
    if text.len() != digits || !text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        section.fault(place, Fault::Ha1 { found: text.chars().count(), digits });
        return None;
    }
    Some(Secret::from(text.to_ascii_lowercase()))
}
