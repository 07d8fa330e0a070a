//! Configuration: a TOML file becomes plain, validated data.
//!
//! ```text
//! text --document--> sections and keys with their lines --relay, listen, tls, …--> Config --reload--> list of changes
//! ```
//!
//! Each section has a module that holds its validated form and the reading of it, so that a key, its default and its rules
//! stand together. All problems of a file are reported at once, each with its key, its line and its mend. Files that the
//! configuration names are opened only to see that they can be read; what is in them is the business of those who use them.
//!
//! `config/chappe.toml` documents each key, and tests keep it complete.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use zeroize::Zeroizing;

use crate::config::document::Document;
use crate::config::sip::Around;

mod auth;
mod document;
mod limits;
mod listen;
mod operation;
mod policy;
mod problem;
mod relay;
pub mod reload;
mod secret;
mod sip;
mod tls;
mod value;
mod warning;

#[cfg(test)]
mod tests;

pub use self::auth::{Algorithm, Auth, Credential, User};
pub use self::limits::Limits;
pub use self::listen::{Advertise, Listen, Transport};
pub use self::operation::{Admin, Log, LogFormat, Records, is_filter};
pub use self::policy::EgressPolicy;
pub use self::problem::{Fault, Problem, Problems};
pub use self::relay::{AbortFlag, Engine, Relay};
pub use self::secret::Secret;
pub use self::sip::{
    Domain, DomainError, Forks, Hop, HopError, Media, Network, NetworkError, Protocol, Route, Sip, SipListen, SipName,
    Untrusted,
};
pub use self::tls::{CertSource, PeerRelay, Tls, TlsVersion};
pub use self::warning::Warning;
pub use crate::relay::policy::{Rule, RuleError, Target};

/// A whole configuration that passed every check.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// Who this relay is.
    pub relay: Relay,
    /// Where connections come in; at least one.
    pub listen: Vec<Listen>,
    /// Certificates and trust; there if any listener is TLS.
    pub tls: Option<Tls>,
    /// Relays known by name; only where `tls.client_ca` can verify them.
    pub peer_relay: Vec<PeerRelay>,
    /// Users and the terms of AUTH.
    pub auth: Auth,
    /// Every bound.
    pub limits: Limits,
    /// Next hops that clients may name.
    pub policy: EgressPolicy,
    /// The control plane; none without a `[[sip.listen]]`.
    pub sip: Option<Sip>,
    /// The admin interface; none when switched off.
    pub admin: Option<Admin>,
    /// Logs.
    pub log: Log,
    /// Session records; none when they go nowhere.
    pub records: Option<Records>,
}

impl Config {
    /// Reads and checks the file; relative paths in it are relative to its directory.
    pub fn load(path: &Path) -> Result<Config, Problems> {
        let file = path.display().to_string();
        // Passwords stand in it.
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| Problems {
            file: file.clone(),
            list: vec![Problem { key: String::new(), line: None, fault: Fault::Unreadable(error.to_string()) }],
        })?;
        let base = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Config::read(&Document::new(&text, &base), &file)
    }

    /// Checks a text as if it were a file in the directory `base`.
    pub fn from_str(text: &str, base: &Path) -> Result<Config, Problems> {
        Config::read(&Document::new(text, base), "configuration")
    }

    /// What runs without a file: loopback only, a certificate made in memory, and the user `demo` with this password.
    pub fn development(password: Secret) -> Config {
        let loopback = |rule: &str| rule.parse::<Rule>().into_iter();
        let demo = User { name: "demo".to_owned(), credential: Credential::Password(password), relay: true };
        Config {
            relay: Relay::default(),
            listen: vec![Listen {
                address: (Ipv4Addr::LOCALHOST, 2855).into(),
                transport: Transport::Tls,
                auth: true,
                advertise: None,
            }],
            tls: Some(Tls::default()),
            peer_relay: Vec::new(),
            auth: Auth { users: vec![demo], ..Auth::default() },
            limits: Limits::default(),
            policy: EgressPolicy {
                allow: loopback("127.0.0.0/8").chain(loopback("::1/128")).collect(),
                ..EgressPolicy::default()
            },
            sip: Some(Sip {
                listen: [Protocol::Udp, Protocol::Tcp].map(loopback_sip).into(),
                trusted: sip::loopback_networks(),
                media: Media { accept_loopback: true, ..Media::default() },
                ..Sip::default()
            }),
            admin: Some(Admin::default()),
            log: Log::default(),
            records: None,
        }
    }

    fn read(document: &Document<'_>, file: &str) -> Result<Config, Problems> {
        let Some(table) = document.parse() else { return document.finish(file, None) };
        let mut root = document.root(&table);
        let listen = listen::read(&mut root);
        let tls_section = root.section("tls");
        let verifiable = tls_section.has("client_ca");
        let admin = Admin::read(root.section("admin"), &listen);
        let around = Around { tls: tls_section.is_present(), verifiable, listen: &listen, admin: admin.as_ref() };
        let sip = Sip::read(root.section("sip"), &around);
        let msrp = listen.iter().map(|listen| (listen.address, listen.transport == Transport::Tls));
        let secure_sip = sip.iter().flat_map(|sip| &sip.listen).filter(|listen| listen.protocol == Protocol::Tls);
        let mut secure = msrp.clone().filter(|(_, tls)| *tls).map(|(address, _)| address);
        let tls_is_loopback = secure.all(is_loopback) && secure_sip.map(|listen| listen.address).all(is_loopback);
        let config = Config {
            relay: Relay::read(root.section("relay"), msrp.map(|(address, _)| address).all(is_loopback)),
            tls: Tls::read(tls_section, tls_is_loopback),
            peer_relay: tls::peer_relays(&mut root, verifiable),
            auth: Auth::read(root.section("auth")),
            limits: Limits::read(root.section("limits")),
            policy: EgressPolicy::read(root.section("policy")),
            sip,
            admin,
            log: Log::read(root.section("log")),
            records: Records::read(root.section("records")),
            listen,
        };
        root.close();
        document.finish(file, Some(config))
    }
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().is_loopback()
}

/// Where SIP is served without a file.
fn loopback_sip(protocol: Protocol) -> SipListen {
    SipListen { address: (Ipv4Addr::LOCALHOST, 5060).into(), protocol, advertise: None }
}
