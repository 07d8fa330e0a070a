//! What can be wrong with a configuration file: each rule once, with its mend.

use std::fmt;

use thiserror::Error;

/// Everything that is wrong with one configuration, in the order of the file.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub struct Problems {
    /// The file as it was named, for the start of each line.
    pub file: String,
    /// At least one problem.
    pub list: Vec<Problem>,
}

/// One broken rule at one place of the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The key's path, as `listen[1].transport`; empty when it concerns the whole file.
    pub key: String,
    /// Line of the file, from 1; none when the file could not be read at all.
    pub line: Option<usize>,
    /// What is wrong and how to mend it.
    pub fault: Fault,
}

impl fmt::Display for Problems {
    /// One line per problem: `chappe.toml:12: listen[1].transport: "udp" is not a transport; write "tls" or "tcp"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file)?;
            if let Some(line) = problem.line {
                write!(f, "{line}:")?;
            }
            if !problem.key.is_empty() {
                write!(f, " {}:", problem.key)?;
            }
            write!(f, " {}", problem.fault)?;
        }
        Ok(())
    }
}

/// A broken rule. Its text says what is wrong, then how to mend it; it never repeats a secret.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// The configuration file itself cannot be read.
    #[error("cannot be read: {0}; write the path of a readable file behind --config")]
    Unreadable(String),
    /// Not TOML.
    #[error("not TOML: {0}; write it as TOML 1.0 demands (text in double quotes, one key per line)")]
    Syntax(String),
    /// A key that this section does not know.
    #[error("unknown key; {mend}")]
    UnknownKey {
        /// The nearest known key, or the list of them.
        mend: String,
    },
    /// A key without which the section means nothing.
    #[error("missing; write {mend}")]
    Missing {
        /// An example.
        mend: &'static str,
    },
    /// The value is not of the key's kind.
    #[error("{found} is not {what}; write {mend}")]
    Value {
        /// The value as written, or only its type where it may be a secret.
        found: String,
        /// The kind that was expected, with its article.
        what: &'static str,
        /// An example or the possible values.
        mend: &'static str,
    },
    /// Zero where nothing would work any more.
    #[error("0 would stop everything; write at least 1, or remove the key for its default")]
    Zero,
    /// Below or above what the relay can handle.
    #[error("{found} is out of range; write {low} to {high}")]
    Range {
        /// The value as written.
        found: String,
        /// The least value allowed.
        low: String,
        /// The greatest value allowed.
        high: String,
    },
    /// Two keys of which one must not exceed the other.
    #[error("{smaller} exceeds {larger}; write values so that {smaller} is at most {larger}")]
    Order {
        /// The key that must be the smaller one.
        smaller: &'static str,
        /// The key that must be the larger one.
        larger: &'static str,
    },
    /// A list or text that must not be empty.
    #[error("empty; write {mend}")]
    Empty {
        /// An example.
        mend: &'static str,
    },
    /// The same name or address twice.
    #[error("{found} stands here twice (first at {first}); write it once")]
    Duplicate {
        /// What is there twice.
        found: String,
        /// Key path of the first one.
        first: String,
    },
    /// A file that is named here cannot be opened.
    #[error("{path} cannot be read: {error}; write the path of a readable file, relative to this file")]
    File {
        /// The path after it was made relative to the configuration file.
        path: String,
        /// What the operating system says.
        error: String,
    },
    /// A file shall be written where there is no directory for it, or where a directory already is.
    #[error("{path} cannot be a file; write the path of a file in a directory that exists, or \"-\"")]
    NoDirectory {
        /// The path after it was made relative to the configuration file.
        path: String,
    },
    /// A Unix socket cannot have this path.
    #[error("{path} cannot be a socket; write the path of a file, at most {most} octets long")]
    NoSocket {
        /// The path after it was made relative to the configuration file.
        path: String,
        /// Octets that it may have.
        most: usize,
    },
    /// The engine was not compiled in.
    #[error("this program was built without io-uring; write \"tokio\", or build with --features io-uring")]
    EngineNotBuilt,
    /// No way in.
    #[error("no listener; write [[listen]] with address = \"127.0.0.1:2855\"")]
    NoListener,
    /// The control plane is off, and yet it is told where to send.
    #[error("no SIP listener; write [[sip.listen]] with address = \"127.0.0.1:5060\"")]
    NoSipListener,
    /// Via and Contact must say where we are, and a wildcard does not.
    #[error("a wildcard address tells nobody where to answer; write advertise = \"sip.example.com\"")]
    AdvertiseNeeded,
    /// Names in certificates say nothing without an authority.
    #[error("a certificate cannot be verified without tls.client_ca; write client_ca = \"ca.crt\" under [tls]")]
    CertificateWithoutCa,
    /// A TLS listener needs the section that names its certificate.
    #[error("a TLS listener without a [tls] section; write [tls] with certificate and key, or transport = \"tcp\"")]
    ListenerWithoutTls,
    /// A certificate made in memory is trusted by nobody.
    #[error(
        "a TLS listener outside loopback needs a certificate; write certificate = \"server.crt\" and key = \"server.key\""
    )]
    CertificateNeeded,
    /// One half of a pair.
    #[error("{present} without {absent}; write both or neither")]
    Half {
        /// The key that is there.
        present: &'static str,
        /// The key that is not.
        absent: &'static str,
    },
    /// Peer relays are known by their certificates only.
    #[error("a peer relay cannot be verified without tls.client_ca; write client_ca = \"ca.crt\" under [tls]")]
    PeerWithoutCa,
    /// A user who can never log in.
    #[error("neither password nor HA1; write password = \"…\", or ha1 = \"…\" as made by `chappe passwd`")]
    NoCredential,
    /// Two credentials that may contradict each other.
    #[error("both a password and an HA1; write only one of them")]
    TwoCredentials,
    /// No HA1 for any algorithm that is offered.
    #[error("no HA1 for an offered algorithm; write {mend}, or change auth.algorithms")]
    NoUsableHa1 {
        /// The key to add.
        mend: &'static str,
    },
    /// An HA1 of the wrong length or alphabet. The value is a credential and not repeated.
    #[error("not an HA1: {found} characters; write {digits} hexadecimal digits")]
    Ha1 {
        /// How many characters there are.
        found: usize,
        /// How many hexadecimal digits the algorithm gives.
        digits: usize,
    },
    /// RFC 4976 demands these methods of every relay.
    #[error("{0} is needed by every session; write only other methods, as \"NICKNAME\"")]
    MethodNeeded(String),
    /// The admin interface can end sessions: outside loopback it needs a token.
    #[error("the admin interface listens outside loopback without a token; write token = \"…\" or a loopback address")]
    AdminWithoutToken,
    /// An entry of the egress policy that cannot be read.
    #[error(
        "{found} is not a next-hop rule: {why}; write a CIDR or a host name, each with or without \":port\" or \":low-high\""
    )]
    Rule {
        /// The entry as written.
        found: String,
        /// Which part is wrong.
        why: crate::relay::policy::RuleError,
    },
    /// A trusted network that cannot be read.
    #[error("{found} is not a network: {why}; write a CIDR such as \"10.0.0.0/8\", or an address")]
    Network {
        /// The entry as written.
        found: String,
        /// Which part is wrong.
        why: super::NetworkError,
    },
    /// The domain of a route cannot be read.
    #[error("{found} is not a domain: {why}; write \"example.com\", \"*.example.com\" or \"*\"")]
    Domain {
        /// The domain as written.
        found: String,
        /// Which part is wrong.
        why: super::DomainError,
    },
    /// The next hop of a route cannot be read.
    #[error("{found} is not a next hop: {why}; write one such as \"sip:proxy.example.com:5060;transport=tcp\"")]
    Hop {
        /// The URI as written.
        found: String,
        /// Which part is wrong.
        why: super::HopError,
    },
}
