//! The command line.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    dial::Source,
    digest::{Algorithm, Credentials},
    security::{self, Choices},
    target::{Hop, Target},
};

/// Loads MSRP relays (RFC 4975, RFC 4976) as real clients would, verifies every octet, and says what it cost.
#[derive(Debug, Parser)]
#[command(name = "chappe-load", version)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Run a scenario against a relay. Exit status: 0 if all went well, 1 if an error was found, 2 if it could not be run.
    Run(Box<RunOptions>),
    /// Say what a scenario would do, without doing it.
    Check {
        /// Scenario file.
        scenario: PathBuf,
        /// Put a value in place of the file's, as in load.window=16.
        #[arg(long = "set", value_name = "KEY=VALUE")]
        settings: Vec<String>,
    },
    /// Merge results of generators that ran side by side, on one machine or several, into one.
    Merge {
        /// Result files.
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// Where to write the merged result.
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Compare results of several relays: a table in Markdown.
    Compare {
        /// Result files.
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// The label that the others are compared with; that of the first file if it is not given.
        #[arg(long)]
        baseline: Option<String>,
    },
    /// Make one HTML page of results.
    Report {
        /// Result files.
        #[arg(required = true)]
        results: Vec<PathBuf>,
        /// The label that the others are compared with; that of the first file if it is not given.
        #[arg(long)]
        baseline: Option<String>,
        /// Where to write the page.
        #[arg(short, long)]
        output: PathBuf,
    },
}

/// How links are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// TLS over TCP.
    Tls,
    /// TCP alone.
    Tcp,
}

/// `chappe-load run`.
#[derive(Clone, Debug, Args)]
pub struct RunOptions {
    /// Scenario file.
    pub scenario: PathBuf,
    /// The relay at which callees authenticate. With --listen: where callers connect to.
    #[arg(long, value_name = "HOST:PORT")]
    pub relay: String,
    /// The host in the relay's URI and certificate, if it is not that of --relay.
    #[arg(long)]
    pub name: Option<String>,
    /// The relay at which callers authenticate, if it is another one: a chain of two.
    #[arg(long, value_name = "HOST:PORT")]
    pub caller_relay: Option<String>,
    /// The host in that relay's URI and certificate.
    #[arg(long, requires = "caller_relay")]
    pub caller_name: Option<String>,
    /// Callees listen here instead of authenticating: behind a byte proxy, or, if --relay is the same, without any relay.
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// TLS or TCP.
    #[arg(long, value_enum, default_value = "tls")]
    pub transport: Transport,
    /// Trust anchors in PEM; the public ones if there is no file.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Certificate chain in PEM for --listen.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// The only cipher suite to offer, as in TLS13_AES_128_GCM_SHA256.
    #[arg(long)]
    pub cipher: Option<String>,
    /// The only key exchange to offer, as in X25519.
    #[arg(long)]
    pub key_exchange: Option<String>,
    /// Resume sessions of TLS.
    #[arg(long)]
    pub resumption: bool,
    /// A user; give several and they take turns.
    #[arg(long = "user", value_name = "NAME:PASSWORD")]
    pub users: Vec<String>,
    /// A file of users, one NAME:PASSWORD a line.
    #[arg(long, value_name = "FILE")]
    pub users_file: Option<PathBuf>,
    /// The digest algorithm to take; the strongest one offered if it is not given.
    #[arg(long, value_enum)]
    pub digest: Option<Algorithm>,
    /// Where to connect from; give several and they take turns.
    #[arg(long = "source", value_name = "ADDRESS[:FIRST-LAST]")]
    pub sources: Vec<Source>,
    /// The relay's process: its CPU and memory are measured, with those of its children.
    #[arg(long, value_name = "PID")]
    pub relay_pid: Option<u32>,
    /// Put a value in place of the scenario's, as in load.window=16.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// Generator processes; sessions and rate are divided among them.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub processes: u32,
    /// What the relay is called in the result.
    #[arg(long, default_value = "relay")]
    pub label: String,
    /// What the load is called in the result; the scenario's name if it is not given.
    #[arg(long)]
    pub cell: Option<String>,
    /// Write the result here.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Print nothing but errors.
    #[arg(long)]
    pub quiet: bool,
    /// Which of several processes this is: it takes its share, tells how it goes on standard output, and waits to be told to
    /// begin on standard input.
    #[arg(long, hide = true, value_name = "NUMBER")]
    pub part: Option<u32>,
}

impl RunOptions {
    /// What they mean, with names resolved and files read.
    pub fn target(&self) -> Result<Target> {
        let choices = Choices {
            ca: self.ca.as_deref(),
            cipher: self.cipher.as_deref(),
            key_exchange: self.key_exchange.as_deref(),
            resumption: self.resumption,
        };
        let tls = self.transport == Transport::Tls;
        if self.listen.is_some() && self.processes > 1 {
            bail!("--listen takes one process: connections that a proxy brings cannot choose among several");
        }
        let listen = self.listen.as_deref().map(|text| resolve("--listen", text)).transpose()?;
        let server_tls = match (listen, tls, &self.certificate, &self.key) {
            (Some(_), true, Some(certificate), Some(key)) => Some(security::server(&choices, certificate, key)?),
            (Some(_), true, ..) => bail!("--listen with TLS needs --certificate and --key, or take --transport tcp"),
            _ => None,
        };
        Ok(Target {
            relay: hop("--relay", &self.relay, self.name.as_deref())?,
            caller_relay: self
                .caller_relay
                .as_deref()
                .map(|relay| hop("--caller-relay", relay, self.caller_name.as_deref()))
                .transpose()?,
            listen,
            client_tls: if tls { Some(security::client(&choices)?) } else { None },
            server_tls,
            users: self.all_users()?,
            digest: self.digest,
            sources: self.sources.clone(),
        })
    }

    fn all_users(&self) -> Result<Vec<Credentials>> {
        let mut users = Vec::new();
        let file = match &self.users_file {
            Some(path) => std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?,
            None => String::new(),
        };
        let lines = file.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        for text in self.users.iter().map(String::as_str).chain(lines) {
            let (user, password) = text.split_once(':').context("write a user as NAME:PASSWORD")?;
            users.push(Credentials { user: user.to_owned(), password: password.to_owned() });
        }
        Ok(users)
    }
}

fn hop(option: &str, text: &str, name: Option<&str>) -> Result<Hop> {
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host).trim_start_matches('[').trim_end_matches(']');
    Ok(Hop { address: resolve(option, text)?, name: name.unwrap_or(host).to_owned() })
}

fn resolve(option: &str, text: &str) -> Result<SocketAddr> {
    let addresses: Vec<SocketAddr> = text
        .to_socket_addrs()
        .with_context(|| format!("{option} {text}: give HOST:PORT, and a host that resolves"))?
        .collect();
    // A relay on a machine of two families is more often reached by the older one.
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().with_context(|| format!("{option} {text} has no address"))
}
