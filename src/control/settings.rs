//! From the configuration to what the core and the sockets are told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::memory;
use crate::auth::Algorithm;
use crate::config::{self, AbortFlag, Config, Transport};
use crate::msrp;
use crate::net::address::Bounds;
use crate::net::bans::BanRules;
use crate::net::shared::Rules;
use crate::relay::policy::EgressPolicy;
use crate::relay::{AuthRules, Authority, Limits, Peer, Settings};

/// The name under which clients reach a listener: what it advertises, or the host name and the port it is bound to.
pub fn authority(config: &Config, listen: &config::Listen, bound: SocketAddr) -> Authority {
    let scheme = match listen.transport {
        Transport::Tls => msrp::Scheme::Msrps,
        Transport::Tcp => msrp::Scheme::Msrp,
    };
    match &listen.advertise {
        Some(a) => Authority { scheme, host: a.host.clone(), port: a.port },
        None => Authority { scheme, host: config.relay.hostname.clone(), port: bound.port() },
    }
}

/// Settings of the core. `bound` are the addresses of the listeners in the order of the configuration.
pub fn settings(config: &Config, bound: &[SocketAddr], shards: u16, generation: u32) -> Settings {
    let r = &config.relay;
    let a = &config.auth;
    let seconds = |d: std::time::Duration| d.as_secs();
    Settings {
        hostname: r.hostname.clone(),
        realm: r.realm.clone(),
        node: r.node,
        generation,
        shards,
        authorities: config.listen.iter().zip(bound).map(|(l, b)| authority(config, l, *b)).collect(),
        forward_unknown_methods: r.forward_unknown_methods,
        blocked_methods: r.blocked_methods.clone(),
        require_signed: r.require_signed,
        abort_lost: r.abort_flag == AbortFlag::Abort,
        max_chunk: r.max_chunk,
        max_chunk_own_kind: 64 << 10,
        peers: peers(config),
        auth: AuthRules {
            algorithms: a.algorithms.iter().map(|a| algorithm(*a)).collect(),
            msrp_method: a.compat_msrp_method,
            expire_live_sessions: a.expire_live_sessions,
            min_expires: seconds(a.min_expires),
            default_expires: seconds(a.default_expires),
            max_expires: seconds(a.max_expires),
            lookup_timeout: a.lookup_timeout,
            nonce_lifetime: a.nonce_lifetime,
        },
        limits: limits(&config.limits, shards, config.sip.as_ref().map(|sip| sip.setup_timeout)),
        wire: wire(&config.limits),
        policy: policy(&config.policy, bound),
    }
}

/// Limits that hold across shards.
pub fn rules(config: &Config) -> Rules {
    let l = &config.limits;
    Rules {
        bounds: Bounds {
            open: l.connections_per_address,
            new: l.new_connections_per_address_per_minute,
            auths: l.auths_per_address_per_minute,
            total: l.connections as usize,
        },
        tokens_per_user: l.tokens_per_user,
        dials_per_user: l.dials_per_user_per_minute,
        handshake: l.handshake_timeout,
        connect: l.connect_timeout,
    }
}

/// When addresses that guess passwords are shut out.
pub fn ban_rules(config: &Config) -> BanRules {
    let a = &config.auth;
    BanRules { after: a.ban_after, window: a.ban_window, time: a.ban_time, exempt: a.ban_exempt.clone() }
}

fn algorithm(a: config::Algorithm) -> Algorithm {
    match a {
        config::Algorithm::Md5 => Algorithm::Md5,
        config::Algorithm::Sha256 => Algorithm::Sha256,
    }
}

fn peers(config: &Config) -> HashMap<String, Peer> {
    let peer = |p: &config::PeerRelay| Peer { max_chunk: p.max_chunk, multiplex: p.multiplex, bulk: p.bulk };
    config.peer_relay.iter().map(|p| (p.name.to_ascii_lowercase(), peer(p))).collect()
}

fn wire(l: &config::Limits) -> msrp::Limits {
    msrp::Limits {
        start_line: l.start_line,
        header_line: l.header_line,
        header_block: l.header_block,
        header_lines: l.header_lines as usize,
        path_uris: l.path_uris as usize,
        uri: l.uri,
        gap_crlf: l.gap_crlf as usize,
    }
}

/// `ringing` is how long a call may wait for an answer or a new provisional response: its anchor is reserved for longer than one
/// such time, but not anew with each response.
fn limits(l: &config::Limits, shards: u16, ringing: Option<Duration>) -> Limits {
    let default = Limits::default();
    let reserve =
        ringing.map_or(default.anchor_reserve, |time| default.anchor_reserve.max(time + Duration::from_secs(10)));
    Limits {
        anchor_reserve: reserve,
        tokens_per_connection: l.tokens_per_connection as usize,
        transactions_per_session: l.transactions_per_session as usize,
        transactions_per_relay_link: l.transactions_per_relay_link as usize,
        reverse_map_per_connection: l.reverse_map_per_connection as usize,
        poisoned_per_session: l.poisoned_per_session as usize,
        internal_hops: l.internal_hops as usize,
        reports_per_second: l.reports_per_session_per_second,
        session_buffer: l.session_buffer,
        link_buffer: l.link_buffer,
        response_queue: l.response_queue,
        hold: l.hold,
        probation: l.probation,
        probation_failures: l.probation_failures,
        bad_requests_per_minute: l.bad_requests_per_minute,
        header_timeout: l.header_timeout,
        chunk_stall: l.chunk_stall,
        write_stall: l.write_stall,
        queue_stall: l.queue_stall,
        transaction: l.transaction_timeout,
        idle: l.idle_connection,
        idle_foreign: l.idle_foreign,
        max_message: l.max_message,
        mailbox: l.mailbox_parcels as usize,
        // Each shard accounts for its own buffers.
        memory_ceiling: ceiling(l.memory_ceiling) / usize::from(shards.max(1)),
        ..default
    }
}

/// The configured ceiling of buffer memory; zero asks for half of what this process may have.
fn ceiling(configured: u64) -> usize {
    let octets = if configured > 0 { configured } else { memory::available() / 2 };
    usize::try_from(octets).unwrap_or(usize::MAX)
}

fn policy(p: &config::EgressPolicy, bound: &[SocketAddr]) -> EgressPolicy {
    EgressPolicy { allow: p.allow.clone(), deny: p.deny.clone(), own: bound.to_vec(), ports: p.allow_ports.clone() }
}
