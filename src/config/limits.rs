//! `[limits]`: every bound of the relay, each by name.

use std::time::Duration;

use super::document::Section;
use super::problem::Fault;

/// Spans inside a header block are 16 bits wide.
const MAX_HEADER_BLOCK: usize = u16::MAX as usize;

/// One list for the struct, its defaults and the keys of the file.
macro_rules! limits {
    ($($(#[$doc:meta])+ $name:ident: $kind:ty = $default:expr,)+) => {
        /// `[limits]`. Counts are `u32`, octets `usize` or `u64`. Zero is refused, save for `memory_ceiling`.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub struct Limits {
            $($(#[$doc])+ pub $name: $kind,)+
            /// Ceiling in octets of the memory in our buffers; 0 = found out at start.
            pub memory_ceiling: u64,
            /// Longest complete message in octets; beyond it 413. None = no limit of our own.
            pub max_message: Option<u64>,
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)+ memory_ceiling: 0, max_message: None }
            }
        }

        impl Limits {
            pub(super) fn read(mut section: Section<'_>) -> Limits {
                let limits = Limits {
                    $($name: section.positive(stringify!($name), $default),)+
                    memory_ceiling: section.or("memory_ceiling", 0),
                    max_message: section.positive_if_any("max_message"),
                };
                limits.check(&section);
                section.close();
                limits
            }
        }
    };
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const MINUTE: Duration = Duration::from_secs(60);

limits! {
    // Tokens and transactions.
    /// Tokens that one user may hold.
    tokens_per_user: u32 = 200,
    /// Tokens that one connection may hold.
    tokens_per_connection: u32 = 64,
    /// SENDs of one session that await an answer; beyond it 413.
    transactions_per_session: u32 = 4096,
    /// SENDs on one link to a peer relay that await an answer; beyond it 413.
    transactions_per_relay_link: u32 = 65_536,
    /// Reverse-map entries per client connection.
    reverse_map_per_connection: u32 = 16,
    /// Message-IDs per session whose rest is refused after an error.
    poisoned_per_session: u32 = 64,
    /// Time from the last octet of a SEND to a 408.
    transaction_timeout: Duration = Duration::from_secs(30),
    /// REPORTs that we make per session and second; beyond it they are coalesced.
    reports_per_session_per_second: u32 = 50,

    // Paths and frames.
    /// URIs in one To-Path or From-Path; beyond it 400.
    path_uris: u32 = 16,
    /// Hops inside this relay that one request may take.
    internal_hops: u32 = 4,
    /// Octets of a start line.
    start_line: usize = 512,
    /// Octets of one header line.
    header_line: usize = 8 * KIB,
    /// Octets of all header lines of a frame; at most 65 535.
    header_block: usize = 16 * KIB,
    /// Header lines of a frame.
    header_lines: u32 = 64,
    /// Octets of one URI; beyond it 400.
    uri: usize = KIB,
    /// Empty lines between two frames.
    gap_crlf: u32 = 8,

    // Connections.
    /// Connections that this process may hold.
    connections: u32 = 100_000,
    /// Connections from one address.
    connections_per_address: u32 = 100,
    /// New connections from one address.
    new_connections_per_address_per_minute: u32 = 300,
    /// AUTH requests from one address.
    auths_per_address_per_minute: u32 = 300,
    /// New outgoing connections on behalf of one user.
    dials_per_user_per_minute: u32 = 10,
    /// Time to connect to a next hop, all of its addresses together.
    connect_timeout: Duration = Duration::from_secs(10),
    /// Time for a TLS handshake.
    handshake_timeout: Duration = Duration::from_secs(10),
    /// Time from the first octet of a frame to the end of its headers.
    header_timeout: Duration = Duration::from_secs(30),
    /// A connection without sessions is closed after this.
    idle_connection: Duration = Duration::from_secs(3600),
    /// A connection from a stranger without sessions is closed after this.
    idle_foreign: Duration = Duration::from_secs(300),
    /// A new connection has to prove itself within this time.
    probation: Duration = Duration::from_secs(30),
    /// Failed requests that a connection on probation may make.
    probation_failures: u32 = 3,
    /// Bad requests that a connection may make.
    bad_requests_per_minute: u32 = 20,

    // Flow.
    /// Octets queued for one session before its sender is no longer read.
    session_buffer: usize = 256 * KIB,
    /// Octets queued on one link.
    link_buffer: usize = 8 * MIB,
    /// Octets of responses queued on one link.
    response_queue: usize = MIB,
    /// How long a chunk is held for its end before it starts to leave.
    hold: Duration = Duration::from_millis(10),
    /// Parcels on the way from one shard to another.
    mailbox_parcels: u32 = 4096,
    /// A chunk of which nothing more arrives is aborted after this.
    chunk_stall: Duration = MINUTE,
    /// A connection that takes none of our octets is closed after this.
    write_stall: Duration = MINUTE,
    /// A queue without progress fails what it holds after this.
    queue_stall: Duration = Duration::from_secs(120),
}

impl Limits {
    fn check(&self, section: &Section<'_>) {
        let order = |smaller: &'static str, low: usize, larger: &'static str, high: usize| {
            if low > high {
                let key = if section.has(smaller) { smaller } else { larger };
                section.fault(section.place(key), Fault::Order { smaller, larger });
            }
        };
        order("start_line", self.start_line, "header_block", self.header_block);
        order("header_line", self.header_line, "header_block", self.header_block);
        order("session_buffer", self.session_buffer, "link_buffer", self.link_buffer);
        // Clients keep a link alive once a minute (IOP-2).
        let idle = [("idle_connection", self.idle_connection), ("idle_foreign", self.idle_foreign)];
        for (key, time) in idle.into_iter().filter(|(_, time)| *time < MINUTE) {
            let found = format!("{}s", time.as_secs());
            let range = Fault::Range { found, low: "60s".to_owned(), high: "365days".to_owned() };
            section.fault(section.place(key), range);
        }
        if self.header_block > MAX_HEADER_BLOCK {
            let found = self.header_block.to_string();
            let range = Fault::Range { found, low: "1".to_owned(), high: MAX_HEADER_BLOCK.to_string() };
            section.fault(section.place("header_block"), range);
        }
    }
}
