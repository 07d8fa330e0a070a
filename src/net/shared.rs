//! What all shards of a process share: it changes by reload or is counted across shards.

#![expect(clippy::disallowed_methods, reason = "the dates of certificates are judged by the wall clock")]

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::address::{Addresses, Bounds, Leases};
use super::bans::Bans;
use super::clock::Clock;
use super::tls::{ClientSide, PeerTrust, ServerSide, classify};
use crate::accounts::Store;
use crate::observe::throttle::Throttle;
use crate::relay::{Account, Claimant, Event, LookUpFailure, RelayIdentity, Settings};

static STORE_FAILED: Throttle = Throttle::new(1);

/// Bounds that hold across shards, and times of the sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Per address and in all.
    pub bounds: Bounds,
    /// Tokens of one user.
    pub tokens_per_user: u32,
    /// Dials in the name of one user, per minute.
    pub dials_per_user: u32,
    /// Longest TLS handshake.
    pub handshake: Duration,
    /// Longest time to connect to a next hop, over all its addresses.
    pub connect: Duration,
}

/// Which certificates make a peer relay.
pub struct Peers {
    /// Its issuers.
    pub trust: PeerTrust,
    /// Lower-case names on the list.
    pub names: HashSet<String>,
}

/// Shared by all shards.
pub struct Shared {
    /// The clock of the data plane.
    pub clock: Clock,
    /// What the core is told.
    pub settings: ArcSwap<Settings>,
    /// Bounds across shards.
    pub rules: ArcSwap<Rules>,
    /// TLS of listeners; `None` without a certificate.
    pub server: Option<ServerSide>,
    /// TLS of outgoing connections.
    pub client: ClientSide,
    /// Who is a peer relay today.
    pub peers: ArcSwap<Option<Peers>>,
    /// Credential stores.
    pub accounts: ArcSwap<Box<dyn Store>>,
    /// Runtime on which look-ups run: never a shard.
    pub control: tokio::runtime::Handle,
    /// Connections and AUTHs per address.
    pub addresses: Arc<Addresses>,
    /// Tokens and dials per user.
    pub leases: Leases,
    /// Addresses that guessed passwords.
    pub bans: Bans,
    /// Takes log-worthy events; must not block.
    pub events: Box<dyn Fn(Event) + Send + Sync>,
}

impl Shared {
    /// The identity of a peer relay, judged on the stored chain by today's list and dates (AMB-58).
    pub fn identify(&self, chain: Option<&[CertificateDer<'static>]>) -> Option<RelayIdentity> {
        let peers = self.peers.load();
        let peers = peers.as_ref().as_ref()?;
        let now = UnixTime::since_unix_epoch(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?);
        let relay = classify(chain?, &peers.trust, &peers.names, now)?;
        Some(RelayIdentity { name: relay.name.to_ascii_lowercase().into(), dns_names: relay.dns_names })
    }

    /// The identity of a relay that we dialled under a name on the list; its certificate was verified for that name.
    pub fn identify_dialled(&self, host: &str, chain: Option<&[CertificateDer<'static>]>) -> Option<RelayIdentity> {
        let peers = self.peers.load();
        let listed = peers.as_ref().as_ref()?.names.contains(host);
        let dns_names = chain?.first().map(super::tls::dns_names).unwrap_or_default();
        listed.then(|| RelayIdentity { name: host.into(), dns_names })
    }

    /// Takes an event to its observers; wrong credentials count against the address that they came from.
    pub fn tell(&self, event: Event) {
        let guess = match &event {
            Event::AuthFailed { peer: Some(peer), from: Claimant::Client, .. } => Some(peer.ip()),
            _ => None,
        };
        (self.events)(event);
        let banned = guess.and_then(|address| Some((address, self.bans.failed(address, self.clock.now())?)));
        if let Some((address, ban)) = banned {
            (self.events)(Event::Banned { address, failures: ban.failures, time: ban.time });
        }
    }

    /// Looks a user up, within the limits of its address and its tokens. `in_session` is one whom a ban does not concern.
    pub async fn look_up(
        &self,
        user: &str,
        peer: Option<SocketAddr>,
        in_session: bool,
    ) -> Result<Option<Account>, LookUpFailure> {
        let account = self.account(user, peer.map(|peer| peer.ip()), in_session).await?;
        Ok(account.map(|account| {
            let most = self.rules.load().tokens_per_user;
            let lease = account.relay && self.leases.take_token(user, most);
            Account { ha1: account.ha1, relay: account.relay, lease }
        }))
    }

    /// Looks a user up, within the limits of its address; of a banned one only who is `in_session` there.
    pub async fn account(
        &self,
        user: &str,
        address: Option<IpAddr>,
        in_session: bool,
    ) -> Result<Option<crate::accounts::Account>, LookUpFailure> {
        let (rules, now) = (**self.rules.load(), self.clock.now());
        let banned = |address| !in_session && self.bans.holds(address, now);
        if address.is_some_and(|a| banned(a) || !self.addresses.auth(a, &rules.bounds, now)) {
            return Err(LookUpFailure::RateLimited);
        }
        let store = self.accounts.load_full();
        store.look_up(user).await.map_err(|error| {
            if let Some(held_back) = STORE_FAILED.admit() {
                tracing::error!(
                    %error, held_back,
                    "credential store does not answer; nobody can log in until it does, sessions go on"
                );
            }
            LookUpFailure::Unavailable
        })
    }
}
