//! One log line for each event that somebody on call may need: what happened, to whom, and what happens next.
//!
//! Ordinary ends are for `debug`: sessions have their records, links their metric. What strangers can cause without end is
//! throttled; the number of lines held back stands in the next one.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::throttle::Throttle;
use crate::relay::{AnchorNews, Claimant, CloseReason, Event, SessionEnd, SessionRecord};

/// Lines under this name are read by programs (`config/fail2ban`): their beginning and their first field stay as they are.
const ABUSE: &str = "chappe::abuse";

static FAILED_AUTHS: Throttle = Throttle::new(100);
static BANS: Throttle = Throttle::new(100);
static CLOSED_LINKS: Throttle = Throttle::new(20);
static IMPOSTORS: Throttle = Throttle::new(20);

/// Writes the line of this event. What peers chose themselves is quoted and escaped.
pub fn log_event(event: &Event) {
    match event {
        Event::SessionEnded(record) => session_ended(record),
        Event::LinkClosed { peer, reason, relay } => link_closed(*peer, *reason, relay.as_deref()),
        Event::AuthFailed { peer, failures, from } => auth_failed(*peer, *failures, from),
        Event::Banned { address, failures, time } => banned(*address, *failures, *time),
        Event::Impostor { relay, peer } => impostor(relay, *peer),
        Event::Anchor { shard, anchor, news } => anchored(*shard, anchor.as_u64(), news),
    }
}

/// The dialogs of an anchor answer for it, so this is for whoever looks closely.
fn anchored(shard: u16, anchor: u64, news: &AnchorNews) {
    match news {
        AnchorNews::Ended(record) => session_ended(record),
        AnchorNews::Mismatch { side, peer } => info!(
            shard,
            anchor,
            ?side,
            ?peer,
            "a certificate is not the one that the session's SDP promised; nothing was delivered"
        ),
        news => debug!(shard, anchor, what = news.word(), "anchored session"),
    }
}

fn session_ended(record: &SessionRecord) {
    let SessionRecord { id, user, end, duration, .. } = record;
    let (reason, seconds) = (end.word(), duration.as_secs());
    match end {
        SessionEnd::Operator => info!(
            session = %id, ?user, seconds,
            "session ended by an operator; its client gets 481 and must authenticate again"
        ),
        SessionEnd::Expired | SessionEnd::OwnerGone | SessionEnd::Drained | SessionEnd::Bye | SessionEnd::Cancelled => {
            debug!(session = %id, ?user, reason, seconds, "session ended");
        }
    }
}

/// How loud the end of a link is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Weight {
    /// A rule of our own broke.
    Alarm,
    /// The service suffers.
    Trouble,
    /// Somebody may ask for it.
    Ordinary,
}

fn weight(reason: CloseReason, of_relay: bool) -> Weight {
    match reason {
        CloseReason::Bug => Weight::Alarm,
        CloseReason::Shortage => Weight::Trouble,
        CloseReason::Eof | CloseReason::Idle | CloseReason::Shutdown | CloseReason::Moved | CloseReason::Released => {
            Weight::Ordinary
        }
        // A link to another relay carries many sessions.
        _ if of_relay => Weight::Trouble,
        _ => Weight::Ordinary,
    }
}

fn link_closed(peer: Option<SocketAddr>, reason: CloseReason, relay: Option<&str>) {
    let (peer, port) = (Ip(peer), Port(peer));
    let (weight, reason, relay) = (weight(reason, relay.is_some()), reason.word(), relay.unwrap_or("-"));
    if weight == Weight::Ordinary {
        return debug!(%peer, %port, reason, relay, "link closed");
    }
    let Some(held_back) = CLOSED_LINKS.admit() else { return };
    match weight {
        Weight::Alarm => error!(
            %peer, %port, reason, relay, held_back,
            "link closed by a bug of ours; its sessions end, the others go on; please report it with the lines above"
        ),
        _ => warn!(
            %peer, %port, reason, relay, held_back,
            "link closed in trouble; what it carried fails towards its senders, the next request dials again"
        ),
    }
}

/// Only the line of a client may look as if its address should be banned.
fn auth_failed(peer: Option<SocketAddr>, failures: u32, from: &Claimant) {
    let Some(held_back) = FAILED_AUTHS.admit() else { return };
    let (peer, port) = (Ip(peer), Port(peer));
    match from {
        Claimant::Client => warn!(
            target: ABUSE, %peer, %port, failures, held_back,
            "authentication failed; the client was challenged again, after too many failures it is closed"
        ),
        Claimant::Relay(relay) => warn!(
            %peer, %port, %relay, failures, held_back,
            "authentication failed behind a peer relay; who guesses there is known to its operator only"
        ),
        Claimant::Datagram => warn!(
            %peer, %port, held_back,
            "authentication failed in a datagram, whose source may be forged; the client was challenged again"
        ),
    }
}

fn banned(address: IpAddr, failures: u32, time: Duration) {
    let Some(held_back) = BANS.admit() else { return };
    let peer = address.to_canonical();
    let net = if peer.is_ipv6() { "/64" } else { "" };
    warn!(
        target: ABUSE, %peer, net, failures, seconds = time.as_secs(), held_back,
        "address banned; its new connections are refused for that time, its sessions go on; \
         auth.ban_exempt and a reload lift the ban"
    );
}

fn impostor(relay: &str, peer: Option<SocketAddr>) {
    let Some(held_back) = IMPOSTORS.admit() else { return };
    error!(
        peer = %Ip(peer), port = %Port(peer), relay, held_back,
        "a peer relay speaks for another relay; its request was refused; check who holds its certificate"
    );
}

/// An address without its port, as fail2ban's `<HOST>` wants it; an IPv4 address is never dressed as IPv6.
struct Ip(Option<SocketAddr>);

impl std::fmt::Display for Ip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(peer) => peer.ip().to_canonical().fmt(f),
            None => f.write_str("-"),
        }
    }
}

struct Port(Option<SocketAddr>);

impl std::fmt::Display for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(peer) => peer.port().fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;
    use crate::observe::log::tests::logged;
    use crate::relay::Tally;
    use std::time::Duration;

    fn lines(level: &str, event: &Event) -> Vec<String> {
        logged(level, LogFormat::Text, |_| log_event(event))
    }

    #[test]
    fn a_failed_authentication_names_the_address_for_fail2ban() {
        let peer = Some("[::ffff:192.0.2.7]:40000".parse().expect("address"));
        let lines = lines("info", &Event::AuthFailed { peer, failures: 2, from: Claimant::Client });
        assert_eq!(lines.len(), 1);
        assert!(lines[0].contains("chappe::abuse: authentication failed; "), "{lines:?}");
        assert!(lines[0].contains(" peer=192.0.2.7 port=40000 "), "{lines:?}");
    }

    #[test]
    fn an_address_that_is_nobodys_to_ban_is_not_among_those_lines() {
        let peer = Some("192.0.2.7:40000".parse().expect("address"));
        for from in [Claimant::Relay("peer.example".into()), Claimant::Datagram] {
            let lines = lines("info", &Event::AuthFailed { peer, failures: 2, from });
            assert!(lines[0].contains("authentication failed") && !lines[0].contains("chappe::abuse"), "{lines:?}");
        }
    }

    #[test]
    fn ordinary_ends_are_quiet_and_trouble_is_not() {
        let closed =
            |reason, relay: Option<&str>| Event::LinkClosed { peer: None, reason, relay: relay.map(Into::into) };
        assert!(lines("info", &closed(CloseReason::Framing, None)).is_empty());
        assert!(lines("info", &closed(CloseReason::Eof, Some("peer.example"))).is_empty());
        assert_eq!(lines("debug", &closed(CloseReason::Framing, None)).len(), 1);
        let relay = lines("info", &closed(CloseReason::Lost, Some("peer.example")));
        assert!(relay[0].contains("WARN") && relay[0].contains("peer.example"), "{relay:?}");
        assert!(lines("info", &closed(CloseReason::Bug, None))[0].contains("ERROR"));
    }

    #[test]
    fn what_a_client_calls_itself_stays_on_one_line() {
        let record = SessionRecord {
            id: "00112233445566ff".to_owned(),
            user: "alice\n2026 ERROR peer=192.0.2.9".into(),
            owner: None,
            relay: None,
            far_host: None,
            tally: Tally::default(),
            duration: Duration::from_secs(3),
            end: SessionEnd::Operator,
        };
        let lines = lines("info", &Event::SessionEnded(Box::new(record)));
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].matches('\n').count(), 1, "{lines:?}");
        assert!(lines[0].contains("session=00112233445566ff"), "{lines:?}");
    }
}
